"""Floating-point numbers taken apart: x = mantissa * 2 ** exponent.

Value     np.ldexp, and the exponent of np.frexp (0.5 <= |mantissa| < 1).
Slope     ldexp is linear in x; exponents are whole numbers.
"""

import numpy as np

from chainrule import errors
from chainrule.program.op import Discrete, Linear, Op
from chainrule.program.types import Type


def _ldexp_type(x: Type, exponent: Type) -> tuple[Type, ...]:
    shapes = {x.shape, exponent.shape} - {()}
    if exponent.dtype.kind not in "iu" or len(shapes) > 1:
        raise errors.ShapeError(f"ldexp needs equal shapes and whole exponents: {x}, {exponent}.")
    return (x if x.ndim else x.with_shape(exponent.shape),)


ldexp: Op = Op(
    "ldexp", _ldexp_type, lambda x, exponent: np.ldexp(x, exponent),
    Linear(lambda ct, x, exponent: (ldexp(ct, exponent), None), positions=(0,)),
    elementwise=True, doc="x * 2 ** exponent; exact unless it overflows or underflows",
)  # fmt: skip
binary_exponent = Op(
    "binary_exponent", lambda x: (x.with_dtype(np.int32),), lambda x: np.frexp(x)[1], Discrete(),
    elementwise=True, doc="the whole number e with 0.5 <= |x| / 2**e < 1, and 0 where x is 0",
)  # fmt: skip
