"""`nn.summary`: a model layer by layer, in numbers."""

from __future__ import annotations

import math
from typing import Any, NamedTuple

import numpy as np

from chainrule.nn.layer_outputs import LayerOutput, layer_outputs
from chainrule.nn.module import Module
from chainrule.program.tree import flatten
from chainrule.show.source import trace


class Row(NamedTuple):
    """One layer: `flops` of one forward propagation, `bytes` of what it gives out.

    A module that holds others has a row where it computes something itself (the sum of a residual
    block, the products of an attention); its figures are without those of the modules inside.
    """

    path: str
    kind: str
    shape: tuple[int, ...]
    parameters: int
    flops: int
    bytes: int


class Summary:
    """`rows`, one for each call of a layer, and their totals; `str()` is a table.

    `parameters` and `flops` are those of the whole model. `activation_bytes` is the memory of all
    outputs together, which training keeps for the way back.
    """

    def __init__(self, rows: list[Row], parameters: int):
        self.rows, self.parameters = rows, parameters
        self.flops = sum(row.flops for row in rows)
        self.activation_bytes = sum(row.bytes for row in rows)

    def __str__(self) -> str:
        head = ("layer", "kind", "output", "parameters", "flops", "activations")
        lines = [
            (r.path or "model", r.kind, str(r.shape or ""), *_figures(*r[3:])) for r in self.rows
        ]
        total = _figures(self.parameters, self.flops, self.activation_bytes)
        return _table([head, *lines, ("total", "", "", *total)])

    __repr__ = __str__


def summary(model: Module, x: Any) -> Summary:
    """Shapes, parameters, flops and memory of every layer for an input.

    `x` is an array, or the shape of one (the batch included), then of the dtype of the first
    parameter. Nothing is computed: the model is traced, and flops are those of the traced Program's
    `cost()`, a layer at a time: 2 k for an element of a product over k, 1 for an element of an
    elementwise operation.

    >>> from chainrule import nn
    >>> print(summary(nn.MLP(4, (8,), 3), (10, 4)))
    layer      kind        output   parameters  flops  activations
    layers[0]  Linear      (10, 8)          40    720        320 B
    layers[1]  Activation  (10, 8)           0     80        320 B
    layers[2]  Linear      (10, 3)          27    510        120 B
    total                                   67  1,310        760 B
    """
    if isinstance(x, tuple | list) and all(isinstance(n, int) for n in x):
        dtype = next((a.dtype for a in model.parameters()), np.dtype("f"))
        x = np.broadcast_to(np.zeros((), dtype), tuple(x))
    records: list[LayerOutput] = []
    trace(lambda x: records.extend(layer_outputs(model, x)), x)
    owned = _owned(model, {record.path for record in records})
    flops: list[int] = []  # of each record by itself
    rows = []
    for number, record in enumerate(records):
        flops.append(_flops(record) - sum(flops[number - record.inner : number]))
        row = _row(record, owned.pop(record.path, 0), flops[-1])
        if not record.inner or row.flops or row.parameters:
            rows.append(row)
    return Summary(rows, sum(a.size for a in model.parameters()))


def _owned(model: Module, paths: set[str]) -> dict[str, int]:
    """How many numbers are learned in each of these modules, and in none of them inside it."""
    owned = dict.fromkeys(paths, 0)
    for path, array in model.named_parameters():
        while path and path not in paths:
            path = path[: max(path.rfind("."), path.rfind("["), 0)]
        owned[path] += array.size
    return owned


def _flops(record: LayerOutput) -> int:
    """Those of one call, everything inside included, from the shapes that were traced."""
    arguments = [_stand_in(a) for a in record.arguments]
    options = {key: _stand_in(value) for key, value in record.options.items()}
    return trace(lambda *given: record.module(*given, **options), *arguments).cost().flops


def _row(record: LayerOutput, parameters: int, flops: int) -> Row:
    outputs = [a for a in flatten(record.output)[0] if hasattr(a, "shape")]
    size = sum(math.prod(a.shape) * np.dtype(a.dtype).itemsize for a in outputs)
    shape = tuple(outputs[0].shape) if outputs else ()
    return Row(record.path, type(record.module).__name__, shape, parameters, flops, size)


def _stand_in(value: Any) -> Any:
    """Zeros in the place of an array, which was traced."""
    if hasattr(value, "shape"):
        return np.broadcast_to(np.zeros((), value.dtype), value.shape)
    return value


def _figures(parameters: int, flops: int, size: int) -> tuple[str, str, str]:
    return f"{parameters:,}", f"{flops:,}", _bytes(size)


def _bytes(count: int) -> str:
    for size, unit in ((10**9, "GB"), (10**6, "MB"), (10**3, "kB")):
        if count >= size:
            return f"{count / size:.3g} {unit}"
    return f"{count} B"


def _table(lines: list[tuple[str, ...]]) -> str:
    widths = [max(len(line[i]) for line in lines) for i in range(len(lines[0]))]
    rows = []
    for line in lines:
        cells = [
            text.ljust(width) if i < 3 else text.rjust(width)
            for i, (text, width) in enumerate(zip(line, widths, strict=True))
        ]
        rows.append("  ".join(cells).rstrip())
    return "\n".join(rows)
