"""Products of arrays summed over shared axes: dot, matmul, tensordot and einsum all come to this.

Value     contract(x, y): sum over `axes` of x times y, matched over `batch`. The result's axes are
          the batch axes, then x's free axes, then y's free axes. It is done by NumPy's own dot and
          matmul, so the bits are theirs; a transposed operand is read in place.
Slope     bilinear; the transposes are contractions of the cotangent with the other operand, their
          operands in the order that needs no transposition afterwards.
"""

import math
from functools import lru_cache
from typing import Any

import numpy as np

from chainrule import errors
from chainrule.ops.elementwise import conj
from chainrule.ops.shape import kept_axes, transpose
from chainrule.program.op import Bilinear, Op
from chainrule.program.types import Type


def _contract_type(x: Type, y: Type, *, axes, batch) -> tuple[Type, ...]:
    if x.dtype != y.dtype:
        raise errors.DtypeError(f"contract needs equal dtypes, got {x} and {y}.")
    for over in (axes, batch):
        if [x.shape[a] for a in over[0]] != [y.shape[a] for a in over[1]]:
            raise errors.ShapeError(f"contract: {x} and {y} differ in length over axes {over}.")
    shape = [x.shape[a] for a in batch[0]]
    shape += [x.shape[a] for a in kept_axes(x.ndim, axes[0] + batch[0])]
    shape += [y.shape[a] for a in kept_axes(y.ndim, axes[1] + batch[1])]
    return (x.with_shape(tuple(shape)),)


# --- the value ----------------------------------------------------------------------------------


@lru_cache(maxsize=4096)
def _plan(x_shape, y_shape, axes, batch):
    """Orders of the axes, shapes and product to multiply with, and the shape of the result."""
    free_x = kept_axes(len(x_shape), axes[0] + batch[0])
    free_y = kept_axes(len(y_shape), axes[1] + batch[1])
    stack = tuple(x_shape[a] for a in batch[0])
    rows, columns = tuple(x_shape[a] for a in free_x), tuple(y_shape[a] for a in free_y)
    count = math.prod(x_shape[a] for a in axes[0])
    if not axes[0]:
        shapes = stack + rows + (1,) * len(columns), stack + (1,) * len(rows) + columns
        product: Any = np.multiply
    elif stack and not rows and not columns:
        shapes = (*stack, count), (*stack, count)
        product = _vectors
    else:
        shapes = (*stack, math.prod(rows), count), (*stack, count, math.prod(columns))
        product = _stacks if stack else np.dot
    order_x, order_y = batch[0] + free_x + axes[0], batch[1] + axes[1] + free_y
    return order_x, order_y, shapes, stack + rows + columns, product


def _vectors(x, y):
    """Products of two stacks of vectors, entry by entry of the stack."""
    return np.vecdot(x.conj() if x.dtype.kind == "c" else x, y)


def _stacks(x, y):
    """Products of two stacks of matrices."""
    return np.matmul(_for_blas(x), _for_blas(y))


def _for_blas(x):
    """A stack of matrices of which one axis is contiguous, so that matmul takes no slow loop."""
    return x if x.itemsize in x.strides[-2:] else np.ascontiguousarray(x)


def _contract(x, y, *, axes, batch):
    if not batch[0] and len(axes[0]) == 1 and y.ndim <= 2:
        (over_x,), (over_y,) = axes
        if x.ndim <= 2:
            left = x.T if over_x == 0 and x.ndim == 2 else x
            return np.dot(left, y.T if over_y == 1 else y)
        if over_x == x.ndim - 1 and over_y == 0:
            return np.matmul(x, y)
    order_x, order_y, (shape_x, shape_y), shape, product = _plan(x.shape, y.shape, axes, batch)
    x = x.transpose(order_x).reshape(shape_x)
    y = y.transpose(order_y).reshape(shape_y)
    return product(x, y).reshape(shape)[()]


# --- derivatives and batching -------------------------------------------------------------------


def labelled(x, in_x, y, in_y, out):
    """The contraction of two arrays whose axes carry labels, as the array with the labels `out`.

    A label that both carry is summed over, unless it is in `out`; one that only one of them carries
    must be in `out`. Of the two orders of the operands, the one that needs no transposition.
    """
    first = _order(in_x, in_y, out)
    if first == out or _order(in_y, in_x, out) != out:
        product = _contract_labels(x, in_x, y, in_y, out)
        if first == out:
            return product
        return transpose(product, axes=tuple(first.index(label) for label in out))
    return _contract_labels(y, in_y, x, in_x, out)


def _order(in_x, in_y, out) -> tuple:
    """The labels of a contraction's result: batch, then free in x, then free in y."""
    batch = tuple(label for label in out if label in in_x and label in in_y)
    free_x = tuple(label for label in in_x if label not in in_y)
    return batch + free_x + tuple(label for label in in_y if label not in in_x)


def _contract_labels(x, in_x, y, in_y, out):
    batch = [label for label in out if label in in_x and label in in_y]
    summed = [label for label in in_x if label in in_y and label not in out]

    def places(labels):
        return tuple(in_x.index(n) for n in labels), tuple(in_y.index(n) for n in labels)

    return contract(x, y, axes=places(summed), batch=places(batch))


def _labels(ndim_x: int, ndim_y: int, axes, batch):
    """Labels of x's axes, y's and the result's: y's own are numbered after x's."""
    in_x = tuple(range(ndim_x))
    partner = dict(zip(axes[1] + batch[1], axes[0] + batch[0], strict=True))
    in_y = tuple(partner.get(a, ndim_x + a) for a in range(ndim_y))
    free_x = kept_axes(ndim_x, axes[0] + batch[0])
    free_y = tuple(ndim_x + a for a in kept_axes(ndim_y, axes[1] + batch[1]))
    return in_x, in_y, batch[0] + free_x + free_y


def _contract_left(ct, x, y, *, axes, batch):
    in_x, in_y, out = _labels(x.ndim, y.ndim, axes, batch)
    return labelled(ct, out, conj(y), in_y, in_x)


def _contract_right(ct, x, y, *, axes, batch):
    in_x, in_y, out = _labels(x.ndim, y.ndim, axes, batch)
    return labelled(conj(x), in_x, ct, out, in_y)


def _contract_batch(size, inputs, batched, *, axes, batch):
    """A lane of both operands is a batch axis; of one, a free axis, which is moved to the front."""
    x, y = inputs
    in_x, in_y, out = _labels(x.ndim - batched[0], y.ndim - batched[1], axes, batch)
    in_x = ("lane", *in_x) if batched[0] else in_x
    in_y = ("lane", *in_y) if batched[1] else in_y
    return labelled(x, in_x, y, in_y, ("lane", *out))


def _contract_flops(ins, outs, params) -> int:
    axes = params["axes"][0]
    inner = math.prod(ins[0].shape[a] for a in axes)
    return (2 if axes else 1) * outs[0].size * inner  # without a sum nothing is added


contract: Op = Op(
    "contract", _contract_type, _contract, Bilinear(_contract_left, _contract_right),
    _contract_batch, flops=_contract_flops,
    doc="the sum over `axes` of x times y, matched over `batch`",
)  # fmt: skip
