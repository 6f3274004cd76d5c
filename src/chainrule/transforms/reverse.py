"""Reverse mode: linearise, then transpose (vector-Jacobian product).

    forward     (y, dy) = (f(x), J dx), one flat program
    split       the equations that depend on dx are linear; the others are the function itself
    transpose   the linear half, run backwards: x_bar = J^T y_bar

Cotangents are summed in reverse program order, always, so results are reproducible bit for bit.
Transposes are with respect to the real inner product Re(conj(u) v).

Source    Radul et al., "You Only Linearize Once", POPL 2023.
"""

from __future__ import annotations

from collections.abc import Sequence

import numpy as np

from chainrule.ops.elementwise import conj
from chainrule.ops.shape import zeros_of
from chainrule.program.liveness import remove_dead
from chainrule.program.names import suggest_name
from chainrule.program.op import Bilinear, Linear, Partials, Structural
from chainrule.program.program import Equation, Program, Var
from chainrule.program.remember import remembered
from chainrule.program.trace import Builder, Traced, current, operand
from chainrule.transforms.forward import copy_equation, forward, product, total, traced_of


def reverse(program: Program, active: tuple[bool, ...], seeds: Sequence[int] | None = None):
    """The program with a cotangent for each active input, and which outputs take a cotangent.

    With `seeds` None: inputs are the program's, then one cotangent per output of the returned mask.
    With seeds (numbers of scalar outputs): no cotangent inputs; each seed has cotangent 1.
    Outputs: the program's, then one cotangent per active input.
    """
    flat, moves = forward(program, active)
    count = len(program.inputs)
    known, linear = split(flat.equations, set(flat.inputs[count:]))
    with Builder(program.name, reuse=True) as builder:
        builder.lines_from_user = False
        env: dict = {v: builder.input(v.type, v.name) for v in flat.inputs[:count]}
        for equation in known:
            builder.line = equation.line
            copy_equation(builder, equation, env)
        outputs = len(program.outputs)
        cotangents = _seed(builder, flat.outputs[outputs:], moves, seeds)
        found = transpose(linear, env, cotangents, flat.inputs[count:])
        primal = [o.value if o.is_literal else env[o] for o in flat.outputs[:outputs]]
        results = [operand(builder, traced_of(builder, v)) for v in [*primal, *found]]
        joined = builder.finish(results)
    return remove_dead(joined), moves


def _seed(builder: Builder, out_tangents, moves, seeds) -> list[tuple]:
    """Pairs (tangent variable, cotangent) to start the backward pass from."""
    moving = [i for i, m in enumerate(moves) if m]
    if seeds is None:
        return [(v, builder.input(v.type)) for v in out_tangents]
    return [
        (v, traced_of(builder, v.type.dtype.type(1)))
        for i, v in zip(moving, out_tangents, strict=True)
        if i in seeds
    ]


def split(equations: list[Equation], tangents: set[Var]):
    """The equations of a flat program in two lists: independent of the tangents, and linear."""
    moving = set(tangents)
    known: list[Equation] = []
    linear: list[Equation] = []
    for equation in equations:
        mask = tuple(not x.is_literal and x in moving for x in equation.inputs)
        if not any(mask):
            known.append(equation)
            continue
        rule = equation.op.derivative
        if isinstance(rule, Structural):
            before, after = rule.split(equation, mask, _inner_split)
            known += before
            linear += [e for e in after if e.outputs]
            for e in after:
                moving.update(e.outputs)
            continue
        linear.append(equation)
        moving.update(equation.outputs)
    return known, linear


def split_program(program: Program, linear_inputs: tuple[bool, ...], forced=None):
    """A program in two: the known half gives residuals that the linear half reads.

    Returns (known, linear, which outputs are linear, residuals). `known` maps the inputs that are
    not linear to [the known outputs, then the residuals]; `linear` maps [residuals, then the linear
    inputs] to the linear outputs. Residuals that are inputs are passed on as they are.
    """
    tangents = {v for v, is_linear in zip(program.inputs, linear_inputs, strict=True) if is_linear}
    known, linear = split(program.equations, tangents)
    moving = tangents | {v for e in linear for v in e.outputs}
    out_linear = tuple(not o.is_literal and o in moving for o in program.outputs)
    if forced is not None:
        out_linear = tuple(a or b for a, b in zip(out_linear, forced, strict=True))
    still = [o for o, m in zip(program.outputs, out_linear, strict=True) if m]
    residuals = _residuals(linear, still, moving)
    fixed = [v for v in program.inputs if v not in tangents]
    known_outputs = [o for o, m in zip(program.outputs, out_linear, strict=True) if not m]
    linear_outputs = [o for o, m in zip(program.outputs, out_linear, strict=True) if m]
    first = Program(fixed, known, [*known_outputs, *residuals], name=program.name)
    ordered = [v for v in program.inputs if v in tangents]
    second = Program([*residuals, *ordered], linear, linear_outputs, name=program.name)
    return first, second, out_linear, residuals


_inner_split = remembered(split_program)  # for sub-programs of control flow


def _residuals(linear: list[Equation], outputs, moving: set) -> list[Var]:
    """What the linear half reads of the known one, in order of first use."""
    seen: dict[Var, None] = {}
    for operands in [*(e.inputs for e in linear), outputs]:
        for x in operands:
            if not x.is_literal and x not in moving:
                seen[x] = None
    return list(seen)


def transpose(equations, env: dict, seeds, wanted, running=()) -> list:
    """Run linear equations backwards in the current builder.

    `env` gives the values that do not move; `seeds` pairs moving variables with cotangents, and
    `running` pairs wanted variables with totals to add to. Returns the cotangents of `wanted`,
    zeros where none arrived.
    """
    cotangent: dict[Var, Traced] = dict(running)
    for var, ct in seeds:
        if not var.is_literal and ct is not None:
            cotangent[var] = total(cotangent.get(var), ct)
    moving = {v for e in equations for v in e.outputs} | set(wanted)
    builder = current()
    assert builder is not None
    with np.errstate(all="ignore"):
        for equation in reversed(equations):
            arrived = [cotangent.pop(v, None) for v in equation.outputs]
            if any(ct is not None for ct in arrived):
                builder.line = equation.line
                _name_cotangents(equation.outputs, arrived)
                _transpose_equation(equation, arrived, env, moving, cotangent)
    found = [cotangent[v] if v in cotangent else zeros_of(v.type) for v in wanted]
    _name_cotangents(wanted, found)
    return found


def _name_cotangents(variables, cotangents) -> None:
    """A cotangent has the name of the tangent that it belongs to: d_x."""
    for var, ct in zip(variables, cotangents, strict=True):
        suggest_name(ct, var.name)


def _transpose_equation(equation: Equation, arrived, env, moving, cotangent) -> None:
    rule, params = equation.op.derivative, equation.params
    linear = [not x.is_literal and x in moving for x in equation.inputs]
    if isinstance(rule, Structural):
        assert rule.transpose is not None, equation
        found = rule.transpose(equation, arrived, env, linear, transpose_program, _inner_split)
        _add_all(equation, linear, found, cotangent)
        return
    (ct,) = arrived
    values = [
        x.value if x.is_literal else x.type if is_linear else env[x]
        for x, is_linear in zip(equation.inputs, linear, strict=True)
    ]
    if isinstance(rule, Linear) and rule.accumulate is not None:
        x = equation.inputs[0]
        cotangent[x] = rule.accumulate(cotangent.get(x), ct, *values, **params)
        suggest_name(cotangent[x], x.name)
        return
    _add_all(equation, linear, _transposed(equation, rule, ct, values, linear), cotangent)


def _transposed(equation: Equation, rule, ct, values, linear) -> tuple:
    params = equation.params
    if isinstance(rule, Partials):
        known = [None if is_linear else v for v, is_linear in zip(values, linear, strict=True)]
        return tuple(
            [
                product(conj(partial(*known, None)), ct) if is_linear and partial else None
                for partial, is_linear in zip(rule.rules, linear, strict=True)
            ]
        )
    if isinstance(rule, Bilinear):
        if linear[0]:
            return rule.left(ct, *values, **params), None
        return None, rule.right(ct, *values, **params)
    assert isinstance(rule, Linear) and rule.transpose is not None, equation
    return rule.transpose(ct, *values, **params)


def _add_all(equation: Equation, linear, found, cotangent) -> None:
    for x, is_linear, ct in zip(equation.inputs, linear, found, strict=True):
        if is_linear and ct is not None:
            cotangent[x] = total(cotangent.get(x), ct)


def transpose_program(program: Program, residuals: int, running: int = 0) -> Program:
    """A linear program backwards: [residuals, output cotangents] to the linear inputs' cotangents.

    The first `residuals` inputs are fixed; the others, and all outputs, are linear. The first
    `running` linear inputs have a further input each, the total so far, and give the new total.
    """
    with Builder(program.name, reuse=True) as builder:
        builder.lines_from_user = False
        env = {v: builder.input(v.type, v.name) for v in program.inputs[:residuals]}
        seeds = [(o, builder.input(o.type, getattr(o, "name", None))) for o in program.outputs]
        wanted = program.inputs[residuals:]
        totals = [(v, builder.input(v.type, v.name)) for v in wanted[:running]]
        found = transpose(program.equations, env, seeds, wanted, totals)
        joined = builder.finish([operand(builder, traced_of(builder, v)) for v in found])
    return remove_dead(joined)
