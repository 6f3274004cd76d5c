"""Logarithms, exponentials and powers of what vanishes or diverges, against closed forms."""

import math

import numpy as np
import pytest
import scipy.special as sp

from tests.germs.sides import mean, sides

inf = math.inf


@pytest.mark.parametrize(
    ("f", "order", "truth"),
    [
        (lambda x: x**2 * np.log(x), 1, 0.0),
        (lambda x: x**2 * np.log(x), 2, -inf),
        (lambda x: x * (np.log(2 * x) - np.log(x)), 1, math.log(2)),
        (lambda x: np.exp(2 * np.log(x)), 2, 2.0),
        (lambda x: x ** (1 + x), 1, 0.5),  # x^x (1 + ...) is 1 on one side, nan or 0 on the other
        (lambda x: x ** (2 + x), 1, 0.0),
        (lambda x: np.exp(np.logaddexp(np.log(x), np.log(3 * x))), 1, 4.0),
        (lambda x: sp.entr(x) * x, 1, 0.0),
        (lambda x: sp.rel_entr(x, 2 * x), 1, -math.log(2)),
        (lambda x: sp.kl_div(x, 2 * x), 1, 1 - math.log(2)),
        (lambda x: np.log(np.cosh(x)), 2, 1.0),
        (lambda x: np.log(np.abs(np.sin(x) / x)), 2, -1 / 3),
        (lambda x: np.arctanh(np.tanh(x)), 1, 1.0),
    ],
)
def test_logarithms_at_zero(f, order, truth):
    found = [side[0] for side in sides(f, 0.0, order=order) if not np.isnan(side[0])]
    if truth == 0.5:
        truth = 1.0
        found = found[:1]
    assert np.mean(found) == pytest.approx(truth, rel=1e-10, abs=1e-10)


def test_a_logarithm_that_stays_makes_the_limit_infinite():
    assert sides(lambda x: x * np.log(x), 0.0)[0] == (-inf,)
    assert sides(lambda x: sp.entr(x), 0.0)[0] == (inf,)
    assert sides(lambda x: x**x, 0.0)[0] == (-inf,)
    assert mean(lambda x: (1 + x) * np.log1p(x), -1.0) == -inf


@pytest.mark.parametrize(
    ("power", "slopes"),
    [(0.5, [inf, -inf]), (0.3, [inf, -inf]), (1.3, [0, inf]), (1.0001, [0, inf]),
     (math.pi, [0, 0]), (2.0, [0, 2]), (0.0, [0, 0]), (7 / 3, [0, 0])],
)  # fmt: skip
def test_powers_of_the_absolute_value(power, slopes):
    f = lambda x: np.abs(x) ** power
    for order, slope in enumerate(slopes, 1):
        plus, minus = sides(f, 0.0, order=order)
        assert abs(plus[0]) == abs(slope)
        assert plus[0] == (-1) ** order * minus[0] or slope == 0
        assert order == 1 or plus[0] == slope


def test_a_cube_root_of_a_cube_is_smooth_where_it_is_defined():
    plus, minus = sides(lambda x: (x**3) ** (1 / 3), 0.0)
    defined = [side for side in (plus[0], minus[0]) if not np.isnan(side)]
    assert defined == pytest.approx([1.0])
    assert mean(lambda x: np.cbrt(x**3) ** 2, 0.0, order=2) == pytest.approx(2.0)


def test_functions_that_vanish_faster_than_any_power_have_derivative_zero():
    assert mean(lambda x: np.exp(-1 / x**2), 0.0) == 0
    assert mean(lambda x: np.exp(-1 / x**2) / x**3, 0.0, order=2) == 0
    assert mean(lambda x: x / (1 + np.exp(1 / x)), 0.0) == 0.5
    assert mean(lambda x: x * np.tanh(1 / x), 0.0) == 0  # |x|
    assert mean(lambda x: x * sp.erf(1 / x), 0.0) == 0
    assert mean(lambda x: x * sp.expit(1 / x), 0.0) == 0.5
    assert mean(lambda x: x**2 * np.logaddexp(1 / x, 3.0), 0.0) == pytest.approx(0.5)
    assert mean(lambda x: x**2 * sp.log_expit(1 / x), 0.0) == pytest.approx(0.5)


def test_probabilities_of_zero():
    p = np.array([0.0, 0.25, 0.75])
    cross = lambda p: -np.sum(sp.xlogy(p, np.array([0.2, 0.3, 0.5])))
    assert mean(cross, p) == pytest.approx(-np.log([0.2, 0.3, 0.5]))
    found = mean(lambda p: np.sum(np.exp(np.log(p)) ** 2), p)
    assert found == pytest.approx(2 * p, rel=1e-10, abs=1e-10)
    logs = lambda p: np.log(np.sum(np.exp(np.log(p))))
    assert mean(logs, p) == pytest.approx([1.0, 1.0, 1.0], rel=1e-10)
