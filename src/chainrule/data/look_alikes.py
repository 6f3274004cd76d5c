"""Columns of text that people mean as numbers or dates: refused, with what to do instead.

As categories they would be lost without a word, most of them as "texts that are all different".
"""

from __future__ import annotations

import re
from collections.abc import Callable
from functools import partial
from typing import NamedTuple

from chainrule.data import values

LEAST = 3  # distinct values that it takes


class LookAlike(NamedTuple):
    """What a text may be meant as."""

    words: str
    is_one: Callable[[str], object]
    instead: str
    mark: str = ""  # that one text has at least

    def how(self, text: str) -> str:
        """What to do instead, for such a text: dates are read with marks as it has them."""
        mark = _MARK.search(text)
        return self.instead if mark is None else self.instead.replace(".%", f"{mark[0]}%")


_MARK = re.compile(r"(?<=\d)[/-](?=\d)", re.A)


def _matches(pattern: str) -> Callable[[str], object]:
    return re.compile(pattern, re.A).fullmatch


_UNITS = (
    "[%$€£¥°℃℉]|°[CF]|[kmcµn]?[mgslLWVJN]|k[mg]/h|mph|[kMGT]?B|[kKMB]|bn|lbs?|oz|ft|in|mi|ha|"
    "h|hrs?|min|days?|years?|yrs?|USD|EUR|GBP|CHF|JPY"
)
_MONTHS = "(Jan|Feb|Mar|Apr|May|Jun|Jul|Aug|Sep|Oct|Nov|Dec)[a-z]*[.]?"
_CLOCK = r"(,? \d\d?:\d\d(:\d\d)?( ?[AaPp][Mm])?)?"

LOOK_ALIKES = (
    LookAlike("numbers with commas between thousands", partial(values.number, thousands=","),
              "read with thousands=','"),
    LookAlike("numbers with blanks between thousands", partial(values.number, thousands=" "),
              "read with thousands=' '"),
    LookAlike("numbers with a comma as their decimal mark", partial(values.number, decimal=","),
              "read with decimal=','"),
    LookAlike("numbers with a decimal point", values.number, "read with decimal='.'"),
    LookAlike("dates that are not written YYYY-MM-DD",
              _matches(rf"(\d{{1,2}}([./-])\d{{1,2}}\2\d{{4}}|\d{{4}}\.\d\d?\.\d\d?){_CLOCK}"),
              "read with dates={NAME: '%d.%m.%Y'}, or whatever their form is"),
    LookAlike("dates with the names of months",
              _matches(rf"(\d\d?[ -]{_MONTHS}[ -]\d{{4}}|{_MONTHS} \d\d?,? \d{{4}}){_CLOCK}"),
              "read with dates={NAME: '%d %b %Y'}, or whatever their form is"),
    LookAlike("numbers with a unit",
              _matches(rf"[+-]?[$€£¥] ?[\d.,]*\d|[+-]?\d[\d.,]* ?({_UNITS})"),
              "take the unit away in the file"),
    LookAlike("numbers, with brackets around those below 0",
              _matches(r"[$€£¥]?[\d.,]*\d|\([$€£¥]?[\d.,]*\d\)"),
              "write a minus in the file in place of the brackets", mark="("),
)  # fmt: skip


def look_alikes(texts: list[str]) -> list[LookAlike]:
    """What all the texts look like: nothing, or one thing, or two that differ by their marks.

    >>> [found.instead for found in look_alikes(["1,5", "2,25", "-3"])]
    ["read with decimal=','"]
    >>> look_alikes(["1,5", "2,25", "none"])
    []
    """
    if len(set(texts)) < LEAST:
        return []
    return [
        like for like in LOOK_ALIKES
        if all(like.is_one(t) is not None for t in texts) and any(like.mark in t for t in texts)
    ]  # fmt: skip
