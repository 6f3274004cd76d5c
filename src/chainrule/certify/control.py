"""Control flow in ball arithmetic: the sub-programs are entered, and branches are certain."""

from __future__ import annotations

from collections.abc import Callable, Sequence

import numpy as np

from chainrule.program.op import REGISTRY
from chainrule.program.program import Equation

Evaluate = Callable[..., list[np.ndarray]]

CONTROL: dict[str, Callable[[list[np.ndarray], Equation, Evaluate], Sequence[np.ndarray]]] = {}


def _cond(values, equation, evaluate):
    predicate, *operands = values
    return evaluate(equation.params["branches"][0 if predicate else 1], operands)


def _scan(values, equation, evaluate):
    params = equation.params
    body, a = params["body"], params["constants"]
    b, length = a + params["carries"], params["length"]
    fixed, carry, xs = values[:a], list(values[a:b]), values[b:]
    rows: list[list] = [[None] * length for _ in body.outputs[params["carries"] :]]
    for i in range(length - 1, -1, -1) if params["reverse"] else range(length):
        found = evaluate(body, [*fixed, *carry, *[np.asarray(x[i]) for x in map(_rows, xs)]])
        carry = found[: params["carries"]]
        for row, value in zip(rows, found[params["carries"] :], strict=True):
            row[i] = value
    outs = equation.outputs[params["carries"] :]
    return [*carry, *[_stacked(row, v.type) for row, v in zip(rows, outs, strict=True)]]


def _rows(x: np.ndarray) -> list[np.ndarray]:
    """The entries along the first axis, each an array (an object array stays one, also 0-d)."""
    return [x[i, ...] for i in range(len(x))]


def _stacked(rows: list[np.ndarray], type_) -> np.ndarray:
    out = np.empty(type_.shape, object if type_.inexact else type_.dtype)
    for i, row in enumerate(rows):
        out[i, ...] = row
    return out


def _while(values, equation, evaluate):
    params = equation.params
    n = params["constants"]
    fixed, carry = values[:n], values[n:]
    while evaluate(params["test"], [*fixed, *carry])[0]:
        carry = evaluate(params["body"], [*fixed, *carry])
    return carry


def _repeat(values, equation, evaluate):
    params = equation.params
    steps, *rest = values
    n, a = len(params["known"].inputs), params["known_constants"]
    fixed, state = rest[:a], rest[a:n]
    held = rest[n : n + params["linear_constants"]]
    carry = rest[n + params["linear_constants"] :]
    for _ in range(int(steps)):
        carry = evaluate(params["moving"], [*fixed, *state, *held, *carry])
        state = evaluate(params["known"], [*fixed, *state])
    return carry


def _program(values, equation, evaluate):
    return evaluate(equation.params["program"], values)


def _custom_linear(values, equation, evaluate):
    params = equation.params
    chosen = params["forward"] if params["forward"] is not None else params["transposed"]
    return evaluate(chosen, values)


CONTROL.update(
    {"cond": _cond, "scan": _scan, "while": _while, "repeat": _repeat, "checkpoint": _program,
     "custom": _program, "custom_linear": _custom_linear}
)  # fmt: skip
assert set(CONTROL) <= set(REGISTRY)
