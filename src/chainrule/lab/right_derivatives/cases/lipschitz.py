"""Kinks at which a function is only Lipschitz: an answer has to be a Clarke subgradient.

The sets are written by hand: vertices of a hull (of all arguments' parts in a row), an interval, or
a ball. The tests draw gradients near the point and hold them against the sets from both sides.
"""

from __future__ import annotations

import numpy

from chainrule.lab.right_derivatives.case import GROUPS
from chainrule.lab.right_derivatives.cases.kinks_arrays import vector
from chainrule.lab.right_derivatives.members import Ball, Hull, between

lipschitz = GROUPS["lipschitz"]


# --- one number ----------------------------------------------------------------------------------


@lipschitz(at=0.0, members=between(-1.0, 1.0))
def absolute_value(np, x):
    return np.abs(x)


@lipschitz(at=0.0, members=between(-1.0, 1.0))
def root_of_a_square(np, x):
    return np.sqrt(x * x)


@lipschitz(at=0.0, members=between(-1.0, 1.0))
def root_of_a_square_by_powers(np, x):
    return (x**2) ** 0.5


@lipschitz(at=0.0, members=between(0.0, 1.0))
def relu(np, x):
    return np.maximum(x, 0.0)


@lipschitz(at=0.0, members=between(0.01, 1.0))
def leaky_relu(np, x):
    return np.where(x > 0.0, x, 0.01 * x)


@lipschitz(at=0.0, members=between(0.25, 2.0))
def prelu_by_relus(np, x):
    return 2.0 * np.maximum(x, 0.0) - 0.25 * np.maximum(-x, 0.0)


@lipschitz(points=[0.0, 1.0], members=between(0.0, 1.0))
def clip(np, x):
    return np.clip(x, 0.0, 1.0)


@lipschitz(at=0.0, members=between(1.0, 3.0))
def abs_plus_a_line(np, x):
    return np.abs(x) + 2.0 * x


@lipschitz(at=0.0, members=between(4.0, 6.0))
def four_relus(np, x):
    return 2.0 * np.maximum(x, 0.0) - 2.0 * np.maximum(-x, 0.0) + 3.0 * x - np.abs(x)


@lipschitz(at=0.0, members=between(1.0, 2.0))
def relu_of_one_sign_only(np, x):
    return np.where(x > 0.0, 2.0 * x, np.sin(x))


@lipschitz(at=0.0, members=between(-2.0, 0.5))
def maximum_of_three_lines(np, x):
    return np.maximum(np.maximum(-2.0 * x, 0.5 * x), 0.25 * x)


@lipschitz(at=0.0, members=between(1.0507 * 1.0, 1.0507 * 1.6733))
def selu(np, x):
    return 1.0507 * np.where(x > 0.0, x, 1.6733 * np.expm1(x))


@lipschitz(points=[0.5, -0.5], members=between(0.0, 1.0))
def softshrink(np, x):
    return np.where(x > 0.5, x - 0.5, np.where(x < -0.5, x + 0.5, 0.0))


@lipschitz(at=1.0, members=between(-1.0, 0.0))
def hinge(np, margin):
    return np.maximum(0.0, 1.0 - margin)


@lipschitz(at=2.0, members=between(-0.75, 0.25))
def pinball(np, x):
    r = 2.0 - x
    return np.where(r >= 0.0, 0.75 * r, -0.25 * r)


@lipschitz(at=1.0, members=between(-2.0, 2.0))
def abs_of_a_polynomial(np, x):
    return np.abs(x * x - 1.0)


@lipschitz(at=0.0, members=between(-1.0, 1.0))
def abs_of_sine(np, x):
    return np.abs(np.sin(x))


@lipschitz(at=0.0, members=between(-1.0, 1.0))
def triangle_wave_by_arccos(np, x):
    return np.arccos(np.cos(x))


@lipschitz(at=0.0, members=between(0.0, 1.0))
def if_ramp(np, x):
    if x > 0.0:
        return x
    return 0.0 * x


@lipschitz(at=0.0, members=between(-1.0, 1.0))
def exponential_of_minus_abs(np, x):
    return np.exp(-np.abs(x))


@lipschitz(at=0.0, members=between(-1.0, 1.0))
def hypot_with_zero(np, x):
    return np.hypot(x, 0.0)


@lipschitz(at=1.0, members=between(1.0, 2.0))
def loop_with_a_kink(np, x):
    total = 0.0
    for k in range(3):
        total = total + np.maximum(x - k, 0.0)
    return total


# --- several numbers -----------------------------------------------------------------------------


@lipschitz(at=(1.0, 1.0), members=Hull(((1.0, 0.0), (0.0, 1.0))))
def maximum_of_two(np, x, y):
    return np.maximum(x, y)


@lipschitz(at=(1.0, 1.0), members=Hull(((1.0, -1.0), (-1.0, 1.0))))
def distance_on_the_line(np, x, y):
    return np.abs(x - y)


@lipschitz(at=(1.0, 1.0, 1.0), members=Hull(((1.0, 0.0, 0.0), (0.0, 1.0, 0.0), (0.0, 0.0, 1.0))))
def maximum_of_three(np, x, y, z):
    return np.maximum(x, np.maximum(y, z))


@lipschitz(at=(0.0, 0.0), members=Hull(((1.0, 0.0), (0.0, 1.0), (0.0, 0.0))))
def relu_of_a_maximum(np, x, y):
    return np.maximum(np.maximum(x, y), 0.0)


@lipschitz(at=(0.0, 0.0), members=Ball((0.0, 0.0)))
def hypotenuse(np, x, y):
    return np.hypot(x, y)


@lipschitz(at=(0.0, 0.0), members=Ball((3.0, 4.0), 2.0))
def twice_the_length_and_a_line(np, x, y):
    return 2.0 * np.sqrt(x * x + y * y) + 3.0 * x + 4.0 * y


@lipschitz(at=(0.0, 0.0), members=Hull(((1.0, 1.0), (1.0, -1.0), (-1.0, 1.0), (-1.0, -1.0))))
def sum_of_abs(np, x, y):
    return np.abs(x) + np.abs(y)


@lipschitz(at=(0.0, 0.0), members=Hull(((1.0, 1.0), (1.0, 0.0), (0.0, 1.0), (0.0, 0.0))))
def sum_of_relus(np, x, y):
    return np.maximum(x, 0.0) + np.maximum(y, 0.0)


@lipschitz(at=(0.0, 0.0), members=Hull(((1.0, 1.0), (1.0, 0.0), (0.0, 1.0))))
def maximum_of_both_and_their_sum(np, x, y):
    return np.maximum(np.maximum(x, y), x + y)


# --- vectors and matrices ------------------------------------------------------------------------


@lipschitz(at=vector(2.0, 1.0, 2.0), members=Hull(((1.0, 0.0, 0.0), (0.0, 0.0, 1.0))))
def largest_entry(np, x):
    return np.max(x)


@lipschitz(at=vector(0.0, 3.0, 0.0), members=Hull(((1.0, 0.0, 0.0), (0.0, 0.0, 1.0))))
def smallest_entry_by_sort(np, x):
    return np.sort(x)[0]


@lipschitz(at=vector(1.0, 2.0, 2.0), members=Hull(((0.0, 1.0, 0.0), (0.0, 0.0, 1.0))))
def median_with_a_tie(np, x):
    return np.median(x)


@lipschitz(
    at=vector(2.0, 2.0, 2.0), members=Hull(((1.0, 0.0, 0.0), (0.0, 1.0, 0.0), (0.0, 0.0, 1.0)))
)
def median_of_three_equal(np, x):
    return np.median(x)


@lipschitz(
    at=vector(1.0, 1.0, 1.0), members=Hull(((1.0, 1.0, 0.0), (1.0, 0.0, 1.0), (0.0, 1.0, 1.0)))
)
def two_largest(np, x):
    return np.sum(np.sort(x)[1:])


@lipschitz(at=vector(3.0, 3.0, 3.0), members=Hull((
    (1.0, -1.0, 0.0), (1.0, 0.0, -1.0), (0.0, 1.0, -1.0),
    (-1.0, 1.0, 0.0), (-1.0, 0.0, 1.0), (0.0, -1.0, 1.0),
)))  # fmt: skip
def range_of_equal_values(np, x):
    return np.max(x) - np.min(x)


@lipschitz(
    at=vector(1.0, 2.0, 2.0, 3.0, 4.0),
    members=Hull(((0.0, 1.0, 0.0, 0.0, 0.0), (0.0, 0.0, 1.0, 0.0, 0.0))),
)
def quantile_at_a_tie(np, x):
    return np.quantile(x, 0.5)


@lipschitz(at=numpy.zeros(3), members=Ball((0.0, 0.0, 0.0)))
def norm_of_zero(np, x):
    return np.linalg.norm(x)


@lipschitz(at=numpy.zeros(2), members=Ball((0.0, 0.0)))
def norm_written_out(np, x):
    return np.sqrt(np.sum(x**2))


@lipschitz(
    at=(vector(1.0, 2.0), vector(1.0, 2.0)),
    members=Ball((0.0, 0.0, 0.0, 0.0), axes=((1.0, 0.0, -1.0, 0.0), (0.0, 1.0, 0.0, -1.0))),
)
def distance_of_equal_points(np, x, y):
    return np.linalg.norm(x - y)


@lipschitz(at=vector(0.0, 1.0), members=Hull(((1.0, 1.0), (-1.0, 1.0))))
def l1_norm(np, x):
    return np.linalg.norm(x, ord=1)


@lipschitz(at=vector(2.0, -2.0), members=Hull(((1.0, 0.0), (0.0, -1.0))))
def linf_norm(np, x):
    return np.max(np.abs(x))


@lipschitz(at=numpy.zeros(2), members=Hull(((1.0, 0.0), (0.0, 1.0), (-1.0, 0.0), (0.0, -1.0))))
def linf_norm_of_zero(np, x):
    return np.linalg.norm(x, ord=numpy.inf)


@lipschitz(at=vector(1.0, 1.0, 2.0, 2.0), members=Hull((
    (1.0, 0.0, 1.0, 0.0), (1.0, 0.0, 0.0, 1.0), (0.0, 1.0, 1.0, 0.0), (0.0, 1.0, 0.0, 1.0),
)))  # fmt: skip
def max_pooling(np, x):
    return np.sum(np.max(np.reshape(x, (2, 2)), axis=1))


@lipschitz(at=vector(-1.0, -2.0, 0.0, 0.0), members=Hull((
    (0.0, 0.0, 1.0, 0.0), (0.0, 0.0, 0.0, 1.0), (0.0, 0.0, 0.0, 0.0),
)))  # fmt: skip
def relu_then_max_pooling(np, x):
    return np.sum(np.max(np.reshape(np.maximum(x, 0.0), (2, 2)), axis=1))


@lipschitz(at=vector(2.0, 2.0), members=Hull(((0.5, -0.5), (-0.5, 0.5))))
def std_of_two_equal(np, x):
    return np.std(x)


@lipschitz(
    at=vector(1.0, 1.0, 1.0),
    members=Ball(
        (0.0, 0.0, 0.0),
        axes=(vector(1.0, -1.0, 0.0) / 6.0**0.5, vector(1.0, 1.0, -2.0) / 18.0**0.5),
    ),
)
def std_of_three_equal(np, x):
    return np.sqrt(np.mean((x - np.mean(x)) ** 2))


@lipschitz(at=vector(0.0, 0.0), members=Hull(((1.0, 1.0), (-1.0, -1.0))))
def abs_of_a_sum(np, x):
    return np.abs(np.sum(x))


@lipschitz(at=numpy.zeros(2), members=Hull(((1.0, 1.0), (-1.0, 1.0), (1.0, -1.0), (-1.0, -1.0))))
def lasso_at_zero(np, w):
    x = np.array([[1.0, 0.0], [0.0, 1.0]])
    return np.sum((x @ w) ** 2) + np.sum(np.abs(w))


@lipschitz(at=vector(1.0, 0.0), members=Hull(((-1.0, 0.0), (0.0, 0.0))))
def hinge_loss(np, w):
    return np.mean(np.maximum(0.0, 1.0 - np.array([[1.0, 0.0]]) @ w))


@lipschitz(at=numpy.zeros(2), members=Hull(((0.0, 0.0), (1.0, 1.0), (-0.5, 0.5), (0.5, 1.5))))
def two_layer_network(np, x):
    hidden = np.maximum(np.array([[1.0, 1.0], [1.0, -1.0]]) @ x, 0.0)
    return np.array([1.0, -0.5]) @ hidden


@lipschitz("jvp", along=1.0, at=0.0, members=between(-1.0, 1.0))
def abs_forward(np, x):
    return np.abs(x)


@lipschitz("vjp", along=2.0, at=vector(1.0, 1.0), members=Hull(((2.0, 0.0), (0.0, 2.0))))
def max_backward(np, x):
    return np.max(x)


@lipschitz("second", at=0.0, members=between(-2.0, 2.0))
def second_derivative_of_x_times_abs(np, x):
    return x * np.abs(x)


@lipschitz("second", at=0.0, members=between(0.0, 2.0))
def second_derivative_of_relu_squared(np, x):
    return np.maximum(x, 0.0) ** 2


@lipschitz("second", at=1.0, members=between(0.0, 1.0))
def second_derivative_of_huber(np, x):
    a = np.abs(x)
    return np.where(a <= 1.0, 0.5 * x * x, a - 0.5)


# --- where conventions of single operations leave the set ----------------------------------------


def ramp(np, x):
    return np.where(x > 0.0, x, 0.0)


@lipschitz(at=0.0, members=between(0.5, 1.5))
def two_ramps_and_half_the_size(np, x):
    return ramp(np, x) - ramp(np, -x) + 0.5 * np.abs(x)


@lipschitz(at=0.0, members=between(2.0, 4.0))
def equality_before_a_kink(np, x):
    return np.where(x == 0.0, 0.0, np.abs(x) + 3.0 * x)


@lipschitz(at=0.0, members=between(1.0, 2.0))
def identity_of_clips_and_a_ramp(np, x):
    return np.clip(x, 0.0, 1.0) + np.clip(x, -1.0, 0.0) + ramp(np, x)


@lipschitz(at=0.0, members=between(4.0, 6.0))
def maxima_of_maxima_and_a_size(np, x):
    return np.maximum(np.minimum(5.0 * x, x), 5.0 * x) + np.abs(x)


@lipschitz(at=1.0, members=between(1.0, 3.0))
def if_equal_to_one(np, x):
    if x == 1.0:
        return 1.0
    return 2.0 * x - 1.0 + abs(x - 1.0)


@lipschitz(at=0.0, members=between(3.0, 5.0))
def signs_and_sizes(np, x):
    return 4.0 * np.sign(x) * np.abs(x) + np.abs(x)


@lipschitz(at=(1.0, 1.0), members=Hull(((1.5, 0.5), (0.5, 1.5))))
def ramps_of_a_difference(np, x, y):
    ahead = ramp(np, x - y) - ramp(np, y - x)
    return x + y - ahead + (x - y) + 0.5 * np.abs(x - y)


@lipschitz(at=vector(2.0, 2.0, 2.0), members=Hull((
    (2.0, 1.0, 1.0), (1.0, 2.0, 1.0), (1.0, 1.0, 2.0),
)))  # fmt: skip
def all_three_and_the_largest(np, x):
    return np.max(x) + np.median(x) + np.min(x) + np.max(x)


@lipschitz(at=(1.0, 1.0, 1.0), members=Hull(((0.0, 1.0, 1.0), (1.0, 0.0, 1.0), (1.0, 1.0, 0.0))))
def sum_less_the_smallest(np, x, y, z):
    smallest = np.minimum(np.minimum(x, y), z)
    return x + y + z - smallest


@lipschitz(at=vector(1.0, 0.0), members=Hull(((1.0, 0.5), (1.0, 1.5))))
def masked_parts_and_half_the_size(np, x):
    return np.sum(ramp(np, x) - ramp(np, -x)) + 0.5 * np.abs(x[1])


@lipschitz(at=0.0, members=between(-1.0, 1.0))
def cube_root_of_the_size_cubed(np, x):
    return np.cbrt(np.abs(x) ** 3)


@lipschitz(at=(0.0, 0.0), members=Ball((0.0, 1.0)))
def length_and_height_in_polar_coordinates(np, x, y):
    r, angle = np.hypot(x, y), np.arctan2(y, x)
    return r + r * np.sin(angle)


@lipschitz(at=vector(1.0, 1.0), members=Hull(((1.5, 0.5), (0.5, 1.5))))
def sum_and_deviation(np, x):
    return np.sum(np.sort(x)) + np.std(x)


@lipschitz(at=0.0, members=between(0.25, 0.75))
def size_of_a_sigmoid_from_its_middle(np, x):
    e = np.exp(-np.abs(x))
    p = np.where(x >= 0.0, 1.0 / (1.0 + e), e / (1.0 + e))
    return np.abs(p - 0.5) + 2.0 * p


@lipschitz(at=vector(0.0, 0.0), members=Hull(((2.0, -2.0), (0.0, 0.0), (2.0, 0.0), (0.0, -2.0))))
def network_with_a_linear_half(np, x):
    h = ramp(np, np.array([[1.0, 0.0], [-1.0, 0.0], [0.0, 1.0], [0.0, -1.0]]) @ x)
    linear = h[0] - h[1] - (h[2] - h[3])
    return linear + np.abs(x[0]) + np.abs(x[1])
