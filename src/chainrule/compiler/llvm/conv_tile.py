"""The inner loops of a convolution: a block of results, held in registers over the whole window.

A tile is some pixels, `rows` x `columns`, by one block of the result's channels in a few vectors.
For every tap of the window and channel of x, a row of w meets one number of each pixel:

    acc[pixel, d] += x[pixel + tap, c] * w[tap, c, d]

Along a row of x, taps and channels lie one behind the other, so there they are one loop.
"""

from __future__ import annotations

from collections.abc import Iterator
from contextlib import contextmanager
from typing import NamedTuple

from chainrule.compiler.llvm.code import I64, Code, Value, constant, vector
from chainrule.compiler.llvm.conv_layout import Strip

UNROLL = 4  # steps in a round of the inner loop
WHOLE = 12  # an inner loop of up to so many steps is written out


class Taps(NamedTuple):
    """What a window sees: `along` taps of both axes, `step` entries of x apart, of `channels`
    channels each.
    """

    along: tuple[int, int]
    step: tuple[int, int]
    channels: int


class Tile(NamedTuple):
    """A block of results: pixels (rows, columns), `stride` entries of x apart; lanes of vectors."""

    rows: int
    columns: int
    stride: tuple[int, int]
    lanes: tuple[int, ...]

    @property
    def width(self) -> int:
        """The channels of a block."""
        return sum(self.lanes)


class TileWriter:
    """Writes one tile: `x` is the strip from the tile's first window on, `panel` its rows of w."""

    def __init__(self, code: Code, tile: Tile, taps: Taps, x: Strip, panel: Value, dtype):
        self.code, self.tile, self.taps, self.x, self.panel = code, tile, taps, x, panel
        self.element, self.size = dtype
        self.pixels = [
            (r * tile.stride[0] * x.row + c * tile.stride[1] * x.column) * self.size
            for r in range(tile.rows)
            for c in range(tile.columns)
        ]

    def sums(self) -> list[Value]:
        """The results, pixel by pixel, each in its vectors."""
        types = [vector(self.element, n) for n in self.tile.lanes] * len(self.pixels)
        sums = [constant(t, 0) for t in types]
        down, across = self.taps.along
        channels = self.taps.channels
        merged = self.taps.step[1] * self.x.column == channels or across == 1
        runs, length = (1, across * channels) if merged else (across, channels)
        rows = [(down, self.taps.step[0] * self.x.row), (runs, self.taps.step[1] * self.x.column)]
        return self._nest(rows, length, self.x.pointer, self.panel, sums)

    def _nest(self, loops, length: int, x: Value, panel: Value, sums) -> list[Value]:
        """Loops over taps, around the loop over what is contiguous."""
        if not loops:
            return self._run(length, x, panel, sums)
        (count, step), *inner = loops
        if count == 1:
            return self._nest(inner, length, x, panel, sums)
        code, size = self.code, self.size
        per_round = length * self.tile.width
        for n, _ in inner:
            per_round *= n
        with code.loop(0, count, carried=sums) as loop:
            at = code.offset(x, loop.index, step * size)
            rows = code.offset(panel, loop.index, per_round * size)
            loop.next(*self._nest(inner, length, at, rows, list(loop.carried)))
        return list(loop.results)

    def _run(self, length: int, x: Value, panel: Value, sums) -> list[Value]:
        if length <= WHOLE:
            for j in range(length):
                sums = self._step(x, panel, j, sums)
            return sums
        code, whole = self.code, length - length % UNROLL
        with code.loop(0, whole, UNROLL, carried=sums) as loop:
            at = code.offset(x, loop.index, self.size)
            rows = code.offset(panel, loop.index, self.tile.width * self.size)
            inside = list(loop.carried)
            for j in range(UNROLL):
                inside = self._step(at, rows, j, inside)
            loop.next(*inside)
        sums = list(loop.results)
        for j in range(whole, length):
            sums = self._step(x, panel, j, sums)
        return sums

    def _step(self, x: Value, panel: Value, j: int, sums) -> list[Value]:
        """One row of w, times one number of each pixel."""
        code, size, lanes = self.code, self.size, self.tile.lanes
        starts = [sum(lanes[:v]) + j * self.tile.width for v in range(len(lanes))]
        row = [
            code.load(code.offset(panel, start * size), vector(self.element, n))
            for start, n in zip(starts, lanes, strict=True)
        ]
        out = []
        for p, offset in enumerate(self.pixels):
            item = code.load(code.offset(x, offset + j * size), self.element)
            spread = {n: code.splat(item, n) for n in set(lanes)}
            for v, n in enumerate(lanes):
                out.append(code.fma(spread[n], row[v], sums[p * len(lanes) + v]))
        return out


@contextmanager
def if_marked(code: Code, tile: Tile, taps: Taps, marks: Strip | None) -> Iterator[None]:
    """What is written inside runs only where the windows of a tile see a mark; `marks` from the
    tile's first window on. Where there are none, it always runs."""
    if marks is None:
        yield
        return
    rows, columns = (
        (n - 1) * stride + (along - 1) * step + 1
        for n, stride, along, step in zip(
            (tile.rows, tile.columns), tile.stride, taps.along, taps.step, strict=True
        )
    )
    with code.loop(0, rows, carried=[constant(I64, 0)]) as loop:
        (seen,) = loop.carried
        row = marks.moved(code, loop.index, rows=1)
        for place, bits in _pieces(columns):
            piece = code.load(code.offset(row.pointer, place), f"i{bits}", align=1)
            seen = code.binary("or", seen, code.convert("zext", piece, I64))
        loop.next(seen)
    with code.if_(code.compare("ne", loop.results[0], constant(I64, 0))):
        yield


def _pieces(count: int) -> list[tuple[int, int]]:
    """Some bytes in a row in integers: (where it begins, bits)."""
    found, place = [], 0
    while place < count:
        size = next(s for s in (8, 4, 2, 1) if s <= count - place)
        found.append((place, 8 * size))
        place += size
    return found


def store_sums(
    code: Code, sums: list[Value], tile: Tile, kept, out: Value, strides: tuple[int, int], size: int
) -> None:
    """Write a tile's results: the lanes kept of each vector; `strides` in elements by pixels."""
    for number, value in enumerate(sums):
        pixel, v = divmod(number, len(tile.lanes))
        row, column = divmod(pixel, tile.columns)
        place = row * strides[0] + column * strides[1] + sum(tile.lanes[:v])
        if kept[v] < tile.lanes[v]:
            few = kept[v] > 1
            value = code.shuffle(value, value, range(kept[v])) if few else code.extract(value, 0)
        code.store(value, code.offset(out, place * size))
