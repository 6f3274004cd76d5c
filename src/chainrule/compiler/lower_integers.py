"""Powers and reciprocals of whole numbers, written out.

Value     NumPy's: powers wrap around; a negative exponent makes the compiled call run on the
          evaluator, which raises; 1 / 0 is what this processor casts an infinity to.
Source    powers by squaring: Knuth, TAOCP 2, 4.6.3.
"""

from __future__ import annotations

from collections.abc import Callable

import numpy as np

from chainrule.ops.compare import equal, less, not_equal
from chainrule.ops.reduce import any_
from chainrule.ops.refuse import refuse
from chainrule.ops.select import constant_like, select
from chainrule.ops.shape import broadcast
from chainrule.program.trace import Traced


def _power(x, y):
    if x.dtype.kind not in "iu":
        return NotImplemented
    if not isinstance(y, Traced):
        return _known_power(x, int(y)) if y >= 0 else NotImplemented
    signed = y.dtype.kind == "i"
    if signed:
        refuse(any_(less(y, constant_like(y, 0)), axes=tuple(range(y.ndim))))
    out, factor, one = constant_like(y, 1), x, constant_like(y, 1)
    for bit in range(8 * y.dtype.itemsize - signed):
        taken = not_equal(y & constant_like(y, 1 << bit), constant_like(y, 0))
        out = out * select(taken, factor, one)
        factor = factor * factor
    return out


def _known_power(x, n: int):
    out, factor = broadcast(constant_like(x, 1), shape=x.shape, axes=()), x
    while n:
        out = out * factor if n & 1 else out
        n >>= 1
        factor = factor * factor if n else factor
    return out


def _reciprocal(x):
    if x.dtype.kind not in "iu":
        return NotImplemented
    with np.errstate(all="ignore"):
        of_zero = np.reciprocal(x.dtype.type(0))
    out = select(equal(x, constant_like(x, 1)), constant_like(x, 1), constant_like(x, 0))
    if x.dtype.kind == "i":
        out = select(equal(x, constant_like(x, -1)), constant_like(x, -1), out)
    return select(equal(x, constant_like(x, 0)), constant_like(x, of_zero), out)


INTEGERS: dict[str, Callable] = {"power": _power, "reciprocal": _reciprocal}
