"""Functions of matrices written out in products, solutions of systems and loops.

Value     exp by scaling and squaring, with the Pade approximant of degree 13 and a scaling that the
          powers of A choose; the square root by the product form of Denman and Beavers's iteration,
          scaled by determinants; the logarithm by square roots until the matrix is near I, and a
          Pade approximant in partial fractions. Derivatives are blocks of the function of a larger
          matrix, as in chainrule.ops.matrix_functions. Stein's equation is worked out as there.
Accuracy  the error is that of rounding A, to a small multiple: what conditions the problem allows.
          A square root whose square is not A to rounding, and entries that are not finite, are
          refused: the evaluator makes the call.
Source    Al-Mohy and Higham, SIAM J. Matrix Anal. 31 (2009) 970, algorithm 5.1 (exp); Higham,
          Functions of Matrices, 2008, equations 6.29 and 11.18, algorithm 11.10 (root, logarithm).
"""

from __future__ import annotations

import math
from collections.abc import Callable
from functools import reduce

import numpy as np

from chainrule.ops.elementwise import multiply
from chainrule.ops.linalg import det, inv, solve
from chainrule.ops.matrices import adjoint, on_diagonal, product, transposed
from chainrule.ops.matrix_equations import FEW_UNKNOWNS, sylvester
from chainrule.ops.refuse import refuse
from chainrule.ops.select import cast, select
from chainrule.ops.shape import broadcast
from chainrule.ops.spectral import svd
from chainrule.ops.while_loop import loop

_EPS = float(np.finfo(np.float64).eps)
_PADE_13 = (
    64764752532480000.0, 32382376266240000.0, 7771770303897600.0, 1187353796428800.0,
    129060195264000.0, 10559470521600.0, 670442572800.0, 33522128640.0, 1323241920.0, 40840800.0,
    960960.0, 16380.0, 182.0, 1.0,
)  # fmt: skip
_REACH_13 = 4.25  # theta_13 of the source


def _wide(x):
    """x in double precision."""
    return cast(x, dtype=np.dtype(np.complex128 if x.dtype.kind == "c" else np.float64))


def _number(x):
    """Numbers (...) or (..., 1, 1) as they multiply matrices."""
    return x if x.ndim and x.shape[-2:] == (1, 1) else x[..., None, None]


def _norm(x):
    """The largest sum of magnitudes in a column, as (..., 1, 1)."""
    return np.max(np.sum(np.abs(x), axis=-2, keepdims=True), axis=-1, keepdims=True)


def _identity_like(x):
    one = x.dtype.type(1)
    return select(on_diagonal(x.shape), broadcast(one, shape=x.shape, axes=()), x.dtype.type(0))


def _refuse_unless(ok) -> None:
    refuse(np.logical_not(np.all(ok)))


# --- the exponential ------------------------------------------------------------------------------


def _exponential(a):
    """exp(a) of a stack of float64 or complex128 matrices."""
    _refuse_unless(np.isfinite(a))
    exponent = np.maximum(np.ceil(np.log2(_norm(a))), 0.0)
    a = a * np.exp2(-exponent)
    a2 = product(a, a)
    a4 = product(a2, a2)
    a6 = product(a2, a4)
    squarings = _squarings(a, a2, a4, a6, exponent)
    factor = np.exp2(exponent - squarings)
    square = factor * factor
    a, a2, a4, a6 = factor * a, square * a2, square**2 * a4, square**3 * a6
    b, one = _PADE_13, _identity_like(a)
    odd = product(a6, b[13] * a6 + b[11] * a4 + b[9] * a2)
    odd = product(a, odd + b[7] * a6 + b[5] * a4 + b[3] * a2 + b[1] * one)
    even = product(a6, b[12] * a6 + b[10] * a4 + b[8] * a2)
    even = even + b[6] * a6 + b[4] * a4 + b[2] * a2 + b[0] * one
    value = solve(even - odd, even + odd, adjoint=False, raises=False)
    return _squared(value, squarings)


def _squarings(a, a2, a4, a6, exponent):
    """How often to square, for each matrix of a stack: a 2^exponent is meant."""
    size = np.exp2(exponent)
    d6, d8 = _norm(a6) ** (1 / 6), _norm(product(a4, a4)) ** 0.125
    d10 = _norm(product(a4, a6)) ** 0.1
    reach = size * np.minimum(np.maximum(d6, d8), np.maximum(d8, d10))
    found = np.maximum(np.ceil(np.log2(reach / _REACH_13)), 0.0)
    more = np.maximum(np.ceil(_log_error(a, exponent - found) / 26.0), 0.0)
    found = found + more
    return np.where(np.isfinite(found), found, 0.0)


def _log_error(a, exponent):
    """log2 of the backward error's first term over the rounding, for a 2^exponent."""
    size = _norm(a)
    safe = np.where(size == 0, 1.0, size)
    ratios = np.abs(a) / safe
    row = np.sum(ratios, axis=-2, keepdims=True)
    for _ in range(26):
        row = product(row, ratios)
    power = np.log2(np.max(row, axis=-1, keepdims=True)) + 26.0 * (np.log2(safe) + exponent)
    coefficient = math.log2(math.factorial(13) ** 2 / math.factorial(26) / math.factorial(27))
    return power + coefficient + 53.0


def _squared(value, squarings):
    """value^(2^k) for k = squarings, each matrix of a stack its own."""
    most = np.max(squarings, initial=0.0)
    start = most * 0.0

    def step(done, value):
        return [done + 1.0, np.where(done < squarings, product(value, value), value)]

    return loop(lambda done, value: done < most, step, [start, value], [start.type, value.type])[1]


# --- the square root ------------------------------------------------------------------------------

_MOST_STEPS = 40.0
_CHANGE = 1e-2  # below it, the step that follows is exact to rounding


def _root(a):
    """The principal square root; refused where its square is not a."""
    n = a.shape[-1]
    one = _identity_like(a)

    def step(count, change, x, m):
        scale = np.abs(det(m)) ** (-0.5 / n)
        scale = _number(np.where(np.isfinite(scale) & (scale > 0), scale, 1.0))
        scale = np.where(change < _CHANGE, 1.0, scale)
        inverse = inv(m, raises=False)
        square = scale * scale
        x = 0.5 * scale * product(x, one + inverse / square)
        m = 0.5 * (one + 0.5 * (square * m + inverse / square))
        return [count + 1.0, _norm(m - one), x, m]

    def again(count, change, x, m):
        return np.any(change > 8.0 * n * _EPS) & (count < _MOST_STEPS)

    change = _norm(a - one) + 1.0
    count = np.max(change, initial=0.0) * 0.0
    state = [count, change, a, a]
    x = loop(again, step, state, [v.type for v in state])[2]
    return x


def _checked_root(a):
    x = _root(a)
    size = _norm(x)
    _refuse_unless(_norm(product(x, x) - a) <= 32.0 * a.shape[-1] * _EPS * size * size)
    return x


# --- the logarithm --------------------------------------------------------------------------------

_NEAR = 0.25
_NODES = 8  # of the Pade approximant: its error at norm 0.25 is below 1e-16


def _logarithm(a):
    """The principal logarithm."""
    one = _identity_like(a)

    def again(count, ok, x):
        return np.any(_norm(x - one) > _NEAR) & ok & (count < 60.0)

    def step(count, ok, x):
        root = _root(x)
        size = _norm(root)
        error = _norm(product(root, root) - x)
        good = np.all(error <= 32.0 * a.shape[-1] * _EPS * size * size)
        return [count + 1.0, ok & good, root]

    size = _norm(a)
    count = np.max(size, initial=0.0) * 0.0
    state = [count, np.all(np.isfinite(size)), a]
    count, ok, x = loop(again, step, state, [v.type for v in state])
    _refuse_unless(ok)
    rest = x - one
    nodes, weights = np.polynomial.legendre.leggauss(_NODES)
    total = 0.0
    for node, weight in zip(0.5 * (nodes + 1.0), 0.5 * weights, strict=True):
        part = solve(one + node * rest, rest, adjoint=False, raises=False)
        total = total + weight * part
    return np.exp2(count) * total


# --- derivatives ----------------------------------------------------------------------------------


def _block(function: Callable, a, directions):
    """As `block_of_derivative` of chainrule.ops.matrix_functions."""
    if not directions:
        return function(a)
    sizes = [np.max(np.abs(e), axis=(-2, -1), keepdims=True) for e in directions]
    wanted = np.maximum(np.max(np.abs(a), axis=(-2, -1), keepdims=True), 1e-3)
    factors = [np.where(size > 0, size / wanted, 1.0) for size in sizes]
    scaled = [e / factor for e, factor in zip(directions, factors, strict=True)]
    n, count, zero = a.shape[-1], 2 ** len(directions), a * 0.0
    rows = []
    for p in range(count):
        row = [a if q == p else zero for q in range(count)]
        for i, e in enumerate(scaled):
            if not p >> i & 1:
                row[p | 1 << i] = e
        rows.append(np.concatenate(row, axis=-1))
    out = function(np.concatenate(rows, axis=-2))[..., :n, -n:]
    return out * reduce(multiply, factors)


def _of_family(function: Callable) -> tuple[Callable, Callable]:
    """The lowerings of a function of matrices, and of its derivatives."""

    def value(a):
        return cast(function(_wide(a)), dtype=a.dtype) if a.size else NotImplemented

    def derivative(first, a, *more):
        if not a.size:
            return NotImplemented
        for x in (first, a, *more):
            _refuse_unless(np.isfinite(x))
        return cast(_block(function, _wide(a), [_wide(e) for e in (first, *more)]), dtype=a.dtype)

    return value, derivative


# --- Stein's equation -----------------------------------------------------------------------------


def _stein(a, b, q):
    """As chainrule.ops.matrix_equations: one linear system, or a Sylvester equation."""
    if not q.size:
        return NotImplemented
    dtype, (m, n) = q.dtype, q.shape[-2:]
    a, b, q = _wide(a), _wide(b), _wide(q)
    if m * n <= FEW_UNKNOWNS:
        lead = q.shape[:-2]
        kron = a[..., :, None, :, None] * transposed(b)[..., None, :, None, :]
        kron = kron.reshape((*lead, m * n, m * n))
        found = solve(_identity_like(kron) - kron, q.reshape((*lead, m * n, 1)),
                      adjoint=False, raises=True)  # fmt: skip
        return cast(found.reshape(q.shape), dtype=dtype)
    one_a, one_b = _identity_like(a), _identity_like(b)
    left, right = inv(one_a + a, raises=True), inv(one_b + b, raises=True)
    first, second = product(left, one_a - a), product(one_b - b, right)
    source = 2.0 * product(product(left, q), right)
    return cast(sylvester(first, second, source), dtype=dtype)


# --- the adjugate ---------------------------------------------------------------------------------


def _adjugate(a):
    """As chainrule.ops.matrix_functions: from the inverse, or from the singular values."""
    if not a.size:
        return NotImplemented
    _refuse_unless(np.isfinite(a))
    dtype, a = a.dtype, _wide(a)
    u, s, vh = svd(a, full_matrices=False)
    zero = s <= s[..., :1] * _EPS**2
    filled = np.where(zero, 1.0, s)
    held, missing = zero.astype(np.int64), np.sum(zero, axis=-1, keepdims=True)
    weights = np.where(held == missing, np.prod(filled, axis=-1, keepdims=True) / filled, 0.0)
    inside = adjoint(vh) * weights[..., None, :]
    general = (det(u) * det(vh))[..., None, None] * product(inside, adjoint(u))
    inverse = inv(a, raises=False)
    regular = det(a)[..., None, None] * inverse
    condition = np.max(np.abs(a), axis=(-2, -1)) * np.max(np.abs(inverse), axis=(-2, -1))
    plain = (condition < 1e3) & np.all(np.isfinite(regular), axis=(-2, -1))
    return cast(np.where(plain[..., None, None], regular, general), dtype=dtype)


_exp, _exp_derivative = _of_family(_exponential)
_sqrt, _sqrt_derivative = _of_family(_checked_root)
_log, _log_derivative = _of_family(_logarithm)

MATRICES: dict[str, Callable] = {
    "adjugate": _adjugate, "expm": _exp, "expm_derivative": _exp_derivative,
    "logm": _log, "logm_derivative": _log_derivative,
    "sqrtm": _sqrt, "sqrtm_derivative": _sqrt_derivative,
    "stein": _stein,
}  # fmt: skip
