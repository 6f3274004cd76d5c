"""Where it matters whether a scalar argument is a Python number or a NumPy one.

Python's floats add, subtract and multiply as NumPy's do, but `1.0 / 0.0` raises, `2**0.5` takes
another road, and a float has no `.astype`. Arguments that reach such an operation before they meet
an array or one of NumPy's functions are converted first.
"""

from __future__ import annotations

import operator

import numpy as np

from chainrule.program.program import Equation, Program

_SAME_IN_PYTHON = {operator.add, operator.sub, operator.mul, operator.neg}
_NUMPY_ANYWAY = {"select", "clip"}
_FLOAT = np.dtype(np.float64)


def unsafe_numbers(program: Program, light) -> set[int]:
    """The numbers of the scalar inputs that must be NumPy scalars."""
    sources: dict = {
        v: {i} for i, v in enumerate(program.inputs) if not v.type.ndim
    }  # variables that may be Python numbers, and the inputs that they come from
    unsafe: set[int] = set()
    for equation in program.equations:
        found = [sources[x] for x in equation.inputs if x in sources]
        if not found:
            continue
        together = set().union(*found)
        if equation in light or _stays_python(equation, sources):
            sources[equation.outputs[0]] = together
        elif not _is_safe(equation, sources):
            unsafe |= together
    for o in program.outputs:
        unsafe |= sources.get(o, set())
    return unsafe


def _stays_python(equation: Equation, sources) -> bool:
    return (
        equation.op.evaluate in _SAME_IN_PYTHON
        and equation.outputs[0].type.dtype == _FLOAT
        and all(x.is_literal or x in sources for x in equation.inputs)
    )


def _is_safe(equation: Equation, sources) -> bool:
    """Whether NumPy does the operation whatever kind of number it is given."""
    op = equation.op
    if isinstance(op.evaluate, np.ufunc) or op.name in _NUMPY_ANYWAY:
        return op.evaluate is not np.invert
    if op.name == "index":
        return equation.inputs[0] not in sources
    others: list = [x for x in equation.inputs if not x.is_literal and x not in sources]
    return bool(others) and (op.name == "scale" or op.evaluate.__module__ == "_operator")
