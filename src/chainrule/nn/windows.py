"""Convolution and pooling of images, signals and volumes; plain arrays and traced values alike.

Letters: `S` spatial axes (one, two, three or more), `C` and `D` channels. Axes before these are
lanes: any number of them, none included. With `channels="first"` the channels stand before the
spatial axes, in the argument and in the result.
"""

from __future__ import annotations

import math
import operator
from collections.abc import Sequence
from typing import Any

import numpy as np

from chainrule import errors
from chainrule.numpy.promotion import cast_to, contains_traced, result_dtype
from chainrule.numpy.reductions import sum_dtype
from chainrule.numpy.shaping import array
from chainrule.ops.pooling import window_max, window_sum
from chainrule.ops.windows import convolution as convolution_op
from chainrule.ops.windows import spread_length
from chainrule.program.text import line_text
from chainrule.program.trace import user_line

Padding = str | int | Sequence


# --- options ------------------------------------------------------------------------------------


def _here() -> str:
    return f"at {line_text(user_line())}"


def _per_axis(value, count: int, name: str, least: int = 1) -> tuple[int, ...]:
    """A number for every spatial axis, or one number each."""
    numbers = tuple(value) if np.iterable(value) else (value,) * count
    numbers = tuple(operator.index(n) for n in numbers)
    if len(numbers) != count or min(numbers, default=least) < least:
        raise errors.ShapeError(
            f"{name} is a whole number of at least {least}, or {count} of them, one for each "
            f"spatial axis; got {value!r}, {_here()}."
        )
    return numbers


def _pairs(padding: Padding, spatial, window, strides, dilation) -> tuple[tuple[int, int], ...]:
    """`padding` as (low, high) for each spatial axis."""
    if isinstance(padding, str):
        if padding == "valid":
            return ((0, 0),) * len(spatial)
        if padding == "same":
            return tuple(map(_same, spatial, window, strides, dilation))
    elif not np.iterable(padding):
        return ((operator.index(padding),) * 2,) * len(spatial)
    elif len(padding) == len(spatial):
        both: list[Any] = [p if np.iterable(p) else (p, p) for p in padding]
        if all(len(p) == 2 for p in both):
            return tuple((operator.index(low), operator.index(high)) for low, high in both)
    raise errors.ShapeError(
        f"padding is 'valid', 'same', a whole number, or {len(spatial)} numbers or (low, high) "
        f"pairs, one for each spatial axis; got {padding!r}, {_here()}."
    )


def _same(n: int, size: int, stride: int, dilation: int) -> tuple[int, int]:
    """Zeros such that ceil(n / stride) windows fit; an odd one stands at the end."""
    missing = max((-(-n // stride) - 1) * stride + spread_length(size, dilation) - n, 0)
    return missing // 2, missing - missing // 2


# --- layout -------------------------------------------------------------------------------------


class _Images:
    """An argument as (N, *spatial, C), and the way back."""

    def __init__(self, x, spatial: int, channels: str, name: str):
        if channels not in ("last", "first"):
            raise ValueError(f"channels is 'last' or 'first', got {channels!r}, {_here()}.")
        if x.ndim < spatial + 1:
            axes = "C, then" if channels == "first" else "then C:"
            raise errors.ShapeError(
                f"{name} needs an array of {spatial} spatial axes and one of channels ({axes} "
                f"{spatial + 1} axes or more), got shape {x.shape}, {_here()}."
            )
        self.first = channels == "first"
        self.count = spatial
        x = np.moveaxis(x, -spatial - 1, -1) if self.first else x
        self.lanes = x.shape[: x.ndim - spatial - 1]
        self.array = x.reshape(math.prod(self.lanes), *x.shape[len(self.lanes) :])
        self.spatial = self.array.shape[1:-1]
        self.channels = self.array.shape[-1]

    def back(self, y):
        """A result (N, *spatial, D) in the layout of the argument."""
        y = y.reshape(*self.lanes, *y.shape[1:])
        return np.moveaxis(y, -1, -self.count - 1) if self.first else y


def _arrays(values, dtype=None) -> list:
    """The values as arrays of one dtype (by default NumPy's for them), traced where one is."""
    dtype = result_dtype(*values) if dtype is None else dtype
    if any(contains_traced(v) for v in values):
        return [cast_to(array(v), dtype) for v in values]
    return [np.asarray(v, dtype) for v in values]


# --- convolution --------------------------------------------------------------------------------


def convolution(
    x: Any, w: Any, strides: int | Sequence[int] = 1, padding: Padding = "valid",
    dilation: int | Sequence[int] = 1, groups: int = 1, channels: str = "last",
) -> Any:  # fmt: skip
    """Images seen through a window that moves over them, as networks convolve.

    **Maths** `z[o, d] = sum over k, c of x[strides * o + dilation * k - low, c] w[k, c, d]`, x
    being zero outside of itself; the window is not reversed. With `groups`, C and D are that many
    blocks, and block g of z sees block g of x: `groups=C` is a depthwise convolution.
    **Shapes** `x: (..., *S, C)`, `w: (*window, C / groups, D) -> (..., *S', D)`; with
    `channels="first"` `x: (..., C, *S) -> (..., D, *S')`, w as before. The number of spatial axes
    is that of w's window. S' is `(S + low + high - dilation * (window - 1) - 1) // strides + 1`.
    `padding` is "valid" (none), "same" (S' = ceil(S / strides), an odd zero at the end), a number,
    a number for each axis, or a pair (low, high) for each; negative numbers cut.
    **Dtypes** NumPy's result type of x and w.
    **Errors** `ShapeError` where channels, groups or options do not fit.
    **Cost** `2 z.size w.size / D` flops; on the evaluator `window` times the memory of x.
    **Source** Dumoulin & Visin, "A guide to convolution arithmetic for deep learning", 2016.

    >>> import numpy as np
    >>> convolution(np.array([[1.0], [2.0], [4.0]]), np.array([[[1.0]], [[10.0]]]))[:, 0]
    array([21., 42.])
    """
    x, w = _arrays((x, w))
    if w.ndim < 3:
        raise errors.ShapeError(
            f"convolution needs w of shape (*window, C / groups, D), three axes or more, got shape "
            f"{w.shape}, {_here()}."
        )
    window = w.shape[:-2]
    images = _Images(x, len(window), channels, "convolution")
    groups = operator.index(groups)
    _check_channels(images.channels, w.shape, groups)
    if 0 in window:
        raise errors.ShapeError(f"convolution got an empty window, {window}, {_here()}.")
    strides = _per_axis(strides, len(window), "strides")
    dilation = _per_axis(dilation, len(window), "dilation")
    pairs = _pairs(padding, images.spatial, window, strides, dilation)
    out = convolution_op(
        images.array, w, strides=strides, padding=pairs, x_dilation=(1,) * len(window),
        w_dilation=dilation, groups=groups,
    )  # fmt: skip
    return images.back(out)


def _check_channels(channels: int, kernel, groups: int) -> None:
    inner, outer = kernel[-2:]
    if groups < 1 or channels % groups or outer % groups:
        raise errors.ShapeError(
            f"convolution needs groups that divide the channels of x and of the result, got "
            f"groups={groups} with {channels} and {outer} channels, {_here()}."
        )
    if channels // groups != inner:
        raise errors.ShapeError(
            f"convolution of {channels} channels in {groups} groups needs w of shape (*window, "
            f"{channels // groups}, D), got {kernel}, {_here()}. Weights (D, C / groups, *window) "
            "come into this order by np.moveaxis(w, (0, 1), (-1, -2))."
        )


# --- pooling ------------------------------------------------------------------------------------


class _Pooling:
    """The argument and options of a pooling function."""

    def __init__(self, name: str, x, window, strides, padding: Padding, channels: str):
        spatial = len(tuple(window)) if np.iterable(window) else x.ndim - 2
        if spatial < 1:
            raise errors.ShapeError(
                f"{name} with window={window!r} pools all axes of x but the first and the "
                f"channels, got shape {x.shape}, {_here()}. Give the window one number for each "
                "spatial axis."
            )
        self.window = _per_axis(window, spatial, "window")
        self.images = _Images(x, spatial, channels, name)
        self.strides = _per_axis(self.window if strides is None else strides, spatial, "strides")
        self.ones = (1,) * spatial
        spans = self.images.spatial, self.window, self.strides, self.ones
        self.padding = _pairs(padding, *spans)
        if any(max(p) >= n for p, n in zip(self.padding, self.window, strict=True)):
            raise errors.ShapeError(
                f"{name}: padding {self.padding} reaches over the whole window {self.window}: "
                f"there would be windows without entries, {_here()}."
            )

    def options(self) -> dict:
        return dict(
            window=self.window, strides=self.strides, padding=self.padding, w_dilation=self.ones
        )

    def sum(self, x):
        return window_sum(x, **self.options(), x_dilation=self.ones)

    def counts(self):
        """How many entries each window sees: (*S', 1), or one number where all see as many."""
        if not any(max(p) > 0 for p in self.padding):
            return math.prod(self.window)
        counts = window_sum.evaluate(
            np.ones((1, *self.images.spatial, 1)), **self.options(), x_dilation=self.ones
        )
        return counts[0]


def max_pool(
    x: Any, window: int | Sequence[int], strides: int | Sequence[int] | None = None,
    padding: Padding = "valid", channels: str = "last",
) -> Any:  # fmt: skip
    """The largest entry of each window, by channel; padding never wins.

    **Maths** `z[o, c] = max over k of x[strides * o + k - low, c]`; nan where an entry is nan. The
    derivative goes to the largest entry, evenly to those that tie (see docs/ops.md).
    **Shapes** `x: (..., *S, C) -> (..., *S', C)`, with `channels="first"` `(..., C, *S)`. `window`
    has one number for each spatial axis; one number alone stands for all axes but the first and the
    channels. `strides` are the window's lengths by default. `padding` as in `convolution`.
    **Dtypes** as x, which is real.
    **Errors** `ShapeError` where options do not fit, or a window would see padding alone;
    `DtypeError` for complex numbers.

    >>> import numpy as np
    >>> max_pool(np.array([[1.0], [3.0], [2.0], [0.0]]), (2,), strides=1)[:, 0]
    array([3., 3., 2.])
    """
    (x,) = _arrays((x,))
    if x.dtype.kind == "c":
        raise errors.DtypeError(f"max_pool of complex numbers ({x.dtype}) has no order, {_here()}.")
    pooling = _Pooling("max_pool", x, window, strides, padding, channels)
    return pooling.images.back(window_max(pooling.images.array, **pooling.options()))


def sum_pool(
    x: Any, window: int | Sequence[int], strides: int | Sequence[int] | None = None,
    padding: Padding = "valid", channels: str = "last",
) -> Any:  # fmt: skip
    """The sum of each window, by channel.

    **Maths** `z[o, c] = sum over k of x[strides * o + k - low, c]`
    **Shapes** and **errors** as in `max_pool`.
    **Dtypes** as np.sum: whole numbers and booleans add up in 64 bits.

    >>> import numpy as np
    >>> sum_pool(np.array([[1.0], [3.0], [2.0], [0.0]]), (2,))[:, 0]
    array([4., 2.])
    """
    (x,) = _arrays((x,), sum_dtype(result_dtype(x)))
    pooling = _Pooling("sum_pool", x, window, strides, padding, channels)
    return pooling.images.back(pooling.sum(pooling.images.array))


def mean_pool(
    x: Any, window: int | Sequence[int], strides: int | Sequence[int] | None = None,
    padding: Padding = "valid", channels: str = "last",
) -> Any:  # fmt: skip
    """The mean of the entries that each window sees, by channel; padding does not count.

    **Maths** `z[o, c] = sum over k of x[strides * o + k - low, c] / n[o]`, n[o] being how many of
    the window's places lie in x (the size of the window, inside).
    **Shapes** and **errors** as in `max_pool`.
    **Dtypes** as np.mean: whole numbers and booleans become float64.

    >>> import numpy as np
    >>> mean_pool(np.array([[1.0], [3.0], [2.0]]), (2,), padding="same")[:, 0]
    array([2., 2.])
    """
    dtype = result_dtype(x)
    (x,) = _arrays((x,), dtype if dtype.kind in "fc" else np.dtype(np.float64))
    pooling = _Pooling("mean_pool", x, window, strides, padding, channels)
    total = pooling.sum(pooling.images.array)
    counts = pooling.counts()
    if isinstance(counts, np.ndarray):
        counts = counts.astype(x.dtype)
    return pooling.images.back(total / counts)
