"""Filters of scipy.signal under SciPy's names, while a trace is open.

`lfilter` and cascades of second-order sections, with their states; convolution of images with
borders; resampling filters and medians. They are replaced in their modules (see undispatched.py),
so what SciPy builds of them (`filtfilt`, `sosfiltfilt`, `decimate`, `resample_poly`) works as well.
"""

from __future__ import annotations

import itertools
import operator
from typing import Any

import numpy as np

from chainrule import errors
from chainrule.numpy.promotion import cast_to, result_dtype
from chainrule.numpy.scipy_filters import along
from chainrule.numpy.scipy_ranks import rank_filter
from chainrule.numpy.shaping import array, axis_index
from chainrule.numpy.undispatched import replaces
from chainrule.ops.recurrence import recurrence
from chainrule.program.text import line_text
from chainrule.program.trace import user_line

_signal = replaces("scipy.signal")
_FLOAT64 = np.dtype(np.float64)


# --- recursive filters --------------------------------------------------------------------------


@_signal
def lfilter(b, a, x, axis=-1, zi=None):
    """scipy.signal.lfilter: a digital filter with coefficients b over a.

    With a state zi, what is left in the delays adds the response of zi over a:
    y = (b x + zi) / a; the state at the end is what the last inputs and outputs leave in them.
    """
    b, a, x = array(b), array(a), array(x)
    zi = None if zi is None else array(zi)
    given = (b, a, x) if zi is None else (b, a, x, zi)
    dtype = result_dtype(*given, np.float32 if x.dtype == np.float32 else _FLOAT64)
    b, a, x = (cast_to(v, dtype) for v in (np.atleast_1d(b), np.atleast_1d(a), x))
    axis = axis_index(axis, x.ndim)
    b, a = b / a[0], a / a[0]
    x = np.moveaxis(x, axis, -1)
    fed: Any = along(x, b[::-1], b.shape[0] - 1, 0, "constant", 0.0)
    if zi is None:
        made = recurrence(a[1:], fed) if a.shape[0] > 1 else fed
        return np.moveaxis(made, -1, axis)
    order = max(a.shape[0], b.shape[0]) - 1
    zi = np.moveaxis(cast_to(zi, dtype), axis, -1)
    zi = np.broadcast_to(zi, (*x.shape[:-1], order))
    n, lead = x.shape[-1], ((0, 0),) * (x.ndim - 1)
    left = np.pad(zi, (*lead, (0, n)))
    fed = fed + left[..., :n]
    made = recurrence(a[1:], fed) if a.shape[0] > 1 else fed
    state = _state_left(b, a, x, made, order) + left[..., n : n + order]
    return np.moveaxis(made, -1, axis), np.moveaxis(state, -1, axis)


def _state_left(b, a, x, y, order: int):
    """The delays of the transposed direct form II after the last of the inputs, from rest."""
    n = x.shape[-1]
    lead = ((0, 0),) * (x.ndim - 1)
    delays = []
    for i in range(order):
        total = np.zeros(x.shape[:-1], x.dtype) * x[..., :1].sum(-1)
        for j in range(i + 1, order + 1):
            if (k := n - j + i) >= 0:
                total = total + (b[j] * x[..., k] if j < b.shape[0] else 0.0)
                total = total - (a[j] * y[..., k] if j < a.shape[0] else 0.0)
        delays.append(total)
    made = np.stack(delays, axis=-1) if delays else np.zeros((*x.shape[:-1], 0), x.dtype)
    return np.pad(made, (*lead, (0, 0)))


@_signal
def sosfilt(sos, x, axis=-1, zi=None):
    """scipy.signal.sosfilt: a cascade of second-order sections; states as SciPy lays them out."""
    sos, x = array(sos), array(x)
    if sos.ndim != 2 or sos.shape[1] != 6:
        raise ValueError("sos array must be shape (n_sections, 6)")
    axis = axis_index(axis, x.ndim)
    if zi is not None:
        shape = list(x.shape)
        shape[axis] = 2
        zi = np.reshape(array(zi), (sos.shape[0], *shape))
    left = []
    for i in range(sos.shape[0]):
        own = None if zi is None else zi[i]
        x = lfilter(sos[i, :3], sos[i, 3:], x, axis, own)
        if own is not None:
            x, state = x
            left.append(state)
    return x if zi is None else (x, np.stack(left))


@_signal
def upfirdn(h, x, up=1, down=1, axis=-1, mode="constant", cval=0):
    """scipy.signal.upfirdn: zeros put between samples, a filter, and every `down`-th sample."""
    if mode != "constant" or cval != 0:
        raise errors.NotSupported(
            f"scipy.signal.upfirdn(mode={mode!r}, cval={cval!r}) is not supported on traced "
            f"values, at {line_text(user_line())}: continue the signal with np.pad first."
        )
    h, x = array(h), array(x)
    up, down = operator.index(up), operator.index(down)
    axis = axis_index(axis, x.ndim)
    x = np.moveaxis(x, axis, -1)
    lead = ((0, 0),) * x.ndim
    wide: Any = np.pad(x[..., None], (*lead, (0, up - 1))) if up > 1 else x[..., None]
    taps = h.shape[0]
    wide = np.reshape(wide, (*x.shape[:-1], x.shape[-1] * up))[..., : (x.shape[-1] - 1) * up + 1]
    wide = np.pad(wide, (*lead[1:], (0, taps - 1)))
    made = along(wide, h[::-1], taps - 1, 0, "constant", 0.0)
    return np.moveaxis(made[..., ::down], -1, axis)


# --- images ---------------------------------------------------------------------------------------

_BORDERS = {"fill": "constant", "wrap": "wrap", "symm": "symmetric"}


@_signal
def convolve2d(in1, in2, mode="full", boundary="fill", fillvalue=0):
    """scipy.signal.convolve2d"""
    in1, in2 = array(in1), array(in2)
    if in1.ndim != 2 or in2.ndim != 2:
        raise ValueError("convolve2d inputs must both be 2-D arrays")
    if mode == "valid" and not _contains(in1.shape, in2.shape):
        in1, in2 = in2, in1
    return _correlated(in1, in2[::-1, ::-1], mode, boundary, fillvalue, turned=True)


@_signal
def correlate2d(in1, in2, mode="full", boundary="fill", fillvalue=0):
    """scipy.signal.correlate2d"""
    in1, in2 = array(in1), array(in2)
    if in1.ndim != 2 or in2.ndim != 2:
        raise ValueError("correlate2d inputs must both be 2-D arrays")
    swapped = mode == "valid" and not _contains(in1.shape, in2.shape)
    if swapped:
        in1, in2 = np.conj(in2), np.conj(in1)
    made = _correlated(in1, np.conj(in2), mode, boundary, fillvalue)
    return made[::-1, ::-1] if swapped else made


def _contains(large, small) -> bool:
    if all(m >= n for m, n in zip(large, small, strict=True)):
        return True
    if all(m <= n for m, n in zip(large, small, strict=True)):
        return False
    raise ValueError("in mode 'valid' one array must be as large as the other on both axes")


def _correlated(x, weights, mode: str, boundary: str, fillvalue, turned: bool = False):
    """The sum of weights[i, j] x[r + i, c + j] over i and j, of the array with its borders.

    Of an even number of weights the middle is the left one, before they are `turned`.
    """
    if mode not in ("full", "same", "valid") or boundary not in _BORDERS:
        raise ValueError(f"unknown mode {mode!r} or boundary {boundary!r}")
    m, n = weights.shape
    if mode == "full":
        widths: tuple = ((m - 1, m - 1), (n - 1, n - 1))
    elif mode == "same":
        halves = ((m - 1) // 2, m // 2), ((n - 1) // 2, n // 2)
        widths = tuple((b, a) if turned else (a, b) for a, b in halves)
    else:
        widths = ((0, 0), (0, 0))
    kind: Any = _BORDERS[boundary]
    options: Any = {"constant_values": fillvalue} if kind == "constant" else {}
    wide: Any = np.pad(x, widths, kind, **options)
    rows, columns = wide.shape[0] - m + 1, wide.shape[1] - n + 1
    total: Any = 0.0
    for i, j in itertools.product(range(m), range(n)):
        total = total + weights[i, j] * wide[i : i + rows, j : j + columns]
    return total


@_signal
def medfilt(volume, kernel_size=None):
    """scipy.signal.medfilt: the median of each window, with zeros around the array."""
    volume = np.atleast_1d(array(volume))
    sizes = [3] * volume.ndim if kernel_size is None else kernel_size
    sizes = [int(n) for n in np.broadcast_to(sizes, (volume.ndim,))]
    if any(n % 2 != 1 for n in sizes):
        raise ValueError("Each element of kernel_size should be odd.")
    return rank_filter(volume, int(np.prod(sizes)) // 2, sizes, mode="constant")


@_signal
def medfilt2d(input, kernel_size=3):
    """scipy.signal.medfilt2d"""
    return medfilt(input, kernel_size)
