"""stop_where: a compiled call that stops, and is made again on the evaluator.

Value     the condition itself. Compiled, the call stops where it holds: the evaluator then does
          what native code does not, such as repairing lost digits (chainrule.wide).
"""

import numpy as np

from chainrule import errors
from chainrule.ops.reduce import any_
from chainrule.program.op import Discrete, Op
from chainrule.program.types import Type


def _stop_type(condition: Type) -> tuple[Type, ...]:
    if condition.dtype != np.bool_ or condition.ndim:
        raise errors.DtypeError(f"stop_where needs one bool, got {condition}.")
    return (condition,)


def _stop_batch(size, inputs, batched):
    stop_where(any_(inputs[0], axes=(0,)))
    return inputs[0]


stop_where: Op = Op(
    "stop_where", _stop_type, np.bool_, Discrete(), _stop_batch, pure=False,
    doc="the condition; a compiled call stops where it holds, and is made on the evaluator",
)  # fmt: skip
