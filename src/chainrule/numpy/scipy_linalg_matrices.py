"""Matrices of scipy.linalg that are made from vectors: block_diag, toeplitz, hankel, companion, ...

Replaced in SciPy's modules while a trace is open (see undispatched.py).
"""

from __future__ import annotations

from typing import Any

import numpy as np

from chainrule import errors
from chainrule.numpy.creation import filled
from chainrule.numpy.promotion import cast_to, result_dtype
from chainrule.numpy.shaping import array, ravel
from chainrule.numpy.undispatched import replaces
from chainrule.program.text import line_text
from chainrule.program.trace import user_line

_linalg = replaces("scipy.linalg")


def _vector(x, name: str) -> Any:
    x = array(x)
    if x.ndim > 1:
        raise errors.NotSupported(
            f"scipy.linalg.{name} of arrays with {x.ndim} axes is not supported on traced values, "
            f"at {line_text(user_line())}: give vectors."
        )
    return np.atleast_1d(x)


def _joined(*parts) -> Any:
    dtype = result_dtype(*parts)
    return np.concatenate([cast_to(part, dtype) for part in parts])


@_linalg
def block_diag(*arrs):
    """scipy.linalg.block_diag of matrices; a vector is a row."""
    blocks = [np.atleast_2d(array(x)) for x in arrs]
    if any(x.ndim != 2 for x in blocks):
        raise errors.NotSupported(
            "scipy.linalg.block_diag of stacks of matrices is not supported on traced values, "
            f"at {line_text(user_line())}."
        )
    rows, columns = (sum(x.shape[i] for x in blocks) for i in (0, 1))
    out = filled((rows, columns), 0, result_dtype(*blocks))
    row = column = 0
    for x in blocks:
        out[row : row + x.shape[0], column : column + x.shape[1]] = x
        row, column = row + x.shape[0], column + x.shape[1]
    return out


@_linalg
def toeplitz(c, r=None):
    """scipy.linalg.toeplitz: first column c, first row r (without its first entry)."""
    c = _vector(c, "toeplitz")
    r = np.conj(c) if r is None else _vector(r, "toeplitz")
    m, n = c.shape[0], r.shape[0]
    places = (m - 1) - np.arange(m)[:, None] + np.arange(n)
    return _joined(c[::-1], r[1:])[places]


@_linalg
def hankel(c, r=None):
    """scipy.linalg.hankel: first column c, last row r (without its first entry)."""
    c = _vector(c, "hankel")
    r = np.zeros_like(c) if r is None else _vector(r, "hankel")
    return _joined(c, r[1:])[np.arange(c.shape[0])[:, None] + np.arange(r.shape[0])]


@_linalg
def circulant(c):
    """scipy.linalg.circulant: first column c, each further column one step down."""
    c = _vector(c, "circulant")
    n = np.arange(c.shape[0])
    return c[(n[:, None] - n) % max(n.size, 1)]


@_linalg
def companion(a):
    """scipy.linalg.companion: of the polynomial with coefficients a, highest power first."""
    a = _vector(a, "companion")
    if a.shape[0] < 2:
        raise ValueError("The length of `a` must be at least 2.")
    first = -a[1:] / (1.0 * a[0])
    out = filled((first.shape[0], first.shape[0]), 0, first.dtype)
    out[0] = first
    out[1:, :-1] = np.eye(first.shape[0] - 1)
    return out


@_linalg
def leslie(f, s):
    """scipy.linalg.leslie: fecundities in the first row, survival below the diagonal."""
    f, s = ravel(_vector(f, "leslie")), ravel(_vector(s, "leslie"))
    if f.shape[0] != s.shape[0] + 1:
        raise ValueError("The length of s must be one less than the length of f")
    out = filled((f.shape[0], f.shape[0]), 0, result_dtype(f[:1], s[:1]))
    out[0] = f
    place = np.arange(s.shape[0])
    out[place + 1, place] = s
    return out
