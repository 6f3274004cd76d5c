"""Special functions of wide numbers: the error functions, the normal law and the gamma function.

Source    erf by Kummer's series of positive terms, erfc far out by its asymptotic series (DLMF
          7.6.2, 7.12.1); log gamma and digamma by Stirling's series after a shift (DLMF 5.11.1,
          5.11.2), its error below the first term left out for positive arguments.
"""

from __future__ import annotations

from functools import lru_cache
from math import inf, nan

from chainrule.wide.elementary import exp, expm1, is_whole, log, log1p, pi, sin
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

_LONGEST = 20_000  # bits beyond which a series is not summed
_MOST_OF_GAMMA = 4_000  # bits; the numbers of Bernoulli for more take seconds


def erf(x: Number) -> Number:
    """The error function."""
    if isinstance(x, float):
        return x if x != x else Wide(1 if x > 0 else -1)
    if x.is_zero:
        return ZERO
    if 2 * x.top < -bits_in_force():
        return TWO * x / sqrt(pi()) + Wide(0, 3 * x.top, 1)
    if _square_bits(x) > bits_in_force() + 8:
        return Wide(x.sign()) * (ONE - erfc(abs(x)))
    with more_bits(16):
        square = TWO * x * x
        term = total = x
        k = 1
        while not _negligible(term, total) or k * k < abs(x.top):
            term = term * square / Wide(2 * k + 1)
            total = total + term
            k += 1
            if k > _LONGEST:
                raise Undecided
        rest = Wide(0, term.top + 1, 1)
        return TWO / sqrt(pi()) * exp(-(x * x)) * (total + rest)


def _square_bits(x: Wide) -> int:
    """About how many bits e**(-x**2) lies below 1."""
    return 1 << min(2 * max(x.top, 0), 40)


def _negligible(term: Wide, total: Wide) -> bool:
    return term.top < total.top - bits_in_force() - 4


def erfc(x: Number) -> Number:
    """1 - erf(x)."""
    if isinstance(x, float):
        return x if x != x else ZERO if x > 0 else TWO
    if x.m <= 0 or x.top < 0:
        return ONE - erf(x)
    far = _by_asymptotic_series(x)
    if far is not None:
        return far
    bits = int(1.5 * float(x) ** 2) + 8
    if bits > _LONGEST:
        raise Undecided
    with more_bits(bits):
        return ONE - _erf_by_series(x)


def _erf_by_series(x: Wide) -> Number:
    square = TWO * x * x
    term = total = x
    k = 1
    while k < 4 or not _negligible(term, total):
        term = term * square / Wide(2 * k + 1)
        total = total + term
        k += 1
    return TWO / sqrt(pi()) * exp(-(x * x)) * (total + Wide(0, term.top + 1, 1))


def _by_asymptotic_series(x: Wide) -> Number | None:
    """exp(-x**2) / (x sqrt(pi)) (1 - 1 / (2 x**2) + ...), where its least term is small enough."""
    if x.top < 30 and float(x) ** 2 * 1.44 < bits_in_force() + 8:
        return None
    square = TWO * x * x
    term = total = ONE
    k = 1
    while not _negligible(term, total):
        term = -term * Wide(2 * k - 1) / square
        total = total + term
        k += 1
    return exp(-(x * x)) / (x * sqrt(pi())) * (total + Wide(0, term.top, 1))


def erfcx(x: Number) -> Number:
    """exp(x**2) erfc(x)."""
    return exp(x * x) * erfc(x)


def ndtr(x: Number) -> Number:
    """The standard normal distribution function."""
    return HALF * erfc(-x / sqrt(TWO))


def log_ndtr(x: Number) -> Number:
    """The logarithm of `ndtr`."""
    if isinstance(x, Wide) and x.m > 0:
        return log1p(-ndtr(-x))
    return log(ndtr(x))


# --- gamma ----------------------------------------------------------------------------------------


@lru_cache(maxsize=4)
def bernoulli(count: int) -> tuple[tuple[int, int], ...]:
    """B_2, B_4, ... as pairs of numerator and denominator, by tangent numbers.

    Source: Brent and Harvey, "Fast computation of Bernoulli, tangent and secant numbers" (2013).
    """
    tangent = [0, 1] + [0] * (count - 1)
    for k in range(2, count + 1):
        tangent[k] = (k - 1) * tangent[k - 1]
    for k in range(2, count + 1):
        for j in range(k, count + 1):
            tangent[j] = (j - k) * tangent[j - 1] + (j - k + 2) * tangent[j]
    return tuple(
        ((-1) ** (k - 1) * 2 * k * tangent[k], 4**k * (4**k - 1)) for k in range(1, count + 1)
    )


def _shifted(x: Wide) -> tuple[Wide, list[Wide]]:
    """x plus a whole number, large enough for Stirling's series; and the numbers passed."""
    if bits_in_force() > _MOST_OF_GAMMA:
        raise Undecided
    goal = bits_in_force() // 5 + 4
    passed = []
    while x.top < 40 and float(x) < goal:
        passed.append(x)
        x = x + ONE
    return x, passed


def _stirling_terms(x: Wide, term_of) -> Wide:
    total = ZERO
    square = x * x
    power = ONE / x
    numbers = bernoulli(32 << (bits_in_force() // 160).bit_length())
    for k, (numerator, denominator) in enumerate(numbers, 1):
        term = term_of(Wide(numerator) / Wide(denominator), k, power)
        total = total + term
        if term.top < -bits_in_force() - 8:
            return total + Wide(0, term.top, 1)
        power = power / square
    raise Undecided


def gammaln(x: Number) -> Number:
    """log |gamma(x)|."""
    if isinstance(x, float):
        return inf if x == x else nan
    if x.sign() <= 0:
        return _log_gamma_below(x)
    with more_bits(32 + abs(x.top) + bits_in_force() // 8):
        y, passed = _shifted(x)
        series = _stirling_terms(y, lambda b, k, power: b * power / Wide(2 * k * (2 * k - 1)))
        value = (y - HALF) * log(y) - y + HALF * log(TWO * pi()) + series
        if passed:
            product = ONE
            for factor in passed:
                product = product * factor
            value = value - log(product)
        return value


def _log_gamma_below(x: Wide) -> Number:
    s = abs(_sin_pi(x))
    if not s.sign():
        return inf
    return log(pi() / s) - gammaln(ONE - x)


def _sin_pi(x: Wide) -> Wide:
    if is_whole(x):
        return ZERO
    with more_bits(max(x.top, 0) + 8):
        return sin(pi() * x)


def gamma(x: Number) -> Number:
    """The gamma function; nan at its poles."""
    if isinstance(x, float):
        return inf if x > 0 else nan
    if x.sign() > 0:
        with more_bits(16 + 2 * max(x.top, 0)):
            return exp(gammaln(x))
    s = _sin_pi(x)
    return pi() / (s * gamma(ONE - x)) if s.sign() else nan


def psi(x: Number) -> Number:
    """The digamma function; nan at its poles."""
    if isinstance(x, float):
        return x if x > 0 else nan
    if x.sign() <= 0:
        s = _sin_pi(x)
        c = _sin_pi(HALF - x)
        return psi(ONE - x) - pi() * c / s if s.sign() else nan
    with more_bits(32 + abs(x.top) + bits_in_force() // 8):
        y, passed = _shifted(x)
        series = _stirling_terms(y, lambda b, k, power: b * power / (Wide(2 * k) * y))
        value = log(y) - HALF / y - series
        for factor in passed:
            value = value - ONE / factor
        return value


def exprel(x: Number) -> Number:
    """(e**x - 1) / x, and 1 at 0."""
    if isinstance(x, Wide) and x.is_zero:
        return ONE
    return expm1(x) / x
