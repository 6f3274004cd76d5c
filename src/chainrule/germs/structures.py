"""Control flow: sub-programs evaluated in germs, with germs as carries."""

from __future__ import annotations

import numpy as np

from chainrule.germs.evaluation import Run, evaluate_in, germ_of, rule
from chainrule.germs.series import EXACT, Germ
from chainrule.program.program import Equation
from chainrule.program.types import Type


@rule("cond")
def _cond(run: Run, equation: Equation, inputs: list) -> tuple:
    predicate, *operands = inputs
    branch = equation.params["branches"][0 if predicate else 1]
    return tuple(evaluate_in(run, branch, operands))


@rule("checkpoint", "custom", "germ")
def _program(run: Run, equation: Equation, inputs: list) -> tuple:
    return tuple(evaluate_in(run, equation.params["program"], inputs))


@rule("custom_linear")
def _custom_linear(run: Run, equation: Equation, inputs: list) -> tuple:
    params = equation.params
    program = params["forward"] if params["forward"] is not None else params["transposed"]
    return tuple(evaluate_in(run, program, inputs))


@rule("while")
def _while(run: Run, equation: Equation, inputs: list) -> tuple:
    params = equation.params
    fixed, carry = inputs[: params["constants"]], inputs[params["constants"] :]
    while evaluate_in(run, params["test"], [*fixed, *carry])[0]:
        carry = evaluate_in(run, params["body"], [*fixed, *carry])
    return tuple(carry)


@rule("repeat")
def _repeat(run: Run, equation: Equation, inputs: list) -> tuple:
    params = equation.params
    steps, *values = inputs
    start, n = params["known_constants"], len(params["known"].inputs)
    end = n + params["linear_constants"]
    fixed, state = values[:start], values[start:n]
    linear_fixed, carry = values[n:end], values[end:]
    for _ in range(int(steps)):
        carry = evaluate_in(run, params["moving"], [*fixed, *state, *linear_fixed, *carry])
        state = evaluate_in(run, params["known"], [*fixed, *state])
    return tuple(carry)


@rule("scan")
def _scan(run: Run, equation: Equation, inputs: list) -> tuple:
    params = equation.params
    start, length = params["constants"], params["length"]
    end = start + params["carries"]
    fixed, carry, xs = inputs[:start], inputs[start:end], inputs[end:]
    rows: list = [None] * length
    for i in range(length - 1, -1, -1) if params["reverse"] else range(length):
        made = evaluate_in(run, params["body"], [*fixed, *carry, *[_row(x, i) for x in xs]])
        carry, rows[i] = made[: params["carries"]], made[params["carries"] :]
    types = [v.type for v in equation.outputs[params["carries"] :]]
    stacks = [_stacked(run, [row[k] for row in rows], t) for k, t in enumerate(types)]
    return (*carry, *stacks)


def _row(x, i: int):
    if not isinstance(x, Germ):
        return x[i]
    type_ = x.type.with_shape(x.shape[1:])
    at = slice(i * type_.size, (i + 1) * type_.size)
    return Germ(type_, x.terms[:, at], x.order[at], x.known[at])


def _stacked(run: Run, values: list, type_: Type):
    if not any(isinstance(v, Germ) for v in values):
        return np.array(values, type_.dtype).reshape(type_.shape)
    germs = [germ_of(run, v) for v in values]
    size = type_.size // max(len(values), 1)
    terms = np.concatenate([np.broadcast_to(g.terms, (run.window, size)) for g in germs], axis=1)
    order = np.concatenate([np.broadcast_to(g.order, size) for g in germs])
    known = np.concatenate([np.broadcast_to(g.known, size) for g in germs])
    return Germ(type_, terms, order, np.minimum(known, EXACT))


@rule("require")
def _require(run: Run, equation: Equation, inputs: list):
    return inputs[0]
