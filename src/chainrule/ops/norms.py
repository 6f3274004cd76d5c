"""The Euclidean norm over axes, real also for complex arrays.

Value     as numpy.linalg.norm computes it: the square root of the sum of squares.
Slope     Re<x / |x|, dx>, and 0 at the origin: the subgradient of least norm.
"""

import numpy as np

from chainrule.ops.compare import equal
from chainrule.ops.elementwise import conj, scale
from chainrule.ops.matrices import real_of
from chainrule.ops.select import cast, select
from chainrule.ops.shape import broadcast, kept_axes, sum_
from chainrule.program.op import Forward, Op
from chainrule.program.types import Type


def _norm_type(x: Type, *, axes) -> tuple[Type, ...]:
    shape = tuple(n for a, n in enumerate(x.shape) if a not in axes)
    return (x.with_shape(shape).with_dtype(x.dtype.char.lower()),)


def _norm(x, *, axes):
    if len(axes) == x.ndim:
        x = x.ravel(order="K")
        real, imag = x.real, x.imag
        return np.sqrt(real.dot(real) + imag.dot(imag) if x.dtype.kind == "c" else x.dot(x))
    return np.sqrt(np.add.reduce((np.conj(x) * x).real, axis=axes))


def _norm_tangent(inputs, outputs, tangents, *, axes):
    (x,), (out,), (dx,) = inputs, outputs, tangents
    spread = broadcast(out, shape=x.shape, axes=kept_axes(x.ndim, axes))
    zero, one = out.dtype.type(0), out.dtype.type(1)
    at_origin = equal(spread, zero)
    size = cast(select(at_origin, one, spread), dtype=x.dtype)
    direction = select(at_origin, x.dtype.type(0), x / size)
    return sum_(real_of(scale(conj(direction), dx)), axes=axes)


norm: Op = Op(
    "norm", _norm_type, _norm, Forward(_norm_tangent),
    lambda size, inputs, batched, *, axes: norm(inputs[0], axes=tuple(a + 1 for a in axes)),
    flops=lambda ins, outs, params: 2 * ins[0].size, doc="the Euclidean norm over `axes`",
)  # fmt: skip
