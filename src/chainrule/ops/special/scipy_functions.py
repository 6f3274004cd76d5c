"""SciPy's special functions as values of operations, loaded at first use.

SciPy takes longer to import than everything else together, so `import chainrule` leaves it alone:
a `ScipyFunction` looks its function up in `scipy.special` when it is first called.
"""

from __future__ import annotations

import importlib
from collections.abc import Callable
from functools import cache, wraps

import numpy as np

from chainrule import errors
from chainrule.ops.elementwise import scale
from chainrule.program.op import (
    TAKES,
    Derivative,
    Edge,
    Forward,
    Op,
    elementwise,
    elementwise_type,
)
from chainrule.program.text import line_text
from chainrule.program.trace import current


@cache
def scipy_special():
    """The module `scipy.special`, imported now."""
    return importlib.import_module("scipy.special")


class ScipyFunction:
    """A function of `scipy.special` by name; the result has the dtype of the arguments.

    (SciPy computes float16 in float32; operations keep their input's dtype.)
    """

    __slots__ = ("_function", "name")

    def __init__(self, name: str):
        self.name = name
        self._function: Callable | None = None

    def __call__(self, *arrays):
        function = self._function
        if function is None:
            function = self._function = getattr(scipy_special(), self.name)
        out = function(*arrays)
        wanted = arrays[-1].dtype
        return out if out.dtype == wanted else out.astype(wanted)

    def __repr__(self) -> str:
        return f"scipy.special.{self.name}"


def in_float64(function: Callable) -> Callable:
    """The function computed in float64 on arrays of one shape, and rounded to the input's dtype.

    Traced arrays will do (chainrule.compiler.lower_special).
    """

    @wraps(function)
    def evaluate(*arrays, **params):
        dtype = np.result_type(*arrays)
        wide = np.broadcast_arrays(*[x.astype(np.float64) for x in arrays])
        return function(*wide, **params).astype(dtype)[()]

    return evaluate


BY_SCIPY_NAME: dict[str, Op] = {}


def scipy_elementwise(
    name: str,
    partials: tuple | Derivative,
    takes: str = "float",
    edges: tuple[Edge, ...] = (),
    ulps: float = 4.0,
    doc: str = "",
) -> Op:
    """Register the elementwise operation whose value is `scipy.special.<name>`."""
    op = elementwise(
        name, ScipyFunction(name), partials, takes, edges=edges, ulps=ulps, flops=20, doc=doc
    )
    BY_SCIPY_NAME[name] = op
    return op


def elementwise_family(
    name: str,
    evaluate: Callable,
    partials: tuple,
    takes: str = "float",
    ulps: float = 4.0,
    flops: int = 100,
    doc: str = "",
) -> Op:
    """Register an elementwise operation with static params (the order of a derivative, say).

    `partials[i](*inputs, out, **params)` is the partial derivative by input i.
    """
    kinds = TAKES[takes]

    def type_rule(*types, **params):
        return (elementwise_type(name, types, kinds, None),)

    def tangent(inputs, outputs, tangents, **params):
        moved = None
        for partial, t in zip(partials, tangents, strict=True):
            if t is not None:
                part = scale(partial(*inputs, outputs[0], **params), t)
                moved = part if moved is None else moved + part
        return moved

    return Op(
        name, type_rule, evaluate, Forward(tangent), elementwise=True, ulps=ulps,
        flops=lambda ins, outs, params: flops * outs[0].size, doc=doc,
    )  # fmt: skip


def missing_by(name: str, argument: str, why: str) -> Callable:
    """A partial derivative that nobody knows in closed form: asking for it raises."""

    def rule(*_, **__):
        builder = current()
        line = line_text(builder.line) if builder is not None else ""
        where = f", at {line}" if line else ""
        raise errors.DerivativeMissing(
            f"{name} has no derivative with respect to its {argument}{where}: {why}"
        )

    return rule
