"""Nodes for windows: convolutions and pools. ONNX has the channels before the places."""

from __future__ import annotations

from math import inf, prod
from typing import Any

import numpy as np

from chainrule import errors
from chainrule.train.export.graph import Graph
from chainrule.train.export.programs import Step


def _channels_first(graph: Graph, name: str, ndim: int) -> str:
    return graph.add("Transpose", name, perm=[0, ndim - 1, *range(1, ndim - 1)])


def _channels_last(graph: Graph, name: str, ndim: int) -> str:
    return graph.add("Transpose", name, perm=[0, *range(2, ndim), 1])


def _refuse_spread(step: Step) -> None:
    if any(n != 1 for n in step.params.get("x_dilation", ())):
        raise errors.NotSupported(
            f"{step.op} of an input with zeros put between its entries (x_dilation="
            f"{step.params['x_dilation']}) has no form in ONNX that chainrule knows, at "
            f"{step.where}."
        )


def _padded(graph: Graph, name: str, padding, value: float, dtype) -> str:
    """The input (N, C, ...) with its padding, negative ones too."""
    if not any(map(any, padding)):
        return name
    before, after = zip((0, 0), (0, 0), *padding, strict=True)
    return graph.add(
        "Pad", name, graph.constant([*before, *after], np.int64), graph.constant(value, dtype)
    )


def _convolution(graph: Graph, step: Step) -> list[str]:
    _refuse_spread(step)
    x, w = step.inputs
    ndim, params = len(graph.shape_of(x)), step.params
    name = _channels_first(graph, graph.name(x), ndim)
    pads: tuple = params["padding"]
    plain: dict[str, Any] = {}
    if min(map(min, pads), default=0) < 0:
        name = _padded(graph, name, pads, 0, x.type.dtype)
    else:
        plain = {"pads": [low for low, _ in pads] + [high for _, high in pads]}
    out = graph.add(
        "Conv", name, _window_weights(graph, graph.name(w), ndim), strides=params["strides"],
        dilations=params["w_dilation"], group=params["groups"], **plain,
    )  # fmt: skip
    return [_channels_last(graph, out, ndim)]


def _window_weights(graph: Graph, name: str, ndim: int) -> str:
    """(*window, C / groups, D) -> (D, C / groups, *window): in the file, where they stand in it."""
    axes = [ndim - 1, ndim - 2, *range(ndim - 2)]
    known = graph.known(name)
    if known is None:
        return graph.add("Transpose", name, perm=axes)
    return graph.constant(known.transpose(axes), wish=name)


def _window_max(graph: Graph, step: Step) -> list[str]:
    return _pooled(graph, step, "MaxPool", -inf)


def _window_sum(graph: Graph, step: Step) -> list[str]:
    """The mean over each window of the padded input, times the entries of a window."""
    _refuse_spread(step)
    return _pooled(graph, step, "AveragePool", 0.0, prod(step.params["window"]))


def _pooled(graph: Graph, step: Step, kind: str, outside: float, times: int = 1) -> list[str]:
    (x,) = step.inputs
    ndim, params, dtype = len(graph.shape_of(x)), step.params, x.type.dtype
    if dtype.kind != "f":
        raise errors.NotSupported(f"{step.op} of {dtype} has no form in ONNX, at {step.where}.")
    name = _channels_first(graph, graph.name(x), ndim)
    name = _padded(graph, name, params["padding"], outside, dtype)
    name = graph.add(
        kind, name, kernel_shape=params["window"], strides=params["strides"],
        dilations=params["w_dilation"],
    )  # fmt: skip
    if times != 1:
        name = graph.add("Mul", name, graph.constant(times, dtype))
    return [_channels_last(graph, name, ndim)]


WINDOWS = {
    "convolution": _convolution,
    "window_max": _window_max,
    "window_sum": _window_sum,
}
