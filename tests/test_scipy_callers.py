"""Functions and derivatives of chainrule handed to SciPy's solvers."""

import numpy as np
from scipy.integrate import solve_ivp
from scipy.optimize import least_squares, minimize, root

import chainrule as cr


def rosenbrock(x):
    return np.sum(100.0 * (x[1:] - x[:-1] ** 2) ** 2 + (1.0 - x[:-1]) ** 2)


def test_minimize_with_value_and_gradient_reaches_the_minimum():
    start = np.array([-1.2, 1.0, 0.7, -0.3])
    found = minimize(cr.value_and_grad(rosenbrock), start, jac=True, method="BFGS")
    assert np.allclose(found.x, 1.0, atol=1e-5)


def test_minimize_with_gradient_and_hessian_product_reaches_the_minimum():
    found = minimize(
        rosenbrock,
        np.array([-1.2, 1.0, 0.7]),
        jac=cr.grad(rosenbrock),
        hessp=lambda x, v: cr.hvp(rosenbrock, (x,), (v,)),
        method="trust-ncg",
        options={"gtol": 1e-10},
    )
    assert found.success
    assert np.allclose(found.x, 1.0, atol=1e-8)


def test_minimize_with_a_hessian_takes_newton_steps():
    found = minimize(
        rosenbrock, np.array([-1.2, 1.0]), jac=cr.grad(rosenbrock), hess=cr.hessian(rosenbrock),
        method="trust-exact",
    )  # fmt: skip
    assert np.allclose(found.x, 1.0, atol=1e-8)


def test_least_squares_and_root_take_a_jacobian():
    def residual(p):
        t = np.linspace(0.0, 1.0, 8)
        return p[0] * np.exp(-p[1] * t) - 2.0 * np.exp(-3.0 * t)

    fit = least_squares(residual, np.array([1.0, 1.0]), jac=cr.jacobian(residual))
    assert np.allclose(fit.x, [2.0, 3.0], atol=1e-8)

    def equations(x):
        return np.stack([x[0] ** 2 + x[1] ** 2 - 4.0, np.exp(x[0]) + x[1] - 1.0])

    found = root(equations, np.array([1.0, -1.5]), jac=cr.jacobian(equations), tol=1e-13)
    assert found.success
    assert np.allclose(equations(found.x), 0.0, atol=1e-12)


def test_solve_ivp_takes_the_jacobian_of_a_stiff_system():
    def robertson(t, y):
        fast, slow = 1e4 * y[1] * y[2], 3e7 * y[1] ** 2
        return np.stack([-0.04 * y[0] + fast, 0.04 * y[0] - fast - slow, slow])

    start = np.array([1.0, 0.0, 0.0])
    out = solve_ivp(
        robertson, (0.0, 40.0), start, method="BDF", jac=cr.jacobian(robertson, argnums=1),
        rtol=1e-8, atol=1e-12,
    )  # fmt: skip
    assert out.success
    # Hairer and Wanner, Solving Ordinary Differential Equations II, table of reference solutions
    assert np.allclose(out.y[:, -1], [0.7158270688, 9.185534765e-6, 0.2841637457], rtol=1e-6)


def test_solve_ivp_runs_on_a_gradient_flow():
    flow = cr.grad(lambda y: 0.5 * np.sum((y - 1.0) ** 2))
    start = np.array([3.0, -2.0])
    out = solve_ivp(lambda t, y: -flow(y), (0.0, 2.0), start, rtol=1e-10, atol=1e-12)
    assert np.allclose(out.y[:, -1], 1.0 + (start - 1.0) * np.exp(-2.0), rtol=1e-8)
