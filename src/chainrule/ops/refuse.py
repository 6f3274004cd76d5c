"""refuse: a compiled program is given up where a condition holds.

Value     the condition, where it is False; raises `Refused` where it is True. The compiler puts it
          where a program meets a tie that it cannot settle: the call is made again on the
          evaluator, which settles it. It is kept though nobody reads its value.
"""

import numpy as np

from chainrule import errors
from chainrule.ops.reduce import any_
from chainrule.program.op import Discrete, Op
from chainrule.program.types import Type


class Refused(Exception):
    """A compiled program met what is left to the evaluator."""


def _type(condition: Type) -> tuple[Type, ...]:
    if condition.shape or condition.dtype != np.bool_:
        raise errors.ShapeError(f"refuse needs one bool, got {condition}.")
    return (condition,)


def _evaluate(condition):
    if condition:
        raise Refused
    return np.bool_(condition)


refuse: Op = Op(
    "refuse", _type, _evaluate, Discrete(),
    lambda size, inputs, batched: refuse(any_(inputs[0], axes=(0,))), pure=False, kept=True,
    doc="gives a compiled program up where the condition holds; the evaluator makes the call",
)  # fmt: skip
