"""SciPy's minimisers inside functions that are differentiated, against closed forms."""

import numpy as np
import pytest
from scipy import optimize

import chainrule as cr
from chainrule.errors import NotSupported, SingularJacobian

close = {"rtol": 1e-11, "atol": 1e-13}
RNG = np.random.default_rng(4)
M, V = RNG.normal(size=(6, 3)), RNG.normal(size=6)


def ridge(a):
    """The point, and its first and second derivatives by a."""
    inverse = np.linalg.inv(M.T @ M + a * np.eye(3))
    x = inverse @ M.T @ V
    return x, -inverse @ x, 2.0 * inverse @ inverse @ x


@pytest.mark.parametrize("method", [None, "BFGS", "CG", "L-BFGS-B", "trust-constr", "Nelder-Mead",
                                    "Powell"])
def test_minimize(method):
    def least(a):
        penalised = lambda x: np.sum((M @ x - V) ** 2) + a * np.sum(x**2)
        return optimize.minimize(penalised, np.zeros(3), method=method).x

    truth = ridge(0.7)
    np.testing.assert_allclose(cr.jacobian(least)(0.7), truth[1], **close)
    np.testing.assert_allclose(cr.jvp(least, (0.7,), (1.0,))[0], truth[0], **close)
    np.testing.assert_allclose(cr.jacobian(cr.jacobian(least))(0.7), truth[2], **close)


def test_the_callers_gradient_is_left_out():
    def least(a):
        both = lambda x: (np.sum((x - a) ** 2), 2.0 * (x - a))
        return optimize.minimize(both, np.zeros(2), jac=True)

    value, slope = cr.value_and_grad(lambda a: np.sum(least(a).x * np.array([1.0, 3.0])))(0.5)
    np.testing.assert_allclose((value, slope), (2.0, 4.0), **close)


@pytest.mark.parametrize("method", ["L-BFGS-B", "trust-constr", "Nelder-Mead"])
def test_unknowns_at_a_bound_move_with_it(method):
    def least(a, bound):
        f = lambda x: np.sum((x - a) ** 2 * np.array([1.0, 2.0, 3.0]))
        bounds = [(0.0, bound), (None, 9.0), (0.0, None)]
        return optimize.minimize(f, np.full(3, 0.5), method=method, bounds=bounds).x

    a = np.array([5.0, 1.5, -2.0])
    by_a, by_bound = cr.jacobian(least, (0, 1))(a, 2.0)
    np.testing.assert_allclose(by_a, np.diag([0.0, 1.0, 0.0]), **close)
    np.testing.assert_allclose(by_bound, [1.0, 0.0, 0.0], **close)


@pytest.mark.parametrize("a", [1.7, -0.4, 0.3, 5e-5, 0.99996])
def test_a_method_that_stops_inside_of_its_bounds(a):
    """SciPy ends up to 1e-5 beside a bound, and Newton's method would go on beyond it."""
    f = lambda a: optimize.minimize_scalar(
        lambda x: (x - a) ** 2, bounds=(0.0, 1.0), method="bounded").x  # fmt: skip
    np.testing.assert_allclose(cr.value_and_grad(f)(a), (np.clip(a, 0, 1), 0 < a < 1), **close)


def test_a_function_that_falls_up_to_its_bounds():
    f = lambda a, low: optimize.minimize_scalar(
        lambda x: a * x, bounds=(low, 1.0), method="bounded").x  # fmt: skip
    assert cr.value_and_grad(f, (0, 1))(2.0, 0.5) == (0.5, (0.0, 1.0))
    g = lambda d: optimize.least_squares(lambda x: x - d, [0.5, 0.5], bounds=(0.0, 1.0)).x
    value, slope = cr.jvp(g, (np.array([1.5, 0.25]),), (np.ones(2),))
    np.testing.assert_allclose((value, slope), ([1.0, 0.25], [0.0, 1.0]), **close)


def test_the_least_value_has_the_derivative_of_its_envelope():
    f = lambda a: optimize.minimize(lambda x: np.sum(np.cosh(x - a)) + a, [0.3, 0.1]).fun
    np.testing.assert_allclose(cr.value_and_grad(f)(0.5), (2.5, 1.0), **close)


@pytest.mark.parametrize("method", ["brent", "golden", "bounded"])
def test_minimize_scalar(method):
    bounds = (0.1, 4.0) if method == "bounded" else None
    f = lambda a: optimize.minimize_scalar(
        lambda x: a * x - np.log(np.where(x > 0, x, 1e-300)), bracket=(0.1, 1.0), bounds=bounds,
        method=method).x  # fmt: skip
    f = f if bounds is None else lambda a: optimize.minimize_scalar(
        lambda x: a * x - np.log(x), bounds=bounds, method=method).x  # fmt: skip
    found = (*cr.value_and_grad(f)(0.8), cr.grad(cr.grad(f))(0.8))
    np.testing.assert_allclose(found, (1.25, -1.25**2, 2 * 1.25**3), **close)


CURVATURES = {  # the second derivative of each loss of a residual r, whose scale is s
    "linear": lambda r, s: np.ones_like(r),
    "soft_l1": lambda r, s: (1 + (r / s) ** 2) ** -1.5,
    "huber": lambda r, s: (abs(r) <= s) * 1.0,
    "cauchy": lambda r, s: (1 - (r / s) ** 2) / (1 + (r / s) ** 2) ** 2,
    "arctan": lambda r, s: (1 - 3 * (r / s) ** 4) / (1 + (r / s) ** 4) ** 2,
}


@pytest.mark.parametrize("loss", list(CURVATURES))
def test_least_squares(loss):
    places = np.array([0.1, 0.3, 0.2, 0.6, 0.25])
    f = lambda d: optimize.least_squares(lambda x: x - d, [0.2], loss=loss, f_scale=0.3).x[0]
    curvature = CURVATURES[loss](cr.jvp(f, (places,), (places,))[0] - places, 0.3)
    np.testing.assert_allclose(cr.grad(f)(places), curvature / np.sum(curvature), **close)


def test_least_squares_reports_cost_residuals_and_jacobian():
    def found(v):
        report = optimize.least_squares(lambda x: M @ x - v, np.zeros(3), bounds=(-9.0, 9.0))
        return report.cost, report.fun, report.jac

    projector = np.eye(6) - M @ np.linalg.pinv(M)
    cost, residuals, slope = cr.jacobian(found)(V)
    np.testing.assert_allclose(cost, projector @ V, rtol=1e-10, atol=1e-12)
    np.testing.assert_allclose(residuals, -projector, rtol=1e-10, atol=1e-12)
    np.testing.assert_array_equal(slope, np.zeros((6, 3, 6)))


def test_curve_fit_of_a_line():
    t, sigma = np.linspace(0.0, 1.0, 6), np.array([0.1, 0.2, 0.1, 0.3, 0.2, 0.1])
    line = lambda t, slope, start: slope * t + start
    design = np.stack([t, np.ones(6)], axis=1) / sigma[:, None]
    pseudo = np.linalg.pinv(design) / sigma

    def fitted(y):
        return optimize.curve_fit(line, t, y, sigma=sigma)

    by_y = cr.jacobian(lambda y: fitted(y)[0])(V)
    np.testing.assert_allclose(by_y, pseudo, rtol=1e-9)
    left = lambda y: (y - (design * sigma[:, None]) @ (pseudo @ y)) / sigma
    inverse = np.linalg.inv(design.T @ design)
    slope = np.einsum("ij,k->ijk", inverse, 2.0 * left(V) / sigma / 4.0)
    np.testing.assert_allclose(cr.jacobian(lambda y: fitted(y)[1])(V), slope, rtol=1e-8, atol=1e-12)


def test_curve_fit_starts_where_scipy_does():
    t = np.linspace(0.0, 2.0, 9)
    f = lambda t, k, r: k * np.exp(-r * t)
    bounds = ([0.0, 0.5], [np.inf, 3.0])
    fitted = lambda y: optimize.curve_fit(f, t, y, bounds=bounds)[0]
    y = 2.0 * np.exp(-1.3 * t)
    np.testing.assert_allclose(cr.jvp(fitted, (y,), (y,))[0], [2.0, 1.3], rtol=1e-9)
    np.testing.assert_allclose(cr.jvp(fitted, (y,), (y,))[1], [2.0, 0.0], atol=1e-8)


def test_inside_vmap_and_compile():
    f = cr.grad(lambda a: optimize.minimize(lambda x: np.sum(a * x - np.log(x)), [1.0]).x[0])
    a = np.array([0.5, 2.0])
    np.testing.assert_allclose(cr.vmap(f)(a), -1.0 / a**2, **close)
    with pytest.warns(RuntimeWarning, match="scipy.optimize goes by values"):
        np.testing.assert_allclose(cr.compile(f)(0.5), -4.0, **close)


def test_a_function_that_does_not_move_is_left_to_scipy():
    reports = []

    def f(a):
        reports.append(optimize.minimize(lambda x: np.sum((x - 2.0) ** 2), np.zeros(2)))
        return a * reports[-1].x[0]

    assert abs(cr.grad(f)(1.0) - 2.0) < 1e-6
    assert "hess_inv" in reports[-1]


def test_what_cannot_be_followed_is_refused():
    f = lambda x, a: np.sum((x - a) ** 2)
    condition = {"type": "eq", "fun": lambda x: x[0]}
    refused = [
        lambda a: optimize.minimize(f, np.ones(2), (a,), constraints=condition).fun,
        lambda a: optimize.least_squares(lambda x: x - a, [1.0], loss=lambda z: z).x[0],
        lambda a: optimize.curve_fit(lambda t, k: k * t, V, a * V, full_output=True)[0][0],
    ]
    for g in refused:
        with pytest.raises(NotSupported, match=r"test_scipy_minimisers.py:\d+"):
            cr.grad(g)(1.0)
    distance = lambda a: optimize.minimize(lambda x: np.sum(np.abs(x - a)), [0.3]).x[0]
    with pytest.raises(SingularJacobian):
        cr.grad(distance)(1.0)
