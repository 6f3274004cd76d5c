"""`chainrule export MODEL --output FILE`: a trained model as a file that other programs run."""

from __future__ import annotations

from collections.abc import Callable
from functools import partial
from importlib.util import find_spec
from pathlib import Path
from typing import Annotated, Any

import numpy as np
from cyclopts import Parameter

from chainrule import data, errors, train
from chainrule.cli.failures import Failed, Misused
from chainrule.cli.output import Json, note, print_facts, print_json
from chainrule.cli.predict import Model
from chainrule.cli.saved import model_folder, saved_model
from chainrule.train import export as exports

ROWS, COMPARED = 16, 256  # that are compared with onnxruntime: made up, and of a table


def export(
    model: Model,
    /,
    *,
    output: Path = Path("model.onnx"),
    shape: Annotated[str | None, Parameter(help="Of one input, as 28,28,1.")] = None,
    table: Annotated[str | None, Parameter(help="A table like the one trained on.")] = None,
    json: Json = False,
) -> None:
    """Write a model's inference as a file of ONNX, for any number of rows.

    The file takes what the network takes, prepared inputs, and gives its outputs; with --table it
    takes the columns of a table, and gives classes and probabilities, or values. Where onnxruntime
    is installed, it is run beside the model, and must give the same to 1e-5.

    Parameters
    ----------
    output
        The file to write.
    shape
        Needed only where the model's folder does not say which table it was trained on.
    table
        The file then takes the columns of such a table, and is compared on its first rows.
    """
    if table is not None:
        _say(_of_table(model, output, table), json)
        return
    network, about = train.load_model(model_folder(model))
    example = _example(_shape(about, shape, model))
    path = exports.onnx(network, output, example)
    facts: dict[str, Any] = {
        "file": str(path),
        "bytes": path.stat().st_size,
        "input": ["rows", *example.shape[1:]],
        "difference": _difference(path, partial(exports.check, path, network, example)),
    }
    _say(facts, json)


def _of_table(place: Path, output: Path, source: str) -> dict[str, Any]:
    """Export with the preparation, and compare on the first rows of a table."""
    saved = saved_model(place)
    rows = saved.table(source, with_target=False)[:COMPARED]
    path = exports.onnx(saved.network, output, preparation=saved.preparation)
    compare = partial(exports.check_table, path, saved.network, saved.preparation, rows)
    return {
        "file": str(path), "bytes": path.stat().st_size, "input": saved.preparation.columns,
        "difference": _difference(path, compare),
    }  # fmt: skip


def _say(facts: dict[str, Any], json: bool) -> None:
    if json:
        print_json(facts)
        return
    joint = " x " if facts["input"][:1] == ["rows"] else ", "
    if facts["difference"] is None:
        del facts["difference"]
        note("not compared, since onnxruntime is not installed: pip install onnxruntime")
    else:
        facts["difference"] = f"{facts['difference']:.2g} between onnxruntime and the model"
    print_facts({**facts, "input": joint.join(map(str, facts["input"]))})


def _shape(about: dict[str, Any], text: str | None, place: Path) -> tuple[int, ...]:
    """The shape of one row of inputs: of the preparation, or as the line says."""
    if "preparation" in about:
        try:
            known = data.Preparation.from_json(about["preparation"]).shape
        except errors.FileDamaged as error:
            raise errors.FileDamaged(f"{place}: {error}") from error
        if text is not None and known != _lengths(text):
            raise Misused(f"--shape {text}: {place} takes {','.join(map(str, known))}.")
        return known
    if text is None:
        raise Misused(f"{place} does not say what it takes: --shape 28,28,1, without the rows.")
    return _lengths(text)


def _lengths(text: str) -> tuple[int, ...]:
    parts = text.split(",")
    if not all(part.strip().isdecimal() and int(part) > 0 for part in parts):
        raise Misused(f"--shape {text}: expected lengths from 1 with commas, as 28,28,1.")
    return tuple(map(int, parts))


def _example(shape: tuple[int, ...]) -> np.ndarray:
    return np.random.default_rng(0).normal(size=(ROWS, *shape)).astype(np.float32)


def _difference(path: Path, compare: Callable[[], float]) -> float | None:
    """How far onnxruntime is from the model; None where it is not installed."""
    if find_spec("onnxruntime") is None:
        return None
    try:
        return compare()
    except errors.FileDamaged as error:
        path.unlink()
        raise Failed(f"{error}\n  The file was removed.") from error
