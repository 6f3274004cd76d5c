"""Walks over arrays that lie in memory in different ways: loops that move a pointer into each.

A walk has a domain (lengths of axes) and for every array a pointer and strides in bytes over the
domain, 0 where it repeats. Axes of length 1 are dropped and axes that lie one behind the other in
every array are made one, so a walk over contiguous arrays is a single loop.
"""

from __future__ import annotations

from collections.abc import Callable, Sequence
from typing import NamedTuple

from chainrule.compiler.kernel import Place
from chainrule.compiler.llvm.code import Code, Index, Value, constant
from chainrule.compiler.llvm.elementwise import literal_value, memory_element, to_memory
from chainrule.compiler.llvm.loops import HI, LO, smaller


class Walk(NamedTuple):
    """A domain of at least one axis, and for every array its strides over it, in bytes."""

    domain: tuple[int, ...]
    strides: tuple[tuple[int, ...], ...]

    @property
    def size(self) -> int:
        """How many places there are."""
        size = 1
        for n in self.domain:
            size *= n
        return size

    def axis_first(self, axis: int) -> Walk:
        """The same places in another order, an axis outermost."""
        order = [axis, *(a for a in range(len(self.domain)) if a != axis)]
        return Walk(
            tuple([self.domain[a] for a in order]),
            tuple([tuple([s[a] for a in order]) for s in self.strides]),
        )

    def longest_first(self, tasks: int) -> Walk:
        """The longest axis outermost, where the first is too short for so many tasks."""
        if self.domain[0] >= tasks:
            return self
        return self.axis_first(max(range(len(self.domain)), key=lambda a: self.domain[a]))


def walk_over(domain: Sequence[int], *strides: Sequence[int]) -> Walk:
    """The walk over a domain, its axes merged where all arrays allow it."""
    axes = [a for a, n in enumerate(domain) if n != 1]
    lengths = [domain[a] for a in axes]
    steps = [[s[a] for a in axes] for s in strides]
    a = len(lengths) - 2
    while a >= 0:
        if all(s[a] == lengths[a + 1] * s[a + 1] for s in steps):
            lengths[a : a + 2] = [lengths[a] * lengths[a + 1]]
            for s in steps:
                del s[a]
        a -= 1
    if not lengths:
        return Walk((1,), tuple([(0,)] * len(steps)))
    return Walk(tuple(lengths), tuple(map(tuple, steps)))


def bytes_of(place: Place) -> tuple[int, ...]:
    """The strides of an operand in bytes."""
    return tuple([s * place.type.dtype.itemsize for s in place.strides])


def moved(code: Code, pointers: Sequence[Value], strides: Sequence[int], index: Index):
    """Every pointer further along one axis."""
    if isinstance(index, int):
        return [code.offset(p, index * s) for p, s in zip(pointers, strides, strict=True)]
    return [
        code.offset(p, index, s) if s else p for p, s in zip(pointers, strides, strict=True)
    ]


def write_walk(
    code: Code,
    walk: Walk,
    pointers: Sequence[Value],
    body: Callable[[list[Value]], None],
    bounds: tuple[Index, Index] | None = None,
) -> None:
    """Write the loops with `body` at every place; `bounds` limit the outermost axis."""
    start, stop = bounds or (0, walk.domain[0])
    inner = Walk(walk.domain[1:], tuple([s[1:] for s in walk.strides]))
    steps = [s[0] for s in walk.strides]
    if bounds is None and walk.domain[0] == 1:
        places = list(pointers)
        write_walk(code, inner, places, body) if inner.domain else body(places)
        return
    with code.loop(start, stop) as loop:
        places = moved(code, pointers, steps, loop.index)
        write_walk(code, inner, places, body) if inner.domain else body(places)


def task_bounds(code: Code, n: int, tasks: int) -> tuple[int, tuple[Index, Index]]:
    """n places shared out among at most so many tasks: their number, and one call's bounds."""
    rows = -(-n // max(min(tasks, n), 1)) if n else 1
    tasks = max(1, -(-n // rows))
    if tasks == 1:
        return 1, (0, n)
    return tasks, (code.index_mul(LO, rows), smaller(code, code.index_mul(HI, rows), n))


def operand_pointers(code: Code, places: Sequence[Place], more: int) -> list[Value]:
    """Pointers to the operands, then `more` arguments; a literal is put on the stack.

    A literal's strides are 0, so it can be read like any other operand.
    """
    table, number = Value("%args", "ptr"), 0
    found: list[Value] = []
    for place in places:
        if place.literal is None:
            found.append(code.load(code.offset(table, number, 8), "ptr"))
            number += 1
            continue
        pointer = code.alloca(16, 16)
        value = to_memory(code, literal_value(place.literal, 1), place.type.dtype)
        code.store(value, pointer, place.type.dtype.alignment)
        found.append(pointer)
    return found + [code.load(code.offset(table, number + i, 8), "ptr") for i in range(more)]


def load_element(code: Code, pointer: Value, place: Place) -> Value:
    """One element as memory holds it."""
    return code.load(pointer, memory_element(place.type.dtype), place.type.dtype.alignment)


def set_status(code: Code, status: Value) -> None:
    """Report a failure."""
    code.store(constant("i32", 1), status)
