"""NumPy's function protocol: the table of NumPy functions that accept traced values.

`@implements(np.stack)` enters a function in the table. A NumPy function that is not in it raises
`NotSupported` with its name; so does an option that an implementation does not take.
"""

from __future__ import annotations

import inspect
from collections.abc import Callable
from functools import lru_cache

from chainrule import errors
from chainrule.program.noting import are_plain, unnoted
from chainrule.program.text import line_text
from chainrule.program.trace import Traced, user_line

FUNCTIONS: dict[Callable, Callable] = {}
# Modules that use other functions of NumPy only, so that theirs run on traced values as they are.
_WRITTEN_IN_NUMPY = ("numpy.polynomial.polynomial",)


_KEEP = "return the value from the traced function, and store what the call gives."
_SHOW = "print(x) and f'{x}' show a traced value."
_INSTEAD = {
    "save": _KEEP, "savez": _KEEP, "savez_compressed": _KEEP, "savetxt": _KEEP,
    "array2string": _SHOW, "array_repr": _SHOW, "array_str": _SHOW,
}  # fmt: skip


def implements(*functions: Callable):
    """Register the decorated function as the meaning of these NumPy functions on traced values."""

    def register(implementation: Callable) -> Callable:
        for function in set(functions):
            if function in FUNCTIONS:
                raise ValueError(f"{full_name(function)} is implemented twice")
            FUNCTIONS[function] = implementation
        return implementation

    return register


def array_function(self, func, types, args, kwargs):
    """The `__array_function__` of traced values."""
    if len(types) > 1 and any(hasattr(t, "refuse_as_result") for t in types):
        return NotImplemented  # of a selection by a mask
    implementation = FUNCTIONS.get(func)
    if implementation is None and func.__module__ in _WRITTEN_IN_NUMPY:
        implementation = func._implementation
    if implementation is None:
        raise errors.NotSupported(
            f"{full_name(func)} is not supported on traced values, at {line_text(user_line())}: "
            + _INSTEAD.get(func.__name__, "write it with other functions of NumPy.")
        )
    if kwargs:
        refuse_unknown(func, implementation, kwargs)
    if are_plain(args) and are_plain(kwargs.values()):
        return unnoted(_called, implementation, args, kwargs)
    return implementation(*args, **kwargs)


def _called(implementation: Callable, args: tuple, kwargs: dict):
    return implementation(*args, **kwargs)


def full_name(func) -> str:
    """np.linalg.solve for numpy.linalg.solve."""
    module = (getattr(func, "__module__", "") or "").replace("numpy", "np", 1)
    return f"{module}.{getattr(func, '__name__', func)}"


def refuse_unknown(func, implementation, kwargs) -> None:
    """Raise NotSupported for an option that an implementation of `func` does not take."""
    accepted = _accepted(implementation)
    if accepted is None:
        return
    for option in kwargs:
        if option not in accepted:
            raise errors.NotSupported(
                f"{full_name(func)}({option}=...) is not supported on traced values, "
                f"at {line_text(user_line())}."
            )


@lru_cache(maxsize=1024)
def _accepted(implementation) -> frozenset[str] | None:
    """The names of the options that an implementation takes; None where it takes any."""
    accepted = inspect.signature(implementation).parameters
    if any(p.kind is p.VAR_KEYWORD for p in accepted.values()):
        return None
    return frozenset(accepted)


def install() -> None:
    """Give traced values the protocol. Called once, when chainrule.numpy is imported."""
    setattr(Traced, "__array_function__", array_function)  # noqa: B010
