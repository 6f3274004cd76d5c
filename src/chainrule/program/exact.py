"""Floats that remember which number they are the nearest to: constants of derivative rules.

A rule writes `exp(-x * x) * (2.0 / ROOT_PI)`. Floating point needs the rounded constant and no
more; ball arithmetic (chainrule.certify) needs the number itself. An `ExactFloat` is a float, and
products and quotients with Python numbers are such floats again.
"""

from __future__ import annotations

import math
import operator
from collections.abc import Callable, Mapping
from fractions import Fraction
from typing import Any

import numpy as np


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
            value *= _named(name) ** float(power)
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


class _Float64(np.float64):
    """A float64 that carries what it is rounded from."""

    exact: ExactFloat


class _Float32(np.float32):
    """As `_Float64`."""

    exact: ExactFloat


_CARRYING: dict[type, Any] = {np.float64: _Float64, np.float32: _Float32}


def carrying(value: Any, exact: ExactFloat) -> Any:
    """The value as a scalar that carries the number, so that it is not lost where an equation is
    recorded anew; other dtypes than float64 and float32 carry none."""
    kind = _CARRYING.get(type(value))
    if kind is None:
        return value
    made = kind(value)
    made.exact = exact
    return made


def carried(value) -> ExactFloat | None:
    """The number that a value carries, if it does."""
    return value.exact if type(value) in (_Float64, _Float32) else None


_EXACT: dict[str, Callable] = {
    "add": operator.add, "subtract": operator.sub, "multiply": operator.mul,
    "divide": operator.truediv, "negative": operator.neg,
}  # fmt: skip


def exact_result(name: str, values) -> ExactFloat | None:
    """The exact result of an operation on floats, where floating point rounds it; else None.

    Values that are `ExactFloat` stand for their numbers.
    """
    if name not in _EXACT or not all(math.isfinite(v) for v in values):
        return None
    if name == "divide" and not values[1]:
        return None
    if any(isinstance(v, ExactFloat) and v.powers for v in values):
        return _with_powers(name, values)
    numbers = [v.ratio if isinstance(v, ExactFloat) else Fraction(float(v)) for v in values]
    ratio = _EXACT[name](*numbers)
    try:
        return None if ratio == Fraction(float(ratio)) else ExactFloat(ratio, {})
    except OverflowError:
        return None


def _with_powers(name: str, values) -> ExactFloat | None:
    if name in ("add", "subtract"):
        return None
    made = _EXACT[name](*[v if isinstance(v, ExactFloat) else float(v) for v in values])
    return made if isinstance(made, ExactFloat) else None


def log_of(number: float | Fraction) -> ExactFloat:
    """The logarithm of a positive number, as a float that remembers its operand.

    >>> log_of(1.5), log_of(1.5).powers
    (0.4054651081081644, {'log 3/2': Fraction(1, 1)})
    """
    ratio = number if isinstance(number, Fraction) else Fraction(float(number))
    return ExactFloat(1, {f"{_LOG}{ratio}": 1})


def logarithm(name: str) -> Fraction | None:
    """The operand of the logarithm that a name stands for; None of other names."""
    return Fraction(name.removeprefix(_LOG)) if name.startswith(_LOG) else None


def _named(name: str) -> float:
    operand = logarithm(name)
    return NUMBERS[name] if operand is None else math.log(operand)


_LOG = "log "

NUMBERS = {"pi": math.pi, "2": 2.0}

PI = ExactFloat(1, {"pi": 1})
LN2, LN10 = log_of(2.0), log_of(10.0)
ROOT_PI, ROOT_2 = ExactFloat(1, {"pi": Fraction(1, 2)}), ExactFloat(1, {"2": Fraction(1, 2)})
ROOT_2PI = ROOT_2 * ROOT_PI
