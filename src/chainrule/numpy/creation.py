"""Making arrays: zeros, full, arange, linspace, eye, array and the `_like` functions.

NumPy does not dispatch most of these, so they have their own spelling, `chainrule.numpy.zeros(3)`.
While a trace is open they give traced values, which can be filled with traced values; otherwise
they are NumPy's own functions.
"""

from __future__ import annotations

import operator
from typing import Any

import numpy as np

from chainrule import errors
from chainrule.numpy import layout
from chainrule.numpy.buffers import makes
from chainrule.numpy.diagonals import write_diagonal
from chainrule.numpy.interception import as_traced_array, copied
from chainrule.numpy.promotion import (
    broadcast_shape,
    broadcast_to,
    cast_to,
    contains_traced,
    result_dtype,
    shape_of,
    stacked,
    traced,
)
from chainrule.numpy.protocols import implements
from chainrule.numpy.shaping import array as as_traced
from chainrule.numpy.shaping import fresh
from chainrule.numpy.undispatched import replaces
from chainrule.ops.select import select
from chainrule.ops.shape import broadcast, iota
from chainrule.program.text import line_text
from chainrule.program.trace import Traced, concrete_value, current, user_line
from chainrule.program.types import is_supported, supported_names

# --- arrays of one value ------------------------------------------------------------------------


@makes
def zeros(shape, dtype=float, order="C", *, device=None, like=None):
    """np.zeros; inside a trace, an array that can be filled with traced values."""
    return _of_value(0, shape, dtype, order, device)


@makes
def ones(shape, dtype=None, order="C", *, device=None, like=None):
    """np.ones; inside a trace, an array that can be filled with traced values."""
    return _of_value(1, shape, dtype, order, device)


@makes
def empty(shape, dtype=float, order="C", *, device=None, like=None):
    """np.empty; inside a trace, zeros to be filled."""
    return _of_value(0, shape, dtype, order, device)


@makes
@replaces("numpy")
def full(shape, fill_value, dtype=None, order="C", *, device=None, like=None):
    """np.full, also for a traced fill value."""
    _check_device(device)
    if current() is None:
        return np.full(shape, fill_value, dtype, order)
    value = array(fill_value)
    out = cast_to(value, value.dtype if dtype is None else _supported(dtype))
    return layout.in_order(fresh(broadcast_to(out, _shape(shape))), order)


def _of_value(value: int, shape, dtype, order: Any, device):
    _check_device(device)
    dtype = np.dtype(float if dtype is None else dtype)
    if current() is None:
        return np.full(shape, value, dtype, order)
    return layout.in_order(filled(_shape(shape), value, _supported(dtype)), order)


def filled(shape: tuple[int, ...], value, dtype: np.dtype) -> Traced:
    """A traced array of one constant."""
    scalar = traced(dtype.type(value))
    return fresh(broadcast(scalar, shape=shape, axes=()) if shape else scalar)


def _shape(shape) -> tuple[int, ...]:
    lengths = shape if np.iterable(shape) else (shape,)
    found = tuple(operator.index(n) for n in lengths)
    if any(n < 0 for n in found):
        raise errors.ShapeError(f"negative dimensions are not allowed, at {line_text(user_line())}")
    return found


def _supported(dtype) -> np.dtype:
    dtype = np.dtype(dtype)
    if not is_supported(dtype):
        raise errors.DtypeError(
            f"traced arrays have no dtype {dtype}, at {line_text(user_line())}; supported: "
            f"{supported_names()}"
        )
    return dtype.newbyteorder("=")


def _check_device(device) -> None:
    if device not in (None, "cpu"):
        raise ValueError(f'Device not understood. Only "cpu" is allowed, but received: {device}')


# --- arrays like another ------------------------------------------------------------------------


@makes
def zeros_like(a, dtype=None, order="K", subok=True, shape=None, *, device=None):
    """np.zeros_like; inside a trace, an array that can be filled with traced values."""
    return full_like(a, 0, dtype, order, subok, shape, device=device)


@makes
def ones_like(a, dtype=None, order="K", subok=True, shape=None, *, device=None):
    """np.ones_like; inside a trace, an array that can be filled with traced values."""
    return full_like(a, 1, dtype, order, subok, shape, device=device)


@makes
def empty_like(prototype, dtype=None, order="K", subok=True, shape=None, *, device=None):
    """np.empty_like; inside a trace, zeros to be filled."""
    return full_like(prototype, 0, dtype, order, subok, shape, device=device)


@makes
def full_like(a, fill_value, dtype=None, order="K", subok=True, shape=None, *, device=None):
    """np.full_like, also for a traced array and a traced fill value."""
    _check_device(device)
    if current() is None:
        return np.full_like(a, fill_value, dtype, order, subok, shape)
    x = asarray(a)
    dtype = x.dtype if dtype is None else _supported(dtype)
    wanted = x.shape if shape is None else _shape(shape)
    if isinstance(fill_value, int | float | complex) and type(fill_value) is not Traced:
        out = filled(wanted, fill_value, dtype)
    else:
        out = fresh(broadcast_to(cast_to(array(fill_value), dtype), wanted))
    if order == "F" or (order == "A" and layout.is_f_contiguous(x)):
        return layout.in_order(out, "F")
    return layout.with_order_of(out, x) if order == "K" and wanted == x.shape else out


for _function, _implementation in (
    (np.zeros_like, zeros_like),
    (np.ones_like, ones_like),
    (np.empty_like, empty_like),
    (np.full_like, full_like),
):
    implements(_function)(_implementation)


@makes
@implements(np.copy)
def copy(a, order="K", subok=False):
    """np.copy: an array of its own."""
    if current() is None:
        return np.copy(a, order, subok)
    x = asarray(a)
    out = fresh(x)
    return layout.with_order_of(out, x) if order == "K" else layout.in_order(out, order)


@implements(np.astype)
def astype(x, dtype, /, *, copy=True, device=None):
    """np.astype: the array in another dtype."""
    _check_device(device)
    return x.astype(dtype, copy=copy)


# --- arrays from Python values ------------------------------------------------------------------


@makes
def array(object, dtype=None, *, copy=True, order="K", subok=False, ndmin=0, like=None):
    """np.array, also for nested lists that hold traced values, which are stacked."""
    if current() is None:
        return np.array(object, dtype, copy=copy, order=order, subok=subok, ndmin=ndmin)
    return copied(_as_traced(object, dtype), dtype, copy=copy, order=order, ndmin=ndmin)


replaces("numpy.lib._index_tricks_impl", "array")(array)  # what np.r_[x, 0] and np.c_[x, y] call


def asarray(a, dtype=None, order=None, *, device=None, copy=None, like=None):
    """np.asarray, also for nested lists that hold traced values, which are stacked."""
    _check_device(device)
    if current() is None:
        return np.asarray(a, dtype, order, copy=copy)
    return as_traced_array(_as_traced(a, dtype), dtype, order, copy=copy)


def ascontiguousarray(a, dtype=None, *, like=None):
    """np.ascontiguousarray: asarray with at least one axis."""
    out = asarray(a, dtype, "C")
    return out if out.ndim else out.reshape(1)


def asfortranarray(a, dtype=None, *, like=None):
    """np.asfortranarray: asarray with the first axis the fastest in memory."""
    out = asarray(a, dtype, "F")
    return out if out.ndim else out.reshape(1)


def _as_traced(value, dtype) -> Traced:
    if type(value) is Traced:
        return value
    if contains_traced(value):
        return stacked(value)
    host = np.asarray(value, None if dtype is None else np.dtype(dtype))
    _supported(host.dtype)
    return traced(host if host.ndim else host[()])


def from_dlpack(x, /, *, device=None, copy=None):
    """np.from_dlpack, which takes a traced value as it is."""
    _check_device(device)
    if type(x) is Traced:
        return as_traced_array(x, copy=copy)
    return np.from_dlpack(x, device=device, copy=copy)


# --- ranges -------------------------------------------------------------------------------------


_plain_range: Any = np.arange


@makes
def arange(start, stop=None, step=1, dtype=None, *, device=None, like=None):
    """np.arange, also for traced bounds (whose values decide the length, so must be at hand)."""
    _check_device(device)
    if stop is None:
        start, stop = 0, start
    if current() is None:
        return _plain_range(start, stop, step, dtype)
    if any(type(v) is Traced for v in (start, stop, step)):
        return _traced_range(start, stop, step, dtype)
    values = _plain_range(start, stop, step, dtype)
    _supported(values.dtype)
    if values.dtype.kind in "iu" and values.size and (values[0], step) == (0, 1):
        return fresh(iota(size=values.size, dtype=values.dtype))
    return fresh(traced(values))


def _traced_range(start, stop, step, dtype) -> Traced:
    plain = [_length_value(v) for v in (start, stop, step)]
    values = np.arange(*plain, dtype=dtype)
    counting = fresh(iota(size=values.size, dtype=values.dtype))
    delta = (start + step) - start  # NumPy's own rounding of the step
    return fresh(cast_to(as_traced(start + counting * delta), values.dtype))


def _length_value(value):
    if type(value) is not Traced:
        return value
    found = concrete_value(value)
    if found is None:
        raise errors.ConcreteValueNeeded(
            "the length of arange depends on the value of a traced number, at "
            f"{line_text(user_line())}, and this trace has none at hand."
        )
    return found


@makes
@implements(np.linspace)
def linspace(start, stop, num=50, endpoint=True, retstep=False, dtype=None, axis=0, *, device=None):
    """np.linspace, also for traced ends."""
    _check_device(device)
    if current() is None or not _holds_traced(start, stop):
        made = np.linspace(start, stop, num, endpoint, retstep, dtype, axis)
        if current() is None:
            return made
        return (fresh(traced(made[0])), made[1]) if retstep else fresh(traced(made))
    num = operator.index(num)
    if num < 0:
        raise ValueError(f"Number of samples, {num}, must be non-negative.")
    inexact = result_dtype(_end(start), _end(stop), 1.0)
    start, stop = cast_to(array(start), inexact), cast_to(array(stop), inexact)
    out, step = _between(start, stop, num, endpoint)
    if axis != 0:
        out = np.moveaxis(out, 0, axis)
    if dtype is not None:
        dtype = np.dtype(dtype)
        out = cast_to(np.floor(out) if dtype.kind in "iu" else out, dtype)
    out = fresh(out)
    return (out, step) if retstep else out


def _holds_traced(*values) -> bool:
    return any(contains_traced(v) for v in values)


def _end(value):
    """An end of a range; a list becomes an array, a Python number stays weak."""
    return array(value) if isinstance(value, list | tuple) else value


def _between(start: Traced, stop: Traced, num: int, endpoint):
    """`num` values from start on, and their step, with NumPy's order of operations."""
    parts = num - 1 if endpoint else num
    delta = stop - start
    shape = (num, *delta.shape)
    numbers = broadcast(iota(size=num, dtype=delta.dtype), shape=shape, axes=(0,))
    if parts > 0:
        step = delta / parts
        out = numbers * step + start
    else:
        step = np.nan
        out = numbers * delta + start
    if endpoint and num > 1:
        out = fresh(out)
        out[-1] = stop
    return out, step


@implements(np.logspace)
def logspace(start, stop, num=50, endpoint=True, base=10.0, dtype=None, axis=0):
    """np.logspace, also for traced ends."""
    if current() is None or not _holds_traced(start, stop, base):
        made = np.logspace(start, stop, num, endpoint, base, dtype, axis)
        return made if current() is None else fresh(traced(made))
    if np.ndim(base):
        shape = broadcast_shape(shape_of(start), shape_of(stop), shape_of(base))
        base = np.expand_dims(broadcast_to(as_traced(base), shape), axis)
    exponents = linspace(start, stop, num, endpoint, axis=axis)
    out = np.power(base, exponents)
    return out if dtype is None else out.astype(dtype)


@implements(np.geomspace)
def geomspace(start, stop, num=50, endpoint=True, dtype=None, axis=0):
    """np.geomspace, also for traced ends."""
    if current() is None or not _holds_traced(start, stop):
        made = np.geomspace(start, stop, num, endpoint, dtype, axis)
        return made if current() is None else fresh(traced(made))
    start, stop = array(start), array(stop)
    wanted = result_dtype(start, stop, float(num), np.zeros((), np.float64))
    start, stop = (broadcast_to(cast_to(v, wanted), broadcast_shape(start.shape, stop.shape))
                   for v in (start, stop))  # fmt: skip
    sign = np.sign(start)
    first, last = start / sign, stop / sign
    out = logspace(np.log10(first), np.log10(last), num, endpoint, 10.0)
    out = fresh(out)
    if num > 0:
        out[0] = first
    if num > 1 and endpoint:
        out[-1] = last
    out = out * sign
    out = np.moveaxis(out, 0, axis) if axis else out
    return out if dtype is None else out.astype(dtype)


# --- matrices -----------------------------------------------------------------------------------


@makes
def eye(N, M=None, k=0, dtype=float, order="C", *, device=None, like=None):
    """np.eye; inside a trace, an array that can be filled with traced values."""
    _check_device(device)
    if current() is None:
        return np.eye(N, M, k, dtype, order)
    dtype = _supported(dtype)
    out = filled(_shape((N, N if M is None else M)), 0, dtype)
    return layout.in_order(fresh(write_diagonal(out, dtype.type(1), operator.index(k))), order)


@makes
def identity(n, dtype=None, *, like=None):
    """np.identity; inside a trace, an array that can be filled with traced values."""
    return eye(n, dtype=float if dtype is None else dtype)


def tri(N, M=None, k=0, dtype=float, *, like=None):
    """np.tri: ones on and below diagonal k."""
    if current() is None:
        return np.tri(N, M, k, dtype)
    shape = _shape((N, N if M is None else M))
    dtype = _supported(dtype)
    counting = np.dtype(np.int64)
    rows = broadcast(iota(size=shape[0], dtype=counting), shape=shape, axes=(0,))
    columns = broadcast(iota(size=shape[1], dtype=counting), shape=shape, axes=(1,))
    one, zero = traced(dtype.type(1)), traced(dtype.type(0))
    return fresh(select(rows + operator.index(k) >= columns, one, zero))
