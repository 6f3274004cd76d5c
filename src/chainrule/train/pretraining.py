"""Greedy pretraining: each hidden layer of a network learns to give back what it reads.

Layer after layer, a hidden layer and a decoder with its weights transposed are trained as a
(denoising) autoencoder on what the layers below make of x; then the network is trained as usual,
from weights that know the inputs, without a label having been seen.

Source    Bengio et al., "Greedy layer-wise training of deep networks", NIPS 2006; Vincent et al.,
          "Extracting and composing robust features with denoising autoencoders", ICML 2008.
"""

from __future__ import annotations

from itertools import pairwise
from typing import Any

import numpy as np

from chainrule import api, compiled, control, data, errors, nn, optim, random
from chainrule.nn import losses
from chainrule.nn.autoencoder import NOISES, OUTPUTS, Transposed, corrupted


def pretrain(
    network: nn.Sequential, x, *, noise: str | None = "mask", level: float = 0.25,
    visible: str = "identity", epochs: int = 10, batch_size: int = 32, optimizer: str = "Adam",
    step_size: float = 0.001, seed: int = 0,
) -> list[list[float]]:  # fmt: skip
    """Trains the hidden layers of a network on inputs x alone, in place, from the first to the
    last; the output layer stays as it is.

    Returns the reconstruction error by layer and epoch: [[error, ...], ...], per example, with the
    noise that training saw. `noise` is "mask", "gaussian" or None, at `level`, for every layer.
    `visible` says how x is given back: "identity" with half the squared distance, or, for x in
    [0, 1], "sigmoid" with the cross-entropy; what sigmoid units make is always taken the second
    way. Batch norm between the layers is trained along and dropout left out; layers before the
    first linear one, with nothing to learn, are applied to x.

    **Errors** `NotSupported` for a network that is not a `Sequential` with linear hidden layers;
    `NotConverged` where the error is no longer finite; `ValueError` for unknown options, or a
    sigmoid output for x outside of [0, 1].
    **Cost** one compilation a layer.

    >>> x = np.random.default_rng(0).random((64, 8)).astype(np.float32)
    >>> network = nn.MLP(8, (6, 4), 3, activation="sigmoid")
    >>> errors = pretrain(network, x, epochs=20, step_size=0.01)
    >>> [len(layer) for layer in errors], all(layer[-1] < layer[0] for layer in errors)
    ([20, 20], True)
    """
    before, blocks = _parts(network)
    x = through(before, np.asarray(x, blocks[0][0].weight.dtype))
    _check(noise, level, visible, x)
    rng = random.Generator([seed, 1])
    history: list[list[float]] = []
    for block in blocks:
        learner = _Block(block, visible, noise, level)
        chosen = _optimizer(optimizer, learner, step_size)
        stretch = compiled.compile(_stretch, kinks="convention", stabilize=False)
        history.append([])
        for epoch in range(epochs):
            rows = data.order(seed, epoch, len(x), batch_size)
            history[-1].append(float(np.mean(stretch(learner, chosen, x, rows, rng))))
            check_finite("pretrain", history[-1], f"hidden layer {len(history)}", step_size)
        x = through(block, x)
        visible = "sigmoid" if _has_sigmoid(block) else "identity"
    return history


class _Block(nn.Module):
    """A hidden layer with what follows it, and the way back through its weights."""

    def __init__(self, layers: list, output: str, noise: str | None, level: float):
        self.layers = layers
        weight = layers[0].weight
        self.decoder = Transposed(weight.shape[0], dtype=weight.dtype)
        self.output, self.noise, self.level = output, noise, level

    def loss(self, x, rng):
        h = x if self.noise is None else corrupted(x, self.noise, self.level, rng)
        for layer in self.layers:  # training: batch norm takes the batch's mean and variance
            h = nn.sequential.applied(layer, h, True, rng)
        compared = losses.squared if self.output == "identity" else losses.binary_cross_entropy
        return compared(self.decoder(h, self.layers[0].weight), x)


def _stretch(learner, optimizer, x, rows, rng):
    """The steps of an epoch; the loss of each."""

    def step(carry, batch):
        value, grads = api.value_and_grad(lambda m: m.loss(x[batch], rng))(learner)
        optimizer.step(learner, grads)
        return carry, value

    return control.scan(step, 0, rows)[1]


def _parts(network) -> tuple[list, list[list]]:
    """What stands before the first linear layer, and each hidden linear layer with what stands
    between it and the next one; dropout left out."""
    layers = list(network.layers) if isinstance(network, nn.Sequential) else []
    layers = [layer for layer in layers if not isinstance(layer, nn.Dropout)]
    linear = [i for i, layer in enumerate(layers) if isinstance(layer, nn.Linear)]
    before = layers[: linear[0]] if linear else layers
    learned = [a for a in before if isinstance(a, nn.Module) and a.parameters()]
    if len(linear) < 2 or learned or any(isinstance(a, nn.Tied) for a in layers):
        raise errors.NotSupported(
            f"pretrain takes an nn.MLP, or an nn.Sequential of at least two linear layers with "
            f"nothing to learn before the first and no tied ones; got {network!r}."
        )
    return before, [layers[i:j] for i, j in pairwise(linear)]


def through(layers: list, x):
    """What comes out of layers one after the other, at inference."""
    for layer in layers:
        x = nn.sequential.applied(layer, x, False, None)
    return x


def _has_sigmoid(block: list) -> bool:
    last: Any = block[-1]
    return last is nn.sigmoid or (isinstance(last, nn.Activation) and last.name == "sigmoid")


def _optimizer(name: str, model, step_size: float):
    if name not in optim.OPTIMIZERS:
        raise ValueError(f"optimizer is one of {', '.join(optim.OPTIMIZERS)}; got {name!r}.")
    return optim.OPTIMIZERS[name](model, step_size)


def check_finite(name: str, distances: list[float], part: str, step_size: float) -> None:
    """An error where the last distance is nan or infinite."""
    if not np.isfinite(distances[-1]):
        raise errors.NotConverged(
            f"{name}: the reconstruction error of {part} is {distances[-1]} in epoch "
            f"{len(distances)}. Its weights are lost: begin again with scaled inputs or a smaller "
            f"step_size than {step_size:g}."
        )


def _check(noise: str | None, level: float, visible: str, x) -> None:
    if noise is not None and noise not in NOISES:
        raise ValueError(f"noise is None or one of {', '.join(NOISES)}; got {noise!r}.")
    if not level >= 0 or (noise == "mask" and level >= 1):
        raise ValueError(f"level is from 0, and below 1 for masks; got {level!r}.")
    if visible not in OUTPUTS:
        raise ValueError(f"visible is one of {', '.join(OUTPUTS)}; got {visible!r}.")
    if visible == "sigmoid" and not (np.min(x) >= 0 and np.max(x) <= 1):
        raise ValueError(
            f"visible='sigmoid' takes x in [0, 1], got values from {np.min(x)} to {np.max(x)}. "
            "Scale x, or take visible='identity'."
        )
