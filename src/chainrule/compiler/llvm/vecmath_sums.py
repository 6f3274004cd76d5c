"""Logarithms of sums of exponentials, and logarithms times numbers.

Maths     log_expit(x) = min(x, 0) - log(1 + e^-|x|);
          logaddexp(x, y) = max(x, y) + log(1 + e^-|x - y|), both to the base 2 in logaddexp2;
          exponential, logarithm and sum in pairs: where max(x, y) and the logarithm cancel, the
          error is about 2^-60 of them rather than an ulp.
          rel_entr(x, y) = x log(x / y), of the quotient of the fractions and the difference of the
          exponents, which neither overflow nor cancel.
Edges     SciPy's: a factor 0 gives 0, whatever the logarithm (but nan).
Source    ours.
"""

from __future__ import annotations

import math

from chainrule.compiler.llvm.vecmath_exponential import (
    exponential_rest,
    powers_of_two,
    reduce_exponential,
)
from chainrule.compiler.llvm.vecmath_lanes import (
    PRECISE,
    Arithmetic,
    Lanes,
    Pair,
    fast_two_sum,
    low_of,
    two_sum,
)
from chainrule.compiler.llvm.vecmath_logarithm import (
    close_logarithm_sum,
    decompose_one_plus,
    log,
    log1p,
)
from chainrule.compiler.llvm.vecmath_pairs import (
    decompose_positive,
    in_double,
    log1p_pair,
    scaled_exponential,
    within_limits,
)

_LN2 = (0.6931471805599453, 2.3190468138462996e-17)
_LOG2_E = (1.4426950408889634, 2.0355273740931033e-17)
_SMALL = 2.0**-60  # log(1 + e) rounds to e


def _log_one_plus_exponential(x: Pair, arithmetic: Arithmetic) -> Pair:
    """log(1 + e^x) for x <= 0."""
    power, exponent = scaled_exponential(within_limits(x), arithmetic)
    one, other = powers_of_two(exponent)
    power = power.times_power(one).times_power(other)
    found = log1p_pair(power, arithmetic)
    small = power.high < _SMALL
    low = None if found.low is None else small.choose(0.0, found.low)
    return Pair(small.choose(power.high, found.high), low)


def log_expit(x: Lanes) -> Lanes:
    """log(1 / (1 + e^-x)) = -softplus(-x)."""
    return _narrow_log_expit(x) if x.narrow else _wide_log_expit(x, PRECISE)


def _narrow_log_expit(x: Lanes) -> Lanes:
    """The same in float32, the exponential, the logarithm and the sum in two parts."""
    parts = reduce_exponential(-(abs(x).at_most(104.0)))
    power = fast_two_sum(x.like(1.0), parts.high + exponential_rest(parts))
    one, other = powers_of_two(parts.exponent)
    e, e_low = power.high * one * other, low_of(power) * one * other
    logarithm = close_logarithm_sum(decompose_one_plus(e, e_low, exact=True))
    small = e < 2.0**-26  # log(1 + e) rounds to e
    high, low = small.choose(e, logarithm.high), small.choose(0.0, low_of(logarithm))
    total = two_sum((x < 0.0).choose(x, 0.0), -high)
    value = total.high + (low_of(total) - low)
    return (x < -200.0).choose(x, -abs(value))  # also the sign of 0


def _wide_log_expit(x: Lanes, arithmetic: Arithmetic) -> Lanes:
    logarithm = _log_one_plus_exponential(Pair(-abs(x)), arithmetic)
    left = arithmetic.sum(Pair(x.at_least(-1e300)), -logarithm).value
    return (x < -1e300).choose(x, (x < 0.0).choose(left, -logarithm.value))


@in_double
def logaddexp(x: Lanes, y: Lanes, arithmetic: Arithmetic) -> Lanes:
    """log(e^x + e^y)."""
    return _log_of_sum(x, y, arithmetic, binary=False)


@in_double
def logaddexp2(x: Lanes, y: Lanes, arithmetic: Arithmetic) -> Lanes:
    """log2(2^x + 2^y)."""
    return _log_of_sum(x, y, arithmetic, binary=True)


def _log_of_sum(x: Lanes, y: Lanes, arithmetic: Arithmetic, binary: bool) -> Lanes:
    larger, smaller = (x > y).choose(x, y), (x > y).choose(y, x)
    floor = larger - 2000.0  # there nothing is added; and the difference does not overflow
    smaller = (smaller < floor).choose(floor, smaller)
    difference = arithmetic.sum(Pair(smaller), Pair(-larger))
    if binary:
        difference = arithmetic.product(difference, arithmetic.constant(x, *_LN2))
    logarithm = _log_one_plus_exponential(difference, arithmetic)
    if binary:
        logarithm = arithmetic.product(logarithm, arithmetic.constant(x, *_LOG2_E))
    value = arithmetic.sum(Pair(larger), logarithm).value
    value = (x.equals(y)).choose(x + (1.0 if binary else _LN2[0]), value)
    value = larger.equals(math.inf).choose(larger, value)
    return x.compare("uno", y).choose(math.nan, value)


# --- logarithms times numbers ---------------------------------------------------------------------


def _times_logarithm(x: Lanes, y: Lanes, logarithm: Lanes) -> Lanes:
    """x * logarithm; 0 where x is 0 and y a number."""
    zero = x.equals(0.0) & y.compare("ord", y)
    return zero.choose(0.0, x * logarithm)


@in_double
def xlogy(x: Lanes, y: Lanes, arithmetic: Arithmetic) -> Lanes:
    """x log(y)."""
    return _times_logarithm(x, y, log(y))


@in_double
def xlog1py(x: Lanes, y: Lanes, arithmetic: Arithmetic) -> Lanes:
    """x log(1 + y)."""
    return _times_logarithm(x, y, log1p(y))


@in_double
def entr(x: Lanes, arithmetic: Arithmetic) -> Lanes:
    """-x log(x); 0 at 0, -inf below."""
    value = (x < 0.0).choose(-math.inf, -(x * log(x)))
    return x.equals(0.0).choose(0.0, value)


@in_double
def rel_entr(x: Lanes, y: Lanes, arithmetic: Arithmetic) -> Lanes:
    """x log(x / y); 0 where x = 0 <= y, inf where either is negative."""
    above, below = decompose_positive(x), decompose_positive(y)
    difference = arithmetic.sum(Pair(above.fraction), Pair(-below.fraction))
    one = Pair(x.like(1.0))
    ratio = arithmetic.quotient(difference, arithmetic.sum(one, Pair(below.fraction)))
    logarithm = log1p_pair(ratio, arithmetic, above.whole - below.whole).value
    value = x * logarithm
    value = y.equals(math.inf).choose(-math.inf, value)
    value = x.equals(math.inf).choose(x / y, value)  # inf, or nan beside inf
    positive = (x > 0.0) & (y > 0.0)
    zero = x.equals(0.0) & (y >= 0.0)
    value = zero.choose(0.0, positive.choose(value, math.inf))
    return x.compare("uno", y).choose(math.nan, value)
