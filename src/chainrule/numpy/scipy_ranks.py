"""Filters of scipy.ndimage that choose a value of each window, under SciPy's names.

Maximum, minimum, median, percentiles and ranks, and the grey morphology that is built of them: the
shifted copies of the padded array are stacked, and one of them chosen, entry by entry; so ties are
met as in `np.max` and `np.sort` (docs/kinks.md).
"""

from __future__ import annotations

import itertools
import operator
from typing import Any

import numpy as np

from chainrule.numpy.promotion import cast_to
from chainrule.numpy.scipy_filters import image, padded, per_axis, reach
from chainrule.numpy.shaping import array, axis_index, axis_tuple
from chainrule.numpy.undispatched import replaces

_ndimage = replaces("scipy.ndimage")


def _footprint(size, footprint, count: int) -> np.ndarray:
    """Which places of a window count."""
    if footprint is not None:
        found = np.asarray(footprint, bool)
        if found.ndim != count:
            raise RuntimeError(f"footprint.ndim ({found.ndim}) must match len(axes) ({count})")
        if not found.any():
            raise ValueError("All-zero footprint is not supported.")
        return found
    if size is None:
        raise RuntimeError("no footprint provided")
    return np.ones([operator.index(n) for n in per_axis(size, count)], bool)


def _window(x, where: np.ndarray, axes, mode, cval, origin) -> Any:
    """The values of each entry's window, along a new first axis."""
    modes, origins = per_axis(mode, len(axes)), per_axis(origin, len(axes))
    wide: Any = x
    for axis, n, kind, o in zip(axes, where.shape, modes, origins, strict=True):
        widths = [(0, 0)] * x.ndim
        widths[axis] = reach(n, o)
        wide = padded(wide, widths, kind, cval)
    parts = []
    for place in itertools.product(*map(range, where.shape)):
        if where[place]:
            first = dict(zip(axes, place, strict=True))
            firsts = [first.get(a, 0) for a in range(x.ndim)]
            parts.append(wide[tuple(slice(i, i + n) for i, n in zip(firsts, x.shape, strict=True))])
    return np.stack(parts)


def _windows(input, size, footprint, output, mode, cval, origin, axes):
    x, dtype = image(input, output)
    axes = tuple(range(x.ndim)) if axes is None else axis_tuple(axes, x.ndim)
    where = _footprint(size, footprint, len(axes))
    return _window(x, where, axes, mode, cval, origin), dtype


@_ndimage
def maximum_filter(
    input, size=None, footprint=None, output=None, mode="reflect", cval=0.0, origin=0, *, axes=None
):
    """scipy.ndimage.maximum_filter"""
    found, dtype = _windows(input, size, footprint, output, mode, cval, origin, axes)
    return cast_to(np.max(found, axis=0), dtype)


@_ndimage
def minimum_filter(
    input, size=None, footprint=None, output=None, mode="reflect", cval=0.0, origin=0, *, axes=None
):
    """scipy.ndimage.minimum_filter"""
    found, dtype = _windows(input, size, footprint, output, mode, cval, origin, axes)
    return cast_to(np.min(found, axis=0), dtype)


@_ndimage
def maximum_filter1d(input, size, axis=-1, output=None, mode="reflect", cval=0.0, origin=0):
    """scipy.ndimage.maximum_filter1d"""
    axes = (axis_index(axis, array(input).ndim),)
    return maximum_filter(input, size, None, output, mode, cval, origin, axes=axes)


@_ndimage
def minimum_filter1d(input, size, axis=-1, output=None, mode="reflect", cval=0.0, origin=0):
    """scipy.ndimage.minimum_filter1d"""
    axes = (axis_index(axis, array(input).ndim),)
    return minimum_filter(input, size, None, output, mode, cval, origin, axes=axes)


@_ndimage
def rank_filter(
    input, rank, size=None, footprint=None, output=None, mode="reflect", cval=0.0, origin=0, *,
    axes=None,
):  # fmt: skip
    """scipy.ndimage.rank_filter: the value at a place in the order of each window."""
    found, dtype = _windows(input, size, footprint, output, mode, cval, origin, axes)
    rank = operator.index(rank)
    if not -found.shape[0] <= rank < found.shape[0]:
        raise RuntimeError("rank not within filter footprint size")
    return cast_to(np.sort(found, axis=0)[rank], dtype)


@_ndimage
def median_filter(
    input, size=None, footprint=None, output=None, mode="reflect", cval=0.0, origin=0, *, axes=None
):
    """scipy.ndimage.median_filter: of an even number of values the upper one in the middle."""
    found, dtype = _windows(input, size, footprint, output, mode, cval, origin, axes)
    return cast_to(np.sort(found, axis=0)[found.shape[0] // 2], dtype)


@_ndimage
def percentile_filter(
    input, percentile, size=None, footprint=None, output=None, mode="reflect", cval=0.0, origin=0,
    *, axes=None,
):  # fmt: skip
    """scipy.ndimage.percentile_filter, for a plain percentile"""
    found, dtype = _windows(input, size, footprint, output, mode, cval, origin, axes)
    percentile = float(percentile)
    percentile += 100.0 if percentile < 0 else 0.0
    if not 0 <= percentile <= 100:
        raise RuntimeError("invalid percentile")
    count = found.shape[0]
    rank = count - 1 if percentile == 100 else int(count * percentile / 100.0)
    return cast_to(np.sort(found, axis=0)[rank], dtype)


# --- grey morphology ----------------------------------------------------------------------------


@_ndimage
def grey_erosion(
    input, size=None, footprint=None, structure=None, output=None, mode="reflect", cval=0.0,
    origin=0, *, axes=None,
):  # fmt: skip
    """scipy.ndimage.grey_erosion: the least of each window, less the structure."""
    return _morphed(input, size, footprint, structure, output, mode, cval, origin, axes, -1)


@_ndimage
def grey_dilation(
    input, size=None, footprint=None, structure=None, output=None, mode="reflect", cval=0.0,
    origin=0, *, axes=None,
):  # fmt: skip
    """scipy.ndimage.grey_dilation: the largest of each window, turned around, and the structure."""
    count = array(input).ndim if axes is None else len(per_axis(axes, 1))
    turn = (slice(None, None, -1),) * count
    structure = None if structure is None else array(structure)[turn]
    footprint = None if footprint is None else np.asarray(footprint)[turn]
    shape = np.shape(structure if footprint is None else footprint)
    sizes = per_axis(size, count) if structure is None and footprint is None else shape
    origins = [
        -o - (1 - n % 2) for o, n in zip(per_axis(origin, count), sizes, strict=True)
    ]
    return _morphed(input, size, footprint, structure, output, mode, cval, origins, axes, 1)


def _morphed(input, size, footprint, structure, output, mode, cval, origin, axes, sign: int):
    if structure is not None and footprint is None:
        footprint = np.ones(np.shape(structure), bool)
    found, dtype = _windows(input, size, footprint, output, mode, cval, origin, axes)
    if structure is not None:
        heights = array(structure)[np.asarray(footprint, bool)]
        found = found + sign * np.reshape(heights, (-1, *(1,) * (found.ndim - 1)))
    return cast_to(np.max(found, axis=0) if sign > 0 else np.min(found, axis=0), dtype)


@_ndimage
def grey_opening(
    input, size=None, footprint=None, structure=None, output=None, mode="reflect", cval=0.0,
    origin=0, *, axes=None,
):  # fmt: skip
    """scipy.ndimage.grey_opening"""
    low = grey_erosion(input, size, footprint, structure, None, mode, cval, origin, axes=axes)
    return grey_dilation(low, size, footprint, structure, output, mode, cval, origin, axes=axes)


@_ndimage
def grey_closing(
    input, size=None, footprint=None, structure=None, output=None, mode="reflect", cval=0.0,
    origin=0, *, axes=None,
):  # fmt: skip
    """scipy.ndimage.grey_closing"""
    high = grey_dilation(input, size, footprint, structure, None, mode, cval, origin, axes=axes)
    return grey_erosion(high, size, footprint, structure, output, mode, cval, origin, axes=axes)
