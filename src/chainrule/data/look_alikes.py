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

    def how(self, text: str) -> str:
        """What to do instead, for such a text: dates are read with marks as it has them."""
        mark = _MARK.search(text)
        return self.instead if mark is None else self.instead.replace(".%", f"{mark[0]}%")


_MARK = re.compile(r"(?<=\d)[/-](?=\d)", re.A)


def _matches(pattern: str) -> Callable[[str], object]:
    return re.compile(pattern, re.A).fullmatch


LOOK_ALIKES = (
    LookAlike("numbers with commas between thousands", partial(values.number, thousands=","),
              "read with thousands=','"),
    LookAlike("numbers with a comma as their decimal mark", partial(values.number, decimal=","),
              "read with decimal=','"),
    LookAlike("numbers with a decimal point", values.number, "read with decimal='.'"),
    LookAlike("dates that are not written YYYY-MM-DD",
              _matches(r"\d{1,2}([./-])\d{1,2}\1\d{4}( \d\d?:\d\d(:\d\d)?)?|\d{4}\.\d\d?\.\d\d?"),
              "read with dates={NAME: '%d.%m.%Y'}, or whatever their form is"),
    LookAlike("numbers with a unit", _matches(r"[+-]?[$€£¥] ?[\d.,]*\d|[+-]?\d[\d.,]* ?[%$€£¥]"),
              "take the unit away in the file"),
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
    return [like for like in LOOK_ALIKES if all(like.is_one(t) is not None for t in texts)]
