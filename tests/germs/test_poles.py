"""Products that remove a pole of a special function, against closed forms and mpmath."""

import math

import numpy as np
import pytest
import scipy.special as sp
from mpmath import mp

from tests.germs.sides import mean

EULER = 0.57721566490153286


@pytest.mark.parametrize(
    ("f", "x", "truth"),
    [
        (lambda x: x * sp.gamma(x), 0.0, -EULER),  # gamma(1 + x)
        (lambda x: x * sp.digamma(x), 0.0, -EULER),
        (lambda x: x * sp.beta(x, 2.0), 0.0, -1.0),  # 1 / (1 + x)
        (lambda x: x**2 * sp.polygamma(1, x), 0.0, 0.0),
        (lambda x: x**2 * sp.gammaln(x), 0.0, 0.0),
        (lambda x: np.exp(sp.gammaln(x)) * np.abs(x), 0.0, -EULER),
        (lambda x: sp.rgamma(x), 0.0, 1.0),
        (lambda x: sp.rgamma(x), -2.0, 2.0),
        (lambda x: (x + 2) * sp.gamma(x), -2.0, (1.5 - EULER) / 2),
        (lambda x: (x + 1) * sp.digamma(x), -1.0, 1 - EULER),
        (lambda x: x**2 * sp.expi(x), 0.0, 0.0),
        (lambda x: sp.expi(x) - np.log(np.abs(x)), 0.0, 1.0),
        (lambda x: sp.exp1(np.abs(x)) + np.log(np.abs(x)) + x, 0.0, 1.0),
    ],
)
def test_slopes_at_removed_poles(f, x, truth):
    assert mean(f, x) == pytest.approx(truth, rel=1e-9, abs=1e-9)


def test_second_derivatives_at_removed_poles():
    gamma = float(mp.diff(mp.gamma, 1, 2))
    assert mean(lambda x: x * sp.gamma(x), 0.0, order=2) == pytest.approx(gamma, rel=1e-9)
    assert mean(lambda x: sp.rgamma(x), 0.0, order=2) == pytest.approx(2 * EULER, rel=1e-9)


def test_functions_that_stay_infinite_are_infinite():
    assert mean(lambda x: sp.gammaln(x) * x, 0.0) in (math.inf, -math.inf)
