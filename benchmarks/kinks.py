"""What it costs to settle ties: compiled gradients with kinks="exact" beside "convention".

    python benchmarks/kinks.py

Prints microseconds a call, their ratio, and how often a choice of the first run met a tie: for a
network of two layers without ties, with one tie (an input row of zeros and a zero bias), and for
convolutional networks with relu, pooling, dropout and zero biases, on images with zero patches and
on others with backgrounds of one colour.
"""

from __future__ import annotations

import time
from collections.abc import Callable, Iterator
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


def normalised(x, scale):
    """Batch normalisation, but for its shift."""
    x = x - np.mean(x, axis=(0, 1, 2))
    return x / np.sqrt(np.mean(x * x, axis=(0, 1, 2)) + 1e-5) * scale


def convolutional(
    images: np.ndarray, channels: tuple[int, ...] = (8, 16), pool: Callable | None = nn.max_pool,
    strides: int = 1, padding: str = "valid", norm: bool = False,
):  # fmt: skip
    weights: list[np.ndarray] = []
    for inner, outer in zip((images.shape[-1], *channels), channels, strict=False):
        weights.append(R.normal(size=(3, 3, inner, outer)) * 0.3 / np.sqrt(inner))
        weights += [np.zeros(outer), np.ones(outer)]
    weights.append(R.normal(size=(channels[-1], 10)) * 0.3)
    weights = [w.astype(images.dtype) for w in weights]
    wanted = R.normal(size=(len(images), 10)).astype(images.dtype)
    kept = ((R.random((len(images), channels[-1])) < 0.8) / 0.8).astype(images.dtype)

    def before_relu(x, kernel, shift, scale):
        x = nn.convolution(x, kernel, strides=strides, padding=padding)
        return (normalised(x, scale) if norm else x) + shift

    def loss(p):
        x = images
        for layer in range(0, len(p) - 1, 3):
            x = np.maximum(before_relu(x, *p[layer : layer + 3]), 0)
            x = pool(x, 2) if pool else x
        return np.mean(((np.mean(x, axis=(1, 2)) * kept) @ p[-1] - wanted) ** 2)

    return loss, weights, lambda p: before_relu(images, *p[:3]) == 0


# --- images ---------------------------------------------------------------------------------------


def patches(count: int = 16, side: int = 28, channels: int = 1) -> np.ndarray:
    """Noise with a corner of zeros."""
    images = R.normal(size=(count, side, side, channels))
    images[:, :8, :8] = 0.0
    return images


def bordered(count: int = 16) -> np.ndarray:
    """Noise with a border of zeros, as handwritten digits have it."""
    images = np.zeros((count, 28, 28, 1))
    images[:, 4:24, 4:24] = R.random((count, 20, 20, 1))
    return images


def strokes(count: int = 16) -> np.ndarray:
    """Strokes on a background of zeros."""
    thick = np.stack([nn.convolution(x, np.ones((5, 5, 1, 1))) for x in
                      R.normal(size=(count, 1, 28, 28, 1))])[:, 0]  # fmt: skip
    images = np.zeros((count, 28, 28, 1))
    images[:, 2:26, 2:26] = R.random(thick.shape) * (thick > 3)
    return images


def sparse(count: int = 16) -> np.ndarray:
    """One number in ten is not zero."""
    return R.random((count, 28, 28, 1)) * (R.random((count, 28, 28, 1)) < 0.1)


def standardised(images: np.ndarray) -> np.ndarray:
    """With mean 0 and deviation 1: a background of zeros becomes one of another number."""
    return (images - np.mean(images)) / np.std(images)


# --- the table ------------------------------------------------------------------------------------


def cases() -> Iterator[tuple[str, tuple]]:
    """The rows of the table: names, and (loss, weights, choices)."""
    rows = R.normal(size=(32, 64))
    tied = rows.copy()
    tied[3] = 0.0
    yield "network, no tie", network(rows)
    yield "network, one row of zeros", network(tied)
    yield "convolutions, zero patches", convolutional(patches())
    yield "  padding", convolutional(patches(), padding="same")
    yield "  strides in place of pooling", convolutional(patches(), pool=None, strides=2)
    yield "  mean pooling", convolutional(patches(), pool=nn.mean_pool)
    yield "  three layers", convolutional(patches(side=40), (8, 16, 16))
    yield "  three colours", convolutional(patches(side=32, channels=3), (16, 32))
    yield "  float32", convolutional(patches().astype(np.float32))
    yield "  64 images", convolutional(patches(64))
    yield "  batch normalisation", convolutional(patches(), norm=True)
    yield "zero borders", convolutional(bordered())
    yield "  padding", convolutional(bordered(), padding="same")
    yield "strokes", convolutional(strokes())
    yield "  padding, float32, 64 images", convolutional(
        strokes(64).astype(np.float32), (16, 32), padding="same"
    )
    yield "  standardised", convolutional(standardised(strokes()))
    yield "  standardised, padding", convolutional(standardised(strokes()), padding="same")
    yield "sparse images", convolutional(sparse())


def main() -> None:
    """Print the table."""
    print(f"{'':34s}{'convention':>12s}{'exact':>12s}{'ratio':>8s}{'ties':>9s}")
    for name, (loss, weights, choices) in cases():
        exact = cr.compile(cr.grad(loss))
        convention = cr.compile(cr.grad(loss, kinks="convention"))
        a, b = alternating([partial(convention, weights), partial(exact, weights)])
        ties = np.mean(choices(weights))
        print(f"{name:34s}{a:12.1f}{b:12.1f}{b / a:8.2f}{ties:9.2%}", flush=True)


if __name__ == "__main__":
    main()
