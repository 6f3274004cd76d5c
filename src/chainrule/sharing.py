"""Memory that a traced call shares with its caller.

A result that is a view of an argument must be a view of the caller's own array, as from plain
NumPy: the view is made again, on that array, once the effects have been written back. And two
arguments that overlap in memory are two cells of a trace, which do not see each other's writes:
where the function writes to one of them, the call is refused.
"""

from __future__ import annotations

import itertools
from collections.abc import Iterator
from typing import Any, NamedTuple

import numpy as np

from chainrule import errors
from chainrule.program.mutation import make_view
from chainrule.program.trace import Traced, View


class OwnView:
    """A result that views an argument of the caller's: how to make it on the caller's own array.

    `number` is the argument's number among the inputs of the program.
    """

    __slots__ = ("_chain", "number")

    def __init__(self, number: int, chain: list[View]):
        self.number, self._chain = number, chain

    def made(self, host, otherwise):
        """The view of the caller's array; `otherwise` where NumPy would make a copy of it."""
        if isinstance(host, np.ndarray) and not host.ndim:
            return otherwise
        value = host
        try:
            for view in self._chain:
                value = _again(view, value)
        except errors.LeakedValue:  # indexed by a value of the trace that has ended
            return otherwise
        if type(value) is Traced or (
            isinstance(value, np.ndarray) and np.may_share_memory(value, host)
        ):
            return value
        return otherwise


def _again(view: View, parent):
    """The view made on another parent: a traced one, or an array of the caller's."""
    if type(parent) is Traced:
        return make_view(parent, view.key, view.read, view.write)
    if view.key[0] == "broadcast":
        return np.broadcast_to(parent, view.key[1])
    value = view.read(parent)
    if view.write is None:
        value.flags.writeable = False
    return value


def own_view(value, number_of: dict[int, int]) -> OwnView | None:
    """How a traced result views an argument; None where it is no view of one.

    `number_of` gives the input numbers of traced arguments, by their identities.
    """
    if type(value) is not Traced or value._view is None:
        return None
    chain = view_chain(value)
    number = number_of.get(id(chain[0].parent))
    return None if number is None else OwnView(number, chain)


def view_chain(value: Traced) -> list[View]:
    """The views by which a traced value is made from its base, outermost last."""
    chain: list[View] = []
    while value._view is not None:
        chain.append(value._view)
        value = value._view.parent
    return chain[::-1]


class Holder(NamedTuple):
    """An array that a traced call reads or writes: an argument, or one that it closes over."""

    array: np.ndarray | Traced  # the caller's array, or a value of an outer trace
    what: str  # as error messages name it
    written: bool


def refuse_overlaps(name: str, holders: list[Holder]) -> None:
    """Raise `MutationError` where an array that is written shares memory with another one."""
    for first, second in [*_near_arrays(holders), *_same_base(holders)]:
        if (first.written or second.written) and _overlap(first.array, second.array):
            one, other = (first, second) if first.written else (second, first)
            raise errors.MutationError(
                f"{name} writes to {one.what}, which shares memory with {other.what}: a trace "
                "would not see the write there.\n"
                "  Pass a copy of one of the two, or one array and slice it inside."
            )


def _near_arrays(holders: list[Holder]) -> Iterator[tuple[Holder, Holder]]:
    """Pairs of arrays whose address ranges overlap; one pass over the sorted ranges."""
    spans = sorted(
        (*np.lib.array_utils.byte_bounds(h.array), number, h)
        for number, h in enumerate(holders)
        if type(h.array) is not Traced
    )
    reaching: list[tuple[int, Holder]] = []
    for low, high, _, holder in spans:
        reaching = [(end, other) for end, other in reaching if end > low]
        for _, other in reaching:
            yield other, holder
        reaching.append((high, holder))


def _same_base(holders: list[Holder]) -> Iterator[tuple[Holder, Holder]]:
    """Pairs of values of an outer trace that are views of one value."""
    groups: dict[int, list[Holder]] = {}
    for holder in holders:
        if type(holder.array) is Traced:
            groups.setdefault(id(_base(holder.array)), []).append(holder)
    for group in groups.values():
        yield from itertools.combinations(group, 2)


def _overlap(first, second) -> bool:
    if type(first) is Traced:
        return not _elements(first).isdisjoint(_elements(second))
    try:
        work: Any = 10_000  # the stubs know only the two named limits
        return np.shares_memory(first, second, max_work=work)
    except np.exceptions.TooHardError:
        return True


def _base(value: Traced) -> Traced:
    chain = view_chain(value)
    return chain[0].parent if chain else value


def _elements(value: Traced) -> set[int]:
    """Which elements of its base a view shows."""
    base = _base(value)
    shown = np.arange(base.type.size).reshape(base.type.shape)
    for view in view_chain(value):
        shown = view.read(shown)
    return set(np.ravel(shown).tolist())
