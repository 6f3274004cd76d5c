"""What commands print: lines for people, or one JSON document with `--json`."""

from __future__ import annotations

import json
import sys
from collections.abc import Iterable, Sequence
from typing import Annotated, Any

import numpy as np
from cyclopts import Parameter

Json = Annotated[bool, Parameter(help="Print one JSON document instead of text.")]


def print_json(facts: Any) -> None:
    """Print facts as one JSON document; nan and infinities, which JSON has not, as null.

    >>> print_json({"rows": np.int64(3), "loss": float("nan")})
    {
      "rows": 3,
      "loss": null
    }
    """
    print(json.dumps(_plain(facts), indent=2, allow_nan=False))


def _plain(value: Any) -> Any:
    """The same facts as JSON's own types."""
    if isinstance(value, dict):
        return {str(key): _plain(one) for key, one in value.items()}
    if isinstance(value, list | tuple | set):
        return [_plain(one) for one in value]
    if isinstance(value, np.ndarray):
        return _plain(value.tolist())
    if isinstance(value, np.generic):
        return _plain(value.item())
    if isinstance(value, float):
        return value if np.isfinite(value) else None
    if isinstance(value, complex):
        return {"real": _plain(value.real), "imag": _plain(value.imag)}
    return value if value is None or isinstance(value, bool | int | str) else str(value)


def print_facts(facts: dict[str, Any]) -> None:
    """Print names and values, the values below each other.

    >>> print_facts({"rows": 3, "target": "price"})
    rows    3
    target  price
    """
    width = max(map(len, facts), default=0)
    for name, value in facts.items():
        print(f"{name:{width}}  {value}".rstrip())


def print_table(head: Sequence[str], rows: Iterable[Sequence[Any]]) -> None:
    """Print rows in columns, numbers to the right.

    >>> print_table(["name", "rows"], [["iris", 150], ["digits", 1797]])
    name    rows
    iris     150
    digits  1797
    """
    rows = list(rows)
    cells = [list(head), *([str(one) for one in row] for row in rows)]
    widths = [max(len(row[i]) for row in cells) for i in range(len(head))]
    right = [bool(rows) and all(isinstance(row[i], int | float) for row in rows)
             for i in range(len(head))]  # fmt: skip
    for row in cells:
        parts = [
            cell.rjust(width) if number else cell.ljust(width)
            for cell, width, number in zip(row, widths, right, strict=True)
        ]
        print("  ".join(parts).rstrip())


def note(text: str) -> None:
    """Say something beside the result: on the other stream, so that output can be piped."""
    print(text, file=sys.stderr, flush=True)
