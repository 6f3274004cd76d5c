"""Which code a trace runs: it is noted by a profile function, which Python calls for every call.

That takes longer than many of the calls, of functions written in C too. So it is put aside where
only code of chainrule's own runs, and none of the user's can be called.
"""

from __future__ import annotations

import sys
from collections.abc import Callable, Iterable, Iterator
from contextlib import contextmanager
from importlib import import_module
from types import CodeType, FrameType
from typing import Any

import numpy as np

from chainrule.program.trace import Traced

PLAIN = {Traced, np.ndarray, float, int, bool, complex}  # values that bring no code of the user's
_PLAIN_OPTIONS = PLAIN | {
    type(None), str, slice, type(...), np.bool_, *np.sctypeDict.values(),
    *(type(np.dtype(t)) for t in np.sctypeDict.values()),
}  # fmt: skip
_IMPORT = import_module("_frozen_importlib")._find_and_load.__code__


class Noting:
    """A profile function that notes which code is called, and calls the one that was there.

    The code of a module that is imported is not noted: it runs once, in no later call.
    """

    def __init__(self, ran: dict[CodeType, dict], before: Callable | None):
        self.ran, self.before = ran, before
        self._importing: FrameType | None = None

    def __call__(self, frame: FrameType, event: str, argument) -> None:
        if event == "call":
            if self._importing is None:
                if frame.f_code is _IMPORT:
                    self._importing = frame
                else:
                    self.ran[frame.f_code] = frame.f_globals
        elif frame is self._importing and event == "return":
            self._importing = None
        if self.before is not None:
            self.before(frame, event, argument)


def are_plain(values: Iterable) -> bool:
    """Whether arguments, and the entries of tuples and lists among them, bring no code of the
    user's: numbers, arrays, types of numbers, names, parts of indices."""
    return all(
        type(x) in _PLAIN_OPTIONS
        or (type(x) in (tuple, list) and are_plain(x))
        or (type(x) is type and x in _PLAIN_OPTIONS)
        for x in values
    )


@contextmanager
def code_that_runs() -> Iterator[dict[CodeType, dict]]:
    """The code that this thread runs inside, with its global names, in the order of first calls."""
    ran: dict[CodeType, dict] = {}

    before: Any = sys.getprofile()
    plain = before is None or callable(before)  # not so cProfile's before Python 3.12
    sys.setprofile(Noting(ran, before if plain else None))
    try:
        yield ran
    finally:
        if plain:
            sys.setprofile(before)
        else:
            before.enable()  # sys.setprofile takes functions only


@contextmanager
def code_of_ours() -> Iterator[None]:
    """Code that calls none of the user's, and need not be noted."""
    noting = sys.getprofile()
    if type(noting) is not Noting:
        yield
        return
    sys.setprofile(noting.before)
    try:
        yield
    finally:
        sys.setprofile(noting)


def unnoted(function: Callable, *arguments) -> Any:
    """`function(*arguments)`, which calls none of the user's code; what it calls is not noted.

    As `code_of_ours` does it, without the microsecond of a context manager: every operator of a
    traced value is called so.
    """
    noting = sys.getprofile()
    if type(noting) is not Noting:
        return function(*arguments)
    sys.setprofile(noting.before)
    try:
        return function(*arguments)
    finally:
        sys.setprofile(noting)
