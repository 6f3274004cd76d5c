"""Choosing elements: where, select, choose, take, put, compress, copyto, masks.

`where` and its kin record a selection, in which the side that is not taken receives an exact zero.
Functions whose result's shape depends on values (nonzero, compress, extract) need them at hand.
"""

from __future__ import annotations

import math
import operator

import numpy as np

from chainrule import errors
from chainrule.numpy.indexing import set_item
from chainrule.numpy.joining import stored
from chainrule.numpy.promotion import (
    as_array,
    broadcast_shape,
    broadcast_to,
    cast_to,
    promoted_kind,
    result_dtype,
    shape_of,
    strong,
    traced,
    uniform,
)
from chainrule.numpy.protocols import implements
from chainrule.numpy.selections import places_of
from chainrule.numpy.shaping import array, axis_index, flat, fresh, ravel, reshape
from chainrule.numpy.ufuncs import apply_ufunc, write_whole
from chainrule.numpy.undispatched import replaces
from chainrule.ops.compare import not_equal
from chainrule.ops.index import index
from chainrule.ops.select import select as select_op
from chainrule.ops.shape import broadcast, iota
from chainrule.program.text import line_text
from chainrule.program.trace import Traced, concrete_value, user_line

# --- selection by a condition -------------------------------------------------------------------


def truth(x) -> Traced:
    """Any array-like as a boolean traced array: True where it is not zero."""
    x = array(x)
    return x if x.dtype.kind == "b" else not_equal(x, traced(x.dtype.type(0)))


@implements(np.where)
def where(condition, x=None, y=None, /):
    """np.where: x where the condition holds, else y; with one argument np.nonzero."""
    if x is None and y is None:
        return nonzero(condition)
    if x is None or y is None:
        raise ValueError("either both or neither of x and y should be given")
    x, y = as_array(x), as_array(y)
    dtype = result_dtype(x, y)
    shape = broadcast_shape(shape_of(condition), shape_of(x), shape_of(y))
    out = select_op(
        broadcast_to(truth(condition), shape),
        traced(broadcast_to(cast_to(x, dtype), shape)),
        traced(broadcast_to(cast_to(y, dtype), shape)),
    )
    out.boxed = True
    return out


@replaces("numpy")  # NumPy dispatches by conditions and choices, not by the default
@implements(np.select)
def select(condlist, choicelist, default=0):
    """np.select: for each element the first choice whose condition holds."""
    if len(condlist) != len(choicelist):
        raise errors.ShapeError(
            f"list of cases must be same length as list of conditions, at {line_text(user_line())}"
        )
    if not len(condlist):
        raise errors.ShapeError("select with an empty condition list is not possible")
    for i, condition in enumerate(condlist):
        if array(condition).dtype.kind != "b":
            raise errors.DtypeError(
                f"invalid entry {i} in condlist: should be boolean ndarray, "
                f"at {line_text(user_line())}"
            )
    *choices, out = uniform([*choicelist, default])
    for condition, choice in zip(reversed(condlist), reversed(choices), strict=True):
        out = where(condition, choice, out)
    return out


@implements(np.choose)
def choose(a, choices, out=None, mode="raise"):
    """np.choose: element by element, the choice whose number `a` gives."""
    number = array(a)
    options = [traced(c) for c in uniform(list(choices))]
    shape = broadcast_shape(number.shape, options[0].shape)
    picked = _in_range(number, len(options), mode, "invalid entry in choice array", False)
    number = broadcast_to(picked, shape)
    options = [broadcast_to(o, shape) for o in options]
    at = (number, *_positions(shape))
    return stored(fresh(index(np.stack(options), *at, at=())), out, "np.choose")


def _positions(shape) -> tuple[Traced, ...]:
    """The index arrays of every element of an array: np.indices."""
    counting = np.dtype(np.int64)
    return tuple(
        broadcast(iota(size=n, dtype=counting), shape=shape, axes=(axis,))
        for axis, n in enumerate(shape)
    )


# --- values that decide shapes ------------------------------------------------------------------


def at_hand(x, why: str):
    """The plain value of an array that decides a shape."""
    if type(x) is not Traced:
        return np.asarray(x)
    value = concrete_value(x)
    if value is None:
        raise errors.ConcreteValueNeeded(
            f"{why} depends on the value of a traced {x.type}, at {line_text(user_line())}, and "
            "this trace has none at hand (compile, vmap, or the body of a loop).\n"
            "  Use np.where(condition, a, b), whose shape is known."
        )
    return np.asarray(value)


def is_unknown(x) -> bool:
    """Whether the value of an array with axes is not at hand."""
    return type(x) is Traced and bool(x.ndim) and concrete_value(x) is None


def truth_at_hand(x, why: str):
    """Which elements of such an array are not zero: a choice, on either side of a tie."""
    return at_hand(truth(x) if type(x) is Traced else x, why).astype(bool)


@implements(np.nonzero)
def nonzero(a):
    """np.nonzero: plain index arrays of the elements that are not zero."""
    if is_unknown(a):
        return places_of(truth(a))
    return np.nonzero(truth_at_hand(a, "the number of nonzero elements"))


@implements(np.flatnonzero)
def flatnonzero(a):
    """np.flatnonzero: plain indices into the raveled array."""
    if is_unknown(a):
        return places_of(truth(ravel(a)))[0]
    return np.flatnonzero(truth_at_hand(a, "the number of nonzero elements"))


@implements(np.argwhere)
def argwhere(a):
    """np.argwhere: plain indices of the nonzero elements, one row each."""
    return np.argwhere(truth_at_hand(a, "the number of nonzero elements"))


@implements(np.count_nonzero)
def count_nonzero(a, axis=None, *, keepdims=False):
    """np.count_nonzero: how many elements along the axes are not zero."""
    ones = cast_to(truth(a), np.dtype(np.int64))
    return np.sum(ones, axis=axis, keepdims=keepdims)


@implements(np.compress)
def compress(condition, a, axis=None, out=None):
    """np.compress: the slices along an axis where a vector of booleans holds."""
    if is_unknown(condition) and shape_of(condition) == shape_of(a)[:1] and not axis:
        return array(a)[truth(condition)]
    kept = truth_at_hand(condition, "the number of selected slices")
    if kept.ndim != 1:
        raise errors.ShapeError(f"condition must be a 1-d array, at {line_text(user_line())}")
    return take(a, np.flatnonzero(kept), axis, out)


@implements(np.extract)
def extract(condition, arr):
    """np.extract: the elements of the raveled array where the condition holds."""
    if is_unknown(condition) and shape_of(condition) == shape_of(arr):
        return array(arr)[truth(condition)]
    kept = truth_at_hand(condition, "the number of selected elements")
    return take(ravel(array(arr)), np.flatnonzero(kept))


# --- taking by indices --------------------------------------------------------------------------


@replaces("numpy")  # NumPy dispatches by the array, not by the indices
@implements(np.take)
def take(a, indices, axis=None, out=None, mode="raise"):
    """np.take: elements of the raveled array, or slices along an axis, at integer indices."""
    x = array(a)
    if axis is None:
        x, axis = ravel(x), 0
    axis = axis_index(axis, x.ndim)
    places = _integers(indices)
    if mode != "raise":
        places = _in_range(array(places), x.shape[axis], mode, "", True)
    picked = x[(slice(None),) * axis + (places,)]
    return stored(fresh(picked, boxed=False), out, "np.take")


def _integers(indices):
    """Indices as np.take reads them: booleans are numbers here."""
    if type(indices) is int:
        return indices
    places = as_array(indices)
    if type(places) is not Traced:
        is_array = isinstance(indices, np.ndarray | np.generic) and places.size
        places = np.asarray(indices, None if is_array else np.intp)
    if places.dtype.kind == "b":
        return places.astype(np.intp)
    if places.dtype.kind not in "iu":
        raise errors.DtypeError(
            f"Cannot cast array data from {places.dtype!r} to dtype('int64') according to the rule "
            f"'safe', at {_line()}"
        )
    return places


def _in_range(number, n: int, mode: str, wrong: str, negative: bool) -> Traced:
    """Indices made valid as `mode` says; in mode "raise" an index that is not raises when read."""
    if mode == "wrap":
        return number % n
    if mode == "clip":
        return apply_ufunc(np.minimum, apply_ufunc(np.maximum, number, 0), n - 1)
    if mode != "raise":
        raise ValueError("clipmode must be one of 'clip', 'raise', or 'wrap'")
    value = concrete_value(number)
    if value is not None and not negative and np.any((value < 0) | (value >= n)):
        raise errors.ShapeError(f"{wrong}, at {line_text(user_line())}")
    # a negative number becomes one past the end, which raises an IndexError when it is read
    return number if negative else where(number < 0, n, number)


@implements(np.take_along_axis)
def take_along_axis(arr, indices, axis=-1):
    """np.take_along_axis: one element for each index, matched along the other axes."""
    x, indices = array(arr), array(indices)
    if axis is None:
        return take(ravel(x), ravel(indices))
    return fresh(x[_along(x, indices, axis)])


@implements(np.put_along_axis)
def put_along_axis(arr, indices, values, axis):
    """np.put_along_axis: write one element for each index, in place."""
    x, indices = writable(arr, "np.put_along_axis"), array(indices)
    if axis is None:
        x, axis = flat(x), 0
        indices = ravel(indices)
    set_item(x, _along(x, indices, axis), values)


def _along(x: Traced, indices: Traced, axis) -> tuple:
    axis = axis_index(axis, x.ndim)
    if indices.dtype.kind not in "iu":
        raise errors.IndexOutOfRange(f"`indices` must be an integer array, at {_line()}")
    if indices.ndim != x.ndim:
        raise errors.ShapeError(
            f"`indices` and `arr` must have the same number of dimensions, at {_line()}"
        )
    entries: list = []
    for along, n in enumerate(x.shape):
        shape = tuple(n if a == along else 1 for a in range(x.ndim))
        entries.append(indices if along == axis else np.arange(n).reshape(shape))
    return tuple(entries)


def _line() -> str:
    return line_text(user_line())


# --- writing ------------------------------------------------------------------------------------


def writable(target, name: str) -> Traced:
    """The target of a write, which must be traced: a plain array would lose the derivative."""
    if type(target) is not Traced:
        raise errors.MutationError(
            f"{name} would write traced values into a plain array, at {_line()}: the derivative "
            "would be lost.\n  Make the array inside the function with cr.numpy.zeros(...), "
            "or pass it as an argument."
        )
    return target


@implements(np.copyto)
def copyto(dst, src, casting="same_kind", where=True):
    """np.copyto: write an array over another, where a mask holds."""
    target = writable(dst, "np.copyto")
    value = src if type(src) is Traced else as_array(src)
    kind = promoted_kind(value)
    weak = isinstance(kind, type)
    allowed = np.result_type(target.dtype, kind(0)) if weak else kind
    if not np.can_cast(allowed, target.dtype, "same_kind" if weak else casting):
        raise errors.DtypeError(
            f"Cannot cast array data from {allowed!r} to {target.dtype!r} according to the rule "
            f"{casting!r}, at {_line()}"
        )
    value = _without_leading_ones(cast_to(value, target.dtype), target.ndim)
    write_whole(target, value, where if where is True else truth(where), "np.copyto")


def _without_leading_ones(value, ndim: int):
    """A value of more axes than its target, which NumPy lets pass where they have length 1."""
    lead = max(np.ndim(value) - ndim, 0)
    if not lead or any(n != 1 for n in value.shape[:lead]):
        return value
    return reshape(value, value.shape[lead:])


@implements(np.put)
def put(a, ind, v, mode="raise"):
    """np.put: write values (repeated as needed) at indices into the raveled array."""
    x = flat(writable(a, "np.put"))
    places = ravel(array(ind)) if type(ind) is Traced else np.ravel(ind)
    values = ravel(array(v))
    if not values.size or not places.size:
        return
    if mode != "raise":
        places = _in_range(array(places), x.size, mode, "", True)
    elif type(places) is not Traced:
        places = places.astype(np.intp)
    x[places] = _cycled(values, places.size)


def _cycled(values: Traced, count: int) -> Traced:
    if values.size == count:
        return values
    return values[np.resize(np.arange(values.size), count)] if values.size != 1 else values[0]


@implements(np.putmask)
def putmask(a, mask, values):
    """np.putmask: write values (repeated as needed, by position) where the mask holds."""
    x = writable(a, "np.putmask")
    values = ravel(array(values))
    condition = truth(mask)
    if condition.size != x.size:
        raise errors.ShapeError(f"putmask: mask and data must be the same size, at {_line()}")
    if not values.size:
        return
    spread = reshape(_cycled(values, x.size), x.shape) if values.size != 1 else values[0]
    write_whole(x, cast_to(spread, x.dtype), reshape(condition, x.shape), "np.putmask")


@implements(np.place)
def place(arr, mask, vals):
    """np.place: write the values in turn where the mask holds."""
    x = writable(arr, "np.place")
    if is_unknown(mask) and mask.size == x.size and np.size(vals):
        condition, values = truth(mask), ravel(array(vals))
        turn = (np.cumsum(ravel(condition)) - 1) % values.size
        spread = reshape(values[turn], x.shape)
        write_whole(x, cast_to(spread, x.dtype), reshape(condition, x.shape), "np.place")
        return
    held = truth_at_hand(mask, "which values np.place uses")
    if held.size != x.size:
        raise errors.ShapeError(f"place: mask and data must be the same size, at {_line()}")
    places = np.flatnonzero(held)
    values = ravel(array(vals))
    if not places.size:
        return
    if not values.size:
        raise errors.ShapeError(f"Cannot insert from an empty array!, at {_line()}")
    values = values[: places.size]
    flat(x)[places] = _cycled(values, places.size)


# --- indices ------------------------------------------------------------------------------------


@implements(np.ix_)
def ix_(*args):
    """np.ix_: index arrays that select the product of vectors of indices."""
    out = []
    for axis, entry in enumerate(args):
        places = entry if type(entry) is Traced else np.asarray(entry)
        if places.ndim != 1:
            raise errors.ShapeError(f"Cross index must be 1 dimensional, at {_line()}")
        if places.dtype.kind == "b":
            places = np.flatnonzero(at_hand(places, "the number of selected slices"))
        elif not places.size:
            places = np.zeros(0, np.intp)
        out.append(places.reshape([-1 if a == axis else 1 for a in range(len(args))]))
    return tuple(out)


@implements(np.unravel_index)
def unravel_index(indices, shape, order="C"):
    """np.unravel_index: flat indices as a tuple of coordinates."""
    shape = tuple(operator.index(n) for n in (shape if np.iterable(shape) else (shape,)))
    place = _checked_range(array(indices), math.prod(shape))
    coordinates = []
    for n in reversed(shape) if order == "C" else shape:
        coordinates.append(place % n)
        place = place // n
    return tuple(reversed(coordinates)) if order == "C" else tuple(coordinates)


def _checked_range(place: Traced, size: int) -> Traced:
    if place.dtype.kind not in "iu":
        raise errors.DtypeError(f"only int indices permitted, at {_line()}")
    value = concrete_value(place)
    if value is not None and np.any((value < 0) | (value >= size)):
        wrong = np.asarray(value)[(np.asarray(value) < 0) | (np.asarray(value) >= size)]
        raise errors.ShapeError(
            f"index {wrong.reshape(-1)[0]} is out of bounds for array with size {size}, "
            f"at {_line()}"
        )
    return place


@implements(np.ravel_multi_index)
def ravel_multi_index(multi_index, dims, mode="raise", order="C"):
    """np.ravel_multi_index: coordinates as flat indices."""
    dims = tuple(operator.index(n) for n in (dims if np.iterable(dims) else (dims,)))
    modes = (mode,) * len(dims) if isinstance(mode, str) else tuple(mode)
    parts = zip(list(multi_index), dims, modes, strict=True)
    checked = [_in_range(array(p), n, m, "invalid entry in coordinates array", False)
               for p, n, m in parts]  # fmt: skip
    pairs = list(zip(checked, dims, strict=True))
    if order == "F":
        pairs.reverse()
    total = pairs[0][0]
    for place, n in pairs[1:]:
        total = total * n + place
    return strong(total)
