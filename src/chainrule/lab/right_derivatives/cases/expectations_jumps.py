"""Expectations through jumps: thresholds, roundings and branches decided by continuous draws."""

from __future__ import annotations

from mpmath import mp, mpf

from chainrule.lab.right_derivatives.case import GROUPS
from chainrule.lab.right_derivatives.cases.kinks_arrays import vector

expectation = GROUPS["expectation"]


@expectation(at=95.0, mean=lambda t: 50 * mp.ncdf((t - 100) / 10))
def bonus_above_a_threshold(np, t, rng):
    sales = rng.normal(t, 10.0)
    return np.where(sales > 100.0, 50.0, 0.0)


@expectation(at=0.05, mean=lambda t: mp.ncdf(t / mpf("0.2")))
def digital_option(np, t, rng):
    price = np.exp(t + 0.2 * rng.standard_normal())
    return np.where(price > 1.0, 1.0, 0.0)


@expectation(at=0.7, mean=lambda t: mp.exp(-t))
def threshold_that_is_the_parameter(np, t, rng):
    return np.where(rng.exponential() > t, 1.0, 0.0)


@expectation(at=1.5, mean=lambda t: 10 * (1 - mp.exp(-t)) + t * mp.exp(-t))
def replacement_at_a_deadline(np, t, rng):
    failure = rng.exponential(1.0)
    return np.where(failure < t, 10.0, t)


@expectation(at=1.2, mean=lambda t: 1 - 2 * mp.exp(-t) + 3 * t * mp.exp(-t))
def maintenance_with_running_costs(np, t, rng):
    life = rng.exponential(1.0)
    if life < t:
        return life
    return 4.0 * t - 1.0


@expectation(at=0.3, mean=lambda t: 10 * t)
def uniform_below_the_parameter(np, t, rng):
    return np.where(rng.random() < t, 10.0, 0.0)


@expectation(at=0.3, mean=lambda t: 10 * t + t * (1 - t))
def branch_on_a_uniform(np, t, rng):
    if rng.random() < t:
        return 10.0
    return t


@expectation(at=1.4, mean=lambda s: 1 / (mp.exp(1 / s) - 1))
def floor_of_an_exponential(np, s, rng):
    return np.floor(rng.exponential(s))


@expectation(at=0.3, mean=lambda t: 2 * mp.ncdf(t) - 1)
def sign_of_a_normal(np, t, rng):
    return np.sign(t + rng.standard_normal())


@expectation(at=(1.0, 0.5), mean=lambda a, b: (3 * a + 7 * b) / (a + b))
def first_of_two_arrivals(np, a, b, rng):
    first, second = rng.exponential(1.0) / a, rng.exponential(1.0) / b
    return np.where(first < second, 3.0, 7.0)


@expectation(at=0.2, mean=lambda t: mp.ncdf(t) + 2 * mp.ncdf(t - 1))
def two_steps(np, t, rng):
    x = rng.normal(t, 1.0)
    return np.where(x > 0.0, 1.0, 0.0) + np.where(x > 1.0, 2.0, 0.0)


@expectation(at=0.8, mean=lambda t: 2 * mp.ncdf(-mp.sqrt(t)))
def square_above_the_parameter(np, t, rng):
    x = rng.standard_normal()
    return np.where(x * x > t, 1.0, 0.0)


@expectation(at=0.4, mean=lambda t: (t**2 + 1) * mp.ncdf(t) + t * mp.npdf(t) + t * mp.ncdf(-t))
def smooth_pieces_with_a_jump(np, t, rng):
    x = rng.normal(t, 1.0)
    return np.where(x > 0.0, x * x, t)


@expectation(at=0.5, mean=lambda t: mp.quad(lambda x: mp.npdf(x, t, 1) * mp.ncdf(x), [0, t, t + 9]))
def barrier_over_two_steps(np, t, rng):
    first = t + rng.standard_normal()
    second = first + rng.standard_normal()
    alive = (first > 0.0) & (second > 0.0)
    return np.where(alive, 1.0, 0.0)


@expectation(
    at=0.5,
    mean=lambda t: mp.quad(
        lambda x: mp.npdf(x, t, 1) * (x * mp.ncdf(x) + mp.npdf(x)), [0, t, t + 9]
    ),
)
def knock_out_option(np, t, rng):
    first = rng.normal(t, 1.0)
    last = rng.normal(first, 1.0)
    return np.where(first > 0.0, np.maximum(last, 0.0), 0.0)


@expectation(at=0.4, mean=lambda t: (mp.exp(t) * 3 + 5) / (mp.exp(t) + 1))
def choice_of_the_noisier_score(np, t, rng):
    payoff = np.array([3.0, 5.0])
    scores = np.stack([t + rng.gumbel(), 0.0 * t + rng.gumbel()])
    return payoff[np.argmax(scores)]


@expectation(at=0.6, mean=lambda t: mp.ncdf(t) * 2 + mp.ncdf(-t) * (t + 1))
def branch_with_a_later_draw(np, t, rng):
    if rng.normal(t, 1.0) > 0.0:
        return rng.exponential(2.0)
    return rng.normal(t + 1.0, 1.0)


@expectation(at=0.35, mean=lambda t: t * 4 + (1 - t) * (4 + 1))
def mixture_of_normals(np, t, rng):
    high = rng.random() < t
    x = rng.normal(np.where(high, 0.0, 2.0), np.where(high, 2.0, 1.0))
    return x * x


@expectation(at=0.3, mean=lambda t: (1 - t) * 4)
def zero_inflated_counts(np, t, rng):
    count = rng.poisson(4.0)
    return np.where(rng.random() < t, 0.0, count)


@expectation(at=0.4, mean=lambda p: 1 / p)
def trials_until_a_success(np, p, rng):
    count = 1.0
    while rng.random() > p:
        count = count + 1.0
    return count


@expectation(at=0.25, mean=lambda t: mp.ncdf(t) ** 3)
def all_above_zero(np, t, rng):
    x = rng.normal(t, 1.0, size=3)
    return np.where(np.min(x) > 0.0, 1.0, 0.0)


@expectation(at=0.25, mean=lambda t: 4 * mp.ncdf(t - mpf(1) / 2))
def count_above_a_level(np, t, rng):
    x = rng.normal(t, 1.0, size=4)
    return np.sum(np.where(x > 0.5, 1.0, 0.0))


@expectation(at=0.7, mean=lambda t: (mp.exp(-t) - mp.exp(-2 * t)) * 5)
def window_that_moves(np, t, rng):
    x = rng.exponential(1.0)
    return np.where((x > t) & (x < 2.0 * t), 5.0, 0.0)


@expectation(at=0.6, mean=lambda t: 1 - mpf(1) / 2 * mp.exp(-t))
def laplace_below_the_parameter(np, t, rng):
    return np.where(rng.laplace() < t, 1.0, 0.0)


@expectation(at=2.0, mean=lambda a: 1 - mp.betainc(a, 3, 0, mpf("0.5"), regularized=True))
def beta_above_a_half(np, a, rng):
    return np.where(rng.beta(a, 3.0) > 0.5, 1.0, 0.0)


@expectation(at=1.5, mean=lambda a: mp.gammainc(a, 2, mp.inf, regularized=True))
def gamma_above_two(np, a, rng):
    return np.where(rng.gamma(a) > 2.0, 1.0, 0.0)


def _metropolis(t):
    def density(y):
        return mp.npdf(y, 1, 1) * min(mpf(1), mp.exp(-t * (y * y - 1) / 2)) * (y * y - 1)

    return 1 + mp.quad(density, [-10, -4, -1, 1, 4, 10])


@expectation(at=0.8, mean=_metropolis)
def one_step_of_metropolis(np, t, rng):
    proposal = 1.0 + rng.standard_normal()
    ratio = np.exp(-0.5 * t * (proposal**2 - 1.0))
    return np.where(rng.random() < ratio, proposal**2, 1.0)


@expectation(at=vector(0.2, -0.3), mean=lambda a, b: 3 * mp.ncdf(a) + 2 * mp.ncdf(a) * mp.ncdf(b))
def two_gates(np, w, rng):
    open_first = rng.normal(w[0], 1.0) > 0.0
    open_second = rng.normal(w[1], 1.0) > 0.0
    return np.where(open_first, 3.0, 0.0) + np.where(open_first & open_second, 2.0, 0.0)
