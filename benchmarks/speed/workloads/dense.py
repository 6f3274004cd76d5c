"""Training steps of one dense block: each layer's new channels are joined to all before it.

Huang, Liu, van der Maaten & Weinberger, "Densely connected convolutional networks", 2017: a layer
is norm, relu, a 3 x 3 convolution to `growth` channels. Then the mean over the image and a linear
output. float32, Adam; images are channels last.
"""

from __future__ import annotations

from functools import partial

import numpy as np

from benchmarks.speed.contender import Workload
from benchmarks.speed.workloads import networks, training

CHANNELS, CLASSES = 24, 10


def features(convolution, norm, relu, join, parameters, x):
    """parameters: gain, shift and weights of each layer, then the output's weights."""
    layers = parameters[:-1]
    for gain, shift, weight in zip(layers[::3], layers[1::3], layers[2::3], strict=True):
        x = join([x, convolution(relu(norm(x, gain, shift)), weight)])
    return x


def loss(xp, convolution, parameters, x, y):
    norm, relu = partial(networks.batch_norm, xp), lambda x: xp.maximum(x, 0)
    x = features(convolution, norm, relu, partial(xp.concatenate, axis=-1), parameters, x)
    return networks.cross_entropy(xp, xp.mean(x, axis=(1, 2)) @ parameters[-1], y)


def with_chainrule(parameters, x, y):
    return loss(np, networks.chainrule_convolution, parameters, x, y)


def with_jax(parameters, x, y):
    import jax

    return loss(jax.numpy, networks.jax_convolution, parameters, x, y)


def with_torch(parameters, x, y):
    import torch
    from torch.nn import functional

    x = features(
        networks.torch_convolution, networks.torch_batch_norm, functional.relu,
        partial(torch.cat, dim=1), parameters, x,
    )  # fmt: skip
    return functional.cross_entropy(x.mean((2, 3)) @ parameters[-1], y)


def inputs(rng, growth, layers, size, batch, batches=4):
    shapes, channels = [], CHANNELS
    for _ in range(layers):
        shapes += [(channels,), (channels,), (3, 3, channels, growth)]
        channels += growth
    shapes.append((channels, CLASSES))
    xs, ys = networks.batches(rng, batches, batch, (size, size, CHANNELS), CLASSES)
    return {"parameters": networks.parameters(rng, shapes), "xs": xs, "ys": ys}


def widths(growth, layers) -> list[int]:
    """The channels that each layer sees."""
    return [CHANNELS + k * growth for k in range(layers)]


def flops(growth, layers, size, batch, **_) -> float:
    """Three products for each convolution (all norms have parameters, so none is spared)."""
    return 6.0 * 9 * batch * size**2 * growth * sum(widths(growth, layers))


def traffic(growth, layers, size, batch, **_) -> float:
    """Parameters and both moments, read and written; the images that each layer sees, read in both
    directions, and their cotangents."""
    seen = sum(widths(growth, layers))
    return 4.0 * (6 * seen * (9 * growth + 2) + 3 * batch * size**2 * seen)


def draw(rng) -> dict:
    growth, layers, size, batch = (
        int(rng.integers(*ends)) for ends in ((6, 25), (2, 9), (8, 33), (4, 50))
    )
    return {"growth": growth, "layers": layers, "size": size, "batch": batch}


workload = Workload(
    name="dense",
    cases={
        "dense block, growth 12, 6 layers, 16x16, batch 32":
            {"growth": 12, "layers": 6, "size": 16, "batch": 32},
    },
    inputs=inputs,
    contenders={
        "chainrule": training.chainrule_step(with_chainrule),
        "chainrule scan": training.chainrule_scan(with_chainrule),
        "jax": training.jax_step(with_jax),
        "jax scan": training.jax_scan(with_jax),
        "torch": training.torch_step(with_torch, networks.TORCH_LAYOUT),
        "torch.compile": training.torch_compile(with_torch, networks.TORCH_LAYOUT),
    },
    flops=lambda sizes: flops(**sizes),
    traffic=lambda sizes: traffic(**sizes),
    draw=draw,
    tolerance=1e-4,
    loose=training.LOOSE,
)  # fmt: skip
