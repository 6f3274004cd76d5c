"""Cholesky and QR factors of stacks of matrices.

Value     LAPACK through numpy.linalg.
Slope     cholesky: dL = L Phi(L^-1 dA L^-H), Phi keeps the lower triangle and half the diagonal.
          qr: dR R1^-1 and Q^H dQ are the upper triangular and the skew part of Q^H dA R1^-1.
Edges     cholesky reads one triangle, as in NumPy: the cotangent lands on that triangle alone, and
          stands for both. Where R1, the leading square block of R, is singular, the slope of qr is
          infinite.
Source    Murray, "Differentiation of the Cholesky decomposition", arXiv:1602.07527, eq. 8; Walter
          and Lehmann, arXiv:1001.1654, section 3 (square and tall); wide and complete ones: ours.
"""

import numpy as np

from chainrule import errors
from chainrule.ops.compare import isfinite
from chainrule.ops.join import concatenate
from chainrule.ops.linalg import check_square, inv, triangular_solve
from chainrule.ops.matrices import (
    adjoint,
    batch_all,
    hermitian_from,
    on_diagonal,
    only_diagonal,
    part,
    product,
    strictly_lower,
    without_real,
    zero_of,
)
from chainrule.ops.reduce import all_
from chainrule.ops.select import select
from chainrule.ops.shape import broadcast
from chainrule.program.op import Forward, Op
from chainrule.program.types import Type

# --- cholesky -----------------------------------------------------------------------------------


def _cholesky_type(a: Type, *, upper) -> tuple[Type, ...]:
    check_square("cholesky", a)
    return (a,)


def _cholesky_tangent(inputs, outputs, tangents, *, upper):
    (out,), (da,) = outputs, tangents
    factor = adjoint(out) if upper else out
    moved = hermitian_from(da, lower=not upper)
    inside = _solve_left(factor, adjoint(_solve_left(factor, moved)))  # L^-1 dA L^-H, Hermitian
    d_factor = product(factor, strictly_lower(inside) + 0.5 * only_diagonal(inside))
    return adjoint(d_factor) if upper else d_factor


def _solve_left(factor, b):
    return triangular_solve(factor, b, lower=True, adjoint=False, unit_diagonal=False, raises=True)


cholesky: Op = Op(
    "cholesky", _cholesky_type, lambda a, *, upper: np.linalg.cholesky(a, upper=upper),
    Forward(_cholesky_tangent), batch_all(lambda: cholesky),
    flops=lambda ins, outs, params: ins[0].shape[-1] * ins[0].size // 3,
    raises=True,
    doc="the lower triangular L with a = L L^H, reading the lower triangle of a (`upper`: U with "
    "a = U^H U, reading the upper one)",
)  # fmt: skip


# --- qr -----------------------------------------------------------------------------------------


def _qr_type(a: Type, *, complete) -> tuple[Type, ...]:
    if a.ndim < 2:
        raise errors.ShapeError(f"qr needs matrices, got {a}.")
    *lead, m, n = a.shape
    k = m if complete else min(m, n)
    return a.with_shape((*lead, m, k)), a.with_shape((*lead, k, n))


def _qr(a, *, complete):
    return tuple(np.linalg.qr(a, "complete" if complete else "reduced"))


def _qr_tangent(inputs, outputs, tangents, *, complete):
    """With q1 the first n columns and r1 the leading square block of r, dA1 = dQ1 R1 + Q1 dR1.

    For wide matrices the remaining columns of r are Q^H A2.
    """
    (a,), (q, r), (da,) = inputs, outputs, tangents
    m, n = a.shape[-2:]
    k = min(m, n)
    if k == 0:
        return None, None
    q1, r1 = part(q, (0, m), (0, k)), part(r, (0, k), (0, k))
    d_lead = _divide_right(part(da, (0, m), (0, k)), r1)
    inside = product(adjoint(q1), d_lead)
    skew = _skew_part(inside)
    outside = d_lead - product(q1, inside)  # the part of dA1 R1^-1 orthogonal to q1's columns
    dq1 = product(q1, skew) + outside
    dr = product(inside - skew, r1)
    if n > m:
        rest, d_rest = part(a, (0, m), (k, n)), part(da, (0, m), (k, n))
        dr = concatenate(
            dr, product(adjoint(dq1), rest) + product(adjoint(q1), d_rest), axis=a.ndim - 1
        )
    if complete and m > n:
        dq = concatenate(dq1, _complement_tangent(q, dq1), axis=a.ndim - 1)
        below = broadcast(zero_of(r), shape=(*r.shape[:-2], m - k, n), axes=())
        return dq, concatenate(dr, below, axis=a.ndim - 2)
    return dq1, dr


def _divide_right(x, r):
    """x r^-1 for upper triangular r."""
    return adjoint(triangular_solve(
        r, adjoint(x), lower=False, adjoint=True, unit_diagonal=False, raises=False
    ))  # fmt: skip


def _skew_part(x):
    """The skew-Hermitian W with x - W upper triangular and real on the diagonal, as LAPACK's R."""
    lower = strictly_lower(x)
    skew = lower - adjoint(lower)
    return skew + without_real(only_diagonal(x)) if x.dtype.kind == "c" else skew


def _complement_tangent(q, dq1):
    """The tangent of the columns that complete q1 to a square q, by LAPACK's reflections.

    They are Q2 = E2 + (Q1 - E1) B^-H Q21^H with B = Q11 - 1, since Q = 1 - V T V^H. Where B is
    singular (a reflection is left out) the columns jump; the slope is then that of any smooth
    choice: it moves them within the span of q1 only.
    """
    m, k = dq1.shape[-2:]
    q1, q2 = part(q, (0, m), (0, k)), part(q, (0, m), (k, m))
    along_q1 = -product(q1, product(adjoint(dq1), q2))
    identity = select(on_diagonal(q1.shape), q1.dtype.type(1), zero_of(q1))
    shifted = q1 - identity
    inverse = _finite_inverse(adjoint(part(shifted, (0, k), (0, k))))
    weights = product(inverse, adjoint(part(q1, (k, m), (0, k))))
    d_weights = product(
        inverse,
        adjoint(part(dq1, (k, m), (0, k))) - product(adjoint(part(dq1, (0, k), (0, k))), weights),
    )
    moved = product(dq1, weights) + product(shifted, d_weights)
    return along_q1 + product(q2, product(adjoint(q2), moved))


def _finite_inverse(x):
    """The inverse, or zero for a singular matrix."""
    inverse = inv(x, raises=False)
    kept = tuple(range(x.ndim - 2))
    good = all_(isfinite(inverse), axes=(x.ndim - 2, x.ndim - 1))
    return select(broadcast(good, shape=x.shape, axes=kept), inverse, zero_of(x))


qr: Op = Op(
    "qr", _qr_type, _qr, Forward(_qr_tangent), batch_all(lambda: qr),
    flops=lambda ins, outs, params: 4 * min(ins[0].shape[-2:]) * ins[0].size,
    doc="q with orthonormal columns and upper triangular r, a = q r; `complete`: q is square",
)  # fmt: skip
