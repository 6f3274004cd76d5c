"""Functions that have no protocol, given a meaning on traced values while a trace is open.

`np.full(3, x)` and `scipy.linalg.inv(x)` ask nobody whether x is more than an array: NumPy or
LAPACK would store its value as a constant (and so raise). `interception.py` therefore replaces them
in their modules, as it does `np.asarray`, by wrappers that call the functions entered here where an
argument is traced, and the original where none is. Only attributes of the modules named here are
reached, and only of modules that are loaded when the trace opens: `from scipy.linalg import inv`,
done earlier, binds the original.
"""

from __future__ import annotations

import functools
from collections.abc import Callable

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
