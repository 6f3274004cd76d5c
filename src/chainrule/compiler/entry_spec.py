"""What an entry checks and what it gives back, as data.

A tree of argument specs says which values fit. Its leaves, in the order of tree.flatten, are the
program's inputs; those of the captured values come first. A tree of result specs says what the call
returns. Containers (sequences, dicts, objects) are numbered as they are met, from the outside in.
"""

from __future__ import annotations

from collections.abc import Callable
from typing import Any, NamedTuple

from chainrule.program.types import Type

MISSING: Any = object()  # what a DictGuard expects of a key that is not there


class ArraySpec(NamedTuple):
    """An ndarray (no subclass) of a type, C-contiguous and aligned; writeable if it is written."""

    type: Type
    written: bool = False


class NumberSpec(NamedTuple):
    """A number of exactly this class: float, int (within int64), complex, or a NumPy scalar's.

    Its input is a float64, int64, complex128, or of the scalar's dtype. With a `value`, the number
    must have the same bits.
    """

    kind: type
    value: Any = None


class SameSpec(NamedTuple):
    """The identical object, or an equal str; it is no input."""

    value: Any


class AliasSpec(NamedTuple):
    """The identical object as the leaf that is input `number`; an input with the same memory."""

    number: int


class SequenceSpec(NamedTuple):
    """A tuple or list (exactly) of so many items. In a result: a new one."""

    kind: type
    items: tuple


class DictSpec(NamedTuple):
    """A dict (exactly) with these keys in this order. In a result: a new one."""

    keys: tuple
    items: tuple


class ObjectSpec(NamedTuple):
    """An instance of exactly this class; `attributes` is the spec of its whole `__dict__`."""

    kind: type
    attributes: DictSpec


class Captured(NamedTuple):
    """A value that the function refers to by itself, read anew at each call."""

    value: Any
    spec: ArgumentSpec


class CellGuard(NamedTuple):
    """The closure cell holds the identical object."""

    cell: Any
    expected: Any


class DictGuard(NamedTuple):
    """The dict holds the identical object under a str; or nothing, if MISSING is expected."""

    dict: dict
    key: str
    expected: Any


class CheckGuard(NamedTuple):
    """`function()` is True. Slower than the others: it is Python."""

    function: Callable[[], Any]


class OutputSpec(NamedTuple):
    """An output of the program: new memory, or that of the input `target`, updated in place."""

    type: Type
    target: int | None = None


class ResultLeaf(NamedTuple):
    """The output of this number: an array, or for shape () a NumPy scalar. It has no target."""

    number: int


class ResultArgument(NamedTuple):
    """The caller's own object that was input `number`."""

    number: int


class ResultContainer(NamedTuple):
    """The caller's own container of this number."""

    number: int


class ResultSame(NamedTuple):
    """Always this object."""

    value: Any


class ResultCall(NamedTuple):
    """What `function(*items)` returns: containers of other kinds, or effects done in Python."""

    function: Callable
    items: tuple


ArgumentSpec = ArraySpec | NumberSpec | SameSpec | AliasSpec | SequenceSpec | DictSpec | ObjectSpec
Guard = CellGuard | DictGuard | CheckGuard
ResultSpec = (
    ResultLeaf
    | ResultArgument
    | ResultContainer
    | ResultSame
    | ResultCall
    | SequenceSpec
    | DictSpec
)


class EntrySpec(NamedTuple):
    """All that an entry checks, in this order: guards, captured values, arguments.

    `keywords` are the names of the last arguments, given by keyword in this order. With
    `releases_gil` other Python threads run while the program does.
    """

    arguments: tuple[ArgumentSpec, ...]
    outputs: tuple[OutputSpec, ...]
    result: ResultSpec
    captured: tuple[Captured, ...] = ()
    guards: tuple[Guard, ...] = ()
    keywords: tuple[str, ...] = ()
    releases_gil: bool = False
