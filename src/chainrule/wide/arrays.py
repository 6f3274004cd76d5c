"""Arrays of wide numbers, and the operations on them that are not elementwise.

A float array is held as an object array of numbers; a value of shape () is the number itself.
Arrays of whole numbers and truth values stay NumPy's. Operations that only move entries, or add and
multiply them, are NumPy's own on object arrays.
"""

from __future__ import annotations

from collections.abc import Callable
from functools import cache

import numpy as np

from chainrule.ops.shape import kept_axes
from chainrule.program.types import Type
from chainrule.wide import elementary
from chainrule.wide.functions import FUNCTIONS, PREDICATES, add, multiply
from chainrule.wide.matrices import MATRICES
from chainrule.wide.number import ONE, ZERO, nearest, wide

_to_wide = np.frompyfunc(wide, 1, 1)
_to_float = np.frompyfunc(nearest, 1, 1)


def to_wide(value, type_: Type):
    """A host value of a program, held in wide numbers where its type is a float."""
    if type_.dtype.kind != "f":
        return value
    if not type_.ndim:
        return wide(value)
    return _to_wide(np.asarray(value, object)) if type_.size else np.empty(type_.shape, object)


def to_host(value, type_: Type):
    """The nearest value of a program's type."""
    if type_.dtype.kind != "f":
        return np.asarray(value, type_.dtype)[()]
    rounded = nearest(value) if not isinstance(value, np.ndarray) else _to_float(value)
    with np.errstate(all="ignore"):
        return np.asarray(rounded, np.float64).astype(type_.dtype)[()]


def as_array(value) -> np.ndarray:
    """A value as an object array, also of shape ()."""
    if isinstance(value, np.ndarray):
        return value
    made = np.empty((), object)
    made[()] = value
    return made


@cache
def mapped(name: str) -> Callable:
    """The elementwise operation of this name on numbers and arrays of them."""
    if name in FUNCTIONS:
        return _over_arrays(FUNCTIONS[name], object)
    return _over_arrays(PREDICATES[name], np.bool_)


def _over_arrays(function: Callable, dtype) -> Callable:
    def over(*arguments, **params):
        if not any(isinstance(x, np.ndarray) for x in arguments):
            return function(*arguments, **params)
        count = len(arguments)
        made = np.frompyfunc(lambda *a: function(*a, **params), count, 1)(*arguments)
        return np.asarray(made, dtype)

    return over


_add = np.frompyfunc(add, 2, 1)
_multiply = np.frompyfunc(multiply, 2, 1)
_maximum = np.frompyfunc(elementary.maximum, 2, 1)
_minimum = np.frompyfunc(elementary.minimum, 2, 1)


def _over_axes(x, axes) -> np.ndarray:
    """The array with the axes to reduce joined into a last one."""
    x = as_array(x)
    kept = kept_axes(x.ndim, axes)
    shape = tuple(x.shape[a] for a in kept)
    count = int(np.prod([x.shape[a] for a in axes], dtype=int))
    return np.transpose(x, (*kept, *axes)).reshape((*shape, count))


def _reduced(function, initial=None):
    def reduce(x, *, axes):
        x = _over_axes(x, axes)
        if not x.shape[-1] and initial is not None:
            return _filled(x.shape[:-1], initial)
        return function.reduce(x, -1)

    return reduce


def _filled(shape, value):
    if not shape:
        return value
    made = np.empty(shape, object)
    made.fill(value)
    return made


def _accumulated(function):
    def accumulate(x, *, axis):
        return function.accumulate(x, axis) if x.size else x

    return accumulate


def _contract(x, y, *, axes, batch):
    x, y = as_array(x), as_array(y)
    free_x = kept_axes(x.ndim, axes[0] + batch[0])
    free_y = kept_axes(y.ndim, axes[1] + batch[1])
    lead, depth = len(batch[0]), len(axes[0])
    x = x.transpose(batch[0] + free_x + axes[0])
    y = y.transpose(batch[1] + free_y + axes[1])
    x = x.reshape(x.shape[: lead + len(free_x)] + (1,) * len(free_y) + x.shape[x.ndim - depth :])
    y = y.reshape(y.shape[:lead] + (1,) * len(free_x) + y.shape[lead:])
    product = _multiply(x, y)
    return sum_(product, axes=tuple(range(product.ndim - depth, product.ndim)))


sum_ = _reduced(_add, ZERO)
_largest = _reduced(_maximum)


def _shifted(x, axes):
    """Exponentials and their sum over the axes, kept as ones; and the array itself."""
    exponentials = mapped("exp")(as_array(x))
    shape = tuple(1 if a in axes else n for a, n in enumerate(exponentials.shape))
    return exponentials, np.reshape(as_array(sum_(exponentials, axes=axes)), shape)


def _softmax(x, *, axes):
    exponentials, total = _shifted(x, axes)
    return mapped("divide")(exponentials, total)


def _log_softmax(x, *, axes):
    _, total = _shifted(x, axes)
    return mapped("subtract")(as_array(x), mapped("log")(total))


def _logsumexp(x, *, axes):
    return mapped("log")(sum_(mapped("exp")(as_array(x)), axes=axes))


def _norm(x, *, axes):
    return mapped("sqrt")(sum_(mapped("square")(as_array(x)), axes=axes))


def _select(condition, x, y):
    if not isinstance(condition, np.ndarray):
        return x if condition else y
    return np.where(condition, as_array(x), as_array(y))


def _cumprod(x, *, axis):
    return _multiply.accumulate(x, axis) if x.size else x


SPECIAL: dict[str, Callable] = {
    "sum": sum_, "prod": _reduced(_multiply, ONE), "max": _largest, "min": _reduced(_minimum),
    "cumsum": _accumulated(_add), "cumprod": _cumprod, "cummax": _accumulated(_maximum),
    "cummin": _accumulated(_minimum), "contract": _contract, "select": _select,
    "softmax": _softmax, "softmax_shares": _softmax, "log_softmax": _log_softmax,
    "logsumexp": _logsumexp, "norm": _norm, **MATRICES,
}  # fmt: skip

# Operations whose own evaluation moves entries, or adds them, whatever they are.
MOVING = {
    "broadcast", "reshape", "transpose", "flip", "index", "index_set", "index_add", "concatenate",
    "iota", "repeat",
}  # fmt: skip
