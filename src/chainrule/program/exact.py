"""Floats that remember which number they are the nearest to: constants of derivative rules.

A rule writes `exp(-x * x) * (2.0 / ROOT_PI)`. Floating point needs the rounded constant and no
more; ball arithmetic (chainrule.certify) needs the number itself. An `ExactFloat` is a float, and
products and quotients with Python numbers are such floats again.
"""

from __future__ import annotations

import math
from collections.abc import Callable, Mapping
from fractions import Fraction


class ExactFloat(float):
    """The float nearest to `ratio` times the product of powers of named numbers.

    >>> pi = ExactFloat(1, {"pi": 1})
    >>> pi / 180, (pi / 180).ratio
    (0.017453292519943295, Fraction(1, 180))
    """

    ratio: Fraction
    powers: dict[str, Fraction]

    def __new__(cls, ratio, powers: Mapping[str, Fraction | int]):
        exact = Fraction(ratio)
        value = float(exact)
        for name, power in powers.items():
            value *= NUMBERS[name] ** float(power)
        made = super().__new__(cls, value)
        made.ratio = exact
        made.powers = {n: Fraction(p) for n, p in powers.items() if p}
        return made

    def _times(self, other, sign: int):
        if isinstance(other, ExactFloat):
            names = {*self.powers, *other.powers}
            powers = {n: self.powers.get(n, 0) + sign * other.powers.get(n, 0) for n in names}
            return ExactFloat(self.ratio * other.ratio**sign, powers)
        if type(other) in (int, float) and math.isfinite(other) and other:
            return ExactFloat(self.ratio * Fraction(other) ** sign, self.powers)
        return NotImplemented

    def __mul__(self, other):
        return self._times(other, 1)

    __rmul__ = __mul__

    def __truediv__(self, other):
        return self._times(other, -1)

    def __rtruediv__(self, other):
        inverse = ExactFloat(1 / self.ratio, {n: -p for n, p in self.powers.items()})
        return inverse._times(other, 1)

    @property
    def key(self) -> tuple:
        """Equal for equal numbers."""
        return (self.ratio, *sorted(self.powers.items()))

    def __neg__(self):
        return ExactFloat(-self.ratio, self.powers)


_EXACT: dict[str, Callable] = {
    "add": Fraction.__add__, "subtract": Fraction.__sub__, "multiply": Fraction.__mul__,
    "divide": Fraction.__truediv__, "negative": Fraction.__neg__,
}  # fmt: skip


def exact_result(name: str, values) -> ExactFloat | None:
    """The exact result of an operation on floats, where floating point rounds it; else None."""
    if name not in _EXACT or not all(math.isfinite(v) for v in values):
        return None
    if name == "divide" and not values[1]:
        return None
    ratio = _EXACT[name](*[Fraction(float(v)) for v in values])
    try:
        return None if ratio == Fraction(float(ratio)) else ExactFloat(ratio, {})
    except OverflowError:
        return None


NUMBERS = {"pi": math.pi, "log 2": math.log(2.0), "log 10": math.log(10.0), "2": 2.0}

PI = ExactFloat(1, {"pi": 1})
LN2, LN10 = ExactFloat(1, {"log 2": 1}), ExactFloat(1, {"log 10": 1})
ROOT_PI, ROOT_2 = ExactFloat(1, {"pi": Fraction(1, 2)}), ExactFloat(1, {"2": Fraction(1, 2)})
ROOT_2PI = ROOT_2 * ROOT_PI
