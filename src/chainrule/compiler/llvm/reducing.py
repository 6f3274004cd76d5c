"""The loops of a reduction: along the vector axis, across it, or row by row into totals in memory.

Along the vector axis a reduction keeps one running value a lane and joins them as a tree at the
end; across it, the lanes are results of their own. Sums of floats are blocked: runs of 16 vectors
are summed by themselves (float32 in float32), then runs of 16 such sums (in float64), so the error
does not grow with the length beyond that of NumPy's pairwise sums (Higham, SIAM J. Sci. Comput.
14, 1993).
"""

from __future__ import annotations

import math

import numpy as np

from chainrule.compiler.kernel import HEAD, Kernel, Phase
from chainrule.compiler.llvm.accumulate import (
    accumulator,
    combine,
    joined,
    neutral,
    stored,
    taken,
    widened,
)
from chainrule.compiler.llvm.code import Code, Index, Value, lanes_of, vector
from chainrule.compiler.llvm.elementwise import from_memory, memory_element
from chainrule.compiler.llvm.loops import (
    HI,
    LO,
    Body,
    LoopSpec,
    Reduction,
    argument_pointers,
    cost_per_element,
    lanes_for,
    smaller,
    task_count,
)

_TOTALS_BYTES = 1 << 14  # of totals in memory: half of a first cache
RUN = 16  # vectors, or sums of runs, that are added one after the other


class Reducing:
    """A normalised spec with reductions, being written."""

    def __init__(self, spec: LoopSpec):
        self.spec = spec
        self.domain = spec.domain
        self.count = len(spec.reductions)
        self.last = len(spec.domain) - 1
        self.along = self.last in spec.axes  # else the lanes are results of their own
        inside = [a for a in range(len(spec.domain)) if a != self.last]
        self.kept = [a for a in inside if a not in spec.axes]
        self.reduced = [a for a in inside if a in spec.axes]
        self.lanes = self._lanes()
        self.work = math.prod(spec.domain) * cost_per_element(spec)
        self.exact = all(
            r.name in ("max", "min", "all", "any") or accumulator(r).kind != "f"
            for r in spec.reductions
        )  # fmt: skip
        self.wide = self.along and all(
            r.name in ("sum", "prod") and accumulator(r).char == "f" for r in spec.reductions
        )

    def _total(self, reduction: Reduction) -> np.dtype:
        """The dtype that totals over runs are kept in."""
        return np.dtype(np.float64) if self.wide else accumulator(reduction)

    @property
    def streams(self) -> bool:
        """Whether rows are added to totals in memory: where there are more than two registers full
        of totals, few enough for the first cache, and the rows lie one behind the other."""
        if self.along or self.last < 0 or not self.reduced:
            return False
        kept = [*self.kept, self.last]
        passes = math.prod(self.domain[a] for a in self.kept)
        passes *= -(-self.domain[self.last] // self.lanes)
        count = math.prod(self.domain[a] for a in kept)
        size = count * sum(accumulator(r).itemsize for r in self.spec.reductions)
        loads, axes = self.spec.loads, (self.reduced[-1], kept[0])
        apart = [sum(abs(s.strides[a]) for s in loads) for a in axes]
        plain = all(r.out.dtype == accumulator(r) for r in self.spec.reductions)
        return passes > 2 and size <= _TOTALS_BYTES and apart[0] >= apart[1] and plain

    def _lanes(self) -> int:
        if self.last < 0:
            return 1
        light = cost_per_element(self.spec) <= 6 and self.count == 1
        lanes = lanes_for(self.spec, 8 if light else 4)
        if self.along:
            while lanes > max(self.domain[self.last], 1):
                lanes //= 2
        return lanes

    # --- the kernel -------------------------------------------------------------------------------

    def whole(self) -> Kernel:
        """One phase, whatever the length."""
        code = Code()
        body = Body(code, self.spec, argument_pointers(code, len(self.spec.streams)))
        tasks = self._tasks_over_kept(code, body)
        code.line("ret void")
        return Kernel((Phase(code.function(HEAD), tasks),))

    def _tasks_over_kept(self, code: Code, body: Body) -> int:
        if self.streams:
            self._stream(code, body, None)
            return 1
        if not self.kept:
            self._columns(code, body)
            return 1
        n = self.domain[self.kept[0]]
        rows = -(-n // min(task_count(self.work), n)) if n else 1
        tasks = max(1, -(-n // rows))
        start: Index = 0
        stop: Index = n
        if tasks > 1:
            start = code.index_mul(LO, rows)
            stop = smaller(code, code.index_mul(HI, rows), n)
        with code.loop(start, stop) as loop:
            self._kept(code, body.at(self.kept[0], loop.index), self.kept[1:])
        return tasks

    def _kept(self, code: Code, body: Body, axes: list[int]) -> None:
        if not axes:
            self._columns(code, body)
            return
        with code.loop(0, self.domain[axes[0]]) as loop:
            self._kept(code, body.at(axes[0], loop.index), axes[1:])

    def _columns(self, code: Code, body: Body, bounds: tuple[Index, Index] | None = None) -> None:
        """The results of one place of the kept axes."""
        if self.along or self.last < 0:
            totals = self._rows(code, body, self.reduced, bounds)
            ends = [
                joined(code, r, t) for r, t in zip(self.spec.reductions, totals, strict=True)
            ]
            self._write(code, body, ends, 0)
            return
        n = self.domain[self.last]
        whole = n - n % self.lanes
        if whole:
            with code.loop(0, whole, self.lanes) as loop:
                self._column(code, body, loop.index, self.lanes, bounds)
        if n % self.lanes:
            self._column(code, body, whole, n % self.lanes, bounds)

    def _column(self, code: Code, body: Body, index: Index, lanes: int, bounds) -> None:
        totals = self._across(code, body, self.reduced, index, lanes, bounds)
        self._write(code, body, totals, index)

    def _write(self, code: Code, body: Body, values: list[Value], index: Index) -> None:
        for r, value, pointer in zip(
            self.spec.reductions, values, body.result_pointers(), strict=True
        ):
            written = stored(code, value, r.out.dtype)
            size = r.out.dtype.itemsize
            step = r.out.strides[self.last] if self.last >= 0 else 0
            lanes = lanes_of(written.type)
            if lanes == 1 or step == 1:
                code.store(written, self._place(code, pointer, index, step * size), size)
                continue
            for lane in range(lanes):
                place = self._place(code, pointer, code.index_add(index, lane), step * size)
                code.store(code.extract(written, lane), place, size)

    def _place(self, code: Code, pointer: Value, index: Index, size: int) -> Value:
        if isinstance(index, int):
            return code.offset(pointer, index * size)
        return code.offset(pointer, index, size) if size else pointer

    # --- totals in memory -------------------------------------------------------------------------

    def _stream(self, code: Code, body: Body, bounds) -> None:
        """Every row added to the totals, in the order of memory."""
        self._each_column(code, body, self.kept, self._clear)
        self._each_row(code, body, self.reduced, bounds)

    def _each_row(self, code: Code, body: Body, axes: list[int], bounds) -> None:
        if not axes:
            self._each_column(code, body, self.kept, self._add_row)
            return
        start, stop = bounds or (0, self.domain[axes[0]])
        with code.loop(start, stop) as loop:
            self._each_row(code, body.at(axes[0], loop.index), axes[1:], None)

    def _each_column(self, code: Code, body: Body, axes: list[int], write) -> None:
        """`write(code, body, fixed, index, lanes)` for all the kept axes."""
        if axes:
            with code.loop(0, self.domain[axes[0]]) as loop:
                self._each_column(code, body.at(axes[0], loop.index), axes[1:], write)
            return
        fixed = body.invariants()
        n = self.domain[self.last]
        whole = n - n % self.lanes
        if whole:
            with code.loop(0, whole, self.lanes) as loop:
                write(code, body, fixed, loop.index, self.lanes)
        if n % self.lanes:
            write(code, body, fixed, whole, n % self.lanes)

    def _clear(self, code: Code, body: Body, fixed, index: Index, lanes: int) -> None:
        self._write(code, body, self._starts(lanes), index)

    def _add_row(self, code: Code, body: Body, fixed, index: Index, lanes: int) -> None:
        values = self._taken(code, body.values(fixed, index, lanes))
        totals = [
            from_memory(code, self._total_at(code, r, pointer, index, lanes), r.out.dtype)
            for r, pointer in zip(self.spec.reductions, body.result_pointers(), strict=True)
        ]
        self._write(code, body, self._combined(code, totals, values), index)

    def _total_at(self, code: Code, r: Reduction, pointer: Value, index: Index, lanes) -> Value:
        size, step = r.out.dtype.itemsize, r.out.strides[self.last]
        element = memory_element(r.out.dtype)
        if step == 1 or lanes == 1:
            return code.load(self._place(code, pointer, index, step * size), vector(element, lanes))
        out = Value("poison", vector(element, lanes))
        for lane in range(lanes):
            place = self._place(code, pointer, code.index_add(index, lane), step * size)
            out = code.insert(out, code.load(place, element), lane)
        return out

    # --- running values ---------------------------------------------------------------------------

    def _combined(self, code: Code, totals, values) -> list[Value]:
        return [
            combine(code, r, t, v)
            for r, t, v in zip(self.spec.reductions, totals, values, strict=True)
        ]

    def _starts(self, lanes: int) -> list[Value]:
        return [neutral(r, lanes) for r in self.spec.reductions]

    def _total_starts(self) -> list[Value]:
        return [neutral(r, self.lanes, self._total(r)) for r in self.spec.reductions]

    def _as_totals(self, code: Code, values) -> list[Value]:
        """Running values in the dtype of totals."""
        return [code.convert("fpext", v, "double") for v in values] if self.wide else list(values)

    def _taken(self, code: Code, env) -> list[Value]:
        return [taken(code, r, env.operand(r.operand)) for r in self.spec.reductions]

    def _across(self, code, body, axes, index: Index, lanes: int, bounds) -> list[Value]:
        """The reduction over `axes` of `lanes` columns from `index` on, one result a lane."""
        if not axes:
            return self._taken(code, body.values(body.invariants(), index, lanes))
        start, stop = bounds or (0, self.domain[axes[0]])
        with code.loop(start, stop, carried=self._starts(lanes)) as loop:
            inner = self._across(code, body.at(axes[0], loop.index), axes[1:], index, lanes, None)
            loop.next(*self._combined(code, loop.carried, inner))
        return list(loop.results)

    def _rows(self, code: Code, body: Body, axes: list[int], bounds) -> list[Value]:
        """The reduction over `axes` and along the vector axis, one running value a lane."""
        if not axes:
            return self._row(code, body, bounds)
        start, stop = bounds or (0, self.domain[axes[0]])
        with code.loop(start, stop, carried=self._total_starts()) as loop:
            inner = self._rows(code, body.at(axes[0], loop.index), axes[1:], None)
            loop.next(*self._combined(code, loop.carried, inner))
        return list(loop.results)

    def _row(self, code: Code, body: Body, bounds) -> list[Value]:
        fixed = body.invariants()
        n = self.domain[self.last] if self.last >= 0 else 1
        whole, rest = n - n % self.lanes, n % self.lanes
        totals = self._total_starts()
        start, stop = bounds or (0, whole)
        if whole:
            level = self._level(whole if bounds is None else bounds[1])
            totals = self._runs(code, body, fixed, start, stop, level)
        if rest and bounds is None:
            totals = self._combined(code, totals, self._rest(code, body, fixed, whole, rest))
        return totals

    def _rest(self, code: Code, body: Body, fixed, index: Index, rest: int) -> list[Value]:
        values = self._taken(code, body.values(fixed, index, rest))
        whole = [
            widened(code, r, v, self.lanes)
            for r, v in zip(self.spec.reductions, values, strict=True)
        ]
        return self._as_totals(code, whole)

    def _level(self, length: Index) -> int:
        """How many levels of runs a length takes."""
        if self.exact:
            return 0
        if not isinstance(length, int):
            return 2
        vectors, level = length // self.lanes, 0
        while vectors > RUN and level < 3:
            vectors, level = vectors // RUN, level + 1
        return level

    def _runs(self, code, body, fixed, start: Index, stop: Index, level: int) -> list[Value]:
        if level == 0:
            with code.loop(start, stop, self.lanes, self._starts(self.lanes)) as loop:
                found = self._taken(code, body.values(fixed, loop.index, self.lanes))
                loop.next(*self._combined(code, loop.carried, found))
            return self._as_totals(code, loop.results)
        span = self.lanes * RUN**level
        with code.loop(start, stop, span, self._total_starts()) as loop:
            end = smaller(code, code.index_add(loop.index, span), stop)
            found = self._runs(code, body, fixed, loop.index, end, level - 1)
            loop.next(*self._combined(code, loop.carried, found))
        return list(loop.results)
