"""Convolution as native code: register tiles over rows of x laid out with their padding.

    phase 1   w packed: for each part, each block of the result's channels is a panel whose rows,
              by tap and channel of x, lie one behind the other (left out where w lies so)
    phase 2   a task for some rows of results of one image: the strip of x that they see, then for
              each part and panel the tiles of all pixels

Source    direct convolution in blocks of registers as in Georganas et al., "Anatomy of
          high-performance deep learning convolutions on SIMD architectures", SC 2018; the parts of
          a dilated x as in Odena et al., "Deconvolution and checkerboard artifacts", 2016, sec. 3.
"""

from __future__ import annotations

import numpy as np

from chainrule.compiler.kernel import HEAD, Kernel, Phase, Site
from chainrule.compiler.llvm.code import I64, Code, Index, Value, constant, element_type, vector
from chainrule.compiler.llvm.conv_depthwise import emit_depthwise, is_depthwise
from chainrule.compiler.llvm.conv_geometry import (
    Block,
    Part,
    array_of,
    axes_of,
    blocks_of,
    even_split,
    most_rows,
    options_of,
    rows_together,
)
from chainrule.compiler.llvm.conv_layout import Strip, StripMaker, fill, rows_at_a_time
from chainrule.compiler.llvm.conv_tile import Taps, Tile, TileWriter, if_marked, store_sums
from chainrule.compiler.llvm.loops import HI, LO, argument_pointers, smaller

MOST_PARTS = 16  # each has code of its own
STRIP_BYTES = 40960  # of the strip of a task: beside the weights, in the first two caches


class Convolution:
    """The numbers of one site."""

    def __init__(self, site: Site):
        self.site = site
        dtype = site.inputs[0].type.dtype
        self.element, self.size = element_type(dtype), dtype.itemsize
        self.dtype = self.element, self.size
        self.x, self.out = array_of(site.inputs[0]), array_of(site.outputs[0])
        window = site.inputs[1].type.shape[:-2]
        self.options = options_of(site, window)
        self.axes = axes_of(self.options, self.x, self.out)
        self.groups = site.params["groups"]
        self.inner = self.x.shape[3] // self.groups
        self.outer = self.out.shape[3] // self.groups
        columns = max([q.results for q in self.axes[1].parts], default=1)
        self.blocks = blocks_of(self.outer, columns, self.size)
        self.padded = sum(b.number * b.width for b in self.blocks)  # channels of a group, in panels
        self.w_strides = site.inputs[1].strides
        if len(window) == 1:
            self.w_strides = (0, *self.w_strides)

    def parts(self) -> list[tuple[Part, Part]]:
        """Every part along both axes."""
        return [(p, q) for p in self.axes[0].parts for q in self.axes[1].parts]

    def panels(self) -> list[int]:
        """Where the panels of each part begin, in elements; their end."""
        starts = [0]
        for p, q in self.parts():
            starts.append(starts[-1] + p.taps * q.taps * self.inner * self.padded * self.groups)
        return starts

    @property
    def panel_bytes(self) -> int:
        """Of the scratch memory that holds the panels."""
        return 0 if self.packed_already else -(-self.panels()[-1] * self.size // 64) * 64

    @property
    def packed_already(self) -> bool:
        """Whether w lies as its panels would."""
        shape = (*self.options.window, self.inner, self.outer)
        strides = (shape[1] * self.inner * self.outer, self.inner * self.outer, self.outer, 1)
        axes = zip(shape, self.w_strides, strides, strict=True)
        lies_so = all(s == t or n == 1 for n, s, t in axes)
        one = len(self.parts()) == 1 and self.groups == 1 and len(self.blocks) == 1
        return one and lies_so and self.blocks[0].number == 1 and self.padded == self.outer


def emit_convolution(site: Site) -> Kernel | None:
    """The kernel of `convolution`, of one or two spatial axes, in float32 or float64."""
    if not is_native(site):
        return None
    if is_depthwise(site, site.outputs[0].type.shape[-1]) and site.inputs[0].type.size:
        return emit_depthwise(site)
    conv = Convolution(site)
    if len(conv.parts()) > MOST_PARTS:
        return None
    if 0 in conv.x.shape or not any(p.taps and q.taps for p, q in conv.parts()):
        return None if conv.out.shape[0] else Kernel(())
    rows = rows_at_a_time(conv.x, conv.axes, conv.size, STRIP_BYTES)
    maker = StripMaker(conv.x, conv.axes, rows, conv.dtype)
    bands = -(-conv.axes[0].results // rows)
    tasks = conv.x.shape[0] * bands
    panels = conv.panel_bytes
    strips = 0 if maker.on_stack else tasks * -(-maker.bytes // 64) * 64
    phases = packing(conv)
    phases.append(Phase(_products(conv, maker, bands, panels), tasks))
    return Kernel(tuple(phases), scratch=panels + strips)


def is_native(site: Site) -> bool:
    """Whether the types have a native form: floats, one or two spatial axes, a usual output."""
    places = (*site.inputs, *site.outputs)
    return (
        all(p.type.dtype in (np.float32, np.float64) for p in places)
        and site.inputs[0].type.ndim in (3, 4)
        and all(p.literal is None for p in site.inputs)
        and all(p.contiguous for p in site.outputs)
        and all(p.type.size for p in site.outputs)
    )


# --- packing --------------------------------------------------------------------------------------


def packing(conv: Convolution, arguments: int = 4) -> list[Phase]:
    """What copies w into panels, in the last of the arguments; a task does one channel of x."""
    if conv.packed_already:
        return []
    code = Code()
    _, w, *_, scratch = argument_pointers(code, arguments)
    with code.loop(LO, HI) as channel:
        for start, (p, q) in zip(conv.panels(), conv.parts(), strict=False):
            if p.taps and q.taps:
                panels = code.offset(scratch, start * conv.size)
                _pack_part(code, conv, w, panels, p, q, channel.index)
    code.line("ret void")
    return [Phase(code.function(HEAD), conv.inner)]


def _pack_part(code: Code, conv: Convolution, w: Value, panels: Value, p, q, channel) -> None:
    """One channel of the panels of a part."""
    down, across, inner, outer = conv.w_strides
    size, taps = conv.size, p.taps * q.taps
    with code.loop(0, p.taps) as i, code.loop(0, q.taps) as j, code.loop(0, conv.groups) as g:
        source: Index = code.index_mul(i.index, down * conv.axes[0].tap_step)
        source = code.index_add(source, code.index_mul(j.index, across * conv.axes[1].tap_step))
        source = code.index_add(source, p.tap * down + q.tap * across)
        source = code.index_add(source, code.index_mul(channel, inner))
        source = code.index_add(source, code.index_mul(g.index, outer * conv.outer))
        row = code.index_add(code.index_mul(i.index, q.taps), j.index)
        row = code.index_add(code.index_mul(row, conv.inner), channel)
        group = code.index_mul(g.index, taps * conv.inner * conv.padded)
        for block in conv.blocks:
            width = block.width
            with code.loop(0, block.number) as b:
                to = code.index_add(group, code.index_mul(b.index, taps * conv.inner * width))
                to = code.index_add(to, block.first * taps * conv.inner)
                to = code.index_add(to, code.index_mul(row, width))
                first = code.index_add(code.index_mul(b.index, width), block.first)
                at = code.index_add(source, code.index_mul(first, outer))
                _copy_row(
                    code, code.offset(w, at, size), outer, code.offset(panels, to, size),
                    block, conv.dtype,
                )  # fmt: skip


def _copy_row(code: Code, source: Value, stride: int, target: Value, block: Block, dtype) -> None:
    """A row of a panel: the channels of a block, then zeros where it is wider."""
    element, size = dtype
    start = 0
    for n, kept in zip(block.lanes, block.kept, strict=True):
        if stride == 1 and n == kept:
            value = code.load(code.offset(source, start * size), vector(element, n))
        else:
            value = constant(vector(element, n), 0)
            for lane in range(kept):
                item = code.load(code.offset(source, (start + lane) * stride * size), element)
                value = code.insert(value, item, lane) if n > 1 else item
        code.store(value, code.offset(target, start * size))
        start += n


# --- products -------------------------------------------------------------------------------------


def _products(conv: Convolution, maker: StripMaker, bands: int, panels: int) -> str:
    """The tasks: `bands` of them for each image."""
    code = Code()
    needs_scratch = bool(panels) or not maker.on_stack
    x, w, out, *more = argument_pointers(code, 3 + needs_scratch)
    memory = maker.memory(code)
    with code.loop(LO, HI) as task:
        if memory is None and not maker.direct:
            slot = -(-maker.bytes // 64) * 64
            memory = code.offset(code.offset(more[0], panels), task.index, slot)
        image = code.binary("udiv", task.index, constant(I64, bands))
        band = code.binary("urem", task.index, constant(I64, bands))
        first = code.index_mul(band, maker.rows)
        last = smaller(code, code.index_add(first, maker.rows), conv.axes[0].results)
        at = code.offset(x, code.index_mul(image, conv.x.strides[0]), conv.size)
        strip = maker.strip(code, at, first, memory)
        target = code.offset(out, code.index_mul(image, conv.out.strides[0]), conv.size)
        for start, (p, q) in zip(conv.panels(), conv.parts(), strict=False):
            panel = code.offset(more[0], start * conv.size) if panels else w
            write_part(code, conv, strip, panel, target, first, last, p, q)
    code.line("ret void")
    return code.function(HEAD)


def write_part(code, conv: Convolution, strip: Strip, panel, out, first, last, p: Part, q: Part):
    """All results of one part in rows first to last - 1 of its axis; of a strip with marks, those
    of the tiles whose windows see one."""
    top, side = conv.axes
    size = conv.size
    rows = code.index_add(smaller(code, last, p.results), code.index_mul(first, -1))
    row, column = top.step * conv.out.strides[1], side.step * conv.out.strides[2]
    start = code.index_add(
        code.index_mul(first, row), p.first * conv.out.strides[1] + q.first * conv.out.strides[2]
    )
    out = code.offset(out, start, size)
    if not (p.taps and q.taps):
        with code.loop(0, rows) as i, code.loop(0, q.results) as j:
            place = code.index_add(code.index_mul(i.index, row), code.index_mul(j.index, column))
            zero = constant(conv.element, 0)
            fill(code, code.offset(out, place, size), conv.out.shape[3], zero, size)
        return
    strip = strip.moved(code, 1, p.shift, q.shift)
    taps = p.taps * q.taps * conv.inner
    with code.loop(0, conv.groups) as group:
        panels = code.offset(panel, group.index, taps * conv.padded * size)
        x = strip._replace(pointer=code.offset(strip.pointer, group.index, conv.inner * size))
        for block in conv.blocks:
            with code.loop(0, block.number) as b:
                channel = code.index_add(code.index_mul(b.index, block.width), block.first)
                rows_of_w = code.offset(panels, channel, taps * size)
                channel = code.index_add(channel, code.index_mul(group.index, conv.outer))
                place = code.offset(out, channel, size)
                _pixels(code, conv, x, rows_of_w, place, rows, (row, column), block, p, q)


def _pixels(code, conv, x: Strip, panel, out, rows, strides, block: Block, p: Part, q: Part):
    """All pixels of a part by one block of channels; few columns go several rows at a time."""
    together = rows_together(q.results, len(block.lanes))
    if together == 1:
        with code.loop(0, rows) as row:
            _row(code, conv, x, panel, out, row.index, 1, strides, block, p, q)
        return
    whole = code.binary("udiv", rows, constant(I64, together))
    stop = code.index_mul(whole, together)
    with code.loop(0, stop, together) as row:
        _row(code, conv, x, panel, out, row.index, together, strides, block, p, q)
    with code.loop(stop, rows) as row:
        _row(code, conv, x, panel, out, row.index, 1, strides, block, p, q)


def _row(code, conv, x: Strip, panel, out, row, together, strides, block, p: Part, q: Part) -> None:
    top, side = conv.axes
    size = conv.size
    taps = Taps((p.taps, q.taps), (top.dilation, side.dilation), conv.inner)
    x = x.moved(code, row, rows=top.stride)
    out = code.offset(out, row, strides[0] * size)
    larger, count, smaller_count = even_split(q.results, most_rows(len(block.lanes)) // together)
    first = 0
    for columns, number in ((larger, count), (larger - 1, smaller_count)):
        tile = Tile(together, columns, (top.stride, side.stride), block.lanes)
        if not number:
            continue
        with code.loop(0, number) as group:
            column = code.index_add(code.index_mul(group.index, columns), first)
            at = x.moved(code, column, columns=side.stride)
            with if_marked(code, tile, taps, at.marks):
                sums = TileWriter(code, tile, taps, at, panel, conv.dtype).sums()
                target = code.offset(out, column, strides[1] * size)
                store_sums(code, sums, tile, block.kept, target, strides, size)
        first += columns * number
