"""One kernel of several loops over the same rows: all of them for some rows, then for the next.

What a loop makes of a few rows is still in the cache when the next one reads it, where each loop
by itself would go through all of memory. Each loop is the kernel that it is alone, over so many
rows, so the values are the same to the bit; only the addresses move.

Source    strip mining of loops that cannot be fused (Wolfe, High Performance Compilers, 1996).
"""

from __future__ import annotations

import math
from functools import lru_cache

from chainrule.compiler.kernel import HEAD, Kernel, Phase
from chainrule.compiler.llvm.code import Code, Index, Value
from chainrule.compiler.llvm.loops import (
    HI,
    LO,
    LoopSpec,
    argument_pointers,
    cost_per_element,
    elementwise_function,
    normalised,
    smaller,
    task_count,
)
from chainrule.compiler.llvm.segments import Segmented


@lru_cache(maxsize=256)
def emit_row_chunks(specs: tuple[LoopSpec, ...], rows: int) -> Kernel:
    """The kernel that does these loops for so many rows at a time.

    The first axis of every domain is that of the rows, as many in each. The arguments are those of
    all loops, one after the other.
    """
    chunks, rest = divmod(specs[0].domain[0], rows)
    phases = [_phase(specs, rows, 0, chunks)]
    if rest:
        phases.append(_phase(specs, rest, rows * chunks, 1))
    return Kernel(tuple(phases))


def _phase(specs: tuple[LoopSpec, ...], rows: int, first: int, chunks: int) -> Phase:
    """The loops for every chunk of so many rows, from the first row on."""
    code = Code()
    texts, calls = [], []
    for k, spec in enumerate(specs):
        text, tasks = _of_rows(spec, rows)
        texts.append(text.replace("@@", f"@@_{k}"))
        calls.append(f"@@_{k}(TABLE, i64 0, i64 {tasks})")
    work = sum(math.prod(s.domain[1:]) * cost_per_element(s) for s in specs)
    each = -(-chunks // min(task_count(rows * chunks * work), chunks))
    tasks = -(-chunks // each)
    pointers = iter(argument_pointers(code, sum(len(s.streams) for s in specs)))
    starts = [[next(pointers) for _ in s.streams] for s in specs]
    table = code.alloca(8 * max(map(len, starts)), 8)
    with code.loop(code.index_mul(LO, each), _last(code, each, chunks)) as loop:
        for spec, places, call in zip(specs, starts, calls, strict=True):
            _fill(code, table, spec, places, (first, rows, loop.index))
            code.line(f"call void {call.replace('TABLE', str(table))}")
    code.line("ret void")
    return Phase("\n".join([code.function(HEAD), *texts]), tasks)


def _last(code: Code, each: int, chunks: int) -> Index:
    return smaller(code, code.index_mul(HI, each), chunks)


def _of_rows(spec: LoopSpec, rows: int) -> tuple[str, int]:
    """The loop over so many rows as a function of its own, and its tasks."""
    spec = normalised(spec._replace(domain=(rows, *spec.domain[1:])))
    if spec.reductions:
        (phase,) = Segmented(spec).whole().phases
        return phase.text, phase.tasks
    code = Code()
    tasks = elementwise_function(code, spec)
    code.line("ret void")
    return code.function(HEAD), tasks


def _fill(code: Code, table: Value, spec: LoopSpec, places: list[Value], at) -> None:
    """The arguments of one loop for one chunk."""
    first, rows, chunk = at
    for i, (stream, start) in enumerate(zip(spec.streams, places, strict=True)):
        step = stream.strides[0] * stream.dtype.itemsize
        place = code.offset(start, first * step)
        place = code.offset(place, chunk, rows * step) if step else place
        code.store(place, code.offset(table, 8 * i))
