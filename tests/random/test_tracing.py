"""Draws inside traces: the same numbers and state as outside, and streams for the lanes of vmap."""

import numpy as np
import pytest

import chainrule as cr
from chainrule import errors
from chainrule.random import Generator, lane_states
from tests.random.laws import CONTINUOUS, DISCRETE, SINGLE

OTHERS = [
    ("dirichlet", ([0.5, 2.0, 3.0],), {"size": 4}),
    ("choice", (np.arange(6.0).reshape(3, 2),), {"size": 4, "axis": 1}),
    ("choice", (7,), {"size": 4, "replace": False}),
    ("choice", (3,), {"size": 2, "replace": False, "p": [0.2, 0.3, 0.5]}),
    ("choice", (np.arange(4.0),), {}),
    ("permutation", (5,), {}),
    ("permutation", (np.arange(6.0).reshape(3, 2),), {"axis": 1}),
    ("permuted", (np.arange(6.0).reshape(3, 2),), {"axis": 1}),
    ("categorical", (), {"logits": np.zeros((2, 3)), "size": (5, 2)}),
    ("standard_normal", (), {"size": (3,), "dtype": np.float32}),
]
ALL = [
    *((c.method, c.args, {"size": 4, **(c.options or {})}) for c in CONTINUOUS + DISCRETE + SINGLE),
    *((c.method, c.args, c.options or {}) for c in CONTINUOUS + DISCRETE),
    *OTHERS,
]


def name(case) -> str:
    return f"{case[0]}{case[1]}{case[2]}".replace("\n", "")


def traced(f, *args):
    """f(*args) by a trace, with f's value as it is."""
    return cr.vjp(f, *args)[0]


@pytest.mark.parametrize("case", ALL, ids=name)
def test_inside_a_trace_the_numbers_and_the_state_are_the_same(case):
    method, args, options = case
    outside, inside, captured = Generator(9), Generator(9), Generator(9)
    expected = getattr(outside, method)(*args, **options), outside.random()

    def draw(rng, one):
        return getattr(rng, method)(*args, **options), rng.random()

    for found, rng in (
        (traced(draw, inside, 1.0), inside),
        (traced(lambda one: draw(captured, one), 1.0), captured),
    ):
        for x, y in zip(found, expected, strict=True):
            np.testing.assert_array_equal(x, y)
            assert np.asarray(x).dtype == np.asarray(y).dtype
        np.testing.assert_array_equal(rng.state, outside.state)


@pytest.mark.parametrize("case", ALL, ids=name)
def test_under_vmap_each_lane_draws_with_its_own_key(case):
    method, args, options = case
    rng = Generator(9)
    rng.random()
    found = cr.vmap(lambda x: (getattr(rng, method)(*args, **options), x))(np.arange(3.0))[0]
    for i, state in enumerate(lane_states(np.array([9, 1], np.uint64), 3)):
        lane = Generator(0)
        lane.state = state
        np.testing.assert_array_equal(found[i], getattr(lane, method)(*args, **options))
    np.testing.assert_array_equal(rng.state, [9, 2])


def test_lanes_with_parameters_of_their_own_are_as_a_loop():
    scales = np.array([0.5, 2.0, 30.0])
    for method in ("gamma", "poisson", "exponential", "chisquare", "standard_t", "weibull"):
        rng = Generator(4)
        found = cr.vmap(lambda a: getattr(rng, method)(a, size=2))(scales)
        for i, state in enumerate(lane_states(np.array([4, 0], np.uint64), 3)):
            lane = Generator(0)
            lane.state = state
            np.testing.assert_array_equal(found[i], getattr(lane, method)(scales[i], size=2))


def test_lanes_with_probabilities_of_their_own():
    p, rng = np.array([[1.0, 0.0, 0.0], [0.0, 0.5, 0.5], [0.0, 0.0, 1.0]]), Generator(4)
    found = cr.vmap(lambda p: rng.categorical(p, size=50))(p)
    assert np.all(found[0] == 0) and set(found[1]) == {1, 2} and np.all(found[2] == 2)
    pairs = cr.vmap(lambda p: rng.choice(3, 1, replace=False, p=p))(p)
    assert pairs[0] == 0 and pairs[2] == 2


def test_nested_lanes_all_differ_and_the_generator_advances_once():
    rng = Generator(4)
    found = cr.vmap(cr.vmap(lambda x: rng.normal() + x))(np.zeros((3, 5)))
    assert len(np.unique(found)) == 15
    np.testing.assert_array_equal(rng.state, [4, 1])


def test_a_second_call_goes_on_where_the_first_ended():
    rng, plain = Generator(4), Generator(4)
    f = cr.value_and_grad(lambda x: x * rng.normal())
    for _ in range(3):
        value, slope = f(2.0)
        z = plain.normal()
        assert value == 2.0 * z and slope == z


def test_a_generator_made_inside_a_trace_starts_at_each_call():
    f = cr.value_and_grad(lambda x: x * Generator(8).normal() + Generator([1, 2]).random())
    expected = 2.0 * Generator(8).normal() + Generator([1, 2]).random()
    assert f(2.0)[0] == f(2.0)[0] == expected


def test_children_spawned_inside_a_trace_are_those_of_outside():
    rng, plain = Generator(8), Generator(8)

    def f(rng, x):
        first, second = rng.spawn(2)
        return x * first.normal() + second.normal() * rng.random()

    assert traced(f, rng, 2.0) == f(plain, 2.0)
    np.testing.assert_array_equal(rng.state, plain.state)


def test_a_generator_in_a_container_is_written_back():
    holder = {"rng": Generator(8), "w": 2.0}
    found = traced(lambda h: h["w"] * h["rng"].random(), holder)
    assert found == 2.0 * Generator(8).random()
    np.testing.assert_array_equal(holder["rng"].state, [8, 1])


def test_a_function_that_raises_leaves_the_generator_as_it_was():
    rng = Generator(8)

    def f(x):
        rng.normal()
        raise KeyError("no")

    with pytest.raises(KeyError):
        cr.grad(f)(1.0)
    np.testing.assert_array_equal(rng.state, [8, 0])
    assert rng.random() == Generator(8).random()


def test_shuffle_inside_a_trace_writes_the_argument():
    rng, x = Generator(8), np.arange(5.0)

    def f(x):
        rng.shuffle(x)
        return x @ np.arange(5.0)

    expected = np.arange(5.0)
    Generator(8).shuffle(expected)
    slope = cr.grad(f)(x)
    np.testing.assert_array_equal(x, expected)
    order = Generator(8).permutation(5)
    np.testing.assert_array_equal(slope[order], np.arange(5.0))


def test_a_parameter_array_is_read_at_each_call():
    alpha, rng = np.array([1.0, 2.0]), Generator(8)
    f = cr.value_and_grad(lambda x: (x * rng.gamma(alpha)).sum())
    f(1.0)
    alpha *= 5.0
    rng.state[:] = [8, 0]
    assert f(1.0)[0] == Generator(8).gamma(alpha).sum()


def test_a_bad_traced_parameter_raises_when_it_is_drawn_with_the_users_line():
    with pytest.raises(ValueError, match="shape < 0") as caught:
        cr.grad(lambda a: Generator(1).gamma(a))(-1.0)
    assert any("test_tracing.py" in note for note in caught.value.__notes__)


def test_draws_in_a_loop_go_on_from_turn_to_turn():
    rng, plain = Generator(8), Generator(8)
    found = traced(lambda x: cr.fori_loop(0, 4, lambda i, s: s + rng.normal() * x, 0.0 * x), 2.0)
    expected = 0.0
    for _ in range(4):
        expected = expected + plain.normal() * 2.0
    assert found == expected
    np.testing.assert_array_equal(rng.state, plain.state)


def test_a_checkpointed_draw_is_the_same_when_recomputed():
    def noisy(x):
        return np.sin(x * rng.normal())

    rng = Generator(8)
    plain = cr.value_and_grad(noisy)(1.5)
    rng = Generator(8)
    assert cr.value_and_grad(cr.checkpoint(noisy))(1.5) == plain
    np.testing.assert_array_equal(rng.state, [8, 1])


def test_a_leaked_generator_says_so():
    kept = []

    def f(x):
        kept.extend(Generator(1).spawn(1))
        return x * 1.0

    cr.grad(f)(1.0)
    assert repr(kept[0]) == "Generator(traced)"
    with pytest.raises(errors.LeakedValue):
        kept[0].normal()
