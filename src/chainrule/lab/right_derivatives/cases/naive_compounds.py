"""Naive formulas hidden behind variables, broadcasting and functions that call each other."""

from __future__ import annotations

import numpy

from chainrule.lab.right_derivatives.case import GROUPS
from chainrule.lab.right_derivatives.cases.kinks_arrays import vector

naive = GROUPS["naive"]


def softmax(np, z, axis=-1):
    e = np.exp(z)
    return e / np.sum(e, axis=axis, keepdims=True)


# --- statistics and likelihoods ------------------------------------------------------------------


@naive(points=[(vector(1.0, -2.0), 30.0), (vector(-30.0, 20.0), 5.0), (vector(0.1, 0.2), 0.0)])
def logistic_regression_written_out(np, w, b):
    x = np.array([[1.0, 2.0], [3.0, -1.0], [20.0, 10.0]])
    y = np.array([1.0, 0.0, 1.0])
    p = 1.0 / (1.0 + np.exp(-(x @ w + b)))
    losses = y * np.log(p) + (1.0 - y) * np.log(1.0 - p)
    return -np.mean(losses)


@naive(points=[numpy.array([[900.0, -900.0], [10.0, 12.0]]), numpy.array([[0.5, 1.0], [2.0, 0.0]])])
def perplexity_of_rows(np, z):
    p = softmax(np, z)
    return np.exp(-np.mean(np.log(p[:, 1]))) if z[0, 0] < 100.0 else -np.mean(np.log(p[:, 1]))


@naive(points=[vector(800.0, 2.0, -800.0), vector(0.3, -0.2, 0.1)])
def softmax_regression_with_temperature(np, z):
    t = 0.5
    p = softmax(np, z / t)
    q = np.array([0.1, 0.2, 0.7])
    return np.sum(q * (np.log(q) - np.log(p)))


@naive(points=[(0.5, 40.0), (-2.0, 1.0), (2.0, 2.0)])
def log_likelihood_of_a_probit_margin(np, special, x, s):
    z = x / s * 10.0
    return np.log(1.0 - 0.5 * (1.0 - special.erf(z)))


@naive(points=[(1e-8, 1.0), (1.0, 1e-8), (0.3, 0.2)])
def beta_binomial_ratio(np, a, b):
    total = a + b
    return np.log(a / total) - np.log(1.0 - a / total)


@naive(points=[vector(1e6, 1e6 + 1.0, 1e6 + 3.0), vector(1.0, 2.0, 4.0)])
def studentised_range(np, x):
    n = 3.0
    mean = np.sum(x) / n
    variance = np.sum(x**2) / n - mean**2
    return (x[2] - x[0]) / np.sqrt(variance)


@naive(points=[(vector(1e6, 1e6 + 1.0, 1e6 + 3.0), vector(1e6, 1e6 - 2.0, 1e6 + 5.0))])
def correlation_of_moments(np, x, y):
    def moment(a, b):
        return np.mean(a * b) - np.mean(a) * np.mean(b)

    return moment(x, y) / np.sqrt(moment(x, x) * moment(y, y))


@naive(points=[vector(1e8, 1e8 + 1.0, 1e8 + 3.0, 1e8 - 2.0)])
def variance_by_a_running_sum(np, x):
    total, squares = 0.0, 0.0
    for i in range(4):
        total = total + x[i]
        squares = squares + x[i] * x[i]
    return squares / 4.0 - (total / 4.0) ** 2


@naive(points=[vector(1e7, 1e7 + 1.0, 1e7 + 3.0, 1e7 + 2.0)])
def autocovariance(np, x):
    return np.mean(x[1:] * x[:-1]) - np.mean(x[1:]) * np.mean(x[:-1])


@naive(points=[vector(-700.0, -710.0, -705.0), vector(0.1, -0.2, 0.4)])
def effective_sample_size(np, log_weights):
    w = np.exp(log_weights)
    return np.sum(w) ** 2 / np.sum(w**2)


@naive(points=[vector(-900.0, -905.0, -902.0), vector(700.0, 720.0, 710.0), vector(0.1, 0.2, 0.3)])
def importance_weighted_mean(np, log_weights):
    w = np.exp(log_weights)
    w = w / np.sum(w)
    return w @ np.array([1.0, -2.0, 5.0])


@naive(points=[vector(0.999999999, 0.5), vector(1e-12, 1e-9), vector(0.3, 0.4)])
def log_survival_of_a_system(np, p):
    return np.log(1.0 - np.prod(p))


@naive(points=[(1e-10, 5.0), (0.2, 3.0), (0.9999999, 2.0)])
def birthday_probability(np, p, n):
    return 1.0 - (1.0 - p) ** n


# --- physics, geometry, finance ------------------------------------------------------------------


@naive(points=[(6378137.0, 1e-3), (6378137.0, 1e5)])
def distance_to_the_horizon_drop(np, radius, d):
    return radius - np.sqrt(radius * radius - d * d)


@naive(points=[(6.4e6, 1.0), (6.4e6, 1e-3), (1.0, 0.5)])
def gravity_difference(np, r, h):
    return 1.0 / r**2 - 1.0 / (r + h) ** 2


@naive(points=[(1.0, 1.0 + 1e-10), (2.0, 3.0)])
def annulus_area(np, inner, outer):
    return np.pi * outer**2 - np.pi * inner**2


@naive(points=[(1e-5, 3.0), (0.5, 2.0)])
def chord_and_arc(np, angle, r):
    return r * angle - 2.0 * r * np.sin(angle / 2.0)


@naive(points=[(0.5, 0.5 + 1e-9, 1.0, 1.0 + 1e-9), (0.1, 0.4, 0.2, 2.0)])
def haversine_distance(np, lat1, lat2, lon1, lon2):
    a = np.sin((lat2 - lat1) / 2.0) ** 2
    a = a + np.cos(lat1) * np.cos(lat2) * np.sin((lon2 - lon1) / 2.0) ** 2
    return 2.0 * np.arctan2(np.sqrt(a), np.sqrt(1.0 - a))


@naive(points=[(300.0, 300.0 + 1e-7), (300.0, 400.0)])
def net_radiation(np, cold, hot):
    return 5.67e-8 * (hot**4 - cold**4)


@naive(points=[(0.03, 0.03 + 1e-10, 10.0), (0.05, 0.02, 5.0)])
def spread_of_discount_factors(np, r, s, t):
    return np.exp(-r * t) - np.exp(-s * t)


@naive(points=[(1e-9, 10.0), (0.04, 30.0)])
def mortgage_payment(np, rate, n):
    growth = (1.0 + rate) ** n
    return rate * growth / (growth - 1.0)


@naive(points=[(1.0, 1.0 + 1e-9), (1.0, 1.1), (2.0, 0.5)])
def log_return_less_simple_return(np, before, after):
    simple = after / before - 1.0
    return np.log(1.0 + simple) - simple


@naive(points=[(0.9, 0.9 + 1e-9), (0.5, 0.1)])
def rapidity_difference(np, u, v):
    return (v - u) / (1.0 - u * v) + (np.sqrt(1.0 - u * u) - np.sqrt(1.0 - v * v))


@naive(points=[1e-7, 1e-3, 2.0])
def debye_like_ratio(np, x):
    return (x * np.cosh(x) - np.sinh(x)) / x**3


@naive(points=[1e-4, 1e-2, 1.0])
def spherical_bessel_of_order_one(np, x):
    return np.sin(x) / x**2 - np.cos(x) / x


@naive(points=[1e-4, 0.1, 3.0])
def form_factor_of_a_sphere(np, q):
    return 3.0 * (np.sin(q) - q * np.cos(q)) / q**3


@naive(points=[1e-6, 0.5, 800.0])
def brillouin_like(np, x):
    a = 2.0 / np.tanh(2.0 * x)
    return a - 1.0 / np.tanh(x)


@naive(points=[(1e200, 1e-200), (1e160, 1e170), (3.0, 4.0)])
def ratio_by_squares(np, a, b):
    return a**2 / (a**2 + b**2)


@naive(points=[(1e100, 2e100, 2e100), (1e-110, 2e-110, 2e-110), (1.0, 2.0, 3.0)])
def volume_to_length(np, x, y, z):
    volume = x**3 + y**3 + z**3
    return np.cbrt(volume)


@naive(points=[(3e160, 4e160), (1e-170, 2e-170), (1.0, 2.0)])
def log_of_squared_length(np, x, y):
    return np.log(x * x + y * y)


@naive(points=[(700.0, 20.0), (-700.0, 3.0), (0.5, 0.5)])
def swish_gate_product(np, x, y):
    return x * y / ((1.0 + np.exp(-x)) * (1.0 + np.exp(-y)))


@naive(points=[-800.0, -3.0, 3.0, 800.0])
def gelu_by_tanh_written_in_exponentials(np, x):
    z = 0.7978845608 * (x + 0.044715 * x**3) if abs(x) < 100.0 else x
    t = (np.exp(z) - np.exp(-z)) / (np.exp(z) + np.exp(-z))
    return 0.5 * x * (1.0 + t)


@naive(points=[-600.0, -1.0, 1.0, 600.0])
def log_of_a_sum_of_sigmoids(np, x):
    a = 1.0 / (1.0 + np.exp(-x))
    b = 1.0 / (1.0 + np.exp(-x - 1.0))
    return np.log(a + b)


@naive(points=[(40.0, 38.0), (-800.0, -790.0), (1.0, 2.0)])
def log_of_one_minus_a_product_of_sigmoids(np, x, y):
    p = (1.0 / (1.0 + np.exp(-x))) * (1.0 / (1.0 + np.exp(-y)))
    return np.log(1.0 - p)


# --- matrices and broadcasting -------------------------------------------------------------------


@naive(points=[numpy.array([[0.0, 1.0], [1e-8, 1.0], [3.0, 4.0]])])
def pairwise_squared_distances_by_gram(np, x):
    squares = np.sum(x * x, axis=1)
    d = squares[:, None] + squares[None, :] - 2.0 * x @ x.T
    return np.sum(d * np.array([[0.0, 1e16, 1.0], [0.0, 0.0, 1.0], [0.0, 0.0, 0.0]]))


@naive(points=[numpy.array([[500.0, 1.0], [-500.0, 2.0]]), numpy.array([[0.1, 0.2], [0.3, 0.4]])])
def contrastive_loss(np, z):
    similarity = z @ z.T / 100.0
    e = np.exp(similarity)
    return -np.log(e[0, 1] / np.sum(e[0])) - np.log(e[1, 0] / np.sum(e[1]))


@naive(points=[(numpy.array([[1e3, 0.0], [0.0, 1e3]]), vector(1.0, 2.0))])
def attention_with_large_scores(np, k, v):
    scores = k @ k.T
    weights = np.exp(scores) / np.sum(np.exp(scores), axis=1)[:, None]
    return np.sum(weights @ v)


@naive(
    points=[numpy.array([[1.0, 1.0], [1.0, 1.0 + 1e-12]]), numpy.array([[2.0, 1.0], [1.0, 3.0]])]
)
def determinant_of_near_equal_rows(np, a):
    return a[0, 0] * a[1, 1] - a[0, 1] * a[1, 0]


@naive(points=[numpy.array([[1.0, 1.0], [1.0, 1.0 + 1e-9]]), numpy.array([[2.0, 1.0], [1.0, 3.0]])])
def eigenvalue_gap_of_two_rows(np, a):
    trace = a[0, 0] + a[1, 1]
    det = a[0, 0] * a[1, 1] - a[0, 1] * a[1, 0]
    return 0.5 * (trace - np.sqrt(trace**2 - 4.0 * det))


@naive(points=[vector(1000.0, 1000.5, -3.0), vector(0.1, 0.2, 0.3)])
def gumbel_softmax_entropy(np, z):
    p = softmax(np, z)
    log_p = np.log(p)
    return -np.sum(np.where(p > 0.0, p * log_p, 0.0))


@naive(points=[numpy.array([[800.0, 0.0], [0.0, 801.0]]), numpy.array([[0.1, 0.2], [0.3, 0.4]])])
def log_partition_over_both_axes(np, z):
    rows = np.log(np.sum(np.exp(z), axis=1))
    return np.log(np.sum(np.exp(rows)))


@naive(points=[(vector(1e-9, 2e-9), vector(3.0, 4.0)), (vector(0.5, 0.25), vector(2.0, 1.0))])
def exponential_decay_to_a_limit(np, rate, t):
    return np.sum((1.0 - np.exp(-rate * t)) / rate)


@naive(points=[vector(1e-9, -1e-9, 2e-9), vector(0.2, -0.1, 0.4)])
def geometric_less_arithmetic_growth(np, r):
    return np.prod(1.0 + r) - 1.0 - np.sum(r) if abs(r[0]) > 1e-3 else np.prod(1.0 + r) - 1.0


@naive(points=[vector(1e155, 2e155), vector(1e-170, 2e-170), vector(1.0, 2.0)])
def normalised_product(np, x):
    n = np.sqrt(x[0] ** 2 + x[1] ** 2)
    return (x[0] / n) * (x[1] / n)


@naive(points=[vector(200.0, 300.0, 500.0), vector(0.1, 0.2, 0.3)])
def sum_of_exponentials_over_product(np, x):
    e = np.exp(x)
    return np.log(np.sum(e) ** 2 / np.prod(e))


@naive(
    "hvp",
    along=vector(1.0, -1.0, 0.5),
    points=[vector(1000.0, 999.0, 998.0), vector(0.1, 0.2, 0.3)],
)
def curvature_of_cross_entropy(np, z):
    return -np.log(softmax(np, z)[0])


@naive("jvp", along=vector(1.0, 2.0), points=[vector(800.0, 790.0), vector(-800.0, -805.0)])
def softmax_forward(np, z):
    return softmax(np, z)[0]


@naive("hessian", points=[vector(3e-180, 4e-180), vector(3.0, 4.0)])
def curvature_of_a_length_times_its_scale(np, x):
    return np.sqrt(x[0] * x[0] + x[1] * x[1]) * 1e-170 if x[0] < 1.0 else np.sqrt(x @ x)


@naive("second", points=[1e-6, 1e-3, 1.0])
def curvature_of_sine_over_x(np, x):
    return np.sin(x) / x


@naive("second", points=[-40.0, 0.5, 40.0])
def curvature_of_a_logistic_loss(np, z):
    p = 1.0 / (1.0 + np.exp(-z))
    return -(0.3 * np.log(p) + 0.7 * np.log(1.0 - p))


@naive("second", points=[1e-5, 0.1, 20.0])
def curvature_of_log_expm1(np, x):
    return np.log(np.exp(x) - 1.0)


@naive("second", points=[1e8, 1e12, 1.0])
def curvature_of_a_difference_of_roots(np, x):
    return np.sqrt(x + 1.0) - np.sqrt(x - 0.5)
