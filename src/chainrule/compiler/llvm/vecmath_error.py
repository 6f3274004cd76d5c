"""erf, erfc and the normal distribution's ndtr and log_ndtr over lanes.

Maths     erf: |x| < 1 by its odd series; above, 1 - e^p with a polynomial p of |x| - 1.
          erfc(a) = e^(-a^2) h(t) / (1 + 2 a) for a >= 0, t = (a - 3.75) / (a + 3.75), with a^2, the
          exponential and the quotients in pairs: in the tail an ulp of a^2 is 700 of the result.
          ndtr(x) = erfc(-x / sqrt(2)) / 2. log_ndtr: for x < 0 log(h / (2 + 4 a)) - x^2 / 2; for
          x > 0 log(1 - ndtr(-x)).
Source    M. M. Shepherd and J. G. Laframboise, Math. Comp. 36 (1981) 249, for h and t; the
          polynomials: benchmarks/vector_math_coefficients.py.
"""

from __future__ import annotations

import math

from chainrule.compiler.llvm.vecmath_exponential import (
    exponential_rest,
    narrow_exponential_of_double,
    powers_of_two,
    reduce_exponential,
)
from chainrule.compiler.llvm.vecmath_lanes import (
    Arithmetic,
    Lanes,
    Pair,
    choose_pair,
    fast_two_sum,
    fma,
    low_of,
    polynomial,
)
from chainrule.compiler.llvm.vecmath_pairs import (
    in_double,
    log1p_pair,
    scaled,
    scaled_exponential,
    within_limits,
)

# (erf(x) / x - 2 / sqrt(pi)) / x^2 by x^2; of 32 bits with 3/8 added
_ERROR = {
    32: (-0.0011263072, 0.1128363, -0.026855484, 0.005191292, -0.00080350344, 7.933119e-05),
    64: (
        -0.37612638903183754, 0.11283791670955122, -0.026866170645130045, 0.005223977625425289,
        -0.0008548327022055852, 0.0001205533290773064, -1.4925647699560005e-05,
        1.6462047936130311e-06, -1.6364674806255756e-07, 1.4792691638610758e-08,
        -1.2166235663127393e-09, 8.71469911801511e-11, -4.239415299613038e-12,
    ),
}  # fmt: skip
_TWO_OVER_ROOT_PI_LESS_ONE = 0.1283791670955126
# log erfc(1 + t)
_LOG_ERFC = {
    32: (
        -1.8496056, -2.6389675, -0.84310687, -0.04156474, 0.010049918, -0.0020170223,
        0.00029349295, -2.3254523e-05, 2.4374756e-07,
    ),
    64: (
        -1.8496055099332482, -2.6389675142347913, -0.8431072563584847, -0.04156109804654546,
        0.010033825434670941, -0.0019779030250370844, 0.0002373247352430442,
        2.6270236675572367e-05, -2.7140625579094705e-05, 9.57609785896785e-06,
        -2.0163341430427006e-06, 9.947485358565976e-08, 1.3042230268028796e-07,
        -7.088648976216632e-08, 2.3013412054478484e-08, -5.418856940968725e-09,
        9.327354415236026e-10, -1.0669525509088077e-10, 4.884424067161335e-12,
        7.520292527439862e-13, -1.6925536376949742e-13, 1.4297284878354464e-14,
        -4.848326633802612e-16,
    ),
}  # fmt: skip
# ((1 + 2 x) e^(x^2) erfc(x) - its value at t = 0) / t by t
_SCALED_ERFC = {
    32: (
        -0.1402406, 0.0035854694, 0.082276784, -0.108805, 0.09230383, -0.058686245, 0.028364524,
        -0.009768696, 0.0017504122, 0.00032902314, -0.0002836886, 2.240667e-05, 1.8323193e-05,
    ),
    64: (
        -0.14024059858554702, 0.0035854154854641504, 0.082276738490151, -0.10880393014173945,
        0.09230432116019938, -0.0586933985897801, 0.028362277421498456, -0.009746579556824626,
        0.0017556258325720894, 0.0002937136593914163, -0.0002901539800837529,
        5.1649119599250194e-05, 2.2383914732893576e-05, -1.1444192486961785e-05,
        -9.72855674981419e-07, 1.7517073390570036e-06, -5.8253552816754474e-08,
        -2.587384475090705e-07, 2.4280413704189532e-08, 3.872013051492525e-08,
        -4.383267550461015e-09, -5.190554516158005e-09, 5.43482733961963e-10,
        4.2783748078117245e-10, -3.716784275546173e-11,
    ),
}  # fmt: skip
_SCALED_MIDDLE = (1.2375126308378275, 1.0546160249725448e-16)
_NEAR = 0.75
_ROOT_HALF = (0.7071067811865476, -4.833646656726457e-17)


# --- erf ------------------------------------------------------------------------------------------


def error_over_argument_less_one(square: Lanes) -> Lanes:
    """erf(x) / x - 1 by x^2 <= 1. It is small, and so is its rounding beside x in erf(x)."""
    bits = square.format.bits
    rest = fma(square, polynomial(square, _ERROR[bits]), _TWO_OVER_ROOT_PI_LESS_ONE)
    # float32: the largest coefficient apart and exact, so that no term is rounded at its size
    return fma(square, -0.375, rest) if bits == 32 else rest


def erf(x: Lanes) -> Lanes:
    """The error function."""
    size, square = abs(x), x * x
    near = fma(size, error_over_argument_less_one(square), size)
    far = 1.0 - _erfc_beyond_one(size.at_most(4.0 if x.narrow else 6.0))
    return (size < 1.0).choose(near, far).with_sign_of(x)


def _erfc_beyond_one(x: Lanes) -> Lanes:
    """erfc for 1 <= x <= 6, to an absolute error below an ulp of 1 - erfc(x)."""
    if x.narrow:
        half = polynomial(x - 1.0, tuple(c * 0.5 for c in _LOG_ERFC[32]))
        return narrow_exponential_of_double(half)
    parts = reduce_exponential(polynomial(x - 1.0, _LOG_ERFC[64]), -x.format.bias)
    scale = (parts.exponent << x.format.mantissa).floats()
    return (1.0 + (parts.high + exponential_rest(parts))) * scale


# --- the tail -------------------------------------------------------------------------------------


def _mills(a: Pair, arithmetic: Arithmetic) -> Pair:
    """e^(a^2) erfc(a) for a >= 0."""
    coefficients = _SCALED_ERFC[64 if arithmetic.precise else 32]
    t = (a.high - 3.75) / (a.high + 3.75)
    middle = arithmetic.constant(t, *_SCALED_MIDDLE)
    scaled_value = arithmetic.plus_smaller(middle, Pair(t * polynomial(t, coefficients)))
    one = Pair(t.like(1.0))
    return arithmetic.quotient(scaled_value, arithmetic.sum(one, a.times_power(2.0)))


def tail_of_erfc(a: Pair, arithmetic: Arithmetic) -> tuple[Pair, Pair, Lanes]:
    """(erfc(a), e^(-a^2)), both to be scaled by the third, an exponent, for a >= 0."""
    square = arithmetic.product(a, a)
    power, exponent = scaled_exponential(within_limits(-square), arithmetic)
    return arithmetic.product(power, _mills(a, arithmetic)), power, exponent


def _one_minus_erf(x: Pair) -> Pair:
    """1 - erf(x) for |x| <= 3/4: there h / (1 + 2 x) has lost an ulp or two."""
    series = error_over_argument_less_one(x.high * x.high)
    total = fast_two_sum(x.high.like(1.0), -x.high)
    low = fma(-low_of(x), 1.0 + series, low_of(total))
    return fast_two_sum(total.high, fma(-x.high, series, low))


@in_double
def erfc(x: Lanes, arithmetic: Arithmetic) -> Lanes:
    """1 - erf(x), to its last bits in the tail."""
    found, _, exponent = tail_of_erfc(Pair(abs(x).at_most(28.0)), arithmetic)
    tail = scaled(found, exponent)
    far = (x < 0.0).choose(2.0 - tail, tail)
    if not arithmetic.precise:
        return far
    return (abs(x) < _NEAR).choose(_one_minus_erf(Pair(x)).value, far)


def _normal_parts(size: Lanes, arithmetic: Arithmetic) -> tuple[Pair, Pair]:
    """(size / sqrt(2), size^2 / 2)."""
    root_half = arithmetic.constant(size, *_ROOT_HALF)
    return arithmetic.times(root_half, size), arithmetic.times(Pair(size * 0.5), size)


@in_double
def ndtr(x: Lanes, arithmetic: Arithmetic) -> Lanes:
    """The normal distribution function."""
    a, half_square = _normal_parts(abs(x).at_most(40.0), arithmetic)
    power, exponent = scaled_exponential(within_limits(-half_square), arithmetic, shift=-1)
    tail = scaled(arithmetic.product(power, _mills(a, arithmetic)), exponent)
    far = (x > 0.0).choose(1.0 - tail, tail)
    if not arithmetic.precise:
        return far
    near = _one_minus_erf(arithmetic.times(arithmetic.constant(x, *_ROOT_HALF), -x))
    return (abs(x) < 1.0).choose(near.value * 0.5, far)


@in_double
def log_ndtr(x: Lanes, arithmetic: Arithmetic) -> Lanes:
    """The logarithm of the normal distribution function."""
    left = x < 0.0
    # beyond 2^27 the logarithm of the second factor is lost beside x^2 / 2
    a, half_square = _normal_parts(abs(x).at_most(2.0**27), arithmetic)
    mills = _mills(a, arithmetic).times_power(0.5)
    power, exponent = scaled_exponential(within_limits(-half_square), arithmetic)
    one, other = powers_of_two(exponent)
    tail = arithmetic.product(power, mills).times_power(one).times_power(other)
    minus_one = arithmetic.sum(Pair(x.like(-1.0)), mills)
    argument = choose_pair(left, minus_one, -tail)
    if arithmetic.precise:
        near = _one_minus_erf(arithmetic.times(arithmetic.constant(x, *_ROOT_HALF), x))
        middle = abs(x) < 1.0
        argument = choose_pair(middle, -near.times_power(0.5), argument)
        left = left & middle.negated()
    logarithm = log1p_pair(argument, arithmetic)
    exact_square = arithmetic.times(Pair(x * 0.5), x)
    total = arithmetic.sum(choose_pair(left, -exact_square, Pair(x.like(0.0))), logarithm)
    small = abs(argument.high) < 2.0**-60
    value = small.choose(argument.high, total.value)
    overflows = left & exact_square.high.equals(math.inf)
    return overflows.choose(-math.inf, value)
