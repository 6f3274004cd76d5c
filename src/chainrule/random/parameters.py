"""The parameters of a draw: shapes, dtypes and checks, for plain and for traced values.

Only values at hand are checked here. A traced shape parameter or probability is checked when the
program runs, by its sampler; a traced scale below 0 is not.
"""

from __future__ import annotations

import functools
import operator
from collections.abc import Callable

import numpy as np

from chainrule import errors
from chainrule.numpy.promotion import (
    as_array,
    broadcast_shape,
    broadcast_to,
    cast_to,
    contains_traced,
    shape_of,
    traced,
)
from chainrule.ops.random import FLOAT64
from chainrule.program.text import line_text
from chainrule.program.trace import current, is_traced, user_line


def of_arrays(method: Callable) -> Callable:
    """The method, whose lists that hold traced values arrive as arrays: `p=[t, 1.0 - t]`."""

    @functools.wraps(method)
    def called(*args, **kwargs):
        if current() is not None:
            args = tuple([_from_list(a) for a in args])
            kwargs = {name: _from_list(a) for name, a in kwargs.items()}
        return method(*args, **kwargs)

    return called


def _from_list(value):
    return as_array(value) if isinstance(value, list | tuple) and contains_traced(value) else value


# --- shapes -------------------------------------------------------------------------------------


def as_shape(size) -> tuple[int, ...]:
    """NumPy's `size` as a shape: None, a number or several."""
    if size is None:
        return ()
    if isinstance(size, tuple | list):
        return tuple(operator.index(n) for n in size)
    return (operator.index(size),)


def draw_shape(size, *parameters) -> tuple[int, ...]:
    """The shape of a draw: `size`, which the parameters must fit, or that of the parameters."""
    return fitting_shape(size, broadcast_shape(*(shape_of(p) for p in parameters)))


def fitting_shape(size, natural: tuple[int, ...]) -> tuple[int, ...]:
    """`size` as a shape, to which `natural` broadcasts; `natural` itself where it is None."""
    if size is None:
        return natural
    shape = as_shape(size)
    lead = len(shape) - len(natural)
    if lead < 0 or any(n not in (1, m) for n, m in zip(natural, shape[lead:], strict=True)):
        raise errors.ShapeError(
            f"Output size {shape} is not compatible with broadcast dimensions of inputs "
            f"{natural}, at {line_text(user_line())}."
        )
    return shape


# --- values -------------------------------------------------------------------------------------


def float_dtype(dtype, name: str) -> np.dtype:
    """float64 or float32; nothing else can be drawn."""
    dtype = np.dtype(dtype)
    if dtype not in (np.float64, np.float32):
        raise TypeError(f"Unsupported dtype {dtype!r} for {name}: use float64 or float32")
    return dtype


def full(value, dtype: np.dtype | None = FLOAT64):
    """A parameter as an array, or inside a trace as a traced value, read again at each call."""
    value = as_array(value)
    if current() is None:
        return np.asarray(value, dtype)
    value = traced(value)
    return value if dtype is None else cast_to(value, dtype)


def number(value, dtype: np.dtype):
    """A location or scale: Python numbers stay as they are, arrays take the dtype of the draw."""
    return value if type(value) in (int, float) else full(value, dtype)[()]


def parameter(value, shape: tuple[int, ...], dtype: np.dtype = FLOAT64):
    """A parameter as an array of the shape of the draw."""
    return repeated(full(value, dtype), shape)


def repeated(value, shape: tuple[int, ...]):
    """An array repeated to `shape`, inside and outside of traces."""
    return np.broadcast_to(value, shape) if current() is None else broadcast_to(value, shape)


# --- checks -------------------------------------------------------------------------------------


def check(condition, message: str, *values) -> None:
    """Raise ValueError unless the condition holds everywhere; traced values are not looked at."""
    if any(is_traced(v) for v in values):
        return
    if not np.all(condition(*(np.asarray(v) for v in values))):
        raise ValueError(f"{message}, at {line_text(user_line())}")


def check_not_negative(**values) -> None:
    """Raise ValueError for a parameter below 0."""
    for name, value in values.items():
        check(lambda x: ~(x < 0), f"{name} < 0", value)


def check_positive(**values) -> None:
    """Raise ValueError for a parameter that is 0 or less."""
    for name, value in values.items():
        check(lambda x: ~(x <= 0), f"{name} <= 0", value)
