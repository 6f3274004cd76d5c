"""Exponential integrals, polygamma and zeta functions, beta functions of wide numbers.

Source    E1 and Ei by their power series and, far out, their asymptotic one (DLMF 6.6.2, 6.12.1);
          polygamma by Stirling's series after a shift (DLMF 5.15.8), Hurwitz's zeta by the sum of
          Euler and Maclaurin (DLMF 25.11.28, with as many terms as its error needs).
"""

from __future__ import annotations

from collections.abc import Callable
from math import factorial, inf, nan

from chainrule.wide.elementary import exp, expm1, log, power
from chainrule.wide.number import (
    ONE,
    ZERO,
    Number,
    Undecided,
    Wide,
    bits_in_force,
    more_bits,
)
from chainrule.wide.special import bernoulli, gamma, gammaln, psi

_LONGEST = 20_000  # terms, bits
_MOST_BITS = 4_000  # the numbers of Bernoulli for more take seconds


def exp1(x: Number) -> Number:
    """E1(x), for x > 0."""
    if isinstance(x, float):
        return ZERO if x > 0 else nan
    if x.is_zero:
        return inf
    if x.sign() < 0:
        return nan
    return -_integral(-x)


def expi(x: Number) -> Number:
    """Ei(x)."""
    if isinstance(x, float):
        return x if x != x else inf if x > 0 else ZERO
    return -inf if x.is_zero else _integral(x)


def _integral(x: Wide) -> Number:
    far = _asymptotic(x)
    if far is not None:
        return far
    size = abs(float(x))
    with more_bits(int(3 * size) + 16 if x.m < 0 else 16):
        term = total = x
        k = 1
        while term.top > -bits_in_force() - 8 or k < size:
            k += 1
            term = term * x * (Wide(k - 1) / Wide(k * k))
            total = total + term
            if k > _LONGEST:
                raise Undecided
        return log(abs(x)) - psi(ONE) + total + Wide(0, term.top + 1, 1)


def _asymptotic(x: Wide) -> Number | None:
    """e^x / x (1 + 1!/x + 2!/x^2 + ...), where its least term is small enough; for x > 0 the error
    is below twice the first term left out, since the terms fall by half."""
    size = abs(float(x)) if x.top < 60 else inf
    if size * 1.4 < bits_in_force() + 8 + 8:
        return None
    term = total = ONE
    k = 0
    while term.top > -bits_in_force() - 8:
        k += 1
        term = term * Wide(k) / x
        total = total + term
        if 2 * k > size:
            return None
    return exp(x) / x * (total + Wide(0, term.top + 2, 1))


def exp_moment(z: Number, *, n: int) -> Number:
    """The integral of t^n e^(z t) over t from 0 to 1."""
    if isinstance(z, float):
        return z if z != z else inf if z > 0 else ZERO
    if z.is_zero:
        return ONE / Wide(n + 1)
    with more_bits(max(0, -(n + 1) * z.top) + 8 * n):
        end = exp(z)
        out = expm1(z) / z
        for k in range(1, n + 1):
            out = (end - Wide(k) * out) / z
        return out


# --- polygamma and zeta ---------------------------------------------------------------------------


def polygamma(x: Number, *, n: int) -> Number:
    """The n-th derivative of digamma."""
    if n == 0:
        return psi(x)
    if isinstance(x, float):
        return ZERO if x > 0 else nan
    value = zeta(Wide(n + 1), x)
    return Wide(-1 if n % 2 == 0 else 1) * Wide(factorial(n)) * value


def zeta(s: Number, x: Number) -> Number:
    """The sum of (x + k)^-s over k >= 0, for s > 1."""
    if isinstance(s, float) or isinstance(x, float):
        raise Undecided
    if bits_in_force() > _MOST_BITS or (x.top > 30 and x.m < 0) or (s - ONE).sign() <= 0:
        raise Undecided
    with more_bits(32 + 4 * max(s.top, 0)):
        goal = bits_in_force() // 5 + 4 + (float(s) if s.top < 12 else _LONGEST)
        total, y = ZERO, x
        while y.top < 40 and float(y) < goal:
            total = total + power(y, -s)
            y = y + ONE
        return total + _tail(s, y)


def _tail(s: Wide, x: Wide) -> Wide:
    """x^(1-s) / (s - 1) + x^-s / 2 + the terms with the numbers of Bernoulli."""
    first = power(x, -s)
    total = first * x / (s - ONE) + first / Wide(2)
    factor = first * s / x
    numbers = bernoulli(32 << (bits_in_force() // 160).bit_length())
    for k, (above, below) in enumerate(numbers, 1):
        term = Wide(above) / Wide(below * factorial(2 * k)) * factor
        total = total + term
        if term.top < total.top - bits_in_force() - 8:
            return total + Wide(0, term.top, 1)
        factor = factor * (s + Wide(2 * k - 1)) * (s + Wide(2 * k)) / (x * x)
    raise Undecided


def _polygamma_difference(a: Number, b: Number, *, n: int) -> Number:
    return polygamma(a + b, n=n) - polygamma(a, n=n)


# --- beta functions -------------------------------------------------------------------------------


def betaln(a: Number, b: Number) -> Number:
    """log |B(a, b)|."""
    if isinstance(a, float) or isinstance(b, float):
        raise Undecided
    return gammaln(a) + gammaln(b) - gammaln(a + b)


def _beta(a: Number, b: Number) -> Number:
    if isinstance(a, float) or isinstance(b, float):
        raise Undecided
    return gamma(a) * gamma(b) / gamma(a + b)


def _poch(a: Number, b: Number) -> Number:
    return gamma(a + b) / gamma(a)


def _inv_boxcox(y: Number, c: Number) -> Number:
    if isinstance(c, Wide) and c.is_zero:
        return exp(y)
    return power(ONE + c * y, ONE / c)


INTEGRALS: dict[str, Callable] = {
    "exp1": exp1, "expi": expi, "exp_moment": exp_moment, "polygamma": polygamma, "zeta": zeta,
    "polygamma_difference": _polygamma_difference, "betaln": betaln, "beta": _beta,
    "poch": _poch, "inv_boxcox": _inv_boxcox,
}  # fmt: skip
