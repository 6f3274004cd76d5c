"""HTML and SVG out of text and numbers. What is not made here is text, and escaped."""

from __future__ import annotations

import math
from collections.abc import Iterable, Mapping, Sequence
from html import escape
from typing import Any

import numpy as np

LONGEST = 300  # characters of a text that is shown
EMPTY = ("path", "rect", "circle", "line", "polyline", "img", "meta")  # elements without content


class Html(str):
    """Text that is HTML already; only functions of this file make it."""


def element(kind: str, /, *inside: Any, **attributes: Any) -> Html:
    """An element. What is inside, and the attributes' values, are escaped unless they are `Html`.

    Underscores in the names of attributes stand for hyphens; one at the end is dropped.

    >>> element("td", "a < b", class_="name")
    '<td class="name">a &lt; b</td>'
    """
    given = "".join(
        f' {key.rstrip("_").replace("_", "-")}="{escape(str(value))}"'
        for key, value in attributes.items()
    )
    if kind in EMPTY and not inside:
        return Html(f"<{kind}{given}/>")
    return Html(f"<{kind}{given}>{joined(inside)}</{kind}>")


def joined(parts: Iterable[Any]) -> Html:
    """Parts one after the other, each escaped unless it is `Html`."""
    return Html("".join(p if isinstance(p, Html) else escape(said(p)) for p in parts))


def said(value: Any) -> str:
    """A value as a reader wants it: four digits of a number, lists and dicts in words.

    >>> said(0.123456), said(12345), said([1, "a"]), said({"rate": None}), said(float("nan"))
    ('0.1235', '12,345', '1, a', 'rate none', 'nan')
    """
    if value is None:
        return "none"
    if isinstance(value, bool | np.bool_):
        return "yes" if value else "no"
    if isinstance(value, int | np.integer):
        return f"{value:,}"
    if isinstance(value, float | np.floating):
        return _number(float(value))
    if isinstance(value, Mapping):
        return ", ".join(f"{key} {said(one)}" for key, one in value.items())
    if isinstance(value, list | tuple):
        return ", ".join(map(said, value)) or "none"
    text = str(value)
    return text if len(text) <= LONGEST else text[: LONGEST - 3] + "..."


def verbatim(text: str) -> Html:
    """Text as it is, however long."""
    return Html(escape(text))


def _number(value: float) -> str:
    if math.isfinite(value) and 1e4 <= abs(value) < 1e9:
        return f"{value:,.0f}"
    return f"{value:.4g}"


def percent(share: float) -> str:
    """A share in percent; a dash where there is none.

    >>> percent(0.97493), percent(float("nan"))
    ('97.49 %', '–')
    """
    return f"{100 * share:.2f} %" if math.isfinite(share) else "–"


def table(head: Sequence[Any], rows: Iterable[Sequence[Any]], *, marked: int | None = None) -> Html:
    """A table that scrolls sideways where it is too wide; numbers to the right, a row marked."""
    rows, lines = list(rows), []
    for number, row in enumerate(rows):
        cells = (element("td", cell, class_="n") if _is_number(cell) else element("td", cell)
                 for cell in row)  # fmt: skip
        more = {"class_": "marked"} if number == marked else {}
        lines.append(element("tr", *cells, **more))
    right = [{"class_": "n"} if rows and _is_number(rows[0][k]) else {} for k in range(len(head))]
    heads = (element("th", name, scope="col", **more)
             for name, more in zip(head, right, strict=True))  # fmt: skip
    top = element("thead", element("tr", *heads))
    return element("div", element("table", top, element("tbody", *lines)), class_="wide")


def _is_number(cell: Any) -> bool:
    if isinstance(cell, str):
        return cell == "–" or cell.endswith(" %")
    return isinstance(cell, int | float | np.number) and not isinstance(cell, bool)


def facts(found: Mapping[Any, Any]) -> Html:
    """Names and values below each other."""
    rows = (element("tr", element("th", name, scope="row"), element("td", value))
            for name, value in found.items())  # fmt: skip
    return element("div", element("table", element("tbody", *rows), class_="facts"), class_="wide")


def paragraph(*parts: Any) -> Html:
    """A paragraph."""
    return element("p", *parts)


def note(*parts: Any) -> Html:
    """A paragraph in small print: how a figure was found, and what it leaves out."""
    return element("p", *parts, class_="note")


def side_by_side(*figures: Html) -> Html:
    """Pictures in as many columns as there is room for."""
    return element("div", *(figure for figure in figures if figure), class_="figures")


NOTHING = Html("")
