"""Anything that holds a table, to a table."""

from __future__ import annotations

from collections.abc import Collection, Mapping, Sequence
from functools import partial
from pathlib import Path
from typing import Any

from chainrule import errors
from chainrule.data import values
from chainrule.data.array_files import read_array_file
from chainrule.data.columns import Reading, of_texts
from chainrule.data.converting import as_kind
from chainrule.data.csv_files import read_csv
from chainrule.data.frames import is_frame, read_frame, read_parquet
from chainrule.data.image_folders import ENDINGS, read_image_folder
from chainrule.data.table import Table

_TEXT = (".csv", ".tsv", ".txt", ".data")
TEXT_FILES = tuple(ending + packed for packed in ("", ".gz", ".zip") for ending in _TEXT)
_TEXT_ONLY = {
    "missing": values.MISSING, "delimiter": None, "decimal": ".", "thousands": None,
    "encoding": "utf-8", "header": True,
}  # fmt: skip


def read(
    source: Any, *, target: str | Sequence[str] | None = None,
    types: Mapping[str, str] | None = None, dates: Mapping[str, str] | None = None,
    missing: Sequence[str] = values.MISSING, delimiter: str | None = None, decimal: str = ".",
    thousands: str | None = None, encoding: str = "utf-8", header: bool = True,
    size: tuple[int, int] | None = None, channels: int | None = None,
    ignore: Collection[str] = (), only: Collection[str] | None = None,
) -> Table:  # fmt: skip
    """The table in a file, a folder of images, a data frame, or a dict of columns.

    Files: delimited text (.csv, .tsv, .txt, .data; or .gz or .zip of one), .parquet, .npy, .npz;
    an image, which is one row.

    `target`     columns that there must be
    `types`      kinds by column ("number", "boolean", "date", "text"), where they are to be others
                 than what is found
    `dates`      the `strptime` form of dates that are not ISO, by column
    `ignore`     columns whose values do not matter: whatever stands in them is text, and no error
    `only`       those whose values do, where no others do
    Delimited text only: `missing`, the texts that stand for no value (an empty field always does);
    `delimiter`, which is else found (" " is any number of blanks); `decimal` and `thousands`, the
    marks in numbers; `encoding`; `header=False` where there is no line of names.
    Images only: `size` (H, W) and `channels`, see `image_folders`.

    **Errors** DataError, with file, line, column and value.

    >>> read({"x": [1.0, 2.0], "y": ["a", "b"]}, target="y")
    Table(2 rows; x: number, y: text)
    """
    reading = Reading(
        tuple(missing), dict(types or {}), dict(dates or {}), decimal, thousands,
        frozenset(ignore), None if only is None else frozenset(only),
    )  # fmt: skip
    text = {"missing": missing, "delimiter": delimiter, "decimal": decimal, "thousands": thousands,
            "encoding": encoding, "header": header}  # fmt: skip
    images = {"size": size, "channels": channels}
    kind, reader = _reader(source, reading)
    changed = [n for n, v in text.items() if kind != "text" and v != _TEXT_ONLY[n]]
    changed += [n for n, v in images.items() if kind != "images" and v is not None]
    if changed:
        only = "delimited text" if changed[0] in text else "folders of images"
        raise errors.DataError(f"{changed[0]}= is for {only}, not for {_said(source)}.")
    if kind == "text":
        table = read_csv(
            source, delimiter=delimiter, encoding=encoding, header=header, reading=reading
        )
    elif kind == "images":
        table = _typed(read_image_folder(source, size=size, channels=channels), reading)
    else:
        table = _typed(reader(source), reading)
    for name in (target,) if isinstance(target, str) else target or ():
        table.column(name)
    return table


def _reader(source: Any, reading: Reading) -> tuple[str, Any]:
    """What a source is: text, images, or something else and what reads it."""
    if isinstance(source, Table):
        return "table", lambda table: table
    if isinstance(source, dict):
        return "columns", Table.of
    if is_frame(source):
        return "frame", partial(read_frame, looked_at=reading.looks_at)
    if not isinstance(source, str | Path):
        raise errors.DataError(
            f"data comes from a path, a data frame or a dict of columns, got "
            f"{type(source).__name__}."
        )
    path = Path(source)
    name = path.name.lower()
    if not path.exists():
        raise errors.DataError(f"{path} does not exist.")
    if path.is_dir() or name.endswith(ENDINGS):
        return "images", None
    if name.endswith((".npy", ".npz")):
        return "arrays", partial(read_array_file, looked_at=reading.looks_at)
    if name.endswith((".parquet", ".pq")):
        return "parquet", partial(read_parquet, looked_at=reading.looks_at)
    if name.endswith(TEXT_FILES):
        return "text", None
    raise errors.DataError(
        f"{path}: the ending {path.suffix!r} is none that is known. Known are "
        f"{', '.join(_TEXT)} (also .gz, .zip), .parquet, .npy, .npz, and folders of images."
    )


def _place(table: Table, name: str, row: int) -> str:
    return table.place(row, name)


def _said(source: Any) -> str:
    return str(source) if isinstance(source, str | Path) else f"a {type(source).__name__}"


def _typed(table: Table, reading: Reading) -> Table:
    """The table with the kinds of columns that were asked for."""
    columns = dict(table.columns)
    for name in reading.types:
        columns[name] = as_kind(table, name, reading.types[name])
    for name in reading.dates:
        if table.column(name).kind != "text":
            raise errors.DataError(
                f"{table.source}, column {name!r}: dates= is for text, not for the kind "
                f"{table.column(name).kind}."
            )
        fields = ["" if text is None else text for text in table[name]]
        columns[name] = of_texts(name, fields, reading, partial(_place, table, name))
    return Table(columns, table.source, table.lines, table.notes, table.unit)
