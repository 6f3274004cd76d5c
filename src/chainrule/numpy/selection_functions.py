"""What NumPy's functions give for x[mask] whose mask is not known (see selections.py)."""

from __future__ import annotations

import operator
from collections.abc import Callable

import numpy as np

from chainrule import errors
from chainrule.numpy.selections import (
    FUNCTIONS,
    REDUCED,
    Selected,
    UnknownOption,
    dot,
    elementwise,
)
from chainrule.program.text import line_text
from chainrule.program.trace import user_line

# --- in rising order ------------------------------------------------------------------------------


def _in_a_line(a, axis) -> tuple:
    """The selected numbers in rising order, in the first places, and how many there are."""
    if a.rest or axis not in (None, 0, -1):
        raise UnknownOption(f"axis={axis}")
    return np.sort(a.only(_largest(a.dtype)).reshape(-1)), np.count_nonzero(a.mask)


def _settled(a, count, value):
    """nan where nothing is selected, or where a selected number is nan."""
    value = np.where(count > 0, value, np.nan)
    return np.where(np.any(np.isnan(a.values) & a.mask), np.nan, value)


def _sort(a, axis=-1):
    x, count = _in_a_line(a, axis)
    return Selected(x, np.arange(len(x)) < count)


def _median(a, axis=None):
    x, count = _in_a_line(a, axis)
    low, high = np.maximum(count - 1, 0) // 2, np.minimum(count // 2, len(x) - 1)
    return _settled(a, count, 0.5 * (x[low] + x[high]))


def _quantile(a, q, axis=None):
    x, count = _in_a_line(a, axis)
    place = np.asarray(q) * np.maximum(count - 1, 0)
    low = np.floor(place).astype(np.int64)
    high = np.minimum(low + 1, np.maximum(count - 1, 0))
    return _settled(a, count, x[low] + (place - low) * (x[high] - x[low]))


# --- reductions -----------------------------------------------------------------------------------


def _axes(sel: Selected, axis) -> tuple[bool, tuple[int, ...]]:
    """Whether a reduction goes over the selected elements, and its axes in `values`."""
    lead, ndim = sel.mask.ndim, sel.ndim
    given = range(ndim) if axis is None else axis if isinstance(axis, tuple) else (axis,)
    found = [operator.index(a) + (ndim if operator.index(a) < 0 else 0) for a in given]
    if any(not 0 <= a < ndim for a in found):
        raise errors.ShapeError(
            f"axis {axis} is out of bounds for array of dimension {ndim}, at "
            f"{line_text(user_line())}"
        )
    inner = [a - 1 + lead for a in found if a]
    return 0 in found, tuple([*(range(lead) if 0 in found else ()), *inner])


def _reduction(function: Callable, start: Callable | None = None, takes: tuple[str, ...] = ()):
    """A reduction with a where=; `start` gives what it begins with, where it needs that."""

    def reduced(a, axis=None, dtype=None, out=None, keepdims=False, **options):
        given = {k: v for k, v in options.items() if v is not np._NoValue and v is not None}
        if dtype is not None:
            given["dtype"] = dtype
        for name in given:
            if name not in takes:
                raise UnknownOption(f"{name}=...")
        if out is not None or (keepdims is not False and keepdims is not np._NoValue):
            raise UnknownOption("out=..., keepdims=...")
        over, axes = _axes(a, axis)
        if not over:
            return a._like(function(a.values, axis=axes, **given))
        if start is not None:
            given["initial"] = start(a.dtype)
        return function(a.values, axis=axes, where=a.everywhere(), **given)

    return reduced


def _least(dtype: np.dtype):
    return -np.inf if dtype.kind in "fc" else dtype.kind != "b" and np.iinfo(dtype).min


def _largest(dtype: np.dtype):
    return np.inf if dtype.kind in "fc" else dtype.kind == "b" or np.iinfo(dtype).max


def _average(a, axis=None, weights=None):
    if weights is None:
        return np.mean(a, axis=axis)
    return np.sum(a * weights, axis=axis) / np.sum(weights + 0.0 * a, axis=axis)


def _spread(a, axis=None):
    return np.max(a, axis=axis) - np.min(a, axis=axis)


def _norm(x, ord=None, axis=None):
    over, axes = _axes(x, axis)
    if not over:
        return x._like(np.linalg.norm(x.values, ord, axes[0] if len(axes) == 1 else axes))
    usual = ord is None or (not x.rest and ord in (1, 2, np.inf))
    if not usual or axis not in (None, 0):
        raise UnknownOption(f"ord={ord}, axis={axis}")
    kept = x.only(0)
    if axis is None:
        return np.linalg.norm(kept.reshape(-1), ord)
    flat = kept.reshape((-1, *x.rest))
    return np.linalg.norm(flat, ord, 0)


def _running(function: Callable, neutral: int):
    def running(a, axis=None):
        if a.mask.ndim != 1 or (a.rest and axis is None) or axis not in (None, 0):
            raise UnknownOption(f"axis={axis}")
        return a._like(function(a.only(neutral), axis=0))

    return running


def _count(a, axis=None):
    return np.sum(a != 0, axis=axis)


FUNCTIONS |= {
    np.sum: _reduction(np.sum, takes=("dtype",)),
    np.prod: _reduction(np.prod, takes=("dtype",)),
    np.mean: _reduction(np.mean),
    np.var: _reduction(np.var, takes=("ddof",)),
    np.std: _reduction(np.std, takes=("ddof",)),
    np.max: _reduction(np.max, _least),
    np.min: _reduction(np.min, _largest),
    np.any: _reduction(np.any),
    np.all: _reduction(np.all),
    np.average: _average,
    np.ptp: _spread,
    np.linalg.norm: _norm,
    np.cumsum: _running(np.cumsum, 0),
    np.cumprod: _running(np.cumprod, 1),
    np.count_nonzero: _count,
    np.dot: dot,
    np.inner: dot,
    np.vdot: lambda a, b: dot(np.conjugate(a), b),
    np.sort: _sort,
    np.median: _median,
    np.quantile: _quantile,
    np.percentile: lambda a, q, axis=None: _quantile(a, np.asarray(q) / 100.0, axis),
    np.size: lambda a, axis=None: a.size,
    np.shape: lambda a: a.shape,
    np.ndim: lambda a: a.ndim,
    np.copy: lambda a, *_, **__: a.copy(),
    np.ravel: lambda a, order="C": a.ravel(order),
}
REDUCED |= {
    np.add: FUNCTIONS[np.sum], np.multiply: FUNCTIONS[np.prod], np.maximum: FUNCTIONS[np.max],
    np.minimum: FUNCTIONS[np.min], np.logical_and: FUNCTIONS[np.all],
    np.logical_or: FUNCTIONS[np.any],
}  # fmt: skip
# functions of single elements -> which arguments they take element by element (None: all)
_ELEMENTWISE: dict[Callable, tuple[int, ...] | None] = {
    np.where: None, np.clip: None, np.round: (0,), np.around: (0,), np.real: None, np.imag: None,
    np.angle: (0,), np.isclose: (0, 1), np.nan_to_num: (0,), np.sinc: None, np.fix: None,
    np.i0: None, np.zeros_like: (0,), np.ones_like: (0,), np.empty_like: (0,),
    np.full_like: (0,), np.interp: (0,), np.digitize: (0,), np.searchsorted: (1,),
    np.polyval: (1,), np.isin: (0,), np.iscomplex: None, np.isreal: None,
}  # fmt: skip


def _function_of_elements(function: Callable, places):
    return lambda *args, **kwargs: elementwise(lambda *a: function(*a, **kwargs), args, places)


FUNCTIONS.update({f: _function_of_elements(f, p) for f, p in _ELEMENTWISE.items()})
