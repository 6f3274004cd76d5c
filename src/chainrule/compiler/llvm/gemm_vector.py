"""Products of a matrix and a vector: y = A x. They read A once, so all is about how it is read.

Where the rows of A are contiguous, four rows at a time are multiplied with x, lane by lane, and the
lanes added up at the end. Where its columns are, eight columns at a time, times their elements of
x, are added to y, which stays in the first cache. Both sum in several chains, so the error is that
of sums far shorter than the row.
"""

from __future__ import annotations

from collections.abc import Sequence

from chainrule.compiler.kernel import HEAD, Kernel, Phase
from chainrule.compiler.llvm.code import (
    I64,
    POINTER,
    Code,
    Index,
    Value,
    as_index,
    constant,
    element_type,
    lanes_of,
    vector,
)
from chainrule.compiler.llvm.gemm_loops import (
    Each,
    Span,
    difference,
    entry_offset,
    quotient,
    remainder,
)
from chainrule.compiler.llvm.gemm_plan import (
    ProductSpec,
    chains_of,
    lanes_for,
    tasks_wanted,
)
from chainrule.compiler.llvm.gemm_strip import Store

ARGUMENTS = Value("%args", POINTER)
ROWS = 4  # rows of A that are read side by side
COLUMNS = 8  # columns of A that are added to y at once
FEW_COLUMNS = 64  # a task has at least so many
MOST_X = 16384  # elements of an x with gaps, which is copied to the stack
MOST_Y = 4096  # elements of y in a task


def emit_matrix_vector(spec: ProductSpec, store: Store | None) -> Kernel | None:
    """The kernel where m or n is 1 and A (or B) is contiguous one way; None where others do it."""
    if min(spec.m, spec.n) != 1 or spec.k == 0:
        return None
    along_rows = spec.n == 1
    product = spec if along_rows else spec.transposed()
    lanes = lanes_for(spec.dtype)
    if product.a[1] == 1 and (product.b[0] == 1 or spec.k <= MOST_X):
        return _Rows(product, along_rows, store).kernel()
    if product.a[0] == 1 and product.m > 8 * lanes:
        return _Columns(product, along_rows, store).kernel()
    return None


class _MatrixVector:
    """y = A x being written; `spec.n` is 1. y is a column of the product, or a row."""

    unit: int  # elements of y that are done together

    def __init__(self, spec: ProductSpec, along_rows: bool, store: Store | None):
        self.spec, self.along_rows, self.store = spec, along_rows, store
        self.size, self.element = spec.dtype.itemsize, element_type(spec.dtype)
        self.lanes = lanes_for(spec.dtype)
        self.code = Code()
        self.groups = 1

    def kernel(self) -> Kernel:
        """The kernel, of one phase."""
        code, spec = self.code, self.spec
        units = -(-spec.m // self.unit)
        wanted = tasks_wanted(spec)
        batch_groups = min(spec.matrices, wanted)
        groups = min(units, max(-(-wanted // batch_groups), -(-spec.m // MOST_Y)))
        self.groups = groups
        self.pointers = [
            code.load(code.offset(ARGUMENTS, i, 8), POINTER) for i in range(spec.pointers)
        ]
        self.prepare()
        with code.loop(Value("%lo", I64), Value("%hi", I64)) as loop:
            part = remainder(code, loop.index, groups)
            entries = quotient(code, loop.index, groups) if batch_groups > 1 else 0
            span = Span(code, units, groups, part)
            stop: Index = spec.m
            if groups > 1:
                stop = code.intrinsic(
                    "smin", as_index(code.index_mul(span.stop, self.unit)), Value(str(spec.m), I64)
                )
            each = Span(code, spec.matrices, batch_groups, entries)
            with Each(code, each.start, each.stop, 1) as entry:
                self.entry = entry
                self.a, self.x, self.y = self._places(entry)
                self.part(code.index_mul(span.start, self.unit), stop)
        code.line("ret void")
        return Kernel((Phase(code.function(HEAD), groups * batch_groups),))

    def _places(self, entry: Index):
        spec, code = self.spec, self.code
        strides = spec.a_batch, spec.b_batch, spec.c_batch
        return (
            code.offset(
                code.offset(code.load(code.offset(ARGUMENTS, argument, 8), POINTER), start),
                entry_offset(code, spec.batch, batch, entry), self.size,
            )
            for argument, start, batch in zip(
                spec.arguments, spec.offsets, strides, strict=True
            )
        )  # fmt: skip

    def prepare(self) -> None:
        """What is written before the loop over tasks."""

    def part(self, start: Index, stop: Index) -> None:
        """The elements of y from start to stop."""
        raise NotImplementedError

    def finish(self, place: Index, value: Value) -> None:
        """Neighbouring elements of y, done."""
        code, spec = self.code, self.spec
        count = lanes_of(value.type)
        if self.store and not self.along_rows:
            self.store(code, self.pointers, self.entry, place, value)
        elif self.store:
            first = code.index_add(code.index_mul(self.entry, spec.m), place)
            for lane in range(count):
                row = code.index_add(first, lane)
                self.store(code, self.pointers, row, 0, code.extract(value, lane))
        elif spec.c[0] == 1:
            self._save(code.offset(self.y, place, self.size), value)
        else:
            for lane in range(count):
                offset = code.index_mul(code.index_add(place, lane), spec.c[0])
                self._save(code.offset(self.y, offset, self.size), code.extract(value, lane))

    def _save(self, at: Value, value: Value) -> None:
        if self.spec.accumulate:
            value = self.code.fadd(self.code.load(at, value.type), value)
        self.code.store(value, at)


class _Rows(_MatrixVector):
    """Rows of A are contiguous: dot products."""

    unit = ROWS

    def prepare(self) -> None:
        spec = self.spec
        self.copy = None
        if spec.b[0] != 1:
            self.copy = self.code.alloca(spec.k * self.size)

    def part(self, start: Index, stop: Index) -> None:
        code, spec = self.code, self.spec
        if self.copy is not None:
            with code.loop(0, spec.k) as loop:
                at = code.offset(self.x, code.index_mul(loop.index, spec.b[0]), self.size)
                item = code.load(at, self.element)
                code.store(item, code.offset(self.copy, loop.index, self.size))
            self.x = self.copy
        rest = spec.m % ROWS
        whole: Index = stop
        if self.groups == 1:
            whole = spec.m - rest
        elif rest:
            whole = code.intrinsic("smin", as_index(stop), Value(str(spec.m - rest), I64))
        if spec.m >= ROWS:
            with Each(code, start, whole, ROWS) as row:
                self._rows(row, ROWS)
        if rest and self.groups == 1:
            self._rows(spec.m - rest, rest)
        elif rest:
            with code.if_(code.compare("eq", as_index(stop), Value(str(spec.m), I64))):
                self._rows(spec.m - rest, rest)

    def _rows(self, row: Index, rows: int) -> None:
        """Dot products of some rows."""
        code, spec, lanes = self.code, self.spec, self.lanes
        a = code.offset(self.a, code.index_mul(row, spec.a[0]), self.size)
        chains = chains_of(rows, 1)
        zero = constant(vector(self.element, lanes), 0)
        sums = [zero] * (rows * chains)
        step = lanes * chains
        whole = spec.k - spec.k % step
        at, x = a, self.x
        if whole:
            with code.loop(0, whole, step, carried=[a, self.x, *sums]) as loop:
                at, x, *sums = loop.carried
                for chain in range(chains):
                    self._add(at, x, chain * lanes, rows, chain, sums, lanes)
                loop.next(
                    code.offset(at, step, self.size), code.offset(x, step, self.size), *sums
                )
            at, x, *sums = loop.results
        for i, offset in enumerate(range(0, spec.k % step, lanes)):
            self._add(at, x, offset, rows, i, sums, min(lanes, spec.k % step - offset))
        while len(sums) > rows:
            half = len(sums) // 2
            sums = [code.fadd(p, q) for p, q in zip(sums[:half], sums[half:], strict=True)]
        self.finish(row, totals(code, sums))

    def _add(self, a: Value, x: Value, offset: int, rows: int, chain: int, sums, count: int):
        """`count` elements of every row, times those of x, added to the sums of a chain."""
        code = self.code
        factor = self._load(x, offset, count)
        for row in range(rows):
            item = self._load(a, row * self.spec.a[0] + offset, count)
            place = chain * rows + row
            sums[place] = code.fma(item, factor, sums[place])

    def _load(self, pointer: Value, offset: int, count: int) -> Value:
        """Elements in the first lanes of a vector; 0 in the others."""
        code = self.code
        at = code.offset(pointer, offset, self.size)
        part = code.load(at, vector(self.element, count))
        if count == self.lanes:
            return part
        zero = constant(vector(self.element, self.lanes), 0)
        if count == 1:
            return code.insert(zero, part, 0)
        order = [*range(count), *[count] * (self.lanes - count)]
        return code.shuffle(part, constant(part.type, 0), order)


def totals(code: Code, sums: Sequence[Value]) -> Value:
    """The sums over the lanes of each vector, as one vector: halves are added, pair by pair."""
    count, width = len(sums), lanes_of(sums[0].type)
    work = list(sums)
    groups = 1  # in each vector, of `width` lanes
    while len(work) > 1:
        if len(work) % 2:
            work.append(work[-1])
        work = [
            _halves_added(code, work[i], work[i + 1], groups, width)
            for i in range(0, len(work), 2)
        ]
        if width > 1:
            groups, width = 2 * groups, width // 2
        else:
            groups *= 2
    value = work[0]
    while width > 1:
        value = _halves_added(code, value, value, groups, width, one=True)
        width //= 2
    if count == 1:
        return code.extract(value, 0)
    return value if lanes_of(value.type) == count else code.shuffle(value, value, range(count))


def _halves_added(code: Code, x: Value, y: Value, groups: int, width: int, one=False) -> Value:
    """The groups of lanes of x, then those of y (unless `one`), each with its halves added."""
    lanes = lanes_of(x.type)
    starts = [g * width for g in range(groups)]
    if not one:
        starts += [lanes + start for start in starts]
    if width == 1:  # nothing to add: the two are joined
        return code.shuffle(x, y, starts)
    low = [start + i for start in starts for i in range(width // 2)]
    if len(low) == 1:
        return code.fadd(code.extract(x, 0), code.extract(x, 1))
    return code.fadd(
        code.shuffle(x, y, low), code.shuffle(x, y, [place + width // 2 for place in low])
    )


class _Columns(_MatrixVector):
    """Columns of A are contiguous: multiples of them are added to y."""

    unit = 64

    def prepare(self) -> None:
        spec = self.spec
        self.sums = None
        if self.store or spec.c[0] != 1:
            units = -(-spec.m // self.unit)
            self.sums = self.code.alloca(-(-units // self.groups) * self.unit * self.size)

    def kernel(self) -> Kernel:
        """Columns are read from end to end, so the tasks of one product share them out."""
        spec = self.spec
        parts = min(tasks_wanted(spec), spec.k // FEW_COLUMNS)
        if spec.matrices > 1 or parts < 2 or spec.m > MOST_Y:
            return super().kernel()
        code, step = self.code, spec.m * self.size
        self.a, self.x, _ = self._places(0)
        sums = self._scratch()
        with code.loop(Value("%lo", I64), Value("%hi", I64)) as loop:
            span = Span(code, spec.k // COLUMNS, parts, loop.index)
            y = code.offset(sums, loop.index, step)
            zero = constant(self.element, 0)
            self._sweep(spec.m, lambda place, lanes: self._put(y, place, zero, lanes), 1)
            start, stop = (code.index_mul(at, COLUMNS) for at in (span.start, span.stop))
            self._range(self.a, self.x, y, spec.m, start, stop)
            rest = spec.k % COLUMNS
            if rest:
                last = code.compare("eq", loop.index, Value(str(parts - 1), I64))
                with code.if_(last):
                    self._range(self.a, self.x, y, spec.m, spec.k - rest, spec.k, rest)
        code.line("ret void")
        first = Phase(code.function(HEAD), parts)
        self.code = Code()
        return Kernel((first, self._total(parts)), spec.scratch + parts * step)

    def _total(self, parts: int) -> Phase:
        """The phase that adds the sums of the parts."""
        code, spec = self.code, self.spec
        self.pointers = [
            code.load(code.offset(ARGUMENTS, i, 8), POINTER) for i in range(spec.pointers)
        ]
        self.entry = 0
        _, _, self.y = self._places(0)
        sums = self._scratch()

        def add_up(place: Index, lanes: int) -> None:
            at = code.offset(sums, place, self.size)
            work = [
                code.load(code.offset(at, i * spec.m, self.size), vector(self.element, lanes))
                for i in range(parts)
            ]
            while len(work) > 1:
                odd = work[len(work) // 2 * 2 :]
                work = [code.fadd(*pair) for pair in zip(work[::2], work[1::2], strict=False)]
                work += odd
            self.finish(place, work[0])

        self._sweep(spec.m, add_up, 1)
        code.line("ret void")
        return Phase(code.function(HEAD))

    def _scratch(self) -> Value:
        """Where the sums of the parts are."""
        at = self.code.load(self.code.offset(ARGUMENTS, self.spec.pointers, 8), POINTER)
        return self.code.offset(at, self.spec.scratch)

    def _put(self, y: Value, place: Index, item: Value, lanes: int) -> None:
        value = self.code.splat(item, lanes)
        self.code.store(value, self.code.offset(y, place, self.size))

    def part(self, start: Index, stop: Index) -> None:
        code, spec = self.code, self.spec
        count = difference(code, stop, start)
        a = code.offset(self.a, start, self.size)
        y = self.sums
        if y is None:
            y = code.offset(self.y, start, self.size)
        first = spec.k % COLUMNS or COLUMNS
        fresh = self.sums is not None or not spec.accumulate
        self._add(a, self.x, y, count, first, fresh=fresh)
        if spec.k > first:
            self._range(a, self.x, y, count, first, spec.k)
        if self.sums is not None:
            self._hand_over(y, start, count)

    def _hand_over(self, y: Value, start: Index, count: Index) -> None:
        """The sums on the stack, finished."""
        code = self.code

        def finish(place: Index, lanes: int) -> None:
            value = code.load(code.offset(y, place, self.size), vector(self.element, lanes))
            self.finish(code.index_add(start, place), value)

        self._sweep(count, finish, 1)

    def _range(self, a, x, y: Value, count: Index, start: Index, stop: Index, columns=COLUMNS):
        """The columns from start to stop of A added to y, so many at a time."""
        code, spec = self.code, self.spec
        at = code.offset(a, code.index_mul(start, spec.a[1]), self.size)
        x = code.offset(x, code.index_mul(start, spec.b[0]), self.size)
        with code.loop(start, stop, columns, carried=[at, x]) as loop:
            at, x = loop.carried
            self._add(at, x, y, count, columns, fresh=False)
            loop.next(
                code.offset(at, columns * spec.a[1], self.size),
                code.offset(x, columns * spec.b[0], self.size),
            )

    def _add(self, a: Value, x: Value, y: Value, count: Index, columns: int, fresh: bool) -> None:
        """Multiples of some columns added to y; `fresh` where y holds nothing yet."""
        code, spec = self.code, self.spec
        factors = [
            code.load(code.offset(x, i * spec.b[0], self.size), self.element)
            for i in range(columns)
        ]

        def add(place: Index, lanes: int) -> None:
            type_ = vector(self.element, lanes)
            at = code.offset(y, place, self.size)
            source = code.offset(a, place, self.size)
            total = code.fmul(code.load(source, type_), code.splat(factors[0], lanes))
            for i, factor in enumerate(factors[1:], 1):
                item = code.load(code.offset(source, i * spec.a[1], self.size), type_)
                total = code.fma(item, code.splat(factor, lanes), total)
            if not fresh:
                total = code.fadd(code.load(at, type_), total)
            code.store(total, at)

        self._sweep(count, add, 2)

    def _sweep(self, count: Index, body, vectors: int) -> None:
        """`body(place, lanes)` for all of y, `vectors` at a time, and what is left in pieces."""
        code, spec, lanes = self.code, self.spec, self.lanes
        step = lanes * vectors
        whole: Index = spec.m - spec.m % step
        if self.groups > 1:
            whole = code.binary("and", as_index(count), Value(str(-step), I64))
        with code.loop(0, whole, step) as loop:
            for i in range(vectors):
                body(code.index_add(loop.index, i * lanes), lanes)
        rest = spec.m % step  # groups begin at multiples of the step, so only the last has it
        if not rest:
            return
        place: Index = whole
        if self.groups > 1:
            last = code.compare("ne", as_index(whole), as_index(count))
            context = code.if_(last)
        else:
            context = Each(code, 0, 1, 1)  # type: ignore[assignment]
        with context:
            for i in range(0, rest, lanes):
                body(code.index_add(place, i), min(lanes, rest - i))
