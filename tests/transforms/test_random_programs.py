"""Random programs through every transformation: what must hold of any program whatsoever.

Values and tangents are small integers, so that all sums are exact and equality means equality.
"""

import numpy as np
from hypothesis import given, settings

from chainrule.program.evaluate import evaluate
from chainrule.program.liveness import remove_dead
from chainrule.program.program import Program
from chainrule.transforms.batch import batch
from chainrule.transforms.forward import forward
from chainrule.transforms.reverse import reverse, split_program, transpose_program
from tests.program.random_programs import arrays_for, programs


def inexact(types) -> tuple[bool, ...]:
    return tuple(t.inexact for t in types)


def small_integers(types, rng) -> list:
    return [rng.integers(-3, 4, t.shape).astype(t.dtype)[()] for t in types]


def inner_product(left, right) -> float:
    return sum(float(np.sum(np.multiply(a, b))) for a, b in zip(left, right, strict=True))


def assert_equal(found, wanted) -> None:
    for a, b in zip(found, wanted, strict=True):
        assert np.array_equal(a, b)


def moving_types(program, moves):
    return [o.type for o, m in zip(program.outputs, moves, strict=True) if m]


@settings(max_examples=60)
@given(programs(steps=14))
def test_reverse_mode_is_the_adjoint_of_forward_mode(program):
    program, arrays, rng = program.closed(), arrays_for(program), np.random.default_rng(5)
    active, count = inexact(program.in_types), len(program.outputs)
    flat, moves = forward(program, active)
    back, back_moves = reverse(program, active)
    flat.validate()
    back.validate()
    assert back_moves == moves
    value = evaluate(program, arrays)
    tangents = small_integers([t for t in program.in_types if t.inexact], rng)
    cotangents = small_integers(moving_types(program, moves), rng)
    forwards = evaluate(flat, arrays + tangents)
    backwards = evaluate(back, arrays + cotangents)
    assert_equal(forwards[:count], value)
    assert_equal(backwards[:count], value)
    left = inner_product(cotangents, forwards[count:])
    assert left == inner_product(backwards[count:], tangents)


@settings(max_examples=30)
@given(programs(steps=8))
def test_second_derivatives_agree_between_forward_and_reverse_mode(program):
    program, arrays, rng = program.closed(), arrays_for(program), np.random.default_rng(6)
    active, count = inexact(program.in_types), len(program.outputs)
    back, moves = reverse(program, active)
    inputs = len(program.inputs)
    back = remove_dead(Program(back.inputs, back.equations, back.outputs[count:]))
    mask = active + (False,) * (len(back.inputs) - inputs)
    types = [t for t in program.in_types if t.inexact]
    given_values = arrays + small_integers(moving_types(program, moves), rng)
    u, v = small_integers(types, rng), small_integers(types, rng)
    over_forward, moved = forward(back, mask)
    over_reverse, _ = reverse(back, mask)
    over_forward.validate()
    over_reverse.validate()
    seen = evaluate(over_forward, given_values + u)[len(back.outputs) :]
    kept = [x for x, m in zip(v, moved, strict=True) if m]
    found = evaluate(over_reverse, given_values + kept)[len(back.outputs) :]
    assert inner_product(kept, seen) == inner_product(found, u)


@settings(max_examples=30)
@given(programs(steps=10))
def test_linearised_and_transposed_halves_fit_together(program):
    program, arrays, rng = program.closed(), arrays_for(program), np.random.default_rng(7)
    active, count, inputs = inexact(program.in_types), len(program.outputs), len(program.inputs)
    flat, moves = forward(program, active)
    tangents = small_integers([t for t in program.in_types if t.inexact], rng)
    known, linear, _, residuals = split_program(
        flat, (False,) * inputs + (True,) * len(tangents), (False,) * count + (True,) * sum(moves)
    )
    pull = transpose_program(linear, len(residuals))
    for part in (known, linear, pull):
        part.validate()
    values = evaluate(known, arrays)
    moved = evaluate(linear, values[count:] + tangents)
    assert_equal(moved, evaluate(flat, arrays + tangents)[count:])
    cotangents = small_integers(moving_types(program, moves), rng)
    pulled = evaluate(pull, values[count:] + cotangents)
    assert inner_product(cotangents, moved) == inner_product(pulled, tangents)


@settings(max_examples=60)
@given(programs(steps=10))
def test_a_batched_program_is_a_loop_over_its_lanes(program):
    captured, program, arrays = len(program.captured), program.closed(), arrays_for(program)
    rng, size = np.random.default_rng(8), 3
    mask = [i >= captured and bool(rng.random() < 0.6) for i in range(len(program.inputs))]
    wide, marks = batch(program, size, tuple(mask), (True,) * len(program.outputs))
    wide.validate()
    assert all(marks)
    lanes = [
        [small_integers([t], rng)[0] if m else x
         for t, m, x in zip(program.in_types, mask, arrays, strict=True)]
        for _ in range(size)
    ]  # fmt: skip
    together = [
        np.stack([lane[i] for lane in lanes]) if m else arrays[i] for i, m in enumerate(mask)
    ]
    found = evaluate(wide, together)
    for k, lane in enumerate(lanes):
        assert_equal([value[k] for value in found], evaluate(program, lane))


@settings(max_examples=20)
@given(programs(steps=8))
def test_the_derivative_of_a_batched_program_is_the_batch_of_derivatives(program):
    captured, program, arrays = len(program.captured), program.closed(), arrays_for(program)
    rng, size = np.random.default_rng(9), 2
    active, count = inexact(program.in_types), len(program.outputs)
    mask = tuple(i >= captured for i in range(len(program.inputs)))
    flat, moves = forward(program, active)
    tangents = [t for t in program.in_types if t.inexact]
    wide, _ = batch(program, size, mask, (True,) * count)
    wide_flat, wide_moves = forward(wide, active)
    wide_flat.validate()
    values = [
        np.stack([small_integers([t], rng)[0] for _ in range(size)]) if m else x
        for t, m, x in zip(program.in_types, mask, arrays, strict=True)
    ]
    batched_tangent = [m for m, a in zip(mask, active, strict=True) if a]
    directions = [
        np.stack([small_integers([t], rng)[0] for _ in range(size)])
        if m else small_integers([t], rng)[0]
        for t, m in zip(tangents, batched_tangent, strict=True)
    ]  # fmt: skip
    found = evaluate(wide_flat, values + directions)[count:]
    for k in range(size):
        lane = [x[k] if m else x for x, m in zip(values, mask, strict=True)]
        lane += [d[k] if m else d for d, m in zip(directions, batched_tangent, strict=True)]
        wanted = iter(evaluate(flat, lane)[count:])
        by_output = [next(wanted) if m else None for m in moves]
        kept = [w for w, m in zip(by_output, wide_moves, strict=True) if m]
        assert_equal([f[k] for f in found], kept)
