"""Running printed source, and comparing it with the reference evaluator bit by bit."""

import numpy as np

from chainrule.program.evaluate import Plan
from chainrule.show.source import source


def function_of(text: str, name: str):
    """The function that a printed module defines."""
    namespace: dict = {}
    exec(compile(text, f"<source of {name}>", "exec"), namespace)
    return namespace[name]


def bits(value):
    """What must be equal: dtype, shape and bytes."""
    value = np.asarray(value)
    return value.dtype, value.shape, value.tobytes()


def assert_same_bits(found, wanted, text: str = ""):
    """Values of two runs have the same dtypes, shapes and bits."""
    assert len(found) == len(wanted)
    for ours, theirs in zip(found, wanted, strict=True):
        assert bits(ours) == bits(theirs), f"{ours!r} is not {theirs!r}\n{text}"


def copies(values) -> list:
    """The values, arrays copied with their memory order."""
    return [np.copy(v) if isinstance(v, np.ndarray) else v for v in values]


def run_source(program, values) -> list:
    """The outputs of a program's printed source; its arguments must stay as they are."""
    text = source(program)
    given = copies(values)[len(program.captured) :]
    with np.errstate(all="ignore"):
        found = function_of(text, program.name)(*given)
    for before, after in zip(values[len(program.captured) :], given, strict=True):
        assert bits(before) == bits(after), f"an argument changed\n{text}"
    return list(found)


def assert_source_equals_program(program, values):
    """Executing the source gives the bits of the reference evaluator."""
    wanted = Plan(program.closed())(copies(values))
    assert_same_bits(run_source(program, values), wanted, source(program))
