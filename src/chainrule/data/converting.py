"""A column as the kind that it had when a preparation was fitted, or an error that names the value.

A file to predict from may read otherwise than the one that was trained on: category codes that are
all digits there, a column of numbers that is empty. What has one meaning is converted.
"""

from __future__ import annotations

from collections.abc import Callable
from math import nan
from typing import Any

import numpy as np

from chainrule.data import values
from chainrule.data.table import Column, Table, objects


def as_kind(table: Table, name: str, kind: str) -> Column:
    """The column, converted to a kind: number, boolean, date, text or array."""
    given = table.column(name)
    if given.kind == kind:
        return given
    if kind == "text" and given.kind != "array":
        return Column(name, "text", objects(given.texts()))
    if given.missing.all() and kind != "array":
        empty = np.full(len(table), np.datetime64("NaT", "us") if kind == "date" else nan)
        return Column(name, kind, empty)
    if given.kind == "boolean" and kind == "number":
        return Column(name, kind, given.values)
    if given.kind == "number" and kind == "boolean":
        wrong = np.flatnonzero(~np.isin(given.values, (0.0, 1.0)) & ~given.missing)
        if len(wrong):
            raise table.bad(wrong, name, "is neither true nor false", "Write true or false.")
        return Column(name, kind, given.values)
    if given.kind == "text" and kind in _PARSED:
        return _parsed(table, given, kind)
    rows = np.flatnonzero(~given.missing) if given.kind != "array" else [0]
    instead = f"The column is to hold {_PLURAL[kind]}."
    raise table.bad(rows, name, f"is of the kind {given.kind}, not {kind}", instead)


_PLURAL = {"number": "numbers", "boolean": "true and false", "date": "dates", "text": "text",
           "array": "arrays"}  # fmt: skip

_PARSED: dict[str, tuple[Callable, Any, str]] = {
    "number": (values.number, nan, "is not a number"),
    "boolean": (values.truth, nan, "is neither true nor false"),
    "date": (values.date, np.datetime64("NaT", "us"), "is not a date"),
}


def _parsed(table: Table, given: Column, kind: str) -> Column:
    """A column of text as numbers, booleans or dates."""
    parse, missing, wanted = _PARSED[kind]
    known = {text: missing if text is None else parse(text) for text in set(given.values)}
    strays = [row for row, text in enumerate(given.values) if known[text] is None]
    if strays:
        instead = f"The column is to hold {_PLURAL[kind]}."
        raise table.bad(strays, given.name, wanted, instead)
    dtype = "datetime64[us]" if kind == "date" else np.float64
    return Column(given.name, kind, np.array([known[text] for text in given.values], dtype))
