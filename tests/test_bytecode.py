"""Names in compiled code: as `dis` reads them, and as one sees them in the source."""

import argparse
import ast
import dataclasses
import inspect
import textwrap
import types

import numpy as np
import pytest

from chainrule import bytecode, tracing
from chainrule.bytecode import names_in, read, read_by_dis


def codes_of(module):
    """All code of a module's source, as it is compiled."""
    pending = [compile(inspect.getsource(module), module.__name__, "exec")]
    while pending:
        code = pending.pop()
        yield code
        pending += [c for c in code.co_consts if isinstance(c, types.CodeType)]


@pytest.mark.skipif(not bytecode._KNOWN, reason="dis is asked")
@pytest.mark.parametrize("module", [argparse, ast, dataclasses, inspect, textwrap, np.ma, tracing])
def test_code_is_read_as_dis_reads_it(module):
    for code in codes_of(module):
        found, wanted = list(read(code)), list(read_by_dis(code))
        assert [n for n, _ in found] == [n for n, _ in wanted], code
        assert all(a is b or a == b for (_, a), (_, b) in zip(found, wanted, strict=True)), code


def test_names_are_told_apart_by_how_they_are_used():
    def outer():
        kept = 0

        def inner(x):
            nonlocal kept
            global other
            import json.decoder
            from os import path as p

            kept = x.shape
            other = np.sin(x)
            x.data = p.sep
            return json

        return inner

    found = names_in(outer.__code__)
    assert {"np", "other"} <= found.globals
    assert {"shape", "sin", "sep", "path", "data"} <= found.attributes
    assert found.stored == {"kept", "other", "data"}
    assert found.imported == {(0, "os"), (0, "json.decoder")}


def test_imports_are_read_where_there_are_very_many_names():
    """Beyond 256 names and constants an instruction has its argument in two parts."""
    many = "\n".join(f"    a{i} = x.b{i} + {i}.5" for i in range(600))
    space: dict = {}
    exec(f"def f(x):\n{many}\n    from os import path\n    return g(path)", space)
    found = names_in(space["f"].__code__)
    assert (0, "os") in found.imported
    assert "g" in found.globals and {f"b{i}" for i in range(600)} <= found.attributes
