"""A closed program as bytes, and back: what a derivative is kept as on disk.

Packed are structure, names, literals and params, all of plain data (marshal). Lines of the user's
code are numbers in a list that both sides have. What has a meaning beyond its bits, a function or
an object of the user's, is not packed; nor are barriers, whose tokens are one process's own.
"""

from __future__ import annotations

import marshal
import sys
from collections.abc import Iterator
from fractions import Fraction
from typing import Any

import numpy as np

from chainrule.program.cost import subprograms
from chainrule.program.exact import ExactFloat
from chainrule.program.names import Name
from chainrule.program.op import REGISTRY, Op
from chainrule.program.program import Equation, Literal, Operand, Program, Var
from chainrule.program.types import Type, array_type

_PLAIN = (type(None), bool, int, float, complex, str)


class Unfit(Exception):
    """Something that cannot be packed."""


class Lines:
    """The lines of a program's equations, and of those inside, numbered as they first appear."""

    def __init__(self, program: Program):
        self.all: list = [None]
        self._number: dict[Any, int] = {None: 0}
        self.pattern = [self._enter(e.line) for e in equations_of(program)]

    def _enter(self, line) -> int:
        found = self._number.setdefault(_identity(line), len(self.all))
        if found == len(self.all):
            self.all.append(line)
        return found

    def number(self, line) -> int:
        """The number of a line. **Errors** `Unfit` for one of another program."""
        found = self._number.get(_identity(line))
        if found is None:
            raise Unfit
        return found


def _identity(line) -> Any:
    """What tells lines apart: code objects that are equal may stand in two files."""
    return (id(line[0]), line[1]) if isinstance(line, tuple) else line


def equations_of(program: Program) -> Iterator[Equation]:
    """The equations of a program, each followed by those of its sub-programs."""
    for equation in program.equations:
        yield equation
        if equation.params:
            for _, inner in subprograms(equation):
                yield from equations_of(inner)


def pack(program: Program, lines: Lines) -> bytes:
    """The program as bytes. **Errors** `Unfit` where it cannot be."""
    packer = _Packer(lines)
    packed = packer.program(program)
    types = [(t.shape, t.dtype.str) for t in packer.types]
    return marshal.dumps((types, packed))


def unpack(content: bytes, lines: Lines) -> Program:
    """The program that was packed, with these lines. **Errors** `Unfit` where it holds an
    operation that this process has not."""
    types, packed = marshal.loads(content)
    made = [array_type(shape, np.dtype(dtype)) for shape, dtype in types]
    return _Unpacker(made, lines.all).program(packed)


class _Packer:
    def __init__(self, lines: Lines):
        self.lines = lines
        self.types: dict[Type, int] = {}
        self.programs: dict[int, int] = {}  # by identity

    def program(self, program: Program) -> tuple:
        if program.captured:
            raise Unfit
        number: dict[Operand, int] = {}
        inputs = [self._var(v, number) for v in program.inputs]
        equations = [self._equation(e, number) for e in program.equations]
        outputs = [self._operand(x, number) for x in program.outputs]
        return program.name, inputs, equations, outputs

    def _type(self, type_: Type) -> int:
        return self.types.setdefault(type_, len(self.types))

    def _var(self, var: Var, number: dict[Operand, int]) -> tuple:
        number[var] = len(number)
        name: Any = var.name
        if type(name) is Name:
            name = (str(name), name.of and str(name.of), [*map(str, name.also)], name.temporary)
        return self._type(var.type), name

    def _operand(self, x: Operand, number: dict[Operand, int]) -> Any:
        found = number.get(x)
        if found is not None:
            return found
        assert isinstance(x, Literal)
        exact = None if x.exact is None else _numbers(x.exact)
        return self._type(x.type), x.value.dtype.str, x.value.tobytes(), exact

    def _equation(self, equation: Equation, number: dict[Operand, int]) -> tuple:
        op = equation.op
        if op.name not in REGISTRY or REGISTRY[op.name] is not op or op.name == "barrier":
            raise Unfit
        inputs = [self._operand(x, number) for x in equation.inputs]
        params = [(name, self._value(value)) for name, value in equation.params.items()]
        outputs = [self._var(v, number) for v in equation.outputs]
        return op.name, inputs, params, outputs, self.lines.number(equation.line)

    def _value(self, value) -> tuple:
        kind = type(value)
        if kind in _PLAIN:
            return "plain", value
        if kind is ExactFloat:
            return "exact", _numbers(value)
        if kind in (tuple, list):
            return kind.__name__, [self._value(item) for item in value]
        if kind is Program:
            if id(value) in self.programs:
                return "again", self.programs[id(value)]
            packed = self.program(value)
            self.programs[id(value)] = len(self.programs)
            return "program", packed
        if isinstance(value, Type):
            return "type", self._type(value)
        if isinstance(value, Op) and REGISTRY.get(value.name) is value:
            return "operation", value.name
        if isinstance(value, np.dtype) and value.kind in "?biufc":
            return "dtype", value.str
        if kind is np.ndarray and value.dtype.kind in "?biufc":
            return "array", (value.dtype.str, value.shape, value.tobytes())
        raise Unfit


class _Unpacker:
    def __init__(self, types: list[Type], lines: list):
        self.types, self.lines = types, lines
        self.programs: list[Program] = []

    def program(self, packed: tuple) -> Program:
        name, inputs, equations, outputs = packed
        variables: list[Operand] = []
        made_inputs = [self._var(v, variables) for v in inputs]
        made = [self._equation(e, variables) for e in equations]
        found = [self._operand(x, variables) for x in outputs]
        return Program(made_inputs, made, found, name=name)

    def _var(self, packed: tuple, variables: list[Operand]) -> Var:
        type_, name = packed
        made = Var(self.types[type_], name if type(name) is not tuple else _name(*name))
        variables.append(made)
        return made

    def _operand(self, x, variables: list[Operand]) -> Operand:
        if type(x) is int:
            return variables[x]
        type_, dtype, content, exact = x
        value = np.frombuffer(content, dtype)[0]
        return Literal(value, self.types[type_], None if exact is None else _exact(exact))

    def _equation(self, packed: tuple, variables: list[Operand]) -> Equation:
        name, inputs, params, outputs, line = packed
        given = tuple([self._operand(x, variables) for x in inputs])
        values = {key: self._value(*value) for key, value in params}
        made = tuple([self._var(v, variables) for v in outputs])
        return Equation(_operation(name), given, values, made, self.lines[line])

    def _value(self, kind: str, value) -> Any:
        if kind == "plain":
            return value
        if kind == "exact":
            return _exact(value)
        if kind == "tuple":
            return tuple([self._value(*item) for item in value])
        if kind == "list":
            return [self._value(*item) for item in value]
        if kind == "program":
            self.programs.append(self.program(value))
            return self.programs[-1]
        if kind == "again":
            return self.programs[value]
        if kind == "array":
            dtype, shape, content = value
            return np.frombuffer(content, dtype).reshape(shape).copy()
        if kind == "type":
            return self.types[value]
        return _operation(value) if kind == "operation" else np.dtype(value)


def _operation(name: str) -> Op:
    if name not in REGISTRY:
        raise Unfit
    return REGISTRY[name]


def _name(text: str, of: str | None, also: list[str], temporary: bool) -> Name:
    made = Name(text, of and sys.intern(of), temporary)  # names are compared by identity
    made.also = [*map(sys.intern, also)]
    return made


def _numbers(exact: ExactFloat) -> tuple:
    powers = [(name, p.numerator, p.denominator) for name, p in exact.powers.items()]
    return exact.ratio.numerator, exact.ratio.denominator, powers


def _exact(numbers: tuple) -> ExactFloat:
    above, below, powers = numbers
    return ExactFloat(Fraction(above, below), {n: Fraction(a, b) for n, a, b in powers})
