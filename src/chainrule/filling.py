"""A function that is refused is traced again with more of what it uses in a traced meaning.

    y = np.empty(3)          NumPy's array asks x for a number: the trace is refused, and the
    y[0] = x                 function traced once more, where np.empty gives a traced array

The first trace takes the function as it is; the next gives traced meanings to names in the modules
of the user (chainrule.numpy.by_name), where its code uses such; the last traces the arrays that it
makes besides (chainrule.numpy.buffers). Before each, the generators of NumPy and Python are put
back to where they were, so that it draws the same numbers, and they end where one run leaves them.
What a function needs is remembered by its code: the next trace begins with that. It gives what the
first would, to rounding, only more slowly, so it is kept to the code that needs it. Where such a
trace is refused, perhaps because another branch is taken, the others are tried after it.
"""

from __future__ import annotations

import functools
import types
from collections.abc import Callable
from typing import Any

from chainrule import errors
from chainrule.host_random import HostStates
from chainrule.numpy.by_name import may_help
from chainrule.program.trace import Builder, current, is_internal

AS_IT_IS, BY_NAME, FILLED = 0, 1, 2  # ways to trace a function
MOST = 4096  # functions that are remembered
_REFUSED = (errors.ConcreteValueNeeded, errors.MutationError, errors.NotSupported)
_needs: dict[tuple[types.CodeType, ...], int] = {}


def traced_again_where_refused(
    once: Callable[[int], Any], made: Callable[[], bool], f: Callable, before: HostStates
) -> Any:
    """What `once` gives, which traces the function f in one of the ways; in the next one where that
    is refused and may help: arrays may be filled where the function has `made` some. `before` are
    the states of the generators at the beginning."""
    code, outer = _code_of(f), current()
    refused = None if outer is None else outer.refused
    begin = _needs.get(code, AS_IT_IS)
    plain: Exception | None = None
    found = None
    for way in (begin, *(w for w in (AS_IT_IS, BY_NAME, FILLED) if w != begin)):
        if way != begin:
            if (way == BY_NAME and not may_help(plain)) or (way == FILLED and not made()):
                continue
            _set_refused(outer, refused)
            before.restore()
        try:
            result = once(way)
        except Exception as error:
            if way == AS_IT_IS:
                if not isinstance(error, _REFUSED):
                    raise
                plain, found = error, None if outer is None else outer.refused
            elif _is_of_the_user(error):
                raise
            continue
        if way != AS_IT_IS and code:
            if len(_needs) >= MOST:
                _needs.clear()
            _needs[code] = way
        return result
    _set_refused(outer, found)
    assert plain is not None
    raise plain


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
