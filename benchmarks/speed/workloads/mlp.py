"""Training steps of multilayer perceptrons: rectified linear layers, float32, Adam.

One output: regression, half the mean squared error. Several: classification, cross-entropy.
"""

from __future__ import annotations

from functools import partial
from itertools import pairwise

import numpy as np

from benchmarks.speed.contender import Contender, Workload
from benchmarks.speed.workloads import training


def loss(xp, parameters, x, y):
    """The loss, in any library that has NumPy's functions as `xp`."""
    for weight, bias in zip(parameters[:-2:2], parameters[1:-2:2], strict=True):
        x = xp.maximum(x @ weight + bias, 0)
    z = x @ parameters[-2] + parameters[-1]
    if z.shape[1] == 1:
        return 0.5 * xp.mean((z - y) ** 2)
    z = z - xp.max(z, axis=1, keepdims=True)
    return xp.mean(xp.log(xp.sum(xp.exp(z), axis=1)) - xp.sum(z * y, axis=1))


def inputs(rng, sizes, batch, batches=8, **_):
    """Layers of He's scale, and mini-batches of a random linear rule."""
    parameters = []
    for n, m in pairwise(sizes):
        parameters.append((rng.normal(size=(n, m)) * np.sqrt(2 / n)).astype(np.float32))
        parameters.append(np.zeros(m, np.float32))
    xs = rng.normal(size=(batches, batch, sizes[0])).astype(np.float32)
    rule = rng.normal(size=(sizes[0], sizes[-1])) / np.sqrt(sizes[0])
    ys = (xs @ rule).astype(np.float32)
    if sizes[-1] > 1:
        ys = np.eye(sizes[-1], dtype=np.float32)[ys.argmax(-1)]  # (batches, batch, classes)
    return {"parameters": parameters, "xs": xs, "ys": ys}


def draw(rng) -> dict:
    """Two to four layers of any width, not only multiples of a vector's."""
    hidden = [int(n) for n in np.exp(rng.uniform(np.log(16), np.log(700), rng.integers(1, 4)))]
    ends = int(rng.integers(5, 500)), int(rng.choice([1, 3, 10, 47]))
    return {"sizes": [ends[0], *hidden, ends[1]], "batch": int(rng.integers(8, 300))}


def flops(sizes, batch, **_) -> float:
    """Three products a layer, two for the first; a multiplication and an addition each."""
    weights = [n * m for n, m in pairwise(sizes)]
    return 2.0 * batch * (3 * sum(weights) - weights[0])


def traffic(sizes, batch, **_) -> float:
    """Parameters and both moments, read and written, and the batch."""
    parameters = sum((n + 1) * m for n, m in pairwise(sizes))
    return 4.0 * (6 * parameters + batch * (sizes[0] + sizes[-1]))


# --- the contenders -------------------------------------------------------------------------------


def with_chainrule(parameters, x, y):
    return loss(np, parameters, x, y)


def with_jax(parameters, x, y):
    import jax

    return loss(jax.numpy, parameters, x, y)


def with_autograd(parameters, x, y):
    import autograd.numpy

    return loss(autograd.numpy, parameters, x, y)


def with_torch(parameters, x, y):
    import torch
    from torch.nn import functional

    for weight, bias in zip(parameters[:-2:2], parameters[1:-2:2], strict=True):
        x = functional.relu(torch.addmm(bias, x, weight))
    z = torch.addmm(parameters[-1], x, parameters[-2])
    if z.shape[1] == 1:
        return 0.5 * functional.mse_loss(z, y)
    return functional.cross_entropy(z, y)


def scikit_learn(inputs, epoch: bool) -> Contender:
    """Its own MLP with the same start: a partial_fit for each batch, or one for all (`epoch`)."""
    from sklearn.neural_network import MLPClassifier, MLPRegressor

    xs, ys = inputs["xs"], inputs["ys"]
    start = inputs["parameters"]
    many = ys.shape[-1] > 1
    labels = ys.argmax(-1) if many else ys[..., 0]
    model = (MLPClassifier if many else MLPRegressor)(
        hidden_layer_sizes=[w.shape[1] for w in start[:-2:2]], batch_size=xs.shape[1], alpha=0.0,
        shuffle=False, epsilon=training.SMALL,
    )  # fmt: skip
    fit = partial(model.partial_fit, classes=range(ys.shape[-1])) if many else model.partial_fit
    fit(xs[0], labels[0])

    def restart():
        optimizer = model._optimizer
        for p, q in zip(model.coefs_ + model.intercepts_, start[::2] + start[1::2], strict=True):
            p[...] = q
        optimizer.t = 0
        for moment in optimizer.ms + optimizer.vs:
            moment[...] = 0

    def check():
        restart()
        losses = [fit(x, y).loss_ for x, y in zip(xs[:3], labels[:3], strict=True)]
        mixed = [p for pair in zip(model.coefs_, model.intercepts_, strict=True) for p in pair]
        return training.moved(losses, mixed, start)

    if epoch:
        everything = xs.reshape(-1, xs.shape[-1]), labels.reshape(-1)
        return Contender(lambda: fit(*everything), check, len(xs))
    batches = training.cycle(list(zip(xs, labels, strict=True)))
    return Contender(lambda: fit(*next(batches)), check)


CONTENDERS = {
    "chainrule": training.chainrule_step(with_chainrule),
    "chainrule scan": training.chainrule_scan(with_chainrule),
    "jax": training.jax_step(with_jax),
    "jax scan": training.jax_scan(with_jax),
    "torch": training.torch_step(with_torch),
    "torch.compile": training.torch_compile(with_torch),
    "autograd": training.autograd_step(with_autograd),
    "scikit-learn": partial(scikit_learn, epoch=False),
    "scikit-learn epoch": partial(scikit_learn, epoch=True),
}


def leave_out(contender: str, sizes: dict) -> bool:
    """Rows of one step a call, or of many, have only the contenders that do that."""
    many = contender.endswith(("scan", "epoch"))
    return {"one": many, "many": not many}.get(sizes.get("calls", "any"), False)


workload = Workload(
    name="mlp",
    cases={
        "MLP 20-64-64-1, batch 32, one step a call":
            {"sizes": [20, 64, 64, 1], "batch": 32, "calls": "one"},
        "MLP 20-64-64-1, batch 32, many steps a call":
            {"sizes": [20, 64, 64, 1], "batch": 32, "batches": 100, "calls": "many"},
        "MLP 784-256-128-10, batch 64": {"sizes": [784, 256, 128, 10], "batch": 64},
        "MLP 784-256-128-10, batch 256": {"sizes": [784, 256, 128, 10], "batch": 256},
        "MLP 1024-1024-1024-10, batch 256": {"sizes": [1024, 1024, 1024, 10], "batch": 256},
    },
    inputs=inputs,
    contenders=CONTENDERS,
    flops=lambda sizes: flops(**sizes),
    traffic=lambda sizes: traffic(**sizes),
    draw=draw,
    tolerance=1e-4,
    leave_out=leave_out,
)  # fmt: skip
