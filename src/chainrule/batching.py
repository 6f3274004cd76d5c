"""vmap: a function of one example becomes a function of many."""

from __future__ import annotations

from collections.abc import Callable
from functools import wraps
from typing import Any

import numpy as np

from chainrule import errors
from chainrule.api import flatten_like
from chainrule.derived import derived
from chainrule.host_random import HostStates
from chainrule.one_by_one import one_by_one
from chainrule.ops.control import closed_program
from chainrule.ops.random import fold_in, next_draw
from chainrule.ops.shape import move_axis
from chainrule.program.evaluate import plan
from chainrule.program.trace import Traced
from chainrule.program.tree import flatten, paths, unflatten
from chainrule.program.types import Type, array_type, type_of
from chainrule.random import Generator
from chainrule.running import run
from chainrule.tracing import Call, trace_call
from chainrule.transforms.batch import batch


def vmap(f: Callable, in_axes=0, out_axes=0) -> Callable:
    """The function on a batch of examples: f for each, stacked, in one vectorised pass.

    `in_axes` gives the batch axis of each argument: an int for all of them, or a tuple with one
    entry per argument; an entry is an int, None (the same value for every example), or a tree like
    the argument. `out_axes` likewise for the result.

    **Random numbers** a generator that is captured, or passed with axis None, gives every example
    a stream of its own (example i folds i into the key), and advances by one draw itself.
    **Errors** `StructureMismatch` where batch lengths differ; `MutationError` where f writes to an
    array that has no batch axis; `ConcreteValueNeeded` for a Python `if` on an example's value.

    >>> import numpy as np
    >>> vmap(lambda x, y: x * y, in_axes=(0, None))(np.arange(3.0), 2.0)
    array([0., 2., 4.])
    """

    @wraps(f)
    def batched(*args, **kwargs):
        leaves, axes = _leaf_axes(args, kwargs, in_axes)
        size = _batch_size(leaves, axes)
        types = [_example_type(x, a) for x, a in zip(leaves, axes, strict=True)]
        hosts = HostStates(f, args, kwargs)
        try:
            call = trace_call(
                f, args, kwargs, frozenset(), types, concrete=False, rows=axes, hosts=hosts
            )
        except errors.ConcreteValueNeeded as refused:
            hosts.restore()
            return _stacked(one_by_one(f, args, kwargs, axes, size, refused), out_axes)
        return _run(call, axes, size, out_axes, _generator_inputs(call, args, kwargs))

    return batched


def _stacked(made: tuple[list, Any], out_axes):
    """The results of `one_by_one` as a tree, with their batch axes where they are asked for."""
    outputs, structure = made
    return unflatten(structure, _out_moved(structure, outputs, out_axes))


def _leaf_axes(args: tuple, kwargs: dict, in_axes) -> tuple[list, list]:
    """Every leaf of the arguments, and its batch axis (None where it has none)."""
    if isinstance(in_axes, int) or in_axes is None:
        in_axes = (in_axes,) * len(args)
    if len(in_axes) != len(args):
        raise errors.StructureMismatch(
            f"in_axes has {len(in_axes)} entries for {len(args)} arguments."
        )
    leaves: list = []
    axes: list = []
    for argument, axis in zip(args, in_axes, strict=True):
        own, structure = flatten(argument)
        leaves += own
        axes += _spread_axis(axis, structure, len(own))
    for value in kwargs.values():
        own = flatten(value)[0]
        leaves += own
        axes += [0] * len(own)
    return leaves, [
        None if a is None else _normal_axis(a, x)
        for a, x in zip(axes, leaves, strict=True)
    ]


def _spread_axis(axis, structure, count: int) -> list:
    if axis is None or isinstance(axis, int):
        return [axis] * count
    return flatten_like(structure, axis, "in_axes")


def _shape(leaf) -> tuple[int, ...]:
    return leaf.type.shape if type(leaf) is Traced else np.shape(leaf)


def _normal_axis(axis: int, leaf) -> int:
    ndim = len(_shape(leaf))
    if not -ndim <= axis < ndim:
        raise errors.StructureMismatch(
            f"in_axes asks for axis {axis} of an argument of shape {_shape(leaf)}; "
            "write None for an argument without a batch axis."
        )
    return axis % ndim


def _batch_size(leaves, axes) -> int:
    sizes = {_shape(x)[a] for x, a in zip(leaves, axes, strict=True) if a is not None}
    if len(sizes) != 1:
        what = f"lengths {sorted(sizes)}" if sizes else "no batch axis at all"
        raise errors.StructureMismatch(
            f"vmap needs one batch length over all arguments, got {what}."
        )
    return sizes.pop()


def _example_type(leaf, axis) -> Type | None:
    type_ = leaf.type if type(leaf) is Traced else type_of(leaf)
    if axis is None:
        return None
    return array_type(type_.shape[:axis] + type_.shape[axis + 1 :], type_.dtype)


def _generator_inputs(call: Call, args, kwargs) -> set[int]:
    """The numbers of the program's inputs that are states of generators."""
    found = set(call.generator_states)
    number = call.leading
    for argument in [*args, *kwargs.values()]:
        count = len(flatten(argument)[0])
        if isinstance(argument, Generator):
            found.update(range(number, number + count))
        number += count
    return found


def _run(call: Call, axes, size: int, out_axes, generators: set[int]):
    batched = [False] * call.leading + [a is not None for a in axes]
    operands = list(call.operands)
    for i, axis in enumerate(axes):
        if axis:
            operands[call.leading + i] = _moved(operands[call.leading + i], axis, 0)
    states = {i: operands[i] for i in generators if not batched[i]}
    for i, state in states.items():
        operands[i], batched[i] = _lane_states(state, size), True
    written = {e.target for e in call.effects}
    for target in written - set(states):
        if target is None or not batched[target]:
            raise errors.MutationError(
                f"{call.name} writes, under vmap, to an array or object without a batch axis: the "
                "examples would overwrite each other. Give it a batch axis, or return the value."
            )
    count = len(call.program.outputs)
    wanted = (True,) * count
    plan = derived("batch", call.program, size, tuple(batched), wanted)
    outputs = run(plan, operands)
    outputs[: call.count] = _out_moved(call.structure, outputs[: call.count], out_axes)
    for k, effect in enumerate(call.effects, start=call.count):
        if effect.target in states:
            outputs[k] = next_draw(states[effect.target])
        elif effect.target is not None and axes[effect.target - call.leading]:
            outputs[k] = _moved(outputs[k], 0, axes[effect.target - call.leading])
    call.returned, call.views = {}, {}  # results are stacks of the examples' results
    return call.finish(outputs)


def _lane_states(state, size: int):
    """One generator state for each example: example i folds i into the key."""
    number = array_type((), np.dtype(np.uint64))
    one, _ = closed_program("lane", [state_type(state), number], lambda s, i: [fold_in(s, i)])
    wide, _ = batch(one, size, (False, True))
    return run(plan(wide), [state, np.arange(size, dtype=np.uint64)])[0]


def state_type(state) -> Type:
    return state.type if type(state) is Traced else type_of(state)


def _moved(value, source: int, target: int):
    if type(value) is Traced:
        return move_axis(value, source, target)
    return np.moveaxis(np.asarray(value), source, target)


def _out_moved(structure, outputs: list, out_axes) -> list:
    axes = (
        [out_axes] * len(outputs)
        if isinstance(out_axes, int)
        else flatten_like(structure, out_axes, "out_axes")
    )
    if any(a is None for a in axes):
        names = [p for p, a in zip(paths(structure), axes, strict=True) if a is None]
        raise errors.StructureMismatch(f"out_axes gives no axis for the result {names}.")
    return [
        value if a == 0 else _moved(value, 0, a % len(_shape(value)))
        for value, a in zip(outputs, axes, strict=True)
    ]
