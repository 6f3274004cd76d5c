"""The names in a function's compiled code: globals, attributes, what it assigns to and imports.

`dis` reads the same and is asked where Python is newer than what is known here; it makes an object
of some fifteen fields for each instruction, and takes five times as long.
"""

from __future__ import annotations

import dis
import functools
import sys
import types
from collections import deque
from collections.abc import Iterator
from typing import Any, NamedTuple

_KNOWN = sys.version_info < (3, 14)


class Names(NamedTuple):
    """The names that occur in a function's code: `stored` are those it assigns to, globals,
    attributes and names of enclosing functions; `imported` the modules, with the level at which
    a relative import begins."""

    globals: set[str]
    attributes: set[str]
    stored: set[str]
    imported: set[tuple[int, str]]


@functools.lru_cache(maxsize=4096)
def names_in(code: types.CodeType) -> Names:
    """The names in a function's code, and in that of functions inside of it."""
    found = Names(set(), set(), set(), set())
    for part in _with_inner(code):
        before: deque = deque((None, None), 2)  # the constants that an import takes
        for name, value in read(part) if _KNOWN else read_by_dis(part):
            kind, _, what = name.partition("_")
            if name == "IMPORT_NAME":
                found.imported.add((before[0], value))
            elif what in ("GLOBAL", "NAME"):
                found.globals.add(value)
            elif "ATTR" in what or "METHOD" in what or name == "IMPORT_FROM":
                found.attributes.add(value)
            if kind in ("STORE", "DELETE") and what in ("GLOBAL", "ATTR", "DEREF"):
                found.stored.add(value)
            before.append(value)
    return found


def _with_inner(code: types.CodeType) -> Iterator[types.CodeType]:
    yield code
    for constant in code.co_consts:
        if isinstance(constant, types.CodeType):
            yield from _with_inner(constant)


def read_by_dis(code: types.CodeType) -> Iterator[tuple[str, Any]]:
    """The instructions with a name, a variable of an enclosing function or a constant, each with
    its value."""
    told = {"LOAD_SMALL_INT", *(dis.opname[op] for op in _values())}
    for instruction in dis.get_instructions(code):
        if instruction.opname in told:
            yield instruction.opname, instruction.argval


def read(code: types.CodeType) -> Iterator[tuple[str, Any]]:
    """As `read_by_dis`."""
    values = _values()
    tables = {"name": code.co_names, "const": code.co_consts, "free": _variables(code)}
    words, high = code.co_code, 0
    for i in range(0, len(words), 2):
        op = words[i]
        if op == dis.EXTENDED_ARG:
            high = (high | words[i + 1]) << 8
            continue
        entry = values.get(op)
        if entry is not None:
            name, table, shift = entry
            yield name, tables[table][(high | words[i + 1]) >> shift]
        high = 0


@functools.lru_cache(maxsize=1)
def _values() -> dict[int, tuple[str, str, int]]:
    """For the number of each operation that has such a value: its name, the table that the value is
    in, and how many low bits of the argument say something else."""
    flags = {"LOAD_GLOBAL": 1, "LOAD_ATTR": int(sys.version_info >= (3, 12)), "LOAD_SUPER_ATTR": 2}
    found = {}
    constants = [dis.opmap["LOAD_CONST"]]
    for kind, numbers in (("name", dis.hasname), ("const", constants), ("free", dis.hasfree)):
        for op in numbers:
            name = dis.opname[op]
            found[op] = name, kind, flags.get(name, 0)
    return found


def _variables(code: types.CodeType) -> tuple[str, ...]:
    """The variables by number: a local one that functions inside read has one number."""
    own = set(code.co_varnames)
    cells = [name for name in code.co_cellvars if name not in own]
    return (*code.co_varnames, *cells, *code.co_freevars)
