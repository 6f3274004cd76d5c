"""The inner loops: one strip of C, row block after row block, k innermost.

A tile of C stays in registers while k runs: each step loads the vectors of a row of B once and
multiplies them by one element of A for each row of the tile. Elements of A are broadcast as they
are read, so A is read in place whichever way it lies.
"""

from __future__ import annotations

from collections.abc import Callable, Sequence
from itertools import cycle
from typing import NamedTuple

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
from chainrule.compiler.llvm.gemm_packing import partial_load
from chainrule.compiler.llvm.gemm_plan import Columns, ProductSpec, chains_of

Store = Callable[[Code, Sequence[Value], Index, Index, Value], None]
Ahead = Callable[[Code, Sequence[Value], Index, Index, int], None]

HEAD = (
    "(ptr %args, ptr %a, ptr %b, ptr %c, i64 %blocks, i64 %k, i64 %row, i64 %column, "
    "i1 %first, i1 %last)"
)
ARGUMENTS, A, B, C = (Value(f"%{name}", POINTER) for name in ("args", "a", "b", "c"))
BLOCKS, DEPTH, ROW, COLUMN = (Value(f"%{name}", I64) for name in ("blocks", "k", "row", "column"))
FIRST, LAST = Value("%first", "i1"), Value("%last", "i1")

UNROLLED = 4  # steps of k in one round
FEW_PARTS = 4  # vectors of a tile that are finished without a loop
STRAIGHT = 16  # as many steps of k are written without a loop
AHEAD = 16  # steps of k by which packed B is fetched ahead: a strip is read first from far away


class Tile(NamedTuple):
    """What a strip function is made for.

    Strides are in elements: `a` (row, k), `b` of a row of B (or of its packed strip), `c` of a row
    of C or of the partial sums; `a_block` is from one row block of A to the next. `k` is a number
    where all blocks of k are equally long. `adds` says whether C, or the partial sum, is added:
    "never", "always", or "either" (unless %first); `ends` where the sum goes: into "memory", to the
    "store" of the caller, or "either" (by %last). So many steps of k are one round, `unrolled`.
    """

    rows: int
    columns: tuple[Columns, ...]
    packed: bool
    a: tuple[int, int]
    a_block: int
    b: int
    c: int
    k: int | None
    adds: str
    ends: str
    unrolled: int


def unrolled_steps(rows: int, vectors: int, at_the_end: bool) -> int:
    """How many steps of k are written one after the other: fewer for the rows that are left over
    at the end, a small part of the work but half of the code."""
    return max(UNROLLED // 2, chains_of(rows, vectors)) if at_the_end else UNROLLED


def strip_function(
    name: str, spec: ProductSpec, lanes: int, tile: Tile, store: Store | None,
    ahead: Ahead | None = None,
) -> str:  # fmt: skip
    """The function that does `%blocks` row blocks of one strip over `%k` steps."""
    code = Code()
    size = spec.dtype.itemsize
    pointers = _pointers(code, spec) if store or ahead else []
    with code.loop(0, BLOCKS, carried=[A, C, ROW]) as blocks:
        a, c, row = blocks.carried
        if tile.ends != "store" and (tile.k is None or tile.k > STRAIGHT):
            for i in range(tile.rows):
                fetched_ahead(code, code.offset(c, i * tile.c, size), write=True)
        beside = _fetching(code, spec, tile, pointers, row, ahead) if ahead else None
        sums = _products(code, spec, lanes, tile, a, beside)
        parts = [_stored(code, *both) for both in zip(cycle(tile.columns), sums, strict=False)]
        parts = _added(code, spec, tile, c, parts)
        _end(code, spec, lanes, tile, c, row, parts, store, pointers)
        blocks.next(
            code.offset(a, tile.a_block, size),
            code.offset(c, tile.rows * tile.c, size),
            code.emit(I64, f"add nsw i64 {row.text}, {tile.rows}"),
        )
    code.line("ret void")
    return code.function(f"define internal void {name}{HEAD}")


def _pointers(code: Code, spec: ProductSpec) -> list[Value]:
    return [code.load(code.offset(ARGUMENTS, i, 8), POINTER) for i in range(spec.pointers)]


def _fetching(code: Code, spec: ProductSpec, tile: Tile, pointers, row: Value, ahead: Ahead):
    """What is written into every round of k: rows of the epilogue's operands are fetched ahead.

    They are some hundred lines, which all at once would be more than a core can wait for. They are
    fetched in every block of k: in the last one alone is too late for what lies in main memory (a
    product of 1024 x 1024 x 256 with its update took a tenth longer).
    """
    rounds = UNROLLED if tile.k is None else max(tile.k // tile.unrolled, 1)
    rows = 1 if tile.k is None else -(-tile.rows // rounds)  # in each round
    first, last = tile.columns[0], tile.columns[-1]
    width = last.start + last.first + last.used - first.start - first.first
    column = code.index_add(COLUMN, first.start + first.first)
    most = constant(I64, tile.rows - 1)

    def beside(step: Value) -> None:
        for i in range(rows):
            number = code.emit(I64, f"udiv i64 {step.text}, {tile.unrolled}")
            number = as_index(code.index_add(code.index_mul(number, rows), i))
            number = code.intrinsic("smin", number, most)
            ahead(code, pointers, code.index_add(row, number), column, width)

    return beside


def _products(
    code: Code, spec: ProductSpec, lanes: int, tile: Tile, a: Value, beside=None
) -> list[Value]:
    """The sums over this block of k, row by row; `beside(step)` writes more into every round."""
    size, k, unrolled = spec.dtype.itemsize, tile.k, tile.unrolled
    zero = constant(vector(element_type(spec.dtype), lanes), 0)
    count = tile.rows * len(tile.columns)
    chains = chains_of(tile.rows, len(tile.columns))
    sums = [zero] * (count * chains)
    step_a, step_b = tile.a[1] * size, tile.b * size

    def advance(a: Value, b: Value, sums: list[Value], steps: int) -> list[Value]:
        sums = list(sums)
        for step in range(steps):
            chain = slice(step % chains * count, (step % chains + 1) * count)
            places = (a, step * step_a), (b, step * step_b)
            if tile.packed and (k is None or k > STRAIGHT):
                fetched_ahead(code, code.offset(b, (step + AHEAD) * step_b))
            sums[chain] = _step(code, spec, lanes, tile, *places, sums[chain])
        return sums

    def rounds(a: Value, b: Value, sums: list[Value], start: Index, stop: Index, steps: int):
        with code.loop(start, stop, steps, carried=[a, b, *sums]) as loop:
            at, b, *now = loop.carried
            if beside is not None and steps == unrolled:
                beside(loop.index)
            now = advance(at, b, now, steps)
            loop.next(code.offset(at, steps * step_a), code.offset(b, steps * step_b), *now)
        at, b, *now = loop.results
        return at, b, now

    if k is not None and k <= STRAIGHT:
        return _folded(code, advance(a, B, sums, k), count)
    mask = constant(I64, -unrolled)
    whole: Index = k - k % unrolled if k is not None else code.binary("and", DEPTH, mask)
    a, b, sums = rounds(a, B, sums, 0, whole, unrolled)
    if k is not None:
        return _folded(code, advance(a, b, sums, k % unrolled), count)
    sums = _folded(code, sums, count)
    chains = 1
    return rounds(a, b, sums, whole, DEPTH, 1)[2]


def fetched_ahead(code: Code, at: Value, write: bool = False, near: bool = True) -> None:
    """The line of this address is brought into the first cache, or the second unless `near`.

    Any address is allowed.
    """
    level = 3 if near else 2
    code.line(f"call void @llvm.prefetch.p0({at}, i32 {int(write)}, i32 {level}, i32 1)")


def _folded(code: Code, sums: list[Value], count: int) -> list[Value]:
    """The chains of partial sums added up, pairwise."""
    while len(sums) > count:
        half = len(sums) // 2
        sums = [code.fadd(x, y) for x, y in zip(sums[:half], sums[half:], strict=True)]
    return sums


def _step(code: Code, spec: ProductSpec, lanes: int, tile: Tile, a, b, sums) -> list[Value]:
    """One step of k: `a` and `b` are pointers with offsets in bytes."""
    element, size = element_type(spec.dtype), spec.dtype.itemsize
    row_of_b = []
    for j, column in enumerate(tile.columns):
        start = j * lanes if tile.packed else column.start
        count = lanes if tile.packed or column.first else column.used
        at = code.offset(b[0], b[1] + start * size)
        row_of_b.append(partial_load(code, at, element, count, lanes))
    out = []
    width = len(tile.columns)
    for row in range(tile.rows):
        item = code.load(code.offset(a[0], a[1] + row * tile.a[0] * size), element)
        factor = code.splat(item, lanes)
        for j in range(width):
            out.append(code.fma(factor, row_of_b[j], sums[row * width + j]))
    return out


def _added(code: Code, spec: ProductSpec, tile: Tile, c: Value, parts: list[Value]):
    """The sums, with those before added: adding blocks keeps the error of long sums small."""
    if tile.adds == "never":
        return parts
    if tile.adds == "always":
        return _sums(code, spec, tile, c, parts)
    number, before = code.fresh("add"), code.block_name
    code.branch_if(FIRST, f"{number}.done", f"{number}.more")
    code.start_block(f"{number}.more")
    sums = _sums(code, spec, tile, c, parts)
    code.branch(f"{number}.done")
    code.start_block(f"{number}.done")
    return [
        code.emit(x.type, f"phi {x.type} [ {x.text}, %{before} ], [ {y.text}, %{number}.more ]")
        for x, y in zip(parts, sums, strict=True)
    ]


def _sums(code: Code, spec: ProductSpec, tile: Tile, c: Value, parts: list[Value]):
    places = _places(code, spec, tile, c)
    return [
        code.fadd(code.load(at, x.type), x) for at, x in zip(places, parts, strict=True)
    ]


def _places(code: Code, spec: ProductSpec, tile: Tile, c: Value) -> list[Value]:
    """Where the parts of the tile are in C, or in the partial sums."""
    return [
        code.offset(c, row * tile.c + column.start + column.first, spec.dtype.itemsize)
        for row in range(tile.rows)
        for column in tile.columns
    ]


def _end(
    code: Code, spec: ProductSpec, lanes: int, tile: Tile, c: Value, row: Value, parts,
    store: Store | None, pointers,
) -> None:  # fmt: skip
    """What becomes of the sums: into memory, or finished and handed to `store`."""
    if tile.ends == "memory":
        _save(code, spec, tile, c, parts)
    elif tile.ends == "store":
        _finish(code, spec, lanes, tile, row, parts, store, pointers)
    else:
        number = code.fresh("end")
        code.branch_if(LAST, f"{number}.store", f"{number}.save")
        code.start_block(f"{number}.store")
        _finish(code, spec, lanes, tile, row, parts, store, pointers)
        code.branch(f"{number}.done")
        code.start_block(f"{number}.save")
        _save(code, spec, tile, c, parts)
        code.branch(f"{number}.done")
        code.start_block(f"{number}.done")


def _save(code: Code, spec: ProductSpec, tile: Tile, c: Value, parts) -> None:
    for at, value in zip(_places(code, spec, tile, c), parts, strict=True):
        code.store(value, at)


def _finish(
    code: Code, spec: ProductSpec, lanes: int, tile: Tile, row: Value, parts, store, pointers
) -> None:
    """The vectors handed to `store`: row by row in a loop, through the stack, where they are many.

    Written out for each of some thirty vectors, an epilogue would be most of the code.
    """
    columns = [code.index_add(COLUMN, c.start + c.first) for c in tile.columns]
    width = len(columns)
    if len(parts) <= FEW_PARTS:
        for i, value in enumerate(parts):
            store(code, pointers, code.index_add(row, i // width), columns[i % width], value)
        return
    step = lanes * spec.dtype.itemsize
    waiting = code.alloca(len(parts) * step)
    for i, value in enumerate(parts):
        code.store(value, code.offset(waiting, i * step))
    with code.loop(0, tile.rows) as loop:
        at = code.offset(waiting, loop.index, width * step)
        for j, column in enumerate(columns):
            value = code.load(code.offset(at, j * step), parts[j].type)
            store(code, pointers, code.index_add(row, loop.index), column, value)


def _stored(code: Code, column: Columns, value: Value) -> Value:
    """The lanes of a vector that are stored."""
    if column.used == lanes_of(value.type):
        return value
    if column.used == 1:
        return code.extract(value, column.first)
    return code.shuffle(value, value, [*range(column.first, column.first + column.used)])
