"""Order along an axis: sort, stable argsort, searchsorted.

Value     NumPy's; nan last. Entries become unsigned integers in the same order. Few are sorted by
          insertion, more by their digits from the lowest on (which is stable); a digit that is the
          same in all entries is skipped.
Tasks     are sequences.
Source    radix sort: Knuth, TAOCP 3, 5.2.5.
"""

from __future__ import annotations

import numpy as np

from chainrule.compiler.kernel import HEAD, Kernel, Phase, Place, Site
from chainrule.compiler.llvm.along import (
    at_lane,
    bytes_in_order,
    load_lanes,
    walk_without,
    without_axis,
)
from chainrule.compiler.llvm.code import Code, Value, constant
from chainrule.compiler.llvm.loops import LO, task_count
from chainrule.compiler.llvm.walk import (
    bytes_of,
    operand_pointers,
    task_bounds,
    walk_over,
    write_walk,
)

_FEW = 32  # entries that insertion sorts faster
_MOST_SORTED = 512  # wide entries in all that are sorted here rather than by NumPy
_MANY = 8192  # entries for which digits of 11 bits pay


def emit_sort(site: Site) -> Kernel | None:
    """The kernel of `sort`; None where NumPy's is faster: it sorts wide entries in vectors.

    Measured on 10,000 rows of float64s: rows of 32 take NumPy 3 ns an entry and insertion 14, rows
    of 100 take it 5.5 and digits 29. So only a few entries are sorted here: a call of NumPy from
    compiled code costs more than they do.
    """
    (x,) = site.inputs
    dtype, n = x.type.dtype, x.type.shape[site.params["axis"]]
    wide = dtype.itemsize >= 4
    if dtype.kind == "c" or (wide and (n > _FEW or x.type.size > _MOST_SORTED)):
        return None
    return _kernel(site, ranks=False)


def emit_argsort(site: Site) -> Kernel | None:
    """The kernel of a stable `argsort`; at ties NumPy's own choice cannot be foreseen."""
    (x,) = site.inputs
    alone = x.type.shape[site.params["axis"]] < 2
    if x.type.dtype.kind == "c" or not (site.params["stable"] or alone):
        return None
    return _kernel(site, ranks=True)


def _kernel(site: Site, ranks: bool) -> Kernel:
    (x,) = site.inputs
    code = Code()
    sorting = Sorting(x, site.outputs[0], site.params["axis"], ranks)
    pointers = operand_pointers(code, (x,), 1 + bool(sorting.scratch))
    tasks = sorting.write(code, pointers[0], pointers[1], pointers[-1])
    code.line("ret void")
    return Kernel((Phase(code.function(HEAD), tasks),), scratch=sorting.scratch)


class Sorting:
    """Sequences along an axis being sorted: their values in order, or with `ranks` their order.

    `scratch` is how many bytes of memory `write` needs.
    """

    def __init__(self, x: Place, out: Place, axis: int, ranks: bool):
        self.x, self.ranks, self.dtype = x, ranks, x.type.dtype
        self.n, self.size = x.type.shape[axis], x.type.dtype.itemsize
        self.key = f"i{8 * self.size}"
        out_bytes = bytes_in_order(out.type.shape, out.type.dtype.itemsize)
        self.out_dtype = out.type.dtype
        self.step, self.out_step = x.strides[axis] * self.size, out_bytes[axis]
        walk = walk_without(x, axis, without_axis(out_bytes, axis))
        self.tasks = task_count(x.type.size * 16 * self.size)
        self.walk = walk.longest_first(self.tasks)
        self.number = "i32" if self.n < 1 << 31 else "i64"
        self.number_size = 4 if self.number == "i32" else 8
        self.few = self.n <= _FEW
        digit = 11 if self.n >= _MANY and self.size >= 4 else 8
        self.digits = [(b, min(digit, 8 * self.size - b)) for b in range(0, 8 * self.size, digit)]
        self._lay_out()

    def _lay_out(self) -> None:
        """Where the parts of a task's scratch memory begin, in bytes."""
        keys = -(-self.n * self.size // 64) * 64
        numbers = -(-self.n * self.number_size // 64) * 64 if self.ranks else 0
        copies = 1 if self.few else 2
        self.keys = [i * keys for i in range(copies)]
        self.numbers = [copies * keys + i * numbers for i in range(copies)]
        self.counts, total = [], copies * (keys + numbers)
        for _, bits in [] if self.few else self.digits:
            self.counts.append(total)
            total += self.number_size << bits
        rows = self.walk.domain[0]
        self.shares = -(-rows // -(-rows // min(self.tasks, rows))) if rows else 1
        self.share = total
        self.scratch = total * self.shares if self.walk.size and self.n else 0

    def write(self, code: Code, x: Value, out: Value, scratch: Value) -> int:
        """Write the loops over the sequences; the number of tasks."""
        if not self.scratch:
            return 1
        tasks, bounds = task_bounds(code, self.walk.domain[0], self.tasks)
        own = at_lane(code, scratch, LO, self.share) if tasks > 1 else scratch
        sort = self._few if self.few else self._by_digits
        slots = [] if self.few else [code.alloca(8, 8) for _ in range(4)]

        def row(places):
            sort(code, places[0], places[1], own, slots)

        write_walk(code, self.walk, [x, out], row, bounds if tasks > 1 else None)
        return tasks

    # --- keys -------------------------------------------------------------------------------------

    def _key(self, code: Code, x: Value, index: Value) -> Value:
        """An entry as an unsigned integer of the same order."""
        place = at_lane(code, x, index, self.step)
        key = code.load(place, self.key, self.dtype.alignment)
        top = 1 << (8 * self.size - 1)
        if self.dtype.kind in "ub":
            return key
        if self.dtype.kind == "i":
            return code.binary("xor", key, code.like(key, top))
        return self._key_of_float(code, key, top)

    def _key_of_float(self, code: Code, bits: Value, top: int) -> Value:
        """Bits of floats in order: negative ones reversed, below the others; nan last.

        For an order, 0.0 and -0.0 are equal.
        """
        positive = code.binary("and", bits, code.like(bits, top - 1))
        infinity = np.array(np.inf, self.dtype).view(f"u{self.size}")
        missing = code.compare("ugt", positive, code.like(bits, int(infinity)))
        if self.ranks:
            zero = code.compare("eq", positive, code.like(bits, 0))
            bits = code.select(zero, positive, bits)
        below = code.compare("slt", bits, code.like(bits, 0))
        flip = code.select(below, code.like(bits, -1), code.like(bits, top))
        return code.select(missing, code.like(bits, -1), code.binary("xor", bits, flip))

    def _entry(self, code: Code, key: Value) -> Value:
        """The bits of the entry that a key stands for."""
        top = 1 << (8 * self.size - 1)
        if self.dtype.kind in "ub":
            return key
        if self.dtype.kind == "i":
            return code.binary("xor", key, code.like(key, top))
        above = code.compare("slt", key, code.like(key, 0))
        flip = code.select(above, code.like(key, top), code.like(key, -1))
        return code.binary("xor", key, flip)  # nan's key gives the nan of all ones

    def _store(self, code: Code, out: Value, index, keys: Value, numbers: Value) -> None:
        """Put the entry at a place of the sorted keys where it belongs."""
        target = at_lane(code, out, index, self.out_step)
        if self.ranks:
            number = code.load(at_lane(code, numbers, index, self.number_size), self.number)
            code.store(code.convert("zext", number, "i64"), target, 8)
            return
        key = code.load(at_lane(code, keys, index, self.size), self.key)
        code.store(self._entry(code, key), target, self.dtype.alignment)

    # --- few entries ------------------------------------------------------------------------------

    def _few(self, code: Code, x: Value, out: Value, scratch: Value, slots) -> None:
        """Insertion: every key moves down past the larger ones."""
        keys, numbers = (code.offset(scratch, p[0]) for p in (self.keys, self.numbers))
        with code.loop(0, self.n) as loop:
            key = self._key(code, x, loop.index)
            place = self._sink(code, keys, numbers, key, loop.index)
            code.store(key, at_lane(code, keys, place, self.size))
            if self.ranks:
                number = self._as_number(code, loop.index)
                code.store(number, at_lane(code, numbers, place, self.number_size))
        with code.loop(0, self.n) as loop:
            self._store(code, out, loop.index, keys, numbers)

    def _as_number(self, code: Code, index: Value) -> Value:
        return index if self.number == "i64" else code.convert("trunc", index, self.number)

    def _sink(self, code: Code, keys, numbers, key: Value, index: Value) -> Value:
        """The place for a key among the sorted ones before it; those above it move up."""
        name, before = code.fresh("sink"), code.block_name
        place = Value(f"%{name}.place", "i64")
        code.branch(f"{name}.test")
        code.start_block(f"{name}.test")
        at = len(code.lines)
        code.lines.append("")
        code.branch_if(code.compare("eq", place, constant("i64", 0)),
                       f"{name}.done", f"{name}.look")  # fmt: skip
        code.start_block(f"{name}.look")
        below = code.binary("sub", place, constant("i64", 1))
        other = code.load(at_lane(code, keys, below, self.size), self.key)
        code.branch_if(code.compare("ugt", other, key), f"{name}.move", f"{name}.done")
        code.start_block(f"{name}.move")
        code.store(other, at_lane(code, keys, place, self.size))
        if self.ranks:
            moved = code.load(at_lane(code, numbers, below, self.number_size), self.number)
            code.store(moved, at_lane(code, numbers, place, self.number_size))
        code.branch(f"{name}.test")
        code.lines[at] = (
            f"  {place.text} = phi i64 [ {index.text}, %{before} ], [ {below.text}, %{name}.move ]"
        )
        code.start_block(f"{name}.done")
        return place

    # --- many entries -----------------------------------------------------------------------------

    def _by_digits(self, code: Code, x: Value, out: Value, scratch: Value, slots) -> None:
        """One pass to make keys and count digits, then one for each digit that differs."""
        parts = [*self.keys, *self.numbers]
        for slot, part in zip(slots, parts, strict=True):
            code.store(code.offset(scratch, part), slot)
        first = self.counts[0]
        start, length = code.offset(scratch, first), self.share - first
        code.line(f"call void @llvm.memset.p0.i64({start}, i8 0, i64 {length}, i1 false)")
        self._count(code, x, scratch)
        for (low, bits), count in zip(self.digits, self.counts, strict=True):
            self._pass(code, slots, low, bits, code.offset(scratch, count))
        keys, numbers = code.load(slots[0], "ptr"), code.load(slots[2], "ptr")
        with code.loop(0, self.n) as loop:
            self._store(code, out, loop.index, keys, numbers)

    def _digit(self, code: Code, key: Value, low: int, bits: int) -> Value:
        moved = code.binary("lshr", key, code.like(key, low)) if low else key
        digit = code.binary("and", moved, code.like(key, (1 << bits) - 1))
        return code.convert("zext", digit, "i64")

    def _count(self, code: Code, x: Value, scratch: Value) -> None:
        keys, numbers = (code.offset(scratch, p[0]) for p in (self.keys, self.numbers))
        with code.loop(0, self.n) as loop:
            key = self._key(code, x, loop.index)
            code.store(key, at_lane(code, keys, loop.index, self.size))
            if self.ranks:
                place = at_lane(code, numbers, loop.index, self.number_size)
                code.store(self._as_number(code, loop.index), place)
            for (low, bits), count in zip(self.digits, self.counts, strict=True):
                place = at_lane(
                    code, code.offset(scratch, count), self._digit(code, key, low, bits),
                    self.number_size,
                )  # fmt: skip
                self._take(code, place)

    def _take(self, code: Code, place: Value) -> Value:
        """A counter's value, which is one more from now on."""
        value = code.load(place, self.number)
        code.store(code.binary("add", value, code.like(value, 1)), place)
        return value

    def _pass(self, code: Code, slots, low: int, bits: int, counts: Value) -> None:
        """Sort by one digit, unless it is the same everywhere."""
        keys, number_size = code.load(slots[0], "ptr"), self.number_size
        digit = self._digit(code, code.load(keys, self.key), low, bits)
        alike = code.load(at_lane(code, counts, digit, number_size), self.number)
        with code.if_(code.compare("ne", alike, code.like(alike, self.n))):
            with code.loop(0, 1 << bits, carried=[code.like(alike, 0)]) as loop:
                place = at_lane(code, counts, loop.index, number_size)
                count = code.load(place, self.number)
                code.store(loop.carried[0], place)
                loop.next(code.binary("add", loop.carried[0], count))
            self._distribute(code, slots, low, bits, counts)
            for a, b in ((0, 1), (2, 3)):
                here, there = code.load(slots[a], "ptr"), code.load(slots[b], "ptr")
                code.store(there, slots[a])
                code.store(here, slots[b])

    def _distribute(self, code: Code, slots, low: int, bits: int, counts: Value) -> None:
        keys, keys_out, numbers, numbers_out = (code.load(s, "ptr") for s in slots)
        with code.loop(0, self.n) as loop:
            key = code.load(at_lane(code, keys, loop.index, self.size), self.key)
            digit = self._digit(code, key, low, bits)
            place = self._take(code, at_lane(code, counts, digit, self.number_size))
            where = code.convert("zext", place, "i64")
            code.store(key, at_lane(code, keys_out, where, self.size))
            if self.ranks:
                size = self.number_size
                number = code.load(at_lane(code, numbers, loop.index, size), self.number)
                code.store(number, at_lane(code, numbers_out, where, size))


# --- searching ------------------------------------------------------------------------------------


def emit_searchsorted(site: Site) -> Kernel | None:
    """The kernel of `searchsorted`: bisection without branches; None for complex numbers."""
    a, v = site.inputs
    (out,), lead = site.outputs, site.params["lead"]
    if a.type.dtype.kind == "c":
        return None
    code = Code()
    pointers = operand_pointers(code, site.inputs, 1)
    lanes = (*bytes_of(a)[:lead], *(0,) * (v.type.ndim - lead))
    walk = walk_over(v.type.shape, lanes, bytes_of(v), bytes_of(out))
    tasks = task_count(out.type.size * 8 * max(a.type.shape[-1], 1).bit_length())
    walk = walk.longest_first(tasks)
    tasks, bounds = task_bounds(code, walk.domain[0], tasks)

    def element(places):
        _bisect(code, a, site.params["side"], *places)

    if out.type.size:
        write_walk(code, walk, pointers, element, bounds if tasks > 1 else None)
    code.line("ret void")
    return Kernel((Phase(code.function(HEAD), tasks),))


def _bisect(code: Code, a: Place, side: str, row: Value, wanted: Value, out: Value) -> None:
    """Count the entries of a sorted row that lie before the wanted one."""
    dtype = np.dtype(np.uint8) if a.type.dtype.char == "?" else a.type.dtype
    step = a.strides[-1] * dtype.itemsize
    value = load_lanes(code, wanted, dtype, 1, 0)
    before, length = constant("i64", 0), a.type.shape[-1]
    while length:
        half = (length + 1) // 2
        last = code.binary("add", before, constant("i64", half - 1))
        entry = load_lanes(code, at_lane(code, row, last, step), dtype, 1, 0)
        lies_before = _lies_before(code, dtype, side, entry, value)
        more = code.select(lies_before, constant("i64", half), constant("i64", 0))
        before = code.binary("add", before, more)
        length -= half
    code.store(before, out, 8)


def _lies_before(code: Code, dtype: np.dtype, side: str, entry: Value, value: Value) -> Value:
    """entry < value, or entry <= value on the right; nan is above everything."""
    left = side == "left"
    if dtype.kind != "f":
        return code.compare(("s" if dtype.kind == "i" else "u") + ("lt" if left else "le"),
                            entry, value)  # fmt: skip
    missing = code.compare("uno", value, value)
    below = code.compare("olt" if left else "ole", entry, value)
    if not left:
        return code.binary("or", below, missing)
    number = code.compare("ord", entry, entry)
    return code.binary("or", below, code.binary("and", missing, number))
