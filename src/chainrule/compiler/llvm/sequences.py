"""Sequences as native kernels: linear recurrences, sums of segments, convolutions.

Value     recurrence: as scipy.signal.lfilter rounds it, the latest term added last. Sums of floats
          run over at most 128 terms (or vectors of them) before they join a total, so that errors
          of long sums stay near those of NumPy's pairwise ones.
Tasks     are sequences; of segments and of a single convolution, ranges of results.
"""

from __future__ import annotations

from collections.abc import Callable

import numpy as np

from chainrule.compiler.kernel import HEAD, Kernel, Phase, Place, Site, contiguous_place
from chainrule.compiler.llvm.along import (
    Combine,
    at_lane,
    bytes_in_order,
    combine,
    in_parts,
    load_lanes,
    neutral,
    running_type,
    store_lanes,
    walk_without,
    without_axis,
)
from chainrule.compiler.llvm.code import Code, Index, Value, as_index, constant, lanes_of, vector
from chainrule.compiler.llvm.elementwise import register_element
from chainrule.compiler.llvm.gather import OUTSIDE, ends
from chainrule.compiler.llvm.loops import smaller, task_count
from chainrule.compiler.llvm.walk import (
    Walk,
    bytes_of,
    operand_pointers,
    task_bounds,
    walk_over,
    write_walk,
)
from chainrule.compiler.machine_code import vector_bytes

_RUN = 128  # terms that are added one after the other
_MOST_REGISTERS = 8  # coefficients whose terms are kept in registers


def in_runs(
    code: Code, start: Index, stop: Index, step: int, zero: Value, join: Combine,
    term: Callable[[Value], Value],
) -> Value:  # fmt: skip
    """The terms at start, start + step, ... joined, in runs that are joined then."""
    if isinstance(start, int) and isinstance(stop, int) and stop - start <= _RUN * step:
        return _run(code, start, stop, step, zero, join, term)
    with code.loop(start, stop, _RUN * step, [zero]) as loop:
        end = smaller(code, code.index_add(loop.index, _RUN * step), stop)
        loop.next(join(code, loop.carried[0], _run(code, loop.index, end, step, zero, join, term)))
    return loop.results[0]


def _run(code: Code, start: Index, stop: Index, step: int, zero: Value, join, term) -> Value:
    with code.loop(start, stop, step, [zero]) as loop:
        loop.next(join(code, loop.carried[0], term(loop.index)))
    return loop.results[0]


# --- recurrences ----------------------------------------------------------------------------------


def emit_recurrence(site: Site) -> Kernel | None:
    """The kernel of `recurrence` for float32s and float64s."""
    (c, x), (out,) = site.inputs, site.outputs
    dtype = x.type.dtype
    if dtype.char not in "fd":
        return None
    code, axis, size = Code(), x.type.ndim - 1, dtype.itemsize
    pointers = operand_pointers(code, (c, x), 1)
    lead = bytes_of(c)[:-1] if c.type.ndim > 1 else (0,) * axis
    walk = walk_over(x.type.shape[:-1], lead, bytes_of(x)[:-1], bytes_of(out)[:-1])
    tasks = task_count(out.type.size * (4 + 4 * c.type.shape[-1]))
    walk = walk.longest_first(tasks)
    tasks, bounds = task_bounds(code, walk.domain[0], tasks)
    steps = (c.strides[-1] * size, x.strides[-1] * size)
    short = c.type.shape[-1] <= _MOST_REGISTERS

    def row(places):
        written = _short if short else _long
        written(code, dtype, c.type.shape[-1], x.type.shape[-1], steps, places)

    if out.type.size:
        write_walk(code, walk, pointers, row, bounds if tasks > 1 else None)
    code.line("ret void")
    return Kernel((Phase(code.function(HEAD), tasks),))


def _short(code: Code, dtype: np.dtype, count: int, n: int, steps, places) -> None:
    """Few coefficients: they and the latest values stay in registers."""
    c, x, out = places
    factors = [load_lanes(code, at_lane(code, c, j, steps[0]), dtype, 1, 0) for j in range(count)]
    zero = constant(register_element(dtype), 0.0)
    with code.loop(0, n, carried=[zero] * count) as loop:
        total: Value | None = None
        for factor, before in zip(reversed(factors), reversed(loop.carried), strict=True):
            product = code.fmul(factor, before)
            total = code.fsub(zero if total is None else total, product)
        value = load_lanes(code, at_lane(code, x, loop.index, steps[1]), dtype, 1, 0)
        value = value if total is None else code.fadd(total, value)
        store_lanes(code, value, at_lane(code, out, loop.index, dtype.itemsize), dtype)
        loop.next(*[value, *loop.carried][:count])


def _long(code: Code, dtype: np.dtype, count: int, n: int, steps, places) -> None:
    """Many coefficients: the values before are read back, the oldest first."""
    c, x, out = places
    zero = constant(register_element(dtype), 0.0)
    with code.loop(0, n) as loop:
        first = code.intrinsic(
            "smax", code.binary("sub", loop.index, constant("i64", count)), constant("i64", 0)
        )
        with code.loop(first, loop.index, carried=[zero]) as inner:
            before = load_lanes(code, at_lane(code, out, inner.index, dtype.itemsize), dtype, 1, 0)
            back = code.binary("sub", loop.index, inner.index)
            number = code.binary("sub", back, constant("i64", 1))
            factor = load_lanes(code, at_lane(code, c, number, steps[0]), dtype, 1, 0)
            inner.next(code.fsub(inner.carried[0], code.fmul(factor, before)))
        value = load_lanes(code, at_lane(code, x, loop.index, steps[1]), dtype, 1, 0)
        value = code.fadd(inner.results[0], value)
        store_lanes(code, value, at_lane(code, out, loop.index, dtype.itemsize), dtype)


# --- sums of segments -----------------------------------------------------------------------------


def emit_segment_sum(site: Site) -> Kernel | None:
    """The kernel of `segment_sum`; a start outside the axis sets the status."""
    (x, starts), (out,), axis = site.inputs, site.outputs, site.params["axis"]
    if x.type.dtype.kind == "c":
        if x.literal is not None:
            return None
        x, out = in_parts(x), contiguous_place(in_parts(out).type)
    return _Segments(site, x, starts, out, axis).kernel()


class _Segments:
    """Sums of segments along one axis, being written."""

    def __init__(self, site: Site, x: Place, starts: Place, out: Place, axis: int):
        self.x, self.starts, self.dtype = x, starts, x.type.dtype
        self.kept = running_type(self.dtype)
        self.memory = self.kept if self.dtype.char == "?" else self.dtype
        self.join, self.zero = combine("cumsum", self.dtype), neutral("cumsum", self.dtype)
        self.n, self.count = x.type.shape[axis], starts.type.size
        self.size = self.dtype.itemsize
        out_bytes = bytes_in_order(out.type.shape, self.size)
        self.step, self.out_step = x.strides[axis] * self.size, out_bytes[axis]
        self.walk = walk_without(x, axis, without_axis(out_bytes, axis))
        self.work = 4 * (x.type.size + out.type.size)

    def kernel(self) -> Kernel:
        """One phase; tasks are ranges of segments."""
        code = Code()
        x, starts, out, status = operand_pointers(code, (self.x, self.starts), 2)
        tasks, bounds = task_bounds(code, self.count, task_count(self.work))
        with code.loop(*bounds) as loop:
            start, stop = self._limits(code, starts, loop.index)
            target = at_lane(code, out, loop.index, self.out_step)
            self._write(code, x, target, start, stop)
        ends(code, status)
        return Kernel((Phase(code.function(HEAD), tasks),), can_fail=True)

    def _limits(self, code: Code, starts: Value, index: Value) -> tuple[Value, Value]:
        """Where a segment begins and ends: it has one entry if the next one does not lie above."""
        step, n = self.starts.strides[0] * 8, constant("i64", self.n)
        start = code.load(at_lane(code, starts, index, step), "i64")
        following = code.binary("add", index, constant("i64", 1))
        there = smaller(code, following, self.count - 1)
        is_last = code.compare("eq", following, constant("i64", self.count))
        after = code.select(is_last, n, code.load(at_lane(code, starts, there, step), "i64"))
        outside = code.binary(
            "or", code.compare("uge", start, n), code.compare("ugt", after, n)
        )
        inside = code.fresh("inside")
        code.branch_if(outside, OUTSIDE, inside)
        code.start_block(inside)
        one = code.binary("add", start, constant("i64", 1))
        return start, code.intrinsic("smax", after, one)

    def _write(self, code: Code, x: Value, out: Value, start: Value, stop: Value) -> None:
        """The sums of one segment, at every place of the other axes."""
        walk, step = self.walk, self.walk.strides[0][-1]
        wide = max(1, 2 * vector_bytes() // max(self.kept.itemsize, 4))
        if not walk.size:
            return
        if walk.strides[1][-1] == self.size and walk.domain[-1] > 1:  # lanes are results
            lanes = min(walk.domain[-1], wide)
            rows = Walk((*walk.domain[:-1], 1), tuple([(*s[:-1], 0) for s in walk.strides]))
            whole = walk.domain[-1] - walk.domain[-1] % lanes

            def row(places):
                with code.loop(0, whole, lanes) as loop:
                    source = at_lane(code, places[0], loop.index, step)
                    target = at_lane(code, places[1], loop.index, self.size)
                    self._column(code, source, target, start, stop, lanes, step)
                rest = walk.domain[-1] - whole
                if rest:
                    source = code.offset(places[0], whole * step)
                    target = code.offset(places[1], whole * self.size)
                    self._column(code, source, target, start, stop, rest, step)

            write_walk(code, rows, [x, out], row)
            return
        lanes = wide if self.step == self.size else 1
        write_walk(
            code, walk, [x, out], lambda p: self._along(code, p[0], p[1], start, stop, lanes)
        )

    def _column(self, code, x, out, start, stop, lanes: int, step: int) -> None:
        zero = constant(vector(register_element(self.kept), lanes), self.zero)

        def term(index):
            return load_lanes(code, at_lane(code, x, index, self.step), self.memory, lanes, step)

        store_lanes(
            code, in_runs(code, start, stop, 1, zero, self.join, term), out, self.memory
        )

    def _along(self, code: Code, x: Value, out: Value, start, stop, lanes: int) -> None:
        """The sum along contiguous memory: whole vectors, then the entries behind them."""
        zero = constant(vector(register_element(self.kept), lanes), self.zero)

        def term(index, lanes=lanes):
            return load_lanes(
                code, at_lane(code, x, index, self.step), self.memory, lanes, self.size
            )

        length = code.binary("sub", stop, start)
        whole = code.binary("add", start, code.binary("and", length, constant("i64", -lanes)))
        total = in_runs(code, start, whole, lanes, zero, self.join, term)
        while lanes_of(total.type) > 1:
            half = lanes_of(total.type) // 2
            low, high = (
                code.shuffle(total, total, range(i, i + half)) if half > 1
                else code.extract(total, i) for i in (0, half)
            )  # fmt: skip
            total = self.join(code, low, high)
        with code.loop(whole, stop, carried=[total]) as loop:
            loop.next(self.join(code, loop.carried[0], term(loop.index, 1)))
        store_lanes(code, loop.results[0], out, self.memory)


# --- convolutions ---------------------------------------------------------------------------------


def emit_convolve(site: Site) -> Kernel | None:
    """The kernel of `convolve` of real numbers."""
    (x, y), (out,) = site.inputs, site.outputs
    if x.type.dtype.kind == "c" or 0 in (x.type.shape[-1], y.type.shape[-1]):
        return None
    return _Convolving(site, out).kernel()


class _Convolving:
    """A convolution along the last axis, being written; `long` is the operand that is slid over."""

    def __init__(self, site: Site, out: Place):
        x, y = site.inputs
        self.site, self.out, self.dtype = site, out, x.type.dtype
        self.swapped = y.type.shape[-1] > x.type.shape[-1]
        self.long, self.short = (y, x) if self.swapped else (x, y)
        self.n, self.m = self.long.type.shape[-1], self.short.type.shape[-1]
        self.full = site.params["mode"] == "full"
        self.kept, self.size = running_type(self.dtype), self.dtype.itemsize
        self.memory = self.kept if self.dtype.char == "?" else self.dtype
        self.add, self.multiply = combine("cumsum", self.dtype), combine("cumprod", self.dtype)
        self.steps = [p.strides[-1] * self.size for p in (self.long, self.short)]
        self.lanes = max(1, 4 * vector_bytes() // max(self.kept.itemsize, 4))

    def kernel(self) -> Kernel:
        """One phase over the sequences, or over the results of a single one."""
        code, out = Code(), self.out
        x, y, target = operand_pointers(code, self.site.inputs, 1)
        pointers = [y, x, target] if self.swapped else [x, y, target]
        places = (self.long, self.short, out)
        walk = walk_over(out.type.shape[:-1], *[bytes_of(p)[:-1] for p in places])
        wanted = task_count(2 * out.type.size * self.m)
        if walk.size == 1:
            count = self.n - self.m + 1
            tasks, bounds = task_bounds(code, count // self.lanes, wanted)
            self._row(code, pointers, bounds)
        else:
            walk = walk.longest_first(wanted)
            tasks, outer = task_bounds(code, walk.domain[0], wanted)
            whole = (0, (self.n - self.m + 1) // self.lanes)
            if walk.size:
                write_walk(code, walk, pointers, lambda p: self._row(code, p, whole),
                           outer if tasks > 1 else None)  # fmt: skip
        code.line("ret void")
        return Kernel((Phase(code.function(HEAD), tasks),))

    def _row(self, code: Code, pointers, bounds: tuple[Index, Index]) -> None:
        """One sequence: vectors where the short operand lies inside, then what is left.

        Tasks that share a sequence all write what is left: it is little, and the same.
        """
        long, short, out = pointers
        first = self.m - 1 if self.full else 0  # the first result where it lies inside
        inside = code.offset(out, first * self.size)
        count = self.n - self.m + 1
        with code.loop(*bounds) as loop:
            start = code.index_mul(loop.index, self.lanes)
            self._results(code, long, short, inside, start, self.lanes)
        if not (isinstance(bounds[0], int)):
            leads = code.compare("eq", Value("%lo", "i64"), constant("i64", 0))
            with code.if_(leads):
                self._left(code, long, short, out, inside, count)
        else:
            self._left(code, long, short, out, inside, count)

    def _left(self, code: Code, long, short, out, inside, count: int) -> None:
        rest = count % self.lanes
        if rest:
            self._results(code, long, short, inside, count - rest, rest)
        if self.full:
            for start, stop in ((0, self.m - 1), (self.n, self.n + self.m - 1)):
                with code.loop(start, stop) as loop:
                    self._edge(code, long, short, out, loop.index)

    def _results(self, code, long, short, inside, start: Index, lanes: int) -> None:
        """`lanes` results: the long operand from start + m - 1 - j times entry j of the short."""
        zero = constant(vector(register_element(self.kept), lanes), self._zero)
        base = at_lane(code, long, code.index_add(start, self.m - 1), self.steps[0])

        def term(j):
            place = code.offset(base, j, -self.steps[0]) if self.steps[0] else base
            x = load_lanes(code, place, self.memory, lanes, self.steps[0])
            y = load_lanes(code, at_lane(code, short, j, self.steps[1]), self.memory, 1, 0)
            return self.multiply(code, x, code.splat(y, lanes))

        total = in_runs(code, 0, self.m, 1, zero, self.add, term)
        store_lanes(code, total, at_lane(code, inside, start, self.size), self.memory)

    @property
    def _zero(self) -> float:
        return 0 if self.dtype.char == "?" else neutral("cumsum", self.dtype)

    def _edge(self, code: Code, long, short, out, k: Value) -> None:
        """A result where the operands overlap in part."""
        zero = constant(register_element(self.kept), self._zero)
        low = code.intrinsic(
            "smax", code.binary("sub", k, constant("i64", self.n - 1)), constant("i64", 0)
        )
        high = as_index(smaller(code, code.index_add(k, 1), self.m))

        def term(j):
            i = code.binary("sub", k, j)
            x = load_lanes(code, at_lane(code, long, i, self.steps[0]), self.memory, 1, 0)
            y = load_lanes(code, at_lane(code, short, j, self.steps[1]), self.memory, 1, 0)
            return self.multiply(code, x, y)

        total = in_runs(code, low, high, 1, zero, self.add, term)
        store_lanes(code, total, at_lane(code, out, k, self.size), self.memory)
