"""Dense blocks: every layer reads what all layers before it gave.

Layer l of a block computes k channels (the growth rate) from k0 + k (l - 1): those of the input and
of the layers before, side by side: `x_l = H_l([x_0, ..., x_(l-1)])`, H being batch norm, activation
and weights. The block gives all of them, k0 + k L channels.

Source    Huang et al., "Densely Connected Convolutional Networks", CVPR 2017.
"""

from __future__ import annotations

from typing import Any

import numpy as np

from chainrule import random
from chainrule.nn.activations import activation as function_of
from chainrule.nn.dropout import Dropout
from chainrule.nn.init import Initialisation
from chainrule.nn.linear import Linear
from chainrule.nn.module import Module
from chainrule.nn.normalisation import BatchNorm
from chainrule.nn.residual import conv
from chainrule.nn.windows import mean_pool


class DenseLayer(Module):
    """What one layer of a dense block adds: norm, activation, weights to `growth` channels.

    With `window` 0 the weights are `Linear` and x is (..., C); with a window they are a `Conv2d`
    that keeps the size, and x is (N, H, W, C). With `bottleneck` b > 0 a first norm, activation and
    1 x 1 weights bring the channels to b growth (4 in the paper).

    >>> DenseLayer(5, 2, rng=0)(np.ones((3, 5), np.float32)).shape
    (3, 2)
    """

    def __init__(
        self, inputs: int, growth: int, *, window: int = 0, bottleneck: int = 0,
        batch_norm: bool = True, activation: str = "relu", dropout: float = 0.0,
        init: str | Initialisation = "he", dtype="f", rng=0,
    ):  # fmt: skip
        rng = random.default_rng(rng)
        function_of(activation)
        sizes = [(inputs, growth, window)]
        if bottleneck:
            sizes = [(inputs, bottleneck * growth, min(window, 1)),
                     (bottleneck * growth, growth, window)]  # fmt: skip
        self.norms = [BatchNorm(n, dtype=dtype) if batch_norm else None for n, _, _ in sizes]
        self.weights = [_weights(*size, not batch_norm, init, dtype, rng) for size in sizes]
        self.dropout = Dropout(dropout) if dropout else None
        self._configure(
            inputs=inputs, growth=growth, window=window, bottleneck=bottleneck,
            batch_norm=batch_norm, activation=activation, dropout=dropout,
            dtype=np.dtype(dtype).char,
        )  # fmt: skip

    def __call__(self, x, training: bool = False, rng=None):
        h = function_of(self.config()["activation"])
        for norm, weights in zip(self.norms, self.weights, strict=True):
            x = x if norm is None else norm(x, training=training)
            x = weights(h(x))
        return x if self.dropout is None else self.dropout(x, training=training, rng=rng)


class DenseBlock(Module):
    """`count` dense layers: (..., inputs) -> (..., inputs + growth count).

    Options as in `DenseLayer`. `outputs` (a property) is the number of channels it gives.

    >>> block = DenseBlock(3, 4, 5, rng=0)
    >>> [layer.config()["inputs"] for layer in block.layers], block.outputs
    ([3, 7, 11, 15, 19], 23)
    """

    def __init__(
        self, inputs: int, growth: int, count: int, *, window: int = 0, bottleneck: int = 0,
        batch_norm: bool = True, activation: str = "relu", dropout: float = 0.0,
        init: str | Initialisation = "he", dtype="f", rng=0,
    ):  # fmt: skip
        if min(inputs, growth, count) < 1:
            raise ValueError(
                f"DenseBlock needs inputs, a growth rate and layers, got {inputs}, {growth}, "
                f"{count}."
            )
        rng = random.default_rng(rng)
        option: dict[str, Any] = dict(
            window=window, bottleneck=bottleneck, batch_norm=batch_norm, activation=activation,
            dropout=dropout, dtype=np.dtype(dtype).char,
        )  # fmt: skip
        self.layers = [
            DenseLayer(inputs + growth * i, growth, init=init, rng=rng, **option)
            for i in range(count)
        ]
        self._configure(inputs=inputs, growth=growth, count=count, **option)

    @property
    def outputs(self) -> int:
        option = self.config()
        return option["inputs"] + option["growth"] * option["count"]

    def __call__(self, x, training: bool = False, rng=None):
        for layer in self.layers:
            x = np.concatenate([x, layer(x, training=training, rng=rng)], axis=-1)
        return x


class Transition(Module):
    """Between dense blocks: norm, activation, 1 x 1 weights to `outputs`, and means of 2 x 2.

    With `image` False x is (..., C), the weights are `Linear`, and nothing is pooled.

    >>> Transition(8, 4, rng=0)(np.ones((1, 6, 6, 8), np.float32)).shape
    (1, 3, 3, 4)
    """

    def __init__(
        self, inputs: int, outputs: int, *, image: bool = True, batch_norm: bool = True,
        activation: str = "relu", init: str | Initialisation = "he", dtype="f", rng=0,
    ):  # fmt: skip
        function_of(activation)
        self.norm = BatchNorm(inputs, dtype=dtype) if batch_norm else None
        self.weights = _weights(inputs, outputs, int(image), not batch_norm, init, dtype,
                                random.default_rng(rng))  # fmt: skip
        self._configure(
            inputs=inputs, outputs=outputs, image=image, batch_norm=batch_norm,
            activation=activation, dtype=np.dtype(dtype).char,
        )  # fmt: skip

    def __call__(self, x, training: bool = False, rng=None):
        option = self.config()
        x = x if self.norm is None else self.norm(x, training=training)
        x = self.weights(function_of(option["activation"])(x))
        return mean_pool(x, (2, 2)) if option["image"] else x


def _weights(inputs: int, outputs: int, window: int, bias: bool, init, dtype, rng) -> Module:
    if window:
        return conv(inputs, outputs, window, 1, bias, init, dtype, rng)
    return Linear(inputs, outputs, bias, init=init, dtype=dtype, rng=rng)
