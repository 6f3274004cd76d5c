"""L-BFGS: its directions, its line search, where it ends, and that it goes on from a copy."""

import math
from copy import deepcopy

import numpy as np
import pytest

from chainrule import nn, optim
from chainrule.optim.lbfgs import Descent
from chainrule.optim.wolfe import Trial, wolfe


def rosenbrock(w):
    x = w["x"]
    return np.sum(100.0 * (x[1:] - x[:-1] ** 2) ** 2 + (1.0 - x[:-1]) ** 2)


def test_the_direction_is_that_of_the_matrix_written_out():
    rng = np.random.default_rng(0)
    n, k = 7, 4
    moves, slope = rng.normal(size=(k, n)), rng.normal(size=n)
    root = rng.normal(size=(n, n))
    turns = moves @ (root @ root.T + np.eye(n))  # of a convex function: s.y > 0
    inverse = np.eye(n) * (moves[-1] @ turns[-1]) / (turns[-1] @ turns[-1])
    for s, y in zip(moves, turns, strict=True):
        turned = np.eye(n) - np.outer(s, y) / (s @ y)
        inverse = turned @ inverse @ turned.T + np.outer(s, s) / (s @ y)
    descent = Descent(np.zeros(n), slope, 0.0, None, moves, turns)
    np.testing.assert_allclose(descent.direction(), -inverse @ slope, rtol=1e-10)


FUNCTIONS = {
    "quadratic": (lambda t: (t - 3) ** 2, lambda t: 2 * (t - 3)),
    "More and Thuente 1": (lambda t: -t / (t**2 + 2), lambda t: (t**2 - 2) / (t**2 + 2) ** 2),
    "More and Thuente 2": (lambda t: (t + 0.004) ** 5 - 2 * (t + 0.004) ** 4,
                           lambda t: 5 * (t + 0.004) ** 4 - 8 * (t + 0.004) ** 3),
    "waves": (lambda t: 0.1 * t**2 - math.sin(3 * t), lambda t: 0.2 * t - 3 * math.cos(3 * t)),
    "a wall": (lambda t: -math.log1p(t) - math.log(2 - t) if t < 2 else math.inf,
               lambda t: -1 / (1 + t) + 1 / (2 - t) if t < 2 else math.nan),
}  # fmt: skip


@pytest.mark.parametrize("name", FUNCTIONS)
@pytest.mark.parametrize("first", [1e-3, 0.1, 1.0, 30.0, 1e3])
def test_the_line_search_meets_the_wolfe_conditions(name, first):
    value, slope = FUNCTIONS[name]
    origin = Trial(0.0, value(0.0), slope(0.0), np.zeros(1))
    made = []

    def at(step):
        made.append(step)
        return Trial(step, value(step), slope(step), np.zeros(1))

    found = wolfe(at, origin, first)
    assert made[0] == first and len(made) <= 20
    assert value(found.step) <= value(0.0) + 1e-4 * found.step * slope(0.0)
    assert abs(slope(found.step)) <= 0.9 * abs(slope(0.0))


def test_no_step_is_found_where_nothing_falls():
    origin = Trial(0.0, 0.0, -1.0, np.zeros(1))
    assert wolfe(lambda t: Trial(t, math.nan, math.nan, np.zeros(1)), origin, 1.0) is None


@pytest.mark.parametrize("memory", [1, 3, 10])
def test_the_least_of_the_rosenbrock_function_is_found(memory):
    w = {"x": np.array([-1.2, 1.0, -1.2, 1.0])}
    found = optim.lbfgs(rosenbrock, w, tolerance=1e-14, memory=memory)
    assert found.converged and found.steps < 150
    np.testing.assert_allclose(w["x"], 1.0, atol=1e-5)


def test_badly_scaled_least_squares_end_where_the_normal_equations_say():
    rng = np.random.default_rng(1)
    x, y = rng.normal(size=(50, 6)) * 10.0 ** np.arange(-2, 1, 0.5), rng.normal(size=50)
    w = {"w": np.zeros(6)}
    optim.lbfgs(lambda p: np.sum((x @ p["w"] - y) ** 2), w, tolerance=1e-15, steps=2000)
    np.testing.assert_allclose(w["w"], np.linalg.lstsq(x, y, rcond=None)[0], rtol=1e-4, atol=1e-5)


def test_a_first_step_that_leaves_the_domain_is_shortened():
    w = {"w": np.array([0.05])}
    found = optim.lbfgs(lambda p: np.sum(p["w"] ** 4 - 1e-3 * np.log(p["w"])), w, tolerance=1e-14)
    assert found.converged
    assert w["w"][0] == pytest.approx((1e-3 / 4) ** 0.25, rel=1e-5)


@pytest.mark.parametrize("dtype", ["f", "d"])
@pytest.mark.parametrize("stop", [1, 2, 9, 14])
def test_a_search_goes_on_from_a_copy_to_the_same_bits(stop, dtype):
    rng = np.random.default_rng(0)
    x = rng.normal(size=(64, 2)).astype(dtype)
    y = x[:, :1] * x[:, 1:]

    def loss(m, x, y):
        return nn.losses.squared(m(x), y)

    def network():
        return nn.MLP(2, (8,), 1, activation="tanh", dtype=dtype, rng=0)

    whole, losses = network(), []
    end = optim.lbfgs(loss, whole, x, y, steps=20, after=losses.append, memory=5)
    part, first = network(), Descent()
    optim.lbfgs(loss, part, x, y, steps=stop, descent=first, memory=5)
    again, rest, second = deepcopy(part), [], deepcopy(first)
    found = optim.lbfgs(loss, again, x, y, steps=20, after=rest.append, descent=second, memory=5)
    assert found == end and losses[stop:] == rest and len(losses) == 20
    assert all(np.array_equal(a, b) for a, b in zip(
        whole.parameters(), again.parameters(), strict=True))  # fmt: skip


def test_why_it_ended_is_said():
    w = {"w": np.array([3.0])}
    found = optim.lbfgs(lambda p: np.sum((p["w"] - 1.0) ** 4), w, steps=2)
    assert (found.steps, found.converged, found.reason) == (2, False, "2 steps made")
    found = optim.lbfgs(lambda p: np.sum(p["w"] ** 2), {"w": np.array([0.0])})
    assert found.steps == 0 and found.converged and "gradient" in found.reason
    with pytest.raises(ValueError, match="nan at the start"):
        optim.lbfgs(lambda p: np.sum(np.log(p["w"])), {"w": np.array([-1.0])})
