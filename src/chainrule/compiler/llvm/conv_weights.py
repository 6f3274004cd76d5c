"""The weights' gradient of a convolution as native code: v[k, c, d] = sum of x[o + k, c] y[o, d].

    phase 1   zeros where sums are added up: a slot for each chunk of images, or bands of their rows
    phase 2   a task for a chunk and some channels of y: for each block of v, held in registers, the
              sum over all results of a band
    phase 3   the sums of all chunks added, in their order; there is none where one chunk is all

A row of the strip of x holds taps and channels one behind the other, as v does: a block of v is
some of these numbers by some vectors of d. Where y is not contiguous in d it is copied first.
"""

from __future__ import annotations

from chainrule.compiler.kernel import HEAD, Kernel, Phase, Site, c_strides
from chainrule.compiler.llvm.code import I64, Code, Index, Value, constant, element_type, vector
from chainrule.compiler.llvm.conv import MOST_PARTS, is_native
from chainrule.compiler.llvm.conv_depthwise import emit_depthwise_weights, is_depthwise
from chainrule.compiler.llvm.conv_geometry import (
    Array,
    Block,
    Part,
    array_of,
    axes_of,
    blocks_of,
    even_split,
    lane_count,
    most_rows,
    options_of,
)
from chainrule.compiler.llvm.conv_layout import (
    STACK_BYTES,
    Strip,
    StripMaker,
    copy_pixels,
    fill,
    rows_at_a_time,
)
from chainrule.compiler.llvm.loops import HI, LO, argument_pointers, smaller

STRIP_BYTES = 32768  # of the strip of a task: it is read once for every block of v
MOST_TASKS = 16
SUMS_BYTES = 1 << 22  # of the slots of all chunks
LEAST_RESULTS = 96  # of a band, so that adding its sums to the slot costs little beside them
UNROLL = 4


class Weights:
    """The numbers of one site."""

    def __init__(self, site: Site):
        dtype = site.inputs[0].type.dtype
        self.element, self.size = element_type(dtype), dtype.itemsize
        self.dtype = self.element, self.size
        self.x, self.y = array_of(site.inputs[0]), array_of(site.inputs[1])
        window = site.params["window"]
        self.options = options_of(site, window)
        self.axes = axes_of(self.options, self.x, self.y)
        self.groups = site.params["groups"]
        self.inner = self.x.shape[3] // self.groups
        self.outer = self.y.shape[3] // self.groups
        self.total = site.outputs[0].type.size
        side = self.axes[1]
        self.merged = self.groups == 1 and side.dilation == 1 and side.tap_step == 1
        self.length = self.inner * (side.taps if self.merged else 1)
        self.blocks = blocks_of(self.outer, self.length, self.size, several_rows=False)
        rows = self._rows()
        self.strips = StripMaker(self.x, self.axes, rows, self.dtype)
        self.merged &= not self.strips.direct or self.x.strides[2] == self.x.shape[3]
        if not self.merged:
            self.length = self.inner
        self.bands = -(-self.axes[0].results // rows)
        self.units = self.x.shape[0] * self.bands
        most = max(1, SUMS_BYTES // max(self.total * self.size, 1))
        self.each = -(-self.units // min(self.units, MOST_TASKS, most))
        self.chunks = -(-self.units // self.each)
        first = self.blocks[0].number if self.groups == 1 else 1
        self.share = -(-first // max(1, min(first, MOST_TASKS // self.chunks)))
        self.splits = -(-first // self.share)  # of the first blocks of channels, of one width
        self.slot = -(-self.total * self.size // 64) * 64
        self.copied_y = self.y.strides[3] != 1

    def _rows(self) -> int:
        """Rows of results in a band."""
        rows = rows_at_a_time(self.x, self.axes, self.size, STRIP_BYTES, 1)
        top, side = self.axes
        if not (rows and side.results):
            return rows
        fitting = STACK_BYTES // max(side.extent * self.x.shape[3] * self.size, 1)
        fitting = (fitting - top.reach(1)) // top.stride + 1
        enough = min(-(-LEAST_RESULTS // side.results), top.results, max(fitting, 1))
        return max(rows, enough)


def emit_convolution_weights(site: Site) -> Kernel | None:
    """The kernel of `convolution_weights`, of one or two spatial axes, float32 or float64."""
    if not is_native(site) or not (site.inputs[0].type.size and site.inputs[1].type.size):
        return None
    if is_depthwise(site, site.outputs[0].type.shape[-1]):
        return emit_depthwise_weights(site)
    weights = Weights(site)
    if len(weights.axes[0].parts) * len(weights.axes[1].parts) > MOST_PARTS:
        return None
    if not any(p.taps for p in weights.axes[0].parts) or not weights.strips.on_stack:
        return None
    if not any(q.taps for q in weights.axes[1].parts):
        return None
    y_bytes = -(-site.inputs[1].type.nbytes // 64) * 64 if weights.copied_y else 0
    phases = []
    if weights.copied_y:
        phases.append(Phase(_copy_of_y(weights), weights.y.shape[0]))
        weights.y = Array(weights.y.shape, c_strides(weights.y.shape))
    sums = weights.chunks > 1
    phases.append(Phase(_zeros(weights, y_bytes), weights.chunks))
    phases.append(Phase(_sums(weights, y_bytes), weights.chunks * weights.splits))
    if sums:
        phases.append(Phase(_total(weights, y_bytes), _total_tasks(weights)))
    return Kernel(tuple(phases), scratch=y_bytes + sums * weights.chunks * weights.slot)


def _copy_of_y(weights: Weights) -> str:
    code = Code()
    _, y, _, scratch = argument_pointers(code, 4)
    (_, height, width, channels), strides = weights.y
    with code.loop(LO, HI) as image, code.loop(0, height) as row:
        source = code.index_add(
            code.index_mul(image.index, strides[0]), code.index_mul(row.index, strides[1])
        )
        target = code.index_mul(
            code.index_add(code.index_mul(image.index, height), row.index), width * channels
        )
        copy_pixels(
            code, code.offset(y, source, weights.size), (strides[2], strides[3]),
            code.offset(scratch, target, weights.size), (width, channels), channels,
            *weights.dtype,
        )  # fmt: skip
    code.line("ret void")
    return code.function(HEAD)


# --- sums of some images --------------------------------------------------------------------------


def _slot(code: Code, weights: Weights, arguments, y_bytes: int, chunk: Value) -> Value:
    """Where a chunk's sums are."""
    if weights.chunks == 1:
        return arguments[2]
    return code.offset(code.offset(arguments[3], y_bytes), chunk, weights.slot)


def _arguments(code: Code, weights: Weights) -> list[Value]:
    return argument_pointers(code, 3 + (weights.chunks > 1 or weights.copied_y))


def _zeros(weights: Weights, y_bytes: int) -> str:
    code = Code()
    arguments = _arguments(code, weights)
    with code.loop(LO, HI) as chunk:
        slot = _slot(code, weights, arguments, y_bytes, chunk.index)
        fill(code, slot, weights.total, constant(weights.element, 0), weights.size)
    code.line("ret void")
    return code.function(HEAD)


def _sums(weights: Weights, y_bytes: int) -> str:
    """A task: the sum over `each` bands of images, for a share of the channels of y."""
    code, size = Code(), weights.size
    arguments = _arguments(code, weights)
    x, y = arguments[0], arguments[3 if weights.copied_y else 1]
    memory = weights.strips.memory(code)
    with code.loop(LO, HI) as task:
        chunk = code.binary("udiv", task.index, constant(I64, weights.splits))
        split = code.binary("urem", task.index, constant(I64, weights.splits))
        sums = _slot(code, weights, arguments, y_bytes, chunk)
        start = code.index_mul(chunk, weights.each)
        stop = smaller(code, code.index_add(start, weights.each), weights.units)
        with code.loop(start, stop) as unit:
            image = code.binary("udiv", unit.index, constant(I64, weights.bands))
            band = code.binary("urem", unit.index, constant(I64, weights.bands))
            first = code.index_mul(band, weights.strips.rows)
            last = smaller(
                code, code.index_add(first, weights.strips.rows), weights.axes[0].results
            )
            at = code.offset(x, code.index_mul(image, weights.x.strides[0]), size)
            strip = weights.strips.strip(code, at, first, memory)
            seen = code.offset(y, code.index_mul(image, weights.y.strides[0]), size)
            for p in weights.axes[0].parts:
                for q in weights.axes[1].parts:
                    if p.taps and q.taps:
                        _part(code, weights, strip, seen, sums, (first, last), split, p, q)
    code.line("ret void")
    return code.function(HEAD)


def _numbers(code: Code, weights: Weights, block: Block, split: Value) -> tuple[Index, Index]:
    """Which of neighbouring blocks of channels are a split's; the last split has the odd ones."""
    if block is weights.blocks[0] and weights.splits > 1:
        start = code.index_mul(split, weights.share)
        return start, smaller(code, code.index_add(start, weights.share), block.number)
    if weights.splits == 1:
        return 0, block.number
    is_last = code.compare("eq", split, constant(I64, weights.splits - 1))
    return 0, code.select(is_last, constant(I64, block.number), constant(I64, 0))


def _part(code, weights: Weights, strip: Strip, y, sums, rows_of, split, p: Part, q: Part) -> None:
    """The products of one part, rows first to last - 1 of its axis, for a split of the channels."""
    (top, side), size, (first, last) = weights.axes, weights.size, rows_of
    rows = code.index_add(smaller(code, last, p.results), code.index_mul(first, -1))
    start = code.index_mul(first, top.step * weights.y.strides[1])
    start = code.index_add(start, p.first * weights.y.strides[1] + q.first * weights.y.strides[2])
    y = code.offset(y, start, size)
    channels = weights.groups * weights.outer
    per_tap = weights.inner * channels
    shift = p.shift * strip.row + q.shift * strip.column
    across, length = (1, q.taps * weights.inner) if weights.merged else (q.taps, weights.inner)
    with code.loop(0, weights.groups) as g:
        for block in weights.blocks:
            with code.loop(*_numbers(code, weights, block, split)) as b:
                channel = code.index_add(code.index_mul(b.index, block.width), block.first)
                channel = code.index_add(channel, code.index_mul(g.index, weights.outer))
                ys = code.offset(y, channel, size)
                with code.loop(0, p.taps) as i, code.loop(0, across) as j:
                    place = code.index_mul(i.index, top.dilation * strip.row)
                    place = code.index_add(
                        place, code.index_mul(j.index, side.dilation * strip.column)
                    )
                    place = code.index_add(place, code.index_mul(g.index, weights.inner))
                    xs = code.offset(strip.pointer, code.index_add(place, shift), size)
                    tap = code.index_mul(i.index, top.tap_step * weights.options.window[1])
                    tap = code.index_add(tap, code.index_mul(j.index, side.tap_step))
                    tap = code.index_add(tap, p.tap * weights.options.window[1] + q.tap)
                    target = code.index_add(code.index_mul(tap, per_tap), channel)
                    _blocks(
                        code, weights, strip._replace(pointer=xs), ys,
                        code.offset(sums, target, size), rows, block, length, q,
                    )  # fmt: skip


def _blocks(code, weights, x: Strip, y, target, rows, block: Block, length: int, q: Part) -> None:
    """Blocks of v: `length` numbers along a row of x, by one block of d."""
    larger, count, fewer = even_split(length, most_rows(len(block.lanes)))
    channels, first = weights.groups * weights.outer, 0
    for size_of_block, number in ((larger, count), (larger - 1, fewer)):
        if not number:
            continue
        with code.loop(0, number) as group:
            j = code.index_add(code.index_mul(group.index, size_of_block), first)
            xs = x._replace(pointer=code.offset(x.pointer, j, weights.size))
            found = _block(code, weights, xs, y, rows, block.kept, size_of_block, q)
            at = code.offset(target, j, channels * weights.size)
            _add(code, found, at, block.kept, channels, weights.size)
        first += size_of_block * number


def _add(code: Code, found: list[Value], at: Value, lanes, channels: int, size: int) -> None:
    for number, value in enumerate(found):
        r, v = divmod(number, len(lanes))
        place = code.offset(at, (r * channels + sum(lanes[:v])) * size)
        code.store(code.fadd(code.load(place, value.type), value), place)


def _block(code, weights: Weights, x: Strip, y, rows, lanes, numbers: int, q: Part) -> list[Value]:
    """The sums over all results of the band, for `numbers` rows of v."""
    top, side = weights.axes
    size = weights.size
    zeros = [constant(vector(weights.element, n), 0) for n in lanes] * numbers
    steps = side.stride * x.column * size, side.step * weights.y.strides[2] * size
    with code.loop(0, rows, carried=zeros) as row:
        xs = code.offset(x.pointer, row.index, top.stride * x.row * size)
        ys = code.offset(y, row.index, top.step * weights.y.strides[1] * size)
        row.next(*_row(code, weights, xs, ys, steps, lanes, q.results, list(row.carried)))
    return list(row.results)


def _row(code: Code, weights, x, y, steps, lanes, columns: int, sums) -> list[Value]:
    whole = columns - columns % UNROLL if columns > 2 * UNROLL else 0
    if whole:
        with code.loop(0, whole, UNROLL, carried=sums) as loop:
            xs, ys = code.offset(x, loop.index, steps[0]), code.offset(y, loop.index, steps[1])
            inside = list(loop.carried)
            for j in range(UNROLL):
                inside = _pixel(code, weights, xs, ys, (j * steps[0], j * steps[1]), lanes, inside)
            loop.next(*inside)
        sums = list(loop.results)
    for j in range(whole, columns):
        sums = _pixel(code, weights, x, y, (j * steps[0], j * steps[1]), lanes, sums)
    return sums


def _pixel(code: Code, weights: Weights, x, y, offsets, lanes, sums) -> list[Value]:
    """One result: its numbers of x, each times its row of y."""
    row = [
        code.load(
            code.offset(y, offsets[1] + sum(lanes[:v]) * weights.size), vector(weights.element, n)
        )
        for v, n in enumerate(lanes)
    ]
    out = []
    for r in range(len(sums) // len(lanes)):
        item = code.load(code.offset(x, offsets[0] + r * weights.size), weights.element)
        spread = {n: code.splat(item, n) for n in set(lanes)}
        for v, n in enumerate(lanes):
            out.append(code.fma(spread[n], row[v], sums[r * len(lanes) + v]))
    return out


# --- the total ------------------------------------------------------------------------------------


def _run(weights: Weights) -> int:
    """Elements that are added up at once."""
    return 4 * lane_count(weights.size)


def _total_tasks(weights: Weights) -> int:
    return -(-weights.total // (64 * _run(weights)))


def _total(weights: Weights, y_bytes: int) -> str:
    """Adds the chunks' sums; a task does 64 runs of elements."""
    code, lanes = Code(), _run(weights)
    _, _, out, scratch = argument_pointers(code, 4)
    whole = weights.total - weights.total % lanes
    first = code.index_mul(LO, 64 * lanes)
    with code.loop(first, smaller(code, code.index_mul(HI, 64 * lanes), whole), lanes) as loop:
        _add_up(code, weights, out, code.offset(scratch, y_bytes), loop.index, lanes)
    if whole < weights.total:
        with code.if_(code.compare("eq", HI, constant(I64, _total_tasks(weights)))):
            _add_up(
                code, weights, out, code.offset(scratch, y_bytes), whole, weights.total - whole
            )
    code.line("ret void")
    return code.function(HEAD)


def _add_up(code: Code, weights: Weights, out, sums, place: Index, lanes: int) -> None:
    type_ = vector(weights.element, lanes)
    at = code.offset(sums, place, weights.size)
    total = code.load(at, type_)
    for chunk in range(1, weights.chunks):
        total = code.fadd(total, code.load(code.offset(at, chunk * weights.slot), type_))
    code.store(total, code.offset(out, place, weights.size))
