"""Loop kernels that reduce: sums, products, extremes, beside what else they compute.

Along the vector axis a reduction keeps one running value a lane and joins them as a tree at the
end; across it, the lanes are results of their own. Sums of floats are blocked: runs of 16 vectors
are summed by themselves (float32 in float32), then runs of 16 such sums (in float64), so the error
does not grow with the length beyond that of NumPy's pairwise sums (Higham, SIAM J. Sci. Comput.
14, 1993). A long reduction with few results is divided into segments by its length alone, whose
partial results a second phase joins pairwise.
"""

from __future__ import annotations

import math
from functools import lru_cache

import numpy as np

from chainrule.compiler.kernel import HEAD, Kernel, Phase
from chainrule.compiler.llvm.code import (
    Code,
    Index,
    Value,
    constant,
    element_of,
    lanes_of,
    vector,
)
from chainrule.compiler.llvm.elementwise import (
    RULES,
    Operation,
    from_memory,
    memory_element,
    register_element,
    to_memory,
    truth,
)
from chainrule.compiler.llvm.loops import (
    HI,
    LO,
    Body,
    LoopSpec,
    Node,
    Reduction,
    Stream,
    argument_pointers,
    cost_per_element,
    elementwise_function,
    lanes_for,
    normalised,
    smaller,
    task_count,
)

_RUN = 16  # vectors, or sums of runs, that are added one after the other
_COMBINE = {
    "sum": "add", "prod": "multiply", "max": "maximum", "min": "minimum",
    "all": "logical_and", "any": "logical_or",
}  # fmt: skip


@lru_cache(maxsize=1024)
def emit_loop(spec: LoopSpec) -> Kernel:
    """The kernel of a loop spec."""
    spec = normalised(spec)
    code = Code()
    if not spec.reductions:
        tasks = 1 if 0 in spec.domain else elementwise_function(code, spec)
        code.line("ret void")
        return Kernel((Phase(code.function(HEAD), tasks),))
    return _Reducing(spec).kernel()


def emit_finite_check(dtype: np.dtype, shape: tuple[int, ...], strides: tuple[int, ...]) -> Kernel:
    """The kernel that fails where an array holds a nan or an infinity."""
    bools = np.dtype(bool)
    nodes = (
        Node(Operation("isfinite", (), (dtype,), bools), (0,)),
        Node(Operation("logical_not", (), (bools,), bools), (1,)),
    )
    axes = tuple(range(len(shape)))
    out = Reduction("any", 2, bools, Stream(bools, (0,) * len(shape)))  # written over the status
    spec = LoopSpec(shape, (Stream(dtype, strides),), nodes, (), axes, (out,))
    return _Reducing(normalised(spec)).whole()._replace(can_fail=True)


# --- one reduction --------------------------------------------------------------------------------


def _is_bool(reduction: Reduction) -> bool:
    return reduction.name in ("all", "any")


def _accumulator(reduction: Reduction) -> np.dtype:
    """The dtype that a reduction runs in: float32 for float16, as NumPy's sums do."""
    if _is_bool(reduction):
        return np.dtype(bool)
    return np.dtype(np.float32) if reduction.dtype.char == "e" else reduction.dtype


def _start(reduction: Reduction) -> float | int | bool:
    """The neutral element: -0.0 for sums of floats, since 0.0 + -0.0 would lose the sign."""
    dtype, name = _accumulator(reduction), reduction.name
    if name in ("max", "min"):
        if dtype.kind == "f":
            return -math.inf if name == "max" else math.inf
        if dtype.kind == "b":
            return name == "min"
        info = np.iinfo(dtype)
        return int(info.min if name == "max" else info.max)
    if name == "sum":
        return -0.0 if dtype.kind == "f" else 0
    return name in ("prod", "all")


def combine(code: Code, reduction: Reduction, x: Value, y: Value) -> Value:
    """Two partial results as one."""
    dtype = _accumulator(reduction)
    name = _COMBINE[reduction.name]
    return RULES[name][1](code, Operation(name, (), (dtype, dtype), dtype), x, y)


def _neutral(reduction: Reduction, lanes: int, dtype: np.dtype | None = None) -> Value:
    element = register_element(_accumulator(reduction) if dtype is None else dtype)
    return constant(vector(element, lanes), _start(reduction))


def _stored(code: Code, value: Value, dtype: np.dtype) -> Value:
    """A total as memory holds it in this dtype."""
    if element_of(value.type) == "double" and dtype.char != "d":
        value = code.convert("fptrunc", value, "float")
    return to_memory(code, value, dtype)


def _taken(code: Code, reduction: Reduction, value: Value) -> Value:
    """A value as the reduction takes it: its truth for all and any."""
    return truth(code, value, reduction.dtype) if _is_bool(reduction) else value


def _joined(code: Code, reduction: Reduction, x: Value) -> Value:
    """All lanes of a vector as one, by halves."""
    lanes = lanes_of(x.type)
    while lanes > 1:
        half = lanes // 2
        assert lanes == 2 * half
        low = code.shuffle(x, x, range(half)) if half > 1 else code.extract(x, 0)
        high = code.shuffle(x, x, range(half, lanes)) if half > 1 else code.extract(x, 1)
        x, lanes = combine(code, reduction, low, high), half
    return x


def _widened(code: Code, reduction: Reduction, x: Value, lanes: int) -> Value:
    """The vector with more lanes, which do not count."""
    have = lanes_of(x.type)
    if have == lanes:
        return x
    start = _neutral(reduction, have)
    if have == 1:
        return code.insert(_neutral(reduction, lanes), x, 0)
    mask = [i if i < have else have for i in range(lanes)]
    return code.shuffle(x, start, mask)


class _Reducing:
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
            r.name in ("max", "min", "all", "any") or _accumulator(r).kind != "f"
            for r in spec.reductions
        )  # fmt: skip
        self.wide = self.along and all(
            r.name in ("sum", "prod") and _accumulator(r).char == "f" for r in spec.reductions
        )

    def _total(self, reduction: Reduction) -> np.dtype:
        """The dtype that totals over runs are kept in."""
        return np.dtype(np.float64) if self.wide else _accumulator(reduction)

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

    def kernel(self) -> Kernel:
        """One phase; two where the reduced length is divided into segments."""
        segments = self._segment_length()
        return self.whole() if segments is None else self._segmented(segments)

    def whole(self) -> Kernel:
        """One phase, whatever the length."""
        code = Code()
        body = Body(code, self.spec, argument_pointers(code, len(self.spec.streams)))
        tasks = self._tasks_over_kept(code, body)
        code.line("ret void")
        return Kernel((Phase(code.function(HEAD), tasks),))

    def _tasks_over_kept(self, code: Code, body: Body) -> int:
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
            joined = [
                _joined(code, r, t) for r, t in zip(self.spec.reductions, totals, strict=True)
            ]
            self._write(code, body, joined, 0)
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
            stored = _stored(code, value, r.out.dtype)
            size = r.out.dtype.itemsize
            step = r.out.strides[self.last] if self.last >= 0 else 0
            lanes = lanes_of(stored.type)
            if lanes == 1 or step == 1:
                code.store(stored, self._place(code, pointer, index, step * size), size)
                continue
            for lane in range(lanes):
                place = self._place(code, pointer, code.index_add(index, lane), step * size)
                code.store(code.extract(stored, lane), place, size)

    def _place(self, code: Code, pointer: Value, index: Index, size: int) -> Value:
        if isinstance(index, int):
            return code.offset(pointer, index * size)
        return code.offset(pointer, index, size) if size else pointer

    # --- running values ---------------------------------------------------------------------------

    def _combined(self, code: Code, totals, values) -> list[Value]:
        return [
            combine(code, r, t, v)
            for r, t, v in zip(self.spec.reductions, totals, values, strict=True)
        ]

    def _starts(self, lanes: int) -> list[Value]:
        return [_neutral(r, lanes) for r in self.spec.reductions]

    def _total_starts(self) -> list[Value]:
        return [_neutral(r, self.lanes, self._total(r)) for r in self.spec.reductions]

    def _as_totals(self, code: Code, values) -> list[Value]:
        """Running values in the dtype of totals."""
        return [code.convert("fpext", v, "double") for v in values] if self.wide else list(values)

    def _taken(self, code: Code, env) -> list[Value]:
        return [_taken(code, r, env.operand(r.operand)) for r in self.spec.reductions]

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
            _widened(code, r, v, self.lanes)
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
        while vectors > _RUN and level < 3:
            vectors, level = vectors // _RUN, level + 1
        return level

    def _runs(self, code, body, fixed, start: Index, stop: Index, level: int) -> list[Value]:
        if level == 0:
            with code.loop(start, stop, self.lanes, self._starts(self.lanes)) as loop:
                found = self._taken(code, body.values(fixed, loop.index, self.lanes))
                loop.next(*self._combined(code, loop.carried, found))
            return self._as_totals(code, loop.results)
        span = self.lanes * _RUN**level
        with code.loop(start, stop, span, self._total_starts()) as loop:
            end = smaller(code, code.index_add(loop.index, span), stop)
            found = self._runs(code, body, fixed, loop.index, end, level - 1)
            loop.next(*self._combined(code, loop.carried, found))
        return list(loop.results)

    # --- segments ---------------------------------------------------------------------------------

    def _segment_axis(self) -> int | None:
        if self.reduced:
            return self.reduced[0]
        return self.last if self.along else None

    def _segment_length(self) -> int | None:
        """The length of a segment; None where the kept axes give work enough to divide."""
        axis = self._segment_axis()
        results = math.prod(n for a, n in enumerate(self.domain) if a not in self.spec.axes)
        if axis is None or task_count(self.work) < 4 or 0 in self.domain:
            return None
        if (self.kept and self.domain[self.kept[0]] >= 8) or results > 4096:
            return None
        n = self.domain[axis]
        unit = self.lanes * _RUN if axis == self.last else 1
        length = -(-n // (task_count(self.work) * unit)) * unit
        return length if length < n else None

    def _segmented(self, length: int) -> Kernel:
        axis = self._segment_axis()
        assert axis is not None
        n = self.domain[axis]
        rest = n % self.lanes if axis == self.last else 0
        segments = -(-(n - rest) // length)
        parts = segments + bool(rest)
        spec, scratch = self._partial_spec(parts)
        inner = _Reducing(spec)
        inner.lanes, inner.wide = self.lanes, self.wide
        first = Code()
        pointers = argument_pointers(first, len(self.spec.streams) + 1)
        inner.write_segments(first, pointers, axis, length, n - rest, segments, scratch.offsets)
        second = Code()
        self._join_segments(second, parts, scratch)
        return Kernel(
            (Phase(first.function(HEAD), segments), Phase(second.function(HEAD))), scratch.size
        )

    def _partial_spec(self, parts: int):
        """The spec whose results are contiguous partial results, and where these stand."""
        kept = [a for a in range(len(self.domain)) if a not in self.spec.axes]
        strides, step = [0] * len(self.domain), 1
        for a in reversed(kept):
            strides[a], step = step, step * self.domain[a]
        out = []
        for r in self.spec.reductions:
            dtype = self._total(r)
            out.append(r._replace(out=r.out._replace(dtype=dtype, strides=tuple(strides))))
        scratch = _Scratch([r.out.dtype for r in out], step, parts)
        return self.spec._replace(reductions=tuple(out)), scratch

    def write_segments(
        self, code: Code, pointers, axis: int, length: int, end: int, segments: int, offsets
    ) -> None:
        """The first phase: each task reduces one segment into its place in the scratch memory."""
        plain = pointers[: len(self.spec.streams) - self.count]
        scratch = pointers[-1]
        bytes_of = [p.size for p in offsets]

        def body_of(segment: Index) -> Body:
            places = [
                code.offset(code.offset(scratch, p.start), segment, size)
                if isinstance(segment, Value) else code.offset(scratch, p.start + segment * size)
                for p, size in zip(offsets, bytes_of, strict=True)
            ]  # fmt: skip
            return Body(code, self.spec, [*plain, *places])

        with code.loop(LO, smaller(code, HI, segments)) as loop:
            start = code.index_mul(loop.index, length)
            stop = smaller(code, code.index_add(start, length), end)
            self._segment(code, body_of(loop.index), self.kept, (start, stop))
        if axis == self.last and self.domain[axis] != end:
            with code.if_(code.compare("eq", HI, constant("i64", segments))):
                self._segment(code, body_of(segments), self.kept, None)
        code.line("ret void")

    def _segment(self, code: Code, body: Body, axes: list[int], bounds) -> None:
        """One segment of every result; without bounds, what is left behind the last vector."""
        if axes:
            with code.loop(0, self.domain[axes[0]]) as loop:
                self._segment(code, body.at(axes[0], loop.index), axes[1:], bounds)
        elif bounds is not None:
            self._columns(code, body, bounds)
        else:
            n = self.domain[self.last]
            whole = n - n % self.lanes
            values = self._rest(code, body, body.invariants(), whole, n - whole)
            joined = [
                _joined(code, r, v) for r, v in zip(self.spec.reductions, values, strict=True)
            ]
            self._write(code, body, joined, 0)

    def _join_segments(self, code: Code, parts: int, scratch: _Scratch) -> None:
        """The second phase: partial results joined pairwise, then written where they belong."""
        pointers = argument_pointers(code, len(self.spec.streams) + 1)
        base = pointers.pop()
        kept = [a for a in range(len(self.domain)) if a not in self.spec.axes]
        for k, r in enumerate(self.spec.reductions):
            place = code.offset(base, scratch.offsets[k].start)
            dtype = self._total(r)
            size, row = dtype.itemsize, scratch.offsets[k].size
            gap = 1
            while gap < parts:
                with code.loop(0, parts - gap, 2 * gap) as outer:
                    near = code.offset(place, outer.index, row)
                    far = code.offset(near, gap * row)
                    with code.loop(0, scratch.count) as inner:
                        x = code.offset(near, inner.index, size)
                        y = code.offset(far, inner.index, size)
                        left, right = self._loaded(code, x, dtype), self._loaded(code, y, dtype)
                        code.store(to_memory(code, combine(code, r, left, right), dtype), x, size)
                gap *= 2
            out = pointers[len(self.spec.streams) - self.count + k]
            self._copy_out(code, r, place, out, kept, 0)
        code.line("ret void")

    def _loaded(self, code: Code, place: Value, dtype: np.dtype) -> Value:
        return from_memory(code, code.load(place, memory_element(dtype)), dtype)

    def _copy_out(self, code, r: Reduction, source, target, kept: list[int], level: int) -> None:
        dtype = self._total(r)
        if level == len(kept):
            value = self._loaded(code, source, dtype)
            code.store(_stored(code, value, r.out.dtype), target, r.out.dtype.itemsize)
            return
        axis = kept[level]
        row = math.prod(self.domain[a] for a in kept[level + 1 :]) * dtype.itemsize
        with code.loop(0, self.domain[axis]) as loop:
            step = r.out.strides[axis] * r.out.dtype.itemsize
            self._copy_out(
                code, r, code.offset(source, loop.index, row),
                code.offset(target, loop.index, step), kept, level + 1,
            )  # fmt: skip


class _Part:
    """Where the partial results of one reduction stand: its first byte, bytes of a segment."""

    def __init__(self, start: int, size: int):
        self.start, self.size = start, size


class _Scratch:
    """The scratch memory of a segmented reduction: `count` results for each of the parts."""

    def __init__(self, dtypes: list[np.dtype], count: int, parts: int):
        self.count = count
        self.offsets: list[_Part] = []
        self.size = 0
        for dtype in dtypes:
            row = count * dtype.itemsize
            self.offsets.append(_Part(self.size, row))
            self.size += -(-row * parts // 64) * 64
