"""Where the windows of a convolution lie: numbers only, no code.

One spatial axis is an `Axis`. With x_dilation, a window meets an entry of x only where place and
holes agree: the results fall into `parts`, by their place modulo a period, and each part is an
ordinary convolution by every so-manieth tap of the window. So no zero is multiplied. (A convolution
strided by 2 has an input gradient of 2 x 2 parts; without x_dilation there is one part.)

All parts read one strip of x, x padded: `low` entries before it, `extent` in all. Window q of a
part begins at `shift + stride * q` in the strip, and its taps are `dilation` apart.
"""

from __future__ import annotations

import math
from typing import NamedTuple

from chainrule.compiler.kernel import Place, Site
from chainrule.compiler.machine_code import vector_bytes, vector_registers


class Part(NamedTuple):
    """The results at first, first + step, ... along one axis (`step` is the axis')."""

    first: int
    results: int
    tap: int  # its first tap; the others follow by the axis' tap_step
    taps: int
    shift: int  # where window 0 begins in the strip


class Axis(NamedTuple):
    """One spatial axis of a convolution."""

    n: int
    stride: int
    dilation: int
    low: int
    extent: int
    step: int
    tap_step: int
    parts: tuple[Part, ...]

    @property
    def results(self) -> int:
        """The most results of a part."""
        return max([p.results for p in self.parts], default=0)

    @property
    def taps(self) -> int:
        """The most taps of a part."""
        return max([p.taps for p in self.parts], default=0)

    def reach(self, count: int) -> int:
        """The entries of the strip that `count` windows in a row see, in any part."""
        spread = max([p.shift + (p.taps - 1) * self.dilation for p in self.parts if p.taps])
        return (count - 1) * self.stride + spread + 1

    @property
    def inside(self) -> bool:
        """Whether the strip lies in x: nothing is padded."""
        return self.low <= 0 and self.extent - self.low <= self.n


def axis_of(
    n: int, window: int, out: int, stride: int, low: int, holes: int, dilation: int
) -> Axis:
    """The axis of these options; `holes` is x_dilation."""
    step = holes // math.gcd(stride, holes)
    tap_step = holes // math.gcd(dilation, holes)
    parts, lows = [], []
    for first in range(min(step, out)):
        count = len(range(first, out, step))
        begins = [k for k in range(min(tap_step, window))
                  if (first * stride + k * dilation - low) % holes == 0]  # fmt: skip
        if begins:
            lows.append((low - first * stride - begins[0] * dilation) // holes)
            taps = len(range(begins[0], window, tap_step))
            parts.append(Part(first, count, begins[0], taps, -lows[-1]))
        else:
            parts.append(Part(first, count, 0, 0, 0))
    most = max(lows, default=0)
    parts = [p._replace(shift=p.shift + most) if p.taps else p for p in parts]
    axis = Axis(n, stride * step // holes, dilation * tap_step // holes, most, 0, step, tap_step,
                tuple(parts))  # fmt: skip
    return axis._replace(extent=axis.reach(axis.results)) if lows else axis


class Array(NamedTuple):
    """An operand with a first and a second spatial axis, the first of length 1 where it had one."""

    shape: tuple[int, ...]  # (N, H, W, C)
    strides: tuple[int, ...]  # in elements


def array_of(place: Place) -> Array:
    """An operand (N, *spatial, C) of one or two spatial axes."""
    shape, strides = place.type.shape, place.strides
    if len(shape) == 3:
        shape, strides = (shape[0], 1, *shape[1:]), (strides[0], 0, *strides[1:])
    return Array(shape, strides)


class Options(NamedTuple):
    """The params of a site for its first and second spatial axis."""

    window: tuple[int, int]
    strides: tuple[int, int]
    low: tuple[int, int]
    x_dilation: tuple[int, int]
    w_dilation: tuple[int, int]


def options_of(site: Site, window) -> Options:
    """The options; a missing first axis has a window of 1."""
    params = site.params
    count = len(window)
    ones = (1,) * count
    low = tuple(p[0] for p in params["padding"])
    values = [
        tuple(window), params["strides"], low, params.get("x_dilation", ones), params["w_dilation"],
    ]  # fmt: skip
    if count == 1:
        values = [(0 if v is low else 1, *v) for v in values]
    return Options(*values)


def axes_of(options: Options, x: Array, out: Array) -> tuple[Axis, Axis]:
    """Both spatial axes of a convolution or pooling."""
    first, second = (
        axis_of(
            x.shape[a + 1], options.window[a], out.shape[a + 1], options.strides[a],
            options.low[a], options.x_dilation[a], options.w_dilation[a],
        )
        for a in range(2)
    )  # fmt: skip
    return first, second


# --- registers ------------------------------------------------------------------------------------


def lane_count(size: int) -> int:
    """Elements of `size` bytes in a vector register."""
    return vector_bytes() // size


class Block(NamedTuple):
    """Neighbouring blocks of channels of one width: `number` of them, from channel `first` on."""

    first: int
    number: int
    lanes: tuple[int, ...]  # of the vectors of a block
    kept: tuple[int, ...]  # lanes that are channels; others, at the very end, are not

    @property
    def width(self) -> int:
        """Lanes of a block."""
        return sum(self.lanes)


def blocks_of(channels: int, columns: int, size: int, several_rows: bool = True) -> list[Block]:
    """The blocks in which `channels` are done, for rows of `columns` results.

    `several_rows` says whether a tile may have more than one row.
    """
    lanes = lane_count(size)
    rest = channels % lanes
    vectors = -(-channels // lanes)
    kept = [lanes] * (channels // lanes) + [rest] * bool(rest)
    wide = [lanes] * (channels // lanes) + [1 << (rest - 1).bit_length()] * bool(rest)
    each = min(
        range(1, min(vectors, 4) + 1),
        key=lambda v: row_cost(columns, vectors, v, several_rows) * (1.0 if v == 2 else 1.03),
    )  # panels of two vectors fit best into the first cache
    out: list[Block] = []
    for i in range(0, vectors, each):
        block = Block(i * lanes, 1, tuple(wide[i : i + each]), tuple(kept[i : i + each]))
        if out and out[-1][2:] == block[2:]:
            out[-1] = out[-1]._replace(number=out[-1].number + 1)
        else:
            out.append(block)
    return out


def row_cost(columns: int, vectors: int, each: int, several_rows: bool) -> float:
    """Cycles for a step over a row of results, in blocks of `each` vectors.

    Of a processor with two fma and two loads in a cycle, and four cycles until an fma is done.
    """

    def cycles(rows: int, v: int) -> float:
        return max(rows * v / 2, (rows + v) / 2, 4.0) + 0.02 * (rows + v)

    def block(v: int) -> float:
        together = rows_together(columns, v) if several_rows else 1
        larger, count, fewer = even_split(columns, most_rows(v) // together)
        total = count * cycles(together * larger, v) + fewer * cycles(together * (larger - 1), v)
        return total / together

    whole, rest = divmod(vectors, each)
    return whole * block(each) + (block(rest) if rest else 0.0)


def most_rows(vectors: int) -> int:
    """How many rows of `vectors` vectors stay in registers, beside a row of w and one of x."""
    return max(1, min(14, (vector_registers() - vectors - 1) // vectors))


def rows_together(columns: int, vectors: int) -> int:
    """Rows of results in a tile: several where there are few columns."""
    most = most_rows(vectors)
    return max(1, most // columns) if 2 * columns <= most else 1


def even_split(count: int, most: int) -> tuple[int, int, int]:
    """(larger, how many, how many one smaller): blocks of at most `most`, as even as can be."""
    blocks = -(-count // most)
    larger = -(-count // blocks)
    return larger, count - blocks * (larger - 1), blocks * larger - count
