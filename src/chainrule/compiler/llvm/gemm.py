"""Products of matrices as native kernels: C = A B, whatever the strides, with an epilogue.

`emit_product` puts the parts together: the plan of blocking (gemm_plan), strips of B packed
(gemm_packing), the inner loops (gemm_strip). A task is a range of row blocks and of strips of one
or more matrices of the batch, and packs what it needs on its own stack.
"""

from __future__ import annotations

from collections.abc import Callable
from contextlib import contextmanager
from typing import NamedTuple

from chainrule.compiler.kernel import HEAD as KERNEL_HEAD
from chainrule.compiler.kernel import Kernel, Phase
from chainrule.compiler.llvm.code import (
    I64,
    POINTER,
    Code,
    Index,
    Value,
    as_index,
    element_type,
    lanes_of,
)
from chainrule.compiler.llvm.gemm_loops import (
    Each,
    Span,
    difference,
    entry_offset,
    minimum,
    quotient,
    remainder,
)
from chainrule.compiler.llvm.gemm_packing import (
    Strips,
    copy_function,
    gather_function,
    transpose_function,
)
from chainrule.compiler.llvm.gemm_plan import (
    K_UNIT,
    Columns,
    Plan,
    ProductSpec,
    columns_of,
    plan_of,
)
from chainrule.compiler.llvm.gemm_strip import (
    Ahead,
    Store,
    Tile,
    strip_function,
    unrolled_steps,
)
from chainrule.compiler.llvm.gemm_vector import emit_matrix_vector

ARGUMENTS = Value("%args", POINTER)
PACKING_WORK = 16384  # elements in the smallest task of packing


def emit_product(
    spec: ProductSpec, store: Store | None = None, ahead: Ahead | None = None
) -> Kernel:
    """The kernel of one product.

    `store(code, pointers, row, column, value)`, where given, gets every finished vector of C in
    place of the plain store: neighbouring columns of one row. `pointers` are those of `%args`;
    rows are numbered through the batch: entry * m + row. `ahead(code, pointers, row, column, n)`
    may fetch ahead what it will read at n columns of a row.
    """
    assert not (store and spec.accumulate), "an epilogue adds to what it reads itself"
    spec = _natural(spec)
    if spec.m * spec.n * spec.matrices == 0:
        return Kernel((Phase(f"{KERNEL_HEAD} nounwind {{\n  ret void\n}}\n"),))
    of_vector = emit_matrix_vector(spec, store)
    if of_vector is not None:
        return of_vector
    if spec.n == 1 and spec.m > 1 and spec.a[0] == 1:
        if store is not None:
            return _Product(_natural(spec.transposed()), _by_rows(spec, store), True).kernel()
        if spec.c[0] == 1:
            return _Product(_natural(spec.transposed()), None, False).kernel()
    if store is None and spec.c[1] != 1:
        if spec.c[0] == 1:
            return emit_product(spec.transposed())
        return _Product(spec, _scattered(spec), True).kernel()
    return _Product(spec, store, store is not None, ahead).kernel()


def emit_product_in_parts(spec: ProductSpec, finish: Finish, ahead: Ahead | None) -> Kernel:
    """The kernel of one product that has no batch, and more than one row and column.

    Each task makes its part of C on the stack, and hands it to `finish`; nothing of C is kept.
    `ahead` may fetch ahead what that will read, as of `emit_product`.
    """
    assert not spec.batch and not spec.accumulate and min(spec.m, spec.n) > 1, spec
    return _Product(spec, None, True, ahead, finish).kernel()


def _natural(spec: ProductSpec) -> ProductSpec:
    """The spec with the strides along axes of length one those that suit best."""
    a, b, c = spec.a, spec.b, spec.c
    if spec.n == 1:
        b, c = (b[0], 1), (c[0], 1)
    if spec.k == 1:
        a, b = (a[0], 1), (max(spec.n, 1), b[1])
    if spec.m == 1:
        a, c = (max(spec.k, 1), a[1]), (max(spec.n, 1), c[1])
    return spec._replace(a=a, b=b, c=c)


def _by_rows(spec: ProductSpec, store: Store) -> Store:
    """The store of a product with one column that is written as one with one row."""

    def by_rows(code: Code, pointers, row: Index, column: Index, value: Value) -> None:
        first = code.index_add(code.index_mul(row, spec.m), column)
        for lane in range(lanes_of(value.type)):
            store(code, pointers, code.index_add(first, lane), 0, code.extract(value, lane))

    return by_rows


def _scattered(spec: ProductSpec) -> Store:
    """A plain store for a C with strided columns: element by element."""
    size = spec.dtype.itemsize

    def store(code: Code, pointers, row: Index, column: Index, value: Value) -> None:
        base = code.offset(pointers[spec.arguments[2]], spec.offsets[2])
        if spec.batch:
            entry = code.emit(I64, f"udiv i64 {as_index(row).text}, {spec.m}")
            base = code.offset(base, entry_offset(code, spec.batch, spec.c_batch, entry), size)
            row = code.emit(I64, f"urem i64 {as_index(row).text}, {spec.m}")
        base = code.offset(base, code.index_mul(row, spec.c[0]), size)
        for lane in range(lanes_of(value.type)):
            place = code.index_mul(code.index_add(column, lane), spec.c[1])
            at = code.offset(base, place, size)
            item = code.extract(value, lane)
            if spec.accumulate:
                item = code.fadd(code.load(at, value.type.strip("<>").split(" ")[-1]), item)
            code.store(item, at)

    return store


class Part(NamedTuple):
    """Rows and columns of C, and where they are: `step` elements from row to row.

    The number of columns is known, or a multiple of so many.
    """

    top: Index
    rows: Index
    left: Index
    columns: Index
    multiple: int
    place: Value
    step: int


Finish = Callable[[Code, Part], None]


class _Places(NamedTuple):
    """Where a strip finds its rows of A, B (packed or as it lies) and C; its first column."""

    a: Value
    b: Value
    c: Value
    column: Index


class _Product:
    """One product being written."""

    def __init__(
        self, spec: ProductSpec, store: Store | None, buffered: bool, ahead: Ahead | None = None,
        finish: Finish | None = None,
    ):  # fmt: skip
        self.spec, self.store, self.ahead, self.finish = spec, store, ahead, finish
        self.plan: Plan = plan_of(spec, buffered, in_parts=finish is not None)
        self.size = spec.dtype.itemsize
        self.element = element_type(spec.dtype)
        self.functions: dict[str, str] = {}
        self.k_start: Index = 0
        self.depth: Index = spec.k
        self.code = Code()

    # --- sizes ------------------------------------------------------------------------------------

    @property
    def strip_bytes(self) -> int:
        """Bytes from one packed strip to the next."""
        return self.plan.packed_rows(self.spec.k, self.size) * self.plan.width * self.size

    def _row_bytes(self, strip: Index) -> int:
        """Bytes of one row of a packed strip: the last one, known by number, may be narrower."""
        plan = self.plan
        vectors = plan.tail if plan.tail and strip == plan.strips else plan.strip
        return len(vectors) * plan.lanes * self.size

    @property
    def c_row(self) -> int:
        """Elements from one row of sums to the next."""
        if self.plan.partial:
            return self.plan.group_strips * self.plan.width
        return self.spec.c[0]

    @property
    def panel_bytes(self) -> int:
        """Bytes from one packed row block to the next."""
        return self.plan.panel(self.size) * self.size

    @property
    def shared_b_bytes(self) -> int:
        """Bytes of B packed for all tasks; packed A comes after it."""
        return -(-self.plan.all_strips * self.strip_bytes // 64) * 64 if self.plan.shared else 0

    # --- the kernel -------------------------------------------------------------------------------

    def kernel(self) -> Kernel:
        """The kernel, of one phase."""
        plan, code = self.plan, self.code
        tasks = plan.batch_groups * plan.row_groups * plan.column_groups
        self._load_pointers()
        self._buffers()
        with code.loop(Value("%lo", I64), Value("%hi", I64)) as loop:
            task: Index = loop.index
            columns = remainder(code, task, plan.column_groups)
            rest = quotient(code, task, plan.column_groups)
            rows = remainder(code, rest, plan.row_groups)
            entries = quotient(code, rest, plan.row_groups)
            if plan.batch_groups == 1:
                entries = 0
            self.strips = Span(code, plan.all_strips, plan.column_groups, columns)
            self.blocks = Span(code, plan.blocks, plan.row_groups, rows)
            span = Span(code, self.spec.matrices, plan.batch_groups, entries)
            with self._each(span.start, span.stop) as entry:
                self._matrix(entry)
        code.line("ret void")
        phase = self._phase(tasks)
        if not plan.shared and not plan.shared_a:
            return Kernel((phase,))
        scratch = self.spec.scratch + self.shared_b_bytes
        if plan.shared_a:
            scratch += plan.k_blocks * plan.blocks * self.panel_bytes
        return Kernel((self._packing_phase(), phase), scratch)

    def _phase(self, tasks: int) -> Phase:
        """What has been written, as one phase."""
        text = self.code.function(KERNEL_HEAD)
        return Phase("\n".join([*self.functions.values(), text]), tasks)

    def _packing_phase(self) -> Phase:
        """What all tasks share, packed into the scratch memory: B, A, or both."""
        self.functions, self.code = {}, Code()
        code, plan, spec = self.code, self.plan, self.spec
        self._load_pointers()
        self._buffers()
        self.a, self.b = self.pointers[:2]
        of_b = self._packing_tasks(spec.n) if plan.shared else 0
        of_a = self._packing_tasks(spec.m) if plan.shared_a else 0
        with code.loop(Value("%lo", I64), Value("%hi", I64)) as loop:
            if not of_a:
                self._share_b(loop.index, of_b)
            elif not of_b:
                self._share_a(loop.index, of_a)
            else:
                first_of_a = Value(str(of_b), I64)
                with code.if_(code.compare("slt", loop.index, first_of_a)):
                    self._share_b(loop.index, of_b)
                with code.if_(code.compare("sge", loop.index, first_of_a)):
                    self._share_a(difference(code, loop.index, of_b), of_a)
        code.line("ret void")
        return self._phase(of_b + of_a)

    def _packing_tasks(self, length: int) -> int:
        """How many tasks pack an operand of k by `length`."""
        return max(1, min(length * self.spec.k // PACKING_WORK, 8))

    def _share_b(self, task: Index, tasks: int) -> None:
        """One part of B, packed: cut along its contiguous axis where it is long.

        Rows of B are read through from end to end, which narrow strips of it are not.
        """
        code, plan, spec = self.code, self.plan, self.spec
        by_rows = plan.pack_b == "copy"
        span = Span(code, -(-spec.k // K_UNIT) if by_rows else plan.all_strips, tasks, task)
        if by_rows:
            self.k_start = code.index_mul(span.start, K_UNIT)
            stop = minimum(code, code.index_mul(span.stop, K_UNIT), spec.k)
            self.depth = difference(code, stop, self.k_start)
            self.strips = Span(code, plan.all_strips, 1, 0)
        else:
            self.k_start, self.depth, self.strips = 0, spec.k, span
        self._pack_b(tasks > 1 and not by_rows)

    def _share_a(self, task: Index, tasks: int) -> None:
        """Some row blocks of A, packed: block of k after block of k."""
        code = self.code
        span = Span(code, self.plan.blocks, tasks, task)
        with self._each_k_block():
            self._pack_a(span.start, span.stop, self._shared_a(span.start))

    def _shared_a(self, block: Index) -> Value:
        """Where a row block is in packed A, at the block of k."""
        code = self.code
        place = code.index_add(code.index_mul(self.k_block, self.plan.blocks), block)
        return code.offset(self.shared_a_at, place, self.panel_bytes)

    def _load_pointers(self) -> None:
        """The addresses of A, B and C."""
        code, spec = self.code, self.spec
        self.pointers = [
            code.offset(code.load(code.offset(ARGUMENTS, i, 8), POINTER), offset)
            for i, offset in zip(spec.arguments, spec.offsets, strict=True)
        ]

    def _each(self, start: Index, stop: Index, step: int = 1):
        """A loop, or nothing around where there is one round."""
        return Each(self.code, start, stop, step)

    def _buffers(self) -> None:
        plan, code = self.plan, self.code
        self.packed_b_at = self.packed_a_at = self.partial_at = Value("null", POINTER)
        if plan.shared or plan.shared_a:
            at = code.load(code.offset(ARGUMENTS, self.spec.pointers, 8), POINTER)
            self.packed_b_at = code.offset(at, self.spec.scratch)
            self.shared_a_at = code.offset(self.packed_b_at, self.shared_b_bytes)
        if plan.pack_b and not plan.shared:
            self.packed_b_at = code.alloca(plan.group_strips * self.strip_bytes)
        if plan.pack_a and not plan.shared_a:
            blocks = min(plan.pass_blocks, plan.group_blocks)
            self.packed_a_at = code.alloca(blocks * self.panel_bytes)
        if plan.partial:
            self.partial_at = code.alloca(plan.group_blocks * plan.rows * self.c_row * self.size)

    def _matrix(self, entry: Index) -> None:
        """One entry of the batch: all blocks of k."""
        code, spec = self.code, self.spec
        strides = spec.a_batch, spec.b_batch, spec.c_batch
        self.a, self.b, self.c = (
            code.offset(pointer, entry_offset(code, spec.batch, s, entry), self.size)
            for pointer, s in zip(self.pointers, strides, strict=True)
        )
        self.first_row = code.index_mul(entry, spec.m)
        with self._each_k_block():
            self._k_block()
        if self.finish is not None:
            self._hand_over(self.finish)

    def _hand_over(self, finish: Finish) -> None:
        """The task's part of C finished: its full strips, then the last one where it has that."""
        code, plan, size = self.code, self.plan, self.spec.dtype.itemsize
        top, stop = self._row(self.blocks.start), self._row(self.blocks.stop)
        rows, first = difference(code, stop, top), self.strips.start
        if plan.strips:
            count = difference(code, minimum(code, self.strips.stop, plan.strips), first)
            left, columns = (code.index_mul(i, plan.width) for i in (first, count))
            part = Part(top, rows, left, columns, plan.width, self.partial_at, self.c_row)
            finish(code, part)
        if plan.tail:
            with self._has_tail(plan.column_groups > 1):
                before = code.index_mul(difference(code, plan.strips, first), plan.width)
                place = code.offset(self.partial_at, before, size)
                left = plan.strips * plan.width
                columns = self.spec.n - left
                part = Part(top, rows, left, columns, plan.width, place, self.c_row)
                finish(code, part)

    @contextmanager
    def _each_k_block(self):
        """A loop over the blocks of k: its number, where it starts, and its depth are set."""
        code, spec, plan = self.code, self.spec, self.plan
        self.k_start, self.depth = 0, spec.k
        with self._each(0, plan.k_blocks) as block:
            units = -(-spec.k // K_UNIT)
            if plan.k_blocks > 1:
                span = Span(code, units, plan.k_blocks, block)
                self.k_start = code.index_mul(span.start, K_UNIT)
                stop = minimum(code, code.index_mul(span.stop, K_UNIT), spec.k)
                self.depth = difference(code, stop, self.k_start)
            self.k_block = block
            yield

    def _k_block(self) -> None:
        """One block of k: B packed, then pass after pass over the row blocks."""
        code, plan = self.code, self.plan
        start, stop = self.blocks.start, self.blocks.stop
        if plan.pack_b and not plan.shared:
            self._pack_b()
        if plan.group_blocks <= plan.pass_blocks:
            self._pass(start, stop)
        else:
            with self._each(start, stop, plan.pass_blocks) as first:
                self._pass(first, minimum(code, code.index_add(first, plan.pass_blocks), stop))

    # --- packing ----------------------------------------------------------------------------------

    def _pack_b(self, some_lack_tail: bool = False) -> None:
        """The strips of this task, over this block of k, one behind the other."""
        code, plan, spec = self.code, self.plan, self.spec
        source = code.offset(self.b, code.index_mul(self.k_start, spec.b[0]), self.size)
        first: Index = 0 if plan.shared else self.strips.start
        if plan.strips:
            full = minimum(code, self.strips.stop, plan.strips)
            count = difference(code, full, self.strips.start)
            place = difference(code, self.strips.start, first)
            self._call_pack("pack", plan.strip, source, self.strips.start, place, count)
        if plan.tail:
            with self._has_tail(some_lack_tail or plan.column_groups > 1):
                place = difference(code, plan.strips, first)
                self._call_pack("pack_tail", plan.tail, source, plan.strips, place, 1)

    def _call_pack(self, name, columns, source: Value, strip: Index, place: Index, count: Index):
        code, plan, spec = self.code, self.plan, self.spec
        name = f"@@.{name}"
        if name not in self.functions:
            self.functions[name] = self._pack_function(name, columns)
        step = plan.width * spec.b[1] * self.size
        source = code.offset(source, code.index_mul(strip, step))
        at = code.index_mul(place, self.strip_bytes)
        if plan.shared:
            at = code.index_add(at, code.index_mul(self.k_start, self._row_bytes(strip)))
        target = code.offset(self.packed_b_at, at)
        code.line(
            f"call void {name}({source}, {target}, {as_index(count)}, {as_index(self.depth)}, "
            f"i64 {step}, i64 {self.strip_bytes})"
        )

    def _pack_function(self, name: str, columns: tuple[Columns, ...]) -> str:
        shape = Strips(self.element, self.size, self.plan.lanes, columns)
        return self._packing(name, self.plan.pack_b, shape, self.spec.b)

    def _packing(self, name: str, way: str, shape: Strips, strides: tuple[int, int]) -> str:
        """The function that packs strips of a matrix of these strides."""
        if way == "copy":
            return copy_function(name, shape, strides[0])
        if way == "transpose":
            short = self.spec.k if self.spec.k < self.plan.lanes else None
            return transpose_function(name, shape, strides[1], short)
        return gather_function(name, shape, *strides)

    def _pack_a(self, start: Index, stop: Index, target: Value) -> None:
        """These row blocks, over this block of k, one behind the other."""
        code, plan, spec = self.code, self.plan, self.spec
        full = difference(code, minimum(code, stop, plan.full), start)
        rest = difference(code, difference(code, stop, start), full)
        kinds = [("pack_a", plan.rows, full), ("pack_a_rest", plan.rest, rest)]
        source = self._rows_of_a(self._row(start))
        for kind, rows, count in kinds:
            if rows == 0 or count == 0:
                continue
            name = f"@@.{kind}"
            if name not in self.functions:
                columns = columns_of(plan.lanes, rows, 0, -(-rows // plan.lanes), apart=True)
                shape = Strips(self.element, self.size, plan.lanes, columns, tight=True)
                # A^T has A's columns for rows
                self.functions[name] = self._packing(name, plan.pack_a, shape, spec.a[::-1])
            code.line(
                f"call void {name}({source}, {target}, {as_index(count)}, {as_index(self.depth)}, "
                f"i64 {rows * spec.a[0] * self.size}, i64 {self.panel_bytes})"
            )
            source = code.offset(source, code.index_mul(count, rows * spec.a[0]), self.size)
            target = code.offset(target, count, self.panel_bytes)

    # --- the loops over strips --------------------------------------------------------------------

    def _row(self, block: Index) -> Index:
        """The first row of a row block."""
        plan, code = self.plan, self.code
        row = code.index_mul(block, plan.rows)
        return minimum(code, row, self.spec.m) if plan.rest else row

    def _rows_of_a(self, row: Index) -> Value:
        """The address of a row of A, at the block of k."""
        code, spec = self.code, self.spec
        place = code.index_mul(row, spec.a[0])
        place = code.index_add(place, code.index_mul(self.k_start, spec.a[1]))
        return code.offset(self.a, place, self.size)

    def _pass(self, start: Index, stop: Index) -> None:
        """All strips of the task for the row blocks from start to stop."""
        code, plan = self.code, self.plan
        row = self._row(start)
        a = self._rows_of_a(row)
        if plan.shared_a:
            a = self._shared_a(start)
        elif plan.pack_a:
            a = self.packed_a_at
            self._pack_a(start, stop, a)
        full = difference(code, minimum(code, stop, plan.full), start)
        rest = difference(code, difference(code, stop, start), full)
        done = code.index_mul(full, plan.rows)
        for kind, columns, strip in self._strips():
            with strip as number:
                places = self._strip_places(a, row, number)
                if full != 0:
                    self._call_strip(kind, plan.rows, columns, places, full, row)
                if plan.rest:
                    below = self._below(places, full, done)
                    at = code.index_add(row, done)
                    self._call_strip(f"{kind}_rest", plan.rest, columns, below, rest, at)

    def _strips(self):
        """(name, vectors, context whose value is the number) of the full strips and of the last."""
        plan = self.plan
        if plan.strips:
            full = minimum(self.code, self.strips.stop, plan.strips)
            yield "strip", plan.strip, self._each(self.strips.start, full)
        if plan.tail:
            yield "tail", plan.tail, self._has_tail(plan.column_groups > 1)

    @contextmanager
    def _has_tail(self, some_lack: bool):
        """What is written inside is done by tasks that have the last strip; its number."""
        code, plan = self.code, self.plan
        if not some_lack:
            yield plan.strips
            return
        last = Value(str(plan.all_strips), I64)
        with code.if_(code.compare("eq", as_index(self.strips.stop), last)):
            yield plan.strips

    def _strip_places(self, a: Value, row: Index, strip: Index) -> _Places:
        """Where the rows from `row` on of a strip begin."""
        code, plan, spec = self.code, self.plan, self.spec
        column = code.index_mul(strip, plan.width)
        local = difference(code, strip, self.strips.start)
        if not plan.pack_b:
            place = code.index_add(code.index_mul(self.k_start, spec.b[0]), column)
            b = code.offset(self.b, place, self.size)
        elif plan.shared:
            place = code.index_mul(strip, self.strip_bytes)
            place = code.index_add(place, code.index_mul(self.k_start, self._row_bytes(strip)))
            b = code.offset(self.packed_b_at, place)
        else:
            b = code.offset(self.packed_b_at, code.index_mul(local, self.strip_bytes))
        if plan.partial:
            below = difference(code, row, self._row(self.blocks.start))
            base, left = self.partial_at, code.index_mul(local, plan.width)
        else:
            below, base, left = row, self.c, column
        c = code.offset(base, code.index_add(code.index_mul(below, self.c_row), left), self.size)
        return _Places(a, b, c, column)

    def _below(self, places: _Places, blocks: Index, rows: Index) -> _Places:
        """So many row blocks, which are so many rows, further down."""
        code, plan = self.code, self.plan
        if plan.pack_a:
            a = code.offset(places.a, blocks, self.panel_bytes)
        else:
            a = code.offset(places.a, code.index_mul(rows, self.spec.a[0]), self.size)
        return places._replace(
            a=a,
            c=code.offset(places.c, code.index_mul(rows, self.c_row), self.size),
        )

    def _call_strip(
        self, name: str, rows: int, columns: tuple[Columns, ...], places: _Places, count, row
    ) -> None:
        code, plan = self.code, self.plan
        name = f"@@.{name}"
        if name not in self.functions:
            tile = self._tile(rows, columns)
            self.functions[name] = strip_function(
                name, self.spec, plan.lanes, tile, self.store, self.ahead
            )
        first, last = "true", "true"
        if plan.k_blocks > 1:
            block = as_index(self.k_block)
            first = code.compare("eq", block, Value("0", I64)).text
            last = code.compare("eq", block, Value(str(plan.k_blocks - 1), I64)).text
        row = code.index_add(self.first_row, row)
        code.line(
            f"call void {name}(ptr %args, {places.a}, {places.b}, {places.c}, {as_index(count)}, "
            f"{as_index(self.depth)}, {as_index(row)}, {as_index(places.column)}, "
            f"i1 {first}, i1 {last})"
        )

    def _tile(self, rows: int, columns: tuple[Columns, ...]) -> Tile:
        plan, spec = self.plan, self.spec
        several = plan.k_blocks > 1
        adds = "either" if several else "never"
        if spec.accumulate and not self.store:
            adds = "always"
        ends = "memory" if not self.store else "either" if several else "store"
        a = (1, rows) if plan.pack_a else spec.a
        b = len(columns) * plan.lanes if plan.pack_b else spec.b[0]
        k = None if several else spec.k
        a_block = plan.panel(self.size) if plan.pack_a else rows * spec.a[0]
        return Tile(
            rows, columns, bool(plan.pack_b), a, a_block, b, self.c_row, k, adds, ends,
            unrolled_steps(rows, len(columns), rows < plan.rows),
        )  # fmt: skip
