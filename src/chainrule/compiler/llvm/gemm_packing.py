"""Packing: operands of a product copied to where the inner loops read them one behind the other.

B is packed into strips: the rows k of a strip, `vectors` vectors each, lie one behind the other. A
source whose columns are contiguous is copied; one whose rows are (B transposed) goes through
registers, lanes x lanes at a time; any other is gathered by elements. A is packed like B, with rows
for columns: a row block is a strip, and as its elements are read one at a time, nothing is between
them.
"""

from __future__ import annotations

from chainrule.compiler.llvm.code import (
    I64,
    POINTER,
    Code,
    Value,
    lanes_of,
    vector,
)
from chainrule.compiler.llvm.gemm_plan import Columns


def transposed(code: Code, rows: list[Value], per_block: int) -> list[Value]:
    """The columns of a square of vectors; `per_block` elements fill 128 bits.

    Elements are interleaved within blocks of 128 bits, which every processor does in one shuffle;
    then the blocks are transposed by halves (Eklundh, 1972).
    """
    lanes = len(rows)
    unit, work = 1, rows
    while unit < per_block:
        work = _interleaved(code, work, unit, per_block)
        unit *= 2
    if lanes == per_block:
        return work
    groups = lanes // per_block
    out: list[Value] = [work[0]] * lanes
    for j in range(per_block):
        blocks = _blocks_transposed(code, [work[g * per_block + j] for g in range(groups)])
        for g, value in enumerate(blocks):
            out[g * per_block + j] = value
    return out


def _interleaved(code: Code, rows: list[Value], unit: int, per_block: int) -> list[Value]:
    """One stage within blocks of 128 bits: units of `unit` elements of two rows alternate.

    Vectors of a group are numbered q * unit + d: rows q * unit, ... of them are together already,
    at column d of those done. The pair q, q + 1 gives columns 2d (the low halves) and 2d + 1.
    """
    lanes, half = len(rows), per_block // 2
    low, high = [], []
    for block in range(0, lanes, per_block):
        for i in range(block, block + half, unit):
            pair = [*range(i, i + unit), *range(lanes + i, lanes + i + unit)]
            low += pair
            high += [half + place for place in pair]
    out = []
    for start in range(0, lanes, 2 * unit):
        for x, y in zip(rows[start : start + unit], rows[start + unit :], strict=False):
            out += [code.shuffle(x, y, low), code.shuffle(x, y, high)]
    return out


def _blocks_transposed(code: Code, rows: list[Value]) -> list[Value]:
    """Vectors of as many blocks as there are vectors, with blocks and vectors exchanged."""
    count = len(rows)
    lanes = lanes_of(rows[0].type)
    per_block = lanes // count
    work, half = list(rows), count // 2
    while half:
        even, odd = [], []
        for block in range(count):
            if block & half:
                source = block ^ half
                even += [lanes + source * per_block + u for u in range(per_block)]
                odd += [lanes + block * per_block + u for u in range(per_block)]
            else:
                even += [block * per_block + u for u in range(per_block)]
                odd += [(block | half) * per_block + u for u in range(per_block)]
        for i in range(count):
            if not i & half:
                x, y = work[i], work[i | half]
                work[i] = code.shuffle(x, y, even)
                work[i | half] = code.shuffle(x, y, odd)
        half //= 2
    return work


def partial_load(code: Code, pointer: Value, element: str, count: int, lanes: int) -> Value:
    """`count` elements in the first lanes of a vector, and anything in the others."""
    if count == lanes:
        return code.load(pointer, vector(element, lanes))
    part = code.load(pointer, vector(element, count))
    if count == 1:
        type_ = vector(element, lanes)
        return code.emit(type_, f"insertelement {type_} poison, {part}, i64 0")
    return code.shuffle(part, part, [*range(count), *[-1] * (lanes - count)])


class Strips:
    """What the packing of strips needs to know: the element and the vectors of a strip.

    `tight` strips have only the lanes that are used, others whole vectors.
    """

    def __init__(
        self, element: str, size: int, lanes: int, columns: tuple[Columns, ...], tight: bool = False
    ):
        self.element, self.size, self.lanes, self.columns = element, size, lanes, columns
        self.tight = tight
        row = sum(column.used for column in columns) if tight else len(columns) * lanes
        self.row_bytes = row * size

    def put(self, code: Code, value: Value, target: Value, row: int, j: int) -> None:
        """Stores vector j of a row of the strip at `target`."""
        start = self.columns[j].start if self.tight else j * self.lanes
        used = self.columns[j].used
        if self.tight and used < self.lanes:
            value = code.shuffle(value, value, range(used)) if used > 1 else code.extract(value, 0)
        code.store(value, code.offset(target, row * self.row_bytes + start * self.size))


HEAD = "(ptr %source, ptr %target, i64 %strips, i64 %k, i64 %source_step, i64 %target_step)"
SOURCE, TARGET = Value("%source", POINTER), Value("%target", POINTER)
STRIPS, DEPTH = Value("%strips", I64), Value("%k", I64)
SOURCE_STEP, TARGET_STEP = Value("%source_step", I64), Value("%target_step", I64)


def copy_function(name: str, strips: Strips, row_stride: int) -> str:
    """Packs strips of a matrix with contiguous columns; k outside, so that rows are read on."""
    code = Code()
    with code.loop(0, DEPTH, carried=[SOURCE, TARGET]) as rows:
        source, target = rows.carried
        with code.loop(0, STRIPS, carried=[source, target]) as across:
            for j, column in enumerate(strips.columns):
                # only a matrix narrower than a vector has columns that cannot be loaded in full
                count = strips.lanes if column.first else column.used
                at = code.offset(across.carried[0], column.start, strips.size)
                value = partial_load(code, at, strips.element, count, strips.lanes)
                strips.put(code, value, across.carried[1], 0, j)
            across.next(
                code.offset(across.carried[0], SOURCE_STEP),
                code.offset(across.carried[1], TARGET_STEP),
            )
        rows.next(
            code.offset(source, row_stride, strips.size), code.offset(target, strips.row_bytes)
        )
    code.line("ret void")
    return code.function(f"define internal void {name}{HEAD}")


def gather_function(name: str, strips: Strips, row_stride: int, column_stride: int) -> str:
    """Packs strips of a matrix in which nothing is contiguous."""
    code = Code()
    type_ = vector(strips.element, strips.lanes)
    with code.loop(0, DEPTH, carried=[SOURCE, TARGET]) as rows:
        source, target = rows.carried
        with code.loop(0, STRIPS, carried=[source, target]) as across:
            for j, column in enumerate(strips.columns):
                value = Value("poison", type_)
                for lane in range(column.first, column.first + column.used):
                    offset = (column.start + lane) * column_stride
                    at = code.offset(across.carried[0], offset, strips.size)
                    item = code.load(at, strips.element)
                    value = code.insert(value, item, lane) if strips.lanes > 1 else item
                strips.put(code, value, across.carried[1], 0, j)
            across.next(
                code.offset(across.carried[0], SOURCE_STEP),
                code.offset(across.carried[1], TARGET_STEP),
            )
        rows.next(
            code.offset(source, row_stride, strips.size), code.offset(target, strips.row_bytes)
        )
    code.line("ret void")
    return code.function(f"define internal void {name}{HEAD}")


def transpose_function(name: str, strips: Strips, column_stride: int, k: int | None) -> str:
    """Packs strips of a matrix with unit stride along k: squares go through registers.

    `k` is given where it is shorter than a vector; else the last square overlaps the one before.
    """
    code = Code()
    lanes, size = strips.lanes, strips.size
    with code.loop(0, STRIPS, carried=[SOURCE, TARGET]) as across:
        source, target = across.carried
        if k is not None:
            _squares(code, strips, column_stride, source, target, k)
        else:
            last = code.binary("sub", DEPTH, Value(str(lanes), I64))
            with code.loop(0, DEPTH, lanes) as along:
                at = code.intrinsic("smin", along.index, last)
                from_ = code.offset(source, at, size)
                to = code.offset(target, at, strips.row_bytes)
                _squares(code, strips, column_stride, from_, to, lanes)
        across.next(code.offset(source, SOURCE_STEP), code.offset(target, TARGET_STEP))
    code.line("ret void")
    return code.function(f"define internal void {name}{HEAD}")


def _squares(code: Code, strips: Strips, column_stride: int, source, target, k: int) -> None:
    """One square for each vector of the strip: k rows of it."""
    lanes, size = strips.lanes, strips.size
    for j, column in enumerate(strips.columns):
        last = lanes if column.first else column.used
        rows = []
        for lane in range(lanes):
            offset = (column.start + min(lane, last - 1)) * column_stride
            at = code.offset(source, offset, size)
            rows.append(partial_load(code, at, strips.element, k, lanes))
        done = transposed(code, rows, 16 // size)
        for i in range(k):
            strips.put(code, done[i], target, i, j)
