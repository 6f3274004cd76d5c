"""Programs in float32, looked at beside their twins: the same programs in float64.

    y = f(x) in float32      becomes      f(x) in float64, rounded, where the two are too far apart

A float32 number holds what it holds; what is worked out from it loses digits as in float64, 29 bits
sooner. So the twin is run, itself watched for lost digits (repair.py), and outputs that are more
than 16 units in the last place from it are its own. Others stay what they were, to the bit.

`floor` and its like, and casts to whole numbers, see the nearest float32: they are the user's
rounding. Loops that end when something is small are not looked at: float64 may take more steps.
"""

from __future__ import annotations

from collections.abc import Sequence
from typing import Protocol

import numpy as np

from chainrule.ops.compare import greater, isfinite
from chainrule.ops.elementwise import absolute
from chainrule.ops.select import cast, select
from chainrule.program.cost import subprograms
from chainrule.program.evaluate import Plan
from chainrule.program.program import Equation, Program, Var, literal
from chainrule.program.trace import Builder, as_operand, inline
from chainrule.program.types import Type

SINGLE, DOUBLE = np.dtype(np.float32), np.dtype(np.float64)
ALLOWED = 2.0**-20  # the error of an output that is no loss: 16 units in its last place
ENOUGH = 2.0**24  # times what float64 loses at most is nothing to float32
ABSOLUTE = 64 * 2.0**-149  # the error that numbers below the normal ones may have

_ROUND = {"floor", "ceil", "trunc", "rint"}


class Repairs(Protocol):
    """What a twin is watched by (repair.Watch)."""

    def run(self, values: Sequence) -> list:
        """The outputs, repaired."""

    def estimating(self, prepared: Program) -> Program | None:
        """The program, made to stop where it loses digits."""


def is_single(program: Program) -> bool:
    """Whether a program computes in float32 alone, and no loop of it may end later in float64."""
    found = {v.type.dtype for v in program.outputs if v.type.inexact}
    return found == {SINGLE} and all(map(_is_single, program.equations))


def _is_single(equation: Equation) -> bool:
    types = [v.type for v in (*equation.inputs, *equation.outputs)]
    return (
        equation.op.name not in ("while", "repeat")
        and all(t.dtype == SINGLE or not t.inexact for t in types)
        and all(_is_single(e) for _, p in subprograms(equation) for e in p.equations)
    )


def twin(program: Program) -> Program:
    """The program in float64."""
    env: dict = {v: Var(_widened(v.type), v.name) for v in program.inputs}
    equations: list[Equation] = []
    for e in program.equations:
        inputs = [_literal(x) if x.is_literal else env[x] for x in e.inputs]
        if _rounds(e) and not inputs[0].is_literal:
            inputs[0] = _rounded(inputs[0], equations)
        outputs = tuple([Var(_widened(v.type), v.name) for v in e.outputs])
        env.update(zip(e.outputs, outputs, strict=True))
        params = {name: _param(value) for name, value in e.params.items()}
        equations.append(Equation(e.op, tuple(inputs), params, outputs, e.line))
    results = [_literal(o) if o.is_literal else env[o] for o in program.outputs]
    return Program([env[v] for v in program.inputs], equations, results, name=program.name)


def _widened(type_: Type) -> Type:
    return type_.with_dtype(DOUBLE) if type_.dtype == SINGLE else type_


def _literal(x):
    """The number that a literal stands for, where it was made by a rule; else what it holds."""
    if x.type.dtype != SINGLE:
        return x
    return literal(float(x.value) if x.exact is None else x.exact, DOUBLE)


def _param(value):
    if isinstance(value, Program):
        return twin(value)
    if isinstance(value, tuple):
        return tuple([_param(v) for v in value])
    if isinstance(value, np.dtype) or value is np.float32:
        return DOUBLE if np.dtype(value) == SINGLE else value
    return np.float64(value) if isinstance(value, np.float32) else value


def _rounds(equation: Equation) -> bool:
    """Whether an equation rounds to whole numbers."""
    if equation.op.name == "cast":
        return equation.inputs[0].type.inexact and equation.outputs[0].type.dtype.kind in "iu"
    return equation.op.name in _ROUND


def _rounded(x: Var, equations: list[Equation]) -> Var:
    """A variable as float32 holds it, recorded."""
    for dtype in (SINGLE, DOUBLE):
        out = Var(x.type.with_dtype(dtype))
        equations.append(Equation(cast, (x,), {"dtype": dtype}, (out,)))
        x = out
    return x


class Twin:
    """A float32 program and its twin, run beside each other; the interface is that of a `Watch`.

    `repairs` is what the twin is watched by, if it is.
    """

    lowers_later = True  # what a function is written out to depends on the dtype

    def __init__(self, program: Program, double: Program, repairs: Repairs | None):
        self.program, self._repairs = program, repairs
        self._plan, self._double_plan = Plan(program), Plan(double)

    def run(self, values: Sequence) -> list:
        """The outputs for these host values, repaired."""
        return self.run_noted(values)[0]

    def run_noted(self, values: Sequence) -> tuple[list, list]:
        """The outputs, repaired, and None for each: what is settled at ties is settled."""
        found = self._plan.run(values)
        run = self._double_plan.run if self._repairs is None else self._repairs.run
        wide = run(values)
        with np.errstate(all="ignore"):
            marks = [_far(x, y) for x, y in zip(found, wide, strict=True)]
            if any(m is not None and np.any(m) for m in marks):
                found = [
                    y if m is None else np.where(m, y, x).astype(x.dtype)[()]
                    for x, y, m in zip(found, wide, marks, strict=True)
                ]
        return found, [None] * len(found)

    def estimating(self, prepared: Program) -> Program | None:
        """The program, before its functions are written out, repaired by its twin, and made to stop
        where that has lost digits itself."""
        double = twin(prepared)
        estimated = None if self._repairs is None else self._repairs.estimating(double)
        with Builder(prepared.name, reuse=True) as builder:
            builder.lines_from_user = False
            inputs = [builder.input(v.type, v.name) for v in prepared.inputs]
            found = inline(prepared, inputs)
            widened = [cast(x, dtype=DOUBLE) if x.dtype == SINGLE else x for x in inputs]
            wide = inline(double if estimated is None else estimated, widened)
            outputs = [
                x if o.is_literal or o.type.dtype != SINGLE else _nearer(x, y)
                for x, y, o in zip(found, wide, prepared.outputs, strict=True)
            ]
            return builder.finish([as_operand(builder, v) for v in outputs])


def _far(x, y):
    """Where a float32 number is too far from that in float64; None for other numbers."""
    if x.dtype != SINGLE:
        return None
    return ~(abs(x - y) <= ALLOWED * abs(y) + ABSOLUTE) & np.isfinite(y)


def _nearer(x, y):
    """A float32 number, or that in float64 where it is too far from it."""
    far = greater(absolute(cast(x, dtype=DOUBLE) - y), absolute(y) * ALLOWED + ABSOLUTE)
    return select((far | ~isfinite(x)) & isfinite(y), cast(y, dtype=SINGLE), x)
