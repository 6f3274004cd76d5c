"""Shapes and axes: reshape, transpose, squeeze, broadcast_to and their relatives.

Where NumPy returns a view, so do these: writes to it go through. Where NumPy copies (a reshape that
memory does not allow), the result is a value of its own.
"""

from __future__ import annotations

import math
import operator

import numpy as np
from numpy.lib.array_utils import normalize_axis_index, normalize_axis_tuple

from chainrule import errors
from chainrule.numpy import layout
from chainrule.numpy.promotion import as_array, broadcast_shape, shape_of, spelled, strong, traced
from chainrule.numpy.promotion import broadcast_to as broadcast_value
from chainrule.numpy.protocols import implements
from chainrule.ops import elementwise
from chainrule.ops import shape as shape_ops
from chainrule.ops.shape import inverse_permutation
from chainrule.program.mutation import make_view
from chainrule.program.text import line_text
from chainrule.program.trace import Traced, current, operand, raise_leaked, user_line

# --- new cells and views ------------------------------------------------------------------------


def fresh(x: Traced, boxed: bool = True) -> Traced:
    """A value of its own, equal to x now; an array also where it has no axes (`boxed`)."""
    builder = current()
    if builder is None:
        raise_leaked(x)
    assert builder is not None
    out = Traced(builder, operand(builder, x), False, x.active)
    out.boxed = boxed
    return layout.in_order(out, "C")


def array(x) -> Traced:
    """Any array-like as a traced array: lists become arrays, Python scalars lose their weakness."""
    return strong(traced(as_array(x)))


def view(x: Traced, key, read, write) -> Traced:
    """A view of x; of a scalar, which has no memory to share, a new array."""
    if x.type.ndim == 0 and not x.boxed:
        return fresh(read(x))
    layout.strides_of(x)  # worked out before the first write through a view
    return make_view(x, key, read, write)


def axis_index(axis, ndim: int, name: str | None = None) -> int:
    """A non-negative axis; NumPy's AxisError with the user's line where there is none."""
    return _with_line(normalize_axis_index, operator.index(axis), ndim, name)


def axis_tuple(axes, ndim: int, name: str | None = None, repeats: bool = False) -> tuple[int, ...]:
    """Non-negative axes from an int or a sequence of ints."""
    return _with_line(normalize_axis_tuple, axes, ndim, name, repeats)


def _with_line(function, *args):
    try:
        return function(*args)
    except np.exceptions.AxisError as error:
        raise errors.AxisError(f"{error}, at {line_text(user_line())}") from None
    except ValueError as error:
        raise errors.ShapeError(f"{error}, at {line_text(user_line())}") from None


# --- reshape ------------------------------------------------------------------------------------


@implements(np.reshape)
def reshape(a, shape=None, order="C", *, newshape=None, copy=None):
    """np.reshape: a view where the memory layout allows one, else a copy in C order."""
    x = array(a)
    wanted = full_shape(x, newshape if shape is None else shape)
    if order == "A":
        order = "F" if layout.is_f_contiguous(x) and not layout.is_c_contiguous(x) else "C"
    if order == "F":
        return transposed(_reshaped(transposed(x), wanted[::-1], copy))
    if order != "C":
        raise ValueError("order 'K' is not permitted for reshaping")
    return _reshaped(x, wanted, copy)


def _reshaped(x: Traced, shape, copy=None) -> Traced:
    is_view = copy is not True and layout.can_reshape(x, shape)
    if not is_view and copy is False:
        raise ValueError("Unable to avoid creating a copy while reshaping.")
    if is_view:
        return reshaped_view(x, shape)
    return fresh(x if shape == x.shape else shape_ops.reshape(x, shape=shape))


def reshaped_view(x: Traced, shape) -> Traced:
    """A view of x's elements, in C order, in another shape."""
    if shape == x.shape:
        return x
    before = x.shape
    return view(
        x,
        ("reshape", shape),
        lambda parent: shape_ops.reshape(parent, shape=shape),
        lambda _, value: shape_ops.reshape(value, shape=before),
    )


def full_shape(x, shape) -> tuple[int, ...]:
    """A shape argument as a tuple, with its -1 worked out."""
    if isinstance(shape, tuple | list) or (hasattr(shape, "__iter__") and np.ndim(shape) > 0):
        wanted = tuple(operator.index(n) for n in shape)
    else:
        wanted = (operator.index(shape),)
    if wanted.count(-1) == 1:
        known = -math.prod(wanted)
        if known > 0 and x.size % known == 0:
            wanted = tuple(x.size // known if n == -1 else n for n in wanted)
    if math.prod(wanted) != x.size or any(n < 0 for n in wanted):
        raise errors.ShapeError(
            f"cannot reshape array of size {x.size} into shape {spelled(np.atleast_1d(shape))}, "
            f"at {line_text(user_line())}"
        )
    return wanted


@implements(np.ravel)
def ravel(a, order="C"):
    """np.ravel: one axis; a view where the elements lie in memory in this order, without gaps."""
    x = array(a)
    if order == "A":
        order = "F" if layout.is_f_contiguous(x) and not layout.is_c_contiguous(x) else "C"
    if order == "K":
        moved = transposed(x, layout.memory_order(x))
    else:
        moved = transposed(x) if order == "F" else x
    if layout.is_c_contiguous(moved):
        return reshaped_view(moved, (x.size,))
    return fresh(shape_ops.reshape(moved, shape=(x.size,)))


def flat(x: Traced) -> Traced:
    """The elements in C order, written through whatever the memory layout is (x.flat)."""
    return reshaped_view(x, (x.size,))


def flatten(x: Traced, order="C") -> Traced:
    """x.flatten(): one axis, always a copy."""
    return fresh(ravel(x, order))


# --- the order of axes --------------------------------------------------------------------------


def transposed(x: Traced, axes: tuple[int, ...] | None = None) -> Traced:
    """A view of x with its axes in another order (reversed by default)."""
    if axes is None:
        axes = tuple(range(x.ndim))[::-1]
    if axes == tuple(range(x.ndim)):
        return x
    back = inverse_permutation(axes)
    return view(
        x,
        ("transpose", axes),
        lambda parent: shape_ops.transpose(parent, axes=axes),
        lambda _, value: shape_ops.transpose(value, axes=back),
    )


@implements(np.transpose)
def transpose(a, axes=None):
    """np.transpose (np.permute_dims): a view with the axes in another order."""
    x = array(a)
    if axes is None:
        return transposed(x)
    if len(axes) != x.ndim:
        raise errors.ShapeError(f"axes don't match array, at {line_text(user_line())}")
    return transposed(x, axis_tuple(axes, x.ndim))


@implements(np.matrix_transpose)
def matrix_transpose(x, /):
    """np.matrix_transpose: the last two axes exchanged."""
    x = array(x)
    if x.ndim < 2:
        raise errors.ShapeError(
            f"Input array must be at least 2-dimensional, but it is {x.ndim}, "
            f"at {line_text(user_line())}"
        )
    return swapaxes(x, -1, -2)


@implements(np.swapaxes)
def swapaxes(a, axis1, axis2):
    """np.swapaxes: a view with two axes exchanged."""
    x = array(a)
    first, second = axis_index(axis1, x.ndim, "axis1"), axis_index(axis2, x.ndim, "axis2")
    axes = list(range(x.ndim))
    axes[first], axes[second] = second, first
    return transposed(x, tuple(axes))


@implements(np.moveaxis)
def moveaxis(a, source, destination):
    """np.moveaxis: a view with axes moved to new places, the others in order."""
    x = array(a)
    sources = axis_tuple(source, x.ndim, "source")
    targets = axis_tuple(destination, x.ndim, "destination")
    if len(sources) != len(targets):
        raise errors.ShapeError(
            "`source` and `destination` arguments must have the same number of elements, "
            f"at {line_text(user_line())}"
        )
    axes = [axis for axis in range(x.ndim) if axis not in sources]
    for target, axis in sorted(zip(targets, sources, strict=True)):
        axes.insert(target, axis)
    return transposed(x, tuple(axes))


@implements(np.rollaxis)
def rollaxis(a, axis, start=0):
    """np.rollaxis: a view with one axis moved to before `start`."""
    x = array(a)
    axis = axis_index(axis, x.ndim)
    start = start + x.ndim if start < 0 else start
    if not 0 <= start <= x.ndim:
        raise errors.AxisError(
            f"'start' arg requires {-x.ndim} <= start < {x.ndim + 1}, at {line_text(user_line())}"
        )
    return moveaxis(x, axis, start - 1 if axis < start else start)


# --- axes of length one -------------------------------------------------------------------------


@implements(np.squeeze)
def squeeze(a, axis=None):
    """np.squeeze: a view without axes of length one."""
    x = array(a)
    if axis is None:
        drop = tuple(i for i, n in enumerate(x.shape) if n == 1)
    else:
        drop = axis_tuple(axis, x.ndim)
    if any(x.shape[i] != 1 for i in drop):
        raise errors.ShapeError(
            "cannot select an axis to squeeze out which has size not equal to one, "
            f"at {line_text(user_line())}"
        )
    return reshaped_view(x, tuple(n for i, n in enumerate(x.shape) if i not in drop))


@implements(np.expand_dims)
def expand_dims(a, axis):
    """np.expand_dims: a view with new axes of length one."""
    x = array(a)
    axes = axis if isinstance(axis, tuple | list) else (axis,)
    places = axis_tuple(axes, x.ndim + len(axes))
    lengths = iter(x.shape)
    shape = tuple(1 if i in places else next(lengths) for i in range(x.ndim + len(places)))
    return reshaped_view(x, shape)


@implements(np.atleast_1d)
def atleast_1d(*arys):
    """np.atleast_1d: views with at least one axis."""
    return _each(lambda x: reshaped_view(x, (1,)) if x.ndim == 0 else x, arys)


@implements(np.atleast_2d)
def atleast_2d(*arys):
    """np.atleast_2d: views with at least two axes, new ones in front."""
    return _each(lambda x: reshaped_view(x, (1,) * (2 - x.ndim) + x.shape), arys)


@implements(np.atleast_3d)
def atleast_3d(*arys):
    """np.atleast_3d: views with at least three axes; a vector becomes (1, n, 1)."""

    def widen(x):
        shape = {0: (1, 1, 1), 1: (1, *x.shape, 1), 2: (*x.shape, 1)}.get(x.ndim, x.shape)
        return reshaped_view(x, shape)

    return _each(widen, arys)


def _each(function, arys):
    done = tuple(function(array(a)) for a in arys)
    return done[0] if len(done) == 1 else done


# --- broadcasting -------------------------------------------------------------------------------


@implements(np.broadcast_to)
def broadcast_to(array, shape, subok=False):
    """np.broadcast_to: a read-only view of a larger shape."""
    x = strong(traced(array))
    shape = tuple(operator.index(n) for n in (shape if np.iterable(shape) else (shape,)))
    if shape == x.shape:
        return _read_only(x, ("broadcast", shape, tuple(range(x.ndim))), fresh)
    lead = len(shape) - x.ndim
    if lead < 0 or any(n not in (1, m) for n, m in zip(x.shape, shape[lead:], strict=True)):
        raise errors.ShapeError(
            "operands could not be broadcast together with remapped shapes [original->remapped]: "
            f"{spelled(x.shape)} and requested shape {spelled(shape)}, "
            f"at {line_text(user_line())}"
        )
    return _read_only(
        x,
        ("broadcast", shape, tuple(range(lead, len(shape)))),
        lambda parent: broadcast_value(parent, shape),
    )


def _read_only(x: Traced, key, read) -> Traced:
    if x.ndim == 0 and not x.boxed:  # a scalar never changes, so a view without a parent will do
        x = fresh(x)
    return view(x, key, read, None)


@implements(np.broadcast_arrays)
def broadcast_arrays(*args, subok=False):
    """np.broadcast_arrays: the arguments as read-only views of their common shape."""
    shape = broadcast_shape(*(shape_of(a) for a in args))
    done = []
    for a in args:
        x = array(a)
        done.append(x if x.shape == shape and shape else broadcast_to(x, shape))
    return tuple(done)


# --- complex parts ------------------------------------------------------------------------------


@implements(np.real)
def real(val):
    """np.real: a view of the real part; a real array is returned itself."""
    x = traced(as_array(val))
    if x.dtype.kind != "c":
        return x
    return _complex_part(
        x, "real", elementwise.real, lambda old, new: elementwise.join(new, elementwise.imag(old))
    )


@implements(np.imag)
def imag(val):
    """np.imag: a view of the imaginary part; zeros for a real array."""
    x = traced(as_array(val))
    if x.dtype.kind != "c":
        return traced(shape_ops.zeros_of(x.type))
    return _complex_part(
        x, "imag", elementwise.imag, lambda old, new: elementwise.join(elementwise.real(old), new)
    )


def _complex_part(x: Traced, name: str, read, write) -> Traced:
    if x.ndim == 0 and not x.boxed:
        out = read(x)
        out.weak = x.weak
        return out
    return view(x, (name,), read, write)
