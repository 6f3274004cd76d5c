"""What is known of a value whatever the program's inputs are: a bound, and that it is never zero.

    bound(x)     b where every entry is a number with |x| <= b: no inf, no nan; None where unknown
    nonzero(x)   True where no entry is 0 (a nan is none)

A bound follows from constants, truth values and casts of integers through operations that hand it
on. tanh, sin and the like bound their result only for arguments that have a bound: tanh(nan) is
nan, and sin(inf) is.
"""

from __future__ import annotations

import math
from collections.abc import Callable

import numpy as np

from chainrule.program.program import Equation, Operand

_SLACK = 1.0 + 2.0**-8  # results are rounded, in float16 by up to 2**-11 each


class Facts:
    """Bounds of the variables of one program, found when they are asked for."""

    def __init__(self, maker: Callable[[Operand], Equation | None]):
        self._maker = maker
        self._bounds: dict[Operand, float | None] = {}

    def bound(self, operand: Operand) -> float | None:
        """A number that no entry's magnitude exceeds, where one is known."""
        known = self._bounds
        if operand in known:
            return known[operand]
        pending: list[tuple[Operand, Equation]] = []
        self._enter(operand, pending)
        while pending:
            x, equation = pending[-1]
            count = len(pending)
            for y in equation.inputs:
                if y not in known:
                    self._enter(y, pending)
            if len(pending) == count:
                pending.pop()
                if x not in known:
                    bounds = [known[y] for y in equation.inputs]
                    known[x] = _within_range(x, _RULES[equation.op.name](equation, bounds))
        return known[operand]

    def _enter(self, x: Operand, pending: list) -> None:
        """Note the bound of an operand that needs no others; else put it on the list."""
        equation = None if x.is_literal else self._maker(x)
        if equation is not None and equation.op.name in _RULES:
            pending.append((x, equation))
        else:
            self._bounds[x] = _within_range(x, _of_leaf(x, equation))

    def finite(self, operand: Operand) -> bool:
        """Whether no entry can be inf or nan."""
        return self.bound(operand) is not None

    def nonzero(self, operand: Operand) -> bool:
        """Whether no entry can be 0."""
        while not operand.is_literal:
            equation = self._maker(operand)
            if equation is None or equation.op.name not in _SAME_ZEROS:
                return False
            operand = equation.inputs[0]
        return bool(operand.value != 0)


def _of_leaf(x: Operand, equation: Equation | None) -> float | None:
    if x.is_literal:
        size = abs(complex(x.value)) if x.type.dtype.kind == "c" else abs(float(x.value))
        return size if math.isfinite(size) else None
    if equation is not None and equation.op.name == "iota":
        return float(equation.params["size"])
    kind = x.type.dtype.kind
    if kind == "b":
        return 1.0
    return float(np.iinfo(x.type.dtype).max) + 1.0 if kind in "iu" else None


def _within_range(x: Operand, bound: float | None) -> float | None:
    """The bound, unless a value of that size may overflow in the operand's dtype."""
    dtype = x.type.dtype
    if dtype.kind in "biu":
        limit = 1.0 if dtype.kind == "b" else float(np.iinfo(dtype).max) + 1.0
        return limit if bound is None else min(bound, limit)
    if bound is None or not bound < 0.25 * float(np.finfo(dtype).max):
        return None if not x.is_literal else bound
    return bound


# --- how operations hand bounds on ----------------------------------------------------------------
# A rule maps the equation and the bounds of its operands to the bound of its output.


def _same(equation, bounds):
    return bounds[0]


def _negated(equation, bounds):
    return None if equation.outputs[0].type.dtype.kind == "u" else bounds[0]  # those wrap


def _rounded(equation, bounds):
    return None if bounds[0] is None else bounds[0] + 1.0


def _largest(equation, bounds):
    return None if any(b is None for b in bounds) else max(bounds)


def _of_choices(equation, bounds):
    return _largest(equation, bounds[1:])


def _of_two(combine):
    def rule(equation, bounds):
        x, y = bounds
        return None if x is None or y is None else combine(x, y) * _SLACK

    return rule


def _at_most(limit: float):
    def rule(equation, bounds):
        return None if bounds[0] is None else limit

    return rule


def _product(equation, bounds):
    integers = equation.outputs[0].type.dtype.kind in "iu"  # which wrap
    return None if integers else _of_two(lambda x, y: x * y)(equation, bounds)


def _total(equation, bounds):
    integers = equation.outputs[0].type.dtype.kind in "iu"
    return None if integers else _of_two(lambda x, y: x + y)(equation, bounds)


def _sum(equation, bounds):
    x, out = equation.inputs[0].type, equation.outputs[0].type
    if bounds[0] is None or x.dtype.kind in "iu":
        return None
    count = max(x.size // max(out.size, 1), 1)
    return bounds[0] * count * (1.0 + float(np.finfo(x.dtype).eps)) ** min(count, 2**20)


def _written(equation, bounds):
    return _largest(equation, bounds[:2])


_RULES: dict[str, Callable] = {
    **dict.fromkeys(
        ("reshape", "transpose", "flip", "broadcast", "index", "absolute", "cast",
         "stop_gradient", "barrier", "max", "min", "sort", "trunc", "pad", "cummax",
         "cummin", "real", "imag", "conjugate"), _same),
    **dict.fromkeys(("maximum", "minimum", "fmax", "fmin", "concatenate", "clip"), _largest),
    **dict.fromkeys(("sin", "cos", "tanh", "sign", "expit", "erf"), _at_most(1.01)),
    **dict.fromkeys(("floor", "ceil", "rint"), _rounded),
    "negative": _negated, "arctan": _at_most(2.0),
    "select": _of_choices, "multiply": _product, "scale": _product,
    "add": _total, "subtract": _total, "square": lambda e, b: _product(e, [b[0], b[0]]),
    "sum": _sum, "index_set": _written,
}  # fmt: skip
_SAME_ZEROS = {
    "reshape", "transpose", "flip", "broadcast", "negative", "absolute", "stop_gradient", "barrier",
}  # fmt: skip
