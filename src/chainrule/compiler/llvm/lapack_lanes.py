"""Stacks of small matrices, several at once: one matrix in each lane of a vector register.

Value     textbook LU with partial pivoting, and Cholesky, in float64: the pivots are LAPACK's where
          rounding does not decide between two, errors of the same size. Sums use fma.
Failure   as in lapack.py; for Cholesky also where an entry is nan (the evaluator then decides).
Layout    entry (i, j) of a group's matrices lies in `width` numbers one behind the other. What is
          left of a stack is done in a last group that overlaps the one before, in the same task.
"""

from __future__ import annotations

from collections.abc import Iterator, Sequence
from contextlib import contextmanager

from chainrule.compiler.kernel import Place, Site
from chainrule.compiler.llvm.code import I64, Code, Index, Value, as_index, constant, vector
from chainrule.compiler.llvm.lapack_frame import Frame, Matrix
from chainrule.compiler.machine_code import vector_bytes

LARGEST = 32  # rows of a matrix; of 48 on, LAPACK's blocks are about as fast (AVX2)
_UNROLLED = 4


class LanesFrame(Frame):
    """A frame whose `each` goes over groups of `width` matrices."""

    def __init__(self, site: Site, rooms: Sequence[int], flops: int, can_fail: bool):
        self.width = max(4, vector_bytes() // 8)
        super().__init__(site, (), [r * self.width for r in rooms], flops, can_fail)
        self.groups = self.count // self.width
        self.tasks = min(self.tasks, self.groups)

    @contextmanager
    def each(self) -> Iterator[list[Matrix]]:
        """Write the work on one group: row l of each array is the array of matrix l, flat."""
        code, width = self.code, self.width
        pointers = self._arguments()
        per_task = -(-self.groups // self.tasks)
        start = code.index_mul(Value("%lo", I64), per_task)
        stop = code.index_mul(Value("%hi", I64), per_task)
        groups = constant(I64, self.groups)
        stop = code.intrinsic("smin", as_index(stop), groups)
        if self.count % width:
            last = code.compare("eq", stop, groups)
            stop = code.select(last, constant(I64, self.groups + 1), stop)
        with code.loop(start, stop) as loop:
            first = as_index(code.index_mul(loop.index, width))
            first = code.intrinsic("smin", first, constant(I64, self.count - width))
            places = (*self.site.inputs, *self.site.outputs)
            yield [self._flat(p, x, first) for p, x in zip(places, pointers, strict=True)]
        code.line("ret void")

    def _flat(self, place: Place, pointer: Value, first: Value) -> Matrix:
        lead = len(self.lead)
        step = _distance(place, lead) or 0
        matrix = self._matrix(place, pointer, first)
        return Matrix(matrix.pointer, step, 1, matrix.element)


def has_lanes(site: Site) -> bool:
    """Whether there are enough matrices, small enough, that lie evenly in memory."""
    shape = site.inputs[0].type.shape
    lead = len(shape) - 2
    count = site.inputs[0].type.size // (shape[-1] * shape[-2])
    return (
        shape[-1] <= LARGEST
        and count >= max(4, vector_bytes() // 8)
        and all(_distance(p, lead) is not None for p in (*site.inputs, *site.outputs))
    )


def _distance(place: Place, lead: int) -> int | None:
    """From one matrix of a stack to the next, in elements; None where it varies, or where a matrix
    is not contiguous."""
    shape, strides = place.type.shape, place.strides
    size = 1
    for n, stride in zip(reversed(shape[lead:]), reversed(strides[lead:]), strict=True):
        if n > 1 and stride != size:
            return None
        size *= n
    distance, wanted = None, 0
    for n, stride in zip(reversed(shape[:lead]), reversed(strides[:lead]), strict=True):
        if n > 1 and distance is not None and stride != wanted:
            return None
        if n > 1:
            distance = stride if distance is None else distance
            wanted = stride * n
    return distance or 0


class Lanes:
    """Matrices (rows, columns) of a group in one room, and the arithmetic on their entries."""

    def __init__(self, frame: LanesFrame, room: Value, columns: int):
        self.frame, self.code, self.room, self.columns = frame, frame.code, room, columns
        self.type = vector("double", frame.width)

    def _at(self, i: Index, j: Index) -> Value:
        code = self.code
        number = code.index_add(code.index_mul(i, self.columns), j)
        return code.offset(self.room, number, 8 * self.frame.width)

    def __getitem__(self, at: tuple[Index, Index]) -> Value:
        return self.code.load(self._at(*at), self.type)

    def __setitem__(self, at: tuple[Index, Index], x: Value) -> None:
        self.code.store(x, self._at(*at))

    def read(self, flat: Matrix, rows: int) -> None:
        """Bring the matrices in."""
        width = self.frame.width
        inside = Matrix(self.room, 1, width)
        self.frame.copy(flat, inside, width, rows * self.columns)

    def write(self, flat: Matrix, rows: int) -> None:
        """Bring the matrices out."""
        width = self.frame.width
        inside = Matrix(self.room, 1, width)
        self.frame.copy(inside, flat, width, rows * self.columns)

    def number(self, x: float) -> Value:
        """A constant in every lane."""
        return constant(self.type, x)

    def minus_product(self, x: Value, y: Value, z: Value) -> Value:
        """x - y z, rounded once."""
        return self.code.fma(self.code.fneg(y), z, x)

    def any(self, condition: Value) -> Value:
        """Whether a condition holds in some lane."""
        return self.code.intrinsic("vector.reduce.or", condition, result="i1")


def over(code: Code, start: Index, stop: Index, n: int) -> Iterator[Index]:
    """The indices of a loop: numbers, the body written for each, where matrices have few rows."""
    if n <= _UNROLLED and isinstance(start, int) and isinstance(stop, int):
        if stop - start <= 2 * _UNROLLED:  # right sides may have many columns
            yield from range(start, stop)
            return
    with code.loop(start, stop) as loop:
        yield loop.index


# --- cholesky -------------------------------------------------------------------------------------


def factor_cholesky(a: Lanes, n: int) -> None:
    """Overwrite the lower triangle with the factor; sets the status where there is none."""
    code = a.code
    for k in over(code, 0, n, n):
        pivot = a[k, k]
        positive = code.compare("ogt", pivot, a.number(0.0))
        bad = code.binary("xor", positive, constant(positive.type, True))
        a.frame.fail_if(a.any(bad))
        root = code.intrinsic("sqrt", pivot)
        a[k, k] = root
        reciprocal = code.fdiv(a.number(1.0), root)
        after = code.index_add(k, 1)
        for i in over(code, after, n, n):
            a[i, k] = code.fmul(a[i, k], reciprocal)
        for i in over(code, after, n, n):
            left = a[i, k]
            for j in over(code, after, code.index_add(i, 1), n):
                a[i, j] = a.minus_product(a[i, j], left, a[j, k])


# --- triangles ------------------------------------------------------------------------------------


def solve_triangle(a: Lanes, b: Lanes, n: int, lower: bool, adjoint: bool, unit: bool) -> None:
    """Overwrite b by the solution of a triangular system, one unknown after the other."""
    code = a.code
    forward = lower != adjoint
    for t in over(code, 0, n, n):
        k = t if forward else _mirrored(code, t, n)
        first, last = (code.index_add(k, 1), n) if forward else (0, k)
        if not unit:
            pivot = a[k, k]
            for j in over(code, 0, b.columns, n):
                b[k, j] = code.fdiv(b[k, j], pivot)
        for i in over(code, first, last, n):
            entry = a[k, i] if adjoint else a[i, k]
            for j in over(code, 0, b.columns, n):
                b[i, j] = a.minus_product(b[i, j], entry, b[k, j])


def _mirrored(code: Code, t: Index, n: int) -> Index:
    """n - 1 - t"""
    if isinstance(t, int):
        return n - 1 - t
    return code.binary("sub", constant(I64, n - 1), t)


def zero_on_diagonal(a: Lanes, flag: Lanes, n: int) -> Value:
    """Per lane whether an entry on the diagonal is 0; `flag` is a room for one number."""
    code = a.code
    flag[0, 0] = a.number(0.0)
    for k in over(code, 0, n, n):
        zero = code.compare("oeq", a[k, k], a.number(0.0))
        flag[0, 0] = code.select(zero, a.number(1.0), flag[0, 0])
    return code.compare("une", flag[0, 0], a.number(0.0))


# --- LU -------------------------------------------------------------------------------------------


class Elimination:
    """Gaussian elimination with partial pivoting on `a`, and on right sides beside it.

    `state` is a room for four numbers: the sign of the exchanges, whether a pivot was 0 (then 1),
    the largest entry of a column, and its row.
    """

    STATE = 4

    def __init__(self, a: Lanes, state: Lanes, n: int, right: Lanes | None = None):
        self.a, self.n, self.right, self.state = a, n, right, state
        self.code = a.code

    def run(self) -> None:
        """Overwrite a by U (above and on the diagonal) and the right sides by L^-1 P B."""
        a, code, n = self.a, self.code, self.n
        self.state[0, 0], self.state[0, 1] = a.number(1.0), a.number(0.0)
        for k in over(code, 0, n, n):
            after = code.index_add(k, 1)
            self._choose(k, after)
            self._exchange(k, after)
            pivot = a[k, k]
            zero = code.compare("oeq", pivot, a.number(0.0))
            self.state[0, 1] = code.select(zero, a.number(1.0), self.state[0, 1])
            for i in over(code, after, n, n):
                factor = code.fdiv(a[i, k], pivot)
                for matrix, first in self._sides(after):
                    for j in over(code, first, matrix.columns, n):
                        matrix[i, j] = a.minus_product(matrix[i, j], factor, matrix[k, j])

    @property
    def singular(self) -> Value:
        """Per lane whether a pivot was 0."""
        return self.code.compare("une", self.state[0, 1], self.a.number(0.0))

    def _sides(self, first: Index) -> list[tuple[Lanes, Index]]:
        """The matrices that row operations act on, each from a column on."""
        return [(self.a, first)] + ([(self.right, 0)] if self.right is not None else [])

    def _choose(self, k: Index, after: Index) -> None:
        """Find the row of the largest entry of column k, from row k on: the first of equals."""
        a, code, state = self.a, self.code, self.state
        state[0, 2], state[0, 3] = code.intrinsic("fabs", a[k, k]), self._row(k)
        for i in over(code, after, self.n, self.n):
            size = code.intrinsic("fabs", a[i, k])
            larger = code.compare("ogt", size, state[0, 2])
            state[0, 2] = code.select(larger, size, state[0, 2])
            state[0, 3] = code.select(larger, self._row(i), state[0, 3])

    def _row(self, i: Index) -> Value:
        if isinstance(i, int):
            return self.a.number(float(i))
        number = self.code.convert("sitofp", i, "double")
        return self.code.splat(number, self.a.frame.width)

    def _exchange(self, k: Index, after: Index) -> None:
        """Exchange row k and the chosen one, lane by lane."""
        a, code, state = self.a, self.code, self.state
        for i in over(code, after, self.n, self.n):
            here = code.compare("oeq", state[0, 3], self._row(i))
            with code.if_(a.any(here)):
                for matrix, first in self._sides(k):
                    for j in over(code, first, matrix.columns, self.n):
                        x, y = matrix[k, j], matrix[i, j]
                        matrix[k, j] = code.select(here, y, x)
                        matrix[i, j] = code.select(here, x, y)
                state[0, 0] = code.select(here, code.fneg(state[0, 0]), state[0, 0])
