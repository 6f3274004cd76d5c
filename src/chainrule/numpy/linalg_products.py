"""np.linalg's products: powers, chains, tensor systems, and the names it shares with np."""

from __future__ import annotations

import math
import operator

import numpy as np

from chainrule import errors
from chainrule.numpy.indexing import reshape_to
from chainrule.numpy.linear_algebra import inv, solve
from chainrule.numpy.products import dot
from chainrule.numpy.promotion import broadcast_to, traced
from chainrule.numpy.protocols import implements
from chainrule.numpy.shaping import array
from chainrule.ops.matrices import on_diagonal
from chainrule.ops.select import cast
from chainrule.program.text import line_text
from chainrule.program.trace import Traced, user_line


@implements(np.linalg.matrix_power)
def matrix_power(a, n):
    """np.linalg.matrix_power: by repeated squaring."""
    x = array(a)
    if x.ndim < 2 or x.shape[-1] != x.shape[-2]:
        raise errors.MatrixShapeError(
            f"Last 2 dimensions of the array must be square, got {x.shape}, "
            f"at {line_text(user_line())}"
        )
    try:
        n = operator.index(n)
    except TypeError:
        raise TypeError("exponent must be an integer") from None
    if n == 0:
        one = cast(on_diagonal(x.shape[-2:]), dtype=x.dtype)
        return broadcast_to(one, x.shape)
    if n < 0:
        x, n = inv(x), -n
    if n == 3:
        return (x @ x) @ x
    square, result = x, None
    while True:
        if n & 1:
            result = square if result is None else result @ square
        n >>= 1
        if not n:
            return result
        square = square @ square


@implements(np.linalg.multi_dot)
def multi_dot(arrays, *, out=None):
    """np.linalg.multi_dot: the product of a chain, in the order that costs least."""
    if out is not None:
        raise errors.NotSupported(
            f"np.linalg.multi_dot(out=...) is not supported, at {line_text(user_line())}."
        )
    chain = [array(a) for a in arrays]
    if len(chain) < 2:
        raise ValueError("Expecting at least two arrays.")
    if len(chain) == 2:
        return dot(*chain)
    first, last = chain[0].ndim == 1, chain[-1].ndim == 1
    if first:
        chain[0] = reshape_to(chain[0], (1, chain[0].size))
    if last:
        chain[-1] = reshape_to(chain[-1], (chain[-1].size, 1))
    for x in chain:
        if x.ndim != 2:
            raise errors.MatrixShapeError(
                f"{x.ndim}-dimensional array given. Array must be two-dimensional, "
                f"at {line_text(user_line())}"
            )
    sizes = [chain[0].shape[0], *(x.shape[1] for x in chain)]
    out = _multiplied(chain, _best_splits(sizes), 0, len(chain) - 1)
    kept = [n for n, dropped in zip(out.shape, (first, last), strict=True) if not dropped]
    return reshape_to(out, tuple(kept))


def _best_splits(sizes: list[int]) -> dict[tuple[int, int], int]:
    """Where to split each product of the matrices i to j (Cormen et al., section 14.2)."""
    count = len(sizes) - 1
    cost = {(i, i): 0 for i in range(count)}
    split = {}
    for length in range(1, count):
        for i in range(count - length):
            j = i + length
            costs = [
                cost[i, k] + cost[k + 1, j] + sizes[i] * sizes[k + 1] * sizes[j + 1]
                for k in range(i, j)
            ]
            cost[i, j] = min(costs)
            split[i, j] = i + costs.index(cost[i, j])
    return split


def _multiplied(chain: list[Traced], split, i: int, j: int) -> Traced:
    if i == j:
        return chain[i]
    k = split[i, j]
    return dot(_multiplied(chain, split, i, k), _multiplied(chain, split, k + 1, j))


@implements(np.linalg.tensorsolve)
def tensorsolve(a, b, axes=None):
    """np.linalg.tensorsolve: x with tensordot(a, x, x.ndim) = b."""
    a, b = array(a), array(b)
    if axes is not None:
        order = list(range(a.ndim))
        for k in axes:
            order.remove(k)
            order.insert(a.ndim, k)
        a = np.transpose(a, order)
    shape = a.shape[b.ndim - a.ndim :]
    n = math.prod(shape)
    if a.size != n**2:
        raise errors.MatrixShapeError(
            "Input arrays must satisfy the requirement prod(a.shape[b.ndim:]) == "
            f"prod(a.shape[:b.ndim]), at {line_text(user_line())}"
        )
    return reshape_to(solve(np.reshape(a, (n, n)), np.ravel(b)), shape)


@implements(np.linalg.tensorinv)
def tensorinv(a, ind=2):
    """np.linalg.tensorinv: the inverse of tensordot with a."""
    a = array(a)
    if ind <= 0:
        raise ValueError("Invalid ind argument.")
    shape = a.shape[ind:] + a.shape[:ind]
    return reshape_to(inv(np.reshape(a, (math.prod(a.shape[ind:]), -1))), shape)


# --- names shared with numpy --------------------------------------------------------------------


@implements(np.linalg.matmul)
def matmul(x1, x2, /):
    """np.linalg.matmul: np.matmul."""
    return np.matmul(array(x1), array(x2))


@implements(np.linalg.outer)
def outer(x1, x2, /):
    """np.linalg.outer: of two vectors."""
    x1, x2 = array(x1), array(x2)
    if x1.ndim != 1 or x2.ndim != 1:
        raise errors.ShapeError(
            f"Input arrays must be one-dimensional, but they are x1.ndim={x1.ndim} and "
            f"x2.ndim={x2.ndim}, at {line_text(user_line())}"
        )
    return x1[:, None] * x2


@implements(np.linalg.cross)
def cross(x1, x2, /, *, axis=-1):
    """np.linalg.cross: of 3-dimensional vectors."""
    x1, x2 = array(x1), array(x2)
    if x1.shape[axis] != 3 or x2.shape[axis] != 3:
        raise errors.ShapeError(
            "Both input arrays must be (arrays of) 3-dimensional vectors, but they are "
            f"{x1.shape[axis]} and {x2.shape[axis]} dimensional instead, "
            f"at {line_text(user_line())}"
        )
    return np.cross(x1, x2, axis=axis)


@implements(np.linalg.vecdot)
def vecdot(x1, x2, /, *, axis=-1):
    """np.linalg.vecdot: the sum of conj(x1) * x2 over an axis."""
    x1, x2 = (np.moveaxis(array(x), axis, -1) for x in (x1, x2))
    if x1.shape[-1] != x2.shape[-1]:
        raise errors.ShapeError(
            f"vecdot: the vectors have {x1.shape[-1]} and {x2.shape[-1]} entries, "
            f"at {line_text(user_line())}"
        )
    left = traced(np.conj(x1)) if x1.dtype.kind == "c" else x1
    return reshape_to(_rows(left) @ _columns(x2), broadcast_stack(x1, x2))


def _rows(x: Traced) -> Traced:
    return reshape_to(x, (*x.shape[:-1], 1, x.shape[-1]))


def _columns(x: Traced) -> Traced:
    return reshape_to(x, (*x.shape, 1))


def broadcast_stack(x1: Traced, x2: Traced) -> tuple[int, ...]:
    """The common shape of two stacks of vectors."""
    return np.broadcast_shapes(x1.shape[:-1], x2.shape[:-1])


@implements(np.linalg.tensordot)
def tensordot(x1, x2, /, *, axes=2):
    """np.linalg.tensordot: np.tensordot."""
    return np.tensordot(array(x1), array(x2), axes=axes)


@implements(np.linalg.trace)
def trace(x, /, *, offset=0, dtype=None):
    """np.linalg.trace: over the last two axes."""
    return np.trace(array(x), offset, -2, -1, dtype)


@implements(np.linalg.diagonal)
def diagonal(x, /, *, offset=0):
    """np.linalg.diagonal: of the last two axes."""
    return np.diagonal(array(x), offset, -2, -1)


@implements(np.linalg.matrix_transpose)
def matrix_transpose(x, /):
    """np.linalg.matrix_transpose: the last two axes exchanged."""
    return np.matrix_transpose(array(x))
