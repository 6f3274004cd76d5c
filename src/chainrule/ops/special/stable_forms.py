"""What rewriting for stability puts in place of formulas that lose digits or overflow.

    log1mexp(x)       log(1 - e^x), x <= 0
    exp_sum(x, y)     e^(x + y): the rounding error of the sum is made good
    exp_difference    e^x - e^y
    log_cosh(x)       log(cosh(x))
    pow1p(x, y)       (1 + x)^y
    log_expm1(x), log_sinh(x), log_times_exp(x, y) = log(y e^x), log_exp_difference(x, y)
    series_near_zero  a series near 0, a difference further out
    series(x)         x^start (c_0 + c_1 x + c_2 x^2 + ...), by Horner's rule
    log_prod(x)       log(prod(x)) over axes
    safe_norm(x)      sqrt(sum(x^2)) over axes

Value     to a few units in the last place, wherever the true value is a number.
Source    log1mexp: Maechler, "Accurately computing log(1 - exp(-|a|))", 2012; the rest is ours.
"""

from __future__ import annotations

import math
import operator
from collections.abc import Callable

import numpy as np

from chainrule.ops.compare import equal, less
from chainrule.ops.elementwise import (
    absolute,
    cosh,
    exp,
    expm1,
    log,
    log1p,
    scale,
    sinh,
    sqrt,
    tanh,
)
from chainrule.ops.reduce import prod
from chainrule.ops.select import constant_like, select
from chainrule.ops.shape import broadcast, kept_axes, reduced_type, reduction_batch, sum_
from chainrule.ops.special.logistic import softmax
from chainrule.ops.special.polynomials import written_out
from chainrule.ops.special.scipy_functions import elementwise_family
from chainrule.program.op import Edge, Forward, Linear, Op, elementwise

_LN2 = math.log(2.0)


def _log1mexp(x):
    with np.errstate(all="ignore"):
        return np.where(x > -_LN2, np.log(-np.expm1(x)), np.log1p(-np.exp(x))).astype(x.dtype)[()]


log1mexp: Op = elementwise(
    "log1mexp", _log1mexp, (lambda x, out: -1.0 / expm1(-x),), "float",
    edges=(Edge(-math.inf, 0.0, 0.0), Edge(0.0, -math.inf)), flops=40,
    doc="log(1 - e^x), x <= 0",
)  # fmt: skip


def _exp_sum(x, y):
    with np.errstate(all="ignore"):
        total = x + y
        part = total - x
        lost = (x - (total - part)) + (y - part)
        out = np.exp(total)
        return np.where(np.isfinite(lost) & np.isfinite(out), out + out * lost, out).astype(
            out.dtype)[()]  # fmt: skip


exp_sum: Op = elementwise(
    "exp_sum", _exp_sum, (lambda x, y, out: out, lambda x, y, out: out), "float", flops=30,
    doc="e^(x + y), with the rounding error of the sum made good",
)  # fmt: skip


def _exp_difference(x, y):
    with np.errstate(all="ignore"):
        low, high = np.minimum(x, y), np.maximum(x, y)
        size = np.where(
            high - low < 1.0, np.exp(low) * np.expm1(high - low), np.exp(high) - np.exp(low)
        )
        return np.where(x < y, -size, size).astype(size.dtype)[()]


exp_difference: Op = elementwise(
    "exp_difference", _exp_difference, (lambda x, y, out: exp(x), lambda x, y, out: -exp(y)),
    "float", flops=60, doc="e^x - e^y, accurate where x is near y",
)  # fmt: skip


def _log_cosh(x):
    with np.errstate(all="ignore"):
        size = np.abs(x)
        half = np.sinh(0.5 * np.minimum(size, 1.0))
        far = (size - _LN2) + np.log1p(np.exp(-2.0 * size))
        return np.where(size < 1.0, np.log1p(2.0 * half * half), far).astype(x.dtype)[()]


log_cosh: Op = elementwise(
    "log_cosh", _log_cosh, (lambda x, out: tanh(x),), "float",
    edges=(Edge(0.0, 0.0, 0.0), Edge(math.inf, math.inf, 1.0)), flops=60, doc="log(cosh(x))",
)  # fmt: skip


def _pow1p(x, y):
    """(s + lost)^y with s = 1 + x rounded: s^y exp(y lost / s)."""
    with np.errstate(all="ignore"):
        s = 1.0 + x
        part = s - 1.0
        lost = (1.0 - (s - part)) + (x - part)
        lost = np.where(np.isfinite(lost) & (s != 0), lost / s, 0)
        return (np.power(s, y) * np.exp(y * lost)).astype(np.result_type(x, y))[()]


pow1p: Op = elementwise(
    "pow1p", _pow1p,
    (lambda x, y, out: scale(y, pow1p(x, y - 1.0)), lambda x, y, out: scale(out, log1p(x))),
    "float", ulps=16, flops=80, doc="(1 + x)^y, accurate for small x",
)  # fmt: skip


# --- logarithms of exponentials -------------------------------------------------------------------


def _normal(x):
    limits = np.finfo(x.dtype)
    return (x >= limits.tiny) & (x <= limits.max)


def _log_expm1(x):
    with np.errstate(all="ignore"):
        return np.where(x > 30.0, x, np.log(np.expm1(x))).astype(x.dtype)[()]


log_expm1: Op = elementwise(
    "log_expm1", _log_expm1, (lambda x, out: -1.0 / expm1(-x),), "float", flops=40,
    edges=(Edge(math.inf, math.inf, 1.0),), doc="log(e^x - 1), x >= 0",
)  # fmt: skip


def _log_sinh(x):
    with np.errstate(all="ignore"):
        return np.where(x > 20.0, x - _LN2, np.log(np.sinh(x))).astype(x.dtype)[()]


log_sinh: Op = elementwise(
    "log_sinh", _log_sinh, (lambda x, out: 1.0 / tanh(x),), "float", flops=40,
    edges=(Edge(math.inf, math.inf, 1.0),), doc="log(sinh(x)), x >= 0",
)  # fmt: skip


def _log_times_exp(x, y):
    with np.errstate(all="ignore"):
        power = np.exp(x)
        product = power * y
        near = (_normal(power) & _normal(product)) | ~(y > 0)
        return np.where(near, np.log(product), x + np.log(y)).astype(product.dtype)[()]


log_times_exp: Op = elementwise(
    "log_times_exp", _log_times_exp, (lambda x, y, out: 1.0, lambda x, y, out: 1.0 / y), "float",
    flops=60, doc="log(y e^x)",
)  # fmt: skip


def _log_exp_difference(x, y):
    with np.errstate(all="ignore"):
        difference = np.asarray(_exp_difference(x, y))
        far = (y < x) & ~_normal(difference)
        apart = np.where(far, y - x, -1.0)
        return np.where(far, x + _log1mexp(apart), np.log(difference)).astype(difference.dtype)[()]


log_exp_difference: Op = elementwise(
    "log_exp_difference", _log_exp_difference,
    (lambda x, y, out: -1.0 / expm1(y - x), lambda x, y, out: -1.0 / expm1(x - y)), "float",
    ulps=16, flops=100, doc="log(e^x - e^y), y <= x",
)  # fmt: skip


def every_second(coefficients: tuple[float, ...]) -> bool:
    """Whether the powers of a series are c_0, c_2 x^2, c_4 x^4 and so on: summed by x^2."""
    return len(coefficients) > 2 and not any(coefficients[1::2])


def _series(x, *, start, coefficients):
    by = x
    if every_second(coefficients):
        by, coefficients = x * x, coefficients[::2]
    total = np.full_like(x, coefficients[-1])
    for c in coefficients[-2::-1]:
        total = total * by + x.dtype.type(c)
    return (total * np.power(x, x.dtype.type(start)) if start else total)[()]


def _series_slope(x, out, *, start, coefficients):
    if start:
        slopes = tuple([c * (start + k) for k, c in enumerate(coefficients)])
        return series(x, start=start - 1, coefficients=slopes)
    slopes = tuple([c * k for k, c in enumerate(coefficients[1:], 1)]) or (0.0,)
    skipped = int(len(slopes) > 1 and not slopes[0])  # so that `every_second` stays so
    return series(x, start=skipped, coefficients=slopes[skipped:])


series: Op = elementwise_family(
    "series", _series, (_series_slope,), flops=40,
    doc="x^start (c_0 + c_1 x + c_2 x^2 + ...), the coefficients given",
)  # fmt: skip


def _series_near_zero(x, direct, *, radius, start, coefficients):
    near = np.abs(x) < radius
    with np.errstate(all="ignore"):
        inside = np.where(near, x, 0).astype(direct.dtype)
        summed = _series(inside, start=start, coefficients=coefficients)
        return np.where(near, summed, direct).astype(direct.dtype)[()]


def _near_zero_slope(x, direct, out, *, radius, start, coefficients):
    near = less(absolute(x), radius)
    inside = select(near, x, constant_like(x, 0.0))
    slope = _series_slope(inside, out, start=start, coefficients=coefficients)
    return select(near, slope, constant_like(x, 0.0))


def _near_zero_pass(x, direct, out, *, radius, start, coefficients):
    near = less(absolute(x), radius)
    return select(near, constant_like(x, 0.0), constant_like(x, 1.0))


series_near_zero: Op = elementwise_family(
    "series_near_zero", _series_near_zero, (_near_zero_slope, _near_zero_pass), flops=50,
    doc="`series` where |x| < `radius`, else the second operand, which is the same in exact terms",
)  # fmt: skip

def _difference_of_powers(x, y, *, n):
    with np.errstate(all="ignore"):
        rest = {2: x + y, 3: x * x + (x * y + y * y), 4: (x + y) * (x * x + y * y)}[n]
        return (x - y) * rest


difference_of_powers: Op = elementwise_family(
    "difference_of_powers", _difference_of_powers,
    (lambda x, y, out, *, n: n * x ** (n - 1.0), lambda x, y, out, *, n: -n * y ** (n - 1.0)),
    flops=8, doc="x^n - y^n for n = 2, 3, 4, accurate where x is near y",
)  # fmt: skip


def _root_of_difference(x, y):
    with np.errstate(all="ignore"):
        x, y = np.abs(x), np.abs(y)
        return np.sqrt(x - y) * np.sqrt(x + y)


root_of_difference: Op = elementwise(
    "root_of_difference", _root_of_difference,
    (lambda x, y, out: x / out, lambda x, y, out: -y / out), "float", ulps=8, flops=8,
    doc="sqrt(x^2 - y^2), whose squares neither overflow nor cancel",
)  # fmt: skip
far_difference: Op = elementwise(
    "far_difference", operator.sub, (lambda x, y, out: 1.0, lambda x, y, out: -1.0), "float",
    doc="x - y, which is read where it does not cancel",
)  # fmt: skip


# --- over axes ------------------------------------------------------------------------------------


def _log_prod(x, *, axes):
    with np.errstate(all="ignore"):
        product = np.multiply.reduce(x, axes)
        size = np.abs(product)
        tiny, huge = np.finfo(x.dtype).tiny, np.finfo(x.dtype).max
        total = np.add.reduce(np.log(np.abs(x)), axes)
        negative = np.multiply.reduce(np.sign(x), axes) < 0
        far = np.where(negative, x.dtype.type(np.nan), total)
        return np.where((size >= tiny) & (size <= huge), np.log(product), far).astype(x.dtype)[()]


def _log_prod_tangent(inputs, outputs, tangents, *, axes):
    (x,), (dx,) = inputs, tangents
    return sum_(scale(1.0 / x, dx), axes=axes)


log_prod: Op = Op(
    "log_prod", reduced_type, _log_prod, Forward(_log_prod_tangent),
    reduction_batch(lambda: log_prod), flops=lambda ins, outs, params: 30 * ins[0].size,
    doc="log(prod(x)) over `axes`; a product that is no float64 number is no obstacle",
)  # fmt: skip



def _safe_norm(x, *, axes):
    """The norm; where its square is no normal number, of the entries over the largest."""
    with np.errstate(all="ignore"):
        square = np.add.reduce(x * x, axes)
        limits = np.finfo(x.dtype)
        good = (square >= limits.tiny / limits.eps) & (square <= limits.max)
        if np.all(good):
            return np.sqrt(square)
        largest = np.maximum.reduce(np.abs(x), axes, keepdims=True, initial=0)
        unit = np.where((largest > 0) & (largest < math.inf), largest, 1).astype(x.dtype)
        far = unit.reshape(np.shape(square)) * np.sqrt(np.add.reduce((x / unit) ** 2, axes))
        return np.where(good, np.sqrt(square), far).astype(x.dtype)[()]


def _safe_norm_tangent(inputs, outputs, tangents, *, axes):
    (x,), (out,), (dx,) = inputs, outputs, tangents
    spread = broadcast(out, shape=x.shape, axes=kept_axes(x.ndim, axes))
    at_origin = equal(spread, x.dtype.type(0))
    size = select(at_origin, x.dtype.type(1), spread)
    return sum_(scale(select(at_origin, x.dtype.type(0), x / size), dx), axes=axes)


safe_norm: Op = Op(
    "safe_norm", reduced_type, _safe_norm, Forward(_safe_norm_tangent),
    reduction_batch(lambda: safe_norm), flops=lambda ins, outs, params: 4 * ins[0].size,
    doc="the Euclidean norm over `axes`, whose squares neither overflow nor vanish",
)  # fmt: skip


# --- logarithms of shares -------------------------------------------------------------------------


def _same_type(x, *, axes):
    return (x,)


def _sum_of_others(x, *, axes):
    """The sum over `axes` less each entry, without subtracting where one entry is alone."""
    total = np.add.reduce(x, axes, keepdims=True)
    alone = np.add.reduce(x != 0, axes, keepdims=True) <= 1
    return np.where(alone & (x != 0), 0, total - x).astype(x.dtype)[()]


sum_of_others: Op = Op(
    "sum_of_others", _same_type, _sum_of_others,
    Linear(lambda ct, x, *, axes: (sum_of_others(ct, axes=axes),)),
    reduction_batch(lambda: sum_of_others), flops=lambda ins, outs, params: 4 * ins[0].size,
    doc="the sum over `axes` of all entries but each, in its place",
)  # fmt: skip


def _largest_apart(x, axes):
    """x less its largest entry, the exponentials, and the sum of those but one largest."""
    largest = np.maximum.reduce(x, axes, keepdims=True)
    shifted = x - np.where(np.isfinite(largest), largest, x.dtype.type(0))
    powers = np.exp(shifted)
    ties = x == largest
    count = np.add.reduce(ties, axes, keepdims=True, dtype=x.dtype)
    rest = np.add.reduce(np.where(ties, 0, powers), axes, keepdims=True, dtype=x.dtype)
    return shifted, powers, ties, rest + np.maximum(count - 1, 0)


def _log_shares(x, *, axes):
    if x.size == 0:
        return x
    with np.errstate(all="ignore"):
        shifted, _, _, rest = _largest_apart(x, axes)
        return (shifted - np.log1p(rest)).astype(x.dtype)[()]


def _other_shares(x, *, axes):
    if x.size == 0:
        return x
    with np.errstate(all="ignore"):
        _, powers, ties, rest = _largest_apart(x, axes)
        return (np.where(ties, rest, 1 + rest - powers) / (1 + rest)).astype(x.dtype)[()]


def _other_shares_tangent(inputs, outputs, tangents, *, axes):
    (x,), (out,), (dx,) = inputs, outputs, tangents
    share = softmax(x, axes=axes)
    return scale(share, sum_of_others(scale(share, dx), axes=axes)) - scale(scale(share, out), dx)


other_shares: Op = Op(
    "other_shares", _same_type, _other_shares, Forward(_other_shares_tangent),
    reduction_batch(lambda: other_shares), flops=lambda ins, outs, params: 14 * ins[0].size,
    doc="1 - softmax(x) over `axes`, accurate where that is near 0",
)  # fmt: skip


def _log_shares_tangent(inputs, outputs, tangents, *, axes):
    (x,), (dx,) = inputs, tangents
    others = sum_of_others(scale(softmax(x, axes=axes), dx), axes=axes)
    return scale(other_shares(x, axes=axes), dx) - others


log_shares: Op = Op(
    "log_shares", _same_type, _log_shares, Forward(_log_shares_tangent),
    reduction_batch(lambda: log_shares), flops=lambda ins, outs, params: 14 * ins[0].size,
    doc="log(softmax(x)) over `axes`, accurate where that is near 0; its slope too",
)  # fmt: skip


def _plain_shares(x, axes):
    powers = exp(x)
    total = sum_(powers, axes=axes)
    return powers / broadcast(total, shape=x.shape, axes=kept_axes(x.ndim, axes))


def _plain_sum_of_others(x, *, axes):
    total = sum_(x, axes=axes)
    return broadcast(total, shape=x.shape, axes=kept_axes(x.ndim, axes)) - x


def _plain_series(x, *, start, coefficients):
    """By the numbers that coefficients are rounded from: what is a series near 0 is elsewhere the
    formula itself, and what has been derived of the one must cancel with the other."""
    total = constant_like(x, coefficients[-1])
    for c in coefficients[-2::-1]:
        total = total * x + c
    return total * x ** float(start) if start else total


# What each operation stands for, in exact arithmetic.
MEANINGS: dict[str, Callable] = {
    "log1mexp": lambda x: log(1.0 - exp(x)),
    "exp_sum": lambda x, y: exp(x + y),
    "exp_difference": lambda x, y: exp(x) - exp(y),
    "log_cosh": lambda x: log(cosh(x)),
    "pow1p": lambda x, y: (1.0 + x) ** y,
    "log_expm1": lambda x: log(expm1(x)),
    "log_sinh": lambda x: log(sinh(x)),
    "log_times_exp": lambda x, y: log(y * exp(x)),
    "log_exp_difference": lambda x, y: log(exp(x) - exp(y)),
    "series": _plain_series,
    "series_near_zero": lambda x, direct, **params: direct,
    "far_difference": lambda x, y: x - y,
    "difference_of_powers": lambda x, y, *, n: x ** float(n) - y ** float(n),
    "root_of_difference": lambda x, y: sqrt(x * x - y * y),
    "polynomial": written_out,
    "log_prod": lambda x, *, axes: log(prod(x, axes=axes)),
    "sum_of_others": _plain_sum_of_others,
    "log_shares": lambda x, *, axes: log(_plain_shares(x, axes)),
    "other_shares": lambda x, *, axes: 1.0 - _plain_shares(x, axes),
    "safe_norm": lambda x, *, axes: sqrt(sum_(x * x, axes=axes)),
}
