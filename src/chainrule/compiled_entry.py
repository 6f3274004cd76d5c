"""The native entry of a compiled function for one trace: what it checks, and what it returns.

An entry goes from Python's arguments to machine code and back without any Python in between. It
takes exact tuples, lists and dicts, objects whose attributes are all data, arrays in C order, and
numbers; results that are such trees, too. Effects on objects and views of arguments are finished in
Python. Whatever it does not take goes the way through `signature.Arguments`.
"""

from __future__ import annotations

from collections import Counter
from collections.abc import Callable
from typing import Any

import numpy as np

from chainrule.compiled_trace import CompiledTrace
from chainrule.compiler.entry import make_entry
from chainrule.compiler.entry_spec import (
    AliasSpec,
    ArraySpec,
    Captured,
    DictSpec,
    EntrySpec,
    NumberSpec,
    ObjectSpec,
    OutputSpec,
    ResultArgument,
    ResultCall,
    ResultContainer,
    ResultLeaf,
    ResultSame,
    SameSpec,
    SequenceSpec,
)
from chainrule.program.cost import takes_more
from chainrule.program.tree import LEAF, Place, Static, node_of
from chainrule.program.types import type_of
from chainrule.tracing import Call

RELEASE = 100_000  # a program of more operations lets other Python threads run meanwhile


class Unfit(Exception):
    """A trace that an entry cannot serve."""


def entry_for(trace: CompiledTrace, args: tuple, kwargs: dict, slow: Callable) -> Callable | None:
    """A builtin function for calls like `f(*args, **kwargs)`, which was traced; `slow` is called
    for all others. None where there can be none."""
    native: Any = trace.native
    if not hasattr(native, "address") or trace.call.owners:
        return None
    try:
        spec = _spec(trace, args, kwargs)
    except Unfit:
        return None
    made = make_entry(
        spec, native.address, slow, runtime=native.runtime, arena_bytes=native.arena_bytes,
        name=trace.call.name, keep=(native, trace),
    )  # fmt: skip
    if made is not None:
        native.give_up_arena()
    return made


def _spec(trace: CompiledTrace, args: tuple, kwargs: dict) -> EntrySpec:
    call = trace.call
    arguments = _Arguments(trace)
    specs = tuple(arguments.spec(value) for value in (*args, *kwargs.values()))
    arguments.refuse_equal_containers(call)
    types = [call.program.outputs[i].type for i in trace.wanted]
    outputs = tuple(OutputSpec(t, trace.in_place.get(k)) for k, t in enumerate(types))
    return EntrySpec(
        specs, outputs, _result(trace, arguments), tuple(map(_captured, trace.captured)),
        trace.guards.for_entry(), tuple(kwargs), takes_more(call.program, RELEASE),
    )  # fmt: skip


def _captured(host) -> Captured:
    if not isinstance(host, np.ndarray) or not _plain_memory(host):
        raise Unfit
    return Captured(host, ArraySpec(type_of(host)))


def _plain_memory(array: np.ndarray) -> bool:
    flags = array.flags
    return flags.c_contiguous and flags.aligned and array.dtype.isnative


class _Arguments:
    """Specs of the arguments, and the entry's numbers of the containers in them."""

    def __init__(self, trace: CompiledTrace):
        self.trace = trace
        self.count = len(trace.captured)  # of inputs so far
        self.containers = 0  # as the entry counts them: from the outside in, tuples too
        self.places: list[int] = []  # the entry's numbers of the containers, inner ones first
        self.specs: list = []  # of these containers
        self._first: dict[int, int] = {}
        self._seen: set[int] = set()

    def spec(self, value):
        """The spec of an argument, or of a part of one."""
        kind = type(value)
        if kind is np.ndarray:
            return self._array(value)
        if kind in (float, int, complex) or isinstance(value, np.generic):
            self.count += 1
            asked = self.trace.asked.get(self.count - 1 - len(self.trace.captured))
            return NumberSpec(kind, asked)
        node = node_of(value)
        if node is not None:
            return self._container(value, node)
        if isinstance(value, int | float | complex | np.ndarray | set | bytearray):
            raise Unfit  # data of other classes: memory maps, an int of the user's
        return SameSpec(value)

    def _array(self, value: np.ndarray):
        if not _plain_memory(value):
            raise Unfit
        self.count += 1
        first = self._first.setdefault(id(value), self.count - 1)
        if first != self.count - 1:
            return AliasSpec(first)
        return ArraySpec(type_of(value), first in self.trace.written)

    def _container(self, value, node):
        if id(value) in self._seen:
            raise Unfit
        place = self.containers
        self.containers += 1
        kind = type(value)
        if kind not in (tuple, list, dict) and tuple(getattr(value, "__dict__", ())) != node.keys:
            raise Unfit  # there is more in it than its children
        if kind is dict and not all(type(key) is str for key in node.keys):
            raise Unfit
        items = tuple(map(self.spec, node.children))
        if kind is tuple:
            return SequenceSpec(tuple, items)
        self._seen.add(id(value))
        self.places.append(place)
        if kind is list:
            made: Any = SequenceSpec(list, items)
        else:
            made = DictSpec(node.keys, items)
            made = made if kind is dict else ObjectSpec(kind, made)
        self.specs.append(made)
        return made

    def refuse_equal_containers(self, call: Call) -> None:
        """The entry does not see whether two containers are one, which matters to changes."""
        changes = any(e.change is not None or isinstance(e.owner, tuple) for e in call.effects)
        if changes and max(Counter(map(repr, self.specs)).values(), default=0) > 1:
            raise Unfit


def _result(trace: CompiledTrace, arguments: _Arguments):
    call = trace.call
    updated = set(trace.in_place.values())
    if not call.views and all(_is_done(e, updated) for e in call.effects):
        place = {output: k for k, output in enumerate(trace.wanted)}
        try:
            return _tree(call, call.structure, iter(range(call.count)), place, arguments)
        except Unfit:
            pass
    return _finished(trace, arguments)


def _is_done(effect, updated: set[int]) -> bool:
    """Whether an effect is one that the program has itself, in place."""
    return effect.change is None and effect.owner is None and effect.target in updated


def _tree(call: Call, structure, numbers, place: dict[int, int], arguments: _Arguments):
    if structure is LEAF:
        number = next(numbers)
        if number in call.returned:
            return ResultArgument(call.returned[number])
        return ResultLeaf(place[number])
    if isinstance(structure, Static):
        value = structure.value
        if type(value) is Place:
            return ResultContainer(arguments.places[value.number])
        return ResultSame(value)
    items = tuple(_tree(call, c, numbers, place, arguments) for c in structure.children)
    if structure.kind in (tuple, list):
        return SequenceSpec(structure.kind, items)
    if structure.kind is dict:
        return DictSpec(structure.keys, items)
    raise Unfit


def _finished(trace: CompiledTrace, arguments: _Arguments) -> ResultCall:
    """The result as `Call.finish` makes it, of everything that it may look at."""
    computed = [k for k in range(len(trace.wanted)) if k not in trace.in_place]
    leaves = range(len(trace.captured), arguments.count)
    first, second = len(computed), len(computed) + len(leaves)

    def finish(*items):
        found: list = [None] * len(trace.wanted)
        for k, value in zip(computed, items, strict=False):
            found[k] = value
        operands = [*trace.captured, *items[first:second]]
        return trace.finish(found, operands, list(items[second:]))

    parts = (
        *map(ResultLeaf, computed),
        *map(ResultArgument, leaves),
        *map(ResultContainer, arguments.places),
    )
    return ResultCall(finish, parts)
