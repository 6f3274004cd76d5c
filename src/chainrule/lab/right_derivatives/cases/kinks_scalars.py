"""Kinks at which the function of one or a few numbers is differentiable all the same."""

from __future__ import annotations

from chainrule.lab.right_derivatives.case import GROUPS

kinks = GROUPS["kinks"]


def relu(np, x):
    return np.maximum(x, 0.0)


def leaky_relu(np, x):
    return np.where(x > 0, x, 0.01 * x)


# --- sums of kinks that cancel -------------------------------------------------------------------


@kinks(at=0.0, expect=1.0)
def relu_of_x_less_relu_of_minus_x(np, x):
    return relu(np, x) - relu(np, -x)


@kinks(at=0.0, expect=1.0)
def maximum_plus_minimum(np, x):
    return np.maximum(0.0, x) + np.minimum(0.0, x)


@kinks(at=0.0, expect=0.0)
def relu_both_ways_less_abs(np, x):
    return relu(np, x) + relu(np, -x) - np.abs(x)


@kinks("grad", "jvp", along=1.0, at=0.0)
def twice_relu_less_abs(np, x):
    return 2.0 * relu(np, x) - np.abs(x)


@kinks(at=0.0, expect=1.01)
def leaky_relu_both_ways(np, x):
    return leaky_relu(np, x) - leaky_relu(np, -x)


@kinks(at=0.0, expect=0.99)
def leaky_relu_strict_and_not_strict(np, x):
    return np.where(x > 0, x, 0.01 * x) + np.where(x >= 0, 0.01 * x, x) - 0.02 * x


@kinks(at=3.0, expect=1.0)
def clip_and_what_it_cuts_off(np, x):
    return np.clip(x, -1.0, 3.0) + np.maximum(x - 3.0, 0.0)


@kinks(points=[-1.0, 3.0], expects=[1.0, 1.0])
def clip_by_two_maxima(np, x):
    return np.clip(x, -1.0, 3.0) + relu(np, x - 3.0) - relu(np, -1.0 - x)


@kinks(at=0.0, expect=0.0)
def sign_times_x_less_abs(np, x):
    return np.sign(x) * x - np.abs(x)


@kinks(at=0.0, expect=4.0)
def maximum_and_minimum_of_multiples(np, x):
    low, high = np.minimum(x, 5.0 * x), np.maximum(x, 5.0 * x)
    return np.maximum(low, 2.0 * x) + np.minimum(high, 2.0 * x)


@kinks(at=2.0, expect=1.0)
def two_hinges_meet(np, x):
    return np.maximum(0.0, x - 2.0) - np.maximum(0.0, 2.0 - x)


@kinks(at=1.0, expect=2.0)
def hinge_of_a_square(np, x):
    margin = x * x - 1.0
    return np.maximum(margin, 0.0) - np.maximum(-margin, 0.0)


@kinks(at=0.0, expect=7.0)
def deep_chain_of_relus(np, x):
    y = x
    for _ in range(3):
        y = relu(np, y) * 2.0 - relu(np, -y) * 2.0
    return y - relu(np, x) + relu(np, -x)


@kinks(at=0.0, expect=1.0)
def python_abs_and_builtin_max(np, x):
    return 0.5 * (x + abs(x)) - 0.5 * (abs(x) - x)


# --- flat kinks: products, squares, higher powers ------------------------------------------------


@kinks("grad", at=0.0, expect=0.0)
def x_times_abs_x(np, x):
    return x * np.abs(x)


@kinks("second", at=0.0, expect=0.0)
def square_times_abs(np, x):
    return x * x * np.abs(x)


@kinks(at=0.0, expect=0.0)
def relu_squared(np, x):
    return relu(np, x) ** 2


@kinks("second", at=0.0, expect=0.0)
def relu_cubed(np, x):
    return relu(np, x) ** 3


@kinks(at=0.0, expect=0.0)
def abs_to_the_three_halves(np, x):
    return np.abs(x) ** 1.5


@kinks(at=0.0, expect=0.0)
def maximum_of_a_square_and_a_cube(np, x):
    return np.maximum(x * x, x**3)


@kinks(at=0.0, expect=0.0)
def minimum_of_x_squared_and_minus_x_squared(np, x):
    return np.minimum(x**2, -(x**2)) + np.sin(x) * np.abs(x)


@kinks("second", at=0.0, expect=2.0)
def maximum_of_two_parabolas_of_third_contact(np, x):
    return np.maximum(x * x, x * x + x**3)


@kinks(at=0.0, expect=3.0)
def maximum_of_lines_that_touch(np, x):
    return np.maximum(np.sin(3.0 * x), 3.0 * x)


@kinks(at=0.0, expect=1.0)
def minimum_of_x_and_sine(np, x):
    return np.minimum(np.sin(x), x)


@kinks(at=0.0, expect=1.0)
def maximum_of_expm1_and_log1p(np, x):
    return np.maximum(np.expm1(x), np.log1p(x))


@kinks(at=0.0, expect=0.0)
def abs_of_a_cube(np, x):
    return np.abs(x**3)


@kinks(at=1.0, expect=0.0)
def abs_of_a_double_root(np, x):
    return np.abs((x - 1.0) ** 2 * (x + 2.0))


@kinks(at=0.0, expect=0.0)
def where_of_a_square(np, x):
    return np.where(x * x > 0.0, x * x * np.sign(x), 5.0 * x * x)


@kinks(at=0.0, expect=1.0)
def cube_decides_the_branch(np, x):
    return np.where(x**3 > 0.0, x, np.sin(x))


@kinks(at=0.0, expect=1.0)
def maximum_of_cubes(np, x):
    return np.maximum(x**3, 0.0) - np.maximum(-(x**3), 0.0) + x


# --- hand-written activations and losses ---------------------------------------------------------


@kinks("grad", "second", at=0.0)
def stable_softplus(np, x):
    return np.maximum(x, 0.0) + np.log1p(np.exp(-np.abs(x)))


@kinks("third", at=0.0, expect=0.0)
def stable_softplus_again(np, x):
    return np.maximum(x, 0.0) + np.log1p(np.exp(-np.abs(x)))


@kinks("second", at=0.0, expect=0.25)
def stable_softplus_by_where(np, x):
    return np.where(x > 0.0, x + np.log1p(np.exp(-x)), np.log1p(np.exp(x)))


@kinks("grad", "second", at=0.0)
def stable_logistic_loss(np, x):
    return np.maximum(x, 0.0) - x * 0.25 + np.log1p(np.exp(-np.abs(x)))


@kinks("grad", "second", at=0.0)
def stable_sigmoid_by_where(np, x):
    e = np.exp(-np.abs(x))
    return np.where(x >= 0.0, 1.0 / (1.0 + e), e / (1.0 + e))


@kinks("grad", at=0.0, expect=1.0)
def elu(np, x):
    return np.where(x > 0.0, x, np.expm1(x))


@kinks(at=0.0, expect=1.0)
def elu_by_clipped_exponential(np, x):
    return np.maximum(x, 0.0) + np.minimum(np.exp(x) - 1.0, 0.0)


@kinks(at=0.0, expect=1.0)
def celu_with_alpha(np, x):
    alpha = 2.0
    return np.maximum(0.0, x) + np.minimum(0.0, alpha * (np.exp(x / alpha) - 1.0))


@kinks(points=[1.0, -1.0], expects=[1.0, -1.0])
def huber(np, x):
    a = np.abs(x)
    return np.where(a <= 1.0, 0.5 * x * x, a - 0.5)


@kinks(points=[1.5, -1.5, 0.0], expects=[1.5, -1.5, 0.0])
def huber_by_minimum(np, x):
    a = np.abs(x)
    q = np.minimum(a, 1.5)
    return 0.5 * q * q + 1.5 * (a - q)


@kinks(at=1.0, expect=0.0)
def squared_hinge(np, margin):
    return np.maximum(0.0, 1.0 - margin) ** 2


@kinks(points=[0.0, 1.0], expects=[-1.0, 0.0])
def smooth_hinge(np, z):
    return np.where(z <= 0.0, 0.5 - z, np.where(z < 1.0, 0.5 * (1.0 - z) ** 2, 0.0))


@kinks(points=[0.5, -0.5], expects=[1.0, 1.0])
def softshrink_plus_clip(np, x):
    shrunk = np.where(x > 0.5, x - 0.5, np.where(x < -0.5, x + 0.5, 0.0))
    return shrunk + np.clip(x, -0.5, 0.5)


@kinks(at=0.0, expect=0.5)
def hard_swish(np, x):
    return x * np.clip(x + 3.0, 0.0, 6.0) / 6.0 + 0.0 * np.abs(x)


@kinks(at=0.0, expect=1.0)
def softsign(np, x):
    return x / (1.0 + np.abs(x))


@kinks(points=[1.0, -1.0], expects=[0.0, 0.0])
def tukey_biweight(np, x):
    return np.where(np.abs(x) <= 1.0, 1.0 - (1.0 - x * x) ** 3, 1.0) / 6.0


@kinks(points=[0.0, 1.0], expects=[0.0, 0.0])
def smoothstep(np, x):
    t = np.clip(x, 0.0, 1.0)
    return t * t * (3.0 - 2.0 * t)


@kinks("second", points=[0.0, 1.0], expects=[0.0, 0.0])
def smootherstep(np, x):
    t = np.clip(x, 0.0, 1.0)
    return t**3 * (t * (6.0 * t - 15.0) + 10.0)


@kinks("grad", "second", at=2.0)
def cubic_spline_piece(np, x):
    return np.where(x < 2.0, (x - 2.0) ** 3 + x * x, 2.0 * (x - 2.0) ** 3 + x * x)


@kinks(points=[1.0, 2.0], expects=[2.0, 4.0])
def piecewise_polynomial_by_select(np, x):
    return np.where(
        x < 1.0,
        x * x,
        np.where(x < 2.0, 1.0 + 2.0 * (x - 1.0) + (x - 1.0) ** 2, (4.0 + 4.0 * (x - 2.0))),
    )


# --- ties by equality ----------------------------------------------------------------------------


@kinks(at=0.0, expect=1.0)
def where_equal_to_zero(np, x):
    return np.where(x == 0.0, 0.0, np.sin(x))


@kinks(at=1.0, expect=2.0)
def where_equal_to_one(np, x):
    return np.where(x == 1.0, 1.0, x * x)


@kinks(at=0.0, expect=1.0)
def where_not_equal(np, x):
    return np.where(x != 0.0, np.expm1(x), 0.0)


@kinks("grad", "second", at=0.0)
def sinc_guarded_by_equality(np, x):
    safe = np.where(x == 0.0, 1.0, x)
    return np.where(x == 0.0, 1.0, np.sin(safe) / safe)


@kinks(at=(2.0, 2.0), expect=(2.0, 2.0))
def equal_arguments_have_a_special_case(np, x, y):
    return np.where(x == y, x * x, x * y)


@kinks(at=0.0, expect=3.0)
def equality_after_arithmetic(np, x):
    return np.where(3.0 * x == 2.0 * x, 0.0, 3.0 * x)


# --- `if`, loops ---------------------------------------------------------------------------------


@kinks(at=0.0, expect=1.0)
def if_greater(np, x):
    if x > 0.0:
        return np.sin(x)
    return x


@kinks(at=0.0, expect=1.0)
def if_relu_difference(np, x):
    def ramp(t):
        if t > 0.0:
            return t
        return 0.0 * t

    return ramp(x) - ramp(-x)


@kinks(at=0.0, expect=1.0)
def if_equal(np, x):
    if x == 0.0:
        return 0.0 * x
    return np.expm1(x)


@kinks(at=1.0, expect=2.0)
def if_chain(np, x):
    if x < 1.0:
        return x * x
    elif x == 1.0:
        return 1.0 + 0.0 * x
    return 2.0 * x - 1.0


@kinks(at=0.0, expect=2.0)
def builtin_max_and_min(np, x):
    return max(x, 2.0 * x) + min(x, 2.0 * x) - max(x, 0.0) - min(x, 0.0)


@kinks(at=2.0, expect=2.0)
def loop_until_below_one(np, x):
    total = 0.0 * x
    while x > 1.0:
        total = total + (x - 1.0) ** 2
        x = x - 1.0
    return total


@kinks("second", at=0.0, expect=-1.0)
def if_second_order(np, x):
    if x >= 0.0:
        return np.cos(x)
    return 1.0 - 0.5 * x * x


# --- several numbers -----------------------------------------------------------------------------


@kinks(at=(1.0, 1.0), expect=(1.0, 1.0))
def maximum_plus_minimum_of_two(np, x, y):
    return np.maximum(x, y) + np.minimum(x, y)


@kinks(at=(1.0, 1.0), expect=(1.0, 1.0))
def maximum_times_minimum(np, x, y):
    return np.maximum(x, y) * np.minimum(x, y)


@kinks(at=(2.0, 2.0), expect=(0.5, 0.5))
def mean_by_max_and_distance(np, x, y):
    return np.maximum(x, y) - 0.5 * np.abs(x - y)


@kinks(at=(0.0, 0.0), expect=(0.0, 0.0))
def product_of_abs(np, x, y):
    return np.abs(x) * np.abs(y)


@kinks(at=(0.0, 3.0), expect=(0.0, 0.0))
def abs_of_product_squared(np, x, y):
    return np.abs(x * y) * x


@kinks(at=(0.0, 0.0), expect=(1.0, -1.0))
def relu_of_difference_both_ways(np, x, y):
    return relu(np, x - y) - relu(np, y - x)


@kinks(at=(1.0, 1.0, 1.0), expect=(1.0, 1.0, 1.0))
def sum_by_order_statistics(np, x, y, z):
    highest = np.maximum(np.maximum(x, y), z)
    lowest = np.minimum(np.minimum(x, y), z)
    middle = np.maximum(np.minimum(x, y), np.minimum(np.maximum(x, y), z))
    return highest + lowest + middle


@kinks("jvp", along=2.0, at=(0.0, 0.0), expect=-2.0)
def jvp_through_abs_of_equal_sides(np, x, y):
    return np.abs(x - y) - 2.0 * np.maximum(x, y) + y


@kinks("second", at=0.0, expect=2.0)
def abs_squared(np, x):
    return np.abs(x) ** 2


@kinks("third", at=0.0, expect=6.0)
def sign_times_abs_cubed(np, x):
    return np.sign(x) * np.abs(x) ** 3


@kinks("second", at=0.0, expect=0.0)
def relu_difference_twice(np, x):
    return np.maximum(x, 0.0) - np.maximum(-x, 0.0)


@kinks("grad", "second", at=0.0)
def log_cosh_written_stably(np, x):
    a = np.abs(x)
    return a + np.log1p(np.exp(-2.0 * a)) - np.log(2.0)


@kinks("grad", at=(1.0, 1.0))
def logaddexp_written_stably(np, x, y):
    return np.maximum(x, y) + np.log1p(np.exp(-np.abs(x - y)))
