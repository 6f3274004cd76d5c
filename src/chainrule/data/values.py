"""What the text of a field means: a number, a truth value, a date, or nothing at all."""

from __future__ import annotations

import re
from datetime import UTC, datetime

import numpy as np

MISSING = (
    "", "NA", "N/A", "n/a", "#N/A", "NaN", "nan", "NAN", "-nan", "<NA>", "NULL", "null", "Null",
    "None", "none", "?",
)  # fmt: skip

_TRUTH = {"true": 1.0, "false": 0.0}
_NUMBER = re.compile(r"[+-]?(\d+\.?\d*|\.\d+)([eE][+-]?\d+)?|[+-]?inf(inity)?", re.I | re.A)
_DATE = re.compile(
    r"\d{4}([-/])\d\d\1\d\d([T ]\d\d:\d\d(:\d\d(\.\d{1,9})?)?( ?Z| ?UTC|[+-]\d\d(:?\d\d)?)?)?", re.A
)


def number(text: str, *, decimal: str = ".", thousands: str | None = None) -> float | None:
    """The number that a text is, or None: no underscores, no hexadecimal, nothing but a number.

    Groups of thousands do not begin with 0: "0,126" is a decimal number, and never 126.

    >>> number("1e3"), number("1_000"), number("1.234,5", decimal=",", thousands=".")
    (1000.0, None, 1234.5)
    """
    if thousands and thousands in text:
        grouped = rf"[+-]?[1-9]\d{{0,2}}({re.escape(thousands)}\d{{3}})+({re.escape(decimal)}\d*)?"
        if not re.fullmatch(grouped, text, re.A):
            return None
        text = text.replace(thousands, "")
    if decimal != ".":
        text = "x" if "." in text else text.replace(decimal, ".")
    return float(text) if _NUMBER.fullmatch(text) else None


def truth(text: str) -> float | None:
    """1.0 for true, 0.0 for false (in any case), None for anything else."""
    return _TRUTH.get(text.lower())


def date(text: str, form: str | None = None) -> np.datetime64 | None:
    """The moment that an ISO date or time is, in UTC; `form` is one of `strptime` instead.

    >>> date("2024-02-29"), date("2023-02-29"), date("29.2.2024", "%d.%m.%Y")
    (np.datetime64('2024-02-29T00:00:00.000000'), None, np.datetime64('2024-02-29T00:00:00.000000'))
    """
    try:
        if form is None:
            if not _DATE.fullmatch(text):
                return None
            text = text.replace("/", "-").replace("UTC", "Z").replace(" Z", "Z")
            found = datetime.fromisoformat(text)  # which cuts nanoseconds off
        else:
            found = datetime.strptime(text, form)
        if found.tzinfo is not None:
            found = found.astimezone(UTC).replace(tzinfo=None)
        return np.datetime64(found, "us")
    except (ValueError, OverflowError):
        return None
