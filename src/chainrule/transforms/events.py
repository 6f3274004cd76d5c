"""Events: discrete values that depend on draws, and which smooth quantity passes zero at a jump.

A comparison jumps where its sides are equal, a rounding where its argument is at a whole number, an
index of the largest where two entries are equal. `cotangents` names that quantity by the cotangents
that reverse mode starts from.
"""

from __future__ import annotations

import numpy as np

from chainrule import errors
from chainrule.program.program import Equation, Operand
from chainrule.transforms.chance import COMPARISONS
from chainrule.transforms.lanes import Lanes

_AT_ARGUMENT = frozenset({"floor", "ceil", "trunc", "rint", "sign", "signbit", "cast", "heaviside"})
_STEPS = {"floor": 0.0, "ceil": 0.0, "trunc": 0.0, "cast": 0.0, "rint": 0.5}
_BY_QUOTIENT = frozenset({"floor_divide", "remainder", "fmod"})
_OF_ORDER = frozenset({"argmax", "argmin", "argsort", "argpartition"})


def mark(equation: Equation, lanes: Lanes) -> np.ndarray:
    """The discrete value of a draw or an event, (lanes, elements), as int64."""
    name = equation.op.name
    if name in ("remainder", "fmod"):
        x, y = (lanes.value(v) for v in equation.inputs)
        with np.errstate(all="ignore"):
            value = np.floor(x / y) if name == "remainder" else np.trunc(x / y)
    elif name in ("heaviside", "copysign"):
        value = np.sign(lanes.value(equation.inputs[0 if name == "heaviside" else 1]))
    else:
        value = lanes.value(equation.outputs[0])
    value = np.reshape(value, (lanes.size, -1))
    if value.dtype.kind == "f":
        return (value.astype(np.float64) + 0.0).view(np.int64)
    return value.astype(np.int64)


def step(equation: Equation) -> float:
    """Where a rounding jumps, beside whole numbers; nan for other events."""
    return _STEPS.get(equation.op.name, np.nan)


def margin(equation: Equation, lanes: Lanes, shape: tuple[int, ...]) -> np.ndarray:
    """How far the sides of a comparison are apart, or the argument of a rounding, (lanes,
    elements); nan for other events."""
    if equation.op.name in _STEPS:
        return np.reshape(lanes.value(equation.inputs[0]).astype(np.float64), shape)
    if equation.op.name not in COMPARISONS - {"equal", "not_equal"}:
        return np.full(shape, np.nan)
    x, y = (lanes.value(v) for v in equation.inputs)
    ndim = equation.outputs[0].type.ndim
    x, y = (v if v.ndim > ndim else v.reshape(-1, *(1,) * ndim) for v in (x, y))
    with np.errstate(all="ignore"):
        return np.reshape((x - y).astype(np.float64), shape)


def cotangents(
    equation: Equation, element: np.ndarray, before: np.ndarray, after: np.ndarray
) -> list[tuple[Operand, np.ndarray]]:
    """What passes zero where an element of an event jumps, as pairs (operand, cotangent).

    `element` numbers the element that jumps, one for each lane; `before` and `after` are its
    values.
    """
    name, inputs = equation.op.name, equation.inputs
    if name in COMPARISONS:
        return _paired(inputs, element, 1.0, -1.0)
    if name == "copysign":
        return _paired(inputs[1:], element, 1.0)
    if name in _AT_ARGUMENT:
        return _paired(inputs[:1], element, 1.0)
    if name in _BY_QUOTIENT:
        first, second = (_as_float(equation, v) for v in (before, after))
        larger = np.maximum(first, second)
        if name == "fmod":
            larger = np.where(np.abs(first) > np.abs(second), first, second)
        return _paired(inputs, element, 1.0, -larger)
    if name in _OF_ORDER:
        return _of_order(equation, element, before, after)
    if name == "searchsorted":
        table = _zeros(inputs[0], element)
        table[np.arange(len(element)), np.minimum(before, after)] = -1.0
        return [(inputs[0], table), *_paired(inputs[1:], element, 1.0)]
    raise errors.NotDifferentiable(
        f"{name} jumps where a draw passes some value, at {equation.where}, and where that is is "
        "not known.\n  Write it with comparisons (np.where)."
    )


def _as_float(equation: Equation, value: np.ndarray) -> np.ndarray:
    return value.view(np.float64) if equation.outputs[0].type.dtype.kind == "f" else value * 1.0


def _zeros(operand: Operand, element: np.ndarray) -> np.ndarray:
    return np.zeros((len(element), *operand.type.shape))


def _paired(inputs, element, *slopes) -> list[tuple[Operand, np.ndarray]]:
    out = []
    for x, slope in zip(inputs, slopes, strict=True):
        ct = np.zeros((len(element), max(x.type.size, 1)))
        place = element if x.type.ndim else np.zeros_like(element)
        ct[np.arange(len(element)), place] = slope
        out.append((x, ct.reshape(len(element), *x.type.shape)))
    return out


def _of_order(equation, element, before, after) -> list[tuple[Operand, np.ndarray]]:
    x, axis = equation.inputs[0], equation.params["axis"]
    shape = equation.outputs[0].type.shape
    at = list(np.unravel_index(element, shape)) if shape else []
    if len(shape) == x.type.ndim:
        at.pop(axis)
    ct, lanes = _zeros(x, element), np.arange(len(element))
    ct[(lanes, *at[:axis], before, *at[axis:])] = 1.0
    ct[(lanes, *at[:axis], after, *at[axis:])] = -1.0
    return [(x, ct)]
