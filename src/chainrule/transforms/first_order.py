"""Ties settled by tangents: the program of one side, where first order tells the sides apart.

    f(x)   becomes   (f on the side x + eps v, undecided)      for a direction v, a further input

Where two sides of a choice tie, the one that grows faster along v is larger just beside the point.
So each choice of values that move looks at their tangents where they tie:

    less(x, y)    ->   select(x == y, less(dx, dy), less(x, y))
    argmax(x)     ->   argmax over the entries that tie, of dx

`undecided` says that some tie was not broken (`x * x` against 0), or that a singular point was met;
then series of higher order decide (chainrule.germs). Tangents are computed only for what stands
before a choice. On that side the program is smooth, so nothing else changes.

In a `first` derivative, the largest of several values needs no more: where two of them tie and have
equal tangents along a generic direction, they have equal gradients, and either will do.

Source    the vector forward mode of Khan and Barton, 2015, cut off after the first direction.
"""

from __future__ import annotations

from collections.abc import Callable
from typing import Any

import numpy as np

from chainrule.ops.compare import equal, greater, less, logical_and, logical_or
from chainrule.ops.control import closed_program
from chainrule.ops.elementwise import (
    absolute,
    add,
    ceil,
    floor,
    maximum,
    minimum,
    scale,
    sign,
    subtract,
)
from chainrule.ops.reduce import any_, argmax, max_, min_
from chainrule.ops.select import cast, select
from chainrule.ops.shape import broadcast, kept_axes, sum_, zeros_of
from chainrule.ops.sort import along, argsort
from chainrule.program.op import Constant, Discrete, Structural
from chainrule.program.program import Equation, Operand, Program
from chainrule.program.remember import remembered
from chainrule.program.trace import Builder, Traced, as_operand
from chainrule.transforms.activity import Activity, both
from chainrule.transforms.blocks import (
    leading,
    led,
    left_open,
    picked,
    pooled_tangent,
    shared,
    windows_of,
)
from chainrule.transforms.forward import copy_equation, tangents_of
from chainrule.transforms.hidden import of_larger
from chainrule.transforms.ties import (
    EQUAL_VALUES,
    SINGULAR,
    Uses,
    extreme_of,
    look_of,
    moving,
    neighbours,
    watched,
)

_F64 = np.dtype(np.float64)
_OWN_RECORD = {"fmax", "fmin", "cummax", "cummin"}  # their rules compare a result with its operands


class NotFirstOrder(Exception):
    """A choice of the program has no rule here."""


def _one_side(program: Program, mask: tuple[bool, ...], first: bool) -> Program | None:
    """The program with a direction for each moving input, its choices made on that side, and one
    more output, whether some are left open; None where an operation has no rule."""
    try:
        with Builder(program.name, reuse=True) as builder:
            builder.lines_from_user = False
            return Side(builder, program, mask, first).program()
    except NotFirstOrder:
        return None


one_side = remembered(_one_side)


class Taken(Activity):
    """Activity on one side: of operands that tie, the one is taken that leads there."""

    def __init__(self, side: Side, marked: set[Operand]):
        super().__init__(side.builder, marked)
        self._side = side

    def first_is_taken(self, op, x, y):
        dx, dy = self._side.tangent(x), self._side.tangent(y)
        if dx is None and dy is None:
            return op(x, y)
        return select(equal(x, y), op(filled(dx, x, y), filled(dy, y, x)), op(x, y))


class Side:
    """A program being made: its variables, their tangents, and what stays open."""

    def __init__(self, builder: Builder, program: Program, mask: tuple[bool, ...], first: bool):
        self.builder, self.source, self.first = builder, program, first
        self.env: dict = {v: builder.input(v.type, v.name) for v in program.inputs}
        movers = [self.env[v]._var for v, m in zip(program.inputs, mask, strict=True)
                  if m and v.type.inexact]  # fmt: skip
        self.tangent_of = self.directions_of(movers)
        self.moves = moving(program, mask)[0]
        self.open: list[Traced] = []
        self.activity = self.activity_by(set(movers))
        self.pending: set[Operand] = set()  # variables whose tangents are being made

    def program(self) -> Program:
        source = self.source
        uses = Uses(source)
        looks = {id(e) for e in source.equations if look_of(e, self.moves, uses) is not None}
        needed = self.needed(looks)
        with np.errstate(all="ignore"):
            for e in source.equations:
                self.builder.line = e.line
                self.visit(e, self.env, self.moves, id(e) in looks, uses)
                self.prepare(e, needed)
        outputs = [as_operand(self.builder, o.value if o.is_literal else self.env[o], o.type)
                   for o in source.outputs]  # fmt: skip
        left = [as_operand(self.builder, flag) for flag in self.left_open()]
        return self.builder.finish([*outputs, *left])

    def left_open(self) -> list:
        """The truth values that stand for what is left open."""
        return [any_of(self.open)]

    def directions_of(self, moving: list[Operand]) -> dict[Operand, Traced | None]:
        """The tangents of the inputs that move: further inputs."""
        return {x: self.builder.input(x.type) for x in moving}

    def activity_by(self, inputs: set[Operand]) -> Taken:
        """Which entries move by some inputs, on this side."""
        return Taken(self, inputs)

    def prepare(self, e: Equation, needed) -> None:
        """Make the tangents of an equation that choices further down will ask for."""
        if any(v in needed for v in e.outputs):
            for v in e.outputs:
                self.tangent(self.env[v])

    def needed(self, looks: set[int]):
        """The variables of the source whose tangents some choice asks for."""
        found: set[Operand] = set()
        for e in reversed(self.source.equations):
            if id(e) in looks or any(v in found for v in e.outputs):
                found.update(x for x in e.inputs if not x.is_literal and x in self.moves)
        return found

    def visit(self, e: Equation, env: dict, moves: set, looked: bool, uses: Uses) -> None:
        """Record an equation of the program, or of a rule, on this side."""
        if e.op.name in _OWN_RECORD and any(x in moves for x in e.inputs):
            raise NotFirstOrder(e.op.name)
        if isinstance(e.op.derivative, Structural) and any(x in moves for x in e.inputs):
            self._refuse_choices(e, moves)
        if not looked:
            copy_equation(self.builder, e, env)
            return
        values = [x.value if x.is_literal else env[x] for x in e.inputs]
        name = e.op.name
        if name in SINGULAR or name in EQUAL_VALUES:
            looks = SINGULAR if name in SINGULAR else EQUAL_VALUES
            self.leave_open(looks[name](*values, **e.params))
            copy_equation(self.builder, e, env)
            return
        env[e.outputs[0]] = self.choice(e, values, uses)

    def choice(self, e: Equation, values: list, uses: Uses):
        """What an equation that is a choice gives on this side."""
        name = e.op.name
        rule = _CHOICES.get(name)
        if self.first and rule is not None and of_larger(e, uses):
            return self.compared(e.op, values[0], values[1], True)
        if rule is None:
            raise NotFirstOrder(name)
        spread = extreme_of(e, uses) if name == "equal" else None
        if spread is not None:
            return self.own_extreme(values, *spread)
        return rule(self, e, values)

    def _refuse_choices(self, e: Equation, moves: set) -> None:
        if e.op.name in ("cond", "scan", "while", "checkpoint", "repeat", "germ"):
            one = Program(_inputs_of(e), [e], e.outputs)
            mask = tuple([v in moves for v in one.inputs])
            if watched(one, mask) is None:
                return
        raise NotFirstOrder(e.op.name)

    def leave_open(self, ties, *values) -> None:
        """Note ties that are not broken; those of `values` count where one of these may move."""
        if values and type(ties) is Traced:
            ties = both(self.activity.of_either(values, ties.shape), ties)
        if type(ties) is Traced:
            self.open.append(any_(ties, axes=tuple(range(ties.ndim))) if ties.ndim else ties)

    # --- choices ----------------------------------------------------------------------------------

    def compared(self, op, x, y, may_tie: bool = False):
        """A comparison, made by the tangents where its sides tie."""
        dx, dy = self.tangent(x), self.tangent(y)
        dx, dy = filled(dx, x, y), filled(dy, y, x)
        tie = equal(x, y)
        if not may_tie:
            self.leave_open(logical_and(tie, equal(dx, dy)), x, y)
        return select(tie, op(dx, dy), op(x, y))

    def own_extreme(self, values, own: int, axes):
        """Where an array equals its own extreme, repeated: those of these that lead."""
        x, spread = values[own], values[1 - own]
        dx, d_spread = self.tangent(x), self.tangent(spread)
        if dx is None or d_spread is None:
            raise NotFirstOrder("equal")
        leading = logical_and(equal(x, spread), equal(dx, d_spread))
        if self.first:
            return leading
        several = greater(sum_(cast(leading, dtype=_F64), axes=axes), np.float64(1))
        active = self.activity.of(x)
        if type(active) is Traced:
            several = logical_and(several, any_(logical_and(leading, active), axes=axes))
        self.leave_open(several)
        return leading

    def signed(self, x):
        """sign(x), and at 0 that of its tangent."""
        dx, zero = filled(self.tangent(x), x, x), x.dtype.type(0)
        tie = equal(x, zero)
        self.leave_open(logical_and(tie, equal(dx, zero)), x)
        return select(tie, sign(dx), sign(x))

    def stepped(self, op, x, towards: Callable):
        """floor or ceil, one further where the value leaves a whole number by the other side."""
        dx, value, zero = filled(self.tangent(x), x, x), op(x), x.dtype.type(0)
        tie = equal(x, value)
        self.leave_open(logical_and(tie, equal(dx, zero)))
        step = subtract if op is floor else add
        return select(logical_and(tie, towards(dx, zero)), step(value, x.dtype.type(1)), value)

    def rounded(self, op, x):
        """rint, at a half to the side where the value goes."""
        dx, zero = filled(self.tangent(x), x, x), x.dtype.type(0)
        tie = equal(subtract(x, floor(x)), x.dtype.type(0.5))
        self.leave_open(logical_and(tie, equal(dx, zero)))
        return select(tie, select(greater(dx, zero), ceil(x), floor(x)), op(x))

    def first_extreme(self, op, x, axis: int):
        """argmax or argmin: among the entries that tie, by their tangents."""
        dx = filled(self.tangent(x), x, x)
        extreme, worst = (max_, -np.inf) if op is argmax else (min_, np.inf)
        kept = kept_axes(x.ndim, (axis,))
        best = equal(x, broadcast(extreme(x, axes=(axis,)), shape=x.shape, axes=kept))
        slopes = select(best, dx, x.dtype.type(worst))
        top = broadcast(extreme(slopes, axes=(axis,)), shape=x.shape, axes=kept)
        leading = cast(logical_and(best, equal(slopes, top)), dtype=_F64)
        self.leave_open(greater(sum_(leading, axes=(axis,)), np.float64(1)))
        return op(slopes, axis=axis)

    def order(self, x, axis: int):
        """The order of the values, equal ones by their tangents."""
        dx = filled(self.tangent(x), x, x)
        by_slope = argsort(dx, axis=axis, stable=True)
        order = along(by_slope, argsort(along(x, by_slope, axis), axis=axis, stable=True), axis)
        near = [neighbours(along(v, order, axis), axis) for v in (x, dx)]
        if near[0] is not None:
            self.leave_open(logical_and(*near))
        return order

    def pooled(self, e: Equation, values):
        """window_pick or window_share, by the entries of each window that lead."""
        windows = windows_of(e)
        x, out, moved = values
        dx, d_out = self.tangent(x), self.tangent(out)
        if not windows.fits or dx is None or d_out is None:
            raise NotFirstOrder(e.op.name)
        if self.first:
            return led(windows, e.op, x, out, dx, moved)
        lead, count = leading(windows, x, out, dx, d_out)
        self.leave_open(left_open(windows, lead, count, self.activity.of(x)))
        return (picked if e.op.name == "window_pick" else shared)(windows, lead, count, moved)

    # --- tangents ---------------------------------------------------------------------------------

    def tangent(self, x) -> Traced | None:
        """The tangent of a value along the direction; None where it does not move."""
        if type(x) is not Traced or x._var.is_literal or not x.type.inexact:
            return None
        if x._var not in self.tangent_of:
            made = self.builder.maker(x._var)
            if made is None:
                return None
            if x._var in self.pending:  # a choice by the value whose tangent it is to give
                raise NotFirstOrder(made.op.name)
            self.pending.update(made.outputs)
            for v, t in zip(made.outputs, self.tangents_at(made), strict=True):
                self.tangent_of[v] = t
            self.pending.difference_update(made.outputs)
        return self.tangent_of[x._var]

    def tangents_at(self, e: Equation) -> tuple:
        """The tangents of an equation that has been recorded."""
        values = [self.value(x) for x in e.inputs]
        tangents = [self.tangent(x) for x in values]
        if e.op.name == "stop_gradient":
            return (tangents[0],)
        nothing = (None,) * len(e.outputs)
        if all(t is None for t in tangents) or isinstance(e.op.derivative, Constant | Discrete):
            return nothing
        if isinstance(e.op.derivative, Structural):
            raise NotFirstOrder(e.op.name)
        rule = _TANGENTS.get(e.op.name)
        if rule is not None:
            return (rule(self, e, values, tangents),)
        return self._by_rule(e, values, tangents)

    def value(self, x: Operand):
        return x.value if x.is_literal else Traced(self.builder, x)

    def _by_rule(self, e: Equation, values, tangents) -> tuple:
        """By the operation's derivative rule, whose choices are made on this side as well."""
        outputs = tuple([self.value(v) for v in e.outputs])
        found: list = []

        def build():
            found.extend(tangents_of(e, tuple(values), outputs, tangents))
            return [t for t in found if t is not None]

        program, captured = closed_program("rule", (), build)
        env: dict = dict(zip(program.inputs, captured, strict=True))
        given = {v._var for v in values if type(v) is Traced}
        linear = {t._var for t in tangents if t is not None} - given  # no rule chooses by these
        mask = tuple(
            [v._var in e.outputs or (v._var not in linear and self.tangent(v) is not None)
             for v in captured]
        )  # fmt: skip
        moves, uses = moving(program, mask)[0], Uses(program)
        for inner in program.equations:
            looked = look_of(inner, moves, uses) is not None
            self.visit(inner, env, moves, looked, uses)
        made = iter([o.value if o.is_literal else env[o] for o in program.outputs])
        return tuple([None if t is None else next(made) for t in found])


def _inputs_of(e: Equation) -> list:
    return list(dict.fromkeys(x for x in e.inputs if not x.is_literal))


def any_of(flags: list):
    """Whether one of some truth values holds."""
    found: Any = np.bool_(False)
    for flag in flags:
        found = logical_or(found, flag) if type(found) is Traced else flag
    return found


def filled(tangent, x, other):
    """A tangent of a side of a choice, zero where it does not move; of the shape of both."""
    if tangent is not None:
        return tangent
    like = x if type(x) is Traced and not x._var.is_literal else other
    return zeros_of(like.type)


def _extreme_tangent(side: Side, e: Equation, values, tangents):
    """The tangent of max and min: the extreme one among the entries that tie."""
    (x,), (dx,), axes = values, tangents, e.params["axes"]
    op, worst = (max_, -np.inf) if e.op is max_ else (min_, np.inf)
    out = side.value(e.outputs[0])
    spread = broadcast(out, shape=x.shape, axes=kept_axes(x.ndim, axes))
    return op(select(equal(x, spread), dx, x.dtype.type(worst)), axes=axes)


def _larger_tangent(side: Side, e: Equation, values, tangents):
    x, y = values
    dx, dy = filled(tangents[0], x, y), filled(tangents[1], y, x)
    op, first = (maximum, greater) if e.op is maximum else (minimum, less)
    return select(equal(x, y), op(dx, dy), select(first(x, y), dx, dy))


def _size_tangent(side: Side, e: Equation, values, tangents):
    (x,), (dx,) = values, tangents
    return select(equal(x, x.dtype.type(0)), absolute(dx), scale(sign(x), dx))


def _sorted_tangent(side: Side, e: Equation, values, tangents):
    axis = e.params["axis"]
    return along(tangents[0], side.order(values[0], axis), axis)


def _pooled_tangent(side: Side, e: Equation, values, tangents):
    windows = windows_of(e)
    if not windows.fits:
        raise NotFirstOrder(e.op.name)
    return pooled_tangent(windows, values[0], side.value(e.outputs[0]), tangents[0])


_TANGENTS: dict[str, Callable] = {
    "max": _extreme_tangent, "min": _extreme_tangent, "maximum": _larger_tangent,
    "minimum": _larger_tangent, "absolute": _size_tangent, "sort": _sorted_tangent,
    "window_max": _pooled_tangent,
}  # fmt: skip
_CHOICES: dict[str, Callable] = {
    **dict.fromkeys(
        ("less", "less_equal", "greater", "greater_equal", "equal", "not_equal"),
        lambda side, e, values: side.compared(e.op, *values)),
    "sign": lambda side, e, values: side.signed(*values),
    "floor": lambda side, e, values: side.stepped(floor, *values, less),
    "ceil": lambda side, e, values: side.stepped(ceil, *values, greater),
    "rint": lambda side, e, values: side.rounded(e.op, *values),
    **dict.fromkeys(
        ("argmax", "argmin"),
        lambda side, e, values: side.first_extreme(e.op, *values, e.params["axis"])),
    **dict.fromkeys(
        ("window_pick", "window_share"), lambda side, e, values: side.pooled(e, values)),
    "argsort": lambda side, e, values: side.order(*values, e.params["axis"]),
}  # fmt: skip
