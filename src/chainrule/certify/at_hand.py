"""Values at hand that are certain: what decides a Python `if` while a function is traced.

A value that a trace asks for is computed in balls, at increasing precision, and rounded correctly;
a comparison is decided by the numbers themselves, not by how floating point rounds them.
"""

from __future__ import annotations

from typing import Any

import numpy as np

from chainrule.certify.arrays import plain
from chainrule.certify.evaluate import as_value, run
from chainrule.certify.proving import prove
from chainrule.program.at_hand import AtHand
from chainrule.program.program import Equation, Operand


class CertainValues(AtHand):
    """Values at hand in a trace that is to be certified; those already computed, by precision."""

    __slots__ = ("_balls",)
    certain = True

    def __init__(self, by_reference: bool = False):
        super().__init__(by_reference)
        self._balls: dict[int, dict[Operand, np.ndarray]] = {}

    def value(self, builder, wanted: Operand) -> Any:
        """The value of a variable, correctly rounded, or None where there is none."""
        if not self.has(builder, wanted):
            return None

        def rounded(bits: int):
            found = self.ball(builder, wanted, bits)
            return plain(found, wanted.type) if wanted.type.inexact else found

        found = prove(rounded, f"a value that {builder.name} asks for")
        return found if found.ndim else found[()]

    def ball(self, builder, wanted: Operand, bits: int) -> np.ndarray:
        """The value of a variable in ball arithmetic."""
        if wanted.is_literal:
            return as_value(wanted.value, wanted.type)
        found = self._balls.setdefault(bits, {})
        if wanted not in found:
            for equation in self._missing(builder, wanted, found, bits):
                run(equation, found)
        return found[wanted]

    def _missing(self, builder, wanted, found: dict, bits: int) -> list[Equation]:
        """The equations, in order, that a variable still needs; inputs are filled in."""
        equations: list[Equation] = []
        planned: set[Operand] = set()
        pending = [wanted]
        while pending:
            var = pending[-1]
            equation = builder.maker(var)
            if var in found or var in planned:
                pending.pop()
            elif equation is None:
                found[var] = self._input(builder, var, bits)
            else:
                missing = [
                    x for x in equation.inputs
                    if not (x.is_literal or x in found or x in planned)
                ]  # fmt: skip
                pending += missing
                if not missing:
                    planned.update(equation.outputs)
                    equations.append(equation)
        return equations

    def _input(self, builder, var, bits: int) -> np.ndarray:
        if var in self.known:
            return as_value(self.known[var], var.type)
        source = builder.source(var)
        if isinstance(source, tuple):
            outer, of = source
            return outer.at_hand.ball(outer, of, bits)
        return as_value(source, var.type)
