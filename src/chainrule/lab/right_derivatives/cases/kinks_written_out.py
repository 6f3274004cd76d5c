"""Kinks written by comparisons: `where`, masks, nested selects, several layers of them."""

from __future__ import annotations

import numpy

from chainrule.lab.right_derivatives.case import GROUPS
from chainrule.lab.right_derivatives.cases.kinks_arrays import vector

kinks = GROUPS["kinks"]


def ramp(np, x):
    return np.where(x > 0.0, x, 0.0)


def size(np, x):
    return np.where(x > 0.0, x, -x)


@kinks(at=0.0, expect=1.0)
def ramp_of_x_less_ramp_of_minus_x(np, x):
    return ramp(np, x) - ramp(np, -x)


@kinks(at=0.0, expect=0.0)
def size_less_two_ramps(np, x):
    return size(np, x) - ramp(np, x) - ramp(np, -x)


@kinks(at=0.0, expect=0.0)
def size_of_x_less_size_of_minus_x(np, x):
    return size(np, x) - size(np, -x)


@kinks(at=0.0, expect=1.0)
def mask_times_x(np, x):
    return (x > 0.0) * x + (x <= 0.0) * x


@kinks(at=0.0, expect=1.0)
def strict_masks_on_both_sides(np, x):
    return x * np.where(x > 0.0, 1.0, 0.0) + x * np.where(x < 0.0, 1.0, 0.0)


@kinks(at=0.0, expect=4.0)
def ramp_of_ramp_of_ramp(np, x):
    up = ramp(np, 2.0 * ramp(np, 2.0 * x))
    down = ramp(np, 2.0 * ramp(np, -2.0 * x))
    return up - down


@kinks(at=0.0, expect=-3.0)
def three_way_maximum_and_its_mirror(np, x):
    top = np.maximum(np.maximum(x, 2.0 * x), -3.0 * x)
    bottom = np.minimum(np.minimum(-x, -2.0 * x), 3.0 * x)
    return -3.0 * x + top + bottom


@kinks(at=0.0, expect=1.0)
def maximum_with_itself_and_more(np, x):
    return np.maximum(np.maximum(x, x), np.sin(x))


@kinks(at=1.0, expect=1.0)
def saturating_counter(np, x):
    low = np.where(x < 1.0, x, 1.0)
    high = np.where(x >= 1.0, x, 1.0)
    return low + high


@kinks(at=0.0, expect=1.0)
def maximum_of_three_by_where(np, x):
    a, b = np.sin(x), np.expm1(x)
    first = np.where(a >= b, a, b)
    return np.where(first >= x, first, x)


@kinks(at=0.0, expect=0.0)
def triangle_wave_squared(np, x):
    t = np.where(x > 0.0, 1.0 - x, 1.0 + x)
    return (1.0 - t) ** 2


@kinks(at=0.0, expect=2.0)
def select_of_four_pieces(np, x):
    return np.where(
        x < -1.0, -2.0, np.where(x < 0.0, 2.0 * x, np.where(x < 1.0, np.sin(2.0 * x), np.sin(2.0)))
    )


@kinks(at=0.0, expect=5.0)
def maximum_inside_minimum_inside_maximum(np, x):
    inner = np.maximum(5.0 * x, x)
    middle = np.minimum(inner, 5.0 * x)
    return np.maximum(middle, 5.0 * x)


@kinks(at=(0.0, 0.0), expect=(1.0, 0.0))
def two_comparisons_decide(np, x, y):
    return np.where((x > 0.0) & (y > 0.0), np.sin(x), x)


@kinks(at=(1.0, 1.0), expect=(1.0, 1.0))
def where_greater_both_ways(np, x, y):
    return np.where(x > y, x, y) + np.where(x > y, y, x)


@kinks(at=(1.0, 1.0, 1.0), expect=(1.0, 1.0, 1.0))
def median_of_three_and_the_outer_two(np, x, y, z):
    median = np.maximum(np.minimum(x, y), np.minimum(np.maximum(x, y), z))
    high = np.where(x > y, np.where(x > z, x, z), np.where(y > z, y, z))
    low = np.where(x < y, np.where(x < z, x, z), np.where(y < z, y, z))
    return median + high + low


@kinks(at=0.0, expect=-2.0)
def reverse_order_of_pieces(np, x):
    pieces = np.stack([-2.0 * x, -2.0 * x + x * x, np.sin(-2.0 * x)])
    return np.max(pieces)


@kinks("second", at=0.0, expect=-1.0)
def second_order_of_the_winner(np, x):
    return np.maximum(np.cos(x), 1.0 - 0.5 * x * x)


@kinks("second", at=0.0, expect=0.25)
def softplus_by_two_wheres(np, x):
    m = np.where(x > 0.0, x, 0.0)
    return m + np.log(np.exp(x - m) + np.exp(-m))


@kinks("grad", "second", at=0.0)
def gelu_like_even_extension(np, x):
    a = size(np, x)
    return a * a * np.exp(-a * a) + np.log1p(a * a)


@kinks("second", at=0.0, expect=1.0)
def pseudo_huber_of_size(np, x):
    a = np.abs(x)
    return np.sqrt(1.0 + a * a) - 1.0


@kinks("second", at=0.0, expect=-1.0)
def cos_of_abs(np, x):
    return np.cos(np.abs(x))


@kinks("second", at=0.0, expect=1.0)
def cosh_of_abs(np, x):
    return np.cosh(np.abs(x))


@kinks(at=0.0, expect=1.0)
def sine_of_abs_times_sign(np, x):
    return np.sin(np.abs(x)) * np.sign(x)


@kinks(at=0.0, expect=1.0)
def arctan_of_abs_copied_to_the_left(np, x):
    return np.where(x >= 0.0, np.arctan(np.abs(x)), -np.arctan(np.abs(x)))


@kinks(at=0.0, expect=1.0)
def expm1_of_minus_abs_mirrored(np, x):
    e = np.exp(-np.abs(x))
    return np.where(x >= 0.0, 1.0 - e, e - 1.0)


@kinks(at=0.0, expect=0.25)
def sigmoid_by_if(np, x):
    if x >= 0.0:
        return 1.0 / (1.0 + np.exp(-x))
    e = np.exp(x)
    return e / (1.0 + e)


@kinks(at=0.0, expect=0.5)
def sigmoid_from_tanh_of_half_abs(np, x):
    return np.sign(x) * np.tanh(0.5 * np.abs(x))


@kinks(at=0.0, expect=1.0)
def if_inside_a_loop(np, x):
    total = 0.0
    for sign in (1.0, -1.0):
        y = sign * x
        if y > 0.0:
            total = total + sign * y
    return total


@kinks(at=3.0, expect=1.0)
def if_on_a_rounded_index(np, x):
    i = 0
    while i < 5 and x > i:
        i = i + 1
    return i - 1.0 + (x - (i - 1.0))


@kinks(at=vector(1.0, 1.0, 1.0, 1.0), expect=vector(1.0, 1.0, 1.0, 1.0))
def tournament_of_winners_and_losers(np, x):
    left, right = x[:2], x[2:]
    winners, losers = np.maximum(left, right), np.minimum(left, right)
    return np.max(winners) + np.min(winners) + np.max(losers) + np.min(losers)


@kinks(at=vector(2.0, 2.0, 2.0), expect=vector(1.0, 1.0, 1.0))
def max_by_masks_and_the_rest(np, x):
    best = np.where(x[0] > x[1], x[0], x[1])
    best = np.where(best > x[2], best, x[2])
    return best + (np.sum(x) - np.max(x))


@kinks(at=numpy.zeros(4), expect=vector(1.0, 1.0, 1.0, 1.0))
def leaky_relu_and_its_inverse(np, x):
    y = np.where(x > 0.0, x, 0.25 * x)
    return np.sum(np.where(y > 0.0, y, 4.0 * y))


@kinks("jacobian", at=numpy.zeros(2), expect=numpy.array([[1.0, 2.0], [3.0, 4.0]]))
def residual_block_that_is_linear(np, x):
    w = np.array([[1.0, 2.0], [3.0, 4.0]])
    h = w @ x
    return np.where(h > 0.0, h, 0.1 * h) + 0.9 * np.where(h > 0.0, 0.0, h)


@kinks(at=numpy.zeros((2, 2)), expect=2.0 * numpy.ones((2, 2)))
def mask_from_comparison_with_transpose(np, a):
    upper = np.where(a > a.T, a, a.T)
    lower = np.where(a > a.T, a.T, a)
    return np.sum(upper + lower)


@kinks(at=vector(1.0, 0.0, 2.0, 0.0), expect=vector(1.0, 1.0, 1.0, 1.0))
def positive_and_negative_parts_of_a_vector(np, x):
    positive = np.where(x > 0.0, x, 0.0)
    negative = np.where(x < 0.0, -x, 0.0)
    return np.sum(positive) - np.sum(negative)


@kinks(at=(vector(1.0, 2.0), vector(1.0, 2.0)), expect=(vector(0.0, 0.0), vector(0.0, 0.0)))
def squared_l1_distance_of_equal_vectors(np, x, y):
    return np.sum(np.abs(x - y)) ** 2


@kinks(at=(vector(1.0, 2.0), vector(1.0, 2.0)), expect=(vector(1.0, 1.0), vector(-1.0, -1.0)))
def earth_movers_balance(np, x, y):
    gain = np.where(x > y, x - y, 0.0)
    loss = np.where(x > y, 0.0, y - x)
    return np.sum(gain - loss)


@kinks("hvp", along=vector(1.0, 2.0), at=vector(0.0, 0.0), expect=vector(2.0, 4.0))
def hvp_of_squares_of_sizes(np, x):
    return np.sum(size(np, x) ** 2)


@kinks("hessian", at=vector(0.0, 0.0), expect=numpy.array([[2.0, 0.0], [0.0, 2.0]]))
def hessian_of_a_square_split_in_two(np, x):
    return np.sum(np.where(x > 0.0, x, 0.0) ** 2 + np.where(x > 0.0, 0.0, x) ** 2)


@kinks("vjp", along=vector(1.0, 1.0, 1.0), at=vector(1.0, 1.0, 1.0), expect=vector(1.0, 1.0, 1.0))
def vjp_of_running_order(np, x):
    a = np.where(x[0] < x[1], x[0], x[1])
    b = np.where(x[0] < x[1], x[1], x[0])
    c = np.where(b < x[2], b, x[2])
    d = np.where(b < x[2], x[2], b)
    return np.stack([a, c, d])


@kinks("grad", "hessian", at=vector(1.0, 0.5))
def root_of_a_fourth_power_of_a_sorted_sum(np, x):
    u = x[0] - 1.0
    total = np.sum(np.sort(np.stack([u, 0.0 * u, 1.0 + 0.0 * u]))) - 1.0
    return np.sqrt(total**4)


@kinks("hvp", along=vector(1.0, -2.0, 3.0), at=vector(0.0, 1.0, 1.0))
def smooth_function_of_disguised_sums(np, x):
    a = np.maximum(x[0], x[1]) + np.minimum(x[0], x[1])
    b = np.max(x[1:]) + np.min(x[1:])
    c = np.clip(b, 0.0, 2.0) + np.maximum(b - 2.0, 0.0) - np.maximum(-b, 0.0)
    return np.sin(a) * np.exp(0.25 * c) + ramp(np, a * c) - ramp(np, -a * c)
