"""Products that round, overflow or vanish, and their logarithms: value and derivative against the
same text at hundreds of digits, by the evaluator and compiled."""

import numpy
import pytest

import chainrule as cr
from chainrule.lab.right_derivatives.case import Case
from chainrule.lab.right_derivatives.truth import truth

PRODUCTS = {}


def product(*points):
    def add(function):
        PRODUCTS[function.__name__] = function, [numpy.array(p) for p in points]
        return function

    return add


def sigmoid(np, x):
    return 1.0 / (1.0 + np.exp(-x))


@product([700.0, 710.0], [-400.0, -420.0], [0.3, 0.4], [40.0, -1e-9])
def of_sigmoids(np, x):
    return np.log(np.prod(sigmoid(np, x)))


@product([700.0, -30.0], [40.0, 50.0], [-800.0, -800.0])
def over_the_first_axis(np, x):
    return np.sum(np.log(np.prod(sigmoid(np, np.stack([x, 2 * x, x + 1.0])), axis=0)))


@product([700.0, -30.0], [40.0, 50.0], [-800.0, -800.0])
def over_the_last_axis_kept(np, x):
    rows = np.stack([x, 2 * x, x + 1.0])
    return np.sum(np.log(np.prod(sigmoid(np, rows), axis=1, keepdims=True)) * rows)


@product([20.0, 30.0], [40.0, 50.0], [0.3, 0.4])
def mean_log_likelihood(np, x):
    return -np.log(np.prod(sigmoid(np, x))) / 2.0


@product([40.0, 50.0], [-400.0, 3.0], [0.5, 0.2])
def of_a_loop_over_entries(np, x):
    p = 1.0
    for k in range(2):
        p = p * sigmoid(np, x[k])
    return np.log(p)


@product([40.0, 50.0, 45.0], [-400.0, 400.0, 3.0], [0.5, 0.2, 0.1])
def likelihood_of_labels(np, x):
    y = numpy.array([1.0, 0.0, 1.0])
    p = sigmoid(np, x)
    return np.log(np.prod(p**y * (1.0 - p) ** (1.0 - y)))


@product([40.0, 50.0, 45.0], [-400.0, 400.0, 3.0], [0.5, 0.2, 0.1])
def likelihood_by_choice(np, x):
    p = sigmoid(np, x)
    return np.log(np.prod(np.where(numpy.array([True, False, True]), p, 1.0 - p)))


@product([-40.0, -50.0, -60.0], [-1e-9, -1e-9, -2.0], [-700.0, -1.0, -1.0])
def of_one_less_exponentials(np, x):
    return np.log(np.prod(1.0 - np.exp(x)))


@product([400.0, 500.0], [-400.0, -500.0], [-400.0, 401.0], [1e-9, 1e-10])
def of_exponentials(np, x):
    return np.log(np.prod(np.exp(x)))


@product([1e-9, -1e-10, 3e-9], [1e-20, 2e-20, 3e-21], [0.5, -0.3, 0.1], [3.0, -0.75, 1e-9])
def of_growth(np, x):
    return np.log(np.prod(1.0 + x))


@product([400.0, 500.0], [-40.0, -45.0], [0.5, -0.3])
def of_one_and_exponentials(np, x):
    return np.log(np.prod(1.0 + np.exp(x)))


@product([40.0, 50.0, 45.0], [-400.0, -401.0, 3.0], [0.5, 0.2, 0.1])
def of_shares(np, x):
    powers = np.exp(x)
    return np.log(np.prod(powers / np.sum(powers)))


@product([30.0, 40.0], [-1e-8, 2e-8], [300.0, 400.0])
def of_hyperbolic_cosines(np, x):
    return np.log(np.prod(np.cosh(x)))


@product([20.0, 30.0], [1e-5, 2e-5], [-40.0, -50.0])
def of_tanh_as_a_probability(np, x):
    return np.log(np.prod(0.5 * (1.0 + np.tanh(x))))


@product([20.0, 3000.0], [40.0, -50.0], [0.3, 0.4])
def of_densities(np, x):
    return np.log(np.prod(np.exp(-0.5 * x**2) / np.sqrt(2.0 * np.pi)))


@product([20.0, 30.0], [40.0, -50.0], [0.3, 0.4])
def last_of_running_products(np, x):
    return np.log(np.cumprod(sigmoid(np, x)))[-1]


@product([20.0, 30.0], [1e-300, 1e-200], [0.3, 0.4])
def geometric_mean(np, x):
    return np.prod(x) ** (1.0 / 2.0)


@product([1e-300, 1e-200, 1e300], [1e200, 1e200, 1e-220], [0.3, 0.4, 5.0])
def quotient_of_products(np, x):
    return np.prod(x[:2]) / np.prod(1.0 / x)


@product([1e-17, 2e-17], [0.25, -0.5], [3e-9, 1e-9])
def less_one(np, x):
    return np.prod(1.0 + x) - 1.0


@pytest.mark.parametrize("name", PRODUCTS)
@pytest.mark.parametrize("compiled", [False, True], ids=["evaluated", "compiled"])
def test_a_product_keeps_its_digits(name, compiled):
    function, points = PRODUCTS[name]
    case = Case("naive", name, function, tuple((p,) for p in points), "value_and_grad")
    found = cr.value_and_grad(lambda x: function(numpy, x))
    found = cr.compile(found) if compiled else found
    for point, (value, slope) in zip(points, truth(case), strict=True):
        got, gradient = found(point)
        numpy.testing.assert_allclose(got, value, rtol=1e-13, err_msg=f"at {point}")
        numpy.testing.assert_allclose(gradient, slope, rtol=1e-12, atol=3e-308)


def test_a_factor_zero_that_is_rounded_is_no_zero():
    """(x + 1e-20) - x is 0 in floats; the product of it and 1e20 is 1."""

    def f(x):
        return numpy.prod(numpy.stack([(x + 1e-20) - 1.0, 1e20 * x]))

    assert cr.compile(f)(1.0) == pytest.approx(1.0, rel=1e-14)
    assert cr.value_and_grad(f)(1.0) == pytest.approx((1.0, 1e20), rel=1e-14)


def test_a_product_with_an_exact_zero_stays_zero():
    f = cr.value_and_grad(lambda x: numpy.prod(numpy.exp(x) - numpy.array([1.0, 0.0])))
    value, slope = f(numpy.array([0.0, 1.0]))
    assert value == 0.0
    numpy.testing.assert_allclose(slope, [numpy.exp(1.0), 0.0], rtol=1e-15)
