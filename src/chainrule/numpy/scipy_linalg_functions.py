"""scipy.linalg under SciPy's own names while a trace is open: systems, factors, spectra, equations.

SciPy's functions do not dispatch: they are replaced in their modules (see undispatched.py), with
SciPy's signatures and conventions where these differ from NumPy's (cholesky gives the upper factor,
eigenvalues are complex, qr is full). Options about speed (overwrite_a, driver, ...) have no effect.
"""

from __future__ import annotations

from importlib import import_module
from typing import Any

import numpy as np

from chainrule import errors
from chainrule.numpy import scipy_linalg as own
from chainrule.numpy.interception import checked_finite
from chainrule.numpy.linear_algebra import inexact, matrices
from chainrule.numpy.promotion import cast_to, result_dtype
from chainrule.numpy.selecting import at_hand
from chainrule.numpy.shaping import array
from chainrule.numpy.undispatched import replaces
from chainrule.ops import factorize, matrix_equations, pseudo_inverse, spectral
from chainrule.ops.matrices import hermitian_from
from chainrule.ops.matrix_roots import logm as logm_op
from chainrule.ops.matrix_roots import sqrtm as sqrtm_op
from chainrule.program.text import line_text
from chainrule.program.trace import Traced, concrete_value, user_line

_linalg = replaces("scipy.linalg")


def _checked(a, check_finite: bool) -> Traced:
    a = array(a)
    return checked_finite(a) if check_finite else a


def _refuse(what: str, instead: str) -> None:
    raise errors.NotSupported(
        f"scipy.linalg.{what} is not supported on traced values, at {line_text(user_line())}: "
        + instead
    )


# --- systems and inverses -----------------------------------------------------------------------

_GENERAL = (None, "gen", "general")
_HERMITIAN = ("her", "hermitian", "pos", "positive definite")


@_linalg
def solve(
    a, b, lower=False, overwrite_a=False, overwrite_b=False, check_finite=True, assume_a=None,
    transposed=False,
):  # fmt: skip
    """scipy.linalg.solve: a symmetric or triangular matrix is read as `lower` says."""
    a, b = _checked(a, check_finite), _checked(b, check_finite)
    symmetric = assume_a in ("sym", "symmetric") and a.dtype.kind != "c"
    if symmetric or assume_a in _HERMITIAN:
        a = hermitian_from(matrices(a, square=True), lower=bool(lower))
    elif assume_a in ("lower triangular", "upper triangular"):
        return own.solve_triangular(a, b, int(transposed), assume_a == "lower triangular")
    elif assume_a not in _GENERAL:
        _refuse(f"solve(assume_a={assume_a!r})", 'use assume_a="general".')
    return np.linalg.solve(np.swapaxes(a, -1, -2) if transposed else a, b)


@_linalg
def inv(a, overwrite_a=False, check_finite=True, *, assume_a=None, lower=False):
    """scipy.linalg.inv of a general matrix."""
    if assume_a not in _GENERAL:
        _refuse(f"inv(assume_a={assume_a!r})", 'use assume_a="general".')
    return np.linalg.inv(_checked(a, check_finite))


@_linalg
def det(a, overwrite_a=False, check_finite=True):
    """scipy.linalg.det"""
    return np.linalg.det(_checked(a, check_finite))


@_linalg
def pinv(a, *, atol=None, rtol=None, return_rank=False, check_finite=True):
    """scipy.linalg.pinv; the cutoff is relative to the largest singular value."""
    if atol:
        _refuse("pinv(atol=...)", "use rtol.")
    x = matrices(_checked(a, check_finite))
    rtol = max(x.shape[-2:]) * np.finfo(x.dtype).eps if rtol is None else rtol
    out = pseudo_inverse.pinv(x, rcond=float(rtol))
    if not return_rank:
        return out
    sizes = spectral.singular_values(x)
    return out, np.sum(sizes > rtol * np.max(sizes, axis=-1, keepdims=True), axis=-1)


@_linalg
def lstsq(
    a, b, cond=None, overwrite_a=False, overwrite_b=False, check_finite=True, lapack_driver=None
):
    """scipy.linalg.lstsq: (x, residuals, rank, singular values)."""
    a, b = _checked(a, check_finite), _checked(b, check_finite)
    cond = np.finfo(inexact(a).dtype).eps if cond is None else cond
    x, residuals, rank, sizes = np.linalg.lstsq(a, b, cond)
    if b.ndim == 1 and residuals.shape[0]:
        residuals = residuals[0]
    return x, residuals, cast_to(rank, np.dtype(np.int64)), sizes


@_linalg
def solve_triangular(
    a, b, trans=0, lower=False, unit_diagonal=False, overwrite_b=False, check_finite=True
):
    """scipy.linalg.solve_triangular"""
    a, b = _checked(a, check_finite), _checked(b, check_finite)
    return own.solve_triangular(a, b, trans, lower, unit_diagonal)


# --- factors ------------------------------------------------------------------------------------


@_linalg
def cholesky(a, lower=False, overwrite_a=False, check_finite=True):
    """scipy.linalg.cholesky: the upper factor, unless `lower`; reads that triangle."""
    return np.linalg.cholesky(_checked(a, check_finite), upper=not lower)


@_linalg
def cho_factor(a, lower=False, overwrite_a=False, check_finite=True):
    """scipy.linalg.cho_factor; the triangle that SciPy leaves as it was is 0."""
    return own.cho_factor(_checked(a, check_finite), lower)


@_linalg
def cho_solve(c_and_lower, b, overwrite_b=False, check_finite=True):
    """scipy.linalg.cho_solve"""
    return own.cho_solve(c_and_lower, _checked(b, check_finite))


@_linalg
def lu_factor(a, overwrite_a=False, check_finite=True):
    """scipy.linalg.lu_factor of one matrix: rows are exchanged as LAPACK does for its value."""
    a = inexact(matrices(_checked(a, check_finite), square=True))
    if a.ndim != 2:
        _refuse("lu_factor of a stack of matrices", "factor one after the other.")
    value = at_hand(a, "which rows scipy.linalg.lu_factor exchanges")
    (factor,) = import_module("scipy.linalg").lapack.get_lapack_funcs(("getrf",), (value,))
    pivots = factor(value)[1]
    rest = a[_order_of(pivots)]
    n = a.shape[0]
    for k in range(n - 1):  # the outer product form: one column of L and one row of U a step
        below = rest[k + 1 :, k] / rest[k, k]
        inner = rest[k + 1 :, k + 1 :] - below[:, None] * rest[k, k + 1 :]
        lower = np.concatenate([below[:, None], inner], axis=1)
        lower = np.concatenate([rest[k + 1 :, :k], lower], axis=1)
        rest = np.concatenate([rest[: k + 1], lower], axis=0)
    return rest, pivots


def _order_of(pivots, back: bool = False) -> np.ndarray:
    """The rows in the order that exchanging row i with row pivots[i], one by one, brings about."""
    order = np.arange(len(pivots))
    for i, p in enumerate(pivots):
        order[[i, p]] = order[[p, i]]
    return np.argsort(order) if back else order


@_linalg
def lu_solve(lu_and_piv, b, trans=0, overwrite_b=False, check_finite=True):
    """scipy.linalg.lu_solve"""
    lu, pivots = lu_and_piv
    lu, b = _checked(lu, check_finite), _checked(b, check_finite)
    if trans not in (0, 1, 2):
        raise ValueError(f"Unknown 'trans' value {trans!r}")
    solve = own.solve_triangular
    if trans == 0:
        return solve(lu, solve(lu, b[_order_of(pivots)], 0, True, True), 0, False)
    made = solve(lu, solve(lu, b, trans, False), trans, True, True)
    return made[_order_of(pivots, back=True)]


@_linalg
def solve_banded(
    l_and_u, ab, b, overwrite_ab=False, overwrite_b=False, check_finite=True
):
    """scipy.linalg.solve_banded: the matrix is written out."""
    lower, upper = (int(n) for n in l_and_u)
    ab, b = _checked(ab, check_finite), _checked(b, check_finite)
    if lower + upper + 1 != ab.shape[0] or ab.shape[-1] != b.shape[0]:
        raise ValueError("invalid values for the number of lower and upper diagonals")
    return np.linalg.solve(_of_bands(ab, lower, upper), b)


def _of_bands(ab, lower: int, upper: int):
    n = ab.shape[-1]
    row, column = np.indices((n, n))
    band = upper + row - column
    inside = (band >= 0) & (band <= upper + lower)
    return np.where(inside, ab[np.clip(band, 0, upper + lower), column], 0.0)


@_linalg
def solveh_banded(
    ab, b, overwrite_ab=False, overwrite_b=False, lower=False, check_finite=True
):
    """scipy.linalg.solveh_banded: the matrix is written out, from the bands of one triangle."""
    ab, b = _checked(ab, check_finite), _checked(b, check_finite)
    count = ab.shape[0] - 1
    half = _of_bands(ab, count, 0) if lower else _of_bands(ab, 0, count)
    other = np.conj(half.T)
    return np.linalg.solve(half + other - np.diag(np.diag(half)), b)


@_linalg
def qr(a, overwrite_a=False, lwork=None, mode="full", pivoting=False, check_finite=True):
    """scipy.linalg.qr in the modes "full", "r" and "economic", without pivoting."""
    if pivoting or mode not in ("full", "r", "economic"):
        _refuse(f"qr(mode={mode!r}, pivoting={pivoting})", "use numpy.linalg.qr.")
    a = matrices(_checked(a, check_finite))
    q, r = factorize.qr(a, complete=mode != "economic")
    return (r,) if mode == "r" else (q, r)


@_linalg
def svd(
    a, full_matrices=True, compute_uv=True, overwrite_a=False, check_finite=True,
    lapack_driver="gesdd",
):  # fmt: skip
    """scipy.linalg.svd: (U, s, Vh), or s alone."""
    a = _checked(a, check_finite)
    return tuple(np.linalg.svd(a, full_matrices)) if compute_uv else np.linalg.svdvals(a)


@_linalg
def svdvals(a, overwrite_a=False, check_finite=True):
    """scipy.linalg.svdvals"""
    return np.linalg.svdvals(_checked(a, check_finite))


_OF_SOLVED = "use those of np.linalg.solve(b, a)."

# --- eigenvalues --------------------------------------------------------------------------------


@_linalg
def eigh(
    a, b=None, *, lower=True, eigvals_only=False, overwrite_a=False, overwrite_b=False, type=1,
    check_finite=True, subset_by_index=None, subset_by_value=None, driver=None,
):  # fmt: skip
    """scipy.linalg.eigh, also of a x = w b x (type 1): (eigenvalues, eigenvectors)."""
    if subset_by_value is not None or type != 1:
        _refuse("eigh(subset_by_value=...) or (type=2, 3)", "select from all eigenvalues.")
    a = matrices(_checked(a, check_finite), square=True)
    uplo = "L" if lower else "U"
    part = slice(None)
    if subset_by_index is not None:
        part = slice(int(subset_by_index[0]), int(subset_by_index[1]) + 1)
    if b is not None:
        a, back = _standard_form(hermitian_from(a, lower=lower), _checked(b, check_finite), lower)
        uplo = "L"
    triangle: Any = uplo
    if eigvals_only:
        return np.linalg.eigvalsh(a, triangle)[..., part]
    values, vectors = np.linalg.eigh(a, triangle)
    vectors = vectors[..., part]
    return values[..., part], vectors if b is None else back(vectors)


def _standard_form(a: Traced, b: Traced, lower: bool):
    """L^-1 a L^-H with b = L L^H, and the map of its eigenvectors to those of (a, b)."""
    factor = np.linalg.cholesky(hermitian_from(matrices(b, square=True), lower=lower))
    half = own.solve_triangular(factor, a, lower=True)
    inner = own.solve_triangular(factor, np.conj(np.swapaxes(half, -1, -2)), lower=True)
    return inner, lambda vectors: own.solve_triangular(factor, vectors, trans="C", lower=True)


@_linalg
def eigvalsh(
    a, b=None, *, lower=True, overwrite_a=False, overwrite_b=False, type=1, check_finite=True,
    subset_by_index=None, subset_by_value=None, driver=None,
):  # fmt: skip
    """scipy.linalg.eigvalsh"""
    return eigh(
        a, b, lower=lower, eigvals_only=True, type=type, check_finite=check_finite,
        subset_by_index=subset_by_index, subset_by_value=subset_by_value,
    )  # fmt: skip


@_linalg
def eig(
    a, b=None, left=False, right=True, overwrite_a=False, overwrite_b=False, check_finite=True,
    homogeneous_eigvals=False,
):  # fmt: skip
    """scipy.linalg.eig: (complex eigenvalues, right eigenvectors), or the eigenvalues alone."""
    if b is not None or left or homogeneous_eigvals:
        _refuse("eig(b=...), (left=True) or (homogeneous_eigvals=True)", _OF_SOLVED)
    a = matrices(_checked(a, check_finite), square=True)
    values, vectors = np.linalg.eig(a)
    values = cast_to(values, np.result_type(values.dtype, np.complex64))
    return (values, vectors) if right else values


@_linalg
def eigvals(a, b=None, overwrite_a=False, check_finite=True, homogeneous_eigvals=False):
    """scipy.linalg.eigvals: complex."""
    if b is not None or homogeneous_eigvals:
        _refuse("eigvals(b=...) or (homogeneous_eigvals=True)", _OF_SOLVED)
    return spectral.eigvals(matrices(_checked(a, check_finite), square=True))


# --- norms and functions of matrices --------------------------------------------------------------


@_linalg
def norm(a, ord=None, axis=None, keepdims=False, check_finite=True):
    """scipy.linalg.norm"""
    return np.linalg.norm(_checked(a, check_finite), ord, axis, keepdims)


@_linalg
def expm(A):
    """scipy.linalg.expm"""
    return own.expm(A)


@_linalg
def cosm(A):
    """scipy.linalg.cosm, from the exponential of i A"""
    a = matrices(A, square=True)
    if a.dtype.kind == "c":
        return 0.5 * (own.expm(1j * a) + own.expm(-1j * a))
    return own.expm(1j * a).real


@_linalg
def sinm(A):
    """scipy.linalg.sinm, from the exponential of i A"""
    a = matrices(A, square=True)
    if a.dtype.kind == "c":
        return -0.5j * (own.expm(1j * a) - own.expm(-1j * a))
    return own.expm(1j * a).imag


@_linalg
def coshm(A):
    """scipy.linalg.coshm"""
    return 0.5 * (own.expm(A) + own.expm(-array(A)))


@_linalg
def sinhm(A):
    """scipy.linalg.sinhm"""
    return 0.5 * (own.expm(A) - own.expm(-array(A)))


@_linalg
def tanm(A):
    """scipy.linalg.tanm"""
    return np.linalg.solve(cosm(A), sinm(A))


@_linalg
def tanhm(A):
    """scipy.linalg.tanhm"""
    return np.linalg.solve(coshm(A), sinhm(A))


def _principal(op, name: str, A):
    """sqrtm or logm: complex where SciPy's value at hand is."""
    a = matrices(A, square=True)
    value = concrete_value(a)
    if a.dtype.kind == "c":
        return op(a)
    if value is None:
        raise errors.ConcreteValueNeeded(
            f"whether scipy.linalg.{name} of a real matrix is real depends on its values, at "
            f"{line_text(user_line())}, and this trace has none at hand.\n"
            "  Pass a complex matrix (a.astype(complex))."
        )
    if getattr(import_module("scipy.linalg"), name)(value).dtype.kind == "c":
        return op(cast_to(a, np.result_type(a.dtype, np.complex64)))
    return op(a)


@_linalg
def sqrtm(A, disp=None, blocksize=None):
    """scipy.linalg.sqrtm: the principal square root."""
    return _principal(sqrtm_op, "sqrtm", A)


@_linalg
def logm(A, disp=None):
    """scipy.linalg.logm: the principal logarithm."""
    return _principal(logm_op, "logm", A)


# --- matrix equations ---------------------------------------------------------------------------


def _uniform(*values) -> list[Traced]:
    ready = [matrices(v) for v in values]
    dtype = result_dtype(*ready)
    return [cast_to(v, dtype) for v in ready]


@_linalg
def solve_sylvester(a, b, q):
    """scipy.linalg.solve_sylvester: x with a x + x b = q."""
    return matrix_equations.sylvester(*_uniform(a, b, q))


@replaces("scipy.linalg", "solve_continuous_lyapunov", "solve_lyapunov")
def solve_continuous_lyapunov(a, q):
    """scipy.linalg.solve_continuous_lyapunov: x with a x + x a^H = q."""
    a, q = _uniform(a, q)
    return matrix_equations.sylvester(a, np.conj(a.mT), q)


@_linalg
def solve_discrete_lyapunov(a, q, method=None):
    """scipy.linalg.solve_discrete_lyapunov: x with x - a x a^H = q."""
    a, q = _uniform(a, q)
    return matrix_equations.stein(a, np.conj(a.mT), q)


def _riccati(op, name: str, a, b, q, r, e, s):
    if e is not None or s is not None:
        _refuse(f"{name}(e=...) or (s=...)", "transform the system to e = I, s = 0.")
    a, b, q, r = _uniform(*map(np.atleast_2d, (a, b, q, r)))
    for letter, part in (("q", q), ("r", r)):
        value = concrete_value(part)
        if value is not None and not np.allclose(value, np.conj(value.T), 1e-13, 0):
            raise ValueError(f"The {letter} matrix should be symmetric/hermitian.")
    return op(a, b, q, r)


@_linalg
def solve_continuous_are(a, b, q, r, e=None, s=None, balanced=True):
    """scipy.linalg.solve_continuous_are; of q and r the derivative is along symmetric matrices."""
    op = matrix_equations.continuous_riccati
    return _riccati(op, "solve_continuous_are", a, b, q, r, e, s)


@_linalg
def solve_discrete_are(a, b, q, r, e=None, s=None, balanced=True):
    """scipy.linalg.solve_discrete_are; of q and r the derivative is along symmetric matrices."""
    op = matrix_equations.discrete_riccati
    return _riccati(op, "solve_discrete_are", a, b, q, r, e, s)
