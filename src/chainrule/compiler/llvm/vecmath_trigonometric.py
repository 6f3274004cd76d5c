"""sin, cos, tan and sinc over lanes, for every float. float32 is computed in float64.

Maths     with x = k pi/2 + r: sin r = r + r z s(z) and cos r = 1 - z/2 + z^2 c(z), z = r^2, are
          both computed and chosen by k. The low part of r enters to first order.
          sinc: x = k/2 + f exactly; sin(pi x) by r = pi f in a pair.
Source    FreeBSD's msun (fdlibm), k_sin.c and k_cos.c; the polynomials:
          benchmarks/vector_math_coefficients.py.
"""

from __future__ import annotations

import math
from typing import Any

from chainrule.compiler.llvm.vecmath_angles import Angle, reduce_angle
from chainrule.compiler.llvm.vecmath_lanes import (
    Arithmetic,
    Lanes,
    Pair,
    choose_pair,
    fma,
    normalised,
    polynomial,
)
from chainrule.compiler.llvm.vecmath_pairs import in_double

# (sin(r) - r) / r^3 and (cos(r) - 1 + r^2 / 2) / r^4 by r^2, for results of 32 and 64 bits
_SINE = {
    32: (-0.16666667, 0.008333329, -0.00019839335, 2.7183048e-06),
    64: (
        -0.16666666666666632, 0.008333333333322413, -0.00019841269829807802,
        2.7557313691891292e-06, -2.505075810880838e-08, 1.5896795190537075e-10,
    ),
}  # fmt: skip
_COSINE = {
    32: (0.041666668, -0.0013888883, 2.479952e-05, -2.7210172e-07),
    64: (
        0.0416666666666666, -0.0013888888888874125, 2.4801587289482272e-05,
        -2.755731435235087e-07, 2.0875723274654536e-09, -1.1359647827745044e-11,
    ),
}  # fmt: skip
_PI = (3.141592653589793, 1.2246467991473532e-16)


def _sine(r: Pair, z: Lanes) -> Pair:
    """sin r for |r| <= pi/4 and z = r^2, as an unrounded sum."""
    x = r.high
    if r.low is None:
        return Pair(fma(x * z, polynomial(z, _SINE[32]), x))
    low = fma(z * -0.5, r.low, r.low)
    return Pair(x, fma(x * z, polynomial(z, _SINE[64]), low))


def _cosine(r: Pair, z: Lanes) -> Pair:
    """cos r for |r| <= pi/4 and z = r^2, as an unrounded sum."""
    if r.low is None:
        return Pair(fma(z * z, polynomial(z, _COSINE[32]), fma(z, -0.5, 1.0)))
    half = z * 0.5
    most = 1.0 - half
    rest = fma(z * z, polynomial(z, _COSINE[64]), -(r.high * r.low))
    return Pair(most, ((1.0 - most) - half) + rest)


def _both(angle: Angle) -> tuple[Pair, Pair]:
    """(sin r, cos r), in odd quadrants (cos r, sin r), as unrounded sums; without signs."""
    made, key = angle.quadrant.code.made, ("sine and cosine", angle.rest.high.value)
    found: Any = made.get(key)
    if found is None:
        found = made[key] = _computed(angle)
    return found


def _computed(angle: Angle) -> tuple[Pair, Pair]:
    z = angle.rest.high * angle.rest.high
    sine, cosine = _sine(angle.rest, z), _cosine(angle.rest, z)
    odd = (angle.quadrant << 63).compare("slt", 0)
    return choose_pair(odd, cosine, sine), choose_pair(odd, sine, cosine)


def _turned(value: Lanes, quadrant: Lanes) -> Lanes:
    """The value with its sign changed in quadrants 2 and 3."""
    sign = (quadrant & 2) << 62
    return (value.bits() ^ sign).floats()


@in_double
def sin(x: Lanes, arithmetic: Arithmetic) -> Lanes:
    """The sine."""
    angle = reduce_angle(x, arithmetic)
    sine, _ = _both(angle)
    return x.equals(0.0).choose(x, _turned(sine.value, angle.quadrant))


@in_double
def cos(x: Lanes, arithmetic: Arithmetic) -> Lanes:
    """The cosine."""
    angle = reduce_angle(x, arithmetic)
    _, cosine = _both(angle)
    return _turned(cosine.value, angle.quadrant + 1)


@in_double
def tan(x: Lanes, arithmetic: Arithmetic) -> Lanes:
    """The tangent: in odd quadrants -cos r / sin r."""
    angle = reduce_angle(x, arithmetic)
    sine, cosine = _both(angle)
    value = arithmetic.quotient(normalised(sine), normalised(cosine)).value
    sign = angle.quadrant << 63
    return x.equals(0.0).choose(x, (value.bits() ^ sign).floats())


@in_double
def sinc(x: Lanes, arithmetic: Arithmetic) -> Lanes:
    """sin(pi x) / (pi x), and 1 at 0; nan for inf."""
    # From 2^52 on floats are integers, where the sine is 0; from 2^53 on so are their halves.
    size = abs(x)
    within = size.at_most(2.0**53)
    doubled = within + within
    whole = doubled.rounded("rint")
    fraction = (doubled - whole) * 0.5
    pi = arithmetic.constant(x, *_PI)
    quarter = whole * 0.25
    modulo_four = (quarter - quarter.rounded("floor")) * 4.0
    quadrant = (modulo_four + x.format.round_magic).bits()
    sine, _ = _both(Angle(arithmetic.times(pi, fraction), quadrant))
    value = arithmetic.quotient(sine, arithmetic.times(pi, within)).value
    value = _turned(value, quadrant)
    value = (size >= 2.0**52).choose(0.0, value + 0.0)  # no zero is negative
    value = size.equals(math.inf).choose(math.nan, value)
    small = size < 2.0**-30  # 1 - (pi x)^2 / 6 rounds to 1; x may be 0 or subnormal
    return small.choose(1.0, value)
