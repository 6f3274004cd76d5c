"""Error-free patterns: arithmetic that is meant to see rounding errors, and must keep them.

    x - (x - y), c - (c - y)     Dekker's and Veltkamp's splitting
    y - (t - s), (t - s) - y     with t = s + y: FastTwoSum, TwoSum, Kahan's summation
    (x + M) - M                  rounding to a whole multiple by a large number M

In exact arithmetic these are y, 0 and x. With a number for x or s they are formulas: 1 - (1 - p).
A program that holds one is not evaluated in wide
arithmetic, and no rule may simplify it.

Source    Dekker, Numer. Math. 18 (1971); Kahan, CACM 8 (1965); Knuth, TAOCP 2, 4.2.2.
"""

from __future__ import annotations

from collections.abc import Callable

from chainrule.program.cost import subprograms
from chainrule.program.program import Equation, Operand, Program

_MAGIC = 2.0**32  # numbers that are added to round are 1.5 * 2**k, at least this large

Maker = Callable[[Operand], Equation | None]


def holds_error_free_pattern(program: Program) -> bool:
    """Whether a program, or one inside it, holds an error-free pattern."""
    made = {v: e for e in program.equations for v in e.outputs}
    return any(
        keeps_rounding_error(e, made.get)
        or any(holds_error_free_pattern(p) for _, p in subprograms(e))
        for e in program.equations
    )


def keeps_rounding_error(equation: Equation, maker: Maker) -> bool:
    """Whether an equation is the last of an error-free pattern; `maker` gives the equation that
    made an operand."""
    if equation.op.name != "subtract":
        return False
    x, y = equation.inputs
    left, right = maker(x), maker(y)
    if right is not None and right.op.name == "subtract":
        if x is right.inputs[0] and not x.is_literal:
            return True  # x - (x - y)
        if _is_difference_of_sum(right, x, maker):
            return True  # y - (t - s)
    if left is None:
        return False
    if left.op.name == "subtract" and _is_difference_of_sum(left, y, maker):
        return True
    return left.op.name in ("add", "subtract") and any(
        _is_magic(operand) and _is(operand, y) for operand in left.inputs
    )


def _is_difference_of_sum(difference: Equation, y: Operand, maker: Maker) -> bool:
    """Whether it is t - s with t = s + y (or s - y, where y is what is compared)."""
    t, s = difference.inputs
    total = maker(t)
    if s.is_literal or total is None or total.op.name not in ("add", "subtract"):
        return False
    a, b = total.inputs
    return (_is(a, s) and _is(b, y)) or (_is(b, s) and _is(a, y))


def _is(x: Operand, y: Operand) -> bool:
    return x is y or (x.is_literal and y.is_literal and x.key == y.key)


def _is_magic(x: Operand) -> bool:
    return x.is_literal and x.type.dtype.kind == "f" and abs(float(x.value)) >= _MAGIC
