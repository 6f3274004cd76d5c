"""Real numbers as they are known: exactly, to within a ball, or as infinity or nan.

A `Ball` holds one of three things:

    fmpq    the number itself, a ratio of whole numbers; as long as it has no more than some
            thousand digits. Inputs and literals are exact, and sums, products and quotients of
            exact numbers stay exact, so equal numbers are known to be equal.
    arb     a ball of Arb's that certainly contains the number, finite
    float   an infinity or a nan: what NumPy gives outside of an operation's domain

Over the real numbers zero has no sign: -0.0 is 0.

Source    Johansson, "Arb: efficient arbitrary-precision midpoint-radius interval arithmetic",
          IEEE Transactions on Computers 66 (2017).
"""

from __future__ import annotations

import math
import operator
from collections.abc import Callable
from fractions import Fraction
from typing import Any

import numpy as np

from chainrule.certify.flint import load
from chainrule.certify.rounding import round_ratio
from chainrule.program.exact import ExactFloat, logarithm
from chainrule.program.program import Equation

MOST_EXACT_BITS = 4096  # of numerators and denominators


class Undetermined(Exception):
    """At this precision a ball does not tell what was asked; more bits may. `equation` asked it."""

    equation: Equation | None = None


class Ball:
    """A real number, exactly or within a ball, or an infinity or nan. See the module."""

    __slots__ = ("x",)

    def __init__(self, x: Any):
        self.x = x

    def __repr__(self) -> str:
        return f"Ball({self.x})"

    @property
    def special(self) -> bool:
        """Whether this is an infinity or nan."""
        return type(self.x) is float

    @property
    def exact(self) -> bool:
        """Whether the number itself is known."""
        return type(self.x) is _fmpq()

    @property
    def is_zero(self) -> bool:
        """Whether this is certainly 0: known exactly."""
        return self.exact and not self.x

    def arb(self):
        """The number as a ball of Arb's, at the working precision."""
        return load().arb(self.x)

    def sign(self) -> int:
        """-1, 0 or 1; `Undetermined` where the ball holds numbers of both signs."""
        x = self.x
        if type(x) is float:
            return int(np.sign(x)) if x == x else 0
        if type(x) is _fmpq():
            return (x > 0) - (x < 0)
        if x > 0:
            return 1
        if x < 0:
            return -1
        raise Undetermined("the sign of a number")

    def __neg__(self) -> Ball:
        return Ball(-self.x)

    def __abs__(self) -> Ball:
        return Ball(abs(self.x))

    def __add__(self, other: Ball) -> Ball:
        return _arithmetic(operator.add, self, other)

    def __sub__(self, other: Ball) -> Ball:
        return _arithmetic(operator.sub, self, other)

    def __mul__(self, other: Ball) -> Ball:
        if self.is_zero and not other.special:
            return self
        if other.is_zero and not self.special:
            return other
        return _arithmetic(operator.mul, self, other)

    def __truediv__(self, other: Ball) -> Ball:
        if self.special or other.special:
            return _of_specials(np.divide, self, other)
        if other.is_zero:
            return Ball(math.inf * self.sign())  # nan for 0 / 0
        if type(other.x) is not _fmpq() and other.x.contains(0):
            raise Undetermined("a divisor that may be 0")
        return _arithmetic(operator.truediv, self, other)

    def compare(self, other: Ball) -> int:
        """-1, 0 or 1 as this number is less than, equal to or greater than the other one; neither
        may be nan. `Undetermined` where the balls do not tell."""
        if self is other:
            return 0
        a, b = self.x, other.x
        if type(a) is float or type(b) is float:
            a = a if type(a) is float else 0.0
            b = b if type(b) is float else 0.0
            return (a > b) - (a < b)
        if a < b:
            return -1
        if a > b:
            return 1
        if self.exact and other.exact:
            return 0
        raise Undetermined("whether two numbers are equal")

    def compare_edge(self, edge: int) -> int:
        """As `compare` with a whole number; 0 where the ball lies across it."""
        try:
            return self.compare(Ball(_fmpq()(edge)))
        except Undetermined:
            return 0

    def is_nan(self) -> bool:
        """Whether this is nan."""
        return self.x != self.x if type(self.x) is float else False


def _fmpq():
    return load().fmpq


def exact(value) -> Ball:
    """A number of Python or NumPy, as it is."""
    if isinstance(value, int | np.integer | np.bool_):
        return Ball(load().fmpq(int(value)))
    value = float(value)
    if not math.isfinite(value):
        return Ball(value)
    return Ball(load().fmpq(*value.as_integer_ratio()))


def ratio(numerator: int, denominator: int = 1) -> Ball:
    """An exact ratio."""
    return Ball(load().fmpq(numerator, denominator))


def exact_ball(value: ExactFloat) -> Ball:
    """The number that a float of a derivative rule stands for."""
    flint = load()
    made = ratio(value.ratio.numerator, value.ratio.denominator)
    for name, power in value.powers.items():
        operand = logarithm(name)
        if operand is not None:
            base = flint.arb(flint.fmpq(operand.numerator, operand.denominator)).log()
        else:
            base = flint.arb.pi() if name == "pi" else flint.arb(2)
        exponent = flint.arb(flint.fmpq(power.numerator, power.denominator))
        made = made * Ball(base**exponent)
    return made


def from_arb(x, what: str = "a value") -> Ball:
    """A finite ball of Arb's; exact where its radius is 0. `Undetermined` where it is not finite"""
    if not x.is_finite():
        raise Undetermined(what)
    if x.is_exact():
        mantissa, exponent = x.man_exp()
        mantissa, exponent = int(mantissa), int(exponent)
        if abs(exponent) + mantissa.bit_length() <= MOST_EXACT_BITS:
            flint = load()
            if exponent >= 0:
                return Ball(flint.fmpq(mantissa << exponent))
            return Ball(flint.fmpq(mantissa, 1 << -exponent))
    return Ball(x)


def _arithmetic(operation: Callable, a: Ball, b: Ball) -> Ball:
    if a.special or b.special:
        return _of_specials(operation, a, b)
    flint = load()
    if a.exact and b.exact:
        made = operation(a.x, b.x)
        if max(made.p.bit_length(), made.q.bit_length()) <= MOST_EXACT_BITS:
            return Ball(made)
        return Ball(flint.arb(made))
    return Ball(operation(flint.arb(a.x), flint.arb(b.x)))


def _of_specials(operation: Callable, *operands: Ball) -> Ball:
    """What NumPy gives for infinities, nan and the signs of the other operands."""
    with np.errstate(all="ignore"):
        return exact(operation(*[np.float64(stand_in(a)) for a in operands]))


def stand_in(a: Ball) -> float:
    """A float for a number next to an infinity: the number where that is exact, else +-1.5."""
    if type(a.x) is float:
        return a.x
    if a.exact:
        near = float(Fraction(int(a.x.p), int(a.x.q))) if _moderate(a.x) else math.inf
        if math.isfinite(near) and (near or not a.x):
            return near
    return 1.5 * a.sign()


def _moderate(x) -> bool:
    return abs(x.p.bit_length() - x.q.bit_length()) < 1000


def rounded(a: Ball, dtype: np.dtype) -> np.floating:
    """The number correctly rounded to a dtype; `Undetermined` where the ball does not tell."""
    x = a.x
    if type(x) is float:
        return dtype.type(x)
    if type(x) is _fmpq():
        return round_ratio(int(x.p), int(x.q), dtype)
    low, high = (_rounded_end(end, dtype) for end in (x.lower(), x.upper()))
    if low != high:
        raise Undetermined("the last bit of a result")
    return low if low or not x.contains(0) else dtype.type(0.0)


def _rounded_end(end, dtype: np.dtype) -> np.floating:
    mantissa, exponent = end.man_exp()
    mantissa, exponent = int(mantissa), int(exponent)
    if abs(exponent) > 1 << 20:  # far beyond every format: no need to write the zeros
        exponent = (1 << 20) * (1 if exponent > 0 else -1)
    if exponent >= 0:
        return round_ratio(mantissa << exponent, 1, dtype)
    return round_ratio(mantissa, 1 << -exponent, dtype)
