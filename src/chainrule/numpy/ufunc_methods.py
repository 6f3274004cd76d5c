"""The methods of NumPy's ufuncs on traced values: reduce, accumulate, reduceat, outer, at.

A ufunc with an operation of its own for a reduction or a running one (add, multiply, maximum,
logical_and, ...) uses it; any other is unrolled along the axis, one equation an entry.
"""

from __future__ import annotations

from itertools import pairwise

import numpy as np

from chainrule import errors
from chainrule.numpy import nan_reductions, reductions
from chainrule.numpy.indexing import add_at, reshape_to
from chainrule.numpy.promotion import broadcast_shape, broadcast_to, cast_to, shape_of, traced
from chainrule.numpy.reductions import NOTHING, filled_where, reduced_axes, stored, with_axes_kept
from chainrule.numpy.shaping import array, axis_index
from chainrule.numpy.ufuncs import METHODS, apply_ufunc, store
from chainrule.ops import reduce
from chainrule.ops.index import index
from chainrule.program.text import line_text
from chainrule.program.trace import Traced, concrete_value, is_traced, user_line


def _check_binary(ufunc, method: str) -> None:
    if ufunc.nin != 2 or ufunc.nout != 1 or ufunc.signature is not None:
        raise ValueError(f"{method} only supported for binary functions")


def _single(out):
    return out[0] if isinstance(out, tuple) else out


# --- reduce -------------------------------------------------------------------------------------


def _by_truth(over):
    def reduce_(x, axis, dtype, keepdims, initial, where):
        found = over(x, axis, keepdims=keepdims, where=where)
        ufunc = np.logical_and if over is reductions.all_over else np.logical_or
        return found if initial in (NOTHING, None) else ufunc(found, initial)

    return reduce_


def _by_extreme(extreme, ufunc, op, identity):
    def reduce_(x, axis, dtype, keepdims, initial, where):
        x = x if dtype is None else cast_to(x, np.dtype(dtype))
        return extreme(ufunc, op, identity, x, axis, keepdims, initial, where)

    return reduce_


def _by_total(over):
    def reduce_(x, axis, dtype, keepdims, initial, where):
        return over(x, axis, dtype, None, keepdims, initial, where)

    return reduce_


_MAX, _MIN = (reduce.max_, reductions.lowest), (reduce.min_, reductions.highest)
REDUCTIONS = {
    np.add: _by_total(reductions.sum_over),
    np.multiply: _by_total(reductions.prod),
    np.maximum: _by_extreme(reductions.extreme, np.maximum, *_MAX),
    np.minimum: _by_extreme(reductions.extreme, np.minimum, *_MIN),
    np.fmax: _by_extreme(nan_reductions.extreme_ignoring_nan, np.fmax, *_MAX),
    np.fmin: _by_extreme(nan_reductions.extreme_ignoring_nan, np.fmin, *_MIN),
    np.logical_and: _by_truth(reductions.all_over),
    np.logical_or: _by_truth(reductions.any_over),
}


def ufunc_reduce(
    ufunc, array_, axis=0, dtype=None, out=None, keepdims=False, initial=NOTHING, where=True
):
    """ufunc.reduce"""
    _check_binary(ufunc, "reduce")
    x = array(array_)
    found = REDUCTIONS.get(ufunc)
    if found is not None:
        result = found(x, axis, dtype, keepdims, initial, where)
    else:
        result = _unrolled(ufunc, x, axis, dtype, keepdims, initial, where)
    return stored(result, _single(out), ufunc)


def _unrolled(ufunc, x: Traced, axis, dtype, keepdims, initial, where):
    """ufunc(ufunc(x[0], x[1]), x[2]) ... along the axes, one after the other."""
    x = x if dtype is None else cast_to(x, np.dtype(dtype))
    axes = reduced_axes(x, axis)
    if len(axes) > 1 and ufunc.identity is None:
        raise errors.ShapeError(
            f"reduction operation '{ufunc.__name__}' is not reorderable, so at most one axis may "
            f"be specified, at {line_text(user_line())}"
        )
    if where is not True:
        if ufunc.identity is None:
            raise errors.ShapeError(
                f"reduction operation '{ufunc.__name__}' does not have an identity, so to use a "
                f"where mask one has to specify 'initial', at {line_text(user_line())}"
            )
        x = filled_where(x, where, ufunc.identity)
    start = None if initial is NOTHING or initial is None else cast_to(initial, x.dtype)
    total = x
    for a in reversed(axes):
        total = _folded(ufunc, total, a, start if a == axes[0] else None)
    return with_axes_kept(total, x, axes, keepdims)


def entry(x: Traced, axis: int, i: int) -> Traced:
    """x[i] along an axis, which is dropped."""
    return index(x, at=tuple(i if a == axis else (0, n, 1) for a, n in enumerate(x.shape)))


def _folded(ufunc, x: Traced, axis: int, start) -> Traced:
    """The entries along an axis combined one after the other, from `start` where it is given."""
    n = x.shape[axis]
    if n == 0 and start is not None:
        return broadcast_to(traced(start), x.shape[:axis] + x.shape[axis + 1 :])
    if n == 0:
        if ufunc.identity is None:
            raise errors.ShapeError(
                f"zero-size array to reduction operation {ufunc.__name__} which has no identity, "
                f"at {line_text(user_line())}"
            )
        shape = tuple(m for a, m in enumerate(x.shape) if a != axis)
        return broadcast_to(traced(x.dtype.type(ufunc.identity)), shape)
    total = entry(x, axis, 0)
    total = total if start is None else apply_ufunc(ufunc, start, total)
    for i in range(1, n):
        total = apply_ufunc(ufunc, total, entry(x, axis, i))
    return total


# --- accumulate ---------------------------------------------------------------------------------


def _by_sum(op):
    return lambda x, axis, dtype: reductions.running(op, x, axis, dtype)


def _by_record(op):
    def accumulate(x, axis, dtype):
        return op(x if dtype is None else cast_to(x, np.dtype(dtype)), axis=axis)

    return accumulate


ACCUMULATIONS = {
    np.add: _by_sum(reduce.cumsum),
    np.multiply: _by_sum(reduce.cumprod),
    np.maximum: _by_record(reduce.cummax),
    np.minimum: _by_record(reduce.cummin),
}


def ufunc_accumulate(ufunc, array_, axis=0, dtype=None, out=None, where=True):
    """ufunc.accumulate"""
    _check_binary(ufunc, "accumulate")
    x = array(array_)
    if not x.ndim:
        raise TypeError("cannot accumulate on a scalar")
    axis = axis_index(axis, x.ndim)
    found = ACCUMULATIONS.get(ufunc, lambda *arguments: _accumulated(ufunc, *arguments))
    return stored(found(x, axis, dtype), _single(out), ufunc)


def _accumulated(ufunc, x: Traced, axis: int, dtype):
    x = x if dtype is None else cast_to(x, np.dtype(dtype))
    if not x.shape[axis]:
        return x.copy()
    parts = [entry(x, axis, 0)]
    for i in range(1, x.shape[axis]):
        parts.append(apply_ufunc(ufunc, parts[-1], entry(x, axis, i)))
    parts[0] = cast_to(parts[0], parts[-1].dtype)
    return np.stack(parts, axis=axis)


# --- reduceat -----------------------------------------------------------------------------------


def ufunc_reduceat(ufunc, array_, indices, axis=0, dtype=None, out=None, where=True):
    """ufunc.reduceat: the reduction of x[i:j] for each two neighbours i, j in `indices`"""
    _check_binary(ufunc, "reduceat")
    x = array(array_)
    axis = axis_index(axis, x.ndim)
    n = x.shape[axis]
    places = concrete_value(indices) if is_traced(indices) else np.asarray(indices)
    if places is None:
        raise errors.ConcreteValueNeeded(
            f"np.{ufunc.__name__}.reduceat needs the value of its indices, at "
            f"{line_text(user_line())}, and this trace has none at hand."
        )
    places = [int(i) for i in places]
    for i in places:
        if not 0 <= i < n:
            raise errors.IndexOutOfRange(
                f"index {i} out-of-bounds in {ufunc.__name__}.reduceat [0, {n}), "
                f"at {line_text(user_line())}"
            )
    if ufunc is np.add and all(i < j for i, j in pairwise(places)):
        x = reductions.accumulator(x, dtype)
        starts = array(indices) if places else traced(np.zeros(0, np.int64))
        total = reduce.segment_sum(x, cast_to(starts, np.dtype(np.int64)), axis=axis)
        return stored(total, _single(out), ufunc)
    parts = []
    for i, j in zip(places, [*places[1:], n], strict=True):
        cut = tuple((i, max(j, i + 1), 1) if a == axis else (0, m, 1)
                    for a, m in enumerate(x.shape))  # fmt: skip
        parts.append(ufunc_reduce(ufunc, index(x, at=cut), axis, dtype))
    return stored(np.stack(parts, axis=axis), _single(out), ufunc)


# --- outer --------------------------------------------------------------------------------------


def ufunc_outer(ufunc, a, b, out=None, where=True, dtype=None, **options):
    """ufunc.outer: of every entry of a with every entry of b"""
    _check_binary(ufunc, "outer")
    a, b = (v if shape_of(v) == () else array(v) for v in (a, b))
    if shape_of(a):
        a = reshape_to(a, (*shape_of(a), *(1,) * len(shape_of(b))))
    if dtype is not None:
        a, b = (cast_to(traced(v), np.dtype(dtype)) for v in (a, b))
    result = apply_ufunc(ufunc, a, b)
    out = _single(out)
    return result if out is None and where is True else store(result, out, where, ufunc)


# --- at -----------------------------------------------------------------------------------------


def ufunc_at(ufunc, a, indices, b=None, **options):
    """ufunc.at: in place and without buffering, so that an index that repeats counts each time"""
    if not is_traced(a):
        raise errors.MutationError(
            f"np.{ufunc.__name__}.at would write traced values into a plain array, at "
            f"{line_text(user_line())}: the derivative would be lost.\n  Make the array inside the "
            "function with cr.numpy.zeros(...), or pass it as an argument."
        )
    if ufunc is np.add or ufunc is np.subtract:
        b = array(b)
        add_at(a, indices, b if ufunc is np.add else -b)
        return
    if ufunc.nin > 2 or ufunc.nout != 1:
        raise ValueError("Only single output ufuncs supported at this time")
    _write_in_rounds(ufunc, a, indices, b)


def _write_in_rounds(ufunc, a: Traced, indices, b) -> None:
    """Write the first occurrences of every index, then the second ones, and so on."""
    rounds = _rounds(ufunc, a, indices)
    if rounds is None:  # no index arrays, so nothing repeats
        a[indices] = apply_ufunc(ufunc, a[indices], *([] if b is None else [b]))
        return
    arrays, masks = rounds
    shape = shape_of(a[arrays])
    values = None if b is None else broadcast_to(array(b), broadcast_shape(shape_of(b), shape))
    for mask in masks:
        key = tuple(i[mask] for i in arrays)
        now = a[key]
        a[key] = apply_ufunc(ufunc, now, *([] if values is None else [values[mask]]))


def _rounds(ufunc, a: Traced, indices):
    """(index arrays of one shape, masks over that shape of the entries to write together)"""
    entries = indices if isinstance(indices, tuple) else (indices,)
    arrays = [e for e in entries if not (e is None or e is Ellipsis or isinstance(e, slice))]
    if len(arrays) < len(entries):
        if any(shape_of(e) for e in arrays):
            raise errors.NotSupported(
                f"np.{ufunc.__name__}.at with slices beside index arrays is not supported on "
                f"traced values, at {line_text(user_line())}."
            )
        return None
    plain = [concrete_value(e) if is_traced(e) else np.asarray(e) for e in entries]
    if any(e is None for e in plain):
        raise errors.ConcreteValueNeeded(
            f"np.{ufunc.__name__}.at needs the value of its indices, at "
            f"{line_text(user_line())}, and this trace has none at hand. np.add.at does not."
        )
    if any(e.dtype == np.bool_ for e in plain) or not any(e.ndim for e in plain):
        return None
    pairs = zip(plain, a.shape, strict=False)
    places = np.broadcast_arrays(*[np.where(e < 0, e + n, e) for e, n in pairs])
    turn = _occurrence(np.ravel_multi_index(places, a.shape[: len(places)], mode="clip"))
    return tuple(places), [turn == k for k in range(int(turn.max(initial=-1)) + 1)]


def _occurrence(places: np.ndarray) -> np.ndarray:
    """For each entry, how many equal ones come before it."""
    flat = places.ravel()
    order = np.argsort(flat, kind="stable")
    starts = np.flatnonzero(np.diff(flat[order], prepend=-1))
    out = np.empty(flat.size, np.int64)
    out[order] = np.arange(flat.size) - np.repeat(starts, np.diff([*starts, flat.size]))
    return out.reshape(places.shape)


METHODS.update(
    {
        "reduce": ufunc_reduce,
        "accumulate": ufunc_accumulate,
        "reduceat": ufunc_reduceat,
        "outer": ufunc_outer,
        "at": ufunc_at,
    }
)
