"""exprel and the exponential integrals, the Box-Cox transform, and the Huber losses.

Value     SciPy's. exp_moment(z, n=n) = int_0^1 t^n e^(z t) dt; n = 0 is exprel.
Slope     exprel' = exp_moment(n=1), and so on up; Box-Cox by its exponent is one of these.
Source    DLMF 8.19, 13.2; the series below have terms of one sign.
"""

from __future__ import annotations

import math

import numpy as np

from chainrule.ops.compare import equal, greater
from chainrule.ops.elementwise import absolute, clip, exp, hypot, log, log1p
from chainrule.ops.select import constant_like, select
from chainrule.ops.special.scipy_functions import (
    elementwise_family,
    in_float64,
    missing_by,
    scipy_elementwise,
)
from chainrule.program.op import Edge, Op

inf = math.inf
_SERIES_TO = 4.0


def _moment_series(z, n: int):
    """sum z^k / (k! (n+k+1)) for z > 0, e^z sum (-z)^k / ((n+1) ... (n+k+1)) for z < 0."""
    size = np.abs(z)
    rising, falling = np.full_like(z, 1.0 / (n + 1)), np.full_like(z, 1.0 / (n + 1))
    power, product = np.ones_like(z), np.full_like(z, 1.0 / (n + 1))
    for k in range(1, 40):
        power = power * size / k
        rising = rising + power / (n + k + 1)
        product = product * size / (n + k + 1)
        falling = falling + product
    return np.where(z > 0, rising, np.exp(z) * falling)


@in_float64
def _exp_moment(z, *, n):
    limit = _SERIES_TO + n
    inside = np.abs(z) < limit
    series = _moment_series(np.where(inside, z, 0.0), n)
    far = np.where(inside, limit, z)
    with np.errstate(all="ignore"):
        end = np.exp(far)
        out = np.expm1(far) / far
        for k in range(1, n + 1):  # integration by parts
            out = (end - k * out) / far
        out = np.where(far == inf, inf, out)
    return np.where(inside, series, out)


exp_moment: Op = elementwise_family(
    "exp_moment",
    _exp_moment,
    (lambda z, out, *, n: exp_moment(z, n=n + 1),),
    ulps=8,
    flops=200,
    doc="the integral of t^n exp(z t) over t from 0 to 1 (n >= 0)",
)
exprel = scipy_elementwise(
    "exprel",
    (lambda x, out: exp_moment(x, n=1),),
    edges=(Edge(0.0, 1.0, 0.5), Edge(-inf, 0.0, 0.0)),
)


def _box_cox_by_exponent(logarithm, exponent):
    """d/dp of (exp(p l) - 1) / p, with l the logarithm: l^2 times exp_moment(p l, n=1)."""
    return (logarithm * logarithm) * exp_moment(exponent * logarithm, n=1)


boxcox = scipy_elementwise(
    "boxcox",
    (
        lambda x, p, out: x ** (p - 1.0),
        lambda x, p, out: _box_cox_by_exponent(log(x), p),
    ),
    ulps=16,
)
boxcox1p = scipy_elementwise(
    "boxcox1p",
    (
        lambda x, p, out: exp((p - 1.0) * log1p(x)),
        lambda x, p, out: _box_cox_by_exponent(log1p(x), p),
    ),
    ulps=16,
)

# --- exponential integrals ----------------------------------------------------------------------

exp1 = scipy_elementwise("exp1", (lambda x, out: -exp(-x) / x,), edges=(Edge(inf, 0.0, 0.0),))
expi = scipy_elementwise("expi", (lambda x, out: exp(x) / x,))


def _expn_slope(n, x, out):
    """-E_{n-1}(x); E_0(x) = e^-x / x is differentiated as it stands."""
    zeroth = equal(n, constant_like(n, 0.0))
    lower = select(zeroth, constant_like(n, 1.0), n) - 1.0
    return -select(zeroth, out * (1.0 + 1.0 / x), expn(lower, x))


expn: Op = scipy_elementwise(
    "expn", (missing_by("expn", "order", "it is an integer."), _expn_slope), ulps=8
)

# --- Huber losses -------------------------------------------------------------------------------


def _excess(delta, r):
    """max(|r| - delta, 0)"""
    zero = constant_like(r, 0.0)
    return select(greater(absolute(r), delta), absolute(r) - delta, zero)


huber = scipy_elementwise(
    "huber", (lambda delta, r, out: _excess(delta, r), lambda delta, r, out: clip(r, -delta, delta))
)


def _pseudo_huber_by_delta(delta, r, out):
    """delta u^4 / (s (s + 1)^2), with u = r / delta and s = hypot(1, u): nothing cancels."""
    u = r / delta
    s = hypot(u, constant_like(u, 1.0))
    ratio = (u * u) / (s + 1.0)
    return delta * (ratio * ratio) / s


pseudo_huber = scipy_elementwise(
    "pseudo_huber",
    (
        _pseudo_huber_by_delta,
        lambda delta, r, out: r / hypot(r / delta, constant_like(r, 1.0)),
    ),
    ulps=8,
)
