"""The operations of rewriting for stability written out in core ones.

Value     as in chainrule.ops.special.stable_forms, branch by branch.
Source    that file.
"""

from __future__ import annotations

import math
from collections.abc import Callable

import numpy as np

from chainrule.ops.compare import equal, greater, greater_equal, isfinite, less, less_equal
from chainrule.ops.elementwise import (
    absolute,
    exp,
    expm1,
    log,
    log1p,
    maximum,
    minimum,
    power,
    sinh,
    sqrt,
)
from chainrule.ops.reduce import max_, prod
from chainrule.ops.select import constant_like, select
from chainrule.ops.shape import broadcast, kept_axes, sum_
from chainrule.ops.special.stable_forms import every_second

_LN2 = math.log(2.0)


def _log1mexp(x):
    return select(greater(x, -_LN2), log(-expm1(x)), log1p(-exp(x)))


def _exp_sum(x, y):
    total = x + y
    part = total - x
    lost = (x - (total - part)) + (y - part)
    out = exp(total)
    return select(isfinite(lost) & isfinite(out), out + out * lost, out)


def _exp_difference(x, y):
    low, high = minimum(x, y), maximum(x, y)
    apart = high - low
    size = select(less(apart, 1.0), exp(low) * expm1(apart), exp(high) - exp(low))
    return select(less(x, y), -size, size)


def _log_cosh(x):
    size = absolute(x)
    half = sinh(0.5 * minimum(size, 1.0))
    far = (size - _LN2) + log1p(exp(-2.0 * size))
    return select(less(size, 1.0), log1p(2.0 * half * half), far)


def _pow1p(x, y):
    s = 1.0 + x
    part = s - 1.0
    lost = (1.0 - (s - part)) + (x - part)
    zero = constant_like(x, 0.0)
    lost = select(isfinite(lost) & ~equal(s, 0.0), lost / s, zero)
    return power(s, y) * exp(y * lost)


def _log_expm1(x):
    return select(greater(x, 30.0), x, log(expm1(x)))


def _log_sinh(x):
    return select(greater(x, 20.0), x - _LN2, log(sinh(x)))


def _is_normal(x):
    limits = np.finfo(x.dtype)
    return greater_equal(x, float(limits.tiny)) & less_equal(x, float(limits.max))


def _log_times_exp(x, y):
    size = exp(x)
    product = size * y
    near = (_is_normal(size) & _is_normal(product)) | ~greater(y, 0.0)
    return select(near, log(product), x + log(y))


def _log_exp_difference(x, y):
    difference = _exp_difference(x, y)
    far = less(y, x) & ~_is_normal(difference)
    apart = select(far, y - x, constant_like(x, -1.0))
    return select(far, x + _log1mexp(apart), log(difference))


def _series(x, *, start, coefficients):
    by = x
    if every_second(coefficients):
        by, coefficients = x * x, coefficients[::2]
    total = constant_like(x, coefficients[-1])
    for c in coefficients[-2::-1]:
        total = total * by + c
    return total * power(x, float(start)) if start else total


def _series_near_zero(x, direct, *, radius, start, coefficients):
    near = less(absolute(x), radius)
    inside = select(near, x, constant_like(x, 0.0))
    return select(near, _series(inside, start=start, coefficients=coefficients), direct)


def _difference_of_powers(x, y, *, n):
    if n == 2:
        return (x - y) * (x + y)
    if n == 3:
        return (x - y) * (x * x + (x * y + y * y))
    return (x - y) * ((x + y) * (x * x + y * y))


def _root_of_difference(x, y):
    x, y = absolute(x), absolute(y)
    return sqrt(x - y) * sqrt(x + y)


def _log_prod(x, *, axes):
    if not x.size:
        return NotImplemented
    product = prod(x, axes=axes)
    signs = select(less(x, 0.0), constant_like(x, -1.0), constant_like(x, 1.0))
    total = sum_(log(absolute(x)), axes=axes)
    negative = less(prod(signs, axes=axes), 0.0)
    far = select(negative, constant_like(total, np.nan), total)
    return select(_is_normal(absolute(product)), log(product), far)


def _safe_norm(x, *, axes):
    if not x.size:
        return NotImplemented
    largest = max_(absolute(x), axes=axes)
    inside = greater(largest, 0.0) & less(largest, math.inf)
    unit = select(inside, largest, constant_like(largest, 1.0))
    spread = broadcast(unit, shape=x.shape, axes=kept_axes(x.ndim, axes))
    part = x / spread
    far = unit * sqrt(sum_(part * part, axes=axes))
    square = sum_(x * x, axes=axes)
    limits = np.finfo(x.dtype)
    good = greater_equal(square, float(limits.tiny / limits.eps))
    good = good & less_equal(square, float(limits.max))
    return select(good, sqrt(square), far)


def _spread(reduced, like, axes):
    return broadcast(reduced, shape=like.shape, axes=kept_axes(like.ndim, axes))


def _sum_of_others(x, *, axes):
    zero, one = constant_like(x, 0.0), constant_like(x, 1.0)
    counted = select(equal(x, 0.0), zero, one)
    alone = less_equal(_spread(sum_(counted, axes=axes), x, axes), 1.0) & ~equal(x, 0.0)
    return select(alone, zero, _spread(sum_(x, axes=axes), x, axes) - x)


def _largest_apart(x, axes):
    largest = max_(x, axes=axes)
    finite = select(isfinite(largest), largest, constant_like(largest, 0.0))
    shifted = x - _spread(finite, x, axes)
    powers = exp(shifted)
    ties = equal(x, _spread(largest, x, axes))
    zero, one = constant_like(x, 0.0), constant_like(x, 1.0)
    count = sum_(select(ties, one, zero), axes=axes)
    rest = sum_(select(ties, zero, powers), axes=axes) + maximum(count - 1.0, 0.0)
    return shifted, powers, ties, _spread(rest, x, axes)


def _log_shares(x, *, axes):
    if not x.size:
        return NotImplemented
    shifted, _, _, rest = _largest_apart(x, axes)
    return shifted - log1p(rest)


def _other_shares(x, *, axes):
    if not x.size:
        return NotImplemented
    _, powers, ties, rest = _largest_apart(x, axes)
    return select(ties, rest, 1.0 + rest - powers) / (1.0 + rest)


def _of_floats(formula: Callable) -> Callable:
    def written_out(*inputs, **params):
        wide = any(x.dtype.itemsize > 2 for x in inputs)
        return formula(*inputs, **params) if wide else NotImplemented

    return written_out


_FORMULAS: dict[str, Callable] = {
        "log1mexp": _log1mexp, "exp_sum": _exp_sum, "exp_difference": _exp_difference,
        "log_cosh": _log_cosh, "pow1p": _pow1p, "log_expm1": _log_expm1, "log_sinh": _log_sinh,
        "log_times_exp": _log_times_exp, "log_exp_difference": _log_exp_difference,
        "series": _series, "series_near_zero": _series_near_zero,
        "far_difference": lambda x, y: x - y, "difference_of_powers": _difference_of_powers,
        "root_of_difference": _root_of_difference,
        "log_prod": _log_prod, "sum_of_others": _sum_of_others,
        "log_shares": _log_shares, "other_shares": _other_shares,
        "safe_norm": _safe_norm,
}  # fmt: skip
STABLE: dict[str, Callable] = {name: _of_floats(formula) for name, formula in _FORMULAS.items()}
