"""Lets `np.asarray(x)` and its kin pass traced values through, while a trace is open.

Why: nearly every library function begins with `x = np.asarray(x)`, and these few functions are the
ones that NumPy gives no protocol. On a traced value they would ask for a constant, which loses the
derivative (and so raises). While a trace is open anywhere, attributes of the numpy module are
therefore replaced by wrappers: an argument that is itself a traced value passes through (cast where
a dtype is given, copied by `np.array`), a nested list that holds some is stacked; everything else
goes to NumPy's own function unchanged. The functions of `undispatched.py` are replaced in the same
way, and those of Python's `math` (python_math.py). Names imported earlier with `from numpy import
asarray` are reached by by_name.py, where they are in the way.
"""

from __future__ import annotations

import functools
import math
import operator
import sys
import threading
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from types import ModuleType
from typing import Any

import numpy as np

from chainrule import errors
from chainrule.numpy import (
    layout,
    lists,
    one_by_one,
    python_math,
    scipy_array_api,
    scipy_distributions,
    scipy_grids,
    scipy_kernel_density,
    scipy_sparse,
    scipy_splines,
    scipy_triangulations,
)
from chainrule.numpy.buffers import MAKERS, making
from chainrule.numpy.promotion import cast_to, contains_traced, stacked
from chainrule.numpy.scipy_fft import traced_backend
from chainrule.numpy.undispatched import (
    REPLACED,
    bindings,
    dispatching,
    loaded_homes,
    module_classes,
)
from chainrule.program.text import line_text
from chainrule.program.trace import Traced, concrete_value, user_line
from chainrule.program.types import is_supported

_lock = threading.Lock()
_users = 0
_replaced: list[tuple[dict, dict]] = []
_changed: list[ModuleType] = []
_methods: list[tuple[Any, str, Callable]] = []


@contextmanager
def dispatching_asarray() -> Iterator[None]:
    """While active, `np.asarray(x)` and its kin return a traced `x` as it is.

    Nests, and may be active in several threads at once; the last to leave restores NumPy.
    """
    global _users
    with _lock:
        if _users == 0:
            _replace()
        _users += 1
    try:
        with traced_backend():
            yield
    finally:
        with _lock:
            _users -= 1
            if _users == 0:
                _restore()


def _replace() -> None:
    homes = loaded_homes(len(sys.modules))
    for names, originals, replacements, entries, expected in _replacements(homes):
        if entries(names) != expected:
            kept = [name for name, value in originals.items() if names.get(name) is value]
            originals = {name: originals[name] for name in kept}  # somebody put others there
            replacements = {name: replacements[name] for name in kept}
        names.update(replacements)
        _replaced.append((names, originals))
    for module, kind in module_classes(homes):
        module.__class__ = kind
        _changed.append(module)
    for cls, name, original, replacement in _of_classes(homes):
        if vars(cls)[name] is original:
            setattr(cls, name, replacement)
            _methods.append((cls, name, original))


def originals() -> Iterator[tuple[str, str, Any]]:
    """What is replaced, as it was: the module, the name in it, and the object."""
    tables: list = _replaced or [t[:2] for t in _replacements(loaded_homes(len(sys.modules)))]
    for names, kept in list(tables):
        for name, original in kept.items():
            yield names["__name__"], name, original
    for home, name in REPLACED:
        module = sys.modules.get(home)
        if home.startswith("scipy.") and module is not None and name in vars(module):
            yield home, name, vars(module)[name]


def original_methods() -> Iterator[tuple[Callable, Callable]]:
    """The methods that are exchanged, as they were, and what takes their place."""
    for _, _, original, replacement in _of_classes(loaded_homes(len(sys.modules))):
        yield original, replacement


def _restore() -> None:
    for names, originals in _replaced:
        names.update(originals)
    _replaced.clear()
    for module in _changed:
        module.__class__ = ModuleType
    _changed.clear()
    for cls, name, original in _methods:
        setattr(cls, name, original)
    _methods.clear()


@functools.lru_cache(maxsize=1)
def _replacements(_homes: tuple) -> list[tuple[dict, dict, dict, Callable, tuple]]:
    """For each module: its names, the originals among them, what to put in their place, what gives
    the entries at these names, and the originals as it gives them.

    `_homes` are those of `loaded_homes`: when they change, they are looked through again.
    """
    found: dict[int, tuple[dict, dict, dict]] = {}

    def enter(module: ModuleType, name: str, original, replacement) -> None:
        names = vars(module)
        _, originals, replacements = found.setdefault(id(names), (names, {}, {}))
        originals[name], replacements[name] = original, replacement

    makers = {name: making(getattr(np, name), traced) for name, traced in MAKERS.items()}
    for name, maker in makers.items():
        enter(np, name, getattr(np, name), maker)
    for name, convert in _CONVERSIONS.items():
        original = getattr(np, name)
        enter(np, name, original, _wrapper(makers.get(name, original), convert))
    for module, name, original, implementation in bindings():
        plain = makers.get(name, original) if module is np else original
        enter(module, name, original, dispatching(plain, implementation))
    for name, replacing in _ONE_BY_ONE.items():
        enter(np, name, getattr(np, name), replacing(getattr(np, name)))
    for name, original, replacement in python_math.replacements():
        enter(math, name, original, replacement)
    for module, name, original, replacement in scipy_distributions.names(_converting):
        enter(module, name, original, replacement)
    for module, name, original, replacement in scipy_array_api.names():
        enter(module, name, original, replacement)
    for home, names in lists.NAMES.items():
        module = sys.modules[home]
        for name in names.split():
            enter(module, name, getattr(module, name), lists.stacking(getattr(module, name)))
    return [
        (*tables, _entries(list(tables[1])), tuple(tables[1].values())) for tables in found.values()
    ]


@functools.lru_cache(maxsize=1)
def _of_classes(_homes: tuple) -> list[tuple[Any, str, Callable, Callable]]:
    """Methods to exchange, as objects of their classes may have been made before: class, name,
    original, replacement."""
    call = vars(np.vectorize)["_vectorize_call"]
    own = (np.vectorize, "_vectorize_call", call, one_by_one.vectorized(call))
    return [
        own, *scipy_distributions.replacements(), *scipy_sparse.replacements(),
        *scipy_splines.replacements(), *scipy_grids.replacements(),
        *scipy_triangulations.replacements(), *scipy_kernel_density.replacements(),
        *scipy_array_api.replacements(),
    ]  # fmt: skip


def _entries(names: list[str]) -> Callable[[dict], tuple]:
    """What gives the entries of a mapping that has all of these names, as a tuple."""
    first = operator.itemgetter(*names)
    return first if len(names) > 1 else lambda mapping: (first(mapping),)


def _converting(name: str) -> Callable | None:
    """What to put in the place of np.asarray or its kin, by its name."""
    convert = _CONVERSIONS.get(name)
    return None if convert is None else _wrapper(getattr(np, name), convert)


@functools.lru_cache(maxsize=64)
def _wrapper(original, convert):
    @functools.wraps(original)
    def dispatching(*args, **kwargs):
        if args and contains_traced(args[0]):
            return convert(_stacked(args[0]), *args[1:], **kwargs)
        for name in ("a", "object"):  # the first parameter, in asarray and in array
            if contains_traced(kwargs.get(name)):
                return convert(_stacked(kwargs.pop(name)), *args, **kwargs)
        return original(*args, **kwargs)

    return dispatching


def _stacked(value) -> Traced:
    return value if type(value) is Traced else stacked(value)


def as_traced_array(a: Traced, dtype=None, order=None, *, device=None, copy=None, like=None):
    """A traced value as np.asarray returns it: itself, unless a cast or a copy is asked for."""
    wanted = a.dtype if dtype is None else np.dtype(dtype)
    if not is_supported(wanted):
        raise errors.NotSupported(
            f"a traced value cannot become an array of dtype {wanted}, at {line_text(user_line())}"
        )
    if copy is not None and copy is not np._CopyMode.IF_NEEDED:
        if copy is not np._CopyMode.NEVER and copy:
            return _array_of(cast_to(a, wanted), a).copy(order or "K")
        if wanted != a.dtype or not _has_order(a, order):
            raise ValueError("Unable to avoid copy while creating an array as requested.")
    out = _array_of(cast_to(a, wanted), a)
    return out if _has_order(out, order) else out.copy(order)


def _array_of(x: Traced, original: Traced) -> Traced:
    """A scalar as a 0-d array, which isinstance and in-place operators tell apart."""
    if x.ndim or x.boxed:
        return x
    out = x.copy() if x is original else x
    out.boxed = True
    return out


def _has_order(x: Traced, order) -> bool:
    if order == "C":
        return layout.is_c_contiguous(x)
    return order != "F" or layout.is_f_contiguous(x)


def copied(object: Traced, dtype=None, *, copy=True, order="K", subok=False, ndmin=0, like=None):
    """A traced value as np.array returns it: a copy, with at least `ndmin` axes."""
    if subok:
        _refuse_masked(sys._getframe(2))
    out = as_traced_array(object, dtype, order, copy=copy)
    if ndmin > out.ndim:
        out = out.reshape((1,) * (ndmin - out.ndim) + out.shape)
    return out


def checked_finite(a: Traced, dtype=None, order=None):
    """np.asarray_chkfinite; where no value is at hand there is nothing to check."""
    out = as_traced_array(a, dtype, order)
    value = concrete_value(out) if out.dtype.kind in "fc" else None
    if value is not None and not np.isfinite(value).all():
        raise ValueError(f"array must not contain infs or NaNs, at {line_text(user_line())}")
    return out


def _refuse_masked(caller) -> None:
    """np.ma begins with np.array(x, subok=True), and would then take the values out of x."""
    if caller.f_globals.get("__name__") == "numpy.ma.core":
        raise errors.NotSupported(
            f"masked arrays (np.ma) are not supported on traced values, at "
            f"{line_text(user_line())}: use np.where(mask, other, x), the where= option of sums "
            "and means, or x[~mask]."
        )


_FLAGS = {"O": "owndata", "W": "writeable", "A": "aligned"}


def _required(a: Traced, dtype=None, requirements=None, *, like=None):
    """np.require: in the layout asked for, and a copy where the memory is not as asked."""
    letters = {name.upper()[0] for name in requirements or ()} - {"E"}
    if letters >= {"C", "F"}:
        raise ValueError('Cannot specify both "C" and "F" order')
    order = "F" if "F" in letters else "C" if "C" in letters else None
    out = as_traced_array(a, dtype, order)
    kept = all(out.flags[_FLAGS[letter]] for letter in letters & set(_FLAGS))
    return out if kept else out.copy(order or "A")


def _contiguous(a: Traced, dtype=None, *, like=None):
    out = as_traced_array(a, dtype, "C")
    return out if out.ndim else out.reshape(1)


def _fortran(a: Traced, dtype=None, *, like=None):
    out = as_traced_array(a, dtype, "F")
    return out if out.ndim else out.reshape(1)


_ONE_BY_ONE = {
    "fromiter": one_by_one.from_iterable,
    "ndenumerate": one_by_one.enumerated,
    "nditer": one_by_one.iterated,
}
_CONVERSIONS = {
    "asarray": as_traced_array,
    "asanyarray": as_traced_array,
    "array": copied,
    "ascontiguousarray": _contiguous,
    "asfortranarray": _fortran,
    "asarray_chkfinite": checked_finite,
    "require": _required,
}
