"""Data frames of any library, and Parquet files, to a table (through narwhals and pyarrow)."""

from __future__ import annotations

import math
import re
from collections.abc import Callable
from datetime import time, timedelta
from pathlib import Path
from typing import Any

import numpy as np

from chainrule import errors, extras
from chainrule.data.table import EXACT, Column, Table, column, listed, objects

_PURPOSE = "Data frames"
_INDEX = re.compile(r"__index_level_\d+__")


def is_frame(source: Any) -> bool:
    """Whether an object is a data frame of pandas, polars, pyarrow or another known library."""
    if isinstance(source, np.ndarray | dict | str | Path):
        return False
    module = type(source).__module__.split(".")[0]
    return module in _KNOWN or hasattr(source, "__narwhals_dataframe__")


_KNOWN = ("pandas", "polars", "pyarrow", "modin", "cudf", "narwhals", "duckdb", "dask", "ibis")


def read_frame(
    frame: Any, source: str = "the data frame", looked_at: Callable[[str], bool] = lambda _: True
) -> Table:
    """The table in a data frame; its index, if it has one, is no column.

    Durations and times of the day are numbers of seconds, lists of equal lengths arrays. Columns of
    other types are text where they are not `looked_at`.

    **Errors** DataError: names that come twice, columns of a type that is no number, boolean,
    date or text; MissingExtra without narwhals.
    """
    nw = extras.load("narwhals", "data", _PURPOSE)
    try:
        frame = nw.from_native(frame)
        frame = frame.collect() if isinstance(frame, nw.LazyFrame) else frame
        names = [str(name) for name in frame.columns]
    except (TypeError, nw.exceptions.NarwhalsError) as error:
        column = hasattr(frame, "to_frame")
        why = "it is one column; write column.to_frame()" if column else error
        raise errors.DataError(f"{source} is not a data frame that can be read: {why}") from error
    twice = {name for i, name in enumerate(names) if name in names[:i]}
    if twice:
        raise errors.DataError(f"{source} has more than one column called {listed(twice)}.")
    made = {name: _column(nw, frame[:, i], name, source, looked_at(name))
            for i, name in enumerate(names)}  # by place: names may be numbers  # fmt: skip
    return Table(made, source)


def read_parquet(
    path: str | Path, looked_at: Callable[[str], bool] = lambda _: True
) -> Table:  # fmt: skip
    """The table in a Parquet file; the index that pandas stores along is no column."""
    parquet = extras.load("pyarrow.parquet", "data", "Parquet files")
    arrow = extras.load("pyarrow", "data", "Parquet files")
    try:
        # without the schema that other libraries store along: types are what the columns are
        frame = parquet.ParquetFile(path).read()
        frame = frame.drop_columns([n for n in frame.column_names if _INDEX.fullmatch(n)])
    except (arrow.ArrowException, OSError, ValueError) as error:
        raise errors.DataError(f"{path} cannot be read as a Parquet file: {error}") from error
    return read_frame(frame, str(path), looked_at)


def _column(nw, series, name: str, source: str, matters: bool) -> Column:
    """One column by its type, in whatever library it lives."""
    dtype = series.dtype
    if dtype.is_integer() and series.abs().max() is not None and series.abs().max() > EXACT:
        series = series.cast(nw.String)
        dtype = series.dtype
    if dtype.is_numeric():
        return Column(name, "number", _floats(nw, series))
    if dtype == nw.Boolean:
        return Column(name, "boolean", _floats(nw, series))
    if dtype in (nw.Date, nw.Datetime):
        return Column(name, "date", _dates(nw, series))
    if dtype in (nw.Duration, nw.Time):
        return Column(name, "number", np.array(list(map(_seconds, _values(series))), np.float64))
    values = objects(_values(series))
    if not matters:
        return Column(name, "text", objects([None if v is None else str(v) for v in values]))
    if dtype in (nw.String, nw.Categorical, nw.Enum, nw.Object, nw.Unknown, nw.List, nw.Array):
        return column(name, values)
    raise errors.DataError(
        f"{source}, column {name!r}: {dtype} is no number, boolean, date or text.\n"
        f"  Convert the column first, or leave it out: ignore=[{name!r}]"
    )


def _values(series) -> list:
    """The values as Python's own, None where missing."""
    listed = zip(series.to_list(), _missing(series), strict=True)
    return [None if gone else value for value, gone in listed]


def _seconds(value: timedelta | time | None) -> float:
    """A duration, or the time since midnight; nan where missing."""
    if isinstance(value, time):
        parts = {name: getattr(value, name) for name in ("hour", "minute", "second", "microsecond")}
        value = timedelta(**{f"{name}s": number for name, number in parts.items()})
    return math.nan if value is None else value.total_seconds()


def _missing(series) -> np.ndarray:
    return np.asarray(series.is_null().to_numpy(), bool)


def _floats(nw, series) -> np.ndarray:
    """Numbers or booleans as float64, nan where missing."""
    gone = _missing(series)
    filled = series.fill_null(False if series.dtype == nw.Boolean else 0) if gone.any() else series
    return np.where(gone, np.nan, np.asarray(filled.cast(nw.Float64).to_numpy(), np.float64))


def _dates(nw, series) -> np.ndarray:
    """Dates and times in UTC, NaT where missing."""
    zone = getattr(series.dtype, "time_zone", None)
    if zone is not None:
        series = series.dt.convert_time_zone("UTC").dt.replace_time_zone(None)
    moments = zip(series.cast(nw.Datetime("us")).to_list(), _missing(series), strict=True)
    return np.array([np.datetime64("NaT" if gone else moment, "us") for moment, gone in moments])
