"""Writes the table of operations in docs/ops.md from the registry.

    python docs/list_ops.py            prints the table
    python docs/list_ops.py --write    puts it into docs/ops.md
"""

from __future__ import annotations

import inspect
import sys
from pathlib import Path

import chainrule  # noqa: F401  (registers every operation)
from chainrule.program.op import REGISTRY, Op

PAGE = Path(__file__).parent / "ops.md"
START = "<!-- table of operations: python docs/list_ops.py --write -->"
END = "<!-- end of table -->"


def params_of(op: Op) -> str:
    """The keyword parameters of an operation, from its type rule."""
    found = inspect.signature(op.type_rule).parameters.values()
    return ", ".join(p.name for p in found if p.kind is p.KEYWORD_ONLY)




def table() -> str:
    """One line an operation: name, params, kind of derivative, meaning."""
    lines = ["| operation | params | derivative | meaning |", "|---|---|---|---|"]
    for name in sorted(REGISTRY):
        op = REGISTRY[name]
        kind = type(op.derivative).__name__
        meaning = (op.doc or f"NumPy's or SciPy's `{name}`, elementwise").replace("|", "\\|")
        lines.append(f"| `{name}` | {params_of(op)} | {kind} | {meaning} |")
    return "\n".join(lines)


def page_with_table(text: str) -> str:
    """The page with the table replaced by the registry's."""
    before, _, rest = text.partition(START)
    _, _, after = rest.partition(END)
    return f"{before}{START}\n{table()}\n{END}{after}"


if __name__ == "__main__":
    if "--write" in sys.argv:
        PAGE.write_text(page_with_table(PAGE.read_text()))
    else:
        print(table())
