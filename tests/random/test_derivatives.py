"""How draws move with their parameters: against closed forms, mpmath, and derivatives of means."""

import mpmath
import numpy as np
import pytest

import chainrule as cr
from chainrule.ops.samplers_gamma import gamma_path_moment, log_draw_slope
from chainrule.random import Generator

SIZE = 40_000


def slopes_of_draws(method, args, **options):
    """The draws, and how each moves with each of its own (scalar) parameters."""

    def f(*args):
        return getattr(Generator(5), method)(*args, **options)

    full = [np.full(options.get("size", ()), float(a)) for a in args]
    draws, pull = cr.vjp(f, *full)
    return draws, pull(np.ones_like(draws))


# --- locations, scales and inverse distribution functions ---------------------------------------

CLOSED = [
    ("normal", (0.3, 1.7), lambda x, m, s: (1.0, (x - m) / s)),
    ("laplace", (0.3, 1.7), lambda x, m, s: (1.0, (x - m) / s)),
    ("gumbel", (0.3, 1.7), lambda x, m, s: (1.0, (x - m) / s)),
    ("logistic", (0.3, 1.7), lambda x, m, s: (1.0, (x - m) / s)),
    ("cauchy", (0.3, 1.7), lambda x, m, s: (1.0, (x - m) / s)),
    ("uniform", (0.3, 1.7), lambda x, a, b: ((b - x) / (b - a), (x - a) / (b - a))),
    ("exponential", (1.7,), lambda x, s: (x / s,)),
    ("rayleigh", (1.7,), lambda x, s: (x / s,)),
    ("lognormal", (0.3, 1.7), lambda x, m, s: (x, x * (np.log(x) - m) / s)),
    ("weibull", (1.7,), lambda x, a: (-x * np.log(x) / a,)),
    ("pareto", (1.7,), lambda x, a: (-(1 + x) * np.log1p(x) / a,)),
    ("power", (1.7,), lambda x, a: (-x * np.log(x) / a,)),
]


@pytest.mark.parametrize(("method", "args", "slopes"), CLOSED, ids=[c[0] for c in CLOSED])
def test_draws_move_with_location_scale_and_shape(method, args, slopes):
    x, found = slopes_of_draws(method, args, size=200)
    for slope, expected in zip(found, slopes(x, *args), strict=True):
        np.testing.assert_allclose(
            slope, np.broadcast_to(expected, x.shape), rtol=1e-11, atol=1e-13
        )


def test_triangular_draws_keep_their_quantile():
    left, mode, right = 0.0, 1.0, 3.0
    _, found = slopes_of_draws("triangular", (left, mode, right), size=50)
    step = 1e-6
    for k, slope in enumerate(found):
        moved = [[left, mode, right] for _ in range(2)]
        moved[0][k] += step
        moved[1][k] -= step
        up, down = (Generator(5).triangular(*m, size=50) for m in moved)
        np.testing.assert_allclose(slope, (up - down) / (2 * step), rtol=1e-7, atol=1e-8)


def test_normal_vectors_move_with_mean_and_covariance():
    mean, cov = np.array([1.0, -1.0]), np.array([[2.0, 0.5], [0.5, 1.0]])

    def f(mean, cov):
        return Generator(5).multivariate_normal(mean, cov, size=3)

    direction = np.array([[0.3, -0.2], [-0.2, 0.7]])
    _, tangent = cr.jvp(f, (mean, cov), (np.array([1.0, 2.0]), direction))
    step = 1e-6
    up = f(mean + step * np.array([1.0, 2.0]), cov + step * direction)
    down = f(mean - step * np.array([1.0, 2.0]), cov - step * direction)
    np.testing.assert_allclose(tangent, (up - down) / (2 * step), rtol=1e-7)


# --- gamma --------------------------------------------------------------------------------------


def true_log_slope(a, x):
    """-(dP/da) / (x p), by mpmath: P the regularised lower incomplete gamma function."""
    a, x = mpmath.mpf(float(a)), mpmath.mpf(float(x))
    density = x**a * mpmath.exp(-x) / mpmath.gamma(a)
    upper = x > a + 5

    def mass(shape):
        ends = (x, mpmath.inf) if upper else (0, x)
        return mpmath.gammainc(shape, *ends, regularized=True)

    slope = mpmath.diff(mass, a, h=mpmath.mpf(10) ** -15)
    return slope / density if upper else -slope / density


@pytest.mark.parametrize(
    "a", [1e-6, 1e-3, 0.03, 0.3, 0.9, 1.0, 1.5, 3.0, 10.0, 50.0, 300.0, 2000.0]
)
def test_the_path_of_a_gamma_draw_is_that_of_its_quantile(a):
    x = [a * 0.3, a, a + 0.499, a + 0.501, a + 2.0, a + 10 * np.sqrt(a)]
    x += [1e-100, 1e-12, 1e-3, 0.6, 1.0, 1.01, 3.0] if a < 1 else [0.7 * a, 1.2 * a]
    with mpmath.workdps(50):
        truth = [float(true_log_slope(a, t)) for t in x]
    found = log_draw_slope(np.full(len(x), a), np.log(x))
    np.testing.assert_allclose(found, truth, rtol=1e-12)


def moment(a, x, order, shift, factor=lambda v: 1):
    """The integral K[order, shift] over the tail that the operation takes, times a factor."""
    sign = 1 if x <= a + 0.5 else -1

    def integrand(v):
        exponent = -sign * (a + shift) * v - x * mpmath.expm1(-sign * v)
        return v**order * mpmath.exp(exponent) * factor(sign * v)

    ends = [0, 0.1, 1, 10, 100] if sign > 0 else [0, 0.1, 1, 3, 7]
    return float((1 if sign > 0 else (-1) ** (order + 1)) * mpmath.quad(integrand, ends))


@pytest.mark.parametrize(
    ("a", "x"), [(0.4, 0.2), (0.4, 3.0), (5.0, 2.0), (5.0, 9.0), (60.0, 55.0), (2.0, 0.9)]
)
@pytest.mark.parametrize(("order", "shift"), [(0, 0), (3, 1)])
def test_moments_of_the_path_and_their_slopes_are_the_integrals(a, x, order, shift):
    value, slopes = cr.value_and_grad(
        lambda a, x: gamma_path_moment(a, x, order=order, shift=shift), argnums=(0, 1)
    )(a, x)
    truth = (
        moment(a, x, order, shift),
        moment(a, x, order, shift, lambda v: -v),
        moment(a, x, order, shift, lambda v: -mpmath.expm1(-v)),
    )
    np.testing.assert_allclose((value, *slopes), truth, rtol=1e-12)


@pytest.mark.parametrize("a", [0.4, 1.5, 20.0])
def test_second_derivative_of_a_gamma_draw_is_that_of_its_quantile(a):
    draw = cr.grad(lambda a: Generator(5).gamma(a))
    with mpmath.workdps(40):
        mass = mpmath.gammainc(a, 0, float(Generator(5).gamma(a)), regularized=True)
        start = float(Generator(5).gamma(a))

        def quantile(shape):
            return mpmath.findroot(
                lambda x: mpmath.gammainc(shape, 0, x, regularized=True) - mass, start
            )

        first, second = (float(mpmath.diff(quantile, a, n, h=1e-6)) for n in (1, 2))
    assert draw(a) == pytest.approx(first, rel=1e-9)
    assert cr.grad(draw)(a) == pytest.approx(second, rel=1e-7)


def test_a_draw_that_underflowed_does_not_move():
    a = np.full(50, 1e-3)
    draws, pull = cr.vjp(lambda a: Generator(5).standard_gamma(a), a)
    (slope,) = pull(np.ones(50))
    assert np.any(draws == 0) and np.all(slope[draws == 0] == 0)
    assert np.all(np.isfinite(slope)) and np.all(slope >= 0)


# --- means: the derivative of E[h(x)] is the mean of h's derivative along the draws -------------


def close_to_mean(samples, truth):
    error = samples.std() / np.sqrt(len(samples))
    return abs(samples.mean() - truth) < 5 * error


@pytest.mark.parametrize("a", [0.2, 1.0, 4.0, 100.0])
def test_gamma_draws_move_with_their_moments(a):
    x, (slope,) = slopes_of_draws("standard_gamma", (a,), size=SIZE)
    assert close_to_mean(slope, 1.0)  # E[x] = a
    assert close_to_mean(2 * x * slope, 2 * a + 1)  # E[x^2] = a (a + 1)


def test_beta_draws_move_with_their_moments():
    a, b = 0.7, 2.5
    x, (by_a, by_b) = slopes_of_draws("beta", (a, b), size=SIZE)
    assert close_to_mean(by_a, b / (a + b) ** 2)
    assert close_to_mean(by_b, -a / (a + b) ** 2)
    square = lambda a, b: a * (a + 1) / ((a + b) * (a + b + 1))
    assert close_to_mean(2 * x * by_a, cr.grad(square)(a, b))


def test_student_t_and_f_draws_move_with_their_moments():
    x, (slope,) = slopes_of_draws("standard_t", (9.0,), size=SIZE)
    assert close_to_mean(2 * x * slope, -2 / (9.0 - 2) ** 2)  # E[x^2] = df / (df - 2)
    _, (upper, lower) = slopes_of_draws("f", (4.0, 9.0), size=SIZE)
    assert close_to_mean(upper, 0.0) and close_to_mean(lower, -2 / (9.0 - 2) ** 2)
    _, (slope,) = slopes_of_draws("chisquare", (3.0,), size=SIZE)
    assert close_to_mean(slope, 1.0)


def test_dirichlet_rows_move_with_their_mean_and_stay_proportions():
    alpha = np.array([0.5, 2.0, 1.5])
    rows, tangent = cr.jvp(
        lambda alpha: Generator(5).dirichlet(alpha, size=SIZE), (alpha,), (np.array([1.0, 0, 0]),)
    )
    np.testing.assert_allclose(tangent.sum(axis=-1), 0.0, atol=1e-9)
    truth = (np.array([1.0, 0, 0]) - alpha / 4.0) / 4.0
    for j in range(3):
        assert close_to_mean(tangent[:, j], truth[j])
    assert rows.shape == (SIZE, 3)


# --- forward, reverse, batches ------------------------------------------------------------------


@pytest.mark.parametrize(
    ("method", "args"),
    [("gamma", (0.6, 2.0)), ("beta", (0.6, 2.0)), ("student_t", (3.0, 0.1, 2.0)),
     ("weibull", (1.5,)), ("lognormal", (0.1, 0.4)), ("f", (2.0, 5.0))],
)  # fmt: skip
def test_forward_and_reverse_agree_and_batches_are_loops(method, args):
    def f(*args):
        return getattr(Generator(5), method)(*args)

    slopes = cr.grad(f, argnums=tuple(range(len(args))))(*args)
    for k, slope in enumerate(slopes):
        unit = tuple(float(j == k) for j in range(len(args)))
        assert cr.jvp(f, args, unit)[1] == pytest.approx(slope, rel=1e-13)
    scaled = np.array([0.5, 1.0, 2.0])
    looped = [cr.grad(f)(args[0] * s, *args[1:]) for s in scaled]
    batched = cr.vmap(cr.grad(f), in_axes=(0, *(None,) * (len(args) - 1)))
    found = batched(args[0] * scaled, *args[1:])
    np.testing.assert_allclose(found, looped, rtol=1e-13)


@pytest.mark.parametrize(
    ("method", "args"),
    [("poisson", (3.0,)), ("geometric", (0.3,)), ("bernoulli", (0.3,)),
     ("negative_binomial", (3.0, 0.3))],
)  # fmt: skip
def test_no_derivative_passes_through_a_discrete_draw(method, args):
    f = lambda *args: 1.0 * getattr(Generator(5), method)(*args)
    with pytest.raises(cr.errors.NotDifferentiable, match="cr.expectation"):
        cr.grad(f, argnums=len(args) - 1)(*args)
