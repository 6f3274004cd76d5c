"""np.pad, one axis after the other, as NumPy does.

Modes that copy elements (edge, reflect, symmetric, wrap) read them by a table of positions that
np.pad itself makes from 0, 1, ..., n - 1; the others compute a value and repeat it.
"""

from __future__ import annotations

from typing import Any

import numpy as np

from chainrule import errors
from chainrule.numpy import layout
from chainrule.numpy.promotion import as_array, broadcast_to, cast_to, traced
from chainrule.numpy.protocols import implements
from chainrule.numpy.shaping import array, fresh
from chainrule.ops.join import concatenate
from chainrule.ops.join import pad as pad_op
from chainrule.ops.shape import broadcast
from chainrule.program.text import line_text
from chainrule.program.trace import Traced, user_line

_OPTIONS = {
    "constant": {"constant_values"},
    "edge": set(),
    "empty": set(),
    "linear_ramp": {"end_values"},
    "maximum": {"stat_length"},
    "mean": {"stat_length"},
    "median": {"stat_length"},
    "minimum": {"stat_length"},
    "reflect": {"reflect_type"},
    "symmetric": {"reflect_type"},
    "wrap": set(),
}
_pad_plain: Any = np.pad
_STATISTICS = {"maximum": np.max, "minimum": np.min, "mean": np.mean, "median": np.median}


@implements(np.pad)
def pad(array, pad_width, mode="constant", **kwargs):
    """np.pad: the array with values added before and after each axis."""
    return _padded(array, pad_width, mode, **kwargs)


def _padded(values, pad_width, mode, **options):
    x = array(values)
    widths = _widths(pad_width, x.ndim)
    _check(mode, options)
    axes = [axis for axis in range(x.ndim) if widths[axis] != (0, 0)]
    if mode in ("constant", "empty"):
        out = _constant(x, widths, axes, options.get("constant_values", 0))
    else:
        out = x
        for axis in axes:
            out = _pad_axis(out, axis, widths[axis], mode, options, x)
    out = fresh(out)
    return layout.with_order_of(out, x) if layout.is_f_contiguous(x) else out


def _line() -> str:
    return line_text(user_line())


def _check(mode, options) -> None:
    if callable(mode):
        raise errors.NotSupported(
            f"np.pad(mode=<function>) is not supported on traced values, at {_line()}."
        )
    if mode not in _OPTIONS:
        raise ValueError(f"mode '{mode}' is not supported, at {_line()}")
    unknown = set(options) - _OPTIONS[mode]
    if unknown:
        raise ValueError(f"unsupported keyword arguments for mode '{mode}': {unknown}")


def _widths(pad_width, ndim: int) -> tuple[tuple[int, int], ...]:
    if isinstance(pad_width, dict):
        by_axis: list = [(0, 0)] * ndim
        for axis, width in pad_width.items():
            by_axis[axis] = (width, width) if np.ndim(width) == 0 else tuple(width)
        pad_width = by_axis
    given = np.asarray(pad_width)
    if given.dtype.kind not in "iu":
        raise TypeError("`pad_width` must be of integral type.")
    pairs = _pairs(given, ndim)
    if any(n < 0 for pair in pairs for n in pair):
        raise errors.ShapeError(f"index can't contain negative values, at {_line()}")
    return tuple((int(a), int(b)) for a, b in pairs)


def _pairs(given, ndim: int) -> list[tuple]:
    """One (before, after) pair per axis, by NumPy's broadcasting of such options."""
    given = as_array(given)
    wide = np.broadcast_to(given if type(given) is Traced else np.asarray(given), (ndim, 2))
    return [(wide[axis, 0], wide[axis, 1]) for axis in range(ndim)]


# --- modes --------------------------------------------------------------------------------------


def _constant(x: Traced, widths, axes, constants) -> Traced:
    pairs = _pairs(constants, x.ndim)
    if all(type(value) is not Traced and value == 0 for pair in pairs for value in pair):
        return pad_op(x, widths=widths) if axes else x
    for axis in axes:
        before, after = (
            _filled(x, axis, count, value)
            for count, value in zip(widths[axis], pairs[axis], strict=True)
        )
        x = concatenate(before, x, after, axis=axis)
    return x


def _filled(x: Traced, axis: int, count: int, value) -> Traced:
    shape = (*x.shape[:axis], count, *x.shape[axis + 1 :])
    return broadcast(traced(cast_to(array(value), x.dtype)), shape=shape, axes=())


def _pad_axis(x: Traced, axis: int, widths, mode: str, options, original: Traced) -> Traced:
    if mode in _STATISTICS:
        lengths = options.get("stat_length")
        pair = (None, None) if lengths is None else _pairs(lengths, x.ndim)[axis]
        return _statistic(x, axis, widths, _STATISTICS[mode], pair)
    if mode == "linear_ramp":
        ends = _pairs(options.get("end_values", 0), x.ndim)[axis]
        return _ramps(x, axis, widths, ends)
    if options.get("reflect_type", "even") == "odd" and x.shape[axis] > 1:
        return _odd(x, axis, widths, mode)
    n = x.shape[axis]
    if not n:
        raise errors.ShapeError(
            f"can't extend empty axis {axis} using modes other than 'constant' or 'empty', "
            f"at {_line()}"
        )
    places = _pad_plain(np.arange(n), widths, mode)
    return x[(slice(None),) * axis + (places,)]


def _part(x: Traced, axis: int, start, stop, step=None) -> Traced:
    return x[(slice(None),) * axis + (slice(start, stop, step),)]


def _repeated(part: Traced, axis: int, count: int) -> Traced:
    shape = (*part.shape[:axis], count, *part.shape[axis + 1 :])
    return broadcast_to(part, shape)


def _statistic(x: Traced, axis: int, widths, function, lengths) -> Traced:
    n = x.shape[axis]
    sizes = [n if length is None else min(int(length), n) for length in lengths]
    if function in (np.max, np.min) and 0 in sizes:
        raise errors.ShapeError("stat_length of 0 yields no value for padding")
    parts = _part(x, axis, 0, sizes[0]), _part(x, axis, n - sizes[1], n)
    before, after = (
        _repeated(_in_dtype(function(part, axis=axis, keepdims=True), x.dtype), axis, count)
        for part, count in zip(parts, widths, strict=True)
    )
    return concatenate(before, x, after, axis=axis)


def _in_dtype(value, dtype) -> Traced:
    value = np.rint(value) if dtype.kind in "iu" and value.dtype.kind == "f" else value
    return cast_to(value, dtype)


def _ramps(x: Traced, axis: int, widths, ends) -> Traced:
    n = x.shape[axis]
    edges = _part(x, axis, 0, 1), _part(x, axis, n - 1, n)
    before, after = (
        _in_ramp(edge, axis, count, end)
        for edge, count, end in zip(edges, widths, ends, strict=True)
    )
    return concatenate(before, x, np.flip(after, axis), axis=axis)


def _in_ramp(edge: Traced, axis: int, count: int, end) -> Traced:
    """`count` values from `end` on towards the edge, which is left out."""
    flat_edge = np.squeeze(edge, axis)
    ramp = np.linspace(end, flat_edge, num=count, endpoint=False, axis=axis)
    return cast_to(ramp, edge.dtype)


def _odd(x: Traced, axis: int, widths, mode: str) -> Traced:
    """Reflection through the edge element: 2 * edge - mirrored, as often as the width asks."""
    before, after = widths
    skip = int(mode == "reflect")  # the edge itself is not mirrored
    period = x.shape[axis] - skip
    while before > 0 or after > 0:
        n = x.shape[axis]
        whole = (n - skip) // period * period  # NumPy mirrors whole periods only
        left, right = min(before, whole), min(after, whole)
        pieces: list = [x]
        if left:
            mirrored = np.flip(_part(x, axis, skip, skip + left), axis)
            pieces.insert(0, 2 * _part(x, axis, 0, 1) - mirrored)
        if right:
            mirrored = np.flip(_part(x, axis, n - skip - right, n - skip), axis)
            pieces.append(2 * _part(x, axis, n - 1, n) - mirrored)
        x = concatenate(*(cast_to(p, x.dtype) for p in pieces), axis=axis)
        before, after = before - left, after - right
    return x
