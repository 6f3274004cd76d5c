"""Nodes for operations on whole arrays: shapes, products, sums, parts."""

from __future__ import annotations

from string import ascii_letters

import numpy as np

from chainrule.train.export.graph import Graph
from chainrule.train.export.programs import Length, Rows, Step

_FAR = 2**62  # where a slice ends that runs to the end of its axis


def _broadcast(graph: Graph, step: Step) -> list[str]:
    """Axes of length 1 where the operand has none, then repeated."""
    name, shape, axes = graph.name(step.inputs[0]), step.params["shape"], step.params["axes"]
    first = axes[0] if axes else len(shape)  # the axes before it are ONNX's to add
    missing = [a - first for a in range(first, len(shape)) if a not in axes]
    if missing:
        name = graph.add("Unsqueeze", name, graph.constant(missing, np.int64))
    if step.outputs[0] in graph.light:
        return [name]
    return [graph.add("Expand", name, graph.lengths(shape))]


def _reshape(graph: Graph, step: Step) -> list[str]:
    shape = step.params["shape"]
    open_ = 0 not in shape
    lengths = graph.lengths(shape, one_open=open_)
    return [graph.add("Reshape", graph.name(step.inputs[0]), lengths, allowzero=int(not open_))]


def _transpose(graph: Graph, step: Step) -> list[str]:
    return [graph.add("Transpose", graph.name(step.inputs[0]), perm=step.params["axes"])]


def _cast(graph: Graph, step: Step) -> list[str]:
    to = graph.type_number(step.params["dtype"])
    return [graph.add("Cast", graph.name(step.inputs[0]), to=to)]


def _concatenate(graph: Graph, step: Step) -> list[str]:
    return [graph.add("Concat", *map(graph.name, step.inputs), axis=step.params["axis"])]


def _contract(graph: Graph, step: Step) -> list[str]:
    """MatMul where the last axis meets the last but one, Einsum for all else."""
    x, y = step.inputs
    (x_axes, y_axes), (x_batch, y_batch) = step.params["axes"], step.params["batch"]
    n, m = len(graph.shape_of(x)), len(graph.shape_of(y))
    names = graph.name(x), graph.name(y)
    lead = tuple(range(len(x_batch)))
    matrices = n >= 2 and m >= 2 and x_axes == (n - 1,) and x_batch == y_batch == lead
    if matrices and y_axes == (m - 2,) and (m == 2 or n == m == len(lead) + 2):
        return [graph.add("MatMul", *names)]
    letters = iter(ascii_letters)
    first = [next(letters) for _ in range(n)]
    second = [""] * m
    for a, b in zip((*x_axes, *x_batch), (*y_axes, *y_batch), strict=True):
        second[b] = first[a]
    second = [one or next(letters) for one in second]
    out = [first[a] for a in x_batch]
    out += [one for a, one in enumerate(first) if a not in x_batch and a not in x_axes]
    out += [one for b, one in enumerate(second) if b not in y_batch and b not in y_axes]
    equation = f"{''.join(first)},{''.join(second)}->{''.join(out)}"
    return [graph.add("Einsum", *names, equation=equation)]


def _reduced(kind: str):
    def rule(graph: Graph, step: Step) -> list[str]:
        name, axes = graph.name(step.inputs[0]), step.params["axes"]
        if not axes:
            return [graph.add("Abs" if kind == "ReduceL2" else "Identity", name)]
        return [graph.add(kind, name, graph.constant(axes, np.int64), keepdims=0)]

    return rule


def _some(kind: str):
    """any and all, which ONNX has for numbers alone: the largest or smallest of 0 and 1."""

    def rule(graph: Graph, step: Step) -> list[str]:
        boolean = graph.type_number(bool)
        name = graph.add("Cast", graph.name(step.inputs[0]), to=boolean)
        name = graph.add("Cast", name, to=graph.type_number(np.int32))
        axes = graph.constant(step.params["axes"], np.int64)
        name = graph.add(kind, name, axes, keepdims=0) if step.params["axes"] else name
        return [graph.add("Cast", name, to=boolean)]

    return rule


def _place(kind: str):
    def rule(graph: Graph, step: Step) -> list[str]:
        return [graph.add(kind, graph.name(step.inputs[0]), axis=step.params["axis"], keepdims=0)]

    return rule


def _shares(kind: str):
    """softmax and log_softmax over one axis; over several, by their largest and their sum."""

    def rule(graph: Graph, step: Step) -> list[str]:
        name, axes = graph.name(step.inputs[0]), step.params["axes"]
        if len(axes) == 1:
            return [graph.add(kind, name, axis=axes[0])]
        over = graph.constant(axes, np.int64)
        name = graph.add("Sub", name, graph.add("ReduceMax", name, over, keepdims=1))
        if kind == "LogSoftmax":
            return [graph.add("Sub", name, graph.add("ReduceLogSumExp", name, over, keepdims=1))]
        name = graph.add("Exp", name)
        return [graph.add("Div", name, graph.add("ReduceSum", name, over, keepdims=1))]

    return rule


def _cumsum(graph: Graph, step: Step) -> list[str]:
    axis = graph.constant(step.params["axis"], np.int64)
    return [graph.add("CumSum", graph.name(step.inputs[0]), axis)]


def _flip(graph: Graph, step: Step) -> list[str]:
    entries: list[tuple[int, Length, Length, int]]
    entries = [(a, _FAR, -_FAR, -1) for a in step.params["axes"]]
    return [_sliced(graph, graph.name(step.inputs[0]), entries)]


def _index(graph: Graph, step: Step) -> list[str]:
    """Static parts by Slice and Squeeze, then rows by Gather; several index arrays by GatherND."""
    x, *arrays = step.inputs
    lengths, at = graph.shape_of(x), step.params["at"]
    name = graph.name(x)
    entries: list[tuple[int, Length, Length, int]] = []
    dropped: list[int] = []
    for axis, entry in enumerate(at, start=len(arrays)):
        if not isinstance(entry, tuple):  # an index, which drops the axis
            start = entry.offset if isinstance(entry, Rows) and not entry.factor else entry
            stop = Rows(start.factor, start.offset + 1) if isinstance(start, Rows) else start + 1
            entries.append((axis, start, stop, 1))
            dropped.append(axis)
        elif entry != (0, lengths[axis], 1):
            start, stop, stride = entry
            ends = -_FAR if isinstance(stop, int) and stop < 0 else stop
            entries.append((axis, start, ends, stride))
    if entries:
        name = _sliced(graph, name, entries)
    if dropped:
        name = graph.add("Squeeze", name, graph.constant(dropped, np.int64))
    places = [graph.name(a) for a in arrays]
    if len(places) == 1:
        name = graph.add("Gather", name, places[0], axis=0)
    elif places:
        last = graph.constant([-1], np.int64)
        to = graph.type_number(np.int64)
        wide = [graph.add("Unsqueeze", graph.add("Cast", p, to=to), last) for p in places]
        name = graph.add("GatherND", name, graph.add("Concat", *wide, axis=-1))
    return [name]


def _sliced(graph: Graph, name: str, entries: list[tuple[int, Length, Length, int]]) -> str:
    axes, starts, ends, strides = zip(*entries, strict=True)
    return graph.add(
        "Slice", name, graph.lengths(starts), graph.lengths(ends),
        graph.constant(axes, np.int64), graph.constant(strides, np.int64),
    )  # fmt: skip


def _pad(graph: Graph, step: Step) -> list[str]:
    before, after = zip(*step.params["widths"], strict=True)
    return [graph.add("Pad", graph.name(step.inputs[0]), graph.lengths((*before, *after)))]


def _iota(graph: Graph, step: Step) -> list[str]:
    size, dtype = step.params["size"], step.params["dtype"]
    if isinstance(size, int):
        return [graph.constant(np.arange(size), dtype)]
    zero, one = graph.constant(0, np.int64), graph.constant(1, np.int64)
    last = graph.add("Squeeze", graph.lengths((size,)))
    return [graph.add("Cast", graph.add("Range", zero, last, one), to=graph.type_number(dtype))]


ARRAYS = {
    "all": _some("ReduceMin"), "any": _some("ReduceMax"), "argmax": _place("ArgMax"),
    "argmin": _place("ArgMin"), "broadcast": _broadcast, "cast": _cast,
    "concatenate": _concatenate, "contract": _contract, "cumsum": _cumsum, "flip": _flip,
    "index": _index, "iota": _iota, "log_softmax": _shares("LogSoftmax"),
    "logsumexp": _reduced("ReduceLogSumExp"), "max": _reduced("ReduceMax"),
    "min": _reduced("ReduceMin"), "norm": _reduced("ReduceL2"), "pad": _pad,
    "prod": _reduced("ReduceProd"), "reshape": _reshape, "softmax": _shares("Softmax"),
    "sum": _reduced("ReduceSum"), "transpose": _transpose,
}  # fmt: skip
