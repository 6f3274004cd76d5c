"""Eigenvalues and singular values of stacks of matrices, with or without vectors.

Value     LAPACK through numpy.linalg.
Slope     with E = V^-1 dA V (for svd U^H dA V): values move by E's diagonal, vectors within their
          own span by E_ij / (l_j - l_i). In svd the parts of E over s_j - s_i and over s_j + s_i
          are kept apart, so that equal singular values spoil only the first, zeros only the second.
Edges     Vectors of equal values are arbitrary; a derivative then means something for functions
          that do not depend on the choice: sums over equal values, projectors, V f(l) V^H. A pair
          of equal values (within rounding) adds nothing, 0 stands for 1 / (l_j - l_i); where that
          happens, a derivative that chainrule runs is the limit of derivatives at values apart
          (chainrule.program.displacement): right to 1e-11 or so, second derivatives to 1e-9.
          Columns that complete u or vh are moved as if they turned with the others only; they are
          for projectors too.
          eigh reads one triangle, as in NumPy: the cotangent lands there and stands for both.
          Complex vectors keep the phases that LAPACK gives them: eigh's have a real first (for the
          upper triangle last) component, svd's a real first row of v (of u for wide matrices),
          unless that entry is below 1e-5; eig's have norm 1 and a real largest component. A
          defective matrix has an infinite slope.
          A singular value passes through 0 smoothly (its slope is u^H dA v also there).
Source    Giles 2008, sections 3.1 and 3.2; Townsend, "Differentiating the singular value
          decomposition", 2016; Wan and Zhang, arXiv:1909.02659, for complex svd; Boeddeker et al.,
          arXiv:1701.00392, for eig. The split by s_j - s_i and s_j + s_i: ours.
"""

from typing import Literal

import numpy as np

from chainrule import errors
from chainrule.ops.compare import equal
from chainrule.ops.displaced import apart, apart_and_from_zero
from chainrule.ops.elementwise import absolute, conj, imag, join, real, scale
from chainrule.ops.held import held
from chainrule.ops.index import index
from chainrule.ops.join import concatenate
from chainrule.ops.linalg import check_square, solve
from chainrule.ops.matrices import (
    adjoint,
    batch_all,
    diagonal,
    hermitian_from,
    magnitude,
    on_diagonal,
    over_columns,
    over_rows,
    part,
    product,
    real_of,
    reciprocal_where_apart,
    rounding_of,
    row_and_column,
)
from chainrule.ops.reduce import argmax
from chainrule.ops.select import cast, select
from chainrule.ops.shape import broadcast, sum_
from chainrule.program.op import Forward, Op
from chainrule.program.types import Type, array_type


def _real_dtype(t: Type) -> np.dtype:
    return np.dtype(t.dtype.char.lower())


def _complex_dtype(t: Type) -> np.dtype:
    return np.result_type(t.dtype, np.complex64)


def _reciprocal_gaps(values, shape):
    """F_ij = 1 / (l_j - l_i), and 0 on the diagonal and for equal pairs; real values."""
    gap = over_columns(values, shape) - over_rows(values, shape)
    return reciprocal_where_apart(_never_on_diagonal(gap), rounding_of(values, shape))


def _never_on_diagonal(gap):
    """The differences with inf on the diagonal, where no quotient is wanted: 1 / inf is 0."""
    return select(on_diagonal(gap.shape), gap.dtype.type(np.inf), gap)


# --- Hermitian matrices -------------------------------------------------------------------------


def _values_type(name: str):
    def rule(a: Type, *, lower) -> tuple[Type, ...]:
        check_square(name, a)
        return (array_type(a.shape[:-1], _real_dtype(a)),)

    return rule


def _eigh_type(a: Type, *, lower) -> tuple[Type, ...]:
    return (*_values_type("eigh")(a, lower=lower), a)


def _eigh(a, *, lower):
    values, vectors = np.linalg.eigh(a, _uplo(lower))
    return apart(values), vectors


def _eigh_tangent(inputs, outputs, tangents, *, lower):
    (values, vectors), (da,) = outputs, tangents
    if not values.shape[-1]:
        return None, None
    inside = product(adjoint(vectors), product(hermitian_from(da, lower), vectors))
    turn = scale(cast(_reciprocal_gaps(values, inside.shape), dtype=inside.dtype), inside)
    turn = _keep_row_real(turn, vectors, 0 if lower else vectors.shape[-1] - 1)
    return real_of(diagonal(inside)), product(vectors, turn)


def _keep_row_real(turn, vectors, row: int):
    """The skew W of dV = V W, with phases turned so that a row of V stays real, as LAPACK's does.

    Where the vector has next to nothing in that row its phase is left alone: dividing by the entry
    would cost digits even where phases do not matter.
    """
    if turn.dtype.kind != "c":
        return turn
    lead = tuple((0, n, 1) for n in vectors.shape[:-2])
    at = (*lead, row, (0, vectors.shape[-1], 1))
    entry, moved = real(index(vectors, at=at)), imag(index(product(vectors, turn), at=at))
    zero, one = entry.dtype.type(0), entry.dtype.type(1)
    small = absolute(entry) < entry.dtype.type(1e-5)
    angle = select(small, zero, moved / select(small, one, entry))
    phases = select(on_diagonal(turn.shape), over_columns(angle, turn.shape), zero)
    return turn - join(zero, phases)


def _eigvalsh_tangent(inputs, outputs, tangents, *, lower):
    _, vectors = eigh(inputs[0], lower=lower)
    moved = product(hermitian_from(tangents[0], lower), vectors)
    return real_of(sum_(_conj_times(vectors, moved), axes=(moved.ndim - 2,)))


def _conj_times(x, y):
    """conj(x) * y, elementwise."""
    return scale(conj(x), y)


def _uplo(lower: bool) -> Literal["L", "U"]:
    return "L" if lower else "U"


def _eigen_flops(ins, outs, params) -> int:
    return 10 * ins[0].shape[-1] * ins[0].size


eigh: Op = Op(
    "eigh", _eigh_type, _eigh,
    Forward(_eigh_tangent), batch_all(lambda: eigh), flops=_eigen_flops,
    doc="eigenvalues, ascending, and orthonormal eigenvectors of Hermitian matrices, of which the "
    "`lower` or the upper triangle is read",
)  # fmt: skip

eigvalsh: Op = Op(
    "eigvalsh", _values_type("eigvalsh"),
    lambda a, *, lower: apart(np.linalg.eigvalsh(a, _uplo(lower))),
    Forward(_eigvalsh_tangent), batch_all(lambda: eigvalsh), flops=_eigen_flops,
    doc="eigenvalues, ascending, of Hermitian matrices",
)  # fmt: skip


# --- general matrices ---------------------------------------------------------------------------


def _eigvals_type(a: Type) -> tuple[Type, ...]:
    check_square("eig", a)
    return (array_type(a.shape[:-1], _complex_dtype(a)),)


def _eig_type(a: Type) -> tuple[Type, ...]:
    return (*_eigvals_type(a), a.with_dtype(_complex_dtype(a)))


def _eig(a):
    values, vectors = np.linalg.eig(a)
    wide = np.result_type(a.dtype, np.complex64)
    return apart(values.astype(wide, copy=False)), vectors.astype(wide, copy=False)


def _eigvals(a):
    return apart(np.linalg.eigvals(a).astype(np.result_type(a.dtype, np.complex64), copy=False))


def _in_eigenbasis(vectors, da):
    """V^-1 dA V; infinite for a defective matrix, whose V is singular."""
    moved = product(cast(da, dtype=vectors.dtype), vectors)
    return solve(vectors, moved, adjoint=False, raises=False)


def _eig_tangent(inputs, outputs, tangents):
    (values, vectors), (da,) = outputs, tangents
    if not values.shape[-1]:
        return None, None
    inside = _in_eigenbasis(vectors, da)
    turn = scale(_complex_reciprocal_gaps(values, inside.shape), inside)
    return diagonal(inside), _keep_normalised(vectors, product(vectors, turn))


def _complex_reciprocal_gaps(values, shape):
    """1 / (l_j - l_i) = conj(gap) / |gap|^2, and 0 on the diagonal and for equal pairs."""
    gap = over_columns(values, shape) - over_rows(values, shape)
    apart = _never_on_diagonal(magnitude(gap))
    reciprocal = reciprocal_where_apart(apart, rounding_of(values, shape))
    return join(real(gap) * reciprocal * reciprocal, -(imag(gap) * reciprocal * reciprocal))


def _keep_normalised(vectors, moved):
    """Add to each vector's tangent the multiple of the vector that keeps its norm 1 and its largest
    component real (LAPACK makes that component's imaginary part exactly 0)."""
    rows, _ = row_and_column(vectors.shape)
    axis = vectors.ndim - 2
    kept = (*range(axis), axis + 1)
    zero = np.zeros((), _real_dtype(vectors.type))[()]
    is_real = equal(held(imag(vectors)), zero)  # so by convention, here and beside the matrix
    candidates = select(is_real, magnitude(vectors), zero)
    pivot = broadcast(argmax(candidates, axis=axis), shape=vectors.shape, axes=kept)
    at_pivot = equal(rows, pivot)
    size = sum_(select(at_pivot, real(vectors), zero), axes=(axis,))
    turned = sum_(select(at_pivot, imag(moved), zero), axes=(axis,))
    stretch = real(sum_(_conj_times(vectors, moved), axes=(axis,)))
    factor = join(stretch, turned / size)
    return moved - scale(broadcast(factor, shape=vectors.shape, axes=kept), vectors)


def _eigvals_tangent(inputs, outputs, tangents):
    _, vectors = eig(inputs[0])
    return diagonal(_in_eigenbasis(vectors, tangents[0]))


eig: Op = Op(
    "eig", _eig_type, _eig, Forward(_eig_tangent), batch_all(lambda: eig),
    flops=lambda ins, outs, params: 25 * ins[0].shape[-1] * ins[0].size,
    doc="eigenvalues and eigenvectors, always complex",
)  # fmt: skip

eigvals: Op = Op(
    "eigvals", _eigvals_type, _eigvals, Forward(_eigvals_tangent), batch_all(lambda: eigvals),
    flops=_eigen_flops, doc="eigenvalues, always complex",
)  # fmt: skip


# --- singular values ----------------------------------------------------------------------------


def _singular_values_type(a: Type) -> tuple[Type, ...]:
    if a.ndim < 2:
        raise errors.ShapeError(f"svd needs matrices, got {a}.")
    return (array_type((*a.shape[:-2], min(a.shape[-2:])), _real_dtype(a)),)


def _svd_type(a: Type, *, full_matrices) -> tuple[Type, ...]:
    (s,) = _singular_values_type(a)
    *lead, m, n = a.shape
    rows, columns = (m, n) if full_matrices else (min(m, n), min(m, n))
    return a.with_shape((*lead, m, rows)), s, a.with_shape((*lead, columns, n))


def _svd(a, *, full_matrices):
    u, s, vh = np.linalg.svd(a, full_matrices)
    return u, apart_and_from_zero(s), vh


def _singular_values(a):
    return apart_and_from_zero(np.linalg.svd(a, compute_uv=False))


def _svd_tangent(inputs, outputs, tangents, *, full_matrices):
    """With W = U^H dU and Z = V^H dV skew, E = U^H dA V = W S + dS - S Z, so off the diagonal
    (E + E^H)_ij = (W + Z)_ij (s_j - s_i) and (E - E^H)_ij = (W - Z)_ij (s_j + s_i)."""
    (a,), (u, s, vh), (da,) = inputs, outputs, tangents
    m, n = a.shape[-2:]
    k = min(m, n)
    if not k:
        return None, None, None
    v = adjoint(vh)
    u1, v1 = part(u, (0, m), (0, k)), part(v, (0, n), (0, k))
    inside = product(adjoint(u1), product(da, v1))
    turn_u, turn_v = _turns(s, inside)
    along = turn_v if m >= n else turn_u  # LAPACK makes the first row of v real, or that of u
    phases = _keep_row_real(along, v1 if m >= n else u1, 0) - along
    turn_u, turn_v = turn_u + phases, turn_v + phases
    du = _vectors_tangent(u, u1, turn_u, product(da, v1), inside, s)
    dv = _vectors_tangent(v, v1, turn_v, product(adjoint(da), u1), adjoint(inside), s)
    return du, real_of(diagonal(inside)), adjoint(dv)


def _turns(s, inside):
    """W = U1^H dU1 and Z = V1^H dV1."""
    shape = inside.shape
    other = adjoint(inside)
    gaps = cast(_reciprocal_gaps(s, shape), dtype=inside.dtype)
    total = over_columns(s, shape) + over_rows(s, shape)
    if inside.dtype.kind != "c":  # the skew part of a real matrix has no diagonal
        total = _never_on_diagonal(total)
    sums = cast(reciprocal_where_apart(total, rounding_of(s, shape)), dtype=inside.dtype)
    plus, minus = scale(gaps, inside + other), scale(sums, inside - other)
    return 0.5 * (plus + minus), 0.5 * (plus - minus)


def _vectors_tangent(u, u1, turn, moved, inside, s):
    """dU for u = [u1, u2] (u2 may be empty), where `moved` = dA V1 and `inside` = U1^H dA V1.

    The part of dU1 orthogonal to u1 is (1 - U1 U1^H) dA V1 / s. The columns of u2 are arbitrary:
    they turn with u1 only.
    """
    m, k = u1.shape[-2:]
    if m == k:
        return product(u1, turn)
    flat = reciprocal_where_apart(s, rounding_of(s, s.shape))
    over_s = cast(over_columns(flat, u1.shape), dtype=u1.dtype)
    du1 = product(u1, turn) + scale(over_s, moved - product(u1, inside))
    if u.shape[-1] == k:
        return du1
    u2 = part(u, (0, m), (k, m))
    return concatenate(du1, -product(u1, product(adjoint(du1), u2)), axis=u.ndim - 1)


def singular_values_tangent(a, da):
    """How the singular values of a move: Re diag(U^H dA V)."""
    if not min(a.shape[-2:]):
        return None
    u, _, vh = svd(a, full_matrices=False)
    moved = product(da, adjoint(vh))
    return real_of(sum_(_conj_times(u, moved), axes=(moved.ndim - 2,)))


def _svd_flops(ins, outs, params) -> int:
    return 20 * min(ins[0].shape[-2:]) * ins[0].size


svd: Op = Op(
    "svd", _svd_type, _svd,
    Forward(_svd_tangent), batch_all(lambda: svd), flops=_svd_flops,
    doc="u, s, vh with a = u diag(s) vh and s descending; u and vh square where `full_matrices`",
)  # fmt: skip

singular_values: Op = Op(
    "singular_values", _singular_values_type, _singular_values,
    Forward(lambda inputs, outputs, tangents: singular_values_tangent(inputs[0], tangents[0])),
    batch_all(lambda: singular_values), flops=_svd_flops, doc="the singular values, descending",
)  # fmt: skip
