"""Values at hand while a function is traced: what a Python `if`, a shape or an index may ask for.

A concrete trace knows the values of all of its inputs. The trace of a compiled function knows
numbers only, and notes which of them were asked for: the program holds for these values alone.
Values are computed on demand, from the equations recorded so far.
"""

from __future__ import annotations

from collections.abc import Callable
from typing import TYPE_CHECKING, Any

import numpy as np

from chainrule.program.program import Equation, Operand, Var

if TYPE_CHECKING:
    from chainrule.program.trace import Builder


class AtHand:
    """The values that are known in one trace.

    `numbers` holds inputs whose use is noted: `asked` are those of them that a value was given of,
    or computed from. `outer` tells of which variable of which outer trace an input has its value.
    With `by_reference`, the content of arrays is not at hand, since it may change between calls.
    """

    __slots__ = ("_without", "asked", "by_reference", "known", "numbers", "outer")
    certain = False  # whether values are those of the real numbers (chainrule.certify)
    unrolls = False  # whether loops and branches of chainrule run as Python's own
    decisions: Any = None  # what was decided by values that may change (chainrule.deciding)

    def __init__(self, by_reference: bool = False):
        self.by_reference = by_reference
        self.known: dict[Operand, Any] = {}
        self.numbers: dict[Var, Any] = {}
        self.asked: dict[Var, Any] = {}
        self.outer: dict[Var, tuple[Builder, Operand]] = {}
        self._without: set[Operand] = set()

    def inside(self) -> AtHand:
        """The values at hand of a trace inside this one."""
        return type(self)(self.by_reference)

    def has(self, builder: Builder, wanted: Operand) -> bool:
        """Whether a value of this variable can be given; asks for none."""
        return wanted in self.known or self._needed(builder, wanted) is not None

    def value(self, builder: Builder, wanted: Operand):
        """The value of a variable, or None where there is none."""
        if wanted in self.known:
            return self.known[wanted]
        needed = self._needed(builder, wanted)
        if needed is None:
            return None
        inputs, equations = needed
        for var in inputs:
            self.known[var] = self._value_of_input(builder, var)
        with np.errstate(all="ignore"):
            for equation in equations:
                run_equation(equation, self.known)
        return self.known[wanted]

    def decided(self, builder: Builder, wanted: Operand):
        """The value of a variable that Python decides by, or None where there is none."""
        return self.value(builder, wanted)

    def decides(self, builder: Builder, wanted: Operand) -> bool:
        """Whether `decided` gives a value."""
        return self.has(builder, wanted)

    def note_leaf(self, var: Var, value, number: bool) -> None:
        """Told of the value of an argument of a compiled function, and whether it is a number."""
        if number:
            self.numbers[var] = var.type.dtype.type(value)

    def note_look(self, builder: Builder, equation: Equation, look: Callable, met: bool) -> None:
        """Told of a choice that a decision hangs on, and of whether it meets a tie."""

    def _needed(self, builder: Builder, wanted) -> tuple[list[Var], list[Equation]] | None:
        """The inputs and equations, in order, that a value is computed from; None where one of the
        inputs has no value at hand."""
        inputs: list[Var] = []
        equations: list[Equation] = []
        found: set[Operand] = set()
        pending = [wanted]
        while pending:
            var = pending[-1]
            equation = builder.maker(var)
            if var in found or var in self.known:
                pending.pop()
            elif var in self._without or (
                equation is None and not self._has_input(builder, var)
            ):
                self._without.update((var, wanted))
                return None
            elif equation is None:
                found.add(var)
                inputs.append(var)
            else:
                missing = [
                    x for x in equation.inputs
                    if not (x.is_literal or x in found or x in self.known)
                ]  # fmt: skip
                pending += missing
                if not missing:
                    found.update(equation.outputs)
                    equations.append(equation)
        return inputs, equations

    def _has_input(self, builder: Builder, var: Var) -> bool:
        if var in self.numbers:
            return True
        source = builder.source(var)
        if isinstance(source, tuple):
            outer, of = source
            return outer.has_value(of)
        return source is not None and not self.by_reference

    def _value_of_input(self, builder: Builder, var: Var):
        if var in self.numbers:
            return self.asked.setdefault(var, self.numbers[var])
        source = builder.source(var)
        if isinstance(source, tuple):
            outer, of = source
            return outer.value(of)
        return source

    def without(self, builder: Builder, wanted: Operand) -> list[str]:
        """The names of the inputs that have no value at hand and that a variable depends on."""
        names: list[str] = []
        seen: set[Operand] = set()
        pending = [wanted]
        while pending:
            var = pending.pop()
            if var in seen or var.is_literal:
                continue
            seen.add(var)
            equation = builder.maker(var)
            if equation is not None:
                pending += reversed(equation.inputs)
            elif var.name and var.name not in names and not self._has_input(builder, var):
                names.append(var.name)
        return names


class OfOneCall(AtHand):
    """Everything is at hand: the trace of a compiled function that is right for one call only."""

    __slots__ = ("arguments",)

    def __init__(self, by_reference: bool = False):
        super().__init__()
        self.arguments: dict[Var, Any] = {}

    def note_leaf(self, var: Var, value, number: bool) -> None:
        self.arguments[var] = np.asarray(value, var.type.dtype)[()]

    def _has_input(self, builder: Builder, var: Var) -> bool:
        return var in self.arguments or super()._has_input(builder, var)

    def _value_of_input(self, builder: Builder, var: Var):
        found = self.arguments.get(var)
        return super()._value_of_input(builder, var) if found is None else found


class Unrolled(AtHand):
    """Nothing is at hand, but loops of a known length run as Python's own."""

    unrolls = True

    def has(self, builder: Builder, wanted: Operand) -> bool:
        return False

    def value(self, builder: Builder, wanted: Operand):
        return None


def run_equation(equation: Equation, values: dict) -> None:
    """Evaluate one equation on NumPy, into `values`."""
    arguments = [x.value if x.is_literal else values[x] for x in equation.inputs]
    try:
        results = equation.op.evaluate(*arguments, **equation.params)
    except Exception as error:
        raise add_line(error, equation) from None
    if len(equation.outputs) == 1:
        values[equation.outputs[0]] = results
    else:
        values.update(zip(equation.outputs, results, strict=True))


def add_line(error: Exception, equation: Equation) -> Exception:
    """The error with a note that names the user's line and the operation."""
    where = equation.where
    if where and not any(where in note for note in getattr(error, "__notes__", ())):
        error.add_note(f"  in {equation.op.name}, at {where}")
    return error
