"""The entry of a compiled function: a builtin function that goes from arguments to machine code.

It checks its arguments against a spec (compiler/entry_spec.py), makes memory for the outputs, calls
the program, and puts the results together, in about as much time as NumPy takes for one array.
Whatever does not match is passed on to a Python callable, as it came.

Source    CPython's calling convention METH_FASTCALL | METH_KEYWORDS.
"""

from __future__ import annotations

import ctypes
from collections.abc import Callable
from functools import lru_cache
from importlib import import_module
from typing import Any

from chainrule.compiler.cache import own_object_code
from chainrule.compiler.entry_api import api_table
from chainrule.compiler.entry_spec import EntrySpec
from chainrule.compiler.entry_table import Table, make_table
from chainrule.compiler.machine_code import Loaded

LIMIT = 2000  # of leaves and containers, and of outputs: their places are on the stack

_FASTCALL_KEYWORDS = 0x80 | 0x2


class _Method(ctypes.Structure):
    """CPython's PyMethodDef."""

    _fields_ = [
        ("name", ctypes.c_char_p),
        ("function", ctypes.c_void_p),
        ("flags", ctypes.c_int),
        ("doc", ctypes.c_char_p),
    ]


def make_entry(
    spec: EntrySpec,
    main: int,
    slow: Callable,
    *,
    runtime: int = 0,
    arena_bytes: int = 0,
    name: str = "compiled",
    keep: Any = None,
) -> Callable | None:
    """A builtin function that calls the program at address `main`, or `slow(*args, **kwargs)`.

    `keep` is what must stay alive with it: the machine code, the table `runtime`. None where there
    can be no entries (see entry_api.py) or the spec is larger than LIMIT.

    `slow` is called where the arguments, captured values or guards do not match, where arrays that
    are written share memory with others, and where `main` fails; nothing is written until then but
    what a failing `main` wrote. Exceptions of `slow` are the entry's.
    """
    if api_table() is None:
        return None
    table = make_table(spec, main, runtime, arena_bytes, slow)
    if table.parts > LIMIT or len(spec.outputs) > LIMIT:
        return None
    method = _Method(name.encode(), _code().address("entry"), _FASTCALL_KEYWORDS, None)
    table.kept += [keep, method]
    return _builtin_function(method, table)


@lru_cache(maxsize=1)
def _code() -> Loaded:
    """The code of all entries; a cache keeps it until the end of the process."""
    loaded = Loaded(own_object_code("entry", _text, 2))
    ctypes.pythonapi.Py_IncRef(ctypes.py_object(loaded))  # entries may outlive this module
    return loaded


def is_compiled() -> bool:
    """Whether the code of entries is there: an entry costs next to nothing then."""
    return _code.cache_info().currsize > 0


def _text() -> str:
    return import_module("chainrule.compiler.entry_code").entry_code()


def _builtin_function(method: _Method, table: Table) -> Callable:
    # A prototype of our own: pythonapi's functions are shared, and so are their argtypes.
    prototype = ctypes.PYFUNCTYPE(
        ctypes.py_object, ctypes.c_void_p, ctypes.py_object, ctypes.c_void_p
    )
    make = prototype(("PyCFunction_NewEx", ctypes.pythonapi))
    return make(ctypes.addressof(method), table, None)
