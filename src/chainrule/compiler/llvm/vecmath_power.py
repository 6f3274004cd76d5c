"""power, roots, hypot, and exponentials and logarithms to the bases 2 and 10.

Maths     |x|^y = e^(y log|x|), the logarithm and the product in pairs of floats: an error of the
          exponent, which may be 745, becomes a relative error of the result.
          log_b x = log(x) log_b(e) in pairs; exp10 by 10^x = 2^n e^(r log 10).
          cbrt(x) = e^(log(x) / 3) in pairs, so cubes have exact roots.
Edges     power's are C99's, F.9.4.4, which are NumPy's: x^0 = 1^y = 1 with nan too; a negative x
          with a y that is no integer gives nan; zeros and infinities by the parity of y.
Source    as vecmath_pairs.py; the polynomials: benchmarks/vector_math_coefficients.py.
"""

from __future__ import annotations

import math

from chainrule.compiler.llvm.vecmath_exponential import (
    Reduced,
    exponential_rest,
    powers_of_two,
    split_exponent,
)
from chainrule.compiler.llvm.vecmath_lanes import (
    Arithmetic,
    Lanes,
    Pair,
    fma,
    polynomial,
)
from chainrule.compiler.llvm.vecmath_logarithm import log_edges
from chainrule.compiler.llvm.vecmath_pairs import (
    decompose_positive,
    exponential,
    in_double,
    logarithm_pair,
    one_plus_logarithm,
)

# (2^r - 1) / r
_POWER_OF_TWO = {
    32: (
        0.6931472, 0.2402265, 0.05550411, 0.009618037, 0.0013333431, 0.00015466961, 1.5314814e-05,
    ),
    64: (
        0.6931471805599453, 0.24022650695910072, 0.055504108664821694, 0.009618129107628494,
        0.001333355814639144, 0.00015403530393341802, 1.525273385541625e-05,
        1.321548683261353e-06, 1.017805151253119e-07, 7.05488838190355e-09,
        4.4566321838837725e-10, 2.574166111301387e-11,
    ),
}  # fmt: skip
_LOG2_10 = 3.321928094887362
# log10(2) and log(10) in two parts, of each precision
_LOG10_2 = {
    32: (0.3010300099849701, -1.432098883924482e-08),
    64: (0.3010299956639812, -2.8037281277851704e-18),
}
_LN10 = {
    32: (2.3025851249694824, -3.1975435632602967e-08),
    64: (2.302585092994046, -2.1707562233822494e-16),
}
_LOG2_E = (1.4426950408889634, 2.0355273740931033e-17)
_THIRD = (0.3333333333333333, 1.850371707708594e-17)
_LOG10_E = (0.4342944819032518, 1.098319650216765e-17)


# --- powers of two and ten ------------------------------------------------------------------------


def exp2(x: Lanes) -> Lanes:
    """2^x."""
    low, high = (-151.0, 129.0) if x.narrow else (-1076.0, 1025.0)
    within = x.at_most(high).at_least(low)
    whole, exponent = split_exponent(within, 1.0)
    r = within - whole
    one, other = powers_of_two(exponent)
    return fma(r, polynomial(r, _POWER_OF_TWO[x.format.bits]), 1.0) * one * other


def exp10(x: Lanes) -> Lanes:
    """10^x."""
    bits = x.format.bits
    low, high = (-46.0, 39.0) if x.narrow else (-324.0, 309.0)
    within = x.at_most(high).at_least(low)
    whole, exponent = split_exponent(within, _LOG2_10)
    r, r_low = fma(whole, -_LOG10_2[bits][0], within), whole * -_LOG10_2[bits][1]
    scale, scale_low = _LN10[bits]
    product = r * scale
    rest = fma(r, scale, -product) + fma(r, scale_low, r_low * scale)
    parts = Reduced(whole, exponent, product, rest)
    one, other = powers_of_two(exponent)
    return (1.0 + (product + exponential_rest(parts))) * one * other


@in_double
def log2(x: Lanes, arithmetic: Arithmetic) -> Lanes:
    """The logarithm to the base 2."""
    parts = decompose_positive(x)
    natural = one_plus_logarithm(Pair(parts.fraction), arithmetic)
    scaled = arithmetic.product(natural, arithmetic.constant(x, *_LOG2_E))
    return log_edges(x, 0.0, arithmetic.plus_smaller(Pair(parts.whole), scaled).value)


@in_double
def log10(x: Lanes, arithmetic: Arithmetic) -> Lanes:
    """The logarithm to the base 10."""
    natural = logarithm_pair(x, arithmetic)
    scaled = arithmetic.product(natural, arithmetic.constant(x, *_LOG10_E))
    return log_edges(x, 0.0, scaled.value)


# --- power ----------------------------------------------------------------------------------------


@in_double
def power(x: Lanes, y: Lanes, arithmetic: Arithmetic) -> Lanes:
    """x^y."""
    size = abs(x)
    log_size = _logarithm_of_size(size, arithmetic)
    bounded = y.at_most(2.0**1000).at_least(-(2.0**1000))  # so that 1^inf meets no inf * 0
    value = exponential(arithmetic.times(log_size, bounded), arithmetic)
    whole = y.rounded("rint").equals(y)
    half = y * 0.5
    odd = whole & half.rounded("rint").equals(half).negated()
    value = odd.choose(value.with_sign_of(x), value)
    undefined = (x < 0.0) & (x > -math.inf) & whole.negated() | x.compare("uno", y)
    value = undefined.choose(math.nan, value)
    return (x.equals(1.0) | y.equals(0.0)).choose(1.0, value)


def _logarithm_of_size(size: Lanes, arithmetic: Arithmetic) -> Pair:
    """log of size >= 0: -inf at 0, inf at inf."""
    found = logarithm_pair(size, arithmetic)
    high = size.equals(0.0).choose(-math.inf, size.equals(math.inf).choose(math.inf, found.high))
    return found._replace(high=high)


# --- roots ----------------------------------------------------------------------------------------


def sqrt(x: Lanes) -> Lanes:
    """The square root, correctly rounded."""
    return x.root()


@in_double
def hypot(x: Lanes, y: Lanes, arithmetic: Arithmetic) -> Lanes:
    """sqrt(x^2 + y^2) without overflow between; inf where either is, beside nan too."""
    x, y = abs(x), abs(y)
    larger, smaller = (x > y).choose(x, y), (x > y).choose(y, x)
    if arithmetic.precise:
        huge, tiny = larger > 2.0**500, larger < 2.0**-450
        scale = huge.choose(2.0**-600, tiny.choose(x.like(2.0**600), 1.0))
        back = huge.choose(2.0**600, tiny.choose(x.like(2.0**-600), 1.0))
        a, b = larger * scale, smaller * scale
        value = fma(a, a, b * b).root() * back
    else:
        value = fma(larger, larger, smaller * smaller).root()
    either_infinite = x.equals(math.inf) | y.equals(math.inf)
    return either_infinite.choose(math.inf, value)


@in_double
def cbrt(x: Lanes, arithmetic: Arithmetic) -> Lanes:
    """The cube root."""
    size = abs(x)
    third = arithmetic.constant(x, *_THIRD)
    value = exponential(arithmetic.product(logarithm_pair(size, arithmetic), third), arithmetic)
    kept = x.equals(0.0) | size.equals(math.inf) | x.is_nan()
    return kept.choose(x, value.with_sign_of(x))
