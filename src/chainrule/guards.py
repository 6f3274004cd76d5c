"""What a compiled function depends on besides its arguments, and whether it is still the same.

A trace takes Python numbers, functions and objects that the function finds through its names for
constants, and reads arrays that it finds there by reference. So the names are looked at again at
each call: `reach.Search` finds them. Numbers and the like must be equal, arrays and other objects
the same ones. An array that the program does not read itself may have gone into it by way of plain
NumPy, `(2 * w) @ x`: its content must be the same, too, which costs a pass over it at each call.
"""

from __future__ import annotations

import hashlib
import math
from itertools import repeat
from types import CodeType
from typing import Any

import numpy as np

from chainrule import errors
from chainrule.compiler.entry_spec import MISSING as NOTHING
from chainrule.compiler.entry_spec import CellGuard, CheckGuard, DictGuard, Guard
from chainrule.program.captured import SMALL
from chainrule.program.catching import caught_in
from chainrule.program.trace import Traced
from chainrule.reach import MISSING, InCell, InDict, Place, Search, is_library
from chainrule.tracing import Call


class Guards:
    """Made before a function is traced; told of the trace by `settle`; asked by `hold`."""

    def __init__(self, f, objects):
        self._roots = [f, *objects]
        self._before = Search()
        self._before.run(self._roots)
        self._lists = [(x, list(x)) for x in self._before.lists]
        self._sets = [(x, set(x)) for x in self._before.sets]
        self._dicts = [(x, dict(x)) for x in self._before.dicts]
        self._contents = [(x, _content(x)) for x in self._before.arrays if x.nbytes <= SMALL]
        self._places: list[Place] = list(self._before.places.values())
        self._suspects: list[tuple[np.ndarray, bytes]] = []
        self.catches = False  # whether code of the user's, in the trace, may catch what is raised

    @property
    def generators(self) -> list:
        """NumPy's random generators within reach."""
        return self._before.generators

    def settle(self, call: Call, ran: dict[CodeType, dict]) -> None:
        """Keep what the trace depends on, by the code that it ran, as it was before the trace;
        refuse what the trace did to it."""
        self._refuse_leaks(call.name)
        self._refuse_writes(call.name)
        self.catches = any(
            caught_in(code) and not is_library(names.get("__name__"))
            for code, names in ran.items()
        )
        found = Search(ran)
        found.run(self._roots)
        self._places = [self._as_before(key, p, found) for key, p in found.places.items()]
        self._lists = _as_before(self._lists, found.lists, list)
        self._sets = _as_before(self._sets, found.sets, set)
        self._dicts = _as_before(self._dicts, found.dicts, dict)
        self._keep_contents(call, found.arrays)
        del self._before, self._roots

    def _as_before(self, key, place: Place, found: Search) -> Place:
        before = self._before.places.get(key)
        if before is not None:
            return before
        if key[1] in found.stored:  # what it was is not known: the trace holds for no other call
            place.value = object()
        return place

    def _keep_contents(self, call: Call, arrays: list[np.ndarray]) -> None:
        captured = [x for x in call.operands[: call.leading] if isinstance(x, np.ndarray)]
        made = any(not any(map(np.may_share_memory, arrays, repeat(x))) for x in captured)
        before = {id(x): content for x, content in self._contents}
        self._contents = []
        for array in arrays:
            is_read = _is_read(array, captured)
            if is_read and not (made and array.nbytes <= SMALL):
                continue
            kept = (array, before.get(id(array)) or _content(array))
            (self._suspects if is_read else self._contents).append(kept)

    def hold(self) -> bool:
        """Whether everything is what it was."""
        return not self.changed()

    def changed(self) -> str:
        """What is no longer what it was, in words; empty where all is."""
        for place in self._places:
            if not same(place.read(), place.value):
                return place.what
        return "" if self._contents_hold() else "what a list, set, dict or array holds"

    def _contents_hold(self) -> bool:
        return (
            all(_same_items(x, items) for x, items in self._lists)
            and all(x == items for x, items in self._sets)
            and all(_same_entries(x, items) for x, items in self._dicts)
            and all(_content(x) == content for x, content in self._contents)
            and all(_content(x) == content for x, content in self._suspects)
        )

    def for_entry(self) -> tuple[Guard, ...]:
        """The same guards as a native entry takes them: identical objects, first of all."""
        found: list[Guard] = []
        others: list[Place] = []
        for place in self._places:
            if type(place) is InDict and type(place.mapping) is dict:
                value = NOTHING if place.value is MISSING else place.value
                found.append(DictGuard(place.mapping, place.key, value))
            elif type(place) is InCell and place.value is not MISSING:
                found.append(CellGuard(place.cell, place.value))
            else:
                others.append(place)
        if others:
            found.append(CheckGuard(lambda: all(same(p.read(), p.value) for p in others)))
        if self._lists or self._sets or self._dicts or self._contents or self._suspects:
            found.append(CheckGuard(self._contents_hold))
        return tuple(found)

    def only_suspects_changed(self) -> bool:
        """Whether nothing has changed but the content of arrays that the program reads itself."""
        suspects, self._suspects = self._suspects, []
        try:
            return bool(suspects) and self.hold()
        finally:
            self._suspects = suspects

    def clear_suspects(self) -> None:
        """The content of arrays that the program reads has proved not to matter to the trace."""
        self._suspects = []

    def restore(self) -> list[str]:
        """Put back what traced values were assigned to; where that was, in words."""
        leaked = [place for place in self._places if type(place.read()) is Traced]
        for place in leaked:
            place.write(place.value)
        where = [place.what for place in leaked]
        for x, items in self._lists:
            if any(type(item) is Traced for item in x):
                x[:] = items
                where.append("a list")
        for held, entries in self._dicts:
            if any(type(item) is Traced for item in held.values()):
                held.clear()
                held.update(entries)
                where.append("a dict")
        return where

    def _refuse_leaks(self, name: str) -> None:
        leaked = self.restore()
        if leaked:
            raise errors.MutationError(
                f"{name} stores a traced value in {leaked[0]}, which is not among its "
                "arguments: it would outlive the trace.\n"
                "  Return the value, or pass the object as an argument; objects of your own "
                "classes are followed where the class is a dataclass or registered by cr.register."
            )

    def _refuse_writes(self, name: str) -> None:
        for array, content in self._contents:
            if _content(array) != content:
                raise errors.MutationError(
                    f"{name} writes, by plain NumPy, to an array of {array.dtype} and shape "
                    f"{array.shape} that is not among its arguments: a compiled function would do "
                    "so only when it is traced.\n"
                    "  Pass the array as an argument, or make it inside with cr.numpy.zeros."
                )


def _as_before(before: list[tuple], found: list, kind: type) -> list[tuple]:
    """The containers that were found, with their content as it was before the trace. What was empty
    is as it is now: a list that a function adds to at each trace is how traces are counted."""
    contents = {id(x): content for x, content in before}
    return [(x, contents.get(id(x)) or kind(x)) for x in found]


def _is_read(array: np.ndarray, captured: list[np.ndarray]) -> bool:
    """Whether the program reads all of an array: itself, or views of it of its size together."""
    if any(x is array for x in captured):
        return True
    return sum(x.size for x in captured if np.may_share_memory(x, array)) >= array.size


def _content(array: np.ndarray) -> bytes:
    """The bytes of a small array; a digest of those of a large one (some 1 GB a second)."""
    if array.dtype.hasobject:
        return str(id(array)).encode()
    if array.nbytes <= SMALL:
        return array.tobytes()
    return hashlib.blake2b(np.ascontiguousarray(array).view(np.uint8).data, digest_size=16).digest()


def _same_items(now, then: list) -> bool:
    return len(now) == len(then) and all(map(same, now, then))


def _same_entries(now: dict, then: dict) -> bool:
    return len(now) == len(then) and all(
        same(now.get(key, MISSING), value) for key, value in then.items()
    )


def same(now: Any, then: Any) -> bool:
    """Whether a value is the same to a trace: one object, or equal numbers or texts."""
    if now is then:
        return True
    kind = type(now)
    if kind is not type(then):
        return False
    if kind is float:
        return _same_float(now, then)
    if kind in (int, bool, str, bytes):
        return now == then
    if kind is complex:
        return _same_float(now.real, then.real) and _same_float(now.imag, then.imag)
    if issubclass(kind, np.generic):
        return now.dtype == then.dtype and now.tobytes() == then.tobytes()
    return kind is tuple and _same_items(now, then)


def _same_float(now: float, then: float) -> bool:
    """Whether two floats are the same, to the sign of zero; a nan is the same as another."""
    if now == then:
        return bool(now) or math.copysign(1.0, now) == math.copysign(1.0, then)
    return now != now and then != then
