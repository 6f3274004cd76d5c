"""Depthwise convolution as native code: every channel by itself, a window's products added up.

There is no reuse between channels, so vectors are made of channels, and windows are gone over as in
pooling. The weights' gradient goes over an image's results once for each tap of the window,

    v[k, c] = sum over n, o of x[n, strides * o + k, c] y[n, o, c]

where only the results count whose window has the tap in x: a range of rows and of columns.
"""

from __future__ import annotations

import math

import numpy as np

from chainrule.compiler.kernel import HEAD, Kernel, Phase, Site
from chainrule.compiler.llvm.code import Code, Index, Value, constant, vector
from chainrule.compiler.llvm.conv_geometry import Array, Axis, Part
from chainrule.compiler.llvm.loops import HI, LO, argument_pointers, smaller
from chainrule.compiler.llvm.pool_windows import (
    MOST_PARTS,
    Operand,
    Pool,
    Window,
    load_lanes,
    operands,
    store_lanes,
    window_phases,
)

ACCUMULATORS = 8  # vectors that are added to in turn: an fma takes four cycles, two go in each
MOST_TASKS = 16


def is_depthwise(site: Site, outer: int) -> bool:
    """Whether each channel of x has one channel of the result, of `outer`, to itself."""
    return site.params["groups"] == site.inputs[0].type.shape[-1] == outer


def _few_parts(pool: Pool) -> bool:
    return all(len(a.parts) <= MOST_PARTS for a in pool.axes)


# --- values ---------------------------------------------------------------------------------------


def emit_depthwise(site: Site) -> Kernel | None:
    """The kernel of a depthwise `convolution`."""
    w = site.inputs[1]
    pool = Pool(site, site.inputs[0], site.outputs[0], w.type.shape[:-2])
    if not _few_parts(pool):
        return None
    down = w.strides[0] if len(w.strides) == 4 else 0
    shape = (1, *pool.options.window, pool.x.shape[3])
    kernel = Array(shape, (0, down, w.strides[-3], w.strides[-1]))
    phases = window_phases(pool, [pool.x, kernel, pool.out], [0], _products, (1,))
    return Kernel(tuple(phases))


def _products(window: Window, arrays: list[Operand], lanes) -> None:
    code = window.code

    def add(at, sums):
        xs, ws = (load_lanes(code, o, lanes, window.type) for o in at)
        return [code.fma(x, w, s) for x, w, s in zip(xs, ws, sums, strict=True)]

    zeros = [constant(vector(window.type[0], n), 0) for n in lanes]
    store_lanes(code, window.taps(arrays, zeros, add), arrays[2], lanes, window.type[1])


# --- the weights' gradient ------------------------------------------------------------------------


def emit_depthwise_weights(site: Site) -> Kernel | None:
    """The kernel of a depthwise `convolution_weights`."""
    pool = Pool(site, site.inputs[0], site.inputs[1])
    if not _few_parts(pool):
        return None
    images = pool.x.shape[0]
    each = -(-images // MOST_TASKS)
    tasks = -(-images // each)
    phases = [
        Phase(_sums(pool, block, each, tasks), tasks * block[1]) for block in pool.blocks()
    ]
    phases += [Phase(_total(pool, block, tasks), block[1]) for block in pool.blocks()]
    return Kernel(tuple(phases), scratch=tasks * _slot(pool))


def _slot(pool: Pool) -> int:
    """Bytes of the sums of a task."""
    return -(-pool.taps * pool.x.shape[3] * pool.size // 64) * 64


def _sums(pool: Pool, block, each: int, tasks: int) -> str:
    """The sums over `each` images, for one block of channels; written tap by tap."""
    code = Code()
    first, number, lanes = block
    x, y = operands(code, [pool.x, pool.out])
    scratch = argument_pointers(code, 4)[3]
    with code.loop(LO, HI) as task:
        chunk, channel = _chunk_and_channel(code, task.index, number, first, sum(lanes))
        start = code.index_mul(chunk, each)
        stop = smaller(code, code.index_add(start, each), pool.x.shape[0])
        here = [o.moved(code, 3, channel, pool.size) for o in (x, y)]
        slot = code.offset(code.offset(scratch, chunk, _slot(pool)), channel, pool.size)
        zeros = [constant(vector(pool.element, n), 0) for n in lanes]
        for target in _targets(code, pool, slot):
            store_lanes(code, zeros, target, lanes, pool.size)
        with code.loop(start, stop) as image:
            at = [o.moved(code, 0, image.index, pool.size) for o in here]
            taps = np.ndindex(*pool.options.window)
            for tap, target in zip(taps, _targets(code, pool, slot), strict=True):
                before = load_lanes(code, target, lanes, (pool.element, pool.size))
                found = _tap(code, pool, at, tap, lanes)
                sums = [code.fadd(a, b) for a, b in zip(before, found, strict=True)]
                store_lanes(code, sums, target, lanes, pool.size)
    code.line("ret void")
    return code.function(HEAD)


def _targets(code: Code, pool: Pool, slot: Value) -> list[Operand]:
    """Where the sums of each tap are."""
    step = pool.x.shape[3] * pool.size
    return [Operand(code.offset(slot, k * step), (0, 0, 0, 1)) for k in range(pool.taps)]


def _chunk_and_channel(code: Code, task: Value, number: int, first: int, width: int):
    chunk = code.binary("udiv", task, constant("i64", number))
    block = code.binary("urem", task, constant("i64", number))
    return chunk, code.index_add(code.index_mul(block, width), first)


def _tap(code: Code, pool: Pool, arrays, tap, lanes) -> list[Value]:
    """The sum over an image's results of what one tap sees, times the result's y."""
    copies = max(1, ACCUMULATORS // len(lanes))
    sums = [constant(vector(pool.element, n), 0) for n in lanes] * copies
    for p in pool.axes[0].parts:
        for q in pool.axes[1].parts:
            rows = results_with(pool.axes[0], p, tap[0])
            columns = results_with(pool.axes[1], q, tap[1])
            if rows and columns:
                with code.loop(rows.start, rows.stop, carried=sums) as row:
                    here = _at(code, pool, arrays, 0, p, tap[0], row.index)
                    place = _Columns(code, pool, here, q, tap[1], lanes)
                    row.next(*place.added(columns, list(row.carried)))
                sums = list(row.results)
    return _folded(code, sums, len(lanes))


def results_with(axis: Axis, part: Part, tap: int) -> range:
    """The results of a part whose window has a tap that lies in x; none if it has not the tap."""
    number, rest = divmod(tap - part.tap, axis.tap_step)
    if rest or not 0 <= number < part.taps:
        return range(0)
    before = axis.low - part.shift - number * axis.dilation  # result q sees stride * q - before
    first = max(0, -(-before // axis.stride))
    last = min(part.results, -(-(axis.n + before) // axis.stride))
    return range(first, max(first, last))


def _at(code, pool: Pool, arrays, axis: int, part: Part, tap: int, index: Index) -> list[Operand]:
    """x where a tap of a result sees it, and y at the result."""
    geometry = pool.axes[axis]
    number = (tap - part.tap) // geometry.tap_step
    seen = code.index_add(
        code.index_mul(index, geometry.stride),
        part.shift - geometry.low + number * geometry.dilation,
    )
    place = code.index_add(code.index_mul(index, geometry.step), part.first)
    x, y = arrays
    return [x.moved(code, axis + 1, seen, pool.size), y.moved(code, axis + 1, place, pool.size)]


class _Columns:
    """A row of results, added up several columns at a time."""

    def __init__(self, code: Code, pool: Pool, arrays, part: Part, tap: int, lanes):
        self.code, self.pool, self.arrays = code, pool, arrays
        self.part, self.tap, self.lanes = part, tap, lanes

    def added(self, columns: range, sums: list[Value]) -> list[Value]:
        """The sums with the products of these columns."""
        copies = len(sums) // len(self.lanes)
        whole = len(columns) // copies
        code = self.code
        if whole:
            stop = columns.start + whole * copies
            with code.loop(columns.start, stop, copies, carried=sums) as loop:
                inside = list(loop.carried)
                for j in range(copies):
                    inside = self._one(code.index_add(loop.index, j), j, inside)
                loop.next(*inside)
            sums = list(loop.results)
        for j, column in enumerate(columns[whole * copies :]):
            sums = self._one(column, j, sums)
        return sums

    def _one(self, column: Index, copy: int, sums: list[Value]) -> list[Value]:
        pool, number = self.pool, len(self.lanes)
        at = _at(self.code, pool, self.arrays, 1, self.part, self.tap, column)
        xs, ys = (load_lanes(self.code, o, self.lanes, (pool.element, pool.size)) for o in at)
        out = list(sums)
        for v in range(number):
            place = copy * number + v
            out[place] = self.code.fma(xs[v], ys[v], sums[place])
        return out


def _folded(code: Code, sums: list[Value], number: int) -> list[Value]:
    """Copies of sums added together, in pairs."""
    while len(sums) > number:
        half = len(sums) // number // 2 * number
        rest = sums[2 * half :]
        pairs = zip(sums[:half], sums[half : 2 * half], strict=True)
        sums = [code.fadd(a, b) for a, b in pairs] + rest
    return sums


def _total(pool: Pool, block, tasks: int) -> str:
    """Adds the sums of all tasks, for one block of channels."""
    code = Code()
    first, _, lanes = block
    out, scratch = argument_pointers(code, 4)[2:]
    channels, type_ = pool.x.shape[3], (pool.element, pool.size)
    with code.loop(LO, HI) as task:
        channel = code.index_add(code.index_mul(task.index, sum(lanes)), first)
        with code.loop(0, math.prod(pool.options.window)) as tap:
            place = code.index_add(code.index_mul(tap.index, channels), channel)
            source, total = code.offset(scratch, place, pool.size), None
            for slot in range(tasks):
                at = Operand(code.offset(source, slot * _slot(pool)), (0, 0, 0, 1))
                values = load_lanes(code, at, lanes, type_)
                total = values if total is None else [
                    code.fadd(t, v) for t, v in zip(total, values, strict=True)
                ]  # fmt: skip
            target = Operand(code.offset(out, place, pool.size), (0, 0, 0, 1))
            store_lanes(code, total, target, lanes, pool.size)
    code.line("ret void")
    return code.function(HEAD)
