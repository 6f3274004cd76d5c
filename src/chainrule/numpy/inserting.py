"""Arrays of another length: insert, delete, resize, trim_zeros. All but the last are copies."""

from __future__ import annotations

import math
import operator

import numpy as np

from chainrule import errors
from chainrule.numpy import layout
from chainrule.numpy.joining import tile
from chainrule.numpy.promotion import cast_to, traced
from chainrule.numpy.protocols import implements
from chainrule.numpy.selecting import at_hand, truth_at_hand
from chainrule.numpy.shaping import array, axis_index, fresh, moveaxis, ravel, reshape
from chainrule.ops.shape import broadcast
from chainrule.program.text import line_text
from chainrule.program.trace import Traced, user_line


@implements(np.delete)
def delete(arr, obj, axis=None):
    """np.delete: a copy without the parts at `obj` along an axis."""
    x, axis = _flat_or_axis(arr, axis)
    n = x.shape[axis]
    keep = np.delete(np.arange(n), _static_index(obj, n, axis))
    return layout.with_order_of(fresh(x[(slice(None),) * axis + (keep,)]), x)


@implements(np.insert)
def insert(arr, obj, values, axis=None):
    """np.insert: a copy with values inserted before the indices `obj` along an axis."""
    x, axis = _flat_or_axis(arr, axis)
    n = x.shape[axis]
    at = _static_index(obj, n, axis, inserting=True)
    at = np.arange(*at.indices(n)) if isinstance(at, slice) else np.asarray(at)
    at = np.where(at < 0, at + n, at)
    values = cast_to(array(values), x.dtype)
    if at.size == 1:
        values = _at_least(values, x.ndim)
        values = moveaxis(values, 0, axis) if at.ndim == 0 else values
        at = np.full(values.shape[axis], at.reshape(-1)[0])
    places = at.copy()
    places[at.argsort(kind="stable")] += np.arange(at.size)
    return _with_inserted(x, places, values, axis)


def _at_least(x: Traced, ndim: int) -> Traced:
    return reshape(x, (1,) * (ndim - x.ndim) + x.shape) if x.ndim < ndim else x


def _with_inserted(x: Traced, places, values: Traced, axis: int) -> Traced:
    count = x.shape[axis] + places.size
    old = np.delete(np.arange(count), places)
    shape = (*x.shape[:axis], count, *x.shape[axis + 1 :])
    out = fresh(broadcast(traced(x.dtype.type(0)), shape=shape, axes=()))
    before = (slice(None),) * axis
    out[(*before, places)] = values
    out[(*before, old)] = x
    return out


def _static_index(obj, n: int, axis: int, inserting: bool = False):
    """An index argument as a plain slice, int or array; out of range raises with the line."""
    if isinstance(obj, slice):
        return obj
    found = np.asarray(at_hand(obj, "the shape of the result"))
    if found.dtype == bool:
        return np.flatnonzero(found) if inserting else found
    if found.dtype.kind == "f" and found.size == 0:
        found = found.astype(np.int64)
    worst = [i for i in found.reshape(-1) if not -n <= i < n + inserting]
    if worst:
        raise errors.IndexOutOfRange(
            f"index {worst[0]} is out of bounds for axis {axis} with size {n}, "
            f"at {line_text(user_line())}"
        )
    return operator.index(found[()]) if found.ndim == 0 else found


def _flat_or_axis(arr, axis) -> tuple[Traced, int]:
    x = array(arr)
    if axis is None:
        return ravel(x), 0
    return x, axis_index(axis, x.ndim)


@implements(np.resize)
def resize(a, new_shape):
    """np.resize: a copy in another shape, its elements repeated in turn as needed."""
    x = ravel(array(a))
    shape = tuple(operator.index(n) for n in np.atleast_1d(new_shape))
    if any(n < 0 for n in shape):
        raise errors.ShapeError(
            f"all elements of `new_shape` must be non-negative, at {line_text(user_line())}"
        )
    size = math.prod(shape)
    if not x.size:
        return fresh(broadcast(traced(x.dtype.type(0)), shape=shape, axes=()))
    repeats = -(-size // x.size)
    return fresh(reshape(tile(x, repeats)[:size], shape))


@implements(np.trim_zeros)
def trim_zeros(filt, trim="fb", axis=None):
    """np.trim_zeros: the part between the first and the last element that is not zero."""
    value = truth_at_hand(filt, "the length of np.trim_zeros")
    x = array(filt)
    axis = range(x.ndim) if axis is None else axis
    axes = [axis_index(i, x.ndim) for i in (axis if np.iterable(axis) else (axis,))]
    places = np.nonzero(value)
    key = [slice(None)] * x.ndim
    for along in axes:
        found = places[along]
        if not found.size:
            key[along] = slice(0)
            continue
        start = found.min() if "f" in trim.lower() else 0
        stop = found.max() + 1 if "b" in trim.lower() else x.shape[along]
        key[along] = slice(int(start), int(stop))
    return x[tuple(key)]
