"""A batch, one example after the other: for functions that ask Python for an example's value.

`if x > 0` on an example of `vmap` has another answer for each. The function is called for every
example, on views of its arguments, and the results are stacked: what `vmap` means, without its
speed. Derivatives inside find their values at hand, also where an `if` meets a tie. Where the
arguments are values of an outer trace, so are the examples.
"""

from __future__ import annotations

from collections.abc import Callable
from typing import Any

import numpy as np

from chainrule import errors
from chainrule.host_reach import streams_in
from chainrule.program.trace import Traced, current
from chainrule.program.tree import flatten, unflatten
from chainrule.random.state import Stream, advanced, lane_states


def one_by_one(
    f: Callable, args: tuple, kwargs: dict, axes: list, size: int,
    refused: errors.ConcreteValueNeeded,
) -> tuple[list, Any]:  # fmt: skip
    """The leaves of f's results, stacked along a first axis, and their structure.

    `axes` holds the batch axis of each leaf of the arguments, or None. Raises `refused`, for which
    the vectorised pass was given up, where this way has no answer either.
    """
    streams = streams_in(f, args, kwargs)
    own = {id(s.state): s for s in streams}
    pairs = list(zip(flatten((args, kwargs))[0], axes, strict=True))
    batched = any(id(x) in own and axis is not None for x, axis in pairs)
    if not size or batched or (streams and current() is not None):
        raise refused
    axes = [axis for x, axis in pairs if id(x) not in own]
    leaves, structure = flatten((args, kwargs), {id(s): s for s in streams})
    states = [lane_states(s.state, size) for s in streams]
    before = [s.state for s in streams]
    drawn = False
    results: list[list] = []
    kind: Any = None
    try:
        for i in range(size):
            for stream, lanes in zip(streams, states, strict=True):
                stream.state = lanes[i]
            made, found = _one(f, structure, leaves, axes, i, streams, refused)
            drawn = drawn or any(
                not np.array_equal(s.state, lanes[i])
                for s, lanes in zip(streams, states, strict=True)
            )
            if kind is not None and found != kind:
                raise refused
            kind = found
            results.append(made)
    finally:
        _leave(streams, before, drawn)
    return [_stack(list(values), refused) for values in zip(*results, strict=True)], kind


def _leave(streams: list[Stream], before: list, drawn: bool) -> None:
    """Let generators be one draw later, where any example drew from them."""
    for stream, state in zip(streams, before, strict=True):
        stream.state = advanced(state) if drawn else state


def _one(f, structure, leaves, axes, i: int, streams, refused) -> tuple[list, Any]:
    given = [_example(x, axis, i) for x, axis in zip(leaves, axes, strict=True)]
    args, kwargs = unflatten(structure, given)
    try:
        made = flatten(f(*args, **kwargs))
    except errors.ConcreteValueNeeded:
        raise refused from None
    left = flatten((args, kwargs), {id(s): s for s in streams})[0]
    same = len(left) == len(given) and all(a is b for a, b in zip(left, given, strict=True))
    if not same:  # entries of a dict or a list were replaced
        raise refused
    return made


def _example(leaf, axis: int | None, i: int):
    """A view of one example; what all share is not to be written to."""
    if axis is not None:
        return (leaf if axis == 0 else np.moveaxis(leaf, axis, 0))[i]
    if isinstance(leaf, np.ndarray):
        leaf = leaf.view()
        leaf.flags.writeable = False
    return leaf


def _stack(values: list, refused):
    shapes = {v.type.shape if type(v) is Traced else np.shape(v) for v in values}
    if len(shapes) != 1:
        raise refused
    return np.stack(values)
