"""Train a deep network on scikit-learn's handwritten digits, written in plain NumPy.

The forward pass below knows nothing of derivatives: `chainrule.value_and_grad` differentiates it
as it stands, and `chainrule.compile` makes native code of the whole step. Three layers with ReLU,
softmax cross-entropy, minibatches, momentum.

    python examples/digits.py            about ten seconds; ends with the test accuracy
"""

from __future__ import annotations

import argparse
import time
from itertools import pairwise

import numpy as np
from sklearn.datasets import load_digits
from sklearn.model_selection import train_test_split

import chainrule as cr

SIZES = (64, 128, 64, 10)  # pixels, two hidden layers, classes


def course_function(x):
    """Five functions composed; its derivative is -20 exp(-2 x) / (1 + exp(-2 x))."""
    z = np.exp(-2 * x)
    return 10 * np.log(1 + z)


def initial_parameters(rng: np.random.Generator) -> list[dict[str, np.ndarray]]:
    """He's initialisation: weights of variance 2 / inputs, biases zero."""
    return [
        {"weight": rng.normal(0.0, np.sqrt(2.0 / n), (n, m)), "bias": np.zeros(m)}
        for n, m in pairwise(SIZES)
    ]


def scores(parameters, images):
    """The network: (B, 64) pixels to (B, 10) class scores."""
    hidden = images
    for layer in parameters[:-1]:
        hidden = np.maximum(hidden @ layer["weight"] + layer["bias"], 0.0)
    last = parameters[-1]
    return hidden @ last["weight"] + last["bias"]


def loss(parameters, images, labels):
    """Mean softmax cross-entropy, with the largest score taken out so that exp cannot overflow."""
    z = scores(parameters, images)
    z = z - z.max(axis=1, keepdims=True)
    log_probability = z - np.log(np.exp(z).sum(axis=1, keepdims=True))
    return -log_probability[np.arange(len(labels)), labels].mean()


@cr.compile
def step(parameters, velocity, step_size, images, labels):
    """One step of gradient descent with momentum, in place; the loss before it."""
    value, gradient = cr.value_and_grad(loss)(parameters, images, labels)
    for layer, moving, slope in zip(parameters, velocity, gradient, strict=True):
        for name in layer:
            moving[name] *= 0.9
            moving[name] -= step_size * slope[name]
            layer[name] += moving[name]
    return value


def train(parameters, images, labels, epochs: int, rng: np.random.Generator) -> None:
    """Stochastic gradient descent; the parameters are updated in place."""
    velocity = [{k: np.zeros_like(v) for k, v in layer.items()} for layer in parameters]
    for epoch in range(epochs):
        step_size = 0.1 * 0.5 * (1 + np.cos(np.pi * epoch / epochs))  # cosine decay
        order = rng.permutation(len(images))
        losses = [
            step(parameters, velocity, step_size, images[batch], labels[batch])
            for batch in np.array_split(order, len(images) // 32)
        ]
        if epoch % 5 == 4 or epoch == 0:
            print(f"epoch {epoch + 1:3d}   training loss {np.mean(losses):.4f}")


def accuracy(parameters, images, labels) -> float:
    """The share of images whose highest score is at their label."""
    return float(np.mean(scores(parameters, images).argmax(axis=1) == labels))


def main() -> None:
    options = argparse.ArgumentParser(description=__doc__.splitlines()[0])
    options.add_argument("--epochs", type=int, default=30)
    options.add_argument("--seed", type=int, default=0)
    chosen = options.parse_args()
    print("The derivative of 10 log(1 + exp(-2 x)), as code:\n")
    print(cr.source(cr.grad(course_function), 0.5))
    images, labels = load_digits(return_X_y=True)
    parts = train_test_split(
        images / 16.0, labels, test_size=0.25, random_state=chosen.seed, stratify=labels
    )
    train_images, test_images, train_labels, test_labels = parts
    rng = np.random.default_rng(chosen.seed)
    parameters = initial_parameters(rng)
    start = time.perf_counter()
    print(f"\nTraining a {'-'.join(map(str, SIZES))} network on {len(train_images)} digits:\n")
    train(parameters, train_images, train_labels, chosen.epochs, rng)
    seconds = time.perf_counter() - start
    reached = accuracy(parameters, test_images, test_labels)
    print(f"\ntest accuracy {100 * reached:.2f} % on {len(test_images)} digits, {seconds:.1f} s")


if __name__ == "__main__":
    main()
