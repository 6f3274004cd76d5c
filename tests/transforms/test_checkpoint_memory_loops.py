"""memory= where a loop stacks what its steps keep: it is cut into stretches."""

import numpy as np
import pytest

import chainrule as cr
from chainrule import errors
from chainrule.program.evaluate import Plan
from chainrule.program.footprint import footprint
from chainrule.transforms.checkpoint import within
from chainrule.transforms.stretches import stretched
from tests.transforms.test_checkpoint_memory import allocated, gradient_program, least_of

STEPS, BATCH, WIDTH = 240, 128, 32
rng = np.random.default_rng(11)
W = rng.normal(size=(WIDTH, WIDTH)) / np.sqrt(WIDTH)
XS = 0.3 * rng.normal(size=(STEPS, BATCH, WIDTH))
H = rng.normal(size=(BATCH, WIDTH))
UNIT = H.nbytes


def recurrent(w, h):
    def step(h, x):
        h = np.tanh(h @ w + x)
        return h, np.sum(h**2)

    h, norms = cr.scan(step, h, XS)
    return np.sum(h**2) + 0.1 * np.sum(norms**2)


def integrated(w, h):
    return np.sum(cr.fori_loop(0, STEPS, lambda i, h: h + 0.05 * np.tanh(h @ w), h) ** 2)


@pytest.mark.parametrize("f", [recurrent, integrated])
def test_a_loop_fits_into_ever_less_with_the_same_bits(f):
    wanted = cr.grad(f, (0, 1))(W, H)
    free = allocated(lambda: cr.grad(f, (0, 1))(W, H))
    assert free > 2 * STEPS * UNIT
    for units in (200, 30):
        derivative = cr.grad(f, (0, 1), memory=units * UNIT)
        found = derivative(W, H)
        assert all(np.array_equal(a, b) for a, b in zip(found, wanted, strict=True))
        assert allocated(lambda: derivative(W, H)) <= 1.05 * units * UNIT


def test_the_root_of_the_steps_takes_one_further_run_of_each():
    program, _ = gradient_program(recurrent, W, H)
    made = within(program, int(4.2 * np.sqrt(STEPS) * UNIT))
    assert made.cost().flops <= 1.35 * program.cost().flops


def test_less_than_the_root_takes_more_runs():
    program, _ = gradient_program(recurrent, W, H)
    made = within(program, 30 * UNIT)
    assert footprint(made) <= 30 * UNIT
    assert 1.35 < made.cost().flops / program.cost().flops <= 1.75


def test_steps_in_the_tail_are_run_once():
    program, operands = gradient_program(recurrent, W, H)
    half, all_ = stretched(program, 8, 0.5), stretched(program, 8)
    assert program.cost().flops < half.cost().flops < all_.cost().flops
    wanted = Plan(program).run(operands)
    for made in (half, all_, stretched(all_, 4)):
        made.validate()
        found = Plan(made).run(operands)
        assert all(np.array_equal(a, b) for a, b in zip(found, wanted, strict=True))


def test_a_program_without_linked_loops_is_not_cut():
    program, _ = gradient_program(lambda w, h: np.sum(np.tanh(h @ w)), W, H)
    assert stretched(program, 8) is None
    short, _ = gradient_program(
        lambda w: np.sum(cr.scan(lambda h, x: (np.tanh(h @ w), None), H, W[:3])[0]), W
    )
    assert stretched(short, 8) is None


def test_a_loop_that_cannot_fit_says_the_least_that_would():
    with pytest.raises(errors.BudgetTooSmall) as error:
        cr.grad(integrated, (0, 1), memory=UNIT)(W, H)
    least = least_of(error)
    assert least < 25 * UNIT
    found = cr.grad(integrated, (0, 1), memory=least)(W, H)
    wanted = cr.grad(integrated, (0, 1))(W, H)
    assert all(np.array_equal(a, b) for a, b in zip(found, wanted, strict=True))


def test_a_compiled_loop_fits_too():
    compiled = cr.compile(cr.grad(recurrent, (0, 1)), memory=60 * UNIT)
    for a, b in zip(compiled(W, H), cr.grad(recurrent, (0, 1))(W, H), strict=True):
        assert np.max(np.abs(a - b)) <= 1e-12 * np.max(np.abs(b))
    assert compiled.latest_trace().native.arena_bytes <= 60 * UNIT


def test_dropout_in_a_loop_is_recomputed_with_the_same_numbers():
    def dropped(w, rng):
        def step(h, x):
            h = np.tanh(h @ w + x)
            return np.where(rng.random(h.shape) < 0.5, 2.0 * h, 0.0), None

        return np.sum(cr.scan(step, H, XS[:64])[0] ** 2)

    wanted = cr.grad(dropped)(W, cr.random.Generator(2))
    found = cr.grad(dropped, memory=40 * UNIT)(W, cr.random.Generator(2))
    assert np.array_equal(found, wanted)
