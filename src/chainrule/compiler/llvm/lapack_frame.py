"""The frame of a kernel that calls LAPACK once for each matrix of a stack.

Matrices in rows are LAPACK's transposed ones. `copy` moves a matrix between any two layouts and
types, in tiles of 4 by 4 where it is a transposition. As NumPy does, all is computed in float64.

OpenBLAS's own threads would change bits with their number, and many callers at once would each
wait for them: so while a kernel runs they are one. The first kernel in sets the number to 1, the
last one out restores it; a spin lock guards the count (chainrule.compiler.externals).
"""

from __future__ import annotations

import ctypes
from collections.abc import Iterator, Sequence
from contextlib import contextmanager
from functools import lru_cache
from math import prod
from typing import Any, NamedTuple

import numpy as np

from chainrule.compiler.externals import address
from chainrule.compiler.kernel import HEAD, Kernel, Phase, Place, Site
from chainrule.compiler.llvm.code import (
    I64,
    POINTER,
    Code,
    Value,
    bits_of,
    constant,
    element_type,
    vector,
)

_TASKS = 32  # at most: each has scratch memory of its own
_SCRATCH = 1 << 28  # bytes of it, unless one task needs more
_FLOPS_A_TASK = 100_000
_FLOPS_OF_A_CALL = 1_000  # what a call costs beside its arithmetic
_THREADS = ("threads.get", "threads.set", "threads.state")


class Matrix(NamedTuple):
    """A matrix in memory: the address of its first element, its strides in elements, their type."""

    pointer: Value
    row: int  # the distance from one row to the next
    column: int
    element: str = "double"

    @property
    def transposed(self) -> Matrix:
        return Matrix(self.pointer, self.column, self.row, self.element)

    @property
    def size(self) -> int:
        """The bytes of an element."""
        return bits_of(self.element) // 8


def columns(pointer: Value, rows: int) -> Matrix:
    """A matrix of this many rows laid out as LAPACK wants it, column behind column."""
    return Matrix(pointer, 1, rows)


def has_native_form(site: Site) -> bool:
    """Whether all inputs are arrays of float32, or all of float64, nothing is empty, and outputs
    are contiguous."""
    kinds = {p.type.dtype.char for p in site.inputs}
    return (
        len(kinds) == 1
        and kinds <= {"f", "d"}
        and all(p.literal is None and p.type.size for p in (*site.inputs, *site.outputs))
        and all(p.contiguous for p in site.outputs)
    )


class Frame:
    """The code around the work on one matrix; `kernel()` when all is written."""

    def __init__(
        self,
        site: Site,
        functions: Sequence[str],
        rooms: Sequence[int] = (),
        flops: int = 0,
        can_fail: bool = True,
    ):
        """`rooms` are sizes of scratch memory, in units of 8 bytes; `flops` those of one matrix."""
        self.site, self.can_fail = site, can_fail
        self.names = tuple(functions)
        self.pinned = self.names != () and all(address(n) is not None for n in _THREADS)
        self.externals = self.names + (_THREADS if self.pinned else ())
        self.lead = site.inputs[0].type.shape[:-2]
        self.count = prod(self.lead)
        self._rooms = [-(-size // 8) * 64 for size in rooms]
        self._scratch = sum(self._rooms)
        flops = self.count * (flops + _FLOPS_OF_A_CALL)
        fitting = _SCRATCH // max(self._scratch, 1)
        self.tasks = max(1, min(self.count, _TASKS, fitting, flops // _FLOPS_A_TASK))
        self.code = Code(reduces_strength=True)
        self._known: dict[tuple[str, object], Value] = {}

    @property
    def missing(self) -> bool:
        """Whether a function is not there."""
        return any(address(n) is None for n in self.names)

    # --- the body ---------------------------------------------------------------------------------

    @contextmanager
    def each(self) -> Iterator[list[Matrix]]:
        """Write the work on one matrix: the matrices of the inputs, then those of the outputs."""
        code = self.code
        pointers = self._arguments()
        per_task = -(-self.count // self.tasks)
        start = code.index_mul(Value("%lo", I64), per_task)
        stop = code.index_mul(Value("%hi", I64), per_task)
        stop = code.intrinsic("smin", stop, constant(I64, self.count))  # type: ignore[arg-type]
        self._pin(self._enter)
        with code.loop(start, stop) as loop:
            places = (*self.site.inputs, *self.site.outputs)
            yield [self._matrix(p, x, loop.index) for p, x in zip(places, pointers, strict=True)]
        self._pin(self._leave)
        code.line("ret void")

    def kernel(self) -> Kernel:
        """The finished kernel."""
        phase = Phase(self.code.function(HEAD), self.tasks)
        scratch = self._scratch * self.tasks
        return Kernel((phase,), scratch, self.can_fail, self.externals)

    def _arguments(self) -> list[Value]:
        """The arrays' addresses; those of scratch rooms, status and functions are kept."""
        code, count = self.code, len(self.site.inputs) + len(self.site.outputs)
        more = bool(self._scratch) + self.can_fail
        slots = [
            code.load(code.offset(Value("%args", POINTER), i, 8), POINTER)
            for i in range(count + more + len(self.externals))
        ]
        rest = slots[count:]
        if self._scratch:
            base = code.offset(rest.pop(0), Value("%lo", I64), self._scratch)
            starts = np.cumsum([0, *self._rooms[:-1]])
            self.rooms = [code.offset(base, int(start)) for start in starts]
        if self.can_fail:
            self._status = rest.pop(0)
        self._functions = dict(zip(self.externals, rest, strict=True))
        self.info = code.alloca(8, align=8)
        return slots[:count]

    def _matrix(self, place: Place, pointer: Value, number: Value) -> Matrix:
        """The matrix of one item of a stack; vectors are columns, numbers have no strides."""
        lead = len(self.lead)
        offset = self._offset(place.strides[:lead], number)
        row, column = (*place.strides[lead:], 0, 0)[:2]
        dtype = place.type.dtype
        element = element_type(np.dtype(dtype.char.lower()) if dtype.kind == "c" else dtype)
        return Matrix(self.code.offset(pointer, offset, dtype.itemsize), row, column, element)

    def _offset(self, strides: tuple[int, ...], number: Value):
        """Where the item of this number in C order lies, in elements."""
        code = self.code
        steps = [s for s, n in zip(strides, self.lead, strict=True) if n > 1]
        sizes = [n for n in self.lead if n > 1]
        while len(steps) > 1 and steps[-2] == steps[-1] * sizes[-1]:
            inner = steps.pop()
            steps[-1], size = inner, sizes.pop()
            sizes[-1] *= size
        if not steps:
            return 0
        offset: Value | int = 0
        rest = number
        for n, stride in zip(reversed(sizes[1:]), reversed(steps[1:]), strict=True):
            at = code.binary("urem", rest, constant(I64, n))
            rest = code.binary("udiv", rest, constant(I64, n))
            offset = code.index_add(offset, code.index_mul(at, stride))
        return code.index_add(offset, code.index_mul(rest, steps[0]))

    # --- calls ------------------------------------------------------------------------------------

    def integer(self, number: int) -> Value:
        """The address of a C int."""
        return self._in_memory("i32", number)

    def letter(self, letter: str) -> Value:
        """The address of a character."""
        return self._in_memory("i8", ord(letter))

    def real(self, number: float, element: str = "double") -> Value:
        """The address of a real number."""
        return self._in_memory(element, number)

    def _in_memory(self, type_: str, number) -> Value:
        key = type_, number
        if key not in self._known:
            self._known[key] = self.code.constant_in_memory(constant(type_, number))
        return self._known[key]

    def call(self, name: str, *arguments: Value | int | str) -> None:
        """Call a function; all arguments by address."""
        given = [
            self.letter(x) if isinstance(x, str) else self.integer(x) if isinstance(x, int) else x
            for x in arguments
        ]
        pointer = self._functions[name]
        self.code.line(f"call void {pointer.text}({', '.join(map(str, given))})")

    def failed(self) -> Value:
        """Whether the last call that wrote to `info` did not succeed."""
        info = self.code.load(self.info, "i32")
        return self.code.compare("ne", info, constant("i32", 0))

    def fail(self) -> None:
        """Set the status."""
        self.code.store(constant("i32", 1), self._status)

    def fail_if(self, condition: Value) -> None:
        """Set the status where the condition holds."""
        with self.code.if_(condition):
            self.fail()

    # --- elements ---------------------------------------------------------------------------------

    def at(self, matrix: Matrix, i, j=0, size: int | None = None) -> Value:
        """The address of an element."""
        code = self.code
        offset = code.index_add(code.index_mul(i, matrix.row), code.index_mul(j, matrix.column))
        return code.offset(matrix.pointer, offset, size or matrix.size)

    def load(self, matrix: Matrix, i, j=0) -> Value:
        """An element, as float64."""
        x = self.code.load(self.at(matrix, i, j), matrix.element)
        return self.code.convert("fpext", x, "double")

    def store(self, x: Value, matrix: Matrix, i, j=0) -> None:
        """Write a float64 to an element."""
        self.code.store(self._rounded(x, matrix), self.at(matrix, i, j))

    def _rounded(self, x: Value, matrix: Matrix) -> Value:
        return self.code.convert("fptrunc", x, matrix.element)

    def number(self, x: float) -> Value:
        """A constant."""
        return constant("double", x)

    def fill(self, matrix: Matrix, rows: int, columns_: int, x: float) -> None:
        """Write one number everywhere."""
        with self.code.loop(0, rows) as i, self.code.loop(0, columns_) as j:
            self.store(self.number(x), matrix, i.index, j.index)

    def identity(self, matrix: Matrix, n: int) -> None:
        """Write the identity."""
        self.fill(matrix, n, n, 0.0)
        with self.code.loop(0, n) as i:
            self.store(self.number(1.0), matrix, i.index, i.index)

    def clear_triangle(self, matrix: Matrix, rows: int, columns_: int, lower: bool) -> None:
        """Write zeros strictly below (or above) the diagonal."""
        code = self.code
        if not lower:
            matrix, rows, columns_ = matrix.transposed, columns_, rows
        with code.loop(1, rows) as i:
            last = code.intrinsic("smin", i.index, constant(I64, columns_))
            with code.loop(0, last) as j:
                self.store(self.number(0.0), matrix, i.index, j.index)

    def copy(self, source: Matrix, target: Matrix, rows: int, columns_: int) -> None:
        """Copy a matrix from one layout to another."""
        if source.column != 1 and 1 in (source.row, target.row):
            source, target, rows, columns_ = source.transposed, target.transposed, columns_, rows
        if source.column == target.column == 1 or columns_ == 1:
            self._copy_rows(source, target, rows, columns_)
        elif source.column == target.row == 1 and rows >= 4 and columns_ >= 4:
            self._copy_tiles(source, target, rows, columns_)
        else:
            self._copy_each(source, target, (0, rows), (0, columns_))

    def _copy_rows(self, source: Matrix, target: Matrix, rows: int, columns_: int) -> None:
        if columns_ == 1 and rows > 1:  # a column: a row of the transposed matrices, if they are
            if source.row == target.row == 1:
                self._move(source, target, rows)
            else:
                self._copy_each(source, target, (0, rows), (0, 1))
        elif source.row == target.row == columns_:
            self._move(source, target, rows * columns_)
        else:
            with self.code.loop(0, rows) as i:
                there = target._replace(pointer=self.at(target, i.index))
                self._move(source._replace(pointer=self.at(source, i.index)), there, columns_)

    def _move(self, source: Matrix, target: Matrix, count: int) -> None:
        """Copy elements that lie one behind the other."""
        code = self.code
        if source.element == target.element:
            code.line(
                f"call void @llvm.memcpy.p0.p0.i64({target.pointer}, {source.pointer}, "
                f"i64 {count * source.size}, i1 false)"
            )
            return
        whole = count // 4 * 4
        for start, stop, lanes in ((0, whole, 4), (whole, count, 1)):
            if start == stop:
                continue
            with code.loop(start, stop, lanes) as i:
                x = code.load(
                    code.offset(source.pointer, i.index, source.size), vector(source.element, lanes)
                )
                to = code.offset(target.pointer, i.index, target.size)
                code.store(self._converted(x, target.element), to)

    def _converted(self, x: Value, element: str) -> Value:
        wider = bits_of(element) > bits_of(x.type)
        return self.code.convert("fpext" if wider else "fptrunc", x, element)

    def _copy_each(self, source: Matrix, target: Matrix, rows, columns_) -> None:
        with self.code.loop(*rows) as i, self.code.loop(*columns_) as j:
            self.store(self.load(source, i.index, j.index), target, i.index, j.index)

    def _copy_tiles(self, source: Matrix, target: Matrix, rows: int, columns_: int) -> None:
        """A transposition: rows of the source are columns, one behind the other, of the target."""
        high, wide = rows // 4 * 4, columns_ // 4 * 4
        with self.code.loop(0, high, 4) as i, self.code.loop(0, wide, 4) as j:
            self._copy_tile(source, target, i.index, j.index)
        if wide < columns_:
            self._copy_each(source, target, (0, high), (wide, columns_))
        if high < rows:
            self._copy_each(source, target, (high, rows), (0, columns_))

    def _copy_tile(self, source: Matrix, target: Matrix, i: Value, j: Value) -> None:
        code = self.code
        first, to = self.at(source, i, j), self.at(target, i, j)
        places = [code.offset(first, k * source.row * source.size) for k in range(4)]
        a, b, c, d = [
            self._converted(code.load(p, vector(source.element, 4)), target.element) for p in places
        ]
        even, odd = (0, 4, 2, 6), (1, 5, 3, 7)
        pairs = [code.shuffle(x, y, m) for m in (even, odd) for x, y in ((a, b), (c, d))]
        halves = (0, 1, 4, 5), (2, 3, 6, 7)
        for k in range(4):
            top, bottom = pairs[2 * (k % 2)], pairs[2 * (k % 2) + 1]
            column = code.shuffle(top, bottom, halves[k // 2])
            code.store(column, code.offset(to, k * target.column * target.size))

    # --- OpenBLAS's threads -----------------------------------------------------------------------

    def _pin(self, write) -> None:
        """Write `write` inside the lock, where there are threads to think of."""
        if not self.pinned:
            return
        code, state = self.code, self._functions["threads.state"]
        wait, inside = code.fresh("wait"), code.fresh("inside")
        code.branch(wait)
        code.start_block(wait)
        pair = code.fresh("taken")
        code.line(f"%{pair} = cmpxchg {state}, i32 0, i32 1 acquire monotonic")
        code.branch_if(code.emit("i1", f"extractvalue {{ i32, i1 }} %{pair}, 1"), inside, wait)
        code.start_block(inside)
        write(code.offset(state, 4), code.offset(state, 8))
        code.line(f"store atomic i32 0, {state} release, align 4")

    def _enter(self, users: Value, before: Value) -> None:
        code = self.code
        count = code.load(users, "i32")
        with code.if_(code.compare("eq", count, constant("i32", 0))):
            number = code.emit("i32", f"call i32 {self._functions['threads.get'].text}()")
            code.store(number, before)
            self._set_threads(number, constant("i32", 1))
        code.store(code.binary("add", count, constant("i32", 1)), users)

    def _leave(self, users: Value, before: Value) -> None:
        code = self.code
        count = code.binary("sub", code.load(users, "i32"), constant("i32", 1))
        code.store(count, users)
        with code.if_(code.compare("eq", count, constant("i32", 0))):
            number = code.load(before, "i32")
            self._set_threads(number, number)

    def _set_threads(self, before: Value, wanted: Value) -> None:
        code = self.code
        with code.if_(code.compare("ne", before, constant("i32", 1))):
            code.line(f"call void {self._functions['threads.set'].text}({wanted})")


# --- sizes of workspace ---------------------------------------------------------------------------


@lru_cache(maxsize=1024)
def workspace(name: str, *arguments: int | str | None) -> tuple[int, int]:
    """(numbers, integers) of workspace that a LAPACK function of float64 asks for; (1, 1) where it
    is missing.

    The arguments are those of the call: an int or a letter as such, None for an array; "work" and
    "iwork" stand for the workspaces, -1 for their lengths.
    """
    pointer = address(name)
    if pointer is None:
        return 1, 1
    work, iwork, info = ctypes.c_double(0), ctypes.c_int(1), ctypes.c_int(0)
    held: list[Any] = []
    for x in arguments:
        if x in ("work", "iwork"):
            held.append(work if x == "work" else iwork)
        elif isinstance(x, str):
            held.append(ctypes.c_char(x.encode()))
        else:
            held.append(ctypes.c_double() if x is None else ctypes.c_int(x))
    form = ctypes.CFUNCTYPE(None, *[ctypes.c_void_p] * (len(held) + 1))
    form(pointer)(*[ctypes.addressof(x) for x in held], ctypes.addressof(info))
    assert info.value == 0, (name, arguments, info.value)
    return max(int(work.value), 1), max(iwork.value, 1)
