"""Pooling: the largest entry, or the sum, of each window of x (N, *spatial, C), by channel.

Value     window_sum: z[n, o, c] = sum over k of X[n, strides * o + w_dilation * k, c], X laid out
          as for a convolution (ops/windows.py). window_max: the largest of the entries of x that
          the window sees, nan if any is nan, and the smallest number of the dtype if it sees none:
          the padding never wins. Both go one axis after the other.
Slope     window_sum is its own transpose, strides and x_dilation exchanged. window_max's tangent
          is the mean of the tangents over the entries that tie (`window_pick`), nan where the value
          is nan; its transpose is `window_share`. Both are linear, and piecewise constant in x.
Source    ours; the sharing of ties as for `max` (docs/ops.md).
"""

import numpy as np

from chainrule import errors
from chainrule.ops.shape import add_batch_axis, reshape
from chainrule.ops.windows import laid_out, out_spatial, transposed_padding
from chainrule.program.op import Discrete, Forward, Linear, Op
from chainrule.program.types import Type

# --- the value ----------------------------------------------------------------------------------


def _tap(ndim: int, axis: int, place: int, count: int, stride: int) -> tuple:
    """The entries along an axis that `count` windows see at one place of theirs."""
    entry = slice(place, place + (count - 1) * stride + 1, stride) if count else slice(0, 0)
    return (*(slice(None),) * axis, entry, *(slice(None),) * (ndim - axis - 1))


def _combined(combine, x, window, strides, padding, x_dilation, w_dilation, fill):
    """The entries of each window combined, along one spatial axis after the other."""
    counts = out_spatial(x.shape[1:-1], window, strides, padding, x_dilation, w_dilation)
    x = laid_out(x, padding, x_dilation, fill)
    for a, (count, size) in enumerate(zip(counts, window, strict=True)):
        out = x[_tap(x.ndim, a + 1, 0, count, strides[a])].copy()
        for k in range(1, size):
            tap = _tap(x.ndim, a + 1, k * w_dilation[a], count, strides[a])
            combine(out, x[tap], out=out)
        x = out
    return x


def _window_sum(x, *, window, strides, padding, x_dilation, w_dilation):
    return _combined(np.add, x, window, strides, padding, x_dilation, w_dilation, 0)


def smallest(dtype):
    """What never is the largest of a window: the least number of a dtype."""
    if dtype.kind == "f":
        return -np.inf
    return np.iinfo(dtype).min if dtype.kind in "iu" else False


def _window_max(x, *, window, strides, padding, w_dilation):
    ones = (1,) * len(window)
    return _combined(
        np.maximum, x, window, strides, padding, ones, w_dilation, smallest(x.dtype)
    )


def _all_taps(window, strides, w_dilation, places):
    """For each place of the window, the entries that it is in the padded array."""
    for place in np.ndindex(*window):
        yield (
            slice(None),
            *(
                slice(k * d, k * d + (n - 1) * s + 1, s) if n else slice(0, 0)
                for k, d, s, n in zip(place, w_dilation, strides, places, strict=True)
            ),
        )


def _tied(x, out, padding):
    """x padded with nan, which ties with nothing; and where the value is nan, so that all tie."""
    return laid_out(x, padding, (1,) * len(padding), np.nan), np.isnan(out)


def _window_pick(x, out, dx, *, window, strides, padding, w_dilation):
    padded, lost = _tied(x, out, padding)
    moving = laid_out(dx, padding, (1,) * len(padding))
    count, total = np.zeros(out.shape, np.int64), np.zeros(out.shape, out.dtype)
    for tap in _all_taps(window, strides, w_dilation, out.shape[1:-1]):
        ties = padded[tap] == out
        count += ties
        total += np.where(ties, moving[tap], out.dtype.type(0))
    mean = total / np.maximum(count, 1).astype(out.dtype)
    mean[lost] = np.nan
    return mean


def _window_ties(x, out, *, window, strides, padding, w_dilation):
    padded, _ = _tied(x, out, padding)
    count = np.zeros(out.shape, np.int64)
    for tap in _all_taps(window, strides, w_dilation, out.shape[1:-1]):
        count += padded[tap] == out
    return count > 1


def _window_share(x, out, ct, *, window, strides, padding, w_dilation):
    padded, lost = _tied(x, out, padding)
    taps = list(_all_taps(window, strides, w_dilation, out.shape[1:-1]))
    count = np.zeros(out.shape, np.int64)
    for tap in taps:
        count += padded[tap] == out
    share = ct / np.maximum(count, 1).astype(out.dtype)
    share[lost] = np.nan
    total = np.zeros(padded.shape, x.dtype)
    for tap in taps:
        total[tap] += np.where((padded[tap] == out) | lost, share, x.dtype.type(0))
    return laid_out(total, tuple((-low, -high) for low, high in padding), (1,) * len(padding))


# --- types --------------------------------------------------------------------------------------


def _pooled_type(x: Type, window, strides, padding, x_dilation, w_dilation) -> Type:
    if x.ndim != len(window) + 2:
        raise errors.ShapeError(f"windows of shape {window} do not fit {x}.")
    lengths = out_spatial(x.shape[1:-1], window, strides, padding, x_dilation, w_dilation)
    return x.with_shape((x.shape[0], *lengths, x.shape[-1]))


def _sum_type(x: Type, *, window, strides, padding, x_dilation, w_dilation) -> tuple[Type, ...]:
    return (_pooled_type(x, window, strides, padding, x_dilation, w_dilation),)


def _max_type(x: Type, *, window, strides, padding, w_dilation) -> tuple[Type, ...]:
    if x.dtype.kind == "c":
        raise errors.DtypeError(f"window_max is not defined for dtype {x.dtype}.")
    return (_pooled_type(x, window, strides, padding, (1,) * len(window), w_dilation),)


def _pick_type(
    x: Type, out: Type, dx: Type, *, window, strides, padding, w_dilation
) -> tuple[Type, ...]:
    ones = (1,) * len(window)
    if out != _pooled_type(x, window, strides, padding, ones, w_dilation) or dx != x:
        raise errors.ShapeError(f"window_pick: {out} and {dx} do not fit {x}.")
    return (out,)


def _share_type(
    x: Type, out: Type, ct: Type, *, window, strides, padding, w_dilation
) -> tuple[Type, ...]:
    ones = (1,) * len(window)
    if out != _pooled_type(x, window, strides, padding, ones, w_dilation) or ct != out:
        raise errors.ShapeError(f"window_share: {out} and {ct} do not fit {x}.")
    return (x,)


def _ties_type(x: Type, out: Type, *, window, strides, padding, w_dilation) -> tuple[Type, ...]:
    ones = (1,) * len(window)
    if out != _pooled_type(x, window, strides, padding, ones, w_dilation):
        raise errors.ShapeError(f"window_ties: {out} does not fit {x}.")
    return (out.with_dtype(bool),)


# --- derivatives and batching -------------------------------------------------------------------


def _sum_transpose(ct, x, *, window, strides, padding, x_dilation, w_dilation):
    back = transposed_padding(x.shape[1:-1], window, strides, padding, x_dilation, w_dilation)
    return (
        window_sum(
            ct, window=window, strides=x_dilation, padding=back, x_dilation=strides,
            w_dilation=w_dilation,
        ),
    )  # fmt: skip


def _max_tangent(inputs, outputs, tangents, **params):
    return window_pick(inputs[0], outputs[0], tangents[0], **params)


def _images(op):
    """The batching rule of pooling: the lanes are more images."""

    def rule(size, inputs, batched, **params):
        full = [
            v if is_batched else add_batch_axis(v, size)
            for v, is_batched in zip(inputs, batched, strict=True)
        ]
        flat = [reshape(v, shape=(size * v.shape[1], *v.shape[2:])) for v in full]
        out = op()(*flat, **params)
        return reshape(out, shape=(size, out.shape[0] // size, *out.shape[1:]))

    return rule


def _flops(ins, outs, params) -> int:
    return min(ins[0].size, outs[-1].size) * int(np.prod(params["window"]))


window_sum: Op = Op(
    "window_sum", _sum_type, _window_sum, Linear(_sum_transpose), _images(lambda: window_sum),
    flops=_flops, doc="the sum of each window of x (N, *spatial, C), by channel",
)  # fmt: skip
window_max: Op = Op(
    "window_max", _max_type, _window_max, Forward(_max_tangent), _images(lambda: window_max),
    flops=_flops, doc="the largest entry of each window of x (N, *spatial, C), by channel",
)  # fmt: skip
window_pick: Op = Op(
    "window_pick", _pick_type, _window_pick,
    Linear(
        lambda ct, x, out, dx, **params: (None, None, window_share(x, out, ct, **params)),
        positions=(2,),
    ),
    _images(lambda: window_pick), flops=_flops,
    doc="(x, out, dx): the mean of dx over the entries of each window where x equals out",
)  # fmt: skip
window_share: Op = Op(
    "window_share", _share_type, _window_share,
    Linear(
        lambda ct, x, out, y, **params: (None, None, window_pick(x, out, ct, **params)),
        positions=(2,),
    ),
    _images(lambda: window_share), flops=_flops,
    doc="(x, out, y): y of each window shared evenly among its entries where x equals out",
)  # fmt: skip
window_ties: Op = Op(
    "window_ties", _ties_type, _window_ties, Discrete(), _images(lambda: window_ties),
    flops=_flops, doc="(x, out): whether more than one entry of each window of x equals out",
)  # fmt: skip
