"""Products and convolutions of float16: in float32, rounded once at the end.

Value     NumPy's dot and matmul of float16 sum in float32 too, one product after the other; here
          the sums have the order of the float32 kernels, so that a result may be its neighbour.
Source    Micikevicius et al., "Mixed precision training", ICLR 2018: float16 storage, float32 sums.
"""

from __future__ import annotations

from collections.abc import Callable
from functools import partial

import numpy as np

from chainrule.ops.contract import contract
from chainrule.ops.select import cast
from chainrule.ops.windows import convolution, convolution_weights
from chainrule.program.trace import Traced


def _in_single(op, x, y, **params):
    halves = all(type(a) is Traced and a.dtype == np.float16 for a in (x, y))
    if not halves:
        return NotImplemented
    x, y = (cast(a, dtype=np.dtype(np.float32)) for a in (x, y))
    return cast(op(x, y, **params), dtype=np.dtype(np.float16))


PRODUCTS: dict[str, Callable] = {
    op.name: partial(_in_single, op) for op in (contract, convolution, convolution_weights)
}
