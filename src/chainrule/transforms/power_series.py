"""Power series around 0 with exact rational coefficients, of functions of one variable.

A `Series` holds x^shift (c_0 + c_1 x + ... + c_(n-1) x^(n-1)), n = `TERMS`, the rest cut off. A
function is known where it takes its constant term to a rational number: exp and sin of what is 0
at x = 0, sqrt and log of what is 1 there.

Source    the recurrences of Knuth, TAOCP 2, 4.7; Brent and Kung, JACM 25 (1978) 581.
"""

from __future__ import annotations

from collections.abc import Callable, Sequence
from fractions import Fraction

TERMS = 26
_BITS = 6000  # of a coefficient; numbers such as 0.1 in high powers grow beyond it

Coefficients = list[Fraction]


class Unknown(Exception):
    """The series is not known, or its coefficients are not rational."""


class Series:
    """x^shift times a polynomial; c_0 is not 0 unless all coefficients are."""

    __slots__ = ("coefficients", "shift")

    def __init__(self, coefficients: Sequence[Fraction], shift: int = 0):
        found = list(coefficients)
        while found and not found[0] and any(found):
            found.pop(0)
            shift += 1
        if any(max(c.numerator.bit_length(), c.denominator.bit_length()) > _BITS for c in found):
            raise Unknown
        self.coefficients, self.shift = found, shift

    @property
    def is_zero(self) -> bool:
        return not any(self.coefficients)

    def dense(self) -> Coefficients:
        """The coefficients from x^0 on; Unknown where there are negative powers."""
        if self.shift < 0 and not self.is_zero:
            raise Unknown
        if self.is_zero:
            return [Fraction(0)] * TERMS
        return ([Fraction(0)] * self.shift + self.coefficients)[:TERMS]

    def order(self) -> int:
        """The first power that is not known."""
        return self.shift + len(self.coefficients)


def number(value: float) -> Series:
    """A constant."""
    return Series([Fraction(value), *[Fraction(0)] * (TERMS - 1)])


def variable() -> Series:
    """x itself."""
    return Series([Fraction(0), Fraction(1), *[Fraction(0)] * TERMS][:TERMS])


def add(x: Series, y: Series, sign: int = 1) -> Series:
    """x + y, or x - y."""
    if x.is_zero:
        return Series([sign * c for c in y.coefficients], y.shift)
    if y.is_zero:
        return x
    shift, order = min(x.shift, y.shift), min(x.order(), y.order())
    total = [Fraction(0)] * max(order - shift, 1)
    for s, part in ((1, x), (sign, y)):
        for k, c in enumerate(part.coefficients):
            if part.shift + k < order:
                total[part.shift + k - shift] += s * c
    return Series(total, shift)


def multiply(x: Series, y: Series) -> Series:
    """x y."""
    if x.is_zero or y.is_zero:
        return number(0.0)
    n = min(len(x.coefficients), len(y.coefficients))
    return Series(_product(x.coefficients, y.coefficients, n), x.shift + y.shift)


def divide(x: Series, y: Series) -> Series:
    """x / y."""
    if y.is_zero:
        raise Unknown
    if x.is_zero:
        return number(0.0)
    n = min(len(x.coefficients), len(y.coefficients))
    return Series(_quotient(x.coefficients[:n], y.coefficients[:n]), x.shift - y.shift)


def _product(a: Coefficients, b: Coefficients, n: int) -> Coefficients:
    return [sum((a[j] * b[k - j] for j in range(k + 1) if a[j] and b[k - j]), Fraction(0))
            for k in range(n)]  # fmt: skip


def _quotient(a: Coefficients, b: Coefficients) -> Coefficients:
    out: Coefficients = []
    for k in range(len(a)):
        rest = sum((b[j] * out[k - j] for j in range(1, k + 1) if b[j]), Fraction(0))
        out.append((a[k] - rest) / b[0])
    return out


def _slope(a: Coefficients) -> Coefficients:
    return [k * c for k, c in enumerate(a)][1:]


def _integral(a: Coefficients, start: Fraction) -> Coefficients:
    return [start, *[c / (k + 1) for k, c in enumerate(a)]]


def _at(value: int, u: Coefficients) -> Coefficients:
    """The coefficients, whose constant term must be this number."""
    if u[0] != value:
        raise Unknown
    return u


def _exp(u: Coefficients) -> Coefficients:
    d, out = _slope(_at(0, u)), [Fraction(1)]
    for k in range(1, len(u)):
        terms = (d[j] * out[k - 1 - j] for j in range(k) if d[j])
        out.append(sum(terms, Fraction(0)) / k)
    return out


def _log(u: Coefficients) -> Coefficients:
    return _integral(_quotient(_slope(_at(1, u)), u[:-1]), Fraction(0))


def _power(u: Coefficients, p: Fraction) -> Coefficients:
    """u^p for a constant term 1: u y' = p u' y."""
    _at(1, u)
    out = [Fraction(1)]
    for k in range(1, len(u)):
        total = sum(((p * j - (k - j)) * u[j] * out[k - j] for j in range(1, k + 1) if u[j]),
                    Fraction(0))  # fmt: skip
        out.append(total / k)
    return out


def _waves(u: Coefficients, sign: int) -> tuple[Coefficients, Coefficients]:
    """sin and cos (sign -1), or sinh and cosh (sign 1)."""
    d, s, c = _slope(_at(0, u)), [Fraction(0)], [Fraction(1)]
    for k in range(1, len(u)):
        s.append(sum((d[j] * c[k - 1 - j] for j in range(k) if d[j]), Fraction(0)) / k)
        c.append(sign * sum((d[j] * s[k - 1 - j] for j in range(k) if d[j]), Fraction(0)) / k)
    return s, c


def _by_slope(u: Coefficients, sign: int, root: bool) -> Coefficients:
    """The integral of u' / (1 + sign u^2), or of u' over its root."""
    below = [sign * c for c in _product(_at(0, u), u, len(u))]
    below[0] += 1
    if root:
        below = _power(below, Fraction(1, 2))
    return _integral(_quotient(_slope(u), below[:-1]), Fraction(0))


def _plus(value: int, u: Coefficients) -> Coefficients:
    return [u[0] + value, *u[1:]]


def _ratio(parts: tuple[Coefficients, Coefficients]) -> Coefficients:
    return _quotient(*parts)


FUNCTIONS: dict[str, Callable[[Coefficients], Coefficients]] = {
    "exp": _exp, "expm1": lambda u: _plus(-1, _exp(u)), "log": _log,
    "log1p": lambda u: _log(_plus(1, u)),
    "sin": lambda u: _waves(u, -1)[0], "cos": lambda u: _waves(u, -1)[1],
    "tan": lambda u: _ratio(_waves(u, -1)), "sinh": lambda u: _waves(u, 1)[0],
    "cosh": lambda u: _waves(u, 1)[1], "tanh": lambda u: _ratio(_waves(u, 1)),
    "arctan": lambda u: _by_slope(u, 1, False), "arctanh": lambda u: _by_slope(u, -1, False),
    "arcsin": lambda u: _by_slope(u, -1, True), "arcsinh": lambda u: _by_slope(u, 1, True),
    "sqrt": lambda u: _power(u, Fraction(1, 2)), "cbrt": lambda u: _power(u, Fraction(1, 3)),
    "expit": lambda u: _quotient(
        [Fraction(1), *[Fraction(0)] * (len(u) - 1)], _plus(1, _exp([-c for c in u]))),
}  # fmt: skip


def apply(name: str, x: Series) -> Series:
    """A function of `FUNCTIONS` of a series; Unknown of others."""
    function = FUNCTIONS.get(name)
    if function is None:
        raise Unknown
    return Series(function(x.dense()))


def power(x: Series, exponent: float) -> Series:
    """x ** exponent, a whole one or that of a series with constant term 1."""
    if exponent == int(exponent) and 0 <= exponent <= 12:
        out = number(1.0)
        for _ in range(int(exponent)):
            out = multiply(out, x)
        return out
    return Series(_power(x.dense(), Fraction(exponent)))
