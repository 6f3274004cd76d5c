"""Sums, products, extremes, means, variances, truth and positions over axes of traced values.

The dtypes are NumPy's: small integers and bool add up in 64 bits, means of integers are float64,
the mean of float16 accumulates in float32. So is the order of the operations, so that the values
are NumPy's bit for bit (with `where` or `initial` the last bit may differ: the order does).
"""

from __future__ import annotations

import math

import numpy as np

from chainrule import errors
from chainrule.numpy.indexing import reshape_to
from chainrule.numpy.promotion import broadcast_to, cast_to, dtype_of, traced
from chainrule.numpy.protocols import implements
from chainrule.numpy.shaping import array, axis_index, axis_tuple
from chainrule.numpy.ufuncs import store
from chainrule.ops import reduce
from chainrule.ops.elementwise import imag, real, square
from chainrule.ops.select import select
from chainrule.ops.shape import sum_
from chainrule.program.text import line_text
from chainrule.program.trace import Traced, user_line

NOTHING = np._NoValue  # NumPy's own mark of an argument that was not given
_INT64, _UINT64 = np.dtype(np.int64), np.dtype(np.uint64)
_FLOAT64 = np.dtype(np.float64)


# --- shared steps -------------------------------------------------------------------------------


def reduced_axes(x: Traced, axis) -> tuple[int, ...]:
    """The axes that an `axis` option means: None is all of them."""
    ndim = x.type.ndim
    if axis is None:
        return tuple(range(ndim))
    if type(axis) is int and -ndim <= axis < ndim:
        return (axis % ndim,)
    if not ndim and type(axis) is int and axis in (0, -1):
        return ()  # NumPy reduces a scalar along its first or last axis, too
    return tuple(sorted(axis_tuple(axis, ndim)))


def with_axes_kept(out: Traced, x: Traced, axes, keepdims) -> Traced:
    """The result of a reduction, the reduced axes kept with length one if so asked."""
    if keepdims is NOTHING or not keepdims:
        return out
    return reshape_to(out, tuple([1 if a in axes else n for a, n in enumerate(x.type.shape)]))


def where_mask(where, shape):
    """A `where` option as a traced mask of a shape."""
    if dtype_of(where) != np.bool_:
        raise errors.DtypeError(
            f"Cannot cast array data from {dtype_of(where)!r} to dtype('bool') according to the "
            f"rule 'safe', at {line_text(user_line())}: where= takes booleans."
        )
    return broadcast_to(traced(where), shape)


def filled_where(x: Traced, where, fill) -> Traced:
    """x where the mask holds, `fill` elsewhere."""
    if where is True or where is NOTHING:
        return x
    return select(where_mask(where, x.shape), x, x.dtype.type(fill))


def sum_dtype(dtype: np.dtype) -> np.dtype:
    """The dtype in which NumPy adds and multiplies up an array: at least 64 bits for integers."""
    if dtype.kind in "bi":
        return _INT64
    return _UINT64 if dtype.kind == "u" else dtype


def accumulator(a, dtype) -> Traced:
    """The array in the dtype in which it is added or multiplied up."""
    x = array(a)
    if dtype is None and x.type.inexact:
        return x
    return cast_to(x, sum_dtype(x.dtype) if dtype is None else np.dtype(dtype))


def stored(result, out, function):
    """The result, written into `out` where one is given."""
    return result if out is None else store(result, out, True, function)


def _combined(ufunc, out: Traced, initial) -> Traced:
    if initial is NOTHING or initial is None:
        return out
    return ufunc(cast_to(initial, out.dtype), out)


# --- sums and products --------------------------------------------------------------------------


@implements(np.sum)
def sum_over(a, axis=None, dtype=None, out=None, keepdims=False, initial=NOTHING, where=True):
    """np.sum"""
    x = filled_where(accumulator(a, dtype), where, 0)
    axes = reduced_axes(x, axis)
    total = with_axes_kept(sum_(x, axes=axes), x, axes, keepdims)
    return stored(_combined(np.add, total, initial), out, np.sum)


@implements(np.prod)
def prod(a, axis=None, dtype=None, out=None, keepdims=False, initial=NOTHING, where=True):
    """np.prod"""
    x = filled_where(accumulator(a, dtype), where, 1)
    axes = reduced_axes(x, axis)
    product = with_axes_kept(reduce.prod(x, axes=axes), x, axes, keepdims)
    return stored(_combined(np.multiply, product, initial), out, np.prod)


# --- extremes -----------------------------------------------------------------------------------


def lowest(dtype: np.dtype):
    """The value of a dtype that is never above another."""
    if dtype.kind in "iu":
        return np.iinfo(dtype).min
    return False if dtype.kind == "b" else -np.inf


def highest(dtype: np.dtype):
    """The value of a dtype that is never below another."""
    if dtype.kind in "iu":
        return np.iinfo(dtype).max
    return True if dtype.kind == "b" else np.inf


def extreme(ufunc, op, identity, x: Traced, axis, keepdims, initial, where) -> Traced:
    """The largest or smallest entry over axes; `ufunc` is np.maximum or np.minimum."""
    axes = reduced_axes(x, axis)
    given = initial is not NOTHING and initial is not None
    if not given and where is not True and where is not NOTHING:
        raise errors.ShapeError(
            f"reduction operation '{ufunc.__name__}' does not have an identity, so to use a where "
            f"mask one has to specify 'initial', at {line_text(user_line())}"
        )
    kept = tuple(n for a, n in enumerate(x.shape) if a not in axes)
    if x.size == 0 and math.prod(kept):
        if not given:
            raise errors.ShapeError(
                f"zero-size array to reduction operation {ufunc.__name__} which has no identity, "
                f"at {line_text(user_line())}"
            )
        out = broadcast_to(traced(cast_to(initial, x.dtype)), kept)
    else:
        out = op(filled_where(x, where, identity(x.dtype)), axes=axes)
        out = _combined(ufunc, out, initial)
    return with_axes_kept(out, x, axes, keepdims)


@implements(np.max, np.amax)
def max_(a, axis=None, out=None, keepdims=False, initial=NOTHING, where=True):
    """np.max: at a tie the derivative is shared evenly."""
    result = extreme(np.maximum, reduce.max_, lowest, array(a), axis, keepdims, initial, where)
    return stored(result, out, np.max)


@implements(np.min, np.amin)
def min_(a, axis=None, out=None, keepdims=False, initial=NOTHING, where=True):
    """np.min: at a tie the derivative is shared evenly."""
    result = extreme(np.minimum, reduce.min_, highest, array(a), axis, keepdims, initial, where)
    return stored(result, out, np.min)


@implements(np.ptp)
def ptp(a, axis=None, out=None, keepdims=False):
    """np.ptp: the largest entry minus the smallest."""
    difference = max_(a, axis, keepdims=keepdims) - min_(a, axis, keepdims=keepdims)
    return stored(difference, out, np.ptp)


# --- means and variances ------------------------------------------------------------------------


def count_over(x: Traced, axes, keepdims, where):
    """How many entries a reduction meets: an int, or a traced array where a mask decides."""
    if where is True or where is NOTHING:
        return math.prod(x.shape[a] for a in axes)
    ones = cast_to(where_mask(where, x.shape), _INT64)
    return with_axes_kept(sum_(ones, axes=axes), x, axes, keepdims)


def divided(total: Traced, count) -> Traced:
    """total / count in the dtype of the total, as NumPy's means are divided."""
    if isinstance(count, int):
        count = float(count)  # exact, and one operation where an integer would be cast
    return cast_to(np.true_divide(total, count), total.dtype)


def _mean_dtype(dtype: np.dtype) -> np.dtype:
    return _FLOAT64 if dtype.kind in "biu" else dtype


@implements(np.mean)
def mean(a, axis=None, dtype=None, out=None, keepdims=False, *, where=True):
    """np.mean"""
    x = array(a)
    half = dtype is None and x.dtype == np.float16
    wide = np.dtype(np.float32) if half else np.dtype(dtype or _mean_dtype(x.dtype))
    axes = reduced_axes(x, axis)
    total = sum_over(x, axes, wide, keepdims=keepdims, where=where)
    out_value = divided(total, count_over(x, axes, keepdims, where))
    return stored(cast_to(out_value, x.dtype) if half else out_value, out, np.mean)


def variance(x: Traced, axis, dtype, ddof, keepdims, where, mean_given) -> Traced:
    """The mean of |x - mean|^2 over axes, with `ddof` taken from the count."""
    axes = reduced_axes(x, axis)
    wide = np.dtype(dtype or _mean_dtype(x.dtype))
    centre = mean_given
    if centre is NOTHING or centre is None:
        total = sum_over(x, axes, wide, keepdims=True, where=where)
        centre = divided(total, count_over(x, axes, True, where))
    total = sum_over(_squared(x - centre), axes, dtype, keepdims=keepdims, where=where)
    count = count_over(x, axes, keepdims, where)
    free = max(count - ddof, 0) if isinstance(count, int) else np.maximum(count - ddof, 0)
    return divided(total, free)


def _squared(x: Traced) -> Traced:
    return square(real(x)) + square(imag(x)) if x.dtype.kind == "c" else square(x)


def free_degrees(ddof, correction):
    """What is taken from the count of a variance: `correction` is the new name of `ddof`."""
    if correction is NOTHING:
        return ddof
    if ddof != 0:
        raise ValueError("ddof and correction can't be provided simultaneously.")
    return correction


@implements(np.var)
def var(
    a, axis=None, dtype=None, out=None, ddof=0, keepdims=False, *,
    where=True, mean=NOTHING, correction=NOTHING,
):  # fmt: skip
    """np.var"""
    ddof = free_degrees(ddof, correction)
    return stored(variance(array(a), axis, dtype, ddof, keepdims, where, mean), out, np.var)


@implements(np.std)
def std(
    a, axis=None, dtype=None, out=None, ddof=0, keepdims=False, *,
    where=True, mean=NOTHING, correction=NOTHING,
):  # fmt: skip
    """np.std: where all values are equal the derivative is 0."""
    ddof = free_degrees(ddof, correction)
    squares = variance(array(a), axis, dtype, ddof, keepdims, where, mean)
    return stored(cast_to(np.sqrt(squares), squares.dtype), out, np.std)


# --- truth and positions ------------------------------------------------------------------------


def _truth(function, op, fill):
    @implements(function)
    def over(a, axis=None, out=None, keepdims=False, *, where=True):
        x = array(a)
        axes = reduced_axes(x, axis)
        holds = x if x.dtype == np.bool_ else np.not_equal(x, x.dtype.type(0))
        holds = filled_where(holds, where, fill)
        return stored(with_axes_kept(op(holds, axes=axes), x, axes, keepdims), out, function)

    over.__doc__ = f"np.{function.__name__}"
    return over


all_over = _truth(np.all, reduce.all_, True)
any_over = _truth(np.any, reduce.any_, False)


def position(function, op, x: Traced, axis, keepdims) -> Traced:
    """Where the first extreme entry stands along an axis, or in the flattened array."""
    flat = axis is None
    place = 0 if flat else axis_index(axis, x.ndim)
    along = reshape_to(x, (x.size,)) if flat else x
    if along.shape[place] == 0:
        raise errors.ShapeError(
            f"attempt to get {function.__name__} of an empty sequence, at {line_text(user_line())}"
        )
    out = op(along, axis=place)
    return with_axes_kept(out, x, range(x.ndim) if flat else (place,), keepdims)


@implements(np.argmax)
def argmax(a, axis=None, out=None, *, keepdims=False):
    """np.argmax"""
    return stored(position(np.argmax, reduce.argmax, array(a), axis, keepdims), out, np.argmax)


@implements(np.argmin)
def argmin(a, axis=None, out=None, *, keepdims=False):
    """np.argmin"""
    return stored(position(np.argmin, reduce.argmin, array(a), axis, keepdims), out, np.argmin)


# --- running sums and products ------------------------------------------------------------------


def running(op, a, axis, dtype) -> Traced:
    """A cumulative operation along an axis, or over the flattened array."""
    x = accumulator(a, dtype)
    if axis is None:
        return op(reshape_to(x, (x.size,)), axis=0)
    x = reshape_to(x, (1,)) if x.ndim == 0 else x
    return op(x, axis=axis_index(axis, x.ndim))


@implements(np.cumsum)
def cumsum(a, axis=None, dtype=None, out=None):
    """np.cumsum"""
    return stored(running(reduce.cumsum, a, axis, dtype), out, np.cumsum)


@implements(np.cumprod)
def cumprod(a, axis=None, dtype=None, out=None):
    """np.cumprod"""
    return stored(running(reduce.cumprod, a, axis, dtype), out, np.cumprod)


def _cumulative(function, op, first):
    @implements(function)
    def over(x, /, *, axis=None, dtype=None, out=None, include_initial=False):
        x = array(x)
        x = reshape_to(x, (1,)) if x.ndim == 0 else x
        if axis is None and x.ndim > 1:
            raise errors.ShapeError(
                "For arrays which have more than one dimension ``axis`` argument is required, "
                f"at {line_text(user_line())}"
            )
        place = axis_index(0 if axis is None else axis, x.ndim)
        result = running(op, x, place, dtype)
        if include_initial:
            result = reduce.preceded(result, place, 1, first)
        return stored(result, out, function)

    over.__doc__ = f"np.{function.__name__}"
    return over


cumulative_sum = _cumulative(np.cumulative_sum, reduce.cumsum, 0)
cumulative_prod = _cumulative(np.cumulative_prod, reduce.cumprod, 1)
