"""Whether the user's code may catch what is raised now: it is inside of `try`.

A traced operation is not run, so an error of its own comes when the program runs, past the `except`
that was written for it. Where the code may catch one, operations that may raise are run at once.
`with` counts for nothing: next to none catches, and what is run at once is run twice.

The table of a code object says where its instructions go on when they raise; the format is that of
CPython's Objects/exception_handling_notes.txt.
"""

from __future__ import annotations

import functools
import sys
from collections.abc import Callable, Iterator
from dis import opmap
from types import CodeType, FrameType

_HANDLER, _OF_WITH = opmap["PUSH_EXC_INFO"], opmap["WITH_EXCEPT_START"]


def may_be_caught(is_internal: Callable[[str], bool], outermost: str) -> bool:
    """Whether code of the user's, in frames up to the first one of the file `outermost`, is where
    it catches exceptions."""
    frame: FrameType | None = sys._getframe(1)
    while frame is not None and frame.f_code.co_filename != outermost:
        code = frame.f_code
        if code.co_exceptiontable and not is_internal(code.co_filename):
            if any(frame.f_lasti in caught for caught in caught_in(code)):
                return True
        frame = frame.f_back
    return False


@functools.lru_cache(maxsize=1024)
def caught_in(code: CodeType) -> tuple[range, ...]:
    """The offsets of the instructions that are inside of `try`, by handler."""
    instructions = code.co_code
    return tuple([
        offsets for offsets, target in entries(code)
        if instructions[target] == _HANDLER and instructions[target + 2] != _OF_WITH
    ])  # fmt: skip


def entries(code: CodeType) -> list[tuple[range, int]]:
    """The entries of a code's table: offsets of instructions, and where they go on."""
    table = iter(code.co_exceptiontable)
    found = []
    for first in table:
        start, length, target = 2 * _number(table, first), 2 * _number(table), 2 * _number(table)
        _number(table)  # the stack that is found there
        found.append((range(start, start + length), target))
    return found


def _number(table: Iterator[int], byte: int | None = None) -> int:
    """A number of the table: six bits a byte, the highest first, and a bit for more of them."""
    byte = next(table) if byte is None else byte
    found = byte & 63
    while byte & 64:
        byte = next(table)
        found = found << 6 | byte & 63
    return found
