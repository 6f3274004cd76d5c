"""Random generators in traced functions advance as in Python, once, whatever is recomputed."""

import numpy as np
import pytest

import chainrule as cr
from chainrule.random import Generator


def draws(seed: int, count: int) -> list[float]:
    rng = Generator(seed)
    return [float(rng.normal()) for _ in range(count)]


def assert_at(rng: Generator, seed: int, draw: int) -> None:
    """The generator is where `draw` draws lead: its next number is theirs."""
    assert float(rng.normal()) == draws(seed, draw + 1)[-1]


def test_a_captured_generator_advances_inside_a_derivative():
    rng = Generator(7)
    first, second = draws(7, 2)
    slope = cr.grad(lambda x: x * rng.normal() + x * x * rng.normal())
    assert slope(2.0) == pytest.approx(first + 4.0 * second, rel=1e-15)
    assert_at(rng, 7, 2)


def test_a_generator_argument_advances_for_the_caller():
    rng = Generator(7)
    saved = rng.state  # drawing replaces the array: what was saved can be put back
    assert cr.grad(lambda x, rng: x * rng.normal())(2.0, rng) == draws(7, 1)[0]
    assert_at(rng, 7, 1)
    rng.state = saved
    assert_at(rng, 7, 0)


def test_an_inner_derivative_advances_the_generator_once():
    rng = Generator(3)
    a, b = draws(3, 2)
    f = lambda x: cr.grad(lambda y: y * y * rng.normal())(x) * rng.normal()
    assert cr.grad(f)(1.5) == pytest.approx(2 * a * b, rel=1e-15)
    assert_at(rng, 3, 2)


def test_a_scan_draws_anew_in_every_step():
    rng = Generator(5)
    numbers = draws(5, 4)

    def f(x):
        return cr.scan(lambda c, _: (c + x * rng.normal(), c), 0.0, None, length=4)[0]

    assert cr.grad(f)(1.0) == pytest.approx(sum(numbers), rel=1e-14)
    assert_at(rng, 5, 4)


def test_a_while_loop_recomputes_the_same_draws_in_reverse_mode():
    rng = Generator(11)
    numbers = draws(11, 6)

    def f(x):
        body = lambda s: (s[0] + 1, s[1] * (x + 0.1 * rng.normal()))
        return cr.while_loop(lambda s: s[0] < 6, body, (0, 1.0))[1]

    factors = [1.5 + 0.1 * n for n in numbers]
    product = np.prod(factors)
    assert cr.grad(f)(1.5) == pytest.approx(sum(product / a for a in factors), rel=1e-13)
    assert_at(rng, 11, 6)


def test_a_checkpoint_draws_once_and_recomputes_the_same_number():
    rng = Generator(13)
    (number,) = draws(13, 1)
    f = cr.checkpoint(lambda x: np.sin(x * rng.normal()))
    assert cr.grad(f)(0.7) == pytest.approx(number * np.cos(0.7 * number), rel=1e-14)
    assert_at(rng, 13, 1)


@pytest.mark.parametrize("taken", [True, False])
def test_a_branch_advances_the_generator_only_if_it_is_taken(taken):
    rng = Generator(17)
    (number,) = draws(17, 1)

    def f(x):
        return cr.cond(x > 0.0, lambda x: x * rng.normal(), lambda x: x * 2.0, x)

    slope = cr.grad(f)(1.0 if taken else -1.0)
    assert slope == (number if taken else 2.0)
    assert_at(rng, 17, 1 if taken else 0)


def test_under_vmap_every_lane_has_a_stream_and_the_generator_advances_one_draw():
    rng = Generator(19)
    found = cr.vmap(lambda x: x * 0.0 + rng.normal() * rng.normal())(np.zeros(4))
    assert len(set(found)) == 4
    assert_at(rng, 19, 1)
    again = cr.vmap(lambda x: x * 0.0 + rng.normal() * rng.normal())
    again_rng = Generator(19)
    rng.state = again_rng.state
    assert np.array_equal(again(np.zeros(4)), found)


def test_a_generator_is_as_it_was_if_the_function_raises():
    rng = Generator(23)

    def f(x):
        rng.normal()
        raise KeyError("mine")

    with pytest.raises(KeyError):
        cr.grad(f)(1.0)
    assert_at(rng, 23, 0)
