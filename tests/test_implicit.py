"""root, fixed_point, argmin: values and derivatives against closed forms, and what goes wrong."""

import mpmath
import numpy as np
import pytest
import scipy.optimize

import chainrule as cr
from chainrule import errors

RNG = np.random.default_rng(12)


def assert_close(found, wanted, tolerance=1e-11):
    wanted = np.asarray(wanted)
    assert np.shape(found) == wanted.shape
    scale = np.max(np.abs(wanted), initial=1e-300)
    np.testing.assert_allclose(found, wanted, rtol=tolerance, atol=tolerance * scale)


# --- values --------------------------------------------------------------------------------------


def test_a_root_of_one_number_and_of_a_vector():
    x = cr.root(lambda x, a: x * x - a, 1.0, 2.0)
    assert type(x) is np.float64
    assert x == np.sqrt(2.0)
    circle = lambda x: np.stack([x[0] ** 2 + x[1] ** 2 - 4.0, x[0] - x[1]])
    found = cr.root(circle, np.array([1, 2]))
    assert_close(found, [np.sqrt(2.0)] * 2)
    assert found.dtype == np.float64


def test_the_omega_constant_and_keplers_equation_to_the_last_digits():
    with mpmath.workdps(30):
        omega = float(mpmath.lambertw(1))
        anomaly = float(mpmath.findroot(lambda e: e - mpmath.mpf("0.9") * mpmath.sin(e) - 1, 1.8))
    assert abs(cr.root(lambda x: x * np.exp(x) - 1.0, 0.0) - omega) <= 2e-16
    assert abs(cr.fixed_point(lambda e: 1.0 + 0.9 * np.sin(e), 1.0) - anomaly) <= 5e-16


def test_a_fixed_point_where_iteration_diverges_is_found_by_newtons_method():
    f = lambda x: 3.0 - 2.0 * x  # slope -2
    assert_close(cr.fixed_point(f, 0.0), 1.0)
    assert_close(cr.fixed_point(lambda x: x**3 - 2.0 * x + 1.5, 0.4, max_steps=50) ** 3 - 3.0 * (
        cr.fixed_point(lambda x: x**3 - 2.0 * x + 1.5, 0.4, max_steps=50)) + 1.5, 0.0)  # fmt: skip


def test_a_slowly_converging_fixed_point_is_as_exact_as_any():
    assert_close(cr.fixed_point(lambda x: 0.999 * x + 0.001 * np.cos(x), 1.0), 0.7390851332151607)


def test_minima_of_rosenbrock_and_of_a_function_that_is_not_convex_at_the_start():
    rosenbrock = lambda x: np.sum(100 * (x[1:] - x[:-1] ** 2) ** 2 + (1 - x[:-1]) ** 2)
    assert_close(cr.argmin(rosenbrock, np.array([-1.2, 1.0])), np.ones(2))
    assert_close(cr.argmin(rosenbrock, np.full(20, -1.0)), np.ones(20))
    double_well = lambda x: (x * x - 1.0) ** 2
    assert_close(cr.argmin(double_well, 0.1), 1.0)
    assert_close(cr.argmin(double_well, -0.1), -1.0)


def test_a_singular_jacobian_on_the_way_does_not_stop_the_solver():
    assert_close(cr.root(lambda x: x**3 - 8.0, 0.0), 2.0)  # slope 0 at the start
    assert_close(cr.root(lambda x: np.arctan(x - 1.0), 30.0), 1.0)  # Newton alone overshoots


def test_unknowns_may_be_a_tree():
    def f(x, a):
        return {"u": x["u"] ** 2 - a, "v": [x["v"][0] + np.sum(x["u"]) - 1.0]}

    a = np.array([1.0, 4.0, 9.0])
    found = cr.root(f, {"u": np.ones(3), "v": [0.0]}, a)
    assert_close(found["u"], np.sqrt(a))
    assert_close(found["v"][0], -5.0)
    slope = cr.grad(lambda a: cr.root(f, {"u": np.ones(3), "v": [0.0]}, a)["v"][0])(a)
    assert_close(slope, -0.5 / np.sqrt(a))


def test_float32_unknowns_stay_float32():
    one = np.ones(2, np.float32)
    for found, wanted in (
        (cr.root(lambda x: x * x - np.float32(2.0), one), np.sqrt(2.0)),
        (cr.fixed_point(np.cos, one), 0.7390851332151607),
        (cr.argmin(lambda x: np.sum((x - np.float32(3.0)) ** 2), one), 3.0),
    ):
        assert found.dtype == np.float32
        np.testing.assert_allclose(found, wanted, rtol=1e-6)


def test_no_unknowns_at_all():
    assert cr.root(lambda x: x, np.zeros(0)).shape == (0,)


# --- derivatives ---------------------------------------------------------------------------------


def square_root(a):
    return cr.root(lambda x: x * x - a, 1.0)


@pytest.mark.parametrize("a", [0.5, 2.0, 9.0])
def test_derivatives_of_every_order_of_a_square_root(a):
    f, falling = square_root, 1.0
    for order in range(1, 4):
        f = cr.grad(f)
        falling *= 0.5 - (order - 1)
        assert_close(f(a), falling * a ** (0.5 - order), 1e-10)
    assert_close(cr.jvp(square_root, (a,), (1.0,))[1], 0.5 / np.sqrt(a))
    assert_close(cr.jvp(cr.grad(square_root), (a,), (1.0,))[1], -0.25 * a**-1.5)


def test_what_the_function_closes_over_is_differentiated():
    def f(a, b):
        def inner(x):
            return np.stack([x[0] * a - 2.0, x[1] ** 3 - b * x[0]])

        return cr.root(inner, np.ones(2))

    # x0 = 2 / a, x1 = (2 b / a)^(1/3)
    a, b = 1.5, 0.7
    by_a, by_b = cr.jacobian(f, (0, 1))(a, b)
    third = (2 * b / a) ** (1 / 3)
    assert_close(by_a, [-2 / a**2, -third / (3 * a)])
    assert_close(by_b, [0.0, third / (3 * b)])


def test_the_starting_point_has_derivative_zero():
    assert cr.grad(lambda s: cr.root(lambda x: x * x - 2.0, s))(1.0) == 0.0
    value, slope = cr.jvp(lambda s: cr.fixed_point(np.cos, s), (1.0,), (1.0,))
    assert slope == 0.0
    assert_close(cr.grad(lambda a: cr.root(lambda x: x * x - a, a))(4.0), 0.25)


def test_a_linear_system_as_a_root_has_the_derivatives_of_solve():
    a, b = RNG.normal(size=(4, 4)) + 4 * np.eye(4), RNG.normal(size=4)
    found = cr.jacobian(lambda a, b: cr.root(lambda x: a @ x - b, np.zeros(4)), (0, 1))(a, b)
    wanted = cr.jacobian(np.linalg.solve, (0, 1))(a, b)
    for x, y in zip(found, wanted, strict=True):
        assert_close(x, y)


def test_ridge_regression_by_argmin_has_the_derivatives_of_its_closed_form():
    x, y = RNG.normal(size=(30, 4)), RNG.normal(size=30)

    def by_argmin(penalty):
        loss = lambda w: np.sum((x @ w - y) ** 2) + penalty * np.sum(w**2)
        return cr.argmin(loss, np.zeros(4))

    def in_closed_form(penalty):
        return np.linalg.solve(x.T @ x + penalty * np.eye(4), x.T @ y)

    assert_close(by_argmin(0.3), in_closed_form(0.3))
    assert_close(cr.jacobian(by_argmin)(0.3), cr.jacobian(in_closed_form)(0.3))
    second = cr.jacobian(cr.jacobian(in_closed_form))(0.3)
    assert_close(cr.jacobian(cr.jacobian(by_argmin))(0.3), second, 1e-10)


def test_the_derivative_of_a_cost_at_its_minimum():
    """Envelope theorem: d/da min_x g(x, a) is the partial derivative of g by a at the minimum."""
    g = lambda x, a: np.sum(np.cosh(x - a)) + 0.5 * np.sum(x**2)
    a = RNG.normal(size=3)
    least = lambda a: g(cr.argmin(g, np.zeros(3), a), a)
    at = cr.argmin(g, np.zeros(3), a)
    assert_close(cr.grad(least)(a), -np.sinh(at - a), 1e-10)


def test_a_deep_equilibrium_layer_against_its_unrolled_iteration():
    w = 0.3 * RNG.normal(size=(6, 6))
    x = RNG.normal(size=6)

    def layer(w, x):
        return np.sum(cr.fixed_point(lambda z: np.tanh(w @ z + x), np.zeros(6)) ** 2)

    def unrolled(w, x):
        z = np.zeros(6)
        for _ in range(200):
            z = np.tanh(w @ z + x)
        return np.sum(z**2)

    for found, wanted in zip(
        cr.grad(layer, (0, 1))(w, x), cr.grad(unrolled, (0, 1))(w, x), strict=True
    ):
        assert_close(found, wanted)


def test_the_derivative_costs_a_linear_system_and_not_the_iterations():
    f = lambda a: cr.fixed_point(lambda x: 0.5 * np.cos(a * x), 0.0)
    names = [e.op.name for e in cr.trace(cr.grad(f), 1.0).equations]
    assert names.count("implicit") == 1
    assert names.count("jacobian_solve") == 1
    assert "while" not in names
    assert len(names) < 40


def test_captured_data_costs_no_derivative():
    data = RNG.normal(size=1000)
    f = lambda a: cr.argmin(lambda m: np.mean((data - a * m) ** 2), 0.0)
    program = cr.trace(cr.grad(f), 2.0)
    assert_close(cr.grad(f)(2.0), -np.mean(data) / 4.0)
    assert all(o.type.size == 1 for o in program.outputs)


# --- other transformations -----------------------------------------------------------------------


def test_vmap_solves_each_example():
    a = np.array([0.25, 1.0, 9.0, 100.0])
    assert_close(cr.vmap(square_root)(a), np.sqrt(a))
    assert_close(cr.vmap(cr.grad(square_root))(a), 0.5 / np.sqrt(a))
    assert_close(cr.grad(lambda a: np.sum(cr.vmap(square_root)(a)))(a), 0.5 / np.sqrt(a))
    starts = np.array([0.5, 2.0, -2.0, 5.0])
    found = cr.vmap(lambda s, a: cr.root(lambda x: x * x - a, s))(starts, a)
    assert_close(found, np.sign(starts) * np.sqrt(a))


def test_compiled_solvers_are_native_and_the_same():
    for f in (square_root, cr.grad(square_root), cr.grad(cr.grad(square_root))):
        assert_close(cr.compile(f)(5.0), f(5.0))
    made = cr.compile(cr.grad(square_root))
    made(5.0)
    w, x = 0.3 * RNG.normal(size=(6, 6)), RNG.normal(size=6)
    layer = lambda w, x: np.sum(cr.fixed_point(lambda z: np.tanh(w @ z + x), np.zeros(6)) ** 2)
    assert_close(cr.compile(cr.grad(layer))(w, x), cr.grad(layer)(w, x))
    batched = cr.vmap(lambda a: cr.argmin(lambda x: np.sum(np.cosh(x - a)), np.zeros(2)))
    points = RNG.normal(size=(5, 2))
    assert_close(cr.compile(batched)(points), points, 1e-7)


def test_solvers_stand_inside_loops_branches_and_checkpoints():
    def f(a):
        total = cr.fori_loop(0, 3, lambda i, s: s + square_root(a + i), 0.0)
        return total + cr.cond(a > 0, square_root, lambda b: b, a) + cr.checkpoint(square_root)(a)

    wanted = 0.5 * (3 / np.sqrt(2.0) + 1 / np.sqrt(3.0) + 1 / np.sqrt(4.0))
    assert_close(cr.grad(f)(2.0), wanted)


def test_a_solver_inside_a_solver():
    f = lambda a: cr.root(lambda x: x - square_root(x + a), 1.5)  # x^2 = x + a
    assert_close(f(2.0), 2.0)
    assert_close(cr.grad(f)(2.0), 1 / 3)


# --- many unknowns -------------------------------------------------------------------------------

SIZE = 700


def heat(u, a):
    """A nonlinear chain: diagonally dominant, not symmetric."""
    return 3.0 * u + u**3 - a - 0.5 * np.roll(u, 1) - 0.3 * np.roll(u, -1)


def heat_matrix(u):
    eye = np.eye(SIZE)
    shifted = 0.5 * np.roll(eye, 1, axis=0) + 0.3 * np.roll(eye, -1, axis=0)
    return np.diag(3.0 + 3.0 * u**2) - shifted


def test_many_unknowns_are_solved_without_the_matrix():
    a = np.linspace(-1.0, 1.0, SIZE)
    u = cr.root(heat, np.zeros(SIZE), a)
    assert np.max(np.abs(heat(u, a))) < 1e-10
    f = lambda a: np.sum(cr.root(heat, np.zeros(SIZE), a) ** 2)
    assert_close(cr.grad(f)(a), np.linalg.solve(heat_matrix(u).T, 2 * u), 1e-9)
    tangent = np.cos(np.arange(SIZE))
    moved = cr.jvp(lambda a: cr.root(heat, np.zeros(SIZE), a), (a,), (tangent,))[1]
    assert_close(moved, np.linalg.solve(heat_matrix(u), tangent), 1e-9)


def test_second_derivatives_without_the_matrix():
    a, v = np.linspace(-1.0, 1.0, SIZE), np.cos(np.arange(SIZE))
    found = cr.hvp(lambda a: np.sum(cr.root(heat, np.zeros(SIZE), a)), (a,), (v,))
    u = cr.root(heat, np.zeros(SIZE), a)
    inverse = np.linalg.inv(heat_matrix(u))
    weights = inverse.T @ np.ones(SIZE)  # du/da^T 1; d J = diag(6 u du)
    wanted = -inverse.T @ (6 * u * (inverse @ v) * weights)
    assert_close(found, wanted, 1e-8)


def test_many_unknowns_of_a_fixed_point_and_of_a_minimum():
    a = np.linspace(-1.0, 1.0, SIZE)
    found = cr.fixed_point(lambda z, a: np.tanh(0.5 * np.roll(z, 1) + a), np.zeros(SIZE), a)
    assert np.max(np.abs(np.tanh(0.5 * np.roll(found, 1) + a) - found)) < 1e-9
    cost = lambda x, a: np.sum(np.cosh(x - a)) + np.sum((x[1:] - x[:-1]) ** 2)
    x = cr.argmin(cost, np.zeros(SIZE), a)
    assert np.max(np.abs(cr.grad(cost)(x, a))) < 1e-7
    slope = cr.grad(lambda a: np.sum(cr.argmin(cost, np.zeros(SIZE), a) ** 2))(a)
    hessian = cr.hessian(cost)(x, a)
    cross = -np.cosh(x - a)  # d/da of the gradient, a diagonal
    assert_close(slope, -cross * np.linalg.solve(hessian, 2 * x), 1e-6)


def test_many_unknowns_under_vmap_and_compile():
    starts = np.stack([np.linspace(-1.0, 1.0, SIZE), np.linspace(0.0, 1.0, SIZE)])
    f = lambda a: np.sum(cr.root(heat, np.zeros(SIZE), a) ** 2)
    wanted = np.stack([cr.grad(f)(a) for a in starts])
    assert_close(cr.vmap(cr.grad(f))(starts), wanted, 1e-9)
    assert_close(cr.compile(cr.grad(f))(starts[0]), wanted[0], 1e-9)


# --- solvers of the user -------------------------------------------------------------------------


def test_scipys_solvers_may_be_given():
    a = np.array([1.0, 2.0, 3.0])
    by_root = lambda a: cr.root(
        lambda x: x**3 + x - a, np.zeros(3),
        solver=lambda g, x0: scipy.optimize.root(g, x0, tol=1e-12).x,
    )  # fmt: skip
    x = by_root(a)
    assert_close(x**3 + x, a, 1e-9)
    assert_close(cr.jacobian(by_root)(a), np.diag(1 / (3 * x**2 + 1)), 1e-8)
    assert_close(cr.compile(cr.jacobian(by_root))(a), np.diag(1 / (3 * x**2 + 1)), 1e-8)
    minimum = lambda a: cr.argmin(
        lambda x: np.sum(np.cosh(x - a)), np.zeros(3),
        solver=lambda g, x0: scipy.optimize.minimize(g, x0, tol=1e-10).x,
    )  # fmt: skip
    np.testing.assert_allclose(minimum(a), a, atol=1e-4)
    np.testing.assert_allclose(cr.jacobian(minimum)(a), np.eye(3), atol=1e-6)
    assert_close(cr.vmap(by_root)(np.stack([a, 2 * a]))[0], x, 1e-9)


def test_a_solver_sees_the_tree_that_it_is_given():
    seen = []

    def solver(g, start):
        seen.append((start, g(start)))
        return {"u": np.float64(2.0)}

    found = cr.root(lambda x: {"r": x["u"] - 2.0}, {"u": 1.0}, solver=solver)
    assert found == {"u": 2.0}
    assert seen[0][0] == {"u": 1.0}


def test_what_a_solver_gives_is_checked():
    with pytest.raises(errors.NotConverged, match="still"):
        cr.root(lambda x: x - 2.0, 0.0, solver=lambda g, x0: 1.0)
    with pytest.raises(errors.StructureMismatch, match="shapes"):
        cr.root(lambda x: x - 2.0, 0.0, solver=lambda g, x0: np.ones(3))


# --- errors --------------------------------------------------------------------------------------


def test_no_solution_is_an_error_with_the_users_line():
    with pytest.raises(errors.NotConverged, match="no solution in 200 steps") as caught:
        cr.grad(lambda a: cr.root(lambda x: x * x + a, 1.0))(1.0)
    assert "test_implicit.py" in "".join(caught.value.__notes__)
    with pytest.raises(errors.NotConverged, match="fixed_point"):
        cr.fixed_point(lambda x: x + 1.0, 0.0, max_steps=30)
    with pytest.raises(errors.NotConverged, match="argmin"):
        cr.argmin(lambda x: -(x**2), 1.0)
    with pytest.raises(errors.NotConverged):
        cr.compile(lambda a: cr.root(lambda x: x * x + a, 1.0))(1.0)
    with pytest.raises(errors.NotConverged):
        cr.vmap(lambda a: cr.root(lambda x: x * x + a, 1.0))(np.array([-1.0, 1.0]))
    with pytest.raises(errors.NotConverged):
        cr.root(lambda x: x * x + 1.0, np.ones(SIZE))


def test_a_solution_without_derivative_is_an_error():
    f = lambda a: np.sum(cr.root(lambda x: np.stack([x[0] - a, 2.0 * (x[0] - a)]), np.ones(2)))
    assert_close(f(1.0), 2.0)
    for way in (cr.grad, lambda f: cr.compile(cr.grad(f))):
        with pytest.raises(errors.SingularJacobian, match="no derivative"):
            way(f)(1.0)
    large = lambda a: np.sum(cr.root(lambda x: (x[0] - a) * np.ones(SIZE), np.zeros(SIZE)))
    with pytest.raises(errors.SingularJacobian):
        cr.grad(large)(1.0)


def test_equations_and_unknowns_must_match():
    with pytest.raises(errors.StructureMismatch, match=r"4 numbers for 2.*test_implicit.py"):
        cr.root(lambda x: np.concatenate([x, x]), np.ones(2))
    with pytest.raises(errors.StructureMismatch, match="must return what it is given"):
        cr.fixed_point(lambda x: x[:1], np.ones(2))
    with pytest.raises(errors.NonScalarOutput, match="argmin needs one real number"):
        cr.argmin(lambda x: x, np.ones(2))
    with pytest.raises(errors.NotSupported, match="complex"):
        cr.root(lambda x: x * x + 1.0, 1.0j)
    with pytest.raises(errors.ConcreteValueNeeded):
        cr.root(lambda x: x if x > 0 else -x, 1.0)


def test_writes_inside_are_refused():
    log = np.zeros(1)

    def f(x, log):
        log += 1.0
        return x - 2.0

    with pytest.raises(errors.MutationError, match="inside root"):
        cr.root(f, 0.0, log)


def test_a_solver_prints_as_python():
    text = cr.source(cr.grad(square_root), 9.0)
    scope: dict = {}
    exec(text, scope)
    assert_close(next(v for k, v in scope.items() if k.startswith("grad"))(9.0), 1 / 6)
    with pytest.raises(errors.NotSupported, match=r"test_implicit.py:\d+"):
        cr.source(lambda a: np.sum(cr.root(heat, np.zeros(SIZE), a)), np.zeros(SIZE))


# --- kinks ---------------------------------------------------------------------------------------

relu = lambda x: np.maximum(x, 0.0)


def test_at_a_kink_of_the_equation_the_derivative_is_the_mean_of_both_sides():
    f = lambda a: cr.root(lambda x: x + relu(x) - a, 1.0)  # slope 1 for a < 0, 1/2 for a > 0
    assert_close(cr.grad(f)(0.0), 0.75)
    assert_close(cr.grad(lambda a: cr.root(lambda x: x + relu(x) - relu(-x) - a, 1.0))(0.0), 0.5)
    with pytest.raises(errors.NotDifferentiable, match="two sides"):
        cr.grad(f, kinks="raise")(0.0)


def test_a_kink_elsewhere_leaves_the_solution_as_it_is():
    identity = lambda a: relu(a) - relu(-a)
    f = lambda a: np.sum(identity(a)) + np.sum(cr.fixed_point(lambda x: np.cos(x) + a, np.ones(2)))
    assert_close(cr.grad(f)(np.zeros(2)), np.full(2, 1 + 1 / (1 + np.sin(0.7390851332151607))))
    g = lambda a: identity(a) + cr.root(
        lambda x: x * x - a - 1.0, 1.0, solver=lambda g, x0: 1.0
    )  # fmt: skip
    assert_close(cr.grad(g)(0.0), 1.5)
    large = lambda a: np.sum(identity(a)) + np.sum(cr.root(heat, np.zeros(SIZE), a))
    slope = cr.grad(large)(np.zeros(SIZE))
    assert_close(slope, 1 + np.linalg.solve(heat_matrix(np.zeros(SIZE)).T, np.ones(SIZE)), 1e-9)


# --- hard problems (More, Garbow and Hillstrom, ACM TOMS 7, 1981) ---------------------------------


def test_badly_scaled_equations_are_solved():
    powell = lambda p: np.stack(
        [1e4 * p[0] * p[1] - 1.0, np.exp(-p[0]) + np.exp(-p[1]) - 1.0001]
    )  # fmt: skip
    np.testing.assert_allclose(
        cr.root(powell, np.array([0.0, 1.0])), [1.09815933e-05, 9.10614674], rtol=1e-8
    )
    assert_close(cr.root(lambda x: 1e-12 * (x - 3.0), 0.0), 3.0)
    assert_close(cr.root(lambda x: 1e12 * (x * x - 2.0), 1.0), np.sqrt(2.0))


def test_valleys_that_bend_and_saddles_on_the_way():
    beale = lambda p: (
        (1.5 - p[0] + p[0] * p[1]) ** 2 + (2.25 - p[0] + p[0] * p[1] ** 2) ** 2
        + (2.625 - p[0] + p[0] * p[1] ** 3) ** 2
    )  # fmt: skip
    wood = lambda p: (
        100 * (p[1] - p[0] ** 2) ** 2 + (1 - p[0]) ** 2 + 90 * (p[3] - p[2] ** 2) ** 2
        + (1 - p[2]) ** 2 + 10 * (p[1] + p[3] - 2) ** 2 + 0.1 * (p[1] - p[3]) ** 2
    )  # fmt: skip
    assert_close(cr.argmin(beale, np.array([1.0, 1.0])), [3.0, 0.5], 1e-9)
    assert_close(cr.argmin(wood, np.array([-3.0, -1.0, -3.0, -1.0])), np.ones(4), 1e-9)


@pytest.mark.parametrize("solution", [
    lambda a: cr.root(lambda x: np.sign(x - a), 0.3),
    lambda a: cr.argmin(lambda x: np.abs(x - a), 0.3),
])  # fmt: skip
def test_equations_that_are_constant_in_pieces_have_no_derivative(solution):
    """The gradient needs no solution, so that nothing else would tell."""
    with pytest.raises(errors.SingularJacobian):
        cr.grad(solution)(1.0)
    settled = lambda a: cr.root(lambda x: x - np.floor(a), 0.3)
    assert cr.grad(settled)(1.5) == 0.0
