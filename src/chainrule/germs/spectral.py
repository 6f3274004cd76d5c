"""Eigenvalues and singular values of matrices of germs, where some are equal at the limit.

Where all are apart, the derivative rule gives every term. Where some are equal, their vectors at
the limit are those of the first coefficient that tells them apart: the matrix is brought to a block
for each group of equal values, order by order, by a unitary series; a block is its value times the
unit matrix plus s times a matrix of germs, which is treated the same way.

Source    the reduction process of Kato, "Perturbation theory for linear operators", II.2.3;
          singular values as the eigenvalues of [[0, A], [A^H, 0]] (Jordan and Wielandt).
"""

from __future__ import annotations

import numpy as np

from chainrule.germs.choosing import decide
from chainrule.germs.evaluation import Run, Unsupported, germ_of, rule
from chainrule.germs.linear import Aligned
from chainrule.germs.series import EXACT, TINY, Germ, constant, divide, normal, typed
from chainrule.germs.smooth import smooth
from chainrule.ops.matrices import equality_tolerance
from chainrule.program.program import Equation
from chainrule.program.types import Type


@rule("eigh", "eigvalsh")
def _hermitian(run: Run, equation: Equation, inputs: list):
    (a,) = inputs
    values = np.linalg.eigvalsh(a.wide_limit(), "L" if equation.params["lower"] else "U")
    if not _some_equal(values):
        return smooth(run, equation, inputs)
    rows, base, known = _matrices(run, equation, a)
    if not equation.params["lower"]:
        rows = np.conj(np.swapaxes(rows, -1, -2))
    below = np.tril(rows, -1)
    full = below + np.conj(np.swapaxes(below, -1, -2)) + rows * np.eye(rows.shape[-1])
    values, vectors, sure = _stacked(full)
    out = [_germ(run, values, base, known, equation.outputs[0].type)]
    if len(equation.outputs) == 2:
        sure = min(sure, known)
        out.append(_germ(run, vectors, 0, sure, equation.outputs[1].type))
    return tuple(out)


@rule("singular_values", "svd")
def _singular(run: Run, equation: Equation, inputs: list):
    (a,) = inputs
    values = np.linalg.svd(a.wide_limit(), compute_uv=False)
    if not _some_equal(values, zero=True):
        return smooth(run, equation, inputs)
    rows, base, known = _matrices(run, equation, a)
    m, n = rows.shape[-2:]
    k = min(m, n)
    full = np.zeros((*rows.shape[:-2], m + n, m + n))
    full[..., :m, m:] = rows
    full[..., m:, :m] = np.swapaxes(rows, -1, -2)
    values, vectors, sure = _stacked(full)
    largest = slice(None, -k - 1, -1)
    out = equation.outputs
    s = _germ(run, values[..., largest], base, known, out[0].type if len(out) == 1 else out[1].type)
    if len(out) == 1:
        return (s,)
    if s.vague.any() or (equation.params["full_matrices"] and m != n):
        raise Unsupported("svd", "vectors of singular values that stay 0")
    vectors = np.sqrt(2.0) * vectors[..., largest]
    sure = min(sure, known)
    u = _germ(run, vectors[..., :m, :], 0, sure, out[0].type)
    vh = _germ(run, np.swapaxes(vectors[..., m:, :], -1, -2), 0, sure, out[2].type)
    return u, s, vh


@rule("eig", "eigvals")
def _general(run: Run, equation: Equation, inputs: list):
    values = np.linalg.eigvals(inputs[0].wide_limit())
    gaps = np.abs(values[..., :, None] - values[..., None, :])
    gaps = gaps + np.where(np.eye(values.shape[-1], dtype=bool), np.inf, 0.0)
    size = np.abs(values).max(axis=-1, initial=0.0)[..., None, None]
    if (gaps <= np.sqrt(TINY) * size).any():
        raise Unsupported(equation.op.name, "equal eigenvalues of a matrix that is not symmetric")
    return smooth(run, equation, inputs)


@rule("reciprocal_where_apart")
def _reciprocal(run: Run, equation: Equation, inputs: list) -> Germ:
    """1 / x; 0 where x is 0, for values that stay equal."""
    x = typed(germ_of(run, inputs[0]), equation.outputs[0].type)
    decide(run, x)
    nothing = x.zero | x.vague
    out = divide(constant(np.float64(1.0), run.window), x, x.type)
    terms = np.where(nothing | np.isinf(x.terms[0]), 0.0, out.terms)
    order = np.where(terms[0] == 0, EXACT, out.order)
    return normal(x.type, terms, order, np.where(terms[0] == 0, EXACT, out.known))


def _some_equal(values: np.ndarray, zero: bool = False) -> bool:
    """Whether some of the values are equal (or zero) to rounding, in any matrix of the stack."""
    values = np.sort(values, axis=-1)
    if zero:
        values = np.concatenate([np.zeros((*values.shape[:-1], 1)), values], axis=-1)
    if values.shape[-1] < 2:
        return False
    size = np.abs(values).max(axis=-1, initial=0.0) * equality_tolerance(values.shape[-1], float)
    return bool((np.diff(values, axis=-1) <= size[..., None]).any())


def _matrices(run: Run, equation: Equation, a: Germ):
    """The coefficients (terms, ..., m, n), the power of the first, and how many are known."""
    if a.terms.dtype.kind == "c":
        raise Unsupported(equation.op.name, "equal values of a complex matrix")
    aligned = Aligned(run, a)
    rows = aligned.terms.reshape(aligned.rows, *a.shape)
    precision = int(aligned.precision.min()) if aligned.precision.size else EXACT
    known = min(precision - aligned.base, aligned.rows)
    if not np.isfinite(rows).all() or known < 1:
        raise Unsupported(equation.op.name, "entries that are not finite or not known")
    return rows[:known], aligned.base, known


def _germ(run: Run, rows: np.ndarray, base: int, known: int, type_: Type) -> Germ:
    terms = np.zeros((run.window, type_.size))
    kept = min(run.window, known, rows.shape[0])
    terms[:kept] = rows[:kept].reshape(kept, -1)
    return normal(type_, terms, np.full(type_.size, base), np.full(type_.size, kept))


def _stacked(rows: np.ndarray):
    """`diagonalised` for each matrix of a stack (terms, ..., n, n)."""
    n = rows.shape[-1]
    flat = rows.reshape(rows.shape[0], -1, n, n)
    found = [diagonalised(flat[:, i]) for i in range(flat.shape[1])]
    values = np.stack([f[0] for f in found], axis=1).reshape(rows.shape[:-1])
    vectors = np.stack([f[1] for f in found], axis=1).reshape(rows.shape)
    return values, vectors, min(f[2] for f in found)


def diagonalised(a: np.ndarray) -> tuple[np.ndarray, np.ndarray, int]:
    """Eigenvalues (terms, n), ascending for s > 0, and vectors (terms, n, n) of a symmetric series
    (terms, n, n); and how many terms of the vectors are known."""
    terms, n, _ = a.shape
    size = np.abs(a).max(initial=0.0)
    if size == 0:
        return np.zeros((terms, n)), _unit(terms, n), terms
    first, basis = np.linalg.eigh(a[0])
    groups = _groups(first, max(np.abs(first).max() * equality_tolerance(n, float), TINY * size))
    turned = np.swapaxes(basis, 0, 1) @ a @ basis
    turned[0] = np.diag(np.concatenate([np.full(len(g), first[g].mean()) for g in groups]))
    blocks, turn = _in_blocks(turned, groups)
    values, inner, known = np.zeros((terms, n)), _unit(terms, n), terms
    for group in groups:
        values[0, group] = turned[0][group[0], group[0]]
        inside = np.ix_(np.arange(terms), group, group)
        block = blocks[inside][1:]
        block[np.abs(block) <= TINY * size] = 0.0
        if len(group) == 1:
            values[1:, group] = block[:, 0]
        elif terms > 1:
            values[1:, group], vectors, sure = diagonalised(block)
            known = min(known, sure)
            inner[inside] = np.concatenate([vectors, np.zeros((1, *vectors.shape[1:]))])
    return values, basis @ _product(turn, inner), known


def _unit(terms: int, n: int) -> np.ndarray:
    out = np.zeros((terms, n, n))
    out[0] = np.eye(n)
    return out


def _groups(values: np.ndarray, distance: float) -> list[np.ndarray]:
    ends = np.flatnonzero(np.diff(values) > distance) + 1
    return np.split(np.arange(values.size), ends)


def _product(x: np.ndarray, y: np.ndarray) -> np.ndarray:
    """The product of two series of matrices."""
    out = np.zeros_like(x)
    for i in range(x.shape[0]):
        for j in range(x.shape[0] - i):
            out[i + j] += x[i] @ y[j]
    return out


def _in_blocks(b: np.ndarray, groups) -> tuple[np.ndarray, np.ndarray]:
    """The series D = Q^T B Q with a block for each group, and Q, with Q' = Q W for the skew W that
    keeps D' = Q^T B' Q + D W - W D in blocks."""
    terms, n, _ = b.shape
    d, q, w = np.zeros_like(b), _unit(terms, n), np.zeros_like(b)
    d[0] = b[0]
    label = np.concatenate([np.full(len(g), i) for i, g in enumerate(groups)])
    apart = label[:, None] != label[None, :]
    value = np.diag(b[0])
    gaps = np.where(apart, value[None, :] - value[:, None], 1.0)
    slope = b[1:] * np.arange(1, terms)[:, None, None]
    for k in range(terms - 1):
        moved = _coefficient(np.swapaxes(q, 1, 2), slope, q, k)
        rest = moved + sum(
            (d[j] @ w[k - j] - w[k - j] @ d[j] for j in range(1, k + 1)), np.zeros((n, n))
        )
        w[k] = np.where(apart, rest / gaps, 0.0)
        d[k + 1] = np.where(apart, 0.0, rest) / (k + 1)
        q[k + 1] = sum((q[i] @ w[k - i] for i in range(k + 1)), np.zeros((n, n))) / (k + 1)
    return d, q


def _coefficient(x, y, z, k: int) -> np.ndarray:
    """The coefficient of s^k of the product of three series of matrices."""
    total = np.zeros(x.shape[1:])
    for i in range(k + 1):
        for j in range(k - i + 1):
            total += x[i] @ y[j] @ z[k - i - j]
    return total
