"""A long reduction with few results, divided into segments by its length alone.

The first phase reduces each segment into scratch memory, a task each; the second joins the partial
results pairwise and writes them where they belong.
"""

from __future__ import annotations

import math

import numpy as np

from chainrule.compiler.kernel import HEAD, Kernel, Phase
from chainrule.compiler.llvm.accumulate import combine, joined, stored
from chainrule.compiler.llvm.code import Code, Index, Value, constant
from chainrule.compiler.llvm.elementwise import from_memory, memory_element, to_memory
from chainrule.compiler.llvm.loops import (
    HI,
    LO,
    Body,
    Reduction,
    argument_pointers,
    smaller,
    task_count,
)
from chainrule.compiler.llvm.reducing import RUN, Reducing


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


class Segmented(Reducing):
    """A reduction whose partial results may be made apart."""

    def kernel(self) -> Kernel:
        """One phase; two where the reduced length is divided into segments."""
        segments = self._segment_length()
        return self.whole() if segments is None else self._segmented(segments)

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
        if self.outer and self.domain[self.outer[0]] >= 8:
            return None
        if results > 4096 and (not self.streams or results * 32 > self.domain[axis]):
            return None
        n = self.domain[axis]
        unit = self.lanes * RUN if axis == self.last else 1
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
        inner = Segmented(spec)
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
            self._segment(code, body_of(loop.index), self.outer, (start, stop))
        if axis == self.last and self.domain[axis] != end:
            with code.if_(code.compare("eq", HI, constant("i64", segments))):
                self._segment(code, body_of(segments), self.outer, None)
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
            ends = [
                joined(code, r, v) for r, v in zip(self.spec.reductions, values, strict=True)
            ]
            self._write(code, body, ends, 0)

    def _join_segments(self, code: Code, parts: int, scratch: _Scratch) -> None:
        """The second phase: partial results joined pairwise, then written where they belong."""
        pointers = argument_pointers(code, len(self.spec.streams) + 1)
        base = pointers.pop()
        kept = [a for a in range(len(self.domain)) if a not in self.spec.axes]
        for k, r in enumerate(self.spec.reductions):
            place = code.offset(base, scratch.offsets[k].start)
            self._join_pairs(code, r, place, parts, scratch)
            out = pointers[len(self.spec.streams) - self.count + k]
            self._copy_out(code, r, place, out, kept, 0)
        code.line("ret void")

    def _join_pairs(self, code: Code, r: Reduction, place: Value, parts: int, scratch) -> None:
        """Results 1, then 2, then 4, ... parts apart are joined into the first of each two."""
        dtype = self._total(r)
        size, row = dtype.itemsize, scratch.count * dtype.itemsize
        one = constant("i64", 1)
        with code.loop(0, (parts - 1).bit_length()) as level:
            gap = code.binary("shl", one, level.index)
            reach = code.binary("add", gap, constant("i64", parts - 1))
            pairs = code.binary("lshr", reach, code.binary("add", level.index, one))
            with code.loop(0, pairs) as pair:
                first = code.binary("shl", code.binary("mul", pair.index, gap), one)
                near = code.offset(place, first, row)
                far = code.offset(near, gap, row)
                with code.loop(0, scratch.count) as inner:
                    x = code.offset(near, inner.index, size)
                    y = code.offset(far, inner.index, size)
                    left, right = self._loaded(code, x, dtype), self._loaded(code, y, dtype)
                    code.store(to_memory(code, combine(code, r, left, right), dtype), x, size)

    def _loaded(self, code: Code, place: Value, dtype: np.dtype) -> Value:
        return from_memory(code, code.load(place, memory_element(dtype)), dtype)

    def _copy_out(self, code, r: Reduction, source, target, kept: list[int], level: int) -> None:
        dtype = self._total(r)
        if level == len(kept):
            value = self._loaded(code, source, dtype)
            code.store(stored(code, value, r.out.dtype), target, r.out.dtype.itemsize)
            return
        axis = kept[level]
        row = math.prod(self.domain[a] for a in kept[level + 1 :]) * dtype.itemsize
        with code.loop(0, self.domain[axis]) as loop:
            step = r.out.strides[axis] * r.out.dtype.itemsize
            self._copy_out(
                code, r, code.offset(source, loop.index, row),
                code.offset(target, loop.index, step), kept, level + 1,
            )  # fmt: skip
