"""Sorting and searching of traced values: sort, argsort, partition, searchsorted, unique.

The derivative of a sorted array follows each value to its place. Indices and counts have none.
"""

from __future__ import annotations

from typing import NamedTuple

import numpy as np

from chainrule import errors
from chainrule.numpy.indexing import reshape_to
from chainrule.numpy.promotion import cast_to, result_dtype, traced
from chainrule.numpy.protocols import implements
from chainrule.numpy.shaping import array, axis_index
from chainrule.ops import sort as order_ops
from chainrule.ops.index import index
from chainrule.program.text import line_text
from chainrule.program.trace import Traced, concrete_value, user_line

_UNSTABLE = (None, "quicksort")
_STABLE = ("stable", "mergesort")


def _prepared(a, axis) -> tuple[Traced, int]:
    """The array (flattened where axis is None) and the axis to sort along."""
    x = array(a)
    if axis is None:
        return reshape_to(x, (x.size,)), 0
    return x, axis_index(axis, x.ndim)


def _is_stable(name: str, kind, order, stable) -> bool:
    if order is not None:
        raise ValueError("Cannot specify order when the array has no fields.")
    if stable is not None and kind is not None:
        raise ValueError("`kind` and keyword parameters can't be provided at the same time.")
    if kind not in _UNSTABLE + _STABLE:
        raise errors.NotSupported(
            f"np.{name}(kind={kind!r}) is not supported on traced values, "
            f"at {line_text(user_line())}. Leave kind out, or write kind='stable'."
        )
    return bool(stable) or kind in _STABLE


@implements(np.sort)
def sort(a, axis=-1, kind=None, order=None, *, stable=None):
    """np.sort"""
    _is_stable("sort", kind, order, stable)
    x, axis = _prepared(a, axis)
    return order_ops.sort(x, axis=axis)


@implements(np.sort_complex)
def sort_complex(a):
    """np.sort_complex: sorted along the last axis, and complex"""
    ordered = sort(a)
    small = ordered.dtype.char in "bhBHF"
    return cast_to(ordered, np.dtype(np.complex64 if small else np.complex128))


@implements(np.argsort)
def argsort(a, axis=-1, kind=None, order=None, *, stable=None):
    """np.argsort"""
    is_stable = _is_stable("argsort", kind, order, stable)
    x, axis = _prepared(a, axis)
    return order_ops.argsort(x, axis=axis, stable=is_stable)


@implements(np.lexsort)
def lexsort(keys, axis=-1):
    """np.lexsort: the last key counts most"""
    keys = [array(key) for key in keys]
    if not keys:
        raise TypeError("need sequence of keys with len > 0 in lexsort")
    axis = axis_index(axis, keys[0].ndim)
    order = order_ops.argsort(keys[0], axis=axis, stable=True)
    for key in keys[1:]:
        ranked = order_ops.along(key, order, axis)
        order = order_ops.along(order, order_ops.argsort(ranked, axis=axis, stable=True), axis)
    return order


# --- partial orders -----------------------------------------------------------------------------


def _places(kth, n: int) -> tuple[int, ...] | int:
    """`kth` as non-negative places."""
    places = np.atleast_1d(np.asarray(kth))
    for place in places.ravel():
        if not -n <= place < n:
            raise errors.ShapeError(
                f"kth(={place}) out of bounds ({n}), at {line_text(user_line())}"
            )
    return tuple(sorted({int(p) % n for p in places.ravel()}))


def _argpartitioned(name: str, a, kth, axis, kind, order):
    if kind != "introselect" or order is not None:
        raise errors.NotSupported(
            f"np.{name}(kind={kind!r}, order={order!r}) is not supported on traced values, "
            f"at {line_text(user_line())}."
        )
    x, axis = _prepared(a, axis)
    return x, axis, order_ops.argpartition(x, axis=axis, kth=_places(kth, x.shape[axis]))


@implements(np.partition)
def partition(a, kth, axis=-1, kind="introselect", order=None):
    """np.partition; between the places `kth` NumPy promises no order, and ours may differ"""
    x, axis, order = _argpartitioned("partition", a, kth, axis, kind, order)
    return order_ops.along(x, order, axis)


@implements(np.argpartition)
def argpartition(a, kth, axis=-1, kind="introselect", order=None):
    """np.argpartition"""
    return _argpartitioned("argpartition", a, kth, axis, kind, order)[2]


# --- searching ----------------------------------------------------------------------------------


@implements(np.searchsorted)
def searchsorted(a, v, side="left", sorter=None):
    """np.searchsorted"""
    a, v = array(a), array(v)
    if a.ndim != 1:
        depth = "of too small depth" if a.ndim == 0 else "too deep"
        raise errors.ShapeError(
            f"object {depth} for desired array, at {line_text(user_line())}: the array searched "
            "has one axis."
        )
    if side not in ("left", "right"):
        raise ValueError(f"search side must be 'left' or 'right' (got '{side}')")
    if sorter is not None:
        a = index(a, array(sorter), at=())
    dtype = result_dtype(a, v)
    return order_ops.searchsorted(cast_to(a, dtype), cast_to(v, dtype), side=side, lead=0)


# --- distinct values ----------------------------------------------------------------------------


def value_needed(x: Traced, function: str, instead: str) -> np.ndarray:
    """The value at hand of x, for a function whose result's shape depends on it."""
    value = concrete_value(x)
    if value is None:
        raise errors.ConcreteValueNeeded(
            f"the shape of np.{function}(x) depends on the value of x, at "
            f"{line_text(user_line())}, and this trace has none at hand. {instead}"
        )
    return np.asarray(value)


@implements(np.unique)
def unique(
    ar, return_index=False, return_inverse=False, return_counts=False, axis=None, *,
    equal_nan=True, sorted=True,
):  # fmt: skip
    """np.unique: values of x (the derivative goes to the first entry that has each), sorted."""
    x = array(ar)
    value = value_needed(x, "unique", "Use np.sort and np.diff.")
    _, first, inverse, counts = np.unique(
        value, return_index=True, return_inverse=True, return_counts=True, axis=axis,
        equal_nan=equal_nan,
    )  # fmt: skip
    out = [_taken(x, first, axis)]
    out += [first] if return_index else []
    out += [inverse] if return_inverse else []
    out += [counts] if return_counts else []
    return out[0] if len(out) == 1 else tuple(out)


def _taken(x: Traced, places: np.ndarray, axis):
    """The entries (or, along an axis, the parts) of x at these places."""
    if axis is None:
        return index(reshape_to(x, (x.size,)), traced(places), at=())
    return np.take(x, places, axis=axis)


class UniqueAll(NamedTuple):
    """What np.unique_all returns."""

    values: Traced
    indices: np.ndarray
    inverse_indices: np.ndarray
    counts: np.ndarray


class UniqueCounts(NamedTuple):
    """What np.unique_counts returns."""

    values: Traced
    counts: np.ndarray


class UniqueInverse(NamedTuple):
    """What np.unique_inverse returns."""

    values: Traced
    inverse_indices: np.ndarray


@implements(np.unique_all)
def unique_all(x):
    """np.unique_all"""
    return UniqueAll(*unique(x, True, True, True, equal_nan=False))


@implements(np.unique_counts)
def unique_counts(x):
    """np.unique_counts"""
    return UniqueCounts(*unique(x, return_counts=True, equal_nan=False))


@implements(np.unique_inverse)
def unique_inverse(x):
    """np.unique_inverse"""
    return UniqueInverse(*unique(x, return_inverse=True, equal_nan=False))


@implements(np.unique_values)
def unique_values(x):
    """np.unique_values"""
    return unique(x, equal_nan=False)
