"""Programs packed and unpacked: the same structure, names and lines."""

from fractions import Fraction

import numpy as np
import pytest
from hypothesis import given, settings

import chainrule as cr
from chainrule.program.digest import digest
from chainrule.program.exact import ExactFloat
from chainrule.program.op import REGISTRY
from chainrule.program.packed import Lines, Unfit, equations_of, pack, unpack
from chainrule.program.trace import Builder, operand
from chainrule.program.types import array_type
from chainrule.tracing import trace_call
from tests.program.random_programs import programs


def again(program):
    return unpack(pack(program, Lines(program)), Lines(program))


def assert_same(made, program):
    assert digest(made) == digest(program)
    assert made.text() == program.text()
    lines = [[e.line and (id(e.line[0]), e.line[1]) for e in equations_of(p)]
             for p in (made, program)]  # fmt: skip
    assert lines[0] == lines[1]
    names = [[v.name for e in equations_of(p) for v in e.outputs] for p in (made, program)]
    assert names[0] == names[1]


@settings(max_examples=75)
@given(programs(steps=10))
def test_random_programs_are_the_same_again(program):
    if program.equations:
        assert_same(again(program.closed()), program.closed())


def looped(x):
    def body(carry, row):
        return carry * np.sin(row), carry + np.pi

    total, rows = cr.scan(body, 1.0, x)
    return total + np.sum(np.where(rows > 0, rows, x.astype(np.float32))) + np.float32(0.1)


@pytest.mark.parametrize("f", [looped, cr.grad(looped), cr.grad(lambda x: np.sum(x[1:] ** 3 / 7))])
def test_loops_and_derivatives_are_the_same_again(f):
    program = trace_call(f, (np.linspace(0.5, 1.5, 4),), {}).program
    assert_same(again(program), program)


def test_exact_numbers_stay_exact():
    program = trace_call(cr.grad(cr.special.erf), (0.5,), {}).program
    exact = [x.exact for e in equations_of(program) for x in e.inputs if x.is_literal and x.exact]
    found = [x.exact for e in equations_of(again(program)) for x in e.inputs
             if x.is_literal and x.exact]  # fmt: skip
    assert exact and [x.key for x in found] == [x.key for x in exact]


def test_exact_numbers_among_params_stay_exact():
    third = ExactFloat(Fraction(1, 3), {})
    with Builder("f") as builder:
        x = builder.input(array_type((2,), np.dtype(np.float64)))
        made = REGISTRY["series"](x, start=1, coefficients=(0.5, third))
        program = builder.finish([operand(builder, made)])
    found = again(program).equations[0].params["coefficients"]
    assert found == (0.5, third)
    assert found[1].ratio == Fraction(1, 3)
    assert digest(again(program)) == digest(program)


def test_functions_are_not_packed():
    program = trace_call(lambda x: x + 1.0, (2.0,), {}).program
    program.equations[0].params = {"function": len}
    with pytest.raises(Unfit):
        again(program)


def test_an_operation_that_is_not_there_is_not_unpacked(monkeypatch):
    program = trace_call(lambda x: np.sin(x) + 1.0, (2.0,), {}).program
    packed = pack(program, Lines(program))
    monkeypatch.delitem(REGISTRY, "sin")
    with pytest.raises(Unfit):
        unpack(packed, Lines(program))


def test_lines_of_another_program_are_not_packed():
    first = trace_call(lambda x: x + 1.0, (2.0,), {}).program
    second = trace_call(lambda x: x * 2.0, (2.0,), {}).program
    with pytest.raises(Unfit):
        pack(first, Lines(second))
