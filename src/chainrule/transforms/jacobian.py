"""Jacobians: all directions pushed forward, or all cotangents pulled back, in one batched pass.

The function is linearised once; the linear half (or its transpose) is batched over the rows of an
identity matrix. The cheaper of the two is predicted from the flops of both halves.
"""

from __future__ import annotations

import numpy as np

from chainrule.ops.compare import equal
from chainrule.ops.index import index
from chainrule.ops.select import cast
from chainrule.ops.shape import broadcast, iota, move_axis, reshape, zeros_of
from chainrule.program.liveness import remove_dead
from chainrule.program.program import Program
from chainrule.program.trace import Builder, inline, operand
from chainrule.program.types import Type
from chainrule.transforms.batch import batch
from chainrule.transforms.forward import forward, traced_of
from chainrule.transforms.reverse import split_program, transpose_program


def jacobian_program(program: Program, active, count: int, mode: str) -> Program:
    """The program followed by d output_i / d input_j for its first `count` outputs (i major)."""
    flat, moves = forward(program, active)
    inputs, outputs = len(program.inputs), len(program.outputs)
    mask = (False,) * inputs + (True,) * (len(flat.inputs) - inputs)
    known, linear, _, residuals = split_program(flat, mask)
    linear = _first_outputs(linear, sum(moves[:count]))
    pull = transpose_program(linear, len(residuals))
    n_in = sum(v.type.size for v in flat.inputs[inputs:])
    n_out = sum(o.type.size for o in linear.outputs)
    if mode == "auto":
        mode = "forward" if n_in * _price(linear) <= n_out * _price(pull) else "reverse"
    with Builder(program.name, reuse=True) as builder:
        builder.lines_from_user = False
        primals = [builder.input(v.type, v.name) for v in program.inputs]
        values = inline(known, primals)
        kept, fixed = values[:outputs], values[outputs:]
        in_types = [v.type for v in flat.inputs[inputs:]]
        build = _by_columns if mode == "forward" else _by_rows
        blocks = build(linear if mode == "forward" else pull, fixed, in_types, linear.out_types)
        made = iter(blocks)
        results = list(kept)
        for i in range(count):
            out = program.outputs[i].type
            for t in in_types:
                results.append(next(made) if moves[i] else _zero_block(out, t))
        done = builder.finish([operand(builder, traced_of(builder, v)) for v in results])
    return remove_dead(done)


def _first_outputs(program: Program, count: int) -> Program:
    cut = Program(program.inputs, program.equations, program.outputs[:count], name=program.name)
    return remove_dead(cut)


def _price(program: Program) -> int:
    cost = program.cost()
    return 1 + cost.flops + (cost.bytes_read + cost.bytes_written) // 8


def _zero_block(out: Type, in_: Type):
    return zeros_of(in_.with_shape(out.shape + in_.shape))


def identity_blocks(types, size: int) -> list:
    """Rows of the identity matrix of `size`, cut into blocks of shape (size, *type.shape)."""
    blocks, start = [], 0
    for t in types:
        rows = broadcast(iota(size=size, dtype=np.dtype(np.int64)), shape=(size, t.size), axes=(0,))
        columns = iota(size=t.size, dtype=np.dtype(np.int64)) + start
        columns = broadcast(columns, shape=(size, t.size), axes=(1,))
        block = cast(equal(rows, columns), dtype=t.dtype)
        blocks.append(reshape(block, shape=(size, *t.shape)))
        start += t.size
    return blocks


def _batched(program: Program, fixed, types) -> list:
    size = sum(t.size for t in types)
    mask = (False,) * len(fixed) + (True,) * len(types)
    wide, _ = batch(program, size, mask, (True,) * len(program.outputs))
    return inline(wide, [*fixed, *identity_blocks(types, size)])


def _by_columns(linear: Program, fixed, in_types, out_types) -> list:
    """Blocks out + in, from one tangent for each input element (leading axis of the results)."""
    found = _batched(linear, fixed, in_types)
    blocks = []
    for value, out in zip(found, out_types, strict=True):
        start = 0
        last = move_axis(value, 0, len(out.shape))
        for t in in_types:
            part = _cut(last, len(out.shape), start, t.size)
            blocks.append(reshape(part, shape=out.shape + t.shape))
            start += t.size
    return blocks


def _by_rows(pull: Program, fixed, in_types, out_types) -> list:
    """Blocks out + in, from one cotangent for each output element (leading axis)."""
    found = _batched(pull, fixed, out_types)
    blocks, start = [], 0
    for out in out_types:
        for value, t in zip(found, in_types, strict=True):
            blocks.append(reshape(_cut(value, 0, start, out.size), shape=out.shape + t.shape))
        start += out.size
    return blocks


def _cut(x, axis: int, start: int, size: int):
    at = tuple(
        (start, start + size, 1) if a == axis else (0, n, 1) for a, n in enumerate(x.shape)
    )
    return index(x, at=at)
