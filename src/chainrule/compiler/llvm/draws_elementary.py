"""The samplers' elementary functions as vector code: the same operations in the same order.

Each function is that of its name in `chainrule.ops.samplers_elementary` on lanes of float64s, with
the same bits; nothing is contracted into a fused multiply-add.
"""

from __future__ import annotations

from collections.abc import Callable, Sequence

import numpy as np

from chainrule.compiler.llvm.code import lanes_of
from chainrule.compiler.llvm.vecmath_lanes import Lanes
from chainrule.ops.samplers_elementary import (
    COS,
    EXP,
    FRACTION,
    LN2,
    LN2_HIGH,
    LN2_LOW,
    LOG,
    ONE,
    ONE_OVER_LN2,
    PI,
    SIN,
    SQRT_HALF,
)

_TWO_52_BITS = 0x4330000000000000  # those of 2.0**52


def polynomial(x: Lanes, coefficients: Sequence[float]) -> Lanes:
    """The polynomial with these coefficients, lowest first, by Horner's rule."""
    total = x * coefficients[-1]
    for c in coefficients[-2:0:-1]:
        total = (total + c) * x
    return total + coefficients[0]


def small_to_double(x: Lanes) -> Lanes:
    """int64s from 0 to 2**52 - 1 as float64s."""
    return (x | _TWO_52_BITS).floats() - 2.0**52


def to_double(x: Lanes) -> Lanes:
    """int64s as float64s, rounded once: the upper half is exact, so only the sum rounds."""
    high = (x >> 32).convert("trunc", "i32").convert("sitofp", "double")
    return high * 2.0**32 + small_to_double(x & 0xFFFFFFFF)


def any_lane(condition: Lanes) -> Lanes:
    """Whether the condition holds in some lane."""
    if lanes_of(condition.value.type) == 1:
        return condition
    code = condition.code
    return Lanes(code, code.intrinsic("vector.reduce.or", condition.value, result="i1"))


def where_some(condition: Lanes, compute: Callable[[], Lanes], otherwise: Lanes) -> Lanes:
    """`compute()` where the condition holds, else `otherwise`; skipped where it holds nowhere."""
    code = condition.code
    number, before = code.fresh("some"), code.block_name
    code.branch_if(any_lane(condition).value, f"{number}.yes", f"{number}.after")
    code.start_block(f"{number}.yes")
    found = condition.choose(compute(), otherwise).value
    latest = code.block_name
    code.branch(f"{number}.after")
    code.start_block(f"{number}.after")
    ways = f"[ {otherwise.value.text}, %{before} ], [ {found.text}, %{latest} ]"
    return Lanes(code, code.emit(found.type, f"phi {found.type} {ways}"))


def log_of_normal(x: Lanes) -> Lanes:
    """log(x) of positive, finite, normal numbers."""
    bits = x.bits() + (int(ONE) - int(SQRT_HALF))
    k = ((bits >> 52) - 1023).convert("trunc", "i32").convert("sitofp", "double")
    f = ((bits & int(FRACTION)) + int(SQRT_HALF)).floats() - 1.0
    s = f / (f + 2.0)
    z = s * s
    half_square = (f * f) * 0.5
    r = z * polynomial(z, LOG)
    return k * LN2_HIGH - ((half_square - (s * (half_square + r) + k * LN2_LOW)) - f)


def log(x: Lanes) -> Lanes:
    """log(x) of any number; -inf at 0, nan below."""
    least = float(np.finfo(np.float64).tiny)
    tiny = x < least
    inside = (x > 0.0) & (x < np.inf)
    safe = inside.choose(tiny.choose(x * 2.0**54, x), 1.0)
    out = log_of_normal(safe) - tiny.choose(x.like(54.0), 0.0) * LN2
    at_infinity = x.equals(np.inf).choose(x.like(np.inf), np.nan)
    return inside.choose(out, x.equals(0.0).choose(x.like(-np.inf), at_infinity))


def _reduced_exp(x: Lanes) -> tuple[Lanes, Lanes]:
    """k and e with exp(x) = 2**k * (1 + e)."""
    k = (x * ONE_OVER_LN2).rounded("rint")
    high = x - k * LN2_HIGH
    low = k * LN2_LOW
    r = high - low
    t = r * r
    c = r - t * polynomial(t, EXP)
    whole = k.convert("fptosi", "i32").convert("sext", "i64")
    return whole, high - (low - (r * c) / (2.0 - c))


def _clipped(x: Lanes, low: float, high: float) -> Lanes:
    """Between two bounds; 0 where there is no number."""
    number = x.compare("ord", x).choose(x, 0.0)
    return number.at_least(low).at_most(high)


def exp(x: Lanes) -> Lanes:
    """exp(x) of any number."""
    k, e = _reduced_exp(_clipped(x, -800.0, 800.0))
    return x.compare("ord", x).choose(times_power_of_two(e + 1.0, k), x)


def expm1(x: Lanes) -> Lanes:
    """exp(x) - 1 of any number, without cancellation near 0."""
    k, e = _reduced_exp(_clipped(x, -100.0, 800.0))
    one = times_power_of_two(e.like(1.0), k - 1)  # halves: 2**1024 would overflow
    half = times_power_of_two(e, k - 1) + (one - 0.5)
    out = k.compare("eq", 0).choose(e, half * 2.0)
    return x.compare("one", 0.0).choose(out, x)


def between(k: Lanes, low: int, high: int) -> Lanes:
    """Signed integers no lower and no higher than two bounds."""
    code = k.code
    above = code.intrinsic("smax", k.value, code.like(k.value, low))
    return Lanes(code, code.intrinsic("smin", above, code.like(k.value, high)))


def times_power_of_two(x: Lanes, k: Lanes) -> Lanes:
    """x * 2**k for x near 1, rounded once: subnormal results included."""
    first = between(k, -1000, 1000)
    return (x * _power_of_two(first)) * _power_of_two(k - first)


def _power_of_two(k: Lanes) -> Lanes:
    return ((between(k, -1022, 1023) + 1023) << 52).floats()


def log1p(x: Lanes) -> Lanes:
    """log(1 + x) of any number."""
    u = x + 1.0
    finite = (u > 0.0) & (u < np.inf)
    lost = finite.choose(x - (u - 1.0), 0.0)
    divisor = (u > 0.0).choose(u, 1.0)
    return u.equals(1.0).choose(x, log(u) + lost / divisor)


def tan_pi(q: Lanes, complement: Lanes) -> Lanes:
    """tan(pi q) for q in (0, 1/2), where `complement` is 1/2 - q, known exactly."""
    near = q < complement
    small = near.choose(q, complement) * PI
    z = small * small
    sine = small + small * z * polynomial(z, SIN)
    cosine = 1.0 - (z * 0.5 - z * z * polynomial(z, COS))
    return near.choose(sine, cosine) / near.choose(cosine, sine)
