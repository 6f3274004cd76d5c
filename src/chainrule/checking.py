"""Running a program under watch: the first operation that makes a nan is named, with its line."""

from __future__ import annotations

import numpy as np

from chainrule import errors
from chainrule.program.at_hand import run_equation
from chainrule.program.program import Equation, Operand, Program


def run_checked(program: Program, values: list) -> list:
    """The outputs of a closed program, equation by equation.

    Raises `NotANumber` at the first operation whose result holds a nan though no operand does.
    """
    known: dict[Operand, object] = dict(zip(program.inputs, values, strict=True))
    with np.errstate(all="ignore"):
        for equation in program.equations:
            run_equation(equation, known)
            if any(_has_nan(known[v]) for v in equation.outputs):
                _refuse(equation, known)
    found = [o.value if o.is_literal else known[o] for o in program.outputs]
    return [np.array(x)[()] for x in found]


def _has_nan(value) -> bool:
    return np.asarray(value).dtype.kind in "fc" and bool(np.isnan(value).any())


def _refuse(equation: Equation, known: dict) -> None:
    operands = [x.value if x.is_literal else known[x] for x in equation.inputs]
    if any(map(_has_nan, operands)):
        return
    shown = ", ".join(_shown(x) for x in operands)
    raise errors.NotANumber(
        f"{equation.op.name} made a nan of operands without one, at {equation.where or 'unknown'}: "
        f"its operands are {shown}."
    )


def _shown(value) -> str:
    array = np.asarray(value)
    if array.size == 1:
        return repr(array.reshape(-1)[0].item())
    if not array.size or array.dtype.kind not in "iuf":
        return f"{array.dtype}{list(array.shape)}"
    return f"{array.dtype}{list(array.shape)} from {array.min()!s} to {array.max()!s}"
