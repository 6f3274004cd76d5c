"""Splines of scipy.interpolate at traced points and through traced data.

Slopes by the points are SciPy's own derivatives of the spline, those by the data the cardinal
splines, which SciPy makes from unit vectors.
"""

import numpy as np
import pytest
from scipy import interpolate as si

import chainrule as cr
from chainrule.errors import NotSupported

T = np.array([0.0, 0.7, 1.1, 2.0, 2.6, 3.0])
Y = np.array([0.3, 1.2, -0.4, 0.8, 0.1, 0.3])
X = np.array([0.2, 0.95, 1.5, 2.8, -0.3, 3.4, 2.2])  # also beyond the ends
INSIDE = X[[0, 1, 2, 3, 6]]
TWO = np.stack([Y, np.cos(T)], axis=1)

CURVES = {
    "cubic": si.CubicSpline(T, Y),
    "natural": si.CubicSpline(T, Y, bc_type="natural"),
    "periodic": si.CubicSpline(T, Y, bc_type="periodic"),
    "pchip": si.PchipInterpolator(T, Y),
    "akima": si.Akima1DInterpolator(T, Y),
    "two": si.CubicSpline(T, TWO),
    "two, the other way": si.CubicSpline(T, TWO.T, axis=1),
    "pieces": si.PPoly(np.array([[1.0, 2.0], [0.5, -1.0], [3.0, 0.2]]), np.array([0.0, 1.0, 3.0])),
    "b-spline": si.make_interp_spline(T, Y, k=3),
    "b-spline, quintic": si.make_interp_spline(T, Y, k=5),
    "b-spline of knots": si.BSpline(np.arange(10.0) / 2.5 - 1.0, np.arange(6.0) ** 2, 3),
    "b-spline, two": si.make_interp_spline(T, TWO, k=2),
}


@pytest.mark.parametrize("name", CURVES)
def test_a_spline_at_traced_points(name):
    curve = CURVES[name]
    x = INSIDE if name == "akima" else X
    value, slope = curve(x), curve(x, 1)
    np.testing.assert_allclose(cr.compile(curve)(x), value, rtol=1e-12, atol=1e-13)
    lanes = cr.vmap(lambda t: curve(t))(x)
    np.testing.assert_allclose(lanes, np.stack([curve(t) for t in x]), rtol=1e-12, atol=1e-13)
    for t in x:
        found = cr.jacobian(curve, mode="forward")(t)
        np.testing.assert_allclose(found, curve(t, 1), rtol=1e-11, atol=1e-12)
    f = lambda x: (curve(x) ** 2).sum()
    axes = tuple(range(value.ndim - 1)) if "other" in name else tuple(range(1, value.ndim))
    expected = (2.0 * value * slope).sum(axis=axes)
    np.testing.assert_allclose(cr.grad(f)(x), expected, rtol=1e-10, atol=1e-11)
    np.testing.assert_allclose(cr.compile(cr.grad(f))(x), expected, rtol=1e-10, atol=1e-11)
    np.testing.assert_allclose(cr.grad(lambda t: curve(t, 1).sum())(x[1]), curve(x[1], 2).sum(),
                               rtol=1e-10, atol=1e-11)  # fmt: skip


def test_points_outside_are_nan_or_periodic_where_asked():
    curve = si.CubicSpline(T, Y, extrapolate=False)
    np.testing.assert_allclose(cr.compile(curve)(X), curve(X), rtol=1e-12)
    assert np.isnan(cr.compile(curve)(np.array(-0.1)))
    f = lambda x: curve(x, extrapolate="periodic")
    np.testing.assert_allclose(cr.compile(f)(X), f(X), rtol=1e-12)


THROUGH = {
    "cubic": lambda y, x: si.CubicSpline(T, y)(x),
    "natural": lambda y, x: si.CubicSpline(T, y, bc_type="natural")(x),
    "clamped": lambda y, x: si.CubicSpline(T, y, bc_type=((1, 0.5), (2, -1.0)))(x),
    "axis": lambda y, x: si.CubicSpline(T, np.stack([y, 2.0 * y]), axis=1)(x)[1],
    "derivative": lambda y, x: si.CubicSpline(T, y)(x, 1),
    "linear": lambda y, x: si.interp1d(T, y)(x),
    "linear, unsorted": lambda y, x: si.interp1d(T[::-1], y[::-1])(x),
    "linear, beyond": lambda y, x: si.interp1d(T, y, fill_value="extrapolate")(x + 3.0),
    "linear, filled": lambda y, x: si.interp1d(T, y, bounds_error=False, fill_value=(7.0, 8.0))(
        3.0 * x - 1.9
    ),
    "cubic interp1d": lambda y, x: si.interp1d(T, y, kind="cubic")(x),
    "rows": lambda y, x: si.interp1d(T, np.stack([y, 3.0 * y]), kind="quadratic")(x)[1],
}


@pytest.mark.parametrize("name", THROUGH)
def test_a_curve_through_traced_data(name):
    f = lambda y: THROUGH[name](y, INSIDE)
    value = f(Y)
    slope = np.stack([f(Y + e) - value for e in np.eye(6)], axis=1)  # linear in y
    np.testing.assert_allclose(cr.compile(f)(Y), value, rtol=1e-11, atol=1e-12)
    for mode in ("forward", "reverse"):
        found = cr.jacobian(f, mode=mode)(Y)
        np.testing.assert_allclose(found, slope, rtol=1e-10, atol=1e-11)
    both = lambda y, x: (THROUGH[name](y, x) ** 2).sum()
    g, h = cr.grad(both, argnums=(0, 1))(Y, INSIDE)
    np.testing.assert_allclose(g, 2.0 * value @ slope, rtol=1e-9, atol=1e-10)
    step = 1e-6
    rise = (THROUGH[name](Y, INSIDE + step) - THROUGH[name](Y, INSIDE - step)) / (2 * step)
    np.testing.assert_allclose(h, 2.0 * value * rise, rtol=1e-5, atol=1e-7)


def test_a_periodic_spline_through_traced_data():
    f = lambda y: si.CubicSpline(T, np.concatenate([y, y[:1]]), bc_type="periodic")(INSIDE)
    y = Y[:-1]
    slope = np.stack([f(y + e) - f(y) for e in np.eye(5)], axis=1)
    np.testing.assert_allclose(cr.jacobian(f)(y), slope, rtol=1e-10, atol=1e-11)


def test_points_outside_raise_where_scipy_raises():
    with pytest.raises(ValueError, match="outside the interpolation range"):
        cr.grad(lambda x: si.interp1d(T, Y)(x))(9.0)


def test_what_must_be_plain_is_named():
    with pytest.raises(NotSupported, match=r"x or bc_type of CubicSpline .*test_scipy_splines.py"):
        cr.grad(lambda t: si.CubicSpline(t, Y)(0.5))(T)


def test_an_interpolator_made_before_the_trace():
    curve = si.interp1d(T, Y)
    spline = si.interp1d(T, Y, kind="cubic")
    for t in INSIDE:
        slope = (curve(t + 1e-6) - curve(t - 1e-6)) / 2e-6
        assert cr.grad(lambda x: curve(x))(t) == pytest.approx(slope, rel=1e-8)
        assert cr.grad(lambda x: spline(x))(t) == pytest.approx(spline._spline(t, 1), rel=1e-10)


@pytest.mark.parametrize("kind", ["not-a-knot", "natural", "clamped", "periodic"])
def test_an_interpolating_spline_through_traced_data(kind):
    y = np.append(Y[:-1], Y[0])
    f = lambda y: si.make_interp_spline(T, y, bc_type=kind)(INSIDE)
    np.testing.assert_allclose(cr.compile(f)(y), f(y), rtol=1e-11, atol=1e-12)
    moved = np.append(np.cos(T[:-1]), 1.0)
    found = cr.jvp(f, (y,), (moved,))[1]
    np.testing.assert_allclose(found, f(moved), rtol=1e-11, atol=1e-12)  # it is linear
    two = lambda y: si.make_interp_spline(T, y.T, k=2, axis=1)(INSIDE)
    np.testing.assert_allclose(cr.jvp(two, (TWO,), (TWO,))[1], two(TWO), rtol=1e-11, atol=1e-12)


@pytest.mark.parametrize("method", ["akima", "makima"])
@pytest.mark.parametrize("count", [2, 3, 6])
def test_akimas_spline_through_traced_data(method, count):
    make = lambda t, y: si.Akima1DInterpolator(t, y, method=method)(INSIDE[:2] / 2)
    y, t = np.cos(3.0 * T[:count]), np.append(T[: count - 1], 3.0)
    value, slopes = cr.compile(lambda y: make(t, y))(y), cr.jacobian(lambda y: make(t, y))(y)
    np.testing.assert_allclose(value, make(t, y), rtol=1e-12)
    h = 1e-6
    wanted = np.stack([(make(t, y + h * u) - make(t, y - h * u)) / (2 * h) for u in np.eye(count)])
    np.testing.assert_allclose(slopes, wanted.T, rtol=1e-6, atol=1e-8)
