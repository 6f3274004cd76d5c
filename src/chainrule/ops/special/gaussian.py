"""exp of a multiple of x squared: the common factor of the error functions' slopes.

Value     exp_square(x, halves=h) = exp(h x^2 / 2); h = -2 for erf, -1 for the normal density.
          Rounding x^2 alone would cost x^2 / 2 units in the last place (340 where exp(-x^2)
          underflows), so x is split into a short part, whose square is exact, and the rest.
Slope     h x exp_square(x).
Source    the split: Cody, Math. Comp. 23 (1969) 631, section 4.
"""

from __future__ import annotations

import numpy as np

from chainrule.ops.special.scipy_functions import elementwise_family
from chainrule.program.op import Op

_FARTHEST = 64.0  # beyond it the value is 0 or inf, and 1024 x stays far from overflow


def exp_square_value(x, halves: int):
    """exp(halves x^2 / 2) for a float64 array, to about 2 ulp."""
    x = np.clip(x, -_FARTHEST, _FARTHEST)
    short = np.rint(x * 1024.0) / 1024.0  # at most 17 bits
    rest = (x - short) * (x + short)  # x^2 - short^2
    return np.exp(0.5 * halves * (short * short)) * np.exp(0.5 * halves * rest)


def _evaluate(x, *, halves):
    if x.dtype.kind == "c":
        a, b, out = x.real, x.imag, np.empty_like(x)
        factor = a.dtype.type(0.5 * halves)
        out.real, out.imag = factor * ((a - b) * (a + b)), factor * (2 * a * b)
        return np.exp(out)
    return exp_square_value(np.asarray(x, np.float64), halves).astype(x.dtype)[()]


exp_square: Op = elementwise_family(
    "exp_square",
    _evaluate,
    (lambda x, out, *, halves: (float(halves) * x) * out,),
    takes="inexact",
    ulps=4,
    flops=12,
    doc="exp(halves x^2 / 2)",
)
