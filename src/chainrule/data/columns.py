"""The kind of a column of text fields, found from all its values, and the values themselves.

A column is what all its values are: numbers, booleans (true, false), dates; else text. One that is
numbers (or dates) but for a few values is refused, with the first of them named: they are far more
often mistakes, or missing values spelled in a way of their own, than categories.
"""

from __future__ import annotations

from collections import Counter
from collections.abc import Callable, Collection, Mapping, Sequence
from dataclasses import dataclass, field
from functools import partial
from math import nan
from typing import Any

import numpy as np

from chainrule import errors
from chainrule.data import values
from chainrule.data.look_alikes import LookAlike, look_alikes
from chainrule.data.table import Column, objects, shown

FEW = 0.05  # strays that are at most this share of the values present are mistakes
KINDS_OF_TEXT = ("number", "boolean", "date", "text")


@dataclass(frozen=True)
class Reading:
    """How fields are read: what the caller of `read` asked for."""

    missing: tuple[str, ...] = values.MISSING
    types: Mapping[str, str] = field(default_factory=dict)  # kind by column
    dates: Mapping[str, str] = field(default_factory=dict)  # strptime format by column
    decimal: str = "."
    thousands: str | None = None
    ignore: Collection[str] = ()  # columns that are not looked at
    only: Collection[str] | None = None  # those that are, where no others are

    def __post_init__(self):
        for name, kind in self.types.items():
            if kind not in KINDS_OF_TEXT:
                raise errors.DataError(
                    f"types={{{name!r}: {kind!r}}}: a kind is one of {', '.join(KINDS_OF_TEXT)}."
                )
        if self.decimal not in (".", ",") or self.thousands in ("", self.decimal):
            raise errors.DataError(
                f"decimal is '.' or ',', and thousands another mark, got {self.decimal!r} and "
                f"{self.thousands!r}."
            )

    def looks_at(self, name: str) -> bool:
        """Whether the values of a column matter; others are text as they stand."""
        return name not in self.ignore and (self.only is None or name in self.only)

    def asked(self, name: str) -> str | None:
        """The kind that a column is to be, if the caller said so."""
        if not self.looks_at(name):
            return "text"
        return "date" if name in self.dates else self.types.get(name)

    def parser(self, kind: str, name: str) -> Callable[[str], Any]:
        """What makes a value of a kind from text, or None where the text is none."""
        if kind == "number":
            return partial(values.number, decimal=self.decimal, thousands=self.thousands)
        if kind == "boolean":
            return values.truth
        return partial(values.date, form=self.dates.get(name))


def of_texts(
    name: str, fields: Sequence[str], reading: Reading, place: Callable[[int], str] | None = None
) -> Column:
    """A column of the kind that its fields have, or that `reading` asks for.

    `place(row)` says where a row stands. Equal fields are looked at once.
    **Errors** DataError, naming file, line, column, value.
    """
    counts = Counter(fields)
    gone = {"", *reading.missing}
    texts = {raw: None if (text := raw.strip()) in gone else text for raw in counts}
    present = {raw: text for raw, text in texts.items() if text is not None}
    asked = reading.asked(name)
    for kind in _ORDER if asked is None else (asked,):
        if kind == "text" or (asked is None and not present):
            break
        known, strays = _parsed(present, reading.parser(kind, name))
        count = sum(counts[raw] for raw in strays)
        if strays and (asked or _mistakes(count, sum(counts[raw] for raw in present))):
            row = min(fields.index(raw) for raw in strays)
            raise _stray(
                _where(place, name, row), name, kind, bool(asked), texts[fields[row]], count
            )
        if (
            not strays
            and kind == "number"
            and asked is None
            and any(map(_is_key, present.values()))
        ):
            return Column(name, "text", objects([texts[raw] for raw in fields]))
        if not strays:
            return Column(name, kind, _filled(fields, known, kind))
    if not present and asked != "text":
        return Column(name, "number", np.full(len(fields), nan))
    if asked is None and (found := look_alikes(list(present.values()))):
        row = next(row for row, raw in enumerate(fields) if raw in present)
        raise _look_alike(_where(place, name, row), name, texts[fields[row]], found)
    return Column(name, "text", objects([texts[raw] for raw in fields]))


_ORDER = ("number", "boolean", "date")


def _where(place: Callable[[int], str] | None, name: str, row: int) -> str:
    return place(row) if place else f"column {name!r}, row {row}"


def _parsed(present: dict[str, str], parse: Callable[[str], Any]) -> tuple[dict[str, Any], list]:
    """What each field is, and those that are none. Plain numbers, the most common, go fast."""
    texts = present.values()
    if isinstance(parse, partial) and parse.keywords == {"decimal": ".", "thousands": None}:
        if not any("_" in text or not text.isascii() or text[-1:] in "nN" for text in texts):
            try:
                return dict(zip(present, map(float, texts), strict=True)), []
            except ValueError:
                pass
    known = {raw: parse(text) for raw, text in present.items()}
    return known, [raw for raw, value in known.items() if value is None]


def _is_key(text: str) -> bool:
    """Whether a text is a whole number that float64 does not hold: some would become equal."""
    digits = text.lstrip("+-")
    return 15 < len(digits) < 300 and digits.isdigit() and int(float(digits)) != int(digits)


def _filled(fields: Sequence[str], known: dict, kind: str) -> np.ndarray:
    if kind == "date":
        nothing = np.datetime64("NaT", "us")
        return np.array([known.get(raw, nothing) for raw in fields], "datetime64[us]")
    return np.array([known.get(raw, nan) for raw in fields], np.float64)


def _mistakes(strays: int, present: int) -> bool:
    """Whether what does not fit is so little that it is a mistake."""
    return present > 2 if strays == 1 else strays <= FEW * present


_WANTED = {
    "number": "is not a number",
    "boolean": "is neither true nor false",
    "date": "is not a date (YYYY-MM-DD, with HH:MM:SS or without)",
}


def _stray(where: str, name: str, kind: str, asked: bool, value: str | None, count: int):
    categories = f";\n  or where the column holds categories, with types={{{name!r}: 'text'}}."
    categories = "." if asked else categories
    others = "" if asked else ", as the others of its column are"
    more = "" if count == 1 else f" ({count} values are like this)"
    return errors.DataError(
        f"{where}: {shown(value)} {_WANTED[kind]}{others}{more}.\n"
        "  Correct it; or where it stands for a missing value, leave the field empty, or read with "
        f"missing=[*data.MISSING, {shown(value)}]" + categories
    )


def _look_alike(where: str, name: str, value: str | None, found: list[LookAlike]):
    options = " or ".join(like.how(value or "").replace("NAME", repr(name)) for like in found)
    return errors.DataError(
        f"{where}: {shown(value)} and all others of its column look like {found[0].words}.\n"
        f"  {options[0].upper()}{options[1:]};\n"
        f"  or where they are categories, with types={{{name!r}: 'text'}}."
    )
