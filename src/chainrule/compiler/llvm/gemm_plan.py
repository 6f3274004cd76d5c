"""How a product of matrices is cut up: registers, caches, tasks. Numbers only, no code.

C (m, n) = A (m, k) B (k, n). A register tile is `rows` rows of `vectors` vectors of C; k runs
innermost. Rows are cut into blocks of that many, and a rest; columns into strips of `vectors`
vectors, of which the last may be narrower. The tile is chosen by counting cycles of a processor
that does two fma and two loads per cycle and waits four cycles for an fma.

Caches as in Goto and van de Geijn, Anatomy of high-performance matrix multiplication (2008): k is
cut so that a strip of B stays in the first cache; the strips of a task are packed one behind the
other, where reading B in place would be slow. So are the row blocks of a large A, of which one pass
over the strips stays in the second cache. What all tasks read is packed before them, by tasks of
its own.
"""

from __future__ import annotations

import math
from typing import NamedTuple

import numpy as np

from chainrule.compiler.machine_code import vector_bytes, vector_registers

PANEL_BYTES = 25600  # of a strip of B: most of the first cache
PACKED_BYTES = 262144  # of the packed strips of a task, on the stack
FEW_ROWS = 512  # so many at most, and a wide B, are cut into tasks by columns alone
WIDE_BYTES = 1048576  # of B that is wide: packed as a whole it leaves the second cache again
SHARED_BYTES = 33554432  # of A, or B, packed as a whole, read from end to end by the tasks
LARGE_BYTES = 262144  # of A that is large: it does not stay in the second cache
PARTIAL_BYTES = 131072  # of the partial sums of a task, on the stack
PART_BYTES = 65536  # of such sums over which a loop goes: with as much of its arrays, in the cache
MOST_ROW_BYTES = 8192  # of a row of such sums over which a loop goes
ROW_BLOCK_BYTES = 262144  # of A, for one pass over the strips: it stays in the second cache
FEW_STRIPS = 4  # A is not packed for fewer
MANY_STRIPS = 48  # for so many, A is packed wherever it is large
WIDE_ROW = 3072  # bytes of a row of B that is wide: few rows of A are packed for so many columns
TASK_WORK = 50_000  # multiply-adds of the smallest task worth handing out
MOST_TASKS = 32
K_MOST = 208  # the longest block of k: longer sums are little faster, and less accurate
K_UNIT = 16  # k is cut at multiples of this


class ProductSpec(NamedTuple):
    """C = A B, for every entry of a batch: sizes, and strides in elements.

    `a`, `b`, `c` are the (row, column) strides; `a_batch`, ... the strides along the batch axes.
    With `accumulate` the product is added to C. `arguments` says which of the pointers in `%args`
    are those of A, B and C, and `offsets` how many bytes after it the matrix begins. There are
    `pointers` of them before that of the scratch memory, whose first `scratch` bytes are taken.
    """

    m: int
    n: int
    k: int
    dtype: np.dtype
    a: tuple[int, int]
    b: tuple[int, int]
    c: tuple[int, int]
    batch: tuple[int, ...] = ()
    a_batch: tuple[int, ...] = ()
    b_batch: tuple[int, ...] = ()
    c_batch: tuple[int, ...] = ()
    accumulate: bool = False
    arguments: tuple[int, int, int] = (0, 1, 2)
    offsets: tuple[int, int, int] = (0, 0, 0)
    pointers: int = 3
    scratch: int = 0

    @property
    def matrices(self) -> int:
        """How many products the batch holds."""
        count = 1
        for n in self.batch:
            count *= n
        return count

    def transposed(self) -> ProductSpec:
        """The same product written as C^T = B^T A^T."""
        return self._replace(
            m=self.n, n=self.m, a=self.b[::-1], b=self.a[::-1], c=self.c[::-1],
            a_batch=self.b_batch, b_batch=self.a_batch,
            arguments=(self.arguments[1], self.arguments[0], self.arguments[2]),
            offsets=(self.offsets[1], self.offsets[0], self.offsets[2]),
        )  # fmt: skip


class Columns(NamedTuple):
    """One vector of a strip: it begins `start` columns after the strip, and of its lanes `used`
    from `first` on are stored. Others repeat columns of the vector before, so that all is loaded.
    """

    start: int
    first: int
    used: int


class Plan(NamedTuple):
    """The blocking of one product."""

    lanes: int
    rows: int  # of a row block
    full: int  # row blocks of so many rows
    rest: int  # rows of one block more
    strips: int  # of full width
    strip: tuple[Columns, ...]
    tail: tuple[Columns, ...]  # the last strip, where it differs; else empty
    k_blocks: int
    k_most: int  # the longest block of k
    pack_a: str  # "", "copy", "transpose", "gather"
    pack_b: str  # the same
    shared_a: bool  # whether all of A is packed first, for all tasks
    shared: bool  # whether all of B is
    partial: bool  # whether sums wait in a buffer of the task's own
    pass_blocks: int  # row blocks in one pass over the strips
    row_groups: int
    column_groups: int
    batch_groups: int

    @property
    def blocks(self) -> int:
        """Row blocks in all."""
        return self.full + bool(self.rest)

    @property
    def width(self) -> int:
        """Columns of a full strip."""
        return len(self.strip) * self.lanes

    @property
    def all_strips(self) -> int:
        """Full strips and the last one."""
        return self.strips + bool(self.tail)

    def panel(self, size: int) -> int:
        """Elements from one packed row block to the next, within a block of k: apart as well."""
        elements = self.rows * self.k_most
        return elements + 64 // size if elements * size % 512 == 0 else elements

    def packed_rows(self, k: int, size: int) -> int:
        """Rows from one packed strip to the next, of k or of one block of k.

        Strips are kept apart in the cache, as packing writes to many of them in turn.
        """
        rows = k if self.shared else self.k_most
        return rows + 2 if rows * self.width * size % 512 == 0 else rows

    @property
    def group_strips(self) -> int:
        """The most strips that a task has."""
        return -(-self.all_strips // max(self.column_groups, 1))

    @property
    def group_blocks(self) -> int:
        """The most row blocks that a task has."""
        return -(-self.blocks // max(self.row_groups, 1))


def columns_of(
    lanes: int, n: int, begin: int, vectors: int, apart: bool = False
) -> tuple[Columns, ...]:
    """The vectors of a strip that begins at column `begin` of n; `apart` where none may overlap."""
    out = []
    for j in range(vectors):
        left = n - begin - j * lanes
        if left >= lanes:
            out.append(Columns(j * lanes, 0, lanes))
        elif n >= lanes and not apart:  # the last n columns again, of which the new ones are stored
            out.append(Columns(j * lanes - (lanes - left), lanes - left, left))
        else:
            out.append(Columns(j * lanes, 0, left))
    return tuple(out)


def tile_cost(m: int, count: int, rows: int, vectors: int) -> float:
    """Cycles per step of k over all tiles of `count` vectors and m rows."""
    def cycles(r: int, v: int) -> float:
        return max(r * v / 2, (r + v) / 2, 4.0 / chains_of(r, v)) + 0.1 * v + 0.01 * r

    full, rest_rows = divmod(m, rows)

    def strip(v: int) -> float:
        return full * cycles(rows, v) + (cycles(rest_rows, v) if rest_rows else 0.0)

    strips, rest = divmod(count, vectors)
    return strips * strip(vectors) + (strip(rest) if rest else 0.0)


def chains_of(rows: int, vectors: int) -> int:
    """Independent sums for each vector of a tile: so many that fma need not wait for each other."""
    tile, chains = rows * vectors, 1
    while chains < 4 and tile * chains < 8:
        if 2 * tile * chains + vectors + 1 > vector_registers():
            break
        chains *= 2
    return chains


def register_tile(m: int, count: int) -> tuple[int, int]:
    """(rows, vectors) of the tile for m rows of `count` vectors."""
    registers = vector_registers()
    best = None
    for vectors in range(1, min(count, 8) + 1):
        # a vector of B that only one row uses is read from memory by the fma itself
        rows = min(m, (registers - 1 - vectors) // vectors) if m > 1 else 1
        if rows < 1:
            continue
        cost = tile_cost(m, count, rows, vectors)
        if best is None or cost < best[0]:
            best = cost, rows, vectors
    assert best is not None
    return best[1:]


def lanes_for(dtype: np.dtype) -> int:
    """Elements of a vector register."""
    return vector_bytes() // dtype.itemsize


def plan_of(spec: ProductSpec, buffered: bool, in_parts: bool = False) -> Plan:
    """The blocking of a product that is not empty; `buffered` where C cannot hold partial sums,
    `in_parts` where it holds none: each task's part stays in a buffer of its own."""
    m, n, k, size = spec.m, spec.n, spec.k, spec.dtype.itemsize
    lanes = lanes_for(spec.dtype)
    count = -(-n // lanes)
    rows, vectors = register_tile(m, count)
    blocks = -(-m // rows)
    strips = n // (vectors * lanes)
    left = count - strips * vectors
    strip = columns_of(lanes, vectors * lanes, 0, vectors)
    tail = columns_of(lanes, n, strips * vectors * lanes, left) if left else ()
    k_blocks = k_blocks_of(k, vectors * lanes * size)
    partial = in_parts or (buffered and k_blocks > 1)
    pack_b = packing_of(spec, blocks)
    shared = bool(pack_b) and tasks_wanted(spec) > 1 and shares_b(spec, pack_b)
    units = -(-k // K_UNIT)
    k_most = k if k_blocks == 1 else -(-units // k_blocks) * K_UNIT
    shared_a = shares_a(spec, strips)
    row_groups, column_groups, batch_groups = groups_of(
        spec, strips + bool(tail), vectors * lanes, rows, k_most, bool(pack_b) and not shared,
        partial, shared_a, in_parts,
    )  # fmt: skip
    each = -(-(strips + bool(tail)) // column_groups)
    pack_a = ""
    far = each >= MANY_STRIPS and m * k * size > LARGE_BYTES
    if shared_a or far or (each >= FEW_STRIPS and crowded(spec, k_most)):
        pack_a = "copy" if spec.a[0] == 1 else "transpose" if spec.a[1] == 1 else "gather"
    pass_blocks = max(1, ROW_BLOCK_BYTES // max(rows * k_most * size, 1))
    return Plan(
        lanes, rows, m // rows, m % rows, strips, strip, tail, k_blocks, k_most, pack_a, pack_b,
        shared_a, shared, partial, pass_blocks, row_groups, column_groups, batch_groups,
    )  # fmt: skip


def k_blocks_of(k: int, row_bytes: int) -> int:
    """In how many blocks k is done."""
    most = min(max(PANEL_BYTES // row_bytes // K_UNIT * K_UNIT, 8 * K_UNIT), K_MOST)
    return max(1, -(-k // most))


def packing_of(spec: ProductSpec, blocks: int) -> str:
    """How B is brought into strips; empty where it is read in place."""
    if spec.k == 0:
        return ""
    if spec.b[1] != 1 and spec.n > 1:
        return "transpose" if spec.b[0] == 1 else "gather"
    in_cache = spec.k * spec.n * spec.dtype.itemsize <= PANEL_BYTES
    return "" if blocks < 3 or in_cache else "copy"


def shares_b(spec: ProductSpec, packing: str) -> bool:
    """Whether B is packed as a whole: it is one for the whole batch, and stays in the cache.

    Not where one task can do all rows of some strips, and packs these itself, into its own cache
    (a product of 256 x 1024 x 1024 is a tenth faster so); but contiguous rows of a narrow B are
    read best from end to end.
    """
    bytes_ = spec.k * spec.n * spec.dtype.itemsize
    wide = bytes_ > WIDE_BYTES and spec.n * spec.dtype.itemsize >= WIDE_ROW
    if spec.m <= FEW_ROWS and (packing != "copy" or wide):
        return False
    return not any(spec.b_batch) and bytes_ <= SHARED_BYTES


def shares_a(spec: ProductSpec, strips: int) -> bool:
    """Whether A is packed as a whole: it is large, and read often enough to be worth it.

    Of few rows it is where B is wide, however many columns a strip has (256 x 1024 x 1024 on
    registers of 64 bytes: 75 to 85 % of the ceiling); 2000 x 900 x 900 with 29 strips lost a tenth.
    """
    if spec.m == 1 or any(spec.a_batch):
        return False
    wide = spec.m <= FEW_ROWS and spec.n * spec.dtype.itemsize >= WIDE_ROW
    if not wide and strips < MANY_STRIPS:
        return False
    return LARGE_BYTES < spec.m * spec.k * spec.dtype.itemsize <= SHARED_BYTES


def crowded(spec: ProductSpec, k_most: int) -> bool:
    """Whether A, read in place by strip after strip, is slow.

    It is where the lines that are used again fall on few sets of the cache: lines of A^T (one for
    every k) in the first, rows of A in the second; or where nothing in A is contiguous.
    """
    size = spec.dtype.itemsize
    if spec.m == 1 or spec.k <= 1:
        return False
    if spec.a[0] == 1:
        return k_most > 32 * 4096 // math.gcd(spec.a[1] * size, 4096)
    return spec.a[1] != 1 or (spec.m >= 64 and spec.a[0] * size % 8192 == 0)


def tasks_wanted(spec: ProductSpec) -> int:
    """About how many tasks a product is worth."""
    work = spec.m * spec.n * max(spec.k, 1) * spec.matrices
    return max(1, min(work // TASK_WORK, 8 if work < 4e6 else 16 if work < 5e8 else 32))


def groups_of(
    spec, strips: int, width: int, rows: int, k_most: int, packs: bool, partial: bool,
    shared_a: bool, in_parts: bool = False,
):  # fmt: skip
    """(row groups, column groups, batch groups): their product is the number of tasks.

    Of the ways to get enough tasks, the one that packs and reads least: B is packed once for each
    group of rows, A read, or packed, once for each group of columns. Parts that a loop goes over
    have as long rows as may be: with 1 KiB of each row of 4 in turn, Adam's update of 1024 x 1024
    took 0.3 ms longer.
    """
    size, blocks = spec.dtype.itemsize, -(-spec.m // rows)
    most_bytes = PART_BYTES if in_parts else PARTIAL_BYTES
    wanted = tasks_wanted(spec)
    batch_groups = min(spec.matrices, wanted)
    wanted = -(-wanted // batch_groups)
    most_strips = max(1, PACKED_BYTES // max(k_most * width * size, 1))
    if in_parts:
        most_strips = max(1, min(most_strips, MOST_ROW_BYTES // (width * size)))
    slow_a, found = crowded(spec, k_most), []
    far_a = spec.m * spec.k * size > LARGE_BYTES
    for column_groups in range(-(-strips // most_strips), strips + 1):
        each = -(-strips // column_groups)
        row_groups = min(blocks, -(-wanted // column_groups))
        if partial:
            most_blocks = max(1, most_bytes // (each * width * size) // rows)
            row_groups = max(row_groups, -(-blocks // most_blocks))
        most_rows = -(-blocks // row_groups)
        a_cost = 8 if each >= FEW_STRIPS else 20
        if shared_a:
            a_cost = 2
        elif not slow_a:
            a_cost = 6 if far_a else 1
        b_cost = 5 if packs else 1
        cost = b_cost / (most_rows * rows) + a_cost / (each * width)
        cost += 0.2 * (each * column_groups * most_rows * row_groups / (strips * blocks) - 1)
        cost += max(0, 1 - row_groups * column_groups / wanted)
        found.append((cost, row_groups, column_groups))
        if in_parts:
            break
        if column_groups >= max(64, wanted):
            break
    return (*min(found)[1:], batch_groups)
