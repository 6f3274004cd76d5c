"""Batch and layer normalisation.

Source    Ioffe and Szegedy, "Batch Normalization", ICML 2015; Ba, Kiros and Hinton, "Layer
          Normalization", 2016.
"""

from __future__ import annotations

from typing import Any

import numpy as np

from chainrule import errors
from chainrule.nn.linear import as_dtype_of
from chainrule.nn.module import Module, Parameter


class BatchNorm(Module):
    """(x - mean) / sqrt(variance + epsilon) * scale + shift, by channel: the last axis.

    While training, mean and variance are those of the batch, over all axes but the last, and the
    running ones move towards them: running <- (1 - momentum) running + momentum batch (the running
    variance is the unbiased one, as in PyTorch). Inference uses the running ones.

    **Errors** `ShapeError` for another number of channels, or a training batch of one value a
    channel, which has no variance.

    >>> BatchNorm(3)(np.ones((2, 3), np.float32)).shape
    (2, 3)
    """

    def __init__(
        self, channels: int, momentum: float = 0.1, epsilon: float = 1e-5, *, dtype="f"
    ):
        self.scale: Any = Parameter(np.ones(channels, dtype))
        self.shift: Any = Parameter(np.zeros(channels, dtype))
        self.running_mean = np.zeros(channels, dtype)
        self.running_variance = np.ones(channels, dtype)
        self.momentum, self.epsilon = float(momentum), float(epsilon)

    def __call__(self, x, training: bool = False, rng=None):
        _check_channels("BatchNorm", x, self.scale)
        x = as_dtype_of(x, self.scale)
        mean, variance = self.running_mean, self.running_variance
        if training:
            mean, variance = self._batch(x)
        factor = self.scale / np.sqrt(variance + self.epsilon)
        return (x - mean) * factor + self.shift

    def _batch(self, x):
        axes = tuple(range(x.ndim - 1))
        count = x.size // x.shape[-1]
        if count < 2:
            raise errors.ShapeError(
                f"BatchNorm trains on at least 2 values a channel, got an input of {x.shape}.\n"
                "  Make minibatches larger (accumulate= makes them smaller where rows are few), or "
                "leave batch norm out."
            )
        mean, variance = x.mean(axis=axes), x.var(axis=axes)
        step = self.momentum
        self.running_mean += step * (mean - self.running_mean)
        self.running_variance += step * (variance * (count / (count - 1)) - self.running_variance)
        return mean, variance

    def config(self) -> dict:
        """What builds this layer again."""
        return {"channels": self.scale.shape[0], "momentum": float(self.momentum),
                "epsilon": float(self.epsilon), "dtype": self.scale.dtype.char}  # fmt: skip


class LayerNorm(Module):
    """(x - mean) / sqrt(variance + epsilon) * scale + shift over the last axis, row by row.

    **Errors** `ShapeError` for a last axis of another length.

    >>> LayerNorm(2)(np.array([[1.0, 3.0]], np.float32))
    array([[-0.999995,  0.999995]], dtype=float32)
    """

    def __init__(self, channels: int, epsilon: float = 1e-5, *, dtype="f"):
        self.scale: Any = Parameter(np.ones(channels, dtype))
        self.shift: Any = Parameter(np.zeros(channels, dtype))
        self.epsilon = float(epsilon)

    def __call__(self, x, training: bool = False, rng=None):
        _check_channels("LayerNorm", x, self.scale)
        x = as_dtype_of(x, self.scale)
        centred = x - x.mean(axis=-1, keepdims=True)
        variance = (centred * centred).mean(axis=-1, keepdims=True)
        return centred / np.sqrt(variance + self.epsilon) * self.scale + self.shift

    def config(self) -> dict:
        """What builds this layer again."""
        return {"channels": self.scale.shape[0], "epsilon": float(self.epsilon),
                "dtype": self.scale.dtype.char}  # fmt: skip


def _check_channels(name: str, x, scale) -> None:
    if not x.ndim or x.shape[-1] != scale.shape[0]:
        raise errors.ShapeError(
            f"{name} of {scale.shape[0]} channels takes them on the last axis, got {x.shape}."
        )
