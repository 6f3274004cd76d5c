"""What the user's modules have under names of their own, given its traced meaning for one trace.

    from math import sin            sin(x)             as math.sin(x)
    from numpy import array         array([x, y])      as np.array([x, y])
    import numpy as np              np.exp([x, y])     as np.exp(np.array([x, y]))
    logpdf = stats.norm.logpdf      logpdf(x)          as stats.norm.logpdf(x)
    (Python's own)                  max(x, 0.0)        as np.where(0.0 > x, 0.0, x)
                                    float(x)           as x, a traced Python float

The attributes of `math` and `numpy` are replaced while any trace is open (interception.py), these
names only in a trace that is made because one without was refused (chainrule.filling): modules of
the user have to be looked through. max, min and sorted ask for no truth value where none is at hand
(compile, vmap); where it is, they are Python's. float, int and complex stay types: of a dtype, of
isinstance. Names inside of functions, and those that are kept
in other places (`table["sin"](x)`), are not reached.
"""

from __future__ import annotations

import builtins
import functools
import sys
import threading
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from types import CodeType, MethodType, ModuleType
from typing import Any

import numpy as np

from chainrule import errors
from chainrule.numpy.buffers import is_of_the_user
from chainrule.numpy.interception import original_methods, originals
from chainrule.numpy.promotion import contains_traced, stacked
from chainrule.numpy.undispatched import loaded_homes
from chainrule.program.trace import Traced
from chainrule.reach import names_in

_lock = threading.Lock()
_users = 0
_replaced: list[tuple[dict, str, Any, Any]] = []
_ABSENT: Any = object()


@contextmanager
def replaced_by_name() -> Iterator[None]:
    """While active, the user's modules have the traced meanings under their own names."""
    global _users
    with _lock:
        if _users == 0:
            _replace()
        _users += 1
    try:
        yield
    finally:
        with _lock:
            _users -= 1
            if _users == 0:
                _restore()


def may_help(error: BaseException | None) -> bool:
    """Whether code of the user that an error went through uses such a name.

    A refusal inside a solver's compiled code comes out as another error, which it is the reason of;
    NumPy itself, under any name, is no such solver.
    """
    table = _meanings()
    seen: list[BaseException] = []
    while error is not None and not any(error is other for other in seen):
        seen.append(error)
        where = error.__traceback__
        while where is not None:
            names, code = where.tb_frame.f_globals, where.tb_frame.f_code
            if is_of_the_user(code.co_filename) and _uses(code, names, table, len(seen) == 1):
                return True
            where = where.tb_next
        error = error.__cause__
    return False


def _uses(code: CodeType, names: dict, table: dict, numpy_too: bool) -> bool:
    found = [(n, names.get(n, _ABSENT)) for n in names_in(code).globals]
    return any(
        name in _BUILTINS if value is _ABSENT else _meaning_of(value, table) is not None and (
            numpy_too or value is not np
        )
        for name, value in found
    )  # fmt: skip


def _meaning_of(value, table: dict) -> Any:
    """The traced meaning of an object, or of a method of one; None where it has none."""
    function = value.__func__ if type(value) is MethodType else value
    found = table.get(id(function))
    if found is None or found[0] is not function:
        return None
    return found[1] if function is value else MethodType(found[1], value.__self__)


def _replace() -> None:
    table = _meanings()
    for module in _modules_of_users(len(sys.modules)):
        names = vars(module)
        for name, value in list(names.items()):
            meaning = _meaning_of(value, table)
            if meaning is not None:
                _replaced.append((names, name, value, meaning))
        for name, meaning in _BUILTINS.items():
            if name not in names:
                _replaced.append((names, name, _ABSENT, meaning))
    for names, name, _, meaning in _replaced:
        names[name] = meaning


def _restore() -> None:
    for names, name, original, meaning in _replaced:
        if names.get(name) is not meaning:
            continue  # somebody put another there
        if original is _ABSENT:
            del names[name]
        else:
            names[name] = original
    _replaced.clear()


@functools.lru_cache(maxsize=1)
def _modules_of_users(_loaded: int) -> list[ModuleType]:
    found = []
    for module in list(sys.modules.values()):
        if not isinstance(module, ModuleType):
            continue
        filename = getattr(module, "__file__", None)
        if module.__name__ == "__main__" or (filename and is_of_the_user(filename)):
            found.append(module)
    return found


def _meanings() -> dict[int, tuple[Any, Any]]:
    """By the identity of an object that a name may stand for: it, and its traced meaning."""
    return _meanings_of(loaded_homes(len(sys.modules)))


@functools.lru_cache(maxsize=1)
def _meanings_of(_homes: tuple) -> dict[int, tuple[Any, Any]]:
    found: dict[int, tuple[Any, Any]] = {id(np): (np, _numpy)}
    for module, name, original in originals():
        found[id(original)] = (original, _current(module, name))
    for original, replacement in original_methods():
        found[id(original)] = (original, replacement)
    return found


@functools.lru_cache(maxsize=1024)
def _current(home: str, name: str) -> Callable:
    """What a module has under a name while a trace is open: looked up at each call."""
    module = sys.modules[home]

    @functools.wraps(getattr(module, name))
    def dispatching(*args, **kwargs):
        return getattr(module, name)(*args, **kwargs)

    return dispatching


# --- numpy with ufuncs that take lists ----------------------------------------------------------


class _Numpy(ModuleType):
    """NumPy, whose ufuncs stack lists that hold traced values."""

    def __getattr__(self, name: str):
        found = getattr(np, name)
        return _of_lists(found) if isinstance(found, np.ufunc) else found


_numpy = _Numpy("numpy")


class _OfLists:
    """A ufunc that stacks its arguments."""

    def __init__(self, ufunc: np.ufunc):
        self._ufunc = ufunc
        functools.update_wrapper(self, ufunc)

    def __call__(self, *args, **kwargs):
        return self._ufunc(*map(_array, args), **kwargs)

    def __getattr__(self, name: str):
        return getattr(self._ufunc, name)


@functools.lru_cache(maxsize=256)
def _of_lists(ufunc: np.ufunc) -> _OfLists:
    return _OfLists(ufunc)


def _array(value):
    is_list = type(value) is list or type(value) is tuple
    return stacked(value) if is_list and contains_traced(value) else value


# --- max, min and sorted without truth values ---------------------------------------------------


def _extreme(original: Callable, beyond: Callable) -> Callable:
    @functools.wraps(original)
    def extreme(*args, **kwargs):
        items = list(args[0]) if len(args) == 1 else list(args)
        try:
            return original(items, **kwargs)
        except errors.ConcreteValueNeeded:
            if not _are_numbers(items):
                raise
        key = kwargs.get("key") or (lambda v: v)
        best, rank = items[0], key(items[0])
        for item in items[1:]:
            value = key(item)
            further = beyond(value, rank)
            best, rank = _chosen(further, item, best), _chosen(further, value, rank)
        return best

    return extreme


def _chosen(condition, a, b):
    """One of two numbers; a Python number where both are."""
    out = np.where(condition, a, b)
    if type(out) is Traced:
        out.weak = all(v.weak if type(v) is Traced else _is_python(v) for v in (a, b))
        out.boxed = False
    return out


def _is_python(value) -> bool:
    return type(value) in (int, float, complex)


def _are_numbers(items: list) -> bool:
    return all(np.ndim(v) == 0 for v in items)


@functools.wraps(builtins.sorted)
def _sorted(iterable, /, *, key=None, reverse=False):
    items = list(iterable)
    try:
        return sorted(items, key=key, reverse=reverse)
    except errors.ConcreteValueNeeded:
        if not _are_numbers(items):
            raise
    x = stacked(items)
    if key is None:
        return list(np.sort(x)[:: -1 if reverse else 1])
    ranks = stacked([key(v) for v in items])
    return list(x[np.argsort(-ranks if reverse else ranks, kind="stable")])


# --- numbers of Python ----------------------------------------------------------------------------


class _OfNumbers(type):
    """A number type of Python's, which also makes traced numbers: float(x) of a traced x."""

    original: Any
    made: Callable

    def __call__(cls, *args, **kwargs):
        if any(type(a) is Traced for a in args):
            return cls.made(*args, **kwargs)
        return cls.original(*args, **kwargs)

    def __instancecheck__(cls, instance):
        return isinstance(instance, cls.original)

    def __subclasscheck__(cls, subclass):
        return subclass is cls or issubclass(subclass, cls.original)

    def __eq__(cls, other):
        return other is cls or other is cls.original

    def __hash__(cls):
        return hash(cls.original)


def _single(x):
    """A traced number, of which a Python number can be made."""
    if type(x) is Traced and x.type.size != 1:
        raise TypeError("only 0-dimensional arrays can be converted to Python scalars")
    return x.reshape(()) if type(x) is Traced and x.type.ndim else x


def _real(x):
    """float(x) and int(x) are of real numbers."""
    if x.type.dtype.kind == "c":
        raise TypeError("argument must be a string or a real number, not 'complex'")
    return _single(x)


def _float(x):
    return _real(x).astype(np.float64).item()


def _int(x):
    x = _real(x)
    whole = np.trunc(x) if x.type.dtype.kind == "f" else x
    return whole.astype(np.int64).item()


def _complex(real, imag=0):
    return (_single(real) + 1j * _single(imag)).astype(np.complex128).item()


def _number_type(original: type, made: Callable) -> type:
    namespace = {"original": original, "made": staticmethod(made), "dtype": np.dtype(original)}
    for name in ("fromhex", "from_bytes"):
        if hasattr(original, name):
            namespace[name] = getattr(original, name)
    return _OfNumbers(original.__name__, (), namespace)


_BUILTINS: dict[str, Any] = {
    "float": _number_type(float, _float),
    "int": _number_type(int, _int),
    "complex": _number_type(complex, _complex),
    "max": _extreme(builtins.max, lambda a, b: a > b),
    "min": _extreme(builtins.min, lambda a, b: a < b),
    "sorted": _sorted,
}
