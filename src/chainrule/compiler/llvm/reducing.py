"""The loops of a reduction: along the vector axis, across it, or row by row into totals in memory.

Along the vector axis a reduction keeps one running value a lane and joins them as a tree at the
end; across it, the lanes are results of their own. Sums of floats are blocked: runs of 16 vectors
are summed by themselves (float32 in float32), then runs of 16 such sums (in float64), so the error
does not grow with the length beyond that of NumPy's pairwise sums (Higham, SIAM J. Sci. Comput.
14, 1993).
"""

from __future__ import annotations

import math
from functools import cached_property
from itertools import cycle

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
from chainrule.compiler.llvm.code import Code, Index, Value, as_index, lanes_of, vector
from chainrule.compiler.llvm.elementwise import from_memory, memory_element
from chainrule.compiler.llvm.loops import (
    HI,
    LO,
    LONG,
    Body,
    LoopSpec,
    Reduction,
    argument_pointers,
    cost_per_element,
    fitting,
    lanes_for,
    smaller,
    task_count,
)
from chainrule.compiler.machine_code import vector_bytes

_TOTALS_BYTES = 1 << 14  # of totals in memory: half of a first cache
_ROWS = 4  # that are added to totals in memory at once
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

    @cached_property
    def streams(self) -> bool:
        """Whether rows are added to totals in memory: where there are more than two registers full
        of totals, few enough for the first cache (of one row, a panel is), and the rows lie one
        behind the other."""
        if self.along or self.last < 0 or not self.reduced:
            return False
        inner = [a for a in self.kept if a > self.reduced[0]]
        passes = math.prod(self.domain[a] for a in inner)
        passes *= -(-self.domain[self.last] // self.lanes)
        count = math.prod(self.domain[a] for a in inner) * self.panel
        loads, axes = self.spec.loads, (self.reduced[-1], [*inner, self.last][0])
        apart = [sum(abs(s.strides[a]) for s in loads) for a in axes]
        plain = all(r.out.dtype == accumulator(r) for r in self.spec.reductions)
        fits = count * self._bytes_of_totals <= _TOTALS_BYTES
        return passes > 2 and fits and apart[0] >= apart[1] and plain

    @property
    def _bytes_of_totals(self) -> int:
        return sum(accumulator(r).itemsize for r in self.spec.reductions)

    @property
    def panel(self) -> int:
        """How many columns are summed before the next ones are begun."""
        n = self.domain[self.last]
        count = -(-n * self._bytes_of_totals // _TOTALS_BYTES)
        return n if count < 2 else -(-n // (count * self.lanes)) * self.lanes

    @property
    def panels(self) -> int:
        return -(-self.domain[self.last] // self.panel) if self.streams else 1

    @property
    def outer(self) -> list[int]:
        """The kept axes that are walked around the reduction."""
        return [a for a in self.kept if a < self.reduced[0]] if self.streams else self.kept

    def _lanes(self) -> int:
        if self.last < 0:
            return 1
        cost = cost_per_element(self.spec)
        light = cost <= 6 and self.count == 1
        lanes = lanes_for(self.spec, 8 if light else 1 if cost > LONG else 4)
        if not self.along:
            return fitting(self.spec, lanes)
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
        if self.panels > 1 and not self.outer:
            self._stream(code, body, None, (LO, HI))
            return self.panels
        if not self.outer:
            self._columns(code, body)
            return 1
        n = self.domain[self.outer[0]]
        rows = -(-n // min(task_count(self.work), n)) if n else 1
        tasks = max(1, -(-n // rows))
        start: Index = 0
        stop: Index = n
        if tasks > 1:
            start = code.index_mul(LO, rows)
            stop = smaller(code, code.index_mul(HI, rows), n)
        with code.loop(start, stop) as loop:
            self._kept(code, body.at(self.outer[0], loop.index), self.outer[1:])
        return tasks

    def _kept(self, code: Code, body: Body, axes: list[int]) -> None:
        if not axes:
            self._columns(code, body)
            return
        with code.loop(0, self.domain[axes[0]]) as loop:
            self._kept(code, body.at(axes[0], loop.index), axes[1:])

    def _columns(self, code: Code, body: Body, bounds: tuple[Index, Index] | None = None) -> None:
        """The results of one place of the outer axes."""
        if self.streams:
            self._stream(code, body, bounds)
            return
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
                self._column(code, body, [(loop.index, self.lanes)], bounds)
        if n % self.lanes:
            register = vector_bytes() // max(accumulator(r).itemsize for r in self.spec.reductions)
            self._column(code, body, _in_registers(whole, n % self.lanes, register), bounds)

    def _column(self, code: Code, body: Body, parts: list[tuple[Index, int]], bounds) -> None:
        totals = iter(self._across(code, body, self.reduced, parts, bounds))
        for index, _ in parts:
            self._write(code, body, [next(totals) for _ in range(self.count)], index)

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

    def _stream(self, code: Code, body: Body, bounds, panels=None) -> None:
        """Every row added to the totals, in the order of memory; one panel of columns, or those
        from one number to another, after the other."""
        bounds = bounds or (0, self.domain[self.reduced[0]])
        start, stop = panels or (0, self.panels)
        last, n = self.panels - 1, self.domain[self.last]
        with code.loop(start, smaller(code, stop, last)) as loop:
            first = code.index_mul(loop.index, self.panel)
            self._each_panel(code, body, bounds, first, self.panel)
        first, columns = last * self.panel, n - last * self.panel
        if isinstance(stop, int):
            self._each_panel(code, body, bounds, first, columns)
            return
        with code.if_(code.compare("sgt", stop, as_index(last))):
            self._each_panel(code, body, bounds, first, columns)

    def _each_panel(self, code: Code, body: Body, bounds, first: Index, columns: int) -> None:
        inner = [a for a in self.kept if a not in self.outer]

        def each(rows: list[Body], write) -> None:
            self._each_column(code, rows, inner, (first, columns), write)

        each([body], self._clear)
        self._each_row(code, body, self.reduced, bounds, lambda rows: each(rows, self._add_rows))

    def _each_row(self, code: Code, body: Body, axes: list[int], bounds, add) -> None:
        """`add(rows)` for all of them, some at once."""
        start, stop = bounds
        if len(axes) > 1:
            with code.loop(start, stop) as loop:
                further = (0, self.domain[axes[1]])
                self._each_row(code, body.at(axes[0], loop.index), axes[1:], further, add)
            return
        together = _ROWS if cost_per_element(self.spec) <= 6 else 1
        whole = _last_whole(code, start, stop, together)
        for first, last, count in ((start, whole, together), (whole, stop, 1)):
            if first == last:
                continue
            with code.loop(first, last, count) as loop:
                indices = [code.index_add(loop.index, k) for k in range(count)]
                add([body.at(axes[0], index) for index in indices])

    def _each_column(self, code: Code, rows: list[Body], axes: list[int], columns, write) -> None:
        """`write(code, rows, fixed, index, lanes)` for the columns, and all of the inner axes."""
        if axes:
            with code.loop(0, self.domain[axes[0]]) as loop:
                moved = [body.at(axes[0], loop.index) for body in rows]
                self._each_column(code, moved, axes[1:], columns, write)
            return
        first, n = columns
        fixed = [body.invariants() for body in rows]
        whole = n - n % self.lanes
        if whole:
            with code.loop(0, whole, self.lanes) as loop:
                write(code, rows, fixed, code.index_add(first, loop.index), self.lanes)
        if n % self.lanes:
            write(code, rows, fixed, code.index_add(first, whole), n % self.lanes)

    def _clear(self, code: Code, rows: list[Body], fixed, index: Index, lanes: int) -> None:
        self._write(code, rows[0], self._starts(lanes), index)

    def _add_rows(self, code: Code, rows: list[Body], fixed, index: Index, lanes: int) -> None:
        totals = [
            from_memory(code, self._total_at(code, r, pointer, index, lanes), r.out.dtype)
            for r, pointer in zip(self.spec.reductions, rows[0].result_pointers(), strict=True)
        ]
        for body, known in zip(rows, fixed, strict=True):
            values = self._taken(code, body.values(known, index, lanes))
            totals = self._combined(code, totals, values)
        self._write(code, rows[0], totals, index)

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
        """Running values after some more: one for each reduction, again and again."""
        return [
            combine(code, r, t, v)
            for r, t, v in zip(cycle(self.spec.reductions), totals, values, strict=False)
        ]

    def _starts(self, lanes: int) -> list[Value]:
        return [neutral(r, lanes) for r in self.spec.reductions]

    def _total_starts(self) -> list[Value]:
        return [neutral(r, self.lanes, self._total(r)) for r in self.spec.reductions]

    def _as_totals(self, code: Code, values) -> list[Value]:
        """Running values in the dtype of totals."""
        return [code.convert("fpext", v, "double") for v in values] if self.wide else list(values)

    def _taken(self, code: Code, env) -> list[Value]:
        return [taken(code, r, env.result(r.operand)) for r in self.spec.reductions]

    def _across(self, code, body, axes, parts: list[tuple[Index, int]], bounds) -> list[Value]:
        """The reduction over `axes` of columns, one result a lane. `parts` of them (where each
        begins, its lanes) are reduced side by side: running values of 24 lanes are slow, of 16 and
        of 8 they are not."""
        if not axes:
            fixed = body.invariants()
            rows = [body.values(fixed, index, lanes) for index, lanes in parts]
            return [value for row in rows for value in self._taken(code, row)]
        starts = [start for _, lanes in parts for start in self._starts(lanes)]
        start, stop = bounds or (0, self.domain[axes[0]])

        def rows_from(start: Index, stop: Index, step: int, totals: list) -> list:
            """`step` sets of running values, each of every step-th row."""
            with code.loop(start, stop, step, [t for some in totals for t in some]) as loop:
                kept, after = iter(loop.carried), []
                for k in range(step):
                    row = body.at(axes[0], code.index_add(loop.index, k))
                    inner = self._across(code, row, axes[1:], parts, None)
                    after += self._combined(code, [next(kept) for _ in inner], inner)
                loop.next(*after)
            n = len(starts)
            return [list(loop.results[k * n : (k + 1) * n]) for k in range(step)]

        size = max(accumulator(r).itemsize for r in self.spec.reductions)
        thin = sum(lanes for _, lanes in parts) * size <= 2 * vector_bytes()
        if len(axes) > 1 or not thin or cost_per_element(self.spec) > 6:
            return rows_from(start, stop, 1, [starts])[0]
        whole = _last_whole(code, start, stop, _ROWS)  # else each addition waits for the last one
        totals = rows_from(start, whole, _ROWS, [starts] * _ROWS)
        while len(totals) > 1:
            pairs = zip(totals[::2], totals[1::2], strict=True)
            totals = [self._combined(code, x, y) for x, y in pairs]
        return rows_from(whole, stop, 1, totals)[0]

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


def _last_whole(code: Code, start: Index, stop: Index, step: int) -> Index:
    """Where the last whole step from start ends, at or before stop."""
    if step == 1:
        return stop
    if isinstance(start, int) and isinstance(stop, int):
        return stop - (stop - start) % step
    length = as_index(code.index_add(stop, code.index_mul(start, -1)))
    return code.index_add(stop, code.index_mul(code.binary("urem", length, as_index(step)), -1))


def _in_registers(start: int, length: int, register: int) -> list[tuple[Index, int]]:
    """A stretch as parts, (where each begins, its length), of which the last is at most a register
    and the others are powers of two."""
    out: list[tuple[Index, int]] = []
    while length > register:
        part = 1 << (length.bit_length() - 1)
        out.append((start, part))
        start, length = start + part, length - part
    return [*out, (start, length)] if length else out
