"""Sums of operands with exact coefficients, in which what cancels has been left out.

The difference of x + 1 and x is 1, whatever x is: the sums that made two operands are read as
linear combinations of what they are made of, and subtracted exactly.
"""

from __future__ import annotations

from fractions import Fraction

import numpy as np

from chainrule.program.program import Literal, Operand
from chainrule.transforms.stabilize_patterns import Bindings, Reader, pattern


class Linear:
    """A number, and operands with their coefficients."""

    def __init__(self):
        self.number = Fraction(0)
        self.terms: dict[Operand, Fraction] = {}
        self.cancelled = False

    def add(self, coefficient: Fraction, operand: Operand, reader: Reader) -> None:
        """Add a multiple of an operand, read as the sum that made it."""
        for sign, x in reader.terms(operand, "sum"):
            factor, part = _multiple(x, reader)
            self._add(coefficient * sign * factor, part)

    def _add(self, coefficient: Fraction, operand: Operand | None) -> None:
        if operand is None:
            if self.number and (self.number > 0) != (coefficient > 0):
                self.cancelled = True
            self.number += coefficient
            return
        total = self.terms.pop(operand, Fraction(0)) + coefficient
        if total:
            self.terms[operand] = total
        else:
            self.cancelled = True


def _multiple(operand: Operand, reader: Reader) -> tuple[Fraction, Operand | None]:
    """A term as a number times an operand; None for a number alone."""
    if operand.is_literal:
        value = float(operand.value)
        return (Fraction(value), None) if np.isfinite(value) else (Fraction(1), operand)
    node = reader.node(operand)
    if node is not None and node.name == "multiply":
        for number, other in (node.inputs, node.inputs[::-1]):
            if number.is_literal and np.isfinite(number.value) and number.value:
                return Fraction(float(number.value)), other
    return Fraction(1), operand


def difference(text: str, bound: Bindings, reader: Reader) -> tuple[Operand, bool]:
    """The operand for a sum of names and numbers, and whether something cancelled in it."""
    total = Linear()
    dtype = next(x.type.dtype for x in bound.values())
    p = pattern(text)
    for sign, part in p.parts:
        if part.kind == "number":
            total._add(Fraction(sign * part.value), None)
        else:
            total.add(Fraction(sign), bound[part.name], reader)
    if not total.cancelled:
        terms = [
            (sign, _number(part.value, dtype) if part.kind == "number" else bound[part.name])
            for sign, part in p.parts
        ]
        plain = reader.total("sum", terms)
        assert plain is not None
        return plain, False
    return _recorded(total, dtype, reader), True


def _number(value, dtype) -> Literal:
    return Literal(dtype.type(float(value)))


def _recorded(total: Linear, dtype, reader: Reader) -> Operand:
    terms = []
    for operand, coefficient in total.terms.items():
        size = abs(coefficient)
        x = operand if size == 1 else reader.graph.emit(
            "multiply", _number(size, dtype), operand)  # fmt: skip
        terms.append((1 if coefficient > 0 else -1, x))
    if total.number or not terms:
        terms.append((1, _number(total.number, dtype)))
    out = reader.total("sum", terms)
    assert out is not None
    return out
