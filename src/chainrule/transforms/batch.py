"""Batching: a program on one example becomes a program on many (vmap).

Which values have a batch axis is a static mask; a batch axis is always the first. Values that do
not depend on the batch are computed once.
"""

from __future__ import annotations

import numpy as np

from chainrule import errors
from chainrule.ops.shape import add_batch_axis, broadcast
from chainrule.program.liveness import remove_dead
from chainrule.program.names import suggest_name
from chainrule.program.op import Structural
from chainrule.program.program import Equation, Program
from chainrule.program.remember import remembered
from chainrule.program.trace import Builder, Traced, current, operand
from chainrule.program.types import Type, array_type
from chainrule.transforms.forward import copy_equation, traced_of


def batch(program: Program, size: int, batched: tuple[bool, ...], out_batched=None):
    """The program on `size` examples at once, and which of its outputs have a batch axis.

    `batched` marks the inputs that have a leading axis of length `size`. With `out_batched`, the
    outputs marked there are given a batch axis even where they do not depend on the batch.
    """
    with Builder(program.name, reuse=True) as builder:
        builder.lines_from_user = False
        inputs = [
            builder.input(with_batch_axis(v.type, size) if is_batched else v.type, v.name)
            for v, is_batched in zip(program.inputs, batched, strict=True)
        ]
        outputs, marks = push_batch(program, size, inputs, batched)
        if out_batched is not None:
            outputs = [
                _with_axis(builder, value, size) if wanted and not mark else value
                for value, mark, wanted in zip(outputs, marks, out_batched, strict=True)
            ]
            marks = [m or w for m, w in zip(marks, out_batched, strict=True)]
        results = [operand(builder, traced_of(builder, v)) for v in outputs]
        made = builder.finish(results)
    return remove_dead(made), tuple(marks)


_inner_batch = remembered(batch)  # for sub-programs of control flow


def with_batch_axis(type_: Type, size: int) -> Type:
    return array_type((size, *type_.shape), type_.dtype)


def _with_axis(builder: Builder, value, size: int):
    return add_batch_axis(traced_of(builder, value), size)


def push_batch(program: Program, size: int, inputs, batched):
    """Record the batched program in the current builder: its outputs, and which are batched."""
    env = dict(zip(program.inputs, inputs, strict=True))
    marked = {v for v, is_batched in zip(program.inputs, batched, strict=True) if is_batched}
    with np.errstate(all="ignore"):
        for equation in program.equations:
            _push_equation(equation, size, env, marked)
    outputs = [o.value if o.is_literal else env[o] for o in program.outputs]
    return outputs, [not o.is_literal and o in marked for o in program.outputs]


def _push_equation(equation: Equation, size: int, env: dict, marked: set) -> None:
    builder = current()
    assert builder is not None
    builder.line = equation.line
    mask = tuple([not x.is_literal and x in marked for x in equation.inputs])
    if not any(mask):
        copy_equation(builder, equation, env)
        return
    inputs = [x.value if x.is_literal else env[x] for x in equation.inputs]
    op, params = equation.op, equation.params
    if op.elementwise:
        outputs: tuple = (op(*_same_axes(inputs, mask, size), **params),)
        marks: tuple = (True,)
    elif isinstance(op.derivative, Structural):
        outputs, marks = op.batch(equation, size, inputs, mask, _inner_batch)
    elif op.batch is None:
        raise errors.NotSupported(f"{op.name} cannot be batched, at {equation.where}.")
    else:
        outputs = op.batch(size, inputs, mask, **params)
        outputs = outputs if isinstance(outputs, tuple) else (outputs,)
        marks = (True,) * len(outputs)
    for var, value, mark in zip(equation.outputs, outputs, marks, strict=True):
        env[var] = value
        suggest_name(value, var.name)
        if mark:
            marked.add(var)


def _same_axes(inputs, mask, size: int) -> list:
    """Elementwise inputs with a batch axis each, except literals: these stand for filled arrays."""
    shapes = [np.shape(x)[m:] for x, m in zip(inputs, mask, strict=True)]
    full = (size, *max(shapes, key=len))
    return [
        x if np.shape(x) == full or _is_literal(x) else _over_lanes(x, full, m)
        for x, m in zip(inputs, mask, strict=True)
    ]


def _is_literal(x) -> bool:
    return type(x) is not Traced or x._var.is_literal


def _over_lanes(x, full: tuple[int, ...], is_batched: bool):
    """An array without lanes, or one scalar for each lane, repeated to the full shape."""
    axes = (0,) if is_batched else tuple(range(1, len(full)))
    return broadcast(x, shape=full, axes=axes)
