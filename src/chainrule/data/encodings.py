"""How a column of each kind becomes numbers: fitted once, to a record that JSON can hold.

number    its value; the median where missing
boolean   1 for true, 0 for false, their mean where missing
date      year, month, day, weekday (0 is Monday), seconds of the day; their medians where missing
text      a column of 0 and 1 for each frequent category, and one, "other", for the rare ones
array     the numbers as they are

A column that had missing values when it was fitted gets one more column, 1 where it is missing.
Parts that never varied are left out. A category that was never seen counts as "other" where there
were rare ones, else as no category at all: all its columns are 0.
"""

from __future__ import annotations

from collections import Counter
from collections.abc import Callable
from typing import Any, NamedTuple

import numpy as np

from chainrule import errors
from chainrule.data.table import Column, Table

PARTS = ("year", "month", "day", "weekday", "seconds")


class Encoded(NamedTuple):
    """What a column becomes: numbers to be scaled, and columns of 0 and 1, with their names."""

    numbers: np.ndarray  # (N, n) float64
    flags: np.ndarray  # (N, m) float32


class Encoding(NamedTuple):
    """What one kind of column does."""

    fit: Callable  # (table, column, levels, rare) -> record without name and kind
    apply: Callable  # (table, column, record) -> Encoded
    names: Callable  # (record) -> names of the numbers, names of the flags


def _finite(table: Table, column: Column) -> np.ndarray:
    """The values; infinite ones are refused."""
    wrong = np.flatnonzero(np.isinf(column.values))
    if len(wrong):
        raise table.bad(wrong, column.name, "is not finite", "Write a number, or leave it empty.")
    return column.values


def _fit_number(table: Table, column: Column, levels: int, rare: int) -> dict[str, Any]:
    found = _finite(table, column)
    present = found[~np.isnan(found)]
    middle = float(np.median(present) if column.kind == "number" else present.mean())
    filled = np.where(np.isnan(found), middle, found)
    return {
        "fill": middle,
        "varies": bool(filled.min() != filled.max()),
        "indicator": bool(len(present) < len(found)),
    }


def _apply_number(table: Table, column: Column, record: dict) -> Encoded:
    found = _finite(table, column)
    gone = np.isnan(found)
    numbers = np.where(gone, record["fill"], found)[:, None]
    return Encoded(numbers[:, : record["varies"]], _flags(gone, record["indicator"]))


def _names_number(record: dict) -> tuple[list[str], list[str]]:
    return [record["name"]] * record["varies"], _missing_name(record)


def date_parts(moments: np.ndarray) -> np.ndarray:
    """Year, month, day, weekday (0 is Monday) and seconds of the day of each moment; nan at NaT.

    **Shapes** (N,) -> (N, 5). **Dtypes** datetime64[us] -> float64.

    >>> date_parts(np.array(["2024-02-29T06:00:00"], "datetime64[us]"))
    array([[2.024e+03, 2.000e+00, 2.900e+01, 3.000e+00, 2.160e+04]])
    """
    days, months = moments.astype("datetime64[D]"), moments.astype("datetime64[M]")
    years = moments.astype("datetime64[Y]")
    parts = np.stack([
        years.astype(np.int64) + 1970,
        (months - years).astype(np.int64) + 1,
        (days - months).astype(np.int64) + 1,
        (days.astype(np.int64) + 3) % 7,  # 1970-01-01 was a Thursday
        (moments - days).astype(np.int64) / 1e6,
    ], axis=1).astype(np.float64)  # fmt: skip
    parts[np.isnat(moments)] = np.nan
    return parts


def _fit_date(table: Table, column: Column, levels: int, rare: int) -> dict[str, Any]:
    parts = date_parts(column.values)
    present = parts[~column.missing]
    varies = present.min(axis=0) != present.max(axis=0)
    middle = np.median(present, axis=0)
    chosen = [PARTS[i] for i in np.flatnonzero(varies)]
    return {
        "parts": chosen,
        "fill": [float(v) for v in middle[varies]],
        "indicator": bool(column.missing.any()),
    }


def _apply_date(table: Table, column: Column, record: dict) -> Encoded:
    parts = date_parts(column.values)[:, [PARTS.index(part) for part in record["parts"]]]
    fill = np.array(record["fill"], np.float64)
    return Encoded(
        np.where(np.isnan(parts), fill, parts), _flags(column.missing, record["indicator"])
    )


def _names_date(record: dict) -> tuple[list[str], list[str]]:
    return [f"{record['name']}.{part}" for part in record["parts"]], _missing_name(record)


def _fit_text(table: Table, column: Column, levels: int, rare: int) -> dict[str, Any]:
    counts = Counter(text for text in column.values if text is not None)
    frequent = [text for text, n in sorted(counts.items(), key=lambda item: (-item[1], item[0]))
                if n >= rare][:levels]  # fmt: skip
    rest = len(counts) - len(frequent)
    if len(counts) <= levels and rest in (1, len(counts)):
        frequent = list(counts)  # "other" would be one category, or all of them
    return {
        "levels": sorted(frequent),
        "other": len(counts) > len(frequent),
        "indicator": bool(column.missing.any()),
    }


def _apply_text(table: Table, column: Column, record: dict) -> Encoded:
    place = {text: i for i, text in enumerate(record["levels"])}
    width = len(place) + record["other"]
    unseen = len(place)  # the column of "other", or else one that is not kept
    known = place | {None: width + 1}
    where = [known.get(text, unseen) for text in column.values]
    flags = np.zeros((len(column), width + 2), np.float32)  # one each for unseen and missing
    flags[np.arange(len(column)), where] = 1.0
    kept = [*range(width), *[width + 1] * record["indicator"]]
    return Encoded(np.zeros((len(column), 0)), flags[:, kept])


def _names_text(record: dict) -> tuple[list[str], list[str]]:
    levels = [f"{record['name']}={text}" for text in record["levels"]]
    other = [f"{record['name']} is another"] * record["other"]
    return [], levels + other + _missing_name(record)


def _fit_array(table: Table, column: Column, levels: int, rare: int) -> dict[str, Any]:
    _whole(table, column)
    return {"shape": list(column.values.shape[1:])}


def _apply_array(table: Table, column: Column, record: dict) -> Encoded:
    if list(column.values.shape[1:]) != record["shape"]:
        raise errors.DataError(
            f"{table.source}, column {column.name!r} has rows of shape "
            f"{column.values.shape[1:]}, where the preparation was fitted to "
            f"{tuple(record['shape'])}."
        )
    flat = _whole(table, column).reshape(len(column), -1)
    return Encoded(flat.astype(np.float64), np.zeros((len(column), 0), np.float32))


def _whole(table: Table, column: Column) -> np.ndarray:
    """The values of an array column; nan and infinities are refused."""
    if column.values.dtype.kind == "f":
        wrong = ~np.isfinite(column.values).reshape(len(column), -1).all(axis=1)
        if wrong.any():
            raise errors.DataError(
                f"{table.place(int(np.argmax(wrong)), column.name)} has values that are missing or "
                "not finite.\n  Fill them in, or give the numbers as columns of their own."
            )
    return column.values


def _names_array(record: dict) -> tuple[list[str], list[str]]:
    count = int(np.prod(record["shape"]))
    return [f"{record['name']}[{i}]" for i in range(count)], []


def _flags(gone: np.ndarray, wanted: bool) -> np.ndarray:
    return gone[:, None].astype(np.float32)[:, : int(wanted)]


def _missing_name(record: dict) -> list[str]:
    return [f"{record['name']} is missing"] * record["indicator"]


ENCODINGS = {
    "number": Encoding(_fit_number, _apply_number, _names_number),
    "boolean": Encoding(_fit_number, _apply_number, _names_number),
    "date": Encoding(_fit_date, _apply_date, _names_date),
    "text": Encoding(_fit_text, _apply_text, _names_text),
    "array": Encoding(_fit_array, _apply_array, _names_array),
}
