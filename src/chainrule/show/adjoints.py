"""The value of every node of a program, and its adjoint: the derivative of the result by it.

For the adjoint of a value v, a term that is zero is added to it, v + e; the derivative with respect
to e is the adjoint of v. All of them come from one pass of the library's own reverse mode.
"""

from __future__ import annotations

from collections.abc import Sequence
from typing import Any

import numpy as np

from chainrule.ops.elementwise import add
from chainrule.program.evaluate import Plan
from chainrule.program.program import Equation, Operand, Program, Var
from chainrule.transforms.forward import forward
from chainrule.transforms.reverse import reverse


def values_of(program: Program, operands: Sequence, wanted: Sequence[Var]) -> dict[Var, Any]:
    """The values of these variables of a closed program."""
    only = Program(program.inputs, program.equations, wanted, name=program.name)
    return dict(zip(wanted, Plan(only).run(operands), strict=True))


def has_adjoints(program: Program) -> bool:
    """Whether the first output is one real number that a derivative can be taken of."""
    if not program.outputs:
        return False
    type_ = program.outputs[0].type
    return type_.ndim == 0 and type_.dtype.kind == "f"


def adjoints_of(program: Program, operands: Sequence, wanted: Sequence[Var]) -> dict[Var, Any]:
    """The derivatives of a program's first output with respect to these variables."""
    wanted = [v for v in wanted if v.type.inexact]
    shifted, shifts = _with_shifts(program, wanted)
    active = (False,) * len(program.inputs) + (True,) * len(shifts)
    made, _ = reverse(shifted, active, seeds=(0,))
    zeros = [np.broadcast_to(v.type.dtype.type(-0.0), v.type.shape)[()] for v in shifts]
    found = Plan(made).run([*operands, *zeros])
    return dict(zip(wanted, found[1:], strict=True))


def _with_shifts(program: Program, wanted: Sequence[Var]) -> tuple[Program, list[Var]]:
    """The program with a term added to each wanted variable; -0.0 changes no number."""
    shifts = {v: Var(v.type) for v in wanted}
    env: dict[Operand, Operand] = {}
    equations: list[Equation] = []

    def shift(var: Var) -> None:
        if var in shifts:
            moved = Var(var.type, var.name)
            equations.append(Equation(add, (var, shifts[var]), {}, (moved,)))
            env[var] = moved

    for var in program.inputs:
        shift(var)
    for e in program.equations:
        inputs = tuple([env.get(x, x) for x in e.inputs])
        equations.append(Equation(e.op, inputs, e.params, e.outputs, e.line))
        for var in e.outputs:
            shift(var)
    first = program.outputs[0]
    new = list(shifts.values())
    everything = [*program.inputs, *new]
    return Program(everything, equations, [env.get(first, first)], name=program.name), new


def local_derivative(equation: Equation, position: int, values: dict) -> float | None:
    """The derivative of a scalar equation with respect to its input at a position, as a number.

    The input may appear several times in the equation; all its places count.
    """
    by = equation.inputs[position]
    inputs = list(dict.fromkeys(x for x in equation.inputs if not x.is_literal))
    scalar = all(not v.type.ndim for v in (*inputs, *equation.outputs))
    known = all(x in values for x in inputs)
    if not scalar or not known or len(equation.outputs) != 1 or not by.type.inexact:
        return None
    program = Program(inputs, [equation], equation.outputs)
    made, moves = forward(program, tuple(x is by for x in inputs))
    if not moves[0]:
        return None
    one = by.type.dtype.type(1)
    return Plan(made).run([*(values[x] for x in inputs), one])[1]
