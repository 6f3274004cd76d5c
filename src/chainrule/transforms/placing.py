"""Placing: a program with its draws as further inputs, so that their values can be given.

What remains is a smooth function of the inputs and the draws, with every jump and every discrete
value as it is where the draws are: reverse mode through it gives the slopes that an estimator is
made of. Gamma draws move with their shapes, as they do where they are drawn.
"""

from __future__ import annotations

from collections.abc import Sequence

from chainrule.ops.placed import placed_gamma, placed_log_gamma
from chainrule.program.liveness import remove_dead
from chainrule.program.program import Equation, Operand, Program, Var
from chainrule.program.remember import remembered
from chainrule.transforms.chance import is_draw
from chainrule.transforms.reverse import reverse

_PLACED = {"standard_gamma": placed_gamma, "log_standard_gamma": placed_log_gamma}


def placed(program: Program, outputs: Sequence[Operand]) -> Program:
    """The program with other outputs, and its draws as inputs after its own."""
    equations: list[Equation] = []
    given: list[Var] = []
    for equation in program.equations:
        if not is_draw(equation):
            equations.append(equation)
            continue
        out = equation.outputs[0]
        op = _PLACED.get(equation.op.name)
        value = out if op is None else Var(out.type)
        given.append(value)
        if op is not None:
            inputs = (value, equation.inputs[1])
            equations.append(Equation(op, inputs, {}, (out,), equation.line))
    made = Program([*program.inputs, *given], equations, outputs, name=program.name)
    return remove_dead(made)


def _pullback(program: Program, active: tuple[bool, ...]):
    """From the inputs and a cotangent for each output that moves, to those of the active inputs."""
    made, moves = reverse(program, active)
    outputs = made.outputs[len(program.outputs) :]
    return remove_dead(Program(made.inputs, made.equations, outputs, name=made.name)), moves


pullback = remembered(_pullback)
