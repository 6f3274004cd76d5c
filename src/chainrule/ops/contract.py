"""Products of arrays summed over shared axes: dot, matmul, tensordot and einsum all come to this.

Value     contract(x, y): sum over `axes` of x times y, matched over `batch`. The result's axes are
          the batch axes, then x's free axes, then y's free axes.
Slope     bilinear; the transposes are contractions of the cotangent with the other operand.
"""

import math
from functools import lru_cache

import numpy as np

from chainrule import errors
from chainrule.ops.elementwise import conj
from chainrule.ops.shape import inverse_permutation, transpose
from chainrule.program.op import Bilinear, Op
from chainrule.program.types import Type


def _free(ndim: int, used) -> tuple[int, ...]:
    return tuple(a for a in range(ndim) if a not in used)


def _contract_type(x: Type, y: Type, *, axes, batch) -> tuple[Type, ...]:
    if x.dtype != y.dtype:
        raise errors.DtypeError(f"contract needs equal dtypes, got {x} and {y}.")
    for over in (axes, batch):
        if [x.shape[a] for a in over[0]] != [y.shape[a] for a in over[1]]:
            raise errors.ShapeError(f"contract: {x} and {y} differ in length over axes {over}.")
    shape = [x.shape[a] for a in batch[0]]
    shape += [x.shape[a] for a in _free(x.ndim, axes[0] + batch[0])]
    shape += [y.shape[a] for a in _free(y.ndim, axes[1] + batch[1])]
    return (x.with_shape(tuple(shape)),)


@lru_cache(maxsize=4096)
def _plan(x_shape, y_shape, axes, batch):
    """How a contraction is done by matmul: permutations, matrix shapes, result shape."""
    free_x = _free(len(x_shape), axes[0] + batch[0])
    free_y = _free(len(y_shape), axes[1] + batch[1])
    order_x, order_y = batch[0] + free_x + axes[0], batch[1] + axes[1] + free_y
    batch_shape = tuple(x_shape[a] for a in batch[0])
    inner = math.prod(x_shape[a] for a in axes[0])
    rows, columns = (x_shape[a] for a in free_x), (y_shape[a] for a in free_y)
    rows, columns = tuple(rows), tuple(columns)
    plain = len(rows) == 1 and len(columns) == 1 and len(axes[0]) == 1
    return (
        None if order_x == tuple(range(len(x_shape))) else order_x,
        None if order_y == tuple(range(len(y_shape))) else order_y,
        None if plain else (*batch_shape, math.prod(rows), inner),
        None if plain else (*batch_shape, inner, math.prod(columns)),
        None if plain else batch_shape + rows + columns,
    )


def _contract(x, y, *, axes, batch):
    if not batch[0] and len(axes[0]) == 1 and x.ndim <= 2 and y.ndim <= 2:
        return np.dot(
            x.T if x.ndim == 2 and axes[0][0] == 0 else x,
            y.T if y.ndim == 2 and axes[1][0] == 1 else y,
        )
    order_x, order_y, shape_x, shape_y, shape_out = _plan(x.shape, y.shape, axes, batch)
    x = x if order_x is None else x.transpose(order_x)
    y = y if order_y is None else y.transpose(order_y)
    if shape_x is None:
        return np.matmul(x, y)
    return np.matmul(x.reshape(shape_x), y.reshape(shape_y)).reshape(shape_out)[()]


def _contract_left(ct, x, y, *, axes, batch):
    """Contract ct with y over y's free axes, then put x's axes back in order."""
    free_y = _free(y.ndim, axes[1] + batch[1])
    count, free_x = len(batch[0]), _free(x.ndim, axes[0] + batch[0])
    first = count + len(free_x)
    over = (tuple(range(first, first + len(free_y))), free_y)
    out = contract(ct, conj(y), axes=over, batch=(tuple(range(count)), batch[1]))
    # out has x's batch axes, x's free axes, then y's contracted axes in y's own order
    sorted_y = sorted(range(len(axes[1])), key=lambda i: axes[1][i])
    order = batch[0] + free_x + tuple(axes[0][i] for i in sorted_y)
    return _reordered(out, order)


def _contract_right(ct, x, y, *, axes, batch):
    """Contract x with ct over x's free axes, then put y's axes back in order."""
    free_x = _free(x.ndim, axes[0] + batch[0])
    free_y = _free(y.ndim, axes[1] + batch[1])
    count = len(batch[0])
    over = (free_x, tuple(range(count, count + len(free_x))))
    out = contract(conj(x), ct, axes=over, batch=(batch[0], tuple(range(count))))
    # out has the batch axes, x's contracted axes in x's own order, then y's free axes
    sorted_x = sorted(range(len(axes[0])), key=lambda i: axes[0][i])
    order = batch[1] + tuple(axes[1][i] for i in sorted_x) + free_y
    return _reordered(out, order)


def _reordered(out, order):
    return out if order == tuple(range(len(order))) else transpose(
        out, axes=inverse_permutation(order)
    )


def _contract_batch(size, inputs, batched, *, axes, batch):
    x, y = inputs
    in_x, in_y = int(batched[0]), int(batched[1])
    shifted = (tuple(a + in_x for a in axes[0]), tuple(a + in_y for a in axes[1]))
    shared = (tuple(a + in_x for a in batch[0]), tuple(a + in_y for a in batch[1]))
    if in_x and in_y:
        return contract(x, y, axes=shifted, batch=((0, *shared[0]), (0, *shared[1])))
    out = contract(x, y, axes=shifted, batch=shared)
    if in_x:  # the lane is x's first free axis
        return _to_front(out, len(batch[0]))
    return _to_front(out, len(batch[0]) + len(_free(x.ndim, axes[0] + batch[0])))


def _to_front(out, axis: int):
    order = (axis, *(a for a in range(out.ndim) if a != axis))
    return out if axis == 0 else transpose(out, axes=order)


def _contract_flops(ins, outs, params) -> int:
    inner = math.prod(ins[0].shape[a] for a in params["axes"][0])
    return 2 * outs[0].size * inner


contract = Op(
    "contract", _contract_type, _contract, Bilinear(_contract_left, _contract_right),
    _contract_batch, flops=_contract_flops,
    doc="the sum over `axes` of x times y, matched over `batch`",
)  # fmt: skip
