"""erfinv over lanes.

Maths     erfinv(x) / x is smooth in w = -log(1 - x^2), and in the tail erfinv(x) in sqrt(w):
          polynomials give it to 2^-28, which is float32's. float64 adds a step of Halley's method,
          with the residual erf(y) - |x| for |x| < 1/2, and erfc(y) - (1 - |x|) in pairs above.
Source    M. Giles, "Approximating the erfinv function", GPU Computing Gems 2, 2010, for w; the
          polynomials: benchmarks/vector_math_coefficients.py.
"""

from __future__ import annotations

import math

from chainrule.compiler.llvm.vecmath_error import error_over_argument_less_one, tail_of_erfc
from chainrule.compiler.llvm.vecmath_exponential import powers_of_two
from chainrule.compiler.llvm.vecmath_lanes import Arithmetic, Lanes, Pair, fma, low_of, polynomial
from chainrule.compiler.llvm.vecmath_logarithm import log
from chainrule.compiler.llvm.vecmath_pairs import in_double

# erfinv(x) / x by w - 2.5, and erfinv(x) by sqrt(w) - 4
_MIDDLE = (
    1.5014093517105538, 0.24664027582477563, -0.0041773248125873035, -0.0012527050533736545,
    0.00021826382333402626, -4.998556321028458e-06, -3.426149040218387e-06,
    4.79608013442345e-07, 1.6485483861458455e-08, -1.1006068705791328e-08,
    4.35018185324629e-10, 1.3171062422733268e-10,
)  # fmt: skip
_TAIL = (
    3.839783579798299, 1.0094949927375532, 0.001253649682734638, -0.0008545094711026968,
    0.0002951367399179699, -8.340819836009644e-05, 2.1415972808766092e-05,
    -5.377680902640884e-06, 6.677430804083433e-07, 4.7522825677024377e-07,
    -2.612199605599726e-07, 3.852376351988991e-08,
)  # fmt: skip
_TWO_OVER_ROOT_PI = 1.1283791670955126


def _start(size: Lanes) -> Lanes:
    """erfinv(size) for 0 <= size < 1, to 2^-28 of itself."""
    w = -log((1.0 - size) * (1.0 + size))
    middle = size * polynomial(w - 2.5, _MIDDLE)
    tail = polynomial(w.root() - 4.0, _TAIL)
    return (w < 5.0).choose(middle, tail)


def _improved(y: Lanes, size: Lanes, arithmetic: Arithmetic) -> Lanes:
    """A step from y, near the root, to erf(y) = size."""
    tail, power, exponent = tail_of_erfc(Pair(y), arithmetic)
    one, other = powers_of_two(exponent)
    tail = tail.times_power(one * other)
    slope = power.high * (one * other) * _TWO_OVER_ROOT_PI
    far = (tail.high - (1.0 - size)) + low_of(tail)
    near = fma(-y, error_over_argument_less_one(y * y), size - y)
    step = (size < 0.5).choose(near, far) / slope
    return y + fma(step * y, step, step)


@in_double
def erfinv(x: Lanes, arithmetic: Arithmetic) -> Lanes:
    """The inverse of the error function."""
    size = abs(x)
    inside = size < 1.0
    bounded = inside.choose(size, 0.0)
    value = _start(bounded)
    if arithmetic.precise:
        value = _improved(value, bounded, arithmetic)
    edge = size.equals(1.0).choose(x.like(math.inf), math.nan)
    return inside.choose(value, edge).with_sign_of(x) + 0.0  # 0 of -0, as SciPy's
