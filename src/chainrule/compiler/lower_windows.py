"""Convolutions and pooling that have no kernel of their own, written out.

Value     more than two spatial axes: a convolution is a sum over the places of the window's first
          axis, each a convolution over the others, of more images; sums and maxima of windows go
          one axis after the other, as on the evaluator. Whole numbers, float16, images of one
          channel (kernels run along channels) and shares of ties take the window's places one
          after the other, as slices.
Source    Dumoulin & Visin, "A guide to convolution arithmetic for deep learning", 2016.
"""

from __future__ import annotations

import math
from collections.abc import Callable
from functools import reduce
from itertools import product

import numpy as np

from chainrule.ops.compare import equal, isnan
from chainrule.ops.elementwise import add, maximum
from chainrule.ops.index import index_add
from chainrule.ops.join import concatenate
from chainrule.ops.pooling import smallest, window_max, window_sum
from chainrule.ops.select import cast, constant_like, select
from chainrule.ops.shape import broadcast, reshape
from chainrule.ops.windows import convolution, convolution_weights, out_spatial

_KERNEL_AXES = 2  # spatial axes over which there are kernels
_MOST_PLACES = 512  # of a window that are written out one by one
_MOST_OF_ONE_CHANNEL = 32  # likewise, of what has a kernel too

# --- parts of arrays ------------------------------------------------------------------------------


def _filled(x, axis: int, count: int, fill):
    """`fill` over the shape of x, but for the length of one axis."""
    shape = tuple(count if a == axis else n for a, n in enumerate(x.shape))
    return broadcast(constant_like(x, fill), shape=shape, axes=())


def _cut(x, axis: int, start: int, stop: int, step: int = 1):
    return x[(slice(None),) * axis + (slice(start, stop, step),)]


def _laid_out_along(x, axis: int, padding: tuple[int, int], step: int, fill):
    """x with step - 1 holes between its entries along an axis, then padded there, or cut."""
    n = x.shape[axis]
    if step > 1 and n:
        split = reshape(x, shape=(*x.shape[: axis + 1], 1, *x.shape[axis + 1 :]))
        spread = concatenate(split, _filled(split, axis + 1, step - 1, fill), axis=axis + 1)
        spread = reshape(spread, shape=(*x.shape[:axis], n * step, *x.shape[axis + 1 :]))
        n = (n - 1) * step + 1
        x = _cut(spread, axis, 0, n)
    low, high = padding
    start, stop = min(max(-low, 0), n), max(n - max(-high, 0), 0)
    x = _cut(x, axis, start, max(stop, start))
    parts = [_filled(x, axis, count, fill) for count in (max(low, 0), max(high, 0))]
    whole = [y for y in (parts[0], x, parts[1]) if y.shape[axis]]
    return concatenate(*whole, axis=axis) if len(whole) > 1 else whole[0] if whole else x


def _laid_out(x, padding, dilation, fill):
    for a, (widths, step) in enumerate(zip(padding, dilation, strict=True)):
        if widths != (0, 0) or step > 1:
            x = _laid_out_along(x, a + 1, widths, step, fill)
    return x


def _taps(x, axis: int, size: int, count: int, stride: int, dilation: int):
    """What `count` windows see at each of their places along an axis."""
    reach = (count - 1) * stride + 1 if count else 0
    return [_cut(x, axis, k * dilation, k * dilation + reach, stride) for k in range(size)]


# --- convolutions ---------------------------------------------------------------------------------


def _as_images(x):
    """The first spatial axis as more images."""
    return reshape(x, shape=(x.shape[0] * x.shape[1], *x.shape[2:]))


def _first_axis(spatial, window, options):
    """How many windows there are along the first spatial axis, and the options of the others."""
    (count, *_) = out_spatial(spatial, window, **options)
    return count, {name: value[1:] for name, value in options.items()}


def _depths(x, window, options):
    """What each place along the window's first axis sees, as images; the options of the rest."""
    count, rest = _first_axis(x.shape[1:-1], window, options)
    x = _laid_out_along(x, 1, options["padding"][0], options["x_dilation"][0], 0)
    taps = _taps(x, 1, window[0], count, options["strides"][0], options["w_dilation"][0])
    return count, [_as_images(tap) for tap in taps], rest


def _is_small(x, window) -> bool:
    """Whether kernels can do it, or nothing is to be done."""
    return len(window) <= _KERNEL_AXES or not x.size or 0 in window


def written_out_convolution(x, w, *, groups, **options):
    """The convolution, by those over the last two axes where there are more."""
    if _is_small(x, w.shape[:-2]):
        return convolution(x, w, groups=groups, **options)
    count, images, rest = _depths(x, w.shape[:-2], options)
    parts = [
        written_out_convolution(image, w[k], groups=groups, **rest)
        for k, image in enumerate(images)
    ]
    total = reduce(add, parts)
    return reshape(total, shape=(x.shape[0], count, *total.shape[1:]))


def written_out_weights(x, y, *, window, groups, **options):
    """The weights' gradient, by those over the last two axes where there are more."""
    if _is_small(x, window) or not y.size:
        return convolution_weights(x, y, window=window, groups=groups, **options)
    _, images, rest = _depths(x, window, options)
    y, inner = _as_images(y), window[1:]
    parts = [written_out_weights(i, y, window=inner, groups=groups, **rest) for i in images]
    return concatenate(*[reshape(p, shape=(1, *p.shape)) for p in parts], axis=0)


def _convolution(x, w, **params):
    if _is_small(x, w.shape[:-2]):
        return _of_one_channel(x, w, **params) if _has_one_channel(x, w) else NotImplemented
    return written_out_convolution(x, w, **params)


def _convolution_again(x, w, before, known, **params):
    """As any other: where a convolution is worth making again is known of a program that is
    compiled (compiler/again.py)."""
    if _is_small(x, w.shape[:-2]) and _has_one_channel(x, w):
        return _of_one_channel(x, w, **params)
    return written_out_convolution(x, w, **params)


def _has_one_channel(x, w) -> bool:
    *window, _, channels = w.shape
    places = math.prod(window)
    few = x.shape[-1] == channels == 1 and 0 < places <= _MOST_OF_ONE_CHANNEL
    return few and x.size > 0 and x.dtype.char in "fd"


def _of_one_channel(x, w, *, strides, padding, x_dilation, w_dilation, groups):
    """The convolution of images of one channel with one filter, as a sum over its places."""
    window = w.shape[:-2]
    counts = out_spatial(x.shape[1:-1], window, strides, padding, x_dilation, w_dilation)
    x = _laid_out(x, padding, x_dilation, 0)
    taps = zip(product(*map(range, window)), _places(window, strides, w_dilation, counts),
               strict=True)  # fmt: skip
    return reduce(add, [_at(x, entries) * w[(*place, 0, 0)] for place, entries in taps])


def _convolution_weights(x, y, *, window, **params):
    if _is_small(x, window) or not y.size:
        return NotImplemented
    return written_out_weights(x, y, window=window, **params)


# --- sums and maxima of windows -------------------------------------------------------------------


def _one_axis_after_the_other(combine: Callable, op, x, fill, **options):
    """The leading axes by slices; the last two by the operation's kernel, where it has one."""
    window = options["window"]
    alone = x.shape[-1] == 1 and math.prod(window) <= _MOST_OF_ONE_CHANNEL
    kernel = x.dtype.char in "fd" and not alone
    if (kernel and len(window) <= _KERNEL_AXES) or not x.size or 0 in window:
        return NotImplemented
    alone = len(window) - _KERNEL_AXES if kernel else len(window)
    for a in range(alone):
        count, size = out_spatial(
            (x.shape[a + 1],), window[a : a + 1], options["strides"][a : a + 1],
            options["padding"][a : a + 1], options["x_dilation"][a : a + 1],
            options["w_dilation"][a : a + 1],
        )[0], window[a]  # fmt: skip
        x = _laid_out_along(x, a + 1, options["padding"][a], options["x_dilation"][a], fill)
        taps = _taps(x, a + 1, size, count, options["strides"][a], options["w_dilation"][a])
        x = reduce(combine, taps)
    if not kernel:
        return x
    images = reshape(x, shape=(math.prod(x.shape[: alone + 1]), *x.shape[alone + 1 :]))
    if op is window_max:
        options.pop("x_dilation")
    out = op(images, **{name: value[alone:] for name, value in options.items()})
    return reshape(out, shape=(*x.shape[: alone + 1], *out.shape[1:]))


def written_out_sum(x, **options):
    """The sums of windows, by slices where there is no kernel."""
    out = _window_sum(x, **options)
    return window_sum(x, **options) if out is NotImplemented else out


def _window_sum(x, **options):
    return _one_axis_after_the_other(add, window_sum, x, 0, **options)


def _window_max(x, *, window, **options):
    ones = (1,) * len(window)
    return _one_axis_after_the_other(
        maximum, window_max, x, smallest(x.dtype), window=window, x_dilation=ones, **options
    )


# --- shares of ties -------------------------------------------------------------------------------


def _places(window, strides, w_dilation, counts):
    """For each place of the window, the static entries that it is in the padded array."""
    for place in product(*map(range, window)):
        yield tuple(
            [
                (k * d, k * d + (n - 1) * s + 1, s)
                for k, d, s, n in zip(place, w_dilation, strides, counts, strict=True)
            ]
        )


def _at(x, entries):
    return x[(slice(None), *[slice(*e) for e in entries])]


def _by_places(rule: Callable, has_kernel: bool) -> Callable:
    """A rule that takes each place of the window by itself, where no kernel does it."""

    def written_out(x, out, *more, window, strides, padding, w_dilation):
        kernel = has_kernel and x.dtype.char in "fd" and len(window) <= _KERNEL_AXES
        if kernel or math.prod(window) > _MOST_PLACES:
            return NotImplemented
        if x.dtype.kind != "f" or not (x.size and out.size):
            return NotImplemented
        padded = _laid_out(x, padding, (1,) * len(padding), np.nan)
        places = list(_places(window, strides, w_dilation, out.shape[1:-1]))
        return rule(padded, out, *more, places=places, padding=padding)

    return written_out


def _ties(padded, out, places):
    return [equal(_at(padded, entries), out) for entries in places]


def _count(ties):
    return reduce(add, [cast(tie, dtype=np.dtype(np.int64)) for tie in ties])


def _divisor(ties, dtype):
    return cast(maximum(_count(ties), np.int64(1)), dtype=dtype)


def _window_pick(padded, out, dx, *, places, padding):
    moving = _laid_out(dx, padding, (1,) * len(padding), 0)
    ties, zero = _ties(padded, out, places), constant_like(out, 0.0)
    parts = [
        select(tie, _at(moving, entries), zero) for tie, entries in zip(ties, places, strict=True)
    ]
    mean = reduce(add, parts) / _divisor(ties, out.dtype)
    return select(isnan(out), constant_like(out, np.nan), mean)


def _window_share(padded, out, ct, *, places, padding):
    ties, zero, lost = _ties(padded, out, places), constant_like(out, 0.0), isnan(out)
    share = ct / _divisor(ties, out.dtype)
    share = select(lost, constant_like(out, np.nan), share)
    total = broadcast(zero, shape=padded.shape, axes=())
    ends = tuple([(0, n, 1) for n in (padded.shape[0], padded.shape[-1])])
    for tie, entries in zip(ties, places, strict=True):
        part = select(tie | lost, share, zero)
        total = index_add(total, part, at=(ends[0], *entries, ends[1]))
    back = tuple([(-low, -high) for low, high in padding])
    return _laid_out(total, back, (1,) * len(padding), 0)


def _window_ties(padded, out, *, places, padding):
    return _count(_ties(padded, out, places)) > np.int64(1)


WINDOWS: dict[str, Callable] = {
    "convolution": _convolution,
    "convolution_again": _convolution_again,
    "convolution_weights": _convolution_weights,
    "window_sum": _window_sum,
    "window_max": _window_max,
    "window_pick": _by_places(_window_pick, True),
    "window_share": _by_places(_window_share, True),
    "window_ties": _by_places(_window_ties, False),
}
