"""Expectations of functions that are continuous in their draws.

A case draws from `rng` as from NumPy's Generator. `mean` is its expectation in closed form, written
with mpmath; the truth is the derivative of it. The tests hold `mean` against NumPy's own draws.
"""

from __future__ import annotations

from mpmath import mp, mpf

from chainrule.lab.right_derivatives.case import GROUPS
from chainrule.lab.right_derivatives.cases.kinks_arrays import vector

expectation = GROUPS["expectation"]


# --- one draw of each distribution ---------------------------------------------------------------


@expectation(at=1.5, mean=lambda t: t**2 + 1)
def normal_location(np, t, rng):
    return rng.normal(t, 1.0) ** 2


@expectation(at=0.7, mean=lambda t: 1 + t**2)
def normal_scale(np, t, rng):
    return rng.normal(1.0, t) ** 2


@expectation(at=0.5, mean=lambda t: mp.cos(t) * mp.exp(-mpf(1) / 2))
def cosine_of_a_normal(np, t, rng):
    return np.cos(t + rng.standard_normal())


@expectation(at=0.3, mean=lambda t: mp.exp(t + mpf(1) / 8))
def lognormal_mean(np, t, rng):
    return rng.lognormal(t, 0.5)


@expectation(at=0.8, mean=lambda t: 2 * t**2)
def exponential_scale(np, t, rng):
    return rng.exponential(t) ** 2


@expectation(at=2.0, mean=lambda t: t**2 / 3)
def uniform_upper_end(np, t, rng):
    return rng.uniform(0.0, t) ** 2


@expectation(at=2.5, mean=lambda a: a * (a + 1))
def gamma_shape(np, a, rng):
    return rng.gamma(a) ** 2


@expectation(at=0.6, mean=lambda a: mp.digamma(a))
def log_of_a_gamma_of_small_shape(np, a, rng):
    return np.log(rng.gamma(a, 1.0))


@expectation(at=1.5, mean=lambda s: 3 * s)
def gamma_scale(np, s, rng):
    return rng.gamma(3.0, s)


@expectation(at=1.5, mean=lambda a: a / (a + 2))
def beta_first(np, a, rng):
    return rng.beta(a, 2.0)


@expectation(at=(2.0, 3.0), mean=lambda a, b: a * (a + 1) / ((a + b) * (a + b + 1)))
def beta_both(np, a, b, rng):
    return rng.beta(a, b) ** 2


@expectation(at=0.7, mean=lambda s: 2 * s**2)
def laplace_scale(np, s, rng):
    return rng.laplace(0.0, s) ** 2


@expectation(at=0.5, mean=lambda s: mp.pi**2 * s**2 / 3)
def logistic_scale(np, s, rng):
    return rng.logistic(0.0, s) ** 2


@expectation(at=(0.5, 2.0), mean=lambda m, s: m + mp.euler * s)
def gumbel_both(np, m, s, rng):
    return rng.gumbel(m, s)


@expectation(at=1.3, mean=lambda s: s * mp.sqrt(mp.pi / 2))
def rayleigh_scale(np, s, rng):
    return rng.rayleigh(s)


@expectation(at=1.8, mean=lambda a: mp.gamma(1 + 1 / a))
def weibull_shape(np, a, rng):
    return rng.weibull(a)


@expectation(at=5.0, mean=lambda a: 1 / (a - 1))
def pareto_shape(np, a, rng):
    return rng.pareto(a)


@expectation(at=2.0, mean=lambda a: a / (a + 1))
def power_shape(np, a, rng):
    return rng.power(a)


@expectation(at=0.3, mean=lambda m: (1 + m) / 3)
def triangular_mode(np, m, rng):
    return rng.triangular(0.0, m, 1.0)


@expectation(at=12.0, mean=lambda n: n / (n - 2))
def student_degrees(np, n, rng):
    return rng.standard_t(n) ** 2


@expectation(at=3.0, mean=lambda n: mp.digamma(n / 2) + mp.log(2))
def chisquare_degrees(np, n, rng):
    return np.log(rng.chisquare(n))


@expectation(at=14.0, mean=lambda n: n / (n - 2))
def f_degrees(np, n, rng):
    return rng.f(5.0, n)


@expectation(
    at=vector(0.8, 1.5, 2.0),
    mean=lambda a, b, c: a * (a + 1) / ((a + b + c) * (a + b + c + 1)),
)
def dirichlet_concentration(np, alpha, rng):
    return rng.dirichlet(alpha)[0] ** 2


@expectation(at=0.7, mean=lambda t: t * (2 - t) + mpf(1) / 2)
def multivariate_normal_mean(np, t, rng):
    x = rng.multivariate_normal(np.stack([t, 2.0 - t]), np.array([[1.0, 0.5], [0.5, 2.0]]))
    return x[0] * x[1]


# --- several draws, kinks, parameters outside of the draws ---------------------------------------


@expectation(at=0.4, mean=lambda t: (1 + t**2) * 2 * t)
def product_of_two_draws(np, t, rng):
    x, y = rng.normal(1.0, t), rng.exponential(t)
    return x * x * 2.0 * y


@expectation(at=1.2, mean=lambda t: 3 + (3 - t) ** 2)
def parameter_outside_of_the_draw(np, t, rng):
    return (rng.poisson(3.0) - t) ** 2


@expectation(at=0.3, mean=lambda t: t * mp.ncdf(t) + mp.npdf(t))
def relu_of_a_normal(np, t, rng):
    return np.maximum(t + rng.standard_normal(), 0.0)


def _larger(a, b):
    d = (a - b) / mp.sqrt(2)
    return a * mp.ncdf(d) + b * mp.ncdf(-d) + mp.sqrt(2) * mp.npdf(d)


@expectation(at=(0.2, -0.1), mean=_larger)
def larger_of_two_normals(np, a, b, rng):
    return np.maximum(rng.normal(a, 1.0), rng.normal(b, 1.0))


def _call(t):
    s, k = mpf("0.2"), mpf(1)
    d = (t - mp.log(k) + s**2) / s
    return mp.exp(t + s**2 / 2) * mp.ncdf(d) - k * mp.ncdf(d - s)


@expectation(at=0.05, mean=_call)
def call_option(np, t, rng):
    price = np.exp(t + 0.2 * rng.standard_normal())
    return np.maximum(price - 1.0, 0.0)


@expectation(at=0.8, mean=lambda t: t**2 / (1 + t))
def waiting_time_in_a_queue(np, t, rng):
    service, gap = rng.exponential(t), rng.exponential(1.0)
    return np.maximum(service - gap, 0.0)


@expectation(at=0.4, mean=lambda t: 5 * (t**2 + 1))
def vector_of_draws(np, t, rng):
    return np.sum(rng.normal(t, 1.0, size=5) ** 2)


@expectation(at=(1.0, 0.5), mean=lambda m, s: m**3 + 3 * m * s**2)
def cube_of_a_normal(np, m, s, rng):
    return (m + s * rng.standard_normal()) ** 3


@expectation(at=0.9, mean=lambda t: t**4)
def random_recurrence(np, t, rng):
    x = 1.0
    for _ in range(4):
        x = x * rng.normal(t, 0.3)
    return x


@expectation(at=0.6, mean=lambda t: t**2 + t + 1)
def later_draw_depends_on_a_normal(np, t, rng):
    x = rng.normal(t, 1.0)
    y = rng.normal(x, np.sqrt(t))
    return y * y
