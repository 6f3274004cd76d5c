"""Kinks of functions of vectors and matrices that are differentiable at the point."""

from __future__ import annotations

import numpy

from chainrule.lab.right_derivatives.case import GROUPS

kinks = GROUPS["kinks"]


def vector(*entries: float):
    return numpy.array(entries, dtype=float)


# --- max, min, sort, quantiles -------------------------------------------------------------------


@kinks(at=vector(2.0, 2.0, 2.0, 1.0), expect=vector(1.0, 1.0, 1.0, 1.0))
def sum_of_the_sorted(np, x):
    return np.sum(np.sort(x))


@kinks(at=vector(3.0, 1.0, 3.0), expect=vector(6.0, 2.0, 6.0))
def sum_of_squares_of_the_sorted(np, x):
    return np.sum(np.sort(x) ** 2)


@kinks(at=vector(1.0, 1.0, 2.0, 2.0), expect=vector(0.25, 0.25, 0.25, 0.25))
def mean_by_sorting(np, x):
    ordered = np.sort(x)
    return 0.5 * (np.mean(ordered[:2]) + np.mean(ordered[2:]))


@kinks(at=vector(2.0, 2.0), expect=vector(1.0, 1.0))
def max_plus_min(np, x):
    return np.max(x) + np.min(x)


@kinks(at=vector(2.0, 2.0), expect=vector(0.5, 0.5))
def median_of_two_equal(np, x):
    return np.median(x)


@kinks(at=vector(1.0, 4.0, 4.0, 9.0), expect=vector(0.0, 0.5, 0.5, 0.0))
def median_of_even_length_with_a_tie(np, x):
    return np.median(x)


@kinks(at=vector(2.0, 2.0, 2.0), expect=vector(1.0, 1.0, 1.0))
def max_median_and_min(np, x):
    return np.max(x) + np.median(x) + np.min(x)


@kinks(at=vector(5.0, 5.0), expect=vector(1.0, 1.0))
def two_quantiles_mirror(np, x):
    return np.quantile(x, 0.25) + np.quantile(x, 0.75)


@kinks(at=vector(0.0, 0.0, 0.0), expect=vector(0.0, 0.0, 0.0))
def square_of_the_max(np, x):
    return np.max(x) ** 2


@kinks(at=vector(1.0, 1.0, 1.0), expect=vector(2.0, 2.0, 2.0))
def product_of_all_pairs_by_sorting(np, x):
    s = np.sort(x)
    return s[0] * s[1] + s[1] * s[2] + s[0] * s[2]


@kinks(at=vector(2.0, 2.0, 5.0), expect=vector(1.0, 1.0, 0.0))
def two_smallest(np, x):
    return np.sum(np.sort(x)[:2])


@kinks(at=vector(2.0, 2.0, -1.0), expect=vector(1.0, 1.0, 0.0))
def two_largest_by_argsort(np, x):
    order = np.argsort(x)
    return x[order[1]] + x[order[2]]


@kinks(at=vector(3.0, 3.0), expect=vector(1.0, 1.0))
def argmax_and_argmin(np, x):
    return x[np.argmax(x)] + np.min(x)


@kinks(at=vector(-1.0, 1.0), expect=vector(-0.5, 0.5))
def largest_magnitude_less_half_the_spread(np, x):
    return np.max(np.abs(x)) - 0.5 * np.abs(x[0] + x[1])


@kinks("hessian", at=vector(1.0, 1.0), expect=numpy.array([[2.0, 0.0], [0.0, 2.0]]))
def hessian_of_sorted_squares(np, x):
    return np.sum(np.sort(x) ** 2)


@kinks("jacobian", at=vector(1.0, 1.0), expect=numpy.array([[1.0, 1.0], [2.0, 2.0]]))
def elementary_symmetric_by_sorting(np, x):
    s = np.sort(x)
    return np.stack([s[0] + s[1], 2.0 * s[0] * s[1]])


# --- pooling, norms ------------------------------------------------------------------------------


@kinks(at=vector(1.0, 1.0, 2.0, 2.0), expect=vector(1.0, 1.0, 1.0, 1.0))
def max_pool_plus_min_pool(np, x):
    windows = np.reshape(x, (2, 2))
    return np.sum(np.max(windows, axis=1)) + np.sum(np.min(windows, axis=1))


@kinks(at=numpy.zeros((4, 4)), expect=numpy.zeros((4, 4)))
def squared_max_pool(np, image):
    windows = np.max(np.max(np.reshape(image, (2, 2, 2, 2)), axis=3), axis=1)
    return np.sum(windows**2)


@kinks(at=vector(0.0, -1.0, 0.0, 0.0), expect=vector(1.0, 0.0, 1.0, 1.0))
def max_and_min_pool_of_relu_balance(np, x):
    up = np.reshape(np.maximum(x, 0.0), (2, 2))
    down = np.reshape(np.minimum(x * np.array([1.0, 0.0, 1.0, 1.0]), 0.0), (2, 2))
    return np.sum(up) + np.sum(down)


@kinks(at=vector(0.0, 0.0, 0.0), expect=vector(0.0, 0.0, 0.0))
def l1_norm_squared(np, x):
    return np.sum(np.abs(x)) ** 2


@kinks(at=vector(0.0, 0.0), expect=vector(0.0, 0.0))
def linf_norm_squared(np, x):
    return np.linalg.norm(x, ord=np.inf) ** 2


@kinks(at=vector(1.0, 1.0), expect=vector(1.0, 1.0))
def l1_from_linf(np, x):
    return np.max(np.abs(x)) + np.min(np.abs(x))


@kinks(at=vector(2.0, -2.0), expect=vector(1.0, -1.0))
def l1_norm_from_max_and_difference(np, x):
    a = np.abs(x)
    return 2.0 * np.max(a) - np.abs(a[0] - a[1])


@kinks(at=vector(0.0, 2.0), expect=vector(1.0, 1.0))
def l1_with_its_own_correction(np, x):
    return np.linalg.norm(x, ord=1) - 2.0 * np.sum(np.maximum(-x, 0.0))


# --- losses --------------------------------------------------------------------------------------


@kinks("grad", "hessian", at=vector(1.0, 1.0, 0.0))
def stable_logsumexp(np, x):
    m = np.max(x)
    return m + np.log(np.sum(np.exp(x - m)))


@kinks("grad", at=vector(0.0, 0.0, 0.0, 0.0), expect=vector(0.25, 0.25, -0.75, 0.25))
def stable_cross_entropy(np, x):
    z = x - np.max(x)
    return np.log(np.sum(np.exp(z))) - z[2]


@kinks("grad", "jacobian", at=vector(2.0, 2.0, 2.0))
def stable_softmax_norm(np, x):
    e = np.exp(x - np.max(x))
    return np.sum((e / np.sum(e)) ** 2) + np.max(x) - x[0] - (np.max(x) - x[0])


@kinks("jacobian", at=vector(1.0, 1.0))
def stable_softmax(np, x):
    e = np.exp(x - np.max(x))
    return e / np.sum(e)


@kinks(at=numpy.array([[1.0, 1.0], [0.0, 0.0]]))
def batch_cross_entropy(np, logits):
    z = logits - np.max(logits, axis=1, keepdims=True)
    log_p = z - np.log(np.sum(np.exp(z), axis=1, keepdims=True))
    return -np.mean(log_p * np.array([[1.0, 0.0], [0.0, 1.0]]))


@kinks(at=vector(0.0, 0.0, 1.0))
def binary_cross_entropy_with_logits(np, z):
    y = np.array([0.0, 1.0, 1.0])
    return np.mean(np.maximum(z, 0.0) - z * y + np.log1p(np.exp(-np.abs(z))))


@kinks(at=(vector(0.0, 0.0), 0.0))
def logistic_regression_at_zero_weights(np, w, b):
    x = np.array([[1.0, 2.0], [3.0, -1.0], [0.5, 0.5]])
    y = np.array([1.0, 0.0, 1.0])
    z = x @ w + b
    return np.mean(np.maximum(z, 0.0) - z * y + np.log1p(np.exp(-np.abs(z))))


@kinks(at=vector(1.0, -1.0, 0.5), expect=vector(1.0, -1.0, 0.5))
def huber_of_residuals(np, r):
    a = np.abs(r)
    return np.sum(np.where(a < 1.0, 0.5 * r**2, a - 0.5))


@kinks(at=vector(1.0, 1.0), expect=vector(0.0, 0.0))
def squared_hinge_of_margins(np, w):
    x = np.array([[1.0, 0.0], [0.0, 1.0], [0.5, 0.5]])
    return np.sum(np.maximum(0.0, 1.0 - x @ w) ** 2)


# --- networks and matrices -----------------------------------------------------------------------


@kinks(at=numpy.zeros(3), expect=vector(1.0, -2.0, 3.0))
def network_that_computes_a_linear_function(np, x):
    w = np.array([[1.0, -2.0, 3.0], [-1.0, 2.0, -3.0]])
    hidden = np.maximum(w @ x, 0.0)
    return hidden @ np.array([1.0, -1.0])


@kinks("grad", "vjp", along=1.0, at=numpy.zeros(2))
def two_layers_that_cancel(np, x):
    up = np.maximum(np.array([[1.0, 1.0], [-1.0, -1.0]]) @ x, 0.0)
    again = np.maximum(np.array([[1.0, -1.0], [-1.0, 1.0]]) @ up, 0.0)
    return np.array([1.0, -1.0]) @ again


@kinks(at=(numpy.zeros((2, 2)), vector(1.0, -1.0)))
def loss_at_zero_weights(np, w, b):
    x = np.array([[1.0, 2.0], [0.0, 0.0]])
    hidden = np.maximum(x @ w, 0.0) - np.maximum(-(x @ w), 0.0)
    return np.sum((hidden + b) ** 2)


@kinks(at=numpy.zeros((2, 2)), expect=numpy.array([[1.0, 1.0], [1.0, 1.0]]))
def matrix_of_relu_differences(np, a):
    return np.sum(np.maximum(a, 0.0) - np.maximum(-a, 0.0))


@kinks(at=numpy.array([[1.0, 2.0], [2.0, 1.0]]), expect=numpy.ones((2, 2)))
def rows_by_max_and_min(np, a):
    return np.sum(np.max(a, axis=0) + np.min(a, axis=0))


@kinks("jacobian", at=vector(0.0, 0.0), expect=numpy.eye(2))
def vector_of_relu_differences(np, x):
    return np.maximum(x, 0.0) - np.maximum(-x, 0.0)


@kinks("vjp", along=vector(2.0, -3.0), at=vector(0.0, 0.0), expect=vector(2.0, -3.0))
def vjp_of_clips(np, x):
    return np.clip(x, 0.0, 1.0) + np.clip(x, -1.0, 0.0)


@kinks("jvp", along=vector(1.0, 2.0, 3.0), at=numpy.zeros(3), expect=6.0)
def jvp_of_sorted_sum(np, x):
    return np.sum(np.sort(x))


@kinks("hvp", along=vector(1.0, -1.0), at=numpy.zeros(2), expect=vector(0.25, -0.25))
def hvp_of_softpluses(np, x):
    return np.sum(np.maximum(x, 0.0) + np.log1p(np.exp(-np.abs(x))))


@kinks("hessian", at=numpy.zeros(2), expect=numpy.array([[0.5, 0.25], [0.25, 0.25]]))
def hessian_of_softpluses(np, x):
    def softplus(t):
        return np.maximum(t, 0.0) + np.log1p(np.exp(-np.abs(t)))

    return softplus(x[0]) + softplus(x[0] + x[1])


@kinks("hessian", at=vector(1.0, 1.0), expect=numpy.array([[0.0, 1.0], [1.0, 0.0]]))
def hessian_of_max_times_min(np, x):
    return np.max(x) * np.min(x)


@kinks(at=vector(1.0, 2.0, 1.0), expect=vector(1.0, 1.0, 1.0))
def loop_of_bubble_sort(np, x):
    a, b, c = x[0], x[1], x[2]
    for _ in range(2):
        a, b = np.minimum(a, b), np.maximum(a, b)
        b, c = np.minimum(b, c), np.maximum(b, c)
    return a + b + c


@kinks(at=vector(0.0, 0.0, 0.0), expect=vector(3.0, 2.0, 1.0))
def running_maximum_and_minimum(np, x):
    total, high, low = 0.0, 0.0, 0.0
    for i in range(3):
        high = high + np.maximum(x[i], 0.0)
        low = low + np.minimum(x[i], 0.0)
        total = total + high + low
    return total


@kinks(at=vector(0.5, 0.5), expect=vector(0.5, 0.5))
def gini_of_equal_shares_beside_the_mean(np, x):
    differences = np.abs(x[:, None] - x[None, :])
    return np.mean(x) + np.sum(differences**2) + np.sum(differences * differences) * 0.5


@kinks(at=vector(1.0, 1.0, 1.0), expect=vector(1.0, 1.0, 1.0) / 3.0)
def trimmed_and_the_trimmings(np, x):
    s = np.sort(x)
    return (s[1] + np.max(x) + np.min(x)) / 3.0


@kinks(at=(vector(0.0, 1.0), vector(1.0, 1.0)), expect=(vector(1.0, 1.0), vector(1.0, 1.0)))
def elementwise_maximum_and_minimum_of_vectors(np, x, y):
    return np.sum(np.maximum(x, y)) + np.sum(np.minimum(x, y))


@kinks(at=vector(1.0, 0.0, -1.0), expect=vector(1.0, 1.0, 1.0))
def abs_recovered_from_sign_of_itself(np, x):
    return np.sum(np.sign(x) * np.abs(x))


@kinks(at=numpy.zeros((2, 3)), expect=numpy.zeros((2, 3)))
def max_of_gram_matrix_trace(np, a):
    return np.maximum(np.trace(a @ a.T), 0.0)


@kinks(at=vector(0.0, 0.0), expect=vector(0.0, 0.0))
def abs_of_an_outer_product(np, x):
    return np.sum(np.abs(np.outer(x, x)))


@kinks("second", at=0.0, expect=3.0)
def sum_of_softpluses_over_a_grid(np, t):
    z = t * np.array([1.0, 2.0, -1.0, np.sqrt(6.0)])
    return np.sum(np.maximum(z, 0.0) + np.log1p(np.exp(-np.abs(z))))
