"""How a prepared program's region is kept small: what it makes again instead of keeping it.

The steps and buffers of a candidate are planned as for compiling it, so the bytes that are compared
are those that a call takes: the arena, and the outputs that are new arrays. A candidate that makes
things again is scheduled `lean` (see `Schedule`).
"""

from __future__ import annotations

from contextlib import suppress
from functools import cached_property

from chainrule import errors
from chainrule.compiler.layout import contiguous
from chainrule.compiler.region import Region
from chainrule.program.program import Program
from chainrule.transforms.checkpoint import within
from chainrule.transforms.recompute import budget_of, recomputes
from chainrule.transforms.simplify import remove_barriers
from chainrule.transforms.storing import storing_less

_WORTH = 1 << 20  # bytes of an arena that stays in the processor's caches


def fitted(
    program: Program, written: dict[int, int], watched: bool, memory: int | None, traced: Program
) -> Region:
    """The region of a prepared program within `memory` bytes; without a bound, one that keeps less
    where that costs little and the arena is large.

    Where a derivative in the program as it was traced has a budget of its own, that is aimed at.
    **Errors** `BudgetTooSmall`, with the least that would do.
    """
    aim = budget_of(traced)
    bounded = memory is not None or aim is not None
    planning = _Planning(program, written, watched, recomputes(traced), not bounded)
    if memory is not None:
        return planning.within(memory)
    if aim is not None:
        with suppress(errors.BudgetTooSmall):  # there is more in the program than the derivative
            return planning.within(aim)
    return planning.of(storing_less(program, planning.measure, _WORTH))


class _Planning:
    """Regions of one program and of candidates that compute the same."""

    def __init__(self, program: Program, written: dict[int, int], watched: bool, lean: bool,
        beside: bool,
    ):  # fmt: skip
        self.program, self.written, self.watched = program, written, watched
        self.beside = beside
        self.lean = lean
        self.layouts = [(t.nbytes, contiguous(t.shape)) for t in program.in_types]
        self.latest: tuple[Program, Region] | None = None  # the candidate that was planned last
        new = [t.nbytes for k, t in enumerate(program.out_types) if k not in written]
        self.results = sum(new)

    def _made(self, program: Program, lean: bool) -> Region:
        return Region(program, self.layouts, self.written, False, self.watched, lean, self.beside)

    @cached_property
    def region(self) -> Region:
        return self._made(self.program, self.lean)

    def of(self, candidate: Program) -> Region:
        if candidate is self.program:
            return self.region
        if self.latest is None or candidate is not self.latest[0]:
            self.latest = candidate, self._made(remove_barriers(candidate), True)
        return self.latest[1]

    def measure(self, candidate: Program) -> int:
        return self.of(candidate).least + self.results

    def within(self, memory: int) -> Region:
        return self.of(within(self.program, memory, self.measure))
