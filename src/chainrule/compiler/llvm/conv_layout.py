"""Strips: rows of x laid out for a convolution, with its padding, in memory near at hand.

A task copies the rows that its windows see once, and then reads them without asking where x ends.
For a convolution of some channels the copy costs little beside the products; where nothing is
padded and the channels are contiguous, x is read in place.
"""

from __future__ import annotations

from typing import NamedTuple

from chainrule.compiler.llvm.code import Code, Index, Value, as_index, constant, vector
from chainrule.compiler.llvm.conv_geometry import Array, Axis, lane_count

STACK_BYTES = 196608  # of a strip on the stack; a larger one lies in the scratch memory


class Strip(NamedTuple):
    """Rows of x at hand: a pointer to the first, and strides in elements of `size` bytes.

    `marks` are bytes, one for each of its pixels, where some of these count (conv_again.py).
    """

    pointer: Value
    row: int
    column: int
    size: int
    marks: Strip | None = None

    def moved(self, code: Code, index: Index, rows: int = 0, columns: int = 0) -> Strip:
        """The strip from `index` times so many rows and columns further on."""
        step = rows * self.row + columns * self.column
        marks = None if self.marks is None else self.marks.moved(code, index, rows, columns)
        pointer = code.offset(self.pointer, index, step * self.size)
        return self._replace(pointer=pointer, marks=marks)


def fill(code: Code, pointer: Value, count: int, value: Value, size: int) -> None:
    """Write a number (a scalar) to `count` elements one behind the other."""
    _runs(code, count, size, lambda place, lanes: code.store(
        code.splat(value, lanes), code.offset(pointer, place, size)))  # fmt: skip


def copy(code: Code, source: Value, target: Value, count: int, element: str, size: int) -> None:
    """Copy `count` contiguous elements."""
    _runs(code, count, size, lambda place, lanes: code.store(
        code.load(code.offset(source, place, size), vector(element, lanes)),
        code.offset(target, place, size)))  # fmt: skip


def _runs(code: Code, count: int, size: int, write) -> None:
    """Do `write(place, lanes)` over `count` elements: four vectors a round, then what is left."""
    lanes = lane_count(size)
    whole = count - count % (4 * lanes)
    if whole:
        with code.loop(0, whole, 4 * lanes) as loop:
            for v in range(4):
                write(code.index_add(loop.index, v * lanes), lanes)
    place = whole
    while place < count:
        write(place, min(lanes, count - place))
        place += lanes


def copy_pixels(
    code: Code, source: Value, strides: tuple[int, int], target: Value, shape: tuple[int, int],
    step: int, element: str, size: int,
) -> None:  # fmt: skip
    """Copy (pixels, channels) of any strides; pixels come to lie `step` elements apart."""
    pixels, channels = shape
    if strides == (channels, 1) and step == channels:
        copy(code, source, target, pixels * channels, element, size)
        return
    with code.loop(0, pixels) as pixel:
        start = code.offset(source, code.index_mul(pixel.index, strides[0]), size)
        to = code.offset(target, code.index_mul(pixel.index, step), size)
        if strides[1] == 1:
            copy(code, start, to, channels, element, size)
        else:
            with code.loop(0, channels) as channel:
                place = code.index_mul(channel.index, strides[1])
                item = code.load(code.offset(start, place, size), element)
                code.store(item, code.offset(to, channel.index, size))


class StripMaker:
    """How tasks get their strips of x; `rows` results of the first axis at a time."""

    def __init__(self, x: Array, axes: tuple[Axis, Axis], rows: int, dtype: tuple[str, int]):
        self.x, self.axes, self.rows = x, axes, rows
        self.element, self.size = dtype
        self.direct = x.strides[3] == 1 and axes[0].inside and axes[1].inside
        self.row = axes[1].extent * x.shape[3]
        self.bytes = 0 if self.direct else axes[0].reach(rows) * self.row * self.size
        self.bytes += 0 if self.direct else 64
        self.on_stack = self.bytes <= STACK_BYTES

    def memory(self, code: Code) -> Value | None:
        """Memory on the stack for strips, which all tasks of a call use in turn."""
        return code.alloca(self.bytes) if self.bytes and self.on_stack else None

    def strip(self, code: Code, image: Value, first: Index, memory: Value | None) -> Strip:
        """The strip from result row `first` of an image on; `image` points to its first entry."""
        top, side = self.axes
        begin = code.index_add(code.index_mul(first, top.stride), -top.low)
        if self.direct:
            offset = code.index_add(
                code.index_mul(begin, self.x.strides[1]), -side.low * self.x.strides[2]
            )
            down, across = self.x.strides[1:3]
            return Strip(code.offset(image, offset, self.size), down, across, self.size)
        assert memory is not None
        with code.loop(0, top.reach(self.rows)) as row:
            target = code.offset(memory, code.index_mul(row.index, self.row), self.size)
            self._row(code, image, code.index_add(begin, row.index), target)
        return Strip(memory, self.row, self.x.shape[3], self.size)

    def _row(self, code: Code, image: Value, number: Index, target: Value) -> None:
        """One row of the strip: row `number` of x, or zeros where x has none."""
        zero = constant(self.element, 0)
        place = as_index(number)
        inside = code.compare("ult", place, as_index(self.x.shape[1]))
        with code.if_(inside):
            source = code.offset(image, code.index_mul(place, self.x.strides[1]), self.size)
            self._columns(code, source, target, zero)
        outside = code.binary("xor", inside, constant("i1", 1))
        with code.if_(outside):
            fill(code, target, self.row, zero, self.size)

    def _columns(self, code: Code, source: Value, target: Value, zero: Value) -> None:
        side, channels = self.axes[1], self.x.shape[3]
        first = min(max(side.low, 0), side.extent)  # x begins here
        last = max(min(side.low + side.n, side.extent), first)
        skipped, strides = max(-side.low, 0), (self.x.strides[2], self.x.strides[3])
        fill(code, target, first * channels, zero, self.size)
        if last > first:
            copy_pixels(
                code, code.offset(source, skipped * strides[0], self.size), strides,
                code.offset(target, first * channels, self.size), (last - first, channels),
                channels, self.element, self.size,
            )  # fmt: skip
        fill(
            code, code.offset(target, last * channels, self.size),
            (side.extent - last) * channels, zero, self.size,
        )  # fmt: skip


def rows_at_a_time(
    x: Array, axes: tuple[Axis, Axis], size: int, strip_bytes: int, least_tasks: int = 16
) -> int:
    """Result rows of a task: its strip stays near at hand, and there are tasks enough."""
    top, side = axes
    row_bytes = max(side.extent * x.shape[3] * size, 1)
    fitting = (strip_bytes // row_bytes - top.reach(1)) // top.stride + 1
    wanted = -(-top.results * x.shape[0] // least_tasks)
    rows = max(1, min(top.results, fitting, wanted))
    return -(-top.results // -(-top.results // rows))  # bands of one size
