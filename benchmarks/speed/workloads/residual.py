"""Training steps of a deep residual perceptron: 50 layers x + relu(norm(x W)), float32, Adam.

Many products of one small size, and between them reductions over the batch.
"""

from __future__ import annotations

import numpy as np

from benchmarks.speed.contender import Workload
from benchmarks.speed.workloads import networks, training

CLASSES = 10


def loss(xp, parameters, x, y):
    """parameters: W, gain and shift of each layer, then the output's weights."""
    *layers, output = parameters
    for weight, gain, shift in zip(layers[::3], layers[1::3], layers[2::3], strict=True):
        x = x + xp.maximum(networks.batch_norm(xp, x @ weight, gain, shift), 0)
    return networks.cross_entropy(xp, x @ output, y)


def with_chainrule(parameters, x, y):
    return loss(np, parameters, x, y)


def with_jax(parameters, x, y):
    import jax

    return loss(jax.numpy, parameters, x, y)


def with_autograd(parameters, x, y):
    import autograd.numpy

    return loss(autograd.numpy, parameters, x, y)


def with_torch(parameters, x, y):
    from torch.nn import functional

    *layers, output = parameters
    for weight, gain, shift in zip(layers[::3], layers[1::3], layers[2::3], strict=True):
        x = x + functional.relu(networks.torch_batch_norm(x @ weight, gain, shift))
    return functional.cross_entropy(x @ output, y)


def inputs(rng, layers, width, batch, batches=8):
    shapes = [(width, width), (width,), (width,)] * layers + [(width, CLASSES)]
    xs, ys = networks.batches(rng, batches, batch, (width,), CLASSES)
    return {"parameters": networks.parameters(rng, shapes), "xs": xs, "ys": ys}


def flops(layers, width, batch, **_) -> float:
    return 6.0 * batch * width * (layers * width + CLASSES)


def traffic(layers, width, batch, **_) -> float:
    """Parameters and both moments, read and written, and the batch."""
    return 4.0 * (6 * (layers * width * (width + 2) + width * CLASSES) + batch * width)


def draw(rng) -> dict:
    layers, width, batch = (int(rng.integers(*ends)) for ends in ((5, 60), (20, 200), (16, 300)))
    return {"layers": layers, "width": width, "batch": batch}


workload = Workload(
    name="residual",
    cases={
        "residual MLP, 50 layers of 64, batch norm, batch 128":
            {"layers": 50, "width": 64, "batch": 128},
    },
    inputs=inputs,
    contenders={
        "chainrule": training.chainrule_step(with_chainrule),
        "chainrule scan": training.chainrule_scan(with_chainrule),
        "jax": training.jax_step(with_jax),
        "jax scan": training.jax_scan(with_jax),
        "torch": training.torch_step(with_torch),
        "torch.compile": training.torch_compile(with_torch),
        "autograd": training.autograd_step(with_autograd),
    },
    flops=lambda sizes: flops(**sizes),
    traffic=lambda sizes: traffic(**sizes),
    draw=draw,
    tolerance=1e-4,
    loose=training.LOOSE,
)  # fmt: skip
