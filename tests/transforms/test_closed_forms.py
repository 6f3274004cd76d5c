"""Closed forms: gradients that cost less than the function, and are the gradients all the same."""

import numpy as np
import pytest
from hypothesis import given, settings

import chainrule as cr
from chainrule.program.evaluate import evaluate
from chainrule.program.liveness import remove_dead
from chainrule.program.program import Program
from chainrule.tracing import trace_call
from chainrule.transforms.closed_forms import closed_forms
from chainrule.transforms.reverse import reverse
from tests.program.random_programs import arrays_for, programs

RNG = np.random.default_rng(21)
N, M = 12, 20
A = RNG.normal(size=(N, N)) + 4.0 * np.eye(N)
B = RNG.normal(size=(N, N))
C = RNG.normal(size=(M, N))
X = RNG.uniform(0.5, 2.0, N)
Y = RNG.normal(size=M)


def gradient_programs(f, args):
    """The function's program, its gradient's as it is derived, and the operands of both."""
    call = trace_call(f, args, {}, frozenset((0,)))
    made, _ = reverse(call.program, call.active({0}), seeds=(0,))
    plain = remove_dead(Program(made.inputs, made.equations, made.outputs[1:]))
    return call.program, plain, call.operands


def log_density(mean, root):
    """Of a normal distribution with covariance root @ root.T, at X."""
    covariance = root @ root.T
    z = X - mean
    return -0.5 * z @ np.linalg.solve(covariance, z) - 0.5 * np.linalg.slogdet(covariance)[1]


# name: function, arguments (the first is differentiated), the gradient in closed form
CHEAPER = {
    "linear": (lambda x: C[0] @ x, (X,), lambda x: C[0]),
    "mean": (lambda x: np.mean(x), (X,), lambda x: np.full(N, 1 / N)),
    "sum of squares": (lambda x: np.sum(x**2), (X,), lambda x: 2 * x),
    "dot with itself": (lambda x: x @ x, (X,), lambda x: 2 * x),
    "weighted squares": (lambda x: np.sum(X * x**2), (X,), lambda x: 2 * X * x),
    "residual by data": (
        lambda y: np.sum((C @ X - y) ** 2), (Y,), lambda y: 2 * (y - C @ X)),
    "sum of exponentials": (lambda x: np.sum(np.exp(x)), (X,), np.exp),
    "variance": (lambda x: np.var(x), (X,), lambda x: 2 * (x - x.mean()) / N),
    "trace of a product": (lambda a: np.trace(a @ B), (A,), lambda a: B.T),
    "trace of a square": (lambda a: np.trace(a.T @ a), (A,), lambda a: 2 * a),
    "sum of a product": (
        lambda a: np.sum(a @ B), (A,), lambda a: np.tile(B.sum(axis=1), (N, 1))),
    "sum of products": (
        lambda a: np.sum(a @ B @ A), (A,), lambda a: np.tile((B @ A).sum(axis=1), (N, 1))),
    "mean of predictions": (lambda w: np.mean(C @ w), (X,), lambda w: C.mean(axis=0)),
    "quadratic form by its matrix": (
        lambda a: X @ a @ X, (A,), lambda a: np.outer(X, X)),
    "quadratic form of a Gram matrix": (
        lambda x, c: x @ (c.T @ c) @ x, (X, C), lambda x, c: 2 * c.T @ (c @ x)),
    "normal equations": (
        lambda x, c: x @ (c.T @ c) @ x - 2 * x @ (c.T @ Y) + Y @ Y, (X, C),
        lambda x, c: 2 * c.T @ (c @ x - Y)),
    "product of a diagonal": (
        lambda v: np.sum(np.diag(v) @ A), (X,), lambda v: A.sum(axis=1)),
    "log density by the mean": (
        log_density, (0.0 * X, A), lambda m, a: np.linalg.solve(a @ a.T, X - m)),
    "log determinant of a square": (
        lambda a: np.linalg.slogdet(a @ a.T)[1], (A,), lambda a: 2 * np.linalg.inv(a).T),
    "log determinant of a triangle": (
        lambda a: np.linalg.slogdet(np.tril(a))[1], (A,), lambda a: np.diag(1 / np.diag(a))),
    "log determinant of a triangle's square": (
        lambda a: np.linalg.slogdet(np.tril(a) @ np.tril(a).T)[1], (A,),
        lambda a: np.diag(2 / np.diag(a))),
    "log determinant of a diagonal": (
        lambda v: np.linalg.slogdet(np.diag(v))[1], (X,), lambda v: 1 / v),
    "log determinant by scale": (
        lambda s, a: np.linalg.slogdet(s * a)[1], (2.0, A), lambda s, a: N / s),
    "polynomial by its coefficients": (
        lambda c: np.polyval(c, 0.7), (X,), lambda c: 0.7 ** np.arange(N - 1, -1, -1)),
    "sum of running sums": (
        lambda x: np.sum(np.cumsum(x)), (X,), lambda x: np.arange(N, 0.0, -1)),
}  # fmt: skip


@pytest.mark.parametrize("name", CHEAPER)
def test_the_gradient_costs_less_than_the_function(name):
    f, args, wanted = CHEAPER[name]
    program, plain, operands = gradient_programs(f, args)
    made = closed_forms(plain)
    made.validate()
    assert made.cost().flops < program.cost().flops
    exact = np.asarray(wanted(*args))
    for found in (evaluate(made, operands)[0], cr.grad(f)(*args), cr.compile(cr.grad(f))(*args)):
        np.testing.assert_allclose(found, exact, rtol=1e-10, atol=1e-10 * np.max(np.abs(exact)))


@pytest.mark.parametrize("name", CHEAPER)
def test_second_derivatives_are_those_of_the_plain_gradient(name):
    f, args, _ = CHEAPER[name]
    directions = tuple(np.cos(1.0 + np.arange(np.size(a))).reshape(np.shape(a)) for a in args)
    if name == "log determinant by scale":
        directions = (1.0, directions[1])
    numbers = tuple(range(len(args)))
    found = cr.jvp(cr.grad(f), args, directions)[1]
    value_first = cr.jvp(lambda *a: cr.value_and_grad(f, numbers)(*a)[1][0], args, directions)[1]
    scale = np.max(np.abs(value_first), initial=1e-3)
    np.testing.assert_allclose(found, value_first, rtol=1e-8, atol=1e-8 * scale)


@settings(max_examples=75)
@given(programs(steps=14))
def test_any_program_gives_the_same_values(program):
    program, arrays = program.closed(), arrays_for(program)
    made = closed_forms(program)
    made.validate()
    for a, b in zip(evaluate(made, arrays), evaluate(program, arrays), strict=True):
        assert np.array_equal(a, b)


def test_the_function_itself_is_not_rewritten():
    f = lambda x, c: x @ (c.T @ c) @ x
    assert cr.compile(f)(X, C) == pytest.approx(f(X, C), rel=1e-14)
    value, _ = cr.value_and_grad(f)(X, C)
    assert value == f(X, C)


def test_a_gradient_without_value_leaves_out_what_only_the_value_needs():
    program, plain, _ = gradient_programs(lambda x: np.sum(np.exp(x)) + np.sum(np.sin(X)), (X,))
    names = [e.op.name for e in closed_forms(plain).equations]
    assert names == ["exp"]


def test_programs_without_closed_forms_stay_the_same():
    _, plain, _ = gradient_programs(lambda x: np.sum(np.tanh(A @ np.tanh(A @ x)) ** 3), (X,))
    made = closed_forms(plain)
    assert made.cost().flops <= plain.cost().flops


def test_matrices_that_only_look_symmetric_are_left_alone():
    """contract(a, b) of two arrays, a product over other axes, and a + b.T of different ones."""
    cases = (
        (lambda x, a, b: x @ (a @ b.T) @ x, lambda x, a, b: (a @ b.T + b @ a.T) @ x),
        (lambda x, a, b: x @ (a @ a) @ x, lambda x, a, b: (a @ a + a.T @ a.T) @ x),
        (lambda x, a, b: x @ (a + b.T) @ x, lambda x, a, b: (a + b.T + a.T + b) @ x),
        (lambda x, a, b: np.sum(np.linalg.inv(a @ b.T) * b), None),
    )
    for f, wanted in cases:
        if wanted is not None:
            np.testing.assert_allclose(cr.grad(f)(X, A, B), wanted(X, A, B), rtol=1e-11)
    f = cases[-1][0]
    slope = cr.grad(f, 1)(X, A, B)
    e = 1e-6 * RNG.normal(size=A.shape)
    step = (f(X, A + e, B) - f(X, A - e, B)) / 2
    assert np.sum(slope * e) == pytest.approx(step, rel=1e-5)


def test_auxiliary_results_are_not_rewritten():
    def f(x, c):
        aux = (c.T @ c) @ x
        return x @ aux, aux

    slope, aux = cr.grad(f, has_aux=True)(X, C)
    assert np.array_equal(aux, f(X, C)[1])
    np.testing.assert_allclose(slope, 2 * C.T @ (C @ X), rtol=1e-12)
