"""Differences, gradients, integrals, interpolation, convolution and phase of traced values."""

from __future__ import annotations

import math
from typing import Any

import numpy as np

from chainrule import errors
from chainrule.numpy.indexing import reshape_to
from chainrule.numpy.promotion import broadcast_to, cast_to, result_dtype, shape_of
from chainrule.numpy.protocols import implements
from chainrule.numpy.reductions import NOTHING, sum_over
from chainrule.numpy.shaping import array, axis_index, axis_tuple
from chainrule.numpy.statistics import any_at_hand
from chainrule.ops import convolve as convolve_ops
from chainrule.ops.elementwise import conj, maximum, minimum, scale
from chainrule.ops.index import index
from chainrule.ops.select import select, stop_gradient
from chainrule.ops.shape import flip
from chainrule.ops.sort import searchsorted
from chainrule.program.text import line_text
from chainrule.program.trace import Traced, user_line

_FLOAT64, _COMPLEX128 = np.dtype(np.float64), np.dtype(np.complex128)


def part(x: Traced, axis: int, start: int, stop: int) -> Traced:
    """x[start:stop] along an axis; a negative bound counts from the end, as in a slice."""
    start, stop, _ = slice(start, stop).indices(x.shape[axis])
    at = tuple((start, max(stop, start), 1) if a == axis else (0, n, 1)
               for a, n in enumerate(x.shape))  # fmt: skip
    return index(x, at=at)


# --- differences --------------------------------------------------------------------------------


def _edge(value, x: Traced, axis: int):
    """What is put before or after x along an axis: a scalar stands for one entry."""
    value = array(value)
    if value.ndim:
        return value
    return broadcast_to(value, tuple(1 if a == axis else n for a, n in enumerate(x.shape)))


@implements(np.diff)
def diff(a, n=1, axis=-1, prepend=NOTHING, append=NOTHING):
    """np.diff"""
    if n < 0:
        raise ValueError(f"order must be non-negative but got {n!r}")
    x: Any = array(a)
    if n == 0:
        return a
    if x.ndim == 0:
        raise errors.ShapeError("diff requires input that is at least one dimensional")
    axis = axis_index(axis, x.ndim)
    before = [] if prepend is NOTHING else [_edge(prepend, x, axis)]
    after = [] if append is NOTHING else [_edge(append, x, axis)]
    if before or after:
        x = np.concatenate((*before, x, *after), axis)
    subtract = np.not_equal if x.dtype == np.bool_ else np.subtract
    for _ in range(n):
        size = x.shape[axis]
        x = subtract(part(x, axis, 1, size), part(x, axis, 0, max(size - 1, 0)))
    return x


@implements(np.ediff1d)
def ediff1d(ary, to_end=None, to_begin=None):
    """np.ediff1d"""
    x: Any = np.ravel(array(ary))
    differences = diff(x) if x.size > 1 else part(x, 0, 0, 0)
    ends: list[list] = []
    for name, end in (("to_begin", to_begin), ("to_end", to_end)):
        if end is None:
            ends.append([])
            continue
        end = array(end)
        if not np.can_cast(end.dtype, x.dtype, casting="same_kind"):
            raise errors.DtypeError(
                f"dtype of `{name}` must be compatible with input `ary` under the `same_kind` rule."
            )
        ends.append([np.ravel(cast_to(end, x.dtype))])
    return np.concatenate((*ends[0], differences, *ends[1])) if any(ends) else differences


# --- gradients ----------------------------------------------------------------------------------


@implements(np.gradient)
def gradient(f, *varargs, axis=None, edge_order=1):
    """np.gradient; the spacing may be traced, and the derivative passes through it"""
    f = array(f)
    axes = tuple(range(f.ndim)) if axis is None else axis_tuple(axis, f.ndim)
    spacings = _spacings(f, axes, varargs)
    if edge_order > 2:
        raise ValueError("'edge_order' greater than 2 not supported")
    if f.dtype.kind in "biu":
        f = cast_to(f, _FLOAT64) if f.dtype.kind != "b" else f
    out = [_slopes(f, a, h, edge_order) for a, h in zip(axes, spacings, strict=True)]
    return out[0] if len(out) == 1 else tuple(out)


def _spacings(f: Traced, axes, given) -> list:
    """For each axis the spacing: a number, or an array of the n - 1 distances."""
    if not given:
        return [1.0] * len(axes)
    if len(given) == 1 and shape_of(given[0]) == ():
        return list(given) * len(axes)
    if len(given) != len(axes):
        raise TypeError("invalid number of arguments")
    return [_spacing(h, f.shape[a]) for h, a in zip(given, axes, strict=True)]


def _spacing(h, n: int):
    shape = shape_of(h)
    if shape == ():
        return h
    if len(shape) != 1:
        raise ValueError("distances must be either scalars or 1d")
    if shape[0] != n:
        raise ValueError("when 1d, distances must match the length of the corresponding dimension")
    h = h if type(h) is Traced else np.asarray(h)
    h = h.astype(np.float64) if h.dtype.kind in "iu" else h
    steps = np.diff(h)
    if type(h) is not Traced and steps.size and (steps == steps[0]).all():
        return steps[0]
    return steps


def _slopes(f: Traced, axis: int, h, edge_order: int):
    """Central differences inside, one-sided ones at the two ends, along one axis."""
    n = f.shape[axis]
    if n < edge_order + 1:
        raise errors.ShapeError(
            "Shape of array too small to calculate a numerical gradient, at least (edge_order + 1) "
            f"elements are required, at {line_text(user_line())}"
        )
    dtype = f.dtype if f.dtype.kind in "fc" else _FLOAT64
    inside = _inner_slopes(f, axis, h)
    first, last = (_end_slope(f, axis, h, edge_order, end) for end in (0, 1))
    return np.concatenate([cast_to(v, dtype) for v in (first, inside, last)], axis)


def _along(values, ndim: int, axis: int):
    return np.reshape(values, tuple(-1 if a == axis else 1 for a in range(ndim)))


def _inner_slopes(f: Traced, axis: int, h):
    n = f.shape[axis]
    before, here, after = (part(f, axis, i, n - 2 + i) for i in range(3))
    if shape_of(h) == ():
        return (after - before) / (2.0 * h)
    h1, h2 = h[:-1], h[1:]
    a, b, c = -h2 / (h1 * (h1 + h2)), (h2 - h1) / (h1 * h2), h1 / (h2 * (h1 + h2))
    a, b, c = (_along(v, f.ndim, axis) for v in (a, b, c))
    return a * before + b * here + c * after


def _end_slope(f: Traced, axis: int, h, edge_order: int, end: int):
    """The slope at the first (end = 0) or last (end = 1) entry."""
    n = f.shape[axis]
    uniform = shape_of(h) == ()

    def entry(i):
        return part(f, axis, i, i + 1)

    if edge_order == 1:
        i = n - 2 if end else 0
        return (entry(i + 1) - entry(i)) / (h if uniform else h[-1 if end else 0])
    i = n - 3 if end else 0
    if uniform:
        a, b, c = (0.5 / h, -2.0 / h, 1.5 / h) if end else (-1.5 / h, 2.0 / h, -0.5 / h)
    else:
        a, b, c = _weights_at_end(h[-2], h[-1], 1) if end else _weights_at_end(h[0], h[1], 0)
    return a * entry(i) + b * entry(i + 1) + c * entry(i + 2)


def _weights_at_end(h1, h2, end: int):
    """Weights of three entries for the slope at the first or the last of them, to second order."""
    if end:
        return h2 / (h1 * (h1 + h2)), -(h2 + h1) / (h1 * h2), (2.0 * h2 + h1) / (h2 * (h1 + h2))
    return -(2.0 * h1 + h2) / (h1 * (h1 + h2)), (h1 + h2) / (h1 * h2), -h1 / (h2 * (h1 + h2))


# --- integrals ----------------------------------------------------------------------------------


def trapezoid(y, x=None, dx=1.0, axis=-1):
    """np.trapezoid"""
    y = array(y)
    axis = axis_index(axis, y.ndim)
    n = y.shape[axis]
    widths = dx
    if x is not None:
        x = array(x)
        widths = _along(diff(x), y.ndim, axis) if x.ndim == 1 else diff(x, axis=axis)
    pairs = part(y, axis, 1, n) + part(y, axis, 0, max(n - 1, 0))
    return sum_over(widths * pairs / 2.0, axis)


for _name in ("trapezoid", "trapz"):  # the second was NumPy 1's name
    if hasattr(np, _name):
        implements(getattr(np, _name))(trapezoid)


# --- interpolation ------------------------------------------------------------------------------


@implements(np.interp)
def interp(x, xp, fp, left=None, right=None, period=None):
    """np.interp, differentiable in x, xp, fp; a knot belongs to the piece after it

    Differs from NumPy beside an infinite table value: nan where NumPy takes the piece's other end.
    """
    fp = array(fp)
    dtype = _COMPLEX128 if fp.dtype.kind == "c" else _FLOAT64
    x, xp = (cast_to(array(v), _FLOAT64) for v in (x, xp))
    fp = cast_to(fp, dtype)
    if xp.ndim != 1 or fp.ndim != 1:
        raise errors.ShapeError("Data points must be 1-D sequences" if period is not None
                                else "object too deep for desired array")  # fmt: skip
    if xp.shape != fp.shape:
        raise errors.ShapeError(
            f"fp and xp are not of the same length, at {line_text(user_line())}."
        )
    if xp.size == 0:
        raise errors.ShapeError(f"array of sample points is empty, at {line_text(user_line())}")
    if period is not None:
        left = right = None
        x, xp, fp = _periodic(x, xp, fp, period)
    ends = (left is None, right is None)
    left = fp[0] if left is None else cast_to(array(left), dtype)
    right = fp[-1] if right is None else cast_to(array(right), dtype)
    return _interpolated(x, xp, fp, left, right, ends)


def _periodic(x, xp, fp, period):
    if any_at_hand(period == 0):
        raise ValueError("period must be a non-zero value")
    period = abs(period)
    x, xp = x % period, xp % period
    order = np.argsort(xp)
    xp, fp = xp[order], fp[order]
    xp = np.concatenate((xp[-1:] - period, xp, xp[:1] + period))
    return x, xp, np.concatenate((fp[-1:], fp, fp[:1]))


def _interpolated(x, xp, fp, left, right, continuous: tuple[bool, bool]):
    """The piece that x lies in, measured from its left knot (at the last knot, from that one).

    stop_gradient on what is discrete says that nothing jumps there.
    """
    n = xp.shape[0]
    if n == 1:
        inside = broadcast_to(fp[0], x.shape)
    else:
        after = stop_gradient(searchsorted(xp, x, side="right", lead=0))
        before = maximum(after - np.int64(1), np.int64(0))
        piece, anchor = minimum(before, np.int64(n - 2)), minimum(before, np.int64(n - 1))
        x0, f0, f1 = (index(v, piece, at=()) for v in (xp, fp, part(fp, 0, 1, n)))
        slope = (f1 - f0) / cast_to(index(part(xp, 0, 1, n), piece, at=()) - x0, fp.dtype)
        distance = x - index(xp, anchor, at=())
        # scale: at a knot the distance is exactly 0, and the value the knot's, whatever the slope
        inside = scale(slope, cast_to(distance, fp.dtype)) + index(fp, anchor, at=())
    outside = [
        stop_gradient(side) if known else side
        for side, known in zip((x < xp[0], x > xp[-1]), continuous, strict=True)
    ]
    out = select(outside[0], broadcast_to(left, x.shape), inside)
    out = select(outside[1], broadcast_to(right, x.shape), out)
    if n == 1:
        return out
    return select(np.isnan(x), cast_to(x, fp.dtype), out)


# --- convolution --------------------------------------------------------------------------------


def _sequences(a, v) -> tuple[Traced, Traced]:
    a, v = array(a), array(v)
    dtype = result_dtype(a, v)
    a, v = (reshape_to(x, (1,)) if x.ndim == 0 else x for x in (a, v))
    for x in (a, v):
        if x.ndim != 1:
            raise errors.ShapeError(
                f"object too deep for desired array, at {line_text(user_line())}"
            )
        if not x.size:
            name = "a" if x is a else "v"
            raise errors.ShapeError(f"{name} cannot be empty, at {line_text(user_line())}")
    return cast_to(a, dtype), cast_to(v, dtype)


def _overlapping(a: Traced, v: Traced, mode: str) -> Traced:
    """The convolution of a with a v that is not longer."""
    if mode == "full":
        return convolve_ops.convolve(a, v, mode="full")
    if mode == "valid":
        return convolve_ops.convolve(a, v, mode="valid")
    if mode != "same":
        raise ValueError(f"mode must be one of 'valid', 'same', or 'full' (got {mode!r})")
    start = (v.shape[0] - 1) // 2
    return part(convolve_ops.convolve(a, v, mode="full"), 0, start, start + a.shape[0])


def _mode_name(mode) -> str:
    return ("valid", "same", "full")[mode] if isinstance(mode, int) else mode


@implements(np.convolve)
def convolve(a, v, mode="full"):
    """np.convolve"""
    a, v = _sequences(a, v)
    return _overlapping(*((a, v) if a.shape[0] >= v.shape[0] else (v, a)), _mode_name(mode))


@implements(np.correlate)
def correlate(a, v, mode="valid"):
    """np.correlate: the sum of a[n + k] conj(v[n])"""
    a, v = _sequences(a, v)
    if a.shape[0] >= v.shape[0]:
        return _overlapping(a, flip(conj(v), axes=(0,)), _mode_name(mode))
    return flip(_overlapping(conj(v), flip(a, axes=(0,)), _mode_name(mode)), axes=(0,))


# --- phase --------------------------------------------------------------------------------------


@implements(np.unwrap)
def unwrap(p, discont=None, axis=-1, *, period=2 * math.pi):
    """np.unwrap: the slope is 1, jumps of whole periods have none"""
    p = array(p)
    axis = axis_index(axis, p.ndim)
    steps = diff(p, axis=axis)
    discont = period / 2 if discont is None else discont
    dtype = result_dtype(steps, period)
    if dtype.kind in "iu":
        high, rest = divmod(period, 2)
        ambiguous = rest == 0
    else:
        high, ambiguous = period / 2, True
    wrapped = np.mod(steps + high, period) - high
    if ambiguous:
        wrapped = np.where((wrapped == -high) & (steps > 0), high, wrapped)
    jumps = np.where(np.abs(steps) < discont, 0, wrapped - steps)
    rest = cast_to(part(p, axis, 1, p.shape[axis]), dtype) + np.cumsum(jumps, axis=axis)
    return np.concatenate((cast_to(part(p, axis, 0, 1), dtype), rest), axis)
