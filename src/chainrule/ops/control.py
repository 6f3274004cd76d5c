"""What the control-flow operations share: closed sub-programs, masks over their inputs and outputs.

cond.py, scan.py, while_loop.py, checkpoint.py and custom.py hold the operations. Their params hold
closed programs; their rules (`Structural`) receive the transformation as an argument:

    forward(equation, inputs, tangents, forward)      -> outputs, their tangents
    split(equation, mask, split_program)              -> known equations, linear equations
    transpose(equation, cotangents, env, mask, transpose_program, split_program)
                                                      -> cotangents of the inputs
    batch(equation, size, inputs, mask, batch)        -> outputs, which of them are batched
"""

from __future__ import annotations

from chainrule import errors
from chainrule.ops.select import cast
from chainrule.ops.shape import zeros_of
from chainrule.program.program import Equation, Program, Var
from chainrule.program.trace import Builder, Traced, as_operand, inline
from chainrule.program.types import Type


def closed_program(name: str, types, build) -> tuple[Program, list]:
    """Trace `build(*inputs)`, a function of a rule, into a closed program.

    Returns the program, whose inputs are what it captured, then `types`; and the captured values.
    """
    with Builder(name, reuse=True) as builder:
        builder.lines_from_user = False
        builder.line = builder.parent.line if builder.parent else None
        inputs = [builder.input(t) for t in types]
        outputs = [as_operand(builder, v) for v in build(*inputs)]
        program = builder.finish(outputs)
        captured = [host for _, host, _ in builder.captured]
    return program.closed(), captured


def check_types(what: str, have, want) -> None:
    """Raise `ShapeError` where a sub-program's types are not the ones that they stand for."""
    if tuple(have) != tuple(want):
        raise errors.ShapeError(f"{what} {tuple(have)}, but {tuple(want)} is needed.")


def with_inputs(program: Program, inputs) -> Program:
    """The same equations under another list of inputs (more of them, or in another order)."""
    return Program(inputs, program.equations, program.outputs, name=program.name)


def with_outputs(program: Program, outputs) -> Program:
    """The same equations with other outputs."""
    return Program(program.inputs, program.equations, outputs, name=program.name)


def with_zeros(program: Program, moves, wanted, start: int) -> Program:
    """The program with zero outputs where `wanted` asks for a tangent that it does not make.

    Outputs from `start` on are the tangents marked in `moves`; afterwards those marked in `wanted`.
    """
    if moves == wanted:
        return program
    with Builder(program.name, reuse=True) as builder:
        builder.lines_from_user = False
        inputs = [builder.input(v.type, v.name) for v in program.inputs]
        values = inline(program, inputs)
        made = iter(values[start:])
        out = values[:start]
        for i, (has, wants) in enumerate(zip(moves, wanted, strict=True)):
            value = next(made) if has else None
            if wants:
                out.append(zeros_of(program.outputs[i].type) if value is None else value)
        return builder.finish([as_operand(builder, v) for v in out])


def unmoved(equation: Equation, inputs):
    """The equation recorded as it is, for a forward rule that finds that no output moves."""
    made = as_tuple(equation.op(*inputs, **equation.params))
    return list(made), [None] * len(made)


def with_casts(program: Program, types) -> Program:
    """The program with its first outputs cast to these types' dtypes."""
    if all(o.type is t for o, t in zip(program.outputs, types, strict=False)):
        return program
    with Builder(program.name, reuse=True) as builder:
        builder.lines_from_user = False
        out = inline(program, [builder.input(v.type, v.name) for v in program.inputs])
        for i, t in enumerate(types):
            if out[i].type is not t:
                out[i] = cast(out[i], dtype=t.dtype)
        return builder.finish([as_operand(builder, v) for v in out])


def tangent_or_zeros(tangent, primal):
    """A tangent for every moving input, materialised where it is zero."""
    if tangent is not None:
        return tangent
    return zeros_of(primal.type) if type(primal) is Traced else primal.dtype.type(0)


def fresh(types) -> list[Var]:
    """New variables of these types."""
    return [Var(t) for t in types]


def as_tuple(made) -> tuple:
    """The outputs of an operation as a tuple, also where there is one."""
    return made if isinstance(made, tuple) else (made,)


def stacked(t: Type, length: int) -> Type:
    """The type of `length` values of a type, stacked along a new first axis."""
    return t.with_shape((length, *t.shape))


def union(*masks) -> tuple[bool, ...]:
    """The elementwise or of masks."""
    return tuple(any(row) for row in zip(*masks, strict=True))


def pick(items, mask, value: bool = True) -> list:
    """The items where the mask has this value."""
    return [x for x, m in zip(items, mask, strict=True) if m is value or m == value]


def residual_sources(program: Program, operands, residuals):
    """For each residual: the operand it is, where it is an input passed on; else None."""
    place = dict(zip(program.inputs, operands, strict=True))
    return [place.get(r) for r in residuals]


def depends_only_on(program: Program, allowed) -> set:
    """The variables of a program that depend on no input outside `allowed`."""
    fine = set(allowed)
    for equation in program.equations:
        if all(x.is_literal or x in fine for x in equation.inputs):
            fine.update(equation.outputs)
    return fine


def substituted(equation: Equation, env: dict) -> Equation:
    """A copy of an equation on other variables; new outputs are entered in `env`."""
    inputs = tuple([x if x.is_literal else env.get(x, x) for x in equation.inputs])
    outputs = tuple([Var(v.type, v.name) for v in equation.outputs])
    env.update(zip(equation.outputs, outputs, strict=True))
    return Equation(equation.op, inputs, equation.params, outputs, equation.line)
