"""Whether the user's code may catch what is raised now: it is inside `try`, or `with`.

A traced operation is not run, so an error of its own comes when the program runs, past the `except`
that was written for it. Where the code may catch one, operations that may raise are run at once.

The table of a code object says which of its instructions an exception is caught in; the format is
that of CPython's Objects/exception_handling_notes.txt.
"""

from __future__ import annotations

import functools
import sys
from collections.abc import Callable, Iterator
from types import CodeType


def may_be_caught(is_internal: Callable[[str], bool], outermost: str) -> bool:
    """Whether code of the user's, in frames up to the first one of the file `outermost`, is where
    it catches exceptions."""
    frame = sys._getframe(1)
    while frame is not None and frame.f_code.co_filename != outermost:
        code = frame.f_code
        if code.co_exceptiontable and not is_internal(code.co_filename):
            if any(frame.f_lasti in caught for caught in caught_in(code)):
                return True
        frame = frame.f_back  # type: ignore[assignment]
    return False


@functools.lru_cache(maxsize=1024)
def caught_in(code: CodeType) -> tuple[range, ...]:
    """The offsets of instructions that a handler of the code catches exceptions of."""
    table = iter(code.co_exceptiontable)
    found = []
    for first in table:
        start, length = 2 * _number(table, first), 2 * _number(table)
        _number(table), _number(table)  # the handler, and the stack that it finds
        found.append(range(start, start + length))
    return tuple(found)


def _number(table: Iterator[int], byte: int | None = None) -> int:
    """A number of the table: six bits a byte, the highest first, and a bit for more of them."""
    byte = next(table) if byte is None else byte
    found = byte & 63
    while byte & 64:
        byte = next(table)
        found = found << 6 | byte & 63
    return found
