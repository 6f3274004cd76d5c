"""require: a value that is only given out where a condition holds; else an error is raised.

Value     x where every entry of `ok` is true; otherwise the error class `error` of chainrule.errors
          is raised, with `message`.
Slope     the identity in x.
"""

import numpy as np

from chainrule import errors
from chainrule.ops.shape import add_batch_axis
from chainrule.program.op import Linear, Op
from chainrule.program.types import Type


def _type(x: Type, ok: Type, *, error, message) -> tuple[Type, ...]:
    if ok.dtype != np.bool_:
        raise errors.DtypeError(f"require needs a bool, got {ok}.")
    return (x,)


def _evaluate(x, ok, *, error, message):
    if not np.all(ok):
        raise getattr(errors, error)(message)
    return x


def _batch(size, inputs, batched, *, error, message):
    x, ok = inputs
    return require(x if batched[0] else add_batch_axis(x, size), ok, error=error, message=message)


require: Op = Op(
    "require", _type, _evaluate,
    Linear(lambda ct, x, ok, **params: (ct, None), positions=(0,)), _batch, view=True,
    pure=False, flops=lambda *_: 0, doc="x where every entry of `ok` is true; else it raises",
)  # fmt: skip
