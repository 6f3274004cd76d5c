"""What Python decides by while a compiled function is traced, and how a later call is held to it.

    if np.sum(x) > 0.0:      the trace takes one side, and its program is right for calls in which
        return np.sum(x)     np.sum(x) > 0.0 is what it was

The trace of such a function has the values of its arguments at hand. It notes the conditions, and
the whole numbers, that Python asked for; the program computes them as well, and is given up where
they are not what they were. So a function has one program for each way that its calls go. Where a
derivative is taken, a condition is a choice between pieces: the program then looks, too, that none
of its choices meets a tie (chainrule.sides), and a way through a tie is for the one call.
"""

from __future__ import annotations

from collections.abc import Callable, Sequence
from dataclasses import dataclass, field
from functools import reduce
from operator import or_
from typing import Any

import numpy as np

from chainrule.ops.reduce import any_
from chainrule.ops.refuse import refuse
from chainrule.ops.shape import reshape
from chainrule.program.at_hand import AtHand
from chainrule.program.program import Equation, Literal, Operand, Program, Var
from chainrule.program.text import line_text
from chainrule.program.trace import Builder, as_operand, inline, operand, user_line


@dataclass(frozen=True)
class Decided:
    """A value that Python decided by: its variable in the outermost trace, and the user's line."""

    var: Operand
    value: Any
    line: str


@dataclass
class Decisions:
    """What was decided in a trace and those inside it.

    `copied` are equations of traces inside, whose values it needs in the outermost one; `looks` are
    (look, operands, params) of choices that met no tie; `tied` says that one did.
    """

    by_arrays: bool = False
    made: dict[Operand, Decided] = field(default_factory=dict)
    looks: list[tuple[Callable, tuple[Operand, ...], dict]] = field(default_factory=list)
    copied: list[Equation] = field(default_factory=list)
    tied: bool = False
    _looked: set[tuple[Operand, ...]] = field(default_factory=set)
    _place: dict[Operand, Operand] = field(default_factory=dict)

    def __bool__(self) -> bool:
        return bool(self.made) or self.tied

    def note(self, builder: Builder, var: Operand, value) -> None:
        """Note a value that Python decides by."""
        place = self._outermost(builder, var)
        if not place.is_literal and place not in self.made:
            known = np.asarray(value, place.type.dtype).item()
            self.made[place] = Decided(place, known, line_text(user_line()))

    def note_look(self, builder: Builder, equation: Equation, look: Callable, met: bool) -> None:
        """Note a choice between pieces, and whether it met a tie."""
        self.tied |= met
        places = tuple([self._outermost(builder, x) for x in equation.inputs])
        if places not in self._looked:
            self._looked.add(places)
            self.looks.append((look, places, equation.params))

    def _outermost(self, builder: Builder, wanted: Operand) -> Operand:
        """What stands for a variable in the outermost trace, with what it is computed from."""
        pending = [(builder, wanted)]
        while pending:
            at, var = pending[-1]
            if var.is_literal or at.parent is None or var in self._place:
                pending.pop()
                continue
            equation = at.maker(var)
            if equation is None:
                source = at.source(var)
                if source is None:
                    assert at.at_hand is not None  # it is a constant of a trace inside
                    self._place[var] = Literal(var.type.dtype.type(at.at_hand.known[var]))
                elif not isinstance(source, tuple):
                    self._place[var] = _captured(at, source)
                elif source[0].parent is None:
                    self._place[var] = source[1]
                elif source[1] in self._place:
                    self._place[var] = self._place[source[1]]
                else:
                    pending.append(source)
                continue
            missing = [x for x in equation.inputs if not x.is_literal and x not in self._place]
            pending += [(at, x) for x in missing]
            if not missing:
                self._copy(equation)
        return wanted if builder.parent is None else self._place.get(wanted, wanted)

    def _copy(self, equation: Equation) -> None:
        inputs = tuple([self._place.get(x, x) for x in equation.inputs])
        outputs = tuple([Var(v.type, v.name) for v in equation.outputs])
        self.copied.append(
            Equation(equation.op, inputs, equation.params, outputs, equation.line)
        )
        self._place.update(zip(equation.outputs, outputs, strict=True))

    def lines(self) -> list[str]:
        """What was decided, for people."""
        return list(dict.fromkeys(f"{d.line}: {d.value}" for d in self.made.values()))

    # --- in the program -----------------------------------------------------------------------

    def held(self, program: Program) -> Program:
        """The trace's program, given up (ops/refuse.py) in calls that go another way."""
        return self._with_difference(program, program.outputs, True)

    def difference(self, program: Program) -> Program:
        """The program that says whether a call goes another way."""
        return self._with_difference(program, (), False)

    def _with_difference(self, program: Program, outputs: Sequence, gives_up: bool) -> Program:
        operands = [x for _, places, _ in self.looks for x in places]
        whole = Program(
            program.inputs, [*program.equations, *self.copied],
            [*outputs, *self.made, *operands], name=program.name,
        )  # fmt: skip
        with Builder(program.name) as builder:
            builder.lines_from_user = False
            values = inline(whole, [builder.input(v.type, v.name) for v in whole.inputs])
            given, values = values[: len(outputs)], values[len(outputs) :]
            differences = [
                reshape(value, shape=()) != decided.value
                for value, decided in zip(values, self.made.values(), strict=False)
            ]
            values = values[len(self.made) :]
            for look, places, params in self.looks:
                own, values = values[: len(places)], values[len(places) :]
                tied = look(*own, **params)
                if tied is not None:
                    differences.append(any_(tied, axes=tuple(range(tied.ndim))))
            differs = reduce(or_, differences)
            if gives_up:
                refuse(differs)
            else:
                given = [differs]
            return builder.finish([as_operand(builder, x) for x in given])


def _is_whole(x: Operand) -> bool:
    """Whether this is one condition or whole number."""
    return x.type.dtype.kind in "biu" and x.type.size == 1


def _captured(builder: Builder, array) -> Operand:
    """The outermost trace's variable of an array that a trace inside captured."""
    while builder.parent is not None:
        builder = builder.parent
    return operand(builder, builder.capture(array))


class Deciding(AtHand):
    """What is at hand in a compiled function that decides by numbers whose values change.

    Conditions and whole numbers are noted as decisions; of numbers themselves, and of what else is
    computed from them, the use is noted as in any compiled function.
    """

    __slots__ = ("arguments", "decisions", "strict")
    by_arrays = False  # whether what arrays hold may decide

    def __init__(self, by_reference: bool = True, decisions: Decisions | None = None):
        super().__init__(by_reference)
        self.decisions = Decisions(self.by_arrays) if decisions is None else decisions
        self.arguments: dict[Var, Any] = {}  # that are arrays
        self.strict = _Numbers(self)

    def inside(self) -> AtHand:
        """The values at hand of a trace inside this one."""
        return type(self)(self.by_reference, self.decisions)

    def note_leaf(self, var: Var, value, number: bool) -> None:
        """Told of the value of an argument."""
        super().note_leaf(var, value, number)
        if self.by_arrays and not number:
            self.arguments[var] = value

    def decided(self, builder: Builder, wanted: Operand):
        """The value of a variable that Python decides by, or None where there is none."""
        if not _is_whole(wanted) or self.strict.is_whole(builder, wanted):
            return self.strict.value(builder, wanted)
        value = self.value(builder, wanted)
        if value is not None:
            self.decisions.note(builder, wanted, value)
        return value

    def decides(self, builder: Builder, wanted: Operand) -> bool:
        """Whether `decided` gives a value."""
        return (self if _is_whole(wanted) else self.strict).has(builder, wanted)

    def note_look(self, builder: Builder, equation: Equation, look: Callable, met: bool) -> None:
        """Told of a choice that a decision hangs on, and of whether it meets a tie."""
        self.decisions.note_look(builder, equation, look, met)

    def _has_input(self, builder: Builder, var: Var) -> bool:
        if var in self.numbers or var in self.arguments:
            return True
        source = builder.source(var)
        if isinstance(source, tuple):
            outer, of = source
            return outer.has_value(of)
        return source is not None and self.by_arrays

    def _value_of_input(self, builder: Builder, var: Var):
        for given in (self.numbers, self.arguments):
            if var in given:
                return given[var]
        source = builder.source(var)
        if isinstance(source, tuple):
            outer, of = source
            return outer.value(of)
        return source


class DecidingByArrays(Deciding):
    """What is at hand in a compiled function that decides by what its arrays hold."""

    __slots__ = ()
    by_arrays = True


class _Numbers(AtHand):
    """Of one trace of a compiled function, the numbers: the use of each is noted."""

    __slots__ = ("of",)

    def __init__(self, of: Deciding):
        super().__init__(by_reference=True)
        self.of, self.numbers, self.asked, self.outer = of, of.numbers, of.asked, of.outer

    def is_whole(self, builder: Builder, wanted: Operand) -> bool:
        """Whether a variable is computed from whole numbers and bools alone, or is a number."""
        if wanted in self.numbers:
            return True
        needed = self._needed(builder, wanted)
        if needed is None:
            return False
        for var in needed[0]:
            source = builder.source(var)
            if var in self.numbers:
                if var.type.dtype.kind not in "biu":
                    return False
            elif isinstance(source, tuple) and not _strict(source[0]).is_whole(*source):
                return False
        return True

    def _has_input(self, builder: Builder, var: Var) -> bool:
        source = builder.source(var)
        if isinstance(source, tuple):
            return source[1].is_literal or _strict(source[0]).has(*source)
        return var in self.numbers

    def _value_of_input(self, builder: Builder, var: Var):
        source = builder.source(var)
        if isinstance(source, tuple):
            return source[1].value if source[1].is_literal else _strict(source[0]).value(*source)
        return super()._value_of_input(builder, var)


def _strict(builder: Builder) -> _Numbers:
    at_hand = builder.at_hand
    assert isinstance(at_hand, Deciding)
    return at_hand.strict
