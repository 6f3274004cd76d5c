"""Singular parts that are not selected: roots, logs, quotients and infinities behind a test."""

from __future__ import annotations

import numpy

from chainrule.lab.right_derivatives.case import GROUPS
from chainrule.lab.right_derivatives.cases.kinks_arrays import vector

singular = GROUPS["singular"]


# --- roots, logs, quotients ----------------------------------------------------------------------


@singular("grad", "second", points=[-4.0, 4.0])
def sqrt_of_positive(np, x):
    return np.where(x > 0.0, np.sqrt(x), 0.0)


@singular(at=0.0, expect=0.0, by_hand=True)
def sqrt_of_positive_at_zero(np, x):
    """The constant is taken; its derivative is 0."""
    return np.where(x > 0.0, np.sqrt(x), 0.0)


@singular(at=vector(-1.0, 4.0, -9.0, 16.0))
def sum_of_roots_of_the_positive(np, x):
    return np.sum(np.where(x > 0.0, np.sqrt(x), 0.0))


@singular("jvp", along=vector(1.0, 1.0), at=vector(-1.0, 4.0), expect=vector(0.0, 0.25))
def roots_forward(np, x):
    return np.where(x > 0.0, np.sqrt(x), 0.0)


@singular("grad", "second", points=[-1.0, 0.5])
def x_log_x(np, x):
    return np.where(x > 0.0, x * np.log(x), 0.0)


@singular(at=0.0, expect=0.0)
def square_times_log_at_zero(np, x):
    return np.where(x > 0.0, x * x * np.log(x), 0.0)


@singular("grad", "jacobian", at=vector(1.0, 2.0))
def safe_division_by_data(np, x):
    weights = np.array([0.0, 4.0])
    return np.sum(np.where(weights > 0.0, x / weights, 0.0))


@singular(at=(vector(1.0, 3.0), vector(0.0, 2.0)), expect=(vector(0.0, 0.5), vector(0.0, -0.75)),
          by_hand=True)  # fmt: skip
def safe_division_by_zero(np, x, y):
    """At y = 0 the constant is taken."""
    return np.sum(np.where(y != 0.0, x / y, 0.0))


@singular("grad", "second", points=[1.0, -2.0])
def safe_reciprocal(np, x):
    return np.where(x > 0.0, 1.0 / (x + 2.0), 1.0 / 3.0)


@singular(at=(0.0, 2.0), expect=(0.5, 0.0))
def quotient_beside_a_guard(np, x, y):
    return np.where(y == 0.0, 0.0, x / y)


@singular(points=[2.0, -3.0, 0.5])
def arccos_of_clip(np, x):
    return np.arccos(np.clip(x, -1.0, 1.0))


@singular("grad", "jacobian", at=vector(0.3, 1.5, -7.0))
def arcsin_of_clip(np, x):
    return np.sum(np.arcsin(np.clip(x, -1.0, 1.0)))


@singular("grad", "second", points=[0.5, 2.0])
def arccosh_of_maximum(np, x):
    return np.arccosh(np.maximum(x, 1.0))


@singular(points=[3.0, 0.25])
def arctanh_of_clip(np, x):
    return np.where(np.abs(x) < 1.0, np.arctanh(x), 0.0)


@singular("grad", "second", points=[-1.0, 4.0])
def sqrt_of_maximum(np, x):
    return np.sqrt(np.maximum(x, 0.0))


@singular("grad", "second", points=[-1.0, 2.0])
def fractional_power_of_relu(np, x):
    return np.maximum(x, 0.0) ** 1.5


@singular("grad", "second", points=[-0.5, 2.0])
def root_of_one_minus_square(np, x):
    return np.where(np.abs(x) < 1.5, np.cos(x), np.sqrt(np.maximum(x * x - 2.25, 0.0))) + np.where(
        x * x < 1.0, np.sqrt(1.0 - x * x), 0.0
    )


@singular(points=[-2.0, 0.5])
def log1p_guard(np, x):
    return np.where(x > -1.0, np.log1p(x), -10.0)


@singular(at=vector(-0.5, 0.0, 1.0, 3.0), expect=vector(0.0, 0.0, 0.0, 0.0))
def logit_of_clipped_probability(np, x):
    p = np.clip(x, 1e-6, 1.0 - 1e-6)
    return np.sum(np.log(p / (1.0 - p)))


@singular(at=1000.0, expect=1.0)
def softplus_by_a_threshold(np, x):
    return np.where(x < 30.0, np.log(1.0 + np.exp(x)), x)


@singular("grad", "second", points=[1000.0, 1.0])
def inverse_softplus_by_a_threshold(np, x):
    return np.where(x > 30.0, x, np.log(np.expm1(x)))


@singular("grad", "second", points=[-1.0, 0.0, 0.5])
def bump_function(np, x):
    return np.where(x > 0.0, np.exp(-1.0 / x), 0.0)


@singular("grad", "second", at=0.0)
def flat_function(np, x):
    return np.where(x != 0.0, np.exp(-1.0 / x**2), 0.0)


@singular(at=-1.0, expect=0.0)
def nan_in_the_branch_not_taken(np, x):
    return np.where(x > 0.0, x * np.nan, 3.0)


@singular(at=2.0, expect=-0.25)
def infinity_in_the_branch_not_taken(np, x):
    return np.where(x > 0.0, 1.0 / x, np.inf * x)


@singular("grad", "second", points=[-3.0, -0.5, 0.5, 3.0])
def nested_selects(np, x):
    inner = np.where(x < -1.0, np.sqrt(-1.0 - x), np.log(1.0 + x))
    return np.where(x < 0.0, inner, np.where(x < 1.0, np.sqrt(1.0 - x), np.arctan(np.sqrt(x))))


@singular("grad", points=[-3.0, 2.0])
def nested_guards(np, x):
    return np.where(x > 0.0, np.where(x > 1.0, np.sqrt(np.log(x)), 0.0), 0.0)


@singular(at=vector(-1.0, 0.0, 2.0), expect=vector(0.0, 0.0, 0.5))
def log_of_guarded_argument(np, x):
    return np.sum(np.where(x > 1.0, np.log(np.where(x > 0.5, x, 0.0)), 0.0))


# --- reductions and products after the singular part ---------------------------------------------


@singular(at=vector(1.0, -2.0, -5.0), expect=vector(0.0, 0.0, 0.0))
def sum_under_the_root(np, x):
    s = np.sum(x)
    return np.where(s > 0.0, np.sqrt(s), 0.0)


@singular(at=vector(1.0, 0.0, 2.0), expect=vector(1.0, 1.0, 1.0))
def sum_of_logs_not_taken(np, x):
    total = np.sum(np.log(x))
    return np.where(np.min(x) > 0.5, total, np.sum(x))


@singular(at=vector(0.0, 1.0), expect=vector(0.0, 1.0))
def matmul_of_reciprocals_not_taken(np, x):
    a = np.array([[1.0, 2.0], [3.0, 4.0]])
    y = a @ (1.0 / x)
    return np.sum(np.where(np.array([False, False]), y, 0.5 * x * x))


@singular(at=vector(-1.0, 4.0), expect=vector(0.0, 0.75))
def matmul_of_masked_roots(np, x):
    a = np.array([[1.0, 1.0], [2.0, 2.0]])
    return np.sum(a @ np.where(x > 0.0, np.sqrt(x), 0.0))


@singular("hessian", at=vector(-1.0, 4.0), expect=numpy.array([[0.0, 0.0], [0.0, -1 / 32]]))
def hessian_of_masked_roots(np, x):
    return np.sum(np.where(x > 0.0, np.sqrt(x), 0.0))


@singular("hvp", along=vector(1.0, 1.0), at=vector(-1.0, 1.0), expect=vector(0.0, -1.0))
def hvp_of_masked_logs(np, x):
    return np.sum(np.where(x > 0.0, np.log(x), 0.0))


@singular(at=vector(1.0, 2.0, 3.0))
def mean_over_a_mask(np, x):
    mask = np.array([True, False, True])
    return np.sum(np.where(mask, np.log(x), 0.0)) / np.sum(np.where(mask, 1.0, 0.0))


@singular(at=vector(-1.0, 2.0, 4.0))
def mean_of_the_valid(np, x):
    valid = x > 0.0
    count = np.sum(np.where(valid, 1.0, 0.0))
    return np.sum(np.where(valid, np.sqrt(x), 0.0)) / count


@singular(at=numpy.array([[1.0, 2.0], [3.0, 4.0]]))
def rows_without_entries(np, x):
    mask = np.array([[1.0, 1.0], [0.0, 0.0]])
    count = np.sum(mask, axis=1)
    means = np.sum(x * mask, axis=1) / count
    return np.sum(np.where(count > 0.0, means**2, 0.0))


@singular(at=2.0, expect=-8.0)
def squared_errors_with_missing_data(np, w):
    data = np.array([1.0, np.nan, 7.0])
    return np.sum(np.where(np.isnan(data), 0.0, (w - data) ** 2))


@singular(at=(2.0, 1.0))
def regression_with_missing_data(np, slope, offset):
    x = np.array([1.0, 2.0, 3.0, np.nan])
    y = np.array([1.0, np.nan, 2.0, 5.0])
    residual = y - (slope * x + offset)
    valid = np.isfinite(x) & np.isfinite(y)
    return np.mean(np.where(valid, residual, 0.0) ** 2)


# --- softmaxes with masks ------------------------------------------------------------------------


@singular("grad", "hessian", at=vector(1.0, 2.0, 3.0))
def masked_softmax(np, x):
    z = np.where(np.array([True, False, True]), x, -np.inf)
    e = np.exp(z - np.max(z))
    p = e / np.sum(e)
    return p[0] + 2.0 * p[1] + 3.0 * p[2]


@singular("grad", "hvp", along=vector(1.0, -1.0, 2.0), at=vector(1.0, 2.0, 3.0))
def masked_logsumexp(np, x):
    z = np.where(np.array([True, True, False]), x, -np.inf)
    m = np.max(z)
    return m + np.log(np.sum(np.exp(z - m)))


@singular(at=numpy.array([[1.0, 2.0], [0.5, 0.0]]))
def row_that_is_masked_out(np, x):
    mask = np.array([[True, True], [False, False]])
    z = np.where(mask, x, -np.inf)
    m = np.max(z, axis=1, keepdims=True)
    e = np.exp(z - m)
    p = e / np.sum(e, axis=1, keepdims=True)
    return np.sum(np.where(mask, p, 0.0) * np.array([[1.0, 2.0], [3.0, 4.0]]))


@singular(at=(numpy.array([[0.5, -1.0], [2.0, 1.0]]), numpy.array([[1.0, 0.0], [2.0, 3.0]])))
def causal_attention(np, q, k):
    scores = q @ k.T
    scores = np.where(np.array([[True, False], [True, True]]), scores, -np.inf)
    e = np.exp(scores - np.max(scores, axis=1, keepdims=True))
    weights = e / np.sum(e, axis=1, keepdims=True)
    return np.sum((weights @ k) ** 2)


@singular(at=vector(0.3, 0.2), expect=vector(0.0, 1.0))
def log_probability_of_an_impossible_event(np, x):
    logits = np.where(np.array([False, True]), x, -np.inf)
    return np.sum(np.where(np.array([False, True]), logits, 0.0))


@singular(at=vector(0.5, -0.5, 1.0))
def cross_entropy_with_ignored_labels(np, x):
    labels, ignored = np.array([2, 0]), np.array([False, True])
    z = np.stack([x, x * np.where(ignored[1], np.inf, 1.0)])
    m = np.max(z, axis=1, keepdims=True)
    log_p = z - m - np.log(np.sum(np.exp(z - m), axis=1, keepdims=True))
    picked = np.stack([log_p[0, labels[0]], log_p[1, labels[1]]])
    return -np.sum(np.where(ignored, 0.0, picked))


@singular(at=vector(0.0, 0.4, 0.6), expect=vector(0.0, numpy.log(0.4) + 1, numpy.log(0.6) + 1),
          by_hand=True)  # fmt: skip
def negative_entropy_with_a_zero(np, p):
    """At p = 0 the constant is taken."""
    return np.sum(np.where(p > 0.0, p * np.log(p), 0.0))


@singular(at=vector(0.2, 0.3, 0.5))
def divergence_with_zero_weights(np, q):
    p = np.array([0.0, 0.5, 0.5])
    return np.sum(np.where(p > 0.0, p * np.log(p / q), 0.0))


@singular(at=vector(0.0, 0.5, 0.5), expect=vector(0.0, -1.0, -1.0))
def divergence_with_zero_on_both_sides(np, q):
    p = np.array([0.0, 0.5, 0.5])
    return np.sum(np.where(p > 0.0, p * np.log(p / q), 0.0))


# --- gathers, loops, `if` ------------------------------------------------------------------------


@singular(at=vector(0.0, 4.0, 9.0), expect=vector(0.0, 0.25, 1 / 6))
def gather_with_padding(np, x):
    index = np.array([1, 2, 0, 0])
    real = np.array([True, True, False, False])
    return np.sum(np.where(real, np.sqrt(x[index]), 0.0))


@singular(at=vector(0.0, 2.0))
def neighbours_with_padding(np, x):
    neighbour, real = np.array([1, 0]), np.array([True, False])
    return np.sum(np.where(real, x / x[neighbour] + np.log(x[neighbour]), 1.0))


@singular("jacobian", at=vector(0.0, 2.0), expect=numpy.array([[0.0, 0.0], [0.0, -0.25]]))
def reciprocal_by_select(np, x):
    return np.where(np.array([False, True]), 1.0 / x, 0.0)


@singular(at=vector(0.0, 4.0), expect=vector(0.0, 0.25))
def loop_over_guarded_entries(np, x):
    total = 0.0
    for i, use in enumerate([False, True]):
        total = total + np.where(use, np.sqrt(x[i]), 0.0)
    return total


@singular(at=vector(-1.0, 4.0), expect=vector(0.0, 0.25))
def python_if_in_a_loop(np, x):
    total = 0.0
    for i in range(2):
        if x[i] > 0.0:
            total = total + np.sqrt(x[i])
    return total


@singular("grad", "second", points=[-1.0, 4.0])
def cond_with_a_root(np, control, x):
    return control.cond(x > 0.0, lambda t: np.sqrt(t), lambda t: 0.0 * t, x)


@singular(points=[3.0, 0.5])
def while_loop_with_a_guard(np, control, x):
    def body(state):
        i, y = state
        return i + 1, np.where(y > 1.0, np.sqrt(np.abs(y - 1.0)), 0.25 * y)

    return control.while_loop(lambda state: state[0] < 3, body, (0, x))[1]


@singular(at=vector(-1.0, 4.0, 9.0))
def scan_with_a_guard(np, control, x):
    def body(carry, entry):
        return carry + np.where(entry > 0.0, np.sqrt(entry) * np.log(entry), 0.0), carry

    return control.scan(body, 0.0 * x[0], x)[0]


@singular(at=1.0, expect=0.0)
def pole_of_another_branch(np, x):
    return np.where(x == 1.0, 2.0, (x * x - 1.0) / (x - 1.0)) - np.where(x > 5.0, 1.0, x)


@singular(at=0.0, expect=0.0)
def tangent_not_taken(np, x):
    return np.where(x > 1.0, np.log(x) * np.sqrt(x) / x, x * x)


@singular(at=(0.0, 0.0), expect=(0.0, 0.0))
def both_branches_fine_only_inside(np, x, y):
    r = x * x + y * y
    return np.where(r > 1.0, np.sqrt(r) - 1.0 + np.log(r), 0.0)


@singular(at=numpy.zeros(3), expect=numpy.zeros(3))
def norm_not_taken(np, x):
    n = np.linalg.norm(x)
    return np.where(n > 1.0, n - 1.0, 0.0)


@singular("jacobian", at=numpy.zeros(2), expect=numpy.eye(2) * 1000.0)
def normalised_by_at_least_a_little(np, x):
    return x / np.maximum(np.linalg.norm(x), 1e-3)


@singular("jacobian", at=numpy.zeros(2), expect=numpy.eye(2))
def clipping_by_norm(np, g):
    n = np.sqrt(np.sum(g * g))
    return np.where(n > 1.0, g / n, g)


@singular(at=numpy.array([[3.0, 4.0], [0.0, 0.0]]))
def weight_decay_of_long_rows(np, w):
    n = np.sqrt(np.sum(w**2, axis=1))
    return np.sum(np.where(n > 1.0, n, 0.0))
