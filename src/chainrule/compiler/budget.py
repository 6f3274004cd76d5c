"""A prepared program's region within a budget of bytes: what is recomputed so that it fits.

The steps and buffers of a candidate are planned as for compiling it, so the bytes that are compared
with the budget are those that a call takes: the arena, and the outputs that are new arrays.
"""

from __future__ import annotations

from chainrule.compiler.layout import contiguous
from chainrule.compiler.region import Region
from chainrule.program.program import Program
from chainrule.transforms.checkpoint import within


def fitted(
    program: Program, written: dict[int, int], watched: bool, memory: int | None, lean: bool = False
) -> Region:
    """The region of a prepared program, of which some is computed twice where it would not fit.

    A program that recomputes already is scheduled `lean`, so that what it saves is not lost again.
    **Errors** `BudgetTooSmall`, with the least that would do.
    """
    layouts = [(t.nbytes, contiguous(t.shape)) for t in program.in_types]
    region = Region(program, layouts, written, False, watched, lean)
    results = sum(t.nbytes for k, t in enumerate(program.out_types) if k not in written)
    if memory is None or region.arena + results <= memory:
        return region
    regions: dict[int, Region] = {}

    def measure(candidate: Program) -> int:
        made = Region(candidate, layouts, written, False, watched, lean=True)
        regions[id(candidate)] = made
        return made.arena + results

    made = within(program, memory, measure)
    return regions.get(id(made)) or Region(made, layouts, written, False, watched, lean=True)
