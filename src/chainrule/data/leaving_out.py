"""Which columns say nothing that a network can use: constant ones, row numbers, names and ids."""

from __future__ import annotations

from collections import Counter

import numpy as np

from chainrule import errors
from chainrule.data.table import Column, Table, shown


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
