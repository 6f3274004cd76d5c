"""custom: a program with a derivative rule of the user's own; and its linear half.

Value     custom runs the program.
Slope     by the user's rule, traced to a closed program: `forward` maps (inputs, outputs, tangents)
          to output tangents, `reverse` maps (inputs, outputs, cotangents) to input cotangents. Both
          are linear in their last part. Where one is missing it is the transpose of the other.
"""

from __future__ import annotations

from chainrule.ops.control import as_tuple, tangent_or_zeros
from chainrule.ops.shape import add_batch_axis, broadcast, zeros_of
from chainrule.program.evaluate import plan
from chainrule.program.op import Op, Structural
from chainrule.program.program import Program
from chainrule.program.trace import Traced, inline


def _evaluate(*operands, program, forward, reverse, transposed):
    made = plan(program).run(operands)
    return made[0] if len(made) == 1 else tuple(made)


def _type(*operands, program: Program, forward, reverse, transposed):
    return program.out_types


def _moving(types) -> list[int]:
    return [i for i, t in enumerate(types) if t.inexact]


def _forward(equation, inputs, tangents, forward):
    params = equation.params
    outputs = as_tuple(custom_op(*inputs, **params))
    program = params["program"]
    given = [tangent_or_zeros(tangents[i], inputs[i]) for i in _moving(program.in_types)]
    rules = {name: params[name] for name in ("forward", "reverse", "transposed")}
    fixed = [*inputs, *outputs]
    found = iter(as_tuple(custom_linear_op(*fixed, *given, fixed=len(fixed), **rules)))
    return outputs, [next(found) if t.inexact else None for t in program.out_types]


def _split(equation, mask, split_program):
    raise AssertionError("custom is divided when it is pushed forward")


def _batch(equation, size, inputs, mask, batch):
    """The rules are batched with the program, so that the user's derivative is kept."""
    params = equation.params
    wide_inputs = [_wide(x, m, size) for x, m in zip(inputs, mask, strict=True)]
    made = as_tuple(custom_op(*wide_inputs, **_batched_programs(params, size, batch)))
    return made, (True,) * len(made)


def _batched_programs(params, size: int, batch) -> dict:
    return {
        name: _batched(value, size, batch) if isinstance(value, Program) else value
        for name, value in params.items()
    }


def _batched(program: Program, size: int, batch) -> Program:
    everything = (True,) * len(program.inputs)
    return batch(program, size, everything, (True,) * len(program.outputs))[0]


def _wide(x, is_batched: bool, size: int):
    if is_batched:
        return x
    if type(x) is Traced:
        return add_batch_axis(x, size)
    return broadcast(x, shape=(size,), axes=())


custom_op = Op(
    "custom", _type, _evaluate, Structural(_forward, _split, None), _batch,
    doc="a program with the user's own derivative rules",
)  # fmt: skip


# --- the linear half ------------------------------------------------------------------------------


def _linear_type(*inputs, fixed, forward, reverse, transposed):
    if forward is not None:
        return forward.out_types
    return transposed.out_types


def _linear_evaluate(*inputs, fixed, forward, reverse, transposed):
    made = plan(forward if forward is not None else transposed).run(inputs)
    return made[0] if len(made) == 1 else tuple(made)


def _linear_forward(equation, inputs, tangents, forward):
    """Differentiate the linear map itself: its tangents, and what its fixed inputs change."""
    params = equation.params
    program = params["forward"] if params["forward"] is not None else params["transposed"]
    made, moves = forward(program, tuple(t is not None for t in tangents))
    values = inline(made, [*inputs, *(t for t in tangents if t is not None)])
    count = len(equation.outputs)
    found = iter(values[count:])
    return values[:count], [next(found) if m else None for m in moves]


def _linear_split(equation, mask, split_program):
    return [], [equation]


def _linear_transpose(equation, arrived, env, mask, transpose_program, split_program):
    params = equation.params
    fixed = params["fixed"]
    values = [x.value if x.is_literal else env[x] for x in equation.inputs[:fixed]]
    cts = [
        zeros_of(v.type) if ct is None else ct
        for v, ct in zip(equation.outputs, arrived, strict=True)
    ]
    backwards = params["reverse"] if params["reverse"] is not None else params["transposed"]
    return [None] * fixed + inline(backwards, [*values, *cts])


def _linear_batch(equation, size, inputs, mask, batch):
    params = equation.params
    wide = [_wide(x, m, size) for x, m in zip(inputs, mask, strict=True)]
    made = as_tuple(custom_linear_op(*wide, **_batched_programs(params, size, batch)))
    return made, (True,) * len(made)


custom_linear_op = Op(
    "custom_linear", _linear_type, _linear_evaluate,
    Structural(_linear_forward, _linear_split, _linear_transpose), _linear_batch,
    doc="the user's rule: linear in the inputs after the first `fixed`",
)  # fmt: skip
