"""Networks for images: a plain convolutional one, ResNets and DenseNets by name."""

from __future__ import annotations

import math
from collections.abc import Sequence
from itertools import pairwise
from typing import Any

import numpy as np

from chainrule import random
from chainrule.nn.activations import Activation
from chainrule.nn.dense import DenseBlock, Transition
from chainrule.nn.init import Initialisation
from chainrule.nn.linear import Linear
from chainrule.nn.module import Module
from chainrule.nn.normalisation import BatchNorm
from chainrule.nn.pools import Flatten, GlobalMeanPool, MaxPool2d
from chainrule.nn.residual import Bottleneck2d, ResidualBlock2d, conv
from chainrule.nn.sequential import MLP, Sequential


class CNN(Sequential):
    """Convolutions of 3 x 3, halved by max pooling after each, then an MLP: images to scores.

    `channels` are those of the convolutions, `hidden` the sizes of the MLP's hidden layers. An axis
    of one pixel is not pooled.

    **Shapes** (N, *shape) -> (N, outputs), `shape` being (H, W, C).

    >>> CNN((8, 8, 1), (4, 8), (16,), 10, rng=0)(np.ones((2, 8, 8, 1), np.float32)).shape
    (2, 10)
    """

    def __init__(
        self, shape: Sequence[int], channels: Sequence[int], hidden: Sequence[int], outputs: int, *,
        activation: str = "relu", dropout: float = 0.0, batch_norm: bool = False,
        init: str | Initialisation = "he", dtype="f", rng=0,
    ):  # fmt: skip
        rng = random.default_rng(rng)
        high, wide, inputs = image_shape(shape)
        layers: list[Module] = []
        for n, m in pairwise([inputs, *channels]):
            layers.append(conv(n, m, 3, 1, not batch_norm, init, dtype, rng))
            layers += [BatchNorm(m, dtype=dtype)] if batch_norm else []
            window = (min(high, 2), min(wide, 2))
            layers += [Activation(activation), MaxPool2d(window)]
            high, wide = high // window[0], wide // window[1]
        size = high * wide * [inputs, *channels][-1]
        head = MLP(size, hidden, outputs, activation=activation, dropout=dropout, init=init,
                   batch_norm=batch_norm, dtype=dtype, rng=rng)  # fmt: skip
        super().__init__(*layers, Flatten(), head)
        self._configure(
            shape=list(shape), channels=list(channels), hidden=list(hidden), outputs=outputs,
            activation=activation, dropout=dropout, batch_norm=batch_norm,
            dtype=np.dtype(dtype).char,
        )  # fmt: skip


# Name: blocks in each stage, whether bottlenecks. Those of 6 n + 2 layers are for small images
# (stages of 16, 32 and 64 channels); the others for large ones (64, 128, 256, 512).
RESNETS: dict[str, tuple[tuple[int, ...], bool]] = {
    **{f"resnet{6 * n + 2}": ((n, n, n), False) for n in (1, 2, 3, 5, 7, 9, 18)},
    "resnet18": ((2, 2, 2, 2), False),
    "resnet34": ((3, 4, 6, 3), False),
    "resnet50": ((3, 4, 6, 3), True),
}


class ResNet(Sequential):
    """A residual network by name: images (N, H, W, C) to scores (N, outputs).

    For small images "resnet8", 14, 20, 32, 44, 56 and 110: a convolution of 3 x 3, three stages of
    16, 32 and 64 channels, the mean over all pixels, a linear layer; shortcuts of zeros. For large
    ones "resnet18", 34 and 50: a convolution of 7 x 7 and a max pool, four stages of 64 to 512
    channels, shortcuts of projection. The number counts the layers of weights.
    `form` is the blocks' (see `nn.residual`; bottlenecks have "batch_norm").

    **Errors** `ValueError` for an unknown name.
    **Source** He et al., CVPR 2016: section 4.2 and table 1.

    >>> network = ResNet("resnet20", shape=(32, 32, 3), outputs=10)
    >>> network
    ResNet(resnet20, 269,722 parameters)
    """

    def __init__(
        self, name: str, *, shape: Sequence[int], outputs: int, form: str = "batch_norm",
        activation: str = "relu", identity_start: bool = False,
        init: str | Initialisation = "he", dtype="f", rng=0,
    ):  # fmt: skip
        if name not in RESNETS:
            raise ValueError(f"a ResNet is one of {', '.join(RESNETS)}; got {name!r}.")
        rng = random.default_rng(rng)
        inputs = image_shape(shape)[2]
        counts, bottleneck = RESNETS[name]
        if bottleneck and form != "batch_norm":
            raise ValueError(f"{name} has bottlenecks, whose form is 'batch_norm'; got {form!r}.")
        small = len(counts) == 3
        width = 16 if small else 64
        given: dict[str, Any] = dict(
            activation=activation, identity_start=identity_start, init=init, dtype=dtype, rng=rng
        )
        layers = _resnet_stem(inputs, width, small, form, activation, init, dtype, rng)
        channels = width
        for stage, count in enumerate(counts):
            size = width * 2**stage
            for i in range(count):
                strides = 2 if stage and not i else 1
                if bottleneck:
                    layers.append(Bottleneck2d(channels, size, strides=strides, **given))
                else:
                    layers.append(ResidualBlock2d(
                        channels, size, strides=strides, form=form,
                        shortcut="zeros" if small else "projection", **given,
                    ))  # fmt: skip
                channels = 4 * size if bottleneck else size
        if form == "pre_activation":
            layers += [BatchNorm(channels, dtype=dtype), Activation(activation)]
        head = Linear(channels, outputs, init="lecun", dtype=dtype, rng=rng)
        super().__init__(*layers, GlobalMeanPool(), head)
        self._configure(
            name=name, shape=list(shape), outputs=outputs, form=form, activation=activation,
            identity_start=identity_start, dtype=np.dtype(dtype).char,
        )  # fmt: skip

    def __repr__(self) -> str:
        return _with_count(self)


def _resnet_stem(inputs, width, small, form, activation, init, dtype, rng) -> list[Module]:
    norm = [BatchNorm(width, dtype=dtype)] if form == "batch_norm" else []
    h = [] if form == "pre_activation" else [Activation(activation)]
    bias = form == "plain"
    if small:
        return [conv(inputs, width, 3, 1, bias, init, dtype, rng), *norm, *h]
    pool = MaxPool2d(3, strides=2, padding=1)
    return [conv(inputs, width, 7, 2, bias, init, dtype, rng), *norm, *h, pool]


# Name: layers in each block, growth rate, bottleneck, share of channels that a transition keeps.
DENSENETS: dict[str, tuple[tuple[int, ...], int, int, float]] = {
    "densenet40": ((12, 12, 12), 12, 0, 1.0),
    "densenet_bc100": ((16, 16, 16), 12, 4, 0.5),
    "densenet121": ((6, 12, 24, 16), 32, 4, 0.5),
    "densenet169": ((6, 12, 32, 32), 32, 4, 0.5),
}


class DenseNet(Sequential):
    """A densely connected network by name, or by depth: images (N, H, W, C) to scores (N, outputs).

    For small images "densenet40", "densenet_bc100", or a depth: three blocks of (depth - 4) / 3
    layers each, or half as many with `bottleneck`. For large images "densenet121" and 169.
    `growth` is the channels that a layer adds; a transition keeps the share `reduction` of them.
    Those that are not given are the name's, else 12, no bottleneck, and 1.

    **Errors** `ValueError` for an unknown name, or a depth that does not come out even.
    **Source** Huang et al., CVPR 2017: section 3 and table 1.

    >>> DenseNet("densenet_bc100", shape=(32, 32, 3), outputs=10)
    DenseNet(densenet_bc100, 769,162 parameters)
    >>> DenseNet(10, growth=4, shape=(8, 8, 1), outputs=3)(np.ones((2, 8, 8, 1), np.float32)).shape
    (2, 3)
    """

    def __init__(
        self, name: str | int, growth: int | None = None, *, shape: Sequence[int], outputs: int,
        bottleneck: int | None = None, reduction: float | None = None, activation: str = "relu",
        dropout: float = 0.0, init: str | Initialisation = "he", dtype="f", rng=0,
    ):  # fmt: skip
        rng = random.default_rng(rng)
        counts, growth, bottleneck, reduction = _densenet(name, growth, bottleneck, reduction)
        inputs = image_shape(shape)[2]
        given: dict[str, Any] = dict(activation=activation, init=init, dtype=dtype, rng=rng)
        small = len(counts) == 3
        channels = 2 * growth if bottleneck else 16
        layers: list[Module] = [conv(inputs, channels, 3 if small else 7, 1 if small else 2, False,
                                     init, dtype, rng)]  # fmt: skip
        if not small:
            layers += [BatchNorm(channels, dtype=dtype), Activation(activation),
                       MaxPool2d(3, strides=2, padding=1)]  # fmt: skip
        for i, count in enumerate(counts):
            block = DenseBlock(channels, growth, count, window=3, bottleneck=bottleneck,
                               dropout=dropout, **given)  # fmt: skip
            layers.append(block)
            channels = block.outputs
            if i < len(counts) - 1:
                kept = math.floor(reduction * channels)
                layers.append(Transition(channels, kept, **given))
                channels = kept
        super().__init__(
            *layers, BatchNorm(channels, dtype=dtype), Activation(activation), GlobalMeanPool(),
            Linear(channels, outputs, init="lecun", dtype=dtype, rng=rng),
        )  # fmt: skip
        self._configure(
            name=name, growth=growth, shape=list(shape), outputs=outputs, bottleneck=bottleneck,
            reduction=reduction, activation=activation, dropout=dropout,
            dtype=np.dtype(dtype).char,
        )  # fmt: skip

    def __repr__(self) -> str:
        return _with_count(self)


def _densenet(name, growth, bottleneck, reduction) -> tuple[tuple[int, ...], int, int, float]:
    if isinstance(name, str):
        if name not in DENSENETS:
            raise ValueError(
                f"a DenseNet is a depth or one of {', '.join(DENSENETS)}; got {name!r}."
            )
        counts, *rest = DENSENETS[name]
    else:
        each = (name - 4) // (6 if bottleneck else 3)
        counts, rest = (each, each, each), [12, 0, 1.0]
        if each < 1 or each * (6 if bottleneck else 3) + 4 != name:
            step = "6 n + 4 with bottlenecks" if bottleneck else "3 n + 4"
            raise ValueError(f"the depth of a DenseNet is {step}, got {name}.")
    given = [growth, bottleneck, reduction]
    k, b, r = (default if own is None else own for own, default in zip(given, rest, strict=True))
    if not 0 < r <= 1 or k < 1 or b < 0:
        raise ValueError(f"growth is positive and reduction in (0, 1], got {k} and {r}.")
    return counts, int(k), int(b), float(r)


def image_shape(shape: Sequence[int]) -> tuple[int, int, int]:
    """(H, W, C), checked."""
    if len(shape) != 3 or min(shape) < 1:
        gray = " Gray images have one channel: x[..., None]." if len(shape) == 2 else ""
        raise ValueError(f"the shape of an image is (H, W, C), got {tuple(shape)}.{gray}")
    high, wide, channels = (int(n) for n in shape)
    return high, wide, channels


def _with_count(model) -> str:
    count = sum(a.size for a in model.parameters())
    return f"{type(model).__name__}({model.config()['name']}, {count:,} parameters)"
