"""The equations of an implicit function as programs: residual, Jacobian, and its linear half.

    residual    [a, x] -> F, flat: f, f - x, or the gradient of f by x
    jacobian    [a, x] -> dF/dx as a matrix
    matvec      known    [a, x] -> what the linear half reads
                linear   [residuals, v] -> dF/dx v, and its transpose
                moved    [residuals, v, their tangents] -> how dF/dx v moves; for both
"""

from __future__ import annotations

from collections.abc import Callable, Sequence
from dataclasses import dataclass

import numpy as np

from chainrule import errors
from chainrule.ops.elementwise import subtract
from chainrule.ops.index import index
from chainrule.ops.join import concatenate
from chainrule.ops.select import cast
from chainrule.ops.shape import reshape, zeros_of
from chainrule.program.liveness import remove_dead
from chainrule.program.program import Program
from chainrule.program.trace import Builder, as_operand, inline, user_line
from chainrule.program.types import Type, array_type
from chainrule.transforms.forward import forward
from chainrule.transforms.jacobian import jacobian_program
from chainrule.transforms.reverse import reverse, split_program, transpose_program


@dataclass(frozen=True, eq=False)
class Equations:
    """F(a, x) = 0, of which the first `fixed` inputs are a. `matvec` is (known, linear, transpose,
    moved, moved transpose), or empty."""

    function: Program
    residual: Program
    jacobian: Program | None
    matvec: tuple[Program, ...]
    fixed: int


def equations_of(function: Program, kind: str, fixed: int, dense: bool, operator: bool):
    """The equations that the solution of a kind ("root", "fixed_point", "argmin") satisfies.

    With `dense` with the Jacobian; with `operator`, or where not dense, with the linear half.
    """
    residual = _RESIDUALS[kind](function, fixed)
    unknown = (False,) * fixed + (True,) * (len(function.inputs) - fixed)
    jacobian = _jacobian(residual, unknown) if dense else None
    matvec = _matvec(residual, unknown) if operator or not dense else ()
    return Equations(function, residual, jacobian, matvec, fixed)


def program_of(name: str, types: Sequence[Type], build: Callable) -> Program:
    """The program of a function of a rule that captures nothing."""
    with Builder(name, reuse=True) as builder:
        builder.lines_from_user = False
        builder.line = user_line()
        inputs = [builder.input(t) for t in types]
        return remove_dead(builder.finish([as_operand(builder, v) for v in build(*inputs)]))


# --- flat vectors ---------------------------------------------------------------------------------


def flat(values: Sequence, dtype=None):
    """Arrays as one vector of their common dtype (or the given one)."""
    dtype = np.result_type(*(v.dtype for v in values)) if dtype is None else dtype
    parts = [v if v.dtype == dtype else cast(v, dtype=dtype) for v in values]
    parts = [reshape(v, shape=(v.type.size,)) for v in parts]
    return parts[0] if len(parts) == 1 else concatenate(*parts, axis=0)


def leaves_of(vector, types: Sequence[Type]) -> list:
    """A vector cut into arrays of these types."""
    found, start = [], 0
    for t in types:
        part = reshape(index(vector, at=((start, start + t.size, 1),)), shape=t.shape)
        found.append(part if part.dtype == t.dtype else cast(part, dtype=t.dtype))
        start += t.size
    return found


# --- residuals ------------------------------------------------------------------------------------


def _root(function: Program, fixed: int) -> Program:
    dtype = np.result_type(*(v.type.dtype for v in function.inputs[fixed:]))
    return program_of(
        function.name, function.in_types,
        lambda *inputs: [flat(inline(function, list(inputs)), dtype)],
    )  # fmt: skip


def _fixed_point(function: Program, fixed: int) -> Program:
    moved = _root(function, fixed)
    return program_of(
        function.name, function.in_types,
        lambda *inputs: [subtract(inline(moved, list(inputs))[0], flat(inputs[fixed:]))],
    )  # fmt: skip


def _gradient(function: Program, fixed: int) -> Program:
    unknown = (False,) * fixed + (True,) * (len(function.inputs) - fixed)
    both, _ = reverse(function, unknown, seeds=(0,))
    slopes = remove_dead(Program(both.inputs, both.equations, both.outputs[1:], name=both.name))
    return _root(slopes, fixed)


_RESIDUALS: dict[str, Callable] = {
    "root": _root, "fixed_point": _fixed_point, "argmin": _gradient,
}  # fmt: skip

# --- their derivatives by x -----------------------------------------------------------------------


def _jacobian(residual: Program, unknown) -> Program:
    whole = jacobian_program(residual, unknown, 1, "auto")
    (size,) = residual.out_types[0].shape

    def build(*inputs):
        blocks = inline(whole, list(inputs))[1:]
        dtype = residual.out_types[0].dtype
        parts = [b if b.dtype == dtype else cast(b, dtype=dtype) for b in blocks]
        parts = [reshape(b, shape=(size, b.type.size // size if size else 0)) for b in parts]
        return [parts[0] if len(parts) == 1 else concatenate(*parts, axis=1)]

    return program_of(residual.name, residual.in_types, build)


def _matvec(residual: Program, unknown) -> tuple[Program, ...]:
    whole, moves = forward(residual, unknown)
    if not any(moves):
        raise errors.SingularJacobian(
            f"{residual.name} does not depend on its unknowns: there is nothing to solve for."
        )
    inputs = len(residual.inputs)
    mask = (False,) * inputs + (True,) * (len(whole.inputs) - inputs)
    known, half, _, residuals = split_program(whole, mask)
    known = remove_dead(Program(known.inputs, known.equations, known.outputs[1:], name=known.name))
    count, types = len(residuals), [v.type for v in half.inputs[len(residuals) :]]
    vector = residual.out_types[0]
    held = [v.type for v in half.inputs[:count]]
    back = transpose_program(half, count)
    linear = program_of(
        residual.name, [*held, vector],
        lambda *given: inline(half, [*given[:count], *leaves_of(given[count], types)]),
    )  # fmt: skip
    pull = program_of(
        residual.name, [*held, vector],
        lambda *given: [flat(inline(back, list(given)), vector.dtype)],
    )  # fmt: skip
    return known, linear, pull, _moved(linear, count), _moved(pull, count)


def _moved(linear: Program, count: int) -> Program:
    """[residuals, v, tangents of the inexact residuals] to how the product moves."""
    active = tuple(v.type.inexact for v in linear.inputs[:count]) + (False,)
    made, moves = forward(linear, active)
    out = made.outputs[1:] if any(moves) else ()
    if out:
        return remove_dead(Program(made.inputs, made.equations, out, name=linear.name))
    zero = array_type(linear.out_types[0].shape, linear.out_types[0].dtype)
    types = [v.type for v in made.inputs]
    return program_of(linear.name, types, lambda *given: [zeros_of(zero)])
