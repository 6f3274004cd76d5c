"""Naive formulas of roots, powers and angles: near numbers subtracted, squares that overflow."""

from __future__ import annotations

from chainrule.lab.right_derivatives.case import GROUPS

naive = GROUPS["naive"]


# --- roots ---------------------------------------------------------------------------------------


@naive("value_and_grad", "second", points=[0.0001, 1e10, 1e20, 1e300])
def difference_of_roots(np, x):
    return np.sqrt(x + 1.0) - np.sqrt(x)


@naive(points=[1.0, 1e10, 1e15])
def difference_of_inverse_roots(np, x):
    return 1.0 / np.sqrt(x) - 1.0 / np.sqrt(x + 1.0)


@naive(points=[1e-17, -1e-9, 3.0])
def root_of_one_plus_x_less_one(np, x):
    return np.sqrt(1.0 + x) - 1.0


@naive(points=[1e-9, 1.0, 1e200])
def root_of_one_plus_square_less_one(np, x):
    return np.sqrt(1.0 + x * x) - 1.0


@naive(points=[-3.0, 1e9, 1e200])
def root_of_square_plus_one_less_x(np, x):
    return np.sqrt(x * x + 1.0) - x


@naive(points=[1e-8, 0.5, 0.999])
def one_less_root_of_one_less_square(np, x):
    return 1.0 - np.sqrt(1.0 - x * x)


@naive(points=[1.0, 1e12, 1e18])
def difference_of_cube_roots(np, x):
    return np.cbrt(x + 1.0) - np.cbrt(x)


@naive(points=[1e-10, 0.6, 0.99999])
def lorentz_factor_less_one(np, v):
    return 1.0 / np.sqrt(1.0 - v * v) - 1.0


@naive(points=[(1e-6, 1.0), (3.0, 4.0), (1e200, 1.0)])
def kinetic_energy(np, p, m):
    return np.sqrt(p**2 + m**2) - m


@naive(points=[(3e200, 4e200), (3e-200, 4e-200), (1e-170, 1e170), (3.0, -4.0)])
def hypotenuse(np, x, y):
    return np.sqrt(x * x + y * y)


@naive(points=[(3e180, 4e180, 12e180), (1e-190, 2e-190, 2e-190)])
def length_of_three(np, x, y, z):
    return np.sqrt(x**2 + y**2 + z**2)


@naive(points=[(3e200, 4e200), (3e-200, 4e-200), (1.0, 2.0)])
def cosine_of_the_angle_to_the_axis(np, x, y):
    return x / np.sqrt(x * x + y * y)


@naive(points=[(1e200, 1e180), (1e-200, 1e-180), (2.0, 8.0)])
def geometric_mean_of_two(np, x, y):
    return np.sqrt(x * y)


@naive(points=[1e200, 1e-200, 3.0])
def root_of_a_square_sum_of_itself(np, x):
    square = x**2
    return np.sqrt(square + square) / x + x


# --- quadratic equations -------------------------------------------------------------------------


@naive(points=[(1.0, 1e8, 1.0), (1.0, -3.0, 2.0), (2.0, 1e200, 3.0)])
def larger_root_of_a_quadratic(np, a, b, c):
    return (-b + np.sqrt(b * b - 4.0 * a * c)) / (2.0 * a)


@naive(points=[(1.0, -1e8, 1.0), (1.0, 3.0, 2.0)])
def smaller_root_of_a_quadratic(np, a, b, c):
    return (-b - np.sqrt(b**2 - 4.0 * a * c)) / (2.0 * a)


@naive(points=[(1e9, 1.0), (2.0, 1.0), (1e200, 1e150)])
def half_form_of_the_quadratic(np, p, q):
    return p - np.sqrt(p**2 - q)


@naive(points=[(94906265.625, 94906267.0, 94906268.375), (3.0, 4.0, 1.0)])
def discriminant(np, a, b, c):
    return b * b - a * c


# --- differences of powers and quotients ---------------------------------------------------------


@naive(points=[(1e8 + 1.0, 1e8), (3.0, 3.0 + 1e-12), (2.0, -1.0)])
def difference_of_squares(np, x, y):
    return x * x - y * y


@naive(points=[1e10, 1e17, -0.5])
def next_square(np, x):
    return (x + 1.0) ** 2 - x**2


@naive(points=[(2.0, 1e-12), (1e6, 1e-6)])
def difference_of_fifth_powers(np, x, h):
    return ((x + h) ** 5 - x**5) / h


@naive(points=[1e-13, -1e-8, 1.0])
def cube_less_one(np, x):
    return (1.0 + x) ** 3 - 1.0


@naive(points=[1.00001, 0.9999, 3.0])
def expanded_cube(np, x):
    return x**3 - 3.0 * x**2 + 3.0 * x - 1.0


@naive(points=[1e5, 1e10, 2.0])
def difference_of_reciprocals(np, x):
    return 1.0 / x - 1.0 / (x + 1.0)


@naive(points=[1e4, 1e8, 3.0])
def second_difference_of_reciprocals(np, x):
    return 1.0 / (x + 1.0) - 2.0 / x + 1.0 / (x - 1.0)


@naive(points=[1e8, 1e15, 2.0])
def quotient_less_one(np, x):
    return (x + 1.0) / (x - 1.0) - 1.0


@naive(points=[(1e200, 1e200), (1e-200, 1e-190), (2.0, 3.0)])
def parallel_resistors(np, a, b):
    return a * b / (a + b)


@naive(points=[(1e10, 1e10 + 1e-5), (1.0, 1.0 + 1e-15)])
def relative_difference(np, a, b):
    return (a * a - b * b) / (a + b) ** 2


@naive(points=[(9.0, 5.0, 4.0 + 1e-10), (3.0, 4.0, 5.0), (1e-150, 1e-150, 1e-150)])
def heron_area(np, a, b, c):
    s = (a + b + c) / 2.0
    return np.sqrt(s * (s - a) * (s - b) * (s - c))


@naive(points=[(1e8 + 1.0, 1e8, 1e8, 1e8 - 1.0), (2.0, 1.0, 1.0, 1.0)])
def determinant_of_two_rows(np, a, b, c, d):
    return a * d - b * c


@naive(points=[(1e300, 1e-300, 1e250), (2.0, 3.0, 4.0)])
def product_over_square(np, a, b, c):
    return a * c * b / (c * c) * c


@naive(points=[(200.0, 1e3), (150.0, 0.5), (3.0, 2.0)])
def ratio_of_powers(np, k, x):
    return x**k / x ** (k - 1.0)


@naive(points=[(500.0, 2.0), (-500.0, 3.0)])
def root_of_a_power(np, k, x):
    return (x ** (3.0 * k)) ** (1.0 / k)


@naive(points=[1e-12, 1e-6, 0.5])
def power_less_one(np, x):
    return ((1.0 + x) ** 0.25 - 1.0) / x


# --- trigonometric -------------------------------------------------------------------------------


@naive("value_and_grad", "second", points=[1e-9, 1e-4, 1.0])
def versine(np, x):
    return 1.0 - np.cos(x)


@naive(points=[1e-9, 1e-5, 1.0])
def versine_over_square(np, x):
    return (1.0 - np.cos(x)) / x**2


@naive(points=[1e-9, 1e-4, 2.0])
def half_angle_tangent(np, x):
    return (1.0 - np.cos(x)) / np.sin(x)


@naive(points=[1e-7, 1e-3, 1.0])
def tangent_less_sine(np, x):
    return np.tan(x) - np.sin(x)


@naive(points=[1e-6, 1e-3, 1.0])
def x_less_sine(np, x):
    return x - np.sin(x)


@naive(points=[1e-5, 1e-3, 0.5])
def tangent_less_x(np, x):
    return np.tan(x) - x


@naive(points=[1e-5, 1e-3, 2.0])
def sinh_less_x(np, x):
    return np.sinh(x) - x


@naive(points=[1e-8, 1e-5, 1e-3, 1.0])
def sine_over_x(np, x):
    return np.sin(x) / x


@naive(points=[1e-6, 1e-3, 1.0])
def arctan_over_x(np, x):
    return np.arctan(x) / x


@naive(points=[1e-6, 1e-3, 40.0])
def tanh_over_x(np, x):
    return np.tanh(x) / x


@naive(points=[1e-6, 1e-3, 1.0])
def cotangent_less_reciprocal(np, x):
    return 1.0 / np.tan(x) - 1.0 / x


@naive(points=[1e-6, 1e-3, 1.0])
def cosecant_less_reciprocal(np, x):
    return 1.0 / np.sin(x) - 1.0 / x


@naive(points=[1e-5, 1.0, 400.0])
def langevin(np, x):
    return np.cosh(x) / np.sinh(x) - 1.0 / x


@naive(points=[(1.0, 1e-12), (0.5, 1e-7), (2.0, 1.0)])
def difference_of_cosines(np, x, h):
    return np.cos(x + h) - np.cos(x)


@naive(points=[(1.0, 1e-12), (0.5, 1e-7), (2.0, 1.0)])
def difference_of_sines(np, x, h):
    return (np.sin(x + h) - np.sin(x)) / h


@naive(points=[(1.0, 1e-12), (0.5, 1e-7)])
def difference_of_tangents(np, x, h):
    return np.tan(x + h) - np.tan(x)


@naive(points=[1.0, 1e8, 1e15])
def difference_of_arctangents(np, x):
    return np.arctan(x + 1.0) - np.arctan(x)


@naive(points=[1e-8, 1e-4, 0.5])
def one_less_cosine_squared(np, x):
    return 1.0 - np.cos(x) ** 2


@naive(points=[0.25, 3.0, 1e5])
def cosine_squared_plus_sine_squared(np, x):
    return x * (np.cos(x) ** 2 + np.sin(x) ** 2)


@naive(points=[1e-18, 1e-6, 0.5])
def arccos_of_one_less_x(np, x):
    return np.arccos(1.0 - x)


@naive(points=[1e-5, 1e-3, 0.5])
def arcsin_less_x(np, x):
    return np.arcsin(x) - x


@naive(points=[1e-9, 1e-4, 1.0])
def log_of_cosine(np, x):
    return np.log(np.cos(x))


@naive(points=[1e-5, 1e-2, 1.0])
def cosine_less_its_parabola(np, x):
    return np.cos(x) - 1.0 + 0.5 * x * x


@naive(points=[(0.8, 0.8 + 1e-7, 1e-7), (0.1, 1.2, 2.0)])
def great_circle_by_the_cosine_law(np, a, b, d):
    return np.arccos(np.sin(a) * np.sin(b) + np.cos(a) * np.cos(b) * np.cos(d))


@naive(points=[(3.0, 4.0, 3.0, 4.0 + 1e-7), (1.0, 0.0, 1.0, 1e-6)])
def angle_between_near_vectors(np, a, b, c, d):
    return np.arccos((a * c + b * d) / (np.sqrt(a * a + b * b) * np.sqrt(c * c + d * d)))


@naive(points=[(5.0, 5.0 + 1e-8, 1e-8), (3.0, 4.0, 1.0)])
def law_of_cosines(np, a, b, angle):
    return np.sqrt(a * a + b * b - 2.0 * a * b * np.cos(angle))


# --- loops ---------------------------------------------------------------------------------------


@naive(points=[0.5, 0.05])
def unstable_recurrence(np, x):
    y = (np.exp(x) - 1.0) / x
    for n in range(1, 12):
        y = (np.exp(x) - n * y) / x
    return y


@naive(points=[1e-8, 0.3, 30.0])
def repeated_softplus(np, x):
    for _ in range(3):
        x = np.log(1.0 + np.exp(100.0 * x)) / 100.0
    return x


@naive(points=[20.0, -8.0])
def polynomial_of_alternating_signs(np, x):
    total, term = 1.0, 1.0
    for n in range(1, 90):
        term = term * (-x) / n
        total = total + term
    return total


@naive(points=[3.0, 1e8, 1e-8])
def pi_by_doubling_the_polygon(np, r):
    s = r * np.sqrt(2.0) / r
    for _ in range(20):
        s = np.sqrt(2.0 - np.sqrt(4.0 - s * s))
    return r * s * 2.0**21
