"""A Program evaluated in ball arithmetic, equation by equation.

Whole numbers and bools are plain arrays and computed by NumPy; where they come from comparisons of
balls they are certain, or `Undetermined` is raised, which names the equation.
"""

from __future__ import annotations

from collections.abc import Sequence
from typing import Any

import numpy as np

from chainrule import errors
from chainrule.certify import control, matrices, special  # register their rules
from chainrule.certify.arrays import RULES, balls, cast_array, filled
from chainrule.certify.ball import Undetermined, exact_ball
from chainrule.certify.complex_functions import COMPLEX
from chainrule.certify.elementary import ASKED, REAL
from chainrule.program.at_hand import add_line
from chainrule.program.op import REGISTRY
from chainrule.program.program import Equation, Program
from chainrule.program.types import Type

assert control and matrices and special


LOGICAL = ("logical_and", "logical_or", "logical_xor", "logical_not", "all", "any")


def _truth(x: np.ndarray) -> np.ndarray:
    """Which numbers are not 0."""
    return cast_array(x, np.dtype("d"), np.dtype(bool))


def as_value(value, type_: Type) -> np.ndarray:
    """A host value as an operand: balls where the dtype is inexact."""
    if isinstance(value, np.ndarray) and value.dtype == object:
        return value
    array = np.asarray(value, type_.dtype)
    return balls(array, type_.dtype) if type_.inexact else array


def evaluate(program: Program, values: Sequence) -> list[np.ndarray]:
    """The outputs of a closed program; values are host arrays or arrays of balls."""
    env: dict[Any, np.ndarray] = {
        v: as_value(x, v.type) for v, x in zip(program.inputs, values, strict=True)
    }
    for equation in program.equations:
        run(equation, env)
    return [operand(o, env) for o in program.outputs]


def operand(x, env: dict) -> np.ndarray:
    """The value of an operand of an equation."""
    if not x.is_literal:
        return env[x]
    if x.exact is None:
        return as_value(x.value, x.type)
    return filled((), [exact_ball(x.exact)])


def run(equation: Equation, env: dict) -> None:
    """Evaluate one equation, into `env`."""
    values = [operand(x, env) for x in equation.inputs]
    key = _key(equation)
    if key in env:  # the same numbers, not others that may be equal
        env[equation.outputs[0]] = env[key]
        return
    try:
        found = _apply(equation, values)
    except Undetermined as reason:
        reason.equation = reason.equation or equation
        raise
    except Exception as error:
        raise add_line(error, equation) from None
    for var, value in zip(equation.outputs, found, strict=True):
        env[var] = value
    if key is not None:
        env[key] = env[equation.outputs[0]]


def _key(equation: Equation) -> tuple | None:
    """Equal for elementwise equations of the same operands."""
    if not equation.op.elementwise or equation.params:
        return None
    return (equation.op.name, *[x.key if x.is_literal else x for x in equation.inputs])


def _apply(equation: Equation, values: list[np.ndarray]) -> Sequence[np.ndarray]:
    op = equation.op
    if op.name in control.CONTROL:
        return control.CONTROL[op.name](values, equation, evaluate)
    if op.name in LOGICAL:
        values = [_truth(v) if v.dtype == object else v for v in values]
    if not any(v.dtype == object for v in values) and not any(
        v.type.inexact for v in equation.outputs
    ):
        return _on_numpy(equation, values)
    if op.name in RULES:
        return RULES[op.name](values, equation)
    if op.elementwise:
        return [_entrywise(equation, values)]
    if op.name.startswith(("random_", "standard_", "fold_in")) and not any(
        v.dtype == object for v in values
    ):
        made = _on_numpy(equation, values)
        return [as_value(x, v.type) for x, v in zip(made, equation.outputs, strict=True)]
    raise no_rule(equation)


def _on_numpy(equation: Equation, values) -> list[np.ndarray]:
    given = [v[()] if not v.ndim else v for v in values]
    made = equation.op.evaluate(*given, **equation.params)
    return [np.asarray(x) for x in (made if len(equation.outputs) > 1 else (made,))]


def _entrywise(equation: Equation, values: list[np.ndarray]) -> np.ndarray:
    name, (out,) = equation.op.name, equation.outputs
    complex_ = any(x.type.dtype.kind == "c" for x in equation.inputs)
    function: Any = COMPLEX.get(name) if complex_ else REAL.get(name) or ASKED.get(name)
    if function is None:
        raise no_rule(equation)
    values = [
        v if v.dtype == object else balls(v, np.dtype("d"))
        for v in values
    ]  # fmt: skip
    together = np.broadcast(*values) if len(values) > 1 else values[0].ravel()
    rows = together if len(values) > 1 else ((a,) for a in together)
    made = [function(*row) for row in rows]
    if out.type.inexact:
        return filled(out.type.shape, made)
    return np.array(made, out.type.dtype).reshape(out.type.shape)


def no_rule(equation: Equation) -> Exception:
    """The error for an operation that has no rule in ball arithmetic."""
    where = f", at {equation.where}" if equation.where else ""
    return errors.NotSupported(
        f"{equation.op.name} has no rule in ball arithmetic yet{where}, so its value cannot be "
        "certified.\n  docs/certainty.md lists what can; write it in terms of those operations."
    )


def without_rule() -> list[str]:
    """The operations that cannot be certified."""
    known = {*RULES, *REAL, *ASKED, *control.CONTROL, *LOGICAL, *_WHOLE}
    return sorted(
        name for name in REGISTRY
        if name not in known and not name.startswith(("random_", "standard_", "bitwise_"))
    )


_WHOLE = ("iota", "fold_in", "gcd", "lcm", "invert", "left_shift", "right_shift")  # on NumPy
