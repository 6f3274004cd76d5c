"""arcsin, arccos, arctan and arctan2 over lanes. float32 is computed in float64.

Maths     arctan: x beyond tan(3 pi/8) as pi/2 + arctan(-1/x), beyond tan(pi/8) as
          pi/4 + arctan((x - 1) / (x + 1)): one quotient q, |q| <= tan(pi/8), and a polynomial in
          q^2. arctan2 takes the same quotients of y and x.
          arcsin: |x| <= 1/2 by its odd series; above, pi/2 - 2 arcsin(s), s = sqrt((1 - |x|) / 2).
Edges     arctan2 at zeros and infinities as C99 F.9.1.4, which is NumPy's.
Source    Cephes, S. L. Moshier, atan.c, for the intervals; FreeBSD's msun (fdlibm), e_asin.c and
          e_acos.c; the polynomials: benchmarks/vector_math_coefficients.py.
"""

from __future__ import annotations

import math

from chainrule.compiler.llvm.vecmath_lanes import (
    Arithmetic,
    Lanes,
    Pair,
    fast_two_sum,
    fma,
    low_of,
    polynomial,
)
from chainrule.compiler.llvm.vecmath_pairs import in_double

# (arctan(x) - x) / x^3 and (arcsin(x) - x) / x^3 by x^2, for results of 32 and 64 bits
_ARCTANGENT = {
    32: (-0.33333316, 0.1999849, -0.14243838, 0.10595919, -0.06083231),
    64: (
        -0.333333333333332, 0.19999999999954038, -0.1428571428024397, 0.11111110785903767,
        -0.09090897829507444, 0.07692061509913486, -0.06663118896897963, 0.05847997810378537,
        -0.05039794244029394, 0.0380769888547199, -0.017920789795466307,
    ),
}  # fmt: skip
_ARCSINE = {
    32: (0.1666666, 0.07500511, 0.044515703, 0.03181777, 0.01440195, 0.0375662),
    64: (
        0.16666666666666763, 0.07499999999970246, 0.044642857175136975, 0.030381942682791076,
        0.0223722156847898, 0.01735159963273557, 0.013980967164106402, 0.011397727664685432,
        0.010786808235374345, 0.0036819574775733793, 0.02176620784451536, -0.021081221163585018,
        0.032679404923432104,
    ),
}  # fmt: skip
_PI = (3.141592653589793, 1.2246467991473532e-16)
_TAN_PI_8, _TAN_3_PI_8 = math.sqrt(2.0) - 1.0, math.sqrt(2.0) + 1.0


def _bits(arithmetic: Arithmetic) -> int:
    return 64 if arithmetic.precise else 32


def _first_quadrant(y: Lanes, x: Lanes, arithmetic: Arithmetic) -> Lanes:
    """The angle of (x, y) for x, y >= 0; 0 where y is 0."""
    steep, middle = y > x * _TAN_3_PI_8, y > x * _TAN_PI_8
    above = steep.choose(-x, middle.choose(y - x, y))
    below = steep.choose(y, middle.choose(y + x, x))
    q = y.equals(0.0).choose(0.0, above / below)
    high, low = (
        steep.choose(x.like(part / 2), middle.choose(x.like(part / 4), 0.0)) for part in _PI
    )
    z = q * q
    series = fma(q * z, polynomial(z, _ARCTANGENT[_bits(arithmetic)]), low)
    return high + (q + series)


@in_double
def arctan(x: Lanes, arithmetic: Arithmetic) -> Lanes:
    """The inverse tangent."""
    return _first_quadrant(abs(x), x.like(1.0), arithmetic).with_sign_of(x)


@in_double
def arctan2(y: Lanes, x: Lanes, arithmetic: Arithmetic) -> Lanes:
    """The angle of (x, y), from -pi to pi."""
    a, b = abs(y), abs(x)
    both_infinite = a.equals(math.inf) & b.equals(math.inf)
    a, b = both_infinite.choose(1.0, a), both_infinite.choose(1.0, b)
    if arithmetic.precise:  # no overflow in a + b, no subnormals when the interval is chosen
        largest = (a > b).choose(a, b)
        huge, tiny = largest > 2.0**1000, largest < 2.0**-900
        scale = huge.choose(2.0**-100, tiny.choose(x.like(2.0**100), 1.0))
        a, b = a * scale, b * scale
    angle = _first_quadrant(a, b, arithmetic)
    back = x.bits().compare("slt", 0)  # the sign of 0 counts
    angle = back.choose((_PI[0] - angle) + _PI[1], angle).with_sign_of(y)
    return x.compare("uno", y).choose(math.nan, angle)


def _arcsine_parts(x: Lanes, arithmetic: Arithmetic) -> tuple[Lanes, Pair]:
    """(|x| <= 1/2, arcsin of |x| there and of sqrt((1 - |x|) / 2) elsewhere)."""
    size = abs(x)
    near = size <= 0.5
    far_square = fma(size, -0.5, 0.5)
    root = arithmetic.root(Pair(near.choose(0.25, far_square)))
    square = near.choose(size * size, far_square)
    high = near.choose(size, root.high)
    series = (high * square) * polynomial(square, _ARCSINE[_bits(arithmetic)])
    low = series if root.low is None else near.choose(0.0, root.low) + series
    return near, Pair(high, low)


@in_double
def arcsin(x: Lanes, arithmetic: Arithmetic) -> Lanes:
    """The inverse sine."""
    near, arc = _arcsine_parts(x, arithmetic)
    total = fast_two_sum(x.like(_PI[0] / 2), arc.high * -2.0)
    far = total.high + (low_of(total) + fma(low_of(arc), -2.0, _PI[1] / 2))
    return near.choose(arc.value, far).with_sign_of(x)


@in_double
def arccos(x: Lanes, arithmetic: Arithmetic) -> Lanes:
    """The inverse cosine."""
    near, arc = _arcsine_parts(x, arithmetic)
    negative = x < 0.0
    # pi/2 - arcsin(x), or for x < -1/2 pi - 2 arcsin(s)
    factor = near.choose(negative.choose(x.like(1.0), -1.0), -2.0)
    start, start_low = (near.choose(x.like(part / 2), part) for part in _PI)
    total = fast_two_sum(start, arc.high * factor)
    value = total.high + (low_of(total) + fma(low_of(arc), factor, start_low))
    return (x > 0.5).choose(arc.value * 2.0, value)
