"""Kinks: means of derivatives along germs against closed forms."""

import numpy as np
import pytest

from tests.germs.sides import mean, sides


def relu(x):
    return np.maximum(x, 0.0)


def softplus(x):
    return np.maximum(x, 0.0) + np.log1p(np.exp(-np.abs(x)))


@pytest.mark.parametrize(
    "f",
    [
        lambda x: relu(x) - relu(-x),
        lambda x: np.maximum(0.0, x) + np.minimum(0.0, x),
        lambda x: relu(x) + np.where(x < 0, x, 0.0),
        lambda x: np.where(x >= 0, x, x),
        lambda x: np.abs(x) * np.sign(x),
        lambda x: np.clip(x, 0.0, 1.0) + np.clip(x, -1.0, 0.0),
    ],
)
def test_pieces_that_make_up_the_identity_have_slope_one_at_zero(f):
    plus, minus = sides(f, 0.0)
    assert plus == minus == (1.0,)
    assert mean(f, 0.0, order=2) == 0


def test_softplus_written_with_kinks_has_the_derivatives_of_softplus_at_its_kink():
    assert mean(softplus, 0.0) == 0.5
    assert mean(softplus, 0.0, order=2) == pytest.approx(0.25, rel=1e-15)
    assert mean(softplus, 0.0, order=3) == pytest.approx(0.0, abs=1e-15)
    assert mean(softplus, 0.0, order=4) == pytest.approx(-0.125, rel=1e-13)


def test_a_kink_of_first_order_gives_the_mean():
    assert mean(np.abs, 0.0) == 0
    assert mean(relu, 0.0) == 0.5
    assert sides(relu, 0.0)[0] != sides(relu, 0.0)[1]
    assert mean(lambda x: np.maximum(2 * x, -3 * x), 0.0) == -0.5


def test_comparisons_are_decided_by_coefficients_of_any_order():
    assert sides(lambda x: np.maximum(x * x, x**3), 0.0, order=2) == ((2.0,), (2.0,))
    assert sides(lambda x: np.maximum(x**8, x**9), 0.0, order=8) == ((40320.0,), (40320.0,))
    f = lambda x: np.where(np.cos(x) < 1 - x**2 / 2, 5 * x, 7 * x)
    assert sides(f, 0.0) == ((7.0,), (7.0,))  # cos x - 1 + x^2/2 = x^4 / 24 > 0
    f = lambda x: np.where(np.sin(x) < x - x**3 / 6, 5 * x, 7 * x)
    assert sides(f, 0.0) in [((7.0,), (5.0,)), ((5.0,), (7.0,))]


def test_x_times_abs_x_is_twice_differentiable_from_each_side():
    f = lambda x: x * np.abs(x)
    assert mean(f, 0.0) == 0
    plus, minus = sides(f, 0.0, order=2)
    assert sorted([plus[0], minus[0]]) == [-2, 2]


@pytest.mark.parametrize(
    ("f", "x", "truth"),
    [
        (lambda x: np.max(x), [1.0, 1.0, 0.0], [0.5, 0.5, 0.0]),
        (lambda x: np.median(x), [1.0, 1.0, 0.0], [0.5, 0.5, 0.0]),
        (lambda x: np.sort(x) @ np.array([1.0, 2.0, 3.0]), [1.0, 1.0, 0.0], [2.5, 2.5, 1.0]),
        (lambda x: np.sum(np.sort(x)), [1.0, 1.0, 1.0], [1.0, 1.0, 1.0]),
        (lambda x: np.max(x) + np.min(x), [3.0, 3.0], [1.0, 1.0]),
        (lambda x: x[np.argmax(x)], [2.0, 2.0], [0.5, 0.5]),
        (lambda x: np.sum(np.maximum.accumulate(x)), [1.0, 1.0], [1.5, 0.5]),
    ],
)
def test_order_at_ties(f, x, truth):
    assert mean(f, np.array(x)) == pytest.approx(truth)
