"""Products of arrays: those without a sum entry by entry, those of float16 in float32.

Sums      An outer product, or any other whose sums have one term each, is x * y of the operands
          repeated to its shape, which is fused with what is around it. It is made as x * y + 0,
          as a sum begins at +0: a term of -0 makes +0.
float16   NumPy's dot and matmul of float16 sum in float32 too, one product after the other; here
          the sums have the order of the float32 kernels, so that a result may be its neighbour.
Source    Micikevicius et al., "Mixed precision training", ICLR 2018: float16 storage, float32 sums.
"""

from __future__ import annotations

from collections.abc import Callable
from functools import partial

import numpy as np

from chainrule.ops.contract import contract
from chainrule.ops.select import cast
from chainrule.ops.shape import reshape, transpose
from chainrule.ops.windows import convolution, convolution_weights
from chainrule.program.trace import Traced


def _in_single(op, x, y, **params):
    halves = all(type(a) is Traced and a.dtype == np.float16 for a in (x, y))
    if not halves:
        return NotImplemented
    x, y = (cast(a, dtype=np.dtype(np.float32)) for a in (x, y))
    return cast(op(x, y, **params), dtype=np.dtype(np.float16))


def _contract(x, y, *, axes, batch):
    if x.dtype.kind in "iuf" and all(x.shape[a] == 1 for a in axes[0]):
        return _without_sum(x, y, axes, batch)
    return _in_single(contract, x, y, axes=axes, batch=batch)


def _without_sum(x, y, axes, batch):
    """The product of each pair of entries, over the axes of `batch`, of x, and of y."""
    x, y = _matched_first(x, axes[0], batch[0]), _matched_first(y, axes[1], batch[1])
    matched = len(batch[0])
    ones = (1,) * (x.ndim - matched)
    x = reshape(x, shape=(*x.shape, *(1,) * (y.ndim - matched)))
    y = reshape(y, shape=(*y.shape[:matched], *ones, *y.shape[matched:]))
    return x * y + x.dtype.type(0)


def _matched_first(x, summed, matched):
    """An operand without its summed axes, those that are matched first."""
    free = [a for a in range(x.ndim) if a not in (*summed, *matched)]
    kept = (*matched, *free)
    shape = tuple([x.shape[a] for a in kept])
    return reshape(transpose(x, axes=(*summed, *kept)), shape=shape)


PRODUCTS: dict[str, Callable] = {
    "contract": _contract,
    **{op.name: partial(_in_single, op) for op in (convolution, convolution_weights)},
}
