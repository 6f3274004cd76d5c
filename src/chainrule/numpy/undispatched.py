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
from types import ModuleType

from chainrule.numpy.promotion import contains_traced
from chainrule.numpy.protocols import refuse_unknown

REPLACED: dict[tuple[str, str], Callable] = {}  # module and attribute -> the traced meaning


def replaces(module: str, *names: str):
    """Register the decorated function as the meaning of these attributes on traced values."""

    def register(implementation: Callable) -> Callable:
        for name in names or (implementation.__name__,):
            REPLACED[module, name] = implementation
        return implementation

    return register


def bindings() -> list[tuple[ModuleType, str, Callable, Callable]]:
    """Where the originals are bound in loaded modules: module, name, original, traced meaning."""
    found = []
    scipy = [m for name, m in list(sys.modules.items()) if name.startswith("scipy.") and m]
    for (home, name), implementation in REPLACED.items():
        original = getattr(sys.modules.get(home), name, None)
        if original is None:
            continue
        found.append((sys.modules[home], name, original, implementation))
        if home.startswith("scipy."):
            found += [
                (module, name, original, implementation)
                for module in scipy
                if module is not sys.modules[home] and vars(module).get(name) is original
            ]
    return found


@functools.lru_cache(maxsize=512)
def dispatching(original: Callable, implementation: Callable) -> Callable:
    """The function to put in the original's place."""

    @functools.wraps(original)
    def dispatching(*args, **kwargs):
        if not (contains_traced(args) or contains_traced(list(kwargs.values()))):
            return original(*args, **kwargs)
        if kwargs:
            refuse_unknown(original, implementation, kwargs)
        return implementation(*args, **kwargs)

    return dispatching
