"""Windows onto an array: sliding_window_view and as_strided.

Both give read-only views: the elements are read by their places, so that derivatives add up where
windows overlap. (NumPy lets one write through them on request; here that raises.)
"""

from __future__ import annotations

import math
import operator

import numpy as np
from numpy.lib.stride_tricks import as_strided as plain_as_strided
from numpy.lib.stride_tricks import sliding_window_view as plain_windows

from chainrule import errors
from chainrule.numpy import layout
from chainrule.numpy.promotion import traced
from chainrule.numpy.protocols import implements
from chainrule.numpy.shaping import array, axis_tuple, view
from chainrule.numpy.undispatched import replaces
from chainrule.ops import shape as shape_ops
from chainrule.ops.index import index
from chainrule.program.text import line_text
from chainrule.program.trace import Traced, is_traced, user_line


def _places_view(x: Traced, key, places: np.ndarray) -> Traced:
    """A read-only view of the elements at these places of the raveled array."""

    def read(parent):
        flat = shape_ops.reshape(parent, shape=(math.prod(x.shape),))
        return index(flat, traced(places) if is_traced(parent) else places, at=())

    return view(x, key, read, None)


@implements(plain_windows)
def sliding_window_view(x, window_shape, axis=None, *, subok=False, writeable=False):
    """np.lib.stride_tricks.sliding_window_view: read-only, also where `writeable` asks for more."""
    x = array(x)
    lengths = tuple(window_shape) if np.iterable(window_shape) else (window_shape,)
    lengths = tuple(operator.index(n) for n in lengths)
    axes = tuple(range(x.ndim)) if axis is None else axis_tuple(axis, x.ndim, repeats=True)
    try:
        places = plain_windows(np.arange(x.size).reshape(x.shape), lengths, axes)
    except ValueError as error:
        raise errors.ShapeError(f"{error}, at {line_text(user_line())}") from None
    return _places_view(x, ("windows", axes), np.ascontiguousarray(places))


@replaces("numpy.lib.stride_tricks")
def as_strided(x, shape=None, strides=None, subok=False, writeable=True):
    """np.lib.stride_tricks.as_strided, of an array whose elements lie in C order without gaps."""
    x = array(x)
    if not layout.is_c_contiguous(x):
        raise errors.NotSupported(
            "as_strided of a traced array that is not contiguous is not supported, at "
            f"{line_text(user_line())}: copy it first, with x.copy()."
        )
    shape = x.shape if shape is None else tuple(operator.index(n) for n in shape)
    steps = x.strides if strides is None else tuple(operator.index(n) for n in strides)
    if any(step % x.itemsize for step in steps):
        raise errors.NotSupported(
            f"as_strided with strides {steps} reads parts of elements, at "
            f"{line_text(user_line())}: use multiples of {x.itemsize} bytes."
        )
    steps = tuple(step // x.itemsize for step in steps)
    last = sum(step * (n - 1) for step, n in zip(steps, shape, strict=True))
    if 0 not in shape and (min(steps, default=0) < 0 or last >= x.size):
        raise errors.IndexOutOfRange(
            f"as_strided with shape {shape} leaves the {x.size} elements of the array, "
            f"at {line_text(user_line())}."
        )
    counting = np.arange(max(x.size, 1))
    places = plain_as_strided(counting, shape, tuple(step * counting.itemsize for step in steps))
    return _places_view(x, ("strided", steps), np.ascontiguousarray(places))
