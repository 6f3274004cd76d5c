"""Smooth operations, by the one derivative rule that each operation has.

Along a germ, h(s) = f(g(s)) satisfies  h' = rule(g, h, g'),  where `rule` is what forward mode
uses. If h is known up to s**m, the right side is known up to s**m and the integral up to s**(m+1):
from h(0) = f(limits) all terms follow. Nothing else need be known about the operation. It holds
where the limits are singular too, as long as f is continuous there and h' integrable: arcsin at 1.

Source    the ordinary differential equation behind the power series method (Knuth, TAOCP 2, 4.7,
          exercise 4; Moore 1966), for every operation at once.
"""

from __future__ import annotations

import numpy as np

from chainrule import errors
from chainrule.germs.evaluation import BY_KIND, Run, Unsupported, evaluate_in, germ_of
from chainrule.germs.series import (
    EXACT,
    UNKNOWN,
    Germ,
    add,
    constant,
    derivative,
    integral,
    normal,
    truncated,
    wide,
)
from chainrule.program.op import Forward, Partials
from chainrule.program.program import Equation, Operand, Program, literal
from chainrule.program.trace import Builder, Traced, operand
from chainrule.program.types import Type
from chainrule.transforms.forward import tangents_of

_programs: dict[tuple, Program] = {}
_KEPT = 2048


def rule_program(equation: Equation, active: tuple[bool, ...]) -> Program:
    """(inputs, outputs, tangents of the active inputs) -> tangents of the outputs, in float64."""
    literals = tuple(x.key if x.is_literal else None for x in equation.inputs)
    types = tuple(x.type for x in equation.inputs)
    key = (equation.op, literals, types, tuple(equation.params.items()), active)
    found = _programs.get(key)
    if found is None:
        if len(_programs) >= _KEPT:
            _programs.clear()
        found = _programs[key] = _made(equation, active)
    return found


def _made(equation: Equation, active: tuple[bool, ...]) -> Program:
    try:
        return _recorded(equation, active)
    except errors.DerivativeMissing as error:
        raise Unsupported(equation.op.name, str(error)) from None


def _recorded(equation: Equation, active: tuple[bool, ...]) -> Program:
    with Builder(equation.op.name) as builder:
        builder.lines_from_user = False
        builder.line = equation.line
        inputs = []
        for x in equation.inputs:
            made = builder.input(_widened(x.type))
            inputs.append(_wide_literal(x.value) if x.is_literal else made)
        outputs = tuple(builder.input(_widened(v.type)) for v in equation.outputs)
        tangents = [
            builder.input(_widened(x.type)) if a else None
            for x, a in zip(equation.inputs, active, strict=True)
        ]
        moved = tangents_of(equation, tuple(inputs), outputs, tangents)
        results: list[Operand] = []
        for tangent, out in zip(moved, outputs, strict=True):
            zero = literal(out.type.dtype.type(0))
            results.append(zero if tangent is None else _operand(builder, tangent))
        return builder.finish(results)


def _operand(builder: Builder, value):
    return operand(builder, value) if type(value) is Traced else literal(value)


def _widened(type_: Type) -> Type:
    return type_.with_dtype(wide(type_.dtype)) if type_.inexact else type_


def _wide_literal(value):
    return wide(value.dtype).type(value) if value.dtype.kind in "fc" else value


def smooth(run: Run, equation: Equation, inputs: list) -> tuple:
    """The outputs of a smooth operation on germs."""
    moving = [isinstance(x, Germ) for x in inputs]
    germs = [x if m else None for x, m in zip(inputs, moving, strict=True)]
    window = min(g.window for g in germs if g is not None)
    start = _start(equation, inputs, window)
    if window == 1:
        return tuple(start)
    program = rule_program(equation, tuple(moving))
    reads_outputs = _reads(program, program.inputs[len(inputs) : len(inputs) + len(start)])
    outputs = start
    for terms in range(1 if reads_outputs else window - 1, window):
        run_here = run.smaller(terms)
        fixed = [truncated(x, terms) if isinstance(x, Germ) else _wide_value(x) for x in inputs]
        now = [truncated(g, terms) for g in outputs]
        speed = [truncated(derivative(g), terms) for g in germs if g is not None]
        found = evaluate_in(run_here, program, [*fixed, *now, *speed])
        run.join(run_here)
        outputs = [
            _integrated(germ_of(run_here, slope), first, window)
            for slope, first in zip(found, start, strict=True)
        ]
    return tuple(outputs)


def _wide_value(x):
    x = np.asarray(x)
    return x.astype(wide(x.dtype))[()] if x.dtype.kind in "fc" else x[()]


def _reads(program: Program, variables) -> bool:
    wanted = set(variables)
    return any(x in wanted for e in program.equations for x in e.inputs if not x.is_literal) or any(
        o in wanted for o in program.outputs
    )


def _start(equation: Equation, inputs, window: int) -> list[Germ]:
    """The values at the limits, known up to the first power of s."""
    limits = []
    for x in inputs:
        limits.append(x.wide_limit()[()] if isinstance(x, Germ) else _wide_value(x))
    made = equation.op.evaluate(*limits, **equation.params)
    made = made if isinstance(made, tuple) else (made,)
    out = []
    for value, var in zip(made, equation.outputs, strict=True):
        g = constant(value, window, var.type)
        wild = g.wild
        known = np.where(wild, EXACT, 1)
        order = np.where(g.zero, 1, 0)
        known = np.where(g.zero, 0, known)
        out.append(Germ(var.type, g.terms, order, known))
    return out


def _integrated(slope: Germ, first: Germ, window: int) -> Germ:
    """The start plus the integral of the slope. Where the integral has a logarithm, or begins
    with a negative power, the start is all that can be said, and where it is finite, nothing."""
    terms = np.zeros((window, slope.terms.shape[1]), slope.terms.dtype)
    terms[: slope.window] = slope.terms
    n = first.order.size
    grown = Germ(
        first.type,
        np.broadcast_to(terms, (window, n)),
        np.broadcast_to(slope.order, n),
        np.broadcast_to(slope.known, n),
    )
    moved, logarithm = integral(grown)
    value = Germ(
        first.type,
        first.terms,
        np.where(first.terms[0] == 0, EXACT, 0),
        np.full(n, EXACT),
    )
    total = add(value, moved, first.type)
    lost = (logarithm | (moved.order <= 0)) & ~moved.zero
    lost |= moved.wild
    still = first.wild
    terms = np.where(lost | still, 0.0, total.terms)
    terms[0] = np.where(still, first.terms[0], terms[0])
    order = np.where(still, 0, np.where(lost, UNKNOWN, total.order))
    known = np.where(still, EXACT, np.where(lost, 0, total.known))
    return normal(first.type, terms, order, known)


BY_KIND[Partials] = smooth
BY_KIND[Forward] = smooth
