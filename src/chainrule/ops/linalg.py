"""Linear systems, inverses and determinants of stacks of square matrices.

Value     LAPACK through numpy.linalg (triangular systems: through scipy.linalg); a singular matrix
          raises LinAlgError as in NumPy.
Slope     d(A^-1 b) = A^-1 (db - dA x);   d(A^-1) = -A^-1 dA A^-1;
          d det A = tr(adj(A) dA), for singular matrices too;   d log|det A| = Re tr(A^-1 dA);
          the sign of a real determinant has slope 0.
Edges     where log|det A| is -inf its slope is infinite, and an exact zero annihilates it.
Source    Giles, "Collected matrix derivative results for forward and reverse mode algorithmic
          differentiation", 2008, sections 2.2.3, 2.2.4 and 2.2.1.
"""

from importlib import import_module

import numpy as np

from chainrule import errors
from chainrule.ops.elementwise import real, scale
from chainrule.ops.matrices import (
    adjoint,
    batch_all,
    only_diagonal,
    product,
    strictly_lower,
    strictly_upper,
    transposed,
    without_real,
)
from chainrule.ops.matrix_functions import adjugate
from chainrule.ops.shape import move_axis, reshape, sum_
from chainrule.program.op import Forward, Linear, Op
from chainrule.program.types import Type


def check_square(name: str, a: Type) -> None:
    """Raise ShapeError unless `a` is a stack of square matrices."""
    if a.ndim < 2 or a.shape[-1] != a.shape[-2]:
        raise errors.ShapeError(f"{name} needs square matrices, got {a}.")


def _system_type(name: str):
    def rule(a: Type, b: Type, **params) -> tuple[Type, ...]:
        check_square(name, a)
        if a.dtype != b.dtype or a.shape[:-1] != b.shape[:-1]:
            raise errors.ShapeError(f"{name}: {a} and {b} do not form stacks of linear systems.")
        return (b,)

    return rule


def _columns_batch(op):
    """Right sides that share a matrix become columns: the matrix is factorised once."""
    whole = batch_all(op)

    def rule(size, inputs, batched, **params):
        if batched[0]:
            return whole(size, inputs, batched, **params)
        a, b = inputs
        wide = move_axis(b, 0, b.ndim - 1)  # (..., n, k, size)
        flat = reshape(wide, shape=(*wide.shape[:-2], wide.shape[-2] * size))
        out = reshape(op()(a, flat, **params), shape=wide.shape)
        return move_axis(out, b.ndim - 1, 0)

    return rule


def _solve_flops(ins, outs, params) -> int:
    n = ins[0].shape[-1]
    return 2 * n * ins[0].size // 3 + 2 * n * outs[0].size


def infinite_where_singular(solver, a, b):
    """solver(a, b); a singular matrix gives inf, and exactly 0 for a right side that is 0."""
    try:
        return solver(a, b)
    except np.linalg.LinAlgError:
        if a.ndim > 2:
            pairs = zip(a, b, strict=True)
            return np.stack([infinite_where_singular(solver, x, y) for x, y in pairs])
        moved = (b != 0).any(axis=-2, keepdims=True)
        return np.broadcast_to(np.where(moved, b.dtype.type(np.inf), 0), b.shape)


def _solve(a, b, *, adjoint, raises):
    a = np.conj(np.swapaxes(a, -1, -2)) if adjoint else a
    if raises:
        return np.linalg.solve(a, b).astype(b.dtype, copy=False)
    return infinite_where_singular(np.linalg.solve, a, b).astype(b.dtype, copy=False)


def _solve_tangent(inputs, outputs, tangents, *, adjoint, raises):
    (a, _), (x,), (da, _) = inputs, outputs, tangents
    moved = product(_adjoint_if(adjoint, da), x)
    return -solve(a, moved, adjoint=adjoint, raises=raises)


def _adjoint_if(wanted: bool, a):
    return adjoint(a) if wanted else a


def _solve_transpose(ct, a, b, *, adjoint, raises):
    return None, solve(a, ct, adjoint=not adjoint, raises=raises)


solve: Op = Op(
    "solve", _system_type("solve"), _solve,
    Linear(_solve_transpose, positions=(1,), forward=_solve_tangent),
    _columns_batch(lambda: solve), flops=_solve_flops,
    raises=True,
    doc="x with a @ x = b, or a^H @ x = b where `adjoint`; b has columns; with `raises` False a "
    "singular matrix gives inf (and 0 for b = 0) instead of an error",
)  # fmt: skip


# --- triangular systems -------------------------------------------------------------------------


def _solve_triangular_one(a, b, lower: bool, adjoint: bool, unit: bool):
    solver = import_module("scipy.linalg").solve_triangular
    return solver(
        a, b, lower=lower, trans="C" if adjoint else "N", unit_diagonal=unit, check_finite=False
    )


def _triangular_solve(a, b, *, lower, adjoint, unit_diagonal, raises):
    def solver(x, y):
        if x.ndim == 2:
            return _solve_triangular_one(x, y, lower, adjoint, unit_diagonal)
        return np.stack([solver(*pair) for pair in zip(x, y, strict=True)])

    if not b.size:
        return np.array(b)
    out = solver(a, b) if raises else infinite_where_singular(solver, a, b)
    return out.astype(b.dtype, copy=False)


def _triangle(a, lower: bool, unit_diagonal: bool):
    """The part of a tangent that a triangular solve reads."""
    strict = strictly_lower(a) if lower else strictly_upper(a)
    return strict if unit_diagonal else strict + only_diagonal(a)


def _triangular_tangent(inputs, outputs, tangents, **params):
    (a, _), (x,), (da, _) = inputs, outputs, tangents
    moved = _triangle(da, params["lower"], params["unit_diagonal"])
    return -triangular_solve(a, product(_adjoint_if(params["adjoint"], moved), x), **params)


def _triangular_transpose(ct, a, b, *, adjoint, **params):
    return None, triangular_solve(a, ct, adjoint=not adjoint, **params)


triangular_solve: Op = Op(
    "triangular_solve", _system_type("triangular_solve"), _triangular_solve,
    Linear(_triangular_transpose, positions=(1,), forward=_triangular_tangent),
    _columns_batch(lambda: triangular_solve),
    flops=lambda ins, outs, params: ins[0].shape[-1] * outs[0].size,
    raises=True,
    doc="as `solve`, reading only the `lower` (or upper) triangle of a, with ones on its diagonal "
    "where `unit_diagonal`",
)  # fmt: skip


# --- inverse and determinants -------------------------------------------------------------------


def _square_type(name: str):
    def rule(a: Type, **params) -> tuple[Type, ...]:
        check_square(name, a)
        return (a,)

    return rule


def _inverse(a, *, raises):
    if raises:
        return np.linalg.inv(a)
    one = np.broadcast_to(np.eye(a.shape[-1], dtype=a.dtype), a.shape)
    return infinite_where_singular(lambda x, y: np.linalg.inv(x), a, one)


def _inverse_tangent(inputs, outputs, tangents, *, raises):
    (x,), (da,) = outputs, tangents
    return -product(product(x, da), x)


inv: Op = Op(
    "inv", _square_type("inv"), _inverse, Forward(_inverse_tangent), batch_all(lambda: inv),
    flops=lambda ins, outs, params: 2 * ins[0].shape[-1] * ins[0].size,
    raises=True, doc="the inverse matrices; with `raises` False a singular matrix gives inf",
)  # fmt: skip


def _det_type(a: Type) -> tuple[Type, ...]:
    check_square("det", a)
    return (a.with_shape(a.shape[:-2]),)


def trace_of_product(x, y):
    """tr(x y) of stacks of matrices; an exact zero in y annihilates an infinite x."""
    return sum_(scale(transposed(x), y), axes=(y.ndim - 2, y.ndim - 1))


def _det_tangent(inputs, outputs, tangents):
    (a,), (da,) = inputs, tangents
    return trace_of_product(adjugate(a), da)


def _factor_flops(ins, outs, params) -> int:
    return 2 * ins[0].shape[-1] * ins[0].size // 3


det: Op = Op(
    "det", _det_type, np.linalg.det, Forward(_det_tangent), batch_all(lambda: det),
    flops=_factor_flops, doc="the determinants",
)  # fmt: skip


def _slogdet_type(a: Type) -> tuple[Type, ...]:
    (out,) = _det_type(a)
    return out, out.with_dtype(out.dtype.char.lower())


def _slogdet_tangent(inputs, outputs, tangents):
    (a,), (sign, _), (da,) = inputs, outputs, tangents
    moved = trace_of_product(inv(a, raises=False), da)
    if a.dtype.kind != "c":
        return None, moved
    return scale(sign, without_real(moved)), real(moved)


slogdet: Op = Op(
    "slogdet", _slogdet_type, lambda a: tuple(np.linalg.slogdet(a)), Forward(_slogdet_tangent),
    batch_all(lambda: slogdet), flops=_factor_flops,
    doc="the sign (or phase) and the logarithm of the magnitude of the determinants",
)  # fmt: skip
