"""Jacobians: all directions pushed forward, or all cotangents pulled back, in one batched pass.

The function is linearised once; the linear half (or its transpose) is batched over the rows of an
identity matrix. Mixed mode cuts the linear half at its narrowest place of k numbers, pulls k
cotangents back from there, pushes k tangents forward, and multiplies. The cheapest of the three is
predicted from the flops and bytes of the parts, for all outputs together or for each.

Complex numbers: a real output has the gradient by a complex input, df/da + i df/db for z = a + i b
(as `grad` does); a complex output has the complex derivative, by a complex input only where the
function is holomorphic. A block has the argument's precision.
"""

from __future__ import annotations

from dataclasses import dataclass

import numpy as np

from chainrule import errors
from chainrule.ops.compare import equal, isnan
from chainrule.ops.cond import cond_op
from chainrule.ops.contract import contract
from chainrule.ops.control import as_tuple, closed_program
from chainrule.ops.elementwise import add, conj, join, multiply, scale
from chainrule.ops.index import index
from chainrule.ops.join import concatenate
from chainrule.ops.reduce import any_
from chainrule.ops.scan import scan_op
from chainrule.ops.select import cast
from chainrule.ops.shape import broadcast, iota, move_axis, reshape, zeros_of
from chainrule.program.cost import subprograms
from chainrule.program.liveness import remove_dead
from chainrule.program.program import Program
from chainrule.program.trace import Builder, inline, operand
from chainrule.program.types import Type
from chainrule.transforms.batch import batch
from chainrule.transforms.forward import forward, traced_of
from chainrule.transforms.narrowest import narrowest, numbers, parted
from chainrule.transforms.reverse import split_program, transpose_program


def jacobian_program(program: Program, active, count: int, mode: str) -> Program:
    """The program followed by d output_i / d input_j for its first `count` outputs (i major)."""
    known, linear, moves, n = linearised(program, active, count)
    outputs, in_types = len(program.outputs), [v.type for v in linear.inputs[n:]]
    with Builder(program.name, reuse=True) as builder:
        builder.lines_from_user = False
        primals = [builder.input(v.type, v.name) for v in program.inputs]
        values = inline(known, primals)
        kept, fixed = values[:outputs], values[outputs:]
        _check_holomorphic(linear, in_types)
        blocks: dict[int, list] = {}  # by output of the linear half
        for way in ways(linear, n, mode):
            found = iter(_BLOCKS[way.mode](way, fixed, in_types))
            blocks.update({i: [next(found) for _ in in_types] for i in way.outputs})
        made = iter([blocks[i] for i in sorted(blocks)])
        results = list(kept)
        for i in range(count):
            out = program.outputs[i].type
            row = next(made) if moves[i] else [None] * len(in_types)
            for block, t in zip(row, in_types, strict=True):
                wanted = _block_type(out, t)
                results.append(zeros_of(wanted) if block is None else _as(block, wanted))
        done = builder.finish([operand(builder, traced_of(builder, v)) for v in results])
    return remove_dead(done)


def linearised(program: Program, active, count: int):
    """The known half, the linear half for the first `count` outputs, which outputs move, and how
    many residuals the linear half begins with."""
    flat, moves = forward(program, active)
    inputs = len(program.inputs)
    mask = (False,) * inputs + (True,) * (len(flat.inputs) - inputs)
    known, linear, _, residuals = split_program(flat, mask)
    return known, _first_outputs(linear, sum(moves[:count])), moves, len(residuals)


def passes(program: Program, active, count: int, mode: str) -> tuple[int, int]:
    """How many tangents and how many cotangents `jacobian_program` propagates."""
    _, linear, _, n = linearised(program, active, count)
    found = ways(linear, n, mode)
    return sum(way.forward for way in found), sum(way.reverse for way in found)


# --- which way is cheapest ------------------------------------------------------------------------


@dataclass(frozen=True)
class Way:
    """One way to a Jacobian's rows for some outputs, and what it is predicted to cost.

    `first` is run backwards, `reverse` cotangents at once; `second` forwards, with `forward`
    tangents; where both are, their results are multiplied.
    """

    mode: str
    outputs: tuple[int, ...]
    residuals: int
    first: Program | None
    second: Program | None
    forward: int
    reverse: int
    price: int


def ways(linear: Program, residuals: int, mode: str) -> list[Way]:
    """The cheapest way to all outputs together, or ways to each of them where these cost less."""
    everything = tuple(range(len(linear.outputs)))
    together = _way(linear, residuals, everything, mode)
    several = 1 < len(everything) <= _APART and len(linear.equations) <= _EQUATIONS
    if mode in ("forward", "reverse") or not several:
        return [together]
    apart = [_way(_only(linear, i), residuals, (i,), mode) for i in everything]
    return apart if sum(w.price for w in apart) < together.price else [together]


_APART = 16  # outputs; more are not looked at one by one,
_EQUATIONS = 4_000  # nor those of longer programs: each is transposed


def _only(linear: Program, i: int) -> Program:
    alone = [linear.outputs[i]]
    return remove_dead(Program(linear.inputs, linear.equations, alone, name=linear.name))


def _way(linear: Program, residuals: int, outputs, mode: str) -> Way:
    n_in = sum(v.type.size for v in linear.inputs[residuals:])
    n_out = sum(o.type.size for o in linear.outputs)
    found = []
    if mode != "reverse":
        cost = n_in * price(linear)
        found.append(Way("forward", outputs, residuals, None, linear, n_in, 0, cost))
    if mode != "forward":
        pull = transpose_program(linear, residuals)
        cost = n_out * price(pull)
        found.append(Way("reverse", outputs, residuals, linear, None, 0, n_out, cost))
    if mode in ("auto", "mixed"):
        cut = None if _has_complex(linear, residuals) else narrowest(linear, residuals)
        if cut is not None:
            found.append(_cut_way(linear, residuals, outputs, cut, n_in * n_out))
    if mode == "mixed":
        found = found[2:] or found
    return min(found, key=lambda way: way.price)


def _cut_way(linear: Program, residuals: int, outputs, cut, entries: int) -> Way:
    first, second = parted(linear, residuals, cut)
    width = numbers(v.type for v in cut)
    parts = price(transpose_program(first, residuals)) + price(second)
    cost = width * parts + entries * (1 + width // 4)  # products of matrices are the fastest flops
    return Way("mixed", outputs, residuals, first, second, width, width, cost)


def _has_complex(linear: Program, residuals: int) -> bool:
    return any(_is_complex(v.type) for v in (*linear.inputs[residuals:], *linear.outputs))


def _first_outputs(program: Program, count: int) -> Program:
    cut = Program(program.inputs, program.equations, program.outputs[:count], name=program.name)
    return remove_dead(cut)


def price(program: Program) -> int:
    """What one run of a program is predicted to take: its flops, and its bytes moved by eights."""
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


def _by_columns(way: Way, fixed, in_types) -> list:
    """Blocks out + in, from one tangent for each input element (leading axis of the results)."""
    linear = way.second
    assert linear is not None
    out_types = linear.out_types
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


def _by_rows(way: Way, fixed, in_types) -> list:
    """Blocks out + in, from one cotangent for each output element (leading axis)."""
    assert way.first is not None
    out_types, pull = way.first.out_types, transpose_program(way.first, way.residuals)
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


def _by_parts(way: Way, fixed, in_types) -> list:
    """Blocks out + in: d out / d cut, by tangents, times d cut / d in, by cotangents."""
    first, second = way.first, way.second
    assert first is not None and second is not None
    cut_types = first.out_types
    pull = transpose_program(first, way.residuals)
    pulled = _batched(pull, fixed, cut_types)  # (k, *in)
    pushed = _batched(second, fixed, cut_types)  # (k, *out)
    if any(map(_is_complex, cut_types)):  # between real ends imaginary parts move on their own
        pulled = _with_imaginary(pulled, _batched(pull, fixed, cut_types, 1j), cut_types)
        pushed = _with_imaginary(pushed, _batched(second, fixed, cut_types, 1j), cut_types)
    return [_product(b, a) for b in pushed for a in pulled]


def _with_imaginary(rows, turned, types) -> list:
    """Rows, and below them those of `turned` that are of complex types."""
    starts = np.cumsum([0] + [t.size for t in types])
    places = [(int(s), t.size) for s, t in zip(starts, types, strict=False) if _is_complex(t)]
    return [
        concatenate(row, *(_cut(other, 0, *place) for place in places), axis=0)
        for row, other in zip(rows, turned, strict=True)
    ]


def _product(b, a):
    """The sum over the leading axis of b times a, in which an exact zero annihilates an infinity.

    The fast product gives nan for 0 * inf; only where there is a nan is it done entry by entry.
    """
    dtype = np.result_type(b.dtype, a.dtype)
    b, a = (x if x.dtype == dtype else cast(x, dtype=dtype) for x in (b, a))
    plain = contract(b, a, axes=((0,), (0,)), batch=((), ()))
    types = [b.type, a.type, plain.type]
    found = any_(isnan(plain), axes=tuple(range(plain.ndim)))
    branches = [closed_program("product", types, rule)[0] for rule in (_exact_product, _kept)]
    return as_tuple(cond_op(found, b, a, plain, branches=tuple(branches)))[0]


def _kept(b, a, plain) -> list:
    return [plain]


def _exact_product(b, a, plain) -> list:
    def step(total, row, column):
        split = row.ndim
        rows = broadcast(row, shape=total.shape, axes=tuple(range(split)))
        columns = broadcast(column, shape=total.shape, axes=tuple(range(split, total.ndim)))
        return [add(total, scale(rows, columns))]

    start = zeros_of(plain.type)
    rows = [t.type.with_shape(t.shape[1:]) for t in (b, a)]
    body, _ = closed_program("lane", [start.type, *rows], step)
    made = scan_op(start, b, a, body=body, constants=0, carries=1, length=b.shape[0], reverse=False)
    return [as_tuple(made)[0]]


_BLOCKS = {"forward": _by_columns, "reverse": _by_rows, "mixed": _by_parts}
