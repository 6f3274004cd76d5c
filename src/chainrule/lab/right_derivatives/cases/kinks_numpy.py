"""Kinks through less common functions of NumPy: piecewise, select, accumulate, ptp, partition."""

from __future__ import annotations

import numpy

from chainrule.lab.right_derivatives.case import GROUPS
from chainrule.lab.right_derivatives.cases.kinks_arrays import vector

kinks = GROUPS["kinks"]


@kinks(at=vector(0.0, 1.0, -1.0), expect=vector(1.0, numpy.e, 1.0))
def piecewise_function(np, x):
    return np.sum(np.piecewise(x, [x < 0.0, x >= 0.0], [lambda t: t, lambda t: np.expm1(t)]))


@kinks("grad", "second", at=0.0)
def select_with_a_default(np, x):
    return np.select([x < -1.0, x < 0.0], [-1.0 + 0.0 * x, np.sin(x)], np.tanh(x) + x**3 / 6.0)


@kinks(at=vector(2.0, 2.0, 2.0), expect=vector(1.0, 1.0, 1.0))
def maximum_reduced_and_the_rest(np, x):
    return np.maximum.reduce(x) + np.minimum.reduce(x) + np.median(x)


@kinks(at=vector(0.0, 0.0, 0.0), expect=vector(1.0, 1.0, 1.0))
def running_extremes(np, x):
    high, low = np.maximum.accumulate(x), np.minimum.accumulate(x)
    return high[-1] + low[-1] + np.sort(x)[1]


@kinks(at=vector(1.0, 1.0), expect=vector(0.0, 0.0))
def squared_range(np, x):
    return np.ptp(x) ** 2


@kinks(at=vector(2.0, 2.0, 2.0, 5.0), expect=vector(1.0, 1.0, 1.0, 0.0))
def three_smallest_by_partition(np, x):
    return np.sum(np.partition(x, 2)[:3])


@kinks(at=vector(3.0, 3.0, 1.0), expect=vector(1.0, 1.0, 1.0))
def sorted_backwards_with_weights(np, x):
    s = np.sort(x)[::-1]
    return s @ np.array([1.0, 1.0, 1.0])


@kinks(at=vector(1.0, 0.0), expect=vector(2.0, 0.0))
def positive_part_by_heaviside(np, x):
    return np.sum(x * x * np.heaviside(x, 0.5))


@kinks(at=0.0, expect=1.0)
def fmax_and_fmin(np, x):
    return np.fmax(x, 0.0) + np.fmin(x, 0.0)


@kinks(at=vector(1.0, 1.0), expect=vector(1.0, 1.0))
def quantiles_of_equal_values(np, x):
    return np.quantile(x, 0.3) + np.quantile(x, 0.7)


@kinks(at=numpy.array([[1.0, 2.0], [2.0, 1.0]]), expect=numpy.ones((2, 2)))
def sort_both_axes(np, a):
    return np.sum(np.sort(np.sort(a, axis=0), axis=1))


@kinks(at=vector(1.0, 2.0, 1.0), expect=vector(-1.0, 0.0, 1.0))
def differences_of_sizes(np, x):
    d = np.diff(x)
    return np.sum(d) + np.sum(np.abs(d)) - np.sum(np.abs(d[::-1]))


@kinks(at=vector(0.0, 0.0), expect=vector(0.0, 0.0))
def total_variation_squared(np, x):
    return np.sum(np.abs(np.diff(x))) ** 2 + np.sum(np.abs(x)) * np.sum(x * x)


@kinks(at=numpy.zeros((2, 2)), expect=numpy.array([[1.0, 0.0], [0.0, 1.0]]))
def relu_of_a_matrix_product_both_ways(np, a):
    y = a @ np.array([[1.0, 0.0], [0.0, 1.0]])
    z = np.where(y > 0.0, y, 0.0) - np.where(y < 0.0, -y, 0.0)
    return np.trace(z)


@kinks("jacobian", at=vector(0.0, 1.0), expect=numpy.array([[1.0, 0.0], [0.0, 1.0]]))
def soft_threshold_and_its_remainder(np, x):
    shrunk = np.sign(x) * np.maximum(np.abs(x) - 1.0, 0.0)
    return shrunk + np.clip(x, -1.0, 1.0)


@kinks("jacobian", at=numpy.ones(3), expect=numpy.eye(3) / 3.0 - numpy.ones((3, 3)) / 9.0)
def softmax_less_its_largest(np, x):
    m = np.max(x)
    e = np.exp(x - m)
    return e / np.sum(e)


@kinks(at=(0.0, 0.0, 0.0), expect=(1.0, 1.0, 1.0))
def python_sorted_by_hand(np, a, b, c):
    if a > b:
        a, b = b, a
    if b > c:
        b, c = c, b
    if a > b:
        a, b = b, a
    return a + b + c


@kinks(at=vector(0.0, 0.0), expect=vector(1.0, -1.0))
def python_branches_in_a_helper(np, x):
    def positive(t):
        return t if t > 0 else 0.0 * t

    return positive(x[0] - x[1]) - positive(x[1] - x[0])


@kinks("hessian", at=vector(0.0, 0.0), expect=numpy.array([[2.0, 1.0], [1.0, 2.0]]))
def hessian_through_python_branches(np, x):
    y = x[0] + x[1]
    total = 0.5 * x[0] ** 2 + 0.5 * x[1] ** 2
    if y >= 0.0:
        return total + y * y / 2.0
    return total + np.cosh(y) - 1.0


@kinks(at=2.0, expect=0.25)
def bisection_by_branches(np, a):
    low, high = 0.0 * a, a
    for _ in range(3):
        middle = 0.5 * (low + high)
        if middle * middle > a:
            high = middle
        else:
            low = middle
    return (high - low) * 2.0
