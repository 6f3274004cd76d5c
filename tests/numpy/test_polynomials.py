"""Polynomials by their coefficients through a trace, against NumPy."""

import numpy as np
import pytest
from numpy.polynomial import polynomial

import chainrule as cr
from chainrule.errors import ShapeError
from tests.numpy.against_numpy import check_same, through_trace
from tests.ops.differentiation import check_derivatives

RNG = np.random.default_rng(12)
P, Q = RNG.standard_normal(5), RNG.standard_normal(3)
POINTS = RNG.standard_normal((2, 3))

OF_ONE = {
    "polyder": np.polyder,
    "polyder twice": lambda p: np.polyder(p, 2),
    "polyint": np.polyint,
    "polyint twice": lambda p: np.polyint(p, 2, k=[3.0, 1.0]),
    "polyint with a constant": lambda p: np.polyint(p, 2, k=3.0),
    "poly": np.poly,
    "poly1d": lambda p: np.poly1d(p)(2.5),
}
OF_TWO = {
    "polyval": np.polyval,
    "polyadd": np.polyadd,
    "polysub": lambda p, q: np.polysub(q, p),
    "polymul": np.polymul,
    "polydiv": np.polydiv,
    "polydiv by a longer one": lambda p, q: np.polydiv(q, p),
}


@pytest.mark.parametrize("function", OF_ONE.values(), ids=OF_ONE)
def test_functions_of_one_polynomial(function):
    check_same(function, P)
    check_same(function, np.arange(1, 4))
    batched = function not in (OF_ONE["poly1d"],)  # its leading zeros are dropped by their value
    check_derivatives(function, P, batched=batched)


@pytest.mark.parametrize("name", OF_TWO)
def test_functions_of_two_polynomials(name):
    check_same(OF_TWO[name], P, Q)
    check_same(OF_TWO[name], np.arange(1, 5), Q)
    by_value = name in ("polymul", "polydiv", "polydiv by a longer one")
    check_derivatives(OF_TWO[name], P, Q, batched=not by_value)


def test_polyval_at_many_points():
    check_same(np.polyval, P, POINTS)
    check_same(lambda x: np.polyval([1, 2, 3], x), np.arange(4))
    check_derivatives(np.polyval, P, POINTS)


def test_roots_in_conjugate_pairs_give_real_coefficients():
    check_same(np.poly, np.array([1 + 1j, 1 - 1j, 2]))
    check_same(np.poly, np.array([1 + 1j, 1 - 2j, 2]))


def test_leading_zeros_are_dropped_as_numpy_drops_them():
    check_same(lambda p: np.polymul(p, p), np.array([0.0, 1.0, 2.0]))
    check_same(np.trim_zeros, np.array([0.0, 1.0, 0.0, 2.0, 0.0]))
    check_same(lambda p: np.trim_zeros(p, "b"), np.zeros(3))


def test_polyfit():
    x, y = np.linspace(-1, 2, 7), RNG.standard_normal(7)
    check_same(lambda x, y: np.polyfit(x, y, 2), x, y, exact=False)
    check_derivatives(lambda x, y: np.polyfit(x, y, 2), x, y, tolerance=1e-7, second=False)
    check_derivatives(lambda y, w: np.polyfit(x, y, 1, w=w), y, RNG.random(7) + 0.5, second=False)


def test_roots_drop_leading_zeros_and_keep_trailing_ones():
    for p in (P, np.array([0.0, 0, 1, -3, 2, 0, 0]), np.arange(3), np.zeros(2), np.array([0.0, 2])):
        check_same(np.roots, p, exact=False)
    with pytest.raises(ShapeError, match="rank-1 array, at test_polynomials.py"):
        through_trace(lambda p: np.roots(p), np.ones((2, 2)))


def test_a_simple_root_moves_as_the_implicit_function_theorem_says():
    p = np.array([1.0, -6.0, 11.0, -6.0])  # roots 1, 2, 3
    found = cr.jacobian(np.roots)(p)
    for r, row in zip(np.roots(p), found, strict=True):
        np.testing.assert_allclose(row, -np.vander([r], 4)[0] / np.polyval(np.polyder(p), r))


def test_polynomials_of_two_variables():
    x, c = RNG.standard_normal(3), RNG.standard_normal((2, 4))
    check_same(polynomial.polyval2d, x, x + 1, c, exact=False)
    check_same(polynomial.polygrid2d, x, POINTS, c, exact=False)
    check_derivatives(polynomial.polyval2d, x, x + 1, c)
    check_derivatives(polynomial.polygrid2d, x, POINTS, c)
