"""The error function and its relatives: erf, erfc, erfcx, erfi, their inverses, and the normal law.

Value     SciPy's.
Slope     erf' = 2/sqrt(pi) exp(-x^2) and so on, with exp(-x^2) exact in the tails (gaussian.py).
          Slopes of the inverses, and of log_ndtr, use erfcx(y) = exp(y^2) erfc(y): where the value
          y is large, exp(y^2) would magnify y's own rounding, while erfc(y) is known exactly (it is
          the argument).
Edges     the inverses have infinite slope at the ends of their domains.
Source    repeated integrals of erfc: Gautschi, SIAM Rev. 9 (1967) 24, and DLMF 7.18.
"""

from __future__ import annotations

import math
from collections.abc import Callable

import numpy as np

from chainrule.ops.compare import equal, less
from chainrule.ops.select import constant_like, select
from chainrule.ops.special.gaussian import exp_square, exp_square_value
from chainrule.ops.special.scipy_functions import (
    elementwise_family,
    in_float64,
    scipy_elementwise,
    scipy_special,
)
from chainrule.program.exact import ROOT_2, ROOT_2PI, ROOT_PI
from chainrule.program.op import Edge, Op

inf = math.inf

# --- erf and erfc -------------------------------------------------------------------------------


def _erf_slope(x, out):
    return (2.0 / ROOT_PI) * exp_square(x, halves=-2)


erf = scipy_elementwise(
    "erf", (_erf_slope,), "inexact", edges=(Edge(-inf, -1.0, 0.0), Edge(inf, 1.0, 0.0))
)
erfc = scipy_elementwise(
    "erfc",
    (lambda x, out: -_erf_slope(x, out),),
    "inexact",
    edges=(Edge(-inf, 2.0, 0.0), Edge(inf, 0.0, 0.0)),
)
erfi = scipy_elementwise(
    "erfi", (lambda x, out: (2.0 / ROOT_PI) * exp_square(x, halves=2),), "inexact"
)

# --- the repeated integrals of erfc, scaled -----------------------------------------------------
# y_n(x) = exp(x^2) i^n erfc(x), with y_0 = erfcx. They obey y_n' = -2 (n + 1) y_{n+1}: the slope
# is one function, where 2 x erfcx(x) - 2/sqrt(pi) loses 2 log2(x) bits for large x.

_FRACTION_FROM = 1.0  # below it the recurrence upwards loses a bit per order at the most
_FRACTION_TERMS = ((6.0, 24), (2.5, 64), (_FRACTION_FROM, 200))


def _upwards(x, n: int):
    """2 k y_k = y_{k-2} - 2 x y_{k-1}; stable for negative x, where nothing cancels."""
    before = np.full_like(x, 2.0 / ROOT_PI)  # y_{-1}
    mirrored = scipy_special().erfcx(np.abs(x))
    this = np.where(x < 0, 2.0 * exp_square_value(x, 2) - mirrored, mirrored)
    for k in range(1, n + 1):
        before, this = this, (before - 2.0 * x * this) / (2.0 * k)
    return this


def _by_continued_fraction(x, n: int, terms: int):
    """Products of the ratios r_k = y_k / y_{k-1} = 1 / (2 x + 2 (k + 1) r_{k+1})."""
    ratio = 1.0 / (2.0 * x)
    product = np.full_like(x, 2.0 / ROOT_PI)
    for k in range(n + terms, -1, -1):
        ratio = 1.0 / (2.0 * x + 2.0 * (k + 1) * ratio)
        if k <= n:
            product = product * ratio
    return product


def erfcx_integral_of(x, n: int, occurs: Callable):
    """exp(x^2) i^n erfc(x); `occurs` tells whether a way of working it out is needed at all."""
    out = _upwards(np.minimum(x, _FRACTION_FROM), n)
    above = inf
    for start, terms in _FRACTION_TERMS:
        chosen = (x >= start) & (x < above) if above < inf else x >= start
        if occurs(chosen):
            out = np.where(chosen, _by_continued_fraction(np.maximum(x, start), n, terms), out)
        above = start
    return out


@in_float64
def _erfcx_integral(x, *, n):
    return erfcx_integral_of(x, n, np.any)


erfcx_integral: Op = elementwise_family(
    "erfcx_integral",
    _erfcx_integral,
    (lambda x, out, *, n: (-2.0 * (n + 1)) * erfcx_integral(x, n=n + 1),),
    ulps=64,  # measured 39, at n = 3 just below the continued fraction's range
    doc="exp(x^2) times the n-th repeated integral of erfc from x to infinity (n >= 1)",
)
erfcx = scipy_elementwise(
    "erfcx",
    (lambda x, out: -2.0 * erfcx_integral(x, n=1),),
    edges=(Edge(0.0, 1.0, -2.0 / ROOT_PI), Edge(inf, 0.0, 0.0)),
    ulps=8,
)

# --- inverses -----------------------------------------------------------------------------------


def _sign_of_half(x, middle: float):
    """-1 below the middle, 1 from it on, as a constant: both formulas hold on both sides."""
    below = less(x, constant_like(x, middle))
    return select(below, constant_like(x, -1.0), constant_like(x, 1.0))


def _over_remaining(numerator, remaining):
    """numerator / remaining, and inf where nothing remains (numerator is 0 there)."""
    at_end = equal(remaining, constant_like(remaining, 0.0))
    return select(at_end, constant_like(remaining, inf), numerator / remaining)


def _erfinv_slope(x, out):
    side = _sign_of_half(x, 0.0)
    return (0.5 * ROOT_PI) * _over_remaining(erfcx(side * out), 1.0 - side * x)


def _erfcinv_slope(x, out):
    side = _sign_of_half(x, 1.0)
    remaining = select(less(x, constant_like(x, 1.0)), x, 2.0 - x)
    return (-0.5 * ROOT_PI) * _over_remaining(erfcx(-side * out), remaining)


def _ndtri_slope(x, out):
    side = _sign_of_half(x, 0.5)
    remaining = select(less(x, constant_like(x, 0.5)), x, 1.0 - x)
    return (0.5 * ROOT_2PI) * _over_remaining(erfcx((side / ROOT_2) * out), remaining)


erfinv = scipy_elementwise(
    "erfinv",
    (_erfinv_slope,),
    edges=(Edge(-1.0, -inf, inf), Edge(0.0, 0.0, 0.5 * ROOT_PI), Edge(1.0, inf, inf)),
    ulps=8,  # measured 5.4: SciPy's erfcx beside the value's own rounding; erfcinv, ndtri alike
)
erfcinv = scipy_elementwise(
    "erfcinv",
    (_erfcinv_slope,),
    edges=(Edge(0.0, inf, -inf), Edge(1.0, 0.0, -0.5 * ROOT_PI), Edge(2.0, -inf, -inf)),
    ulps=8,
)
ndtri = scipy_elementwise(
    "ndtri",
    (_ndtri_slope,),
    edges=(Edge(0.0, -inf, inf), Edge(0.5, 0.0, ROOT_2PI), Edge(1.0, inf, inf)),
    ulps=8,
)

# --- the normal distribution --------------------------------------------------------------------


def _normal_density(x):
    return (1.0 / ROOT_2PI) * exp_square(x, halves=-1)


ndtr: Op = scipy_elementwise(
    "ndtr",
    (lambda x, out: _normal_density(x),),
    edges=(Edge(-inf, 0.0, 0.0), Edge(inf, 1.0, 0.0)),
)


def _log_ndtr_slope(x, out):
    """phi / Phi: in the left tail, where both underflow, sqrt(2 / pi) / erfcx(-x / sqrt(2))."""
    zero = constant_like(x, 0.0)
    left = less(x, zero)
    in_tail = (2.0 / ROOT_2PI) / erfcx(select(left, (-1.0 / ROOT_2) * x, zero))
    return select(left, in_tail, _normal_density(x) / ndtr(x))


log_ndtr = scipy_elementwise(
    "log_ndtr", (_log_ndtr_slope,), edges=(Edge(-inf, -inf, inf), Edge(inf, 0.0, 0.0))
)
