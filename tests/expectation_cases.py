"""Functions of draws whose mean is known in closed form: the table that expectations are tested by.

`mean` is written with mpmath, so its derivative is known to many digits.
"""

from __future__ import annotations

import itertools
from collections.abc import Callable
from dataclasses import dataclass

import numpy as np
from mpmath import mp

import chainrule as cr


@dataclass(frozen=True)
class Case:
    """`f(t, rng)` has the mean `mean(t)`; it is differentiated at `at`."""

    name: str
    f: Callable
    mean: Callable
    at: float
    samples: int = 1000

    def value(self) -> float:
        return float(self.mean(mp.mpf(self.at)))

    def slope(self) -> float:
        return float(mp.diff(self.mean, mp.mpf(self.at)))


def _normal_above(c, mean, deviation=1):
    return mp.ncdf((mean - c) / deviation)


def _sum(terms):
    return mp.nsum(terms, [0, mp.inf])


def _poisson(g):
    return lambda t: _sum(lambda k: mp.exp(-t) * t**k / mp.factorial(k) * g(k))


def _binomial(n, g):
    return lambda p: mp.fsum(
        mp.binomial(n, k) * p**k * (1 - p) ** (n - k) * g(k) for k in range(n + 1)
    )


# --- pathwise: every continuous distribution ------------------------------------------------------


def _moments():
    pi, euler = mp.pi, mp.euler
    gamma = mp.gamma
    yield "normal", lambda t, r: r.normal(t, 0.5 * t) ** 2, lambda t: t**2 + t**2 / 4, 1.5
    yield "uniform", lambda t, r: r.uniform(-t, 2.0 * t) ** 2, lambda t: t**2, 0.7
    yield "exponential", lambda t, r: r.exponential(t) ** 2, lambda t: 2 * t**2, 0.6
    yield "laplace", lambda t, r: r.laplace(0.5, t) ** 2, lambda t: t**2 * 2 + mp.mpf(0.25), 0.8
    yield "logistic", lambda t, r: r.logistic(t, t) ** 2, lambda t: t**2 * (1 + pi**2 / 3), 0.6
    yield "gumbel", lambda t, r: r.gumbel(0.2, t), lambda t: mp.mpf(0.2) + euler * t, 1.1
    yield "lognormal", lambda t, r: r.lognormal(0.1, t), lambda t: mp.exp(0.1 + t**2 / 2), 0.5
    yield "rayleigh", lambda t, r: r.rayleigh(t), lambda t: t * mp.sqrt(pi / 2), 1.3
    yield "weibull", lambda t, r: r.weibull(t), lambda t: gamma(1 + 1 / t), 1.7
    yield "pareto", lambda t, r: r.pareto(t), lambda t: 1 / (t - 1), 4.5
    yield "power", lambda t, r: r.power(t), lambda t: t / (t + 1), 2.5
    yield ("triangular", lambda t, r: r.triangular(0.0, t, 3.0) ** 2,
           lambda t: (t**2 + 9 + 3 * t) / 6, 1.2)  # fmt: skip
    yield "gamma", lambda t, r: r.gamma(t, 2.0) ** 2, lambda t: 4 * t * (t + 1), 1.4
    yield "small gamma", lambda t, r: r.gamma(t), lambda t: t, 0.3
    yield ("chisquare", lambda t, r: np.log(r.chisquare(t)),
           lambda t: mp.psi(0, t / 2) + mp.log(2), 3.2)  # fmt: skip
    yield "beta", lambda t, r: r.beta(t, 2.0) ** 2, lambda t: t * (t + 1) / ((t + 2) * (t + 3)), 1.3
    yield ("standard_t", lambda t, r: abs(r.standard_t(t)),
           lambda t: 2 * mp.sqrt(t) * gamma((t + 1) / 2) / (gamma(t / 2) * mp.sqrt(pi) * (t - 1)),
           6.0)  # fmt: skip
    yield ("student_t", lambda t, r: r.student_t(9.0, t, t) ** 2,
           lambda t: t**2 * (1 + mp.mpf(9) / 7), 0.5)  # fmt: skip
    yield "f", lambda t, r: r.f(3.0, t), lambda t: t / (t - 2), 12.0
    yield ("dirichlet", lambda t, r: r.dirichlet(np.stack([t, 1.0, 2.0]))[0] ** 2,
           lambda t: t * (t + 1) / ((t + 3) * (t + 4)), 1.5)  # fmt: skip
    yield ("multivariate_normal",
           lambda t, r: np.prod(r.multivariate_normal(np.zeros(2), np.stack(
               [np.stack([1.0, t]), np.stack([t, 1.0])]))),
           lambda t: t, 0.4)  # fmt: skip
    yield "wald", lambda t, r: r.wald(t, 2.0) ** 2, lambda t: t**2 + t**3 / 2, 1.3
    yield ("vonmises", lambda t, r: np.cos(r.vonmises(0.0, t)),
           lambda t: mp.besseli(1, t) / mp.besseli(0, t), 1.3)  # fmt: skip
    yield ("noncentral chisquare", lambda t, r: r.noncentral_chisquare(3.0, t) ** 2,
           lambda t: 2 * (3 + 2 * t) + (3 + t) ** 2, 1.5)  # fmt: skip
    yield ("of half a degree", lambda t, r: r.noncentral_chisquare(0.5, t) ** 2,
           lambda t: 2 * (0.5 + 2 * t) + (0.5 + t) ** 2, 1.5)  # fmt: skip
    yield ("noncentral f", lambda t, r: r.noncentral_f(3.0, 14.0, t),
           lambda t: 14 * (3 + t) / (3 * 12), 1.5)  # fmt: skip
    yield ("kink", lambda t, r: np.maximum(r.normal(t, 1.0), 0.0),
           lambda t: t * mp.ncdf(t) + mp.npdf(t), 0.3)  # fmt: skip


# --- discrete draws -------------------------------------------------------------------------------


def _discrete():
    yield "bernoulli", lambda p, r: 10.0 * r.bernoulli(p), lambda p: 10 * p, 0.3
    yield ("bernoulli times p", lambda p, r: np.where(r.bernoulli(p), p * p, 1.0),
           lambda p: p**3 + 1 - p, 0.3)  # fmt: skip
    yield "binomial", lambda p, r: 1.0 * r.binomial(10, p) ** 2, _binomial(10, lambda k: k**2), 0.3
    yield ("binomial above", lambda p, r: 1.0 * (r.binomial(6, p) > 2),
           _binomial(6, lambda k: k > 2), 0.4)  # fmt: skip
    yield "poisson", lambda t, r: 1.0 * r.poisson(t) ** 2, lambda t: t + t**2, 3.0
    yield ("large poisson", lambda t, r: np.sqrt(1.0 + r.poisson(t)),
           lambda t: mp.fsum(mp.exp(-t + k * mp.log(t) - mp.loggamma(k + 1)) * mp.sqrt(1 + k)
                             for k in range(90)), 25.0)  # fmt: skip
    yield ("geometric", lambda p, r: 1.0 * r.geometric(p) ** 2, lambda p: (2 - p) / p**2, 0.3)
    yield ("logseries", lambda p, r: 1.0 * r.logseries(p) ** 2,
           lambda p: -p / ((1 - p) ** 2 * mp.log(1 - p)), 0.6)  # fmt: skip
    yield ("hypergeometric of a draw", _urn, lambda p: _binomial(10, _urn_of)(p), 0.4)
    yield ("negative_binomial", lambda p, r: 1.0 * r.negative_binomial(3.0, p) ** 2,
           lambda p: 3 * (1 - p) / p**2 + (3 * (1 - p) / p) ** 2, 0.4)  # fmt: skip
    yield ("multinomial", lambda p, r: 1.0 * np.max(r.multinomial(3, np.stack([p, 1.0 - p]))),
           lambda p: 2 + p**3 + (1 - p) ** 3, 0.3)  # fmt: skip
    yield ("product of counts", lambda p, r: 1.0 * np.prod(
        r.multinomial(9, np.stack([p, 2.0 * p, 1.0 - 3.0 * p]))),
           lambda p: 9 * 8 * 7 * p * 2 * p * (1 - 3 * p), 0.2)  # fmt: skip
    yield ("categorical", lambda t, r: np.array([1.0, 5.0, 2.0])[
        r.categorical(np.stack([t, 1.0 - t, 1.0]))], lambda t: (t + 5 * (1 - t) + 2) / 2, 0.3)
    yield ("logits", lambda t, r: np.array([1.0, 5.0, 2.0])[
        r.categorical(logits=np.stack([t, 2.0 * t, 0.0]))],
        lambda t: (mp.exp(t) + 5 * mp.exp(2 * t) + 2) / (mp.exp(t) + mp.exp(2 * t) + 1), 0.3)
    yield ("many categories",
           lambda t, r: 1.0 * r.categorical(np.exp(-t * np.arange(60.0))) ** 2,
           lambda t: mp.fsum(mp.exp(-t * k) * k**2 for k in range(60))
           / mp.fsum(mp.exp(-t * k) for k in range(60)), 0.1)  # fmt: skip
    yield ("choice", lambda p, r: r.choice(np.array([1.0, 4.0, 9.0]),
                                           p=np.stack([p, 0.5 - p, 0.5])),
           lambda p: p + 4 * (0.5 - p) + mp.mpf(4.5), 0.2)  # fmt: skip
    yield ("subset", lambda t, r: np.array([1.0, 3.0, 4.0])[r.choice(
        3, size=2, replace=False, p=np.stack([t, 0.5 - t, 0.5]))].sum(), _subset, 0.2)
    yield ("vector of bernoullis", lambda p, r: np.sum(r.bernoulli(p, size=5)) ** 2 * 1.0,
           _binomial(5, lambda k: k**2), 0.3)  # fmt: skip
    yield ("many bernoullis", lambda p, r: np.sum(r.bernoulli(p, size=100)) ** 2 * 1.0,
           lambda p: 100 * p * (1 - p) + 10_000 * p**2, 0.3)  # fmt: skip
    yield ("poisson of a gamma", lambda t, r: 1.0 * r.poisson(r.gamma(2.0, t)) ** 2,
           lambda t: 2 * t + 6 * t**2, 1.1)  # fmt: skip


def _urn(p, rng):
    good = rng.binomial(10, p)
    return 1.0 * rng.hypergeometric(good, 15 - good, 4) ** 2


def _urn_of(good):
    spread = 4 * good * (15 - good) * 11 / mp.mpf(15 * 15 * 14)
    return spread + mp.mpf(4 * good / 15) ** 2


def _subset(t):
    weights, values = (t, 0.5 - t, mp.mpf(0.5)), (1, 3, 4)
    return mp.fsum(
        weights[i] * weights[j] / (1 - weights[i]) * (values[i] + values[j])
        for i, j in itertools.permutations(range(3), 2)
    )


# --- jumps ----------------------------------------------------------------------------------------


def _jumps():
    yield ("bonus above a threshold", lambda t, r: np.where(r.normal(t, 1.0) > 1.0, 3.0, 0.5),
           lambda t: 0.5 + 2.5 * _normal_above(1, t), 0.3)  # fmt: skip
    yield ("threshold that moves", lambda t, r: 1.0 * (r.normal() > t),
           lambda t: _normal_above(t, 0), 0.3)  # fmt: skip
    yield ("threshold in an if", _if_above, lambda t: t + 2 * _normal_above(1, t), 0.3)
    yield ("digital option", lambda s, r: np.where(
        100 * np.exp(-s * s / 2 + s * r.normal()) > 110, 1.0, 0.0),
        lambda s: mp.ncdf((mp.log(mp.mpf(100) / 110) - s**2 / 2) / s), 0.2)
    yield ("own bernoulli", lambda p, r: np.where(r.random() < p, 3.0, 1.0),
           lambda p: 1 + 2 * p, 0.3)  # fmt: skip
    yield ("own exponential", lambda t, r: 1.0 * (-t * np.log(r.random()) > 1.0),
           lambda t: mp.exp(-1 / t), 0.8)  # fmt: skip
    yield ("rounding", lambda t, r: np.floor(3.0 * r.uniform(0.0, t)),
           lambda t: mp.fsum(1 - mp.mpf(k) / (3 * t) for k in range(1, 6)), 1.9)  # fmt: skip
    yield ("sum above", lambda t, r: 1.0 * (np.sum(r.normal(t, 1.0, size=4)) > 2.0),
           lambda t: _normal_above(2, 4 * t, 2), 0.3)  # fmt: skip
    yield ("count above", lambda t, r: 1.0 * np.sum(r.normal(t, 1.0, size=4) > 0.5),
           lambda t: 4 * _normal_above(0.5, t), 0.3)  # fmt: skip
    yield ("sum of many above", lambda t, r: 1.0 * (np.sum(r.normal(t, 1.0, size=50)) > 5.0),
           lambda t: _normal_above(5, 50 * t, mp.sqrt(50)), 0.1)  # fmt: skip
    yield ("largest size above",
           lambda t, r: 1.0 * (np.max(np.abs(r.normal(t, 1.0, size=12))) > 2.5),
           lambda t: 1 - (mp.ncdf(2.5 - t) - mp.ncdf(-2.5 - t)) ** 12, 0.3)  # fmt: skip
    yield ("largest above", lambda t, r: 1.0 * (np.max(r.normal(t, 1.0, size=3)) > 1.0),
           lambda t: 1 - mp.ncdf(1 - t) ** 3, 0.2)  # fmt: skip
    yield ("inside a circle",
           lambda t, r: 4.0 * (r.uniform(-1.0, 1.0) ** 2 + r.uniform(-1.0, 1.0) ** 2 < t * t),
           lambda t: mp.pi * t**2, 0.8)  # fmt: skip
    yield ("narrow window", lambda t, r: 1.0 * (np.abs(r.normal(t, 1.0) - 0.47) < 0.003),
           lambda t: mp.ncdf(0.473 - t) - mp.ncdf(0.467 - t), 0.2)  # fmt: skip
    yield ("gamma above", lambda a, r: 1.0 * (r.gamma(a) > 2.0),
           lambda a: mp.gammainc(a, 2, regularized=True), 1.7)  # fmt: skip
    yield ("small gamma above", lambda a, r: 1.0 * (r.gamma(a, 2.0) > 0.1),
           lambda a: mp.gammainc(a, 0.05, regularized=True), 0.4)  # fmt: skip
    yield ("beta above", lambda a, r: 1.0 * (r.beta(a, 3.0) > 0.3),
           lambda a: 1 - mp.betainc(a, 3, 0, 0.3, regularized=True), 1.5)  # fmt: skip
    yield ("student above", lambda d, r: 1.0 * (r.standard_t(d) > 1.0),
           lambda d: mp.betainc(d / 2, 0.5, 0, d / (d + 1), regularized=True) / 2, 3.0)
    yield ("exponentials in order", lambda t, r: 1.0 * (r.exponential(t) < r.exponential(1.0)),
           lambda t: 1 / (1 + t), 0.8)  # fmt: skip
    yield ("best of three", lambda t, r: np.array([1.0, 2.0, 5.0])[np.argmax(
        t * np.array([1.0, 2.0, 0.0]) + r.gumbel(size=3))],
        lambda t: (mp.exp(t) + 2 * mp.exp(2 * t) + 5) / (mp.exp(t) + mp.exp(2 * t) + 1), 0.3)
    yield ("best by its mask", _mask_of_best, lambda t: (
        mp.exp(t) + 2 * mp.exp(2 * t) + 5) / (mp.exp(t) + mp.exp(2 * t) + 1), 0.3)
    yield ("direction above", lambda t, r: 1.0 * (r.vonmises(t, 2.0) > 0.5),
           lambda t: mp.quad(lambda x: mp.exp(2 * mp.cos(x - t)), [0.5, mp.pi])
           / (2 * mp.pi * mp.besseli(0, 2)), 0.3)  # fmt: skip
    yield ("jump and slope", lambda t, r: _bonus(r.exponential(t)),
           lambda t: t + 2 * mp.exp(-1 / t), 0.9)  # fmt: skip
    yield ("cost after a deadline", lambda t, r: _late(r.exponential(t) + r.exponential(t)),
           lambda t: 2 * t + 5 * mp.exp(-3 / t) * (1 + 3 / t), 1.1)  # fmt: skip
    yield ("remainder", lambda t, r: r.uniform(0.0, t) % 1.0,
           lambda t: (mp.mpf(1) + (t - 2) ** 2 / 2) / t, 2.6)  # fmt: skip
    yield ("sign", lambda t, r: np.sign(r.laplace(t, 1.0)), lambda t: 1 - mp.exp(-t), 0.4)
    yield ("continuous where", lambda t, r: _leaky(r.normal(t, 1.0)),
           lambda t: 0.1 * t + 0.9 * (t * mp.ncdf(t) + mp.npdf(t)), 0.3)  # fmt: skip


def _if_above(t, rng):
    if rng.normal(t, 1.0) > 1.0:
        return t + 2.0
    return t


def _mask_of_best(t, rng):
    x = t * np.array([1.0, 2.0, 0.0]) + rng.gumbel(size=3)
    return np.sum(np.array([1.0, 2.0, 5.0]) * (x == np.max(x)))


def _bonus(x):
    return np.where(x > 1.0, x + 2.0, x)


def _late(x):
    return x + np.where(x > 3.0, 5.0, 0.0)


def _leaky(x):
    return np.where(x > 0, x, 0.1 * x)


# --- programs: branches, loops and indices by draws -----------------------------------------------


def _programs():
    yield "branch with a later draw", _branch, lambda t: t * (1 + t**2) + (1 - t) * 3 * t, 0.3
    yield "index by a draw", _index, lambda t: t**2 / 2 + t + 1, 0.7
    yield "until success", _until, lambda p: 1 / p, 0.4
    yield ("random walk", _walk, lambda p: 32 * p * (1 - p) + 64 * (2 * p - 1) ** 2, 0.4)
    yield "absorbed walk", _absorbed, _absorbed_mean, 0.45
    yield "walk above", _walked, lambda p: _binomial(20, lambda k: k > 11)(p), 0.55
    yield "sum of a random number", _compound, lambda t: t**2, 2.0
    yield "chain of spins", _spins, lambda b: 6 * mp.tanh(b), 0.4
    yield "dependent bernoullis", _pair, lambda p: p * (0.2 + p) + (1 - p) * 0.2, 0.3
    yield ("newsvendor", lambda t, r: 3.0 * np.minimum(r.poisson(t), 4),
           _poisson(lambda k: 3 * min(k, 4)), 3.0)  # fmt: skip
    yield ("order above demand", lambda q, r: np.where(r.exponential(2.0) > q, 4.0, 0.0) + q,
           lambda q: q + 4 * mp.exp(-q / 2), 1.5)  # fmt: skip
    yield "restocking", _restocking, _restocking_mean, 1.2
    yield "more draws after many", _many_after, _many_after_mean, 2.0
    yield "extinction", _extinct, _extinct_mean, 1.2
    yield "first passage", _passage, _passage_mean, 0.2
    yield ("mixture", lambda t, r: np.where(r.bernoulli(t), r.normal(2.0, 1.0), r.exponential(t)),
           lambda t: 2 * t + (1 - t) * t, 0.3)  # fmt: skip
    yield ("policy", _policy, lambda t: _policy_mean(t), 0.4)
    yield ("scan", _scanned, lambda p: 5 * p, 0.3)
    yield ("while_loop", lambda p, r: cr.while_loop(
        lambda s: s[1] < 1.0, lambda s: (s[0] + 1.0, s[1] + r.bernoulli(p)), (0.0, 0.0))[0],
        lambda p: 1 / p, 0.4)


def _branch(t, rng):
    if rng.bernoulli(t):
        return rng.normal(t, 1.0) ** 2
    return 3.0 * t


def _index(t, rng):
    table = np.stack([t * t, 2.0 * t, t * t + 4.0])
    return table[rng.binomial(2, 0.5)]


def _until(p, rng):
    n = 1
    while not rng.bernoulli(p):
        n += 1
    return 1.0 * n


def _walk(p, rng):
    x = 0.0
    for _ in range(8):
        x = x + np.where(rng.bernoulli(p), 1.0, -1.0)
    return x**2


def _walked(p, rng):
    x = 0
    for _ in range(20):  # far more combinations than are looked at all together
        x = x + np.where(rng.bernoulli(p), 1, -1)
    return 1.0 * (x > 2)


def _absorbed(p, rng):
    x = 0
    for step in range(6):
        x += 1 if rng.bernoulli(p) else -1
        if abs(x) == 2:
            return 1.0 * step * x
    return 0.0


def _absorbed_mean(p, x=0, step=0):
    if abs(x) == 2:
        return mp.mpf(step - 1) * x
    if step == 6:
        return mp.mpf(0)
    up, down = (_absorbed_mean(p, x + move, step + 1) for move in (1, -1))
    return p * up + (1 - p) * down


def _compound(t, rng):
    total = 0.0
    for _ in range(rng.poisson(t)):
        total = total + rng.normal(t, 1.0)
    return total


def _spins(b, rng):
    spin = np.where(rng.bernoulli(0.5), 1.0, -1.0)
    energy = 0.0
    for _ in range(6):
        other = np.where(rng.bernoulli(1.0 / (1.0 + np.exp(-2.0 * b * spin))), 1.0, -1.0)
        energy, spin = energy + spin * other, other
    return energy


def _pair(p, rng):
    first = rng.bernoulli(p)
    return 1.0 * rng.bernoulli(0.2 + p * first)


def _restocking(t, rng):
    stock, cost = 3.0, 0.0
    for _ in range(3):
        stock = stock - rng.poisson(t)
        if stock < 1:
            stock, cost = 3.0, cost + 5.0
        cost = cost + stock
    return cost


def _restocking_mean(t, stock=3, left=3):
    if not left:
        return mp.mpf(0)
    chance = [mp.exp(-t) * t**k / mp.factorial(k) for k in range(stock)]
    total = (1 - mp.fsum(chance)) * (5 + 3 + _restocking_mean(t, 3, left - 1))
    for k, share in enumerate(chance):
        total += share * (stock - k + _restocking_mean(t, stock - k, left - 1))
    return total


def _many_after(t, rng):
    count = rng.poisson(t)
    if count > 2:
        return 5.0 + 0.1 * np.mean(rng.poisson(t, size=70))
    return 1.0 * count


def _many_after_mean(t):
    few = [mp.exp(-t) * t**k / mp.factorial(k) for k in range(3)]
    return few[1] + 2 * few[2] + (1 - mp.fsum(few)) * (5 + t / 10)


def _extinct(t, rng):
    children = 1
    for _ in range(3):
        children = rng.poisson(t * children)
    return np.where(children == 0, 1.0, 0.0)


def _extinct_mean(t):
    return mp.exp(t * (mp.exp(t * (mp.exp(-t) - 1)) - 1))


def _passage(t, rng):
    x = 0.0
    for step in range(2):
        x = x + rng.normal(t, 1.0)
        if x > 1.0:
            return 1.0 * step
    return 5.0


def _passage_mean(t):
    first = mp.ncdf(t - 1)
    second = mp.quad(lambda x: mp.npdf(x - t) * mp.ncdf(x + t - 1), [-9, -3, 0, 1])
    return second + 5 * (1 - first - second)


def _policy(t, rng):
    state, reward = 0, 0.0
    for _ in range(3):
        logits = np.stack([t, 0.0]) * (1.0 + state)
        state = rng.categorical(logits=logits)
        reward = reward + np.where(state == 1, 2.0, 1.0)
    return reward


def _policy_mean(t, state=0, left=3):
    if not left:
        return mp.mpf(0)
    p = 1 / (1 + mp.exp(-t * (1 + state)))
    return p * (1 + _policy_mean(t, 0, left - 1)) + (1 - p) * (2 + _policy_mean(t, 1, left - 1))


def _scanned(p, rng):
    total, _ = cr.scan(lambda x, _: (x + rng.bernoulli(p), None), 0.0, np.arange(5))
    return total


CASES = [
    Case(*row) for group in (_moments, _discrete, _jumps, _programs) for row in group()
]
