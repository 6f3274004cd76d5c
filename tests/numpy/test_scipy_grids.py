"""Interpolation on grids and between scattered points, against SciPy's own values and sums of
unit vectors."""

import numpy as np
import pytest
from scipy import interpolate as si
from scipy import spatial

import chainrule as cr
from chainrule.errors import NotSupported

GRID = np.array([0.0, 0.5, 2.0, 3.0]), np.array([4.0, 1.0, 0.0])  # one of them falls
VALUES = np.sin(np.arange(12.0)).reshape(4, 3)
POINTS = np.array([[0.2, 3.0], [1.9, 0.4], [2.6, 1.7]])
OUTSIDE = np.array([[0.2, 3.0], [-1.0, 0.4], [2.5, 5.0]])


def interpolated(values, points, **options):
    return si.RegularGridInterpolator(GRID, values, **options)(points)


OPTIONS = {
    "linear": (POINTS, {}),
    "nearest": (POINTS, {"method": "nearest"}),
    "filled": (OUTSIDE, {"bounds_error": False, "fill_value": 0.5}),
    "beyond": (OUTSIDE, {"bounds_error": False, "fill_value": None}),
}


@pytest.mark.parametrize("name", OPTIONS)
def test_a_grid_by_its_values_and_at_traced_points(name):
    points, options = OPTIONS[name]
    wanted = interpolated(VALUES, points, **options)
    f = lambda values, points: interpolated(values, points, **options)
    for run in (cr.compile(f), lambda *at: cr.jvp(lambda v: f(v, at[1]), at[:1], at[:1])[0]):
        np.testing.assert_allclose(run(VALUES, points), wanted, rtol=1e-13)

    unit = np.eye(12).reshape(12, 4, 3)
    plain = interpolated(np.zeros((4, 3)), points, **options)
    by_values = np.stack([interpolated(u, points, **options) - plain for u in unit], axis=-1)
    found = cr.jacobian(f)(VALUES, points).reshape(3, 12)
    np.testing.assert_allclose(found, by_values, rtol=1e-13, atol=1e-14)

    h = 1e-6
    moved = [interpolated(VALUES, points + s * h, **options) for s in (1, -1)]
    along = cr.jvp(lambda p: f(VALUES, p), (points,), (np.ones_like(points),))[1]
    np.testing.assert_allclose(along, (moved[0] - moved[1]) / (2 * h), rtol=1e-7, atol=1e-8)


def test_interpn_and_more_values_at_each_knot():
    values = np.stack([VALUES, VALUES**2], axis=-1)
    at = tuple(POINTS.T)
    f = lambda v: si.interpn(GRID, v, at)
    np.testing.assert_allclose(cr.jvp(f, (values,), (values,))[1], f(values), rtol=1e-13)
    for method in ("linear", "nearest"):
        g = lambda p, m=method: interpolated(VALUES, p, method=m, bounds_error=False)
        assert np.isnan(cr.compile(g)(np.array([[np.nan, 1.0]]))).all()


def test_a_plain_table_is_read_at_traced_points_in_one_program(recwarn):
    """As of a map in a compiled loss: nothing is traced anew, and what is outside is nan."""
    table = si.RegularGridInterpolator(GRID, VALUES)
    f = cr.compile(lambda p: table(p))
    np.testing.assert_allclose(f(POINTS), table(POINTS), rtol=1e-13)
    np.testing.assert_allclose(f(OUTSIDE)[1:], np.nan)
    slopes = cr.compile(cr.grad(lambda p: table(p).sum()))(POINTS)
    np.testing.assert_allclose(slopes, cr.grad(lambda p: table(p).sum())(POINTS), rtol=1e-13)
    assert not recwarn.list


def test_points_outside_and_other_methods_are_refused():
    with pytest.raises(ValueError, match="out of bounds in dimension 0"):
        cr.grad(lambda p: interpolated(VALUES, p).sum())(OUTSIDE)
    grid = np.arange(4.0), np.arange(4.0)
    cubic = si.RegularGridInterpolator(grid, np.ones((4, 4)), method="cubic")
    with pytest.raises(NotSupported, match="use linear or nearest"):
        cr.grad(lambda p: cubic(p).sum())(np.array([[1.5, 1.5]]))


SCATTERED = np.random.default_rng(2).random((9, 2))


def test_lines_between_scattered_points_by_their_values():
    values, at = np.sin(np.arange(9.0)), np.array([[0.5, 0.5], [0.4, 0.6], [9.0, 9.0]])
    for f in (
        lambda v: si.LinearNDInterpolator(SCATTERED, v, fill_value=0.25)(at),
        lambda v: si.griddata(SCATTERED, v, at, fill_value=0.25),
    ):
        np.testing.assert_allclose(cr.compile(f)(values), f(values), rtol=1e-13)
        units = np.stack([f(u) - f(np.zeros(9)) for u in np.eye(9)], axis=-1)
        np.testing.assert_allclose(cr.jacobian(f)(values), units, rtol=1e-13, atol=1e-15)


@pytest.mark.parametrize("kernel", ["thin_plate_spline", "quintic", "gaussian"])
def test_radial_functions_by_points_values_and_where_they_are_evaluated(kernel):
    pytest.importorskip("scipy", "1.17")  # which has the form that is followed
    values, at = np.sin(np.arange(9.0)), np.array([[0.5, 0.5], [0.4, 0.6]])
    f = lambda y, d, x: si.RBFInterpolator(y, d, kernel=kernel, epsilon=2.0)(x)
    given = SCATTERED, values, at
    moved = tuple(np.random.default_rng(5).normal(size=x.shape) for x in given)
    value, tangent = cr.jvp(f, given, moved)
    np.testing.assert_allclose(value, f(*given), rtol=1e-9)
    np.testing.assert_allclose(cr.compile(f)(*given), f(*given), rtol=1e-9)
    steps = [f(*(x + s * 1e-5 * v for x, v in zip(given, moved, strict=True)))
             for s in (-2, -1, 1, 2)]  # fmt: skip
    wanted = (steps[0] - 8 * steps[1] + 8 * steps[2] - steps[3]) / 12e-5
    np.testing.assert_allclose(tangent, wanted, rtol=1e-5)


@pytest.mark.parametrize("make", [
    lambda x: spatial.ConvexHull(x).volume, lambda x: spatial.Delaunay(x).simplices.sum(),
    lambda x: spatial.Voronoi(x).vertices.sum(),
    lambda x: si.LinearNDInterpolator(x, np.ones(9))(0.5, 0.5),
    lambda x: si.CloughTocher2DInterpolator(SCATTERED, x[:, 0])(0.5, 0.5),
    lambda x: si.LinearNDInterpolator(SCATTERED, np.ones(9))(x),
])  # fmt: skip
def test_what_qhull_makes_of_traced_points_is_refused(make):
    with pytest.raises(NotSupported, match="is compiled code, which cannot follow"):
        cr.grad(lambda x: np.sum(make(x)))(SCATTERED)
