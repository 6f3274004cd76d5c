"""Convolution of networks: images x (N, *spatial, C) seen through a window that moves over them.

Value     convolution: z[n, o, d] = sum of X[n, strides * o + w_dilation * k, c] w[k, c, d] over
          k and c (no reversal: a correlation). X is x with x_dilation - 1 zeros between
          neighbours, then padded with zeros by (low, high) on each spatial axis; a negative width
          cuts. With `groups`, the channels are that many blocks in a row, and each block of z's
          channels sees its own block of x's: w is (*window, C / groups, D). The value is one matrix
          product for each group, of the windows laid out as rows.
          convolution_weights: v[k, c, d] = sum over n, o of X[n, strides * o + w_dilation * k, c]
          y[n, o, d]: what w meets.
          convolution_again: the convolution of x, made from that of images which may have most
          numbers in common with x. It stands in compiled programs (compiler/again.py).
Slope     both are bilinear: with w, x and y they are the three derivatives of one trilinear form,
          sum of X w y. The cotangent of x is a convolution of y, strides and x_dilation exchanged,
          with w reversed in space and its channels exchanged.
Source    Dumoulin & Visin, "A guide to convolution arithmetic for deep learning", 2016.
"""

import math
from functools import reduce

import numpy as np
from numpy.lib.stride_tricks import sliding_window_view

from chainrule import errors
from chainrule.ops.elementwise import add, conj
from chainrule.ops.shape import add_batch_axis, flip, move_axis, reshape, transpose
from chainrule.program.op import Bilinear, Forward, Op
from chainrule.program.types import Type

# --- lengths ------------------------------------------------------------------------------------


def spread_length(n: int, dilation: int) -> int:
    """The length of n entries with dilation - 1 holes between neighbours."""
    return (n - 1) * dilation + 1 if n else 0


def window_count(n: int, reach: int, stride: int) -> int:
    """How many windows that reach over so many entries fit into n, one every `stride`."""
    return (n - reach) // stride + 1 if n >= reach else 0


def out_spatial(spatial, window, strides, padding, x_dilation, w_dilation) -> tuple[int, ...]:
    """The lengths of the result's spatial axes."""
    return tuple(
        window_count(spread_length(n, xd) + low + high, spread_length(k, wd), stride)
        for n, k, stride, (low, high), xd, wd in zip(
            spatial, window, strides, padding, x_dilation, w_dilation, strict=True
        )
    )


def transposed_padding(spatial, window, strides, padding, x_dilation, w_dilation):
    """The padding that takes the windows' places back to x, strides and x_dilation exchanged.

    A window of reach r sees place p first from r - 1 - low before it; what no window saw is padded.
    """
    places = out_spatial(spatial, window, strides, padding, x_dilation, w_dilation)
    out = []
    for a, (low, _) in enumerate(padding):
        before = spread_length(window[a], w_dilation[a]) - 1 - low
        seen = spread_length(places[a], strides[a])
        out.append((before, spread_length(spatial[a], x_dilation[a]) + low - seen))
    return tuple(out)


# --- the value ----------------------------------------------------------------------------------


def laid_out(x, padding, x_dilation, fill=0):
    """x (N, *spatial, C) with its holes and padding, both of them `fill`."""
    if not any(low or high for low, high in padding) and max(x_dilation, default=1) == 1:
        return x
    lengths, target, source = [], [slice(None)], [slice(None)]
    for n, (low, high), step in zip(x.shape[1:-1], padding, x_dilation, strict=True):
        length = max(spread_length(n, step) + low + high, 0)
        first = max(-(low // step), 0)  # entry i lies at low + i * step
        last = max(min(n, (length - 1 - low) // step + 1), first)
        lengths.append(length)
        source.append(slice(first, last))
        start = low + first * step
        target.append(slice(start, start + (last - first) * step, step))
    out = np.full((x.shape[0], *lengths, x.shape[-1]), fill, x.dtype)
    out[tuple(target)] = x[tuple(source)]
    return out


def _columns(x, window, strides, padding, x_dilation, w_dilation, groups):
    """(groups, N * places, window * C / groups): what each window sees, as a row."""
    places = out_spatial(x.shape[1:-1], window, strides, padding, x_dilation, w_dilation)
    shape = (x.shape[0], *places, *window, groups, x.shape[-1] // groups)
    if math.prod(shape):
        x = laid_out(x, padding, x_dilation)
        reach = [spread_length(k, d) for k, d in zip(window, w_dilation, strict=True)]
        views = sliding_window_view(x, reach, axis=tuple(range(1, x.ndim - 1)))
        views = views[
            (slice(None), *(slice(None, None, s) for s in strides), slice(None))
            + tuple(slice(None, None, d) for d in w_dilation)
        ]
        seen = np.moveaxis(views, len(places) + 1, -1).reshape(shape)
    else:
        seen = np.zeros(shape, x.dtype)
    rows = x.shape[0] * math.prod(places)
    split = seen.reshape(rows, math.prod(window), groups, shape[-1])
    return np.moveaxis(split, 2, 0).reshape(groups, rows, math.prod(window) * shape[-1])


def _in_groups(y, groups: int):
    """(groups, rows, D / groups): the last axis split, all others in one."""
    rows = math.prod(y.shape[:-1])
    return np.moveaxis(y.reshape(rows, groups, y.shape[-1] // groups), 1, 0)


def _convolution(x, w, *, strides, padding, x_dilation, w_dilation, groups):
    window = w.shape[:-2]
    columns = _columns(x, window, strides, padding, x_dilation, w_dilation, groups)
    out = np.moveaxis(np.matmul(columns, _in_groups(w, groups)), 0, 1)
    places = out_spatial(x.shape[1:-1], window, strides, padding, x_dilation, w_dilation)
    return np.ascontiguousarray(out).reshape(x.shape[0], *places, w.shape[-1])


def _convolution_again(x, w, before, known, **params):
    return _convolution(x, w, **params)


def _convolution_weights(x, y, *, window, strides, padding, x_dilation, w_dilation, groups):
    columns = _columns(x, window, strides, padding, x_dilation, w_dilation, groups)
    out = np.matmul(columns.swapaxes(1, 2), _in_groups(y, groups))
    return np.moveaxis(out, 0, 1).reshape(*window, x.shape[-1] // groups, y.shape[-1])


# --- types --------------------------------------------------------------------------------------


def _convolution_type(
    x: Type, w: Type, *, strides, padding, x_dilation, w_dilation, groups
) -> tuple[Type, ...]:
    inner = x.shape[-1] // groups if x.ndim else 0
    if x.dtype != w.dtype or x.ndim != w.ndim or x.ndim < 3:
        raise errors.ShapeError(f"convolution needs equal dtypes and axes, got {x} and {w}.")
    if inner * groups != x.shape[-1] or w.shape[-2] != inner or w.shape[-1] % groups:
        raise errors.ShapeError(
            f"convolution: the channels of {x} and {w} do not fit in {groups} groups."
        )
    lengths = out_spatial(x.shape[1:-1], w.shape[:-2], strides, padding, x_dilation, w_dilation)
    return (x.with_shape((x.shape[0], *lengths, w.shape[-1])),)


def _again_type(x: Type, w: Type, before: Type, known: Type, **params) -> tuple[Type, ...]:
    made = _convolution_type(x, w, **params)
    if before != x or (known,) != made:
        raise errors.ShapeError(f"convolution_again: {before} and {known} do not fit {x} and {w}.")
    return made


def _weights_type(
    x: Type, y: Type, *, window, strides, padding, x_dilation, w_dilation, groups
) -> tuple[Type, ...]:
    w = x.with_shape((*window, x.shape[-1] // groups, y.shape[-1]))
    options = dict(strides=strides, padding=padding, x_dilation=x_dilation)
    if (y,) != _convolution_type(x, w, **options, w_dilation=w_dilation, groups=groups):
        raise errors.ShapeError(f"convolution_weights: {y} is no convolution of {x} by {w}.")
    return (w,)


# --- derivatives --------------------------------------------------------------------------------


def _back_to_input(y, w, x, *, strides, padding, x_dilation, w_dilation, groups):
    """The part of the trilinear form that x meets: y spread by the strides, w reversed."""
    spatial, window = x.shape[1:-1], w.shape[:-2]
    axes = tuple(range(len(window)))
    inner, outer = w.shape[-2], w.shape[-1] // groups
    split = reshape(flip(w, axes=axes), shape=(*window, inner, groups, outer))
    last = len(window)
    exchanged = transpose(split, axes=(*axes, last + 2, last + 1, last))
    kernel = reshape(exchanged, shape=(*window, outer, groups * inner))
    back = transposed_padding(spatial, window, strides, padding, x_dilation, w_dilation)
    return convolution(
        y, kernel, strides=x_dilation, padding=back, x_dilation=strides, w_dilation=w_dilation,
        groups=groups,
    )  # fmt: skip


def _convolution_left(ct, x, w, **params):
    return _back_to_input(ct, conj(w), x, **params)


def _convolution_right(ct, x, w, **params):
    return convolution_weights(conj(x), ct, window=w.shape[:-2], **params)


def _weights_left(ct, x, y, *, window, **params):  # ct has the shape of w
    return _back_to_input(conj(y), ct, x, **params)


def _weights_right(ct, x, y, *, window, **params):
    return convolution(conj(x), ct, **params)


def _again_tangent(inputs, outputs, tangents, **params):
    (x, w, *_), (dx, dw, *_) = inputs, tangents
    parts = [convolution(dx, w, **params)] if dx is not None else []
    parts += [convolution(x, dw, **params)] if dw is not None else []
    return reduce(add, parts) if parts else None


# --- batching -----------------------------------------------------------------------------------


def _into_groups(x, groups: int):
    """(lanes, ..., groups * C) as (..., groups * lanes * C): the lanes are blocks in each group."""
    lanes, *rest, channels = x.shape
    split = reshape(x, shape=(lanes, *rest, groups, channels // groups))
    moved = move_axis(split, 0, split.ndim - 2)
    return reshape(moved, shape=(*rest, lanes * channels))


def _out_of_groups(y, lanes: int, groups: int):
    """The inverse of `_into_groups`."""
    *rest, channels = y.shape
    split = reshape(y, shape=(*rest, groups, lanes, channels // (groups * lanes)))
    moved = move_axis(split, split.ndim - 2, 0)
    return reshape(moved, shape=(lanes, *rest, channels // lanes))


def _convolution_batch(size, inputs, batched, *, groups, **params):
    x, w = inputs
    if not batched[1]:  # the lanes are more images
        flat = reshape(x, shape=(size * x.shape[1], *x.shape[2:]))
        out = convolution(flat, w, groups=groups, **params)
        return reshape(out, shape=(size, x.shape[1], *out.shape[1:]))
    if batched[0]:  # each lane's channels meet their own kernel
        x = _into_groups(x, groups)
    blocks = groups * (size if batched[0] else 1)
    out = convolution(x, _into_groups(w, groups), groups=blocks, **params)
    return _out_of_groups(out, size, groups)


def _again_batch(size, inputs, batched, **params):
    x, w, before, known = inputs
    if batched[1]:
        return _convolution_batch(size, [x, w], batched[:2], **params)
    x, before, known = (
        v if is_batched else add_batch_axis(v, size)
        for v, is_batched in zip((x, before, known), (batched[0], *batched[2:]), strict=True)
    )
    x, before, known = (
        reshape(v, shape=(size * v.shape[1], *v.shape[2:])) for v in (x, before, known)
    )
    out = convolution_again(x, w, before, known, **params)
    return reshape(out, shape=(size, out.shape[0] // size, *out.shape[1:]))


def _weights_batch(size, inputs, batched, *, groups, **params):
    x, y = (
        _into_groups(v, groups) if is_batched else v
        for v, is_batched in zip(inputs, batched, strict=True)
    )
    out = convolution_weights(x, y, groups=groups * (size if all(batched) else 1), **params)
    if batched[1]:
        return _out_of_groups(out, size, groups)
    *window, channels, outer = out.shape  # of x alone: the lanes are blocks of C / groups
    return move_axis(reshape(out, shape=(*window, size, channels // size, outer)), len(window), 0)


def _convolution_flops(ins, outs, params) -> int:
    return 2 * outs[0].size * math.prod(ins[1].shape[:-1])


def _weights_flops(ins, outs, params) -> int:
    return 2 * ins[1].size * math.prod(outs[0].shape[:-1])


convolution: Op = Op(
    "convolution", _convolution_type, _convolution,
    Bilinear(_convolution_left, _convolution_right), _convolution_batch, flops=_convolution_flops,
    doc="images x (N, *spatial, C) correlated with w (*window, C / groups, D)",
)  # fmt: skip
convolution_again: Op = Op(
    "convolution_again", _again_type, _convolution_again, Forward(_again_tangent), _again_batch,
    flops=_convolution_flops,
    doc="(x, w, y, convolution of y with w): that of x, made again where x is not y",
)
convolution_weights: Op = Op(
    "convolution_weights", _weights_type, _convolution_weights,
    Bilinear(_weights_left, _weights_right), _weights_batch, flops=_weights_flops,
    doc="(x, y): the sum over images and windows of what `window` sees of x, times y",
)  # fmt: skip
