"""NumPy's indexing on traced values: reads, writes, and the views that basic indexing makes.

A key is sorted into a basic part (ints, slices, Ellipsis, None) and index arrays; boolean masks
become index arrays where their value is at hand, which decides the shape (else: selections.py).
"""

from __future__ import annotations

import operator

import numpy as np

from chainrule import errors
from chainrule.numpy.layout import c_strides, normal, strides_of
from chainrule.numpy.promotion import (
    as_array,
    broadcast_shape,
    broadcast_to,
    cast_to,
    dtype_of,
    shape_of,
    spelled,
    traced,
)
from chainrule.numpy.selections import select_from, selects, set_selected
from chainrule.ops.index import entry_length, index, index_add, index_set
from chainrule.ops.select import select
from chainrule.ops.shape import broadcast, inverse_permutation, reshape, transpose
from chainrule.program.mutation import assign, local, make_view
from chainrule.program.text import line_text
from chainrule.program.trace import Traced, concrete_value, user_line


def get_item(x: Traced, key):
    """x[key]"""
    place = _element(x, key)
    if place is not None:
        return index(x, at=place)
    if selects(key):
        return select_from(x, key)
    x, entries, dots = _normal_key(x, key)
    if not any(map(_is_array, entries)):
        out = _basic_view(x, entries, dots)
    else:
        plan = _AdvancedPlan(x, entries)
        if plan.index_shape or not (plan.out_shape or dots):
            return plan.read(x)
        out = _view(x, plan.view_key(), plan.read, plan.write)
    return out.copy() if _has_array_scalar(key) else out


def set_item(x: Traced, key, value) -> None:
    """x[key] = value"""
    if not x._var.type.ndim and not x.boxed:
        raise errors.NotSupported(
            f"'{x.type.dtype}' object does not support item assignment, "
            f"at {line_text(user_line())}: a scalar is immutable."
        )
    strides_of(x)  # worked out before the variable of x changes
    place = _element(x, key)
    if place is not None and shape_of(value) == ():
        assign(x, index_set(local(x), _value_for(x, value), at=place))
        return
    if _is_mask_of(x, key) and shape_of(value) == ():
        value = broadcast_to(traced(_value_for(x, value)), x.shape)
        assign(x, select(_mask_over(key, x), value, local(x)))
        return
    if selects(key):
        set_selected(x, key, value)
        return
    target, key, _ = _normal_key(x, key)
    if any(_is_array(k) for k in key):
        plan = _AdvancedPlan(target, key)
        if _is_current_view(value, target, plan.view_key()):
            return
        value = _fitted(value, target, plan.out_shape, "shape mismatch: value array of shape {}  "
                        "could not be broadcast to indexing result of shape {}")  # fmt: skip
        assign(target, plan.write(target, value))
        return
    at, _, shape = _basic_entries(target, key)
    if _is_current_view(value, target, (at, shape)):
        return  # the second half of x[key] += v: the view has already written through
    value = _value_for(target, value)
    if _is_scalar(value):
        assign(target, index_set(local(target), value, at=at))
        return
    part = tuple(entry_length(e) for e in at if not isinstance(e, int))
    value = _fitted(value, target, shape, "could not broadcast input array from shape {} into "
                    "shape {}")  # fmt: skip
    assign(target, index_set(local(target), reshape_to(value, part), at=at))


def add_at(x: Traced, key, value) -> None:
    """np.add.at(x, key, value): repeated indices add up."""
    strides_of(x)  # worked out before the variable of x changes
    target, key, _ = _normal_key(x, key)
    if any(_is_array(k) for k in key):
        plan = _AdvancedPlan(target, key)
        value = broadcast_to(traced(_value_for(target, value)), plan.out_shape)
        assign(target, plan.write(target, value, index_add))
        return
    at, _, shape = _basic_entries(target, key)
    part = tuple(entry_length(e) for e in at if not isinstance(e, int))
    value = reshape_to(broadcast_to(traced(_value_for(target, value)), shape), part)
    assign(target, index_add(local(target), value, at=at))


def _element(x: Traced, key) -> tuple[int, ...] | None:
    """The place of one element, where the key is nothing but plain ints; None for other keys."""
    shape = x._var.type.shape
    if type(key) is int:
        return (_checked(key, shape[0], 0),) if len(shape) == 1 else None
    if type(key) is not tuple or len(key) != len(shape) or not shape:
        return None
    for entry in key:
        if type(entry) is not int:
            return None
    return tuple([_checked(i, n, axis) for axis, (i, n) in enumerate(zip(key, shape, strict=True))])


def _is_scalar(value) -> bool:
    return not (type(value) is Traced or isinstance(value, np.ndarray))


def _value_for(x: Traced, value):
    """A value cast to x's dtype, as assignment does."""
    value = as_array(value)
    if dtype_of(value).kind == "c" and x.type.dtype.kind not in "cb":
        raise errors.DtypeError(
            f"cannot store complex values in an array of {x.type.dtype}, "
            f"at {line_text(user_line())}. Take .real or make the array complex."
        )
    return cast_to(value, x.type.dtype)


def _fitted(value, x: Traced, shape, wrong: str) -> Traced:
    """A value cast and broadcast to the part of x it is written to; `wrong` words the error."""
    value = traced(_value_for(x, value))
    have = value.shape
    while len(have) > len(shape) and have[0] == 1:
        have = have[1:]
    lead = len(shape) - len(have)
    if lead < 0 or any(n not in (1, m) for n, m in zip(have, shape[lead:], strict=True)):
        said = wrong.format(spelled(value.shape), spelled(shape))
        raise errors.ShapeError(f"{said}, at {line_text(user_line())}")
    return broadcast_to(reshape_to(value, have), shape)


def reshape_to(value, shape):
    """A reshape, left out where nothing changes."""
    return value if value.shape == shape else reshape(value, shape=shape)


def _checked(i: int, n: int, axis: int) -> int:
    if not -n <= i < n:
        raise errors.IndexOutOfRange(
            f"index {i} is out of bounds for axis {axis} with size {n}, at {line_text(user_line())}"
        )
    return i + n if i < 0 else i


def _view(x: Traced, key, read, write):
    """A view of x; of a scalar, which has no memory to share, a new array."""
    if x._var.type.ndim or x.boxed:
        strides_of(x)  # worked out before the first write through a view
        return make_view(x, key, read, write)
    out = read(x).copy()
    out.boxed = True
    return out


# --- keys ---------------------------------------------------------------------------------------


def _is_array(entry) -> bool:
    return type(entry) is Traced or isinstance(entry, np.ndarray)


def _normal_key(x: Traced, key) -> tuple[Traced, tuple, bool]:
    """(x, key, whether it has an Ellipsis): one entry per axis, and None for new axes.

    Masks become index arrays; for a mask without axes, x gets an axis of length one.
    """
    entries = [_entry(e) for e in (key if isinstance(key, tuple) else (key,))]
    used = sum(map(_axes_used, entries))
    if used > x.ndim:
        raise errors.IndexOutOfRange(
            f"too many indices for array: array is {x.ndim}-dimensional, but {used} were indexed, "
            f"at {line_text(user_line())}"
        )
    fill: list = [slice(None)] * (x.ndim - used)
    dots = [place for place, e in enumerate(entries) if e is Ellipsis]
    if len(dots) > 1:
        raise errors.IndexOutOfRange(
            f"an index can only have a single ellipsis ('...'), at {line_text(user_line())}"
        )
    if dots:  # one that stands for no axis stays: it still separates index arrays
        entries[dots[0] : dots[0] + 1] = fill or [Ellipsis]
    else:
        entries += fill
    if any(_is_mask(e) for e in entries):
        x, entries = _without_masks(x, entries)
    return x, tuple(entries), bool(dots)


def _has_array_scalar(key) -> bool:
    """Whether a 0-d array is among the entries: NumPy then copies where an int gives a view."""
    entries = key if isinstance(key, tuple) else (key,)
    return any(isinstance(e, np.ndarray) and e.ndim == 0 for e in entries)


def _axes_used(entry) -> int:
    if entry is None or entry is Ellipsis:
        return 0
    return entry.ndim if _is_mask(entry) else 1


def _is_mask(entry) -> bool:
    return _is_array(entry) and entry.dtype.kind == "b"


def _without_masks(x: Traced, entries: list) -> tuple[Traced, list]:
    out: list = []
    axis, added = 0, []
    for entry in entries:
        if not _is_mask(entry):
            out.append(entry)
        elif entry.ndim:
            out += _mask_indices(entry, x.shape[axis : axis + entry.ndim], axis)
        else:
            added.append(axis)
            out.append(np.zeros(int(bool(_mask_value(entry))), np.intp))
        axis += _axes_used(entry)
    if added:
        x = _with_new_axes(x, added)
    return x, out


def _with_new_axes(x: Traced, places: list[int]) -> Traced:
    shape = list(x.shape)
    for place in reversed(places):
        shape.insert(place, 1)
    before, wide = x.shape, tuple(shape)
    return _view(
        x,
        ("reshape", wide),
        lambda parent: reshape(parent, shape=wide),
        lambda _, value: reshape(value, shape=before),
    )


def _mask_indices(mask, lengths, axis: int) -> list:
    for along, (n, m) in enumerate(zip(lengths, mask.shape, strict=True)):
        if n != m:
            raise errors.IndexOutOfRange(
                f"boolean index did not match indexed array along axis {axis + along}; size of "
                f"axis is {n} but size of corresponding boolean axis is {m}, "
                f"at {line_text(user_line())}"
            )
    return list(np.nonzero(_mask_value(mask)))


def _mask_value(mask):
    value = concrete_value(mask) if type(mask) is Traced else mask
    if value is None:
        raise errors.ConcreteValueNeeded(
            f"the shape of x[mask] depends on the mask's value, at {line_text(user_line())}, and "
            "this trace has none at hand. Use x[mask] with the mask first, x[mask] = scalar, or "
            "np.where(mask, x, 0)."
        )
    return value


def _entry(entry):
    """One entry of a key: None, Ellipsis, a slice, an int, or an array of ints or bools."""
    if entry is None or entry is Ellipsis:
        return entry
    if isinstance(entry, slice):
        return slice(*(_static(e) for e in (entry.start, entry.stop, entry.step)))
    if type(entry) is Traced:
        return _array_entry(entry)
    if isinstance(entry, bool | np.bool_):
        return np.asarray(entry)
    if isinstance(entry, list | tuple):
        entry = as_array(entry)
        entry = entry.astype(np.int64) if entry.size == 0 else entry
    if isinstance(entry, np.ndarray) and (entry.ndim or entry.dtype.kind not in "iu"):
        return _array_entry(entry)
    if type(entry) is Traced:
        return _array_entry(entry)
    if hasattr(entry, "__index__"):
        return operator.index(entry)
    raise errors.IndexOutOfRange(
        "only integers, slices (`:`), ellipsis (`...`), numpy.newaxis (`None`) and integer or "
        f"boolean arrays are valid indices, got {type(entry).__name__} at {line_text(user_line())}"
    )


def _static(bound):
    return operator.index(bound) if type(bound) is Traced else bound


def _array_entry(entry):
    if entry.dtype.kind not in "iub":
        raise errors.IndexOutOfRange(
            f"arrays used as indices must be of integer (or boolean) type, not {entry.dtype}, "
            f"at {line_text(user_line())}"
        )
    return entry


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
        if entry is None or entry is Ellipsis:
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


def _basic_view(x: Traced, key: tuple, dots: bool):
    at, cuts, shape = _basic_entries(x, key)
    if all(isinstance(e, int) for e in at) and len(key) == len(at) and not dots:
        return index(x, at=at)  # a scalar
    part = tuple(entry_length(e) for e in at if not isinstance(e, int))

    def read(parent):
        out = index(parent, at=at) if cuts else parent
        return reshape_to(out, shape) if shape != part else out

    def write(parent, value):
        value = reshape_to(value, part)
        return index_set(parent, value, at=at) if cuts else value

    if not cuts and shape == part and (x.ndim or x.boxed):
        return x
    return _view(x, (at, shape), read, write)


def _is_current_view(value, x: Traced, key) -> bool:
    """Whether a value is x[key] itself, already up to date."""
    if type(value) is not Traced:
        return False
    view = value._view
    if view is None or view.parent is not x or value._seen is not x._var:
        return False
    return view.key == key


# --- index arrays -------------------------------------------------------------------------------


class _AdvancedPlan:
    """How x[key] with index arrays is read and written, worked out once for both."""

    def __init__(self, x: Traced, key: tuple):
        self.arrays: list[Traced] = []
        front: list[int] = []  # axes that index arrays read
        at: list[tuple] = []  # the other axes, and what is read of them
        kept: list[tuple[int, int]] = []  # place in the key and length, of what stays an axis
        places: list[int] = []  # of index arrays and ints, in the key
        axis = 0
        for place, entry in enumerate(key):
            if entry is None:
                kept.append((place, 1))
            if entry is None or entry is Ellipsis:
                continue
            n = x.shape[axis]
            if _is_array(entry):
                front.append(axis)
                self.arrays.append(_index_array(entry, n, axis))
                places.append(place)
            elif isinstance(entry, slice):
                at.append((axis, _canonical_slice(*entry.indices(n))))
                kept.append((place, entry_length(at[-1][1])))
            else:
                at.append((axis, _checked(entry, n, axis)))
                places.append(place)
            axis += 1
        self.front = tuple(front)
        self.order = (*front, *(a for a, _ in at))
        self.at = tuple(e for _, e in at)
        shape = _index_shape(self.arrays)
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

    def view_key(self) -> tuple:
        """What tells a view by integers of which some are traced from another."""
        at = dict(zip(self.order, (*(0 for _ in self.front), *self.at), strict=True))
        variables = tuple(a._var for a in self.arrays)
        return (tuple(at[axis] for axis in sorted(at)), self.out_shape, self.front, variables)

    def _moved(self, x):
        return x if self.order == tuple(range(x.ndim)) else transpose(x, axes=self.order)

    def read(self, x):
        out = index(self._moved(x), *self.arrays, at=self.at)
        out = reshape_to(out, self.index_shape + self.rest)
        if self.layout == tuple(range(out.ndim)):
            return out
        steps = c_strides(out.shape)  # NumPy leaves the memory in the order of the operation
        out = transpose(out, axes=self.layout)
        out._strides = normal(out.shape, tuple(steps[axis] for axis in self.layout))
        return out

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


def _index_shape(arrays) -> tuple[int, ...]:
    try:
        return broadcast_shape(*(a.shape for a in arrays))
    except errors.ShapeError:
        shapes = " ".join(spelled(a.shape) for a in arrays)
        raise errors.IndexOutOfRange(
            "shape mismatch: indexing arrays could not be broadcast together with shapes "
            f"{shapes}, at {line_text(user_line())}"
        ) from None


def _index_array(entry, n: int, axis: int):
    if type(entry) is not Traced and isinstance(entry, np.ndarray) and entry.size:
        worst = entry.min() if entry.min() < -n else entry.max()
        _checked(int(worst), n, axis)
    # a copy: a view must keep its place when the index is changed in place
    return entry.copy() if type(entry) is Traced and not entry.ndim else traced(entry)
