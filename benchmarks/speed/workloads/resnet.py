"""Training steps of residual convolutional networks on 32 x 32 images, float32, Adam.

He, Zhang, Ren & Sun, "Deep residual learning", 2015, section 4.2: three stages of 16, 32 and 64
channels, n blocks of two 3 x 3 convolutions each (ResNet-8: n = 1, ResNet-20: n = 3). Where the
size changes, the shortcut is a 1 x 1 convolution of stride 2. Images are channels last.
"""

from __future__ import annotations

from functools import partial

import numpy as np

from benchmarks.speed.contender import Workload
from benchmarks.speed.workloads import networks, training

STAGES, CLASSES = (16, 32, 64), 10


def layout(blocks: int, channels: int = 3) -> list:
    """(parameters' shapes, stride) of the stem, each block, and the output."""
    layers = [_convolution(3, channels, STAGES[0])]
    before = STAGES[0]
    for after in STAGES:
        for _ in range(blocks):
            layers += [_convolution(3, before, after), _convolution(3, after, after)]
            if before != after:
                layers.append([(1, 1, before, after)])
            before = after
    return [*layers, [(STAGES[-1], CLASSES)]]


def _convolution(size, before, after) -> list:
    return [(size, size, before, after), (after,), (after,)]


def features(convolution, norm, relu, parameters, x, blocks):
    """The last stage's images; `parameters` is used up to the output's weights."""
    left = iter(parameters)

    def layer(x, stride=1):
        return norm(convolution(x, next(left), stride), next(left), next(left))

    x = relu(layer(x))
    for stage in range(len(STAGES)):
        for block in range(blocks):
            stride = 2 if stage and not block else 1
            inside = layer(relu(layer(x, stride)))
            x = relu(inside + (convolution(x, next(left), stride) if stride == 2 else x))
    return x


def loss(xp, convolution, blocks, parameters, x, y):
    norm, relu = partial(networks.batch_norm, xp), lambda x: xp.maximum(x, 0)
    x = features(convolution, norm, relu, parameters, x, blocks)
    return networks.cross_entropy(xp, xp.mean(x, axis=(1, 2)) @ parameters[-1], y)


def with_chainrule(blocks):
    return partial(loss, np, networks.chainrule_convolution, blocks)


def with_jax(blocks):
    import jax

    return partial(loss, jax.numpy, networks.jax_convolution, blocks)


def with_torch(blocks):
    from torch.nn import functional

    def torch_loss(parameters, x, y):
        x = features(
            networks.torch_convolution, networks.torch_batch_norm, functional.relu, parameters, x,
            blocks,
        )  # fmt: skip
        return functional.cross_entropy(x.mean((2, 3)) @ parameters[-1], y)

    return torch_loss


def inputs(rng, blocks, batch, size=32, batches=4):
    shapes = [shape for layer in layout(blocks) for shape in layer]
    xs, ys = networks.batches(rng, batches, batch, (size, size, 3), CLASSES)
    return {"parameters": networks.parameters(rng, shapes), "xs": xs, "ys": ys, "blocks": blocks}


def builder(make, loss_of, *options):
    """A training contender, for the number of blocks that the inputs have."""
    return lambda inputs: make(loss_of(inputs["blocks"]), *options)(inputs)


def flops(blocks, batch, size=32, **_) -> float:
    """Three products for each convolution, two for the first."""
    total, side, before = 2.0 * 9 * 3 * STAGES[0] * size**2, size, STAGES[0]
    for stage, after in enumerate(STAGES):
        if stage:
            side = (side + 1) // 2
            total += 3.0 * before * after * side**2
        total += 3.0 * 9 * (before * after + (2 * blocks - 1) * after**2) * side**2
        before = after
    return 2.0 * batch * total


def traffic(blocks, batch, size=32, **_) -> float:
    """Parameters and both moments, read and written; each convolution's result written, and read
    and its cotangent written in reverse."""
    count = sum(np.prod(shape) for layer in layout(blocks) for shape in layer)
    images = sum(2 * blocks * c * (size / 2**k) ** 2 for k, c in enumerate(STAGES))
    return 4.0 * (6 * count + 3 * batch * (images + STAGES[0] * size**2))


def draw(rng) -> dict:
    blocks, batch, size = (int(rng.integers(*ends)) for ends in ((1, 3), (4, 50), (12, 48)))
    return {"blocks": blocks, "batch": batch, "size": size}


workload = Workload(
    name="resnet",
    cases={
        "ResNet-8, 32x32x3, batch 32": {"blocks": 1, "batch": 32},
        "ResNet-20, 32x32x3, batch 32": {"blocks": 3, "batch": 32},
    },
    inputs=inputs,
    contenders={
        "chainrule": builder(training.chainrule_step, with_chainrule),
        "chainrule scan": builder(training.chainrule_scan, with_chainrule),
        "jax": builder(training.jax_step, with_jax),
        "jax scan": builder(training.jax_scan, with_jax),
        "torch": builder(training.torch_step, with_torch, networks.TORCH_LAYOUT),
        "torch.compile": builder(training.torch_compile, with_torch, networks.TORCH_LAYOUT),
    },
    flops=lambda sizes: flops(**sizes),
    traffic=lambda sizes: traffic(**sizes),
    draw=draw,
    tolerance=1e-4,
    loose=training.LOOSE,
)
