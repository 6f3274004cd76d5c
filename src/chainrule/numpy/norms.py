"""np.linalg's norms, condition numbers and ranks of traced values.

At the origin, where a norm has no derivative, it is 0: the subgradient of least norm. Where several
entries (or rows, or singular values) tie for the largest, they share evenly.
"""

from __future__ import annotations

import math
from typing import Any

import numpy as np

from chainrule import errors
from chainrule.numpy.indexing import reshape_to
from chainrule.numpy.linear_algebra import inexact, matrices, svd
from chainrule.numpy.promotion import cast_to
from chainrule.numpy.protocols import implements
from chainrule.numpy.shaping import array, axis_index, axis_tuple
from chainrule.ops import spectral
from chainrule.ops.linalg import inv
from chainrule.ops.norms import norm as euclidean_norm
from chainrule.ops.select import constant_like, select
from chainrule.program.text import line_text
from chainrule.program.trace import Traced, user_line


@implements(np.linalg.norm)
def norm(x, ord=None, axis=None, keepdims=False):
    """np.linalg.norm, for every `ord`."""
    x = array(x)
    x = x if x.dtype.kind in "fc" else cast_to(x, np.dtype(np.float64))
    axes = _norm_axes(x, ord, axis)
    if ord is None and (axis is None or len(axes) < 3):
        out = euclidean_norm(x, axes=tuple(sorted(axes)))
    elif len(axes) == 1:
        out = _vector_norm(x, ord, axes[0])
    elif len(axes) == 2:
        out = _matrix_norm(x, ord, *axes)
    else:
        raise ValueError("Improper number of dimensions to norm.")
    if not keepdims:
        return out
    return reshape_to(out, tuple(1 if a in axes else n for a, n in enumerate(x.shape)))


def _norm_axes(x: Traced, ord, axis) -> tuple[int, ...]:
    if axis is None:
        return tuple(range(x.ndim))
    if isinstance(axis, tuple):
        axes = tuple(axis_index(a, x.ndim) for a in axis)
    else:
        try:
            axes = (axis_index(int(axis), x.ndim),)
        except TypeError:
            raise TypeError("'axis' must be None, an integer or a tuple of integers") from None
    if len(set(axes)) != len(axes):
        raise ValueError("Duplicate axes given.")
    return axes


def _vector_norm(x: Traced, ord, axis: int) -> Any:
    if isinstance(ord, str):
        raise ValueError(f"Invalid norm order '{ord}' for vectors")
    if ord == 2:
        return euclidean_norm(x, axes=(axis,))
    size = np.abs(x)
    if ord == math.inf:
        return _largest(size, (axis,))
    if ord == -math.inf:
        return np.min(size, axis=axis)
    if ord == 0:
        return np.sum(cast_to(x != 0, size.dtype), axis=axis)
    if ord == 1:
        return np.sum(size, axis=axis)
    power = ord if isinstance(ord, int) else float(ord)
    return np.sum(size**power, axis=axis) ** (1.0 / power)


def _largest(size: Any, axes) -> Any:
    """The largest of non-negative numbers; 0 of none."""
    if any(size.shape[a] == 0 for a in axes):
        return np.max(size, axis=axes, initial=0)
    return np.max(size, axis=axes)


def _matrix_norm(x: Traced, ord, rows: int, columns: int) -> Any:
    if ord in ("fro", "f"):
        return euclidean_norm(x, axes=tuple(sorted((rows, columns))))
    if ord in (1, -1, math.inf, -math.inf):
        summed, over = (rows, columns) if abs(ord) == 1 else (columns, rows)
        sums = np.sum(np.abs(x), axis=summed)
        over -= summed < over
        return _largest(sums, (over,)) if ord > 0 else np.min(sums, axis=over)
    if ord not in (2, -2, "nuc"):
        raise ValueError("Invalid norm order for matrices.")
    # abs changes nothing but the slope at a singular value 0, which becomes 0
    values = np.abs(spectral.singular_values(np.moveaxis(x, (rows, columns), (-2, -1))))
    if ord == "nuc":
        return np.sum(values, axis=-1)
    return _largest(values, (values.ndim - 1,)) if ord == 2 else np.min(values, axis=-1)


@implements(np.linalg.matrix_norm)
def matrix_norm(x, /, *, keepdims=False, ord="fro"):
    """np.linalg.matrix_norm: over the last two axes."""
    return norm(x, ord, (-2, -1), keepdims)


@implements(np.linalg.vector_norm)
def vector_norm(x, /, *, axis=None, keepdims=False, ord=2):
    """np.linalg.vector_norm: over any number of axes, taken together as one vector."""
    x = array(x)
    axes = tuple(range(x.ndim)) if axis is None else axis_tuple(axis, x.ndim)
    rest = tuple(a for a in range(x.ndim) if a not in axes)
    count = math.prod(x.shape[a] for a in axes)
    flat = np.reshape(np.transpose(x, axes + rest), (count, *(x.shape[a] for a in rest)))
    out = norm(flat, ord, 0)
    if not keepdims:
        return out
    return reshape_to(out, tuple(1 if a in axes else n for a, n in enumerate(x.shape)))


@implements(np.linalg.cond)
def cond(x, p=None):
    """np.linalg.cond: by singular values, or norm(x, p) * norm(inv(x), p)."""
    x = inexact(x)
    if x.size == 0 and 0 in x.shape[-2:]:
        raise errors.MatrixShapeError(
            f"cond is not defined on empty arrays, at {line_text(user_line())}"
        )
    if p in (None, 2, -2):
        values = spectral.singular_values(matrices(x))
        first, last = values[..., 0], values[..., -1]
        out = last / first if p == -2 else first / last
    else:
        x = matrices(x, square=True)
        out = norm(x, p, (-2, -1)) * norm(inv(x, raises=False), p, (-2, -1))
    undefined = np.isnan(out) & ~np.any(np.isnan(x), axis=(-2, -1))
    return select(undefined, constant_like(out, np.inf), out)


@implements(np.linalg.matrix_rank)
def matrix_rank(A, tol=None, hermitian=False, *, rtol=None):
    """np.linalg.matrix_rank: how many singular values exceed a tolerance; has no derivative."""
    if rtol is not None and tol is not None:
        raise ValueError("`tol` and `rtol` can't be both set.")
    x = array(A)
    if x.ndim < 2:
        return cast_to(np.any(x != 0), np.dtype(np.int64))
    values = svd(x, compute_uv=False, hermitian=hermitian)
    if tol is None:
        if rtol is None:
            rtol = max(x.shape[-2:]) * np.finfo(values.dtype).eps
        tol = _largest(values, (values.ndim - 1,)) * rtol
    return np.sum(values > np.expand_dims(array(tol), -1), axis=-1)
