"""Outputs that lost their digits, computed again in wide arithmetic.

A plan is watched where its program is small and nothing in it is beyond wide arithmetic. A watched
program is run together with estimates of its errors (loss.py). Outputs that may have lost more than
`LOST` bits, and those that are infinite or nan though the inputs are finite, are evaluated again in
wide arithmetic, and replaced where that finds what they are. What is undefined in exact arithmetic
as well stays what it was.

Outputs that are computed entry by entry are repaired at the entries that lost their digits only.
"""

from __future__ import annotations

from collections.abc import Callable, Sequence
from typing import Any, NamedTuple

import numpy as np

from chainrule.program.cost import subprograms
from chainrule.program.liveness import remove_dead
from chainrule.program.program import Equation, Program, Var
from chainrule.program.types import array_type
from chainrule.transforms.kinks import holds_germs, inlined
from chainrule.transforms.plain import plain
from chainrule.wide import pairs
from chainrule.wide.candidates import may_lose
from chainrule.wide.error_rules import UNIT
from chainrule.wide.estimate import estimating
from chainrule.wide.evaluate import certain_float, settled, supported
from chainrule.wide.incomplete import INCOMPLETE
from chainrule.wide.loss import Follower, followed
from chainrule.wide.matrix_errors import MATRIX_OPERATIONS, work
from chainrule.wide.number import ties_noted
from chainrule.wide.patterns import holds_error_free_pattern
from chainrule.wide.twin import ENOUGH, Twin, is_single, twin

LOST = 5  # bits, and two roundings for every equation
TOGETHER = 16  # times the number of entries, where these are computed together (see `_bad`)
EQUATIONS = 1000  # a longer program is not watched
COMPILED = 400  # equations; of a longer one the estimates take seconds to compile
ENTRIES = 1 << 16  # of all values of a program together; a larger one is not watched
ENTRIES_APART = 1 << 21  # where entries are computed apart from each other, up to a last sum
ENTRIES_SINGLE = 1 << 10  # in float32, which is chosen for speed; the twin takes much longer
PRODUCTS = 1 << 10  # multiplications in products of matrices; with more, it is not watched
MANY = 32  # entries that are worth double-double arithmetic first
WORK = 1 << 15  # wide operations that one call may take, for what is computed together
WORK_BY_ENTRY = 1 << 17  # and entry by entry

WIDE_FORMS = ("polynomial",)  # what stands for a formula, and has a wide form of its own

ABSOLUTE = 64 * 5e-324  # the error that numbers below the normal ones may have


def watch(
    whole: Program, written: Callable[[], Program] | None = None, batched: Batched | None = None
) -> Watch | Twin | None:
    """How a program is watched; None where it is not.

    `written` gives the program before rules rewrote it, by which it is repaired: a rule may fold
    numbers, which rounds, and what one equation has folded need not cancel with another. `batched`
    says of which program the whole is the batch.
    """
    if len(whole.equations) > EQUATIONS:
        return None
    if not is_single(whole):
        return _watch_double(whole, written, batched)
    program = _watchable(whole, np.float32)
    if program is None or _size(program) > ENTRIES_SINGLE:
        return None
    double = twin(whole)
    exact = None if written is None else lambda: twin(written())
    repairs = _watch_double(double, exact, None, ENOUGH)
    return Twin(whole, double, repairs)


def _watch_double(
    whole: Program, written: Callable[[], Program] | None, batched: Batched | None,
    needs: float = 1.0,
) -> Watch | None:  # fmt: skip
    program = _watchable(whole, np.float64)
    if program is None or not followed(program):
        return None
    return Watch(whole, program, written, batched, needs)


def _watchable(whole: Program, dtype: type) -> Program | None:
    """The program with the derivatives in it seen through, where it is small, of one dtype, may
    lose digits, and has a meaning in wide arithmetic; else None."""
    if len(whole.equations) > EQUATIONS:
        return None
    program = plain(inlined(whole), WIDE_FORMS)
    entries = ENTRIES_APART if _mostly_by_entry(program) else ENTRIES
    if len(program.equations) > EQUATIONS or _size(program) > entries:
        return None
    if _size(program, products_only=True) > PRODUCTS:
        return None
    types = {v.type for e in program.equations for v in (*e.inputs, *e.outputs)}
    if any(t.inexact and t.dtype != dtype for t in types):
        return None
    if not (may_lose(program) and supported(program)) or holds_error_free_pattern(program):
        return None
    return program


class Batched(NamedTuple):
    """What a batch is made of: the program of one lane, and which of its inputs have lanes."""

    lane: Program
    inputs: tuple[bool, ...]


def _exact(written: Callable[[], Program] | None, program: Program) -> Program:
    """The program as it was written, where that can be evaluated in the place of the other."""
    if written is None:
        return program
    exact = plain(inlined(written()), WIDE_FORMS)
    same = exact.in_types == program.in_types and all(
        a is b for a, b in zip(exact.out_types, program.out_types, strict=False)
    )
    fits = same and len(exact.equations) <= EQUATIONS and supported(exact)
    return exact if fits and not holds_error_free_pattern(exact) else program


class Watch:
    """A program that is watched, and the parts of it that are evaluated when it is repaired.

    `plain` is the program with the derivatives in it seen through: what they settle at a tie
    (chainrule.kinked) is never repaired. Lanes of a batch that are not computed entry by entry are
    repaired one by one: what one of them leaves undecided, or tied, is nothing to the others.
    `needs` multiplies the errors that are no loss.
    """

    lowers_later = False

    __slots__ = (
        "_batched", "_exact", "_follower", "_lane", "_parts", "_settles", "_written", "allowed",
        "plain", "program",
    )  # fmt: skip

    def __init__(
        self, program: Program, plain: Program, written: Callable[[], Program] | None = None,
        batched: Batched | None = None, needs: float = 1.0,
    ):  # fmt: skip
        self.program, self.plain, self._written = program, plain, written
        self._batched = batched
        self._lane: Watch | None = None  # made when a lane is to be repaired
        self._exact: Program | None = None  # made when something is to be repaired
        self._follower = Follower(program)
        self._settles = holds_germs(program)
        self._parts: dict[tuple[int, ...], Part] = {}
        self.allowed = [_allowed(plain, i) * needs for i in range(len(program.outputs))]

    def run(self, values: Sequence) -> list:
        """The outputs for these host values, repaired."""
        return self.run_noted(values)[0]

    def run_noted(self, values: Sequence) -> tuple[list, list]:
        """The outputs, repaired; and where they are what exact arithmetic gives, and no comparison
        of equal numbers is behind them (a mask for each output, None for nowhere)."""
        program = self.program
        inputs = [np.asarray(v, t.dtype)[()] for v, t in zip(values, program.in_types, strict=True)]
        with np.errstate(all="ignore"):
            found, errors = self._follower.run(inputs, [None] * len(inputs))
            bad = [self._bad(i, x, e) for i, (x, e) in enumerate(zip(found, errors, strict=True))]
            found = [np.array(x)[()] for x in found]  # memory of their own
            certain: list = [None] * len(found)
            if any(m is not None for m in bad):
                self._repair(inputs, found, bad, certain)
        return found, certain

    def estimating(self, prepared: Program) -> Program | None:
        """The program as the compiler has prepared it, made to stop where it loses digits; None
        where it cannot be."""
        if len(prepared.equations) > COMPILED:
            return None
        return estimating(prepared, self.allowed, ABSOLUTE)

    def _bad(self, number: int, value, error) -> np.ndarray | None:
        """Where an output has lost too much; None where nowhere."""
        if error is None or value.dtype.kind != "f":
            return None
        fits = (error <= self.allowed[number] * abs(value) + ABSOLUTE) & np.isfinite(value)
        mask = ~np.asarray(fits)
        return np.broadcast_to(mask, np.shape(value)) if mask.any() else None

    def _repair(self, inputs: list, found: list, bad: list, certain: list) -> None:
        by_shape: dict[Any, list[int]] = {}
        for i, mask in enumerate(bad):
            if mask is not None:
                by_shape.setdefault(self._part((i,)).shape, []).append(i)
        for numbers in by_shape.values():
            part = self._part(tuple(numbers))
            masks = [bad[i] for i in numbers]
            if part.shape is None and self._by_lane(inputs, numbers, masks, found, certain):
                continue
            made, tied = part.repaired(inputs, masks)
            if self._exact is not self.plain:
                made, tied = self._rewritten(numbers, inputs, masks, made, tied)
            for i, better in zip(numbers, made, strict=True):
                mask = bad[i] & ~np.isnan(better)
                if self._settles:  # a tie of exact numbers was settled, and is not repaired
                    mask = mask & (~tied | np.isnan(found[i]))
                found[i] = np.where(mask, better, found[i])[()]
                certain[i] = mask & ~tied

    def _rewritten(self, numbers: list[int], inputs: list, masks: list, made: list, tied):
        """What is not found in the formulas as they were written, as rules rewrote them: these may
        need fewer digits."""
        left = [m & np.isnan(x) for m, x in zip(masks, made, strict=True)]
        if not any(m.any() for m in left):
            return made, tied
        others, met = Part(_with_outputs(self.plain, tuple(numbers))).repaired(inputs, left)
        found = [np.where(m, y, x) for m, x, y in zip(left, made, others, strict=True)]
        return found, tied | met

    def _by_lane(self, inputs: list, numbers, masks: list, found: list, certain: list) -> bool:
        """Run the lanes that lost digits by themselves, repaired; False where there are none, or
        too many."""
        lane = self._watch_of_a_lane()
        if lane is None or self._batched is None:
            return False
        lost = [np.asarray(m).any(axis=tuple(range(1, m.ndim))) for m in masks]
        lanes = np.flatnonzero(np.logical_or.reduce(lost))
        if len(lanes) * _size(lane.plain) > WORK_BY_ENTRY:
            return False
        for i in numbers:
            found[i] = np.array(found[i])
            certain[i] = np.zeros(found[i].shape, bool)
        for k in lanes:
            mixed = zip(inputs, self._batched.inputs, strict=True)
            own = [x[k] if has_lanes else x for x, has_lanes in mixed]
            if not _all_finite(own):
                continue
            made, known = lane.run_noted(own)
            for i, mask in zip(numbers, masks, strict=True):
                found[i][k] = np.where(mask[k], made[i], found[i][k])
                certain[i][k] = False if known[i] is None else mask[k] & known[i]
        return True

    def _watch_of_a_lane(self) -> Watch | None:
        """How one lane is watched; None where this is no batch."""
        if self._lane is None and self._batched is not None:
            self._lane = _watch_double(self._batched.lane, None, None)
            if self._lane is None:
                self._batched = None
        return self._lane

    def _part(self, numbers: tuple[int, ...]) -> Part:
        found = self._parts.get(numbers)
        if found is None:
            if self._exact is None:
                self._exact = _exact(self._written, self.plain)
            found = Part(_with_outputs(self._exact, numbers))
            self._parts[numbers] = found
        return found


def _allowed(program: Program, number: int) -> float:
    """The error of an output that is no loss, relative to the output.

    Among n entries that are computed together, the smallest is expected to be some n times smaller
    than the others, and less certain by as much.
    """
    allowed = UNIT * (2**LOST + 2 * len(program.equations))
    type_ = program.outputs[number].type
    if type_.ndim and _acts_by_entry(_with_outputs(program, (number,))) is None:
        allowed *= TOGETHER * max(type_.size, 1)
    return allowed


def _with_outputs(program: Program, numbers: tuple[int, ...]) -> Program:
    outputs = [program.outputs[i] for i in numbers]
    return remove_dead(Program(program.inputs, program.equations, outputs))


class Part:
    """What some of a program's outputs are computed by; `shape` where that is entry by entry."""

    __slots__ = ("entry", "program", "shape", "work")

    def __init__(self, program: Program):
        self.program = program
        self.shape = _acts_by_entry(program)
        self.entry = None if self.shape is None else _for_one_entry(program)
        self.work = sum(_own_size(e) * (_cost(e) - 1) for e in program.equations) + _size(program)

    def repaired(self, inputs: list, masks: list) -> tuple[list, np.ndarray]:
        """The outputs where the masks ask for them, nan where they are not found; and where equal
        numbers were compared for them."""
        if self.entry is not None:
            return self._by_entry(inputs, masks)
        out = [np.full(np.shape(m), np.nan) for m in masks]
        tied = np.zeros((), bool)
        if self.work <= WORK and _all_finite(inputs):
            with ties_noted() as met:
                made = settled(self.program, inputs) or ()
                tied = np.asarray(met())
            for numbers, wide in zip(out, made, strict=False):
                for place in np.ndindex(numbers.shape):
                    numbers[place] = certain_float(wide[place] if numbers.ndim else wide)
        return out, tied

    def _by_pairs(self, inputs, masks, places: np.ndarray, out: list, tied: np.ndarray):
        """Entries computed in double-double arithmetic into `out`, where that is certainly enough;
        returns the places that are left.

        What is enough is estimated for the formulas that are computed here, which may lose more
        than the ones that rules have put in their place.
        """
        assert self.entry is not None
        at = tuple(places.T)
        left = np.zeros(len(places), bool)
        given = [x[at] if x.ndim else x for x in inputs]
        found, faint, tied[at] = pairs.evaluate(self.entry, given)
        _, errors = Follower(self.entry).run(given, [None] * len(given))
        for mask, error, value, numbers in zip(masks, errors, found, out, strict=True):
            value = np.broadcast_to(value, left.shape)
            expected = (0.0 if error is None else error) * 2.0**-pairs.SPARE
            good = (expected <= 2.0**-56 * abs(value)) & np.isfinite(value)
            good = good & (value != 0) & ~faint
            numbers[at] = np.where(good, value, np.nan)
            left |= mask[at] & ~good
        return places[left]

    def _by_entry(self, inputs: list, masks: list) -> tuple[list, np.ndarray]:
        out = [np.full(m.shape, np.nan) for m in masks]
        tied = np.zeros(masks[0].shape, bool)
        places = np.argwhere(np.logical_or.reduce(masks))
        assert self.entry is not None
        if len(places) >= MANY and pairs.supported(self.entry):
            places = self._by_pairs(inputs, masks, places, out, tied)
        if len(places) * sum(map(_cost, self.entry.equations)) > WORK_BY_ENTRY:
            return out, tied
        for place in map(tuple, places):
            values = [self._entry_of(x, place) for x in inputs]
            if _all_finite(values):
                with ties_noted() as met:
                    found = settled(self.entry, values) or ()
                    tied[place] = met()
                for numbers, wide in zip(out, found, strict=False):
                    numbers[place] = certain_float(wide)
        return out, tied

    def _entry_of(self, x, place: tuple[int, ...]):
        """What the program for one entry takes of an input; one of another shape is not read."""
        if not x.ndim:
            return x
        return x[place] if x.shape == self.shape else x.dtype.type(0)


def _all_finite(values: list) -> bool:
    return all(np.isfinite(x).all() for x in values if x.dtype.kind == "f")


def _size(program: Program, products_only: bool = False) -> int:
    """How many numbers the equations of a program take or make, loops run through; or those of
    products of matrices alone."""
    total = 0
    for equation in program.equations:
        inner = sum(_size(p, products_only) for _, p in subprograms(equation))
        own = 0 if products_only else _own_size(equation)
        if equation.op.name == "contract":
            shape, axes = equation.inputs[0].type.shape, equation.params["axes"][0]
            depth = int(np.prod([shape[a] for a in axes], dtype=int))
            own = max(own, equation.outputs[0].type.size * depth)
        total += max(own, inner * equation.params.get("length", 1))
    return total


def _cost(equation: Equation) -> int:
    """How many sums of wide numbers take as long as one entry of an equation may."""
    return 512 if equation.op.name in INCOMPLETE else 1


def _own_size(equation: Equation) -> int:
    if equation.op.name in MATRIX_OPERATIONS:
        return work(equation)
    return max(1, *(v.type.size for v in (*equation.inputs, *equation.outputs)))


def _acts_by_entry(program: Program) -> tuple[int, ...] | None:
    """The one shape of a program's arrays, where each entry is computed from entries at the same
    place and from scalars alone; else None."""
    variables = {v for e in program.equations for v in (*e.inputs, *e.outputs)}
    shapes = {v.type.shape for v in variables} - {()}
    if len(shapes) != 1 or any(o.type.shape not in shapes for o in program.outputs):
        return None
    for equation in program.equations:
        if not (equation.op.elementwise or _spreads(equation)):
            return None
    return next(iter(shapes))


def _mostly_by_entry(program: Program) -> bool:
    return all(
        e.op.elementwise or _spreads(e)
        or (e.op.name in ("sum", "any", "all") and not e.outputs[0].type.ndim)
        for e in program.equations
    )


def _spreads(equation: Equation) -> bool:
    return equation.op.name == "broadcast" and not equation.inputs[0].type.ndim


def _for_one_entry(program: Program) -> Program:
    """The same equations on one entry: scalars all."""
    env: dict = {v: Var(array_type((), v.type.dtype)) for v in program.inputs}
    equations = []
    for equation in program.equations:
        inputs = tuple([x if x.is_literal else env[x] for x in equation.inputs])
        if _spreads(equation):
            env[equation.outputs[0]] = inputs[0]
            continue
        outputs = tuple([Var(array_type((), v.type.dtype)) for v in equation.outputs])
        env.update(zip(equation.outputs, outputs, strict=True))
        equations.append(Equation(equation.op, inputs, equation.params, outputs, equation.line))
    results = [o if o.is_literal else env[o] for o in program.outputs]
    return Program([env[v] for v in program.inputs], equations, results)
