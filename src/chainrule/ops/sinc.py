"""The normalised sinc: sin(pi x) / (pi x), and 1 at 0.

Value     np.sinc.
Slope     (cos(pi x) - sinc(x)) / x loses every digit near 0, so for |x| < 1/2 its Taylor series is
          summed: pi^2k (-1)^k 2k x^(2k-1) / (2k+1)!, k = 1..14 (the next term is below 1e-26).
          cos(pi x) is taken of x less the nearest even number, which is exact.
Source    the series of the sine; the split is ours.
"""

import math

import numpy as np

from chainrule.ops.compare import less
from chainrule.ops.elementwise import absolute, cos, rint
from chainrule.ops.select import constant_like, select
from chainrule.program.op import Edge, elementwise

_TERMS = tuple(
    (-1.0) ** k * math.pi ** (2 * k) * 2 * k / math.factorial(2 * k + 1) for k in range(1, 15)
)


def _slope(x, out):
    near = less(absolute(x), 0.5)
    small = select(near, x, constant_like(x, 0.0))
    square = small * small
    series = constant_like(x, _TERMS[-1])
    for term in _TERMS[-2::-1]:
        series = series * square + term
    away = select(near, constant_like(x, 1.0), x)
    difference = cos(math.pi * (away - 2.0 * rint(0.5 * away))) - out
    return select(near, series * small, difference / away)


sinc = elementwise(
    "sinc", np.sinc, (_slope,), takes="float", edges=(Edge(0.0, 1.0, 0.0),),
    doc="sin(pi x) / (pi x)",
)  # fmt: skip
