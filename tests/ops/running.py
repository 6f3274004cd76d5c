"""How the suite of operations runs them: each row as a program of one equation."""

from importlib import import_module
from pathlib import Path

import numpy as np
import pytest

import chainrule  # noqa: F401  (registers every operation)
from chainrule.program.at_hand import run_equation
from chainrule.program.evaluate import Plan
from chainrule.program.op import Constant, Discrete
from chainrule.program.program import Program
from chainrule.program.trace import Builder, inline, operand
from chainrule.program.types import type_of
from chainrule.transforms.forward import forward
from chainrule.transforms.reverse import reverse
from tests.ops.table import Row, all_rows

for _file in sorted(Path(__file__).parent.glob("samples*.py")):
    import_module(f"tests.ops.{_file.stem}")  # each fills the table


def rows(condition):
    """Parametrize a test by the rows that fulfil a condition."""
    chosen = [row for row in all_rows() if condition(row)]
    return pytest.mark.parametrize("row", chosen, ids=lambda row: row.id)


def is_smooth(row: Row) -> bool:
    """Whether derivatives pass through the operation on this row."""
    return not isinstance(row.op.derivative, Constant | Discrete) and row.active != ()


def has_truth(row: Row) -> bool:
    """Whether mpmath knows the value of each entry."""
    return row.truth is not None


def best_dtype(row: Row) -> str:
    """float64 where the row takes it, else the first of its dtypes."""
    return "d" if "d" in row.dtypes else row.dtypes[0]


def as_tuple(value) -> tuple:
    return value if isinstance(value, tuple) else (value,)


def program_of(row: Row, arrays) -> Program:
    """The program that applies the operation once; its inputs are the inputs but the literals."""
    with Builder(row.name) as builder:
        builder.lines_from_user = False
        values = [
            x if domain.is_literal else builder.input(type_of(x))
            for domain, x in zip(row.domains, arrays, strict=True)
        ]
        outputs = as_tuple(row.op(*values, **row.params))
        return builder.finish([operand(builder, out) for out in outputs])


def without_literals(row: Row, items) -> list:
    """The items, one per domain, that belong to inputs of the program."""
    return [x for domain, x in zip(row.domains, items, strict=True) if not domain.is_literal]


def evaluated(row: Row, arrays) -> tuple:
    """What the operation's own evaluation gives."""
    with np.errstate(all="ignore"):
        return as_tuple(row.op.evaluate(*arrays, **row.params))


def naively(program: Program, values) -> list:
    """The outputs of a program run equation by equation, without a plan."""
    known = dict(zip(program.inputs, values, strict=True))
    with np.errstate(all="ignore"):
        for equation in program.equations:
            run_equation(equation, known)
    return [o.value if o.is_literal else known[o] for o in program.outputs]


def random_like(rng, x):
    """Standard normal numbers of the shape and dtype of x."""
    values = rng.normal(size=np.shape(x))
    if x.dtype.kind == "c":
        values = values + 1j * rng.normal(size=np.shape(x))
    return np.asarray(values).astype(x.dtype)[()]


class Point:
    """A row at one draw: its program, inputs, and which of them are active."""

    def __init__(self, row: Row, dtype="d", seed: int = 0):
        self.row = row
        self.arrays = row.draw(dtype, seed)
        self.program = program_of(row, self.arrays)
        self.inputs = without_literals(row, self.arrays)
        self.mask = tuple(without_literals(row, row.chosen(self.arrays)))
        self.rng = np.random.default_rng([7, seed])

    def direction(self) -> list:
        """A random tangent for each active input."""
        pairs = zip(self.inputs, self.mask, strict=True)
        return [random_like(self.rng, x) for x, wanted in pairs if wanted]

    def moved(self, direction, h) -> list:
        """The inputs displaced by h along a direction of the active ones."""
        steps = iter(direction)
        pairs = zip(self.inputs, self.mask, strict=True)
        return [x + h * next(steps) if wanted else x for x, wanted in pairs]

    def forward(self):
        """The program with tangents, and which outputs move."""
        return forward(self.program, self.mask)

    def tangents(self, direction) -> list:
        """The tangents of all outputs; zeros where nothing moves."""
        flat, moves = self.forward()
        outputs = Plan(flat).run([*self.inputs, *direction])
        moving = iter(outputs[len(moves) :])
        return [
            next(moving) if m else np.zeros_like(y)
            for y, m in zip(outputs[: len(moves)], moves, strict=True)
        ]

    def cotangents(self) -> list:
        """A random cotangent for each output that moves."""
        flat, moves = self.forward()
        outputs = Plan(flat).run([*self.inputs, *self.direction()])
        return [random_like(self.rng, np.asarray(y)) for y in outputs[len(moves) :]]

    def reverse(self):
        """The program with cotangents of the active inputs."""
        return reverse(self.program, self.mask)[0]


def derived_programs(row: Row):
    """The row's program and its derivatives, each with inputs to run it on."""
    point = Point(row, best_dtype(row))
    yield point.program, point.inputs
    if is_smooth(row):
        yield point.forward()[0], [*point.inputs, *point.direction()]
        yield point.reverse(), [*point.inputs, *point.cotangents()]


def both_derivatives(row: Row):
    """One program with the outputs of both derivatives of the row's, and inputs to run it on."""
    point = Point(row, best_dtype(row))
    flat, back = point.forward()[0], point.reverse()
    tangents, cotangents = point.direction(), point.cotangents()
    with Builder(row.name) as builder:
        builder.lines_from_user = False
        at, along, against = (
            [builder.input(type_of(x)) for x in items]
            for items in (point.inputs, tangents, cotangents)
        )
        outputs = [*inline(flat, [*at, *along]), *inline(back, [*at, *against])]
        both = builder.finish([operand(builder, out) for out in outputs])
    return both, [*point.inputs, *tangents, *cotangents]
