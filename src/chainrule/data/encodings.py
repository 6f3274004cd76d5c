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
from chainrule.data.table import Column, Table, shown

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
    if len(counts) == len(frequent) + 1 and len(frequent) < levels and frequent:
        frequent = list(counts)  # "other" would be this one category
    return {
        "levels": sorted(frequent),
        "other": len(counts) > len(frequent),
        "indicator": bool(column.missing.any()),
    }


def _apply_text(table: Table, column: Column, record: dict) -> Encoded:
    place = {text: i for i, text in enumerate(record["levels"])}
    width = len(place) + record["other"]
    unseen = len(place) if record["other"] else width
    where = np.array([width if text is None else place.get(text, unseen)
                      for text in column.values], np.int64)  # fmt: skip
    flags = np.zeros((len(column), width + 1), np.float32)  # the last column is thrown away
    flags[np.arange(len(column)), where] = 1.0
    missing = _flags(column.missing, record["indicator"])
    return Encoded(np.zeros((len(column), 0)), np.concatenate([flags[:, :width], missing], axis=1))


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


def reason_to_leave_out(table: Table, column: Column, levels: int) -> str | None:
    """Why a column says nothing that a network can use, or None. Free text is an error."""
    if column.kind == "array":
        return None
    present = ~column.missing
    if not present.any():
        return "it has no values"
    if column.kind == "text":
        return _of_text(table, column, column.values[present], levels)
    found = column.values[present]
    if present.all() and (found == found[0]).all():
        return "it is the same in every row"
    if column.kind == "number" and len(found) > 2 and _is_row_number(column.name, found):
        return "it numbers the rows"
    return None


def _is_row_number(name: str, found: np.ndarray) -> bool:
    words = name.lower().replace("_", " ").replace(".", " ").split()
    named = bool(words) and (words[-1] in _ROW_NAMES or name.endswith(("ID", "Id")))
    return named and bool(np.all(np.diff(found) == 1))


_ROW_NAMES = ("id", "index", "row", "rownames", "number", "no", "nr", "#")


def _of_text(table: Table, column: Column, texts: np.ndarray, levels: int) -> str | None:
    counts = Counter(texts)
    if len(counts) == 1 and len(texts) == len(column):
        return "it is the same in every row"
    many = len(counts) > levels and len(counts) > 0.5 * len(texts)
    if many and np.mean([len(text.split()) for text in counts]) >= 8:
        raise errors.DataError(
            f"{table.place(0, column.name)} holds free text: {shown(texts[0])}.\n"
            f"  Text is not turned into numbers here: leave the column out, "
            f"ignore=[{column.name!r}], or give columns that you computed from it."
        )
    if len(counts) == len(texts) and len(texts) > 10:
        return "its texts are all different, as names or ids are"
    if many and max(counts.values()) < 0.05 * len(texts):
        return "its texts are nearly all different, as names or ids are"
    return None
