"""What is in each column of a table, in a few figures: for reports, and to look at first."""

from __future__ import annotations

from collections import Counter
from typing import Any

import numpy as np

from chainrule.data.table import Column, Table

FREQUENT = 5  # categories that are listed


def summary(table: Table) -> list[dict[str, Any]]:
    """One dict a column, which JSON can hold: its name, kind, missing values and distribution.

    number    "least", "mean", "std", "greatest" (nan and infinities left out)
    boolean   "true", the share of true
    date      "first", "last", as ISO text
    text      "distinct", and "frequent": the most frequent ones and how often each occurs
    array     "shape" of a row, "dtype"
    A column without values has none of these.

    >>> summary(Table.of({"w": ["a", "b", "a", None]}))
    [{'name': 'w', 'kind': 'text', 'missing': 1, 'distinct': 2, 'frequent': [['a', 2], ['b', 1]]}]
    """
    return [_of_column(column) for column in table.columns.values()]


def _of_column(column: Column) -> dict[str, Any]:
    missing = column.missing
    found = {"name": column.name, "kind": column.kind, "missing": int(missing.sum())}
    present = column.values[~missing]
    if column.kind == "number":
        present = present[np.isfinite(present)]
    return found | (_FIGURES[column.kind](present) if len(present) else {})


def _numbers(values: np.ndarray) -> dict[str, Any]:
    with np.errstate(over="ignore", invalid="ignore"):
        figures = {"least": values.min(), "mean": values.mean(), "std": values.std(),
                   "greatest": values.max()}  # fmt: skip
    return {name: float(v) if np.isfinite(v) else None for name, v in figures.items()}


def _texts(values: np.ndarray) -> dict[str, Any]:
    counts = Counter(values.tolist())
    ranked = sorted(counts.items(), key=lambda item: (-item[1], item[0]))
    return {"distinct": len(counts), "frequent": [[*item] for item in ranked[:FREQUENT]]}


_FIGURES = {
    "number": _numbers,
    "boolean": lambda values: {"true": float(values.mean())},
    "date": lambda values: {"first": str(values.min()), "last": str(values.max())},
    "text": _texts,
    "array": lambda values: {"shape": list(values.shape[1:]), "dtype": str(values.dtype)},
}
