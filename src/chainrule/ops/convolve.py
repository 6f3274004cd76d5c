"""Convolution of sequences along the last axis.

Value     z[k] = sum over i of x[i] y[k - i]: at every overlap ("full", n + m - 1 entries), or where
          y lies inside x ("valid", n - m + 1 entries, n >= m). Leading axes are matched lanes.
          NumPy's np.convolve, one lane after the other.
Slope     bilinear; the cotangent of one operand is a convolution of the cotangent with the other,
          reversed.
"""

import numpy as np

from chainrule import errors
from chainrule.ops.elementwise import conj
from chainrule.ops.shape import add_batch_axis, flip
from chainrule.program.op import Bilinear, Op
from chainrule.program.types import Type


def _convolve_type(x: Type, y: Type, *, mode) -> tuple[Type, ...]:
    if x.dtype != y.dtype or x.shape[:-1] != y.shape[:-1]:
        raise errors.ShapeError(f"convolve needs equal dtypes and lanes, got {x} and {y}.")
    if mode == "valid" and x.shape[-1] < y.shape[-1]:
        raise errors.ShapeError(f"convolve: {y} does not lie inside {x}.")
    return (x.with_shape(_out_shape(x.shape, y.shape, mode)),)


def _out_shape(x_shape, y_shape, mode) -> tuple[int, ...]:
    n, m = x_shape[-1], y_shape[-1]
    return (*x_shape[:-1], n + m - 1 if mode == "full" else n - m + 1)


def _convolve(x, y, *, mode):
    if x.ndim == 1:
        return np.convolve(x, y, mode)
    out = np.empty(_out_shape(x.shape, y.shape, mode), x.dtype)
    for lane in np.ndindex(x.shape[:-1]):
        out[lane] = np.convolve(x[lane], y[lane], mode)
    return out


def _reversed(x):
    return flip(x, axes=(x.ndim - 1,))


def _convolve_left(ct, x, y, *, mode):
    return convolve(ct, _reversed(conj(y)), mode="valid" if mode == "full" else "full")


def _convolve_right(ct, x, y, *, mode):
    if mode == "full":
        return convolve(ct, _reversed(conj(x)), mode="valid")
    return _reversed(convolve(conj(x), _reversed(ct), mode="valid"))


def _convolve_batch(size, inputs, batched, *, mode):
    x, y = (
        v if is_batched else add_batch_axis(v, size)
        for v, is_batched in zip(inputs, batched, strict=True)
    )
    return convolve(x, y, mode=mode)


def _convolve_flops(ins, outs, params) -> int:
    return 2 * max(ins[0].size, outs[0].size) * ins[1].shape[-1]


convolve: Op = Op(
    "convolve", _convolve_type, _convolve, Bilinear(_convolve_left, _convolve_right),
    _convolve_batch, flops=_convolve_flops,
    doc="sequences along the last axis convolved, at every overlap or where y lies inside x",
)  # fmt: skip
