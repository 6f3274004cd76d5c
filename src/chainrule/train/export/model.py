"""onnx: a model's inference as a file that other programs run; check: it gives the same."""

from __future__ import annotations

import os
from collections.abc import Callable
from pathlib import Path
from typing import Any

import numpy as np
from scipy.special import expit, softmax

from chainrule import errors, extras
from chainrule.data import Preparation, Table
from chainrule.nn.module import Module
from chainrule.program.program import Var
from chainrule.train import files
from chainrule.train.export import tables
from chainrule.train.export.graph import Graph
from chainrule.train.export.programs import Rows, traced
from chainrule.train.export.rules import translate

OPSET, IR = 20, 10  # 2024: what onnxruntime runs since 1.18
LARGEST = 2**31 - 2**20  # bytes of a file: protobuf holds no more
INPUT, OUTPUT = "input", "output"


def onnx(
    model: Module | Callable, path: str | os.PathLike, example: Any = None, *,
    preparation: Preparation | None = None,
) -> Path:  # fmt: skip
    """Write what `model(x)` computes as an ONNX file, and return its path.

    The program that chainrule traces is translated operation by operation, so that any function of
    NumPy code whose operations ONNX can express is exported, not layers alone. `example` is an
    array of inputs; the file takes any number of rows on its first axis, the other axes are the
    example's. Input and outputs are called "input" and "output" ("output_0" and so on where there
    are several); weights have their paths in the model as names.

    With a `preparation`, the file takes the columns of a table by their names instead, and gives
    `class` and `probabilities`, or `value`, as `chainrule predict` does (see `export.tables`).

    **Errors** `NotSupported` with the operation and its line, where ONNX has none such, or where
    the model does something else for another number of rows; `MissingExtra` without onnx;
    `FileNotWritten`.

    >>> import tempfile
    >>> from chainrule import nn
    >>> example = np.zeros((1, 4), np.float32)
    >>> with tempfile.TemporaryDirectory() as folder:
    ...     path = onnx(nn.MLP(4, (8,), 3, rng=0), f"{folder}/model.onnx", example)
    ...     path.name, path.stat().st_size < 1000
    ('model.onnx', True)
    """
    if preparation is not None:
        return _of_table(model, Path(path), preparation)
    example = np.asarray(example)
    if not example.ndim:
        raise errors.ShapeError("example is an array of inputs with rows on its first axis.")
    graph = Graph(INPUT)
    found, results = _translated(graph, model, example, INPUT)
    names = [OUTPUT] if len(found) == 1 else [f"{OUTPUT}_{i}" for i in range(len(found))]
    for name, value in zip(names, found, strict=True):
        graph.give(value, name)
    declared = [
        graph.declared(name, out.type.dtype, graph.shape_of(out))
        for name, out in zip(names, results, strict=True)
    ]
    first = graph.declared(INPUT, example.dtype, (Rows(1), *example.shape[1:]))
    return _written(graph, [first], declared, Path(path))


def _of_table(model: Any, path: Path, preparation: Preparation) -> Path:
    """The file that takes a table's columns and gives predictions in its words."""
    clash = [name for name in preparation.columns if name in tables.OUTPUTS]
    if clash:
        raise errors.NotSupported(
            f"column {clash[0]!r} has the name of an output of the file: rename it in the table."
        )
    graph = Graph(tables.first_column(preparation), tuple(preparation.columns))
    declared, inputs = tables.prepared(graph, preparation)
    example = np.zeros((1, *preparation.shape), np.float32)
    (scores,), _ = _translated(graph, model, example, inputs)
    return _written(graph, declared, tables.told(graph, preparation, scores), path)


def _translated(
    graph: Graph, model: Any, example: np.ndarray, inputs: str
) -> tuple[list[str], tuple]:
    """The nodes of a model on the tensor `inputs`; the names of its outputs, and its outputs."""
    program, captured, count = traced(_inference(model), example)
    known = {}
    if isinstance(model, Module):
        known = {id(a): path for path, a in (*model.named_parameters(), *model.named_state())}
    for var, array in zip(program.inputs[:count], captured, strict=True):
        graph.shapes[var] = program.shapes[var]
        graph.names[var] = _constant(graph, var, array, known.get(id(array)))
    graph.names[program.inputs[count]] = inputs
    return translate(graph, program), program.outputs


def _inference(model: Any) -> Callable:
    def inference(x):
        return model(x)

    return inference


def _constant(graph: Graph, var: Var, array: np.ndarray, path: str | None) -> str:
    shape = graph.shapes[var]
    if any(isinstance(n, Rows) for n in shape):
        return graph.add("Expand", graph.constant(array.reshape(())), graph.lengths(shape))
    return graph.constant(array) if path is None else graph.weight(array, path)


def _written(graph: Graph, inputs: list, outputs: list, path: Path) -> Path:
    arrays = graph.read_constants()
    size = sum(array.nbytes for array in arrays.values())
    if size > LARGEST:
        raise errors.NotSupported(
            f"the model's arrays have {size:,} bytes; a file of ONNX holds at most {LARGEST:,}."
        )
    onnx_package = extras.load("onnx", "export", "Exports")
    tensors = [graph.numpy_helper.from_array(_plain(a), name) for name, a in arrays.items()]
    made = graph.helper.make_model(
        graph.helper.make_graph(graph.all_nodes(), "inference", inputs, outputs, tensors),
        opset_imports=[graph.helper.make_opsetid("", OPSET)], ir_version=IR,
        producer_name="chainrule",
    )  # fmt: skip
    onnx_package.checker.check_model(made)
    files.write(path, made.SerializeToString())
    return path


def _plain(array: np.ndarray) -> np.ndarray:
    """The array as ONNX stores it: text as objects."""
    return array.astype(object) if array.dtype.kind == "U" else array


def check(path: str | os.PathLike, model: Callable, example: Any, tolerance: float = 1e-5) -> float:
    """The largest difference between what onnxruntime and the model give, over 1 + |output|.

    Compared on the example's rows, on its first alone, and on all of them twice.

    **Errors** `FileDamaged` where a difference exceeds the tolerance; `MissingExtra` without
    onnxruntime.
    """
    runtime = extras.load("onnxruntime", "export", "Comparisons with what was exported")
    session = runtime.InferenceSession(str(path), providers=["CPUExecutionProvider"])
    example = np.asarray(example)
    worst = 0.0
    for x in (example, example[:1], np.concatenate([example, example])):
        expected = model(x)
        expected = expected if isinstance(expected, tuple | list) else (expected,)
        for found, wanted in zip(session.run(None, {INPUT: x}), expected, strict=True):
            worst = max(worst, difference(found, wanted))
    return _checked(path, worst, tolerance)


def check_table(
    path: str | os.PathLike, model: Callable, preparation: Preparation, table: Table,
    tolerance: float = 1e-5,
) -> float:  # fmt: skip
    """As `check`, of a file with a preparation, on the rows of a table.

    Compared are probabilities, or values in units of the target's standard deviation.
    """
    runtime = extras.load("onnxruntime", "export", "Comparisons with what was exported")
    session = runtime.InferenceSession(str(path), providers=["CPUExecutionProvider"])
    given = tables.columns(preparation, table)
    found = session.run(None, {one.name: given[one.name] for one in session.get_inputs()})
    scores = np.asarray(model(preparation.inputs(table)), np.float64)
    if preparation.labels is not None:
        return _checked(path, difference(found[1], softmax(scores, axis=1)), tolerance)
    target = preparation.target
    assert target is not None
    if target.task == "multilabel":
        return _checked(path, difference(found[1], expit(scores)), tolerance)
    values = (found[0].reshape(scores.shape) - target.mean) / target.std
    return _checked(path, difference(values, scores), tolerance)


def _checked(path: str | os.PathLike, worst: float, tolerance: float) -> float:
    if not worst <= tolerance:
        raise errors.FileDamaged(
            f"{path}: onnxruntime gives other outputs than the model; the largest difference is "
            f"{worst:.3g}, expected at most {tolerance:g}."
        )
    return worst


def difference(found: np.ndarray, wanted: Any) -> float:
    """The largest |found - wanted| / (1 + |wanted|); infinite where shapes or nans differ."""
    wanted = np.asarray(wanted)
    if found.shape != wanted.shape or found.dtype != wanted.dtype:
        return np.inf
    same = (found == wanted) | ((found != found) & (wanted != wanted))
    with np.errstate(invalid="ignore"):
        apart = np.abs(np.subtract(found, wanted, dtype=np.float64)) / (1.0 + np.abs(wanted))
    apart = np.where(same, 0.0, np.where(np.isnan(apart), np.inf, apart))
    return float(apart.max(initial=0.0))
