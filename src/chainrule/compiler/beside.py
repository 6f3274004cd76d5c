"""Which steps run side by side: sets of them that need nothing of each other.

The steps are gone through in order. A window of them falls into members: steps that write what
another one of the window touches are of one member, and stay in order; two members share only what
they read. Where members would be joined by a step and most of what they save is lost, the window
ends before it. What all need at the beginning is left out. A window is kept where the saving is
well above what it costs to wake a helper, with two threads, and nothing is lost with eight: kernels
that are divided themselves, which inside of a member they are not, count as divided.

The plan depends on shapes alone, and each kernel does the same as it does alone: the bits are those
of one thread. A loop, a branch, a place found at run time, an equation on the evaluator, and what
gives the call up (`refuse`) end a window.

Maths     a window takes max(largest member, sum / threads), where one kernel after the other takes
          the sum of each one's seconds / min(threads, tasks). Source: Graham's bounds (SIAM J.
          Appl. Math. 17, 1969); the greedy windows are ours.
"""

from __future__ import annotations

import math
from collections.abc import Iterable, Sequence
from dataclasses import dataclass, field
from typing import NamedTuple

from chainrule.compiler.kernel import Kernel
from chainrule.compiler.rows import Rows
from chainrule.compiler.steps import Group, Keep, Native, Root, Step, Write

_WORTH = 25e-6  # seconds saved with two threads; a helper that sleeps takes 50 to 80 to wake
_MANY = 8  # threads, with which nothing may be lost
_DIVIDED = 30e-6  # seconds below which dividing a kernel saves nothing
_WIDE = 200e-6  # seconds of a kernel that is divided well by itself,
_WIDE_TASKS = 16  # and the tasks that it has
_SKIPPED = 0, 1, 4, 16, 64  # steps at the beginning that all others may need
_TASK = 1 << 14  # elements of a loop
_CALL = 0.1e-6
_FLOP = {"contract": 1 / 40e9, "": 1 / 6e9}  # seconds of one, by operation
_BYTE = 1 / 20e9
_NODE = 0.15e-9  # of an operation on one element
_HOLDS_NO_GIL = {"lapack", "blas", "special", "threads"}  # families of externals


@dataclass(eq=False)
class Window:
    """Members that run side by side, each of steps in order."""

    members: list[list[Step]]
    number_of: dict[Step, int] = field(default_factory=dict)  # a step's member

    def __post_init__(self) -> None:
        for number, member in enumerate(self.members):
            for step in member:
                parts = step.parts if isinstance(step, Rows) else []
                self.number_of.update(dict.fromkeys([step, *parts], number))

    @property
    def last(self) -> int:
        """The number of the last step."""
        return max(step.number for step in self.number_of)


def side_by_side(steps: Sequence[Step]) -> list[Window]:
    """The windows that are worth it, in order; rows that are done together are one of the steps."""
    found: list[Window] = []
    facts = [_facts(step) if _can_run_beside(step) else None for step in steps]
    start = 0
    while start < len(steps):
        for skipped in _SKIPPED:
            window, stop = _window(facts, start + skipped)
            if not skipped:
                end = stop
            if window is not None or start + skipped >= end:
                break
        if window is not None:
            found.append(window)
        start = stop if window is not None else max(end, start + 1)
    return found


def _window(facts: Sequence[_Facts | None], start: int) -> tuple[Window | None, int]:
    """The window that begins with a step, where it is worth it, and where it ends."""
    growing = _Growing()
    for place in range(start, len(facts)):
        step = facts[place]
        if step is None or not growing.takes(step):
            return growing.window(), place
    return growing.window(), len(facts)


class _Facts(NamedTuple):
    """What is asked of a step."""

    step: Step
    reads: set[Root]
    writes: set[Root]
    seconds: float
    tasks: int


def _facts(step: Step) -> _Facts:
    reads, writes = {r.root.final for r in step.reads()}, {r.final for r in step.writes()}
    return _Facts(step, reads, writes, _seconds(step), _tasks(step))


def _can_run_beside(step: Step) -> bool:
    if not isinstance(step, Group | Rows | Native | Write | Keep):
        return False
    if isinstance(step, Native) and step.site is not None and step.site.op == "refuse":
        return False
    kernel = _kernel(step)
    families = {name.partition(".")[0] for name in kernel.externals} if kernel else set()
    if not families <= _HOLDS_NO_GIL:
        return False
    return _seconds(step) < _WIDE or _tasks(step) < _WIDE_TASKS


def _kernel(step: Step) -> Kernel | None:
    """The kernel of an operation; a loop's text need not be written to plan it."""
    if isinstance(step, Group):
        return step.epilogue
    return step.kernel if isinstance(step, Native) else None


def _tasks(step: Step) -> int:
    if step.is_small:
        return 1
    if isinstance(step, Rows):
        return -(-step.count // step.together)
    kernel = _kernel(step)
    if kernel is not None:
        return max((phase.tasks for phase in kernel.phases), default=1)
    return max(1, math.prod(step.domain) // _TASK) if isinstance(step, Group) else 1


def _seconds(step: Step) -> float:
    """How long a step takes on one thread, predicted from shapes."""
    if isinstance(step, Rows):
        return sum(map(_seconds, step.parts))
    nbytes = sum(ref.type.nbytes for ref in step.reads()) + sum(r.nbytes for r in step.writes())
    seconds = _CALL + nbytes * _BYTE
    if isinstance(step, Native):
        op = step.site.op if step.site is not None else ""
        return seconds + step.flops * _FLOP.get(op, _FLOP[""])
    if isinstance(step, Group):
        seconds += math.prod(step.domain) * (len(step.nodes) + len(step.reductions)) * _NODE
        if step.product is not None:
            seconds += step.product.flops * _FLOP["contract"]
    return seconds


def _divided(seconds: float, tasks: int, threads: int) -> float:
    return seconds if seconds < _DIVIDED else seconds / min(threads, tasks)


@dataclass
class _Member:
    steps: list[int] = field(default_factory=list)  # their places in the window
    seconds: float = 0.0


class _Growing:
    """A window that takes one step after the other."""

    def __init__(self) -> None:
        self.steps: list[Step] = []
        self.members: dict[int, _Member] = {}
        self.into: list[int] = []  # for each step, one of its member that came earlier, or itself
        self.touched: dict[Root, list[int]] = {}
        self.written: dict[Root, int] = {}
        self.seconds = 0.0
        self.largest = 0.0  # seconds of a member: joined, they only grow
        self.after_each_other = {2: 0.0, _MANY: 0.0}  # by threads

    def takes(self, facts: _Facts) -> bool:
        """Add a step, unless that joins what had better run side by side."""
        step, reads, writes, seconds, tasks = facts
        met = {self._of(self.written[r]) for r in reads if r in self.written}
        met |= {self._of(i) for r in writes for i in self.touched.get(r, ())}
        if len(met) > 1 and self._loses(met, seconds):
            return False
        place = len(self.steps)
        self.steps.append(step)
        self.into.append(place)
        self._join(place, met, seconds)
        for root in reads | writes:
            self.touched.setdefault(root, []).append(place)
        self.written.update(dict.fromkeys(writes, place))
        self.seconds += seconds
        for threads in self.after_each_other:
            self.after_each_other[threads] += _divided(seconds, tasks, threads)
        return True

    def _of(self, place: int) -> int:
        while self.into[place] != place:
            self.into[place] = place = self.into[self.into[place]]
        return place

    def _join(self, place: int, met: Iterable[int], seconds: float) -> None:
        member = _Member([place], seconds)
        for other in met:
            self.into[other] = place
            joined = self.members.pop(other)
            longer, shorter = sorted((joined.steps, member.steps), key=len, reverse=True)
            longer += shorter
            member = _Member(longer, member.seconds + joined.seconds)
        self.members[place] = member
        self.largest = max(self.largest, member.seconds)

    def _loses(self, met: set[int], seconds: float) -> bool:
        before = self._saved(self.largest, 2)
        if before < _WORTH:
            return False
        joined = seconds + sum(self.members[i].seconds for i in met)
        return 2 * self._saved(max(self.largest, joined), 2) < before

    def _saved(self, largest: float, threads: int) -> float:
        return self.after_each_other[threads] - max(largest, self.seconds / threads)

    def window(self) -> Window | None:
        """The members, where running them side by side is worth it."""
        if len(self.members) < 2:
            return None
        if self._saved(self.largest, 2) < _WORTH or self._saved(self.largest, _MANY) < 0:
            return None
        members = sorted(self.members.values(), key=lambda m: min(m.steps))
        return Window([[self.steps[i] for i in sorted(m.steps)] for m in members])
