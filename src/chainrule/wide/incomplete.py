"""Incomplete gamma and beta functions, hypergeometric ones and elliptic integrals of wide numbers.

Value     P(a, x) and I_x(a, b) by series of positive terms, of which nothing cancels; Q(a, x) by
          1 less P with the bits that this costs, 1 - I_x(a, b) from the other end. What stands on
          them, such as the distribution functions. K and E by the arithmetic-geometric mean.
Errors    `Undecided` where a series would be too long, and outside of what is common.
Source    DLMF 8.7.1, 8.17.7 (by 15.8.1), 15.2.1, 16.2.1, 19.8.5, 19.8.6.
"""

from __future__ import annotations

from collections.abc import Callable
from math import floor, inf, prod

from chainrule.wide.elementary import exp, log, pi
from chainrule.wide.number import (
    HALF,
    ONE,
    TWO,
    ZERO,
    Number,
    Undecided,
    Wide,
    bits_in_force,
    more_bits,
    sqrt,
)
from chainrule.wide.special import gammaln

_LONGEST = 20_000  # terms of a series
_LARGEST = 40  # bits of a parameter


def _positive(*numbers: Number) -> None:
    for x in numbers:
        if isinstance(x, float) or x.sign() <= 0 or x.top > _LARGEST:
            raise Undecided


def _summed(ratio: Callable[[int], Wide]) -> Wide:
    """1 + r_0 + r_0 r_1 + ... of positive ratios that fall below 1/2, or to a limit below 1."""
    term = total = ONE
    for k in range(_LONGEST):
        factor = ratio(k)
        term = term * factor
        total = total + term
        if term.top < total.top - bits_in_force() - 8 and factor.top <= 0:
            rest = term / (ONE - factor)  # no more, since the ratios fall
            return total + Wide(0, rest.top, 1)
    raise Undecided


# --- gamma ----------------------------------------------------------------------------------------


def gamma_density(a: Number, x: Number) -> Number:
    """x^(a - 1) e^-x / gamma(a)."""
    _positive(a, x)
    assert isinstance(a, Wide) and isinstance(x, Wide)
    with more_bits(8 + max(a.top, 0) + max(x.top, 0)):
        return exp((a - ONE) * log(x) - x - gammaln(a))


def gammainc(a: Number, x: Number) -> Number:
    """P(a, x)."""
    _positive(a)
    if isinstance(x, float):
        return ONE if x == inf else x
    if x.is_zero:
        return ZERO
    _positive(x)
    assert isinstance(a, Wide)
    series = _summed(lambda k: x / (a + Wide(k + 1)))
    return gamma_density(a + ONE, x) * series


def gammaincc(a: Number, x: Number) -> Number:
    """1 - P(a, x)."""
    extra = int(1.5 * float(x)) + 16 if isinstance(x, Wide) and x.top < 20 else 16
    if extra > _LONGEST:
        raise Undecided
    with more_bits(extra):
        return ONE - gammainc(a, x)


# --- beta -----------------------------------------------------------------------------------------


def _powers(a: Wide, b: Wide, x: Wide) -> Number:
    """x^a (1 - x)^b / B(a, b)."""
    with more_bits(16 + max(a.top, 0) + max(b.top, 0)):
        scale = gammaln(a + b) - gammaln(a) - gammaln(b)
        return exp(a * log(x) + b * log(ONE - x) + scale)


def beta_density(a: Number, b: Number, x: Number) -> Number:
    """x^(a - 1) (1 - x)^(b - 1) / B(a, b)."""
    _positive(a, b, x)
    assert isinstance(a, Wide) and isinstance(b, Wide) and isinstance(x, Wide)
    _positive(ONE - x)
    return _powers(a, b, x) / (x * (ONE - x))


def betainc(a: Number, b: Number, x: Number) -> Number:
    """I_x(a, b)."""
    _positive(a, b)
    assert isinstance(a, Wide) and isinstance(b, Wide)
    if isinstance(x, float):
        raise Undecided
    rest = ONE - x
    if x.is_zero or rest.is_zero:
        return ZERO if x.is_zero else ONE
    _positive(x, rest)
    if float(x) * float(a + b + TWO) > float(a + ONE):
        return ONE - _from_zero(b, a, rest)
    return _from_zero(a, b, x)


def _from_zero(a: Wide, b: Wide, x: Wide) -> Number:
    series = _summed(lambda k: x * (a + b + Wide(k)) / (a + Wide(k + 1)))
    return _powers(a, b, x) / a * series


def betaincc(a: Number, b: Number, x: Number) -> Number:
    """1 - I_x(a, b)."""
    return betainc(b, a, ONE - x)


# --- distributions --------------------------------------------------------------------------------


def _below(k: Number) -> Wide:
    """A count, as the functions of counts round it."""
    if isinstance(k, float) or k.top > _LARGEST:
        raise Undecided
    return Wide(floor(float(k)))


def _stdtr(v: Number, t: Number) -> Number:
    if isinstance(v, float) or isinstance(t, float):
        raise Undecided
    square = t * t
    tail = HALF if t.is_zero else HALF * betainc(HALF * v, HALF, v / (v + square))
    return ONE - tail if t.sign() > 0 else tail


def _odds(m: Number, n: Number, x: Number) -> Number:
    return m * x / (m * x + n)


# --- hypergeometric series ----------------------------------------------------------------------


def _hypergeometric(above: tuple, below: tuple, z: Number) -> Number:
    """The sum of (a)_k ... / ((c)_k ... k!) z^k, to where the terms fall at least as 0.9^k."""
    tops, bottoms, size = [_size(a) for a in above], [_size(c) for c in below], _size(z)
    if len(above) > len(below) and size > 0.75:
        raise Undecided
    term = total = ONE
    for k in range(_LONGEST):
        for a in above:
            term = term * (a + Wide(k))
        for c in below:
            term = term / (c + Wide(k))
        term = term * z / Wide(k + 1)
        total = total + term
        if term.is_zero:
            return total
        falls = k >= 16 + max(bottoms) and _ratio(k, tops, bottoms, size) < 0.84
        if falls and term.top < total.top - bits_in_force() - 8:
            return total + Wide(0, term.top + 4, 1)  # no more than 9 terms of this size
    raise Undecided


def _ratio(k: int, tops: list[float], bottoms: list[float], size: float) -> float:
    """A bound for the ratio of all terms from the k-th on, but for a factor of 17/16."""
    above = prod(a + k for a in tops)
    return size * above / prod(k - c for c in bottoms) / (k + 1)


def _size(x: Number) -> float:
    if isinstance(x, float) or x.top > 12:
        raise Undecided
    return abs(float(x))


# --- elliptic integrals ---------------------------------------------------------------------------


def ellipk(m: Number) -> Number:
    """K(m), for m < 1."""
    return ellipkm1(ONE - m) if isinstance(m, Wide) else _undecided()


def _undecided() -> Number:
    raise Undecided


def ellipkm1(p: Number) -> Number:
    """K(1 - p), for p > 0."""
    _positive(p)
    return pi() / (TWO * _mean(p)[0])


def ellipe(m: Number) -> Number:
    """E(m), for m <= 1."""
    if isinstance(m, float):
        raise Undecided
    rest = ONE - m
    if rest.is_zero:
        return ONE
    _positive(rest)
    mean, squares = _mean(rest)
    return pi() / (TWO * mean) * (ONE - HALF * m - squares)


def _mean(p: Number) -> tuple[Wide, Wide]:
    """The arithmetic-geometric mean of 1 and sqrt(p), and the sum of 2^(n - 1) c_n^2 from n = 1
    on, c_n = (a_(n-1) - b_(n-1)) / 2."""
    assert isinstance(p, Wide)
    a, b, total = ONE, sqrt(p), ZERO
    for n in range(1, 64):
        c = HALF * (a - b)
        a, b = HALF * (a + b), sqrt(a * b)
        total = total + Wide(1, n - 1) * c * c
        if c.top < a.top - bits_in_force() // 2 - 8:
            return a + Wide(0, 2 * c.top, 1), total + Wide(0, 4 * c.top + n, 1)
    raise Undecided


INCOMPLETE: dict[str, Callable] = {
    "gamma_density": gamma_density, "gammainc": gammainc, "gammaincc": gammaincc,
    "beta_density": beta_density, "betainc": betainc, "betaincc": betaincc,
    "chdtr": lambda v, x: gammainc(HALF * v, HALF * x),
    "chdtrc": lambda v, x: gammaincc(HALF * v, HALF * x),
    "gdtr": lambda a, b, x: gammainc(b, a * x), "gdtrc": lambda a, b, x: gammaincc(b, a * x),
    "pdtr": lambda k, m: gammaincc(_below(k) + ONE, m),
    "pdtrc": lambda k, m: gammainc(_below(k) + ONE, m),
    "fdtr": lambda m, n, x: betainc(HALF * m, HALF * n, _odds(m, n, x)),
    "fdtrc": lambda m, n, x: betaincc(HALF * m, HALF * n, _odds(m, n, x)),
    "hyp0f1": lambda c, z: _hypergeometric((), (c,), z),
    "hyp1f1": lambda a, c, z: _hypergeometric((a,), (c,), z),
    "hyp2f1": lambda a, b, c, z: _hypergeometric((a, b), (c,), z),
    "stdtr": _stdtr, "ellipk": ellipk, "ellipkm1": ellipkm1, "ellipe": ellipe,
}  # fmt: skip
