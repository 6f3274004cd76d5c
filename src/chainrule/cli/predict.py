"""`chainrule predict MODEL DATA`: what a trained model says about each row."""

from __future__ import annotations

import csv
import io
import json as json_module
from pathlib import Path
from typing import Annotated, Any

import numpy as np
from cyclopts import Parameter
from scipy.special import expit, softmax

from chainrule import extras
from chainrule.cli.failures import Failed
from chainrule.cli.options import AS_STORED, TextOptions, given
from chainrule.cli.output import Json, note, print_json
from chainrule.cli.saved import Saved, saved_model
from chainrule.data import Table
from chainrule.train import files

Model = Annotated[Path, Parameter(name="MODEL", help="A run, or the model folder of one.")]
Data = Annotated[
    str, Parameter(name="DATA", help="A file, an image or a folder of them, or a data set.")
]


def predict(
    model: Model,
    data: Data,
    /,
    *,
    output: Path | None = None,
    row_id: Annotated[str | None, Parameter(name="--id")] = None,
    json: Json = False,
    options: Annotated[TextOptions, Parameter(name="*")] = AS_STORED,
) -> None:
    """Predict the target of every row: its class and the probability of each, or its value.

    Of several labels a row there are a column for each, and the probability of its second value.

    The columns may come in any order; ones that the model does not know are not looked at, a
    missing value is replaced as in training, an unseen category counts as a rare one, and a
    column that is not there is an error. Text is read as the data of the training were, unless
    an option says how it is written.

    Parameters
    ----------
    output
        The file to write: .csv, .json or .parquet. Without it, CSV is printed.
    row_id
        The column that names the rows in the output (with "(data)" behind its name where the
        predictions have a column of that name); without it they are numbered from 0, and
        images named by their files.
    """
    saved = saved_model(model)
    table = saved.table(data, with_target=False, options=given(options))
    if not len(table):
        raise Failed(f"{table.source} has no rows.")
    found = predictions(saved, table, row_id)
    _note_unknown(saved, table, row_id)
    if output is not None:
        files.write(output, written(found, output))
        note(f"wrote {len(table)} rows to {output}")
    if json:
        print_json(records(found))
    elif output is None:
        print(as_csv(found), end="")


def predictions(saved: Saved, table: Table, row_id: str | None = None) -> dict[str, Any]:
    """Columns by name: the rows' names, and what the model says of them."""
    said = _said(saved, saved.outputs(table))
    names = _names_of(table, row_id)
    return {f"{n} (data)" if n in said else n: rows for n, rows in names.items()} | said


def _said(saved: Saved, outputs: np.ndarray) -> dict[str, Any]:
    """What the model says of each row, by what it is called."""
    preparation = saved.preparation
    if preparation.labels is not None:
        shares = softmax(outputs.astype(np.float64), axis=1)
        classes = shares.argmax(axis=1)
        found: dict[str, Any] = {"class": [preparation.labels[k] for k in classes]}
        found["probability"] = shares[np.arange(len(outputs)), classes]
        return found | {f"p({label})": shares[:, k] for k, label in enumerate(preparation.labels)}
    if preparation.task == "multilabel":
        return _labels(saved, outputs)
    names = preparation.target.names if preparation.target is not None else ()
    values = preparation.target_back(outputs.reshape(len(outputs), len(names)))
    if len(names) == 1:
        return {"value": values[:, 0]}
    return {name: values[:, k] for k, name in enumerate(names)}


def _names_of(table: Table, row_id: str | None) -> dict[str, Any]:
    """What the rows are known by: a column, the files of images, or numbers from 0."""
    if row_id is not None:
        return {row_id: ["" if text is None else text for text in table.column(row_id).texts()]}
    if table.unit == "file" and table.lines is not None:
        return {"file": list(map(str, table.lines))}
    return {"row": np.arange(len(table))}


def _labels(saved: Saved, outputs: np.ndarray) -> dict[str, Any]:
    """The value of each label, then the probability of the one that says that it holds."""
    target = saved.preparation.target
    assert target is not None
    values, shares = target.back(outputs), expit(outputs.astype(np.float64))
    pairs = list(zip(target.names, target.labels or (), strict=True))
    return {name: values[:, k] for k, (name, _) in enumerate(pairs)} | {
        f"p({name}={pair[1]})": shares[:, k] for k, (name, pair) in enumerate(pairs)
    }


def _note_unknown(saved: Saved, table: Table, row_id: str | None) -> None:
    known = {*saved.preparation.columns, row_id, *saved.preparation.left_out}
    target = saved.preparation.target
    known |= set(target.names if target is not None else ())
    known |= set(saved.about.get("ignored", ()))
    unknown = [name for name in table.columns if name not in known]
    if unknown:
        note(f"not looked at, since the model does not know them: {', '.join(unknown)}")


def records(found: dict[str, Any]) -> list[dict[str, Any]]:
    """A dict for each row."""
    return [dict(zip(found, row, strict=True)) for row in zip(*found.values(), strict=True)]


def as_csv(found: dict[str, Any]) -> str:
    """The columns as CSV; numbers are written so that they are read back exactly."""
    text = io.StringIO()
    writer = csv.writer(text, lineterminator="\n")
    writer.writerow(found)
    writer.writerows(zip(*(map(_plain, column) for column in found.values()), strict=True))
    return text.getvalue()


def _plain(value: Any) -> Any:
    return value.item() if isinstance(value, np.generic) else value


def written(found: dict[str, Any], path: Path) -> bytes:
    """The columns in the form that a file's name asks for."""
    if path.suffix == ".json":
        plain = [{k: _plain(v) for k, v in row.items()} for row in records(found)]
        return json_module.dumps(plain, indent=1).encode()
    if path.suffix == ".parquet":
        pyarrow = extras.load("pyarrow", "data", "Parquet files")
        parquet = extras.load("pyarrow.parquet", "data", "Parquet files")
        sink = io.BytesIO()
        parquet.write_table(
            pyarrow.table({k: list(map(_plain, v)) for k, v in found.items()}), sink
        )
        return sink.getvalue()
    if path.suffix not in (".csv", ""):
        raise Failed(f"{path}: a table is written as .csv, .json or .parquet.")
    return as_csv(found).encode()
