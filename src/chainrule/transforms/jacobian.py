"""Jacobians: all directions pushed forward, or all cotangents pulled back, in one batched pass.

The function is linearised once; the linear half (or its transpose) is batched over the rows of an
identity matrix. The cheaper of the two is predicted from the flops of both halves.

Complex numbers: a real output has the gradient by a complex input, df/da + i df/db for z = a + i b
(as `grad` does); a complex output has the complex derivative, by a complex input only where the
function is holomorphic. A block has the argument's precision.
"""

from __future__ import annotations

import numpy as np

from chainrule import errors
from chainrule.ops.compare import equal
from chainrule.ops.elementwise import conj, join, multiply
from chainrule.ops.index import index
from chainrule.ops.select import cast
from chainrule.ops.shape import broadcast, iota, move_axis, reshape, zeros_of
from chainrule.program.cost import subprograms
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
        _check_holomorphic(linear, in_types)
        build = _by_columns if mode == "forward" else _by_rows
        blocks = build(linear if mode == "forward" else pull, fixed, in_types, linear.out_types)
        made = iter(blocks)
        results = list(kept)
        for i in range(count):
            out = program.outputs[i].type
            for t in in_types:
                block = _block_type(out, t)
                results.append(_as(next(made), block) if moves[i] else zeros_of(block))
        done = builder.finish([operand(builder, traced_of(builder, v)) for v in results])
    return remove_dead(done)


def _first_outputs(program: Program, count: int) -> Program:
    cut = Program(program.inputs, program.equations, program.outputs[:count], name=program.name)
    return remove_dead(cut)


def _price(program: Program) -> int:
    cost = program.cost()
    return 1 + cost.flops + (cost.bytes_read + cost.bytes_written) // 8


def _is_complex(t: Type) -> bool:
    return t.dtype.kind == "c"


def _block_type(out: Type, in_: Type) -> Type:
    dtype = np.result_type(in_.dtype, np.complex64) if _is_complex(out) else in_.dtype
    return in_.with_shape(out.shape + in_.shape).with_dtype(dtype)


def _as(block, wanted: Type):
    return block if block.dtype == wanted.dtype else cast(block, dtype=wanted.dtype)


def _check_holomorphic(linear: Program, in_types) -> None:
    """Refuse complex outputs of complex inputs where a conjugate stands between the two."""
    complex_outputs = [o for o in linear.outputs if _is_complex(o.type)]
    if not complex_outputs or not any(map(_is_complex, in_types)):
        return
    part = remove_dead(Program(linear.inputs, linear.equations, complex_outputs))
    moving = {v for v in part.inputs[len(part.inputs) - len(in_types) :] if _is_complex(v.type)}
    for equation in part.equations:
        if not any(x in moving for x in equation.inputs if not x.is_literal):
            continue
        moving.update(equation.outputs)
        if not _is_complex_linear(equation):
            raise errors.NotDifferentiable(
                f"{linear.name} has no complex derivative: {equation.op.name}, at "
                f"{equation.where}, is not holomorphic.\n"
                "  Differentiate with respect to real and imaginary parts, or use jvp or vjp."
            )


def _is_complex_linear(equation) -> bool:
    """Whether i passes through: not through a conjugate, nor where complex values are split."""
    if equation.op.name in ("conjugate", "real", "imag"):
        return False
    inner = [e for _, program in subprograms(equation) for e in program.equations]
    if inner:
        return all(map(_is_complex_linear, inner))
    return all(_is_complex(v.type) for v in equation.outputs)


def identity_blocks(types, size: int, unit: complex = 1) -> list:
    """Rows of the identity matrix of `size`, cut into blocks of shape (size, *type.shape).

    Blocks of complex types are multiplied by `unit`.
    """
    blocks, start = [], 0
    for t in types:
        rows = broadcast(iota(size=size, dtype=np.dtype(np.int64)), shape=(size, t.size), axes=(0,))
        columns = iota(size=t.size, dtype=np.dtype(np.int64)) + start
        columns = broadcast(columns, shape=(size, t.size), axes=(1,))
        block = cast(equal(rows, columns), dtype=t.dtype)
        if unit != 1 and _is_complex(t):
            block = multiply(t.dtype.type(unit), block)
        blocks.append(reshape(block, shape=(size, *t.shape)))
        start += t.size
    return blocks


def _batched(program: Program, fixed, types, unit: complex = 1) -> list:
    size = sum(t.size for t in types)
    mask = (False,) * len(fixed) + (True,) * len(types)
    wide, _ = batch(program, size, mask, (True,) * len(program.outputs))
    return inline(wide, [*fixed, *identity_blocks(types, size, unit)])


def _by_columns(linear: Program, fixed, in_types, out_types) -> list:
    """Blocks out + in, from one tangent for each input element (leading axis of the results)."""
    found = _batched(linear, fixed, in_types)
    both = any(map(_is_complex, in_types)) and not all(map(_is_complex, out_types))
    turned = _batched(linear, fixed, in_types, 1j) if both else found
    blocks = []
    for value, other, out in zip(found, turned, out_types, strict=True):
        start = 0
        for t in in_types:
            part = _column_part(value, out, t, start)
            if _is_complex(t) and not _is_complex(out):
                part = join(part, _column_part(other, out, t, start))  # df/da + i df/db
            blocks.append(part)
            start += t.size
    return blocks


def _column_part(value, out: Type, in_: Type, start: int):
    last = move_axis(value, 0, len(out.shape))
    part = _cut(last, len(out.shape), start, in_.size)
    return reshape(part, shape=out.shape + in_.shape)


def _by_rows(pull: Program, fixed, in_types, out_types) -> list:
    """Blocks out + in, from one cotangent for each output element (leading axis)."""
    found = _batched(pull, fixed, out_types)
    both = any(map(_is_complex, out_types)) and not all(map(_is_complex, in_types))
    turned = _batched(pull, fixed, out_types, 1j) if both else found
    blocks, start = [], 0
    for out in out_types:
        for value, other, t in zip(found, turned, in_types, strict=True):
            part = _row_part(value, out, t, start)
            if _is_complex(out) and not _is_complex(t):
                part = join(part, _row_part(other, out, t, start))  # Re J + i Im J
            elif _is_complex(out):
                part = conj(part)  # the adjoint is the conjugate of J, transposed
            blocks.append(part)
        start += out.size
    return blocks


def _row_part(value, out: Type, in_: Type, start: int):
    return reshape(_cut(value, 0, start, out.size), shape=out.shape + in_.shape)


def _cut(x, axis: int, start: int, size: int):
    at = tuple(
        (start, start + size, 1) if a == axis else (0, n, 1) for a, n in enumerate(x.shape)
    )
    return index(x, at=at)
