"""What kernels along one axis share: lanes of elements that lie apart, and orders of elements."""

from __future__ import annotations

import math
from collections.abc import Callable

import numpy as np

from chainrule.compiler.kernel import Place, c_strides
from chainrule.compiler.llvm.code import Code, Index, Value, lanes_of, vector
from chainrule.compiler.llvm.elementwise import (
    RULES,
    Operation,
    from_memory,
    memory_element,
    to_memory,
)
from chainrule.compiler.llvm.walk import Walk, walk_over
from chainrule.program.types import array_type

Combine = Callable[[Code, Value, Value], Value]


def load_lanes(code: Code, pointer: Value, dtype: np.dtype, lanes: int, step: int) -> Value:
    """`lanes` elements that lie `step` bytes apart, as registers hold them."""
    element, align = memory_element(dtype), dtype.alignment
    if lanes == 1 or step == dtype.itemsize:
        found = code.load(pointer, vector(element, lanes), align)
        return from_memory(code, found, dtype)
    out = Value("poison", vector(element, lanes))
    for lane in range(lanes):
        out = code.insert(out, code.load(code.offset(pointer, lane * step), element, align), lane)
    return from_memory(code, out, dtype)


def store_lanes(code: Code, value: Value, pointer: Value, dtype: np.dtype) -> None:
    """Elements to memory, one behind the other."""
    code.store(to_memory(code, value, dtype), pointer, dtype.alignment)


def without_axis(items: tuple[int, ...], axis: int) -> tuple[int, ...]:
    """The entries of the other axes."""
    return (*items[:axis], *items[axis + 1 :])


def walk_without(place: Place, axis: int, *others: tuple[int, ...]) -> Walk:
    """The walk over all axes but one of an operand, and other arrays over those axes."""
    size = place.type.dtype.itemsize
    own = tuple([s * size for s in without_axis(place.strides, axis)])
    return walk_over(without_axis(place.type.shape, axis), own, *others)


def in_parts(place: Place) -> Place:
    """A complex array as one of real numbers with a last axis of length 2."""
    part = np.dtype(np.float32 if place.type.dtype.char == "F" else np.float64)
    type_ = array_type((*place.type.shape, 2), part)
    return Place(type_, (*[2 * s for s in place.strides], 1))


def running_type(dtype: np.dtype) -> np.dtype:
    """The dtype in which running values are kept: float32 for float16; bytes for bool."""
    if dtype.char == "e":
        return np.dtype(np.float32)
    return np.dtype(np.uint8) if dtype.char == "?" else dtype


_RULE = {"cumsum": "add", "cumprod": "multiply", "cummax": "maximum", "cummin": "minimum"}
_OF_BOOLS = {"add": "maximum", "multiply": "minimum"}


def combine(name: str, dtype: np.dtype) -> Combine:
    """How an accumulating operation joins two values, the earlier one first."""
    rule = _RULE[name]
    if dtype.char == "?":
        rule = _OF_BOOLS.get(rule, rule)
    kept = running_type(dtype)
    operation = Operation(rule, (), (kept, kept), kept)
    return lambda code, x, y: RULES[rule][1](code, operation, x, y)


def neutral(name: str, dtype: np.dtype) -> float | int:
    """What changes nothing in front of a value: -0.0 for sums, since 0.0 + -0.0 is 0.0."""
    if name in ("cumsum", "cumprod") and dtype.char != "?":
        zero = -0.0 if dtype.kind == "f" else 0
        return zero if name == "cumsum" else 1
    least = name in ("cumsum", "cummax")
    if dtype.kind == "f":
        return -math.inf if least else math.inf
    if dtype.char == "?":
        return 0 if least else 1
    info = np.iinfo(dtype)
    return int(info.min if least else info.max)


def scanned(code: Code, x: Value, join: Combine, start: float | int) -> Value:
    """Running values within one vector, by doubling reach."""
    lanes, reach = lanes_of(x.type), 1
    fill = code.like(x, start)
    while reach < lanes:
        before = code.shuffle(fill, x, [lanes - reach + i for i in range(lanes)])
        x = join(code, before, x)
        reach *= 2
    return x


def at_lane(code: Code, pointer: Value, index: Index, size: int) -> Value:
    """The address of an element by its number."""
    if isinstance(index, int):
        return code.offset(pointer, index * size)
    return code.offset(pointer, index, size) if size else pointer


def bytes_in_order(shape: tuple[int, ...], size: int) -> tuple[int, ...]:
    """The strides in bytes of a C-contiguous array."""
    return tuple([s * size for s in c_strides(shape)])
