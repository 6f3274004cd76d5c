"""checkpoint: run a program, keep only its inputs, and recompute the rest for the derivative.

Value     the program's.
Slope     the known half stores nothing but the operands; the linear half runs the program again.
          A checkpointed program is an equation of its own, so recomputation is never merged with
          the first run.
Source    Griewank and Walther, "Evaluating Derivatives", chapter 12.
"""

from __future__ import annotations

from chainrule.ops.control import as_tuple, check_types, pick, unmoved, with_inputs, with_outputs
from chainrule.ops.shape import zeros_of
from chainrule.program.evaluate import plan
from chainrule.program.liveness import remove_dead
from chainrule.program.op import Op, Structural
from chainrule.program.program import Equation, Program
from chainrule.program.trace import Builder, as_operand, inline


def _type(*operands, program: Program):
    check_types("checkpoint takes", program.in_types, operands)
    return program.out_types


def _evaluate(*operands, program):
    made = plan(program).run(operands)
    return made[0] if len(made) == 1 else tuple(made)


def _forward(equation, inputs, tangents, forward):
    program, moves = forward(equation.params["program"], tuple(t is not None for t in tangents))
    if not any(moves):
        return unmoved(equation, inputs)
    given = [t for t in tangents if t is not None]
    values = iter(as_tuple(checkpoint_op(*inputs, *given, program=program)))
    outputs = [next(values) for _ in equation.outputs]
    return outputs, [next(values) if m else None for m in moves]


def _split(equation, mask, split_program):
    program = equation.params["program"]
    known, _, moves, _ = split_program(program, tuple(mask))
    fixed = pick(equation.inputs, mask, False)
    outputs = pick(equation.outputs, moves, False)
    first = remove_dead(with_outputs(known, known.outputs[: len(outputs)]))
    params = {"program": first}
    before = Equation(checkpoint_op, tuple(fixed), params, tuple(outputs), equation.line)
    order = [*pick(program.inputs, mask, False), *pick(program.inputs, mask)]
    second = remove_dead(with_outputs(with_inputs(program, order), pick(program.outputs, moves)))
    after = Equation(
        checkpoint_op, (*fixed, *pick(equation.inputs, mask)), {"program": second},
        tuple(pick(equation.outputs, moves)), equation.line,
    )  # fmt: skip
    return ([before] if outputs else []), [after]


def _transpose(equation, arrived, env, mask, transpose_program, split_program):
    program = equation.params["program"]
    fixed = sum(not m for m in mask)
    backwards = _recomputing(program, fixed, transpose_program, split_program)
    values = [x.value if x.is_literal else env[x] for x in equation.inputs[:fixed]]
    cts = [
        zeros_of(v.type) if ct is None else ct
        for v, ct in zip(equation.outputs, arrived, strict=True)
    ]
    found = as_tuple(checkpoint_op(*values, *cts, program=backwards))
    return [None] * fixed + list(found)


def _recomputing(program: Program, fixed: int, transpose_program, split_program) -> Program:
    """[fixed inputs, cotangents] -> cotangents of the others; the residuals are computed inside."""
    mask = (False,) * fixed + (True,) * (len(program.inputs) - fixed)
    known, linear, _, residuals = split_program(program, mask)
    backwards = transpose_program(linear, len(residuals))
    with Builder(program.name, reuse=True) as builder:
        builder.lines_from_user = False
        inputs = [builder.input(v.type, v.name) for v in program.inputs[:fixed]]
        cts = [builder.input(o.type) for o in program.outputs]
        values = inline(known, inputs)
        found = inline(backwards, [*values[len(values) - len(residuals) :], *cts])
        return builder.finish([as_operand(builder, v) for v in found])


def _batch(equation, size, inputs, mask, batch):
    program, marks = batch(equation.params["program"], size, tuple(mask))
    return as_tuple(checkpoint_op(*inputs, program=program)), marks


checkpoint_op = Op(
    "checkpoint", _type, _evaluate,
    Structural(_forward, _split, _transpose), _batch, pure=False,
    doc="the program's outputs; its derivative recomputes it instead of storing",
)  # fmt: skip
