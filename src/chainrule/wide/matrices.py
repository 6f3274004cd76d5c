"""Linear algebra of small matrices of wide numbers: systems, inverses, determinants, factors.

Value     Determinants by Bareiss's elimination, whose divisions are exact, so that a singular
          matrix of whole numbers has the determinant 0; systems by Gauss's; pivots are the largest.
          A matrix whose pivots cannot be told from 0 is left undecided.
Source    Bareiss, "Sylvester's identity and multistep integer-preserving Gaussian elimination",
          Math. Comp. 22 (1968).
"""

from __future__ import annotations

from collections.abc import Callable
from typing import Any

import numpy as np

from chainrule.wide.elementary import log
from chainrule.wide.number import ONE, ZERO, Number, Undecided, Wide, sqrt

Rows = list[list[Number]]


def _largest(rows: Rows, column: int) -> int | None:
    """The row, from this one on, with the largest entry of the column; None where all are 0."""
    best, place = None, None
    for i in range(column, len(rows)):
        x = rows[i][column]
        if isinstance(x, float):
            raise Undecided
        if not x.is_zero and abs(x.m) > x.r and (best is None or x.top > best):
            best, place = x.top, i
    if place is None and not all(_is_zero(row[column]) for row in rows[column:]):
        raise Undecided
    return place


def _is_zero(x: Number) -> bool:
    return isinstance(x, Wide) and not x.sign()


def _determinant(a: np.ndarray) -> Number:
    rows: Rows = a.tolist()
    sign: Number = ONE
    before: Number = ONE
    for k in range(len(rows)):
        place = _largest(rows, k)
        if place is None:
            return ZERO
        if place != k:
            rows[k], rows[place] = rows[place], rows[k]
            sign = -sign
        for i in range(k + 1, len(rows)):
            rows[i][k + 1 :] = [
                _without(rows[k][k], x, rows[i][k], y) / before
                for x, y in zip(rows[i][k + 1 :], rows[k][k + 1 :], strict=True)
            ]
        before = rows[k][k]
    return sign * before


def _without(pivot, x, first, y):
    return pivot * x - first * y


def _minor(a: np.ndarray, i: int, j: int) -> np.ndarray:
    return np.delete(np.delete(a, i, 0), j, 1)


def _adjugate(a: np.ndarray) -> np.ndarray:
    n = len(a)
    made = np.empty((n, n), object)
    for i, j in np.ndindex(n, n):
        cofactor = _determinant(_minor(a, i, j)) if n > 1 else ONE
        made[j, i] = -cofactor if (i + j) % 2 else cofactor
    return made


def _adjugate_along(a: np.ndarray, directions: list[np.ndarray]) -> np.ndarray:
    n = len(a)
    made = np.empty((n, n), object)
    for i, j in np.ndindex(n, n):
        others = [_minor(x, i, j) for x in directions]
        cofactor = _determinant_along(_minor(a, i, j), others, frozenset())
        made[j, i] = -cofactor if (i + j) % 2 else cofactor
    return made


def _determinant_along(a: np.ndarray, directions: list[np.ndarray], taken: frozenset) -> Number:
    """The derivative of the determinant along directions: each takes the place of a row."""
    if not directions:
        return _determinant(a) if len(a) else ONE
    total: Number = ZERO
    for i in range(len(a)):
        if i not in taken:
            moved = a.copy()
            moved[i] = directions[0][i]
            total = total + _determinant_along(moved, directions[1:], taken | {i})
    return total


def _solved(a: np.ndarray, b: np.ndarray) -> np.ndarray:
    n = len(a)
    rows: Rows = np.concatenate([a, b], 1).tolist()
    for k in range(n):
        place = _largest(rows, k)
        if place is None:
            raise Undecided  # singular: what floating point says is kept
        rows[k], rows[place] = rows[place], rows[k]
        inverse = ONE / rows[k][k]
        rows[k][k + 1 :] = [x * inverse for x in rows[k][k + 1 :]]
        for i in range(n):
            if i != k:
                factor = rows[i][k]
                rows[i][k + 1 :] = [
                    x - factor * y for x, y in zip(rows[i][k + 1 :], rows[k][k + 1 :], strict=True)
                ]
    return _matrix([row[n:] for row in rows], (n, b.shape[1]))


def _matrix(rows, shape) -> np.ndarray:
    made = np.empty(shape, object)
    for i, row in enumerate(rows):
        made[i, :] = row
    return made


def _identity(n: int) -> np.ndarray:
    return _matrix([[ONE if i == j else ZERO for j in range(n)] for i in range(n)], (n, n))


def _cholesky(a: np.ndarray, upper: bool) -> np.ndarray:
    n = len(a)
    a = a.T if upper else a
    made = _matrix([[ZERO] * n for _ in range(n)], (n, n))
    for i in range(n):
        for j in range(i + 1):
            rest = a[i, j]
            for k in range(j):
                rest = rest - made[i, k] * made[j, k]
            made[i, j] = _root_of_pivot(rest) if i == j else rest / made[j, j]
    return made.T if upper else made


def _root_of_pivot(x: Number) -> Number:
    if not isinstance(x, Wide) or x.sign() <= 0:
        raise Undecided  # not positive definite
    return sqrt(x)


# --- over stacks ----------------------------------------------------------------------------------


def _over_stacks(function: Callable, *stacks: np.ndarray):
    """The function of each matrix of a stack, put together."""
    shape = stacks[0].shape[:-2]
    if not shape:
        return function(*stacks)
    found = {place: function(*[s[place] for s in stacks]) for place in np.ndindex(shape)}
    first = found[(0,) * len(shape)]
    made = np.empty((*shape, *np.shape(first)), object)
    for place, value in found.items():
        made[place] = value
    return made


def det(a):
    """The determinants."""
    return _over_stacks(_determinant, a)


def adjugate(a):
    """The adjugates."""
    return _over_stacks(_adjugate, a)


def adjugate_derivative(*operands):
    """The derivatives of the adjugates of the second operands, along the others."""
    return _over_stacks(lambda x, a, *more: _adjugate_along(a, [x, *more]), *operands)


def inv(a, *, raises):
    """The inverses."""
    return _over_stacks(lambda x: _solved(x, _identity(len(x))), a)


def solve(a, b, *, adjoint, raises):
    """x with a @ x = b, or with the transpose of a."""
    return _over_stacks(_solved, np.swapaxes(a, -1, -2) if adjoint else a, b)


def triangular_solve(a, b, *, lower, adjoint, unit_diagonal, raises):
    """As `solve`, for the lower or upper triangle of a."""
    n = a.shape[-1]
    kept = np.tri(n, n, -1 if unit_diagonal else 0, dtype=bool)
    part = np.array(a)
    part[..., ~kept if lower else ~kept.T] = ZERO
    if unit_diagonal:
        part[..., np.eye(n, dtype=bool)] = ONE
    return solve(part, b, adjoint=adjoint, raises=raises)


def cholesky(a, *, upper):
    """The triangular factors of positive definite matrices."""
    return _over_stacks(lambda x: _cholesky(x, upper), a)


def _as_array(x) -> np.ndarray:
    made = np.empty(np.shape(x), object)
    made[...] = x
    return made


def slogdet(a) -> list:
    """The signs of the determinants, and the logarithms of their sizes."""
    found = _as_array(det(a))
    signs, sizes = np.empty(found.shape, object), np.empty(found.shape, object)
    for place in np.ndindex(found.shape):
        x: Any = found[place]
        if isinstance(x, float):
            raise Undecided
        signs[place] = Wide(x.sign())
        sizes[place] = log(abs(x))
    return [signs[()], sizes[()]] if not found.shape else [signs, sizes]


MATRICES: dict[str, Callable] = {
    "det": det, "adjugate": adjugate, "adjugate_derivative": adjugate_derivative, "inv": inv,
    "solve": solve, "triangular_solve": triangular_solve, "cholesky": cholesky, "slogdet": slogdet,
}  # fmt: skip
