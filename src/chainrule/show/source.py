"""Code out: a traced function, or its derivative, as a Python function that needs only NumPy.

The source of a program does what the reference evaluator does, in the same order of floating-point
operations, so its results have the same bits. It holds for arguments of the shapes and dtypes that
it was made for, and for the Python branches that were taken.
"""

from __future__ import annotations

from collections import Counter
from collections.abc import Callable

import numpy as np

from chainrule import errors
from chainrule.program.garbage import collector_paused
from chainrule.program.names import naming
from chainrule.program.program import Literal, Program
from chainrule.program.text import line_text, variable_names
from chainrule.program.trace import current, user_line
from chainrule.program.tree import flatten
from chainrule.program.types import type_of
from chainrule.show.ending import Ending, with_sections
from chainrule.show.fragments import WIDTH, Fragment, array, dtype_text, wrapped
from chainrule.show.memory_order import C_ORDER, DENSE
from chainrule.show.python_numbers import unsafe_numbers
from chainrule.show.signature import Signature, captured_names, is_small
from chainrule.show.user_names import name_values
from chainrule.show.writer import Body, Writer
from chainrule.tracing import Call, trace_call


def trace(f: Callable, *args, **kwargs) -> Program:
    """The program that `f(*args, **kwargs)` runs: its operations on arrays, in order.

    `f` may be a derivative, such as `grad(g)`. Arrays that the function closes over are listed as
    captured. Outputs are the leaves of the function's result, and then what it writes to its
    arguments.

    >>> print(trace(lambda x: 2.0 * x + 1.0, 3.0).text())
    program f(x: f64[]) -> f64[]
      a = multiply 2.0 x                     : f64[]   # ...
      result = add a 1.0                     : f64[]   # ...
      return result
    """
    return _open(named_call(f, args, kwargs))


def named_call(f: Callable, args: tuple, kwargs: dict) -> Call:
    """A traced call whose variables have the names of the user's file."""
    if current() is not None:
        raise errors.NotSupported(
            f"trace, source and graph show a function from outside; here, at "
            f"{line_text(user_line())}, another function is being traced.\n"
            "  Call them on the outer function instead."
        )
    with naming(name_values):
        return trace_call(f, args, kwargs)


def _open(call: Call) -> Program:
    """The program of a call with its captured arrays listed as captured."""
    p, n = call.program, call.leading
    return Program(p.inputs[n:], p.equations, p.outputs, p.inputs[:n], call.operands[:n], p.name)


def source(f: Callable | Program, *args, **kwargs) -> str:
    """A Python function that computes `f(*args, **kwargs)` and needs only NumPy, as text.

    `f` may be a derivative, such as `grad(g)`, or any function that calls derivatives, or a program
    (then the function takes its inputs and returns the tuple of its outputs). Executing the text
    gives the same bits as the reference evaluator, for arguments of the same shapes and dtypes,
    and for the same Python branches. Names are the user's own where the file tells them; `d_y` is
    the derivative of the result with respect to y. SciPy is imported where special functions need
    it. Small captured arrays are written out above the function; larger ones become keyword
    parameters. What the function writes to its arguments, the printed one writes too.

    >>> print(source(lambda x: x * np.sin(x), 1.0).splitlines()[-1])
        return x * np.sin(x)
    """
    with collector_paused():
        if isinstance(f, Program):
            return _program_source(f)
        call = named_call(f, args, kwargs)
        return _Source(call, Signature.of_call(f, args, kwargs), captured_names(f, call)).text()


def _program_source(program: Program) -> str:
    closed, count = program.closed(), len(program.outputs)
    hosts = [*program.captured_values, *(None for _ in program.inputs)]
    structure = flatten((0.0,) * count)[1]
    call = Call(closed, hosts, len(program.captured), structure, count, [], {}, program.name)
    names = variable_names(program)
    signature = Signature.of_names(program.name, [names[v] for v in program.inputs])
    return _Source(call, signature, [names[v] for v in program.captured]).text()


class _Source:
    """The text of one module: imports, constants, definitions, and the function."""

    def __init__(self, call: Call, signature: Signature, names: list[str]):
        self.call, self.signature, self._names = call, signature, names

    def text(self) -> str:
        """The module's text."""
        taken: set[str] = set()
        while True:  # again, where a variable has the name of a definition
            own = {self.signature.name, *self.signature.parameter_names, *self._names}
            self.constants: list[str] = []
            self.writer = Writer(self.call.program, own, taken)
            self.definitions = self.writer.definitions
            lines = self._function()
            clash = self.definitions.entered & self.writer.names.taken - taken
            if not clash:
                return self._joined(lines)
            taken |= clash

    def _joined(self, lines: list[str]) -> str:
        if not any("np." in text for text in [*lines, *self.constants, *self.definitions.blocks]):
            self.definitions.imports.remove("import numpy as np")
        parts = [_imports_text(self.definitions.imports)]
        if self.constants:
            parts.append("\n" + "\n".join(self.constants))
        before = ""
        for block in self.definitions.blocks:
            values = not block.startswith(_FUNCTION) and not before.startswith(_FUNCTION)
            gap = "" if values and before else "\n" if values else "\n\n"
            parts.append(gap + block)
            before = block
        return "\n".join([*parts, "\n\n" + "\n".join(lines)]).lstrip()

    def _function(self) -> list[str]:
        self.writer.names.taken |= {self.signature.name, *self.signature.parameter_names}
        captured = self._captured()
        inputs = [*captured, *map(Fragment, self.signature.leaves)]
        body = self.writer.body(self.call.program, inputs, self._donated(), outermost=True)
        self._note_layouts()
        self._convert_numbers(body)
        results = body.results()
        lines_before_end = len(self.writer.lines)
        ending = Ending(self.call, self.signature, self.writer, body, results, captured)
        ending.write()
        with_sections(self.writer, lines_before_end)
        return [*wrapped(f"def {self.signature.name}({self._parameters()}):", ""),
                *self._docstring(), *self.writer.lines]  # fmt: skip

    def _parameters(self) -> str:
        parameters = self.signature.parameter_text()
        return ", ".join([*parameters, *(["*", *self.keywords] if self.keywords else [])])

    def _captured(self) -> list[Fragment | Literal]:
        """The captured arrays: numbers, constants above the function, or keyword parameters."""
        self.keywords: list[str] = []
        self.notes: list[str] = []
        written = self._donated()
        out: list[Fragment | Literal] = []
        hosts = self.call.operands[: self.call.leading]
        for i, (wish, host) in enumerate(zip(self._names, hosts, strict=True)):
            if host.ndim == 0 and i not in written:
                out.append(Literal(host[()]))
                continue
            name = self.writer.names.new(wish)
            out.append(Fragment(name))
            if is_small(host):
                self.constants += wrapped(f"{name} = {array(host).text}", "")
            else:
                self.keywords.append(name)
                self.notes.append(f"{name}: {_type_text(type_of(host))}, an array it closes over")
        return out

    def _donated(self) -> tuple[int, ...]:
        """Inputs that may be overwritten as the function goes: those that it writes at last."""
        hosts = self.call.operands
        count = Counter(map(id, hosts))
        written = {e.target for e in self.call.effects if e.target is not None}
        return tuple(
            sorted(
                i for i in written
                if isinstance(hosts[i], np.ndarray) and hosts[i].ndim and count[id(hosts[i])] == 1
            )
        )  # fmt: skip

    def _note_layouts(self) -> None:
        for var, host in zip(self.call.program.inputs, self.call.operands, strict=True):
            if isinstance(host, np.ndarray):
                dense = DENSE if host.flags.forc else None
                self.writer.layouts.set(var, C_ORDER if host.flags.c_contiguous else dense)

    def _convert_numbers(self, body: Body) -> None:
        """Make NumPy scalars of arguments that may be Python numbers, where it matters."""
        start = self.call.leading
        written = {e.target for e in self.call.effects}
        for i in sorted(unsafe_numbers(body.program, body.reading.light)):
            if i < start:
                continue  # a captured array is NumPy's
            var = body.program.inputs[i]
            leaf = body.fragments[var].text
            keeps_place = leaf.isidentifier() and i not in written
            name = leaf if keeps_place else self.writer.names.of(var)
            self.writer.line(f"{name} = {dtype_text(var.type.dtype)}({leaf})")
            body.fragments[var] = Fragment(name)

    def _docstring(self) -> list[str]:
        types = [v.type for v in self.call.program.inputs[self.call.leading :]]
        parts = [
            f"{leaf}: {_type_text(t)}" for leaf, t in zip(self.signature.leaves, types, strict=True)
        ]
        parts += [*self.signature.notes, *self.notes]
        first = self.signature.words[0].upper() + self.signature.words[1:]
        first = first if " " in self.signature.words else self.signature.words
        line = f'    """{first}, for {", ".join(parts)}."""' if parts else f'    """{first}."""'
        if len(line) <= WIDTH:
            return [line]
        return [f'    """{first}.', "", *(f"    {p}" for p in parts), '    """']


_FUNCTION = ("def ", "class ", "@")


def _imports_text(imports: set[str]) -> str:
    """The imports in two groups, Python's own modules first, as formatters sort them."""
    others = {line for line in imports if "numpy" in line or "scipy" in line}
    groups = [_merged(imports - others), _merged(others)]
    return "\n\n".join("\n".join(group) for group in groups if group)


def _merged(imports: set[str]) -> list[str]:
    """Import lines in order, one for each module: `from functools import cache, wraps`."""
    names: dict[str, list[str]] = {}
    for line in sorted(line for line in imports if line.startswith("from ")):
        module, _, name = line.removeprefix("from ").partition(" import ")
        names.setdefault(module, []).append(name)
    plain = sorted(line for line in imports if line.startswith("import "))
    return plain + [f"from {module} import {', '.join(found)}" for module, found in names.items()]


def _type_text(t) -> str:
    return f"{t.dtype} {t.shape}" if t.ndim else str(t.dtype)
