"""Polynomials by their coefficients, highest power first: np.polyval and its relatives."""

from __future__ import annotations

from typing import Any

import numpy as np

from chainrule import errors
from chainrule.numpy.creation import filled
from chainrule.numpy.indexing import reshape_to
from chainrule.numpy.inserting import trim_zeros
from chainrule.numpy.promotion import cast_to, dtype_of, result_dtype, shape_of
from chainrule.numpy.protocols import implements
from chainrule.numpy.shaping import array
from chainrule.numpy.sorting import value_needed
from chainrule.ops.reduce import preceded
from chainrule.ops.shape import iota
from chainrule.program.text import line_text
from chainrule.program.trace import Traced, user_line

_INT64 = np.dtype(np.int64)


def _coefficients(p) -> Traced:
    p = array(p)
    return reshape_to(p, (1,)) if p.ndim == 0 else p


def _trimmed(p) -> Traced:
    """The coefficients without leading zeros, as np.poly1d holds them."""
    p = _coefficients(p)
    found = trim_zeros(p, "f")
    return found if found.shape[0] else p[-1:] * 0


@implements(np.polyval)
def polyval(p, x):
    """np.polyval, by Horner's rule"""
    p, x = array(p), array(x)
    value = np.zeros_like(x)
    for i in range(p.shape[0]):
        value = value * x + p[i]
    return value


@implements(np.polyadd)
def polyadd(a1, a2):
    """np.polyadd"""
    return _added(np.add, a1, a2)


@implements(np.polysub)
def polysub(a1, a2):
    """np.polysub"""
    return _added(np.subtract, a1, a2)


def _added(ufunc, a1, a2):
    a1, a2 = _coefficients(a1), _coefficients(a2)
    count = max(a1.shape[0], a2.shape[0])
    return ufunc(*(preceded(a, 0, count - a.shape[0], 0) for a in (a1, a2)))


@implements(np.polymul)
def polymul(a1, a2):
    """np.polymul"""
    return np.convolve(_trimmed(a1), _trimmed(a2))


@implements(np.polyder)
def polyder(p, m=1):
    """np.polyder"""
    if m < 0:
        raise ValueError("Order of derivative must be positive (see polyint)")
    p = array(p)
    for _ in range(int(m)):
        n = p.shape[0] - 1
        p = p[:-1] * (n - iota(size=n, dtype=_INT64))
    return p


@implements(np.polyint)
def polyint(p, m=1, k=None):
    """np.polyint"""
    m = int(m)
    if m < 0:
        raise ValueError("Order of integral must be positive (see polyder)")
    constants = np.zeros(m) if k is None else _coefficients(k)
    if shape_of(constants) == (1,) and m > 1:
        constants = constants[0] * np.ones(m)
    if shape_of(constants)[0] < m:
        raise ValueError("k must be a scalar or a rank-1 array of length 1 or >m.")
    p = array(p)
    for i in range(m):
        last = np.reshape(constants[i], (1,))
        powers = p.shape[0] - iota(size=p.shape[0], dtype=_INT64)
        p = np.concatenate((np.true_divide(p, powers), last))
    return p


@implements(np.polydiv)
def polydiv(u, v):
    """np.polydiv: quotient and remainder, whose leading zeros are dropped by their value"""
    u, v = _coefficients(u) + 0.0, _coefficients(v) + 0.0
    dtype = result_dtype(u[:1], v[:1])
    m, n = u.shape[0] - 1, v.shape[0] - 1
    scale = 1.0 / v[0]
    quotient = filled((max(m - n + 1, 1),), 0, dtype)
    rest = cast_to(u, dtype).copy()
    for k in range(m - n + 1):
        quotient[k] = factor = scale * rest[k]
        rest[k : k + n + 1] -= factor * v
    value = value_needed(rest, "polydiv", "np.convolve keeps leading zeros.")
    first = 0
    while np.allclose(value[first], 0, rtol=1e-14) and first < value.shape[0] - 1:
        first += 1
    return quotient, rest[first:]


@implements(np.poly)
def poly(seq_of_zeros):
    """np.poly: the coefficients of the polynomial with these roots"""
    zeros: Any = _coefficients(seq_of_zeros)
    zeros = cast_to(zeros, np.dtype(np.mintypecode(zeros.dtype.char)))
    if zeros.ndim == 2 and zeros.shape[0] == zeros.shape[1] and zeros.shape[0]:
        zeros = np.linalg.eigvals(zeros)
    elif zeros.ndim != 1:
        raise ValueError("input must be 1d or non-empty square 2d array.")
    if not zeros.shape[0]:
        return 1.0
    found: Any = filled((1,), 1, zeros.dtype)
    for i in range(zeros.shape[0]):
        found = np.convolve(found, preceded(np.reshape(-zeros[i], (1,)), 0, 1, 1))
    if zeros.dtype.kind != "c":
        return found
    value = value_needed(zeros, "poly", "Give real roots.")
    paired = np.all(np.sort(value) == np.sort(value.conjugate()))
    return found.real.copy() if paired else found


@implements(np.polyfit)
def polyfit(x, y, deg, rcond=None, full=False, w=None, cov=False):
    """np.polyfit, by least squares of scaled powers of x"""
    if full or cov:
        raise errors.NotSupported(
            f"np.polyfit(full=True) and (cov=True) are not supported on traced values, "
            f"at {line_text(user_line())}."
        )
    x, y = array(x) + 0.0, array(y) + 0.0
    order = int(deg) + 1
    if deg < 0:
        raise ValueError("expected deg >= 0")
    if x.ndim != 1 or not x.size or y.ndim < 1 or y.ndim > 2:
        raise TypeError("expected 1D vector for x, and 1D or 2D array for y")
    if x.shape[0] != y.shape[0]:
        raise TypeError("expected x and y to have same length")
    rcond = x.shape[0] * np.finfo(dtype_of(x)).eps if rcond is None else rcond
    powers = np.vander(x, order)
    if w is not None:
        w = array(w) + 0.0
        powers = powers * w[:, None]
        y = y * (w[:, None] if y.ndim == 2 else w)
    scale = np.sqrt((powers * powers).sum(axis=0))
    solution = np.linalg.lstsq(powers / scale, y, rcond)[0]
    return (solution.T / scale).T


@implements(np.roots)
def roots(p):
    """np.roots: the eigenvalues of the companion matrix; leading and trailing zeros by value"""
    p = _coefficients(p)
    if p.ndim != 1:
        raise errors.ShapeError(f"Input must be a rank-1 array, at {line_text(user_line())}.")
    places = np.flatnonzero(value_needed(p, "roots", "np.linalg.eigvals takes the matrix."))
    if not places.size:
        return np.array([])
    zeros = p.shape[0] - int(places[-1]) - 1
    p = p[int(places[0]) : int(places[-1]) + 1]
    p = p if p.dtype.kind in "fc" else cast_to(p, np.dtype(np.float64))
    n = p.shape[0] - 1
    if not n:
        return filled((zeros,), 0, np.dtype(np.float64))
    companion = filled((n, n), 0, p.dtype)
    companion[1:, :-1] = np.eye(n - 1)
    companion[0, :] = -p[1:] / p[0]
    found: Any = np.linalg.eigvals(companion)
    at_hand = value_needed(found, "roots", "np.linalg.eigvals takes the matrix.")
    if p.dtype.kind != "c" and not np.any(np.imag(at_hand)):
        found = np.real(found)
    return np.concatenate((found, filled((zeros,), 0, found.dtype)))
