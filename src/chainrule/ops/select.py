"""Selection between two arrays by a boolean one, casts, and the barrier to derivatives.

Value     select(c, x, y) is x where c, else y (NumPy's where, for equal shapes and dtypes).
Slope     of select: each side receives the cotangent where it was taken, an exact zero elsewhere.
"""

import numpy as np

from chainrule import errors
from chainrule.program.op import Constant, Linear, Op
from chainrule.program.trace import current, traced_literal
from chainrule.program.types import Type


def constant_like(x, value):
    """`value` as a scalar of the dtype of x (a literal where a trace is open)."""
    return traced_literal(value, x.dtype) if current() is not None else x.dtype.type(value)


def _select_type(condition: Type, x: Type, y: Type) -> tuple[Type, ...]:
    if condition.dtype != np.bool_ or x.dtype != y.dtype:
        raise errors.DtypeError(
            f"select needs a bool and two equal dtypes, got {condition}, {x}, {y}."
        )
    shape = max((condition.shape, x.shape, y.shape), key=len)
    for t in (condition, x, y):
        if t.shape not in (shape, ()):
            raise errors.ShapeError(f"select needs equal shapes, got {condition}, {x}, {y}.")
    return (x.with_shape(shape),)


def _select(condition, x, y):
    return np.where(condition, x, y)[()]


def _select_transpose(ct, condition, x, y):
    zero = constant_like(ct, 0.0)
    return None, select(condition, ct, zero), select(condition, zero, ct)


select: Op = Op(
    "select", _select_type, _select, Linear(_select_transpose, positions=(1, 2)), elementwise=True,
    doc="x where the condition holds, else y",
)  # fmt: skip


def _cast_type(x: Type, *, dtype) -> tuple[Type, ...]:
    return (x.with_dtype(dtype),)


def _cast(x, *, dtype):
    if x.dtype.kind == "c" and dtype.kind != "c" and dtype.kind != "b":
        x = x.real
    return x.astype(dtype)


cast: Op = Op(
    "cast", _cast_type, _cast, Linear(lambda ct, x, dtype: (cast(ct, dtype=x.dtype),)),
    elementwise=True, doc="the array in another dtype; complex to real keeps the real part",
)  # fmt: skip

stop_gradient: Op = Op(
    "stop_gradient", lambda x: (x,), lambda x: x, Constant(), elementwise=True, view=True,
    doc="the same value; no derivative passes",
)  # fmt: skip


def _barrier_transpose(ct, x, *, token):
    return (ct,)


barrier: Op = Op(
    "barrier", lambda x, *, token: (x,), lambda x, *, token: x, Linear(_barrier_transpose),
    elementwise=True, view=True,
    doc="the same value; equations on the two sides are not merged (for recomputation)",
)  # fmt: skip
