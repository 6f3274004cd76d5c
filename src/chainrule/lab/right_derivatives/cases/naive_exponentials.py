"""Naive formulas of exponentials and logarithms: they overflow, underflow or cancel."""

from __future__ import annotations

from chainrule.lab.right_derivatives.case import GROUPS

naive = GROUPS["naive"]


def sigmoid(np, x):
    return 1.0 / (1.0 + np.exp(-x))


# --- ramps and sigmoids --------------------------------------------------------------------------


@naive("value_and_grad", "second", points=[-700.0, -40.0, 0.0, 40.0, 800.0])
def softplus(np, x):
    return np.log(1.0 + np.exp(x))


@naive(points=[-800.0, -1e-3, 50.0, 700.0])
def softplus_of_minus_x(np, x):
    return np.log(1.0 + np.exp(-x))


@naive(points=[-700.0, 0.5, 800.0])
def softplus_by_log1p(np, x):
    return np.log1p(np.exp(x))


@naive(points=[-30.0, 5.0, 100.0])
def softplus_with_sharpness(np, x):
    beta = 20.0
    z = np.exp(beta * x)
    return np.log(1.0 + z) / beta


@naive("value_and_grad", "second", points=[-700.0, -40.0, 0.0, 40.0, 700.0])
def logistic_sigmoid(np, x):
    return 1.0 / (1.0 + np.exp(-x))


@naive(points=[-700.0, -1.0, 800.0])
def sigmoid_by_quotient(np, x):
    e = np.exp(x)
    return e / (1.0 + e)


@naive(points=[-800.0, -40.0, 0.0, 40.0, 700.0])
def log_of_sigmoid(np, x):
    return np.log(sigmoid(np, x))


@naive(points=[-700.0, 0.0, 40.0, 800.0])
def log_of_one_minus_sigmoid(np, x):
    p = sigmoid(np, x)
    return np.log(1.0 - p)


@naive(points=[-40.0, 0.0, 40.0, 600.0])
def one_minus_sigmoid(np, x):
    return 1.0 - sigmoid(np, x)


@naive(points=[-350.0, -30.0, 0.0, 30.0, 350.0])
def sigmoid_times_its_complement(np, x):
    s = sigmoid(np, x)
    return s * (1.0 - s)


@naive(points=[-600.0, 0.0, 600.0])
def logistic_density(np, x):
    e = np.exp(-x)
    return e / (1.0 + e) ** 2


@naive(points=[-800.0, -1.0, 800.0])
def swish(np, x):
    return x / (1.0 + np.exp(-x))


@naive(points=[-600.0, -1.0, 2.0, 800.0])
def mish(np, x):
    return x * np.tanh(np.log(1.0 + np.exp(x)))


@naive(points=[(0.0, 40.0), (1.0, 40.0), (0.0, -40.0), (1.0, -700.0), (0.25, 800.0)])
def binary_cross_entropy(np, y, z):
    p = 1.0 / (1.0 + np.exp(-z))
    return -(y * np.log(p) + (1.0 - y) * np.log(1.0 - p))


@naive(points=[-500.0, 30.0, 500.0])
def focal_loss(np, z):
    p = sigmoid(np, z)
    return -((1.0 - p) ** 2) * np.log(p)


@naive(points=[(30.0, 31.0), (-2.0, 3.0), (500.0, 400.0)])
def difference_of_sigmoids(np, a, b):
    return sigmoid(np, a) - sigmoid(np, b)


@naive(points=[1e-20, 0.3, 1.0 - 1e-15])
def logit(np, p):
    return np.log(p / (1.0 - p))


@naive(points=[1e-20, 0.5, 1.0 - 1e-15])
def binary_entropy(np, p):
    return -p * np.log(p) - (1.0 - p) * np.log(1.0 - p)


@naive(points=[(0.3, 0.3 + 1e-9), (0.5, 0.25), (1e-9, 2e-9)])
def divergence_of_near_bernoullis(np, p, q):
    return p * np.log(p / q) + (1.0 - p) * np.log((1.0 - p) / (1.0 - q))


# --- hyperbolic functions written out ------------------------------------------------------------


@naive(points=[-800.0, -1e-9, 1e-12, 1.0, 800.0])
def tanh_by_exponentials(np, x):
    return (np.exp(x) - np.exp(-x)) / (np.exp(x) + np.exp(-x))


@naive(points=[-400.0, 1e-10, 400.0])
def tanh_by_one_exponential(np, x):
    e = np.exp(2.0 * x)
    return (e - 1.0) / (e + 1.0)


@naive(points=[1e-9, 20.0, 340.0])
def one_minus_tanh_squared(np, x):
    return 1.0 - np.tanh(x) ** 2


@naive(points=[-5.0, 20.0, 340.0])
def one_minus_tanh(np, x):
    return 1.0 - np.tanh(x)


@naive(points=[-700.0, 1e-12, 1e-3, 700.0])
def sinh_by_exponentials(np, x):
    return 0.5 * (np.exp(x) - np.exp(-x))


@naive(points=[-1e-6, 1e-9, 2.0])
def cosh_minus_one(np, x):
    return 0.5 * (np.exp(x) + np.exp(-x)) - 1.0


@naive(points=[1e-7, 1e-3, 1.0])
def cosh_minus_one_by_numpy(np, x):
    return np.cosh(x) - 1.0


@naive(points=[-800.0, 1e-6, 800.0])
def log_of_cosh(np, x):
    return np.log(np.cosh(x))


@naive(points=[1e-10, 1.0, 900.0])
def log_of_sinh(np, x):
    return np.log(np.sinh(x))


@naive(points=[0.1, 30.0, 360.0])
def log_of_tanh(np, x):
    return np.log(np.tanh(x))


@naive(points=[-350.0, 1.0, 740.0])
def hyperbolic_secant(np, x):
    return 2.0 / (np.exp(x) + np.exp(-x))


@naive(points=[1.0, 20.0, 300.0])
def cosh_minus_sinh(np, x):
    return np.cosh(x) - np.sinh(x)


@naive(points=[-1e8, -3.0, 1e-12, 1e200])
def arcsinh_by_log(np, x):
    return np.log(x + np.sqrt(x * x + 1.0))


@naive(points=[1.0 + 1e-10, 2.0, 1e200])
def arccosh_by_log(np, x):
    return np.log(x + np.sqrt(x * x - 1.0))


@naive(points=[1e-14, -1e-5, 0.5])
def arctanh_by_log(np, x):
    return 0.5 * np.log((1.0 + x) / (1.0 - x))


# --- exponentials less one, logs of one and a little ---------------------------------------------


@naive(points=[-1e-17, 1e-12, 1e-5, 2.0])
def exp_minus_one(np, x):
    return np.exp(x) - 1.0


@naive(points=[-1e-9, 1e-12, 1e-5, 3.0])
def exp_minus_one_over_x(np, x):
    return (np.exp(x) - 1.0) / x


@naive(points=[1e-10, 1.0, 800.0])
def x_over_exp_minus_one(np, x):
    return x / (np.exp(x) - 1.0)


@naive(points=[1e-10, 1.0, 800.0])
def bose_einstein(np, x):
    return np.exp(x) / (np.exp(x) - 1.0)


@naive(points=[1e-5, 1e-3, 2.0])
def exp_less_its_tangent(np, x):
    return np.exp(x) - 1.0 - x


@naive(points=[1e-7, 1e-4, 1.0])
def exp_plus_exp_less_two(np, x):
    return np.exp(x) + np.exp(-x) - 2.0


@naive(points=[1e-15, -1e-9, 3.0])
def two_to_the_x_less_one(np, x):
    return 2.0**x - 1.0


@naive(points=[(1.0, 1.0 + 1e-12), (-3.0, 2.0), (300.0, 300.0 + 1e-9)])
def difference_of_exponentials(np, x, y):
    return np.exp(x) - np.exp(y)


@naive(points=[1e-18, 1e-9, -1e-4, 5.0])
def log_of_one_plus_x(np, x):
    return np.log(1.0 + x)


@naive(points=[1e-12, -1e-6, 2.0])
def log_of_one_plus_x_over_x(np, x):
    return np.log(1.0 + x) / x


@naive(points=[1e-6, -1e-4, 1.0])
def log_of_one_plus_x_less_x(np, x):
    return np.log(1.0 + x) - x


@naive(points=[1e-12, 1.0, 40.0, 700.0])
def log_of_one_minus_exp(np, x):
    return np.log(1.0 - np.exp(-x))


@naive(points=[1e-10, 1.0, 800.0])
def log_of_exp_minus_one(np, x):
    return np.log(np.exp(x) - 1.0)


@naive(points=[-1000.0, 0.1, 1000.0])
def log_of_exp(np, x):
    y = np.exp(x)
    return np.log(y)


@naive(points=[(1000.0, -990.0), (-800.0, 1.0), (800.0, 800.0)])
def log_of_product_of_exponentials(np, a, b):
    return np.log(np.exp(a) * np.exp(b))


@naive(points=[(1000.0, 999.0), (-1000.0, -1001.0), (2.0, 1.0)])
def quotient_of_exponentials(np, a, b):
    return np.exp(a) / np.exp(b)


@naive(points=[(1000.0, 1001.0), (-900.0, -905.0), (1.0, 1.0)])
def log_of_sum_of_two(np, a, b):
    return np.log(np.exp(a) + np.exp(b))


@naive(points=[(900.0, 899.0), (1.0, 1.0 - 1e-10), (-800.0, -900.0)])
def log_of_difference_of_two(np, a, b):
    return np.log(np.exp(a) - np.exp(b))


@naive(points=[1e10, 1e20, 0.5])
def difference_of_logs(np, x):
    return np.log(x + 1.0) - np.log(x)


@naive(points=[(1e10, 1e10 + 1e-3), (3.0, 3.0 + 1e-12)])
def difference_of_logs_of_near_numbers(np, a, b):
    return np.log(a) - np.log(b)


@naive(points=[1.0 + 1e-10, 1.0 - 1e-7, 3.0])
def log_x_over_x_minus_one(np, x):
    return np.log(x) / (x - 1.0)


@naive(points=[10.0, 1e8, 1e14])
def euler_limit(np, n):
    return (1.0 + 1.0 / n) ** n


@naive(points=[1e-10, 1e-3, 1.0])
def euler_limit_of_a_small_number(np, x):
    return (1.0 + x) ** (1.0 / x)


@naive(points=[(0.05, 3.65e10), (1e-9, 12.0), (0.1, 2.0)])
def compound_interest(np, rate, periods):
    return (1.0 + rate / periods) ** periods


@naive(points=[(1e-12, 10.0), (0.05, 30.0)])
def annuity(np, rate, years):
    return (1.0 - (1.0 + rate) ** (-years)) / rate


# --- densities and tails -------------------------------------------------------------------------


@naive(points=[0.0, 60.0, -1e5])
def log_of_a_normal_density(np, x):
    return np.log(np.exp(-0.5 * x * x) / np.sqrt(2.0 * np.pi))


@naive(points=[0.2, 60.0, -500.0])
def log_of_a_mixture(np, x):
    return np.log(0.3 * np.exp(-0.5 * (x - 1.0) ** 2) + 0.7 * np.exp(-0.5 * (x + 1.0) ** 2))


@naive(points=[(900.0, 1000.0), (3.0, 2.0)])
def gamma_density_without_its_constant(np, k, x):
    return np.log(x ** (k - 1.0) * np.exp(-x))


@naive(points=[0.3, 0.999, 1e-3])
def log_of_a_binomial_likelihood(np, p):
    return np.log(p**2000 * (1.0 - p) ** 3000)


@naive(points=[1e-12, 1.0, 1e200])
def log_of_a_student_density(np, x):
    return -2.0 * np.log(1.0 + x * x / 3.0)


@naive(points=[0.5, 6.0, 20.0])
def one_minus_erf(special, x):
    return 1.0 - special.erf(x)


@naive(points=[1.0, -10.0, -36.0])
def log_of_the_normal_distribution(np, special, x):
    return np.log(0.5 * (1.0 + special.erf(x / np.sqrt(2.0))))


@naive(points=[0.1, 3.0, 25.0])
def erfc_with_its_scale(np, special, x):
    return np.exp(x * x) * special.erfc(x)


@naive(points=[(50.0, 200.0), (3.0, 180.0)])
def log_of_a_poisson_probability(np, special, rate, k):
    return np.log(np.exp(-rate) * rate**k / np.exp(special.gammaln(k + 1.0)))


@naive(points=[1e-9, 0.5, 700.0])
def planck(np, x):
    return x**3 / (np.exp(x) - 1.0)


@naive(points=[-745.0, -50.0, 3.0])
def gumbel_density(np, x):
    return np.exp(-(x + np.exp(-x))) if x > -6.0 else np.log(1.0 + np.exp(x)) * np.exp(-x)


@naive(points=[1e-9, 1.0, 500.0])
def ratio_of_tails(np, x):
    return (1.0 - np.exp(-2.0 * x)) / (1.0 - np.exp(-x))


@naive(points=[100.0, 1e-10, 1e3])
def log_of_one_minus_exp_of_square(np, x):
    return np.log(1.0 - np.exp(-x * x))
