"""Smooth operations, by the one derivative rule that each operation has.

Along a germ, h(s) = f(g(s)) satisfies  h' = rule(g, h, g'),  where `rule` is what forward mode
uses. If h is known up to s**m, the right side is known up to s**m and the integral up to s**(m+1):
from h(0) = f(limits) all terms follow. Nothing else need be known about the operation. It holds
where the limits are singular too, as long as f is continuous there and h' integrable: arcsin at 1.

Source    the ordinary differential equation behind the power series method (Knuth, TAOCP 2, 4.7,
          exercise 4; Moore 1966), for every operation at once.
"""

from __future__ import annotations

from dataclasses import dataclass

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
from chainrule.program.liveness import remove_dead
from chainrule.program.op import Forward, Partials
from chainrule.program.program import Equation, Operand, Program, literal
from chainrule.program.trace import Builder, Traced, operand
from chainrule.program.types import Type
from chainrule.transforms.forward import tangents_of

_KEPT = 2048


@dataclass(frozen=True)
class RuleProgram:
    """A derivative rule, recorded in float64, in two parts.

    `before(inputs, tangents)` gives what does not depend on the operation's outputs, `after(before,
    inputs, outputs, tangents)` the tangents of the outputs. Where `final`, no output is read.
    """

    before: Program
    after: Program
    final: bool


_programs: dict[tuple, RuleProgram] = {}


def rule_program(equation: Equation, active: tuple[bool, ...]) -> RuleProgram:
    """The rule of an equation's operation, for the inputs that move; the latest ones are kept."""
    key = (*_same(equation), tuple(x.type for x in equation.inputs), active)
    found = _programs.get(key)
    if found is None:
        if len(_programs) >= _KEPT:
            _programs.clear()
        found = _programs[key] = _made(equation, active)
    return found


def _same(equation: Equation) -> tuple:
    literals = tuple(x.key if x.is_literal else None for x in equation.inputs)
    return equation.op, literals, tuple(equation.params.items())


def _made(equation: Equation, active: tuple[bool, ...]) -> RuleProgram:
    try:
        program = _recorded(equation, active)
    except errors.DerivativeMissing as error:
        raise Unsupported(equation.op.name, str(error)) from None
    n, m = len(equation.inputs), len(equation.outputs)
    inputs, outputs = program.inputs[:n], program.inputs[n : n + m]
    tangents = program.inputs[n + m :]
    depends = set(outputs)
    before: list[Equation] = []
    after: list[Equation] = []
    for e in program.equations:
        if any(x in depends for x in e.inputs if not x.is_literal):
            after.append(e)
            depends.update(e.outputs)
        else:
            before.append(e)
    made = [v for e in before for v in e.outputs]
    read = {x for e in after for x in e.inputs} | set(program.outputs)
    wanted = [v for v in made if v in read]
    return RuleProgram(
        remove_dead(Program([*inputs, *tangents], before, wanted)),
        Program([*wanted, *inputs, *outputs, *tangents], after, program.outputs),
        not any(x in depends for x in read),
    )


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


MOST_RESULTS = 120  # of operations, for the series of one: rules of matrices lead on and on


def smooth(run: Run, equation: Equation, inputs: list) -> tuple:
    """The outputs of a smooth operation on germs."""
    if run.kept is None:  # rules of special functions lead to each other: each is worked out once
        run.kept = {}
        try:
            return _by_rule(run, equation, inputs)
        finally:
            run.kept = None
    key = (*_same(equation), *map(_content, inputs))
    found = run.kept.get(key)
    if found is None:
        if len(run.kept) >= MOST_RESULTS:
            raise Unsupported(equation.op.name, "its series takes too many others")
        found = run.kept[key] = _by_rule(run, equation, inputs)
    return found


def _content(x):
    if isinstance(x, Germ):
        return x.shape, x.terms.tobytes(), x.order.tobytes(), x.known.tobytes()
    return np.shape(x), np.asarray(x).tobytes()


def _by_rule(run: Run, equation: Equation, inputs: list) -> tuple:
    moving = tuple(isinstance(x, Germ) for x in inputs)
    germs = [x for x in inputs if isinstance(x, Germ)]
    window = germs[0].window
    start = _start(equation, inputs, window)
    if window == 1:
        return tuple(start)
    program = rule_program(equation, moving)
    inner = run.smaller(window - 1)
    fixed = [_cut(_widened_value(x), window - 1) for x in inputs]
    speed = [truncated(derivative(g), window - 1) for g in germs]
    before = evaluate_in(inner, program.before, [*fixed, *speed])
    run.join(inner)
    outputs = start
    for terms in range(window - 1 if program.final else 1, window):
        inner = run.smaller(terms)
        given = [_cut(x, terms) for x in (*before, *fixed, *outputs, *speed)]
        found = evaluate_in(inner, program.after, given)
        inner.undecided &= terms == window - 1  # before, terms are missing that will be there
        run.join(inner)
        outputs = [
            _integrated(germ_of(inner, slope), first, window)
            for slope, first in zip(found, start, strict=True)
        ]
    if not program.final:
        for out in outputs:
            _forget(out, _not_unique(out, inputs, before))
    return tuple(outputs)


def _not_unique(out: Germ, inputs: list, before: list) -> np.ndarray | bool:
    """Where the slope does not tell the series: h' = h / g has many solutions where g vanishes, and
    all of them begin alike; so do functions that are infinite at a finite point."""
    lost: np.ndarray | bool = False
    regular: np.ndarray | bool = True
    for x in inputs:
        if isinstance(x, Germ) and x.shape == out.shape:
            regular &= (x.order >= 0) & ~x.wild
    for x in before:
        if isinstance(x, Germ) and x.shape == out.shape:
            lost |= x.order < 0
    return (lost | out.wild) & regular


def _forget(out: Germ, places: np.ndarray | bool) -> None:
    """Let nothing be known of some entries."""
    if np.any(places):
        places = np.broadcast_to(places, out.order.shape)
        out.terms[:, places], out.order[places], out.known[places] = np.nan, 0, 1


def _cut(x, window: int):
    return truncated(x, window) if isinstance(x, Germ) else x


def _widened_value(x):
    return x if isinstance(x, Germ) else _wide_value(x)


def _wide_value(x):
    x = np.asarray(x)
    return x.astype(wide(x.dtype))[()] if x.dtype.kind in "fc" else x[()]


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
