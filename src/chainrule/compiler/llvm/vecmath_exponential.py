"""exp and expm1 over lanes, and the parts of which other exponentials are made.

Maths     e^x = 2^n e^r with n = rint(x / log 2), |r| <= log(2) / 2, and e^r = 1 + r + r^2 q(r).
          r is taken in two parts: x - n * high is exact by fma, so what is lost is below r's own
          last bit. 2^n is multiplied on in two halves: the results reach into the subnormals with
          one rounding, and up to the last finite number.
Source    the reduction: W. J. Cody and W. Waite, Software Manual for the Elementary Functions,
          1980; the polynomials: benchmarks/vector_math_coefficients.py.
"""

from __future__ import annotations

from typing import NamedTuple

from chainrule.compiler.llvm.vecmath_lanes import (
    Lanes,
    fast_two_sum,
    fma,
    low_of,
    polynomial,
)

# (e^r - 1 - r) / r^2: errors relative to e^r, and to e^r - 1
_EXPONENTIAL = {
    32: (0.5, 0.16666518, 0.041666202, 0.00836889, 0.001395059),
    64: (
        0.5000000000000012, 0.166666666666667, 0.04166666666651542, 0.008333333333307148,
        0.0013888888947016199, 0.00019841269917509537, 2.480148994142492e-05,
        2.7557216193028082e-06, 2.763128072396285e-07, 2.5117893222151122e-08,
    ),
}  # fmt: skip
_MINUS_ONE = {
    32: (0.5, 0.16666667, 0.041666355, 0.008333273, 0.0013941008, 0.00019914203),
    64: (
        0.5, 0.16666666666666677, 0.0416666666666667, 0.008333333333321615, 0.0013888888888866728,
        0.00019841269886158402, 2.480158736073158e-05, 2.7557244181991125e-06,
        2.755724263258723e-07, 2.510904488834267e-08, 2.092447773114515e-09,
    ),
}  # fmt: skip
# where e^x underflows to 0 and overflows
_LIMITS = {32: (-104.0, 89.0), 64: (-746.0, 710.0)}
_LOG2_E = 1.4426950408889634
_LN2 = {
    32: (0.6931471824645996, -1.9046542121259336e-09),
    64: (0.6931471805599453, 2.3190468138462996e-17),
}


class Reduced(NamedTuple):
    """x = n log(2) + high + low: the parts of e^x."""

    whole: Lanes  # n, as a float
    exponent: Lanes  # integers whose low bits are n + twice the bias
    high: Lanes
    low: Lanes


def split_exponent(x: Lanes, per_unit: float, shift: int = 0) -> tuple[Lanes, Lanes]:
    """n = rint(x * per_unit), as floats and as integers with n + shift + twice the bias below."""
    form = x.format
    magic = form.round_magic + 2 * form.bias + shift
    rounded = fma(x, per_unit, magic)
    return rounded - magic, rounded.bits()


def reduce_exponential(x: Lanes, shift: int = 0) -> Reduced:
    """The parts of 2^shift e^x for x within the limits."""
    whole, exponent = split_exponent(x, _LOG2_E, shift)
    high, low = _LN2[x.format.bits]
    return Reduced(whole, exponent, fma(whole, -high, x), whole * -low)


def powers_of_two(exponent: Lanes) -> tuple[Lanes, Lanes]:
    """Two floats whose product is 2^n, for n that may be beyond a float's own exponents."""
    mantissa = 23 if exponent.value.type.endswith(("i32", "i32>")) else 52
    half = exponent.unsigned_shift(1)
    return (half << mantissa).floats(), ((exponent - half) << mantissa).floats()


def limited(x: Lanes) -> Lanes:
    """x, kept where e^x is neither sure to be 0 nor sure to be inf."""
    low, high = _LIMITS[x.format.bits]
    return x.at_most(high).at_least(low)


def exponential_rest(parts: Reduced, near_one: bool = True) -> Lanes:
    """e^r - 1 - r.high for r = high + low; to be added to 1 if `near_one`, else relative to r."""
    r = parts.high + parts.low
    coefficients = (_EXPONENTIAL if near_one else _MINUS_ONE)[r.format.bits]
    return fma(r * r, polynomial(r, coefficients), parts.low)


def exp(x: Lanes) -> Lanes:
    """e^x."""
    parts = reduce_exponential(limited(x))
    one, other = powers_of_two(parts.exponent)
    return (1.0 + (parts.high + exponential_rest(parts))) * one * other


def expm1(x: Lanes) -> Lanes:
    """e^x - 1 = 2^n ((1 - 2^-n) + (e^r - 1)): for n = 0 it is r + r^2 q(r) with r = x."""
    bits, mantissa, bias, _ = x.format
    within = x.at_most(_LIMITS[bits][1]).at_least(-45.0 if bits == 64 else -20.0)
    parts = reduce_exponential(within, -2 * bias - 1)  # low bits n - 1, so that n = 1024 is reached
    before = parts.exponent << mantissa
    one = x.like(1.0).bits()
    down = (one - before).floats() * 0.5  # 2^-n
    most = 1.0 - down
    total = fast_two_sum(most, parts.high)
    lost = low_of(total) + ((1.0 - most) - down)
    value = total.high + (lost + exponential_rest(parts, near_one=False))
    return x.equals(0.0).choose(x, (value + value) * (before + one).floats())


def narrow_exponential_of_double(x: Lanes) -> Lanes:
    """e^2x in float32 for 0 <= x < 40, as tanh needs it: without subnormals and overflow."""
    magic = x.format.round_magic + x.format.bias
    rounded = fma(x, 2.0 * _LOG2_E, magic)
    r = fma(rounded - magic, -0.5 * _LN2[32][0], x)
    coefficients = (1.0, 1.0, *_EXPONENTIAL[32])
    value = polynomial(r, tuple(c * 2.0**k for k, c in enumerate(coefficients)))
    return value * (rounded.bits() << 23).floats()
