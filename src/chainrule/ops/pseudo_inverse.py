"""Pseudo-inverses and least squares of stacks of matrices.

Value     LAPACK through numpy.linalg.
Slope     the formula for matrices of constant rank, right for deficient rank too: with P = A^+,
          dP = -P dA P + P P^H dA^H (1 - A P) + (1 - P A) dA^H P^H P, and d(A^+ b) = dP b + P db.
Edges     a pseudo-inverse jumps where the rank changes; the slope is taken along matrices of the
          same rank.
Source    Golub and Pereyra, "The differentiation of pseudo-inverses and nonlinear least squares
          problems whose variables separate", SIAM J. Numer. Anal. 10 (1973), eq. 4.12.
"""

import numpy as np

from chainrule import errors
from chainrule.ops.matrices import adjoint, batch_all, product
from chainrule.ops.spectral import singular_values_tangent
from chainrule.program.op import Forward, Op
from chainrule.program.types import Type, array_type


def _pinv_type(a: Type, *, rcond) -> tuple[Type, ...]:
    if a.ndim < 2:
        raise errors.ShapeError(f"pinv needs matrices, got {a}.")
    *lead, m, n = a.shape
    return (a.with_shape((*lead, n, m)),)


def _pinv_tangent(inputs, outputs, tangents, *, rcond):
    """-P dA P  +  P P^H dA^H (1 - A P)  +  (1 - P A) dA^H P^H P"""
    (a,), (p,), (da,) = inputs, outputs, tangents
    moved, ph = adjoint(da), adjoint(p)
    first = product(p, product(da, p))
    second = product(p, product(ph, moved))
    second = second - product(product(second, a), p)
    third = product(moved, product(ph, p))
    third = third - product(p, product(a, third))
    return second + third - first


def _svd_flops(ins, outs, params) -> int:
    return 20 * min(ins[0].shape[-2:]) * ins[0].size


pinv: Op = Op(
    "pinv", _pinv_type,
    lambda a, *, rcond: np.linalg.pinv(a, rcond=rcond).astype(a.dtype, copy=False),
    Forward(_pinv_tangent), batch_all(lambda: pinv), flops=_svd_flops,
    doc="the pseudo-inverses; singular values up to `rcond` times the largest count as 0",
)  # fmt: skip


def _lstsq_type(a: Type, b: Type, *, rcond) -> tuple[Type, ...]:
    if a.ndim < 2 or a.dtype != b.dtype or a.shape[:-1] != b.shape[:-1]:
        raise errors.ShapeError(f"lstsq: {a} and {b} do not form stacks of linear systems.")
    *lead, m, n = a.shape
    real = np.dtype(a.dtype.char.lower())
    return (
        b.with_shape((*lead, n, b.shape[-1])),
        array_type(tuple(lead), np.dtype(np.int32)),
        array_type((*lead, min(m, n)), real),
    )


def _lstsq(a, b, *, rcond):
    if a.ndim > 2:
        parts = [_lstsq(x, y, rcond=rcond) for x, y in zip(a, b, strict=True)]
        types = _lstsq_type(array_type(a.shape, a.dtype), array_type(b.shape, b.dtype), rcond=rcond)
        return tuple(
            np.array([p[i] for p in parts], t.dtype).reshape(t.shape) for i, t in enumerate(types)
        )
    x, _, rank, s = np.linalg.lstsq(a, b, rcond=rcond)
    return x, np.int32(rank), s


def _lstsq_tangent(inputs, outputs, tangents, *, rcond):
    """dP b + P db, with A^+ b = x in dP b: P^H stands only beside b - A x and x."""
    (a, b), (x, _, _), (da, db) = inputs, outputs, tangents
    p = pinv(a, rcond=rcond)
    if da is None:
        return product(p, db), None, None
    moved, ph = adjoint(da), adjoint(p)
    dx = product(p, product(ph, product(moved, b - product(a, x)))) - product(p, product(da, x))
    along = product(moved, product(ph, x))
    dx = dx + along - product(p, product(a, along))
    if db is not None:
        dx = dx + product(p, db)
    return dx, None, singular_values_tangent(a, da)


lstsq: Op = Op(
    "lstsq", _lstsq_type, _lstsq, Forward(_lstsq_tangent), batch_all(lambda: lstsq),
    flops=_svd_flops,
    doc="the x of least norm that minimises |a x - b|, the rank of a, and its singular values",
)  # fmt: skip
