"""Simplify as a whole: random programs and derivatives keep every bit, structure, cost."""

import numpy as np
from hypothesis import given, settings

from chainrule.compiler.lower import lower
from chainrule.compiler.stages import run_in_c_order, same_result
from chainrule.program.cost import subprograms
from chainrule.transforms.forward import forward
from chainrule.transforms.reverse import reverse
from chainrule.transforms.simplify import remove_barriers, simplify
from tests.ops.running import derived_programs, rows
from tests.program.random_programs import arrays_for, programs


def assert_same(before, after, values) -> None:
    before.validate()
    after.validate()
    wanted, found = run_in_c_order(before, values), run_in_c_order(after, values)
    for a, b in zip(found, wanted, strict=True):
        assert same_result(a, b), f"\n{before}\n{after}\n{a}\n{b}"


def size(program) -> int:
    return sum(1 + sum(size(p) for _, p in subprograms(e)) for e in program.equations)


@settings(max_examples=30)
@given(programs(steps=14))
def test_random_programs_keep_every_bit(program):
    program, arrays = program.closed(), arrays_for(program)
    after = simplify(program)
    assert_same(program, after, arrays)
    assert_same(program, remove_barriers(simplify(lower(program))), arrays)
    assert simplify(after).text() == after.text()


@settings(max_examples=30)
@given(programs(steps=10))
def test_derivatives_of_random_programs_keep_every_bit(program):
    program, arrays, rng = program.closed(), arrays_for(program), np.random.default_rng(5)
    active = tuple(t.inexact for t in program.in_types)
    for derived, _ in (forward(program, active), reverse(program, active)):
        more = derived.in_types[len(program.inputs) :]
        values = [*arrays, *(rng.integers(-3, 4, t.shape).astype(t.dtype)[()] for t in more)]
        lowered = lower(derived)
        assert_same(lowered, remove_barriers(simplify(lowered)), values)


@rows(lambda row: True)
def test_derivatives_of_every_operation_keep_every_bit(row):
    for program, values in derived_programs(row):
        after = simplify(program)
        pads = sum(e.op.name == "pad" for e in after.equations)  # `pad(v + 0)` is one for two
        fewer = after.cost().flops < program.cost().flops  # what is broadcast later costs less
        assert size(after) <= size(program) + pads or fewer
        program.validate()
        after.validate()
        wanted, found = run_in_c_order(program, values), run_in_c_order(after, values)
        exact = not {e.op.name for e in program.equations} & {"contract"}
        for a, b in zip(found, wanted, strict=True):
            assert same_result(a, b, exact), f"\n{program}\n{after}\n{a}\n{b}"
