"""Pooling layers, and `Flatten`: from pictures to rows.

Channels stand last: signals are (N, T, C), images (N, H, W, C). The functions are in `nn.windows`.
"""

from __future__ import annotations

import math
from collections.abc import Sequence
from typing import Any

import numpy as np

from chainrule import errors
from chainrule.nn.convolutions import Numbers, numbers
from chainrule.nn.module import Module
from chainrule.nn.windows import max_pool, mean_pool


class _Pool(Module):
    axes = 0
    pool: Any = None

    def __init__(self, window: Numbers, strides: Numbers | None = None, padding: Any = "valid"):
        name = type(self).__name__
        window = numbers(window, self.axes, f"the window of {name}")
        strides = window if strides is None else numbers(strides, self.axes, f"strides of {name}")
        if np.iterable(padding) and not isinstance(padding, str):
            padding = [list(p) if np.iterable(p) else p for p in padding]
        self._configure(window=list(window), strides=list(strides), padding=padding)

    def __call__(self, x, training: bool = False, rng=None):
        return type(self).pool(x, **self.config())

    def __repr__(self) -> str:
        return f"{type(self).__name__}({'x'.join(map(str, self.config()['window']))})"


class MaxPool1d(_Pool):
    """The largest entry of each window along one axis: (..., T, C) -> (..., T', C).

    `strides` is the window's length by default; `padding` as in `nn.max_pool`, and never wins.

    >>> MaxPool1d(2)(np.array([[[1.0], [3.0], [2.0], [0.0]]]))[0, :, 0]
    array([3., 2.])
    """

    axes, pool = 1, staticmethod(max_pool)


class MaxPool2d(_Pool):
    """The largest entry of each window along two axes: (..., H, W, C) -> (..., H', W', C).

    >>> MaxPool2d(2)(np.zeros((5, 8, 8, 3))).shape
    (5, 4, 4, 3)
    """

    axes, pool = 2, staticmethod(max_pool)


class MeanPool1d(_Pool):
    """The mean of each window along one axis, padding left out: (..., T, C) -> (..., T', C).

    >>> MeanPool1d(2)(np.array([[[1.0], [3.0], [2.0], [0.0]]]))[0, :, 0]
    array([2., 1.])
    """

    axes, pool = 1, staticmethod(mean_pool)


class MeanPool2d(_Pool):
    """The mean of each window along two axes, padding left out: (..., H, W, C) -> (..., H', W', C).

    >>> MeanPool2d(2, strides=1)(np.zeros((5, 8, 8, 3))).shape
    (5, 7, 7, 3)
    """

    axes, pool = 2, staticmethod(mean_pool)


class _Adaptive(Module):
    def __init__(self, size: int | Sequence[int]):
        count = len(size) if isinstance(size, Sequence) else 1
        self._configure(size=list(numbers(size, count, f"size of {type(self).__name__}")))

    def _axes(self, x) -> list[tuple[int, int]]:
        """(axis, its new length) of all spatial axes: all but the first and the last."""
        size = self.config()["size"]
        spatial = x.ndim - 2
        if spatial < 1 or len(size) not in (1, spatial):
            raise errors.ShapeError(
                f"{type(self).__name__} of size {size} takes (N, *spatial, C) with "
                f"{len(size) if len(size) > 1 else 'some'} spatial axes, got shape {x.shape}."
            )
        return list(enumerate(size * spatial if len(size) == 1 else size, start=1))


class AdaptiveMeanPool(_Adaptive):
    """The means of `size` windows that cover each spatial axis: (N, *S, C) -> (N, *size, C).

    Window i of m over n entries goes from floor(i n / m) to ceil((i + 1) n / m), as in PyTorch:
    they overlap where m does not divide n. `size` is one number for all spatial axes, or one for
    each.

    **Errors** `ShapeError` where there is no spatial axis, or another number of them.

    >>> AdaptiveMeanPool(2)(np.array([[[1.0], [2.0], [6.0]]]))[0, :, 0]
    array([1.5, 4. ])
    """

    def __call__(self, x, training: bool = False, rng=None):
        x = x if x.dtype.kind == "f" else x.astype(np.float64)
        for axis, size in self._axes(x):
            means = _means(x.shape[axis], size).astype(x.dtype)
            x = np.moveaxis(np.moveaxis(x, axis, -1) @ means, -1, axis)
        return x


class AdaptiveMaxPool(_Adaptive):
    """The largest entries of windows as those of `AdaptiveMeanPool`: (N, *S, C) -> (N, *size, C).

    >>> AdaptiveMaxPool(2)(np.array([[[1.0], [2.0], [6.0]]]))[0, :, 0]
    array([2., 6.])
    """

    def __call__(self, x, training: bool = False, rng=None):
        for axis, size in self._axes(x):
            lead = (slice(None),) * axis
            parts = [
                x[(*lead, slice(low, high))].max(axis=axis)
                for low, high in _bounds(x.shape[axis], size)
            ]
            x = np.stack(parts, axis=axis)
        return x


class GlobalMeanPool(Module):
    """The mean over all spatial axes: (N, *S, C) -> (N, C).

    **Errors** `ShapeError` where there is none.

    >>> GlobalMeanPool()(np.ones((2, 4, 4, 3))).shape
    (2, 3)
    """

    def __call__(self, x, training: bool = False, rng=None):
        if x.ndim < 3:
            raise errors.ShapeError(f"GlobalMeanPool takes (N, *spatial, C), got shape {x.shape}.")
        return x.mean(axis=tuple(range(1, x.ndim - 1)))

    def config(self) -> dict:
        """Nothing: it has no options."""
        return {}

    def __repr__(self) -> str:
        return "GlobalMeanPool()"


class Flatten(Module):
    """All axes but the first in one: (N, ...) -> (N, product of the others).

    >>> Flatten()(np.ones((2, 4, 4, 3))).shape
    (2, 48)
    """

    def __call__(self, x, training: bool = False, rng=None):
        if x.ndim < 1:
            raise errors.ShapeError("Flatten takes (N, ...), got a number.")
        return x.reshape(x.shape[0], math.prod(x.shape[1:]))

    def config(self) -> dict:
        """Nothing: it has no options."""
        return {}

    def __repr__(self) -> str:
        return "Flatten()"


def _bounds(n: int, m: int) -> list[tuple[int, int]]:
    """Where m windows over n entries begin and end."""
    return [(i * n // m, -(-(i + 1) * n // m)) for i in range(m)]


def _means(n: int, m: int) -> np.ndarray:
    """(n, m): column i takes the mean of window i."""
    out = np.zeros((n, m))
    for i, (low, high) in enumerate(_bounds(n, m)):
        out[low:high, i] = 1 / (high - low)
    return out
