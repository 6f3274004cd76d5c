"""Names of scipy.linalg that NumPy lacks: expm, solve_triangular, cho_factor, cho_solve.

SciPy's functions do not dispatch, so these have a spelling of their own, `chainrule.linalg.expm`.
Without a traced argument they are SciPy's.
"""

from __future__ import annotations

from importlib import import_module

from chainrule.numpy.linear_algebra import cholesky, inexact, matrices, system
from chainrule.numpy.promotion import contains_traced
from chainrule.ops import linalg as ops
from chainrule.ops.matrix_functions import expm as expm_op


def _of_scipy(name: str):
    return getattr(import_module("scipy.linalg"), name)


def expm(A):
    """The exponential of a matrix, or of each matrix of a stack.

    **Shapes** `A: (..., n, n) -> (..., n, n)`
    **Cost** the derivative along one direction is the exponential of a matrix of twice the size.
    **Source** scipy.linalg.expm; derivatives: Mathias 1996 (see chainrule.ops.matrix_functions).
    """
    if not contains_traced([A]):
        return _of_scipy("expm")(A)
    return expm_op(matrices(A, square=True))


def solve_triangular(a, b, trans=0, lower=False, unit_diagonal=False):
    """x with a @ x = b for a triangular a, of which only one triangle is read.

    `trans` 0 or "N", 1 or "T", 2 or "C" solves with a, its transpose, its conjugate transpose.
    **Shapes** `a: (..., n, n), b: (n,) or (..., n, k) -> as b`
    **Errors** LinAlgError where the diagonal holds a zero.
    """
    if not contains_traced([a, b]):
        return _of_scipy("solve_triangular")(a, b, trans, lower, unit_diagonal)
    x, transposition = matrices(a, square=True), {"N": 0, "T": 1, "C": 2}.get(trans, trans)
    if transposition not in (0, 1, 2):
        raise ValueError(f"trans must be 0, 1, 2, 'N', 'T' or 'C', got {trans!r}")
    adjoint = transposition == 2 or (transposition == 1 and x.dtype.kind != "c")
    if transposition == 1 and not adjoint:
        x, lower = x.mT, not lower
    return system(
        lambda x, y: ops.triangular_solve(
            x, y, lower=bool(lower), adjoint=adjoint, unit_diagonal=bool(unit_diagonal), raises=True
        ),
        x,
        inexact(b),
    )


def cho_factor(a, lower=False):
    """(c, lower): the Cholesky factor of a, for cho_solve.

    **Differs from source** the triangle of c that SciPy leaves as it was is 0 for a traced a.
    """
    if not contains_traced([a]):
        return _of_scipy("cho_factor")(a, lower)
    return cholesky(a, upper=not lower), lower


def cho_solve(c_and_lower, b):
    """x with a @ x = b, given the Cholesky factor (c, lower) of a.

    **Shapes** `c: (..., n, n), b: (n,) or (..., n, k) -> as b`
    """
    c, lower = c_and_lower
    if not contains_traced([c, b]):
        return _of_scipy("cho_solve")(c_and_lower, b)
    first, second = (0, 2) if lower else (2, 0)
    return solve_triangular(c, solve_triangular(c, b, first, lower), second, lower)
