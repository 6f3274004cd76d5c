"""Forward mode: a program that also computes how its outputs move (Jacobian-vector product).

    y = f(x)   becomes   (y, dy) = (f(x), J(x) dx)

Activity is a static mask: an input, and everything computed from it, has a tangent or has none;
zeros are not materialised. The result is one flat program. The equations that depend on a tangent
are linear in it: `split` and `transpose` (reverse.py) rely on that.

Source    the chain rule; linearity as in Radul et al., "You Only Linearize Once", POPL 2023.
"""

from __future__ import annotations

import numpy as np

from chainrule import errors
from chainrule.ops.elementwise import add, multiply, negative, scaled
from chainrule.ops.shape import zeros_of
from chainrule.program.exact import ExactFloat, carried
from chainrule.program.liveness import remove_dead
from chainrule.program.names import derivative_name, suggest_name
from chainrule.program.op import (
    Bilinear,
    Constant,
    Discrete,
    Forward,
    Linear,
    Missing,
    Partials,
    Structural,
)
from chainrule.program.program import Equation, Program, literal
from chainrule.program.remember import remembered
from chainrule.program.trace import Builder, Traced, current, operand, record


def forward(program: Program, active: tuple[bool, ...]) -> tuple[Program, tuple[bool, ...]]:
    """The program with a tangent input for each active input, and which outputs have tangents.

    Inputs: the program's, then one tangent per active input. Outputs: the program's, then one
    tangent per output marked in the returned mask.
    """
    with Builder(program.name, reuse=True) as builder:
        builder.lines_from_user = False
        primals = [builder.input(v.type, v.name) for v in program.inputs]
        tangents = [
            builder.input(v.type, derivative_name(v.name)) if is_active else None
            for v, is_active in zip(program.inputs, active, strict=True)
        ]
        outputs, out_tangents = push(program, primals, tangents)
        depends = _depending(builder, [t._var for t in tangents if t is not None])
        moves = tuple(t is not None and t._var in depends for t in out_tangents)
        moving = [t for t, m in zip(out_tangents, moves, strict=True) if m]
        results = [operand(builder, traced_of(builder, v)) for v in [*outputs, *moving]]
        flat = builder.finish(results)
    return remove_dead(flat), moves


_inner_forward = remembered(forward)  # for sub-programs of control flow


def _depending(builder: Builder, variables) -> set:
    """The variables that depend on any of these."""
    found = set(variables)
    for equation in builder.equations:
        if any(x in found for x in equation.inputs if not x.is_literal):
            found.update(equation.outputs)
    return found


def traced_of(builder: Builder, value) -> Traced:
    """A value of a rule as a traced value: scalars become literals."""
    return value if type(value) is Traced else Traced(builder, literal(value))


def push(program: Program, primals, tangents):
    """Record the program and its tangents in the current builder.

    Returns its outputs and their tangents (None where an output does not move).
    """
    env = dict(zip(program.inputs, primals, strict=True))
    moving = {
        v: t for v, t in zip(program.inputs, tangents, strict=True) if t is not None
    }
    with np.errstate(all="ignore"):
        for equation in program.equations:
            push_equation(equation, env, moving)
    outputs = [o.value if o.is_literal else env[o] for o in program.outputs]
    return outputs, [None if o.is_literal else moving.get(o) for o in program.outputs]


def push_equation(equation: Equation, env: dict, moving: dict) -> None:
    """Record one equation, and the tangents of its outputs, into `env` and `moving`."""
    builder = current()
    assert builder is not None
    builder.line = equation.line
    tangents = [None if x.is_literal else moving.get(x) for x in equation.inputs]
    active = any(t is not None for t in tangents)
    rule = equation.op.derivative
    if active and isinstance(rule, Structural):
        values = [x.value if x.is_literal else env[x] for x in equation.inputs]
        outputs, out_tangents = rule.forward(equation, values, tangents, forward)
        for var, value in zip(equation.outputs, outputs, strict=True):
            env[var] = value
            suggest_name(value, var.name)
        _keep(equation, out_tangents, moving)
        return
    copied = copy_equation(builder, equation, env)
    if not active or isinstance(rule, Constant | Discrete):
        return
    if not any(v.type.inexact for v in equation.outputs):
        return
    inputs = tuple([x.value if x.is_literal else env[x] for x in equation.inputs])
    _keep(equation, tangents_of(equation, inputs, copied, tangents), moving)


def copy_equation(builder: Builder, equation: Equation, env: dict) -> tuple[Traced, ...]:
    """Record the equation itself, on the values of `env`."""
    operands = tuple(
        [x if x.is_literal else operand(builder, env[x]) for x in equation.inputs]
    )
    types = [v.type for v in equation.outputs]
    made = record(builder, equation.op, operands, equation.params, types)
    made = made if isinstance(made, tuple) else (made,)
    for var, value in zip(equation.outputs, made, strict=True):
        env[var] = value
        suggest_name(value, var.name)
    return made


def _keep(equation: Equation, tangents, moving: dict) -> None:
    for var, tangent in zip(equation.outputs, tangents, strict=True):
        if tangent is not None and var.type.inexact:
            moving[var] = tangent
            suggest_name(tangent, derivative_name(var.name))


def tangents_of(equation: Equation, inputs, outputs, tangents) -> tuple:
    """The tangents of an equation's outputs by its operation's rule; None stands for zero."""
    rule, op, params = equation.op.derivative, equation.op, equation.params
    if isinstance(rule, Partials):
        return (_from_partials(rule, inputs, outputs[0], tangents),)
    if isinstance(rule, Linear):
        moved = _from_linear(op, rule, inputs, tangents, params)
        if rule.forward is not None and any(
            t is not None for i, t in enumerate(tangents) if i not in (rule.positions or ())
        ):
            moved = total(moved, rule.forward(inputs, outputs, tuple(tangents), **params))
        return (moved,)
    if isinstance(rule, Bilinear):
        x, y = inputs
        dx, dy = tangents
        first = None if dx is None else op(dx, y, **params)
        second = None if dy is None else op(x, dy, **params)
        return (total(first, second),)
    if isinstance(rule, Forward):
        moved = rule.rule(inputs, outputs, tuple(tangents), **params)
        return moved if isinstance(moved, tuple) else (moved,)
    assert isinstance(rule, Missing)
    raise errors.DerivativeMissing(
        f"{op.name} has no derivative, at {equation.where}: {rule.why}"
    )


def _from_partials(rule: Partials, inputs, out, tangents):
    moved = None
    for partial, tangent in zip(rule.rules, tangents, strict=True):
        if tangent is not None and partial is not None:
            moved = total(moved, product(partial(*inputs, out), tangent))
    return moved


def _from_linear(op, rule: Linear, inputs, tangents, params):
    positions = range(len(inputs)) if rule.positions is None else rule.positions
    if all(tangents[i] is None for i in positions):
        return None
    arguments = list(inputs)
    for i in positions:
        arguments[i] = tangents[i] if tangents[i] is not None else _zero(op, inputs[i], i)
    return op(*arguments, **params)


def _zero(op, like, position: int):
    """A zero tangent: a scalar where the operation takes one in place of an array."""
    dtype = like.dtype
    if op.elementwise or (op.in_place is not None and position == 1):
        return dtype.type(0)
    return zeros_of(like.type) if type(like) is Traced else dtype.type(0)


def total(first, second):
    """The sum of two tangents or cotangents, either of which may be None."""
    if first is None or second is None:
        return second if first is None else first
    return add(first, second)


def scalar_of(p):
    """The number that a partial derivative is, where it is one; else None."""
    if type(p) is Traced:
        return p._var.exact or p._var.value if p._var.is_literal else None
    return carried(p) or p


def product(p, t):
    """p * t for a partial derivative p: plain where p or t is a known number, else `scale`."""
    if p is None:
        return None
    number = scalar_of(p)
    if number is None:
        return scaled(p, t)
    if not np.isfinite(number):  # in a branch that is not taken an exact zero annihilates it
        return scaled(t.dtype.type(number), t)
    if number == 1:
        return t
    if number == 0:
        return None
    if number == -1:
        return negative(t)
    return multiply(number if type(number) is ExactFloat else t.dtype.type(number), t)
