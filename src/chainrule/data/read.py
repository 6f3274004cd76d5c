"""Anything that holds a table, to a table."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from pathlib import Path
from typing import Any

from chainrule import errors
from chainrule.data import values
from chainrule.data.array_files import read_array_file
from chainrule.data.columns import Reading
from chainrule.data.csv_files import read_csv
from chainrule.data.frames import is_frame, read_frame, read_parquet
from chainrule.data.table import Table

_TEXT = (".csv", ".tsv", ".txt", ".data")
TEXT_FILES = tuple(ending + packed for packed in ("", ".gz", ".zip") for ending in _TEXT)


def read(
    source: Any, *, target: str | None = None, types: Mapping[str, str] | None = None,
    dates: Mapping[str, str] | None = None, missing: Sequence[str] = values.MISSING,
    delimiter: str | None = None, decimal: str = ".", thousands: str | None = None,
    encoding: str = "utf-8", header: bool = True,
) -> Table:  # fmt: skip
    """The table in a file, a data frame, or a dict of columns.

    Files: delimited text (.csv, .tsv, .txt, .data; or .gz or .zip of one), .parquet, .npy, .npz.
    The options are for text, where nothing says what a field means: `types` gives kinds ("number",
    "boolean", "date", "text") by column, `dates` the `strptime` form of dates that are not ISO,
    `missing` the texts that stand for no value, `decimal` and `thousands` the marks in numbers,
    `header=False` says that there is no line of names. `target` must then be one of the columns.

    **Errors** DataError, with file, line, column and value.

    >>> read({"x": [1.0, 2.0], "y": ["a", "b"]}, target="y")
    Table(2 rows; x: number, y: text)
    """
    reading = Reading(tuple(missing), dict(types or {}), dict(dates or {}), decimal, thousands)
    text = {"delimiter": delimiter, "encoding": encoding, "header": header}
    table = _read(source, text, reading)
    if target is not None:
        table.column(target)
    return table


def _read(source: Any, text: dict[str, Any], reading: Reading) -> Table:
    if isinstance(source, Table):
        return source
    if isinstance(source, dict):
        return Table.of(source)
    if is_frame(source):
        return read_frame(source)
    if not isinstance(source, str | Path):
        raise errors.DataError(
            f"data comes from a path, a data frame or a dict of columns, got "
            f"{type(source).__name__}."
        )
    path = Path(source)
    if not path.exists():
        raise errors.DataError(f"{path} does not exist.")
    name = path.name.lower()
    if name.endswith((".npy", ".npz")):
        return read_array_file(path)
    if name.endswith((".parquet", ".pq")):
        return read_parquet(path)
    if name.endswith(TEXT_FILES):
        return read_csv(path, **text, reading=reading)
    raise errors.DataError(
        f"{path}: the ending {path.suffix!r} is none that is known. Known are "
        f"{', '.join(TEXT_FILES[:4])} (also .gz, .zip), .parquet, .npy and .npz."
    )
