"""Polynomials with known coefficients, by compensated Horner: as if in twice the precision.

Value     as `chainrule.ops.special.polynomials`, but for what that computes in whole numbers.
Source    Graillat, Langlois, Louvet, "Compensated Horner scheme" (2005), with products by fma.
"""

from __future__ import annotations

from math import inf
from typing import Any

from chainrule.compiler.llvm.code import Code, Value
from chainrule.compiler.llvm.vecmath_lanes import Lanes, fma, low_of, two_product, two_sum
from chainrule.ops.special.polynomials import Floats, at_infinity, floats


def polynomial(code: Code, operation: Any, x: Value) -> Value:
    """The rule of the operation; float32 is computed in float64."""
    numerators, denominator = operation.params
    lanes = Lanes(code, x)
    wide = lanes.widened() if lanes.narrow else lanes
    out = _compensated(wide, floats(numerators, denominator))
    if any(numerators[1:]):
        for sign in (1, -1):
            out = wide.equals(sign * inf).choose(at_infinity(numerators, sign), out)
    return (out.narrowed() if lanes.narrow else out).value


def _compensated(x: Lanes, form: Floats) -> Lanes:
    x = x * (1.0 / form.unit)
    total, rest = x.like(form.high[-1]), x.like(form.low[-1])
    for c, c_low in zip(form.high[-2::-1], form.low[-2::-1], strict=True):
        product = two_product(total, x)
        total, error = product.high, low_of(product)
        if c:
            lost = two_sum(total, x.like(c))
            total = lost.high
            error = error + low_of(lost) + c_low
        rest = fma(rest, x, error)
    out = total + rest
    known = (abs(rest) > 0.0) & (abs(out) < inf)  # beside 0, inf and nan the sum says nothing
    return known.choose(out, total)
