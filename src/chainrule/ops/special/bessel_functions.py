"""Bessel functions: i0 i1 i0e i1e iv, j0 j1 jv, y0 y1 yv, k0 k1 kv.

Value     SciPy's.
Slope     C_v' = (C_{v-1} - C_{v+1}) / 2 for J and Y, (I_{v-1} + I_{v+1}) / 2, and
          -(K_{v-1} + K_{v+1}) / 2: unlike the forms with C_v / x, these hold at 0. By the order v
          no derivative is given.
          i0e' = -i0e_moment(n=1) for x > 0: i1e - i0e would lose log2(x) bits.
Accuracy  J and Y have zeros, near which SciPy's values, and so the slopes, have fewer digits.
Edges     i0e has a kink at 0: the slope there is 0.
Source    DLMF 10.6, 10.29; 10.32.1 and 10.40.1 for the scaled ones.
"""

from __future__ import annotations

import math

import numpy as np

from chainrule.ops.elementwise import sign
from chainrule.ops.special.scipy_functions import (
    elementwise_family,
    in_float64,
    missing_by,
    scipy_elementwise,
)
from chainrule.program.op import Edge, Op

inf = math.inf
_NO_ORDER = "no closed form is known; the derivative by the argument is supported."


def _with_order(name: str, slope, ulps: float):
    return scipy_elementwise(name, (missing_by(name, "order", _NO_ORDER), slope), ulps=ulps)


def _order(x, v: float):
    return x.dtype.type(v)


# --- I ------------------------------------------------------------------------------------------

iv: Op = _with_order("iv", lambda v, x, out: 0.5 * (iv(v - 1.0, x) + iv(v + 1.0, x)), ulps=32)
i0 = scipy_elementwise("i0", (lambda x, out: i1(x),), edges=(Edge(0.0, 1.0, 0.0),), ulps=16)
i1: Op = scipy_elementwise(
    "i1",
    (lambda x, out: 0.5 * (i0(x) + iv(_order(x, 2.0), x)),),
    edges=(Edge(0.0, 0.0, 0.5),),
    ulps=16,
)

_ASYMPTOTIC_FROM = 30.0
_ANGLES = 64  # trapezoidal rule of a periodic function: exact to e^-30 for x < 30


def _moment_by_trapezoid(x, n: int):
    """The mean of (1 - cos t)^n exp(-x (1 - cos t)) over t in [0, pi]: no cancellation."""
    total = np.zeros_like(x)
    for k in range(_ANGLES + 1):
        drop = 2.0 * math.sin(0.5 * math.pi * k / _ANGLES) ** 2
        weight = (0.5 if k in (0, _ANGLES) else 1.0) * drop**n
        total = total + weight * np.exp(-x * drop)
    return total / _ANGLES


def _moment_asymptotic(x, n: int):
    """Watson's lemma for the same integral, in powers of 1 / x."""
    term = math.gamma(n + 0.5) / (math.pi * math.sqrt(2.0)) * x ** -(n + 0.5)
    out = term
    for k in range(24):
        term = term * ((k + 0.5) * (n + 0.5 + k) / (2.0 * (k + 1.0))) / x
        out = out + term
    return out


@in_float64
def _i0e_moment(x, *, n):
    size = np.abs(x)
    near = _moment_by_trapezoid(np.minimum(size, _ASYMPTOTIC_FROM), n)
    far = _moment_asymptotic(np.maximum(size, _ASYMPTOTIC_FROM), n)
    return np.where(size < _ASYMPTOTIC_FROM, near, far)


i0e_moment: Op = elementwise_family(
    "i0e_moment",
    _i0e_moment,
    (lambda x, out, *, n: -sign(x) * i0e_moment(x, n=n + 1),),
    ulps=16,
    flops=800,
    doc="(-1)^n times the n-th derivative of i0e at |x| (n >= 1)",
)
i0e = scipy_elementwise(
    "i0e",
    (lambda x, out: -sign(x) * i0e_moment(x, n=1),),
    edges=(Edge(0.0, 1.0, 0.0), Edge(inf, 0.0, 0.0)),
    ulps=16,
)
i1e = scipy_elementwise(
    "i1e",
    (lambda x, out: i0e_moment(x, n=2) - i0e_moment(x, n=1),),
    edges=(Edge(0.0, 0.0, 0.5), Edge(inf, 0.0, 0.0)),
    ulps=128,  # measured 60, near the zero at 1.58
)

# --- J and Y ------------------------------------------------------------------------------------

jv: Op = _with_order("jv", lambda v, x, out: 0.5 * (jv(v - 1.0, x) - jv(v + 1.0, x)), ulps=512)
j0 = scipy_elementwise("j0", (lambda x, out: -j1(x),), edges=(Edge(0.0, 1.0, 0.0),), ulps=512)
j1: Op = scipy_elementwise(
    "j1",
    (lambda x, out: 0.5 * (j0(x) - jv(_order(x, 2.0), x)),),
    edges=(Edge(0.0, 0.0, 0.5),),
    ulps=512,
)
yv: Op = _with_order("yv", lambda v, x, out: 0.5 * (yv(v - 1.0, x) - yv(v + 1.0, x)), ulps=512)
y0 = scipy_elementwise("y0", (lambda x, out: -y1(x),), ulps=512)
y1: Op = scipy_elementwise("y1", (lambda x, out: 0.5 * (y0(x) - yv(_order(x, 2.0), x)),), ulps=512)

# --- K ------------------------------------------------------------------------------------------

kv: Op = _with_order("kv", lambda v, x, out: -0.5 * (kv(v - 1.0, x) + kv(v + 1.0, x)), ulps=32)
k0 = scipy_elementwise("k0", (lambda x, out: -k1(x),), edges=(Edge(inf, 0.0, 0.0),), ulps=16)
k1: Op = scipy_elementwise(
    "k1",
    (lambda x, out: -0.5 * (k0(x) + kv(_order(x, 2.0), x)),),
    edges=(Edge(inf, 0.0, 0.0),),
    ulps=16,
)
