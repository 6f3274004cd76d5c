"""sinh, cosh, and the inverse hyperbolic functions over lanes. float32 is computed in float64.

Maths     sinh: |x| < 1 by its odd series; above, h - 1/(4 h) with h = e^|x| / 2. cosh: h + 1/(4 h).
          arcsinh = log(1 + t), t = |x| + x^2 / (1 + sqrt(1 + x^2));
          arccosh: t = (x - 1) + sqrt((x - 1)(x + 1)); arctanh = log(1 + t) / 2, t = 2 x / (1 - x);
          t and the logarithm in pairs. Very large x: log x + log 2.
Source    Abramowitz and Stegun, 4.6; the polynomial: benchmarks/vector_math_coefficients.py.
"""

from __future__ import annotations

import math

from chainrule.compiler.llvm.vecmath_exponential import (
    exponential_rest,
    powers_of_two,
    reduce_exponential,
)
from chainrule.compiler.llvm.vecmath_lanes import Arithmetic, Lanes, Pair, fma, polynomial
from chainrule.compiler.llvm.vecmath_pairs import in_double, log1p_pair

# (sinh(x) - x) / x^3 by x^2
_SINH = (
    0.16666666666666669, 0.008333333333333139, 0.00019841269841437684, 2.7557319155335837e-06,
    2.5052123398745496e-08, 1.6057240325212464e-10, 7.759312716045403e-13,
)  # fmt: skip
_LARGE = 2.0**60  # sqrt(x^2 + 1) = x in a pair
_TINY = 2.0**-30  # the functions are x - c x^3, c <= 1/3, and round to x


def _half_exponential(size: Lanes) -> Lanes:
    """e^size / 2 for size >= 0."""
    parts = reduce_exponential(size.at_most(711.0), shift=-1)
    one, other = powers_of_two(parts.exponent)
    return (1.0 + (parts.high + exponential_rest(parts))) * one * other


@in_double
def sinh(x: Lanes, arithmetic: Arithmetic) -> Lanes:
    """The hyperbolic sine."""
    size, square = abs(x), x * x
    half = _half_exponential(size)
    near = fma(size * square, polynomial(square, _SINH), size)
    return (size < 1.0).choose(near, half - 0.25 / half).with_sign_of(x)


@in_double
def cosh(x: Lanes, arithmetic: Arithmetic) -> Lanes:
    """The hyperbolic cosine."""
    half = _half_exponential(abs(x))
    return half + 0.25 / half


def _log_of_sum(size: Lanes, t: Pair, arithmetic: Arithmetic) -> Lanes:
    """log(1 + t), or where size is large log(size) + log(2)."""
    large = size > _LARGE
    high = large.choose(size, t.high)
    low = None if t.low is None else large.choose(0.0, t.low)
    extra = large.choose(size.like(1.0), 0.0)
    return log1p_pair(Pair(high, low), arithmetic, extra).value


@in_double
def arcsinh(x: Lanes, arithmetic: Arithmetic) -> Lanes:
    """The inverse hyperbolic sine."""
    size = abs(x)
    bounded = size.at_most(_LARGE)
    square = arithmetic.product(Pair(bounded), Pair(bounded))
    one = Pair(x.like(1.0))
    root = arithmetic.root(arithmetic.sum(one, square))
    t = arithmetic.sum(Pair(bounded), arithmetic.quotient(square, arithmetic.sum(one, root)))
    value = _log_of_sum(size, t, arithmetic)
    return ((size > _TINY) & (size < math.inf)).choose(value.with_sign_of(x), x)


@in_double
def arccosh(x: Lanes, arithmetic: Arithmetic) -> Lanes:
    """The inverse hyperbolic cosine."""
    bounded = Pair(x.at_most(_LARGE))
    minus = arithmetic.sum(bounded, Pair(x.like(-1.0)))
    plus = arithmetic.sum(bounded, Pair(x.like(1.0)))
    t = arithmetic.sum(minus, arithmetic.root(arithmetic.product(minus, plus)))
    value = _log_of_sum(x, t, arithmetic)
    return (x < 1.0).choose(math.nan, (x < math.inf).choose(value, x))


@in_double
def arctanh(x: Lanes, arithmetic: Arithmetic) -> Lanes:
    """The inverse hyperbolic tangent."""
    size = abs(x)
    rest = arithmetic.sum(Pair(x.like(1.0)), Pair(-size))
    t = arithmetic.quotient(Pair(size + size), rest)
    value = log1p_pair(t, arithmetic).value * 0.5
    value = size.equals(1.0).choose(math.inf, (size < 1.0).choose(value, math.nan))
    return (size < _TINY).choose(x, value.with_sign_of(x))
