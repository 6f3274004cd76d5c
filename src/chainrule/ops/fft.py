"""Discrete Fourier transforms along one axis: fft (and its inverse), rfft, irfft.

Value     numpy.fft. `fft` takes real or complex input; `rfft` keeps the frequencies 0 to n // 2 of
          a real signal; `irfft` gives a real signal of length n from n // 2 + 1 frequencies and
          ignores the imaginary parts of frequency 0 and, for even n, of n / 2.
Slope     all are linear. The adjoint of a transform is the unscaled transform of the other
          direction: the norms "backward" and "forward" change places, "ortho" stays. Of the
          frequencies that rfft leaves out, each is the conjugate of one that it keeps: these count
          twice in irfft.
"""

import numpy as np

from chainrule import errors
from chainrule.ops.compare import equal
from chainrule.ops.elementwise import join, real
from chainrule.ops.select import select
from chainrule.ops.shape import broadcast, iota
from chainrule.program.op import Linear, Op
from chainrule.program.types import Type

OTHER_NORM = {"backward": "forward", "forward": "backward", "ortho": "ortho"}


def _fft_type(x: Type, *, axis, inverse, norm) -> tuple[Type, ...]:
    _check("fft", x, axis, norm)
    return (x.with_dtype(np.result_type(x.dtype, np.complex64)),)


def _check(name: str, x: Type, axis: int, norm: str) -> None:
    if norm not in OTHER_NORM or not 0 <= axis < x.ndim:
        raise errors.ShapeError(f"{name} of {x} along axis {axis} with norm {norm!r}.")


def _fft(x, *, axis, inverse, norm):
    function = np.fft.ifft if inverse else np.fft.fft
    return function(x, axis=axis, norm=norm)


def _fft_transpose(ct, x, *, axis, inverse, norm):
    back = fft(ct, axis=axis, inverse=not inverse, norm=OTHER_NORM[norm])
    return (back if x.dtype.kind == "c" else real(back),)


def _fft_flops(ins, outs, params) -> int:
    n = max(ins[0].shape[params["axis"]], outs[0].shape[params["axis"]])
    return 5 * max(ins[0].size, outs[0].size) * max(n.bit_length() - 1, 1)


def _one_axis_further(op):
    def rule(size, inputs, batched, *, axis, **params):
        return op()(inputs[0], axis=axis + 1, **params)

    return rule


fft: Op = Op(
    "fft", _fft_type, _fft, Linear(_fft_transpose), _one_axis_further(lambda: fft),
    flops=_fft_flops, doc="the discrete Fourier transform along `axis`, or its inverse",
)  # fmt: skip


def _rfft_type(x: Type, *, axis, norm) -> tuple[Type, ...]:
    _check("rfft", x, axis, norm)
    shape = list(x.shape)
    shape[axis] = shape[axis] // 2 + 1
    return (x.with_shape(tuple(shape)).with_dtype(np.result_type(x.dtype, np.complex64)),)


def _rfft_transpose(ct, x, *, axis, norm):
    n = x.shape[axis]
    halved = _times_at_paired(ct, axis, n, 0.5)
    return (irfft(halved, axis=axis, n=n, norm=OTHER_NORM[norm]),)


def _times_at_paired(z, axis: int, n: int, factor: float):
    """z times `factor` at the frequencies whose conjugate partner rfft leaves out."""
    count = iota(size=z.shape[axis], dtype=np.dtype(np.int64))
    single = equal(count, 0) | equal(2 * count, n)
    dtype = np.dtype(z.dtype.char.lower()).type
    weights = broadcast(select(single, dtype(1), dtype(factor)), shape=z.shape, axes=(axis,))
    return z * join(weights, dtype(0))


rfft: Op = Op(
    "rfft", _rfft_type, lambda x, *, axis, norm: np.fft.rfft(x, axis=axis, norm=norm),
    Linear(_rfft_transpose), _one_axis_further(lambda: rfft), flops=_fft_flops,
    doc="the frequencies 0 to n // 2 of real signals along `axis`",
)  # fmt: skip


def _irfft_type(z: Type, *, axis, n, norm) -> tuple[Type, ...]:
    _check("irfft", z, axis, norm)
    if z.shape[axis] != n // 2 + 1:
        raise errors.ShapeError(f"irfft of length {n} needs {n // 2 + 1} frequencies, got {z}.")
    shape = tuple(n if a == axis else m for a, m in enumerate(z.shape))
    return (z.with_shape(shape).with_dtype(z.dtype.char.lower()),)


def _irfft_transpose(ct, z, *, axis, n, norm):
    return (_times_at_paired(rfft(ct, axis=axis, norm=OTHER_NORM[norm]), axis, n, 2.0),)


irfft: Op = Op(
    "irfft", _irfft_type, lambda z, *, axis, n, norm: np.fft.irfft(z, n, axis, norm),
    Linear(_irfft_transpose), _one_axis_further(lambda: irfft), flops=_fft_flops,
    doc="the real signals of length n with these frequencies 0 to n // 2 along `axis`",
)  # fmt: skip
