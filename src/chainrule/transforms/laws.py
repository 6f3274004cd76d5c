"""The laws of the basic draws: densities and quantiles of the continuous ones, and for the discrete
ones which other values a small change of a parameter leads to, and at what rate.

A discrete draw x of parameter p has d/dp E g(x) = E sum_j w_j (g(x_j) - g(x)), where the x_j are
other values:

    Bernoulli      w = 1 at 1, -1 at 0 (the other value)
    Poisson        g(x + 1) - g(x)
    binomial       (n - x) (g(x + 1) - g(x)) + x (g(x) - g(x - 1))
    geometric      -(x / p) (g(x + 1) - g(x))
    categorical    each other value, by its share of the weights

Each is the mean, over what the other draws leave open, of the stochastic perturbation of Arya et
al. that keeps the random bits: so its variance is no larger.
Source    Arya, Schauer, Schaefer and Rackauckas, "Automatic differentiation of programs with
          discrete randomness", NeurIPS 2022, for the idea; the averaged forms are ours.
"""

from __future__ import annotations

from collections.abc import Callable

import numpy as np

_ROOT_TWO_PI = np.sqrt(2.0 * np.pi)


def _special():
    from scipy import special  # loaded when it is needed: it is slow to load

    return special


# --- continuous draws: density and quantile; gamma draws have their shape as a further argument ---


def _gumbel_density(z):
    return np.exp(-z - np.exp(-z))


def _logistic_density(z):
    half = np.exp(-0.5 * np.abs(z))
    return (half / (1.0 + half * half)) ** 2


def _laplace_quantile(q):
    return np.where(q < 0.5, np.log(2.0 * q), -np.log(2.0 * (1.0 - q)))


def _gamma_density(x, a):
    special = _special()
    return np.where(x > 0, np.exp(special.xlogy(a - 1.0, x) - x - special.gammaln(a)), 0.0)


def _log_gamma_density(y, a):
    return np.exp(a * y - np.exp(y) - _special().gammaln(a))


def _log_gamma_quantile(q, a):
    special = _special()
    low = (np.log(q) + special.gammaln(a + 1.0)) / a  # exact where the draw is tiny
    return np.where(low < -30.0, low, np.log(np.maximum(special.gammaincinv(a, q), 1e-300)))


CONTINUOUS_LAWS: dict[str, tuple[Callable, Callable]] = {
    "standard_uniform": (lambda z: ((z >= 0) & (z < 1)) * 1.0, lambda q: q),
    "standard_normal": (lambda z: np.exp(-0.5 * z * z) / _ROOT_TWO_PI,
                        lambda q: _special().ndtri(q)),
    "standard_exponential": (lambda z: np.where(z >= 0, np.exp(-z), 0.0), lambda q: -np.log1p(-q)),
    "standard_gumbel": (_gumbel_density, lambda q: -np.log(-np.log(q))),
    "standard_logistic": (_logistic_density, lambda q: np.log(q) - np.log1p(-q)),
    "standard_laplace": (lambda z: 0.5 * np.exp(-np.abs(z)), _laplace_quantile),
    "standard_cauchy": (lambda z: 1.0 / (np.pi * (1.0 + z * z)),
                        lambda q: np.tan(np.pi * (q - 0.5))),
    "standard_gamma": (_gamma_density, lambda q, a: _special().gammaincinv(a, q)),
    "log_standard_gamma": (_log_gamma_density, _log_gamma_quantile),
}  # fmt: skip

# --- discrete draws: (position of the parameter, other values, weights) of draws x ---------------

Alternative = tuple[int, np.ndarray, np.ndarray]


def _bernoulli(x, p) -> list[Alternative]:
    return [(0, ~x, np.where(x, -1.0, 1.0))]


def _poisson(x, mean) -> list[Alternative]:
    return [(0, x + 1, np.ones(x.shape))]


def _binomial(x, n, p) -> list[Alternative]:
    return [(1, np.minimum(x + 1, n.astype(x.dtype)), n - x),
            (1, np.maximum(x - 1, 0), -1.0 * x)]  # fmt: skip


def _geometric(x, p) -> list[Alternative]:
    return [(0, x + 1, -x / p)]


ALTERNATIVES: dict[str, Callable[..., list[Alternative]]] = {
    "random_bernoulli": _bernoulli,
    "random_poisson": _poisson,
    "random_binomial": _binomial,
    "random_geometric": _geometric,
}


# --- all values of discrete draws ---------------------------------------------------------------
# (position of the parameter, the values, their shares, and the slopes of these by the parameter)

NEGLIGIBLE = 1e-15  # the probability that may lie outside of what counts as all values


def _poisson_values(mean):
    values = np.arange(int(how_many("random_poisson", mean)))
    share = _poisson_share(values, mean[..., None])
    before = _poisson_share(values - 1, mean[..., None])
    return 0, values, share, before - share


def _poisson_share(k, mean):
    special = _special()
    count = np.maximum(k, 0)
    share = np.exp(special.xlogy(count, mean) - mean - special.gammaln(count + 1.0))
    return np.where(k < 0, 0.0, share)


def _binomial_values(n, p):
    values = np.arange(int(np.max(n, initial=0.0)) + 1)
    n, p = n[..., None], p[..., None]
    fewer = np.maximum(n - 1.0, 0.0)
    slope = _binomial_share(values - 1, fewer, p) - _binomial_share(values, fewer, p)
    return 1, values, _binomial_share(values, n, p), n * slope


def _binomial_share(k, n, p):
    special = _special()
    inside = (k >= 0) & (k <= n)
    k = np.where(inside, k, 0.0)
    ways = special.gammaln(n + 1.0) - special.gammaln(k + 1.0) - special.gammaln(n - k + 1.0)
    logs = ways + special.xlogy(k, p) + special.xlog1py(n - k, -p)
    return np.where(inside, np.exp(logs), 0.0)


def _geometric_values(p):
    values = np.arange(1, int(how_many("random_geometric", p)) + 1)
    p, before = p[..., None], values - 1.0
    slope = (1.0 - p) ** before - before * p * (1.0 - p) ** np.maximum(before - 1.0, 0.0)
    return 0, values, p * (1.0 - p) ** before, slope


def _bernoulli_values(p):
    p = p[..., None]
    slope = np.broadcast_to(np.array([-1.0, 1.0]), (*p.shape[:-1], 2))
    return 0, np.array([False, True]), np.concatenate([1.0 - p, p], axis=-1), slope


def how_many(name: str, *parameters) -> float:
    """How many values count as all of them, for the widest of these draws."""
    if name == "random_bernoulli":
        return 2.0
    if name == "random_binomial":
        return float(np.max(parameters[0], initial=0.0)) + 1.0
    if name == "random_poisson":
        mean = float(np.max(parameters[0], initial=0.0))
        return np.floor(mean + 9.0 * np.sqrt(mean)) + 20.0
    least = float(np.min(parameters[0], initial=1.0))
    return 3.0 + (0.0 if least >= 1.0 else np.floor(np.log(NEGLIGIBLE) / np.log1p(-least)))


ALL_VALUES: dict[str, Callable] = {
    "random_bernoulli": _bernoulli_values,
    "random_poisson": _poisson_values,
    "random_binomial": _binomial_values,
    "random_geometric": _geometric_values,
}


# --- scores of discrete draws: how rare the rarest kind of value is, and the slope of log P(x) ----
# by the parameter that perturbations move (of a categorical draw: by its weights)


def _categorical_score(x, weights):
    count, total = weights.shape[-1], np.sum(weights, axis=-1, keepdims=True)
    if weights.ndim == 2:  # one row for all elements
        chosen = x.reshape(len(x), -1)
        often = np.stack([np.sum(chosen == k, axis=1) for k in range(count)], axis=-1)
        return often / weights - chosen.shape[1] / total
    return (x[..., None] == np.arange(count)) / weights - 1.0 / total


SCORES: dict[str, tuple[Callable, Callable]] = {
    "random_bernoulli": (lambda p: p * (1.0 - p),
                         lambda x, p: np.where(x, 1.0 / p, -1.0 / (1.0 - p))),
    "random_poisson": (lambda mean: mean, lambda x, mean: x / mean - 1.0),
    "random_binomial": (lambda n, p: np.where(n > 0, n * p * (1.0 - p), 1.0),
                        lambda x, n, p: x / p - (n - x) / (1.0 - p)),
    "random_geometric": (lambda p: 1.0 - p, lambda x, p: 1.0 / p - (x - 1.0) / (1.0 - p)),
    "random_categorical": (lambda weights: weights / np.sum(weights, axis=-1, keepdims=True),
                           _categorical_score),
}  # fmt: skip


def subset_score(order: np.ndarray, weights: np.ndarray) -> np.ndarray:
    """The derivative by the weights (n, K) of the log probability of drawing `order` (n, count)."""
    lanes = np.arange(len(order))
    left = np.ones(weights.shape)
    score = np.zeros(weights.shape)
    for chosen in order.T:
        total = np.sum(weights * left, axis=-1, keepdims=True)
        score -= left / total
        score[lanes, chosen] += 1.0 / weights[lanes, chosen]
        left[lanes, chosen] = 0.0
    return score
