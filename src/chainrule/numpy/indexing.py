"""NumPy's indexing on traced values: reads, writes, and the views that basic indexing makes.

A key is sorted into a basic part (ints, slices, Ellipsis, None) and index arrays; boolean masks
become index arrays, which needs their value at hand because it decides the shape.
"""

from __future__ import annotations

import operator

import numpy as np

from chainrule import errors
from chainrule.numpy.promotion import (
    as_array,
    broadcast_shape,
    broadcast_to,
    cast_to,
    shape_of,
    traced,
)
from chainrule.ops.index import entry_length, index, index_add, index_set
from chainrule.ops.select import select
from chainrule.ops.shape import broadcast, inverse_permutation, reshape, transpose
from chainrule.program.mutation import assign, local, make_view
from chainrule.program.text import line_text
from chainrule.program.trace import Traced, concrete_value, user_line


def get_item(x: Traced, key):
    """x[key]"""
    if type(key) is int and x._var.type.ndim == 1:
        return index(x, at=(_checked(key, x._var.type.shape[0], 0),))
    key = _normal_key(x, key)
    if not any(_is_array(k) for k in key):
        return _basic_view(x, key)
    plan = _AdvancedPlan(x, key)
    return plan.read(x)


def set_item(x: Traced, key, value) -> None:
    """x[key] = value"""
    if _is_mask_of(x, key) and shape_of(value) == ():
        value = broadcast_to(traced(_value_for(x, value)), x.shape)
        assign(x, select(_mask_over(key, x), value, local(x)))
        return
    key = _normal_key(x, key)
    if any(_is_array(k) for k in key):
        plan = _AdvancedPlan(x, key)
        value = broadcast_to(traced(_value_for(x, value)), plan.out_shape)
        assign(x, plan.write(x, value))
        return
    at, _, shape = _basic_entries(x, key)
    if type(value) is Traced and _is_current_view(value, x, key):
        return  # the second half of x[key] += v: the view has already written through
    value = _value_for(x, value)
    if _is_scalar(value):
        assign(x, index_set(local(x), value, at=at))
        return
    part = tuple(entry_length(e) for e in at if not isinstance(e, int))
    value = _drop_leading_ones(traced(value), len(shape))
    value = reshape_to(broadcast_to(value, shape), part)
    assign(x, index_set(local(x), value, at=at))


def _is_scalar(value) -> bool:
    return not (type(value) is Traced or isinstance(value, np.ndarray))


def _value_for(x: Traced, value):
    """A value cast to x's dtype, as assignment does."""
    value = as_array(value)
    if type(value) is Traced and value.type.dtype.kind == "c" and x.type.dtype.kind != "c":
        raise errors.DtypeError(
            f"cannot store complex values in an array of {x.type.dtype}, "
            f"at {line_text(user_line())}. Take .real or make the array complex."
        )
    return cast_to(value, x.type.dtype)


def reshape_to(value, shape):
    """A reshape, left out where nothing changes."""
    return value if value.shape == shape else reshape(value, shape=shape)


def _drop_leading_ones(value: Traced, ndim: int) -> Traced:
    shape = value.shape
    while len(shape) > ndim and shape[0] == 1:
        shape = shape[1:]
    return reshape_to(value, shape)


def _checked(i: int, n: int, axis: int) -> int:
    if not -n <= i < n:
        raise errors.IndexOutOfRange(
            f"index {i} is out of bounds for axis {axis} with size {n}, "
            f"at {line_text(user_line())}"
        )
    return i + n if i < 0 else i


def _is_array(entry) -> bool:
    return type(entry) is Traced or isinstance(entry, np.ndarray)


def _normal_key(x: Traced, key) -> tuple:
    """The key as a tuple with one entry per axis (and None for new axes); masks resolved."""
    entries: list = []
    for entry in key if isinstance(key, tuple) else (key,):
        entries.extend(_normal_entry(entry))
    used = sum(e is not None and e is not Ellipsis for e in entries)
    if used > x.ndim:
        raise errors.IndexOutOfRange(
            f"too many indices for array: array is {x.ndim}-dimensional, but {used} were indexed, "
            f"at {line_text(user_line())}"
        )
    fill = [slice(None)] * (x.ndim - used)
    if sum(e is Ellipsis for e in entries) > 1:
        raise errors.IndexOutOfRange("an index can only have a single ellipsis ('...')")
    if Ellipsis in [e for e in entries if not _is_array(e)]:
        place = next(i for i, e in enumerate(entries) if e is Ellipsis)
        return tuple(entries[:place] + fill + entries[place + 1 :])
    return tuple(entries + fill)


def _normal_entry(entry) -> list:
    if entry is None or entry is Ellipsis:
        return [entry]
    if isinstance(entry, slice):
        return [slice(*(_static(e) for e in (entry.start, entry.stop, entry.step)))]
    if isinstance(entry, bool | np.bool_):
        entry = np.asarray(entry)
    if isinstance(entry, list):
        entry = as_array(entry)
        entry = entry.astype(np.int64) if entry.size == 0 else entry
    if isinstance(entry, int | np.integer) or (isinstance(entry, np.ndarray) and entry.ndim == 0
                                                and entry.dtype.kind in "iu"):
        return [operator.index(entry)]
    if _is_array(entry):
        return _array_entry(entry)
    if hasattr(entry, "__index__"):
        return [operator.index(entry)]
    raise errors.IndexOutOfRange(
        "only integers, slices (`:`), ellipsis (`...`), numpy.newaxis (`None`) and integer or "
        f"boolean arrays are valid indices, got {type(entry).__name__} at {line_text(user_line())}"
    )


def _static(bound):
    return operator.index(bound) if type(bound) is Traced else bound


def _array_entry(entry) -> list:
    if entry.dtype.kind in "iu":
        return [entry]
    if entry.dtype.kind != "b":
        raise errors.IndexOutOfRange(
            f"arrays used as indices must be of integer (or boolean) type, not {entry.dtype}, "
            f"at {line_text(user_line())}"
        )
    mask = concrete_value(entry) if type(entry) is Traced else entry
    if mask is None:
        raise errors.ConcreteValueNeeded(
            f"the shape of x[mask] depends on the mask's value, at {line_text(user_line())}, and "
            "this trace has none at hand. Use np.where(mask, x, 0), or x[mask] = scalar."
        )
    return list(np.nonzero(np.atleast_1d(mask)))


def _is_mask_of(x: Traced, key) -> bool:
    """Whether key is a traced mask over x's leading axes: writing a scalar is then a selection."""
    if type(key) is not Traced or key.type.dtype.kind != "b":
        return False
    return key.type.shape == x.type.shape[: key.type.ndim]


def _mask_over(mask, x: Traced):
    axes = tuple(range(mask.ndim))
    return mask if mask.shape == x.shape else broadcast(mask, shape=x.shape, axes=axes)


# --- basic indexing -----------------------------------------------------------------------------


def _basic_entries(x: Traced, key: tuple):
    """(entries for the operation, whether anything is dropped or cut, the shape of x[key])"""
    at: list = []
    shape: list[int] = []
    axis = 0
    for entry in key:
        if entry is None:
            shape.append(1)
            continue
        n = x.shape[axis]
        if isinstance(entry, slice):
            start, stop, step = entry.indices(n)
            at.append(_canonical_slice(start, stop, step))
            shape.append(entry_length(at[-1]))
        else:
            at.append(_checked(entry, n, axis))
        axis += 1
    trivial = all(e == (0, n, 1) for e, n in zip(at, x.shape, strict=True))
    return tuple(at), not trivial, tuple(shape)


def _canonical_slice(start: int, stop: int, step: int) -> tuple[int, int, int]:
    count = len(range(start, stop, step))
    if count == 0:
        return (0, 0, 1)
    last = start + (count - 1) * step
    return (start, last + 1, step) if step > 0 else (start, last - 1, step)


def _basic_view(x: Traced, key: tuple):
    at, cuts, shape = _basic_entries(x, key)
    if all(isinstance(e, int) for e in at) and len(key) == len(at):
        return index(x, at=at) if at else x
    part = tuple(entry_length(e) for e in at if not isinstance(e, int))

    def read(parent):
        out = index(parent, at=at) if cuts else parent
        return reshape_to(out, shape) if shape != part else out

    def write(parent, value):
        return index_set(parent, reshape_to(value, part), at=at) if cuts else reshape_to(value, part)

    if not cuts and shape == part:
        return x
    return make_view(x, (at, shape), read, write)


def _is_current_view(value: Traced, x: Traced, key: tuple) -> bool:
    view = value._view
    if view is None or view.parent is not x or value._seen is not x._var:
        return False
    at, _, shape = _basic_entries(x, key)
    return view.key in ((at, shape), at)


# --- index arrays -------------------------------------------------------------------------------


class _AdvancedPlan:
    """How x[key] with index arrays is read and written, worked out once for both."""

    def __init__(self, x: Traced, key: tuple):
        self.arrays, self.front, at, kept = [], [], [], []
        places, axis = [], 0
        for place, entry in enumerate(key):
            if entry is None:
                kept.append((place, 1))
                continue
            n = x.shape[axis]
            if _is_array(entry):
                self.front.append(axis)
                self.arrays.append(_index_array(entry, n, axis))
                places.append(place)
            elif isinstance(entry, slice):
                at.append((axis, _canonical_slice(*entry.indices(n))))
                kept.append((place, entry_length(at[-1][1])))
            else:
                at.append((axis, _checked(entry, n, axis)))
                places.append(place)
            axis += 1
        self.order = (*self.front, *(a for a, _ in at))
        self.at = tuple(e for _, e in at)
        shape = broadcast_shape(*(a.shape for a in self.arrays))
        self.arrays = [broadcast_to(a, shape) for a in self.arrays]
        together = places[-1] - places[0] == len(places) - 1
        before = sum(place < places[0] for place, _ in kept) if together else 0
        self.rest = tuple(n for _, n in kept)
        self.cut = tuple(entry_length(e) for e in self.at if not isinstance(e, int))
        self.lead = len(shape)
        self.out_shape = self.rest[:before] + shape + self.rest[before:]
        # axes of (index shape, rest) in the order of the result
        rest_axes = tuple(range(self.lead, self.lead + len(self.rest)))
        self.layout = rest_axes[:before] + tuple(range(self.lead)) + rest_axes[before:]
        self.index_shape = shape

    def _moved(self, x):
        return x if self.order == tuple(range(x.ndim)) else transpose(x, axes=self.order)

    def read(self, x):
        out = index(self._moved(x), *self.arrays, at=self.at)
        out = reshape_to(out, self.index_shape + self.rest)
        return out if self.layout == tuple(range(out.ndim)) else transpose(out, axes=self.layout)

    def to_part(self, value):
        """A value of the result's shape, laid out as the operation writes it."""
        if self.layout != tuple(range(value.ndim)):
            value = transpose(value, axes=inverse_permutation(self.layout))
        return reshape_to(value, self.index_shape + self.cut)

    def write(self, x, value, op=index_set):
        x = local(x)
        out = op(self._moved(x), self.to_part(value), *self.arrays, at=self.at)
        if self.order == tuple(range(x.ndim)):
            return out
        return transpose(out, axes=inverse_permutation(self.order))


def _index_array(entry, n: int, axis: int):
    if isinstance(entry, np.ndarray) and entry.size:
        worst = entry.min() if entry.min() < -n else entry.max()
        _checked(int(worst), n, axis)
    return traced(entry)


def add_at(x: Traced, key, value) -> None:
    """np.add.at(x, key, value): repeated indices add up."""
    key = _normal_key(x, key)
    if any(_is_array(k) for k in key):
        plan = _AdvancedPlan(x, key)
        value = broadcast_to(traced(_value_for(x, value)), plan.out_shape)
        assign(x, plan.write(x, value, index_add))
        return
    at, _, shape = _basic_entries(x, key)
    part = tuple(entry_length(e) for e in at if not isinstance(e, int))
    value = reshape_to(broadcast_to(traced(_value_for(x, value)), shape), part)
    assign(x, index_add(local(x), value, at=at))
