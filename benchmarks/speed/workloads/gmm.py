"""ADBench's Gaussian mixture: the gradient of its log-likelihood, with a Wishart prior.

Each of K components has a weight, a mean and a triangular square root of its precision: the
logarithms of the diagonal, then the entries under it, column by column.
"""

from __future__ import annotations

from math import lgamma, log, pi

import numpy as np

from benchmarks.speed.contender import Workload
from benchmarks.speed.workloads import adbench, builders


def objective(library, alphas, means, factors, x, gamma, m, constant):
    """alphas: (K), means: (K, d), factors: (K, d (d + 1) / 2), x: (N, d) -> ()."""
    xp, logsumexp = namespace(library)
    d = x.shape[1]
    place, below = triangle(d, library)
    lower = factors[:, place] * below  # (K, d, d)
    centred = x[:, None, :] - means  # (N, K, d)
    scaled = xp.exp(factors[:, :d]) * centred + xp.einsum("kij,nkj->nki", lower, centred)
    logarithms = factors[:, :d].sum(1)
    inner = alphas + logarithms - 0.5 * (scaled**2).sum(2)  # (N, K)
    likelihood = logsumexp(inner, 1).sum() - len(x) * logsumexp(alphas, 0)
    squares = (xp.exp(factors[:, :d]) ** 2).sum() + (factors[:, d:] ** 2).sum()
    prior = 0.5 * gamma**2 * squares - m * logarithms.sum()
    return likelihood + prior - constant


def constant(count, d, components, gamma, m) -> float:
    """What does not depend on the parameters."""
    n = d + m + 1
    multigamma = 0.25 * d * (d - 1) * log(pi) + sum(lgamma(0.5 * (n - i)) for i in range(d))
    prior = n * d * (log(gamma) - 0.5 * log(2)) - multigamma
    return components * prior + 0.5 * count * d * log(2 * pi)


def triangle(d: int, library) -> tuple:
    """Where each entry of the triangle stands among the factors, and 1 under the diagonal."""
    column, row = np.triu_indices(d, 1)
    place, below = np.zeros((d, d), int), np.zeros((d, d))
    place[row, column], below[row, column] = d + np.arange(len(row)), 1.0
    if library == "torch":
        import torch

        return torch.from_numpy(place), torch.from_numpy(below)
    return place, below


def logsumexp(z, axis):
    """With NumPy, as its users write it."""
    top = np.max(z, axis, keepdims=True)
    return np.log(np.sum(np.exp(z - top), axis)) + np.squeeze(top, axis)


def namespace(library) -> tuple:
    if library == "jax":
        import jax

        return jax.numpy, jax.scipy.special.logsumexp
    if library == "torch":
        import torch

        return torch, torch.logsumexp
    if library == "autograd":
        import autograd.numpy
        from autograd.scipy.special import logsumexp as theirs

        return autograd.numpy, theirs
    return np, logsumexp


def inputs(rng, d, K, n):
    """ADBench's file, or normal numbers of its scale."""
    file = adbench.numbers(f"gmm_d{d}_K{K}.txt")
    if file is not None and n == 1000:
        file.take(3)
        arrays = file.take(K), file.take(K, d), file.take(K, d * (d + 1) // 2), file.take(n, d)
        gamma, m = map(float, file.take(2))
    else:
        shapes = (K,), (K, d), (K, d * (d + 1) // 2), (n, d)
        arrays, (gamma, m) = [rng.normal(size=shape) for shape in shapes], (1.0, 0.0)
    return *arrays, gamma, m, constant(n, d, K, gamma, m)


def flops(d, K, n) -> float:
    """The triangular products of value and gradient."""
    return 3.0 * n * K * d * (d - 1)


def traffic(d, K, n) -> float:
    """Points and parameters in, gradients out."""
    return 8.0 * (n * d + 2 * K * (1 + d + d * (d + 1) // 2))


def draw(rng) -> dict:
    d, K, n = (int(rng.integers(*ends)) for ends in ((2, 24), (3, 60), (200, 3000)))
    return {"d": d, "K": K, "n": n}


workload = Workload(
    name="gmm",
    cases={"ADBench GMM, d 10, K 25, 1000 points, gradient": {"d": 10, "K": 25, "n": 1000}},
    inputs=inputs,
    contenders=builders.gradients(objective, 3),
    flops=lambda sizes: flops(**sizes),
    traffic=lambda sizes: traffic(**sizes),
    draw=draw,
    tolerance=1e-9,
    double=True,
    objectives=3,
)
