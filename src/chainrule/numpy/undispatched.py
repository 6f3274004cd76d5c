"""Functions that have no protocol, given a meaning on traced values while a trace is open.

`np.full(3, x)` and `scipy.linalg.inv(x)` ask nobody whether x is more than an array: NumPy or
LAPACK would store its value as a constant (and so raise). `interception.py` therefore replaces them
in their modules, as it does `np.asarray`, by wrappers that call the functions entered here where an
argument is traced, and the original where none is. What is reached are attributes of the modules
named here, where they are loaded when the trace opens, and SciPy's own modules that imported such a
name; another library's `from scipy.linalg import inv` binds the original.
"""

from __future__ import annotations

import functools
import sys
from collections.abc import Callable
from importlib import import_module
from types import CodeType, FunctionType, ModuleType

from chainrule.numpy.promotion import contains_traced
from chainrule.numpy.protocols import refuse_unknown
from chainrule.program.trace import current

REPLACED: dict[tuple[str, str], Callable] = {}  # module and attribute -> the traced meaning
CALLING_BACK: set[Callable] = set()  # meanings that are asked for at every call in a trace
PACKAGES: list[Callable[[], dict]] = []  # each gives modules, and functions of theirs by name


def replaces(module: str, *names: str, calls_back: bool = False):
    """Register the decorated function as the meaning of these attributes on traced values.

    One that calls back takes a function, which may close over traced values: it is asked for at
    every call in a trace.
    """

    def register(implementation: Callable) -> Callable:
        for name in names or (implementation.__name__,):
            REPLACED[module, name] = implementation
        if calls_back:
            CALLING_BACK.add(implementation)
        return implementation

    return register


def original(module: str, name: str) -> Callable:
    """SciPy's own function, whatever stands in its place while a trace is open."""
    found = vars(import_module(module))[name]
    return getattr(found, "__wrapped__", found)


@functools.lru_cache(maxsize=1)
def loaded_homes(_loaded: int) -> tuple:
    """How many meanings there are, and the loaded modules that hold a name to exchange; SciPy's
    with how many names each has, which may be half loaded. While that is the same, so are they.

    `_loaded` is the number of loaded modules: when it changes, they are looked through again.
    """
    homes = [name for name in _homes(len(REPLACED)) if name in sys.modules]
    scipy = list(sys.modules.items()) if "scipy" in sys.modules else []
    sizes = [(name, len(vars(m))) for name, m in scipy if name.startswith("scipy.") and m]
    return len(REPLACED), len(PACKAGES), *homes, *sizes


@functools.lru_cache(maxsize=1)
def _homes(_meanings: int) -> set[str]:
    return {home for home, _ in REPLACED}


def bindings() -> list[tuple[ModuleType, str, Callable, Callable]]:
    """Names to exchange in loaded modules: module, name, original, traced meaning.

    Of NumPy's modules the attributes; of SciPy's those names that a module imported from another
    and uses in a function of its own.
    """
    found = []
    reads = functools.cache(_read_in)  # what a module's functions read is looked for once
    scipy = [m for name, m in list(sys.modules.items()) if name.startswith("scipy.") and m]
    for (home, name), implementation in REPLACED.items():
        original = getattr(sys.modules.get(home), name, None)
        if original is None:
            continue
        users = [sys.modules[home]]
        if home.startswith("scipy."):
            users = [m for m in scipy if vars(m).get(name) is original and name in reads(m)]
        found += [(module, name, original, implementation) for module in users]
    return found


def _read_in(module: ModuleType) -> set[str]:
    """The names that functions of the module read, the module's own among them."""
    found: set[str] = set()
    for f in _functions_of(module):
        if isinstance(f, FunctionType) and f.__globals__ is vars(module):
            _note_names(f.__code__, found)
    return found


def _functions_of(module: ModuleType) -> list:
    """The functions and methods of a module, without their decorators' wrapping."""
    found = []
    for value in vars(module).values():
        own = [value] if not isinstance(value, type) else list(vars(value).values())
        found += [getattr(f, "__wrapped__", f) for f in own]
    return found


def _note_names(code: CodeType, found: set[str]) -> None:
    found.update(code.co_names)
    for inner in code.co_consts:
        if isinstance(inner, CodeType):
            _note_names(inner, found)


@functools.lru_cache(maxsize=1)
def module_classes(_homes: tuple) -> list[tuple[ModuleType, type]]:
    """Loaded modules of many functions, and the class to give them: it exchanges attributes.

    `_homes` are those of `loaded_homes`: when they change, they are looked through again.
    """
    found: dict[ModuleType, dict] = {}
    for package in PACKAGES:
        found |= package()
    for (home, name), implementation in REPLACED.items():
        module = sys.modules.get(home)
        if home.startswith("scipy.") and type(module) is ModuleType:
            found.setdefault(module, {})[name] = implementation
    return [(module, _class_with(functions)) for module, functions in found.items()]


def _class_with(functions: dict[str, Callable]) -> type:
    """A class of modules that gives these functions their traced meaning."""

    class Dispatching(ModuleType):
        def __getattribute__(self, name):
            found = ModuleType.__getattribute__(self, name)
            implementation = functions.get(name)
            return found if implementation is None else dispatching(found, implementation)

    return Dispatching


@functools.lru_cache(maxsize=512)
def dispatching(original: Callable, implementation: Callable) -> Callable:
    """The function to put in the original's place."""

    always = implementation in CALLING_BACK

    @functools.wraps(original)
    def dispatching(*args, **kwargs):
        traced = contains_traced(args) or contains_traced(list(kwargs.values()))
        if not (traced or (always and current() is not None)):
            return original(*args, **kwargs)
        if kwargs:
            refuse_unknown(original, implementation, kwargs)
        return implementation(*args, **kwargs)

    return dispatching
