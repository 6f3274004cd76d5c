"""Writes the table of rewrites in docs/simplification.md from their records.

    python docs/list_rewrites.py            prints the table
    python docs/list_rewrites.py --write    puts it into docs/simplification.md
"""

from __future__ import annotations

import sys
from pathlib import Path

import chainrule  # noqa: F401  (registers every operation)
from chainrule.transforms.simplify import REWRITES

PAGE = Path(__file__).parent / "simplification.md"
START = "<!-- table of rewrites: python docs/list_rewrites.py --write -->"
END = "<!-- end of table -->"


def _cell(text: str) -> str:
    return text.replace("|", "\\|")


def table() -> str:
    """One line a rewrite: name, pattern and replacement, for which values, what it changes."""
    lines = ["| rewrite | what becomes what | valid for | changes |", "|---|---|---|---|"]
    for r in REWRITES:
        lines.append(f"| {r.name} | {_cell(r.doc)} | {r.valid_for} | {r.changes} |")
    return "\n".join(lines)


def page_with_table(text: str) -> str:
    """The page with the table replaced by the records'."""
    before, _, rest = text.partition(START)
    _, _, after = rest.partition(END)
    return f"{before}{START}\n{table()}\n{END}{after}"


if __name__ == "__main__":
    if "--write" in sys.argv:
        PAGE.write_text(page_with_table(PAGE.read_text()))
    else:
        print(table())
