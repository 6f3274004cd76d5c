"""Memory: a program that fits into a number of bytes, at the least extra time.

`within(program, memory)` is the same program where it fits; else one that computes some arrays
again instead of keeping them. What counts is everything that a run allocates, results included and
arguments not (program/footprint.py). The schedules come from dynamic programming over the program
as a chain, and over its loops cut into stretches; the footprint of each is exact, so a schedule
that is chosen fits. Every result has the
bits that it has without: the same operations run on the same operands, and random draws are
functions of their key and counter.

Source    see chain_schedule.py and stretches.py.
"""

from __future__ import annotations

from collections.abc import Callable, Iterable, Iterator, Sequence
from itertools import chain
from typing import NamedTuple

from chainrule import errors
from chainrule.program.evaluate import is_view
from chainrule.program.footprint import alive, footprint
from chainrule.program.liveness import remove_dead
from chainrule.program.program import Equation, Operand, Program
from chainrule.transforms.chain_schedule import chain_orders
from chainrule.transforms.exhaustive_schedule import LARGEST as EXHAUSTIBLE
from chainrule.transforms.exhaustive_schedule import exhaustive_order
from chainrule.transforms.local_schedule import LARGEST as LOCAL
from chainrule.transforms.local_schedule import Local
from chainrule.transforms.recompute import Work, ordered
from chainrule.transforms.storing import storing_less
from chainrule.transforms.stretches import stretched

_NEAR = 3  # schedules on either side of the one that just fits are looked at
_LEAN = 12  # and so many of the leanest, before it is said that none fits
_STEPS = 24  # parts of the first half that are run again beside the second
_LESS = (0.94, 0.88)  # parts of the least memory known that are tried, to say what is least
_TRIMMED = 600  # nodes
_PIECES = (8, 16, 32, 64)  # into which loops are cut
_TAILS = (0.9, 0.75, 0.5, 0.25, 0.1, 0.0)  # parts of their steps that are not run twice


class Schedule(NamedTuple):
    """An order of a program's nodes, what it costs, and the bytes it takes."""

    cost: int
    peak: int
    work: Work
    order: list[int]

    def program(self, memory: int | None = None) -> Program:
        """The program that runs the nodes in this order, for a budget."""
        return ordered(self.work, self.order, memory)


def within(
    program: Program,
    memory: int | None,
    measure: Callable[[Program], int] = footprint,
    orders: Callable[[Work], Iterable[Sequence[list[int]]]] = chain_orders,
) -> Program:
    """The program where its `measure` is at most `memory`, or one that recomputes, and is.

    `orders` gives sequences of orders of its nodes, those that take more memory first.
    **Units** bytes. **Errors** `BudgetTooSmall`, with the least that would do.
    **Cost** some milliseconds an equation, where something must be recomputed.
    """
    if memory is None:
        return program
    program = remove_dead(program)
    if measure(program) <= memory:
        return program
    less = storing_less(program, measure)
    if measure(less) <= memory:
        return less
    found = _schedule(program, less, memory, measure, orders)
    if found.peak > memory:
        raise too_small(_least(program, less, found, measure, orders), memory)
    return found.program(memory)


def _schedule(program: Program, less: Program, memory: int, measure, orders) -> Schedule:
    """The cheapest schedule found that fits; where none does, the one that takes the least."""
    found: list[Schedule] = []
    for stage in _stages(program, less, memory, orders):
        found += [_best(work, memory, measure, list_) for work, list_ in stage if list_]
        fitting = [s for s in found if s.peak <= memory]
        if fitting:
            best = min(fitting, key=lambda s: (s.cost, len(s.order)))
            return _trimmed(best, memory, measure)
    return min(found, key=lambda s: s.peak)


def _least(program: Program, less: Program, known: Schedule, measure, orders) -> Schedule:
    """The schedule of the least memory found: the known one, or one for a little less."""
    if known.work.count > LOCAL:
        return known
    for part in _LESS:
        found = _schedule(program, less, int(part * known.peak), measure, orders)
        if found.peak > int(part * known.peak):
            break
        known = found
    return known


def _trimmed(found: Schedule, memory: int, measure) -> Schedule:
    """The schedule without runs that it fits without."""
    work = found.work
    if work.count > _TRIMMED:
        return found
    order = Local(work, memory).trimmed(found.order)
    peak = measure(ordered(work, order))
    return Schedule(work.cost_of(order), peak, work, order) if peak <= memory else found


def _stages(
    program: Program, less: Program, memory: int, orders
) -> Iterator[Iterator[tuple[Work, Sequence]]]:
    """Works with lists of their orders; a later stage is for where those before did not do."""

    def scheduled(bases: Iterable[Program | None]):
        for base in bases:
            if base is not None:
                work = Work(base)
                lists = list(orders(work))
                yield from ((work, list_) for list_ in lists)
                yield work, _exact_orders(work, memory)
                yield work, _local_orders(work, memory, lists)

    def as_they_are():
        for pieces in _PIECES:
            works = [Work(p) for t in _TAILS if (p := stretched(program, pieces, t)) is not None]
            for work in works:
                yield work, [list(range(work.count))]

    bases = [less] if less is program else [less, program]
    if len(program.equations) > LOCAL:
        yield chain(scheduled(bases[:1]), as_they_are())
        yield scheduled(bases[1:])
    else:
        yield chain(scheduled(bases), as_they_are())
    yield scheduled(stretched(program, pieces) for pieces in _PIECES)
    twice = stretched(program, _PIECES[-1])
    yield scheduled([] if twice is None else [stretched(twice, _PIECES[0])])


def _local_orders(
    work: Work, memory: int, lists: list[Sequence[list[int]]]
) -> list[list[int]]:
    """Orders of a middling program that fit, from its own order and the first of the lists."""
    if not EXHAUSTIBLE < work.count <= LOCAL:
        return []
    local = Local(work, memory)
    starts = [list(range(work.count)), *(list_[0] for list_ in lists[:1])]
    return [order for s in starts if (order := local.relieved(s)) is not None]


def _exact_orders(work: Work, memory: int) -> list[list[int]]:
    """The cheapest order of a small program; where none fits, the one that takes the least."""
    if work.count > EXHAUSTIBLE:
        return []
    order = exhaustive_order(work, memory) or exhaustive_order(work, None)
    return [] if order is None else [order]


def _best(work: Work, memory: int, measure, candidates: Sequence[list[int]]) -> Schedule:
    """The cheapest schedule that fits; where none does, the one that takes the least."""
    looked_at: dict[int, Schedule] = {}

    def look(i: int) -> Schedule:
        if i not in looked_at:
            order = candidates[i]
            peak = measure(ordered(work, order))
            looked_at[i] = Schedule(work.cost_of(order), peak, work, order)
        return looked_at[i]

    low, high = 0, len(candidates)  # they take less and less memory, almost always
    while low < high:
        middle = (low + high) // 2
        low, high = (low, middle) if look(middle).peak <= memory else (middle + 1, high)
    for i in range(max(low - _NEAR, 0), min(low + _NEAR, len(candidates))):
        look(i)
    if all(s.peak > memory for s in looked_at.values()):
        for i in range(max(len(candidates) - _LEAN, 0), len(candidates)):
            look(i)
    return min(looked_at.values(), key=lambda s: (s.peak > memory, s.cost if s.peak <= memory
                                                  else s.peak))  # fmt: skip


def too_small(leanest: Schedule, memory: int) -> errors.BudgetTooSmall:
    """The error for a budget that no schedule meets."""
    program = leanest.program()
    peaks = alive(program)
    number = max(range(len(peaks)), key=peaks.__getitem__)
    where = ""
    if number < len(program.equations):
        equation = program.equations[number]
        where = f"\n  The most is needed by {equation.op.name}"
        where += f", at {equation.where}." if equation.where else "."
    return errors.BudgetTooSmall(
        f"{program.name} does not fit into memory={memory} bytes: with everything recomputed that "
        f"can be, it takes {leanest.peak} bytes (arguments not counted).{where}\n"
        f"  Give memory={leanest.peak} or more, or a smaller batch."
    )


# --- programs that run in two halves --------------------------------------------------------------


def within_halves(known: Program, linear: Program, residuals: int, memory: int | None):
    """The two halves of a derivative, which together fit: the last `residuals` outputs of the
    first are the first inputs of the second.

    They are kept as long as the second half may be run again, so they count all the while. Without
    a budget, less is kept where that costs little.
    """
    given = linear.inputs[residuals:]
    joined = _joined(known, linear, residuals)
    split = _Split(frozenset(given), len(known.outputs) - residuals, len(known.inputs))
    made = storing_less(joined, split.measure)
    if memory is not None and split.measure(made) > memory:
        made = within(joined, memory, split.measure, split.orders)
    return (known, linear) if made is joined else split.halves(made)


def _joined(known: Program, linear: Program, residuals: int) -> Program:
    count = len(known.outputs) - residuals
    env: dict[Operand, Operand] = dict(
        zip(linear.inputs[:residuals], known.outputs[count:], strict=True)
    )
    second = [
        Equation(e.op, tuple([env.get(x, x) for x in e.inputs]), e.params, e.outputs, e.line)
        for e in linear.equations
    ]
    return Program(
        [*known.inputs, *linear.inputs[residuals:]], [*known.equations, *second],
        [*known.outputs[:count], *(env.get(o, o) for o in linear.outputs)], name=known.name,
    )  # fmt: skip


class _Split(NamedTuple):
    """Where a joined program is cut: when its values are made, or before the first equation that
    reads one of `given`, whichever takes less."""

    given: frozenset
    values: int  # the outputs of the first half proper
    inputs: int  # of the first half

    def halves(self, program: Program) -> tuple[Program, Program]:
        return min((self._cut_at(program, s) for s in self._places(program)), key=self._bytes)

    def _places(self, program: Program) -> set[int]:
        end = len(program.equations)
        moving = [
            k for k, e in enumerate(program.equations) if not self.given.isdisjoint(e.inputs)
        ]
        made = set(program.outputs[: self.values])
        last = [k + 1 for k, e in enumerate(program.equations) if not made.isdisjoint(e.outputs)]
        first = min(moving, default=end)
        return {first, min(max(last, default=0), first)}

    def _cut_at(self, program: Program, start: int) -> tuple[Program, Program]:
        results = program.outputs[self.values :]
        second, crossing = _cut(program, start, results, self.given)
        known = Program(
            program.inputs[: self.inputs], program.equations[:start],
            [*program.outputs[: self.values], *crossing], name=program.name,
        )  # fmt: skip
        inputs = [*crossing, *program.inputs[self.inputs :]]
        return remove_dead(known), Program(inputs, second, results, name=program.name)

    def _bytes(self, halves: tuple[Program, Program]) -> int:
        known, linear = halves
        kept = sum(v.type.nbytes for v in linear.inputs if v not in self.given)
        return max(footprint(known), kept + footprint(linear))

    def measure(self, program: Program) -> int:
        return min(self._bytes(self._cut_at(program, s)) for s in self._places(program))

    def orders(self, work: Work) -> Iterator[Sequence[list[int]]]:
        """Those of a chain; the same with the values made first and everything run again; and the
        second half beside the first one run again, up to a node: for linear halves that run
        forward, as the first does."""
        values = work.values(work.program.outputs[: self.values])
        first, readers = work.closure(values, set()), work.readers()
        last = {work.maker[v] for v in values if not readers[v]}
        for orders in chain_orders(work):
            yield orders
            yield _After(first, last, orders)
        moving = self._moving(work)
        steps = sorted({work.count * k // _STEPS for k in range(_STEPS + 1)})
        yield [again_beside(work, values, moving, step) for step in steps]

    def _moving(self, work: Work) -> list[int]:
        """The nodes that depend on what is given to the second half."""
        found: dict[int, None] = {}
        for node, equation in enumerate(work.equations):
            reads = any(work.maker[v] in found for v in work.reads[node])
            if reads or not self.given.isdisjoint(map(work.base, equation.inputs)):
                found[node] = None
        return list(found)


class _After(Sequence):
    """Orders after some nodes have been run, by themselves; the `last` of these only once."""

    def __init__(self, first: list[int], last: set[int], orders: Sequence[list[int]]):
        self._first, self._last, self._orders = first, last, orders

    def __len__(self) -> int:
        return len(self._orders)

    def __getitem__(self, i):
        return [*self._first, *(n for n in self._orders[i] if n not in self._last)]


def _cut(program: Program, start: int, results, given) -> tuple[list[Equation], list]:
    """The equations from `start` on, with the views they read, and the arrays they take over."""
    maker = {e.outputs[0]: e for e in program.equations[:start] if is_view(e)}
    made = {v for e in program.equations[start:] for v in e.outputs} | set(given)
    views: dict = {}
    crossing: dict = {}
    pending = [x for e in program.equations[start:] for x in e.inputs] + list(results)
    while pending:
        x = pending.pop()
        if x.is_literal or x in made or x in views or x in crossing:
            continue
        if x in maker:
            views[x] = maker[x]
            pending += maker[x].inputs
        else:
            crossing[x] = None
    kept = [e for e in program.equations[:start] if e.outputs and e.outputs[0] in views]
    order = [v for e in program.equations[:start] for v in e.outputs if v in crossing]
    return [*kept, *program.equations[start:]], [
        *(v for v in program.inputs if v in crossing), *order
    ]


def again_beside(work: Work, values: Iterable[int], moving: list[int], step: int) -> list[int]:
    """The nodes that the values need, then each moving node, before it what it needs of the others:
    those numbered from `step` on are kept from the first time, the others run again."""
    order = work.closure(values, set())
    have = {v for v in work.made_by(order) if work.maker[v] >= step}
    for node in moving:
        added = work.run(node, have)
        order += added
        have.update(work.made_by(added))
    return order
