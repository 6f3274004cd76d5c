"""Running a program under watch: the first operation that makes a nan or an infinity is named."""

from __future__ import annotations

import numpy as np

from chainrule import errors
from chainrule.program.program import Equation, Program
from chainrule.program.walk import walk


def run_checked(program: Program, values: list) -> list:
    """The outputs of a closed program, equation by equation, into its loops and branches.

    Raises `NotANumber` at the first operation that makes a nan or an infinity of finite numbers.
    """
    return [np.array(x)[()] for x in walk(program, values, _checked)]


def _checked(equation: Equation, inputs: list, made: list) -> list:
    """The results, after a look at them."""
    if not all(map(_is_finite, made)) and all(map(_is_finite, inputs)):
        shown = ", ".join(_shown(x) for x in inputs)
        raise errors.NotANumber(
            f"{equation.op.name} made {_what(made)} of finite numbers, at "
            f"{equation.where or 'unknown'}: its operands are {shown}."
        )
    return made


def _is_finite(value) -> bool:
    return np.asarray(value).dtype.kind not in "fc" or bool(np.isfinite(value).all())


def _what(made: list) -> str:
    some_nan = any(np.asarray(x).dtype.kind in "fc" and np.isnan(x).any() for x in made)
    return "a nan" if some_nan else "an infinity"


def _shown(value) -> str:
    array = np.asarray(value)
    if array.size == 1:
        return repr(array.reshape(-1)[0].item())
    if not array.size or array.dtype.kind not in "iuf":
        return f"{array.dtype}{list(array.shape)}"
    return f"{array.dtype}{list(array.shape)} from {array.min()!s} to {array.max()!s}"
