"""Where the first largest or smallest entry along an axis is: argmax, argmin.

Value     NumPy's: the first of equal entries; a nan before everything else.
          Along the last axis every lane keeps its own best entry and number, joined at the end;
          across other axes the lanes are sequences of their own.
Tasks     are sequences; a single long one is divided into segments by its length alone.
"""

from __future__ import annotations

import math

import numpy as np

from chainrule.compiler.kernel import HEAD, Kernel, Phase, Site
from chainrule.compiler.llvm.along import (
    at_lane,
    bytes_in_order,
    load_lanes,
    walk_without,
)
from chainrule.compiler.llvm.code import Code, Index, Value, constant, lanes_of, vector
from chainrule.compiler.llvm.loops import HI, LO, smaller, task_count
from chainrule.compiler.llvm.walk import operand_pointers, task_bounds, write_walk
from chainrule.compiler.machine_code import vector_bytes

_LEAST_SEGMENT = 4096


def emit_arg_extreme(site: Site) -> Kernel | None:
    """The kernel of `argmax` or `argmin`; None for complex numbers and for an empty axis."""
    (x,), axis = site.inputs, site.params["axis"]
    if x.type.dtype.kind == "c" or not x.type.shape[axis]:
        return None
    return _Extreme(site).kernel()


class _Extreme:
    """The search for an extreme entry along one axis, being written."""

    def __init__(self, site: Site):
        (self.x,), (self.out,), axis = site.inputs, site.outputs, site.params["axis"]
        self.most = site.op == "argmax"
        dtype = self.x.type.dtype
        self.dtype = np.dtype(np.uint8) if dtype.char == "?" else dtype
        self.n, self.size = self.x.type.shape[axis], dtype.itemsize
        self.step = self.x.strides[axis] * self.size
        self.walk = walk_without(self.x, axis, bytes_in_order(self.out.type.shape, 8))
        self.work = 2 * math.prod(self.x.type.shape)
        self.number = "i32" if self.n < 1 << 31 else "i64"
        wide = max(self.size, 4 if self.number == "i32" else 8)
        self.whole = 2 * vector_bytes() // wide
        self.across = self.walk.strides[1][-1] == 8 and self.step != self.size

    def kernel(self) -> Kernel:
        """One phase over the sequences; two where one long sequence is divided."""
        segments = min(task_count(self.work), self.n // _LEAST_SEGMENT)
        if self.walk.size == 1 and segments > 1:
            return self._segmented(segments)
        code = Code()
        x, out = operand_pointers(code, (self.x,), 1)
        tasks = 1
        if self.walk.size:
            tasks = self._write_columns(code, x, out) if self.across else self._rows(code, x, out)
        code.line("ret void")
        return Kernel((Phase(code.function(HEAD), tasks),))

    # --- what is better ---------------------------------------------------------------------------

    def _better(self, code: Code, x: Value, best: Value) -> Value:
        """Whether a later entry takes the place of the best one so far."""
        if self.dtype.kind == "f":
            above = code.compare("ugt" if self.most else "ult", x, best)
            return code.binary("and", above, code.compare("ord", best, best))
        letter = "s" if self.dtype.kind == "i" else "u"
        return code.compare(letter + ("gt" if self.most else "lt"), x, best)

    def _join(self, code: Code, x, y):
        """The better of two (entry, number), at equal entries the one with the lower number."""
        first = self._better(code, x[0], y[0])
        second = self._better(code, y[0], x[0])
        lower = code.compare("ult", x[1], y[1])
        not_second = code.binary("xor", second, code.like(second, 1))
        wins = code.binary("or", first, code.binary("and", not_second, lower))
        return code.select(wins, x[0], y[0]), code.select(wins, x[1], y[1])

    def _joined(self, code: Code, best: Value, number: Value):
        """All lanes as one."""
        lanes = lanes_of(best.type)
        while lanes > 1:
            lanes //= 2
            halves = [
                tuple([
                    code.shuffle(v, v, range(start, start + lanes)) if lanes > 1
                    else code.extract(v, start) for v in (best, number)
                ]) for start in (0, lanes)
            ]  # fmt: skip
            best, number = self._join(code, *halves)
        return best, number

    # --- sequences --------------------------------------------------------------------------------

    def _load(self, code: Code, x: Value, index: Index, lanes: int, step: int) -> Value:
        return load_lanes(code, at_lane(code, x, index, self.step), self.dtype, lanes, step)

    def _numbers(self, code: Code, index: Value, lanes: int) -> Value:
        """index, index + 1, ... in the lanes."""
        first = index if self.number == "i64" else code.convert("trunc", index, self.number)
        if lanes == 1:
            return first
        steps = ", ".join(f"{self.number} {i}" for i in range(lanes))
        counting = Value(f"<{steps}>", vector(self.number, lanes))
        return code.binary("add", code.splat(first, lanes), counting)

    def _best(self, code: Code, x: Value, start: Index, stop: Index):
        """The first extreme entry from start to stop, and its number."""
        first = Value(str(start), "i64") if isinstance(start, int) else start
        best, number = self._load(code, x, start, 1, 0), self._numbers(code, first, 1)
        if self.step == self.size:
            lanes = self.whole
            end = self._end(code, start, stop, lanes)
            carried = [code.splat(best, lanes), code.splat(number, lanes)]
            with code.loop(start, end, lanes, carried) as loop:
                loop.next(*self._next(code, x, loop, lanes))
            best, number = self._joined(code, *loop.results)
            start = end
        with code.loop(start, stop, 1, [best, number]) as loop:
            loop.next(*self._next(code, x, loop, 1))
        return loop.results

    def _next(self, code: Code, x: Value, loop, lanes: int):
        found = self._load(code, x, loop.index, lanes, self.size)
        better = self._better(code, found, loop.carried[0])
        numbers = self._numbers(code, loop.index, lanes)
        return (
            code.select(better, found, loop.carried[0]),
            code.select(better, numbers, loop.carried[1]),
        )

    def _end(self, code: Code, start: Index, stop: Index, lanes: int) -> Index:
        if isinstance(start, int) and isinstance(stop, int):
            return stop - (stop - start) % lanes
        length = code.index_add(stop, code.index_mul(start, -1))
        assert isinstance(length, Value)
        return code.index_add(start, code.binary("and", length, constant("i64", -lanes)))

    def _store(self, code: Code, number: Value, out: Value) -> None:
        code.store(code.convert("zext", number, "i64"), out, 8)

    def _rows(self, code: Code, x: Value, out: Value) -> int:
        walk = self.walk.longest_first(task_count(self.work))
        tasks, bounds = task_bounds(code, walk.domain[0], task_count(self.work))

        def row(places):
            self._store(code, self._best(code, places[0], 0, self.n)[1], places[1])

        write_walk(code, walk, [x, out], row, bounds if tasks > 1 else None)
        return tasks

    # --- sequences side by side -------------------------------------------------------------------

    def _write_columns(self, code: Code, x: Value, out: Value) -> int:
        walk, step = self.walk, self.walk.strides[0][-1]
        n = walk.domain[-1]
        lanes = max(1, min(n, self.whole))
        blocks, rest = n // lanes, n % lanes
        rows = walk._replace(
            domain=(*walk.domain[:-1], 1), strides=tuple([(*s[:-1], 0) for s in walk.strides])
        )
        tasks = 1
        bounds: tuple[Index, Index] = (0, blocks)
        if len(walk.domain) == 1:
            tasks, bounds = task_bounds(code, blocks, task_count(self.work))
        else:
            tasks, outer = task_bounds(code, walk.domain[0], task_count(self.work))

        def row(places):
            with code.loop(*bounds) as loop:
                self._column(
                    code, at_lane(code, places[0], loop.index, lanes * step),
                    at_lane(code, places[1], loop.index, lanes * 8), lanes, step,
                )  # fmt: skip
            if rest:
                self._column(
                    code, code.offset(places[0], blocks * lanes * step),
                    code.offset(places[1], blocks * lanes * 8), rest, step,
                )  # fmt: skip

        if len(walk.domain) > 1:
            write_walk(code, rows, [x, out], row, outer if tasks > 1 else None)
        else:
            row([x, out])
        return tasks

    def _column(self, code: Code, x: Value, out: Value, lanes: int, step: int) -> None:
        best = self._load(code, x, 0, lanes, step)
        number = constant(vector(self.number, lanes), 0)
        with code.loop(1, self.n, 1, [best, number]) as loop:
            found = self._load(code, x, loop.index, lanes, step)
            better = self._better(code, found, loop.carried[0])
            here = code.splat(self._numbers(code, loop.index, 1), lanes)
            loop.next(
                code.select(better, found, loop.carried[0]),
                code.select(better, here, loop.carried[1]),
            )
        self._store(code, loop.results[1], out)

    # --- one long sequence ------------------------------------------------------------------------

    def _segmented(self, segments: int) -> Kernel:
        length = -(-self.n // segments)
        segments = -(-self.n // length)
        code = Code()
        x, _, scratch = operand_pointers(code, (self.x,), 2)
        with code.loop(LO, HI) as loop:
            start = code.index_mul(loop.index, length)
            stop = smaller(code, code.index_add(start, length), self.n)
            _, number = self._best(code, x, start, stop)
            self._store(code, number, at_lane(code, scratch, loop.index, 8))
        code.line("ret void")
        second = self._joining(segments)
        phases = (Phase(code.function(HEAD), segments), Phase(second))
        return Kernel(phases, scratch=8 * segments)

    def _joining(self, segments: int) -> str:
        """The second phase: the best of the segments' entries, the first ones first."""
        code = Code()
        x, out, scratch = operand_pointers(code, (self.x,), 2)
        number = code.load(scratch, "i64")
        with code.loop(1, segments, 1, [self._load(code, x, number, 1, 0), number]) as loop:
            here = code.load(at_lane(code, scratch, loop.index, 8), "i64")
            found = self._load(code, x, here, 1, 0)
            better = self._better(code, found, loop.carried[0])
            loop.next(
                code.select(better, found, loop.carried[0]),
                code.select(better, here, loop.carried[1]),
            )
        code.store(loop.results[1], out)
        code.line("ret void")
        return code.function(HEAD)
