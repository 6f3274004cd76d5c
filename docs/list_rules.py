"""Writes the table of rules in docs/stability.md from the rules themselves.

    python docs/list_rules.py            prints the table
    python docs/list_rules.py --write    puts it into docs/stability.md
"""

from __future__ import annotations

import sys
from pathlib import Path

import chainrule  # noqa: F401  (registers every operation)
from chainrule.transforms.stabilize import RULES
from chainrule.transforms.stabilize_reductions import REDUCTIONS

PAGE = Path(__file__).parent / "stability.md"
START = "<!-- table of rules: python docs/list_rules.py --write -->"
END = "<!-- end of table -->"


def _cell(text: str) -> str:
    return "`" + text.replace("|", "\\|") + "`"


def table() -> str:
    """One line a rule: name, pattern, replacement, where it improves, source."""
    lines = ["| rule | pattern | becomes | for | source |", "|---|---|---|---|---|"]
    for r in (*RULES, *REDUCTIONS):
        d = getattr(r, "difference", None)
        becomes = _cell(r.becomes) + (f", d = `{d}`" if d else "")
        where = r.domain.replace("|", "\\|")
        lines.append(f"| {r.name} | {_cell(r.pattern)} | {becomes} | {where} | {r.source} |")
    return "\n".join(lines)


def page_with_table(text: str) -> str:
    """The page with the table replaced by the rules'."""
    before, _, rest = text.partition(START)
    _, _, after = rest.partition(END)
    return f"{before}{START}\n{table()}\n{END}{after}"


if __name__ == "__main__":
    if "--write" in sys.argv:
        PAGE.write_text(page_with_table(PAGE.read_text()))
    else:
        print(table())
