"""The order of elements along axes: flip, rot90 (views, as in NumPy) and roll (a copy)."""

from __future__ import annotations

import operator

import numpy as np

from chainrule import errors
from chainrule.numpy import layout
from chainrule.numpy.protocols import implements
from chainrule.numpy.shaping import array, axis_tuple, fresh, reshape, swapaxes, view
from chainrule.ops import shape as shape_ops
from chainrule.ops.join import concatenate as concatenate_op
from chainrule.program.text import line_text
from chainrule.program.trace import Traced, user_line


@implements(np.flip)
def flip(m, axis=None):
    """np.flip: a view with the order reversed along axes (all by default)."""
    x = array(m)
    axes = tuple(range(x.ndim)) if axis is None else axis_tuple(axis, x.ndim)
    if not axes:
        return x

    def reverse(value):
        return shape_ops.flip(value, axes=axes)

    return view(x, ("flip", axes), reverse, lambda _, value: reverse(value))


@implements(np.flipud)
def flipud(m):
    """np.flipud: a view reversed along axis 0."""
    return flip(_with_axes(m, 1), 0)


@implements(np.fliplr)
def fliplr(m):
    """np.fliplr: a view reversed along axis 1."""
    return flip(_with_axes(m, 2), 1)


def _with_axes(m, needed: int) -> Traced:
    x = array(m)
    if x.ndim < needed:
        raise errors.ShapeError(f"Input must be >= {needed}-d, at {line_text(user_line())}")
    return x


@implements(np.rot90)
def rot90(m, k=1, axes=(0, 1)):
    """np.rot90: a view turned by k quarter turns in the plane of two axes."""
    x = array(m)
    if len(axes) != 2:
        raise errors.ShapeError(f"len(axes) must be 2, at {line_text(user_line())}")
    first, second = axis_tuple(axes, x.ndim, None, True)
    if first == second:
        raise errors.ShapeError(f"Axes must be different, at {line_text(user_line())}")
    turns = operator.index(k) % 4
    if turns == 1:
        return swapaxes(flip(x, second), first, second)
    if turns == 3:
        return flip(swapaxes(x, first, second), second)
    return x if turns == 0 else flip(x, (first, second))


@implements(np.roll)
def roll(a, shift, axis=None):
    """np.roll: a copy, shifted cyclically along axes (of the flat array by default)."""
    x = array(a)
    if axis is None:
        return fresh(reshape(roll(reshape(x, -1), np.sum(shift), 0), x.shape))
    shifts, axes = np.broadcast_arrays(shift, axis_tuple(axis, x.ndim, None, True))
    out = fresh(x)
    for count, along in zip(shifts.ravel(), axes.ravel(), strict=True):
        out = _rolled(out, int(count), int(along))
    return layout.with_order_of(out, x)


def _rolled(x: Traced, count: int, axis: int) -> Traced:
    n = x.shape[axis]
    count = count % n if n else 0
    if not count:
        return x
    before = (slice(None),) * axis
    tail, head = x[(*before, slice(n - count, None))], x[(*before, slice(None, n - count))]
    return concatenate_op(tail, head, axis=axis)
