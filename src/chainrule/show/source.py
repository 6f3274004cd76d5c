"""Code out: a traced function, or its derivative, as a Python function that needs only NumPy.

The source of a program does what the reference evaluator does, in the same order of floating-point
operations, so its results have the same bits. It holds for arguments of the shapes and dtypes that
it was made for, and for the Python branches that were taken.
"""

from __future__ import annotations

from collections.abc import Callable
from typing import Any

import numpy as np

from chainrule.program.names import naming
from chainrule.program.program import Program
from chainrule.show.definitions import Definitions
from chainrule.show.fragments import Fragment, array
from chainrule.show.signature import Signature, function_name
from chainrule.show.user_names import name_values
from chainrule.show.writer import Body, Writer, role_of
from chainrule.tracing import Call, trace_call


def trace(f: Callable, *args, **kwargs) -> Program:
    """The program that `f(*args, **kwargs)` runs: its operations on arrays, in order.

    `f` may be a derivative, such as `grad(g)`. Arrays that the function closes over are listed as
    captured. Outputs are the leaves of the function's result, and then what it writes to its
    arguments.

    >>> print(trace(lambda x: 2.0 * x + 1.0, 3.0).text())
    program f(x: f64[]) -> f64[]
      a = multiply 2.0 x                     : f64[]   # ...
      result = add 1.0 a                     : f64[]   # ...
      return result
    """
    return _open(_named_call(f, args, kwargs))


def _named_call(f: Callable, args: tuple, kwargs: dict) -> Call:
    with naming(name_values):
        return trace_call(f, args, kwargs)


def _open(call: Call) -> Program:
    """The program of a call with its captured arrays listed as captured."""
    p, n = call.program, call.leading
    return Program(p.inputs[n:], p.equations, p.outputs, p.inputs[:n], call.operands[:n], p.name)


def source(f: Callable, *args, **kwargs) -> str:
    """A Python function that computes `f(*args, **kwargs)` and needs only NumPy, as text.

    `f` may be a derivative, such as `grad(g)`, or any function that calls derivatives. Executing
    the text gives the same bits as the reference evaluator. Names are the user's own where the
    file tells them; `d_y` is the derivative of the result with respect to y. SciPy is imported
    where special functions need it. Small captured arrays are written out above the function;
    larger ones become keyword parameters. What the function writes to its arguments, the printed
    one writes too.

    >>> print(source(lambda x: x * np.sin(x), 1.0))
    import numpy as np
    <BLANKLINE>
    <BLANKLINE>
    def f(x):
        return x * np.sin(x)
    """
    call = _named_call(f, args, kwargs)
    return _Source(call, Signature(f, args, kwargs, call)).text()


def program_source(program: Program) -> str:
    """The source of a program: a function of its captured arrays and inputs to a tuple."""
    closed = program.closed()
    call = Call(closed, [None] * len(closed.inputs), 0, None, len(closed.outputs), [], {}, "f")
    return _Source(call, None).text()


class _Source:
    """The text of one module: imports, constants, definitions, and the function."""

    def __init__(self, call: Call, signature: Signature | None):
        self.call, self.signature = call, signature

    def text(self) -> str:
        taken: set[str] = set()
        while True:  # again, where a variable has the name of a definition
            self.definitions = Definitions()
            self.constants: list[str] = []
            lines = self._function(taken)
            clash = set(self.definitions.names) & self.writer.names.taken - taken
            if not clash:
                return self._joined(lines)
            taken |= clash
