"""A function that fills arrays of its own with traced values is traced with these arrays traced.

    y = np.empty(3)          NumPy's array asks x for a number: the trace is refused, and the
    y[0] = x                 function traced once more, where np.empty gives a traced array

See chainrule.numpy.buffers for the arrays. For the second trace the generators of NumPy and Python
are put back to where they were before the first, so that it draws the same numbers, and they end
where one run leaves them. Which code needs it is remembered: the next trace of the same function
fills at once. Traced arrays give what plain ones give, to rounding, and tables that are filled with
numbers alone only more slowly, so nothing but the code that needed it is remembered. Where such a
trace is refused, perhaps because another branch is taken, the plain one is tried after it.
"""

from __future__ import annotations

import functools
import types
from collections.abc import Callable
from typing import Any

from chainrule import errors
from chainrule.host_random import HostStates
from chainrule.program.trace import Builder, current, is_internal

MOST = 4096  # functions that are remembered
_REFUSED = (errors.ConcreteValueNeeded, errors.MutationError)
_filling: set[tuple[types.CodeType, ...]] = set()


def filling_where_refused(
    once: Callable[[bool], Any], made: Callable[[], bool], f: Callable, before: HostStates
) -> Any:
    """What `once` gives, which traces the function f: with plain arrays, and where that is refused
    and the function has `made` arrays, with traced ones; the other way round where that was so
    before. `before` are the states of the generators at the beginning."""
    code = _code_of(f)
    outer = current()
    refused = None if outer is None else outer.refused
    if code in _filling:
        try:
            return once(True)
        except Exception as error:
            if _is_of_the_user(error):
                raise
            _set_refused(outer, refused)
            before.restore()
    try:
        return once(False)
    except _REFUSED as error:
        if not made() or code in _filling:
            raise
        first = error
    found = None if outer is None else outer.refused
    _set_refused(outer, refused)
    before.restore()
    try:
        result = once(True)
    except Exception as error:
        if _is_of_the_user(error):
            raise
        _set_refused(outer, found)
        raise first from None
    if code:
        if len(_filling) >= MOST:
            _filling.clear()
        _filling.add(code)
    return result


def _is_of_the_user(error: Exception) -> bool:
    """Whether the function raises this itself: no refusal, and nothing that a traced array could
    be the reason of."""
    return not isinstance(error, errors.ChainruleError | TypeError | AttributeError)


def _set_refused(builder: Builder | None, refused: Exception | None) -> None:
    while builder is not None:
        builder.refused = refused
        builder = builder.parent


def _code_of(f: Callable) -> tuple[types.CodeType, ...]:
    """The code of a function and of those that it closes over; empty where it has none of the
    user's. Those count, for one wrapper has the same code around all functions."""
    inner: Any = f
    while True:
        if isinstance(inner, functools.partial):
            inner = inner.func
        elif isinstance(inner, types.MethodType):
            inner = inner.__func__
        elif hasattr(inner, "__wrapped__"):
            inner = inner.__wrapped__
        else:
            break
    if not isinstance(inner, types.FunctionType):
        inner = next((c for b in type(inner).__mro__ if (c := vars(b).get("__call__"))), None)
    if not isinstance(inner, types.FunctionType):
        return ()
    codes = [inner.__code__]
    for cell in inner.__closure__ or ():
        try:
            held = cell.cell_contents
        except ValueError:  # not assigned yet
            continue
        if isinstance(held, types.FunctionType):
            codes.append(held.__code__)
    return () if all(is_internal(c.co_filename) for c in codes) else tuple(codes)
