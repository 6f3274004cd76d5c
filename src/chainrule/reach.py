"""What a function finds through names: its globals and closure, and what hangs on them.

The search goes from the function to the functions that its code names, to globals, closures,
defaults and the modules that it imports, and from there to the attributes of objects whose names
occur anywhere in that code, and the entries of lists and dicts. Once it is known which code a trace
has run, only that is followed: then the search finds more than one call reads, but not much more,
and never less, except what is reached by names made up at run time (`getattr(x, name)`,
`globals()[name]`). The insides of Python's own modules, NumPy, SciPy and chainrule are left alone.
"""

from __future__ import annotations

import functools
import sys
import types
from collections import deque
from importlib.util import resolve_name
from itertools import accumulate
from typing import Any

import numpy as np

from chainrule.bytecode import names_in

MISSING: Any = object()
_LIBRARIES = frozenset({"numpy", "scipy", "chainrule", "builtins"}) | sys.stdlib_module_names
_OF_USERS = ("chainrule.nn", "chainrule.optim", "chainrule.train", "chainrule.estimators")
_CONSTANTS = (bool, int, float, complex, str, bytes, type(None), np.generic, np.dtype)


class Place:
    """Where a value is found: `read` gives it as it is now, `value` as it was when it was found."""

    __slots__ = ("value", "what")

    def __init__(self, what: str):
        self.what = what
        self.value: Any = self.read()

    def read(self):
        return MISSING

    def write(self, value) -> None:
        """Put another value there."""


class InDict(Place):
    """A global name, or an attribute: an entry of a dict."""

    __slots__ = ("key", "mapping")

    def __init__(self, mapping, key: str, what: str):
        self.mapping, self.key = mapping, key
        super().__init__(what)

    def read(self):
        return self.mapping.get(self.key, MISSING)

    def write(self, value) -> None:
        if value is MISSING:
            del self.mapping[self.key]
        else:
            self.mapping[self.key] = value


class InCell(Place):
    """A name of an enclosing function."""

    __slots__ = ("cell",)

    def __init__(self, cell, what: str):
        self.cell = cell
        super().__init__(what)

    def read(self):
        try:
            return self.cell.cell_contents
        except ValueError:  # not assigned yet
            return MISSING

    def write(self, value) -> None:
        if value is MISSING:
            del self.cell.cell_contents
        else:
            self.cell.cell_contents = value


class InSlot(Place):
    """An attribute kept in a slot."""

    __slots__ = ("key", "owner")

    def __init__(self, owner, key: str, what: str):
        self.owner, self.key = owner, key
        super().__init__(what)

    def read(self):
        return getattr(self.owner, self.key, MISSING)

    def write(self, value) -> None:
        if value is MISSING:
            delattr(self.owner, self.key)
        else:
            setattr(self.owner, self.key, value)


class Search:
    """Collects the places, arrays, lists, sets and dicts that are within reach.

    `ran` holds the code that was run, with its global names: no other is followed. Without it the
    search ends after `most` values.
    """

    def __init__(self, ran: dict[types.CodeType, dict] | None = None, most: int = 1000) -> None:
        self.places: dict[tuple[int, str], Place] = {}  # by owner and name
        self.arrays: list[np.ndarray] = []
        self.lists: list[list] = []
        self.sets: list[set] = []
        self.dicts: list[dict] = []
        self.generators: list = []  # NumPy's own
        self.stored: set[str] = set()  # names that the code assigns to
        self._ran, self._left = ran, most
        self._names: set[str] = set()  # of attributes, in all code found so far
        self._owners: list[tuple[Any, set[str]]] = []  # objects, and names looked up on them
        self._seen: dict[int, Any] = {}
        self._pending: deque = deque()

    def run(self, roots) -> None:
        """Follow these values, and look up every attribute name that occurs on every object."""
        for code, names in (self._ran or {}).items():
            if not is_library(names.get("__name__")):
                self._code(code, names)
        for value in roots:
            self._visit(value)
        again = True
        while again and (self._ran is not None or self._left > 0):
            again = False
            for owner, looked_up in list(self._owners):
                if self._ran is None and self._left < 0:
                    break
                for name in sorted(self._names - looked_up):
                    looked_up.add(name)
                    place = _attribute(owner, name)
                    if place is not None:
                        self._add(place, id(owner), name)
                        again = True

    def _visit(self, value) -> None:
        self._pending.append(value)
        while self._pending:
            found = self._pending.popleft()
            if isinstance(found, _CONSTANTS) or id(found) in self._seen:
                continue
            self._left -= 1
            if self._ran is None and self._left < 0:
                self._pending.clear()
                return
            self._seen[id(found)] = found
            self._follow(found)

    def _add(self, place: Place, owner: int, name: str) -> None:
        if (owner, name) in self.places or _is_of_library(place.value):
            return
        self.places[owner, name] = place
        self._visit(place.value)

    def _follow(self, value) -> None:
        kind = type(value)
        if issubclass(kind, np.ndarray):
            self.arrays.append(value)
        elif kind is types.FunctionType:
            self._function(value)
        elif kind is types.MethodType:
            self._pending += [value.__func__, value.__self__]
        elif isinstance(value, functools.partial):
            self._pending += [value.func, *value.args, *value.keywords.values()]
        elif isinstance(value, staticmethod | classmethod):
            self._pending.append(value.__func__)
        elif isinstance(value, property):
            self._pending += [value.fget, value.fset]
        elif isinstance(value, list):
            self.lists.append(value)
            self._pending += value
        elif isinstance(value, set):
            self.sets.append(value)
            self._pending += value
        elif isinstance(value, tuple | frozenset):
            self._pending += value
        elif isinstance(value, dict):
            self.dicts.append(value)
            self._pending += value.values()
        elif kind is types.ModuleType:
            if not is_library(value.__name__):
                self._owners.append((value, set()))
        elif isinstance(value, type):
            if not is_library(value.__module__):
                self._class(value)
        else:
            self._instance(value)

    def _function(self, function: types.FunctionType) -> None:
        code = function.__code__
        cells = list(zip(code.co_freevars, function.__closure__ or (), strict=True))
        self._pending += function.__defaults__ or ()
        self._pending += (function.__kwdefaults__ or {}).values()
        if is_library(function.__globals__.get("__name__")):  # perhaps the user's, wrapped
            self._pending += [place.value for _, c in cells if (place := InCell(c, ""))]
            return
        if self._ran is None:
            self._code(code, function.__globals__)
        elif code not in self._ran:
            return
        for name, cell in cells:
            self._add(InCell(cell, f"the name {name} of an enclosing function"), id(cell), name)

    def _code(self, code: types.CodeType, names: dict) -> None:
        found = names_in(code)
        self._names |= found.attributes
        self.stored |= found.stored
        for name in sorted(found.globals.intersection(names)):
            self._add(InDict(names, name, f"the global {name}"), id(names), name)
        for level, name in sorted(found.imported):
            for module in _modules(level, name, names.get("__package__")):
                self._visit(module)

    def _class(self, cls: type) -> None:
        self._owners.append((cls, set()))
        self._pending += [v for v in vars(cls).values() if not isinstance(v, _CONSTANTS)]
        self._pending += cls.__bases__

    def _instance(self, value) -> None:
        kind = type(value)
        inside = getattr(value, "__dict__", {})
        if not is_library(kind.__module__):
            self._owners.append((value, set()))
            self._pending.append(kind)
        elif isinstance(value, np.random.Generator | np.random.RandomState):
            self.generators.append(value)
        else:
            self._pending += [v for v in inside.values() if callable(v)]  # what it wraps


def _attribute(owner, name: str) -> Place | None:
    """Where an object itself holds an attribute; None where it holds none."""
    what = f"the attribute {name} of {_described(owner)}"
    own = getattr(owner, "__dict__", None)
    if own is not None and (name in own or _has_default(owner, name)):
        return InDict(own, name, what)
    if isinstance(owner, type):
        return None
    for base in type(owner).__mro__:
        if isinstance(vars(base).get(name), types.MemberDescriptorType):
            return InSlot(owner, name, what)
    return None


def _has_default(owner, name: str) -> bool:
    """Whether an object holds no attribute, but finds a value in its class, or a class in one of
    its bases: its own may come to stand before that. Methods are taken to stay."""
    bases = owner.__mro__[1:] if isinstance(owner, type) else type(owner).__mro__
    found = next((vars(base)[name] for base in bases if name in vars(base)), MISSING)
    return found is not MISSING and not callable(found) and not hasattr(type(found), "__get__")


def _described(owner) -> str:
    if isinstance(owner, types.ModuleType | type):
        return owner.__name__
    return f"an object of class {type(owner).__name__}"


def _modules(level: int, name: str, package: str | None) -> list[types.ModuleType]:
    """The module that an import gives, and those that it is a part of, where they are loaded."""
    if level and not package:
        return []
    try:
        full = resolve_name("." * level + name, package) if level else name
    except ImportError:  # beyond the outermost package
        return []
    names = accumulate(full.split("."), "{}.{}".format)
    return [found for n in names if (found := sys.modules.get(n)) is not None]


def is_library(module: str | None) -> bool:
    """Whether a module's code is left alone."""
    name = module or ""
    return name.partition(".")[0] in _LIBRARIES and not name.startswith(_OF_USERS)


def _is_of_library(value) -> bool:
    """Whether a value is a function, class or module that nobody puts another in the place of."""
    if isinstance(value, types.ModuleType):
        return is_library(value.__name__)
    if isinstance(value, type | types.BuiltinFunctionType | np.ufunc):
        return is_library(getattr(value, "__module__", None) or "builtins")
    if isinstance(value, types.FunctionType):
        return is_library(value.__globals__.get("__name__")) and not value.__closure__
    return False
