"""Medians, percentiles and quantiles, with and without nan, weighted or not.

Value     the entries are sorted; a quantile lies between two of them, at a virtual index that the
          method defines (Hyndman and Fan, "Sample Quantiles in Statistical Packages", The American
          Statistician 50, 1996, and NumPy's four variations).
Slope     of the two entries, and with respect to q, of the interpolation between them. The methods
          that pick one entry are constant in q.
"""

from __future__ import annotations

import math
from collections.abc import Callable
from typing import Any, NamedTuple

import numpy as np

from chainrule import errors
from chainrule.numpy.indexing import reshape_to
from chainrule.numpy.promotion import broadcast_to, cast_to, traced
from chainrule.numpy.protocols import implements
from chainrule.numpy.reductions import NOTHING, mean, reduced_axes, stored, with_axes_kept
from chainrule.numpy.shaping import array
from chainrule.numpy.statistics import aligned_weights, any_at_hand
from chainrule.ops import reduce
from chainrule.ops import sort as order_ops
from chainrule.ops.compare import isnan, logical_not
from chainrule.ops.index import index
from chainrule.ops.select import cast, select
from chainrule.ops.shape import sum_, transpose
from chainrule.program.text import line_text
from chainrule.program.trace import Traced, concrete_value, is_traced, user_line

_INT64 = np.dtype(np.int64)


# --- the entries in order -----------------------------------------------------------------------


def _flat_first(x, axes) -> Traced:
    """x with `axes` joined into one, which leads: (n, *kept)."""
    kept = tuple(a for a in range(x.ndim) if a not in axes)
    order = (*axes, *kept)
    moved = x if order == tuple(range(x.ndim)) else transpose(x, axes=order)
    count = math.prod(x.shape[a] for a in axes)
    return reshape_to(moved, (count, *(x.shape[a] for a in kept)))


def _entry(x, place: int):
    """x[place] along the first axis."""
    return index(x, at=(place % x.shape[0], *((0, n, 1) for n in x.shape[1:])))


def _nan_where_any(result, ordered):
    """The result, and nan where the sorted entries hold one: it is the last."""
    if ordered.dtype.kind not in "fc":
        return result
    last = _entry(ordered, -1)
    spread = broadcast_to(cast_to(last, result.dtype), result.shape)
    return select(broadcast_to(isnan(last), result.shape), spread, result)


# --- medians ------------------------------------------------------------------------------------


@implements(np.median)
def median(a, axis=None, out=None, overwrite_input=False, keepdims=False):
    """np.median"""
    x = array(a)
    axes = reduced_axes(x, axis)
    flat = _flat_first(x, axes)
    n = flat.shape[0]
    if n == 0:
        found = mean(flat, 0)
    else:
        ordered = order_ops.sort(flat, axis=0)
        middle = ((n - 1) // 2, n // 2 + 1, 1)
        middle = index(ordered, at=(middle, *((0, m, 1) for m in flat.shape[1:])))
        found = _nan_where_any(mean(middle, 0), ordered)
    return stored(with_axes_kept(found, x, axes, keepdims), out, np.median)


@implements(np.nanmedian)
def nanmedian(a, axis=None, out=None, overwrite_input=False, keepdims=False):
    """np.nanmedian"""
    x = array(a)
    if x.dtype.kind not in "fc" or not x.size:
        return median(x, axis, out, keepdims=keepdims)
    axes = reduced_axes(x, axis)
    ordered = order_ops.sort(_flat_first(x, axes), axis=0)
    count = _valid_count(ordered)
    low = _read(ordered, np.maximum((count - 1) // 2, 0))
    high = _read(ordered, np.minimum(count // 2, ordered.shape[0] - 1))
    found: Any = np.where(count % 2 == 1, low, (low + high) / 2)
    return stored(with_axes_kept(found, x, axes, keepdims), out, np.nanmedian)


def _valid_count(x) -> Traced:
    return sum_(cast(logical_not(isnan(x)), dtype=_INT64), axes=(0,))


def _read(ordered, places):
    """The entry at one place of each column; places: the shape of a column."""
    chosen = order_ops.along(ordered, reshape_to(places, (1, *places.shape)), 0)
    return reshape_to(chosen, places.shape)


# --- methods ------------------------------------------------------------------------------------


class Method(NamedTuple):
    """Where a quantile lies: `place(n, q)` is its virtual index, whole where `share` is None.

    `share(fraction, place)` is the weight of the upper of the two neighbours.
    """

    place: Callable
    share: Callable | None = None


def _between(alpha: float, beta: float) -> Method:
    return Method(
        lambda n, q: n * q + (alpha + q * (1 - alpha - beta)) - 1, lambda fraction, place: fraction
    )


def _whole(place):
    return place.astype(_INT64)


def _first_at_or_after(place, take_lower):
    """The integer below `place` where `take_lower(fraction, place)`, the next one elsewhere."""
    below = np.floor(place)
    chosen = np.where(take_lower(place - below, place), below, below + 1)
    return np.maximum(_whole(chosen), 0)


METHODS = {
    "inverted_cdf": Method(lambda n, q: _first_at_or_after(n * q - 1, lambda g, _: g == 0)),
    "averaged_inverted_cdf": Method(
        lambda n, q: n * q - 1, lambda g, _: np.where(g == 0, 0.5, 1.0)
    ),
    "closest_observation": Method(
        lambda n, q: _first_at_or_after(
            n * q - 1 - 0.5, lambda g, place: (g == 0) & (np.floor(place) % 2 == 1)
        )
    ),
    "interpolated_inverted_cdf": _between(0, 1),
    "hazen": _between(0.5, 0.5),
    "weibull": _between(0, 0),
    "linear": Method(lambda n, q: (n - 1) * q, lambda g, _: g),
    "median_unbiased": _between(1 / 3.0, 1 / 3.0),
    "normal_unbiased": _between(3 / 8.0, 3 / 8.0),
    "lower": Method(lambda n, q: _whole(np.floor((n - 1) * q))),
    "higher": Method(lambda n, q: _whole(np.ceil((n - 1) * q))),
    "midpoint": Method(
        lambda n, q: 0.5 * (np.floor((n - 1) * q) + np.ceil((n - 1) * q)),
        lambda g, place: np.where(place % 1 == 0, 0.0, 0.5),
    ),
    "nearest": Method(lambda n, q: _whole(np.around((n - 1) * q))),
}


def _method(name: str) -> Method:
    if name not in METHODS:
        raise ValueError(f"{name!r} is not a valid method. Use one of: {METHODS.keys()}")
    return METHODS[name]


# --- quantiles ----------------------------------------------------------------------------------


class _Level(NamedTuple):
    """The level q of a quantile: an array, plain or traced, and whether it was a Python number."""

    q: np.ndarray | np.generic | Traced
    weak: bool


def _level(q, scale: int, what: str) -> _Level:
    weak = type(q) in (int, float) or (is_traced(q) and q.weak)
    q = array(q) if is_traced(q) else np.asarray(q)
    q = np.true_divide(q, scale) if scale != 1 else q
    value = concrete_value(q) if is_traced(q) else q
    if value is not None and not np.all((value >= 0) & (value <= 1)):
        raise ValueError(f"{what} must be in the range [0, {scale}]")
    if np.ndim(q) > 1:
        raise ValueError("q must be a scalar or 1d")
    return _Level(q, weak)


def _place_in(ordered, level: _Level, method: Method, count):
    """The quantiles of the columns of sorted entries, shape (*q.shape, *columns)."""
    columns = ordered.shape[1:]
    q = level.q
    if is_traced(count):  # each column has its own number of entries
        q = np.reshape(q, np.shape(q) + (1,) * len(columns))
    place = method.place(count, q)
    if method.share is None or place.dtype.kind in "iu":
        return _rows(ordered, place, columns, np.shape(level.q))
    below = np.floor(place)
    top, bottom = place >= count - 1, place < 0
    lower = _whole(np.where(top, count - 1, np.where(bottom, 0, below)))
    upper = _whole(np.where(top, count - 1, np.where(bottom, 0, below + 1)))
    if is_traced(count):  # a column of nothing but nan: any entry is the nan wanted
        lower, upper = np.maximum(lower, 0), np.maximum(upper, 0)
    # NumPy marks the last entry by -1, and leaves the fraction as it then comes out
    share = method.share(place - np.where(top, -1.0, np.where(bottom, 0.0, below)), place)
    share = share.astype(place.dtype)
    low = _rows(ordered, lower, columns, np.shape(level.q))
    high = _rows(ordered, upper, columns, np.shape(level.q))
    if not level.weak and not is_traced(count):
        share = np.reshape(share, np.shape(share) + (1,) * len(columns))
    rest = 1 - share
    if level.weak:  # a Python number as q does not widen the result
        share, rest = _without_width(share, low.dtype), _without_width(rest, low.dtype)
    return _mixed(low, high, share, rest)


def _without_width(share, dtype: np.dtype):
    if not is_traced(share):
        return float(share)
    return cast_to(share, dtype) if dtype.kind == "f" else share


def _rows(ordered, places, columns, level_shape):
    """The entries at `places`: of every column the same, or of each its own."""
    whole = tuple((0, n, 1) for n in columns)
    if is_traced(places) and places.ndim == len(level_shape) + len(columns) and columns:
        if places.ndim == len(columns):
            return _read(ordered, places)
        return order_ops.along(ordered, places, 0)
    if np.ndim(places) == 0 and not is_traced(places):
        return index(ordered, at=(int(places), *whole))
    return index(ordered, traced(np.asarray(places)) if not is_traced(places) else places, at=whole)


def _mixed(low, high, share, rest):
    """low + share (high - low), from the nearer end; rest = 1 - share."""
    difference = high - low
    if np.ndim(share) == 0 and not is_traced(share):
        return high - difference * rest if share >= 0.5 else low + difference * share
    return np.where(share >= 0.5, high - difference * rest, low + difference * share)


def _quantile(a, level: _Level, axis, out, method, keepdims, weights, ignore_nan: bool, function):
    x = array(a)
    if x.dtype.kind == "c":
        raise TypeError("a must be an array of real numbers")
    axes = reduced_axes(x, axis)
    flat = _flat_first(x, axes)
    if weights is not None:
        if method != "inverted_cdf":
            raise ValueError(f"Only method 'inverted_cdf' supports weights. Got: {method}.")
        weights = aligned_weights(weights, x, axis)
        if any_at_hand(weights < 0):
            raise ValueError("Weights must be non-negative.")
        weights = _flat_first(broadcast_to(weights, x.shape), axes)
        found = _weighted(flat, level.q, weights, ignore_nan)
    else:
        found = _unweighted(flat, level, _method(method), ignore_nan)
    extra = np.ndim(level.q)
    if keepdims is not NOTHING and keepdims:
        kept = tuple(1 if a in axes else n for a, n in enumerate(x.shape))
        found = reshape_to(found, found.shape[:extra] + kept)
    return stored(found, out, function)


def _unweighted(flat, level: _Level, method: Method, ignore_nan: bool):
    if flat.shape[0] == 0:
        if ignore_nan:
            return mean(flat, 0)
        raise errors.IndexOutOfRange(
            f"index -1 is out of bounds for axis 0 with size 0, at {line_text(user_line())}"
        )
    ordered = order_ops.sort(flat, axis=0)
    if ignore_nan and flat.dtype.kind == "f":
        return _place_in(ordered, level, method, _valid_count(ordered))
    return _nan_where_any(_place_in(ordered, level, method, flat.shape[0]), ordered)


def _weighted(flat, q, weights, ignore_nan: bool):
    """The entry at which the share of the weights before it first reaches q."""
    n, columns = flat.shape[0], flat.shape[1:]
    order = order_ops.argsort(flat, axis=0, stable=False)
    ordered, weights = order_ops.along(flat, order, 0), order_ops.along(weights, order, 0)
    weights = cast_to(weights, np.dtype(np.float64))
    if ignore_nan and flat.dtype.kind == "f":
        weights = select(isnan(ordered), np.float64(0), weights)
    shares = reduce.cumsum(weights, axis=0)
    shares = shares / _entry(shares, -1)
    if any_at_hand(isnan(shares)):
        raise ValueError("Weights included NaN, inf or were all zero.")
    shares = np.where(shares == 0, -1.0, shares)  # entries of no weight are never the first
    q = q if is_traced(q) else traced(q[()] if q.ndim == 0 else q)
    if q.dtype.kind == "f":
        shares = cast_to(shares, q.dtype)
    lead = len(columns)
    shares = transpose(shares, axes=(*range(1, lead + 1), 0)) if lead else shares
    wanted = broadcast_to(cast_to(q, shares.dtype), columns + q.shape)
    places = order_ops.searchsorted(shares, wanted, side="left", lead=lead)
    places = np.minimum(places, n - 1)
    if q.ndim and lead:
        places = transpose(places, axes=(lead, *range(lead)))
    found = _rows(ordered, places, columns, q.shape)
    return found if ignore_nan else _nan_where_any(found, ordered)


@implements(np.quantile)
def quantile(
    a, q, axis=None, out=None, overwrite_input=False, method="linear", keepdims=False, *,
    weights=None,
):  # fmt: skip
    """np.quantile"""
    level = _level(q, 1, "Quantiles")
    return _quantile(a, level, axis, out, method, keepdims, weights, False, np.quantile)


@implements(np.percentile)
def percentile(
    a, q, axis=None, out=None, overwrite_input=False, method="linear", keepdims=False, *,
    weights=None,
):  # fmt: skip
    """np.percentile"""
    level = _level(q, 100, "Percentiles")
    return _quantile(a, level, axis, out, method, keepdims, weights, False, np.percentile)


@implements(np.nanquantile)
def nanquantile(
    a, q, axis=None, out=None, overwrite_input=False, method="linear", keepdims=False, *,
    weights=None,
):  # fmt: skip
    """np.nanquantile"""
    level = _level(q, 1, "Quantiles")
    return _quantile(a, level, axis, out, method, keepdims, weights, True, np.nanquantile)


@implements(np.nanpercentile)
def nanpercentile(
    a, q, axis=None, out=None, overwrite_input=False, method="linear", keepdims=False, *,
    weights=None,
):  # fmt: skip
    """np.nanpercentile"""
    level = _level(q, 100, "Percentiles")
    return _quantile(a, level, axis, out, method, keepdims, weights, True, np.nanpercentile)
