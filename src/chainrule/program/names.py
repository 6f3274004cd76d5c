"""Names that printed programs and source give to variables.

A variable's name is a wish, a str. A `Name` knows more: what it is the derivative of (`of`), and
whether it only stands for a part of an expression (`temporary`), so that a printer may write the
expression in its place. Transformations hand names on; nothing depends on them.
"""

from __future__ import annotations

import threading
from collections.abc import Callable, Iterator
from contextlib import contextmanager


class Name(str):
    """A wished name; `of` is the name of the value that this one is the derivative of."""

    __slots__ = ("also", "of", "temporary")

    of: str | None
    also: list[str]  # further values that have the same derivative: c, where c = b + 1
    temporary: bool

    def __new__(cls, text: str, of: str | None = None, temporary: bool = False) -> Name:
        made = super().__new__(cls, text)
        made.of, made.also, made.temporary = of, [], temporary
        return made


def derivative_name(name: str | None) -> Name | None:
    """The name of a tangent or cotangent: `d_x` for x; None where the value has no name."""
    return Name(f"d_{name}", name) if name else None


def suggest_name(value, name: str | None) -> None:
    """Give a traced value's variable this name, unless it has one or is a literal.

    A variable that is the derivative of one value already is noted to be that of another one, too.
    """
    variable = getattr(value, "_var", None)
    if not name or variable is None or variable.is_literal or variable.name is name:
        return
    if variable.name is None:
        variable.name = name
    elif type(name) is type(variable.name) is Name and name.of and variable.name.of:
        if name.of is not variable.name.of and not any(a is name.of for a in variable.name.also):
            variable.name.also.append(name.of)


class _Namer(threading.local):
    give: Callable | None = None


_namer = _Namer()


@contextmanager
def naming(give: Callable) -> Iterator[None]:
    """Inside, `give(program)` names the variables of every program that is traced.

    Derived programs are not taken from the cache meanwhile: those in it have other names and lines.
    """
    before = _namer.give
    _namer.give = give
    try:
        yield
    finally:
        _namer.give = before


def names_wanted() -> bool:
    """Whether programs are being named in this thread."""
    return _namer.give is not None


def give_names(program) -> None:
    """Name the variables of a program that has just been traced, where names are wanted."""
    if _namer.give is not None:
        _namer.give(program)
