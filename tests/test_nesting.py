"""Derivatives of derivatives: every pair of transformations, any order, no confusion."""

import itertools

import mpmath
import numpy as np
import pytest

import chainrule as cr
from chainrule.tracing import trace_call

X = np.array([0.3, -0.7, 1.1])
W = np.array([[0.5, -1.0, 2.0], [1.5, 0.25, -0.75]])


def truth(f, x, order: int) -> float:
    """The derivative of a function of one number, by mpmath."""
    with mpmath.workdps(40):
        return float(mpmath.diff(f, mpmath.mpf(float(x)), order))


def g(x):
    return np.sin(x) * np.exp(-x * x) + x**3


def g_exact(x):
    return mpmath.sin(x) * mpmath.exp(-x * x) + x**3


# First derivatives of a function of one number, each by another transformation.
FIRST = {
    "grad": lambda f: cr.grad(f),
    "jvp": lambda f: lambda x: cr.jvp(f, (x,), (1.0,))[1],
    "vjp": lambda f: lambda x: cr.vjp(f, x)[1](1.0)[0],
    "linearize": lambda f: lambda x: cr.linearize(f, x)[1](1.0),
    "jacobian forward": lambda f: cr.jacobian(f, mode="forward"),
    "jacobian reverse": lambda f: cr.jacobian(f, mode="reverse"),
    "value_and_grad": lambda f: lambda x: cr.value_and_grad(f)(x)[1],
    "vmap": lambda f: lambda x: cr.vmap(cr.grad(f))(np.stack([x, x]))[1],
    "checkpoint": lambda f: cr.grad(cr.checkpoint(f)),
}


@pytest.mark.parametrize("outer, inner", list(itertools.product(FIRST, FIRST)))
def test_every_transformation_of_every_other_gives_the_second_derivative(outer, inner):
    found = FIRST[outer](FIRST[inner](g))(0.4)
    assert np.shape(found) == ()
    assert found == pytest.approx(truth(g_exact, 0.4, 2), rel=1e-13)


@pytest.mark.parametrize("modes", list(itertools.product(["grad", "jvp", "vjp"], repeat=3)))
def test_third_derivatives_agree_in_every_order_of_modes(modes):
    f = g
    for mode in modes:
        f = FIRST[mode](f)
    assert f(0.4) == pytest.approx(truth(g_exact, 0.4, 3), rel=1e-13)


def test_the_fourth_derivative_by_repeated_grad():
    f = g
    for _ in range(4):
        f = cr.grad(f)
    assert f(0.4) == pytest.approx(truth(g_exact, 0.4, 4), rel=1e-12)


def test_a_monomial_has_factorials_for_derivatives():
    f = lambda x: x**5
    for order, wanted in enumerate([80.0, 160.0, 240.0, 240.0, 120.0, 0.0], start=1):
        f = cr.grad(f)
        assert f(2.0) == wanted, order


# --- perturbation confusion ----------------------------------------------------------------------


def test_an_inner_derivative_does_not_see_the_outer_variable():
    # d/dx [ x * d/dy (x + y) ] is 1; a system that confuses the perturbations says 2
    assert cr.grad(lambda x: x * cr.grad(lambda y: x + y)(1.0))(1.0) == 1.0
    for outer, inner in itertools.product(["jvp", "grad", "vjp", "linearize"], repeat=2):
        f = FIRST[outer](lambda x: x * FIRST[inner](lambda y: x + y)(1.0))
        assert f(1.0) == 1.0, (outer, inner)


def test_an_inner_derivative_of_a_closure_is_differentiated_again():
    # d/dx [ d/dy (x * y^2) at y = x ] = d/dx 2x^2 = 4x
    for outer, inner in itertools.product(["jvp", "grad", "vjp", "linearize"], repeat=2):
        f = FIRST[outer](lambda x: FIRST[inner](lambda y: x * y * y)(x))
        assert f(3.0) == 12.0, (outer, inner)


def test_a_derivative_with_respect_to_a_value_used_twice():
    # the inner function closes over x and is evaluated at a function of x
    f = lambda x: cr.grad(lambda y: np.sin(x * y))(x * x)  # x cos(x^3)
    assert cr.grad(f)(0.8) == pytest.approx(np.cos(0.8**3) - 3 * 0.8**3 * np.sin(0.8**3), rel=1e-14)


def test_the_higher_order_function_of_the_literature():
    # Manzyuk et al. 2019, "Perturbation confusion in forward automatic differentiation of
    # higher-order functions": D of a function that returns a function
    def shifted(offset):
        return lambda f: lambda x: f(x + offset)

    hat = lambda f: cr.jvp(lambda s: shifted(s)(f)(0.0), (0.0,), (1.0,))[1]
    derivative = lambda f: lambda x: cr.jvp(lambda s: f(x + s), (0.0,), (1.0,))[1]
    assert hat(derivative(lambda x: np.exp(x))) == 1.0
    assert derivative(derivative(np.exp))(0.0) == 1.0


def test_derivatives_by_two_variables_commute():
    h = lambda x, y: np.sin(x * y) + x * x * y
    xy = cr.grad(lambda x: cr.grad(h, 1)(x, 0.6))(0.5)
    yx = cr.grad(lambda y: cr.grad(h, 0)(0.5, y))(0.6)
    wanted = np.cos(0.3) - 0.3 * np.sin(0.3) + 2 * 0.5
    assert xy == pytest.approx(wanted, rel=1e-14)
    assert yx == pytest.approx(wanted, rel=1e-14)


# --- vectors -------------------------------------------------------------------------------------


def network(x):
    return np.sum(np.tanh(W @ x) ** 2)


def hessian_of_network(x):
    """The Hessian of the sum of tanh(Wx)^2, by hand."""
    t = np.tanh(W @ x)
    s = 1 - t * t
    return W.T @ np.diag(2 * s * s - 4 * t * t * s) @ W


HESSIANS = {
    "hessian": cr.hessian(network),
    "forward of reverse": cr.jacobian(cr.grad(network), mode="forward"),
    "reverse of reverse": cr.jacobian(cr.grad(network), mode="reverse"),
    "reverse of forward": cr.jacobian(cr.jacobian(network, mode="forward"), mode="reverse"),
    "forward of forward": cr.jacobian(cr.jacobian(network, mode="forward"), mode="forward"),
    "rows by hvp": lambda x: np.stack([cr.hvp(network, (x,), (e,)) for e in np.eye(3)]),
    "vmap of hvp": lambda x: cr.vmap(lambda e: cr.hvp(network, (x,), (e,)))(np.eye(3)),
    "vmap of pullback": lambda x: cr.vmap(
        lambda e: cr.vjp(cr.grad(network), x)[1](e)[0]
    )(np.eye(3)),
    "jvp of vmap": lambda x: np.stack(
        [cr.jvp(lambda x: cr.vmap(cr.grad(network))(x[None])[0], (x,), (e,))[1] for e in np.eye(3)]
    ),
}  # fmt: skip


@pytest.mark.parametrize("name", HESSIANS)
def test_every_way_to_a_hessian_gives_the_same_matrix(name):
    np.testing.assert_allclose(HESSIANS[name](X), hessian_of_network(X), rtol=1e-12, atol=1e-15)


def test_the_gradient_of_a_gradient_norm():
    # d/dx |grad f|^2 = 2 H grad f
    found = cr.grad(lambda x: np.sum(cr.grad(network)(x) ** 2))(X)
    t = np.tanh(W @ X)
    wanted = 2 * hessian_of_network(X) @ (W.T @ (2 * t * (1 - t * t)))
    np.testing.assert_allclose(found, wanted, rtol=1e-12)


def test_a_pullback_made_inside_a_trace_is_used_there():
    def f(x):
        y, pull = cr.vjp(lambda z: z * np.sin(z), x)
        return y * pull(x)[0]  # z sin z * x (sin x + x cos x)

    exact = lambda x: x * mpmath.sin(x) * x * (mpmath.sin(x) + x * mpmath.cos(x))
    assert cr.grad(f)(0.9) == pytest.approx(truth(exact, 0.9, 1), rel=1e-14)


def test_a_pullback_is_differentiated_by_its_cotangent():
    _, pull = cr.vjp(lambda x: np.sin(x), 0.5)
    assert cr.grad(lambda ct: pull(ct)[0] ** 2)(3.0) == pytest.approx(6 * np.cos(0.5) ** 2)
    _, push = cr.linearize(lambda x: np.sin(x), 0.5)
    assert cr.grad(lambda t: push(t) ** 2)(3.0) == pytest.approx(6 * np.cos(0.5) ** 2)


def test_vmap_of_vmap_is_a_table():
    outer = cr.vmap(lambda x: cr.vmap(lambda y: x * np.sin(y))(X))(X)
    np.testing.assert_array_equal(outer, X[:, None] * np.sin(X))


def test_the_gradient_of_a_captured_scalar_under_vmap_is_a_scalar():
    # the captured scalar has no lane axis: its cotangent must be summed over the lanes
    found = cr.grad(lambda x: np.sum(cr.vmap(lambda y: np.exp(x) * np.sin(y))(X)))(2.0)
    assert np.shape(found) == ()
    assert found == pytest.approx(np.exp(2.0) * np.sin(X).sum(), rel=1e-14)


def test_per_example_gradients_are_the_gradients_of_the_examples():
    loss = lambda w, x: np.tanh(x @ w) ** 2
    xs = np.arange(12.0).reshape(4, 3) / 10
    found = cr.vmap(cr.grad(loss), in_axes=(None, 0))(X, xs)
    np.testing.assert_allclose(found, [cr.grad(loss)(X, x) for x in xs], rtol=1e-14)


def test_derivatives_inside_control_flow():
    def newton(a):
        step = lambda x: x - (x * x - a) / cr.grad(lambda y: y * y - a)(x)
        return cr.fori_loop(0, 6, lambda i, x: step(x), a)

    assert newton(2.0) == pytest.approx(np.sqrt(2.0), rel=1e-15)
    assert cr.grad(newton)(2.0) == pytest.approx(0.5 / np.sqrt(2.0), rel=1e-12)
    assert cr.grad(cr.grad(newton))(2.0) == pytest.approx(-0.25 * 2.0**-1.5, rel=1e-10)


# --- programs stay small -------------------------------------------------------------------------


def equation_count(f, *args) -> int:
    return len(trace_call(f, args, {}).program.equations)


@pytest.mark.parametrize(
    "f, budget",
    [  # measured 4 11 25 53 115, 8 20 40 69 108, 4 10 23 51 111; repeated work would be thousands
        (network, (4, 12, 28, 58, 125)),
        (lambda x: np.sum(g(x)), (8, 22, 44, 76, 120)),
        (lambda x: np.sum(1.0 / (1.0 + x * x)), (4, 11, 25, 56, 120)),
    ],
)
def test_derivatives_of_higher_order_grow_slowly(f, budget):
    for allowed in budget:
        assert equation_count(f, X) <= allowed
        f = (lambda g: lambda x: np.sum(cr.grad(g)(x)))(f)


def test_four_thousand_equations_are_traced_differentiated_and_validated():
    def long(x):
        for _ in range(2_000):
            x = np.sin(x) + x
        return x

    program = trace_call(long, (0.3,), {}).program
    assert len(program.equations) == 4_000
    program.validate()
    value, slope = cr.value_and_grad(long)(0.3)
    x, wanted = 0.3, 1.0
    for _ in range(2_000):
        x, wanted = np.sin(x) + x, wanted * (np.cos(x) + 1)
    assert value == x
    assert slope == pytest.approx(wanted, rel=1e-9)
    assert cr.jvp(long, (0.3,), (1.0,))[1] == pytest.approx(wanted, rel=1e-9)
    assert cr.vmap(long)(np.array([0.3]))[0] == pytest.approx(x)


def test_programs_and_their_gradients_grow_linearly():
    def chain(n):
        def f(x):
            for _ in range(n):
                x = np.sin(x) * x
            return x

        return f

    for build in (chain, lambda n: cr.grad(chain(n)), lambda n: cr.grad(cr.grad(chain(n)))):
        ten, twenty, forty = (equation_count(build(n), 0.3) for n in (10, 20, 40))
        assert forty - twenty == 2 * (twenty - ten)
