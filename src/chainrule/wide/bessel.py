"""Bessel functions of wide numbers, of the orders and arguments that floats have.

Value     I, J and K by their power series, with as many more bits as cancel in them; far out I, J,
          K and Y by Hankel's asymptotic series, where its least term is small enough.
Errors    `Undecided` for negative arguments of K and Y, and where a series would be too long.
Source    DLMF 10.25.2, 10.31.1, 10.31.2, 10.8, 10.17.3, 10.40.1, 10.40.2; the error of the series
          of K is below its first term left out (10.40.10), those of J and Y too (10.17.13).
"""

from __future__ import annotations

from collections.abc import Callable
from math import factorial, nan

from chainrule.wide.elementary import cos, exp, is_whole, log, pi, power, sin
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
    wide,
)
from chainrule.wide.special import gamma, psi

_LONGEST = 6_000  # about the largest argument of a power series


def _size(x: Number) -> float:
    if isinstance(x, float) or x.top > 60:
        raise Undecided
    return abs(float(x))


def _series(v: Wide, x: Wide, sign: int) -> Wide:
    """(x/2)^v / gamma(v + 1) times the sum of (sign x^2/4)^k / (k! (v + 1) ... (v + k))."""
    if _size(x) > _LONGEST:
        raise Undecided
    square = x * x * Wide(sign, -2)
    term = total = ONE
    k = 0
    while k < 4 or term.top > total.top - bits_in_force() - 4 or k < _size(x):
        k += 1
        term = term * square / (Wide(k) * (v + Wide(k)))
        total = total + term
    return _leading(v, x) * (total + Wide(0, term.top, 1))


def _leading(v: Wide, x: Wide) -> Number:
    half = x * HALF
    if not is_whole(v):
        return power(half, v) / gamma(v + ONE)
    n, made = int(_size(v)), ONE
    for _ in range(n):
        made = made * half
    return made / Wide(factorial(n))


def _cancelled(x: Wide) -> int:
    """How many bits the power series of J, or the two of K, may lose to each other."""
    return int(3.0 * min(_size(x), _LONGEST)) + 16


def _whole(v: Wide) -> int | None:
    return int(float(v)) if is_whole(v) and v.top < 20 else None


def _amplitudes(v: Wide, x: Wide) -> list[Wide] | None:
    """a_k(v) / x^k for k = 0, 1, ... until they no longer matter; None where they grow before."""
    if x.top < 40 and _size(x) * 2.8 < bits_in_force() + 8:
        return None
    square = Wide(4) * v * v
    terms = [ONE]
    while not terms[-1].is_zero and terms[-1].top > -bits_in_force() - 8:
        k = len(terms)
        terms.append(terms[-1] * (square - Wide((2 * k - 1) ** 2)) / (Wide(8 * k) * x))
        if k > 8 + 2 * _size(x) or k > _LONGEST:
            return None
    return terms


def _summed(terms: list[Wide], sign: int, start: int = 0, step: int = 1) -> Wide:
    total = ZERO
    for k, term in enumerate(terms[start::step]):
        total = total + (term if sign > 0 or k % 2 == 0 else -term)
    return total if terms[-1].is_zero else total + Wide(0, terms[-1].top + 1, 1)


def _elsewhere(function: Callable, v: Wide, x: Wide, sign: int) -> Number | None:
    """I (sign 1) or J (sign -1) where x is not positive or the order is a negative whole number;
    None where it is asked for by itself. Both are even or odd in x, as their whole order is."""
    n = _whole(v)
    if n is not None and n < 0:
        found = function(-v, x)
        return -found if sign < 0 and n % 2 else found
    if x.is_zero:
        return ONE if v.is_zero else ZERO if v.sign() > 0 else nan
    if x.m >= 0:
        return None
    if n is None:
        return nan
    found = function(v, -x)
    return -found if n % 2 else found


# --- I and K --------------------------------------------------------------------------------------


def iv(v: Number, x: Number) -> Number:
    """I_v(x); for x < 0 where v is whole."""
    if isinstance(x, float) or isinstance(v, float):
        return x if isinstance(x, float) and x > 0 else nan
    found = _elsewhere(iv, v, x, 1)
    if found is not None:
        return found
    terms = _amplitudes(v, x)
    if terms is None:
        return _series(v, x, 1)
    rest = Wide(0, int(-2.8 * _size(x)) + 4 if x.top < 40 else -(1 << 40), 1)
    return exp(x) / sqrt(TWO * pi() * x) * (_summed(terms, -1) + rest)


def kv(v: Number, x: Number) -> Number:
    """K_v(x), for x > 0."""
    if isinstance(x, float):
        return ZERO if x > 0 else nan
    if isinstance(v, float) or x.sign() <= 0:
        raise Undecided
    v = abs(v)
    terms = _amplitudes(v, x)
    if terms is not None:
        return sqrt(pi() / (TWO * x)) * exp(-x) * _summed(terms, 1)
    n = _whole(v)
    with more_bits(_cancelled(x)):
        if n is None:
            return pi() * HALF * (iv(-v, x) - iv(v, x)) / sin(v * pi())
        return _upwards(n, x, _k0(x), _k1(x), 1)


def _upwards(n: int, x: Wide, zero: Wide, one: Wide, sign: int) -> Number:
    """The function of order n by those of orders 0 and 1: f_(k+1) = 2 k/x f_k + sign f_(k-1)."""
    if n > 200:
        raise Undecided
    for k in range(1, n):
        zero, one = one, Wide(2 * k) / x * one + Wide(sign) * zero
    return zero if n == 0 else one


def _logarithmic(x: Wide, sign: int) -> tuple[Wide, Wide]:
    """(log(x/2) + Euler's constant) times the series of order 0, and the sum with harmonic numbers
    that belongs to it."""
    square = x * x * Wide(sign, -2)
    harmonic = total = ZERO
    term = ONE
    k = 0
    while k < 4 or term.top > -bits_in_force() - 4 or k < _size(x):
        k += 1
        term = term * square / Wide(k * k)
        harmonic = harmonic + ONE / Wide(k)
        total = total + term * harmonic
    scale = log(x * HALF) - psi(ONE)
    return scale * _series(ZERO, x, sign), total + Wide(0, term.top + 8, 1)


def _k0(x: Wide) -> Wide:
    by_logarithm, rest = _logarithmic(x, 1)
    return rest - by_logarithm


def _k1(x: Wide) -> Wide:
    """By the Wronskian I0 K1 + I1 K0 = 1/x."""
    return (ONE / x - _series(ONE, x, 1) * _k0(x)) / _series(ZERO, x, 1)


# --- J and Y --------------------------------------------------------------------------------------


def jv(v: Number, x: Number) -> Number:
    """J_v(x); for x < 0 where v is whole."""
    if isinstance(x, float) or isinstance(v, float):
        return ZERO if isinstance(x, float) and x == x else nan
    found = _elsewhere(jv, v, x, -1)
    if found is not None:
        return found
    waves = _waves(v, x)
    if waves is not None:
        (even, odd), (sine, cosine) = waves
        return sqrt(TWO / (pi() * x)) * (cosine * even - sine * odd)
    with more_bits(_cancelled(x)):
        return _series(v, x, -1)


def yv(v: Number, x: Number) -> Number:
    """Y_v(x), for x > 0."""
    if isinstance(x, float) or isinstance(v, float):
        return ZERO if isinstance(x, float) and x > 0 else nan
    if x.sign() <= 0:
        raise Undecided
    waves = _waves(v, x)
    if waves is not None:
        (even, odd), (sine, cosine) = waves
        return sqrt(TWO / (pi() * x)) * (sine * even + cosine * odd)
    n = _whole(v)
    if n is not None and n < 0:
        return -yv(-v, x) if n % 2 else yv(-v, x)
    with more_bits(_cancelled(x)):
        if n is None:
            angle = v * pi()
            return (jv(v, x) * cos(angle) - jv(-v, x)) / sin(angle)
        by_logarithm, rest = _logarithmic(x, -1)
        zero = TWO / pi() * (by_logarithm - rest)
        j0, j1 = _series(ZERO, x, -1), _series(ONE, x, -1)
        one = (j1 * zero - TWO / (pi() * x)) / j0
        return _upwards(n, x, zero, one, -1)


def _waves(v: Wide, x: Wide):
    """The two sums of Hankel's series, and sine and cosine of x - (v/2 + 1/4) pi."""
    terms = _amplitudes(v, x)
    if terms is None:
        return None
    angle = x - (v * HALF + Wide(1, -2)) * pi()
    return (_summed(terms, -1, 0, 2), _summed(terms, -1, 1, 2)), (sin(angle), cos(angle))


# --- scaled by exponentials -----------------------------------------------------------------------


def _ive(v: Number, x: Number) -> Number:
    return exp(-abs(x)) * iv(v, x) if isinstance(x, Wide) else ZERO


def _kve(v: Number, x: Number) -> Number:
    return exp(x) * kv(v, x) if isinstance(x, Wide) else ZERO


def _i0e_moment(x: Number, *, n: int) -> Number:
    """(-1)^n times the n-th derivative of e^-|x| I_0(|x|)."""
    if isinstance(x, float):
        return ZERO if x == x else nan
    x = abs(x)
    total = ZERO
    for k in range(n + 1):  # the k-th derivative of I_0 is 2^-k times a sum over orders
        derived = ZERO
        for j in range(k + 1):
            derived = derived + Wide(_choose(k, j)) * iv(Wide(k - 2 * j), x)
        total = total + Wide(_choose(n, k) * (-1) ** k, -k) * derived
    return exp(-x) * total


def _choose(n: int, k: int) -> int:
    return factorial(n) // (factorial(k) * factorial(n - k))


def _of_order(function: Callable, order: int) -> Callable:
    return lambda x: function(wide(order), x)


BESSEL: dict[str, Callable] = {
    "iv": iv, "kv": kv, "jv": jv, "yv": yv, "ive": _ive, "kve": _kve, "i0e_moment": _i0e_moment,
    **{f"{letter}{n}": _of_order(function, n)
       for letter, function in (("i", iv), ("k", kv), ("j", jv), ("y", yv)) for n in (0, 1)},
    **{f"{letter}{n}e": _of_order(function, n)
       for letter, function in (("i", _ive), ("k", _kve)) for n in (0, 1)},
}  # fmt: skip
