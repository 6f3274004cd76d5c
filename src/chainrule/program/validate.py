"""Checking a program against the rules of the language, one pass, linear in its equations.

A valid program assigns every variable once, before its use; its equations have the types that the
type rules of their operations give; array operands of elementwise operations have one shape; its
params can be hashed; its sub-programs are closed and valid; nothing of a trace is left in it.

Checking only reads attributes, so this file imports none of the classes that it checks.
"""

from __future__ import annotations

import numpy as np

from chainrule import errors
from chainrule.program.cost import subprograms
from chainrule.program.text import equation_text, variable_names
from chainrule.program.types import Type

_AROUND = 2  # equations printed before and after the one that breaks a rule


def validate(program) -> None:
    """Return if the program keeps every rule; raise `InvalidProgram` at the first it breaks."""
    _Check(program, set()).run()


class _Check:
    """The check of one program; `done` holds the sub-programs that have been checked."""

    def __init__(self, program, done: set):
        self.program, self.done = program, done
        self.defined: set = set()

    def run(self) -> None:
        program = self.program
        for var in (*program.captured, *program.inputs):
            self._define(var, None)
        if len(program.captured_values) != len(program.captured):
            raise self._error(None, "captured variables and captured values differ in number")
        for number, equation in enumerate(program.equations):
            self._check_operands(number, equation)
            self._check_params(number, equation)
            self._check_types(number, equation)
            for var in equation.outputs:
                self._define(var, number)
        for operand in program.outputs:
            self._check_operand(operand, None, "an output")

    def _define(self, var, number: int | None) -> None:
        if _is_literal(var) is not False:
            raise self._error(number, f"{_what(var)} stands where a variable is assigned")
        if not isinstance(var.type, Type):
            raise self._error(number, f"a variable has the type {var.type!r}, which is no Type")
        if var in self.defined:
            raise self._error(number, "a variable is assigned twice")
        self.defined.add(var)

    def _check_operand(self, operand, number: int | None, what: str) -> None:
        literal = _is_literal(operand)
        if literal is None:
            raise self._error(number, f"{what} is {_what(operand)}")
        if literal:
            self._check_literal(operand, number)
        elif operand not in self.defined:
            raise self._error(number, f"{what} is a variable that is not assigned above")

    def _check_literal(self, literal, number: int | None) -> None:
        value = literal.value
        if not isinstance(value, np.generic):
            raise self._error(number, f"a literal holds {_what(value)}, no NumPy scalar")
        if literal.type.shape or literal.type.dtype != value.dtype:
            raise self._error(number, f"a literal of dtype {value.dtype} has type {literal.type}")

    def _check_operands(self, number: int, equation) -> None:
        for position, operand in enumerate(equation.inputs):
            self._check_operand(operand, number, f"operand {position}")
        if not equation.op.elementwise:
            return
        shapes = {x.type.shape for x in equation.inputs if not x.is_literal}
        if len(shapes) > 1:
            listed = " and ".join(map(str, sorted(shapes)))
            raise self._error(number, f"the operands of {equation.op.name} have shapes {listed}")

    def _check_params(self, number: int, equation) -> None:
        for name, sub in subprograms(equation):
            if sub.captured:
                raise self._error(number, f"the sub-program {name} is not closed: it captures")
            if id(sub) not in self.done:
                self.done.add(id(sub))
                _Check(sub, self.done).run()
        for name, value in equation.params.items():
            try:
                hash(value)
            except TypeError:
                raise self._error(
                    number, f"the param {name} holds {_what(value)}, which cannot be hashed"
                ) from None

    def _check_types(self, number: int, equation) -> None:
        try:
            types = equation.op.type_rule(*[x.type for x in equation.inputs], **equation.params)
        except Exception as error:
            raise self._error(number, f"the type rule refuses it: {error}") from error
        have = tuple(v.type for v in equation.outputs)
        if tuple(types) != have:
            raise self._error(
                number, f"its outputs have types {have}, the type rule gives {tuple(types)}"
            )

    def _error(self, number: int | None, rule: str) -> errors.InvalidProgram:
        name = self.program.name
        if number is None:
            return errors.InvalidProgram(f"in the inputs or outputs of program {name}: {rule}.")
        equation = self.program.equations[number]
        where = f", at {equation.where}" if equation.where else ""
        return errors.InvalidProgram(
            f"equation {number} ({equation.op.name}) of program {name}{where}: {rule}.\n"
            + self._around(number)
        )

    def _around(self, number: int) -> str:
        """The equations around one, with an arrow at it."""
        try:
            names = variable_names(self.program)
        except Exception:  # a broken rule may be the very thing that printing relies on
            names = {}
        first = max(number - _AROUND, 0)
        return "\n".join(
            ("  > " if n == number else "    ") + _printed(equation, names)
            for n, equation in enumerate(
                self.program.equations[first : number + _AROUND + 1], first
            )
        )


def _printed(equation, names: dict) -> str:
    try:
        return equation_text(equation, names)
    except Exception:
        return f"({equation.op.name}, which cannot be printed)"


def _is_literal(operand) -> bool | None:
    """True for literals, False for variables, None for anything else."""
    return getattr(operand, "is_literal", None)


def _what(value) -> str:
    kind = type(value)
    if kind.__name__ == "Traced":
        return "a traced value"
    return f"a {kind.__name__}"
