"""The mean of a program over samples, as an operation; its slope is an estimate like itself.

Value     for each output of the program its mean over `samples`, and its standard error: the random
          states at `generators` are those of the samples.
Slope     estimated from the same samples (see expectation.py). It has no slope of its own: a second
          derivative raises, and says how to ask for one.
"""

from __future__ import annotations

from typing import Any

import numpy as np

from chainrule import errors
from chainrule.ops.contract import contract
from chainrule.ops.elementwise import add, scale
from chainrule.ops.random import FLOAT64, UINT64, fold_in
from chainrule.ops.select import cast
from chainrule.ops.shape import broadcast
from chainrule.program.op import Forward, Missing, Op
from chainrule.program.program import Program
from chainrule.program.types import Type, array_type
from chainrule.transforms.expectation import mean_slopes, mean_value
from chainrule.transforms.paths import Paths

NO_SECOND = (
    "the derivative of this expectation is itself an estimate, from jumps, kinks or discrete "
    "draws, and samples of it have no derivative.\n  Take the inner derivative inside: "
    "cr.grad(cr.expectation(lambda x, rng: cr.grad(f)(x, rng))) where f has no jumps itself, or "
    "take finite differences of the gradient, with one seed."
)


def sample_states(state, numbers: np.ndarray) -> np.ndarray:
    """The random states of numbered samples: each folds its number into the key."""
    states = np.broadcast_to(np.asarray(state), (len(numbers), 2))
    return np.asarray(fold_in.evaluate(states, numbers.astype(UINT64)))


def split_rows(row: np.ndarray, types) -> list[np.ndarray]:
    """A row of all outputs' elements as arrays of their shapes; further axes stay behind."""
    out, start = [], 0
    for t in types:
        part = row[start : start + t.size]
        out.append(part.reshape((*t.shape, *row.shape[1:]))[()])
        start += t.size
    return out


def seed_of(states) -> list[int]:
    """A seed for the estimator's own choices, which depends on the generators alone."""
    return [int(word) for state in states for word in np.asarray(state).reshape(-1)] or [0]


# --- batches: an expectation for each lane, one after the other ---------------------------------


def _lanes(types, wide) -> int | None:
    """How many lanes there are; None where the operation is not batched."""
    return next((t.shape[0] for t, w in zip(types, wide, strict=False) if w), None)


def _own_types(types, wide) -> list[Type]:
    if not wide:
        return list(types)
    return [t.with_shape(t.shape[1:]) if w else t for t, w in zip(types, wide, strict=True)]


def _widened(types: list[Type], lanes: int | None) -> tuple[Type, ...]:
    return tuple(t if lanes is None else t.with_shape((lanes, *t.shape)) for t in types)


def _each_lane(values, wide, estimate):
    """The tuples that `estimate` gives for each lane, stacked; or its own tuple."""
    if not wide:
        return estimate(values)
    size = next(len(v) for v, w in zip(values, wide, strict=True) if w)
    rows = [
        estimate([v[i] if w else v for v, w in zip(values, wide, strict=True)])
        for i in range(size)
    ]
    return tuple(np.stack(parts) for parts in zip(*rows, strict=True))


def _batched(op):
    def rule(size, inputs, batched, *, wide, **params):
        if wide:
            raise errors.NotSupported(
                "vmap of vmap of an expectation that is not pathwise is not supported.\n  Give one "
                "vmap all the cases, or call it in a Python loop."
            )
        return op()(*inputs, wide=tuple(batched), **params)

    return rule


def results_of(program: Program, method: str) -> tuple[Type, ...]:
    """The types of a program's results; by the score function the last output is none."""
    return program.out_types[:-1] if method == "score" else program.out_types


# --- the mean and its slope ---------------------------------------------------------------------


def _paths(values, program, generators) -> Paths:
    return Paths.of_program(program, list(values), set(generators), sample_states)


def _mean_type(*types: Type, wide, program, generators, samples, method) -> tuple[Type, ...]:
    outs = [array_type(t.shape, FLOAT64) for t in results_of(program, method)]
    return _widened([*outs, *outs], _lanes(types, wide))


def _mean(*values, wide, program, generators, samples, method):
    def estimate(values):
        moments = mean_value(_paths(values, program, generators), samples, method)
        types = results_of(program, method)
        return (*split_rows(moments.mean(), types), *split_rows(moments.error(), types))

    return _each_lane(values, wide, estimate)


def _slope_type(*types: Type, wide, program, generators, samples, method, active):
    own = _own_types(types, wide)
    made = [
        array_type((*out.shape, *t.shape), FLOAT64)
        for out in results_of(program, method)
        for t, is_active in zip(own, active, strict=True)
        if is_active
    ]
    return _widened(made, _lanes(types, wide))


def _slope(*values, wide, program, generators, samples, method, active):
    wanted = [v for v, is_active in zip(program.inputs, active, strict=True) if is_active]

    def estimate(values):
        paths = _paths(values, program, generators)
        seed = seed_of(values[i] for i in generators)
        _, slopes = mean_slopes(paths, wanted, samples, seed, method)
        types = results_of(program, method)
        by_input = [split_rows(slopes[v].mean(), types) for v in wanted]
        return tuple(parts[k] for k in range(len(types)) for parts in by_input)

    made = _each_lane(values, wide, estimate)
    return made if len(made) != 1 else made[0]


def _mean_tangents(inputs, outputs, tangents, *, wide, **params):
    active = tuple(t is not None for t in tangents)
    made = slope_op(*inputs, wide=wide, **params, active=active)
    slopes = iter(made if isinstance(made, tuple) else (made,))
    moved: list[Any] = []
    for _ in range(len(outputs) // 2):
        total = None
        for i, tangent in enumerate(tangents):
            if tangent is None:
                continue
            slope = next(slopes)
            if wide and not wide[i]:
                shape = (slope.shape[0], *tangent.shape)
                tangent = broadcast(tangent, shape=shape, axes=tuple(range(1, len(shape))))
            total = _plus(total, applied(slope, tangent, 1 if wide else 0))
        moved.append(total)
    return (*moved, *[None] * len(moved))


def _plus(first, second):
    return second if first is None else add(first, second)


def applied(slope, tangent, lead: int = 0):
    """A slope (lead, out, in) times a tangent (lead, in)."""
    if tangent.dtype != slope.dtype:
        tangent = cast(tangent, dtype=FLOAT64)
    if tangent.ndim == lead:
        if slope.ndim > lead:
            tangent = broadcast(tangent, shape=slope.shape, axes=tuple(range(lead)))
        return scale(slope, tangent)
    first = slope.ndim - (tangent.ndim - lead)
    axes = (tuple(range(first, slope.ndim)), tuple(range(lead, tangent.ndim)))
    batch = (tuple(range(lead)), tuple(range(lead)))
    return contract(slope, tangent, axes=axes, batch=batch)


slope_op: Op = Op(
    "expectation_slope", _slope_type, _slope, Missing(NO_SECOND), _batched(lambda: slope_op),
    flops=lambda ins, outs, params: 4 * params["samples"] * params["program"].cost().flops,
    doc="the slope of `expectation` by each active input, from the same samples",
)  # fmt: skip
mean_op: Op = Op(
    "expectation", _mean_type, _mean, Forward(_mean_tangents), _batched(lambda: mean_op),
    flops=lambda ins, outs, params: params["samples"] * params["program"].cost().flops,
    doc="the mean of a program's outputs over samples of its random draws, and the standard errors",
)  # fmt: skip

# --- a value whose slope is known ---------------------------------------------------------------


def _unit_type(*types: Type) -> tuple[Type, ...]:
    return (array_type((), FLOAT64),)


unit: Op = Op(
    "unit", _unit_type, lambda *xs: np.float64(1.0), Missing(NO_SECOND),
    lambda size, inputs, batched: broadcast(unit(*inputs), shape=(size,), axes=()),
    doc="1; to differentiate it raises: it stands where a second derivative would be wrong",
)  # fmt: skip


def _known_type(*types: Type, outputs) -> tuple[Type, ...]:
    return types[:outputs]


def _known_tangents(inputs, made, tangents, *, outputs):
    count = (len(inputs) - outputs) // (outputs + 1)
    arguments, slopes = inputs[outputs : outputs + count], inputs[outputs + count :]
    one = unit(*arguments)
    moved: list[Any] = []
    for k in range(outputs):
        total = None
        for i in range(count):
            tangent = tangents[outputs + i]
            if tangent is not None:
                total = _plus(total, applied(slopes[k * count + i], tangent))
        if total is not None:
            wide = broadcast(one, shape=total.shape, axes=()) if total.ndim else one
            total = scale(wide, total)
        moved.append(total)
    return tuple(moved)


def _known(*values, outputs):
    return values[0] if outputs == 1 else tuple(values[:outputs])


def _not_batched(size, inputs, batched, **params):
    raise errors.NotSupported(
        "an expectation whose samples took different Python branches is a number here: it cannot "
        "be batched afterwards."
    )


known_slope: Op = Op(
    "known_slope", _known_type, _known, Forward(_known_tangents), _not_batched,
    doc="(values, arguments, slopes of each value by each argument): the values, moving so",
)  # fmt: skip


def _first_order_tangents(inputs, outputs, tangents):
    tangent = tangents[0]
    if tangent is None:
        return None
    one = unit(*inputs[1:])
    return scale(broadcast(one, shape=tangent.shape, axes=()) if tangent.ndim else one, tangent)


def _first_order_batch(size, inputs, batched):
    if not batched[0]:
        return broadcast(inputs[0], shape=(size, *inputs[0].shape),
                         axes=tuple(range(1, inputs[0].ndim + 1)))  # fmt: skip
    return first_order(*inputs)


first_order: Op = Op(
    "first_order", lambda x, *more: (x,), lambda x, *more: x, Forward(_first_order_tangents),
    _first_order_batch,
    doc="(x, *arguments): x, that may be differentiated once by the arguments; then it raises",
)  # fmt: skip
