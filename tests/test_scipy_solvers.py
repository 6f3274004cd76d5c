"""SciPy's root finders, integrals and integrators of functions that close over what moves."""

import math

import numpy as np
import pytest
from scipy import integrate, optimize, stats
from scipy.integrate import quad
from scipy.optimize import brentq

import chainrule as cr
from chainrule.errors import ConcreteValueNeeded, NotSupported

A = 1.3


def cubic(a):
    return lambda x: x**3 + a * x - 1.0


def slope_of_cubic(a):
    """(x, dx/da, d2x/da2) of x^3 + a x = 1."""
    x = optimize.brentq(cubic(a), 0.0, 2.0, xtol=1e-15)
    first = -x / (3 * x * x + a)
    second = -(2 * first + 6 * x * first**2) / (3 * x * x + a)
    return x, first, second


ROOTS = {
    "brentq": lambda a: optimize.brentq(cubic(a), 0.0, 2.0),
    "brentq by args": lambda a: optimize.brentq(lambda x, b: x**3 + b * x - 1.0, 0, 2, args=(a,)),
    "brentq, report": lambda a: optimize.brentq(cubic(a), 0.0, 2.0, full_output=True)[0],
    "brentq, a bound that moves": lambda a: optimize.brentq(cubic(a), 0.0, a),
    "brenth": lambda a: optimize.brenth(cubic(a), 0.0, 2.0),
    "ridder": lambda a: optimize.ridder(cubic(a), 0.0, 2.0),
    "bisect": lambda a: optimize.bisect(cubic(a), 0.0, 2.0, xtol=1e-13),
    "toms748": lambda a: optimize.toms748(cubic(a), 0.0, 2.0),
    "newton": lambda a: optimize.newton(cubic(a), 0.5, tol=1e-13),
    "newton by a slope": lambda a: optimize.newton(cubic(a), 0.5, lambda x: 3 * x * x + a,
                                                   tol=1e-13),
    "root_scalar": lambda a: optimize.root_scalar(cubic(a), bracket=[0.0, 2.0]).root,
    "root_scalar by newton": lambda a: optimize.root_scalar(
        cubic(a), x0=0.4, fprime=lambda x: 3 * x * x + a, method="newton").root,
    "fsolve": lambda a: optimize.fsolve(cubic(a), 0.5)[0],
    "root": lambda a: optimize.root(cubic(a), 0.5).x[0],
    "root by lm": lambda a: optimize.root(lambda x: [x[0] ** 3 + a * x[0] - 1.0], [0.5],
                                          method="lm", options={"xtol": 1e-13}).x[0],
}  # fmt: skip


@pytest.mark.parametrize("name", ROOTS)
def test_a_root_has_the_derivatives_of_its_equation(name):
    f = ROOTS[name]
    x, first, second = slope_of_cubic(A)
    value, slope = cr.value_and_grad(f)(A)
    np.testing.assert_allclose(value, x, rtol=1e-11)
    np.testing.assert_allclose(slope, first, rtol=1e-11)
    np.testing.assert_allclose(cr.hessian(f)(A), second, rtol=1e-10)
    np.testing.assert_allclose(cr.jvp(f, (A,), (2.0,))[1], 2.0 * first, rtol=1e-11)
    found = cr.vmap(cr.grad(f))(np.array([A, 1.5]))
    np.testing.assert_allclose(found, [first, slope_of_cubic(1.5)[1]], rtol=1e-11)
    np.testing.assert_allclose(cr.compile(cr.grad(f))(A), first, rtol=1e-11)


def test_systems_of_equations():
    by_fsolve = lambda f, x0: optimize.fsolve(f, x0)
    for solve in (by_fsolve, lambda f, x0: optimize.root(f, x0).x):
        f = lambda a, solve=solve: solve(lambda x: [x[0] * x[1] - a, x[0] - x[1] ** 2], [1.0, 1.0])
        value, slope = f(A), cr.jacobian(f)(A)  # x = (a^(2/3), a^(1/3))
        np.testing.assert_allclose(value, [A ** (2 / 3), A ** (1 / 3)], rtol=1e-8)
        wanted = [2 / 3 * A ** (-1 / 3), A ** (-2 / 3) / 3]
        np.testing.assert_allclose(slope, wanted, rtol=1e-7)


def test_a_quantile_is_a_root():
    f = lambda k: optimize.brentq(lambda x: stats.gamma.cdf(x, k) - 0.3, 1e-6, 30.0)
    slope = (stats.gamma.ppf(0.3, 2.3 + 1e-5) - stats.gamma.ppf(0.3, 2.3 - 1e-5)) / 2e-5
    np.testing.assert_allclose(cr.grad(f)(2.3), slope, rtol=1e-8)


def test_a_name_imported_from_scipy_is_followed_as_well():
    f = lambda a: brentq(cubic(a), 0.0, 2.0) + quad(lambda x: a * x, 0.0, 1.0)[0]
    np.testing.assert_allclose(cr.grad(f)(A), slope_of_cubic(A)[1] + 0.5, rtol=1e-11)


def test_what_does_not_move_is_left_to_scipy():
    f = lambda a: a * optimize.brentq(lambda x: math.exp(x) - 2.0, 0.0, 2.0)
    np.testing.assert_allclose(cr.grad(f)(A), math.log(2.0), rtol=1e-12)
    g = lambda a: a * integrate.quad(lambda x: math.exp(x), 0.0, 1.0)[0]
    np.testing.assert_allclose(cr.grad(g)(A), math.e - 1.0, rtol=1e-14)


# --- integrals: (value, derivative, second derivative) in closed form ---------------------------

ROOT_PI = math.sqrt(math.pi)
INTEGRALS = {
    "a power": (lambda a: integrate.quad(lambda x: x**a, 0.0, 1.0)[0],
                lambda a: (1 / (a + 1), -1 / (a + 1) ** 2, 2 / (a + 1) ** 3)),
    "a half line": (lambda a: integrate.quad(lambda x, b: x * np.exp(-b * x), 0, np.inf, (a,))[0],
                    lambda a: (a**-2, -2 * a**-3, 6 * a**-4)),
    "the other half": (lambda a: integrate.quad(lambda x: np.exp(a * x), -np.inf, 0)[0],
                       lambda a: (1 / a, -1 / a**2, 2 / a**3)),
    "a line": (lambda a: integrate.quad(lambda x: np.exp(-a * x * x), -np.inf, np.inf)[0],
               lambda a: (ROOT_PI * a**-0.5, -ROOT_PI / 2 * a**-1.5, 3 * ROOT_PI / 4 * a**-2.5)),
    "a bound": (lambda a: integrate.quad(lambda x: np.cos(x), 0.0, a)[0],
                lambda a: (np.sin(a), np.cos(a), -np.sin(a))),
    "both bounds": (lambda a: integrate.quad(lambda x: a * x, a, 3 * a)[0],
                    lambda a: (4 * a**3, 12 * a**2, 24 * a)),
    "backwards": (lambda a: integrate.quad(lambda x: a * a * x, 1.0, 0.0)[0],
                  lambda a: (-a * a / 2, -a, -1.0)),
    "a peak": (lambda a: integrate.quad(lambda x: a * 1e-3 / (1e-6 + (x - 0.4) ** 2), 0, 1)[0],
               lambda a: (a * (math.atan(600.0) + math.atan(400.0)),
                          math.atan(600.0) + math.atan(400.0), 0.0)),
    "a kink": (lambda a: integrate.quad(lambda x: a**3 * abs(x - 0.3), 0, 1, points=[0.3])[0],
               lambda a: (0.29 * a**3, 0.87 * a**2, 1.74 * a)),
    "a branch": (lambda a: integrate.quad(lambda x: a * x if x < 0.5 else 0.0, 0, 1,
                                          points=[0.5])[0], lambda a: (a / 8, 1 / 8, 0.0)),
}  # fmt: skip


@pytest.mark.parametrize("name", INTEGRALS)
def test_an_integral_has_the_integral_of_the_derivative(name):
    f, truth = INTEGRALS[name]
    close = {"rtol": 1e-9, "atol": 1e-12}
    found = (*cr.value_and_grad(f)(A), cr.hessian(f)(A))
    np.testing.assert_allclose(found, truth(A), **close)
    np.testing.assert_allclose(cr.jvp(f, (A,), (1.0,))[1], truth(A)[1], **close)
    found = cr.vmap(cr.grad(f))(np.array([A, 1.7]))
    np.testing.assert_allclose(found, [truth(A)[1], truth(1.7)[1]], **close)


def test_an_integral_of_integrals():
    f = lambda a: integrate.dblquad(lambda y, x: x * y * a**2, 0.0, 1.0, 0.0, 2.0)[0]
    np.testing.assert_allclose(cr.grad(f)(A), 2 * A, rtol=1e-10)


def test_what_quad_cannot_follow_is_refused():
    with pytest.raises(NotSupported, match=r"quad\(weight=...\).*test_scipy_solvers.py"):
        cr.grad(lambda a: integrate.quad(lambda x: a * x, 0, 1, weight="cos", wvar=2.0)[0])(A)
    with pytest.raises(ConcreteValueNeeded, match="chooses its points by values"):
        f = lambda a: integrate.quad(lambda x: a * x, 0, 1)[0]
        cr.compile(lambda a: cr.fori_loop(0, 2, lambda _, a: f(a), a))(A)


# --- differential equations ---------------------------------------------------------------------

METHODS = ["RK23", "RK45", "DOP853", "BDF"]


@pytest.mark.parametrize("method", METHODS)
def test_the_solution_of_an_equation(method):
    """y' = -k y^2 from y0: y = y0 / (1 + k y0 t)."""

    def f(k, y0):
        rates = lambda t, y, k: -k * y**2
        close = {"rtol": 1e-6, "atol": 1e-8}
        return integrate.solve_ivp(rates, (0.0, 1.0), [y0], method, args=(k,), **close).y[0, -1]

    np.testing.assert_allclose(cr.value_and_grad(f)(A, 0.8)[0], f(A, 0.8), rtol=1e-13)
    below = (1 + A * 0.8) ** 2
    np.testing.assert_allclose(cr.grad(f, (0, 1))(A, 0.8), [-0.64 / below, 1 / below], rtol=2e-4)


def test_an_equation_at_times_and_its_interpolant():
    """y'' = -w^2 y: a cosine."""
    times = np.linspace(0.0, 2.0, 4)

    def run(w, **options):
        rates = lambda t, y: [y[1], -(w**2) * y[0]]
        return integrate.solve_ivp(rates, (0.0, 2.0), [1.0, 0.0], rtol=1e-7, atol=1e-9, **options)

    at_times = cr.jacobian(lambda w: run(w, t_eval=times).y[0])(A)
    np.testing.assert_allclose(at_times, -times * np.sin(A * times), atol=2e-5)
    between = cr.grad(lambda w: run(w, dense_output=True).sol(1.1)[0])(A)
    np.testing.assert_allclose(between, -1.1 * np.sin(1.1 * A), atol=1e-4)


def test_the_time_of_an_event_moves():
    def landing(v):
        height = lambda t, y: y[0]
        height.terminal, height.direction = True, -1
        fall = lambda t, y: [y[1], -9.81]
        return integrate.solve_ivp(fall, (0.0, 10.0), [0.0, v], events=height).t[-1]

    np.testing.assert_allclose(cr.grad(landing)(5.0), 2 / 9.81, rtol=1e-8)


def test_odeint():
    times = np.array([0.0, 0.5, 1.0])
    for rates, first in (
        (lambda y, t, k: -k * y**2, False),
        (lambda t, y, k: [-k * y[0] ** 2], True),
    ):
        f = lambda k, y0, rates=rates, first=first: integrate.odeint(
            rates, y0, times, args=(k,), tfirst=first)[:, 0]  # fmt: skip
        below = (1 + A * 0.8 * times) ** 2
        value, by_k = f(A, 0.8), cr.jacobian(f)(A, 0.8)
        np.testing.assert_allclose(value, 0.8 / np.sqrt(below), rtol=1e-7)
        np.testing.assert_allclose(by_k, -0.64 * times / below, rtol=1e-7, atol=1e-12)
        np.testing.assert_allclose(cr.jacobian(f, 1)(A, 0.8), 1 / below, rtol=1e-7)
    with pytest.raises(NotSupported, match="at times that move"):
        cr.grad(lambda a: integrate.odeint(lambda y, t: -y, 1.0, times * a)[-1, 0])(A)
