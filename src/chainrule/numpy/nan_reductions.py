"""Reductions that pass over nan: nansum, nanmean, nanmax and their relatives.

An entry that is nan gets derivative zero. Where NumPy only warns (a slice of nothing but nan) the
result is nan as there; where it raises (nanargmax) so do these, if the values are at hand.
"""

from __future__ import annotations

import numpy as np

from chainrule import errors
from chainrule.numpy import reductions
from chainrule.numpy.promotion import cast_to
from chainrule.numpy.protocols import implements
from chainrule.numpy.reductions import (
    NOTHING,
    count_over,
    extreme,
    filled_where,
    free_degrees,
    reduced_axes,
    stored,
    variance,
)
from chainrule.numpy.shaping import array
from chainrule.ops import reduce
from chainrule.ops.compare import isnan, logical_not
from chainrule.ops.elementwise import imag, real
from chainrule.ops.select import select
from chainrule.program.text import line_text
from chainrule.program.trace import Traced, concrete_value, user_line


def without_nan(x: Traced, fill) -> Traced:
    """x with `fill` in place of nan."""
    if x.dtype.kind not in "fc":
        return x
    return select(isnan(x), x.dtype.type(fill), x)


def _valid(x: Traced, where):
    """The mask of the entries that are not nan, and that `where` admits."""
    mask = logical_not(isnan(x))
    return filled_where(mask, where, False)


# --- sums and products --------------------------------------------------------------------------


@implements(np.nansum)
def nansum(a, axis=None, dtype=None, out=None, keepdims=False, initial=NOTHING, where=True):
    """np.nansum"""
    x = without_nan(array(a), 0)
    return reductions.sum_over(x, axis, dtype, out, keepdims, initial, where)


@implements(np.nanprod)
def nanprod(a, axis=None, dtype=None, out=None, keepdims=False, initial=NOTHING, where=True):
    """np.nanprod"""
    x = without_nan(array(a), 1)
    return reductions.prod(x, axis, dtype, out, keepdims, initial, where)


@implements(np.nancumsum)
def nancumsum(a, axis=None, dtype=None, out=None):
    """np.nancumsum"""
    return reductions.cumsum(without_nan(array(a), 0), axis, dtype, out)


@implements(np.nancumprod)
def nancumprod(a, axis=None, dtype=None, out=None):
    """np.nancumprod"""
    return reductions.cumprod(without_nan(array(a), 1), axis, dtype, out)


# --- extremes -----------------------------------------------------------------------------------


def extreme_ignoring_nan(ufunc, op, identity, x: Traced, axis, keepdims, initial, where):
    """The extreme of the entries that are not nan; nan where there is none."""
    if x.dtype.kind not in "fc" or not x.size:
        return extreme(ufunc, op, identity, x, axis, keepdims, initial, where)
    filled = without_nan(x, identity(x.dtype))
    found = extreme(ufunc, op, identity, filled, axis, keepdims, initial, where)
    if initial is not NOTHING and initial is not None:
        return found
    none = reductions.all_over(isnan(x), reduced_axes(x, axis), keepdims=keepdims)
    return select(none, x.dtype.type(np.nan), found)


@implements(np.nanmax)
def nanmax(a, axis=None, out=None, keepdims=False, initial=NOTHING, where=True):
    """np.nanmax"""
    found = extreme_ignoring_nan(
        np.fmax, reduce.max_, reductions.lowest, array(a), axis, keepdims, initial, where
    )
    return stored(found, out, np.nanmax)


@implements(np.nanmin)
def nanmin(a, axis=None, out=None, keepdims=False, initial=NOTHING, where=True):
    """np.nanmin"""
    found = extreme_ignoring_nan(
        np.fmin, reduce.min_, reductions.highest, array(a), axis, keepdims, initial, where
    )
    return stored(found, out, np.nanmin)


def _refuse_all_nan(x: Traced, axis) -> None:
    if x.dtype.kind not in "fc" or not x.size:
        return
    none = concrete_value(reductions.all_over(isnan(x), axis))
    if none is not None and np.any(none):
        raise errors.ShapeError(f"All-NaN slice encountered, at {line_text(user_line())}")


@implements(np.nanargmax)
def nanargmax(a, axis=None, out=None, *, keepdims=False):
    """np.nanargmax"""
    x = array(a)
    _refuse_all_nan(x, axis)
    return reductions.argmax(without_nan(x, -np.inf), axis, out, keepdims=keepdims)


@implements(np.nanargmin)
def nanargmin(a, axis=None, out=None, *, keepdims=False):
    """np.nanargmin"""
    x = array(a)
    _refuse_all_nan(x, axis)
    return reductions.argmin(without_nan(x, np.inf), axis, out, keepdims=keepdims)


# --- means and variances ------------------------------------------------------------------------


def _refuse_integer(dtype) -> None:
    if dtype is not None and np.dtype(dtype).kind not in "fc":
        raise errors.DtypeError("If a is inexact, then dtype must be inexact")


def _over_count(total: Traced, count) -> Traced:
    return cast_to(np.true_divide(total, count), total.dtype)


@implements(np.nanmean)
def nanmean(a, axis=None, dtype=None, out=None, keepdims=False, *, where=True):
    """np.nanmean"""
    x = array(a)
    if x.dtype.kind not in "fc":
        return reductions.mean(x, axis, dtype, out, keepdims, where=where)
    _refuse_integer(dtype)
    total = nansum(x, axis, dtype, keepdims=keepdims, where=where)
    count = count_over(x, reduced_axes(x, axis), keepdims, _valid(x, where))
    return stored(_over_count(total, count), out, np.nanmean)


def _variance(x: Traced, axis, dtype, ddof, keepdims, where, mean) -> Traced:
    axes, valid = reduced_axes(x, axis), _valid(x, where)
    count = count_over(x, axes, True, valid)
    if mean is NOTHING:
        mean = _over_count(nansum(x, axes, dtype, keepdims=True, where=where), count)
    deviation = select(valid, cast_to(x - mean, x.dtype), x.dtype.type(0))
    if x.dtype.kind == "c":
        squares = real(deviation) * real(deviation) + imag(deviation) * imag(deviation)
    else:
        squares = deviation * deviation
    total = reductions.sum_over(squares, axes, dtype, keepdims=keepdims)
    free = count_over(x, axes, keepdims, valid) - ddof
    return select(free <= 0, total.dtype.type(np.nan), _over_count(total, free))


def _nanvar(x: Traced, axis, dtype, ddof, keepdims, where, mean, correction) -> Traced:
    ddof = free_degrees(ddof, correction)
    if x.dtype.kind not in "fc":
        return variance(x, axis, dtype, ddof, keepdims, where, mean)
    _refuse_integer(dtype)
    return _variance(x, axis, dtype, ddof, keepdims, where, mean)


@implements(np.nanvar)
def nanvar(
    a, axis=None, dtype=None, out=None, ddof=0, keepdims=False, *,
    where=True, mean=NOTHING, correction=NOTHING,
):  # fmt: skip
    """np.nanvar"""
    found = _nanvar(array(a), axis, dtype, ddof, keepdims, where, mean, correction)
    return stored(found, out, np.nanvar)


@implements(np.nanstd)
def nanstd(
    a, axis=None, dtype=None, out=None, ddof=0, keepdims=False, *,
    where=True, mean=NOTHING, correction=NOTHING,
):  # fmt: skip
    """np.nanstd: where all values are equal the derivative is 0."""
    found = _nanvar(array(a), axis, dtype, ddof, keepdims, where, mean, correction)
    return stored(cast_to(np.sqrt(found), found.dtype), out, np.nanstd)
