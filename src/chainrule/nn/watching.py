"""What goes through the layers of a model while it runs, whatever its structure."""

from __future__ import annotations

from collections.abc import Callable, Iterator
from contextlib import contextmanager
from typing import Any

from chainrule.nn.layer_outputs import named_modules
from chainrule.nn.module import Module

Around = Callable[[str, Module, Callable, Any], Any]  # (path, layer, call, x) -> output


@contextmanager
def watched(model: Module, kinds: type | tuple[type, ...], around: Around) -> Iterator[None]:
    """Within it, a module of these classes calls `around(path, layer, call, x)` for its output.

    `call(x)` is what the layer does otherwise. Meant for a pass or two over a model that is not
    being traced: initialisation, looking at activations.

    >>> import numpy as np
    >>> from chainrule import nn
    >>> def shape(path, layer, call, x):
    ...     print(path, x.shape)
    ...     return call(x)
    >>> model = nn.MLP(2, (3,), 1)
    >>> with watched(model, nn.Linear, shape):
    ...     out = model(np.ones((5, 2), np.float32))
    layers[0] (5, 2)
    layers[2] (5, 3)
    """
    found: dict[int, tuple[str, Module]] = {}
    for path, layer in named_modules(model):
        if isinstance(layer, kinds):
            found.setdefault(id(layer), (path, layer))  # one that is shared, once
    layers = list(found.values())
    classes = [type(layer) for _, layer in layers]
    try:
        for path, layer in layers:  # Python looks up __call__ on the class
            object.__setattr__(layer, "__class__", _watching(path, type(layer), around))
        yield
    finally:
        for (_, layer), original in zip(layers, classes, strict=True):
            object.__setattr__(layer, "__class__", original)


def _watching(path: str, original: type, around: Around) -> type:
    def called(self, x, *args, **kwargs):
        def call(x):
            return original.__call__(self, x, *args, **kwargs)

        return around(path, self, call, x)

    return type(original.__name__, (original,), {"__call__": called})
