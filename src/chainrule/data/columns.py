"""The kind of a column of text fields, found from all its values, and the values themselves.

A column is what all its values are: booleans (true, false), numbers, dates; else text. One that is
numbers (or dates) but for a few values is refused, with the first of them named: they are far more
often mistakes, or missing values spelled in a way of their own, than categories.
"""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field
from functools import partial
from math import nan
from typing import Any

import numpy as np

from chainrule import errors
from chainrule.data import values
from chainrule.data.table import Column, shown

FEW = 0.05  # strays that are at most this share of the values present are mistakes


@dataclass(frozen=True)
class Reading:
    """How fields are read: what the caller of `read` asked for."""

    missing: tuple[str, ...] = values.MISSING
    types: Mapping[str, str] = field(default_factory=dict)  # kind by column
    dates: Mapping[str, str] = field(default_factory=dict)  # strptime format by column
    decimal: str = "."
    thousands: str | None = None


def of_texts(
    name: str, fields: Sequence[str], reading: Reading, place: partial | None = None
) -> Column:
    """A column of the kind that its fields have, or that `reading.types` says.

    `place(row)` says where a row stands. **Errors** DataError, naming file, line, column, value.
    """
    gone = {text: None for text in reading.missing}
    texts = [gone.get(text, text) for text in map(str.strip, fields)]
    asked = "date" if name in reading.dates else reading.types.get(name)
    if asked == "text":
        return _text(name, texts)
    if asked is None and _plain(reading):
        found = values.all_numbers(texts)
        if found is not None and not any(_odd(text) for text in texts):
            return Column(name, "number", found)
    for kind in [asked] if asked else ["number", "boolean", "date"]:
        made, strays = _parsed(kind, name, texts, reading)
        present = len(texts) - texts.count(None)
        if strays and (asked or _mistakes(len(strays), present)):
            raise _refusal(name, kind, asked, texts, strays, place)
        if not strays and (present or asked):
            return Column(name, kind, made)
    return _text(name, texts) if any(t is not None for t in texts) else _nothing(name, len(texts))


def _parsed(kind: str, name: str, texts: list, reading: Reading) -> tuple[np.ndarray, list[int]]:
    if kind == "number":
        marks: dict[str, Any] = {"decimal": reading.decimal, "thousands": reading.thousands}
        return values.each(partial(values.number, **marks), texts, nan)
    if kind == "boolean":
        return values.each(values.truth, texts, nan)
    if kind == "date":
        parse = partial(values.date, form=reading.dates.get(name))
        return values.each(parse, texts, np.datetime64("NaT", "us"))
    raise errors.DataError(
        f"types={{{name!r}: {kind!r}}}: a kind is number, boolean, date or text."
    )


def _plain(reading: Reading) -> bool:
    return reading.decimal == "." and reading.thousands is None


def _odd(text: str | None) -> bool:
    """Texts that `float` takes and that are no numbers here: 1_000, digits of other scripts."""
    return text is not None and ("_" in text or not text.isascii() or text[-1:] in "nN")


def _mistakes(strays: int, present: int) -> bool:
    if strays == 1:
        return present > 2
    return strays <= FEW * present


_WANTED = {
    "number": "is not a number, as the others of its column are",
    "boolean": "is neither true nor false, as the others of its column are",
    "date": "is not a date (YYYY-MM-DD, with HH:MM:SS or without), as the others of its column are",
}


def _refusal(name, kind, asked, texts, strays, place) -> errors.DataError:
    value = texts[strays[0]]
    where = place(strays[0]) if place else f"column {name!r}, row {strays[0]}"
    wanted = _WANTED[kind].split(", as")[0] if asked else _WANTED[kind]
    more = "" if len(strays) == 1 else f" ({len(strays)} values are like this)"
    return errors.DataError(
        f"{where}: {shown(value)} {wanted}{more}.\n"
        f"  Correct it; or where it stands for a missing value, read with missing=[{shown(value)}, "
        f"...];\n  or where the column holds categories, with types={{{name!r}: 'text'}}."
    )


def _text(name: str, texts: list) -> Column:
    made = np.empty(len(texts), object)
    made[:] = texts
    return Column(name, "text", made)


def _nothing(name: str, count: int) -> Column:
    """A column without any value: numbers, all missing."""
    return Column(name, "number", np.full(count, nan))
