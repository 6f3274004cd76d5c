"""Layers one after the other, and the multi-layer perceptron."""

from __future__ import annotations

from collections.abc import Callable, Sequence
from itertools import pairwise
from typing import Any

import numpy as np

from chainrule import random
from chainrule.nn.activations import Activation
from chainrule.nn.descriptions import description
from chainrule.nn.dropout import Dropout
from chainrule.nn.init import Initialisation
from chainrule.nn.linear import Linear
from chainrule.nn.module import Module
from chainrule.nn.normalisation import BatchNorm
from chainrule.nn.tied import Tied, weight_for


class Sequential(Module):
    """Each layer on the output of the one before. Layers are modules or functions of an array.

    >>> Sequential(Linear(3, 2, rng=0), np.tanh)(np.ones((4, 3), np.float32)).shape
    (4, 2)
    """

    def __init__(self, *layers: Module | Callable):
        self.layers = list(layers)

    def __call__(self, x, training: bool = False, rng=None):
        for i in range(len(self.layers)):
            x = self.applied(i, x, training, rng)
        return x

    def applied(self, number: int, x, training: bool, rng):
        """What one of its layers gives; a `Tied` one is given the weights of the layer it names."""
        layer = self.layers[number]
        if isinstance(layer, Tied):
            return layer(x, weight=weight_for(layer, self.layers))
        return applied(layer, x, training, rng)

    def config(self) -> dict:
        """The descriptions of its layers (see `nn.builders`), or what a subclass has kept."""
        if self._config:
            return super().config()
        return {"layers": [description(layer) for layer in self.layers]}

    def __repr__(self) -> str:
        names = [getattr(layer, "__name__", None) or repr(layer) for layer in self.layers]
        if len(names) > 10:
            names = [*names[:4], f"... {len(names) - 6} more ...", *names[-2:]]
        return f"{type(self).__name__}({', '.join(names)})"


def applied(layer: Module | Callable, x, training: bool, rng):
    """The output of a module, or of a function of an array."""
    return layer(x, training=training, rng=rng) if isinstance(layer, Module) else layer(x)


class MLP(Sequential):
    """A multi-layer perceptron: linear layers with an activation between them, and scores out.

    `hidden` are the sizes of the hidden layers, `activation` one name, or one for each of them;
    `dropout` the rate behind each hidden layer and `input_dropout` the one before the first;
    `batch_norm` normalises before each activation. `init` is one initialisation, or one for each
    linear layer. The output is linear: losses take scores.

    **Shapes** (..., inputs) -> (..., outputs).

    >>> MLP(64, (32, 16), 10, rng=0)(np.ones((5, 64), np.float32)).shape
    (5, 10)
    """

    def __init__(
        self, inputs: int, hidden: Sequence[int], outputs: int, *,
        activation: str | Sequence[str] = "relu", dropout: float = 0.0, input_dropout: float = 0.0,
        batch_norm: bool = False,
        init: str | Initialisation | Sequence[str | Initialisation] = "he", dtype="f", rng=0,
    ):  # fmt: skip
        rng = random.default_rng(rng)
        sizes = [inputs, *hidden, outputs]
        names = one_each(activation, len(hidden), "activation")
        inits = one_each(init, len(sizes) - 1, "init")
        layers: list[Module] = [Dropout(input_dropout)] if input_dropout else []
        for i, (n, m) in enumerate(pairwise(sizes)):
            layers.append(Linear(n, m, init=inits[i], dtype=dtype, rng=rng))
            if i < len(hidden):
                layers += [BatchNorm(m, dtype=dtype)] if batch_norm else []
                layers.append(Activation(names[i]))
                layers += [Dropout(dropout)] if dropout else []
        super().__init__(*layers)
        self._configure(
            inputs=inputs, hidden=list(hidden), outputs=outputs, activation=names, dropout=dropout,
            input_dropout=input_dropout, batch_norm=batch_norm, dtype=np.dtype(dtype).char,
        )  # fmt: skip


def one_each(given: Any, count: int, name: str) -> list:
    """A list of `count`, of one thing for all of them or of one each."""
    if isinstance(given, str) or callable(given):
        return [given] * count
    if len(given) != count:
        raise ValueError(f"{name} is one for all layers or {count} of them, got {len(given)}.")
    return list(given)
