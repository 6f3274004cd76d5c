"""Running values of reductions: how they start, join, and are written.

Sums and products of float16 run in float32. all and any run over truth values.
"""

from __future__ import annotations

import math

import numpy as np

from chainrule.compiler.llvm.code import Code, Value, constant, element_of, lanes_of, vector
from chainrule.compiler.llvm.elementwise import (
    RULES,
    Operation,
    register_element,
    to_memory,
    truth,
)
from chainrule.compiler.llvm.loops import Reduction

_COMBINE = {
    "sum": "add", "prod": "multiply", "max": "maximum", "min": "minimum",
    "all": "logical_and", "any": "logical_or",
}  # fmt: skip


def is_bool(reduction: Reduction) -> bool:
    return reduction.name in ("all", "any")


def accumulator(reduction: Reduction) -> np.dtype:
    """The dtype that a reduction runs in: float32 for float16, as NumPy's sums do."""
    if is_bool(reduction):
        return np.dtype(bool)
    return np.dtype(np.float32) if reduction.dtype.char == "e" else reduction.dtype


def _start(reduction: Reduction) -> float | int | bool:
    """The neutral element: -0.0 for sums of floats, since 0.0 + -0.0 would lose the sign."""
    dtype, name = accumulator(reduction), reduction.name
    if name in ("max", "min"):
        if dtype.kind == "f":
            return -math.inf if name == "max" else math.inf
        if dtype.kind == "b":
            return name == "min"
        info = np.iinfo(dtype)
        return int(info.min if name == "max" else info.max)
    if name == "sum":
        return -0.0 if dtype.kind == "f" else 0
    return name in ("prod", "all")


def combine(code: Code, reduction: Reduction, x: Value, y: Value) -> Value:
    """Two partial results as one."""
    dtype = accumulator(reduction)
    name = _COMBINE[reduction.name]
    return RULES[name][1](code, Operation(name, (), (dtype, dtype), dtype), x, y)


def neutral(reduction: Reduction, lanes: int, dtype: np.dtype | None = None) -> Value:
    element = register_element(accumulator(reduction) if dtype is None else dtype)
    return constant(vector(element, lanes), _start(reduction))


def stored(code: Code, value: Value, dtype: np.dtype) -> Value:
    """A total as memory holds it in this dtype."""
    if element_of(value.type) == "double" and dtype.char != "d":
        value = code.convert("fptrunc", value, "float")
    return to_memory(code, value, dtype)


def taken(code: Code, reduction: Reduction, value: Value) -> Value:
    """A value as the reduction takes it: its truth for all and any."""
    return truth(code, value, reduction.dtype) if is_bool(reduction) else value


def joined(code: Code, reduction: Reduction, x: Value) -> Value:
    """All lanes of a vector as one, by halves."""
    lanes = lanes_of(x.type)
    while lanes > 1:
        half = lanes // 2
        assert lanes == 2 * half
        low = code.shuffle(x, x, range(half)) if half > 1 else code.extract(x, 0)
        high = code.shuffle(x, x, range(half, lanes)) if half > 1 else code.extract(x, 1)
        x, lanes = combine(code, reduction, low, high), half
    return x


def widened(code: Code, reduction: Reduction, x: Value, lanes: int) -> Value:
    """The vector with more lanes, which do not count."""
    have = lanes_of(x.type)
    if have == lanes:
        return x
    start = neutral(reduction, have)
    if have == 1:
        return code.insert(neutral(reduction, lanes), x, 0)
    mask = [i if i < have else have for i in range(lanes)]
    return code.shuffle(x, start, mask)
