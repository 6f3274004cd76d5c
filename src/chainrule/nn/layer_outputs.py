"""What every layer of a model gives for an input: for the summary, and to see a network's health.

The model is run on a copy of its structure (the arrays are the same) in which every module notes
what it was called with and what came out; the model itself is left as it is.
"""

from __future__ import annotations

from collections.abc import Iterator
from typing import Any, NamedTuple

from chainrule.nn.module import Module
from chainrule.program.tree import flatten, node_of, unflatten


class LayerOutput(NamedTuple):
    """One call of a module: where it stands in the model, what it was given and what it gave."""

    path: str  # `layers[0]`, as in the names of parameters; "" is the model itself
    module: Module
    arguments: tuple  # positional ones
    options: dict  # keyword ones: training, rng, ...
    output: Any
    inner: int  # how many calls of other modules were made inside, which stand before it


def layer_outputs(model: Module, x, training: bool = False, rng=None) -> list[LayerOutput]:
    """One entry for each call of a module, in the order in which they ended; the model's is last.

    With `training`, the running statistics of copies move, not those of the model.

    >>> import numpy as np
    >>> from chainrule import nn
    >>> model = nn.Sequential(nn.Linear(2, 3, rng=0), nn.Activation("relu"))
    >>> [(a.path, a.output.shape) for a in layer_outputs(model, np.ones((5, 2), np.float32))]
    [('layers[0]', (5, 3)), ('layers[1]', (5, 3)), ('', (5, 3))]
    """
    leaves, structure = flatten(model)
    if training:
        leaves = [a.copy() if hasattr(a, "copy") else a for a in leaves]
    copy = unflatten(structure, leaves)
    modules = dict(named_modules(model))
    records: list[LayerOutput] = []
    for path, module in named_modules(copy):
        _make_record(module, path, modules[path], records)
    copy(x, training=training, rng=rng)
    return records


def named_modules(value, path: str = "") -> Iterator[tuple[str, Module]]:
    """(path, module) of a model and of every module in it, the outer ones first."""
    node = node_of(value)
    if node is None:
        return
    if isinstance(value, Module):
        yield path, value
    for key, child in zip(node.keys, node.children, strict=True):
        step = f"[{key!r}]" if isinstance(value, list | tuple | dict) else f".{key}"
        yield from named_modules(child, (path + step).lstrip("."))


def _make_record(module: Module, path: str, original: Module, records: list[LayerOutput]) -> None:
    """Let this one object note its calls: Python looks `__call__` up in the class alone."""
    kind = type(module)

    def call(self, *arguments, **options):
        before = len(records)
        out = kind.__call__(self, *arguments, **options)
        inner = len(records) - before
        records.append(LayerOutput(path, original, arguments, options, out, inner))
        return out

    recording = type(kind.__name__, (kind,), {"__call__": call})
    object.__setattr__(module, "__class__", recording)
