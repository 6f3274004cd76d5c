"""The exponential and the logarithm of pairs of float64, to about 2^-60 and 2^-64 of themselves.

What is built on them (power, the inverse hyperbolic functions, erfc, ...) rounds almost correctly.
With plain arithmetic, for functions of float32 that compute in float64, they are the plain ones.

Maths     e^r = 1 + r + r^2/2 + r^3 q(r), the first three terms in pairs.
          log(1 + f) = 2 artanh(s) = 2 s + 2 s^3 (1/3 + s^2 p(s^2)), s = f / (2 + f), all but p in
          pairs.
Source    N. Shibata and F. Petrogalli, SLEEF, IEEE TPDS 31 (2020) 1316, for the division of labour
          between pairs and polynomials; the polynomials: benchmarks/vector_math_coefficients.py.
"""

from __future__ import annotations

from collections.abc import Callable
from functools import wraps
from typing import Any

from chainrule.compiler.llvm.vecmath_exponential import (
    exponential_rest,
    limited,
    powers_of_two,
    reduce_exponential,
)
from chainrule.compiler.llvm.vecmath_lanes import (
    PLAIN,
    PRECISE,
    Arithmetic,
    Lanes,
    Pair,
    fast_two_sum,
    fma,
    low_of,
    polynomial,
    two_sum,
)
from chainrule.compiler.llvm.vecmath_logarithm import (
    Decomposed,
    decompose,
    decompose_one_plus,
    logarithm,
    scale_subnormal,
)

# (e^r - 1 - r - r^2 / 2) / r^3
_CUBIC = (
    0.16666666666666682, 0.0416666666666667, 0.008333333333316859, 0.0013888888888865054,
    0.0001984126989681895, 2.480158736531823e-05, 2.755723443809044e-06, 2.7557238503547045e-07,
    2.5112179241686506e-08, 2.092572854752627e-09,
)  # fmt: skip
# (artanh(s) - s - s^3 / 3) / s^5 by s^2
_FIFTH = (
    0.2, 0.14285714285714288, 0.11111111111110633, 0.0909090909101596, 0.07692307677898631,
    0.06666667908271498, 0.05882282957853384, 0.052657245219187666, 0.047030669199310565,
    0.05106368171726621,
)  # fmt: skip
_THIRD = (0.3333333333333333, 1.850371707708594e-17)
_LN2 = (0.6931471805598903, 5.497923018708371e-14)  # the high part times an exponent is exact


def _widened(x: Lanes) -> Lanes:
    """float32 as float64; the same number where it has been asked for before."""
    made, key = x.code.made, ("widened", x.value)
    found: Any = made.get(key)
    if found is None:
        found = made[key] = x.widened()
    return found


def in_double(function: Callable[..., Lanes]) -> Callable[..., Lanes]:
    """`function(*inputs, arithmetic)` of float64: precise; float32 is computed there, plainly."""

    @wraps(function)
    def either(*inputs: Lanes) -> Lanes:
        if inputs[0].narrow:
            return function(*[_widened(x) for x in inputs], PLAIN).narrowed()
        return function(*inputs, PRECISE)

    return either


def scaled_exponential(x: Pair, arithmetic: Arithmetic, shift: int = 0) -> tuple[Pair, Lanes]:
    """(p, exponent) with 2^shift e^x = p 2^n, n in the low bits of exponent less twice the bias.

    x.high must be within the limits of `limited`.
    """
    parts = reduce_exponential(x.high, shift)
    if x.low is not None:
        parts = parts._replace(low=parts.low + x.low)
    if not arithmetic.precise:
        return Pair(1.0 + (parts.high + exponential_rest(parts))), parts.exponent
    r = two_sum(parts.high, parts.low)
    square = arithmetic.product(r, r)
    cube = r.high * square.high * polynomial(r.high, _CUBIC)
    most = fast_two_sum(r.high, square.high * 0.5)
    rest = low_of(most) + fma(low_of(square), 0.5, low_of(r) + cube)
    growth = fast_two_sum(most.high, rest)
    total = fast_two_sum(r.high.like(1.0), growth.high)
    return Pair(total.high, low_of(total) + low_of(growth)), parts.exponent


def scaled(x: Pair, exponent: Lanes) -> Lanes:
    """x.value 2^n, rounded once where it is normal."""
    one, other = powers_of_two(exponent)
    return x.value * one * other


def within_limits(x: Pair) -> Pair:
    """x, or where e^x is 0 or inf a bound beyond that, without a low part."""
    high = limited(x.high)
    if x.low is None:
        return Pair(high)
    return Pair(high, high.equals(x.high).choose(x.low, 0.0))


def exponential(x: Pair, arithmetic: Arithmetic) -> Lanes:
    """e^x for any pair."""
    return scaled(*scaled_exponential(within_limits(x), arithmetic))


def one_plus_logarithm(f: Pair, arithmetic: Arithmetic) -> Pair:
    """log(1 + f) for 1 + f in [sqrt(1/2), sqrt(2)]."""
    s = arithmetic.quotient(f, arithmetic.plus_smaller(Pair(f.high.like(2.0)), f))
    square = arithmetic.product(s, s)
    series = square.high * polynomial(square.high, _FIFTH)
    factor = arithmetic.plus_smaller(arithmetic.constant(f.high, *_THIRD), Pair(series))
    cubic = arithmetic.product(arithmetic.product(square, s), factor)
    return arithmetic.plus_smaller(s, cubic).times_power(2.0)


def whole_logarithm(parts: Decomposed, f: Pair, arithmetic: Arithmetic) -> Pair:
    """whole log(2) + log(1 + f)."""
    if not arithmetic.precise:
        return Pair(logarithm(parts))
    whole = fast_two_sum(parts.whole * _LN2[0], parts.whole * _LN2[1])
    return arithmetic.plus_smaller(whole, one_plus_logarithm(f, arithmetic))


def decompose_positive(x: Lanes) -> Decomposed:
    """The parts of positive finite x, subnormal or not."""
    normal, k = scale_subnormal(x)
    return decompose(normal, k)


def logarithm_pair(x: Lanes, arithmetic: Arithmetic) -> Pair:
    """log x for positive finite x."""
    parts = decompose_positive(x)
    return whole_logarithm(parts, Pair(parts.fraction), arithmetic)


def log1p_pair(x: Pair, arithmetic: Arithmetic, extra: Lanes | None = None) -> Pair:
    """log(1 + x) + extra log(2) for finite x > -1 that is no subnormal."""
    parts = decompose_one_plus(x.high, x.low, exact=arithmetic.precise)
    if extra is not None:
        parts = parts._replace(whole=parts.whole + extra)
    if parts.lost is None:
        return Pair(logarithm(parts))
    return whole_logarithm(parts, two_sum(parts.fraction, parts.lost), arithmetic)
