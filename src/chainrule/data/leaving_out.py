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
    if column.kind == "number" and _is_id(column.name, found):
        return "its numbers are all different, as ids are, and so it is called"
    return None


def _is_id(name: str, found: np.ndarray) -> bool:
    """Whether whole numbers name the rows: they are all different, and the column is called so."""
    words = name.lower().replace("_", " ").replace(".", " ").replace("-", " ").split()
    named = bool(words) and (words[-1] in _IDS or name.endswith(("ID", "Id")))
    whole = named and len(found) >= SEVERAL and bool(np.all(found == np.floor(found)))
    return whole and len(np.unique(found)) == len(found)


SEVERAL = 10  # values that are all different by chance no more
_IDS = ("id", "ids", "index", "idx", "row", "rownames", "rowid", "key", "uuid", "guid")


def _of_text(table: Table, column: Column, texts: np.ndarray, levels: int) -> str | None:
    counts = Counter(texts)
    if len(counts) == 1 and len(texts) == len(column):
        return "it is the same in every row"
    many = len(counts) > levels and len(counts) > 0.5 * len(texts)
    if many and np.mean([len(text.split()) for text in counts]) >= 8:
        where = table.place(int(np.argmin(column.missing)), column.name)
        raise errors.DataError(
            f"{where} holds free text: {shown(texts[0])}.\n"
            f"  Text is not turned into numbers here: leave the column out, "
            f"ignore=[{column.name!r}], or give columns that you computed from it."
        )
    if len(counts) == len(texts) and len(texts) >= SEVERAL:
        return "its texts are all different, as names or ids are"
    if many and max(counts.values()) < 0.05 * len(texts):
        return "its texts are nearly all different, as names or ids are"
    return None
