"""Questions about arrays: isclose, array_equal, iscomplexobj, shape, result_type and their like.

Answers about shapes and dtypes are plain Python; answers about values are traced booleans, which
`if` understands where the value is at hand.
"""

from __future__ import annotations

from typing import Any

import numpy as np

from chainrule.numpy.promotion import (
    as_array,
    broadcast_shape,
    cast_to,
    result_dtype,
    shape_of,
    traced,
)
from chainrule.numpy.protocols import implements
from chainrule.numpy.selecting import at_hand
from chainrule.numpy.shaping import array, fresh
from chainrule.ops.shape import broadcast
from chainrule.program.trace import Traced

# --- shapes and dtypes --------------------------------------------------------------------------


@implements(np.shape)
def shape(a):
    """np.shape: a tuple."""
    return shape_of(a)


@implements(np.ndim)
def ndim(a):
    """np.ndim: an int."""
    return len(shape_of(a))


@implements(np.size)
def size(a, axis=None):
    """np.size: an int."""
    lengths = shape_of(a)
    if axis is None:
        axis = tuple(range(len(lengths)))
    count = 1
    for along in axis if isinstance(axis, tuple) else (axis,):
        count *= lengths[along]
    return count


@implements(np.result_type)
def result_type(*arrays_and_dtypes):
    """np.result_type: a dtype."""
    return result_dtype(*arrays_and_dtypes)


@implements(np.can_cast)
def can_cast(from_, to, casting="safe"):
    """np.can_cast: a bool."""
    from_, to = (x.dtype if type(x) is Traced else x for x in (from_, to))
    return np.can_cast(from_, to, casting)


@implements(np.common_type)
def common_type(*arrays):
    """np.common_type: the inexact scalar type that holds all the arrays."""
    return np.common_type(*(np.empty(0, a.dtype) for a in arrays))


@implements(np.min_scalar_type)
def min_scalar_type(a, /):
    """np.min_scalar_type: the dtype of an array (a scalar's value is at hand)."""
    return a.dtype if a.ndim else np.min_scalar_type(at_hand(a, "the smallest dtype")[()])


@implements(np.iscomplexobj)
def iscomplexobj(x):
    """np.iscomplexobj: a bool, by dtype."""
    return x.dtype.kind == "c"


@implements(np.isrealobj)
def isrealobj(x):
    """np.isrealobj: a bool, by dtype."""
    return x.dtype.kind != "c"


# --- values -------------------------------------------------------------------------------------


def constant(value: bool, of_shape) -> Traced:
    """A traced array of one boolean."""
    scalar = traced(np.bool_(value))
    return broadcast(scalar, shape=of_shape, axes=()) if of_shape else fresh(scalar, False)


@implements(np.iscomplex)
def iscomplex(x):
    """np.iscomplex: True where the imaginary part is not zero."""
    x = array(x)
    return x.imag != 0 if x.dtype.kind == "c" else constant(False, x.shape)


@implements(np.isreal)
def isreal(x):
    """np.isreal: True where the imaginary part is zero."""
    x = array(x)
    return x.imag == 0 if x.dtype.kind == "c" else constant(True, x.shape)


@implements(np.real_if_close)
def real_if_close(a, tol=100):
    """np.real_if_close: the real part where all imaginary parts are tiny (values at hand)."""
    x = array(a)
    if x.dtype.kind != "c":
        return x
    largest = np.finfo(x.dtype).eps * tol if tol > 1 else tol
    value = at_hand(x, "the dtype of np.real_if_close")
    return x.real if np.all(np.absolute(value.imag) < largest) else x


@implements(np.isclose)
def isclose(a, b, rtol=1.0e-5, atol=1.0e-8, equal_nan=False):
    """np.isclose: |a - b| <= atol + rtol |b|, and equal infinities."""
    x, y = array(a), array(b)
    y = cast_to(y, result_dtype(y, 1.0))
    near = np.less_equal(np.abs(x - y), atol + rtol * np.abs(y))
    close = near & np.isfinite(y) | (x == y)
    return close | (np.isnan(x) & np.isnan(y)) if equal_nan else close


@implements(np.allclose)
def allclose(a, b, rtol=1.0e-5, atol=1.0e-8, equal_nan=False):
    """np.allclose: one boolean."""
    return isclose(a, b, rtol, atol, equal_nan).all()


@implements(np.array_equal)
def array_equal(a1, a2, equal_nan=False):
    """np.array_equal: one boolean; shapes are not broadcast."""
    a1, a2 = as_array(a1), as_array(a2)
    if shape_of(a1) != shape_of(a2):
        return False
    return _all_equal(array(a1), array(a2), equal_nan)


@implements(np.array_equiv)
def array_equiv(a1, a2):
    """np.array_equiv: one boolean, after broadcasting."""
    a1, a2 = as_array(a1), as_array(a2)
    try:
        broadcast_shape(shape_of(a1), shape_of(a2))
    except ValueError:
        return False
    return _all_equal(array(a1), array(a2), False)


def _all_equal(x: Traced, y: Traced, equal_nan: bool):
    same: Any = x == y
    if equal_nan and x.dtype.kind in "fc" and y.dtype.kind in "fc":
        same = same | (np.isnan(x) & np.isnan(y))
    return same.all()
