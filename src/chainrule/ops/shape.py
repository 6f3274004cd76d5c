"""Moving data without changing it: broadcast (and its transpose, sum), reshape, transpose, flip.

Value     as NumPy's functions of these names, on static shapes.
Slope     all are linear; broadcast and sum are each other's transposes.
"""

import math

import numpy as np

from chainrule import errors
from chainrule.program.op import Discrete, Linear, Op
from chainrule.program.types import Type, array_type


def _broadcast_type(x: Type, *, shape, axes) -> tuple[Type, ...]:
    if len(axes) != x.ndim or any(x.shape[i] != shape[a] for i, a in enumerate(axes)):
        raise errors.ShapeError(f"cannot place {x} at axes {axes} of shape {shape}.")
    return (x.with_shape(shape),)


def _broadcast(x, *, shape, axes):
    middle = [1] * len(shape)
    for i, a in enumerate(axes):
        middle[a] = np.shape(x)[i]
    return np.broadcast_to(np.reshape(x, middle), shape)


def _broadcast_transpose(ct, x, *, shape, axes):
    return (sum_(ct, axes=tuple(a for a in range(len(shape)) if a not in axes)),)


def _broadcast_batch(size, inputs, batched, *, shape, axes):
    return broadcast(inputs[0], shape=(size, *shape), axes=(0, *(a + 1 for a in axes)))


broadcast: Op = Op(
    "broadcast", _broadcast_type, _broadcast, Linear(_broadcast_transpose), _broadcast_batch,
    view=True, flops=lambda *_: 0,
    doc="x placed at `axes` of an array of `shape`, repeated along the other axes",
)  # fmt: skip


def reduced_type(x: Type, *, axes) -> tuple[Type, ...]:
    """The type of a reduction over `axes`, which are dropped."""
    return (x.with_shape(tuple(n for a, n in enumerate(x.shape) if a not in axes)),)


def kept_axes(ndim: int, axes) -> tuple[int, ...]:
    """The axes that a reduction over `axes` keeps."""
    return tuple(a for a in range(ndim) if a not in axes)


def _sum(x, *, axes):
    return np.add.reduce(x, axes, dtype=x.dtype)


def _sum_transpose(ct, x, *, axes):
    return (broadcast(ct, shape=x.shape, axes=kept_axes(x.ndim, axes)),)


def reduction_batch(op):
    """The batching rule of a reduction: the same reduction, one axis further."""

    def rule(size, inputs, batched, *, axes):
        return op()(inputs[0], axes=tuple(a + 1 for a in axes))

    return rule


sum_: Op = Op(
    "sum", reduced_type, _sum, Linear(_sum_transpose), reduction_batch(lambda: sum_),
    flops=lambda ins, outs, params: ins[0].size,
    doc="the sum over `axes`, in the input's dtype (NumPy's pairwise order)",
)  # fmt: skip


def _reshape_type(x: Type, *, shape) -> tuple[Type, ...]:
    if math.prod(shape) != x.size:
        raise errors.ShapeError(f"cannot reshape array of size {x.size} into shape {shape}")
    return (x.with_shape(shape),)


reshape: Op = Op(
    "reshape", _reshape_type, lambda x, *, shape: np.reshape(x, shape),
    Linear(lambda ct, x, *, shape: (reshape(ct, shape=x.shape),)),
    lambda size, inputs, batched, *, shape: reshape(inputs[0], shape=(size, *shape)),
    view=True, flops=lambda *_: 0, doc="the same elements, in C order, in another shape",
)  # fmt: skip


def _transpose_type(x: Type, *, axes) -> tuple[Type, ...]:
    return (x.with_shape(tuple(x.shape[a] for a in axes)),)


def inverse_permutation(axes) -> tuple[int, ...]:
    """The permutation that undoes `axes`."""
    out = [0] * len(axes)
    for i, a in enumerate(axes):
        out[a] = i
    return tuple(out)


transpose: Op = Op(
    "transpose", _transpose_type, lambda x, *, axes: np.transpose(x, axes),
    Linear(lambda ct, x, *, axes: (transpose(ct, axes=inverse_permutation(axes)),)),
    lambda size, inputs, batched, *, axes: transpose(
        inputs[0], axes=(0, *(a + 1 for a in axes))),
    view=True, flops=lambda *_: 0, doc="axes in another order",
)  # fmt: skip


flip: Op = Op(
    "flip", lambda x, *, axes: (x,), lambda x, *, axes: np.flip(x, axes),
    Linear(lambda ct, x, *, axes: (flip(ct, axes=axes),)),
    lambda size, inputs, batched, *, axes: flip(inputs[0], axes=tuple(a + 1 for a in axes)),
    view=True, flops=lambda *_: 0, doc="order reversed along axes",
)  # fmt: skip

iota: Op = Op(
    "iota", lambda *, size, dtype: (array_type((size,), dtype),),
    lambda *, size, dtype: np.arange(size, dtype=dtype), Discrete(), flops=lambda *_: 0,
    doc="0, 1, ..., size - 1",
)  # fmt: skip


def zeros_of(t: Type):
    """Zeros of a type, as an equation of the current trace."""
    from_scalar = t.dtype.type(0)
    return broadcast(from_scalar, shape=t.shape, axes=()) if t.ndim else from_scalar


def move_axis(x, source: int, target: int):
    """x with one axis moved, the others in order."""
    axes = [a for a in range(x.ndim) if a != source]
    axes.insert(target, source)
    return x if source == target else transpose(x, axes=tuple(axes))


def add_batch_axis(x, size: int):
    """x repeated along a new leading axis."""
    return broadcast(x, shape=(size, *x.shape), axes=tuple(range(1, x.ndim + 1)))
