"""Filters that choose a value of each window: SciPy's values, derivatives by differences."""

import numpy as np
import pytest
from scipy import ndimage

import chainrule as cr
from tests.numpy.against_numpy import check_same
from tests.ops.differentiation import check_derivatives

RNG = np.random.default_rng(32)
M, S = RNG.standard_normal((5, 6)), RNG.standard_normal((3, 2))
CROSS = np.array([[0, 1, 0], [1, 1, 1], [0, 1, 0]], bool)

SHORT: dict = {"step": 1e-4, "tolerance": 1e-9, "second": False}  # no two values swap places

FILTERS = {
    "maximum": lambda x: ndimage.maximum_filter(x, 3),
    "maximum of an axis": lambda x: ndimage.maximum_filter(x, 2, axes=(1,), mode="wrap"),
    "maximum1d": lambda x: ndimage.maximum_filter1d(x, 4, axis=0, origin=1),
    "minimum": lambda x: ndimage.minimum_filter(x, (2, 3), origin=(0, 1)),
    "minimum of a cross": lambda x: ndimage.minimum_filter(x, footprint=CROSS, mode="constant"),
    "minimum1d": lambda x: ndimage.minimum_filter1d(x, 3, mode="nearest"),
    "median": lambda x: ndimage.median_filter(x, (2, 3)),
    "median of a cross": lambda x: ndimage.median_filter(x, footprint=CROSS, mode="mirror"),
    "percentile": lambda x: ndimage.percentile_filter(x, 30, 3),
    "percentile from above": lambda x: ndimage.percentile_filter(x, -20, (1, 3)),
    "rank": lambda x: ndimage.rank_filter(x, -2, footprint=CROSS),
    "erosion": lambda x: ndimage.grey_erosion(x, size=(2, 3)),
    "erosion by a structure": lambda x: ndimage.grey_erosion(x, structure=S, footprint=S > -1),
    "dilation": lambda x: ndimage.grey_dilation(x, size=(2, 3)),
    "dilation by a structure": lambda x: ndimage.grey_dilation(x, structure=S),
    "opening": lambda x: ndimage.grey_opening(x, 3),
    "closing": lambda x: ndimage.grey_closing(x, (2, 2)),
    "white_tophat": lambda x: ndimage.white_tophat(x, 3),
    "morphological_gradient": lambda x: ndimage.morphological_gradient(x, 3),
}


@pytest.mark.parametrize("name", FILTERS)
def test_filters_that_choose(name):
    check_same(FILTERS[name], M, exact=False)
    check_derivatives(FILTERS[name], M, **SHORT)


def test_equal_values_of_a_window_share_their_slope_as_in_max():
    image = np.ones((3, 3))
    f = lambda x: ndimage.maximum_filter(x, 3)[1, 1] + ndimage.minimum_filter(x, 3)[1, 1]
    slope = cr.grad(f)(image)
    assert np.isclose(slope.sum(), 2.0) and np.all(slope >= 0.0)
    both = lambda x: np.sum(ndimage.maximum_filter(x, 2) + ndimage.minimum_filter(x, 2))
    pair = np.array([3.0, 3.0])  # max + min = the sum
    np.testing.assert_allclose(cr.grad(both)(pair), cr.grad(both)(pair + [0.0, 1e-3]))


def test_the_structure_moves_as_well():
    check_derivatives(lambda x, s: ndimage.grey_dilation(x, structure=s), M, S, **SHORT)
