"""Tied weights: one array in two layers, by declaration.

The weights belong to one layer. The other one, a `Tied`, names that layer and owns no weights: the
`Sequential` that holds both hands them over. So the gradient by the weights is the sum over both
uses, an optimizer moves them once, and a file holds them once. The same array object at two places
of a model, which would do none of this, is refused by `refuse_shared`.
"""

from __future__ import annotations

from typing import Any

import numpy as np

from chainrule import errors
from chainrule.nn.linear import as_dtype_of
from chainrule.nn.module import Module, Parameter


class Tied(Module):
    """x @ W.T + bias, or x @ W without `transpose`, W being the weight of layer `layer`.

    `layer` counts the layers of the `Sequential` (or `Stack`) that holds this one, from 0; it has a
    `weight` of two axes, as `Linear` and `Embedding` do. `outputs` is the length of the bias.

    **Shapes** with W (n, m) and `transpose` (..., m) -> (..., n).
    **Source** for transposes in autoencoders: Vincent et al., ICML 2008; for scores from an
    embedding: Press and Wolf, EACL 2017.

    >>> from chainrule import nn
    >>> model = nn.Sequential(nn.Linear(4, 2, rng=0), np.tanh, nn.Tied(0, 4))
    >>> model(np.ones((5, 4), np.float32)).shape
    (5, 4)
    >>> [path for path, _ in model.named_parameters()]
    ['layers[0].weight', 'layers[0].bias', 'layers[2].bias']
    """

    def __init__(
        self, layer: int, outputs: int, *, transpose: bool = True, bias: bool = True, dtype="f"
    ):
        self.bias: Any = Parameter(np.zeros(outputs, dtype)) if bias else None
        self._configure(
            layer=int(layer), outputs=int(outputs), transpose=bool(transpose), bias=bool(bias),
            dtype=np.dtype(dtype).char,
        )  # fmt: skip

    def __call__(self, x, training: bool = False, rng=None, *, weight=None):
        option = self.config()
        if weight is None:
            raise errors.StructureMismatch(
                f"Tied({option['layer']}) has no weights of its own: it stands in the Sequential "
                "that holds their layer, or is called with weight=."
            )
        weight = weight.T if option["transpose"] else weight
        if x.shape[-1:] != weight.shape[:1] or weight.shape[-1] != option["outputs"]:
            raise errors.ShapeError(
                f"Tied({option['layer']}, {option['outputs']}) multiplies {x.shape} by weights "
                f"{weight.shape}{' (transposed)' if option['transpose'] else ''}."
            )
        out = as_dtype_of(x, weight) @ weight
        return out if self.bias is None else out + self.bias

    def __repr__(self) -> str:
        option = self.config()
        return f"Tied({option['layer']}, {option['outputs']})"


def weight_for(tied: Tied, layers: list) -> Any:
    """The weight of the layer that a `Tied` names among these."""
    number = tied.config()["layer"]
    owner = layers[number] if 0 <= number < len(layers) else None
    weight = getattr(owner, "weight", None)
    if weight is None or weight.ndim != 2:
        raise errors.StructureMismatch(
            f"Tied({number}) names layer {number} of {len(layers)}, which is "
            f"{owner!r}: it takes one with a weight of two axes."
        )
    return weight


def refuse_shared(model: Module) -> None:
    """Raise `StructureMismatch` where one array stands at two places of a model's parameters.

    >>> from chainrule import nn
    >>> layer = nn.Linear(2, 2)
    >>> refuse_shared(nn.Sequential(layer, layer))
    Traceback (most recent call last):
        ...
    chainrule.errors.StructureMismatch: layers[0].weight and layers[1].weight are one array. ...
    """
    seen: dict[int, str] = {}
    for path, array in model.named_parameters():
        first = seen.setdefault(id(array), path)
        if first != path:
            raise errors.StructureMismatch(
                f"{first} and {path} are one array. Its gradient would be stored once and its "
                "updates made twice; declare tied weights by nn.Tied, or copy the layer."
            )
