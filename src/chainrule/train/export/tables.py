"""A table's preparation as nodes before the network, and predictions in its words behind it.

The file then takes the columns of the table, each (rows,): numbers and booleans as float64 with nan
where they are missing, text with "" where it is missing; a column of arrays in its shape.
"""

from __future__ import annotations

from collections.abc import Callable
from typing import Any

import numpy as np

from chainrule import errors
from chainrule.data import Preparation, Table
from chainrule.data.converting import as_kind
from chainrule.data.scaling import LARGEST
from chainrule.train.export.graph import Graph
from chainrule.train.export.programs import Rows

OUTPUTS = ("class", "probabilities", "value")
Parts = tuple[
    list[str], list[str]
]  # names of numbers float64 (rows, n), of flags float32 (rows, m)


def first_column(preparation: Preparation) -> str:
    """The input whose length is the number of rows."""
    return preparation.columns[0]


def prepared(graph: Graph, preparation: Preparation) -> tuple[list[Any], str]:
    """What the file takes, and the name of the prepared inputs, float32 (rows, ...).

    **Errors** `NotSupported` for columns of dates.
    """
    declared, numbers, flags = [], [], []
    for record in preparation.records:
        if record["kind"] not in _KINDS:
            raise errors.NotSupported(
                f"column {record['name']!r} holds {record['kind']}s, whose preparation has no form "
                "in ONNX here.\n  Export the network alone, and prepare its inputs before it."
            )
        dtype, shape, encode = _KINDS[record["kind"]]
        declared.append(graph.declared(record["name"], dtype, (Rows(1), *shape(record))))
        found = encode(graph, record["name"], record)
        numbers += found[0]
        flags += found[1]
    parts = [_scaled(graph, preparation.scale, numbers)] if numbers else []
    name = _joined(graph, [*parts, *flags])
    if len(preparation.shape) > 1:
        name = graph.add(
            "Reshape", name, graph.lengths((Rows(1), *preparation.shape), one_open=True)
        )
    return declared, name


def _joined(graph: Graph, names: list[str]) -> str:
    return names[0] if len(names) == 1 else graph.add("Concat", *names, axis=1)


def _column(graph: Graph, name: str) -> str:
    return graph.add("Unsqueeze", name, graph.constant([1], np.int64))


def _flag(graph: Graph, name: str) -> str:
    """Booleans (rows,) as 0 and 1, float32 (rows, 1)."""
    return _column(graph, graph.add("Cast", name, to=graph.type_number(np.float32)))


def _number(graph: Graph, name: str, record: dict) -> Parts:
    gone = graph.add("IsNaN", name)
    filled = graph.add("Where", gone, graph.constant(record["fill"], np.float64), name)
    return (
        [_column(graph, filled)] if record["varies"] else [],
        [_flag(graph, gone)] if record["indicator"] else [],
    )


def _text(graph: Graph, name: str, record: dict) -> Parts:
    gone = _flag(graph, graph.add("Equal", name, graph.constant([""])))
    flags, levels = [], record["levels"]
    taken = gone
    if levels:
        same = graph.add("Equal", _column(graph, name), graph.constant([levels]))
        flags.append(graph.add("Cast", same, to=graph.type_number(np.float32)))
        one = graph.add("ReduceMax", flags[0], graph.constant([1], np.int64), keepdims=1)
        taken = graph.add("Max", gone, one)
    if record["other"]:
        flags.append(graph.add("Sub", graph.constant(1, np.float32), taken))
    return [], [*flags, *([gone] if record["indicator"] else [])]


def _array(graph: Graph, name: str, record: dict) -> Parts:
    flat = (Rows(1), int(np.prod(record["shape"])))
    return [graph.add("Reshape", name, graph.lengths(flat, one_open=True))], []


_KINDS: dict[str, tuple[Any, Callable, Callable]] = {
    "number": (np.float64, lambda record: (), _number),
    "boolean": (np.float64, lambda record: (), _number),
    "text": (str, lambda record: (), _text),
    "array": (np.float64, lambda record: tuple(record["shape"]), _array),
}


def _scaled(graph: Graph, scale: dict[str, Any], numbers: list[str]) -> str:
    """As `data.scaling.apply`: float64 (rows, n) -> float32 (rows, m)."""
    name = _joined(graph, numbers)
    ends = graph.constant(-LARGEST, np.float64), graph.constant(LARGEST, np.float64)
    for part, kind in (("mean", "Sub"), ("std", "Div")):
        if part in scale:
            name = _by_channel(graph, kind, name, np.array(scale[part], np.float64))
    if "matrix" in scale:
        name = graph.add("Clip", name, *ends)
        name = graph.add("MatMul", name, graph.constant(scale["matrix"], np.float64))
    name = graph.add("Clip", name, *ends)
    return graph.add("Cast", name, to=graph.type_number(np.float32))


def _by_channel(graph: Graph, kind: str, name: str, values: np.ndarray) -> str:
    """One value a column, or one for each channel of arrays that are laid out in the columns."""
    apart = graph.add("Reshape", name, graph.constant([0, -1, len(values)], np.int64))
    apart = graph.add(kind, apart, graph.constant(values))
    return graph.add("Reshape", apart, graph.add("Shape", name))


def told(graph: Graph, preparation: Preparation, scores: str) -> list[Any]:
    """The outputs: `class` and `probabilities`, or `value` in the units of the table.

    Of several labels a row `labels`, 1 where the target's column has the second of its two values
    and else 0, and the `probabilities` of that.
    """
    double = graph.add("Cast", scores, to=graph.type_number(np.float64))
    target = preparation.target
    assert target is not None
    if target.task == "multilabel":
        held = graph.add("Greater", double, graph.constant(0.0, np.float64))
        graph.give(graph.add("Cast", held, to=graph.type_number(np.int64)), "labels")
        graph.give(graph.add("Sigmoid", double), "probabilities")
        each = (Rows(1), len(target.names))
        return [
            graph.declared("labels", np.int64, each),
            graph.declared("probabilities", np.float64, each),
        ]
    if target.labels is not None:
        labels = np.array(target.labels, None if target.kind != "text" else str)
        place = graph.add("ArgMax", scores, axis=1, keepdims=0)
        graph.give(graph.add("Gather", graph.constant(labels), place, axis=0), "class")
        graph.give(graph.add("Softmax", double, axis=1), "probabilities")
        return [
            graph.declared("class", labels.dtype, (Rows(1),)),
            graph.declared("probabilities", np.float64, (Rows(1), len(labels))),
        ]
    count = len(target.names)
    value = graph.add("Mul", double, graph.constant(target.std, np.float64))
    value = graph.add("Add", value, graph.constant(target.mean, np.float64))
    shape = (Rows(1), count) if count > 1 else (Rows(1),)
    graph.give(graph.add("Reshape", value, graph.lengths(shape, one_open=True)), "value")
    return [graph.declared("value", np.float64, shape)]


def columns(preparation: Preparation, table: Table) -> dict[str, np.ndarray]:
    """The columns of a table as the file takes them."""
    found = {}
    for record in preparation.records:
        values = as_kind(table, record["name"], record["kind"]).values
        if record["kind"] == "text":
            values = np.array(["" if v is None else v for v in values], object)
        else:
            values = np.asarray(values, np.float64)
        found[record["name"]] = values
    return found
