"""A program run equation by equation, into its loops and branches, under the eyes of a caller.

Slower than a plan, and plainer: debug mode and `check="nan"` look at every value on the way.
"""

from __future__ import annotations

from collections.abc import Callable, Sequence
from typing import Any

import numpy as np

from chainrule.program.at_hand import add_line
from chainrule.program.program import Equation, Program

Visit = Callable[[Equation, list, list], list]


def walk(program: Program, values: Sequence, visit: Visit) -> list:
    """The outputs of a closed program for these values.

    After each equation `visit(equation, inputs, outputs)` gives the values to go on with.
    """
    env: dict[Any, Any] = dict(zip(program.inputs, values, strict=True))
    with np.errstate(all="ignore"):
        for equation in program.equations:
            inputs = [x.value if x.is_literal else env[x] for x in equation.inputs]
            try:
                made = _CONTROL.get(equation.op.name, _plain)(equation, inputs, visit)
            except Exception as error:
                raise add_line(error, equation) from None
            made = visit(equation, inputs, list(made))
            env.update(zip(equation.outputs, made, strict=True))
    return [o.value if o.is_literal else env[o] for o in program.outputs]


def _plain(equation: Equation, inputs, visit: Visit):
    made = equation.op.evaluate(*inputs, **equation.params)
    return made if isinstance(made, tuple) else (made,)


def _cond(equation, inputs, visit: Visit):
    predicate, *operands = inputs
    return walk(equation.params["branches"][0 if predicate else 1], operands, visit)


def _while(equation, inputs, visit: Visit):
    params = equation.params
    fixed, carry = inputs[: params["constants"]], inputs[params["constants"] :]
    while walk(params["test"], [*fixed, *carry], visit)[0]:
        carry = walk(params["body"], [*fixed, *carry], visit)
    return carry


def _scan(equation, inputs, visit: Visit):
    params = equation.params
    start, length = params["constants"], params["length"]
    end = start + params["carries"]
    fixed, carry, xs = inputs[:start], inputs[start:end], inputs[end:]
    rows: list = [None] * length
    for i in range(length - 1, -1, -1) if params["reverse"] else range(length):
        made = walk(params["body"], [*fixed, *carry, *[x[i] for x in xs]], visit)
        carry, rows[i] = made[: params["carries"]], made[params["carries"] :]
    types = [v.type for v in equation.outputs[params["carries"] :]]
    ys = [
        np.array([row[k] for row in rows], t.dtype).reshape(t.shape) for k, t in enumerate(types)
    ]
    return [*carry, *ys]


def _program(equation, inputs, visit: Visit):
    return walk(equation.params["program"], inputs, visit)


_CONTROL: dict[str, Callable] = {
    "cond": _cond, "while": _while, "scan": _scan, "checkpoint": _program, "custom": _program,
}  # fmt: skip
