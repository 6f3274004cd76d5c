"""How a prepared program's region is kept small: what it makes again instead of keeping it.

The steps and buffers of a candidate are planned as for compiling it, so the bytes that are compared
are those that a call takes: the arena, and the outputs that are new arrays. A candidate that makes
things again is scheduled `lean` (see `Schedule`).
"""

from __future__ import annotations

from chainrule.compiler.layout import contiguous
from chainrule.compiler.region import Region
from chainrule.program.program import Program
from chainrule.transforms.checkpoint import within
from chainrule.transforms.storing import storing_less

_WORTH = 1 << 20  # bytes of an arena that stays in the processor's caches


def fitted(
    program: Program, written: dict[int, int], watched: bool, memory: int | None, lean: bool = False
) -> Region:
    """The region of a prepared program within `memory` bytes; without a bound, one that keeps less
    where that costs little and the arena is large.

    **Errors** `BudgetTooSmall`, with the least that would do.
    """
    layouts = [(t.nbytes, contiguous(t.shape)) for t in program.in_types]
    region = Region(program, layouts, written, False, watched, lean)
    results = sum(t.nbytes for k, t in enumerate(program.out_types) if k not in written)
    if region.arena < _WORTH and (memory is None or region.arena + results <= memory):
        return region

    def lean_region(candidate: Program) -> Region:
        return Region(candidate, layouts, written, False, watched, lean=True)

    def measure(candidate: Program) -> int:
        made = region if candidate is program else lean_region(candidate)
        return made.arena + results

    made = storing_less(program, measure) if memory is None else within(program, memory, measure)
    return region if made is program else lean_region(made)
