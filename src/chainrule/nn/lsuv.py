"""Initial weights that suit the data: outputs of variance 1, layer by layer.

Source    Mishkin and Matas, "All you need is a good init", ICLR 2016: orthonormal weights, then
          each layer's weights divided by the standard deviation of its output on a batch.
Ours      One pass over the model: a layer is scaled when the batch arrives at it, with those before
          it already scaled. Biases count as part of the output and are left as they are.
"""

from __future__ import annotations

import math

import numpy as np

from chainrule import random
from chainrule.nn.convolutions import Conv1d, Conv2d
from chainrule.nn.init import initial
from chainrule.nn.linear import Linear
from chainrule.nn.module import Module
from chainrule.nn.watching import watched

SCALED = (Linear, Conv1d, Conv2d)  # the layers whose weights are set


def lsuv(
    model: Module, x, *, tolerance: float = 0.02, iterations: int = 10, orthogonal: bool = True,
    rng=0,
) -> dict[str, float]:  # fmt: skip
    """Sets the weights of the linear and convolution layers of a model, in place, by a batch x.

    Returns the variance of the output of each layer afterwards, by its path, over the batch and
    all units together. Layers may stand anywhere in the model; one that is used twice is set at
    its first use. Without `orthogonal` the weights keep their directions and are only scaled.

    **Errors** `ValueError` where a layer's output is the same everywhere, or not finite: scaling
    cannot help; the error names the layer.
    **Cost** two to `iterations` + 1 forward propagations.

    >>> from chainrule import nn
    >>> x = np.random.default_rng(0).normal(3.0, 5.0, size=(200, 8)).astype(np.float32)
    >>> found = lsuv(nn.MLP(8, (16, 16), 2, init="small"), x)
    >>> {path: round(variance, 3) for path, variance in found.items()}
    {'layers[0]': 1.0, 'layers[2]': 1.0, 'layers[4]': 1.0}
    """
    rng, variances = random.default_rng(rng), {}

    def around(path, layer, call, x):
        if path in variances:
            return call(x)
        if orthogonal:
            shape = layer.weight.shape
            layer.weight[...] = initial("orthogonal", rng, shape, 1, 1, layer.weight.dtype)
        out, variances[path] = _scaled(path, layer, call, x, tolerance, iterations)
        return out

    with watched(model, SCALED, around):
        model(x)
    return variances


def _scaled(path: str, layer, call, x, tolerance: float, iterations: int):
    """The output of the layer, and its variance, once that is 1 within `tolerance`."""
    out, variance = _measured(path, call, x)
    for _ in range(iterations):
        if abs(variance - 1) <= tolerance:
            break
        layer.weight /= layer.weight.dtype.type(math.sqrt(variance))
        out, variance = _measured(path, call, x)
    return out, variance


def _measured(path: str, call, x):
    out = call(x)
    variance = float(np.var(out, dtype=np.float64))
    if not 0 < variance < math.inf:
        raise ValueError(
            f"lsuv: the output of {path or 'the model'} has variance {variance:g} on this batch of "
            f"shape {x.shape}, so no scale of its weights gives 1. Its input has variance "
            f"{float(np.var(x, dtype=np.float64)):g}; give a batch of different, finite examples."
        )
    return out, variance
