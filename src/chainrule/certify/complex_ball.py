"""Complex numbers whose parts are balls."""

from __future__ import annotations

from collections.abc import Callable
from typing import Any

from chainrule import errors
from chainrule.certify.ball import Ball, Undetermined, from_arb, ratio
from chainrule.certify.flint import load


class ComplexBall:
    """A complex number: two `Ball`s."""

    __slots__ = ("im", "re")

    def __init__(self, re: Ball, im: Ball):
        self.re, self.im = re, im

    def __repr__(self) -> str:
        return f"ComplexBall({self.re}, {self.im})"

    @property
    def is_zero(self) -> bool:
        """Whether this is certainly 0."""
        return self.re.is_zero and self.im.is_zero

    @property
    def special(self) -> bool:
        """Whether a part is an infinity or nan."""
        return self.re.special or self.im.special

    def is_nan(self) -> bool:
        """Whether a part is nan."""
        return self.re.is_nan() or self.im.is_nan()

    def conjugate(self) -> ComplexBall:
        """The complex conjugate."""
        return ComplexBall(self.re, -self.im)

    def acb(self):
        """The number as a ball of Arb's, at the working precision."""
        if self.special:
            raise errors.NotSupported(
                "complex infinities and nan cannot be certified: pass finite numbers."
            )
        return load().acb(self.re.arb(), self.im.arb())

    def __neg__(self) -> ComplexBall:
        return ComplexBall(-self.re, -self.im)

    def __add__(self, other: ComplexBall) -> ComplexBall:
        return ComplexBall(self.re + other.re, self.im + other.im)

    def __sub__(self, other: ComplexBall) -> ComplexBall:
        return ComplexBall(self.re - other.re, self.im - other.im)

    def __mul__(self, other: ComplexBall) -> ComplexBall:
        return ComplexBall(
            self.re * other.re - self.im * other.im, self.re * other.im + self.im * other.re
        )

    def __truediv__(self, other: ComplexBall) -> ComplexBall:
        size = other.re * other.re + other.im * other.im
        made = self * other.conjugate()
        return ComplexBall(made.re / size, made.im / size)


def of_real(a: Ball) -> ComplexBall:
    """A real number as a complex one."""
    return ComplexBall(a, ratio(0))


def from_acb(x) -> ComplexBall:
    """A finite complex ball of Arb's."""
    if not x.is_finite():
        raise Undetermined("a complex value")
    return ComplexBall(from_arb(x.real), from_arb(x.imag))


def function(name: str, *more) -> Callable[[Any], ComplexBall]:
    """The rule of a function that Arb has for complex numbers."""

    def rule(a: ComplexBall) -> ComplexBall:
        return from_acb(getattr(a.acb(), name)(*more))

    return rule
