"""Differences, integrals, interpolation and convolution through a trace, against NumPy."""

import numpy as np
import pytest

import chainrule as cr
from chainrule.errors import ShapeError
from tests.numpy.against_numpy import check_same, through_trace
from tests.ops.differentiation import check_derivatives

RNG = np.random.default_rng(4)
X = RNG.standard_normal((3, 5))
GRID = np.cumsum(RNG.random(5) + 0.1)
KNOTS = np.sort(RNG.standard_normal(6))
TABLE = RNG.standard_normal(6)

DIFFERENCES = ({}, {"n": 2}, {"axis": 0}, {"n": 0}, {"prepend": 0.0}, {"append": 1.0, "axis": 0},
               {"n": 9})  # fmt: skip


@pytest.mark.parametrize("options", DIFFERENCES, ids=str)
def test_diff(options):
    check_same(lambda x: np.diff(x, **options), X)
    check_derivatives(lambda x: np.diff(x, **options), X)


def test_diff_of_other_dtypes_and_ends():
    check_same(np.diff, X[0] > 0)
    check_same(np.diff, np.array([3, 1, 2], np.uint8))
    check_same(lambda x: np.diff(x, n=-1), X)
    check_same(np.diff, np.float64(1.0))
    check_derivatives(lambda x, p: np.diff(x, prepend=p, append=p), X[0], X[1, :2])


def test_ediff1d():
    check_same(np.ediff1d, X)
    check_same(np.ediff1d, np.ones(1))
    check_same(lambda x, e: np.ediff1d(x, to_end=e, to_begin=[1.0, 2.0]), X, X[:2, :2].copy())
    check_same(lambda x: np.ediff1d(x, to_end=1.5), np.arange(4))
    check_derivatives(lambda x, e: np.ediff1d(x, e), X, 2.0)


@pytest.mark.parametrize("edge_order", [1, 2])
def test_gradient(edge_order):
    options = {"edge_order": edge_order}
    for x in (X, X.astype("f4"), (X * 9).astype(int)):
        check_same(lambda x: np.gradient(x, **options), x)
        check_same(lambda x: np.gradient(x, 0.3, axis=1, **options), x)
        check_same(lambda x: np.gradient(x, 0.3, 0.4, **options), x)
        check_same(lambda x: np.gradient(x, np.arange(3) * 2, GRID, **options), x)
        check_same(lambda x: np.gradient(x, axis=(1, 0), **options), x)
    check_same(lambda x, g: np.gradient(x, g, axis=-1, **options), X, GRID)
    check_derivatives(lambda x: np.gradient(x, **options), X)
    check_derivatives(lambda x, g: np.gradient(x, g, axis=1, **options), X, GRID)
    check_derivatives(lambda x, h: np.gradient(x, h, axis=0, **options), X, 0.3)


def test_gradient_raises_what_numpy_raises():
    check_same(lambda x: np.gradient(x, 1.0, 2.0, 3.0), X)
    check_same(lambda x: np.gradient(x, GRID[:3], axis=1), X)
    check_same(lambda x: np.gradient(x, edge_order=3), X)
    with pytest.raises(ShapeError, match="Shape of array too small to calculate a numerical grad"):
        through_trace(lambda x: np.gradient(x), X[0, :1].copy())


@pytest.mark.skipif(not hasattr(np, "trapezoid"), reason="new in NumPy 2")
def test_trapezoid():
    for options in ({}, {"dx": 0.3}, {"axis": 0}):
        check_same(lambda y: np.trapezoid(y, **options), X)
    check_same(lambda y, x: np.trapezoid(y, x), X, GRID)
    check_same(lambda y, x: np.trapezoid(y, x, axis=0), X, X[::-1] * 2)
    check_derivatives(lambda y, x: np.trapezoid(y, x), X, GRID)
    check_derivatives(lambda y, h: np.trapezoid(y, dx=h, axis=0), X, 0.2)


# --- interpolation ------------------------------------------------------------------------------


def test_interp_everywhere_and_at_knots():
    ends = [KNOTS[0] - 1, KNOTS[-1] + 1, np.nan, np.inf, -np.inf]
    points = np.concatenate([X.ravel() * 1.5, KNOTS, ends])
    check_same(np.interp, points, KNOTS, TABLE)
    check_same(lambda x, left, right: np.interp(x, KNOTS, TABLE, left, right), points, 2.0, -3.0)
    check_same(lambda x: np.interp(x, KNOTS, TABLE, period=1.7), X)
    check_same(lambda x, f: np.interp(x, KNOTS, f), X, TABLE + 1j * KNOTS)
    check_same(lambda x: np.interp(x, [1], [2.0]), points)
    check_same(lambda x: np.interp(x, [0.0, 0, 1, 1, 2], [1.0, 2, 3, 4, 5]), np.arange(5) / 2)
    check_same(lambda x: np.interp(x, [1, 2, 3], [2, 3, 1]), np.arange(5))
    check_same(np.interp, np.float64(0.1), KNOTS, TABLE)


def test_interp_raises_what_numpy_raises():
    check_same(lambda x: np.interp(x, [1.0, 2.0], [1.0]), X)
    check_same(lambda x: np.interp(x, [], []), X)
    check_same(lambda x: np.interp(x, KNOTS, TABLE, period=0), X)


def test_derivatives_of_interp():
    check_derivatives(np.interp, X[:2] * 1.3, KNOTS, TABLE)
    check_derivatives(
        lambda x, left, right: np.interp(x, KNOTS, TABLE, left, right), X[0] * 3, 1.0, 2.0
    )
    check_derivatives(lambda x, f, p: np.interp(x, KNOTS, f, period=p), X[0], TABLE, 9.7)


def test_a_knot_belongs_to_the_piece_after_it():
    def slopes(x):
        f = lambda x: np.sum(np.interp(x, [0.0, 1.0, 3.0], [0.0, 2.0, 8.0]))
        return cr.grad(f, kinks="convention")(x)

    points = np.array([-1.0, 0.0, 0.5, 1.0, 2.0, 3.0, 4.0])
    np.testing.assert_array_equal(slopes(points), [0.0, 2.0, 2.0, 3.0, 3.0, 3.0, 0.0])
    table = cr.jacobian(lambda f: np.interp([0.0, 1.0, 3.0], [0.0, 1.0, 3.0], f))(np.ones(3))
    np.testing.assert_array_equal(table, np.eye(3))


# --- convolution --------------------------------------------------------------------------------

LENGTHS = [(5, 3), (3, 5), (4, 4), (5, 4), (4, 5), (1, 3), (3, 1), (1, 1), (6, 2), (2, 6)]


@pytest.mark.parametrize("mode", ["full", "same", "valid"])
@pytest.mark.parametrize(("n", "m"), LENGTHS)
def test_convolve_and_correlate(n, m, mode):
    a, v = RNG.standard_normal(n), RNG.standard_normal(m)
    for function in (np.convolve, np.correlate):
        check_same(lambda a, v: function(a, v, mode), a, v)
        check_same(lambda a, v: function(a, v, mode), a + 1j * a[::-1], v * 1j)
        check_derivatives(lambda a, v: function(a, v, mode), a, v)


def test_convolve_of_scalars_and_integers():
    check_same(lambda a: np.convolve(a, [1, 2]), np.arange(5))
    check_same(lambda a: np.convolve(a, 2.0), X[0])
    check_same(lambda a: np.convolve(a, []), X[0])
    check_same(lambda a: np.convolve(a, a), X)
    check_same(lambda a: np.convolve(a, a, "middle"), X[0])


def test_complex_convolutions_descend():
    a, v = X[0] + 1j * X[1], X[2, :3] + 1j * X[1, :3]

    def energy(a):
        return np.sum(np.abs(np.correlate(a, v, "full")) ** 2)

    toeplitz = np.stack([np.correlate(row, v, "full") for row in np.eye(5)], axis=1)
    expected = 2 * toeplitz.conj().T @ (toeplitz @ a)
    np.testing.assert_allclose(cr.grad(energy)(a), expected, rtol=1e-12)


# --- phase --------------------------------------------------------------------------------------


@pytest.mark.parametrize("options", [{}, {"axis": 0}, {"discont": 4.0}, {"period": 3.0}], ids=str)
def test_unwrap(options):
    check_same(lambda x: np.unwrap(x, **options), X * 4, exact=False)
    check_derivatives(lambda x: np.unwrap(x, **options), X * 4)


def test_unwrap_of_integers_and_with_a_traced_period():
    for period in (4, 5):
        check_same(lambda x: np.unwrap(x, period=period), (X * 9).astype(int))
    check_derivatives(lambda x, p: np.unwrap(x, period=p), X[0] * 4, 3.1)
