"""Naive formulas with reductions: softmaxes, variances, products, norms and determinants."""

from __future__ import annotations

import numpy

from chainrule.lab.right_derivatives.case import GROUPS
from chainrule.lab.right_derivatives.cases.kinks_arrays import vector

naive = GROUPS["naive"]

FAR = [vector(1000.0, 1001.0, 999.5), vector(-1000.0, -1002.0, -999.0), vector(0.1, 0.2, 0.3)]


# --- softmaxes and sums of exponentials ----------------------------------------------------------


@naive(points=[*FAR, vector(800.0, -800.0)])
def logsumexp(np, x):
    return np.log(np.sum(np.exp(x)))


@naive("hessian", points=FAR)
def logsumexp_curvature(np, x):
    return np.log(np.sum(np.exp(x)))


@naive(points=FAR)
def logmeanexp(np, x):
    return np.log(np.mean(np.exp(x)))


@naive("jacobian", points=[*FAR, vector(1000.0, 0.0, -1000.0)])
def softmax(np, x):
    e = np.exp(x)
    return e / np.sum(e)


@naive("jacobian", points=[*FAR, vector(1000.0, 0.0, -1000.0)])
def log_softmax(np, x):
    e = np.exp(x)
    return np.log(e / np.sum(e))


@naive(points=[*FAR, vector(800.0, -800.0, 0.0)])
def cross_entropy(np, logits):
    target = np.array([0.0, 0.0, 1.0])
    p = np.exp(logits) / np.sum(np.exp(logits))
    return -np.sum(target * np.log(p))


@naive(
    points=[numpy.array([[1000.0, 1.0], [-900.0, -905.0]]), numpy.array([[0.0, 1.0], [2.0, 3.0]])]
)
def batch_cross_entropy(np, logits):
    e = np.exp(logits)
    p = e / np.sum(e, axis=1, keepdims=True)
    return -np.mean(np.log(p)[:, 0])


@naive(
    points=[numpy.array([[1000.0, 1.0], [-900.0, -905.0]]), numpy.array([[0.0, 1.0], [2.0, 3.0]])]
)
def label_smoothing(np, logits):
    targets = np.array([[0.9, 0.1], [0.1, 0.9]])
    p = np.exp(logits) / np.exp(logits).sum(axis=1)[:, None]
    return -np.sum(targets * np.log(p)) / 2.0


@naive(points=[vector(40.0, -40.0, 800.0), vector(0.1, -2.0, 3.0)])
def mean_logistic_loss(np, z):
    y = np.array([1.0, 0.0, 1.0])
    p = 1.0 / (1.0 + np.exp(-z))
    return -np.mean(y * np.log(p) + (1.0 - y) * np.log(1.0 - p))


@naive(points=FAR)
def mean_under_the_softmax(np, x):
    weights = np.exp(x)
    return np.sum(weights * np.array([1.0, 2.0, 4.0])) / np.sum(weights)


@naive(points=FAR)
def entropy_of_a_softmax(np, x):
    p = np.exp(x) / np.sum(np.exp(x))
    return -np.sum(p * np.log(p))


@naive(points=[vector(-3.0, -2.0, 1.0), vector(0.5, 0.25, 0.0)])
def free_energy_at_low_temperature(np, energy):
    beta = 1000.0
    return -np.log(np.sum(np.exp(-beta * energy))) / beta


@naive(
    points=[(vector(1000.0, 1001.0), vector(999.0, 1002.0)), (vector(0.0, 1.0), vector(2.0, 3.0))]
)
def ratio_of_partition_functions(np, a, b):
    return np.sum(np.exp(a)) / np.sum(np.exp(b))


@naive(points=FAR)
def weighted_logsumexp(np, x):
    w = np.array([0.2, 0.5, 0.3])
    return np.log(np.sum(w * np.exp(x)))


@naive(points=[(numpy.array([[100.0, -100.0], [50.0, 30.0]]), vector(10.0, -10.0))])
def log_of_an_attention_sum(np, keys, query):
    scores = keys @ query
    return np.log(np.sum(np.exp(scores)))


@naive(points=[vector(700.0, 710.0), vector(-400.0, -420.0), vector(0.3, 0.4)])
def log_of_product_of_sigmoids(np, x):
    return np.log(np.prod(1.0 / (1.0 + np.exp(-x))))


@naive(points=[vector(600.0, 500.0), vector(0.5, 2.0)])
def log_of_outer_sums(np, x):
    return np.log(np.sum(np.exp(x[:, None] + x[None, :])))


@naive(points=[vector(800.0, -300.0, 2.0), vector(1e-9, -1e-9, 0.0)])
def sum_of_softpluses(np, x):
    return np.sum(np.log(1.0 + np.exp(x)))


# --- variances and moments -----------------------------------------------------------------------


@naive(points=[vector(1e8, 1e8 + 1.0, 1e8 + 2.0), vector(1.0, 2.0, 4.0)])
def variance_of_moments(np, x):
    return np.mean(x**2) - np.mean(x) ** 2


@naive(points=[vector(1e8, 1e8 + 1.0, 1e8 + 2.0), vector(1.0, 2.0, 4.0)])
def deviation_of_moments(np, x):
    return np.sqrt(np.mean(x * x) - np.mean(x) ** 2)


@naive(points=[vector(1e9, 1e9 + 1.0, 1e9 + 2.0), vector(1.0, 2.0, 4.0)])
def unbiased_variance_of_sums(np, x):
    n = 3.0
    return (np.sum(x * x) - np.sum(x) ** 2 / n) / (n - 1.0)


@naive(points=[(vector(1e8, 1e8 + 1.0, 1e8 + 2.0), vector(1e8, 1e8 + 3.0, 1e8 - 2.0))])
def covariance_of_moments(np, x, y):
    return np.mean(x * y) - np.mean(x) * np.mean(y)


@naive(points=[(vector(1e7, 1e7 + 1.0, 1e7 + 2.0), vector(1.0, 3.0, 2.0))])
def slope_of_a_regression(np, x, y):
    return (np.mean(x * y) - np.mean(x) * np.mean(y)) / (np.mean(x * x) - np.mean(x) ** 2)


@naive(points=[vector(1e5, 1e5 + 1.0, 1e5 + 4.0), vector(1.0, 2.0, 4.0)])
def third_central_moment(np, x):
    m = np.mean(x)
    return np.mean(x**3) - 3.0 * m * np.mean(x**2) + 2.0 * m**3


@naive(points=[vector(1e8, 1e8 + 1.0, 1e8 + 2.0), vector(1.0, 2.0, 4.0)])
def coefficient_of_variation(np, x):
    m = np.mean(x)
    return np.sqrt(np.mean(x**2) - m**2) / m


@naive(
    points=[
        numpy.array([[1e8, 1e8 + 1.0], [1e6, 1e6 - 3.0]]),
        numpy.array([[1.0, 2.0], [3.0, 5.0]]),
    ]
)
def variances_of_rows(np, x):
    return np.sum(np.mean(x**2, axis=1) - np.mean(x, axis=1) ** 2)


@naive(points=[vector(1e8, 1e8 + 2.0, 1e8 + 1.0), vector(0.1, 0.5, 0.2)])
def softmax_of_large_offsets(np, x):
    p = np.exp(x - 1e8) / np.sum(np.exp(x - 1e8))
    return np.log(p[0]) if x[0] > 1e3 else np.log(np.exp(x[0]) / np.sum(np.exp(x)))


# --- products, norms, determinants ---------------------------------------------------------------


@naive(points=[vector(1e200, 1e180, 1e-5), vector(1e-200, 1e-180, 2.0), vector(2.0, 3.0, 4.0)])
def log_of_a_product(np, x):
    return np.log(np.prod(x))


@naive(points=[vector(1e200, 1e180, 1e150), vector(1e-200, 1e-180, 1e-100), vector(2.0, 3.0, 4.0)])
def geometric_mean(np, x):
    return np.prod(x) ** (1.0 / 3.0)


@naive(
    points=[
        (vector(1e200, 1e200), vector(2e200, 3e200)),
        (vector(1e-200, 2e-200), vector(1e-200, 1e-200)),
    ]
)
def ratio_of_products(np, a, b):
    return np.prod(a) / np.prod(b)


@naive(points=[vector(3e200, 4e200), vector(3e-200, 4e-200), vector(3.0, 4.0)])
def norm_by_squares(np, x):
    return np.sqrt(np.sum(x**2))


@naive("jacobian", points=[vector(3e200, 4e200), vector(3e-200, 4e-200), vector(3.0, 4.0)])
def unit_vector(np, x):
    return x / np.sqrt(np.sum(x * x))


@naive(
    points=[
        (vector(3e200, 4e200), vector(1e200, 1e200)),
        (vector(1e-180, 0.0), vector(1e-180, 1e-180)),
    ]
)
def cosine_similarity(np, a, b):
    return np.sum(a * b) / (np.sqrt(np.sum(a * a)) * np.sqrt(np.sum(b * b)))


@naive(points=[vector(1e200, 3e200, 2e200), vector(1e-200, 2e-200, 3e-200), vector(1.0, 2.0, 3.0)])
def root_mean_square(np, x):
    return np.sqrt(np.mean(x * x))


@naive(points=[vector(1e10, 2e10, 3e9), vector(1e-10, 2e-10, 3e-11), vector(1.0, 2.0, 3.0)])
def power_mean_of_order_fifty(np, x):
    return np.mean(x**50) ** (1.0 / 50.0)


@naive(points=[vector(1e3, 2e3, 5e2), vector(0.5, 0.25, 0.125)])
def p_norm_of_large_p(np, x):
    return np.sum(np.abs(x) ** 200) ** (1.0 / 200.0)


@naive(
    points=[
        (vector(1.0, 2.0, 3.0), vector(1.0, 2.0, 3.0 + 1e-9)),
        (vector(1.0, 2.0), vector(3.0, 5.0)),
    ]
)
def squared_distance_by_inner_products(np, a, b):
    return np.sum(a * a) + np.sum(b * b) - 2.0 * np.sum(a * b)


@naive(points=[(vector(1e8, 1.0), vector(1e8 + 1.0, 1.0)), (vector(0.5, 0.5), vector(0.25, 1.0))])
def distance_by_inner_products(np, a, b):
    return np.sqrt(a @ a + b @ b - 2.0 * (a @ b))


@naive(points=[(vector(1.0, 2.0), vector(1.0, 2.0 + 1e-9)), (vector(0.0, 1.0), vector(2.0, 0.0))])
def one_less_a_gaussian_kernel(np, a, b):
    return 1.0 - np.exp(-0.5 * np.sum((a - b) ** 2))


@naive(points=[numpy.diag([1e120, 1e130, 1e140]) + 1.0, numpy.array([[2.0, 1.0], [1.0, 3.0]])])
def log_of_a_determinant(np, a):
    return np.log(np.linalg.det(a))


@naive(points=[numpy.diag([1e-120, 1e-130, 1e-140]), numpy.array([[4.0, 1.0], [2.0, 3.0]])])
def log_of_a_tiny_determinant(np, a):
    return 0.5 * np.log(np.linalg.det(a))


@naive(points=[vector(1e-9, 2e-9, 3e-9), vector(0.1, 0.2, 0.3)])
def one_less_a_product_of_complements(np, p):
    return 1.0 - np.prod(1.0 - p)


@naive(points=[vector(1e-12, 2e-12), vector(0.05, 0.1)])
def growth_over_periods(np, r):
    return np.prod(1.0 + r) - 1.0


@naive(points=[vector(0.3, 0.5, 0.2), vector(1e-9, 1.0 - 2e-9, 1e-9)])
def divergence_from_a_near_distribution(np, p):
    q = p * (1.0 + 1e-8 * np.array([1.0, -1.0, 1.0]))
    return np.sum(p * np.log(p / q) - p + q)


@naive(points=[vector(1e10, 1e10 + 1e-3), vector(1.0, 3.0)])
def log_ratio_of_neighbours(np, x):
    return np.sum(np.diff(np.log(x)))


@naive(points=[vector(800.0, 790.0, 805.0), vector(-0.1, 0.2, 0.3)])
def cumulative_logsumexp(np, x):
    return np.sum(np.log(np.cumsum(np.exp(x))))


@naive(points=[vector(300.0, 500.0, 400.0), vector(0.5, 1.0, 2.0)])
def hidden_markov_likelihood(np, x):
    a = np.array([[0.9, 0.1], [0.2, 0.8]])
    state = np.array([0.5, 0.5])
    for i in range(3):
        state = (state @ a) * np.exp(x[i] * np.array([1.0, -1.0]))
    return np.log(np.sum(state))
