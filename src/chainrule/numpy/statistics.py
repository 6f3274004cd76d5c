"""Averages, covariances, histograms and bins of traced values."""

from __future__ import annotations

from typing import Any

import numpy as np

from chainrule import errors
from chainrule.numpy.creation import filled
from chainrule.numpy.indexing import reshape_to
from chainrule.numpy.promotion import broadcast_to, cast_to, result_dtype, traced
from chainrule.numpy.protocols import implements
from chainrule.numpy.reductions import mean, sum_over
from chainrule.numpy.shaping import array, axis_tuple
from chainrule.numpy.sorting import searchsorted, value_needed
from chainrule.ops.index import index_add
from chainrule.ops.select import constant_like, select
from chainrule.ops.shape import transpose
from chainrule.program.text import line_text
from chainrule.program.trace import Traced, concrete_value, is_traced, user_line

_INT64, _FLOAT64 = np.dtype(np.int64), np.dtype(np.float64)


def any_at_hand(condition) -> bool:
    """Whether a condition holds anywhere, as far as its value is at hand."""
    value = concrete_value(condition) if is_traced(condition) else condition
    return value is not None and bool(np.any(value))


# --- averages -----------------------------------------------------------------------------------


def aligned_weights(weights, x: Traced, axis) -> Traced:
    """Weights as an array that broadcasts against x: those of some axes get ones elsewhere."""
    weights = array(weights)
    if weights.shape == x.shape:
        return weights
    if axis is None:
        raise TypeError("Axis must be specified when shapes of a and weights differ.")
    axes = axis_tuple(axis, x.ndim)
    if weights.shape != tuple(x.shape[a] for a in axes):
        raise errors.ShapeError(
            "Shape of weights must be consistent with shape of a along specified axis, at "
            f"{line_text(user_line())}: weights {weights.shape}, a {x.shape}, axis {axis}."
        )
    order = tuple(sorted(range(len(axes)), key=lambda i: axes[i]))
    if order != tuple(range(len(axes))):
        weights = transpose(weights, axes=order)
    return reshape_to(weights, tuple(n if a in axes else 1 for a, n in enumerate(x.shape)))


@implements(np.average)
def average(a, axis=None, weights=None, returned=False, *, keepdims=False):
    """np.average"""
    x = array(a)
    if weights is None:
        found = mean(x, axis, keepdims=keepdims)
        total = constant_like(found, x.size / found.size)
    else:
        weights = aligned_weights(weights, x, axis)
        least = _FLOAT64 if x.dtype.kind in "biu" else x.dtype
        dtype = np.result_type(x.dtype, weights.dtype, least)
        total = sum_over(weights, axis, dtype, keepdims=keepdims)
        if any_at_hand(total == 0.0):
            raise ZeroDivisionError(
                f"Weights sum to zero, can't be normalized, at {line_text(user_line())}"
            )
        weighted = cast_to(x, dtype) * cast_to(weights, dtype)
        found = sum_over(weighted, axis, keepdims=keepdims) / total
    return (found, broadcast_to(traced(total), found.shape)) if returned else found


# --- covariance ---------------------------------------------------------------------------------


def _rows_of(m, dtype, rowvar) -> Traced:
    x = array(m)
    if x.ndim > 2:
        raise errors.ShapeError(f"m has more than 2 dimensions, at {line_text(user_line())}")
    rows = cast_to(reshape_to(x, (1,) * (2 - x.ndim) + x.shape), dtype)
    return rows if rowvar or x.ndim == 1 else rows.T


def _observation_weights(weights, name: str, rows: Traced):
    weights = cast_to(array(weights), _FLOAT64)
    if weights.ndim > 1:
        raise RuntimeError(f"cannot handle multidimensional {name}")
    if weights.shape[0] != rows.shape[1]:
        raise RuntimeError(f"incompatible numbers of samples and {name}")
    if any_at_hand(weights < 0):
        raise ValueError(f"{name} cannot be negative")
    if name == "fweights" and any_at_hand(weights != np.around(weights)):
        raise TypeError("fweights must be integer")
    return weights


@implements(np.cov)
def cov(m, y=None, rowvar=True, bias=False, ddof=None, fweights=None, aweights=None, *, dtype=None):
    """np.cov"""
    if ddof is not None and ddof != int(ddof):
        raise ValueError("ddof must be integer")
    ddof = (0 if bias else 1) if ddof is None else ddof
    given = [array(v) for v in (m, y) if v is not None]
    dtype = result_dtype(*given, _FLOAT64) if dtype is None else np.dtype(dtype)
    rows: Any = _rows_of(m, dtype, rowvar)
    if rows.shape[0] == 0:
        return filled((0, 0), 0, _FLOAT64)
    if y is not None:
        more = _rows_of(y, dtype, True)
        rows = np.concatenate((rows, more if rowvar or more.shape[0] == 1 else more.T), axis=0)
    weights, factor = _weights_and_factor(rows, ddof, fweights, aweights)
    centred = rows - np.average(rows, axis=1, weights=weights)[:, None]
    scaled = centred if weights is None else centred * weights
    products = np.dot(centred, np.conjugate(scaled.T) if dtype.kind == "c" else scaled.T)
    return np.squeeze(products * np.true_divide(1, factor))


def _weights_and_factor(rows: Traced, ddof, fweights, aweights):
    """The weight of each observation (None: equal), and what the sum of products is divided by."""
    weights = None
    if fweights is not None:
        weights = _observation_weights(fweights, "fweights", rows)
    if aweights is not None:
        aweights = _observation_weights(aweights, "aweights", rows)
        weights = aweights if weights is None else weights * aweights
    if weights is None:
        return None, np.float64(max(rows.shape[1] - ddof, 0))
    total = sum_over(weights)
    if ddof and aweights is None:
        total = total - ddof
    elif ddof:
        total = total - ddof * sum_over(weights * aweights) / total
    return weights, np.maximum(total, 0.0) if any_at_hand(total <= 0) else total


@implements(np.corrcoef)
def corrcoef(x, y=None, rowvar=True, *, dtype=None):
    """np.corrcoef"""
    products = cov(x, y, rowvar, dtype=dtype)
    if products.ndim == 0:
        return products / products
    deviation = np.sqrt(np.real(np.diagonal(products)))
    scaled = products / deviation[:, None] / deviation[None, :]
    if scaled.dtype.kind != "c":
        return np.clip(scaled, -1, 1)
    return np.clip(scaled.real, -1, 1) + 1j * np.clip(scaled.imag, -1, 1)


# --- bins ---------------------------------------------------------------------------------------


@implements(np.digitize)
def digitize(x, bins, right=False):
    """np.digitize; bins may rise or fall"""
    x, bins = array(x), array(bins)
    if x.dtype.kind == "c":
        raise TypeError("x may not be complex")
    side = "left" if right else "right"
    value = concrete_value(bins)
    if value is not None:
        steps = np.diff(value)
        if not (np.all(steps >= 0) or np.all(steps <= 0)):
            raise ValueError("bins must be monotonically increasing or decreasing")
        if np.all(steps >= 0):
            return searchsorted(bins, x, side)
        return bins.shape[0] - searchsorted(bins[::-1], x, side)
    rising = searchsorted(bins, x, side)
    falling = bins.shape[0] - searchsorted(bins[::-1], x, side)
    return select(broadcast_to(bins[0] <= bins[-1], rising.shape), rising, falling)


@implements(np.bincount)
def bincount(x, /, weights=None, minlength=0):
    """np.bincount: linear in the weights; its length needs the value of x"""
    plain = None if is_traced(x) else np.asarray(x)
    x = array(x)
    if x.ndim != 1:
        depth = "of too small depth" if x.ndim == 0 else "too deep"
        raise errors.ShapeError(f"object {depth} for desired array, at {line_text(user_line())}")
    if x.dtype.kind not in "biu":
        raise errors.DtypeError(
            f"Cannot cast array data from {x.dtype!r} to dtype('int64') according to the rule "
            f"'safe', at {line_text(user_line())}"
        )
    instead = "Add to zeros of a length that you choose: np.add.at(counts, x, weights)."
    value = value_needed(x, "bincount", instead) if plain is None else plain
    if value.size and value.min() < 0:
        raise ValueError("'list' argument must have no negative elements")
    length = max(int(value.max()) + 1 if value.size else 0, minlength)
    return _counted(cast_to(x, _INT64), weights, length)


def _counted(places: Traced, weights, length: int) -> Traced:
    """How often each place below `length` occurs, or the sum of the weights there."""
    if weights is None:
        return index_add(filled((length,), 0, _INT64), np.int64(1), places, at=())
    weights = array(weights)
    if weights.shape != places.shape:
        raise errors.ShapeError("The weights and list don't have the same length.")
    weights = cast_to(weights, _FLOAT64)
    return index_add(filled((length,), 0, _FLOAT64), weights, places, at=())


@implements(np.histogram_bin_edges)
def histogram_bin_edges(a, bins=10, range=None, weights=None):
    """np.histogram_bin_edges for a number of bins, or the edges themselves"""
    if isinstance(bins, str):
        raise errors.NotSupported(
            f"np.histogram(bins={bins!r}) is not supported on traced values, at "
            f"{line_text(user_line())}. Give the number of bins, or their edges."
        )
    if np.ndim(bins) == 1:
        edges = array(bins)
        if any_at_hand(edges[:-1] > edges[1:]):
            raise ValueError("`bins` must increase monotonically, when an array")
        return edges
    count = int(bins)
    if count < 1:
        raise ValueError("`bins` must be positive, when an integer")
    x = array(a)
    first, last = _outer_edges(x, range)
    dtype = result_dtype(first, last, x)
    return np.linspace(first, last, count + 1, dtype=dtype if dtype.kind in "fc" else _FLOAT64)


def _outer_edges(x: Traced, given):
    if given is not None:
        first, last = given
        if any_at_hand(first > last):
            raise ValueError("max must be larger than min in range parameter.")
    elif x.size == 0:
        first, last = 0, 1
    else:
        first, last = x.min(), x.max()
    equal = first == last
    if not is_traced(equal):
        return (first - 0.5, last + 0.5) if equal else (first, last)
    return np.where(equal, first - 0.5, first), np.where(equal, last + 0.5, last)


@implements(np.histogram)
def histogram(a, bins=10, range=None, density=None, weights=None):
    """np.histogram: linear in the weights; the edges move with the smallest and largest entry"""
    x = array(a)
    edges = traced(histogram_bin_edges(x, bins, range))
    count = edges.shape[0] - 1
    flat = reshape_to(x, (x.size,))
    places = searchsorted(edges, flat, "right") - 1
    places = select(flat == edges[-1], np.int64(count - 1), places)
    inside = (places >= 0) & (places < count)
    # what lies outside is counted in one more bin, which is then left out
    places = select(inside, places, np.int64(count))
    if weights is None:
        counts = index_add(filled((count + 1,), 0, _INT64), np.int64(1), places, at=())[:-1]
    else:
        weights = array(weights)
        if weights.shape != x.shape:
            raise ValueError("weights should have the same shape as a.")
        empty = filled((count + 1,), 0, weights.dtype)
        counts = index_add(empty, reshape_to(weights, flat.shape), places, at=())[:-1]
    if density:
        counts = counts / np.diff(edges) / counts.sum()
    return counts, edges
