"""What gives a program up is false in the rest of it.

A compiled gradient is given up where a choice meets a tie, `refuse(any(x == 0))`: the call is made
again by a program that settles it. What the first one computes counts only where no tie was met.
There `x == 0` is false, so the slope that a tie would have, `select(x == 0, 1/2, slope)`, is the
slope, and the comparison need not be kept until the cotangent comes.
"""

from __future__ import annotations

import numpy as np

from chainrule.program.op import REGISTRY
from chainrule.program.program import Equation, Operand, Program, Var, literal, map_subprograms

_FALSE = literal(np.False_)
_HAND_DOWN = ("logical_or", "bitwise_or", "any")  # where they are false, so is all that they read


def without_refused(program: Program) -> Program:
    """The program, and those inside it, with what is refused taken as false elsewhere; the same
    one where that changes nothing. Its results are the same wherever it is not given up."""
    inner: dict[int, Program] = {}

    def changed(held: Program) -> Program:
        made = without_refused(held)
        if made is not held:
            inner[id(held)] = made
        return made

    params = [map_subprograms(e, changed) if e.params else e.params for e in program.equations]
    refused, deciding = _refused(program)
    env: dict[Operand, Operand] = {}
    equations: list[Equation] = []
    for equation, given in zip(program.equations, params, strict=True):
        inputs = equation.inputs
        if id(equation) not in deciding and not refused.isdisjoint(inputs):
            for x in refused.intersection(inputs) - env.keys():
                env[x] = _false(x, equation.line, equations)
            inputs = tuple([env.get(x, x) for x in inputs])
        equations.append(Equation(equation.op, inputs, given, equation.outputs, equation.line))
    if not env and not inner:
        return program
    return Program(
        program.inputs, equations, program.outputs, program.captured, program.captured_values,
        program.name,
    )  # fmt: skip


def _refused(program: Program) -> tuple[set[Var], set[int]]:
    """The conditions that are false unless the program is given up, and the equations (by identity)
    that find out."""
    maker = {v: e for e in program.equations for v in e.outputs}
    deciding = {id(e): e for e in program.equations if e.op.name == "refuse"}
    pending = [e.inputs[0] for e in deciding.values()]
    refused: set[Var] = set()
    while pending:
        x = pending.pop()
        if x.is_literal or x in refused or x.type.dtype != np.bool_:
            continue
        refused.add(x)
        made = maker.get(x)
        if made is not None and made.op.name in _HAND_DOWN:
            deciding[id(made)] = made
            pending += made.inputs
    return refused, set(deciding)


def _false(x: Var, line, equations: list[Equation]) -> Operand:
    """An array of falsehoods like this one."""
    if not x.type.shape:
        return _FALSE
    out = Var(x.type)
    params = {"shape": x.type.shape, "axes": ()}
    equations.append(Equation(REGISTRY["broadcast"], (_FALSE,), params, (out,), line))
    return out
