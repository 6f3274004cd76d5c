"""Derivatives at kinks: what a derived program gives where pieces of the function meet.

The program is run as it is, and watches for ties on the way (transforms/ties.py). Where it met
none, that is the derivative. Where it did, the program is evaluated along the germs x + eps v and
x - eps v, eps -> 0+ (chainrule.germs), and the derivatives become the mean of the two limits;
function values stay those at the point. An entry that has a finite limit on one side only takes
that one; an entry that has none keeps what the conventions of each operation give.

Recorded in another trace, such a derivative is one equation, `germ`, that holds its program.

Source    lexicographic derivatives: Nesterov, "Lexicographic differentiation of nonsmooth
          functions", Mathematical Programming 104 (2005); Khan and Barton, "A vector forward mode
          of automatic differentiation for generalized derivative evaluation", 2015; the cheap
          subgradient principle: Kakade and Lee, NeurIPS 2018. The mean of both sides is ours.
"""

from __future__ import annotations

from collections.abc import Callable, Sequence
from functools import cached_property

import numpy as np

from chainrule import errors, germs
from chainrule.germs.generic import direction
from chainrule.ops.control import as_tuple, with_outputs
from chainrule.options import Options
from chainrule.program.blas import one_thread
from chainrule.program.displacement import affected_outputs
from chainrule.program.evaluate import Plan
from chainrule.program.liveness import remove_dead
from chainrule.program.names import names_wanted
from chainrule.program.op import Op, Structural
from chainrule.program.program import Program
from chainrule.program.remember import remembered
from chainrule.program.trace import Builder, Traced, as_operand, current, inline
from chainrule.transforms.first_order import one_side
from chainrule.transforms.kinks import SeenThrough
from chainrule.transforms.leading import leading_side
from chainrule.transforms.plain import plain
from chainrule.transforms.recompute import for_budget
from chainrule.transforms.tie_reach import reached
from chainrule.transforms.ties import first_tie, watched
from chainrule.wide.repair import watch

DIRECTIONS = 3  # pairs of germs that `kinks="raise"` compares


def _same(program: Program) -> Program:
    return program


class Kinked:
    """A derived program that settles ties: a plan, run by `chainrule.running.run`.

    `moving` marks the inputs that the derivative is taken by, `settled` the outputs that change at
    a tie; `first` says that no derivative is inside. The inputs from `start` on, as many as
    `zeros`, are zeros that the caller does not give (see transforms/kinks.py). `watches` says that
    a tie may be met at all; given where it is known already.
    """

    def __init__(
        self, program: Program, moving: tuple[bool, ...], settled: tuple[bool, ...],
        kinks: str, first: bool, start: int = 0, zeros: int = 0,
        order: Callable[[Program], Program] = _same, memory: int | None = None,
        watches: bool | None = None,
    ):  # fmt: skip
        self.program, self.moving, self.settled, self.kinks = program, moving, settled, kinks
        self.first, self.start = first, start
        self.zeros = [
            np.zeros(v.type.shape, v.type.dtype)[()] for v in program.inputs[start : start + zeros]
        ]
        self.watches = self._seen is not None if watches is None else watches
        self.plan = _planned(program, lambda made: order(self._seen or made), memory)
        self.memory = memory  # the budget that the plan is within
        self.inside = False  # an equation of another program, which is looked at as a whole
        self.recorded = self.plan.program if not self.watches and memory is not None else program
        self.with_quotient = affected_outputs(program)
        self._side: Plan | None = None
        self._ways: dict[int, list] = {}  # directions, by their seeds
        self._has_side = self.watches
        self._leading: dict[bool, list[Plan]] = {}
        self._reached: Plan | None = None

    @cached_property
    def _seen(self) -> Program | None:
        """The program that looks for ties as well; None where there can be none."""
        return None if self.kinks == "convention" else watched(self.program, self.moving)

    def on_side(self, operands: list, sign: int, seed: int = 0) -> list | None:
        """The outputs on one side of the ties, where tangents tell the sides apart; else None."""
        if self._has_side and self._side is None:
            made = one_side(self.program, self.moving, self.first)
            self._has_side = made is not None
            self._side = None if made is None else self._side_plan(made)
        if self._side is None:
            return None
        if seed not in self._ways:
            types = [v.type for v, m in zip(self.program.inputs, self.moving, strict=True) if m]
            self._ways[seed] = [
                direction(t, n, 0, seed).astype(t.dtype)[()] for n, t in enumerate(types)
            ]
        movers = [x for x, m in zip(operands, self.moving, strict=False) if m]
        ways = [
            np.where(np.isfinite(x), sign * w, w.dtype.type(0))[()]  # infinities and nan stay
            for x, w in zip(movers, self._ways[seed], strict=True)
        ]
        *found, undecided = _run_side(self._side, [*operands, *ways])
        return None if undecided else found

    def on_leading_sides(self, operands: list) -> list[list] | None:
        """The outputs on both sides of ties, where leading inputs tell these apart; else None."""
        for thorough in (False, True) if self.first else ():
            if thorough not in self._leading:
                sides = [leading_side(self.program, self.moving, s, thorough) for s in (1, -1)]
                self._leading[thorough] = [
                    self._side_plan(made) for made in sides if made is not None
                ]
            found = [self._unless_open(side, operands) for side in self._leading[thorough]]
            if len(found) == 2 and None not in found:
                return [x for x in found if x is not None]
        return None

    def _side_plan(self, program: Program) -> Plan:
        """A side's program, planned; looked at for lost digits where the derivative is."""
        plan = Plan(program)
        if self.inside or self.plan.watching is not None:
            plan.watching = watch
        return plan

    @staticmethod
    def _unless_open(side: Plan, operands: list) -> list | None:
        *outputs, open_, open_on_both = _run_side(side, operands)
        return None if open_ or open_on_both else outputs

    @property
    def repairs_sides(self) -> bool:
        """Whether sides that tangents tell apart are looked at for lost digits."""
        sides = [self._side] if self._side else [s for pair in self._leading.values() for s in pair]
        return any(s.watch is not None for s in sides)

    def where_reached(self, made: list, found: list, operands: list) -> list:
        """The outputs that were settled, as they were found where no tie has a part in them."""
        if self._reached is None:
            self._reached = Plan(reached(self.program, self.moving))
        marks = self._reached.run(operands)
        return [
            np.where(mark, new, old)[()] if changes else old
            for new, old, mark, changes in zip(made, found, marks, self.settled, strict=True)
        ]

    def operands(self, given: list) -> list:
        """The operands of the program, from those that the caller gives."""
        if not self.zeros:
            return given
        return [*given[: self.start], *self.zeros, *given[self.start :]]

    def settle(self, found: list, operands: list) -> list:
        """The outputs, from those of the watched program: changed where a tie was met."""
        if not self.watches:
            return found
        *found, met = found
        return settled_outputs(self, found, operands) if met and any(self.settled) else found


def _run_side(side: Plan, operands: list) -> list:
    with one_thread():
        return side.run(operands) if side.watch is None else side.watch.run(operands)


class KinkedHalf:
    """The linear half of a derivative, and the whole that takes its place at a tie.

    It watches too: a loop's linear half computes its states again, and their choices with them.
    """

    def __init__(self, program: Program, residuals: int, whole: Kinked):
        self.program, self.whole = program, whole
        rest = len(program.inputs) - residuals
        seen = watched(program, (True,) * residuals + (False,) * rest) if whole.watches else None
        self.watches = seen is not None
        self.plan = Plan(program if seen is None else seen)


def settling(
    made: Program, opened: SeenThrough, active: tuple[bool, ...], settled, options: Options,
    order: Callable[[Program], Program] = _same, memory: int | None = None,
) -> Plan | Kinked:
    """A derived program, planned; its outputs after those in `settled` are derivatives.

    `order` gives the program with its equations in the order that they are run in, for a budget of
    `memory`. Looks for ties come first: they know an array's largest entry by how it was made.
    """
    if options.kinks == "convention" and not opened.zeros:
        return _planned(made, order, memory, made if memory is None else None)
    assert options.kinks is not None  # `derived` has it from the trace around
    moving = opened.active(active, True)
    rest = (False,) * (len(made.inputs) - len(moving))
    changes = (*settled, *(True,) * (len(made.outputs) - len(settled)))
    return Kinked(
        made, moving + rest, changes, options.kinks, opened.first, len(active),
        len(opened.zeros), order, memory,
    )


def _planned(
    program: Program, order: Callable[[Program], Program], memory: int | None,
    recorded: Program | None = None,
) -> Plan:  # fmt: skip
    """The program's plan; one within a budget is put in order now, which may be refused."""
    if memory is not None:
        return Plan(order(program))
    return Plan(program, recorded=recorded, order=order)


def settling_halves(
    known: Program, linear: Program, whole: Program, opened: SeenThrough, active,
    options: Options, order: Callable[[Program, Program, int], tuple[Program, Program]],
):  # fmt: skip
    """The two halves of a derivative, planned; `whole` maps all operands to what `linear` gives.

    `order(known, linear, residuals)` gives the halves in the order that they are run in.
    """
    residuals = len(known.outputs) - len(opened.settled)
    if options.kinks == "convention" and not opened.zeros:
        known, linear = order(known, linear, residuals)
        return Plan(known), Plan(linear)
    first = settling(known, opened, active, (*opened.settled, *(False,) * residuals), options)
    both = settling(whole, opened, active, (), options)
    assert isinstance(first, Kinked) and isinstance(both, Kinked)
    half = KinkedHalf(linear, residuals, both)
    _put_in_order(first, half, len(opened.settled), residuals, order)
    return first, half


def _put_in_order(first: Kinked, half: KinkedHalf, values: int, residuals: int, order) -> None:
    """Plan the two halves anew, in another order and with what is then kept between them."""
    seen = first.plan.program
    met = seen.outputs[values + residuals :]
    outputs = [*seen.outputs[:values], *met, *seen.outputs[values : values + residuals]]
    known, linear = order(with_outputs(seen, outputs), half.plan.program, residuals)
    kept = known.outputs[values + len(met) :]
    plain = with_outputs(known, [*known.outputs[:values], *kept])
    first.plan = Plan(with_outputs(known, [*plain.outputs, *known.outputs[values:][: len(met)]]))
    first.recorded, first.with_quotient = remove_dead(plain), affected_outputs(plain)
    half.plan = Plan(linear)
    half.program = linear
    if half.watches:
        half.program = remove_dead(with_outputs(linear, linear.outputs[:-1]))


def joined(known: Program, linear: Program, residuals: int) -> Program:
    """The program from all operands to the outputs of the linear half."""
    with Builder(known.name, reuse=True) as builder:
        builder.lines_from_user = False
        inputs = [builder.input(v.type, v.name) for v in known.inputs]
        given = [builder.input(v.type, v.name) for v in linear.inputs[residuals:]]
        values = inline(known, inputs)
        found = inline(linear, [*values[len(values) - residuals :], *given])
        made = builder.finish([as_operand(builder, v) for v in found])
    return remove_dead(made)


def settled_outputs(kinked: Kinked, found: list, operands: list) -> list:
    """The outputs at a tie: derivatives are the mean of the limits along both germs."""
    try:
        if kinked.kinks == "raise":
            _check_differentiable(kinked, operands)
        sides, same = _both_sides(kinked, operands)
    except germs.Unsupported as error:
        if kinked.kinks == "raise":
            raise _not_known(kinked, operands, error) from None
        return found
    made = merged(found, kinked.settled, *sides)
    if not same:
        made = kinked.where_reached(made, found, operands)
    infinite = any(
        np.isinf(x).any() for side in sides
        for x, changes in zip(side, kinked.settled, strict=True) if changes
    )  # fmt: skip
    if not infinite:
        return made
    others = merged(found, kinked.settled, *_both_sides(kinked, operands, 1)[0])
    return [
        _where_alike(at, a, b) if changes else at
        for at, a, b, changes in zip(found, made, others, kinked.settled, strict=True)
    ]


def _where_alike(at, one, other):
    """A limit where another direction gives the same, else what the operations' conventions give:
    for where a function grows without bound, limits that depend on the direction mean nothing."""
    with np.errstate(all="ignore"):
        alike = (np.abs(one - other) <= 1e-9 * np.abs(one)) | (one == other) | np.isnan(at)
    return np.where(alike, one, at).astype(np.asarray(at).dtype)[()]


def _both_sides(kinked: Kinked, operands: list, seed: int = 0) -> tuple[list[list], bool]:
    """The limits of the outputs along a germ and its opposite: by tangents along leading inputs or
    along x + eps v and x - eps v, where these will do. And whether what no tie reaches is what it
    is without them, to the bit."""
    if not seed and kinked.kinks != "raise":
        sides = kinked.on_leading_sides(operands)
        if sides is not None:
            return sides, not kinked.repairs_sides
    above = kinked.on_side(operands, 1, seed)
    below = None if above is None else kinked.on_side(operands, -1, seed)
    if above is not None and below is not None:
        return [above, below], not kinked.repairs_sides
    return [limits(kinked.program, operands, kinked.moving, s, seed) for s in (1, -1)], False


def limits(program: Program, operands, moving, sign: int, seed: int = 0) -> list:
    """The limits of a program's outputs along one germ of its moving inputs."""
    program = plain(program)
    values = _arrays(program, operands)
    with np.errstate(all="ignore"):
        return germs.limits(program, values, moving, sign, seed)


def _arrays(program: Program, operands) -> list:
    types = program.in_types
    return [np.asarray(v, t.dtype)[()] for v, t in zip(operands, types, strict=True)]


def merged(found: list, settled: Sequence[bool], above: list, below: list) -> list:
    """The outputs with those marked replaced by the mean of their limits from both sides."""
    return [
        _mean(at, a, b) if changes else at
        for at, a, b, changes in zip(found, above, below, settled, strict=True)
    ]


def _mean(at, above, below):
    """The mean of two limits; the finite one where only one is, and `at` where none is."""
    with np.errstate(all="ignore"):
        mean = np.where(above == below, above, above / 2 + below / 2) + 0.0
    finite = np.isfinite(above), np.isfinite(below)
    one = np.where(finite[0], above, np.where(finite[1], below, at))
    return np.where(finite[0] & finite[1], mean, one).astype(np.asarray(at).dtype)[()]


# --- kinks="raise" --------------------------------------------------------------------------------


def _check_differentiable(kinked: Kinked, operands: list) -> None:
    """Raise where the limits along several germs differ, or are not finite."""
    sides = [side for seed in range(DIRECTIONS) for side in _both_sides(kinked, operands, seed)[0]]
    for number, changes in enumerate(kinked.settled):
        if changes and not agree([side[number] for side in sides]):
            raise _kink(kinked, operands, [side[number] for side in sides[:2]])


def agree(values: list) -> bool:
    """Whether limits are finite, and the same up to rounding."""
    together = np.stack([np.asarray(v) for v in values])
    if not np.isfinite(together).all():
        return False
    if not together.size:
        return True
    tolerance = np.sqrt(np.finfo(together.dtype).eps) * np.abs(together).max(initial=1.0)
    return bool((np.abs(together - together[0]) <= tolerance).all())


def _kink(kinked: Kinked, operands: list, sides: list) -> Exception:
    equation = first_tie(kinked.program, kinked.moving, _arrays(kinked.program, operands))
    where = f"{equation.op.name}, at {equation.where}" if equation is not None else "a choice"
    return errors.NotDifferentiable(
        f"{kinked.program.name} has no derivative at this point: {where}, meets a tie or a "
        f"singular point.\n  On two sides of it the derivative is {_short(sides[0])} and "
        f"{_short(sides[1])}."
        '\n  Move off the point, or take the mean of both sides with kinks="exact".'
    )


def _short(value) -> str:
    return np.array2string(np.asarray(value), threshold=8, edgeitems=2)


def _not_known(kinked: Kinked, operands: list, error: Exception) -> Exception:
    equation = first_tie(kinked.program, kinked.moving, _arrays(kinked.program, operands))
    where = f" at {equation.where}" if equation is not None and equation.where else ""
    return errors.NotDifferentiable(
        f"whether {kinked.program.name} has a derivative at this point is not known: it meets a tie"
        f"{where}, and {error}.\n"
        '  Move off the point, or use kinks="exact", which then follows the conventions.'
    )


# --- as an equation -------------------------------------------------------------------------------


def _type(*operands, program: Program, moving, settled, kinks, first):
    return program.out_types


def _evaluate(*operands, program, moving, settled, kinks, first):
    kinked = _kinked(program, moving, settled, kinks, first)
    made = kinked.settle(kinked.plan.run(operands), list(operands))
    return made[0] if len(made) == 1 else tuple(made)


@remembered
def _kinked(program: Program, moving, settled, kinks, first) -> Kinked:
    made = Kinked(program, moving, settled, kinks, first)
    made.inside = True
    return made


def _forward(equation, inputs, tangents, forward):
    """The tangents of the program itself: an outer derivative settles its ties (see_through)."""
    program, moves = forward(equation.params["program"], tuple(t is not None for t in tangents))
    values = inline(program, [*inputs, *(t for t in tangents if t is not None)])
    count = len(equation.outputs)
    made = iter(values[count:])
    return values[:count], [next(made) if m else None for m in moves]


def _split(equation, mask, split_program):
    raise AssertionError("germ is seen through when it is pushed forward")


def _batch(equation, size, inputs, mask, batch):
    """The lanes are settled together: a tie in one is none in another."""
    made, marks = batch(equation.params["program"], size, tuple(mask))
    return as_tuple(germ_op(*inputs, **{**equation.params, "program": made})), marks


germ_op: Op = Op(
    "germ", _type, _evaluate, Structural(_forward, _split, None), _batch,
    doc="a derivative: the program, its outputs in `settled` the mean of their limits at a tie",
)  # fmt: skip


def recorded(kinked: Kinked, operands: list) -> list:
    """The derivative as an equation of the current trace; plain equations where the trace is made
    to be shown, and where there can be no tie (nor was one met in a Python `if`)."""
    builder = current()
    met = builder is not None and getattr(builder.branching, "met", False)
    if names_wanted() or not (kinked.watches or met):
        return inline(kinked.recorded, operands)
    if kinked.memory is not None:
        place = next(i for i, x in enumerate(operands) if type(x) is Traced)
        marked = for_budget(operands[place], kinked.memory)
        operands = [*operands[:place], marked, *operands[place + 1 :]]
    made = germ_op(
        *operands, program=kinked.program, moving=kinked.moving, settled=kinked.settled,
        kinks=kinked.kinks, first=kinked.first,
    )  # fmt: skip
    return list(as_tuple(made))
