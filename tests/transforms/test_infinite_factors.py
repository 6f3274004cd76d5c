"""A factor that is inf or nan, in a branch that is not taken, does not reach the derivative."""

import math

import numpy as np
import pytest

import chainrule as cr


@pytest.mark.parametrize("kinks", ["exact", "convention"])
@pytest.mark.parametrize(
    ("f", "x", "truth"),
    [
        (lambda x: np.where(x > 0.0, x * np.nan, 3.0), -1.0, 0.0),
        (lambda x: np.where(x > 0.0, 1.0 / x, np.inf * x), 2.0, -0.25),
        (lambda x: np.where(x > 0.0, x / 0.0, 2.0 * x), -1.0, 2.0),
    ],
)
def test_a_literal_that_is_not_finite_in_a_branch_not_taken(f, x, truth, kinks):
    with np.errstate(all="ignore"):
        assert cr.grad(f, kinks=kinks)(x) == truth
        assert cr.jvp(f, (x,), (1.0,), kinks=kinks)[1] == truth
        assert cr.compile(cr.grad(f, kinks=kinks))(x) == truth


def test_it_shows_where_the_branch_is_taken():
    assert cr.grad(lambda x: x * np.inf)(1.0) == math.inf
    assert np.isnan(cr.grad(lambda x: x * np.nan)(1.0))
