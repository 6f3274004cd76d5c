"""Small models that together hold every class that a model file may hold."""

from __future__ import annotations

from collections.abc import Callable

import numpy as np

from chainrule import nn

ZOO: dict[str, Callable[[], nn.Module]] = {
    "several": lambda: nn.Sequential(
        nn.MLP(6, (8, 5), 4, activation="swish", dropout=0.1, batch_norm=True, rng=0),
        np.tanh, nn.LayerNorm(4), nn.SoftClip(2.0), nn.Swish(4), nn.Linear(4, 3, dtype="d", rng=1),
    ),
    "parts": lambda: nn.Sequential(
        nn.Dropout(0.25), nn.BatchNorm(4), nn.Activation("elu"), nn.DenseLayer(4, 2, rng=0),
        nn.RBM(6, 3, rng=1), nn.ZeroShortcut(2, 3), nn.Flatten(),
    ),
    "tied": lambda: nn.Sequential(nn.Linear(5, 3, rng=0), np.tanh, nn.Tied(0, 5)),
    "images": lambda: nn.CNN((8, 8, 1), (2, 3), (4,), 2, batch_norm=True, rng=0),
    "pools": lambda: nn.Sequential(
        nn.Conv2d(1, 2, 3, groups=1, rng=0), nn.MaxPool2d(2), nn.MeanPool2d(2, strides=1),
        nn.AdaptiveMaxPool(3), nn.AdaptiveMeanPool((2, 2)), nn.GlobalMeanPool(),
    ),
    "sequences": lambda: nn.Sequential(
        nn.Embedding(7, 4, rng=0), nn.MultiHeadAttention(4, 2, causal=True, rng=1),
        nn.Conv1d(4, 4, 3, padding="same", rng=2), nn.MaxPool1d(2), nn.MeanPool1d(2),
        nn.LSTM(4, 3, last=True, rng=3),
    ),
    "residual": lambda: nn.Sequential(
        nn.ResidualMLP(4, 3, 4, 4, rng=0), nn.ResidualBlock(4, form="batch_norm", rng=1),
        nn.Residual(nn.Linear(4, 4, rng=2), np.tanh),
    ),
    "residual images": lambda: nn.Sequential(
        nn.ResidualBlock2d(2, 4, strides=2, rng=0), nn.Bottleneck2d(4, 1, rng=1),
        nn.ResidualBlock2d(4, 6, shortcut="zeros", rng=2),
    ),
    "dense": lambda: nn.Sequential(
        nn.DenseMLP(4, 4, 3, growth=2, count=2, blocks=2, rng=0),
        nn.DenseBlock(3, 2, 2, rng=1), nn.Transition(7, 3, image=False, rng=2),
    ),
    "skips": lambda: nn.SkipMLP(4, (3, 3), 2, skips=[(0, 2)], rng=0),
    "stack": lambda: nn.Stack(nn.Linear(3, 3, rng=0), np.tanh, nn.Linear(3, 3, rng=1),
                              skips=[(0, 2)]),
    "autoencoder": lambda: nn.Autoencoder(5, (4,), 2, tied=True, noise="mask", level=0.2, rng=0),
    "belief": lambda: nn.DeepBelief(5, (4, 3), "gaussian", rng=0),
}  # fmt: skip

LARGE: dict[str, Callable[[], nn.Module]] = {
    "resnet8": lambda: nn.ResNet("resnet8", shape=(8, 8, 1), outputs=2, rng=0),
    "densenet": lambda: nn.DenseNet(10, 4, shape=(8, 8, 1), outputs=2, rng=0),
}
