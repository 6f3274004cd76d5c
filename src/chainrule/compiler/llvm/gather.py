"""Reading an array at index arrays: `x[i1, ..., ik, *at]`.

For every element of the index arrays the place of a block of x is found, checked against the
bounds, and the block copied; blocks of contiguous rows are copied in vectors. The first index out
of range sets the status. Tasks are ranges of index elements.
"""

from __future__ import annotations

import math
from collections.abc import Sequence

import numpy as np

from chainrule.compiler.kernel import HEAD, Kernel, Phase, Place, Site
from chainrule.compiler.llvm.code import Code, Index, Value, constant
from chainrule.compiler.llvm.elementwise import memory_element
from chainrule.compiler.llvm.loops import task_count
from chainrule.compiler.llvm.walk import (
    bytes_of,
    load_element,
    operand_pointers,
    set_status,
    task_bounds,
    walk_over,
    write_walk,
)

OUTSIDE = "outside"  # the block that a function leaves through where an index is out of range


class Block:
    """The part of an array that one element of the index arrays stands for.

    `start` is where it begins, from the place that the indices point to; `shape` and `strides`
    (both in bytes) are those of its axes; `lengths` and `steps` belong to the indexed axes.
    """

    def __init__(self, place: Place, count: int, at: tuple):
        size, strides = place.type.dtype.itemsize, bytes_of(place)
        self.place, self.size = place, size
        self.lengths, self.steps = place.type.shape[:count], strides[:count]
        self.start = 0
        shape, steps = [], []
        for entry, stride in zip(at, strides[count:], strict=True):
            if isinstance(entry, int):
                self.start += entry * stride
                continue
            n = len(range(*entry))
            self.start += entry[0] * stride if n else 0
            shape.append(n)
            steps.append(entry[2] * stride)
        self.shape, self.strides = tuple(shape), tuple(steps)

    @property
    def count(self) -> int:
        """How many elements it has."""
        return math.prod(self.shape)


def checked_index(code: Code, pointer: Value, place: Place, n: int) -> Value:
    """An index as an offset from 0; where it lies outside, the function is left by OUTSIDE."""
    index = index_value(code, pointer, place, n)
    inside = code.fresh("inside")
    code.branch_if(code.compare("uge", index, constant("i64", n)), OUTSIDE, inside)
    code.start_block(inside)
    return index


def index_value(code: Code, pointer: Value, place: Place, n: int) -> Value:
    """An index as it is, those below 0 counted from the end."""
    signed = place.type.dtype.kind == "i"
    raw = load_element(code, pointer, place)
    index = code.convert("sext" if signed else "zext", raw, "i64")
    if not signed:
        return index
    negative = code.compare("slt", index, constant("i64", 0))
    return code.select(negative, code.binary("add", index, constant("i64", n)), index)


def block_offset(code: Code, block: Block, found: Sequence[Value]) -> Index:
    """Where the block of these indices begins, in bytes."""
    offset: Index = block.start
    for index, step in zip(found, block.steps, strict=True):
        offset = code.index_add(offset, code.index_mul(index, step))
    return offset


def ends(code: Code, status: Value) -> None:
    """The end of a function that checks indices."""
    code.line("ret void")
    code.start_block(OUTSIDE)
    set_status(code, status)
    code.line("ret void")


def copy_block(code: Code, block_shape, source, target, dtype: np.dtype) -> None:
    """Copy a block: `source` and `target` are (pointer, strides in bytes)."""
    size, element, align = dtype.itemsize, memory_element(dtype), dtype.alignment
    walk = walk_over(block_shape, source[1], target[1])
    pointers = [source[0], target[0]]
    row = walk.domain[-1]
    if row > 1 and all(s[-1] == size for s in walk.strides):
        outer = walk_over(walk.domain[:-1], *[s[:-1] for s in walk.strides])
        write_walk(code, outer, pointers, lambda p: copy_row(code, p[0], p[1], row * size))
        return

    def one(places):
        code.store(code.load(places[0], element, align), places[1], align)

    write_walk(code, walk, pointers, one)


def copy_row(code: Code, source: Value, target: Value, nbytes: int) -> None:
    """Copy so many bytes: in vectors where they are few, by the C library where many."""
    code.line(f"call void @llvm.memcpy.p0.p0.i64({target}, {source}, i64 {nbytes}, i1 false)")


def emit_gather(site: Site) -> Kernel | None:
    """The kernel of `index` with index arrays."""
    x, *indices = site.inputs
    (out,) = site.outputs
    if not indices or not out.type.size:
        return None if not indices else _checks_only(site)
    code, at = Code(), site.params["at"]
    block, shape = Block(x, len(indices), at), indices[0].type.shape
    out_strides = bytes_of(out)
    walk = walk_over(shape, *map(bytes_of, indices), out_strides[: len(shape)])
    tasks = task_count(out.type.size * 2 + walk.size * (4 + 6 * len(indices)))
    walk = walk.longest_first(tasks)
    x_pointer, *pointers = operand_pointers(code, site.inputs, 2)
    out_pointer, status = pointers[-2:]
    tasks, bounds = task_bounds(code, walk.domain[0], tasks)

    def element(places):
        found = [
            checked_index(code, p, i, n)
            for p, i, n in zip(places, indices, block.lengths, strict=False)
        ]
        source = code.offset(x_pointer, block_offset(code, block, found))
        target = places[-1]
        copy_block(
            code, block.shape, (source, block.strides), (target, out_strides[len(shape) :]),
            out.type.dtype,
        )  # fmt: skip

    write_walk(code, walk, [*pointers[:-2], out_pointer], element, bounds if tasks > 1 else None)
    ends(code, status)
    return Kernel((Phase(code.function(HEAD), tasks),), can_fail=True)


def _checks_only(site: Site) -> Kernel:
    """Nothing to copy, but indices that may be out of range."""
    x, *indices = site.inputs
    code = Code()
    _, *pointers = operand_pointers(code, site.inputs, 2)
    shape = indices[0].type.shape
    walk = walk_over(shape, *map(bytes_of, indices))
    write_checks(code, walk, pointers[:-2], indices, x.type.shape, None)
    ends(code, pointers[-1])
    return Kernel((Phase(code.function(HEAD)),), can_fail=True)


def write_checks(code: Code, walk, pointers, indices, lengths, bounds) -> None:
    """Write the loops that check every index."""

    def element(places):
        for p, i, n in zip(places, indices, lengths, strict=False):
            checked_index(code, p, i, n)

    write_walk(code, walk, pointers, element, bounds)
