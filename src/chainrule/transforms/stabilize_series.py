"""Differences of functions of one variable that cancel at 0, by their power series near 0.

x - sin(x), exp(x) - 1 - x, 1 / x - 1 / tan(x): both sides are functions of one operand, whose exact
power series have leading terms in common. For |x| < r the series of the difference is summed, else
the difference is taken; r is such that the terms left out are below half a unit in the last place.
"""

from __future__ import annotations

import operator
from collections.abc import Iterator
from fractions import Fraction

import numpy as np

from chainrule.program.exact import ExactFloat
from chainrule.program.program import Equation, Operand, folded
from chainrule.transforms import power_series as ps
from chainrule.transforms.stabilize_patterns import Reader

_NODES = 24  # of an expression
_ABOVE = 4  # operands that are tried as the variable
_RADII = (1.0, 0.75, 0.5, 0.25, 0.125, 0.0625)
_READ = {"add", "subtract", "multiply", "divide", "negative", "square", "power", *ps.FUNCTIONS}


def near_zero(equation: Equation, reader: Reader) -> Operand | None:
    """What stands for a sum or difference that cancels at 0; None where it does not."""
    node = reader.seen(equation)
    if node is None or node.name not in ("add", "subtract"):
        return None
    left, right = node.inputs
    sign = 1 if node.name == "add" else -1
    for x in _variables(left, right, reader):
        if not _begin_alike(left, right, sign, x, reader):
            continue
        known: dict[Operand, ps.Series] = {x: ps.variable()}
        try:
            one, other = (_series(y, known, reader) for y in (left, right))
            total = ps.add(one, other, sign)
        except ps.Unknown:
            continue
        if total.is_zero or total.shift <= min(s.shift for s in (one, other) if not s.is_zero):
            return None
        return _placed(equation, x, total, reader)
    return None


def _variables(left: Operand, right: Operand, reader: Reader) -> Iterator[Operand]:
    """The operands above both sides, the nearest first."""
    above = [_above(y, reader) for y in (left, right)]
    numbers = [not found for found in above]
    if all(numbers):
        return
    if any(numbers):
        found = above[numbers.index(False)]
    else:
        found = [y for y in above[0] if y in set(above[1])]
    yield from found[:_ABOVE]


def _above(operand: Operand, reader: Reader) -> list[Operand]:
    """An operand and those that it is computed from by functions with known series."""
    found: dict[Operand, None] = {}
    waiting = [operand]
    while waiting and len(found) < _NODES:
        x = waiting.pop(0)
        if x.is_literal or x in found:
            continue
        found[x] = None
        node = reader.node(x)
        if node is not None and node.name in _READ:
            waiting += node.inputs
    return list(found)


Lead = tuple[float, int]  # the first term of a series: its coefficient and power

_SAME_LEAD = {"sin", "tan", "sinh", "tanh", "arctan", "arctanh", "arcsin", "arcsinh", "expm1",
              "log1p"}  # fmt: skip


def _begin_alike(left: Operand, right: Operand, sign: int, x: Operand, reader: Reader) -> bool:
    """Whether the first terms of both series cancel: a cheap look before the exact one."""
    known: dict[Operand, Lead | None] = {x: (1.0, 1)}
    one, other = (_lead(y, known, reader) for y in (left, right))
    return one is not None and other is not None and one == (-sign * other[0], other[1])


def _lead(operand: Operand, known: dict[Operand, Lead | None], reader: Reader) -> Lead | None:
    if operand.is_literal:
        return (float(operand.value), 0) if operand.value else None
    if operand not in known and len(known) < _NODES:
        known[operand] = None
        node = reader.node(operand)
        if node is not None and node.name in _READ:
            leads = [_lead(y, known, reader) for y in node.inputs]
            if all(y is not None for y in leads):
                known[operand] = _lead_of(node.name, [y for y in leads if y is not None])
    return known.get(operand)


def _lead_of(name: str, leads: list[Lead]) -> Lead | None:
    (a, i), (b, j) = leads[0], leads[-1]
    if name in ("add", "subtract"):
        b = b if name == "add" else -b
        if i != j:
            return (a, i) if i < j else (b, j)
        return (a + b, i) if a + b else None
    if name in ("multiply", "square"):
        return a * b, i + j
    if name == "divide":
        return a / b, i - j
    if name == "negative":
        return -a, i
    if name in _SAME_LEAD and i > 0:
        return a, i
    if name in ("exp", "cos", "cosh") and i > 0:
        return 1.0, 0
    if name == "expit" and i > 0:
        return 0.5, 0
    if name in ("sqrt", "cbrt", "power") and i == 0 and a == 1.0:
        return 1.0, 0
    return None


def _series(operand: Operand, known: dict[Operand, ps.Series], reader: Reader) -> ps.Series:
    if operand.is_literal:
        if not np.isfinite(operand.value):
            raise ps.Unknown
        return ps.number(float(operand.value))
    found = known.get(operand)
    if found is None:
        if len(known) > _NODES:
            raise ps.Unknown
        found = known[operand] = _computed(operand, known, reader)
    return found


def _computed(operand: Operand, known, reader: Reader) -> ps.Series:
    node = reader.node(operand)
    if node is None or node.name not in _READ:
        raise ps.Unknown
    if node.name == "power":
        base, exponent = node.inputs
        if not exponent.is_literal:
            raise ps.Unknown
        return ps.power(_series(base, known, reader), float(exponent.value))
    values = [_series(y, known, reader) for y in node.inputs]
    if node.name in ("add", "subtract"):
        return ps.add(values[0], values[1], 1 if node.name == "add" else -1)
    if node.name in ("multiply", "square"):
        return ps.multiply(values[0], values[-1])
    if node.name == "divide":
        return ps.divide(*values)
    if node.name == "negative":
        return ps.multiply(values[0], ps.number(-1.0))
    return ps.apply(node.name, values[0])


def _placed(equation: Equation, x: Operand, total: ps.Series, reader: Reader) -> Operand | None:
    if total.shift < 0 or x.type is not equation.outputs[0].type:
        return None
    coefficients = [_coefficient(c) for c in total.coefficients]
    radius = _radius(coefficients)
    if radius is None:
        return None
    kept = _needed(coefficients, radius)
    y, z = equation.inputs
    if equation.op.name == "add":
        number = folded("negative", operator.neg, z) if z.is_literal else None
        z = number or reader.graph.emit("negative", z)
    direct = reader.graph.emit("far_difference", y, z)
    return reader.graph.emit(
        "series_near_zero", x, direct, radius=radius, start=total.shift, coefficients=kept
    )


def _coefficient(exact: Fraction) -> float:
    """A coefficient as a float, which knows what it is rounded from."""
    value = float(exact)
    return value if value == exact or not np.isfinite(value) else ExactFloat(exact, {})


def _radius(coefficients: list[float]) -> float | None:
    """How far the series may be used: the last terms are nothing, and no terms cancel."""
    first = abs(coefficients[0])
    if not first or not all(map(np.isfinite, coefficients)):
        return None
    for radius in _RADII:
        sizes = [abs(c) * radius**k for k, c in enumerate(coefficients)]
        if max(sizes[-4:]) < 2.0**-58 * first and sum(sizes[1:]) < 0.75 * first:
            return radius
    return None


def _needed(coefficients: list[float], radius: float) -> tuple[float, ...]:
    sizes = [abs(c) * radius**k for k, c in enumerate(coefficients)]
    count = 1 + max(k for k, size in enumerate(sizes) if size > 2.0**-58 * sizes[0])
    return tuple(coefficients[:count])
