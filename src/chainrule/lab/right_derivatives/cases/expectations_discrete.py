"""Expectations of discrete draws, and of what later draws, indices and branches make of them."""

from __future__ import annotations

from mpmath import mp, mpf

from chainrule.lab.right_derivatives.case import GROUPS
from chainrule.lab.right_derivatives.cases.kinks_arrays import vector

expectation = GROUPS["expectation"]


def _poisson(k, rate):
    return mp.exp(-rate) * rate**k / mp.factorial(k)


def _binomial(k, n, p):
    return mp.binomial(n, k) * p**k * (1 - p) ** (n - k)


def _sigmoid(x):
    return 1 / (1 + mp.exp(-x))


# --- one draw ------------------------------------------------------------------------------------


@expectation(at=0.3, mean=lambda p: 10 * p)
def bernoulli(np, p, rng):
    return 10.0 * rng.binomial(1, p)


@expectation(at=0.3, mean=lambda p: p * mp.exp(p) + (1 - p) * p**2)
def bernoulli_branch(np, p, rng):
    b = rng.binomial(1, p)
    return np.where(b == 1, np.exp(p), p**2)


@expectation(at=0.4, mean=lambda p: 20 * p * (1 - p) + 400 * p**2)
def binomial_squared(np, p, rng):
    return rng.binomial(20, p) ** 2.0


@expectation(at=0.55, mean=lambda p: sum(_binomial(k, 20, p) for k in range(13, 21)))
def binomial_above_a_majority(np, p, rng):
    return np.where(rng.binomial(20, p) > 12, 1.0, 0.0)


@expectation(at=2.5, mean=lambda r: r + r**2)
def poisson_squared(np, r, rng):
    return rng.poisson(r) ** 2.0


@expectation(at=2.5, mean=lambda r: (1 - mp.exp(-r)) / r)
def reciprocal_of_a_count(np, r, rng):
    return 1.0 / (1.0 + rng.poisson(r))


@expectation(at=8.0, mean=lambda r: 10 - sum((10 - k) * _poisson(k, r) for k in range(10)))
def sales_of_limited_stock(np, r, rng):
    return np.minimum(rng.poisson(r), 10.0)


@expectation(at=0.4, mean=lambda p: (2 - p) / p**2)
def geometric_squared(np, p, rng):
    return rng.geometric(p) ** 2.0


@expectation(at=0.4, mean=lambda p: mpf("0.9") * p / (1 - mpf("0.9") * (1 - p)))
def discounted_geometric(np, p, rng):
    return 0.9 ** rng.geometric(p)


@expectation(at=0.45, mean=lambda p: 5 * (1 - p) / p)
def negative_binomial(np, p, rng):
    return rng.negative_binomial(5, p) * 1.0


@expectation(
    at=0.2, mean=lambda t: (mp.exp(t) * 1 + mp.exp(-t) * 4 + 2) / (mp.exp(t) + mp.exp(-t) + 1)
)
def categorical_payoff(np, t, rng):
    logits = np.stack([t, -t, 0.0 * t])
    p = np.exp(logits) / np.sum(np.exp(logits))
    payoff = np.array([1.0, 4.0, 2.0])
    return payoff[rng.choice(3, p=p)]


@expectation(
    at=vector(0.1, 0.4),
    mean=lambda a, b: (mp.exp(a) * mp.sin(a) + mp.exp(b) * b**2) / (mp.exp(a) + mp.exp(b)),
)
def categorical_branch(np, w, rng):
    p = np.exp(w) / np.sum(np.exp(w))
    k = rng.choice(2, p=p)
    return np.where(k == 0, np.sin(w[0]), w[1] ** 2)


@expectation(at=0.5, mean=lambda t: (sum((k - 2 * t) ** 2 for k in range(6))) / 6)
def parameter_beside_a_die(np, t, rng):
    return (rng.integers(0, 6) - 2.0 * t) ** 2


@expectation(at=0.3, mean=lambda t: t**2 * 2)
def bernoulli_times_normal(np, t, rng):
    return rng.binomial(1, t) * rng.normal(2.0 * t, 1.0)


# --- draws that depend on draws ------------------------------------------------------------------


@expectation(at=2.0, mean=lambda t: t + t**2 + 1)
def normal_around_a_count(np, t, rng):
    count = rng.poisson(t)
    return rng.normal(count, 1.0) ** 2


@expectation(at=3.0, mean=lambda t: t * mpf("0.4"))
def thinned_counts(np, t, rng):
    return rng.binomial(rng.poisson(t), 0.4) * 1.0


@expectation(at=0.3, mean=lambda p: p * mpf("0.8") + (1 - p) * p)
def second_coin_depends_on_the_first(np, p, rng):
    first = rng.binomial(1, p)
    second = rng.binomial(1, np.where(first == 1, 0.8, p))
    return 1.0 * second


def _chain(t):
    up = mpf(1) / 2
    for _ in range(3):
        up = up * _sigmoid(t) + (1 - up) * _sigmoid(-t)
        up = up * mpf("0.9") + (1 - up) * mpf("0.2")
    return up


@expectation(at=0.7, mean=_chain)
def chain_of_spins(np, t, rng):
    spin = rng.binomial(1, 0.5)
    for _ in range(3):
        field = np.where(spin == 1, t, -t)
        spin = rng.binomial(1, 1.0 / (1.0 + np.exp(-field)))
        spin = rng.binomial(1, np.where(spin == 1, 0.9, 0.2))
    return spin * 1.0


@expectation(at=1.5, mean=lambda t: t * mp.exp(t * (mp.exp(-mpf(1) / 2) - 1)))
def discount_by_a_count(np, t, rng):
    return t * np.exp(-0.5 * rng.poisson(t))


@expectation(at=0.6, mean=lambda p: 4 * 10 * p * (1 - p) + (10 * (2 * p - 1)) ** 2)
def random_walk_squared(np, p, rng):
    position = 0.0
    for _ in range(10):
        position = position + 2.0 * rng.binomial(1, p) - 1.0
    return position**2


def _absorbed(p):
    states = {1: mpf(1)}
    for _ in range(8):
        following: dict = {}
        for x, w in states.items():
            if x in (0, 3):
                following[x] = following.get(x, 0) + w
            else:
                following[x + 1] = following.get(x + 1, 0) + w * p
                following[x - 1] = following.get(x - 1, 0) + w * (1 - p)
        states = following
    return sum(w * 5 for x, w in states.items() if x == 3)


@expectation(at=0.55, mean=_absorbed)
def absorbing_random_walk(np, p, rng):
    position = 1.0
    for _ in range(8):
        step = 2.0 * rng.binomial(1, p) - 1.0
        absorbed = (position == 0.0) | (position == 3.0)
        position = np.where(absorbed, position, position + step)
    return np.where(position == 3.0, 5.0, 0.0)


def _inventory(rate):
    states, cost = {5: mpf(1)}, mpf(0)
    for _ in range(3):
        following: dict = {}
        for stock, w in states.items():
            for demand in range(60):
                chance = w * _poisson(demand, rate)
                left = max(stock - demand, 0)
                cost += chance * (left + 4 * max(demand - stock, 0))
                left = 6 if left < 2 else left
                following[left] = following.get(left, 0) + chance
        states = following
    return cost


@expectation(at=3.0, mean=_inventory)
def inventory_with_reordering(np, rate, rng):
    stock, cost = 5.0, 0.0
    for _ in range(3):
        demand = rng.poisson(rate)
        left = np.maximum(stock - demand, 0.0)
        cost = cost + left + 4.0 * np.maximum(demand - stock, 0.0)
        stock = np.where(left < 2.0, 6.0, left)
    return cost


@expectation(at=2.2, mean=lambda t: t * 3)
def compound_sum(np, t, rng):
    total = 0.0
    for _ in range(rng.poisson(t)):
        total = total + rng.exponential(3.0)
    return total


@expectation(at=0.4, mean=lambda p: sum(v * p * (1 - p) ** k for k, v in enumerate([5, 3, 2, 8]))
             + (1 - p) ** 4 * 8)  # fmt: skip
def index_by_a_geometric_draw(np, p, rng):
    payoff = np.array([5.0, 3.0, 2.0, 8.0, 8.0])
    return payoff[np.minimum(rng.geometric(p) - 1, 4)]


@expectation(at=0.3, mean=lambda t: _sigmoid(t) * 2 + _sigmoid(-t) * mpf("0.5"))
def two_armed_bandit(np, t, rng):
    arm = rng.binomial(1, 1.0 / (1.0 + np.exp(-t)))
    reward = np.where(arm == 1, rng.normal(2.0, 1.0), rng.exponential(0.5))
    return reward


@expectation(at=0.35, mean=lambda p: 6 * p + 30 * p**2)
def vector_of_coins(np, p, rng):
    return np.sum(rng.binomial(1, p, size=6)) ** 2.0


@expectation(at=vector(0.2, 0.5, 0.7), mean=lambda a, b, c: a + a * b * 2 + a * b * c * 4)
def conjunction_of_coins(np, p, rng):
    x = rng.binomial(1, p)
    return 1.0 * x[0] + 2.0 * x[0] * x[1] + 4.0 * x[0] * x[1] * x[2]


@expectation(at=0.3, mean=lambda p: 1 - (1 - p) ** 4)
def any_of_four(np, p, rng):
    return np.max(rng.binomial(1, p, size=4)) * 1.0


@expectation(at=1.5, mean=lambda t: sum(_poisson(k, t) * mp.ncdf(k - 2) for k in range(60)))
def count_decides_a_threshold(np, t, rng):
    count = rng.poisson(t)
    return np.where(rng.normal(count, 1.0) > 2.0, 1.0, 0.0)


@expectation(at=0.8, mean=lambda t: -t * mp.exp(-2 * t))
def parity_of_a_count(np, t, rng):
    count = rng.poisson(t)
    return np.where(count % 2 == 0, count, -1.0 * count)
