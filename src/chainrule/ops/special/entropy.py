"""Logarithms times numbers: xlogy, xlog1py, entr, rel_entr, kl_div.

Value     SciPy's: a factor 0 gives 0, whatever the logarithm.
Slope     by the factor the logarithm itself (-inf for xlogy at y = 0); by the logarithm's argument
          0 where the factor is 0. Logarithms of ratios near 1 are taken with log1p.
Edges     entr(0) = 0 with slope inf.
"""

from __future__ import annotations

import math

import numpy as np

from chainrule.ops.compare import equal, greater, less
from chainrule.ops.elementwise import log, log1p
from chainrule.ops.select import constant_like, select
from chainrule.ops.special.scipy_functions import scipy_elementwise
from chainrule.program.op import Edge, elementwise

inf = math.inf


def _quotient(x, y):
    """x / y, and 0 where x is 0."""
    zero = constant_like(x, 0.0)
    return select(equal(x, zero), zero, x / y)


xlogy = scipy_elementwise(
    "xlogy", (lambda x, y, out: log(y), lambda x, y, out: _quotient(x, y)), "inexact"
)
xlog1py = scipy_elementwise(
    "xlog1py", (lambda x, y, out: log1p(y), lambda x, y, out: _quotient(x, 1.0 + y)), "inexact"
)

# log(x) + 1 = log1p(c (x - 1/c)) + rest near the maximum of entr, for c = math.e, a little below e:
# the rest is 1 - log(c), and 1/c is given in two parts
_INVERSE_E = 1.0 / math.e
_INVERSE_E_REST = 7.13594948244232e-18
_LOG_E_REST = 5.318237706605891e-17


def _entr_slope(x, out):
    near = less(x, constant_like(x, 0.5)) & greater(x, constant_like(x, 0.25))
    middle = select(near, x, constant_like(x, _INVERSE_E))
    excess = math.e * ((middle - _INVERSE_E) - _INVERSE_E_REST)
    return -select(near, log1p(excess) + _LOG_E_REST, 1.0 + log(x))


entr = scipy_elementwise("entr", (_entr_slope,), edges=(Edge(0.0, 0.0, inf), Edge(1.0, 0.0, -1.0)))


def _log_ratio(x, y):
    near = (x < 2.0 * y) & (y < 2.0 * x)
    with np.errstate(all="ignore"):
        ratio = np.where(near, np.log1p((x - y) / y), np.log(x) - np.log(y))
    return ratio.astype(np.result_type(x, y), copy=False)[()]


log_ratio = elementwise(
    "log_ratio",
    _log_ratio,
    (lambda x, y, out: 1.0 / x, lambda x, y, out: -1.0 / y),
    takes="float",
    flops=20,
    doc="log(x / y), accurate where x is near y",
)
rel_entr = scipy_elementwise(
    "rel_entr",
    (lambda x, y, out: 1.0 + log_ratio(x, y), lambda x, y, out: -_quotient(x, y)),
    ulps=16,  # by x there is a zero at x = y / e
)


def _kl_div_by_y(x, y, out):
    """1 - x / y; where they are near, (y - x) / y, which does not cancel."""
    near = less(x, 2.0 * y) & less(y, 2.0 * x)
    return select(near, (y - x) / y, 1.0 - _quotient(x, y))


kl_div = scipy_elementwise("kl_div", (lambda x, y, out: log_ratio(x, y), _kl_div_by_y))
