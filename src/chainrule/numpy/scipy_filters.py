"""Linear filters of scipy.ndimage under SciPy's names, while a trace is open.

`correlate`, `convolve`, `gaussian_filter`, `sobel`, ... of images: sums of shifted copies of the
padded array. They are replaced in their modules (see undispatched.py).
"""

from __future__ import annotations

import itertools
import operator
from importlib import import_module
from typing import Any

import numpy as np

from chainrule import errors
from chainrule.numpy.promotion import cast_to
from chainrule.numpy.shaping import array, axis_index, axis_tuple
from chainrule.numpy.undispatched import replaces
from chainrule.program.text import line_text
from chainrule.program.trace import Traced, user_line

_ndimage = replaces("scipy.ndimage")
_FLOAT64 = np.dtype(np.float64)

# --- sums of shifted copies -----------------------------------------------------------------------

_PADDING = {
    "reflect": "symmetric", "grid-mirror": "symmetric", "mirror": "reflect", "nearest": "edge",
    "constant": "constant", "grid-constant": "constant", "wrap": "wrap", "grid-wrap": "wrap",
}  # fmt: skip


def padded(x: Traced, widths, mode: str, cval: float) -> Any:
    """An array continued at its borders in a mode of scipy.ndimage."""
    if mode not in _PADDING:
        raise RuntimeError(f"boundary mode not supported: {mode}, at {line_text(user_line())}")
    kind: Any = _PADDING[mode]
    options: Any = {"constant_values": cval} if kind == "constant" else {}
    return np.pad(x, widths, kind, **options)


def along(x: Traced, weights, before: int, after: int, mode: str, cval: float) -> Traced:
    """The sum of weights[j] x[i + j - before] over j, along the last axis."""
    n = x.shape[-1]
    wide = padded(x, ((0, 0),) * (x.ndim - 1) + ((before, after),), mode, cval)
    total = weights[0] * wide[..., :n]
    for j in range(1, before + after + 1):
        total = total + weights[j] * wide[..., j : j + n]
    return total


def reach(size: int, origin: int) -> tuple[int, int]:
    """How far a filter of a size reaches back and forth."""
    origin = operator.index(origin)
    before = size // 2 + origin
    if not 0 <= before < size:
        raise ValueError(f"Invalid origin {origin}, at {line_text(user_line())}")
    return before, size - 1 - before


def image(input, output) -> tuple[Traced, np.dtype]:
    """The array in float64, as SciPy computes, and the dtype of the result."""
    if isinstance(output, np.ndarray):
        raise errors.MutationError(
            "scipy.ndimage(output=array) would write traced values into an array, at "
            f"{line_text(user_line())}: use what the filter returns."
        )
    x = array(input)
    wanted = x.dtype if output is None else np.dtype(output)
    if wanted.kind not in "fc":
        raise errors.NotSupported(
            f"filters of scipy.ndimage with results of dtype {wanted} are not supported on traced "
            f"values, at {line_text(user_line())}: give floats."
        )
    return cast_to(x, np.result_type(x.dtype, _FLOAT64)), wanted


@_ndimage
def correlate1d(input, weights, axis=-1, output=None, mode="reflect", cval=0.0, origin=0):
    """scipy.ndimage.correlate1d"""
    x, dtype = image(input, output)
    weights = array(weights)
    if weights.ndim != 1 or weights.shape[0] < 1:
        raise RuntimeError("no filter weights given")
    axis = axis_index(axis, x.ndim)
    before, after = reach(weights.shape[0], origin)
    out = along(np.moveaxis(x, axis, -1), weights, before, after, mode, cval)
    return cast_to(np.moveaxis(out, -1, axis), dtype)


@_ndimage
def convolve1d(input, weights, axis=-1, output=None, mode="reflect", cval=0.0, origin=0):
    """scipy.ndimage.convolve1d"""
    weights = array(weights)
    origin = -origin - (1 - weights.shape[0] % 2)
    return correlate1d(input, weights[::-1], axis, output, mode, cval, origin)


def per_axis(value, count: int) -> list:
    """A list of `count` values, of one for all or one for each."""
    return list(value) if np.iterable(value) and not isinstance(value, str) else [value] * count


@_ndimage
def correlate(input, weights, output=None, mode="reflect", cval=0.0, origin=0, *, axes=None):
    """scipy.ndimage.correlate"""
    x, dtype = image(input, output)
    weights = array(weights)
    axes = tuple(range(x.ndim)) if axes is None else axis_tuple(axes, x.ndim)
    if weights.ndim != len(axes):
        raise RuntimeError(f"weights.ndim ({weights.ndim}) must match len(axes) ({len(axes)})")
    origins = per_axis(origin, len(axes))
    reaches = [reach(n, o) for n, o in zip(weights.shape, origins, strict=True)]
    widths = dict(zip(axes, reaches, strict=True))
    wide = padded(x, [widths.get(a, (0, 0)) for a in range(x.ndim)], mode, cval)
    total = None
    for place in itertools.product(*map(range, weights.shape)):
        start = dict(zip(axes, place, strict=True))
        firsts = [start.get(a, 0) for a in range(x.ndim)]
        part = wide[tuple(slice(i, i + n) for i, n in zip(firsts, x.shape, strict=True))]
        total = weights[place] * part if total is None else total + weights[place] * part
    return cast_to(total, dtype)


@_ndimage
def convolve(input, weights, output=None, mode="reflect", cval=0.0, origin=0, *, axes=None):
    """scipy.ndimage.convolve"""
    weights = array(weights)
    origins = [
        -o - (1 - n % 2)
        for o, n in zip(per_axis(origin, weights.ndim), weights.shape, strict=True)
    ]
    turned = weights[(slice(None, None, -1),) * weights.ndim]
    return correlate(input, turned, output, mode, cval, origins, axes=axes)


# --- smoothing ----------------------------------------------------------------------------------


@_ndimage
def uniform_filter1d(input, size, axis=-1, output=None, mode="reflect", cval=0.0, origin=0):
    """scipy.ndimage.uniform_filter1d"""
    size = operator.index(size)
    if size < 1:
        raise RuntimeError("incorrect filter size")
    return correlate1d(input, np.full(size, 1.0 / size), axis, output, mode, cval, origin)


@_ndimage
def gaussian_filter1d(
    input, sigma, axis=-1, order=0, output=None, mode="reflect", cval=0.0, truncate=4.0, *,
    radius=None,
):  # fmt: skip
    """scipy.ndimage.gaussian_filter1d, for a plain sigma"""
    sigma = float(sigma)
    half = int(truncate * sigma + 0.5) if radius is None else operator.index(radius)
    impulse = np.zeros(2 * half + 1)
    impulse[half] = 1.0
    smooth = import_module("scipy.ndimage").gaussian_filter1d
    response = smooth(impulse, sigma, -1, order, None, "constant", 0.0, truncate, radius=half)
    return correlate1d(input, response[::-1], axis, output, mode, cval)


def _over_axes(x, axes, options: list[dict], one_axis):
    """A filter of one axis after the other, each with its own options."""
    x = array(x)
    axes = tuple(range(x.ndim)) if axes is None else axis_tuple(axes, x.ndim)
    for axis, chosen in zip(axes, options, strict=True):
        x = one_axis(x, axis=axis, **chosen)
    return x


def _options(count: int, **options) -> list[dict]:
    spread = {name: per_axis(value, count) for name, value in options.items()}
    return [{name: values[i] for name, values in spread.items()} for i in range(count)]


@_ndimage
def gaussian_filter(
    input, sigma, order=0, output=None, mode="reflect", cval=0.0, truncate=4.0, *, radius=None,
    axes=None,
):  # fmt: skip
    """scipy.ndimage.gaussian_filter"""
    x, dtype = image(input, output)
    count = x.ndim if axes is None else len(axis_tuple(axes, x.ndim))
    options = _options(count, sigma=sigma, order=order, mode=mode, radius=radius)
    options = [o | {"cval": cval, "truncate": truncate} for o in options]
    return cast_to(_over_axes(x, axes, options, gaussian_filter1d), dtype)


@_ndimage
def uniform_filter(input, size=3, output=None, mode="reflect", cval=0.0, origin=0, *, axes=None):
    """scipy.ndimage.uniform_filter"""
    x, dtype = image(input, output)
    count = x.ndim if axes is None else len(axis_tuple(axes, x.ndim))
    options = [o | {"cval": cval} for o in _options(count, size=size, mode=mode, origin=origin)]
    return cast_to(_over_axes(x, axes, options, uniform_filter1d), dtype)


# --- differences --------------------------------------------------------------------------------


def _edge_filter(input, axis, output, mode, cval, across) -> Traced:
    x, dtype = image(input, output)
    axis = axis_index(axis, x.ndim)
    modes = per_axis(mode, x.ndim)
    x = correlate1d(x, [-1.0, 0.0, 1.0], axis, None, modes[axis], cval)
    for other in range(x.ndim):
        if other != axis:
            x = correlate1d(x, across, other, None, modes[other], cval)
    return cast_to(x, dtype)


@_ndimage
def sobel(input, axis=-1, output=None, mode="reflect", cval=0.0):
    """scipy.ndimage.sobel"""
    return _edge_filter(input, axis, output, mode, cval, [1.0, 2.0, 1.0])


@_ndimage
def prewitt(input, axis=-1, output=None, mode="reflect", cval=0.0):
    """scipy.ndimage.prewitt"""
    return _edge_filter(input, axis, output, mode, cval, [1.0, 1.0, 1.0])


@_ndimage
def laplace(input, output=None, mode="reflect", cval=0.0, *, axes=None):
    """scipy.ndimage.laplace"""
    x, dtype = image(input, output)
    chosen = tuple(range(x.ndim)) if axes is None else axis_tuple(axes, x.ndim)
    modes = per_axis(mode, len(chosen))
    parts = [
        correlate1d(x, [1.0, -2.0, 1.0], axis, None, one, cval)
        for axis, one in zip(chosen, modes, strict=True)
    ]
    return cast_to(sum(parts[1:], start=parts[0]), dtype)


@_ndimage
def gaussian_laplace(
    input, sigma, output=None, mode="reflect", cval=0.0, *, axes=None, **options
):
    """scipy.ndimage.gaussian_laplace: the sum of second derivatives of the smoothed image"""
    parts, dtype = _of_each_axis(input, sigma, 2, output, mode, cval, axes, options)
    return cast_to(sum(parts[1:], start=parts[0]), dtype)


@_ndimage
def gaussian_gradient_magnitude(
    input, sigma, output=None, mode="reflect", cval=0.0, *, axes=None, **options
):
    """scipy.ndimage.gaussian_gradient_magnitude"""
    parts, dtype = _of_each_axis(input, sigma, 1, output, mode, cval, axes, options)
    return cast_to(np.sqrt(sum(p * p for p in parts)), dtype)


def _of_each_axis(input, sigma, order: int, output, mode, cval, axes, options: dict):
    """The smoothed image, derived by each axis, and the dtype of a result."""
    x, dtype = image(input, output)
    chosen = tuple(range(x.ndim)) if axes is None else axis_tuple(axes, x.ndim)
    orders = np.eye(len(chosen), dtype=int) * order
    smooth = [
        gaussian_filter(x, sigma, list(o), None, mode, cval, axes=chosen, **options) for o in orders
    ]
    return smooth, dtype
