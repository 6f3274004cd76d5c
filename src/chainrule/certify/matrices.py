"""Linear algebra in ball arithmetic: stacks of matrices, solved by Arb or, where every entry is
exact, by FLINT on ratios, which proves that a matrix is singular.
"""

from __future__ import annotations

import math
from collections.abc import Callable
from typing import Any

import numpy as np

from chainrule import errors
from chainrule.certify.arrays import RULES, filled, length, rule, total
from chainrule.certify.ball import Ball, Undetermined, from_arb, ratio
from chainrule.certify.complex_ball import ComplexBall, from_acb
from chainrule.certify.elementary import REAL
from chainrule.certify.flint import load
from chainrule.program.program import Equation

MOST_EXACT_ROWS = 16  # larger matrices of ratios have entries of many thousand digits

_REAL = np.dtype("d")


def _stacked(function: Callable[..., list[np.ndarray]], *stacks: np.ndarray) -> list[np.ndarray]:
    """`function` of the matrices at each place of the stacks: its results, stacked."""
    lead = stacks[0].shape[:-2]
    rows = [s.reshape(-1, *s.shape[-2:]) for s in stacks]
    made = [function(*matrices) for matrices in zip(*rows, strict=True)]
    if not made:
        raise errors.NotSupported("an empty stack of matrices cannot be certified.")
    out = []
    for results in zip(*made, strict=True):
        first = results[0]
        entries = [a for r in results for a in r.ravel()]
        out.append(filled((*lead, *first.shape), entries))
    return out


def _flint(a: np.ndarray):
    """A matrix of FLINT's: of ratios where all entries are exact, else of balls."""
    entries = a.ravel()
    flint = load()
    if any(isinstance(x, ComplexBall) for x in entries):
        return flint.acb_mat(*a.shape, [x.acb() for x in entries])
    if any(x.special for x in entries):
        raise errors.NotSupported("a matrix with infinities or nan cannot be certified.")
    if max(a.shape, default=0) <= MOST_EXACT_ROWS and all(x.exact for x in entries):
        return flint.fmpq_mat(*a.shape, [x.x for x in entries])
    return flint.arb_mat(*a.shape, [x.arb() for x in entries])


def _entry(x) -> Any:
    flint = load()
    if type(x) is flint.fmpq:
        return Ball(x)
    return from_acb(x) if type(x) is flint.acb else from_arb(x, "an entry of a matrix")


def _array(matrix) -> np.ndarray:
    return filled((matrix.nrows(), matrix.ncols()), [_entry(x) for x in matrix.entries()])


def _pair(a: np.ndarray, b: np.ndarray):
    """Two matrices of FLINT's of one kind."""
    left, right = _flint(a), _flint(b)
    flint = load()
    for kind in (flint.acb_mat, flint.arb_mat):
        if type(left) is kind or type(right) is kind:
            return kind(left), kind(right)
    return left, right


def _solved(a: np.ndarray, b: np.ndarray, raises: bool = True) -> np.ndarray:
    left, right = _pair(a, b)
    try:
        return _array(left.solve(right))
    except ZeroDivisionError:
        return _singular(left, b.shape, raises)


def _singular(matrix, shape, raises: bool) -> np.ndarray:
    if type(matrix) is not load().fmpq_mat:
        raise Undetermined("whether a matrix is singular") from None
    if raises:
        raise np.linalg.LinAlgError("Singular matrix") from None
    return filled(shape, [Ball(math.inf)] * math.prod(shape))


def _adjoint(a: np.ndarray) -> np.ndarray:
    entries = [x.conjugate() if isinstance(x, ComplexBall) else x for x in a.T.ravel()]
    return filled(a.shape[::-1], entries)


@rule("solve")
def solve(values, equation):
    """x with a @ x = b."""
    params = equation.params

    def one(a, b):
        return [_solved(_adjoint(a) if params["adjoint"] else a, b, params["raises"])]

    return _stacked(one, *values)


@rule("triangular_solve")
def triangular_solve(values, equation):
    """x with a @ x = b, of which a triangle of a is read."""
    params = equation.params

    def one(a, b):
        part = _triangle(a, params["lower"], params["unit_diagonal"])
        return [_solved(_adjoint(part) if params["adjoint"] else part, b, params["raises"])]

    return _stacked(one, *values)


def _zero_like(x) -> Any:
    zero = ratio(0)
    return ComplexBall(zero, zero) if isinstance(x, ComplexBall) else zero


def _one_like(x) -> Any:
    return ComplexBall(ratio(1), ratio(0)) if isinstance(x, ComplexBall) else ratio(1)


def _triangle(a: np.ndarray, lower: bool, unit_diagonal: bool = False) -> np.ndarray:
    out = a.copy()
    for (i, j), x in np.ndenumerate(a):
        if i == j and unit_diagonal:
            out[i, j] = _one_like(x)
        elif (i < j) == lower and i != j:
            out[i, j] = _zero_like(x)
    return out


@rule("inv")
def inv(values, equation):
    """The inverse matrices."""

    def one(a):
        matrix = _flint(a)
        try:
            return [_array(matrix.inv())]
        except ZeroDivisionError:
            return [_singular(matrix, a.shape, equation.params["raises"])]

    return _stacked(one, *values)


def _determinant(a: np.ndarray) -> Any:
    return _entry(_flint(a).det()) if a.size else ratio(1)


@rule("det")
def det(values, equation):
    """The determinants."""
    return _stacked(lambda a: [filled((), [_determinant(a)])], *values)


@rule("slogdet")
def slogdet(values, equation):
    """The signs and the logarithms of the magnitudes of determinants."""

    def one(a):
        found = _determinant(a)
        if isinstance(found, ComplexBall):
            size = REAL["hypot"](found.re, found.im)
            side: Any = ComplexBall(found.re / size, found.im / size)
            return [filled((), [side]), filled((), [REAL["log"](size)])]
        return [
            filled((), [ratio(found.sign())]), filled((), [REAL["log"](abs(found))]),
        ]  # fmt: skip

    return _stacked(one, *values)


@rule("cholesky")
def cholesky(values, equation):
    """L with a = L L^T, lower triangular, or U with a = U^T U."""

    def one(a):
        upper = equation.params["upper"]
        made = _cholesky(a.T if upper else a)
        return [made.T if upper else made]

    return _stacked(one, *values)


def _cholesky(a: np.ndarray) -> np.ndarray:
    n = len(a)
    out = filled((n, n), [_zero_like(x) for x in a.ravel()])
    for j in range(n):
        for i in range(j, n):
            left = a[i, j] - total([out[i, k] * out[j, k] for k in range(j)], _REAL)
            if i > j:
                out[i, j] = left / out[j, j]
                continue
            if left.sign() <= 0:
                raise np.linalg.LinAlgError("Matrix is not positive definite")
            out[j, j] = REAL["sqrt"](left)
    return out


@rule("qr")
def qr(values, equation):
    """q and r of Householder's method, with LAPACK's signs."""

    def one(a):
        q, r = _qr(a)
        m, n = a.shape
        if not equation.params["complete"]:
            q, r = q[:, : min(m, n)], r[: min(m, n)]
        return [q, r]

    return _stacked(one, *values)


def _qr(a: np.ndarray) -> tuple[np.ndarray, np.ndarray]:
    m, n = a.shape
    q, r = _identity(m), a.copy()
    for k in range(min(m - 1, n)):
        column = list(r[k:, k])
        if all(x.is_zero for x in column[1:]):
            continue
        size = length(column)
        alpha = -size if column[0].sign() >= 0 else size
        v = [column[0] - alpha, *column[1:]]
        factor = ratio(2) / total([x * x for x in v], _REAL)
        _reflect(r[k:], v, factor)
        for i in range(k + 1, m):
            r[i, k] = ratio(0)
        _reflect(q.T[k:], v, factor)
    return q, r


def _reflect(rows: np.ndarray, v: list[Ball], factor: Ball) -> None:
    """rows - factor v (v^T rows), in place."""
    for j in range(rows.shape[1]):
        along = factor * total([x * y for x, y in zip(v, rows[:, j], strict=True)], _REAL)
        for i, x in enumerate(v):
            rows[i, j] = rows[i, j] - x * along


def _identity(n: int) -> np.ndarray:
    return filled((n, n), [ratio(int(i == j)) for i in range(n) for j in range(n)])


# --- eigenvalues and singular values --------------------------------------------------------------


def _symmetric(a: np.ndarray, lower: bool) -> np.ndarray:
    out = a.copy()
    for i, j in np.ndindex(*a.shape):
        if (i < j) == lower and i != j:
            out[i, j] = a[j, i]
    return out


def _eigenvalues(a: np.ndarray) -> list[Ball]:
    """The eigenvalues of a real symmetric matrix, ascending."""
    if len(a) == 1:
        return [a[0, 0]]
    flint = load()
    matrix = flint.acb_mat(*a.shape, [flint.acb(x.arb()) for x in a.ravel()])
    try:
        found = matrix.eig(multiple=True)
    except ValueError:
        raise Undetermined("eigenvalues") from None
    values = [from_arb(x.real, "an eigenvalue") for x in found]
    middles = [x.arb().mid() for x in values]
    ranks = [sum(m < other for m in middles) for other in middles]
    return [values[i] for i in np.argsort(ranks, kind="stable")]


@rule("eigvalsh")
def eigvalsh(values, equation):
    """The eigenvalues of symmetric matrices, ascending."""

    def one(a):
        return [filled((len(a),), _eigenvalues(_symmetric(a, equation.params["lower"])))]

    _only_real(values[0], equation)
    return _stacked(one, *values)


@rule("eigh")
def eigh(values, equation):
    """The eigenvalues of symmetric matrices, ascending, and eigenvectors with LAPACK's signs."""

    def one(a):
        full = _symmetric(a, equation.params["lower"])
        found = _eigenvalues(full)
        signs = np.linalg.eigh(_middles(full))[1]
        vectors = [_eigenvector(full, x, signs[:, k]) for k, x in enumerate(found)]
        return [filled((len(a),), found), _columns(vectors)]

    _only_real(values[0], equation)
    return _stacked(one, *values)


def _middles(a: np.ndarray) -> np.ndarray:
    return np.array([float(x.arb().mid()) for x in a.ravel()]).reshape(a.shape)


def _columns(vectors: list[list[Ball]]) -> np.ndarray:
    entries = [x for row in zip(*vectors, strict=True) for x in row]
    return filled((len(vectors[0]), len(vectors)), entries)


def _eigenvector(a: np.ndarray, value: Ball, like: np.ndarray) -> list[Ball]:
    """The vector of a simple eigenvalue, of length 1, on the side of `like`: the adjugate of
    A - l is a multiple of v v^T."""
    shifted = a.copy()
    for i in range(len(a)):
        shifted[i, i] = a[i, i] - value
    pivot = int(np.abs(like).argmax())
    column = list(_adjugate(shifted)[:, pivot])
    side = column[pivot].sign() * int(np.sign(like[pivot]))
    size = length(column) * ratio(side)
    return [x / size for x in column]


@rule("svd")
def svd(values, equation):
    """u, s and vh of real matrices of full rank, with LAPACK's signs."""

    def one(a):
        m, n = a.shape
        if equation.params["full_matrices"] and m != n:
            raise errors.NotSupported(
                "the full factors of a matrix that is not square cannot be certified: they are "
                "arbitrary.\n  Pass full_matrices=False."
            )
        tall = a if m >= n else a.T
        near = np.linalg.svd(_middles(tall), full_matrices=False)[2]
        gram = _gram(tall)
        squares = _eigenvalues(gram)[::-1]
        s = [REAL["sqrt"](_not_negative(x)) for x in squares]
        right = _columns([_eigenvector(gram, x, near[k]) for k, x in enumerate(squares)])
        left = filled(
            tall.shape,
            [total([x * y for x, y in zip(row, right[:, k], strict=True)], _REAL) / s[k]
             for row in tall for k in range(len(s))],
        )  # fmt: skip
        if m >= n:
            return [left, filled((len(s),), s), right.T]
        return [right, filled((len(s),), s), left.T]

    _only_real(values[0], equation)
    return _stacked(one, *values)


def _gram(a: np.ndarray) -> np.ndarray:
    """A^T A."""
    n = a.shape[1]
    products = [
        total([x * y for x, y in zip(p, q, strict=True)], _REAL) for p in a.T for q in a.T
    ]
    return filled((n, n), products)


@rule("singular_values")
def singular_values(values, equation):
    """The singular values, descending."""

    def one(a):
        found = _singular_values(a)
        return [filled((len(found),), found)]

    _only_real(values[0], equation)
    return _stacked(one, *values)


def _singular_values(a: np.ndarray) -> list[Ball]:
    m, n = a.shape
    found = [REAL["sqrt"](_not_negative(x)) for x in _eigenvalues(_gram(a if m >= n else a.T))]
    return found[::-1]


@rule("pinv")
def pinv(values, equation):
    """The pseudo-inverses of real matrices of full rank."""
    rcond = equation.params["rcond"]
    _only_real(values[0], equation)
    return _stacked(lambda a: [_pseudo_inverse(a, rcond, "pinv")[0]], *values)


@rule("lstsq")
def lstsq(values, equation):
    """The solutions of least squares, for real matrices of full rank; rank and singular values."""
    rcond = equation.params["rcond"]

    def one(a, b):
        inverse, s = _pseudo_inverse(a, rcond, "lstsq")
        found = [total([x * y for x, y in zip(row, column, strict=True)], _REAL)
                 for row in inverse for column in b.T]  # fmt: skip
        return [filled((a.shape[1], b.shape[1]), found), filled((len(s),), s)]

    for x in values:
        _only_real(x, equation)
    x, s = _stacked(one, *values)
    return [x, np.full(equation.outputs[1].type.shape, s.shape[-1], np.int32), s]


def _pseudo_inverse(a: np.ndarray, rcond, name: str) -> tuple[np.ndarray, list[Ball]]:
    """(A^T A)^-1 A^T or A^T (A A^T)^-1, and the singular values, of which none is cut off."""
    m, n = a.shape
    s = _singular_values(a)
    cut = max(m, n) * 2.0**-52 if rcond is None or rcond < 0 else float(rcond)
    if (s[-1] - s[0] * ratio(*cut.as_integer_ratio())).sign() <= 0:
        raise errors.NotSupported(
            f"{name} of a matrix that is not of full rank cannot be certified."
        )
    tall = a if m >= n else a.T
    inverse = _solved(_gram(tall), tall.T)
    return (inverse if m >= n else inverse.T), s


def _not_negative(x: Ball) -> Ball:
    """A number that is known not to be negative, in a ball that may reach below zero."""
    return x if x.exact else from_arb(x.arb().nonnegative_part())


def _only_real(a: np.ndarray, equation: Equation) -> None:
    if any(isinstance(x, ComplexBall) for x in a.ravel()):
        raise errors.NotSupported(
            f"{equation.op.name} of complex matrices cannot be certified; of real ones it can."
        )


@rule("expm")
def expm(values, equation):
    """The matrix exponentials."""

    def one(a):
        matrix = _flint(a)
        if type(matrix) is load().fmpq_mat:
            matrix = load().arb_mat(matrix)
        return [_array(matrix.exp())]

    return _stacked(one, *values)


@rule("adjugate")
def adjugate(values, equation):
    """The adjugates, by cofactors."""
    return _stacked(lambda a: [_adjugate(a)], *values)


def _adjugate(a: np.ndarray) -> np.ndarray:
    n = len(a)
    entries = []
    for i in range(n):
        for j in range(n):
            minor = np.delete(np.delete(a, j, 0), i, 1)
            cofactor = _determinant(minor) if n > 1 else _one_like(a[0, 0])
            entries.append(-cofactor if (i + j) % 2 else cofactor)
    return filled((n, n), entries)


@rule("fft")
def fft(values, equation):
    """The discrete Fourier transform along an axis, by its definition."""
    params = equation.params
    return [_transformed(values[0], params["axis"], params["inverse"], params["norm"])]


@rule("rfft")
def rfft(values, equation):
    """The first half of the transform."""
    x, axis = values[0], equation.params["axis"]
    made = _transformed(x, axis, False, equation.params["norm"])
    return [np.take(made, range(x.shape[axis] // 2 + 1), axis)]


@rule("irfft")
def irfft(values, equation):
    """The signals of which these are the first halves of the transforms."""
    axis, n = equation.params["axis"], equation.params["n"]
    rows = np.moveaxis(values[0], axis, -1)
    ends = rows[..., :1], rows[..., n // 2 : n // 2 + 1 if n % 2 == 0 else n // 2]
    first, last = [filled(z.shape, [_complex(_real(a)) for a in z.ravel()]) for z in ends]
    inner = rows[..., 1 : (n + 1) // 2]
    mirrored = filled(inner.shape, [a.conjugate() for a in inner[..., ::-1].ravel()])
    whole = np.concatenate([first, inner, last, mirrored], axis=-1)
    made = _transformed(whole, whole.ndim - 1, True, equation.params["norm"])
    return [np.moveaxis(filled(made.shape, [_real(a) for a in made.ravel()]), -1, axis)]


def _complex(a: Any) -> ComplexBall:
    return a if isinstance(a, ComplexBall) else ComplexBall(a, ratio(0))


def _real(a: Any) -> Ball:
    return a.re if isinstance(a, ComplexBall) else a


def _turn(angle) -> ComplexBall:
    """exp(2 pi i t) for a ratio t."""
    return ComplexBall(_cosine(angle), _cosine(angle - load().fmpq(1, 4)))


def _cosine(angle) -> Ball:
    """cos(2 pi t) for a ratio t, exactly where it is a ratio."""
    twelfths = 12 * angle
    known = {0: 2, 2: 1, 3: 0, 4: -1, 6: -2, 8: -1, 9: 0, 10: 1}  # twice the cosine, by twelfths
    if twelfths.q == 1 and int(twelfths.p) % 12 in known:
        return ratio(known[int(twelfths.p) % 12], 2)
    return from_arb(load().arb(2 * angle).cos_pi(), "a root of unity")


def _transformed(x: np.ndarray, axis: int, inverse: bool, norm: str | None) -> np.ndarray:
    n = x.shape[axis]
    side = 1 if inverse else -1
    turns = [_turn(load().fmpq(side * k, n)) for k in range(n)]
    factor = _norm_factor(norm, n, inverse)

    def transformed(row):
        entries = list(map(_complex, row))
        return [
            total([a * turns[j * k % n] for j, a in enumerate(entries)], np.dtype("D")) * factor
            for k in range(n)
        ]

    rows = np.moveaxis(x, axis, -1)
    made = [b for row in rows.reshape(-1, n) for b in transformed(row)]
    return np.moveaxis(filled(rows.shape, made), -1, axis)


def _norm_factor(norm: str | None, n: int, inverse: bool) -> ComplexBall:
    norm = norm or "backward"
    if norm == "ortho":
        return ComplexBall(ratio(1) / REAL["sqrt"](ratio(n)), ratio(0))
    divides = (norm == "backward") == inverse
    return ComplexBall(ratio(1, n) if divides else ratio(1), ratio(0))


assert "solve" in RULES
