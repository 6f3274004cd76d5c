"""Convolutional layers: `nn.convolution` with weights and a bias.

Channels stand last: signals are (N, T, C), images (N, H, W, C). Weights are (*window, C / groups,
D); PyTorch's (D, C / groups, *window) come into this order by `np.moveaxis(w, (0, 1), (-1, -2))`.
"""

from __future__ import annotations

import math
import operator
from collections.abc import Sequence
from typing import Any

import numpy as np

from chainrule import errors
from chainrule.nn.init import Initialisation, initial
from chainrule.nn.linear import as_dtype_of
from chainrule.nn.module import Module, Parameter
from chainrule.nn.windows import convolution

Numbers = int | Sequence[int]


class _Convolution(Module):
    """What Conv1d and Conv2d share."""

    axes = 0

    def __init__(
        self, inputs: int, outputs: int, window: Numbers, *, strides: Numbers = 1,
        padding: Any = "valid", dilation: Numbers = 1, groups: int = 1, bias: bool = True,
        init: str | Initialisation = "he", dtype="f", rng=0,
    ):  # fmt: skip
        name = type(self).__name__
        window = numbers(window, self.axes, f"the window of {name}")
        if min(inputs, outputs, groups) < 1 or inputs % groups or outputs % groups:
            raise ValueError(
                f"{name} needs at least one channel in and out, and groups that divide both; got "
                f"inputs={inputs}, outputs={outputs}, groups={groups}."
            )
        size = math.prod(window)
        shape = (*window, inputs // groups, outputs)
        reads, is_read = size * inputs // groups, size * outputs // groups
        self.weight: Any = Parameter(initial(init, rng, shape, reads, is_read, dtype))
        self.bias: Any = Parameter(np.zeros(outputs, dtype)) if bias else None
        self._configure(
            inputs=inputs, outputs=outputs, window=list(window),
            strides=list(numbers(strides, self.axes, f"the strides of {name}")),
            padding=_plain(padding), groups=groups, bias=bias, dtype=np.dtype(dtype).char,
            dilation=list(numbers(dilation, self.axes, f"the dilation of {name}")),
        )  # fmt: skip

    def __call__(self, x, training: bool = False, rng=None):
        option = self.config()
        if x.ndim < self.axes + 1 or x.shape[-1] != option["inputs"]:
            raise errors.ShapeError(
                f"{type(self).__name__} takes {option['inputs']} channels on the last axis, behind "
                f"{self.axes} spatial axes; got shape {x.shape}.{self._instead(x.shape)}"
            )
        out = convolution(
            as_dtype_of(x, self.weight), self.weight, strides=option["strides"],
            padding=option["padding"], dilation=option["dilation"], groups=option["groups"],
        )  # fmt: skip
        return out if self.bias is None else out + self.bias

    def _instead(self, shape: tuple[int, ...]) -> str:
        """What to write for arrays that are nearly of the right shape."""
        inputs, first = self.config()["inputs"], -1 - self.axes
        if inputs == 1 and len(shape) == self.axes + 1:
            return " One channel is an axis too: x[..., None]"
        if len(shape) > self.axes + 1 and shape[first] == inputs:
            return f" Channels that come first are moved by np.moveaxis(x, {first}, -1)."
        return ""

    def __repr__(self) -> str:
        option = self.config()
        window = "x".join(map(str, option["window"]))
        return f"{type(self).__name__}({option['inputs']}, {option['outputs']}, {window})"


class Conv1d(_Convolution):
    """A convolution along one axis: (..., T, inputs) -> (..., T', outputs).

    `window`, `strides` and `dilation` are numbers; `padding` is "valid" (none), "same"
    (T' = ceil(T / strides)), a number for both ends, or [(low, high)]. `weight` is (window,
    inputs / groups, outputs), `bias` (outputs,) and 0 at first, or None without `bias`.

    **Dtypes** x in another floating dtype is cast to the weights'.
    **Errors** `ShapeError` where the last axis is not of length `inputs`, `ValueError` for groups
    that do not divide the channels.
    **Cost** 2 T' window inputs outputs / groups flops for each row.

    >>> Conv1d(3, 8, 5, padding="same", rng=0)(np.ones((2, 10, 3), np.float32)).shape
    (2, 10, 8)
    """

    axes = 1


class Conv2d(_Convolution):
    """A convolution along two axes: (..., H, W, inputs) -> (..., H', W', outputs).

    `window`, `strides` and `dilation` are a number for both axes, or two; `padding` is "valid"
    (none), "same" (H' = ceil(H / strides)), a number for all sides, one for each axis, or a pair
    (low, high) for each. `weight` is (h, w, inputs / groups, outputs), `bias` (outputs,).

    **Dtypes, errors, cost** as in `Conv1d`.

    >>> Conv2d(3, 8, 3, strides=2, padding=1, rng=0)(np.ones((2, 9, 9, 3), np.float32)).shape
    (2, 5, 5, 8)
    """

    axes = 2


def numbers(given: Numbers, count: int, name: str) -> tuple[int, ...]:
    """A number of at least 1 for each of `count` axes, where one may stand for all."""
    values = tuple(given) if np.iterable(given) else (given,) * count
    values = tuple(operator.index(v) for v in values)
    if len(values) != count or min(values) < 1:
        raise ValueError(f"{name} is a number of at least 1, or {count} of them; got {given!r}.")
    return values


def _plain(padding: Any) -> Any:
    """Padding as JSON has it: text, a number, or lists."""
    if isinstance(padding, str):
        if padding not in ("valid", "same"):
            raise ValueError(f"padding is 'valid', 'same' or numbers, got {padding!r}.")
        return padding
    return [_plain(p) for p in padding] if np.iterable(padding) else operator.index(padding)
