"""Writing into an array at index arrays, or adding to it: `index_set`, `index_add`.

The kernel updates an array that is already there: its site has the value and the index arrays as
inputs, and the array to be written to as the output. The first phase checks every index, so that
nothing is written where one of them is out of range; the second goes through the index elements in
C order, so that the last write wins and sums of repeated indices are added in NumPy's order. Tasks
of the second phase are ranges of columns, which every one of them writes for all indices.
"""

from __future__ import annotations

from chainrule.compiler.kernel import HEAD, Kernel, Phase, Place, Site
from chainrule.compiler.llvm.along import at_lane, load_lanes
from chainrule.compiler.llvm.code import Code, Index, Value, as_index, constant, vector
from chainrule.compiler.llvm.elementwise import (
    RULES,
    Operation,
    from_memory,
    memory_element,
    rounded,
    to_memory,
)
from chainrule.compiler.llvm.gather import (
    OUTSIDE,
    Block,
    block_offset,
    copy_block,
    ends,
    index_value,
    write_checks,
)
from chainrule.compiler.llvm.loops import HI, LO, task_count
from chainrule.compiler.llvm.walk import (
    Walk,
    bytes_of,
    operand_pointers,
    task_bounds,
    walk_over,
    write_walk,
)
from chainrule.compiler.machine_code import vector_bytes

_LEAST_COLUMNS = 64  # bytes of a row that a task of its own writes


def emit_scatter(site: Site) -> Kernel | None:
    """The kernel that writes a value into the array that is the site's output."""
    _, *indices = site.inputs
    (out,) = site.outputs
    phases = [Phase(*_checking(site, indices, out))] if indices else []
    phases.append(Phase(*_Writing(site).result()))
    return Kernel(tuple(phases), can_fail=bool(indices))


def _checking(site: Site, indices, out: Place) -> tuple[str, int]:
    code = Code()
    _, *pointers = operand_pointers(code, site.inputs, 2)
    walk = walk_over(indices[0].type.shape, *map(bytes_of, indices))
    tasks = task_count(walk.size * 4 * len(indices))
    walk = walk.longest_first(tasks)
    tasks, bounds = task_bounds(code, walk.domain[0], tasks)
    if len(walk.domain) == 1 and all(
        s == (i.type.dtype.itemsize,) for s, i in zip(walk.strides, indices, strict=True)
    ):
        _check_in_vectors(code, pointers, indices, out.type.shape, bounds)
    else:
        limits = bounds if tasks > 1 else None
        write_checks(code, walk, pointers[:-2], indices, out.type.shape, limits)
    ends(code, pointers[-1])
    return code.function(HEAD), tasks


def _check_in_vectors(code: Code, pointers, indices, lengths, bounds) -> None:
    """Check index arrays that lie in C order."""
    start, stop = bounds
    lanes = 2 * vector_bytes() // 8
    length = as_index(code.index_add(stop, code.index_mul(start, -1)))
    whole = code.index_add(start, code.binary("and", length, constant("i64", -lanes)))
    for pointer, place, n in zip(pointers, indices, lengths, strict=False):
        none = constant(vector("i1", lanes), False)
        with code.loop(start, whole, lanes, [none]) as loop:
            outside = _outside(code, pointer, place, n, loop.index, lanes)
            loop.next(code.binary("or", loop.carried[0], outside))
        some = code.intrinsic("vector.reduce.or", loop.results[0], result="i1")
        with code.loop(whole, stop, 1, [some]) as loop:
            outside = _outside(code, pointer, place, n, loop.index, 1)
            loop.next(code.binary("or", loop.carried[0], outside))
        inside = code.fresh("inside")
        code.branch_if(loop.results[0], OUTSIDE, inside)
        code.start_block(inside)


def _outside(code: Code, pointer: Value, place: Place, n: int, index: Index, lanes: int) -> Value:
    """Where indices lie outside of an axis of length n."""
    dtype = place.type.dtype
    found = load_lanes(code, at_lane(code, pointer, index, dtype.itemsize), dtype, lanes,
                       dtype.itemsize)  # fmt: skip
    signed = dtype.kind == "i"
    wide = code.convert("sext" if signed else "zext", found, "i64")
    if not signed:
        return code.compare("uge", wide, code.like(wide, n))
    return code.compare("uge", code.binary("add", wide, code.like(wide, n)),
                        code.like(wide, 2 * n))  # fmt: skip


class _Writing:
    """The second phase, being written."""

    def __init__(self, site: Site):
        self.site, self.code = site, Code()
        self.value, *self.indices = site.inputs
        (self.out,) = site.outputs
        self.adds = site.op == "index_add"
        self.block = Block(self.out, len(self.indices), site.params["at"])
        self.shape = self.indices[0].type.shape if self.indices else ()
        self.dtype = self.out.type.dtype
        lies = bytes_of(self.value)
        whole = self.value.type.ndim == len(self.shape) + len(self.block.shape)
        self.lies = lies if whole else (0,) * (len(self.shape) + len(self.block.shape))

    def result(self) -> tuple[str, int]:
        """The text, and the number of tasks."""
        code, block, n = self.code, self.block, len(self.shape)
        walk = walk_over(self.shape, *map(bytes_of, self.indices), self.lies[:n])
        inner = walk_over(block.shape, self.lies[n:], block.strides)
        value, *rest = operand_pointers(code, self.site.inputs, 1)
        *pointers, out = rest
        if walk.size and inner.size:
            inner, tasks = self._columns(inner, walk.size)
            steps = [s[0] * inner.domain[0] for s in inner.strides]
            if tasks == 1:
                self._write(walk, inner, pointers, value, out)
            else:
                with code.loop(LO, HI) as loop:
                    self._write(
                        walk, inner, pointers,
                        code.offset(value, loop.index, steps[0]) if steps[0] else value,
                        code.offset(out, loop.index, steps[1]),
                    )  # fmt: skip
        else:
            tasks = 1
        code.line("ret void")
        return code.function(HEAD), tasks

    def _columns(self, inner: Walk, count: int) -> tuple[Walk, int]:
        """The part of a block that each task writes, and how many there are."""
        n, rest = inner.domain[0], inner.size // inner.domain[0]
        wanted = task_count(count * (8 + 2 * inner.size))
        least = -(-_LEAST_COLUMNS // (rest * self.dtype.itemsize))
        for tasks in range(min(wanted, n // least), 1, -1):
            if n % tasks == 0:
                return inner._replace(domain=(n // tasks, *inner.domain[1:])), tasks
        return inner, 1

    def _write(self, walk: Walk, inner: Walk, pointers, value: Value, out: Value) -> None:
        code, block = self.code, self.block

        def element(places):
            found = [
                index_value(code, p, i, n)
                for p, i, n in zip(places, self.indices, block.lengths, strict=False)
            ]
            target = code.offset(out, block_offset(code, block, found))
            if self.adds:
                self._add(inner, places[-1], target)
            else:
                copy_block(
                    code, inner.domain, (places[-1], inner.strides[0]),
                    (target, inner.strides[1]), self.dtype,
                )  # fmt: skip

        write_walk(code, walk, [*pointers, value], element)

    def _add(self, inner: Walk, value: Value, target: Value) -> None:
        """Add a block of the value to a block of the array."""
        code, size = self.code, self.dtype.itemsize
        row, steps = inner.domain[-1], [s[-1] for s in inner.strides]
        complex_ = self.dtype.kind == "c"
        if row == 1 or steps[1] != size or steps[0] not in (0, size) or complex_:
            write_walk(code, inner, [value, target], lambda p: self._add_at(p[0], p[1], 1))
            return
        outer = walk_over(inner.domain[:-1], *[s[:-1] for s in inner.strides])
        lanes = max(2, 2 * vector_bytes() // max(size, 4))

        def one_row(places):
            v, t = places
            whole = row - row % lanes
            if whole:
                with code.loop(0, whole, lanes) as loop:
                    from_ = code.offset(v, loop.index, size) if steps[0] else v
                    self._add_at(from_, code.offset(t, loop.index, size), lanes, steps[0])
            if row % lanes:
                from_ = code.offset(v, whole * size) if steps[0] else v
                self._add_at(from_, code.offset(t, whole * size), row % lanes, steps[0])

        write_walk(code, outer, [value, target], one_row)

    def _add_at(self, value: Value, target: Value, lanes: int, step: int = 1) -> None:
        """Add `lanes` elements (or one, everywhere, where the step is 0) to the array."""
        code, dtype = self.code, self.dtype
        if dtype.kind == "c":
            part = "float" if dtype.char == "F" else "double"
            x, y = (code.load(p, f"<2 x {part}>", dtype.alignment) for p in (target, value))
            code.store(code.fadd(x, y), target, dtype.alignment)
            return
        x = self._load(target, lanes)
        y = self._load(value, lanes) if step else code.splat(self._load(value, 1), lanes)
        total = RULES["add"][1](code, Operation("add", (), (dtype, dtype), dtype), x, y)
        code.store(to_memory(code, rounded(code, total, dtype), dtype), target, dtype.alignment)

    def _load(self, pointer: Value, lanes: int) -> Value:
        element = vector(memory_element(self.dtype), lanes)
        return from_memory(
            self.code, self.code.load(pointer, element, self.dtype.alignment), self.dtype
        )

