"""`chainrule datasets`: the real data sets that need no network, and one of them as a file."""

from __future__ import annotations

from pathlib import Path
from typing import Annotated, Any

from cyclopts import Parameter

from chainrule import data
from chainrule.cli.failures import Failed
from chainrule.cli.output import Json, note, print_facts, print_json, print_table
from chainrule.cli.predict import written
from chainrule.train import files


def datasets(
    name: Annotated[str | None, Parameter(name="NAME", help="Default: all of them.")] = None,
    /,
    *,
    output: Path | None = None,
    json: Json = False,
) -> None:
    """List the bundled data sets, or tell about one.

    Parameters
    ----------
    output
        Write the rows of NAME to this file: .csv, .json or .parquet.
    """
    if name is not None and name not in data.DATASETS:
        raise Failed(f"no data set is called {name}. There are: {', '.join(data.DATASETS)}.")
    if output is not None:
        _write(name, output)
    elif json:
        chosen = data.DATASETS if name is None else [name]
        print_json([data.DATASETS[one].info() for one in chosen])
    elif name is not None:
        facts = data.DATASETS[name].info()
        print_facts({k: _said(v) for k, v in facts.items() if v not in (None, ())})
    else:
        print_table(
            ["name", "task", "rows", "columns", "package", "what"],
            [(d.name, d.task, d.rows, d.columns, _package(d), d.title)
             for d in data.DATASETS.values()],
        )  # fmt: skip


def _package(dataset: data.Dataset) -> str:
    return dataset.distribution + ("" if dataset.installed else " (not installed)")


def _said(value: Any) -> str:
    return ", ".join(map(str, value)) if isinstance(value, list | tuple) else str(value)


def _write(name: str | None, path: Path) -> None:
    if name is None:
        raise Failed("say which data set to write: chainrule datasets NAME --output FILE")
    table, _ = data.load(name)
    columns: dict[str, Any] = {}
    for key, column in table.columns.items():
        if column.kind == "array":
            flat = column.values.reshape(len(table), -1)
            columns |= {f"{key}_{i}": flat[:, i] for i in range(flat.shape[1])}
        else:
            texts = column.texts()
            columns[key] = ["" if text is None else text for text in texts]
    files.write(path, written(columns, path))
    note(f"wrote {len(table)} rows to {path}")
