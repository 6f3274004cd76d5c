"""What a traced function writes: to arrays, to lists and dicts, to attributes of objects.

Effects name what they write by number, among the operands of the program and the containers of
the caller's. So they can be applied to the arguments of any call of the same structure.
"""

from __future__ import annotations

from typing import Any, NamedTuple

import numpy as np

from chainrule.numpy import layout
from chainrule.program.mutation import assign
from chainrule.program.trace import Traced, as_operand, current
from chainrule.program.tree import unflatten


class Hosts(NamedTuple):
    """What effects are applied to: the program's operands, and the caller's containers."""

    operands: list
    containers: list


class Change:
    """How a container of the caller's changes: `container[key]` (or `.key`) becomes a tree of this
    structure. Its leaves may be the caller's own arrays (`own` gives their input numbers), views of
    them (`views`), or Python numbers (`weak`). `container` is a number among the call's containers.

    With key None a list gets new items; with structure None an entry is removed.
    """

    __slots__ = ("container", "key", "own", "structure", "views", "weak")

    def __init__(self, container: int, key, structure=None, own=(), weak=(), views=()):
        self.container, self.key = container, key
        self.structure, self.own, self.weak, self.views = structure, own, weak, views

    def apply(self, values: list, hosts: Hosts) -> None:
        """Change the container among these hosts."""
        container = hosts.containers[self.container]
        if self.structure is None:
            _remove_entry(container, self.key)
            return
        final = [
            hosts.operands[own] if own is not None else _python_number(value) if is_weak
            else view.made(hosts.operands[view.number], value) if view else value
            for own, view, value, is_weak
            in zip(self.own, self.views, values, self.weak, strict=True)
        ]  # fmt: skip
        new = unflatten(self.structure, final, hosts.containers)
        if self.key is None:
            container[:] = new
        else:
            _set_entry(container, self.key, new[0])


class Effect:
    """Something of the caller's to write: `apply(values, hosts)`, with `count` computed values.

    Either a container changes (`change`), or input number `target` is written: an array, or one
    that its owner replaces by another. The owner is a number among the call's containers, or a
    captured object, with the name of the attribute.
    """

    __slots__ = ("change", "count", "owner", "target")

    def __init__(
        self,
        count: int,
        target: int | None = None,
        owner: tuple[Any, str] | None = None,
        change: Change | None = None,
    ):
        self.count, self.target, self.owner, self.change = count, target, owner, change

    def apply(self, values: list, hosts: Hosts) -> None:
        """Write the values to what this effect is of among these hosts."""
        if self.change is not None:
            self.change.apply(values, hosts)
        elif self.owner is not None:
            owner, attribute = self.owner
            owner = hosts.containers[owner] if isinstance(owner, int) else owner
            _set_entry(owner, attribute, values[0])
        elif values[0] is not None:  # a program that updates in place has written it already
            assert self.target is not None
            _write_cell(hosts.operands[self.target], values[0])


def _python_number(value):
    return value if type(value) is Traced else value.item()


def _write_cell(host, value) -> None:
    if type(host) is Traced:
        layout.strides_of(host)  # worked out before its variable changes
        assign(host, _as_traced(value))
    else:
        np.copyto(host, value)


def _set_entry(container, key, value) -> None:
    if isinstance(container, dict):
        container[key] = value
    else:
        object.__setattr__(container, key, value)


def _remove_entry(container, key) -> None:
    if isinstance(container, dict):
        del container[key]
    else:
        object.__delattr__(container, key)


def _as_traced(value) -> Traced:
    builder = current()
    assert builder is not None
    return value if type(value) is Traced else Traced(builder, as_operand(builder, value))
