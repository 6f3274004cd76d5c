"""Trying at increasing precision until the balls tell what was asked."""

from __future__ import annotations

from collections.abc import Callable
from typing import TypeVar

from chainrule import errors
from chainrule.certify.ball import Undetermined
from chainrule.certify.flint import precision

Found = TypeVar("Found")

FIRST_BITS = 128
MOST_BITS = 1 << 14


def prove(attempt: Callable[[int], Found], what: str, most_bits: int = MOST_BITS) -> Found:
    """`attempt(bits)` at 128 bits, and at twice as many each time that the balls are too wide.

    **Errors** `Undecided` where `most_bits` are not enough.
    """
    bits = FIRST_BITS
    while True:
        try:
            with precision(bits):
                return attempt(bits)
        except Undetermined as reason:
            bits *= 2
            if bits > most_bits:
                raise _undecided(reason, what, bits // 2) from None


def _undecided(reason: Undetermined, what: str, bits: int) -> Exception:
    equation = reason.equation
    where = f", in {equation.op.name}" if equation is not None else ""
    if equation is not None and equation.where:
        where += f" at {equation.where}"
    return errors.Undecided(
        f"{what} is not decided with {bits} bits: {reason} stays open{where}.\n"
        "  Numbers that are equal without being known exactly cannot be told apart by computing "
        "more digits. Raise most_bits where they only lie close together."
    )
