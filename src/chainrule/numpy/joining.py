"""Joining and splitting arrays: concatenate, stack, block, tile, repeat, split.

Joined arrays are new; the pieces of a split are views, as in NumPy.
"""

from __future__ import annotations

import itertools
import math
import operator
from typing import Any

import numpy as np

from chainrule import errors
from chainrule.numpy.indexing import reshape_to
from chainrule.numpy.promotion import cast_to, result_dtype
from chainrule.numpy.protocols import implements
from chainrule.numpy.shaping import (
    array,
    atleast_1d,
    atleast_2d,
    atleast_3d,
    axis_index,
    expand_dims,
    fresh,
    moveaxis,
    ravel,
    reshape,
    transposed,
)
from chainrule.numpy.ufuncs import write_whole
from chainrule.ops.join import concatenate as concatenate_op
from chainrule.ops.shape import broadcast
from chainrule.program.text import line_text
from chainrule.program.trace import Traced, concrete_value, user_line

# --- joining ------------------------------------------------------------------------------------


def stored(value: Traced, out, what: str):
    """The value, written into `out` where one is given."""
    if out is None:
        return value
    if type(out) is not Traced:
        raise errors.MutationError(
            f"{what} would write traced values into a plain array (out=), at "
            f"{line_text(user_line())}: the derivative would be lost.\n"
            "  Make the array inside the function with cr.numpy.zeros(...)."
        )
    return write_whole(out, value, True, what)


@implements(np.concatenate)
def concatenate(arrays, /, axis=0, out=None, *, dtype=None, casting="same_kind"):
    """np.concatenate (np.concat): arrays joined along an existing axis."""
    parts = [array(a) for a in arrays]
    if axis is None:
        parts, axis = [ravel(p) for p in parts], 0
    if not parts:
        raise errors.ShapeError(
            f"need at least one array to concatenate, at {line_text(user_line())}"
        )
    if not parts[0].ndim:
        raise errors.ShapeError(
            f"zero-dimensional arrays cannot be concatenated, at {line_text(user_line())}"
        )
    axis = axis_index(axis, parts[0].ndim)
    _check_shapes(parts, axis)
    joined = concatenate_op(*_of_one_dtype(parts, dtype, casting), axis=axis)
    return stored(joined, out, "np.concatenate")


def _of_one_dtype(parts: list[Traced], dtype, casting: Any) -> list:
    wanted = result_dtype(*parts) if dtype is None else np.dtype(dtype)
    for part in parts:
        if not np.can_cast(part.dtype, wanted, casting):
            raise errors.DtypeError(
                f"Cannot cast array data from {part.dtype!r} to {wanted!r} according to the rule "
                f"{casting!r}, at {line_text(user_line())}"
            )
    return [cast_to(part, wanted) for part in parts]


def _check_shapes(parts: list[Traced], axis: int) -> None:
    first = parts[0]
    for i, part in enumerate(parts):
        if part.ndim != first.ndim:
            raise errors.ShapeError(
                "all the input arrays must have same number of dimensions, but the array at index "
                f"0 has {first.ndim} dimension(s) and the array at index {i} has {part.ndim} "
                f"dimension(s), at {line_text(user_line())}"
            )
        for along in range(first.ndim):
            if along != axis and part.shape[along] != first.shape[along]:
                raise errors.ShapeError(
                    "all the input array dimensions except for the concatenation axis must match "
                    f"exactly, but along dimension {along}, the array at index 0 has size "
                    f"{first.shape[along]} and the array at index {i} has size "
                    f"{part.shape[along]}, at {line_text(user_line())}"
                )


@implements(np.stack)
def stack(arrays, axis=0, out=None, *, dtype=None, casting="same_kind"):
    """np.stack: arrays of one shape joined along a new axis."""
    parts = [array(a) for a in arrays]
    if not parts:
        raise errors.ShapeError(f"need at least one array to stack, at {line_text(user_line())}")
    if len({p.shape for p in parts}) != 1:
        raise errors.ShapeError(
            f"all input arrays must have the same shape, at {line_text(user_line())}"
        )
    axis = axis_index(axis, parts[0].ndim + 1)
    wide = [expand_dims(p, axis) for p in parts]
    return concatenate(wide, axis, out, dtype=dtype, casting=casting)


@implements(np.vstack)
def vstack(tup, *, dtype=None, casting="same_kind"):
    """np.vstack: rows below each other."""
    parts = [atleast_2d(a) for a in tup]
    return concatenate(parts, 0, dtype=dtype, casting=casting)


@implements(np.hstack)
def hstack(tup, *, dtype=None, casting="same_kind"):
    """np.hstack: columns beside each other; vectors end to end."""
    parts = [atleast_1d(a) for a in tup]
    axis = 0 if parts and parts[0].ndim == 1 else 1
    return concatenate(parts, axis, dtype=dtype, casting=casting)


@implements(np.dstack)
def dstack(tup):
    """np.dstack: joined along the third axis."""
    return concatenate([atleast_3d(a) for a in tup], 2)


@implements(np.column_stack)
def column_stack(tup):
    """np.column_stack: vectors as the columns of a matrix."""
    parts = [array(a) for a in tup]
    return concatenate([p if p.ndim > 1 else reshape(p, (-1, 1)) for p in parts], 1)


@implements(np.append)
def append(arr, values, axis=None):
    """np.append: the values after the array (both raveled without an axis)."""
    x, values = array(arr), array(values)
    if axis is None:
        return concatenate((ravel(x), ravel(values)), 0)
    return concatenate((x, values), axis)


@implements(np.block)
def block(arrays):
    """np.block: an array from nested lists of blocks, innermost lists along the last axis."""
    depth = _list_depth(arrays)
    ndim = max(depth, _most_axes(arrays))
    return _joined_blocks(arrays, depth, ndim)


def _list_depth(arrays) -> int:
    if not isinstance(arrays, list):
        return 0
    if not arrays:
        raise errors.ShapeError(f"List at arrays cannot be empty, at {line_text(user_line())}")
    depths = {_list_depth(a) for a in arrays}
    if len(depths) != 1:
        raise errors.ShapeError(f"List depths are mismatched, at {line_text(user_line())}")
    return 1 + depths.pop()


def _most_axes(arrays) -> int:
    if isinstance(arrays, list):
        return max(_most_axes(a) for a in arrays)
    return np.ndim(arrays)


def _joined_blocks(arrays, depth: int, ndim: int) -> Traced:
    if not depth:
        x = array(arrays)
        return fresh(reshape_to(x, (1,) * (ndim - x.ndim) + x.shape))
    return concatenate([_joined_blocks(a, depth - 1, ndim) for a in arrays], -depth)


# --- repetition ---------------------------------------------------------------------------------


@implements(np.tile)
def tile(A, reps):
    """np.tile: the array repeated `reps` times along each axis."""
    x = array(A)
    counts = tuple(operator.index(n) for n in (reps if np.iterable(reps) else (reps,)))
    ndim = max(x.ndim, len(counts))
    counts = (1,) * (ndim - len(counts)) + counts
    shape = (1,) * (ndim - x.ndim) + x.shape
    axes = tuple(2 * ndim - 2 * x.ndim + 2 * axis + 1 for axis in range(x.ndim))
    wide = tuple(n for pair in zip(counts, shape, strict=True) for n in pair)
    repeated = broadcast(x, shape=wide, axes=axes)
    return fresh(reshape_to(repeated, tuple(map(math.prod, zip(counts, shape, strict=True)))))


@implements(np.repeat)
def repeat(a, repeats, axis=None):
    """np.repeat: each element repeated, along the flat array or one axis."""
    x = array(a)
    if axis is None:
        x, axis = ravel(x), 0
    axis = axis_index(axis, x.ndim)
    counts = np.asarray(_at_hand(repeats))
    if counts.size == 1:
        return _each_repeated(x, operator.index(counts.reshape(-1)[0]), axis)
    if counts.shape != (x.shape[axis],):
        raise errors.ShapeError(
            f"operands could not be broadcast together with shape ({x.shape[axis]},) "
            f"{counts.shape}, at {line_text(user_line())}"
        )
    rows = np.repeat(np.arange(x.shape[axis]), counts)
    return fresh(x[(slice(None),) * axis + (rows,)])


def _at_hand(value):
    if type(value) is not Traced:
        return value
    found = concrete_value(value)
    if found is None:
        raise errors.ConcreteValueNeeded(
            "the result's shape depends on the value of a traced array, at "
            f"{line_text(user_line())}, and this trace has none at hand."
        )
    return found


def _each_repeated(x: Traced, count: int, axis: int) -> Traced:
    if count < 0:
        raise errors.ShapeError(
            f"repeats may not contain negative values, at {line_text(user_line())}"
        )
    shape = (*x.shape[: axis + 1], count, *x.shape[axis + 1 :])
    axes = tuple(a for a in range(x.ndim + 1) if a != axis + 1)
    flat = (*x.shape[:axis], x.shape[axis] * count, *x.shape[axis + 1 :])
    return fresh(reshape_to(broadcast(x, shape=shape, axes=axes), flat))


# --- splitting ----------------------------------------------------------------------------------


@implements(np.array_split)
def array_split(ary, indices_or_sections, axis=0):
    """np.array_split: views of nearly equal pieces along an axis."""
    x = array(ary)
    axis = axis_index(axis, x.ndim)
    n = x.shape[axis]
    if np.iterable(indices_or_sections):
        bounds = [0, *(operator.index(i) for i in indices_or_sections), n]
    else:
        sections = operator.index(indices_or_sections)
        if sections <= 0:
            raise errors.ShapeError(
                f"number sections must be larger than 0., at {line_text(user_line())}"
            )
        short, longer = divmod(n, sections)
        sizes = [short + 1] * longer + [short] * (sections - longer)
        bounds = [0, *(int(total) for total in np.cumsum(sizes))]
    before = (slice(None),) * axis
    pairs = itertools.pairwise(bounds)
    return [x[(*before, slice(start, stop))] for start, stop in pairs]


@implements(np.split)
def split(ary, indices_or_sections, axis=0):
    """np.split: views of equal pieces along an axis."""
    x = array(ary)
    if not np.iterable(indices_or_sections):
        n = x.shape[axis_index(axis, x.ndim)]
        if n % operator.index(indices_or_sections):
            raise errors.ShapeError(
                f"array split does not result in an equal division, at {line_text(user_line())}"
            )
    return array_split(x, indices_or_sections, axis)


@implements(np.hsplit)
def hsplit(ary, indices_or_sections):
    """np.hsplit: pieces side by side (of a vector: along its only axis)."""
    x = _splittable(ary, 1, "hsplit")
    return split(x, indices_or_sections, 1 if x.ndim > 1 else 0)


@implements(np.vsplit)
def vsplit(ary, indices_or_sections):
    """np.vsplit: pieces below each other."""
    return split(_splittable(ary, 2, "vsplit"), indices_or_sections, 0)


@implements(np.dsplit)
def dsplit(ary, indices_or_sections):
    """np.dsplit: pieces along the third axis."""
    return split(_splittable(ary, 3, "dsplit"), indices_or_sections, 2)


def _splittable(ary, ndim: int, name: str) -> Traced:
    x = array(ary)
    if x.ndim < ndim:
        raise errors.ShapeError(
            f"{name} only works on arrays of {ndim} or more dimensions, at {line_text(user_line())}"
        )
    return x


@implements(np.unstack)
def unstack(x, /, *, axis=0):
    """np.unstack: a tuple of views, one per position along an axis."""
    x = array(x)
    if not x.ndim:
        raise errors.ShapeError(f"Input array must be at least 1-d., at {line_text(user_line())}")
    front = moveaxis(x, axis, 0)
    return tuple(front[i] for i in range(front.shape[0]))


# --- grids --------------------------------------------------------------------------------------


@implements(np.meshgrid)
def meshgrid(*xi, copy=True, sparse=False, indexing="xy"):
    """np.meshgrid: coordinate grids from coordinate vectors."""
    if indexing not in ("xy", "ij"):
        raise errors.ShapeError("Valid values for `indexing` are 'xy' and 'ij'.")
    vectors = [ravel(array(x)) for x in xi]
    ndim = len(vectors)
    shape = tuple(v.size for v in vectors)
    grids = []
    for axis, vector in enumerate(vectors):
        sizes = tuple(vector.size if a == axis else 1 for a in range(ndim)) if sparse else shape
        grid = fresh(broadcast(vector, shape=sizes, axes=(axis,)))
        if indexing == "xy" and ndim > 1:
            grid = fresh(transposed(grid, (1, 0, *range(2, ndim))))
        grids.append(grid)
    return tuple(grids)
