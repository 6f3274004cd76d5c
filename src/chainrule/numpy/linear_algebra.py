"""np.linalg on traced values: systems, inverses, determinants, factors, eigen- and singular values.

Stacks, dtypes and errors are NumPy's: integers become float64, float16 is refused, and a matrix of
the wrong shape raises LinAlgError. Where NumPy reads one triangle only (cholesky, eigh), so do the
derivatives: the cotangent lands on the entries that are read.
"""

from __future__ import annotations

from typing import Any

import numpy as np
from numpy.linalg import _linalg as numpy_linalg  # for the names of its result tuples

from chainrule import errors
from chainrule.numpy.indexing import reshape_to
from chainrule.numpy.promotion import broadcast_shape, broadcast_to, cast_to, traced
from chainrule.numpy.protocols import implements
from chainrule.numpy.selecting import at_hand
from chainrule.numpy.shaping import array
from chainrule.numpy.versions import FROM_2_5
from chainrule.ops import factorize, pseudo_inverse, spectral
from chainrule.ops import linalg as ops
from chainrule.ops.elementwise import real
from chainrule.ops.matrices import adjoint, hermitian_from, over_columns
from chainrule.program.text import line_text
from chainrule.program.trace import Traced, concrete_value, user_line

# --- what goes in -------------------------------------------------------------------------------


def matrices(a, square: bool = False) -> Traced:
    """A stack of matrices of a dtype that LAPACK computes in."""
    x = inexact(a)
    if x.ndim < 2:
        raise errors.MatrixShapeError(
            f"{x.ndim}-dimensional array given. Array must be at least two-dimensional, "
            f"at {line_text(user_line())}"
        )
    if square and x.shape[-1] != x.shape[-2]:
        raise errors.MatrixShapeError(
            f"Last 2 dimensions of the array must be square, got {x.shape}, "
            f"at {line_text(user_line())}"
        )
    return x


def inexact(a) -> Traced:
    """An array in its own float dtype, or float64 for integers and bool."""
    x = array(a)
    if x.dtype == np.float16:
        raise errors.DtypeError(
            f"array type float16 is unsupported in linalg, at {line_text(user_line())}"
        )
    return x if x.dtype.kind in "fc" else cast_to(x, np.dtype(np.float64))


def common_dtype(*values: Traced) -> list[Traced]:
    """Arrays in their common dtype."""
    dtype = np.result_type(*(v.dtype for v in values))
    return [cast_to(v, dtype) for v in values]


def _stacked(a: Traced, b: Traced) -> list[Traced]:
    """Two stacks of matrices, repeated to one stack."""
    stack = broadcast_shape(a.shape[:-2], b.shape[:-2])
    return [traced(broadcast_to(x, stack + x.shape[-2:])) for x in (a, b)]


# --- systems and inverses -----------------------------------------------------------------------


def system(solver, a: Traced, b: Traced) -> Traced:
    """solver(a, b) as np.linalg.solve: b is one vector, or a stack of matrices."""
    a, b = common_dtype(a, b)
    is_vector = b.ndim == 1
    if b.ndim == 0 or b.shape[0 if is_vector else -2] != a.shape[-1]:
        raise errors.MatrixShapeError(
            f"solve: the matrices {a.shape} do not fit the right side {b.shape}, "
            f"at {line_text(user_line())}"
        )
    if is_vector:
        b = reshape_to(b, (b.shape[0], 1))
    if a.ndim == 2 and b.ndim > 2:  # one matrix: all right sides are columns
        n, columns = b.shape[-2:]
        wide = np.moveaxis(b, -2, 0)
        out = solver(a, reshape_to(wide, (n, wide.size // n if n else columns)))
        return np.moveaxis(reshape_to(out, wide.shape), 0, -2)
    a, b = _stacked(a, b)
    out = solver(a, b)
    return reshape_to(out, out.shape[:-1]) if is_vector else out


@implements(np.linalg.solve)
def solve(a, b):
    """np.linalg.solve: x with a @ x = b."""
    return system(
        lambda x, y: ops.solve(x, y, adjoint=False, raises=True),
        matrices(a, square=True),
        inexact(b),
    )


@implements(np.linalg.inv)
def inv(a):
    """np.linalg.inv"""
    return ops.inv(matrices(a, square=True), raises=True)


@implements(np.linalg.det)
def det(a):
    """np.linalg.det; its derivative is right for singular matrices too."""
    return ops.det(matrices(a, square=True))


@implements(np.linalg.slogdet)
def slogdet(a):
    """np.linalg.slogdet: (sign, logabsdet)."""
    return numpy_linalg.SlogdetResult(*ops.slogdet(matrices(a, square=True)))


@implements(np.linalg.pinv)
def pinv(a, rcond=None, hermitian=False, *, rtol=np._NoValue):
    """np.linalg.pinv; the derivative is taken along matrices of the same rank."""
    x = matrices(a)
    if rcond is None:
        default = max(x.shape[-2:]) * np.finfo(x.dtype).eps if rtol is None else rtol
        rcond = 1e-15 if rtol is np._NoValue else default
    elif rtol is not np._NoValue:
        raise ValueError("`rtol` and `rcond` can't be both set.")
    if hermitian:
        x = hermitian_from(matrices(x, square=True), lower=True)
    if np.ndim(rcond) == 0:
        return pseudo_inverse.pinv(x, rcond=_number(rcond, "np.linalg.pinv(rcond=...)"))
    return _pinv_of_each(x, at_hand(rcond, "the rank that np.linalg.pinv finds"))


def _pinv_of_each(x: Traced, rcond) -> Traced:
    """The pseudo-inverses of a stack of matrices, each with its own cutoff."""
    stack = x.shape[:-2]
    cutoffs = np.broadcast_to(rcond, stack)
    shape = (*stack, x.shape[-1], x.shape[-2])
    if 0 in stack:
        return pseudo_inverse.pinv(x, rcond=0.0)
    each = [pseudo_inverse.pinv(x[i], rcond=float(cutoffs[i])) for i in np.ndindex(stack)]
    return reshape_to(np.stack(each), shape)


def _number(value, what: str) -> float:
    if type(value) is Traced and not value.ndim:  # a cutoff: no derivative passes through it
        value = at_hand(value, what)[()]
    if np.ndim(value) == 0 and not isinstance(value, complex):
        return float(value)
    raise errors.NotSupported(
        f"{what} as an array is not supported on traced values, at {line_text(user_line())}."
    )


@implements(np.linalg.lstsq)
def lstsq(a, b, rcond=None):
    """np.linalg.lstsq: (x, residuals, rank, singular values), x of least norm."""
    x, y = common_dtype(matrices(a), inexact(b))
    is_vector = y.ndim == 1
    y = reshape_to(y, (*y.shape, 1)) if is_vector else y
    if x.ndim != 2 or y.ndim != 2:
        raise errors.MatrixShapeError(
            f"{max(x.ndim, y.ndim)}-dimensional array given. Array must be two-dimensional, "
            f"at {line_text(user_line())}"
        )
    if x.shape[0] != y.shape[0]:
        raise errors.MatrixShapeError(f"Incompatible dimensions, at {line_text(user_line())}")
    eps = float(np.finfo(np.float64).eps)
    rcond = eps * max(x.shape) if rcond is None else _number(rcond, "np.linalg.lstsq(rcond=...)")
    solution, rank, values = pseudo_inverse.lstsq(x, y, rcond=eps if rcond < 0 else rcond)
    residuals = _residuals(x, y, solution, rank)
    solution = reshape_to(solution, solution.shape[:-1]) if is_vector else solution
    return solution, residuals, rank, values


def _residuals(a: Traced, b: Traced, solution: Traced, rank: Traced) -> Any:
    """The squared norms of b - a x, or an empty array where NumPy gives none (deficient rank).

    Without values at hand the rank is taken to be full.
    """
    rows, columns = a.shape
    found = concrete_value(rank)
    out = np.sum(np.square(np.abs(b - a @ solution)), axis=0)
    if rows <= columns or (found is not None and found != columns):
        return out[:0]
    return out


# --- factors ------------------------------------------------------------------------------------


@implements(np.linalg.cholesky)
def cholesky(a, /, *, upper=False):
    """np.linalg.cholesky: reads the lower triangle (`upper`: the upper one)."""
    return factorize.cholesky(matrices(a, square=True), upper=bool(upper))


@implements(np.linalg.qr)
def qr(a, mode="reduced"):
    """np.linalg.qr, in the modes "reduced", "complete" and "r"."""
    if mode not in ("reduced", "complete", "r"):
        raise errors.NotSupported(
            f"np.linalg.qr(mode={mode!r}) is not supported on traced values, "
            f"at {line_text(user_line())}: use 'reduced', 'complete' or 'r'."
        )
    q, r = factorize.qr(matrices(a), complete=mode == "complete")
    return r if mode == "r" else numpy_linalg.QRResult(q, r)


# --- eigenvalues --------------------------------------------------------------------------------


def _reads_lower(UPLO) -> bool:
    if str(UPLO).upper() not in ("L", "U"):
        raise ValueError("UPLO argument must be 'L' or 'U'")
    return str(UPLO).upper() == "L"


@implements(np.linalg.eigh)
def eigh(a, UPLO="L"):
    """np.linalg.eigh: (eigenvalues, eigenvectors) of a Hermitian matrix, given by one triangle."""
    found = spectral.eigh(matrices(a, square=True), lower=_reads_lower(UPLO))
    return numpy_linalg.EighResult(*found)


@implements(np.linalg.eigvalsh)
def eigvalsh(a, UPLO="L"):
    """np.linalg.eigvalsh: the eigenvalues of a Hermitian matrix, given by one triangle."""
    return spectral.eigvalsh(matrices(a, square=True), lower=_reads_lower(UPLO))


@implements(np.linalg.eig)
def eig(a):
    """np.linalg.eig: (eigenvalues, eigenvectors); real where NumPy gives real ones."""
    x = matrices(a, square=True)
    values, vectors = spectral.eig(x)
    if _is_real(x, values, "np.linalg.eig"):
        values, vectors = real(values), real(vectors)
    return numpy_linalg.EigResult(values, vectors)


@implements(np.linalg.eigvals)
def eigvals(a):
    """np.linalg.eigvals; real where NumPy gives real ones."""
    x = matrices(a, square=True)
    values = spectral.eigvals(x)
    return real(values) if _is_real(x, values, "np.linalg.eigvals") else values


def _is_real(x: Traced, values: Traced, name: str) -> bool:
    """Whether NumPy's result is real: for a real matrix this depends on its values."""
    if x.dtype.kind == "c" or FROM_2_5:
        return False
    found = concrete_value(values)
    if found is None:
        raise errors.ConcreteValueNeeded(
            f"whether {name} of a real matrix is real depends on its values, at "
            f"{line_text(user_line())}, and this trace has none at hand.\n"
            "  Pass a complex matrix (a.astype(complex)), or use eigh where it is symmetric."
        )
    return bool(np.all(found.imag == 0.0))


# --- singular values ----------------------------------------------------------------------------


@implements(np.linalg.svd)
def svd(a, full_matrices=True, compute_uv=True, hermitian=False):
    """np.linalg.svd: (U, S, Vh), or S alone."""
    if hermitian:
        return _hermitian_svd(matrices(a, square=True), compute_uv)
    if not compute_uv:
        return spectral.singular_values(matrices(a))
    found = spectral.svd(matrices(a), full_matrices=bool(full_matrices))
    return numpy_linalg.SVDResult(*found)


def _hermitian_svd(x: Traced, compute_uv: bool):
    """From the eigenvalues: their magnitudes in descending order, their signs moved into Vh."""
    if not compute_uv:
        return np.sort(np.abs(spectral.eigvalsh(x, lower=True)))[..., ::-1]
    values, vectors = spectral.eigh(x, lower=True)
    order = np.argsort(np.abs(values))[..., ::-1]
    sign = np.take_along_axis(np.copysign(1.0, values), order, axis=-1)
    vectors = np.take_along_axis(vectors, order[..., None, :], axis=-1)
    signed = vectors * cast_to(over_columns(sign, vectors.shape), vectors.dtype)
    sizes = np.take_along_axis(np.abs(values), order, axis=-1)
    return numpy_linalg.SVDResult(vectors, sizes, adjoint(signed))


@implements(np.linalg.svdvals)
def svdvals(x, /):
    """np.linalg.svdvals: the singular values, descending."""
    return spectral.singular_values(matrices(x))
