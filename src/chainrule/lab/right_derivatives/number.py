"""Numbers of high precision that NumPy's arrays of objects compute with.

`Number` wraps an mpmath number and answers Python's operators and the method names that NumPy looks
for in arrays of objects (`np.exp(array)` calls `element.exp()`). Division by zero and domains are
those of IEEE arithmetic: 1/0 is inf, 0/0 and log(-1) are nan, 0**0 is 1; nothing raises. A float
that a function writes is the double it is. Precision is mpmath's current one (`mpmath.workdps`).
"""

from __future__ import annotations

import math
import operator
from collections.abc import Callable
from numbers import Real
from typing import Any

from mpmath import mp, mpf


def _divide(x: mpf, y: mpf) -> mpf:
    if y != 0:
        return x / y
    if x == 0 or mp.isnan(x):
        return mp.nan
    return mp.inf if x > 0 else -mp.inf


def _power(x: mpf, y: mpf) -> mpf:
    if y == 0 or x == 1:
        return mpf(1)
    if x == 0:
        return mpf(0) if y > 0 else mp.inf
    if x < 0 and not mp.isint(y):
        return mp.nan
    return x**y


def _floor_divide(x: mpf, y: mpf) -> mpf:
    return mp.floor(_divide(x, y))


def _modulo(x: mpf, y: mpf) -> mpf:
    return x - y * _floor_divide(x, y)


def _both_ways(rule) -> tuple[Callable[..., Any], Callable[..., Any]]:
    """An operator and its reflection, by a rule on mpmath numbers."""

    def forward(self, other):
        return Number(rule(self.value, of(other))) if isinstance(other, _REAL) else NotImplemented

    def reflected(self, other):
        return Number(rule(of(other), self.value)) if isinstance(other, _REAL) else NotImplemented

    return forward, reflected


class Number:
    """One real number."""

    __slots__ = ("value",)

    def __init__(self, value):
        self.value = value if isinstance(value, mpf) else mpf(value)

    def __repr__(self):
        return f"Number({mp.nstr(self.value, 17)})"

    def __float__(self):
        return float(self.value)

    def __int__(self):
        return int(self.value)

    def __bool__(self):
        return self.value != 0

    def __hash__(self):
        return hash(self.value)

    def __eq__(self, other):
        return _compare(self, other, lambda x, y: x == y)

    def __ne__(self, other):
        return _compare(self, other, lambda x, y: x != y)

    def __lt__(self, other):
        return _compare(self, other, lambda x, y: x < y)

    def __le__(self, other):
        return _compare(self, other, lambda x, y: x <= y)

    def __gt__(self, other):
        return _compare(self, other, lambda x, y: x > y)

    def __ge__(self, other):
        return _compare(self, other, lambda x, y: x >= y)

    __add__, __radd__ = _both_ways(operator.add)
    __sub__, __rsub__ = _both_ways(operator.sub)
    __mul__, __rmul__ = _both_ways(operator.mul)
    __truediv__, __rtruediv__ = _both_ways(_divide)
    __floordiv__, __rfloordiv__ = _both_ways(_floor_divide)
    __mod__, __rmod__ = _both_ways(_modulo)
    __pow__, __rpow__ = _both_ways(_power)

    def __neg__(self):
        return Number(-self.value)

    def __pos__(self):
        return self

    def __abs__(self):
        return Number(abs(self.value))

    def __floor__(self):
        return Number(mp.floor(self.value))

    def __ceil__(self):
        return Number(mp.ceil(self.value))

    def __trunc__(self):
        return Number(mp.floor(self.value) if self.value >= 0 else mp.ceil(self.value))

    @property
    def real(self):
        return self

    def conjugate(self):
        return self

    def cbrt(self):
        return Number(mp.sign(self.value) * mp.cbrt(abs(self.value)))

    def exp2(self):
        return Number(mpf(2) ** self.value)

    def square(self):
        return self * self

    def rint(self):
        return Number(mp.nint(self.value))

    def hypot(self, other):
        return (self * self + other * other).sqrt()

    def arctan2(self, other):
        x = of(other)
        return Number(mpf(0)) if self.value == x == 0 else Number(mp.atan2(self.value, x))


_REAL = (Number, Real)


def of(value) -> mpf:
    """The mpmath number of a Number, a Python number or one of NumPy's."""
    return value.value if isinstance(value, Number) else mpf(float(value))


def _compare(x, y, test):
    if not isinstance(y, _REAL):
        return NotImplemented
    return bool(test(x.value, of(y)))


# NumPy's name, the function, and where it is defined (elsewhere it is nan)
_FUNCTIONS = {
    "exp": (mp.exp, None),
    "expm1": (lambda x: mp.expm1(x), None),
    "log": (lambda x: mp.log(x) if x > 0 else -mp.inf, lambda x: x >= 0),
    "log2": (lambda x: mp.log(x) / mp.log(2) if x > 0 else -mp.inf, lambda x: x >= 0),
    "log10": (lambda x: mp.log10(x) if x > 0 else -mp.inf, lambda x: x >= 0),
    "log1p": (lambda x: mp.log(1 + x) if x > -1 else -mp.inf, lambda x: x >= -1),
    "sqrt": (mp.sqrt, lambda x: x >= 0),
    "sin": (mp.sin, None),
    "cos": (mp.cos, None),
    "tan": (mp.tan, None),
    "sinh": (mp.sinh, None),
    "cosh": (mp.cosh, None),
    "tanh": (mp.tanh, None),
    "arcsin": (mp.asin, lambda x: -1 <= x <= 1),
    "arccos": (mp.acos, lambda x: -1 <= x <= 1),
    "arctan": (mp.atan, None),
    "arcsinh": (mp.asinh, None),
    "arccosh": (mp.acosh, lambda x: x >= 1),
    "arctanh": (lambda x: mp.atanh(x) if abs(x) < 1 else x * mp.inf, lambda x: -1 <= x <= 1),
    "degrees": (mp.degrees, None),
    "radians": (mp.radians, None),
    "rad2deg": (mp.degrees, None),
    "deg2rad": (mp.radians, None),
    "fabs": (abs, None),
}


def _methods() -> None:
    for name, (rule, domain) in _FUNCTIONS.items():

        def method(self, rule=rule, domain=domain):
            x = self.value
            if mp.isnan(x) or (domain is not None and not domain(x)):
                return Number(mp.nan)
            return Number(mpf(rule(x)))

        setattr(Number, name, method)


_methods()


def number(value: float) -> Number:
    """The Number that is exactly this double.

    >>> number(0.5) + 1
    Number(1.5)
    """
    return Number(mpf(float(value)) if math.isfinite(value) else mpf(str(float(value))))
