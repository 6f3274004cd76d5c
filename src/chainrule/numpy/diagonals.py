"""Diagonals and triangles: diag, diagonal, fill_diagonal, tril, triu, vander.

The diagonal of a matrix is a strided slice of its flat elements, so reading and writing it needs no
index arrays, and its transpose is a strided write.
"""

from __future__ import annotations

import operator

import numpy as np

from chainrule import errors
from chainrule.numpy.promotion import broadcast_to, cast_to, traced
from chainrule.numpy.protocols import implements
from chainrule.numpy.shaping import (
    array,
    axis_index,
    flat,
    fresh,
    ravel,
    view,
)
from chainrule.ops.compare import greater_equal, less_equal
from chainrule.ops.index import index, index_set
from chainrule.ops.select import select
from chainrule.ops.shape import broadcast, iota, reshape, transpose
from chainrule.program.text import line_text
from chainrule.program.trace import Traced, user_line

# --- reading and writing diagonals --------------------------------------------------------------


@implements(np.diagonal)
def diagonal(a, offset=0, axis1=0, axis2=1):
    """np.diagonal: a read-only view of the diagonals, as the last axis."""
    x = array(a)
    if x.ndim < 2:
        raise errors.ShapeError(
            f"diag requires an array of at least two dimensions, at {line_text(user_line())}"
        )
    first, second = axis_index(axis1, x.ndim), axis_index(axis2, x.ndim)
    if first == second:
        raise errors.ShapeError(f"axis1 and axis2 cannot be the same, at {line_text(user_line())}")
    offset = operator.index(offset)
    return view(
        x,
        ("diagonal", offset, first, second),
        lambda parent: read_diagonal(parent, offset, first, second),
        None,
    )


def read_diagonal(x, offset: int, first: int, second: int):
    """The diagonals in the plane of two axes, as a new last axis."""
    order = (*(a for a in range(x.ndim) if a not in (first, second)), first, second)
    moved = transpose(x, axes=order)
    rows, columns = moved.shape[-2:]
    flattened = reshape(moved, shape=(*moved.shape[:-2], rows * columns))
    whole = tuple((0, n, 1) for n in flattened.shape[:-1])
    return index(flattened, at=(*whole, _diagonal_entry(rows, columns, offset)))


def write_diagonal(x, value, offset: int):
    """A matrix with its diagonal replaced."""
    rows, columns = x.shape
    flattened = reshape(x, shape=(rows * columns,))
    written = index_set(flattened, value, at=(_diagonal_entry(rows, columns, offset),))
    return reshape(written, shape=(rows, columns))


def _diagonal_entry(rows: int, columns: int, offset: int) -> tuple[int, int, int]:
    """(start, stop, step) of a diagonal in the flat elements of a matrix."""
    count = max(0, min(rows + min(offset, 0), columns - max(offset, 0)))
    if not count:
        return (0, 0, 1)
    start = offset if offset >= 0 else -offset * columns
    return (start, start + (count - 1) * (columns + 1) + 1, columns + 1)


@implements(np.diag)
def diag(v, k=0):
    """np.diag: the diagonal of a matrix, or a matrix with this diagonal."""
    x = array(v)
    k = operator.index(k)
    if x.ndim == 2:
        return diagonal(x, k)
    if x.ndim != 1:
        raise errors.ShapeError(f"Input must be 1- or 2-d., at {line_text(user_line())}")
    n = x.size + abs(k)
    zeros = broadcast(traced(x.dtype.type(0)), shape=(n, n), axes=())
    return fresh(write_diagonal(zeros, x, k))


@implements(np.diagflat)
def diagflat(v, k=0):
    """np.diagflat: a matrix with the raveled input on its diagonal."""
    return diag(ravel(array(v)), k)


@implements(np.fill_diagonal)
def fill_diagonal(a, val, wrap=False):
    """np.fill_diagonal: write the main diagonal of an array, in place."""
    x = _writable(a, "np.fill_diagonal")
    if x.ndim < 2:
        raise errors.ShapeError(f"array must be at least 2-d, at {line_text(user_line())}")
    if x.ndim == 2:
        step = x.shape[1] + 1
        end = x.size if wrap else min(x.size, x.shape[1] * x.shape[1])
    else:
        if len(set(x.shape)) != 1:
            raise errors.ShapeError(
                f"All dimensions of input must be of equal length, at {line_text(user_line())}"
            )
        step = 1 + sum(x.shape[0] ** i for i in range(1, x.ndim))
        end = x.size
    elements = flat(x)
    count = len(range(0, end, step))
    values = ravel(array(val))
    values = values[np.resize(np.arange(values.size), count)] if values.size != 1 else values[0]
    elements[:end:step] = values


def _writable(a, name: str) -> Traced:
    if type(a) is not Traced:
        raise errors.MutationError(
            f"{name} would write traced values into a plain array, at {line_text(user_line())}: "
            "the derivative would be lost. Make the array inside the function with "
            "cr.numpy.zeros(...), or pass it as an argument."
        )
    return a


@implements(np.diag_indices_from)
def diag_indices_from(arr):
    """np.diag_indices_from: index arrays of the main diagonal (plain NumPy)."""
    if arr.ndim < 2:
        raise errors.ShapeError(f"input array must be at least 2-d, at {line_text(user_line())}")
    if len(set(arr.shape)) != 1:
        raise errors.ShapeError(
            f"All dimensions of input must be of equal length, at {line_text(user_line())}"
        )
    return np.diag_indices(arr.shape[0], arr.ndim)


# --- triangles ----------------------------------------------------------------------------------


@implements(np.tril)
def tril(m, k=0):
    """np.tril: a copy with zeros above diagonal k."""
    x = array(m)
    return _triangle(x, less_equal, k)


@implements(np.triu)
def triu(m, k=0):
    """np.triu: a copy with zeros below diagonal k."""
    return _triangle(array(m), greater_equal, k)


def _triangle(x: Traced, compare, k) -> Traced:
    if x.ndim == 1:  # NumPy spreads a vector over the rows of a square
        x = broadcast_to(x, (x.size, x.size))
    if x.ndim == 0:
        raise errors.NotSupported(f"a triangle needs an axis, at {line_text(user_line())}")
    plane = x.shape[-2:]
    counting = np.dtype(np.int64)
    rows = broadcast(iota(size=plane[0], dtype=counting), shape=plane, axes=(0,))
    columns = broadcast(iota(size=plane[1], dtype=counting), shape=plane, axes=(1,))
    kept = compare(columns, rows + operator.index(k))
    kept = broadcast(kept, shape=x.shape, axes=(x.ndim - 2, x.ndim - 1))
    return select(kept, x, traced(x.dtype.type(0)))


@implements(np.tril_indices_from)
def tril_indices_from(arr, k=0):
    """np.tril_indices_from: index arrays of the lower triangle (plain NumPy)."""
    return np.tril_indices(*_plane(arr, k))


@implements(np.triu_indices_from)
def triu_indices_from(arr, k=0):
    """np.triu_indices_from: index arrays of the upper triangle (plain NumPy)."""
    return np.triu_indices(*_plane(arr, k))


def _plane(arr, k) -> tuple[int, int, int]:
    if arr.ndim != 2:
        raise errors.ShapeError(f"input array must be 2-d, at {line_text(user_line())}")
    return arr.shape[0], operator.index(k), arr.shape[1]


@implements(np.vander)
def vander(x, N=None, increasing=False):
    """np.vander: the powers of a vector as columns, made by repeated multiplication."""
    x = array(x)
    if x.ndim != 1:
        raise errors.ShapeError(
            f"x must be a one-dimensional array or sequence., at {line_text(user_line())}"
        )
    count = x.size if N is None else operator.index(N)
    dtype = np.promote_types(x.dtype, int)
    x = cast_to(x, dtype)
    one = broadcast(traced(dtype.type(1)), shape=x.shape, axes=())
    powers = [one][:count]
    while len(powers) < count:
        powers.append(x if len(powers) == 1 else powers[-1] * x)
    if not powers:
        return fresh(broadcast(traced(dtype.type(0)), shape=(x.size, 0), axes=()))
    return np.stack(powers if increasing else powers[::-1], axis=1)
