"""Images sampled between their pixels: SciPy's values, derivatives by image and by place."""

import numpy as np
import pytest
from scipy import ndimage

import chainrule as cr
from chainrule.errors import NotSupported
from tests.numpy.against_numpy import check_same
from tests.ops.differentiation import check_derivatives

RNG = np.random.default_rng(33)
M = RNG.standard_normal((5, 6))
PLACES = RNG.uniform([[-3.0], [-3.0]], [[8.0], [9.0]], (2, 20))
SHORT: dict = {"step": 1e-4, "tolerance": 1e-9, "second": False}  # within one pixel
MODES = ["constant", "nearest", "mirror", "reflect", "grid-mirror", "grid-wrap"]


@pytest.mark.parametrize("mode", MODES)
@pytest.mark.parametrize("order", range(6))
def test_samples(order, mode):
    f = lambda x, c: ndimage.map_coordinates(x, c, order=order, mode=mode, cval=0.3)
    check_same(f, M, PLACES, exact=False)
    if (order, mode) in [(0, "nearest"), (1, "constant"), (3, "reflect"), (4, "grid-wrap")]:
        check_derivatives(f, M, PLACES[:, :4], **SHORT, batched=order == 1)


def test_a_line_is_sampled_exactly_and_has_its_slope():
    row = 2.0 * np.arange(8.0) + 1.0
    value, slope = cr.value_and_grad(
        lambda c: ndimage.map_coordinates(row, c[None, None], order=1)[0])(3.25)  # fmt: skip
    assert (value, slope) == (7.5, 2.0)


TRANSFORMS = {
    "shift": lambda x: ndimage.shift(x, (0.5, -1.2)),
    "zoom": lambda x: ndimage.zoom(x, 1.7),
    "zoom of cells": lambda x: ndimage.zoom(x, 0.6, grid_mode=True, mode="nearest", order=1),
    "rotate": lambda x: ndimage.rotate(x, 33.0, order=1),
    "rotate in its frame": lambda x: ndimage.rotate(x, -50.0, reshape=False, order=2),
    "affine": lambda x: ndimage.affine_transform(
        x, np.array([[0.9, 0.2], [-0.1, 1.1]]), offset=[0.3, 0.1], order=2, mode="mirror"),
    "homogeneous": lambda x: ndimage.affine_transform(
        x, np.array([[0.9, 0.2, 0.3], [-0.1, 1.1, 0.1]]), output_shape=(3, 4), order=1),
    "diagonal": lambda x: ndimage.affine_transform(x, np.array([0.9, 1.1]), 0.2),
    "spline_filter": lambda x: ndimage.spline_filter(x, 3),
    "spline_filter1d": lambda x: ndimage.spline_filter1d(x, 2, 0, mode="reflect"),
}  # fmt: skip


@pytest.mark.parametrize("name", TRANSFORMS)
def test_transformed_images(name):
    check_same(TRANSFORMS[name], M, exact=False)
    check_derivatives(TRANSFORMS[name], M, **SHORT)


def test_parameters_of_transforms_move():
    matrix, by = np.array([[0.9, 0.13], [-0.11, 0.95]]), np.array([0.4, -0.7])
    check_derivatives(lambda m, o: ndimage.affine_transform(M, m, o, order=2), matrix, by,
                      **SHORT, batched=False)  # fmt: skip
    check_derivatives(lambda by: ndimage.shift(M, by, order=1), by, **SHORT, batched=False)
    check_derivatives(lambda a: ndimage.rotate(M, a, reshape=False, order=1), 31.0, **SHORT,
                      batched=False)  # fmt: skip


def test_a_place_on_the_border_is_inside_as_scipys_rounding_has_it():
    """0.9 * 6 + 0.1 * 6 is 6 in floats, and a little more in the numbers that they stand for."""
    x = np.arange(56.0).reshape(7, 8)
    f = lambda x: ndimage.affine_transform(x, np.array([[0.9, 0.1], [0.0, 1.1]]), order=1)
    np.testing.assert_allclose(cr.jvp(f, (x,), (x,))[0], f(x), rtol=1e-12, atol=1e-12)


def test_a_mode_without_a_rule_is_refused():
    with pytest.raises(NotSupported, match=r"mode 'wrap' between pixels.*test_scipy_sampling.py"):
        cr.grad(lambda x: ndimage.shift(x, 0.5, mode="wrap").sum())(M)
