"""log and log1p over lanes.

Maths     x = 2^e (1 + f) with 1 + f in [sqrt(1/2), sqrt(2)), read from the bits; then
          log x = e log 2 + f + (log(1 + f) - f), where e log 2 is exact in its high part and the
          sum e log 2 + f is kept in two floats: what is rounded before the last addition is small
          beside the result. float32 takes a polynomial in f; float64 the series of
          2 artanh(s), s = f / (2 + f), of half as many terms.
Source    FreeBSD's msun (fdlibm), e_log.c, for float64 and for e and f from the bits; the
          polynomials: benchmarks/vector_math_coefficients.py.
"""

from __future__ import annotations

import math
from typing import NamedTuple

import numpy as np

from chainrule.compiler.llvm.vecmath_lanes import (
    Lanes,
    Pair,
    fast_two_sum,
    fma,
    low_of,
    polynomial,
    two_product,
)

# (log(1 + f) - f) / f^2
_LOGARITHM = (
    -0.5, 0.3333331, -0.24999987, 0.20002231, -0.16669251, 0.14218561, -0.12384281, 0.1187369,
    -0.11790507, 0.06914501,
)  # fmt: skip
# (artanh(s) - s) / s^3 by s^2
_ARTANH = (
    0.3333333333333333, 0.20000000000003168, 0.14285714284528298, 0.11111111325614743,
    0.0909088765457678, 0.07693553204674551, 0.06624881827500874, 0.06627283180817861,
)  # fmt: skip
# log 2: the high part times an exponent is exact
_LN2 = {
    32: (0.693145751953125, 1.428606765330187e-06),
    64: (0.6931471805598903, 5.497923018708371e-14),
}


class Decomposed(NamedTuple):
    """x = 2^whole (1 + fraction)."""

    whole: Lanes
    biased: Lanes  # whole + bias as integers
    fraction: Lanes
    lost: Lanes | None = None  # what the fraction lacks of its exact value


def _root_half(x: Lanes) -> int:
    """The bits of sqrt(1/2)."""
    kind = np.float32 if x.narrow else np.float64
    return int(kind(math.sqrt(0.5)).view(np.int32 if x.narrow else np.int64))


def decompose(x: Lanes, less_whole: Lanes | float = 0.0) -> Decomposed:
    """The parts of positive finite normal x; `less_whole` is taken off the exponent."""
    _, mantissa, bias, _ = x.format
    root, one = _root_half(x), bias << mantissa
    shifted = x.bits() + (one - root)
    biased = shifted.unsigned_shift(mantissa)
    fraction = ((shifted & ((1 << mantissa) - 1)) + root).floats() - 1.0
    # The integer in the low bits of 2^mantissa: a conversion that every processor has.
    offset = 2.0**mantissa
    whole = (biased | x.like(offset).bits()).floats() - (less_whole + (offset + bias))
    return Decomposed(whole, biased, fraction)


def _rest(f: Lanes) -> Lanes:
    """log(1 + f) - f."""
    if f.narrow:
        return (f * f) * polynomial(f, _LOGARITHM)
    s = f / (f + 2.0)
    z = s * s
    half_square = (f * 0.5) * f
    series = z * polynomial(z, tuple(2.0 * c for c in _ARTANH))
    return fma(s, half_square + series, -half_square)


def logarithm_sum(parts: Decomposed) -> Pair:
    """whole log(2) + log(1 + f) as an unrounded sum, the low part well below the high one."""
    whole, f = parts.whole, parts.fraction
    high, low = _LN2[f.format.bits]
    total = fast_two_sum(whole * high, f)
    rest = low_of(total) if parts.lost is None else low_of(total) + parts.lost
    return Pair(total.high, rest + fma(whole, low, _rest(f)))


def close_logarithm_sum(parts: Decomposed) -> Pair:
    """The same in float32, closer: f^2 / 2 is kept in two floats too."""
    whole, f = parts.whole, parts.fraction
    high, low = _LN2[32]
    first = fast_two_sum(whole * high, f)
    half_square = two_product(f * 0.5, f)
    total = fast_two_sum(first.high, -half_square.high)
    cube = half_square.high * (f + f)
    rest = fma(cube, polynomial(f, _LOGARITHM[1:]), fma(whole, low, -low_of(half_square)))
    before = low_of(first) if parts.lost is None else low_of(first) + parts.lost
    return Pair(total.high, (low_of(total) + before) + rest)


def logarithm(parts: Decomposed) -> Lanes:
    """whole log(2) + log(1 + f)."""
    return logarithm_sum(parts).value


def scale_subnormal(x: Lanes) -> tuple[Lanes, Lanes]:
    """x, or where it is subnormal x 2^k; and the k."""
    _, mantissa, bias, _ = x.format
    small = x < 2.0 ** (1 - bias)
    k = float(mantissa + 1)
    return small.choose(x * 2.0**k, x), small.choose(x.like(k), 0.0)


def log_edges(x: Lanes, zero: float, value: Lanes) -> Lanes:
    """`value` for x in (zero, inf), -inf at `zero`, nan below; inf and nan of themselves."""
    edge = x.equals(zero).choose(x.like(-math.inf), math.nan)
    return (x > zero).choose((x < math.inf).choose(value, x), edge)


def log(x: Lanes) -> Lanes:
    """The natural logarithm."""
    normal, k = scale_subnormal(x)
    parts = decompose(normal, k)
    return log_edges(x, 0.0, logarithm(parts))


def decompose_one_plus(x: Lanes, low: Lanes | None = None, exact: bool = False) -> Decomposed:
    """The parts of 1 + x (+ low, then exact) for x > -1, the fraction as 2^-e x + (2^-e - 1)."""
    _, mantissa, bias, _ = x.format
    parts = decompose(1.0 + x)
    # 2^(2 - e), as 2^-e is subnormal for the largest x
    down = ((x.like(0.0).bits() + (2 * bias + 2) - parts.biased) << mantissa).floats()
    quarter, shift = x * 0.25, fma(down, 0.25, -1.0)
    fraction = fma(quarter, down, shift)
    lost = None
    if exact:  # the sum rarely rounds (at e = 1), which costs an ulp of the result at x near 0.4
        lost = quarter * down - (fraction - shift)
    if low is not None:
        lost = fma(low * 0.25, down, lost)
    return Decomposed(parts.whole, parts.biased, fraction, lost)


def log1p(x: Lanes) -> Lanes:
    """log(1 + x)."""
    parts = decompose_one_plus(x, exact=x.narrow)
    value = close_logarithm_sum(parts).value if x.narrow else logarithm(parts)
    tiny = abs(x) < 2.0 ** -(x.format.mantissa + 3)  # also keeps the sign of 0
    return log_edges(x, -1.0, tiny.choose(x, value))
