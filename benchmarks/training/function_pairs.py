"""Activations and losses beside PyTorch's: for each, a function that draws one configuration.

Our losses sum over outputs and take the mean (or sum) over examples, so PyTorch's are taken with
reduction="sum" and divided by the number of examples where ours is a mean.
"""

from __future__ import annotations

from collections.abc import Callable

import numpy as np
import torch
from torch.nn import functional

from benchmarks.training.against_torch import Pair
from benchmarks.training.layer_pairs import normal, same
from chainrule import nn
from chainrule.nn import losses

_ACTIVATIONS: dict[str, Callable] = {
    "identity": torch.nn.Identity(), "sigmoid": torch.sigmoid, "tanh": torch.tanh,
    "relu": torch.relu, "leaky_relu": functional.leaky_relu, "elu": functional.elu,
    "selu": functional.selu, "gelu": functional.gelu, "softplus": functional.softplus,
    "swish": functional.silu, "mish": functional.mish,
    "softmax": lambda x: functional.softmax(x, dim=-1),
}  # fmt: skip


def activation(rng, dtype, name: str) -> Pair:
    shape = tuple(rng.integers(1, 8, rng.integers(1, 4)).tolist())
    scale = np.dtype(dtype).type(rng.choice([0.1, 1, 5]))
    x = normal(rng, shape, dtype) * scale
    layer = nn.Activation(name)
    return Pair(f"{shape}, scale {scale}", [x], lambda _, x: layer(x), _ACTIVATIONS[name])


def learned_swish(rng, dtype) -> Pair:
    units = int(rng.integers(1, 6))
    ours, slope = nn.Swish(units, dtype=dtype), torch.ones(units, dtype=_torch(dtype))
    slope.requires_grad_()
    ours.slope[...] = rng.uniform(0.3, 3, size=units)
    return Pair(
        f"{units} slopes", [normal(rng, (5, units), dtype)], lambda m, x: m(x),
        lambda x: x * torch.sigmoid(slope * x), ours, {"slope": (slope, same)},
    )  # fmt: skip


def regression(rng, dtype, name: str) -> Pair:
    """squared, absolute, huber, poisson, binary_cross_entropy of (B,) or (B, K)."""
    shape = tuple(rng.integers(1, 9, rng.integers(1, 3)).tolist())
    y = normal(rng, shape, dtype)
    options: dict = {"delta": float(rng.uniform(0.2, 2))} if name == "huber" else {}
    if name == "poisson":
        y = rng.poisson(2.0, size=shape).astype(dtype)
    if name == "binary_cross_entropy":
        y = rng.random(size=shape).astype(dtype)
    theirs = {
        "squared": lambda f, t: functional.mse_loss(f, t, reduction="sum") / 2,
        "absolute": lambda f, t: functional.l1_loss(f, t, reduction="sum"),
        "huber": lambda f, t: functional.huber_loss(f, t, reduction="sum", **options),
        "poisson": lambda f, t: functional.poisson_nll_loss(f, t, reduction="sum"),
        "binary_cross_entropy": lambda f, t: functional.binary_cross_entropy_with_logits(
            f, t, reduction="sum"
        ),
    }[name]
    return _loss(rng, name, normal(rng, shape, dtype), y, theirs, options)


def margin(rng, dtype, name: str) -> Pair:
    """logistic, hinge, perceptron of (B,) and signs."""
    shape = (int(rng.integers(1, 20)),)
    y = rng.choice([-1.0, 1.0], size=shape).astype(dtype)

    def hinge(least: float):  # hinge_embedding_loss of -1 is max(0, margin - x)
        return lambda f, t: functional.hinge_embedding_loss(
            t * f, torch.full_like(f, -1), margin=least, reduction="sum"
        )

    theirs = {
        "logistic": lambda f, t: functional.soft_margin_loss(f, t, reduction="sum"),
        "hinge": hinge(1.0),
        "perceptron": hinge(0.0),
    }[name]
    return _loss(rng, name, 3 * normal(rng, shape, dtype), y, theirs, {})


def cross_entropy(rng, dtype) -> Pair:
    """With label smoothing or class weights; with both, PyTorch weighs the smoothed part by the
    weights of all classes, ours by that of the label."""
    count, classes = rng.integers(2, 9, 2).tolist()
    labels = rng.integers(0, classes, count)
    weights = rng.uniform(0.2, 2, size=classes).astype(dtype) if rng.integers(2) else None
    smoothing = 0.0 if weights is not None else float(rng.choice([0.0, 0.1, 0.3]))
    reduce = str(rng.choice(["mean", "sum"]))
    scores = 3 * normal(rng, (count, classes), dtype)
    tensor = None if weights is None else torch.from_numpy(weights)

    def ours(_, f):
        return losses.softmax_cross_entropy(
            f, labels, label_smoothing=smoothing, class_weights=weights, reduce=reduce
        )

    def theirs(f):
        return functional.cross_entropy(
            f, torch.from_numpy(labels), tensor, label_smoothing=smoothing, reduction=reduce
        )

    weighted = weights is not None
    text = f"{scores.shape}, {reduce}, smoothing {smoothing}, class weights {weighted}"
    return Pair(text, [scores], ours, theirs)


def _loss(rng, name: str, scores, y, theirs: Callable, options: dict) -> Pair:
    reduce = str(rng.choice(["mean", "sum"]))
    by = len(scores) if reduce == "mean" else 1
    tensor = torch.from_numpy(y)
    return Pair(
        f"{scores.shape}, {reduce}, {options}", [scores],
        lambda _, f: losses.LOSSES[name](f, y, reduce=reduce, **options),
        lambda f: theirs(f, tensor) / by,
    )  # fmt: skip


def _torch(dtype: str):
    return torch.float32 if dtype == "f" else torch.float64


def _named(draw: Callable, name: str) -> Callable:
    return lambda rng, dtype: draw(rng, dtype, name)


ACTIVATIONS = {name: _named(activation, name) for name in nn.activations.FUNCTIONS}
ACTIVATIONS["swish, learned"] = learned_swish

LOSSES = {
    name: _named(regression, name)
    for name in ("squared", "absolute", "huber", "poisson", "binary_cross_entropy")
}
LOSSES |= {name: _named(margin, name) for name in ("logistic", "hinge", "perceptron")}
LOSSES["softmax_cross_entropy"] = cross_entropy  # `quantile` has no counterpart in PyTorch
