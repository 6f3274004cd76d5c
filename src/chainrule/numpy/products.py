"""Products of arrays: matmul and its relatives, all by `contract`."""

from __future__ import annotations

import numpy as np

from chainrule import errors
from chainrule.numpy.indexing import reshape_to
from chainrule.numpy.promotion import (
    as_array,
    broadcast_shape,
    broadcast_to,
    cast_to,
    result_dtype,
    traced,
)
from chainrule.numpy.protocols import implements
from chainrule.numpy.ufuncs import SPECIAL
from chainrule.ops.contract import contract
from chainrule.program.text import line_text
from chainrule.program.trace import user_line


def same_dtype(*values) -> list:
    """The values as traced arrays of their common dtype."""
    values = [as_array(v) for v in values]
    dtype = result_dtype(*values)
    return [traced(cast_to(v, dtype)) for v in values]


def matmul(x, y):
    """x @ y, with NumPy's rules for vectors and stacks of matrices."""
    x, y = same_dtype(x, y)
    if not x.ndim or not y.ndim:
        raise errors.ShapeError(
            "matmul: Input operand does not have enough dimensions (a scalar is not allowed), "
            f"at {line_text(user_line())}. Write x * y."
        )
    rows, inner = x.ndim - 1, max(y.ndim - 2, 0)
    if x.shape[rows] != y.shape[inner]:
        raise errors.ShapeError(
            f"matmul: Input operand 1 has a mismatch in its core dimension 0, with gufunc signature "
            f"(n?,k),(k,m?)->(n?,m?) (size {y.shape[inner]} is different from {x.shape[rows]}), "
            f"at {line_text(user_line())}"
        )
    if x.ndim <= 2 and y.ndim <= 2:
        return contract(x, y, axes=((rows,), (inner,)), batch=((), ()))
    return _stacked(x, y)


def _stacked(x, y):
    if x.ndim == 1 or y.ndim <= 2:
        if y.ndim <= 2:  # one matrix, or vector, on the right of a stack
            return contract(x, y, axes=((x.ndim - 1,), (max(y.ndim - 2, 0),)), batch=((), ()))
        x, drop = reshape_to(x, (1, *x.shape)), True
    else:
        drop = False
    stack = broadcast_shape(x.shape[:-2], y.shape[:-2])
    x = broadcast_to(x, stack + x.shape[-2:])
    y = broadcast_to(y, stack + y.shape[-2:])
    lead = tuple(range(len(stack)))
    out = contract(x, y, axes=((x.ndim - 1,), (y.ndim - 2,)), batch=(lead, lead))
    return reshape_to(out, (*out.shape[:-2], out.shape[-1])) if drop else out


SPECIAL[np.matmul] = matmul


@implements(np.dot)
def dot(a, b, out=None):
    """np.dot: over a's last axis and b's last but one."""
    a, b = same_dtype(a, b)
    if not a.ndim or not b.ndim:
        return a * b
    over = ((a.ndim - 1,), (max(b.ndim - 2, 0),))
    if a.shape[over[0][0]] != b.shape[over[1][0]]:
        raise errors.ShapeError(
            f"shapes {a.shape} and {b.shape} not aligned: {a.shape[over[0][0]]} (dim "
            f"{over[0][0]}) != {b.shape[over[1][0]]} (dim {over[1][0]}), at "
            f"{line_text(user_line())}"
        )
    return contract(a, b, axes=over, batch=((), ()))
