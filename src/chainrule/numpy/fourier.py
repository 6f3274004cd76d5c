"""np.fft on traced values: each transform is a padding or a cut, then one axis after the other."""

from __future__ import annotations

import operator

import numpy as np

from chainrule import errors
from chainrule.numpy.promotion import cast_to
from chainrule.numpy.protocols import implements
from chainrule.numpy.shaping import array, axis_index
from chainrule.ops import fft as ops
from chainrule.ops.index import index
from chainrule.ops.join import pad
from chainrule.program.text import line_text
from chainrule.program.trace import Traced, user_line


def signal(a) -> Traced:
    """An array in a dtype that numpy.fft computes in: integers become float64, float16 float32."""
    x = array(a)
    if x.dtype == np.float16:
        return cast_to(x, np.dtype(np.float32))
    return x if x.dtype.kind in "fc" else cast_to(x, np.dtype(np.float64))


def _norm(norm) -> str:
    if norm is None:
        return "backward"
    if norm not in ops.OTHER_NORM:
        raise ValueError(f'Invalid norm value {norm}; should be "backward", "ortho" or "forward".')
    return norm


def _axis(x: Traced, axis) -> int:
    if not x.ndim:
        raise errors.AxisError(
            f"a transform needs an axis, got a 0-dimensional array, at {line_text(user_line())}"
        )
    return axis_index(-1 if axis is None else axis, x.ndim)


def _length(n) -> int:
    n = operator.index(n)
    if n < 1:
        raise ValueError(f"Invalid number of FFT data points ({n}) specified.")
    return n


def resized(x: Traced, n: int, axis: int) -> Traced:
    """x cut or padded with zeros to length n along an axis."""
    have = x.shape[axis]
    if n == have:
        return x
    if n < have:
        return index(x, at=tuple((0, n if a == axis else m, 1) for a, m in enumerate(x.shape)))
    return pad(x, widths=tuple((0, n - have if a == axis else 0) for a in range(x.ndim)))


def _transform(a, n, axis, norm, inverse: bool) -> Traced:
    x = signal(a)
    axis = _axis(x, axis)
    n = _length(x.shape[axis] if n is None else n)
    return ops.fft(resized(x, n, axis), axis=axis, inverse=inverse, norm=_norm(norm))


@implements(np.fft.fft)
def fft(a, n=None, axis=-1, norm=None):
    """np.fft.fft"""
    return _transform(a, n, axis, norm, inverse=False)


@implements(np.fft.ifft)
def ifft(a, n=None, axis=-1, norm=None):
    """np.fft.ifft"""
    return _transform(a, n, axis, norm, inverse=True)


@implements(np.fft.rfft)
def rfft(a, n=None, axis=-1, norm=None):
    """np.fft.rfft: the frequencies 0 to n // 2 of a real signal."""
    x = signal(a)
    if x.dtype.kind == "c":
        raise errors.DtypeError(
            f"np.fft.rfft takes real input, got {x.dtype}, at {line_text(user_line())}. "
            "Use np.fft.fft, or take .real."
        )
    axis = _axis(x, axis)
    n = _length(x.shape[axis] if n is None else n)
    return ops.rfft(resized(x, n, axis), axis=axis, norm=_norm(norm))


@implements(np.fft.irfft)
def irfft(a, n=None, axis=-1, norm=None):
    """np.fft.irfft: the real signal of length n with these frequencies."""
    x = signal(a)
    x = x if x.dtype.kind == "c" else cast_to(x, np.result_type(x.dtype, np.complex64))
    axis = _axis(x, axis)
    n = _length(2 * (x.shape[axis] - 1) if n is None else n)
    out = ops.irfft(resized(x, n // 2 + 1, axis), axis=axis, n=n, norm=_norm(norm))
    return cast_to(out, np.dtype(np.float16)) if array(a).dtype == np.float16 else out


@implements(np.fft.hfft)
def hfft(a, n=None, axis=-1, norm=None):
    """np.fft.hfft: the real spectrum of a signal with Hermitian symmetry."""
    return irfft(np.conj(array(a)), n, axis, ops.OTHER_NORM[_norm(norm)])


@implements(np.fft.ihfft)
def ihfft(a, n=None, axis=-1, norm=None):
    """np.fft.ihfft: the inverse of hfft."""
    return np.conj(rfft(a, n, axis, ops.OTHER_NORM[_norm(norm)]))


# --- several axes -------------------------------------------------------------------------------


def _lengths_and_axes(x: Traced, s, axes, half: bool = False):
    """One length and one axis per transform; `half`: the last axis holds n // 2 + 1 frequencies."""
    if axes is None:
        axes = range(-(x.ndim if s is None else len(s)), 0)
    axes = [_axis(x, a) for a in axes]
    if s is None:
        lengths = [x.shape[a] for a in axes]
        if half and axes:
            lengths[-1] = 2 * (lengths[-1] - 1)
        return lengths, axes
    if len(s) != len(axes):
        raise errors.ShapeError(
            f"Shape and axes have different lengths, at {line_text(user_line())}"
        )
    return [x.shape[a] if n is None or n == -1 else n for n, a in zip(s, axes, strict=True)], axes


def _over_axes(function, x: Traced, plan, norm) -> Traced:
    """The transforms one after the other, the last axis first, as NumPy does."""
    for n, axis in reversed(list(zip(*plan, strict=True))):
        x = function(x, n, axis, norm)
    return x


@implements(np.fft.fftn)
def fftn(a, s=None, axes=None, norm=None):
    """np.fft.fftn"""
    x = signal(a)
    return _over_axes(fft, x, _lengths_and_axes(x, s, axes), norm)


@implements(np.fft.ifftn)
def ifftn(a, s=None, axes=None, norm=None):
    """np.fft.ifftn"""
    x = signal(a)
    return _over_axes(ifft, x, _lengths_and_axes(x, s, axes), norm)


@implements(np.fft.rfftn)
def rfftn(a, s=None, axes=None, norm=None):
    """np.fft.rfftn: rfft over the last axis, fft over the others."""
    x = signal(a)
    lengths, axes = _lengths_and_axes(x, s, axes)
    x = rfft(x, lengths[-1], axes[-1], norm)
    return _over_axes(fft, x, (lengths[:-1], axes[:-1]), norm)


@implements(np.fft.irfftn)
def irfftn(a, s=None, axes=None, norm=None):
    """np.fft.irfftn: ifft over the first axes, irfft over the last."""
    x = signal(a)
    lengths, axes = _lengths_and_axes(x, s, axes, half=True)
    for n, axis in zip(lengths[:-1], axes[:-1], strict=True):
        x = ifft(x, n, axis, norm)
    return irfft(x, lengths[-1], axes[-1], norm)


@implements(np.fft.fft2)
def fft2(a, s=None, axes=(-2, -1), norm=None):
    """np.fft.fft2"""
    return fftn(a, s, axes, norm)


@implements(np.fft.ifft2)
def ifft2(a, s=None, axes=(-2, -1), norm=None):
    """np.fft.ifft2"""
    return ifftn(a, s, axes, norm)


@implements(np.fft.rfft2)
def rfft2(a, s=None, axes=(-2, -1), norm=None):
    """np.fft.rfft2"""
    return rfftn(a, s, axes, norm)


@implements(np.fft.irfft2)
def irfft2(a, s=None, axes=(-2, -1), norm=None):
    """np.fft.irfft2"""
    return irfftn(a, s, axes, norm)


# --- shifts -------------------------------------------------------------------------------------


def _shifted(x, axes, sign: int):
    x = array(x)
    axes = tuple(range(x.ndim)) if axes is None else axes
    axes = (axes,) if isinstance(axes, int) else tuple(axes)
    shift = tuple(x.shape[a] // 2 if sign > 0 else -(x.shape[a] // 2) for a in axes)
    return np.roll(x, shift, axes)


@implements(np.fft.fftshift)
def fftshift(x, axes=None):
    """np.fft.fftshift: the zero frequency moved to the middle."""
    return _shifted(x, axes, 1)


@implements(np.fft.ifftshift)
def ifftshift(x, axes=None):
    """np.fft.ifftshift: the inverse of fftshift."""
    return _shifted(x, axes, -1)
