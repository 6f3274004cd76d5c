"""Gradients of tiny functions: what a call costs when there is next to nothing to compute."""

from __future__ import annotations

import numpy as np

from benchmarks.speed.contender import Workload
from benchmarks.speed.workloads import builders


def objective(library, *arguments):
    """Of one number, a bump times a wave; of three small arrays, a layer's squared length."""
    xp = namespace(library)
    if len(arguments) == 1:
        (x,) = arguments
        return xp.sin(3 * x) * xp.exp(-x * x)
    x, weight, bias = arguments
    return xp.sum(xp.tanh(x @ weight + bias) ** 2)


def namespace(library):
    if library == "jax":
        import jax

        return jax.numpy
    if library == "torch":
        import torch

        return torch
    if library == "autograd":
        import autograd.numpy

        return autograd.numpy
    return np


def inputs(rng, arguments):
    if arguments == 1:
        return (np.float64(0.3),)
    return rng.normal(size=4), rng.normal(size=(4, 3)), rng.normal(size=3)


def both(contender: str):
    """The builder of `builders.gradients` for as many arguments as the row has."""
    made = {count: builders.gradients(objective, count)[contender] for count in (1, 3)}
    return lambda inputs: made[len(inputs)](inputs)


workload = Workload(
    name="tiny",
    cases={
        "gradient of a scalar function": {"arguments": 1},
        "gradient by three small arrays": {"arguments": 3},
    },
    inputs=inputs,
    contenders={
        name: both(name) for name in builders.gradients(objective, 1, ("chainrule objective",))
    },
    traffic=lambda sizes: 8.0 * (2 if sizes["arguments"] == 1 else 38),
    tolerance=1e-12,
    double=True,
    seconds=0.5e-6,
)
