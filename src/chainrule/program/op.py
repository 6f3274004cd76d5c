"""Operations: one frozen record each, in one table.

A record says what an operation means: its type rule, its value on NumPy, its derivative (one rule
of exactly one kind) and its batching. Rules are written in the surface language and recorded, so
they are differentiable themselves. How a backend emits an operation stands in that backend.
`docs/ops.md` lists every operation with its params.
"""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass, field
from typing import Any

import numpy as np

from chainrule import errors
from chainrule.program.trace import bind
from chainrule.program.types import Type, array_type

REGISTRY: dict[str, Op] = {}


@dataclass(frozen=True)
class Partials:
    """Elementwise: `rules[i](*inputs, out)` is the derivative with respect to input i.

    A rule returns an array, a scalar, or None where the derivative is zero everywhere.
    """

    rules: tuple[Callable | None, ...]


@dataclass(frozen=True)
class Linear:
    """Linear, jointly, in the inputs at `positions` (all where None).

    `transpose(ct, *inputs, **params)` returns one cotangent per input, None for the others; a
    linear input arrives as its Type. `accumulate(total, ct, *inputs, **params)`, for operations
    with one linear input, adds the cotangent into the running total instead (or into zeros, where
    `total` is None), so that a loop that reads `x[i]` costs O(n). `forward(inputs, outputs,
    tangents, **params)`, as in `Forward`, is the tangent by the inputs outside `positions`, for
    operations that are linear in one input and smooth in another (solve); None where these have no
    tangent space.
    """

    transpose: Callable | None = None
    positions: tuple[int, ...] | None = None
    accumulate: Callable | None = None
    forward: Callable | None = None


@dataclass(frozen=True)
class Bilinear:
    """Linear in each of the first two inputs; one transpose rule for each.

    `left(ct, x_type, y, **params)` gives the cotangent of x, `right(ct, x, y_type, **params)` of y.
    """

    left: Callable
    right: Callable


@dataclass(frozen=True)
class Forward:
    """Any other: `rule(inputs, outputs, tangents, **params)` gives the outputs' tangents.

    `inputs`, `outputs`, `tangents` are tuples; an inactive tangent is None. The rule must be linear
    in the tangents. It returns one tangent, or a tuple of them; None stands for zero.
    """

    rule: Callable


@dataclass(frozen=True)
class Structural:
    """Control flow: rules that receive the transformation as an argument (see ops/control.py)."""

    forward: Callable  # (equation, primals, tangents, transform) -> (outputs, tangents)
    split: Callable  # (equation, known, transform) -> known and linear equations
    transpose: Callable | None  # (equation, cotangents, ...) -> cotangents of the inputs


@dataclass(frozen=True)
class Constant:
    """Piecewise constant: the derivative is zero almost everywhere (floor, sign, round)."""


@dataclass(frozen=True)
class Discrete:
    """No tangent space: comparisons, indices, random bits."""


@dataclass(frozen=True)
class Missing:
    """There is no rule; asking for the derivative raises `DerivativeMissing` with this reason."""

    why: str


Derivative = Partials | Linear | Bilinear | Forward | Structural | Constant | Discrete | Missing


@dataclass(frozen=True)
class Edge:
    """What an elementwise operation gives at an edge of its domain: checked by the shared suite."""

    at: float
    value: float | None = None
    slope: float | None = None


@dataclass(frozen=True, eq=False)
class Op:
    """One operation. Applying it (`op(x, y, axis=0)`) records it, or runs it outside a trace."""

    name: str
    type_rule: Callable[..., tuple[Type, ...]]  # (*input types, **params) -> output types
    evaluate: Callable[..., Any]  # (*arrays, **params) -> array, or tuple where several outputs
    derivative: Derivative
    batch: Callable | None = None  # (size, inputs, batched, **params) -> outputs, batch axis first
    elementwise: bool = False
    view: bool = False  # the value may share memory with the first input's
    in_place: Callable | None = None  # as evaluate, but overwrites the first input
    pure: bool = True  # equal equations may be merged
    kept: bool = False  # an equation stays though nobody reads its outputs
    raises: bool = False  # it may raise LinAlgError, by the values that it is given
    flops: Callable | None = None  # (in_types, out_types, params) -> int; default one per element
    edges: tuple[Edge, ...] = ()
    ulps: float = 4.0  # accuracy of the derivative that the shared tests demand
    doc: str = field(default="", compare=False)

    @property
    def smooth(self) -> bool:
        """False where no derivative passes: constant and discrete operations."""
        return not isinstance(self.derivative, Constant | Discrete)

    def __call__(self, *arguments, **params):
        return bind(self, arguments, params)

    def __repr__(self) -> str:
        return f"Op({self.name})"

    def __reduce__(self):
        return _named, (self.name,)

    def __post_init__(self):
        if self.name in REGISTRY:
            raise ValueError(f"operation {self.name!r} is registered twice")
        REGISTRY[self.name] = self


def _named(name: str) -> Op:
    return REGISTRY[name]


TAKES = {
    "any": "?bhilqBHILQefdFD",
    "number": "bhilqBHILQefdFD",
    "real": "bhilqBHILQefd",
    "integer": "bhilqBHILQ",
    "integral": "?bhilqBHILQ",
    "inexact": "efdFD",
    "float": "efd",
    "complex": "FD",
}


def elementwise(
    name: str,
    evaluate: Callable,
    partials: tuple | Derivative,
    takes: str = "inexact",
    gives: str | None = None,
    edges: tuple[Edge, ...] = (),
    ulps: float = 4.0,
    flops: int = 1,
    doc: str = "",
) -> Op:
    """Register an elementwise operation: arrays of one shape and dtype (or literals) in, one out.

    `partials` holds one rule per input (see `Partials`), or a kind without rules (`Constant()`).
    `takes` names the accepted dtypes (a key of `TAKES`); `gives` is None for the input's dtype,
    "bool", or "real" for the real counterpart of a complex input.
    """
    derivative = Partials(partials) if isinstance(partials, tuple) else partials
    kinds = TAKES[takes]

    def type_rule(*types: Type) -> tuple[Type, ...]:
        return (elementwise_type(name, types, kinds, gives),)

    return Op(
        name, type_rule, evaluate, derivative, elementwise=True, edges=edges, ulps=ulps,
        flops=lambda ins, outs, params: flops * outs[0].size, doc=doc,
    )  # fmt: skip


def elementwise_type(name: str, types, kinds: str, gives: str | None) -> Type:
    """The output type of an elementwise operation; scalar literals fit any shape."""
    first = max(types, key=lambda t: t.ndim)
    for other in types:
        if other.dtype != first.dtype:
            raise errors.DtypeError(
                f"{name} needs equal dtypes, got {', '.join(str(t.dtype) for t in types)}."
            )
        if other.shape not in (first.shape, ()):
            raise errors.ShapeError(
                f"{name} needs equal shapes, got {', '.join(str(t.shape) for t in types)}."
            )
    if first.dtype.char not in kinds:
        raise errors.DtypeError(f"{name} is not defined for dtype {first.dtype}.")
    if gives is None:
        return first
    return array_type(first.shape, _result_dtype(first.dtype, gives))


def _result_dtype(dtype: np.dtype, gives: str) -> np.dtype:
    if gives == "bool":
        return np.dtype(bool)
    return np.dtype(dtype.char.lower()) if dtype.kind == "c" else dtype
