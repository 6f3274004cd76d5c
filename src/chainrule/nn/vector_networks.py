"""Deep networks for tables and other vectors: residual and densely connected ones."""

from __future__ import annotations

import numpy as np

from chainrule import random
from chainrule.nn.activations import Activation
from chainrule.nn.dense import DenseBlock, Transition
from chainrule.nn.init import Initialisation
from chainrule.nn.linear import Linear
from chainrule.nn.module import Module
from chainrule.nn.normalisation import BatchNorm
from chainrule.nn.residual import ResidualBlock
from chainrule.nn.sequential import Sequential


class ResidualMLP(Sequential):
    """A residual network of vectors: (..., inputs) -> (..., outputs).

    `depth` counts the layers of weights: the first one to `width`, two in each block, and the last
    one to the scores; it is an even number from 4 on. `form` is the blocks' (see `nn.residual`).
    The blocks begin as the identity (`identity_start`), so that at first the depth changes neither
    values nor gradients; else each plain block of He's weights doubles the variance.

    **Errors** `ValueError` for another depth.

    >>> network = ResidualMLP(4, 8, 6, 3, rng=0)
    >>> network(np.ones((5, 4), np.float32)).shape, len(network.layers)
    ((5, 3), 5)
    """

    def __init__(
        self, inputs: int, width: int, depth: int, outputs: int, *, form: str = "plain",
        activation: str = "relu", dropout: float = 0.0, identity_start: bool = True,
        init: str | Initialisation = "he", dtype="f", rng=0,
    ):  # fmt: skip
        if depth < 4 or depth % 2:
            raise ValueError(
                f"depth is an even number from 4 on (the first layer, two in a block, the last "
                f"one), got {depth}."
            )
        rng = random.default_rng(rng)
        layers: list[Module] = [Linear(inputs, width, init=init, dtype=dtype, rng=rng)]
        layers += [BatchNorm(width, dtype=dtype)] if form == "batch_norm" else []
        layers += [] if form == "pre_activation" else [Activation(activation)]
        layers += [
            ResidualBlock(width, form=form, activation=activation, dropout=dropout, init=init,
                          identity_start=identity_start, dtype=dtype, rng=rng)
            for _ in range(depth // 2 - 1)
        ]  # fmt: skip
        if form == "pre_activation":
            layers += [BatchNorm(width, dtype=dtype), Activation(activation)]
        super().__init__(*layers, Linear(width, outputs, init="lecun", dtype=dtype, rng=rng))
        self._configure(
            inputs=inputs, width=width, depth=depth, outputs=outputs, form=form,
            activation=activation, dropout=dropout, identity_start=identity_start,
            dtype=np.dtype(dtype).char,
        )  # fmt: skip


class DenseMLP(Sequential):
    """A densely connected network of vectors: (..., inputs) -> (..., outputs).

    A linear layer to `width`, then `blocks` dense blocks of `count` layers, each of which adds
    `growth` values, with a transition that keeps `reduction` of them between two blocks, and a
    linear layer to the scores.

    **Errors** `ValueError` where there would be nothing in a block.
    **Source** Huang et al., CVPR 2017, with linear layers for the convolutions.

    >>> network = DenseMLP(4, 8, 3, growth=2, count=3, rng=0)
    >>> network(np.ones((5, 4), np.float32)).shape
    (5, 3)
    """

    def __init__(
        self, inputs: int, width: int, outputs: int, *, growth: int, count: int, blocks: int = 1,
        reduction: float = 0.5, batch_norm: bool = True, activation: str = "relu",
        dropout: float = 0.0, init: str | Initialisation = "he", dtype="f", rng=0,
    ):  # fmt: skip
        if blocks < 1 or not 0 < reduction <= 1:
            raise ValueError(
                f"DenseMLP needs a block and a reduction in (0, 1], got {blocks} and {reduction}."
            )
        rng = random.default_rng(rng)
        layers: list[Module] = [Linear(inputs, width, init=init, dtype=dtype, rng=rng)]
        size = width
        for number in range(blocks):
            if number:
                kept = max(int(reduction * size), 1)
                layers.append(Transition(
                    size, kept, image=False, batch_norm=batch_norm, activation=activation,
                    init=init, dtype=dtype, rng=rng,
                ))  # fmt: skip
                size = kept
            block = DenseBlock(
                size, growth, count, batch_norm=batch_norm, activation=activation, dropout=dropout,
                init=init, dtype=dtype, rng=rng,
            )  # fmt: skip
            layers.append(block)
            size = block.outputs
        layers += [BatchNorm(size, dtype=dtype)] if batch_norm else []
        layers += [
            Activation(activation),
            Linear(size, outputs, init="lecun", dtype=dtype, rng=rng),
        ]
        super().__init__(*layers)
        self._configure(
            inputs=inputs, width=width, outputs=outputs, growth=growth, count=count, blocks=blocks,
            reduction=reduction, batch_norm=batch_norm, activation=activation, dropout=dropout,
            dtype=np.dtype(dtype).char,
        )  # fmt: skip
