"""Pooling windows that do not overlap, as axes of their own; and the ties in them.

    (N, H, W, C)   becomes   (N, H/k, k, W/k, k, C)

and the largest entry of a window is that over two axes. Windows that overlap, or see padding, do
not fit.
"""

from __future__ import annotations

import math
from functools import reduce
from typing import Any

import numpy as np

from chainrule.ops.compare import equal, greater, logical_and, logical_or
from chainrule.ops.elementwise import maximum
from chainrule.ops.index import index
from chainrule.ops.join import pad
from chainrule.ops.pooling import window_max, window_pick
from chainrule.ops.reduce import any_
from chainrule.ops.select import cast, select
from chainrule.ops.shape import broadcast, kept_axes, reshape, sum_
from chainrule.program.program import Equation
from chainrule.program.trace import Traced

_MOST_PLACES = 25  # of a window that are looked at one by one
_F64 = np.dtype(np.float64)


class Windows:
    """How an array (N, *spatial, C) falls into windows; `fits` says whether it does, with
    an axis more for each spatial one; `few` whether their places may be taken one by one."""

    def __init__(self, shape: tuple[int, ...], out: tuple[int, ...], params: dict[str, Any]):
        self.shape, self.out, self.window, self.params = shape, out, params["window"], params
        self.inside = all(p == (0, 0) for p in params["padding"])  # they see no padding
        self.few = 0 < math.prod(self.window) <= _MOST_PLACES and math.prod(out) > 0
        self.fits = (
            self.inside
            and params["strides"] == self.window
            and all(d == 1 for d in params["w_dilation"])
        )
        self.used = tuple(n * k for n, k in zip(out[1:-1], self.window, strict=True))
        inner = [size for n, k in zip(out[1:-1], self.window, strict=True) for size in (n, k)]
        self.blocks = (shape[0], *inner, shape[-1])
        self.axes = tuple(2 + 2 * i for i in range(len(self.window)))

    def cut(self, x):
        """The array with an axis more for each spatial one: the place in the window."""
        at = ((0, self.shape[0], 1), *((0, n, 1) for n in self.used), (0, self.shape[-1], 1))
        if self.used != self.shape[1:-1]:
            x = index(x, at=at)
        return reshape(x, shape=self.blocks)

    def places(self, x) -> list:
        """What the windows see at each of their places, as arrays like the result; for windows that
        overlap, too, but not at padding."""
        found = []
        reach = [
            range(0, (n - 1) * stride + 1, stride)
            for n, stride in zip(self.out[1:-1], self.params["strides"], strict=True)
        ]
        for place in np.ndindex(*self.window):
            offsets = [k * d for k, d in zip(place, self.params["w_dilation"], strict=True)]
            at = [(o + r.start, o + r.stop, r.step) for o, r in zip(offsets, reach, strict=True)]
            found.append(index(x, at=((0, x.shape[0], 1), *at, (0, x.shape[-1], 1))))
        return found

    def images(self, blocks):
        """The other way, but for the entries that are in no window."""
        return reshape(blocks, shape=(self.shape[0], *self.used, self.shape[-1]))

    def joined(self, blocks):
        """The other way: zeros where no window was."""
        return self.padded(self.images(blocks))

    def padded(self, x):
        """An array of the entries that are in windows, with zeros for the others."""
        if self.used == self.shape[1:-1]:
            return x
        rest = [(0, n - u) for n, u in zip(self.shape[1:-1], self.used, strict=True)]
        return pad(x, widths=((0, 0), *rest, (0, 0)))

    def spread(self, out):
        """One value of each window at all its places."""
        return broadcast(out, shape=self.blocks, axes=kept_axes(len(self.blocks), self.axes))


def windows_of(e: Equation) -> Windows:
    """The windows of an equation of `window_max`, `window_pick` or `window_share`."""
    x = e.inputs[0].type.shape
    out = e.outputs[0].type.shape if e.op.name == "window_max" else e.inputs[1].type.shape
    return Windows(x, out, e.params)


def ties_of(windows: Windows, x, out, active):
    """The windows in which several entries are the largest, one of which may move."""
    at = [equal(place, out) for place in windows.places(x)]
    several = repeated(at)
    if type(active) is not Traced:
        return several
    return logical_and(several, one_holds(at, windows.places(active)))


def repeated(marks: list):
    """Where more than one of some truth values holds."""
    one, several = marks[0], np.bool_(False)
    for mark in marks[1:]:
        several, one = logical_or(several, logical_and(one, mark)), logical_or(one, mark)
    return several


def one_holds(*marks: list):
    """Where truth values hold together, of which there are several."""
    pairs = [logical_and(*pair) for pair in zip(*marks, strict=True)]
    return reduce(logical_or, pairs)


def pooled_tangent(windows: Windows, x, out, dx):
    """The tangent of `window_max`: the largest among the entries that tie."""
    return window_max(slopes(windows, x, out, dx), **windows.params)


def slopes(windows: Windows, x, out, dx):
    """The tangents of the entries that are their window's largest, -inf at the others: the largest
    of these leads. It is an array of the entries that are in windows."""
    at = equal(windows.cut(x), windows.spread(out))
    return windows.images(select(at, windows.cut(dx), x.dtype.type(-np.inf)))


def led(windows: Windows, op, x, out, dx, moved):
    """`op`, that is window_pick or window_share, of the entries that lead in each window."""
    lead = slopes(windows, x, out, dx)
    top = window_max(lead, **windows.params)
    if op is window_pick:
        return op(lead, top, windows.images(windows.cut(moved)), **windows.params)
    return windows.padded(op(lead, top, moved, **windows.params))


def leading(windows: Windows, x, out, dx, d_out):
    """The entries of each window that are the largest on this side, and how many they are."""
    at = equal(windows.cut(x), windows.spread(out))
    lead = logical_and(at, equal(windows.cut(dx), windows.spread(d_out)))
    return lead, sum_(cast(lead, dtype=_F64), axes=windows.axes)


def left_open(windows: Windows, lead, count, active) -> Traced:
    """The windows in which several entries lead, one of which may move."""
    several = greater(count, np.float64(1))
    if type(active) is Traced:
        live = any_(logical_and(lead, windows.cut(active)), axes=windows.axes)
        several = logical_and(several, live)
    return several


def shared(windows: Windows, lead, count, y):
    """y of each window, shared by the entries that lead."""
    share = y / cast(maximum(count, np.float64(1)), dtype=y.dtype)
    return windows.joined(select(lead, windows.spread(share), y.dtype.type(0)))


def picked(windows: Windows, lead, count, dx):
    """The mean of dx over the entries that lead in each window."""
    total = sum_(select(lead, windows.cut(dx), dx.dtype.type(0)), axes=windows.axes)
    return total / cast(maximum(count, np.float64(1)), dtype=dx.dtype)
