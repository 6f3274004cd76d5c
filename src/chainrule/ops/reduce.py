"""Reductions and scans along axes: prod, max, min, all, any, argmax, argmin, cumulative ones.

Value     NumPy's function, in the input's dtype (promotion is explicit in the program).
Slope     prod and cumprod by products of the other entries, so that zeros are exact; max and min
          split evenly over ties, and give nan where their value is nan; a running maximum follows
          the latest entry that holds the record.
Source    running products: the prefix scan of Hillis and Steele, CACM 29 (1986); the rest is ours.
"""

import math

import numpy as np

from chainrule import errors
from chainrule.ops.compare import equal, greater_equal
from chainrule.ops.elementwise import maximum, scale
from chainrule.ops.index import index, index_add
from chainrule.ops.join import concatenate
from chainrule.ops.select import cast, select
from chainrule.ops.shape import (
    add_batch_axis,
    broadcast,
    flip,
    iota,
    kept_axes,
    move_axis,
    reduced_type,
    reduction_batch,
    reshape,
    sum_,
    transpose,
)
from chainrule.ops.sort import along, axis_batch, searchsorted
from chainrule.program.op import Discrete, Forward, Linear, Op
from chainrule.program.types import Type, array_type

_INT64 = np.dtype(np.int64)


def _spread(reduced, like, axes):
    """A reduced array repeated back over the axes that were reduced."""
    return broadcast(reduced, shape=like.shape, axes=kept_axes(like.ndim, axes))


def _extreme_tangent(inputs, outputs, tangents, *, axes):
    """The mean of the tangents at the extreme entries; the ties are counted in float64."""
    (x,), (out,), (dx,) = inputs, outputs, tangents
    at_extreme = equal(x, _spread(out, x, axes))
    count = sum_(cast(at_extreme, dtype=np.dtype(np.float64)), axes=axes)
    weight = cast(1.0 / count, dtype=x.dtype)  # infinite where the extreme is nan: 0 * inf is nan
    share = cast(at_extreme, dtype=x.dtype) * _spread(weight, x, axes)
    return sum_(scale(share, dx), axes=axes)


def _reduction(name, ufunc, doc):
    return Op(
        name, reduced_type, lambda x, *, axes: ufunc.reduce(x, axes),
        Forward(_extreme_tangent), reduction_batch(lambda: BY_NAME[name]),
        flops=lambda ins, outs, params: ins[0].size, doc=doc,
    )  # fmt: skip


BY_NAME: dict[str, Op] = {}
max_ = BY_NAME["max"] = _reduction("max", np.maximum, "the largest over `axes`; nan if any is nan")
min_ = BY_NAME["min"] = _reduction("min", np.minimum, "the smallest over `axes`; nan if any is nan")


def _prod_tangent(inputs, outputs, tangents, *, axes):
    """Sum over i of dx_i times the product of all the other entries (no division)."""
    (x,), _, (dx,) = inputs, outputs, tangents
    kept = kept_axes(x.ndim, axes)
    count = math.prod(x.shape[a] for a in axes)
    flat_shape = (*(x.shape[a] for a in kept), count)
    last = len(kept)

    def flatten(y):
        return reshape(transpose(y, axes=(*kept, *axes)), shape=flat_shape)

    return sum_(scale(_products_of_others(flatten(x), last), flatten(dx)), axes=(last,))


def _products_of_others(x, axis: int):
    from_left = exclusive(cumprod, x, axis)
    from_right = flip(exclusive(cumprod, flip(x, axes=(axis,)), axis), axes=(axis,))
    return from_left * from_right


def exclusive(scan_op, x, axis: int):
    """The cumulative product of all entries before each one (1 for the first)."""
    return scan_op(shifted(x, axis, 1, 1), axis=axis) if x.shape[axis] else x


prod: Op = Op(
    "prod", reduced_type, lambda x, *, axes: np.multiply.reduce(x, axes, dtype=x.dtype),
    Forward(_prod_tangent), reduction_batch(lambda: prod),
    flops=lambda ins, outs, params: ins[0].size, doc="the product over `axes`",
)  # fmt: skip


def _bool_type(x: Type, *, axes) -> tuple[Type, ...]:
    return (reduced_type(x, axes=axes)[0].with_dtype(bool),)


all_: Op = Op(
    "all", _bool_type, lambda x, *, axes: np.logical_and.reduce(x, axes), Discrete(),
    reduction_batch(lambda: all_), doc="True where every entry over `axes` is nonzero",
)  # fmt: skip
any_: Op = Op(
    "any", _bool_type, lambda x, *, axes: np.logical_or.reduce(x, axes), Discrete(),
    reduction_batch(lambda: any_), doc="True where some entry over `axes` is nonzero",
)  # fmt: skip


def _arg_type(x: Type, *, axis) -> tuple[Type, ...]:
    return (array_type(x.shape[:axis] + x.shape[axis + 1 :], _INT64),)


argmax: Op = Op(
    "argmax", _arg_type, lambda x, *, axis: np.argmax(x, axis), Discrete(),
    axis_batch(lambda: argmax), doc="the index of the first largest entry along `axis`",
)  # fmt: skip
argmin: Op = Op(
    "argmin", _arg_type, lambda x, *, axis: np.argmin(x, axis), Discrete(),
    axis_batch(lambda: argmin), doc="the index of the first smallest entry along `axis`",
)  # fmt: skip


def _segment_type(x: Type, starts: Type, *, axis) -> tuple[Type, ...]:
    if starts.ndim != 1 or starts.dtype != np.int64:
        raise errors.ShapeError(f"segment_sum needs a sequence of starts, got {starts}.")
    return (x.with_shape(x.shape[:axis] + starts.shape + x.shape[axis + 1 :]),)


def _segment_sum_transpose(ct, x, starts, *, axis):
    """Each entry receives the cotangent of its segment; those before the first start, zero."""
    counting = iota(size=x.shape[axis], dtype=_INT64)
    segment = searchsorted(starts, counting, side="right", lead=0) - np.int64(1)
    inside = greater_equal(segment, np.int64(0))
    places = broadcast(maximum(segment, np.int64(0)), shape=x.shape, axes=(axis,))
    mask = broadcast(inside, shape=x.shape, axes=(axis,))
    return select(mask, along(ct, places, axis), ct.dtype.type(0)), None


def _segment_sum_batch(size, inputs, batched, *, axis):
    x, starts = inputs
    if not batched[1]:
        return segment_sum(x, starts, axis=axis + 1)
    x = x if batched[0] else add_batch_axis(x, size)
    return _scattered(size, move_axis(x, axis + 1, 1), starts, axis)


def _scattered(size: int, x, starts, axis: int):
    """Segments that differ between lanes: each entry is added to its own; x is (size, n, rest)."""
    n, count = x.shape[1], starts.shape[1]
    lanes = broadcast(iota(size=size, dtype=_INT64), shape=(size, n), axes=(0,))
    counting = broadcast(iota(size=n, dtype=_INT64), shape=(size, n), axes=(1,))
    segment = searchsorted(starts, counting, side="right", lead=1)  # 0 is before the first
    rest = x.shape[2:]
    zeros = broadcast(x.dtype.type(0), shape=(size, count + 1, *rest), axes=())
    whole = tuple((0, m, 1) for m in rest)
    totals = index_add(zeros, x, lanes, segment, at=whole)
    return move_axis(index(totals, at=((0, size, 1), (1, count + 1, 1), *whole)), 1, axis + 1)


segment_sum: Op = Op(
    "segment_sum", _segment_type,
    lambda x, starts, *, axis: np.add.reduceat(x, starts, axis, dtype=x.dtype),
    Linear(_segment_sum_transpose, positions=(0,)), _segment_sum_batch,
    flops=lambda ins, outs, params: ins[0].size,
    doc="sums along `axis` from each of the rising starts up to the next",
)  # fmt: skip


def _same_type(x: Type, *, axis) -> tuple[Type, ...]:
    return (x,)


def _cumsum_transpose(ct, x, *, axis):
    return (flip(cumsum(flip(ct, axes=(axis,)), axis=axis), axes=(axis,)),)


cumsum: Op = Op(
    "cumsum", _same_type, lambda x, *, axis: np.add.accumulate(x, axis, dtype=x.dtype),
    Linear(_cumsum_transpose),
    axis_batch(lambda: cumsum), doc="running sums along `axis`",
)  # fmt: skip


def _cumprod_tangent(inputs, outputs, tangents, *, axis):
    """The recurrence t[j] = x[j] t[j-1] + dx[j] out[j-1], in log2(n) rounds and without division.

    After a round of reach s, `carry[j]` is the product of the s entries up to j and `t[j]` holds
    the terms whose dx lies among them: (a, s) then (b, t) compose to (a b, b s + t).
    """
    (x,), _, (dx,) = inputs, outputs, tangents
    n = x.shape[axis]
    tangent, carry, reach = scale(exclusive(cumprod, x, axis), dx), x, 1
    while reach < n:
        tangent = tangent + scale(carry, shifted(tangent, axis, reach, 0))
        carry = carry * shifted(carry, axis, reach, 1)
        reach *= 2
    return tangent


def shifted(x, axis: int, by: int, fill: int):
    """x moved `by` places up along an axis; the places that become free hold `fill`."""
    n = x.shape[axis]
    kept = tuple((0, n - by if a == axis else m, 1) for a, m in enumerate(x.shape))
    return preceded(index(x, at=kept), axis, by, fill)


def preceded(x, axis: int, by: int, fill: int):
    """x with `by` entries `fill` before it along an axis."""
    shape = tuple(by if a == axis else n for a, n in enumerate(x.shape))
    return concatenate(broadcast(x.dtype.type(fill), shape=shape, axes=()), x, axis=axis)


cumprod: Op = Op(
    "cumprod", _same_type, lambda x, *, axis: np.multiply.accumulate(x, axis, dtype=x.dtype),
    Forward(_cumprod_tangent), axis_batch(lambda: cumprod), doc="running products along `axis`",
)  # fmt: skip


def _running_extreme_tangent(inputs, outputs, tangents, *, axis):
    """The tangent of the latest entry that holds the record."""
    (x,), (out,), (dx,) = inputs, outputs, tangents
    counting = iota(size=x.shape[axis], dtype=_INT64)
    number = broadcast(counting, shape=x.shape, axes=(axis,))
    record = cummax(select(equal(x, out), number, np.int64(0)), axis=axis)
    return along(dx, record, axis)


cummax: Op = Op(
    "cummax", _same_type, lambda x, *, axis: np.maximum.accumulate(x, axis),
    Forward(_running_extreme_tangent), axis_batch(lambda: cummax), doc="running maximum",
)  # fmt: skip
cummin: Op = Op(
    "cummin", _same_type, lambda x, *, axis: np.minimum.accumulate(x, axis),
    Forward(_running_extreme_tangent), axis_batch(lambda: cummin), doc="running minimum",
)  # fmt: skip
