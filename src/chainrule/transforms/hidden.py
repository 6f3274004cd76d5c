"""Values that a later maximum hides: what max_pool(x) + b is does not matter where relu makes it 0.

A tie between the entries of a window is none for a function that takes the larger of the result and
something else, where that is larger: the function does not see the window there, nor close by.
"""

from __future__ import annotations

from collections.abc import Iterable
from typing import NamedTuple, Protocol

from chainrule.program.program import Equation, Operand

_OF_WINDOWS = {"window_pick", "window_share", "window_ties"}
_TURNED = {"greater": "less", "less": "greater", "equal": "equal"}
_LARGER = {"maximum", "greater"}  # what a value goes through, if only where it is the larger
_SMALLER = {"minimum", "less"}


class Makers(Protocol):
    """What makes and reads variables: of a program (`Uses`), or of one being traced."""

    def maker(self, x: Operand) -> Equation | None:
        """The equation that makes a variable; None for an input and for a literal."""

    def of(self, x: Operand) -> list[Equation]:
        """The equations that read a variable, as far as they are known."""

    @property
    def quotients(self) -> bool:
        """Whether an equation holds quotients of gaps between eigenvalues."""


class Bound(NamedTuple):
    """What hides a value: where `value` is less than `least`, or greater if that is a most."""

    value: Operand
    least: Operand
    is_most: bool


def bound_of_pooled(e: Equation, uses: Makers, outputs: Iterable[Operand]) -> Bound | None:
    """What hides the result of the pooling that an equation of `window_pick` or `window_share` is
    about; None where nothing does, or that is not known."""
    value, shown = e.inputs[1], set(outputs)
    for _ in range(2):  # the result, or what one addition makes of it
        if value.is_literal or value in shown:
            return None
        readers = [r for r in uses.of(value) if r.op.name not in _OF_WINDOWS]
        if len(readers) != 1 or readers[0].op.name != "add":
            return _bound(value, readers, uses)
        (value,) = readers[0].outputs
    return None


def _bound(value: Operand, readers: list[Equation], uses: Makers) -> Bound | None:
    ways, others = set(), {}
    for r in readers:
        if len(r.inputs) != 2 or not (r.op.name in ("maximum", "minimum") or of_larger(r, uses)):
            return None
        first = r.inputs[0] is value
        other = r.inputs[int(first)]
        ways.add(r.op.name if first else _TURNED.get(r.op.name, r.op.name))
        others[other.key if other.is_literal else other] = other
    ways.discard("equal")
    if len(others) != 1 or not ways or not (ways <= _LARGER or ways <= _SMALLER):
        return None
    (other,) = others.values()
    return Bound(value, other, ways <= _SMALLER)


def of_larger(equation: Equation, uses: Makers) -> bool:
    """Whether a comparison stands in the derivative of maximum or minimum: where one side is larger
    1, where they tie 1/2, else 0."""
    if equation.op.name not in ("equal", "greater", "less"):
        return False
    x, y = equation.inputs
    readers = uses.of(equation.outputs[0])
    if not readers or any(e.op.name != "select" for e in readers):
        return False
    if equation.op.name == "equal":
        return all(_is_number(e, 1, 0.5) and _is_number(e, 2, 0.0) for e in readers)
    for e in readers:
        at_tie = uses.maker(e.inputs[2])
        equals = None if at_tie is None else uses.maker(at_tie.inputs[0])
        if not _is_number(e, 1, 1.0) or equals is None or equals.op.name != "equal":
            return False
        if set(equals.inputs) != {x, y} and not _same_numbers(equals.inputs, (x, y)):
            return False
    return True


def _is_number(e: Equation, place: int, value: float) -> bool:
    x = e.inputs[place]
    return x.is_literal and bool(x.value == value)


def _same_numbers(first, second) -> bool:
    """Whether operands are the same, literals by their values."""
    keys = [[x.key if x.is_literal else x for x in operands] for operands in (first, second)]
    return keys[0] == keys[1] or keys[0] == keys[1][::-1]


