"""Loops over windows, channel by channel: images, channels, rows, columns, then taps.

A task is an image, some rows of its results, and a block of channels in a few vectors. Columns
whose window lies in the image have their taps written out; the others, at the borders, ask which
taps do. Nothing is copied. With x_dilation the results fall into parts, as in conv_geometry.py;
where there would be many, each result asks instead which entries its window meets.
"""

from __future__ import annotations

import math
from collections.abc import Callable
from typing import NamedTuple

from chainrule.compiler.kernel import HEAD, Phase, Place, Site
from chainrule.compiler.llvm.code import (
    I64,
    Code,
    Index,
    Value,
    as_index,
    constant,
    element_type,
    vector,
)
from chainrule.compiler.llvm.conv_geometry import (
    Array,
    Axis,
    Part,
    array_of,
    axes_of,
    lane_count,
    options_of,
)
from chainrule.compiler.llvm.loops import HI, LO, argument_pointers, smaller, task_count

VECTORS = 4  # of channels in a block
BAND_BYTES = 65536  # of a band: its blocks of channels follow each other and find it in the cache
WRITTEN_OUT = 16  # taps that are written out one after the other
MOST_PARTS = 4  # along an axis


class Pool:
    """The numbers of one site; `x` and `out` say where the windows are and where the results."""

    def __init__(self, site: Site, x: Place, out: Place, window=None):
        self.x, self.out = array_of(x), array_of(out)
        self.element, self.size = element_type(x.type.dtype), x.type.dtype.itemsize
        self.options = options_of(site, site.params["window"] if window is None else window)
        self.axes = axes_of(self.options, self.x, self.out)
        self.asking = (self._is_asking(0), self._is_asking(1))
        self.taps = math.prod(self.options.window)

    def _is_asking(self, a: int) -> bool:
        """Whether results along an axis ask what they meet: entries in a row."""
        return len(self.axes[a].parts) > MOST_PARTS and self.options.w_dilation[a] == 1

    def parts(self, a: int) -> tuple[Part, ...]:
        """The parts along an axis; one where results ask, its taps the entries of x."""
        if not self.asking[a]:
            return self.axes[a].parts
        return (Part(0, self.out.shape[a + 1], 0, self.x.shape[a + 1], 0),)

    def blocks(self) -> list[tuple[int, int, tuple[int, ...]]]:
        """(first, how many, lanes of their vectors): blocks of channels, by their width."""
        channels, lanes = self.x.shape[3], lane_count(self.size)
        wide = VECTORS * lanes
        out = []
        if channels >= wide:
            out.append((0, channels // wide, (lanes,) * VECTORS))
        rest = channels % wide
        if rest:
            few = (lanes,) * (rest // lanes) + ((rest % lanes,) if rest % lanes else ())
            out.append((channels - rest, 1, few))
        return out

    def bands(self) -> tuple[int, int]:
        """(how many, rows in each): into how many bands the results of an image are cut."""
        rows = self.parts(0)[0].results
        work = math.prod(self.out.shape) * (self.taps + 2) // lane_count(self.size)
        wanted = -(-task_count(8 * work) // self.x.shape[0])
        each = -(-rows // min(rows, wanted))
        images = math.prod(self.x.shape[1:]) + math.prod(self.out.shape[1:])
        each = min(each, max(1, BAND_BYTES * rows // (images * self.size)))
        return -(-rows // each), each


class Operand(NamedTuple):
    """An array at the place that is being done: a pointer and strides in elements."""

    pointer: Value
    strides: tuple[int, ...]

    def moved(self, code: Code, axis: int, index: Index, size: int) -> Operand:
        """The array further along an axis."""
        place = code.index_mul(index, self.strides[axis])
        return self._replace(pointer=code.offset(self.pointer, place, size))


def operands(code: Code, arrays: list[Array]) -> list[Operand]:
    """The kernel's arguments, one for each array."""
    pointers = argument_pointers(code, len(arrays))
    return [Operand(p, a.strides) for p, a in zip(pointers, arrays, strict=True)]


def load_lanes(code: Code, operand: Operand, lanes: tuple[int, ...], type_: tuple[str, int]):
    """Neighbouring channels of an array, in vectors of these lanes."""
    element, size = type_
    out, channel, step = [], 0, operand.strides[3]
    for n in lanes:
        if step == 1 or n == 1:
            place = code.offset(operand.pointer, channel * step * size)
            out.append(code.load(place, vector(element, n)))
        else:
            value = Value("poison", vector(element, n))
            for lane in range(n):
                place = code.offset(operand.pointer, (channel + lane) * step * size)
                value = code.insert(value, code.load(place, element), lane)
            out.append(value)
        channel += n
    return out


def store_lanes(code: Code, values, operand: Operand, lanes: tuple[int, ...], size: int) -> None:
    """Write neighbouring channels of a contiguous array."""
    for v, value in enumerate(values):
        code.store(value, code.offset(operand.pointer, sum(lanes[:v]) * size))


Pixel = Callable[["Window", list[Operand], tuple[int, ...]], None]


def window_phases(
    pool: Pool, arrays: list[Array], seen: list[int], pixel: Pixel, kernels: tuple[int, ...] = ()
) -> list[Phase]:
    """A phase for each width of blocks of channels, whose tasks call `pixel` at every result.

    `arrays` are those of the arguments, in order; `seen` numbers those that windows look at, and
    `kernels` those that lie over the window itself; the others lie as the results do.
    `pixel(window, operands, lanes)` writes what is done at a result: operands as the result has
    them, and as `window.taps` gives them tap by tap.
    """
    phases = []
    bands, rows = pool.bands()
    for first, number, lanes in pool.blocks():
        code = Code()
        places = operands(code, arrays)
        with code.loop(LO, HI) as task:
            index, block = _divided(code, task.index, number)
            image, band = _divided(code, index, bands)
            channel = code.index_add(code.index_mul(block, sum(lanes)), first)
            here = [
                o.moved(code, 0, image, pool.size).moved(code, 3, channel, pool.size)
                for o in places
            ]
            start = code.index_mul(band, rows)
            stop = smaller(code, code.index_add(start, rows), pool.parts(0)[0].results)
            for p in pool.parts(0):
                with code.loop(start, smaller(code, stop, p.results)) as row:
                    for q in pool.parts(1):
                        window = Window(code, pool, (p, q), seen, kernels)
                        _row(window, window.at(here, 0, row.index), lanes, pixel)
        code.line("ret void")
        phases.append(Phase(code.function(HEAD), pool.x.shape[0] * bands * number))
    return phases


def _divided(code: Code, index: Index, by: int) -> tuple[Index, Index]:
    """Quotient and remainder."""
    if by == 1:
        return index, 0
    divisor = constant(I64, by)
    return code.binary("udiv", as_index(index), divisor), code.binary(
        "urem", as_index(index), divisor
    )


def _row(window: Window, here: list[Operand], lanes, pixel: Pixel) -> None:
    """The results of one part in a row."""
    code, pool, q = window.code, window.pool, window.parts[1]
    begin, end = (0, 0) if pool.asking[1] else interior(pool.axes[1], q)
    for first, last, inside in ((0, begin, False), (begin, end, True), (end, q.results, False)):
        if last > first:
            with code.loop(first, last) as column:
                window.columns = window.bounds(1, column.index, inside)
                pixel(window, window.at(here, 1, column.index), lanes)


def interior(axis: Axis, part: Part) -> tuple[int, int]:
    """The results of a part, first and behind the last, whose windows lie in x."""
    if not part.taps:
        return 0, part.results
    begin = -((part.shift - axis.low) // axis.stride)
    last = axis.n - 1 - (part.taps - 1) * axis.dilation + axis.low - part.shift
    begin = min(max(begin, 0), part.results)
    return begin, min(max(last // axis.stride + 1, begin), part.results)


class Window:
    """The taps of a window at one result."""

    def __init__(self, code: Code, pool: Pool, parts: tuple[Part, Part], seen, kernels=()):
        self.code, self.pool, self.parts = code, pool, parts
        self.seen, self.kernels = seen, kernels
        self.type = pool.element, pool.size
        self.rows: tuple[Index, Index] = (0, 0)
        self.columns: tuple[Index, Index] = (0, 0)

    def at(self, arrays: list[Operand], axis: int, index: Value) -> list[Operand]:
        """The arrays at a result: where its window begins, or where the result lies."""
        code, pool, part = self.code, self.pool, self.parts[axis]
        geometry = pool.axes[axis]
        begin = code.index_add(
            code.index_mul(index, geometry.stride), part.shift - geometry.low
        )
        place = code.index_add(code.index_mul(index, geometry.step), part.first)
        if pool.asking[axis]:
            begin, place = 0, index
        if axis == 0:
            self.rows = self.bounds(0, index, geometry.inside and not pool.asking[0])
        return [
            o.moved(code, axis + 1, self._entry(i, begin, part.tap, place), pool.size)
            for i, o in enumerate(arrays)
        ]

    def _entry(self, i: int, seen: Index, tap: Index, result: Index) -> Index:
        """Of three indices the one that fits array number i."""
        return seen if i in self.seen else tap if i in self.kernels else result

    def bounds(self, axis: int, index: Value, inside: bool) -> tuple[Index, Index]:
        """Which taps lie in x along an axis: the first, and behind the last."""
        code, part, geometry = self.code, self.parts[axis], self.pool.axes[axis]
        if inside or not part.taps:
            return 0, part.taps
        if self.pool.asking[axis]:
            return self._met(axis, index)
        before = code.index_add(
            code.index_mul(index, -geometry.stride), geometry.low - part.shift
        )  # so many entries of the window lie before x
        low, high = (
            self._ceiling(code.index_add(before, more), geometry.dilation)
            for more in (0, geometry.n)
        )
        return code.intrinsic("smax", low, constant(I64, 0)), smaller(code, high, part.taps)

    def _met(self, axis: int, index: Value) -> tuple[Index, Index]:
        """The entries of x that a window meets where x has holes: the first, and behind the last.

        Entry i lies at low + x_dilation * i, the window from strides * index on.
        """
        code, options = self.code, self.pool.options
        begin = code.index_add(
            code.index_mul(index, options.strides[axis]), -options.low[axis]
        )
        holes, window = options.x_dilation[axis], options.window[axis]
        low = self._ceiling(begin, holes)
        high = self._ceiling(code.index_add(begin, window), holes)
        return code.intrinsic("smax", low, constant(I64, 0)), smaller(
            code, high, self.pool.x.shape[axis + 1]
        )

    def _ceiling(self, index: Index, by: int) -> Value:
        """index / by rounded up, where positive; else anything not positive."""
        if by == 1:
            return as_index(index)
        code = self.code
        return code.binary("sdiv", as_index(code.index_add(index, by - 1)), constant(I64, by))

    def taps(self, arrays: list[Operand], carried: list[Value], body) -> list[Value]:
        """Do `body(arrays at the tap, carried) -> carried` at every tap that lies in x.

        The arrays are those that are seen, then those that lie over the window.
        """
        looked_at = [arrays[i] for i in (*self.seen, *self.kernels)]
        return self._along(0, looked_at, carried, body)

    def _along(self, axis: int, arrays, carried, body) -> list[Value]:
        if axis == 2:
            return body(arrays, carried)
        code = self.code
        start, stop = (self.rows, self.columns)[axis]
        if isinstance(start, int) and isinstance(stop, int) and self._few():
            for i in range(start, stop):
                moved = self._at_tap(arrays, axis, i)
                carried = self._along(axis + 1, moved, carried, body)
            return carried
        if start == stop:
            return carried
        with code.loop(start, stop, carried=carried) as loop:
            moved = self._at_tap(arrays, axis, loop.index)
            loop.next(*self._along(axis + 1, moved, list(loop.carried), body))
        return list(loop.results)

    def _at_tap(self, arrays: list[Operand], axis: int, tap: Index) -> list[Operand]:
        """The arrays that are looked at, further by a number of taps."""
        code, geometry = self.code, self.pool.axes[axis]
        step = 1 if self.pool.asking[axis] else geometry.dilation
        steps = [step] * len(self.seen) + [geometry.tap_step] * len(self.kernels)
        return [
            o.moved(code, axis + 1, code.index_mul(tap, by), self.pool.size)
            for o, by in zip(arrays, steps, strict=True)
        ]

    def _few(self) -> bool:
        return self.parts[0].taps * self.parts[1].taps <= WRITTEN_OUT
