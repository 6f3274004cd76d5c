"""Literals as wide numbers: a float, or the number that it remembers it was rounded from.

Derivative rules make constants (1/6 from (1/2)/3, 2/sqrt(pi)) which know what they stand for: see
chainrule.program.exact. Where digits are repaired it is that number that counts.
"""

from __future__ import annotations

from fractions import Fraction

from chainrule.program.exact import ExactFloat, logarithm
from chainrule.program.program import Literal
from chainrule.wide import elementary as e
from chainrule.wide.arrays import to_wide
from chainrule.wide.number import ONE, TWO, Number, Wide, wide

_NAMED = {"pi": e.pi, "2": lambda: TWO}


def literal_number(x: Literal):
    """The number of a literal at the precision in force; other kinds of values as they are.

    >>> from chainrule.program.program import literal
    >>> float(literal_number(literal(0.1)) - wide(0.1))
    0.0
    """
    return to_wide(x.value, x.type) if x.exact is None else _number(x.exact)


def _number(exact: ExactFloat) -> Number:
    made: Number = wide(exact.ratio.numerator) / wide(exact.ratio.denominator)
    for name, power in exact.powers.items():
        made = made * _power(_named(name), power)
    return made


def _named(name: str) -> Number:
    operand = logarithm(name)
    if operand is None:
        return _NAMED[name]()
    return e.log(wide(operand.numerator) / wide(operand.denominator))


def _power(x: Number, power: Fraction) -> Number:
    if power.denominator == 2:
        x = e.sqrt(x) if isinstance(x, Wide) else x  # infinities and nan stay
    elif power.denominator != 1:
        return e.exp(e.log(x) * (wide(power.numerator) / wide(power.denominator)))
    made: Number = ONE
    for _ in range(abs(power.numerator)):
        made = made * x
    return made if power > 0 else ONE / made
