"""Formulas that are rewritten for stability, at their singular points."""

import numpy as np
import pytest

from chainrule.germs.evaluation import RULES
from chainrule.ops.special.stable_forms import MEANINGS
from tests.germs.sides import mean, sides

CASES = [
    (lambda x: x**2 * np.log(1 - np.exp(-np.abs(x))), 0.0, 0.0),
    (lambda x: np.exp(np.log(1 - np.exp(-np.abs(x)))) / np.abs(x), 0.0, 0.0),
    (lambda x: (np.exp(x) - np.exp(2 * x)) / x, 0.0, -1.5),
    (lambda x: np.log(np.cosh(x)) / x, 0.0, 0.5),
    (lambda x: np.abs(x) * np.log(np.sinh(np.abs(x))) * x, 0.0, 0.0),
    (lambda x: (1 + x) ** 2.5, -1.0, 0.0),
    (lambda x: x * x * np.log(np.abs(x) * np.exp(x)), 0.0, 0.0),
]


@pytest.mark.parametrize(("f", "x", "truth"), CASES)
def test_slopes(f, x, truth):
    assert mean(f, x) == pytest.approx(truth, abs=1e-9)


def test_norms_and_products():
    plus, minus = sides(lambda x: np.sqrt(np.sum(x * x)), np.zeros(2))
    assert np.linalg.norm(plus[0]) == pytest.approx(1)
    assert plus[0] == pytest.approx(-minus[0])
    x = np.array([0.0, 2.0, 3.0])
    assert mean(lambda x: np.prod(x) ** 2 * np.log(np.prod(x)), x) == pytest.approx(np.zeros(3))


def test_every_form_is_known():
    assert set(MEANINGS) <= set(RULES)
