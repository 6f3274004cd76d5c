"""Programs: typed, first-order, single assignment; the data that every transformation works on.

A Program is `(inputs, captured, equations, outputs)`. An equation applies one operation to
variables and scalar literals. Variables have identity and a type; names are given by the printer.
Control-flow operations hold closed sub-programs (no captured arrays) in their params.
"""

from __future__ import annotations

import typing
from collections.abc import Callable, Iterable, Sequence
from typing import Any

import numpy as np

from chainrule.program.cost import Cost, cost
from chainrule.program.exact import ExactFloat, carrying, exact_result
from chainrule.program.text import format_program, line_text
from chainrule.program.types import Type, array_type
from chainrule.program.validate import validate


class Var:
    """A variable of a program: a type, and its identity. `name` is only a wish for the printer."""

    __slots__ = ("name", "type")
    is_literal: typing.Literal[False] = False

    def __init__(self, type: Type, name: str | None = None):
        self.type = type
        self.name = name

    def __repr__(self) -> str:
        return f"Var({self.name or hex(id(self))}: {self.type})"


class Literal:
    """A scalar constant. In an elementwise operation it stands for an array filled with it.

    `exact` is the number that the value is rounded from, where it is known and another one.
    """

    __slots__ = ("_key", "exact", "type", "value")
    is_literal: typing.Literal[True] = True

    def __init__(
        self, value: np.generic, type: Type | None = None, exact: ExactFloat | None = None
    ):
        self.value = value if exact is None else carrying(value, exact)
        self.type = array_type((), value.dtype) if type is None else type
        self.exact = exact
        self._key: tuple | None = None

    @property
    def bits(self) -> tuple:
        """Equal for literals of the same dtype and bits: 0.0 and -0.0 differ, nan equals itself."""
        return self.value.dtype.str, self.value.tobytes()

    @property
    def key(self) -> tuple:
        """As `bits`; numbers that are rounded from others differ from those that are not."""
        if self._key is None:
            self._key = self.bits if self.exact is None else (*self.bits, *self.exact.key)
        return self._key

    def __repr__(self) -> str:
        return f"Literal({self.value!r})"


def folded(name: str, function: Callable, *literals: Literal) -> Literal:
    """The literal of an operation, with this name and function, on others; where one of them stands
    for another number than its value, so does the result."""
    value = function(*[x.value for x in literals])
    known = any(x.exact is not None for x in literals)
    numbers = [x.exact or x.value for x in literals]
    return Literal(value, exact=exact_result(name, numbers) if known else None)


def literal(value, dtype=None) -> Literal:
    """The literal of a Python or NumPy scalar, in `dtype` where one is given."""
    if dtype is None:
        dtype = np.asarray(value).dtype
    return Literal(np.dtype(dtype).type(value))


Operand = Var | Literal


class Equation:
    """`outputs = op(inputs, **params)`, recorded at `line` of the user's code. Immutable by habit.

    `line` is a (code object, instruction) pair, resolved when it is shown; text when parsed.
    """

    __slots__ = ("inputs", "line", "op", "outputs", "params")

    def __init__(self, op, inputs: tuple, params: dict[str, Any], outputs: tuple, line=None):
        self.op = op
        self.inputs = inputs
        self.params = params
        self.outputs = outputs
        self.line = line

    @property
    def where(self) -> str:
        """The user's `file:line`, or an empty string where it is not known."""
        return line_text(self.line)

    def __repr__(self) -> str:
        return f"Equation({self.op.name} at {self.where})"


class Program:
    """A program: `inputs` and `captured` variables, `equations` in order, `outputs`.

    `captured_values` holds, for each captured variable, a reference to the array the traced
    function closed over; its content is read at each call.
    """

    __slots__ = (
        "_hash", "_key", "captured", "captured_values", "equations", "inputs", "name", "outputs",
        "stable",
    )  # fmt: skip

    def __init__(
        self,
        inputs: Iterable[Var],
        equations: Sequence[Equation],
        outputs: Iterable[Operand],
        captured: Iterable[Var] = (),
        captured_values: Iterable = (),
        name: str = "f",
    ):
        self.inputs = tuple(inputs)
        self.equations = equations if isinstance(equations, list) else list(equations)
        self.outputs = tuple(outputs)
        self.captured = tuple(captured)
        self.captured_values = tuple(captured_values)
        self.name = name
        self.stable = False  # whether it is known that `stabilize` has nothing to change
        self._key: tuple | None = None
        self._hash: int | None = None

    @property
    def in_types(self) -> tuple[Type, ...]:
        return tuple(v.type for v in self.inputs)

    @property
    def out_types(self) -> tuple[Type, ...]:
        return tuple(v.type for v in self.outputs)

    @property
    def key(self) -> tuple:
        """The structure of the program as a hashable tuple: no lines, no names, no array contents.

        Built in one pass, linear in the number of equations.
        """
        if self._key is None:
            self._key = _structure(self)
        return self._key

    @property
    def place(self) -> tuple:
        """Where the program begins and ends in the user's code, hashable: what is kept for equal
        programs is kept apart by this, so that an error names the right line."""
        if not self.equations:
            return ()
        ends = (self.equations[0].line, self.equations[-1].line)
        return tuple([(id(at[0]), at[1]) if isinstance(at, tuple) else at for at in ends])

    def __eq__(self, other) -> bool:
        return self is other or (isinstance(other, Program) and self.key == other.key)

    def __hash__(self) -> int:
        if self._hash is None:
            self._hash = hash(self.key)
        return self._hash

    def closed(self) -> Program:
        """The same program with its captured arrays as leading inputs."""
        if not self.captured:
            return self
        return Program(
            self.captured + self.inputs, self.equations, self.outputs, (), (), self.name
        )

    def text(self) -> str:
        """The program printed in the form that `chainrule.program.parse.parse` reads back."""
        return format_program(self)

    def validate(self) -> None:
        """Return if the program keeps the rules of the language; else raise `InvalidProgram`."""
        validate(self)

    def cost(self) -> Cost:
        """Predicted flops, bytes read and written, and peak bytes of one run."""
        return cost(self)

    def __repr__(self) -> str:
        return self.text()


def _structure(program: Program) -> tuple:
    number: dict[Operand, Any] = {}
    key: list[Any] = [len(program.captured), len(program.inputs)]
    for var in program.captured + program.inputs:
        number[var] = len(number)
        key.append(var.type)
    get = number.get
    for equation in program.equations:
        key.append(equation.op)
        for operand in equation.inputs:
            found = get(operand)
            key.append(operand.bits if found is None else found)
        if equation.params:
            key.extend(equation.params.values())
        for var in equation.outputs:
            number[var] = len(number)
            key.append(var.type)
    key.append(len(program.outputs))
    for operand in program.outputs:
        key.append(operand.bits if operand.is_literal else number[operand])
    return tuple(key)


def map_subprograms(equation: Equation, change) -> dict[str, Any]:
    """The equation's params with `change` applied to every sub-program."""
    return {name: _map_value(value, change) for name, value in equation.params.items()}


def _map_value(value, change):
    if isinstance(value, Program):
        return change(value)
    if isinstance(value, tuple) and any(isinstance(item, Program) for item in value):
        return tuple(_map_value(item, change) for item in value)
    return value
