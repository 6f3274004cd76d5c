"""fmod, remainder and floor_divide over lanes: the same bits as NumPy's.

Maths     With q = trunc(a / b) below 2^53, a - q b is exact by fma: it is a multiple of the last
          place of b and at most b; where the quotient was rounded up, it lacks one b. Larger
          quotients, where some lane has one, are first brought down by b 2^k, of 50 bits each time.
          float32 is divided in float64: the remainder is the same number.
Edges     NumPy's (npy_divmod): nan for y = 0 and for infinite x; x for infinite y; a remainder has
          the sign of y; floor_divide by 0 is x / y.
Source    NumPy, numpy/_core/src/npymath/npy_math_internal.h.src, for the order of the steps.
"""

from __future__ import annotations

import math

from chainrule.compiler.llvm.vecmath_angles import where_any
from chainrule.compiler.llvm.vecmath_exponential import powers_of_two
from chainrule.compiler.llvm.vecmath_lanes import Lanes, fma
from chainrule.compiler.llvm.vecmath_pairs import decompose_positive

_BITS_AT_ONCE = 50
_ROUNDS = {32: 6, 64: 43}  # enough for the largest number over the smallest


def _reduced_once(a: Lanes, b: Lanes) -> Lanes:
    """a mod b, where a / b < 2^53."""
    q = (a / b).rounded("trunc")
    rest = fma(-q, b, a)
    return (rest < 0.0).choose(rest + b, rest)


def _reduced_far(a: Lanes, b: Lanes, rounds: int) -> Lanes:
    """a mod 2^j b, below 2^52 b, for any finite a and b > 0."""
    code = a.code
    whole = decompose_positive(b).whole
    with code.loop(0, rounds, 1, [a.value]) as loop:
        this = Lanes(code, loop.carried[0])
        distance = decompose_positive(this).whole - whole
        above = (distance - _BITS_AT_ONCE).at_least(0.0).at_most(2046.0)
        magic = a.format.round_magic + 2 * a.format.bias
        one, other = powers_of_two((above + magic).bits())
        loop.next(_reduced_once(this, b * one * other).value)
    return Lanes(code, loop.results[0])


def _modulus(x: Lanes, y: Lanes, rounds: int) -> Lanes:
    """fmod of float64."""
    a, b = abs(x), abs(y)
    far = (a >= b * 2.0**52) & (b > 0.0) & (a < math.inf)

    def reduce() -> list[Lanes]:
        safe_a, safe_b = far.choose(a, 1.0), far.choose(b, 1.0)
        return [far.choose(_reduced_far(safe_a, safe_b, rounds), a)]

    (a,) = where_any(far, reduce, [a])
    rest = _reduced_once(a, b)
    rest = (a < b).choose(a, rest)  # also where b is infinite
    defined = (b > 0.0) & (abs(x) < math.inf)
    return defined.choose(rest, math.nan).with_sign_of(x)


def fmod(x: Lanes, y: Lanes) -> Lanes:
    """The remainder with the sign of x."""
    if x.narrow:
        return _modulus(x.widened(), y.widened(), _ROUNDS[32]).narrowed()
    return _modulus(x, y, _ROUNDS[64])


def _adjusts(modulus: Lanes, y: Lanes) -> Lanes:
    """Where the remainder has not the sign of y."""
    differs = (modulus < 0.0) ^ (y < 0.0)
    return differs & modulus.compare("une", 0.0)


def remainder(x: Lanes, y: Lanes) -> Lanes:
    """The remainder with the sign of y: x - floor(x / y) y."""
    modulus = fmod(x, y)
    value = _adjusts(modulus, y).choose(modulus + y, modulus)
    return modulus.equals(0.0).choose(modulus.with_sign_of(y), value)


def floor_divide(x: Lanes, y: Lanes) -> Lanes:
    """The largest integer no larger than x / y."""
    modulus = fmod(x, y)
    division = (x - modulus) / y
    division = _adjusts(modulus, y).choose(division - 1.0, division)
    floor = division.rounded("floor")
    floor = (division - floor > 0.5).choose(floor + 1.0, floor)
    quotient = x / y
    floor = division.equals(0.0).choose(x.like(0.0).with_sign_of(quotient), floor)
    return y.equals(0.0).choose(quotient, floor)
