"""A program put in the form and order in which a person would write it. No bit changes.

Numbers computed from numbers alone are computed, values that are only passed on are left out, and
what only the derivative needs (a slope) stands just before the line that uses it.
"""

from __future__ import annotations

import numpy as np

from chainrule.ops.elementwise import multiply
from chainrule.ops.shape import broadcast
from chainrule.program.evaluate import Memory
from chainrule.program.liveness import last_uses
from chainrule.program.names import Name
from chainrule.program.op import Structural
from chainrule.program.program import Equation, Literal, Operand, Program, Var
from chainrule.show.live import live

_PASSES_ON = {"stop_gradient", "barrier"}


def tidy(program: Program, donated: tuple[int, ...] = (), numbers=None) -> Program:
    """The program without dead equations, with numbers folded, in the order of its text.

    `numbers` maps inputs to the numbers (literals) that they are.
    """
    simplified = live(_Folding(program, numbers or {}).done())
    return _in_reading_order(simplified, donated)


class Filled(Equation):
    """A broadcast of a number that stands for a computed array: each element has its own memory."""

    __slots__ = ()


class _Folding:
    """One pass over a program that replaces variables by numbers, or by other variables."""

    def __init__(self, program: Program, numbers: dict):
        self.program = program
        self._known: dict[Operand, Operand] = dict(numbers)
        self._filled: dict[Operand, Literal] = {}  # arrays of one number
        self._reshaped: dict[Operand, Operand] = {}  # what an array is another shape of

    def done(self) -> Program:
        equations = []
        with np.errstate(all="ignore"):
            for equation in self.program.equations:
                made = self._visit(equation)
                if made is not None:
                    equations.append(made)
        outputs = [self._known.get(o, o) for o in self.program.outputs]
        return Program(self.program.inputs, equations, outputs, name=self.program.name)

    def _visit(self, equation: Equation) -> Equation | None:
        op, out = equation.op, equation.outputs[0]
        inputs = tuple([self._known.get(x, x) for x in equation.inputs])
        same = self._same_as(equation, inputs)
        if same is not None:
            self._known[out] = same
            if not same.is_literal and same.name is None:
                same.name = out.name
            return None
        if inputs and all(x.is_literal for x in inputs):
            if len(equation.outputs) == 1 and not out.type.ndim and _is_foldable(op):
                value = op.evaluate(*[x.value for x in inputs], **equation.params)
                self._known[out] = Literal(out.type.dtype.type(value))
                return None
            if op.name == "broadcast":
                self._filled[out] = inputs[0]
        if op.elementwise:
            inputs = self._with_numbers(inputs, out)
            filled = self._as_filled(equation, inputs)
            if filled is not None:
                return filled
            if op.name == "scale" and any(map(_is_harmless, inputs)):
                op = multiply
        if op.name == "reshape":
            inputs = (self._reshaped.get(inputs[0], inputs[0]),)
            self._reshaped[out] = inputs[0]
            if equation.params["shape"] == inputs[0].type.shape:
                self._known[out] = inputs[0]
                return None
        if op is equation.op and inputs == equation.inputs:
            return equation
        return Equation(op, inputs, equation.params, equation.outputs, equation.line)

    def _same_as(self, equation: Equation, inputs) -> Operand | None:
        """The operand that the equation passes on, if that is all it does."""
        op, params = equation.op, equation.params
        if not inputs:
            return None
        first = inputs[0]
        if op.name in _PASSES_ON:
            return first
        if op.name == "sum" and params["axes"] == () and first.type.ndim == 0:
            return first
        if op.name == "broadcast" and params["shape"] == first.type.shape:
            return first
        if op.name == "reshape" and params["shape"] == first.type.shape:
            return first
        if op.name in ("multiply", "divide", "scale") and _is_not_the_users(equation.outputs[0]):
            first, second = self._with_numbers(inputs, equation.outputs[0])
            if _is_one(second):
                return first
            if _is_one(first) and op.name != "divide":
                return second
        return None

    def _as_filled(self, equation: Equation, inputs) -> Equation | None:
        """The equation as a broadcast of a number, where all its operands are numbers."""
        numbers = [x if x.is_literal else self._filled.get(x) for x in inputs]
        known = [x.value for x in numbers if x is not None]
        if len(known) < len(inputs) or not _is_foldable(equation.op):
            return None
        (out,) = equation.outputs
        value = equation.op.evaluate(*known, **equation.params)
        self._filled[out] = Literal(out.type.dtype.type(value))
        params = {"shape": out.type.shape, "axes": ()}
        return Filled(broadcast, (self._filled[out],), params, (out,), equation.line)

    def _with_numbers(self, inputs, out: Var):
        """Elementwise operands with numbers in place of arrays filled with one number."""
        full = [x for x in inputs if x not in self._filled and x.type.shape == out.type.shape]
        return tuple([self._filled.get(x, x) for x in inputs]) if full else inputs


def _is_one(x: Operand) -> bool:
    return x.is_literal and x.type.inexact and x.value == 1


def _is_not_the_users(var: Var) -> bool:
    """Whether the user has not given the value a name."""
    name = var.name
    return name is None or (type(name) is Name and (name.temporary or name.of is not None))


def _is_foldable(op) -> bool:
    return op.pure and not isinstance(op.derivative, Structural) and op.name != "index"


def _is_harmless(x: Operand) -> bool:
    """A finite number other than 0: with it, the strong zero changes nothing."""
    return x.is_literal and bool(np.isfinite(x.value)) and x.value != 0


def _in_reading_order(program: Program, donated: tuple[int, ...]) -> Program:
    """The equations in order, except that unnamed values come just before their first use.

    A value that reads memory which is overwritten somewhere keeps its place.
    """
    memory = Memory(program, last_uses(program), donated)
    overwritten = {memory.root[program.equations[n].outputs[0]] for n in memory.in_place}
    waiting: dict[Var, Equation] = {}
    order: list[Equation] = []

    def emit(equation: Equation) -> None:
        pending = [(equation, iter(equation.inputs))]
        while pending:
            current, operands = pending[-1]
            maker = next((waiting.pop(x) for x in operands if x in waiting), None)
            if maker is not None:
                pending.append((maker, iter(maker.inputs)))
            else:
                order.append(current)
                pending.pop()

    for equation in program.equations:
        reads = {memory.root.get(x) for x in equation.inputs if not x.is_literal}
        if _can_wait(equation) and not reads & overwritten:
            waiting[equation.outputs[0]] = equation
        else:
            emit(equation)
    for equation in list(waiting.values()):
        if waiting.pop(equation.outputs[0], None) is not None:
            emit(equation)
    return Program(program.inputs, order, program.outputs, name=program.name)


def _can_wait(equation: Equation) -> bool:
    out, *more = equation.outputs
    structural = isinstance(equation.op.derivative, Structural)
    return not (more or out.name or structural or equation.op.in_place)
