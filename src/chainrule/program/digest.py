"""A program's digest: equal for programs of one structure, in every process.

As `Program.key`, it counts neither lines, names, nor the content of captured arrays. Numbers that
only tell things apart (the tokens of barriers) are counted anew, in the order of their appearance.
"""

from __future__ import annotations

import hashlib
import struct
from typing import Any

import numpy as np

from chainrule.program.op import REGISTRY, Op
from chainrule.program.program import Equation, Literal, Operand, Program
from chainrule.program.types import Type


class _Foreign(Exception):
    """Something whose meaning is not in its bits: a function, an object of the user's."""


def digest(program: Program) -> str | None:
    """The SHA-256 of the program's structure; None where something in it has no digest.

    **Cost** some microseconds an equation.
    """
    writer = _Writer()
    try:
        writer.program(program)
    except _Foreign:
        return None
    return hashlib.sha256("\n".join(writer.out).encode()).hexdigest()


class _Writer:
    """The lines that are digested; every one begins with what it is."""

    def __init__(self) -> None:
        self.out: list[str] = []
        self.types: dict[Type, str] = {}
        self.programs: dict[int, int] = {}  # by identity
        self.tokens: dict[Any, int] = {}

    def program(self, program: Program) -> None:
        out = self.out
        number: dict[Operand, int] = {}
        inputs = program.captured + program.inputs
        out.append(f"program {len(program.captured)} {len(inputs)} {len(program.equations)}")
        for var in inputs:
            number[var] = len(number)
            out.append(self.type(var.type))
        for equation in program.equations:
            self._equation(equation, number)
        out.append(f"outputs {len(program.outputs)}")
        out.extend([self._operand(x, number) for x in program.outputs])

    def _equation(self, equation: Equation, number: dict[Operand, int]) -> None:
        op, params = equation.op, equation.params
        if op.name not in REGISTRY or REGISTRY[op.name] is not op:
            raise _Foreign
        out = self.out
        counts = f"{len(equation.inputs)} {len(params)} {len(equation.outputs)}"
        out.append(f"equation {op.name} {counts}")
        out.extend([self._operand(x, number) for x in equation.inputs])
        for name, value in params.items():
            out.append(name)
            if op.name == "barrier" and name == "token":
                value = self._token(value)
            self.value(value)
        for var in equation.outputs:
            number[var] = len(number)
            out.append(self.type(var.type))

    def type(self, type_: Type) -> str:
        found = self.types.get(type_)
        if found is None:
            found = self.types[type_] = f"type {type_.dtype.str} {type_.shape}"
        return found

    def _operand(self, x: Operand, number: dict[Operand, int]) -> str:
        found = number.get(x)
        if found is not None:
            return f"variable {found}"
        assert isinstance(x, Literal)
        exact = "" if x.exact is None else f" {x.exact.key!r}"
        return f"literal {self.type(x.type)} {x.value.dtype.str} {x.value.tobytes().hex()}{exact}"

    def _token(self, token) -> tuple:
        """A token as it is told from others, and its budget (transforms/recompute.py)."""
        number = self.tokens.setdefault(token, len(self.tokens))
        return (number, *token[1:]) if isinstance(token, tuple) else (number,)

    def value(self, value) -> None:
        """A param, or a part of one."""
        out = self.out
        if value is None or type(value) in (bool, int, str):
            out.append(f"{type(value).__name__} {value!r}")
        elif type(value) in (tuple, list):
            out.append(f"{type(value).__name__} {len(value)}")
            for item in value:
                self.value(item)
        elif type(value) in (float, complex):
            parts = (value.real, value.imag)
            out.append(f"{type(value).__name__} {struct.pack('<dd', *parts).hex()}")
        elif isinstance(value, np.dtype) and not value.hasobject and value.names is None:
            out.append(f"dtype {value.str}")
        elif isinstance(value, Type):
            out.append(self.type(value))
        elif isinstance(value, Op) and REGISTRY.get(value.name) is value:
            out.append(f"operation {value.name}")
        elif type(value) is Program:
            self._inner(value)
        else:
            self._array(value)

    def _inner(self, program: Program) -> None:
        seen = self.programs.get(id(program))
        if seen is None:
            self.programs[id(program)] = len(self.programs)
            self.program(program)
        else:
            self.out.append(f"program again {seen}")

    def _array(self, value) -> None:
        """An array or a NumPy scalar of numbers."""
        plain = type(value) is np.ndarray or isinstance(value, np.generic)
        if not plain or value.dtype.kind not in "?biufc":
            raise _Foreign
        self.out.append(f"{type(value).__name__} {value.dtype.str} {value.shape}")
        self.out.append(value.tobytes().hex())
