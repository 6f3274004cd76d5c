"""What it costs to settle ties: compiled gradients with kinks="exact" beside "convention".

    python benchmarks/kinks.py

Prints microseconds a call, their ratio, and how often a choice of the first run met a tie, for a
network of two layers without ties, with one tie (an input row of zeros and a zero bias), and for a
convolutional network with relu, max-pooling, dropout and zero biases on images with zero patches.
"""

from __future__ import annotations

import time
from functools import partial

import numpy as np

import chainrule as cr
from chainrule import nn

R = np.random.default_rng(0)


def alternating(calls, rounds: int = 300) -> list[float]:
    """Microseconds of the fastest of many runs of each call, run in turn."""
    found: list[list[float]] = [[] for _ in calls]
    for call in calls:
        call()
    for _ in range(rounds):
        for call, times in zip(calls, found, strict=True):
            start = time.perf_counter()
            call()
            times.append(time.perf_counter() - start)
    return [1e6 * min(times) for times in found]


def network(rows: np.ndarray):
    weights = [R.normal(size=(64, 128)) * 0.1, np.zeros(128), R.normal(size=(128, 10)) * 0.1]
    wanted = R.normal(size=(len(rows), 10))

    def loss(p):
        hidden = np.maximum(rows @ p[0] + p[1], 0)
        return np.mean((hidden @ p[2] - wanted) ** 2)

    return loss, weights, lambda p: rows @ p[0] + p[1] == 0


def convolutional(images: np.ndarray):
    weights = [
        R.normal(size=(3, 3, 1, 8)) * 0.3, np.zeros(8), R.normal(size=(3, 3, 8, 16)) * 0.1,
        np.zeros(16), R.normal(size=(16, 10)) * 0.3,
    ]  # fmt: skip
    wanted = R.normal(size=(len(images), 10))
    kept = (R.random((len(images), 16)) < 0.8) / 0.8

    def loss(p):
        x = nn.max_pool(np.maximum(nn.convolution(images, p[0]) + p[1], 0), 2)
        x = nn.max_pool(np.maximum(nn.convolution(x, p[2]) + p[3], 0), 2)
        return np.mean(((np.mean(x, axis=(1, 2)) * kept) @ p[4] - wanted) ** 2)

    return loss, weights, lambda p: nn.convolution(images, p[0]) + p[1] == 0


def main() -> None:
    """Print the table."""
    rows = R.normal(size=(32, 64))
    tied = rows.copy()
    tied[3] = 0.0
    images = R.normal(size=(16, 28, 28, 1))
    images[:, :8, :8] = 0.0
    print(f"{'':34s}{'convention':>12s}{'exact':>12s}{'ratio':>8s}{'ties':>9s}")
    for name, (loss, weights, choices) in {
        "network, no tie": network(rows),
        "network, one row of zeros": network(tied),
        "convolutions, zero patches": convolutional(images),
    }.items():
        exact = cr.compile(cr.grad(loss))
        convention = cr.compile(cr.grad(loss, kinks="convention"))
        a, b = alternating([partial(convention, weights), partial(exact, weights)])
        print(f"{name:34s}{a:12.1f}{b:12.1f}{b / a:8.2f}{np.mean(choices(weights)):9.2%}")


if __name__ == "__main__":
    main()
