"""What a compiled function is specialised to: the structure and the types of its arguments.

Arguments of one signature are traced to one program. It holds the containers and their keys; of an
array its dtype, shape and memory layout; of a number its type, but not its value; everything else
(None, bool, str, functions, objects of unregistered classes) by value, or by identity where
it has no value of its own. Which arrays and containers are one and the same is part of it, too.
"""

from __future__ import annotations

from typing import Any

import numpy as np

from chainrule import errors
from chainrule.program.trace import Traced, raise_leaked, refuse_subclass
from chainrule.program.tree import is_leaf, node_of
from chainrule.program.types import Type, is_supported, supported_names, type_of

_NUMBERS = (float, int, complex)
_PLAIN = (bool, str, type(None), bytes)


class Arguments:
    """The arguments of one call, taken apart: `key` is their signature, hashable."""

    __slots__ = ("_seen", "containers", "key", "leaves", "objects")

    def __init__(self, args: tuple, kwargs: dict):
        self.leaves: list = []
        self.containers: list = []  # lists, dicts and objects, each once, inner ones first
        self.objects: list = []  # what is neither data nor a container
        self._seen: dict[int, int] = {}
        parts: list[Any] = [len(args)]
        for value in args:
            self._add(value, parts)
        for name, value in kwargs.items():
            parts.append(name)
            self._add(value, parts)
        arrays = [id(x) for x in self.leaves if isinstance(x, np.ndarray)]
        if len(set(arrays)) < len(arrays):
            parts.append(tuple(map(arrays.index, arrays)))
        self.key = tuple(parts)

    def _add(self, value, parts: list) -> None:
        kind = type(value)
        if kind is np.ndarray:
            self.leaves.append(value)
            parts += (value.dtype, value.shape, _layout(value))
        elif kind in _NUMBERS:
            self.leaves.append(value)
            parts.append(kind)
        elif kind in _PLAIN:
            parts += (kind, value)
        elif is_leaf(value):
            self._add_leaf(value, parts)
        else:
            self._add_container(value, parts)

    def _add_leaf(self, value, parts: list) -> None:
        if type(value) is Traced:
            raise_leaked(value)
        if isinstance(value, np.ndarray | np.generic) and not is_supported(value.dtype):
            raise errors.DtypeError(
                f"an argument has dtype {value.dtype}; supported: {supported_names()}"
            )
        self.leaves.append(value)
        parts.append(type(value))
        if isinstance(value, np.ndarray):
            refuse_subclass(value)
            parts += (value.dtype, value.shape, _layout(value))

    def _add_container(self, value, parts: list) -> None:
        place = self._seen.get(id(value))
        node = None if place is not None else node_of(value)
        if place is not None:
            parts += ("the container", place)
            for leaf in Arguments((value,), {}).leaves:
                self.leaves.append(leaf)
        elif node is None:
            self.objects.append(value)
            parts.append(ByValue(value))
        else:
            parts += (node.kind, node.keys)
            for child in node.children:
                self._add(child, parts)
            if not isinstance(value, tuple):
                self._seen[id(value)] = len(self.containers)
                self.containers.append(value)

    def types(self) -> list[Type]:
        """The types of the leaves, as a program has them."""
        for leaf in self.leaves:
            if isinstance(leaf, np.ndarray) and not is_supported(leaf.dtype):
                raise errors.DtypeError(
                    f"an argument has dtype {leaf.dtype}; supported: {supported_names()}"
                )
        return [type_of(leaf) for leaf in self.leaves]


def _layout(array: np.ndarray) -> tuple | None:
    """None for an array in C order that may be written; else its strides, and what it allows."""
    flags = array.flags
    if flags.carray:
        return None
    strides = None if flags.c_contiguous else array.strides
    return strides, flags.aligned, flags.writeable


class ByValue:
    """A part of the arguments that is no data: equal where its value is, or where it is the same
    object. A set, which may change, is compared with what it was."""

    __slots__ = ("_hash", "value")

    def __init__(self, value):
        self.value = frozenset(value) if isinstance(value, set) else value
        try:
            self._hash = hash(self.value)
        except (TypeError, ValueError):  # it has none, as a memoryview that may be written
            self._hash = id(value)

    def __hash__(self) -> int:
        return self._hash

    def __eq__(self, other) -> bool:
        if not isinstance(other, ByValue):
            return False
        if self.value is other.value:
            return True
        try:
            return type(self.value) is type(other.value) and bool(self.value == other.value)
        except Exception:
            return False
