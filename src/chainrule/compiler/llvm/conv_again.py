"""A convolution of images that differ in few places from others, whose convolution is known.

    phase 1   w packed, as for any convolution
    phase 2   a task for some rows of results: those known are copied; then every pixel that the
              windows see is marked where its bits are not those of the pixel before, and the tiles
              that see a mark are made again

A tile that is made again is what the whole convolution gives, to the bit, and so is one that is
copied: its windows see the same numbers.

Source    ours.
"""

from __future__ import annotations

from chainrule.compiler.kernel import HEAD, Kernel, Phase, Site
from chainrule.compiler.llvm.code import I64, Code, Index, Value, as_index, constant, vector
from chainrule.compiler.llvm.conv import MOST_PARTS, Convolution, is_native, packing, write_part
from chainrule.compiler.llvm.conv_geometry import Array, array_of, lane_count
from chainrule.compiler.llvm.conv_layout import (
    Strip,
    StripMaker,
    copy_pixels,
    fill,
    rows_at_a_time,
)
from chainrule.compiler.llvm.loops import HI, LO, argument_pointers, smaller

_STRIP_BYTES = 40960  # as in conv.py
_BYTE = "i8"


def emit_convolution_again(site: Site) -> Kernel | None:
    """The kernel of `convolution_again` without groups, as `convolution` has one."""
    if not is_native(site) or site.params["groups"] != 1 or not site.inputs[0].type.size:
        return None
    conv = Convolution(site)
    parts = conv.parts()
    if len(parts) > MOST_PARTS or not any(p.taps and q.taps for p, q in parts):
        return None
    again = _Again(conv)
    phases = [*packing(conv, 6), Phase(again.text(), again.tasks)]
    return Kernel(tuple(phases), scratch=again.scratch)


class _Again:
    """The second phase."""

    def __init__(self, conv: Convolution):
        self.conv = conv
        self.before, self.known = map(array_of, conv.site.inputs[2:])
        self.rows = rows_at_a_time(conv.x, conv.axes, conv.size, _STRIP_BYTES)
        self.maker = StripMaker(conv.x, conv.axes, self.rows, conv.dtype)
        self.bands = -(-conv.axes[0].results // self.rows)
        self.tasks = conv.x.shape[0] * self.bands
        self.width = conv.axes[1].extent  # marks in a row
        self.mark_bytes = _whole_lines(conv.axes[0].reach(self.rows) * self.width)
        strip_bytes = 0 if self.maker.on_stack else _whole_lines(self.maker.bytes)
        self.slot = self.mark_bytes + strip_bytes  # of a task's scratch memory
        self.scratch = conv.panel_bytes + self.tasks * self.slot

    def text(self) -> str:
        """The tasks: `bands` of them for each image."""
        code, conv = Code(), self.conv
        x, w, before, known, out, scratch = argument_pointers(code, 6)
        panels = scratch if conv.panel_bytes else w
        memory = self.maker.memory(code)
        differs = code.alloca(8)
        with code.loop(LO, HI) as task:
            own = code.offset(code.offset(scratch, conv.panel_bytes), task.index, self.slot)
            if memory is None and not self.maker.direct:
                memory = code.offset(own, self.mark_bytes)
            image = code.binary("udiv", task.index, constant(I64, self.bands))
            band = code.binary("urem", task.index, constant(I64, self.bands))
            first = code.index_mul(band, self.rows)
            last = smaller(code, code.index_add(first, self.rows), conv.axes[0].results)
            x_image, before_image, known_image, out_image = (
                code.offset(pointer, code.index_mul(image, array.strides[0]), conv.size)
                for pointer, array in (
                    (x, conv.x), (before, self.before), (known, self.known), (out, conv.out)
                )
            )  # fmt: skip
            self._copy(code, known_image, out_image, first, last)
            code.store(constant(I64, 0), differs)
            self._mark(code, x_image, before_image, first, own, differs)
            some = code.compare("ne", code.load(differs, I64), constant(I64, 0))
            with code.if_(some):
                strip = self.maker.strip(code, x_image, first, memory)
                strip = strip._replace(marks=Strip(own, self.width, 1, 1))
                for start, (p, q) in zip(conv.panels(), conv.parts(), strict=False):
                    panel = code.offset(panels, start * conv.size)
                    write_part(code, conv, strip, panel, out_image, first, last, p, q)
        code.line("ret void")
        return code.function(HEAD)

    def _copy(self, code: Code, known: Value, out: Value, first: Index, last: Index) -> None:
        """The rows of results of all parts, from first to last - 1 of these."""
        conv, step = self.conv, self.conv.axes[0].step
        _, height, width, channels = conv.out.shape
        _, down, *across = self.known.strides
        stop = smaller(code, code.index_mul(last, step), height)
        with code.loop(code.index_mul(first, step), stop) as row:
            source = code.offset(known, code.index_mul(row.index, down), conv.size)
            target = code.offset(out, code.index_mul(row.index, conv.out.strides[1]), conv.size)
            copy_pixels(
                code, source, (across[0], across[1]), target, (width, channels), channels,
                conv.element, conv.size,
            )  # fmt: skip

    def _mark(self, code, x: Value, before: Value, first: Index, marks: Value, differs) -> None:
        """Marks for the strip from result row `first` on; `differs` holds whether there are any."""
        top, conv = self.conv.axes[0], self.conv
        begin = code.index_add(code.index_mul(first, top.stride), -top.low)
        with code.loop(0, top.reach(self.rows)) as row:
            target = code.offset(marks, row.index, self.width)
            fill(code, target, self.width, constant(_BYTE, 0), 1)
            place = as_index(code.index_add(begin, row.index))
            with code.if_(code.compare("ult", place, as_index(conv.x.shape[1]))):
                here, there = (
                    code.offset(pointer, code.index_mul(place, array.strides[1]), conv.size)
                    for pointer, array in ((x, conv.x), (before, self.before))
                )
                self._mark_row(code, here, there, target, differs)

    def _mark_row(self, code: Code, x: Value, before: Value, marks: Value, differs: Value) -> None:
        side, conv = self.conv.axes[1], self.conv
        first = min(max(side.low, 0), side.extent)  # x begins here
        count = max(min(side.low + side.n, side.extent), first) - first
        skipped = max(-side.low, 0)
        x = code.offset(x, skipped * conv.x.strides[2], conv.size)
        before = code.offset(before, skipped * self.before.strides[2], conv.size)
        marks, channels = code.offset(marks, first), conv.x.shape[3]
        strides = conv.x.strides[3], self.before.strides[3]
        if all(_lie_together(array) for array in (conv.x, self.before)):
            other = self._other_bits(code, x, before, count * channels, strides)
        else:
            other = constant(I64, 1)
        with code.if_(code.compare("ne", other, constant(I64, 0))):
            with code.loop(0, count) as pixel:
                here, there = (
                    code.offset(pointer, code.index_mul(pixel.index, array.strides[2]), conv.size)
                    for pointer, array in ((x, conv.x), (before, self.before))
                )
                other = self._other_bits(code, here, there, channels, strides)
                mark = code.convert("zext", code.compare("ne", other, constant(I64, 0)), _BYTE)
                code.store(mark, code.offset(marks, pixel.index))
                code.store(code.binary("or", code.load(differs, I64), other), differs)

    def _other_bits(
        self, code: Code, x: Value, y: Value, count: int, strides: tuple[int, int]
    ) -> Value:
        """An i64 that is 0 where `count` numbers have the same bits as others."""
        size = self.conv.size
        element = f"i{8 * size}"
        lanes = lane_count(size) if strides == (1, 1) else 1
        whole, type_ = count - count % lanes, vector(element, lanes)

        def gathered(place: Index, found: Value, type_: str) -> Value:
            one, other = (
                code.load(code.offset(pointer, code.index_mul(place, stride), size), type_)
                for pointer, stride in zip((x, y), strides, strict=True)
            )
            return code.binary("or", found, code.binary("xor", one, other))

        with code.loop(0, whole, lanes, carried=[constant(type_, 0)]) as loop:
            loop.next(gathered(loop.index, loop.carried[0], type_))
        found = constant(element, 0)
        for lane in range(lanes if whole else 0):
            found = code.binary("or", found, code.extract(loop.results[0], lane))
        for place in range(whole, count):
            found = gathered(place, found, element)
        return code.convert("zext", found, I64)


def _lie_together(array: Array) -> bool:
    """Whether the pixels of a row lie one behind the other, each of them in one piece."""
    return array.strides[2:] == (array.shape[3], 1)


def _whole_lines(count: int) -> int:
    return -(-count // 64) * 64
