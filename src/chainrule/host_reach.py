"""The generators of NumPy and Python that a call may draw from.

Looked through are the function, the functions that its code names, what they close over, their
defaults and the globals that they name, and the arguments; and in these lists, dicts and the
attributes of objects, modules of the user for the names that the code asks of them. The global
generators (`np.random.normal`, `random.random`) count where the code names `random` or `rvs`, or
one of their methods under another name. Not found is what hides in compiled code or in an object
without attributes of Python's, what a library draws of its own accord, and a generator that the
function makes itself without a seed.
"""

from __future__ import annotations

import contextlib
import functools
import random
import types
from typing import Any

import numpy as np

from chainrule.bytecode import names_in
from chainrule.program.trace import Traced
from chainrule.random.state import Stream
from chainrule.reach import is_library

MOST = 2000  # values that are looked at; a larger structure counts as one that may draw
_DRAWS: tuple[Any, Any] = (np.random.normal, random.random)  # methods of the global generators
GLOBAL = tuple([draw.__self__ for draw in _DRAWS])
_MODULES = (np.random, np.random.mtrand, random)
_NAMED = frozenset({"random", "rvs"})
_OWN = (
    np.random.Generator,
    np.random.RandomState,
    np.random.BitGenerator,
    random.Random,
)
_PLAIN = frozenset({
    bool, int, float, complex, str, bytes, type(None), np.ndarray, np.float64, np.float32,
    np.int64, np.bool_, Traced, np.ufunc, range, slice,
})  # fmt: skip


def _is_left_alone(module: str | None) -> bool:
    return is_library(module) or (module or "").startswith("chainrule.")


def generators_in(*roots) -> list:
    """The generators within reach of these values, each once."""
    found = _Walk()
    found.run(roots)
    return found.generators


def streams_in(*roots) -> list[Stream]:
    """The generators of chainrule within reach of these values, each once."""
    found = _Walk((Stream,))
    found.run(roots)
    return [g for g in found.generators if isinstance(g, Stream)]


class _Walk:
    """A walk through values, which collects generators."""

    def __init__(self, kinds: tuple[type, ...] = _OWN) -> None:
        self.generators: list = []
        self._kinds = kinds
        self._seen: set[int] = set()
        self._pending: list = []

    def run(self, roots) -> None:
        self._pending += roots
        left = MOST
        while self._pending:
            value = self._pending.pop()
            if type(value) in _PLAIN or id(value) in self._seen:
                continue
            self._seen.add(id(value))
            left -= 1
            if left < 0:
                self._note(*GLOBAL)
                return
            self._follow(value)

    def _note(self, *generators) -> None:
        self.generators += [g for g in generators if not any(g is h for h in self.generators)]

    def _follow(self, value) -> None:
        kind = type(value)
        if issubclass(kind, self._kinds):
            self._note(value)
        elif kind is types.FunctionType:
            self._function(value)
        elif kind is types.MethodType:
            self._pending += (value.__func__, value.__self__)
        elif issubclass(kind, list | tuple | set | frozenset):
            self._pending += value
        elif issubclass(kind, dict):
            self._pending += value.values()
        elif issubclass(kind, functools.partial):
            self._pending += (value.func, value.args, value.keywords)
        elif issubclass(kind, staticmethod | classmethod):
            self._pending.append(value.__func__)
        elif issubclass(kind, property):
            self._pending.append(value.fget)
        elif kind is types.ModuleType:
            if any(value is m for m in _MODULES):
                self._note(*GLOBAL)
        elif issubclass(kind, type):
            if not _is_left_alone(value.__module__):
                self._pending += vars(value).values()
                self._pending += value.__bases__
        else:
            self._object(value, kind)

    def _object(self, value, kind: type) -> None:
        if kind is types.BuiltinMethodType:
            self._pending.append(value.__self__)  # of `normal = rng.normal`
            return
        self._pending += _attributes(value)
        if not _is_left_alone(kind.__module__):
            self._pending.append(kind)

    def _function(self, function: types.FunctionType) -> None:
        for cell in function.__closure__ or ():
            try:
                self._pending.append(cell.cell_contents)
            except ValueError:  # not assigned yet
                continue
        self._pending += function.__defaults__ or ()
        self._pending += (function.__kwdefaults__ or {}).values()
        names = function.__globals__
        if _is_left_alone(names.get("__name__")):
            return
        used = names_in(function.__code__)
        imported = {part for _, name in used.imported for part in name.split(".")}
        if not _NAMED.isdisjoint(used.globals | used.attributes | imported):
            self._note(*GLOBAL)
        for name in used.globals:
            value = names.get(name)
            self._pending.append(value)
            if type(value) is types.ModuleType and not _is_left_alone(value.__name__):
                self._pending += [vars(value).get(n) for n in used.attributes]


def _attributes(value: Any) -> list:
    """What an object holds, by name or in slots; its own __getattr__ is not asked."""
    kind: type = type(value)
    try:
        found = list(object.__getattribute__(value, "__dict__").values())
    except AttributeError:
        found = []
    for name in _slots(kind):
        with contextlib.suppress(AttributeError):  # not assigned yet
            found.append(object.__getattribute__(value, name))
    return found


@functools.lru_cache(maxsize=4096)
def _slots(kind: type) -> tuple[str, ...]:
    return tuple(
        name
        for base in kind.__mro__[:-1]
        for name, member in vars(base).items()
        if type(member) is types.MemberDescriptorType
    )
