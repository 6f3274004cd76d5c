"""Trees: containers of arrays, taken apart into leaves and put together again.

Containers are list, tuple, dict (in insertion order), dataclass, namedtuple and registered classes.
Leaves are arrays, NumPy scalars, Python int, float and complex, and traced values. Everything else
(None, bool, str, enums, functions, other objects) is structure: it is passed on as it is.
"""

from __future__ import annotations

from collections.abc import Callable
from copy import copy
from dataclasses import fields, is_dataclass
from typing import Any

import numpy as np

from chainrule import errors
from chainrule.program.trace import Traced

_registered: dict[type, tuple[str, ...]] = {}
_LEAF_TYPES = (np.ndarray, np.generic, int, float, complex)


def register(cls: type, fields: tuple[str, ...] | None = None) -> type:
    """Make instances of `cls` trees: their attributes (or the named `fields`) are the children.

    Usable as a class decorator. Attributes that are arrays or numbers are data; the rest is
    structure.

    >>> @register
    ... class Line:
    ...     def __init__(self, slope, offset):
    ...         self.slope, self.offset = slope, offset
    >>> flatten(Line(2.0, 3.0))[0]
    [2.0, 3.0]
    """
    _registered[cls] = () if fields is None else tuple(fields)
    return cls


def is_registered(cls: type) -> bool:
    """Whether a class, or a base of it, is registered."""
    return any(base in _registered for base in cls.__mro__)


def is_leaf(value) -> bool:
    """True for arrays, numbers (not bool) and traced values."""
    kind = type(value)
    if kind is Traced or kind is np.ndarray or kind is float or kind is int:
        return True
    return isinstance(value, _LEAF_TYPES) and kind is not bool


class Node:
    """One container of a tree: how its children are named, and how it is made from new ones."""

    __slots__ = ("children", "keys", "kind", "make")

    def __init__(self, kind, keys: tuple, children: list, make: Callable[[list], Any]):
        self.kind, self.keys, self.children, self.make = kind, keys, children, make


def node_of(value) -> Node | None:
    """The container that a value is, or None for leaves and structure."""
    kind = type(value)
    if kind is tuple:
        return Node(tuple, tuple(range(len(value))), list(value), tuple)
    if kind is list:
        return Node(list, tuple(range(len(value))), value, list)
    if isinstance(value, dict):
        keys = tuple(value)
        return Node(kind, keys, list(value.values()), lambda new: _remake_dict(value, keys, new))
    if isinstance(value, tuple) and hasattr(kind, "_fields"):
        return Node(kind, kind._fields, list(value), lambda new: kind(*new))
    if is_dataclass(value) and not isinstance(value, type):
        names = tuple(f.name for f in fields(value))
        return _object_node(value, names)
    if is_registered(kind):
        return _object_node(value, _attributes(value))
    if hasattr(kind, "refuse_as_result"):
        value.refuse_as_result()
    return None


def _remake_dict(original: dict, keys, new) -> dict:
    made = copy(original)  # keeps a defaultdict's factory and a subclass's attributes
    made.update(zip(keys, new, strict=True))
    return made


def _attributes(value) -> tuple[str, ...]:
    for base in type(value).__mro__:
        named = _registered.get(base)
        if named:
            return named
    return tuple(getattr(value, "__dict__", {}))


def _object_node(value, names: tuple[str, ...]) -> Node:
    present = tuple(n for n in names if hasattr(value, n))
    attributes = dict(getattr(value, "__dict__", {}))  # as they are now: `value` may change

    def make(new: list):
        made = object.__new__(type(value))
        for name, old in attributes.items():
            object.__setattr__(made, name, old)
        for name, item in zip(present, new, strict=True):
            object.__setattr__(made, name, item)
        return made

    return Node(type(value), present, [getattr(value, n) for n in present], make)


class _Leaf:
    """The place of an array or number in a structure; there is one object, `LEAF`."""

    __slots__ = ()

    def __repr__(self) -> str:
        return "array"

    def __reduce__(self) -> str:
        return "LEAF"


LEAF = _Leaf()


class Static:
    """A part of a structure that is no data: equal when its value is equal (or the same object)."""

    __slots__ = ("value",)

    def __init__(self, value):
        self.value = value

    def __eq__(self, other) -> bool:
        if not isinstance(other, Static):
            return False
        if self.value is other.value:
            return True
        try:
            return bool(self.value == other.value) and type(self.value) is type(other.value)
        except Exception:
            return False

    def __hash__(self) -> int:
        try:
            return hash(self.value)
        except TypeError:
            return id(self.value)

    def __repr__(self) -> str:
        return repr(self.value)


def learned_leaves(value) -> list[bool]:
    """For each leaf of a tree, whether derivatives are taken by it: all but the state of modules.

    A registered class may name the attributes that are learned in `__learned__`; its other leaves
    are state, and those of containers that it holds, down to objects with names of their own.
    """
    out: list[bool] = []
    _learned_leaves(value, True, out)
    return out


def _learned_leaves(value, learned: bool, out: list[bool]) -> None:
    if is_leaf(value):
        out.append(learned)
        return
    node = node_of(value)
    if node is None:
        return
    names = getattr(value, "__learned__", None)
    for key, child in zip(node.keys, node.children, strict=True):
        _learned_leaves(child, learned if names is None else key in names, out)


class Place:
    """Stands in a structure for one of the containers given to `unflatten`, by its number."""

    __slots__ = ("number",)

    def __init__(self, number: int):
        self.number = number


def flatten(value, kept: dict[int, Any] | None = None) -> tuple[list, Any]:
    """The leaves of a tree, in order, and its structure (comparable, and for `unflatten`).

    `kept` maps the identities of containers to objects that stand for them, as they are.
    """
    leaves: list = []
    return leaves, _flatten(value, leaves, kept)


def _flatten(value, leaves: list, kept):
    if is_leaf(value):
        leaves.append(value)
        return LEAF
    if kept and id(value) in kept:
        return Static(kept[id(value)])
    node = node_of(value)
    if node is None:
        return Static(value)
    return _Structure(node, tuple([_flatten(child, leaves, kept) for child in node.children]))


class _Structure:
    """The structure of a container; equal by kind, keys and children, whatever the leaves."""

    __slots__ = ("children", "keys", "kind", "make")

    def __init__(self, node: Node, children: tuple):
        self.kind, self.keys, self.make = node.kind, node.keys, node.make
        self.children = children

    def __eq__(self, other) -> bool:
        return (
            isinstance(other, _Structure)
            and self.kind is other.kind
            and self.keys == other.keys
            and self.children == other.children
        )

    def __hash__(self) -> int:
        return hash((self.kind, self.keys, self.children))

    def __repr__(self) -> str:
        inside = ", ".join(f"{k}: {c}" for k, c in zip(self.keys, self.children, strict=True))
        return f"{self.kind.__name__}({inside})"


def unflatten(structure, leaves, containers=()) -> Any:
    """A tree of this structure with new leaves, and with these containers at its `Place`s."""
    source = iter(leaves)
    return _unflatten(structure, source, containers)


def _unflatten(structure, source, containers):
    if structure is LEAF:
        return next(source)
    if isinstance(structure, Static):
        value = structure.value
        return containers[value.number] if type(value) is Place else value
    return structure.make([_unflatten(child, source, containers) for child in structure.children])


def paths(structure, root: str = "") -> list[str]:
    """The path of every leaf as Python would write it: `params['enc'].layers[2].bias`."""
    if structure is LEAF:
        return [root]
    if isinstance(structure, Static):
        return []
    out: list[str] = []
    for key, child in zip(structure.keys, structure.children, strict=True):
        out += paths(child, root + _step(structure.kind, key))
    return out


def _step(kind, key) -> str:
    if kind in (list, tuple):
        return f"[{key}]"
    if isinstance(kind, type) and issubclass(kind, dict):
        return f"[{key!r}]"
    return f".{key}"


def first_difference(left, right, root: str = "") -> str | None:
    """Where two structures differ, in words with the path; None where they are equal."""
    if left == right:
        return None
    if not isinstance(left, _Structure) or not isinstance(right, _Structure):
        return f"{root or 'the value'} is {_word(left)} on one side and {_word(right)} on the other"
    if left.kind is not right.kind:
        return f"{root or 'the value'} is a {left.kind.__name__} and a {right.kind.__name__}"
    if left.keys != right.keys:
        return f"{root or 'the value'} has entries {left.keys} and {right.keys}"
    for key, a, b in zip(left.keys, left.children, right.children, strict=True):
        found = first_difference(a, b, root + _step(left.kind, key))
        if found:
            return found
    return None


def _word(structure) -> str:
    if structure is LEAF:
        return "an array or number"
    return f"{structure.value!r}" if isinstance(structure, Static) else structure.kind.__name__


def map_leaves(function: Callable, tree, *others):
    """The tree with `function` applied to its leaves, and to the matching leaves of `others`."""
    leaves, structure = flatten(tree)
    columns = [leaves]
    for other in others:
        other_leaves, other_structure = flatten(other)
        difference = first_difference(structure, other_structure)
        if difference:
            raise errors.StructureMismatch(f"the trees differ: {difference}.")
        columns.append(other_leaves)
    return unflatten(structure, [function(*row) for row in zip(*columns, strict=True)])
