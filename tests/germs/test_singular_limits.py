"""Taken but singular points: the right value, or a member of the subdifferential."""

import math

import numpy as np
import pytest
import scipy.special

import chainrule as cr
from tests.germs.sides import mean, sides


@pytest.mark.parametrize(
    ("f", "order", "truth"),
    [
        (lambda x: np.sqrt(x * x), 1, 0.0),
        (lambda x: np.sqrt(x**4), 1, 0.0),
        (lambda x: np.sqrt(x**4), 2, 2.0),
        (lambda x: np.cbrt(x**3), 1, 1.0),
        (lambda x: np.sin(x) / x, 1, 0.0),
        (lambda x: np.sin(x) / x, 2, -1 / 3),
        (lambda x: (1 - np.cos(x)) / x**2, 2, -1 / 12),
        (lambda x: np.expm1(x) / x, 1, 0.5),
        (lambda x: np.log1p(x) / x, 1, -0.5),
        (lambda x: np.sinc(x), 2, -(math.pi**2) / 3),
        (lambda x: x**0.0, 1, 0.0),
        (lambda x: np.hypot(x, 2 * x), 1, 0.0),
        (lambda x: np.arctan2(x, 2 * x), 1, 0.0),
        (lambda x: np.tanh(x) / np.abs(x) * np.abs(x), 1, 1.0),
    ],
)
def test_removable_singularities_and_norms_at_zero(f, order, truth):
    assert mean(f, 0.0, order=order) == pytest.approx(truth, rel=1e-14, abs=1e-15)


@pytest.mark.parametrize(
    "f",
    [
        lambda x: np.sqrt(np.sum(x * x)),
        lambda x: np.linalg.norm(x),
        lambda x: np.hypot(x[0], np.hypot(x[1], x[2])),
    ],
)
def test_norms_at_the_origin_have_unit_slope_on_each_side_and_mean_zero(f):
    plus, minus = sides(f, np.zeros(3))
    assert np.linalg.norm(plus[0]) == pytest.approx(1.0)
    assert plus[0] == pytest.approx(-minus[0])


@pytest.mark.parametrize("value", [2.0, 0.7, 1 / 3])
def test_std_and_layer_normalisation_of_equal_values(value):
    x, w = np.full(4, value), np.array([1.0, 2.0, 3.0, 4.0])
    assert mean(lambda x: np.std(x), x) == pytest.approx(np.zeros(4))
    norm = lambda x: np.sum(w * (x - np.mean(x)) / (np.std(x) + 1e-3))
    assert mean(norm, x) == pytest.approx((w - w.mean()) / 1e-3)


def test_prod_with_zeros():
    assert mean(lambda x: np.prod(x), np.array([0.0, 2.0, 3.0])) == pytest.approx([6.0, 0.0, 0.0])
    assert mean(lambda x: np.prod(x), np.array([0.0, 0.0, 3.0])) == pytest.approx([0.0, 0.0, 0.0])


def test_what_moves_beyond_the_window_is_not_still():
    """exp and sin of s^2, two terms of which are known, counted as constant: so erf had the series
    2 s / sqrt(pi) and no more, and the curvature of erf(x) / x at 0 was 0."""
    quotient = lambda x: scipy.special.erf(x) / x
    assert cr.hessian(quotient)(0.0) == pytest.approx(-4 / 3 / np.sqrt(np.pi), rel=1e-12)
    centred = lambda x: (scipy.special.ndtr(x) - 0.5) / x
    assert cr.hessian(centred)(0.0) == pytest.approx(-1 / 3 / np.sqrt(2 * np.pi), rel=1e-12)


def test_a_power_of_a_float32_number_has_its_slope():
    """The logarithm of a base in float32 was refused as no rational number."""
    slope = cr.grad(lambda x: np.float32(2) ** x)(np.float32(1.0))
    assert slope == pytest.approx(2 * np.log(2), rel=1e-6)


@pytest.mark.parametrize(
    ("f", "slope"),
    [
        (lambda x: scipy.special.erf(x) / x, 0.0),
        (lambda x: (2.0**x - 1) / x, np.log(2) ** 2 / 2),
    ],
)
def test_constants_of_float32_rules_are_exact_on_a_germ(f, slope):
    """2 / sqrt(pi), rounded to float32, left a pole beside the series of erf: the slope was nan."""
    assert cr.grad(f)(np.float32(0.0)) == pytest.approx(slope, rel=1e-6)
