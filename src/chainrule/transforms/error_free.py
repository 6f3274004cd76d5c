"""Patterns that compute a rounding error on purpose, which no rewriting may "repair".

    TwoSum, Kahan       (a + b) - a  and  (a + b) - b: what the addition rounded to, less a part
    Split               x * (2^27 + 1), or 2^12 + 1 in float32: the first half of a number's digits
    rounding            x + 1.5 * 2^52 (or 2^52, and 2^23 in float32): a magic constant

What such a pattern gives, and everything computed from it, is meant as it stands.

Source    Dekker, Numer. Math. 18 (1971) 224; Knuth, TAOCP 2, 4.2.2; Kahan, CACM 8 (1965) 40.
"""

from __future__ import annotations

from chainrule.program.program import Equation, Operand, Program

_SPLITTERS = {2.0**27 + 1, 2.0**12 + 1}
_MAGIC = {c * 2.0**k for k in (52, 23) for c in (1.0, 1.5)}


def error_free(program: Program) -> set[Operand]:
    """The variables of a program that an error-free pattern makes, or that are computed from one.

    Sub-programs are looked at on their own; what enters them counts as an input.
    """
    marked: set[Operand] = set()
    made: dict[Operand, Equation] = {}
    for equation in program.equations:
        if not marked.isdisjoint(equation.inputs) or _starts(equation, made):
            marked.update(equation.outputs)
        for var in equation.outputs:
            made[var] = equation
    return marked


def _starts(equation: Equation, made: dict[Operand, Equation]) -> bool:
    name = equation.op.name
    if name == "subtract":
        x, y = equation.inputs
        return _less_a_part(x, y, made) or _magic(equation)
    if name == "multiply":
        return _holds(equation, _SPLITTERS)
    return name == "add" and _magic(equation)


def _less_a_part(x: Operand, y: Operand, made: dict[Operand, Equation]) -> bool:
    """Whether x - y is a rounded sum less one of its parts: (y + z) - y, (y - z) - y, y - (y - z).

    Where the other part is a number the sum may be x + 1, which formulas contain: (x + 1) - x is
    rewritten by no rule, so it needs no mark.
    """
    for whole, part in ((x, y), (y, x)):
        found = made.get(whole)
        if found is None or found.op.name not in ("add", "subtract") or part.is_literal:
            continue
        if part in found.inputs and not any(o.is_literal for o in found.inputs):
            return True
    return False


def _magic(equation: Equation) -> bool:
    return _holds(equation, _MAGIC)


def _holds(equation: Equation, numbers: set[float]) -> bool:
    return any(
        o.is_literal and o.value.dtype.kind == "f" and abs(float(o.value)) in numbers
        for o in equation.inputs
    )
