"""Counting, and running sums, products and extremes along an axis: iota, cumsum, cumprod, ...

Value     NumPy's. Where the axis is the last one, a vector is scanned in registers by doubling
          reach (so rounding errors of sums are smaller than those of NumPy's running total); else
          the lanes are sequences of their own, added one after the other as NumPy does. Products
          of floats are always multiplied one after the other: the product of a later part may
          overflow where the running product does not.
Tasks     are sequences; a single long one is divided into segments by its length alone: their
          totals, a scan of these, and every segment from what stands before it.
Source    the scan in registers: Hillis and Steele, CACM 29 (1986); segments: Blelloch, 1990.
"""

from __future__ import annotations

import numpy as np

from chainrule.compiler.kernel import HEAD, Kernel, Phase, Place, Site, contiguous_place
from chainrule.compiler.llvm.along import (
    at_lane,
    bytes_in_order,
    combine,
    in_parts,
    load_lanes,
    neutral,
    running_type,
    scanned,
    store_lanes,
    walk_without,
    without_axis,
)
from chainrule.compiler.llvm.code import Code, Index, Value, constant, vector
from chainrule.compiler.llvm.elementwise import from_memory, register_element, to_memory
from chainrule.compiler.llvm.loops import HI, LO, smaller, task_count
from chainrule.compiler.llvm.walk import operand_pointers, task_bounds, write_walk
from chainrule.compiler.machine_code import vector_bytes


def emit_iota(site: Site) -> Kernel | None:
    """The kernel of `iota`: 0, 1, ..., size - 1."""
    (out,) = site.outputs
    dtype, n = out.type.dtype, out.type.size
    if dtype.kind not in "iuf" or (dtype.kind != "f" and n > np.iinfo(dtype).max):
        return None
    code = Code()
    (pointer,) = operand_pointers(code, (), 1)
    lanes = max(1, 2 * vector_bytes() // max(dtype.itemsize, 4))
    whole = n - n % lanes
    tasks, bounds = task_bounds(code, whole // lanes, task_count(n))
    with code.loop(*bounds) as loop:
        _store_counting(code, code.index_mul(loop.index, lanes), lanes, pointer, dtype)
    if n % lanes:  # every task may write the rest: it is the same
        with code.if_(code.compare("eq", HI, constant("i64", tasks))):
            _store_counting(code, whole, n % lanes, pointer, dtype)
    code.line("ret void")
    return Kernel((Phase(code.function(HEAD), tasks),))


def _store_counting(code: Code, start: Index, lanes: int, pointer: Value, dtype: np.dtype) -> None:
    """start, start + 1, ... as so many elements at their places."""
    element = f"i{max(8 * dtype.itemsize, 32)}" if dtype.kind == "f" else register_element(dtype)
    first = Value(str(start), "i64") if isinstance(start, int) else start
    number = code.splat(_resized(code, first, element), lanes)
    if lanes > 1:
        steps = ", ".join(f"{element} {i}" for i in range(lanes))
        number = code.binary("add", number, Value(f"<{steps}>", vector(element, lanes)))
    if dtype.kind == "f":
        number = code.convert("sitofp", number, register_element(dtype))
    store_lanes(code, number, at_lane(code, pointer, start, dtype.itemsize), dtype)


def _resized(code: Code, x: Value, element: str) -> Value:
    return x if element == "i64" else code.convert("trunc", x, element)


def emit_accumulate(site: Site) -> Kernel | None:
    """The kernel of `cumsum`, `cumprod`, `cummax` or `cummin`."""
    (x,), (out,), axis = site.inputs, site.outputs, site.params["axis"]
    if x.type.dtype.kind == "c":
        if site.op != "cumsum" or x.literal is not None:
            return None
        x, out = in_parts(x), contiguous_place(in_parts(out).type)
    if not out.type.size:
        code = Code()
        code.line("ret void")
        return Kernel((Phase(code.function(HEAD)),))
    return _Running(site.op, x, out, axis).kernel()


class _Running:
    """An accumulation along one axis, being written."""

    def __init__(self, op: str, x: Place, out: Place, axis: int):
        self.op, self.x, self.axis = op, x, axis
        self.dtype = x.type.dtype
        self.kept = running_type(self.dtype)
        self.join, self.start = combine(op, self.dtype), neutral(op, self.dtype)
        self.n, self.size = x.type.shape[axis], self.dtype.itemsize
        out_bytes = bytes_in_order(out.type.shape, self.size)
        self.x_step, self.out_step = x.strides[axis] * self.size, out_bytes[axis]
        self.walk = walk_without(x, axis, without_axis(out_bytes, axis))
        self.work = 4 * out.type.size
        self.across = self.walk.strides[1][-1] == self.size and self.out_step != self.size
        in_turn = op == "cumprod" and self.dtype.kind == "f"
        straight = self.x_step == self.out_step == self.size
        whole = vector_bytes() // max(self.kept.itemsize, 1)
        self.lanes = 1 if in_turn or not straight else min(whole, 16)
        self.in_turn = in_turn

    def kernel(self) -> Kernel:
        """One phase over the sequences; three where one long sequence is divided."""
        segments = min(task_count(self.work), self.n // 1024)
        if self.walk.size == 1 and segments > 1 and not self.in_turn:
            return self._segmented(segments)
        code = Code()
        x, out = operand_pointers(code, (self.x,), 1)
        if self.across:
            tasks = self._write_columns(code, x, out)
        else:
            tasks = self._write_rows(code, x, out)
        code.line("ret void")
        return Kernel((Phase(code.function(HEAD), tasks),))

    # --- one sequence after the other -------------------------------------------------------------

    def _write_rows(self, code: Code, x: Value, out: Value) -> int:
        walk = self.walk.longest_first(task_count(self.work))
        tasks, bounds = task_bounds(code, walk.domain[0], task_count(self.work))
        first = constant(register_element(self.kept), self.start)

        def row(places):
            self._run(code, places[0], places[1], 0, self.n, first)

        write_walk(code, walk, [x, out], row, bounds if tasks > 1 else None)
        return tasks

    def _run(self, code: Code, x: Value, out: Value | None, start: Index, stop: Index, before):
        """Running values from start to stop, behind a first value; the last one."""
        lanes, total = self.lanes, before
        if lanes > 1:
            whole = self._whole(code, start, stop)
            with code.loop(start, whole, lanes, carried=[total]) as loop:
                found = self._load(code, x, loop.index, lanes)
                within = scanned(code, found, self.join, self.start)
                y = self.join(code, code.splat(loop.carried[0], lanes), within)
                self._store(code, y, out, loop.index)
                loop.next(code.extract(y, lanes - 1))
            (total,), start = loop.results, whole
        with code.loop(start, stop, carried=[total]) as loop:
            y = self.join(code, loop.carried[0], self._load(code, x, loop.index, 1))
            self._store(code, y, out, loop.index)
            loop.next(y)
        return loop.results[0]

    def _whole(self, code: Code, start: Index, stop: Index) -> Index:
        """The end of the last whole vector."""
        if isinstance(start, int) and isinstance(stop, int):
            return stop - (stop - start) % self.lanes
        length = code.index_add(stop, code.index_mul(start, -1))
        assert isinstance(length, Value)
        whole = code.binary("and", length, constant("i64", -self.lanes))
        return code.index_add(start, whole)

    def _load(self, code: Code, x: Value, index: Index, lanes: int, step: int = 0) -> Value:
        place = at_lane(code, x, index, self.x_step)
        dtype = self.kept if self.dtype.char == "?" else self.dtype
        return load_lanes(code, place, dtype, lanes, step or self.size)

    def _store(self, code: Code, value: Value, out: Value | None, index: Index) -> None:
        if out is not None:
            dtype = self.kept if self.dtype.char == "?" else self.dtype
            store_lanes(code, value, at_lane(code, out, index, self.out_step), dtype)

    # --- sequences side by side -------------------------------------------------------------------

    def _write_columns(self, code: Code, x: Value, out: Value) -> int:
        """Lanes along the last axis, each of them a sequence."""
        walk, step = self.walk, self.walk.strides[0][-1]
        n = walk.domain[-1]
        lanes = max(1, min(n, 4 * vector_bytes() // max(self.kept.itemsize, 1), 32))
        blocks = -(-n // lanes)
        outer = walk._replace(
            domain=(*walk.domain[:-1], blocks), strides=tuple(
                [(*s[:-1], lanes * s[-1]) for s in walk.strides])
        )  # fmt: skip
        rest = n % lanes or lanes
        tasks, bounds = task_bounds(code, outer.domain[0], task_count(self.work))
        alone = len(outer.domain) == 1

        def whole(places):
            self._column(code, places[0], places[1], lanes, step)

        if alone:  # the last block may be narrower
            start, stop = bounds
            end = smaller(code, stop, blocks - 1) if rest != lanes else stop
            write_walk(code, outer, [x, out], whole, (start, end))
            if rest != lanes:
                with code.if_(code.compare("eq", HI, constant("i64", tasks))):
                    self._last_column(code, x, out, blocks - 1, lanes, rest, step)
            return tasks
        rows = outer._replace(
            domain=outer.domain[:-1], strides=tuple([s[:-1] for s in outer.strides])
        )

        def row(places):
            with code.loop(0, blocks - (rest != lanes)) as loop:
                self._column(
                    code, at_lane(code, places[0], loop.index, lanes * step),
                    at_lane(code, places[1], loop.index, lanes * self.size), lanes, step,
                )  # fmt: skip
            if rest != lanes:
                self._last_column(code, places[0], places[1], blocks - 1, lanes, rest, step)

        write_walk(code, rows, [x, out], row, bounds if tasks > 1 else None)
        return tasks

    def _last_column(self, code, x, out, block: int, lanes: int, rest: int, step: int) -> None:
        x, out = code.offset(x, block * lanes * step), code.offset(out, block * lanes * self.size)
        self._column(code, x, out, rest, step)

    def _column(self, code: Code, x: Value, out: Value, lanes: int, step: int) -> None:
        first = constant(vector(register_element(self.kept), lanes), self.start)
        with code.loop(0, self.n, carried=[first]) as loop:
            y = self.join(code, loop.carried[0], self._load(code, x, loop.index, lanes, step))
            self._store(code, y, out, loop.index)
            loop.next(y)

    # --- one long sequence ------------------------------------------------------------------------

    def _segmented(self, segments: int) -> Kernel:
        length = -(-self.n // segments // self.lanes) * self.lanes
        segments = -(-self.n // length)
        phases = [
            Phase(self._totals(length), segments),
            Phase(self._befores(segments)),
            Phase(self._from_befores(length), segments),
        ]
        return Kernel(tuple(phases), scratch=segments * self.kept.itemsize)

    def _segments(self, code: Code, length: int, body) -> str:
        """A function that does `body` for every segment of its tasks."""
        x, out, scratch = operand_pointers(code, (self.x,), 2)
        with code.loop(LO, HI) as loop:
            start = code.index_mul(loop.index, length)
            stop = smaller(code, code.index_add(start, length), self.n)
            body(x, out, at_lane(code, scratch, loop.index, self.kept.itemsize), start, stop)
        code.line("ret void")
        return code.function(HEAD)

    def _totals(self, length: int) -> str:
        code = Code()
        first = constant(register_element(self.kept), self.start)

        def total(x, out, place, start, stop):
            last = self._run(code, x, None, start, stop, first)
            code.store(to_memory(code, last, self.kept), place)

        return self._segments(code, length, total)

    def _befores(self, segments: int) -> str:
        """The value of everything before each segment in place of its total."""
        code = Code()
        *_, scratch = operand_pointers(code, (self.x,), 2)
        first = constant(register_element(self.kept), self.start)
        with code.loop(0, segments, carried=[first]) as loop:
            place = at_lane(code, scratch, loop.index, self.kept.itemsize)
            total = self._from_scratch(code, place)
            code.store(to_memory(code, loop.carried[0], self.kept), place)
            loop.next(self.join(code, loop.carried[0], total))
        code.line("ret void")
        return code.function(HEAD)

    def _from_befores(self, length: int) -> str:
        code = Code()

        def run(x, out, place, start, stop):
            self._run(code, x, out, start, stop, self._from_scratch(code, place))

        return self._segments(code, length, run)

    def _from_scratch(self, code: Code, place: Value) -> Value:
        return from_memory(code, code.load(place, register_element(self.kept)), self.kept)
