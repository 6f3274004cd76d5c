"""Images sampled between their pixels: scipy.ndimage's spline interpolation under SciPy's names.

An image is a spline with one coefficient for each pixel: the coefficients are a matrix times the
pixels, axis by axis (SciPy's own prefilter, of the identity), and a sample is the sum of the
(order + 1)^ndim coefficients around it, each times a B-spline of its distance. So derivatives by
the image are exact, and those by coordinates are those of the spline.

Value     SciPy's, to rounding, in the modes that are listed.
Edges     a coordinate outside is mapped back by its mode; in "constant" the sample is cval.
"""

from __future__ import annotations

import itertools
from importlib import import_module
from typing import Any

import numpy as np

from chainrule import errors
from chainrule.numpy.promotion import cast_to
from chainrule.numpy.scipy_filters import image, per_axis
from chainrule.numpy.shaping import array, axis_index
from chainrule.numpy.undispatched import replaces
from chainrule.program.text import line_text
from chainrule.program.trace import user_line

_ndimage = replaces("scipy.ndimage")
_MODES = ("constant", "nearest", "mirror", "reflect", "grid-mirror", "grid-wrap")
_AROUND = 12  # pixels that SciPy continues an image by, where its mode has no spline of its own


def _prefilter(n: int, order: int, mode: str) -> np.ndarray:
    """The matrix that turns n pixels of a row into coefficients."""
    return import_module("scipy.ndimage").spline_filter1d(np.eye(n), order, 0, np.float64, mode)


@_ndimage
def spline_filter1d(input, order=3, axis=-1, output=np.float64, mode="mirror"):
    """scipy.ndimage.spline_filter1d"""
    x, dtype = image(input, output)
    axis = axis_index(axis, x.ndim)
    if order in (0, 1):
        return cast_to(x, dtype)
    matrix = _prefilter(x.shape[axis], order, mode)
    return cast_to(np.moveaxis(np.moveaxis(x, axis, -1) @ matrix.T, -1, axis), dtype)


@_ndimage
def spline_filter(input, order=3, output=np.float64, mode="mirror"):
    """scipy.ndimage.spline_filter"""
    x, dtype = image(input, output)
    for axis in range(x.ndim):
        x = spline_filter1d(x, order, axis, x.dtype, mode)
    return cast_to(x, dtype)


@_ndimage
def map_coordinates(
    input, coordinates, output=None, order=3, mode="constant", cval=0.0, prefilter=True
):
    """scipy.ndimage.map_coordinates"""
    x, dtype = image(input, output)
    coordinates = array(coordinates)
    if coordinates.shape[0] != x.ndim:
        raise RuntimeError("invalid shape for coordinate array")
    places = [coordinates[i] for i in range(x.ndim)]
    return cast_to(_sampled(x, places, order, mode, cval, prefilter), dtype)


def _sampled(x, places: list, order: int, mode: str, cval, prefilter: bool) -> Any:
    """The spline through the pixels of x at places, one array for each axis."""
    if mode not in _MODES:
        raise errors.NotSupported(
            f"scipy.ndimage mode {mode!r} between pixels is not supported on traced values, at "
            f"{line_text(user_line())}: of {', '.join(_MODES)}, choose one."
        )
    inside: Any = True
    around = 0
    if mode == "nearest" and prefilter and order > 1:
        around = _AROUND
        x = np.pad(x, around, mode="edge")
    if prefilter and order > 1:
        x = spline_filter(x, order, x.dtype, mode)
    parts = []
    for place, n in zip(places, x.shape, strict=True):
        if mode == "constant":
            inside = inside & (place >= 0) & (place <= n - 1)
        parts.append(_weights(_mapped(place + around, n, mode), n, order, mode))
    total: Any = 0.0
    for chosen in itertools.product(*parts):
        weight, index = chosen[0][1], tuple(i for i, _ in chosen)
        for _, other in chosen[1:]:
            weight = weight * other
        total = total + weight * x[index]
    return np.where(inside, total, cval) if mode == "constant" else total


def _mapped(place, n: int, mode: str):
    """A coordinate brought back into the image, as its mode says."""
    if mode == "grid-wrap":
        return place - n * np.floor(place / n)
    if mode == "mirror" and n > 1:
        period = 2.0 * (n - 1)
        place = place - period * np.floor(place / period)
        return np.minimum(place, period - place)
    if mode in ("reflect", "grid-mirror"):
        place = place - 2 * n * np.floor((place + 0.5) / (2 * n))
        return np.minimum(place, 2 * n - 1 - place)
    return np.clip(place, 0.0, n - 1.0)


def _folded(index, n: int, mode: str):
    """The number of a coefficient beyond the border: the one that it is the image of."""
    if mode == "grid-wrap":
        return index % n
    if mode in ("reflect", "grid-mirror"):
        index = index % (2 * n)
        return np.minimum(index, 2 * n - 1 - index)
    if n == 1:
        return index * 0
    index = index % (2 * (n - 1))
    return np.minimum(index, 2 * (n - 1) - index)


def _weights(place, n: int, order: int, mode: str) -> list[tuple]:
    """For one axis: the numbers of the coefficients around each place, and their weights."""
    first = np.floor(place) if order % 2 else np.floor(place + 0.5)
    start = first.astype(np.int64) - order // 2
    return [
        (_folded(start + k, n, mode), _spline(place - first + order // 2 - k, order))
        for k in range(order + 1)
    ]


def _spline(t, order: int):
    """The central B-spline of an order at t: the convolution of order + 1 boxes."""
    if order == 0:
        return np.ones_like(t) if hasattr(t, "shape") else 1.0
    half = (order + 1) / 2.0
    total: Any = 0.0
    sign = 1.0
    binomial = 1.0
    for k in range(order + 2):
        total = total + sign * binomial * np.maximum(half - k - np.abs(t), 0.0) ** order
        sign, binomial = -sign, binomial * (order + 1 - k) / (k + 1)
    return total / float(np.prod(np.arange(1, order + 1)))


# --- transformed images -------------------------------------------------------------------------


def _grid(shape) -> list[np.ndarray]:
    return [np.asarray(g, np.float64) for g in np.indices(shape)]


@_ndimage
def affine_transform(
    input, matrix, offset=0.0, output_shape=None, output=None, order=3, mode="constant",
    cval=0.0, prefilter=True,
):  # fmt: skip
    """scipy.ndimage.affine_transform: the image at matrix @ place + offset."""
    x, dtype = image(input, output)
    matrix = np.asarray(matrix)  # plain where it can be: whether a place is inside is settled now
    if matrix.ndim == 2 and matrix.shape[1] == x.ndim + 1:
        offset, matrix = matrix[: x.ndim, x.ndim], matrix[: x.ndim, : x.ndim]
    shape = x.shape if output_shape is None else tuple(int(n) for n in output_shape)
    offset = np.broadcast_to(np.asarray(offset), (x.ndim,))
    grid = _grid(shape)
    if matrix.ndim == 1:
        places = [matrix[i] * grid[i] + offset[i] for i in range(x.ndim)]
    else:
        places = [
            sum((matrix[i, j] * grid[j] for j in range(len(grid))), start=offset[i])
            for i in range(x.ndim)
        ]
    return cast_to(_sampled(x, places, order, mode, cval, prefilter), dtype)


@_ndimage
def shift(input, shift, output=None, order=3, mode="constant", cval=0.0, prefilter=True):
    """scipy.ndimage.shift"""
    x, dtype = image(input, output)
    shift = np.broadcast_to(array(shift), (x.ndim,))
    places = [g - shift[i] for i, g in enumerate(_grid(x.shape))]
    return cast_to(_sampled(x, places, order, mode, cval, prefilter), dtype)


@_ndimage
def zoom(
    input, zoom, output=None, order=3, mode="constant", cval=0.0, prefilter=True, *,
    grid_mode=False,
):  # fmt: skip
    """scipy.ndimage.zoom, for plain factors"""
    x, dtype = image(input, output)
    factors = [float(z) for z in per_axis(zoom, x.ndim)]
    shape = [round(n * z) for n, z in zip(x.shape, factors, strict=True)]
    if prefilter and all(z == 1 for z in factors):
        return cast_to(x, dtype)
    places = []
    for g, n, m in zip(_grid(shape), x.shape, shape, strict=True):
        if grid_mode:
            places.append((g + 0.5) * (n / m) - 0.5)
        else:
            places.append(g * ((n - 1) / (m - 1)) if m > 1 else g)
    return cast_to(_sampled(x, places, order, mode, cval, prefilter), dtype)


@_ndimage
def rotate(
    input, angle, axes=(1, 0), reshape=True, output=None, order=3, mode="constant", cval=0.0,
    prefilter=True,
):  # fmt: skip
    """scipy.ndimage.rotate: by degrees in the plane of two axes; a plain angle where the shape
    follows from it."""
    x, dtype = image(input, output)
    first, second = sorted(axis_index(a, x.ndim) for a in axes)
    turn = array(angle) * (np.pi / 180.0)
    c, s = np.cos(turn), np.sin(turn)
    size = [x.shape[first], x.shape[second]]
    shape = list(x.shape)
    if reshape:
        degrees = float(angle) * (np.pi / 180.0)
        turned = np.array([
            [np.cos(degrees), np.sin(degrees)],
            [-np.sin(degrees), np.cos(degrees)],
        ])
        bounds = turned @ [[0, 0, size[0], size[0]], [0, size[1], 0, size[1]]]
        shape[first], shape[second] = (int(n) for n in np.ptp(bounds, axis=1) + 0.5)
    grid = _grid(shape)
    u = grid[first] - (shape[first] - 1) / 2
    v = grid[second] - (shape[second] - 1) / 2
    places: list = list(grid)
    places[first] = c * u + s * v + (size[0] - 1) / 2
    places[second] = c * v - s * u + (size[1] - 1) / 2
    return cast_to(_sampled(x, places, order, mode, cval, prefilter), dtype)
