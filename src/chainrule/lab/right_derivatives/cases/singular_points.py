"""Removable singularities: formulas that break down at a point where the function does not."""

from __future__ import annotations

import numpy

from chainrule.lab.right_derivatives.case import GROUPS
from chainrule.lab.right_derivatives.cases.kinks_arrays import vector

singular = GROUPS["singular"]


# --- quotients that have a limit -----------------------------------------------------------------


@singular("grad", "second", at=0.0)
def sinc(np, x):
    return np.sinc(x)


@singular("grad", "second", at=0.0)
def sine_over_x_by_where(np, x):
    return np.where(x == 0.0, 1.0, np.sin(x) / x)


@singular("grad", "second", "third", at=0.0)
def sine_over_x_by_double_where(np, x):
    safe = np.where(x == 0.0, 1.0, x)
    return np.where(x == 0.0, 1.0, np.sin(safe) / safe)


@singular("grad", "second", at=0.0)
def expm1_over_x(np, x):
    return np.where(x == 0.0, 1.0, np.expm1(x) / x)


@singular("grad", at=0.0, expect=-0.5)
def bernoulli_function_by_if(np, x):
    if x == 0.0:
        return 1.0
    return x / np.expm1(x)


@singular("grad", "second", at=1.0)
def log_over_x_minus_one(np, x):
    return np.where(x == 1.0, 1.0, np.log(x) / (x - 1.0))


@singular("grad", "second", at=0.0)
def versine_over_square(np, x):
    return np.where(x == 0.0, 0.5, (1.0 - np.cos(x)) / (x * x))


@singular("grad", at=0.0, expect=0.0)
def tanh_over_x(np, x):
    return np.where(x == 0.0, 1.0, np.tanh(x) / x)


@singular("grad", at=0.0, expect=1 / 3)
def langevin_function(np, x):
    return np.where(x == 0.0, 0.0, 1.0 / np.tanh(x) - 1.0 / x)


@singular(at=(2.0, 2.0), expect=(0.5, 0.5))
def logarithmic_mean(np, a, b):
    return np.where(a == b, a, (a - b) / (np.log(a) - np.log(b)))


@singular(at=vector(0.0, 1.0))
def sum_of_sines_over_x(np, x):
    return np.sum(np.where(np.abs(x) < 1e-300, 1.0, np.sin(x) / x))


# --- roots of even powers, norms -----------------------------------------------------------------


@singular("grad", "second", at=0.0)
def root_of_the_fourth_power(np, x):
    return np.sqrt(x**4)


@singular(at=0.0, expect=0.0)
def x_times_root_of_its_square(np, x):
    return x * np.sqrt(x * x)


@singular("grad", "second", at=0.0)
def square_of_root_of_square(np, x):
    return np.sqrt(x * x) ** 2


@singular(at=0.0, expect=1.0)
def cube_root_of_a_cube(np, x):
    return np.cbrt(x**3)


@singular(at=0.0, expect=1.0)
def cube_of_a_cube_root(np, x):
    return np.cbrt(x) ** 3


@singular(at=0.0, expect=0.0)
def root_of_the_sixth_power(np, x):
    return np.sqrt(x**6) + np.sqrt(x**4)


@singular("grad", "hessian", at=numpy.zeros(3))
def norm_squared(np, x):
    return np.linalg.norm(x) ** 2


@singular("grad", "hessian", at=numpy.zeros(2))
def huber_of_a_norm(np, x):
    n = np.sqrt(np.sum(x * x))
    return np.where(n < 1.0, 0.5 * n**2, n - 0.5)


@singular(at=numpy.zeros(2), expect=numpy.zeros(2))
def norm_cubed(np, x):
    return np.linalg.norm(x) ** 3


@singular("jacobian", at=numpy.zeros(2), expect=numpy.zeros((2, 2)))
def vector_times_its_norm(np, x):
    return x * np.linalg.norm(x)


@singular("jacobian", at=numpy.zeros(2), expect=numpy.eye(2))
def vector_over_one_plus_norm(np, x):
    return x / (1.0 + np.linalg.norm(x))


@singular(at=numpy.zeros(2), expect=numpy.zeros(2))
def cosine_of_a_norm(np, x):
    return np.cos(np.linalg.norm(x))


@singular("hessian", at=numpy.zeros(2), expect=-numpy.eye(2))
def hessian_of_cosine_of_a_norm(np, x):
    return np.cos(np.sqrt(x[0] ** 2 + x[1] ** 2))


@singular(at=(0.0, 0.0), expect=(0.0, 0.0))
def hypot_squared(np, x, y):
    return np.hypot(x, y) ** 2


@singular(at=(0.0, 0.0), expect=(0.0, 0.0))
def hypot_times_x(np, x, y):
    return x * np.hypot(x, y)


@singular(at=(0.0, 0.0), expect=(0.0, 1.0))
def polar_coordinates_and_back(np, x, y):
    return np.hypot(x, y) * np.sin(np.arctan2(y, x))


@singular("grad", at=(0.0, 0.0), expect=(2.0, -3.0))
def polar_rotation(np, x, y):
    r, angle = np.sqrt(x * x + y * y), np.arctan2(y, x)
    return 2.0 * r * np.cos(angle) - 3.0 * r * np.sin(angle)


@singular(at=(0.0, 0.0), expect=(0.0, 0.0))
def square_times_the_angle(np, x, y):
    return (x * x + y * y) * np.arctan2(y, x)


@singular(at=numpy.array([[0.0, 0.0], [3.0, 4.0], [6.0, 8.0]]))
def all_distances_between_points(np, x):
    difference = x[:, None, :] - x[None, :, :]
    return np.sum(np.sqrt(np.sum(difference**2, axis=-1)))


@singular(
    "grad", "hvp", along=numpy.array([[1.0], [2.0], [-1.0]]), at=numpy.array([[0.0], [1.0], [4.0]])
)
def kernel_matrix_from_distances(np, x):
    distance = np.sqrt(np.sum((x[:, None, :] - x[None, :, :]) ** 2, axis=-1))
    return np.sum(np.exp(-(distance**2)) * np.array([[1.0, 2.0, 0.5]] * 3))


@singular(at=numpy.array([[1.0, 2.0], [1.0, 2.0]]), expect=numpy.zeros((2, 2)))
def squared_distance_by_norm_of_equal_points(np, x):
    return np.linalg.norm(x[0] - x[1]) ** 2


@singular(at=numpy.array([[0.0, 0.0], [3.0, 4.0]]))
def potential_without_the_diagonal(np, x):
    distance = np.linalg.norm(x[:, None, :] - x[None, :, :], axis=-1)
    other = np.array([[False, True], [True, False]])
    return np.sum(np.where(other, 1.0 / distance, 0.0))


# --- powers --------------------------------------------------------------------------------------


@singular("grad", "second", at=0.0)
def x_to_the_zero(np, x):
    return x**0.0 + x


@singular("grad", "second", at=0.0)
def polynomial_by_powers(np, x):
    return np.sum(np.array([3.0, 2.0, 5.0]) * x ** np.array([0.0, 1.0, 2.0]))


@singular(at=vector(0.0, 2.0))
def integer_powers_of_a_vector(np, x):
    return np.sum(x[:, None] ** np.array([0, 1, 2, 3]))


@singular(at=(0.0, 2.0), expect=(0.0, 0.0))
def zero_to_a_positive_power(np, x, y):
    return x**y


@singular(at=(0.0, 1.0), expect=(1.0, 0.0), by_hand=True)
def zero_to_the_one(np, x, y):
    return x**y


@singular("second", at=3.0, expect=0.0)
def constant_zero_to_a_power(np, y):
    return 0.0**y


@singular(at=0.0, expect=0.0)
def x_squared_to_the_x_squared_plus_one(np, x):
    return (x * x) ** 1.5


# --- products ------------------------------------------------------------------------------------


@singular("grad", "hessian", at=vector(0.0, 2.0, 3.0))
def product_with_a_zero(np, x):
    return np.prod(x)


@singular("grad", "hessian", at=vector(0.0, 0.0, 3.0))
def product_with_two_zeros(np, x):
    return np.prod(x)


@singular("grad", "jacobian", at=vector(2.0, 0.0, 3.0))
def running_product_with_a_zero(np, x):
    return np.sum(np.cumprod(x))


@singular(at=numpy.array([[0.0, 2.0], [0.0, 0.0]]))
def products_of_rows(np, x):
    return np.sum(np.prod(x, axis=1))


# --- equal values --------------------------------------------------------------------------------


@singular("grad", "hessian", at=vector(2.0, 2.0, 2.0))
def std_squared_of_equal_values(np, x):
    return np.std(x) ** 2


@singular("jacobian", at=vector(1.0, 1.0, 1.0))
def layer_norm_of_a_constant_row(np, x):
    centred = x - np.mean(x)
    return centred / (np.std(x) + 1e-3)


@singular("jacobian", at=vector(1.0, 1.0))
def layer_norm_written_out(np, x):
    mean = np.mean(x)
    deviation = np.sqrt(np.mean((x - mean) ** 2))
    return (x - mean) / (deviation + 0.5) * np.array([2.0, 3.0]) + np.array([0.1, 0.2])


@singular(at=vector(3.0, 3.0), expect=vector(0.0, 0.0))
def std_times_spread_of_equal_values(np, x):
    return np.std(x) * (x[0] - x[1])


@singular(at=vector(2.0, 2.0, 2.0), expect=vector(1.0, 1.0, 1.0) / 3.0)
def mean_plus_cubed_std(np, x):
    return np.mean(x) + np.std(x) ** 3


# --- logs and infinities -------------------------------------------------------------------------


@singular(at=(-numpy.inf, -numpy.inf), expect=(0.0, 0.0), by_hand=True)
def exp_of_logaddexp_of_nothing(np, x, y):
    return np.exp(np.logaddexp(x, y))


@singular(at=(2.0, -numpy.inf), expect=(1.0, 0.0), by_hand=True)
def logaddexp_with_nothing(np, x, y):
    return np.logaddexp(x, y)


@singular(at=vector(0.0, -numpy.inf, 1.0), by_hand=True,
          expect=vector(1 / (1 + numpy.e), 0.0, 1 / (1 + 1 / numpy.e)))  # fmt: skip
def logsumexp_with_minus_infinity(np, x):
    m = np.max(x)
    return m + np.log(np.sum(np.exp(x - m)))


@singular(at=3.0, expect=1.0)
def logaddexp_loop_from_minus_infinity(np, x):
    total = -np.inf
    for _ in range(3):
        total = np.logaddexp(total, x)
    return total


@singular(at=vector(0.5, 0.25))
def forward_algorithm_with_impossible_states(np, x):
    state = np.array([0.0, -np.inf])
    for _ in range(2):
        moved = state[:, None] + np.stack([np.stack([x[0], x[1]]), np.stack([x[1], x[0]])])
        state = np.logaddexp(moved[0], moved[1])
    return np.logaddexp(state[0], state[1])


@singular(at=(0.0, 2.0), expect=(numpy.log(2.0), 0.0))
def xlogy_at_zero(special, x, y):
    return special.xlogy(x, y)


@singular(at=0.0, expect=0.0)
def xlogy_of_squares(special, x):
    return special.xlogy(x * x, x * x)


@singular(at=vector(1.0, 2.0))
def cross_entropy_by_xlogy(np, special, x):
    counts = np.array([0.0, 3.0])
    p = x / np.sum(x)
    return -np.sum(special.xlogy(counts, p))


@singular(at=(0.0, 0.0), expect=(0.0, 0.0))
def quadratic_form_by_einsum_of_hypots(np, x, y):
    return np.hypot(x, y) * np.hypot(x, -y)


@singular(at=vector(0.0, 0.0), expect=vector(0.0, 0.0))
def geometric_mean_squared_of_squares(np, x):
    return np.sqrt(np.sum(x**2) ** 3)


@singular(at=0.0, expect=0.5)
def heaviside_free_limit(np, x):
    return np.where(x == 0.0, 0.0, x * x / (x + np.expm1(x)))


# --- formulas that people know by heart ----------------------------------------------------------


@singular("jacobian", at=numpy.zeros(3))
def rotation_by_a_zero_angle(np, w):
    angle = np.sqrt(np.sum(w * w))
    a = np.where(angle == 0.0, 1.0, np.sin(angle) / angle)
    b = np.where(angle == 0.0, 0.5, (1.0 - np.cos(angle)) / (angle * angle))
    v = np.array([1.0, 2.0, 3.0])
    once = np.cross(w, v)
    return v + a * once + b * np.cross(w, once)


@singular(at=numpy.array([[0.0, 0.0], [1.0, 1.0], [3.0, -1.0]]))
def matern_kernel_of_order_three_halves(np, x):
    d = np.sqrt(np.sum((x[:, None, :] - x[None, :, :]) ** 2, axis=-1)) * 3.0**0.5
    return np.sum((1.0 + d) * np.exp(-d) * np.array([[2.0, 1.0, 0.5]] * 3))


@singular("hessian", at=vector(1.0, 1.0))
def matern_kernel_of_order_five_halves(np, x):
    d = np.abs(x[0] - x[1]) * 5.0**0.5
    return (1.0 + d + d * d / 3.0) * np.exp(-d)


@singular("grad", "second", at=1.0)
def geometric_series(np, x):
    return np.where(x == 1.0, 5.0, (1.0 - x**5) / (1.0 - x))


@singular("grad", "second", at=0.0)
def sinc_with_a_taylor_guard(np, x):
    return np.where(np.abs(x) < 1e-4, 1.0 - x**2 / 6.0, np.sin(x) / x)


@singular("grad", "hessian", at=numpy.zeros((2, 2)))
def determinant_of_zero(np, a):
    return np.linalg.det(a)


@singular(at=numpy.array([[1.0, 2.0, 3.0], [2.0, 4.0, 6.0], [0.0, 1.0, 1.0]]))
def determinant_of_a_singular_matrix(np, a):
    return np.linalg.det(a)


@singular("grad", "hessian", at=numpy.zeros((2, 2)))
def frobenius_norm_squared(np, a):
    return np.linalg.norm(a) ** 2


@singular(at=numpy.array([[0.0, 0.0], [3.0, 4.0]]))
def squares_of_row_norms(np, x):
    return np.sum(np.linalg.norm(x, axis=1) ** 2)


@singular(at=numpy.zeros((2, 3)), expect=numpy.zeros((2, 3)))
def energy_of_row_lengths(np, x):
    lengths = np.sqrt(np.sum(x * x, axis=1))
    return np.sum(np.cosh(lengths) - 1.0)


@singular("second", at=0.0, expect=2.0)
def second_derivative_by_x_squared_times_a_power(np, x):
    return x**2 * (x**2 + 1.0) ** 0.0


@singular("hessian", at=(vector(0.0, 0.0)), expect=numpy.array([[0.0, 1.0], [1.0, 0.0]]))
def product_of_two_zeros(np, x):
    return np.prod(x)


@singular("hessian", at=vector(0.0, 0.0, 2.0))
def running_products_curve(np, x):
    return np.sum(np.cumprod(x))


@singular(at=vector(1.0, 2.0), expect=vector(1.0, 1.0))
def sum_that_skips_nan(np, x):
    return np.nansum(np.concatenate([x, np.array([np.nan])]))


@singular(at=(2.0, 3.0), expect=(3.0, 2.0))
def product_with_fmax_of_nan(np, x, y):
    return np.fmax(x, np.nan) * y


@singular("second", at=0.0)
def curvature_of_x_over_expm1(np, x):
    return np.where(x == 0.0, 1.0, x / np.expm1(x))


@singular(at=(0.0, 0.0), expect=(1.0, 2.0))
def quotient_of_forms_of_the_same_zero(np, x, y):
    r = x * x + y * y
    return np.where(r == 0.0, 0.0, (x + 2.0 * y) * np.sin(r) / r)


@singular("grad", "hessian", at=vector(0.0, 0.0))
def log1p_of_a_norm_squared_by_hypot(np, x):
    return np.log1p(np.hypot(x[0], x[1]) ** 2)


@singular(at=numpy.array([[2.0, 0.0], [0.0, 2.0]]), expect=numpy.eye(2))
def sum_of_equal_eigenvalues(np, a):
    return np.sum(np.linalg.eigvalsh(a))


@singular("jvp", along=vector(1.0, 1.0, -1.0), at=vector(1.0, 1.0, 1.0))
def standardised_constant_row(np, x):
    return (x - np.mean(x)) / np.sqrt(np.var(x) + 1e-5)


@singular("grad", "second", at=1.0)
def root_of_the_fourth_power_of_a_shifted_number(np, x):
    return np.sqrt(((x + 1.0) - 2.0) ** 4)


@singular(at=vector(0.0, 1.0))
def hypot_of_a_disguised_zero_times_its_sign(np, x):
    u = np.exp(0.25 * (np.maximum(x[0], 0.0) - np.maximum(-x[0], 0.0)))
    v = 1.0 - np.maximum(u, 1.0) - np.minimum(u, 1.0)
    return np.hypot(v + 1.0, 0.0) * np.sign(v + 1.0)
