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
    """One layer: `flops` of one forward propagation, `bytes` of what it gives out."""

    path: str
    kind: str
    shape: tuple[int, ...]
    parameters: int
    flops: int
    bytes: int


class Summary:
    """`rows`, one for each call of a layer, and their totals; `str()` is a table.

    `parameters` and `flops` are those of the whole model: what happens between the layers (skip
    connections, functions in a `Sequential`) is the last row. `activation_bytes` is the memory of
    all layers' outputs together, which training keeps for the way back.
    """

    def __init__(self, rows: list[Row], parameters: int, flops: int):
        between = Row(
            "", "between layers", (), parameters - _counted(rows),
            flops - sum(row.flops for row in rows), 0,
        )  # fmt: skip
        self.rows = rows + ([between] if between.flops or between.parameters else [])
        self.parameters, self.flops = parameters, flops
        self.activation_bytes = sum(row.bytes for row in rows)

    def __str__(self) -> str:
        head = ("layer", "kind", "output", "parameters", "flops", "activations")
        lines = [(r.path, r.kind, str(r.shape or ""), *_figures(*r[3:])) for r in self.rows]
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

    def run(x):
        records[:] = layer_outputs(model, x)
        return records[-1].output

    flops = trace(run, x).cost().flops
    rows = [_row(record) for record in records if not record.inner]
    return Summary(rows, sum(a.size for a in model.parameters()), flops)


def _row(record: LayerOutput) -> Row:
    """The row of one call, from the shapes that were traced."""
    arguments = [_stand_in(a) for a in record.arguments]
    options = {key: _stand_in(value) for key, value in record.options.items()}
    program = trace(lambda *given: record.module(*given, **options), *arguments)
    outputs = [a for a in flatten(record.output)[0] if hasattr(a, "shape")]
    size = sum(math.prod(a.shape) * np.dtype(a.dtype).itemsize for a in outputs)
    parameters = sum(a.size for a in record.module.parameters())
    shape = tuple(outputs[0].shape) if outputs else ()
    return Row(record.path, type(record.module).__name__, shape, parameters, program.cost().flops,
               size)  # fmt: skip


def _stand_in(value: Any) -> Any:
    """Zeros in the place of an array, which was traced."""
    if hasattr(value, "shape"):
        return np.broadcast_to(np.zeros((), value.dtype), value.shape)
    return value


def _counted(rows: list[Row]) -> int:
    return sum({row.path: row.parameters for row in rows}.values())


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
