"""Settling: a derivative with both sides of its ties in one program, for the compiler.

    f(x)   becomes   (mean of f on the side x + eps v and on the side x - eps v, open, wild, unmet)

The directions are made inside the program. It is what a compiled function goes on with once it has
met a tie; where tangents leave one `open`, or a limit is not finite (`wild`), something has to look
further. Where no tie is met (`unmet`, as transforms/ties.py says it), it is not the program to go
on with.
"""

from __future__ import annotations

from typing import Any

from chainrule.germs.generic import traced_direction
from chainrule.ops.compare import isfinite, logical_not
from chainrule.ops.control import as_tuple
from chainrule.ops.elementwise import add, multiply, negative
from chainrule.ops.reduce import any_
from chainrule.ops.select import select
from chainrule.ops.shape import zeros_of
from chainrule.program.liveness import remove_dead
from chainrule.program.program import Equation, Operand, Program
from chainrule.program.remember import remembered
from chainrule.program.trace import Builder, Traced, as_operand, inline
from chainrule.transforms.first_order import any_of, one_side
from chainrule.transforms.leading import leading_side
from chainrule.transforms.ties import watched

# By leading inputs (transforms/leading.py), thoroughly too, first for where both sides are even; or
# along the straight germ.
WAYS = ("leading", "even", "thorough", "straight")


def _settling(
    program: Program, moving: tuple[bool, ...], settled: tuple[bool, ...], first: bool,
    by: str = "straight",
) -> Program | None:
    """The program with both sides of its ties, by one of `WAYS`, and three more outputs: `open`,
    `wild` and `unmet`. None where an operation has no rule, and where no tie can be met."""
    seen = watched(program, moving)
    if seen is None or (by != "straight" and not first):
        return None
    sides = _Sides(program, moving, first, by)
    real = all(o.type.dtype.kind == "f" for o, s in zip(program.outputs, settled, strict=True) if s)
    if not (sides.known and real):
        return None
    count = len(program.outputs)
    with Builder(program.name, reuse=True) as builder:
        builder.lines_from_user = False
        inputs = [builder.input(v.type, v.name) for v in program.inputs]
        above, below = sides.recorded(builder, inputs)
        open_ = any_of([*above[count:], below[count]])
        outputs, wild = [], []
        mean = _Mean(builder)
        for a, b, changes in zip(above, below, settled, strict=False):
            outputs.append(mean.of(a, b) if changes else a)
            if changes:
                infinite = logical_not(isfinite(outputs[-1]))
                wild.append(any_(infinite, axes=tuple(range(infinite.ndim))))
        unmet = logical_not(inline(seen, inputs)[-1])
        flags = [open_, any_of(wild), unmet]
        made = [as_operand(builder, v) for v in [*outputs, *flags]]
        return remove_dead(builder.finish(made))


settling = remembered(_settling)


class _Sides:
    """Both sides of a program; `known` says whether there are any."""

    def __init__(self, program: Program, moving: tuple[bool, ...], first: bool, by: str):
        self.moving, self.by = moving, by
        if by == "even":
            self.programs = [leading_side(program, moving, 1, True, True)]
        elif by != "straight":
            thorough = by == "thorough"
            self.programs = [leading_side(program, moving, side, thorough) for side in (1, -1)]
        else:
            self.programs = [one_side(program, moving, first)]
        self.known = None not in self.programs

    def recorded(self, builder: Builder, inputs: list) -> list[list]:
        """The outputs of both sides, and what they leave open."""
        programs = [p for p in self.programs if p is not None]
        if len(programs) == 2:
            return [inline(side, inputs) for side in programs]
        if self.by == "even":
            return [inline(programs[0], inputs)] * 2
        movers = [x for x, m in zip(inputs, self.moving, strict=True) if m]
        ways = [
            select(isfinite(x), traced_direction(x.type, number), zeros_of(x.type))
            for number, x in enumerate(movers)  # infinities and nan stay
        ]
        (side,) = programs
        return [inline(side, [*inputs, *ways]), _with_negated(builder, side, inputs, ways)]


_KEEPS = {"reshape", "transpose", "broadcast", "sum", "flip", "pad", "negative", "index"}
_PRODUCTS = {"multiply", "scale", "contract", "convolution", "convolution_weights"}
_OF_LAST = {"window_share", "window_pick"}  # linear in the last operand
_LINEAR = {"add", "subtract", *_KEEPS, *_PRODUCTS, *_OF_LAST}


class _Mean:
    """The mean of what two sides give, taken before what is linear and the same on both sides, so
    that this is computed once: x^T a and x^T b are x^T ((a + b) / 2) together."""

    def __init__(self, builder: Builder) -> None:
        self._builder = builder
        self._made: dict[tuple[Operand, Operand], Any] = {}

    def of(self, a, b):
        """(a + b) / 2."""
        pair = as_operand(self._builder, a), as_operand(self._builder, b)
        if pair[0] is pair[1]:
            return a
        if pair not in self._made:
            self._made[pair] = self._before(a, b, *pair)
        return self._made[pair]

    def _before(self, a, b, x: Operand, y: Operand):
        one, other = self._builder.maker(x), self._builder.maker(y)
        if one is None or other is None or not _same_and_linear(one, other):
            return multiply(a.dtype.type(0.5), add(a, b))
        values = [
            self.of(_value(self._builder, p), _value(self._builder, q))
            for p, q in zip(one.inputs, other.inputs, strict=True)
        ]
        return one.op(*values, **one.params)


def _same_and_linear(one: Equation, other: Equation) -> bool:
    """Whether two equations are the same operation, linear in the operands that differ."""
    name = one.op.name
    if one.op is not other.op or name not in _LINEAR or one.params != other.params:
        return False
    differ = [x is not y for x, y in zip(one.inputs, other.inputs, strict=True)]
    if name in _PRODUCTS:
        return sum(differ) == 1
    if name in _OF_LAST:
        return not any(differ[:-1])
    return name not in _KEEPS or not any(differ[1:])


def _with_negated(builder: Builder, side: Program, inputs: list, ways: list) -> list:
    """The side's program along the opposite of the ways: what is linear in them is the negative of
    what stands there already, and is not computed again."""
    env: dict[Operand, Operand] = {
        v: as_operand(builder, x) for v, x in zip(side.inputs, [*inputs, *ways], strict=True)
    }
    turned = set(side.inputs[len(inputs) :])  # variables whose negatives are in `env`

    def value(x: Operand):
        held = _held(builder, x, env)
        return negative(held) if x in turned else held

    for e in side.equations:
        builder.line = e.line
        marks = [x in turned for x in e.inputs]
        flips = _is_odd(e, marks)
        if flips is None:
            values = [value(x) for x in e.inputs]
        else:
            values = [_held(builder, x, env) for x in e.inputs]
            if flips:
                turned.update(e.outputs)
        made = as_tuple(e.op(*values, **e.params))
        env.update(zip(e.outputs, [as_operand(builder, m) for m in made], strict=True))
    return [value(o) for o in side.outputs]


def _held(builder: Builder, x: Operand, env: dict):
    return _value(builder, x if x.is_literal else env[x])


def _value(builder: Builder, x: Operand):
    return x.value if x.is_literal else Traced(builder, x)


def _is_odd(e: Equation, marks: list[bool]) -> bool | None:
    """Whether an equation on the negatives of its marked operands gives the negative of what it
    gives on these, or the same; None where it gives neither."""
    if not any(marks):
        return False
    name = e.op.name
    if name in _PRODUCTS:
        return sum(marks) == 1
    if name in ("add", "subtract"):
        return True if all(marks) else None
    if name in _KEEPS:
        return True if marks[0] and not any(marks[1:]) else None
    return None
