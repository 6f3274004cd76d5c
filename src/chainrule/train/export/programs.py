"""One program for any number of rows, from two traces with different numbers of rows.

A program's shapes are plain numbers. Traced with two numbers of rows, the equations must be the
same; a number that differs between the two is `factor * rows + offset`.
"""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass
from typing import Any

import numpy as np

from chainrule import errors
from chainrule.program.program import Literal, Operand, Program, Var
from chainrule.program.types import array_type
from chainrule.tracing import trace_call

COUNTS = (5, 7)  # rows of the two traces: neither 1, where axes vanish, nor one twice the other


@dataclass(frozen=True)
class Rows:
    """A length that is known when the graph runs: factor * rows + offset."""

    factor: int
    offset: int = 0


Length = int | Rows


@dataclass(frozen=True)
class Step:
    """An equation whose params may hold `Rows`, and `Either` where they held programs."""

    op: str
    inputs: tuple[Operand, ...]
    params: dict[str, Any]
    outputs: tuple[Var, ...]
    where: str


@dataclass(frozen=True)
class Either:
    """A program for any number of rows; its variables are those of the first of the two."""

    inputs: tuple[Var, ...]
    steps: list[Step]
    outputs: tuple[Operand, ...]
    shapes: dict[Var, tuple[Length, ...]]


def traced(f: Callable, example: np.ndarray) -> tuple[Either, list[np.ndarray], int]:
    """`f` for inputs like the example with any number of rows on its first axis.

    Also the arrays that it closes over, which are the program's first inputs, and their number.

    **Errors** `NotSupported` where `f` does something else for another number of rows;
    `ConcreteValueNeeded` where it decides by the input's values.
    """
    calls = []
    for count in COUNTS:
        type_ = array_type((count, *example.shape[1:]), example.dtype)
        calls.append(trace_call(f, (example,), {}, types=[type_], concrete=False))
    first, second = calls
    if first.effects:
        raise errors.NotSupported("the model writes to an array in inference; ONNX cannot.")
    found = _merged_programs(first.program, second.program)
    if first.leading != second.leading:
        raise _differ("it closes over other arrays")
    pairs = zip(first.operands[: first.leading], second.operands[: first.leading], strict=True)
    return found, [_captured(np.asarray(a), np.asarray(b)) for a, b in pairs], first.leading


def _captured(a: np.ndarray, b: np.ndarray) -> np.ndarray:
    """An array that both traces close over; of zeros of two shapes, an array of one entry."""
    if a.shape == b.shape and np.array_equal(a, b, equal_nan=a.dtype.kind in "fc"):
        return a
    if a.size and b.size and (a == a.flat[0]).all() and (b == a.flat[0]).all():
        return a.reshape(-1)[:1]
    raise _differ("an array that it makes depends on the number in another way than by its shape")


def _merged_programs(a: Program, b: Program) -> Either:
    if len(a.equations) != len(b.equations) or len(a.inputs) != len(b.inputs):
        raise _differ("it runs other operations")
    same: dict[Var, Var] = {}
    shapes: dict[Var, tuple[Length, ...]] = {}

    def declare(x: Var, y: Var) -> None:
        same[x] = y
        shapes[x] = _merged(x.type.shape, y.type.shape)

    for x, y in zip(a.inputs, b.inputs, strict=True):
        declare(x, y)
    steps = []
    for e, other in zip(a.equations, b.equations, strict=True):
        if e.op is not other.op or len(e.inputs) != len(other.inputs):
            raise _differ(f"it runs {e.op.name} for one and {other.op.name} for another", e.where)
        for x, y in zip(e.inputs, other.inputs, strict=True):
            _check_same(x, y, same, e.where)
        for v, w in zip(e.outputs, other.outputs, strict=True):
            declare(v, w)
        params = {key: _merged(value, other.params[key]) for key, value in e.params.items()}
        steps.append(Step(e.op.name, e.inputs, params, e.outputs, e.where))
        for value in params.values():
            for part in value if isinstance(value, tuple) else (value,):
                if isinstance(part, Either):
                    shapes.update(part.shapes)
    return Either(a.inputs, steps, a.outputs, shapes)


def _check_same(x: Operand, y: Operand, same: dict[Var, Var], where: str) -> None:
    if isinstance(x, Literal) and isinstance(y, Literal):
        if x.bits != y.bits:
            raise _differ(f"a number is {x.value} for one and {y.value} for another", where)
    elif isinstance(x, Literal) or same.get(x) is not y:
        raise _differ("an operation takes other operands", where)


def _merged(a: Any, b: Any) -> Any:
    if isinstance(a, Program):
        return _merged_programs(a, b)
    if isinstance(a, tuple) and isinstance(b, tuple) and len(a) == len(b):
        return tuple(map(_merged, a, b))
    if isinstance(a, int) and isinstance(b, int) and a != b:
        factor, rest = divmod(b - a, COUNTS[1] - COUNTS[0])
        if not rest:
            return Rows(factor, a - factor * COUNTS[0])
    if type(a) is type(b) and a == b:
        return a
    raise _differ(f"{a} for one becomes {b} for another")


def _differ(how: str, where: str = "") -> errors.NotSupported:
    return errors.NotSupported(
        f"the model does something else for {COUNTS[0]} rows than for {COUNTS[1]}: {how}"
        f"{', at ' + where if where else ''}.\n  A file of ONNX holds one graph for any number of "
        "rows: let the model treat each row alike."
    )
