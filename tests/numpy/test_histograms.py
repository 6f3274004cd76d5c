"""Histograms over several axes, through a trace."""

import numpy as np
import pytest

from tests.numpy.against_numpy import check_same
from tests.ops.differentiation import check_derivatives

RNG = np.random.default_rng(5)
X, Y, W = RNG.random(9), RNG.random(9), RNG.random(9) + 0.5


@pytest.mark.parametrize(
    "bins, limits",
    [(4, None), (3, [[0.1, 0.8], [0, 1]]), ([[0, 0.5, 1], [0, 0.2, 0.9]], None), ([2, 3], None),
     ([0.0, 0.3, 0.6, 1.0], None)],
)  # fmt: skip
def test_counts_and_edges_are_numpys(bins, limits):
    check_same(lambda x, y: np.histogram2d(x, y, bins, limits), X, Y)
    check_same(lambda x, y, w: np.histogram2d(x, y, bins, limits, True, w), X, Y, W, exact=False)


def test_any_number_of_axes():
    check_same(lambda x: np.histogramdd(x, (2, 3, 1)), RNG.random((10, 3)))
    check_same(lambda x: np.histogramdd(x), X)
    check_same(lambda x: np.histogramdd(x, bins=0), RNG.random((10, 3)))
    check_same(lambda x: np.histogramdd(x, range=[(0, 1)]), RNG.random((10, 3)))


def test_a_point_on_the_last_edge_is_counted():
    check_same(lambda x: np.histogramdd(x, ([0, 1, 2], [0, 1]))[0], np.array([[2.0, 1], [1, 0]]))


def test_it_is_linear_in_the_weights():
    check_derivatives(lambda w: np.histogram2d(X, Y, 3, weights=w)[0], W)
    check_derivatives(lambda w: np.histogramdd([X, Y], 3, density=True, weights=w)[0], W)
