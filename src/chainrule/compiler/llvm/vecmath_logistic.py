"""tanh and the logistic function over lanes: what neural networks call most.

Maths     tanh float32: |x| < 1 by its odd series; above, 1 - 2 / (e^2x + 1).
          tanh float64: with p = e^2x - 1, |x| < 1/2 by p / (p + 2); above, 1 - 2 / (p + 2).
          expit: with e^-x = 2^n P it is 2^-n / (2^-n + P). The denominator is kept in two floats
          and the quotient corrected by its residual; 2^-n comes in two factors, so the left tail
          reaches into the subnormals.
Source    ours; the polynomial: benchmarks/vector_math_coefficients.py.
"""

from __future__ import annotations

from chainrule.compiler.llvm.vecmath_exponential import (
    expm1,
    exponential_rest,
    narrow_exponential_of_double,
    powers_of_two,
    reduce_exponential,
)
from chainrule.compiler.llvm.vecmath_lanes import Lanes, fast_two_sum, fma, low_of, polynomial

# (tanh(x) - x) / x^3 by x^2
_TANH = (
    -0.333333, 0.13332412, -0.05388411, 0.021499416, -0.007965231, 0.0023154763, -0.00036252543,
)  # fmt: skip
_ONE_FROM = 9.1  # tanh rounds to 1 in float32


def tanh(x: Lanes) -> Lanes:
    """The hyperbolic tangent."""
    size = abs(x)
    if not x.narrow:
        p = expm1((size + size).at_most(50.0))
        near = size < 0.5
        above, below = near.choose(p, 2.0), fast_two_sum(p.like(2.0), p)
        inverse = 1.0 / below.high
        quotient = above * inverse
        residual = fma(-quotient, low_of(below), fma(-quotient, below.high, above))
        quotient = fma(residual, inverse, quotient)
        return near.choose(quotient, 1.0 - quotient).with_sign_of(x)
    square = x * x
    near = fma(size * square, polynomial(square, _TANH), size)
    power = narrow_exponential_of_double(size.at_most(_ONE_FROM))
    far = 1.0 - 2.0 / (power + 1.0)
    return (size < 1.0).choose(near, far).with_sign_of(x)


def expit(x: Lanes) -> Lanes:
    """1 / (1 + e^-x)."""
    low, high = (-104.0, 18.0) if x.narrow else (-746.0, 40.0)
    parts = reduce_exponential(-(x.at_most(high).at_least(low)))
    growth = parts.high + exponential_rest(parts)  # P - 1
    power = fast_two_sum(x.like(1.0), growth)
    # 2^-n: the exponent's low bits are twice the bias plus n
    one, other = powers_of_two(x.like(0.0).bits() + 4 * x.format.bias - parts.exponent)
    scale = one * other
    swap = scale > power.high
    larger, smaller = swap.choose(scale, power.high), swap.choose(power.high, scale)
    total = fast_two_sum(larger, smaller)
    lost = low_of(total) + low_of(power)
    inverse = 1.0 / total.high
    residual = fma(-inverse, lost, fma(-inverse, total.high, 1.0))
    return fma(inverse, residual, inverse) * one * other
