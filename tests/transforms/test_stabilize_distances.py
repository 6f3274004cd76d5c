"""Squared distances by inner products are sums of squared differences."""

import numpy as np
import pytest

import chainrule as cr
from chainrule.transforms.stabilize import rules_fired

RULE = "squared distances by inner products"


def _of_one(x):
    squares = np.sum(x * x, axis=1)
    return squares[:, None] - 2 * (x @ x.T) + squares[None, :]


def _of_two(x, y):
    return np.sum(x**2, axis=1, keepdims=True) + np.sum(y**2, axis=1) - 2 * x @ y.T


def _negative(x, y):
    return x @ (2 * y).T - np.sum(np.square(y), 1)[None, :] - np.sum(np.square(x), 1)[:, None] + 3.0


X = np.array([[1e8, 1e8], [1e8 + 1, 1e8], [1e8, 1e8 + 2]])
Y = X + np.array([[0.0, 3.0]])
APART = np.sum((X[:, None] - Y[None]) ** 2, axis=-1)


def test_near_points_keep_the_digits_of_their_distances():
    np.testing.assert_array_equal(cr.compile(_of_one)(X), [[0, 1, 4], [1, 0, 5], [4, 5, 0]])
    np.testing.assert_array_equal(cr.compile(_of_two)(X, Y), APART)
    np.testing.assert_array_equal(cr.compile(_negative)(X, Y), 3.0 - APART)


@pytest.mark.parametrize("run", [lambda f: f, cr.compile,
                                 lambda f: lambda x: cr.vmap(f)(x[None])[0]])  # fmt: skip
def test_a_point_and_itself_are_no_singular_point(run):
    """The root of max(d, 0) was infinite on the diagonal, where d is 0 wherever the points are."""
    total = lambda x: np.sum(np.sqrt(np.maximum(_of_one(x), 0.0)))
    slope = run(cr.grad(total))(np.array([[0.1, 0.2], [0.4, 0.6]]))
    np.testing.assert_allclose(slope, [[-1.2, -1.6], [1.2, 1.6]], rtol=1e-14)


@pytest.mark.parametrize("f", [
    lambda x, y: np.sum(x**2, 1)[:, None] + np.sum(y**2, 1)[:, None] - 2 * x @ y.T,
    lambda x, y: np.sum(x**2, 1)[:, None] + np.sum(y**2, 1)[None, :] + 2 * x @ y.T,
    lambda x, y: np.sum(x**2, 1)[:, None] + np.sum(y**2, 1)[None, :] - x @ y.T,
    lambda x, y: np.sum(x**2, 0)[:, None] + np.sum(y**2, 0)[None, :] - 2 * x @ y.T,
    lambda x, y: np.sum(x**2, 1)[:, None] + np.sum(y, 1)[None, :] - 2 * x @ y.T,
])  # fmt: skip
def test_what_is_no_distance_stays(f):
    x, y = np.random.default_rng(3).normal(size=(2, 3, 3))
    assert RULE not in rules_fired(cr.trace(f, x, y))
    np.testing.assert_allclose(cr.compile(f)(x, y), f(x, y), rtol=1e-13)


def test_many_points_keep_their_inner_products():
    assert RULE in rules_fired(cr.trace(_of_one, np.ones((20, 3))))
    assert RULE not in rules_fired(cr.trace(_of_one, np.ones((500, 3))))
