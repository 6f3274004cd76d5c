"""Composite elementwise operations written out in arithmetic, exp, log, log1p, expm1 and sine.

Value     SciPy's formulas and special values, to a few units in the last place; float16 is computed
          in float32 where SciPy does that. Complex arguments are left to the operation.
Source    scipy/special/_convex_analysis.pxd, _xlogy.pxd and xsf/log_exp.h; chainrule.ops.
"""

from __future__ import annotations

import math
from collections.abc import Callable

import numpy as np

from chainrule.ops.compare import equal, greater, isnan, less, less_equal
from chainrule.ops.elementwise import absolute, clip, exp, expm1, log, log1p, multiply, rint, sin
from chainrule.ops.select import cast, constant_like, select

_FARTHEST = 64.0  # as in chainrule.ops.special.gaussian


def _xlogy(x, y):
    zero = constant_like(y, 0.0)
    return select(equal(x, zero) & ~isnan(y), zero, x * log(y))


def _xlog1py(x, y):
    zero = constant_like(y, 0.0)
    return select(equal(x, zero) & ~isnan(y), zero, x * log1p(y))


def _entr(x):
    zero = constant_like(x, 0.0)
    outside = select(equal(x, zero), zero, constant_like(x, -math.inf))
    inside = greater(x, zero) | isnan(x)
    return select(inside, -(x * log(x)), outside)


def _log_ratio(x, y):
    near = less(x, 2.0 * y) & less(y, 2.0 * x)
    return select(near, log1p((x - y) / y), log(x) - log(y))


def _kl_div(x, y):
    zero = constant_like(x, 0.0)
    inside = greater(x, zero) & greater(y, zero)
    edge = select(equal(x, zero) & less_equal(zero, y), y, constant_like(x, math.inf))
    value = select(inside, x * log(x / y) - x + y, edge)
    return select(isnan(x) | isnan(y), constant_like(x, math.nan), value)


def _huber(delta, r):
    size = absolute(r)
    outside = delta * (size - 0.5 * delta)
    value = select(less_equal(size, delta), 0.5 * (r * r), outside)
    return select(less(delta, 0.0), constant_like(r, math.inf), value)


def _pseudo_huber(delta, r):
    zero = constant_like(r, 0.0)
    ratio = r / delta
    value = delta * delta * expm1(0.5 * log1p(ratio * ratio))
    value = select(equal(delta, zero) | equal(r, zero), zero, value)
    return select(less(delta, zero), constant_like(r, math.inf), value)


def _sinc(x):
    angle = math.pi * x
    tiny = constant_like(x, np.finfo(x.dtype).eps)
    angle = select(equal(angle, 0.0), tiny, angle)
    return sin(angle) / angle


def _logit(x):
    near = less(absolute(x - 0.5), 0.2)
    s = select(near, 2.0 * (x - 0.5), constant_like(x, 0.0))
    return select(near, log1p(s) - log1p(-s), log(x / (1.0 - x)))


def _log_expit(x):
    correction = log1p(exp(-absolute(x)))
    return select(less(x, 0.0), x - correction, -correction)


def _exp_square(x, *, halves):
    dtype, half = x.dtype, 0.5 * halves
    x = cast(x, dtype=np.dtype(np.float64))
    x = clip(x, constant_like(x, -_FARTHEST), constant_like(x, _FARTHEST))
    short = rint(x * 1024.0) / 1024.0
    rest = (x - short) * (x + short)
    return cast(multiply(exp(half * (short * short)), exp(half * rest)), dtype=dtype)


_WITHOUT_SCIPY = {"sinc", "log_ratio"}  # NumPy computes them in float16, step by step
_FORMULAS: dict[str, Callable] = {
    "xlogy": _xlogy, "xlog1py": _xlog1py, "entr": _entr, "log_ratio": _log_ratio,
    "kl_div": _kl_div, "huber": _huber, "pseudo_huber": _pseudo_huber, "sinc": _sinc,
    "logit": _logit, "log_expit": _log_expit, "exp_square": _exp_square,
}  # fmt: skip


def _lowering(formula: Callable, widens: bool) -> Callable:
    """The formula on real arrays; in float32 where they are float16 and `widens`."""

    def written_out(*inputs, **params):
        dtype = inputs[0].dtype
        if dtype.kind != "f":
            return NotImplemented
        if dtype.itemsize > 2 or not widens:
            return formula(*inputs, **params)
        wide = np.dtype(np.float32)
        values = [x.astype(wide) if isinstance(x, np.generic) else cast(x, dtype=wide)
                  for x in inputs]  # fmt: skip
        return cast(formula(*values, **params), dtype=dtype)

    return written_out


ELEMENTWISE: dict[str, Callable] = {
    name: _lowering(formula, name not in _WITHOUT_SCIPY) for name, formula in _FORMULAS.items()
}
