"""Writes the tables of three pages from the code: operations, simplifications, rules of stability.

    python docs/tables.py            says which pages are stale
    python docs/tables.py --write    puts the tables into the pages
"""

from __future__ import annotations

import inspect
import sys
from pathlib import Path

from chainrule.program.op import REGISTRY, Op
from chainrule.transforms.simplify import REWRITES
from chainrule.transforms.stabilize import REDUCTION_RULES, RULES

DOCS = Path(__file__).parent
START = "<!-- table: python docs/tables.py --write -->"
END = "<!-- end of table -->"


def _cell(text: str) -> str:
    return text.replace("|", "\\|")


def _code(text: str) -> str:
    return f"`{_cell(text)}`"


def _params_of(op: Op) -> str:
    """The keyword parameters of an operation, from its type rule."""
    found = inspect.signature(op.type_rule).parameters.values()
    return ", ".join(p.name for p in found if p.kind is p.KEYWORD_ONLY)


def _operations() -> list[tuple[str, ...]]:
    rows = [("operation", "params", "derivative", "meaning")]
    for name in sorted(REGISTRY):
        op = REGISTRY[name]
        meaning = _cell(op.doc or f"NumPy's or SciPy's `{name}`, elementwise")
        rows.append((f"`{name}`", _params_of(op), type(op.derivative).__name__, meaning))
    return rows


def _rewrites() -> list[tuple[str, ...]]:
    rows = [("rewrite", "what becomes what", "valid for", "changes")]
    return rows + [(r.name, _cell(r.doc), r.valid_for, r.changes) for r in REWRITES]


def _rules() -> list[tuple[str, ...]]:
    rows = [("rule", "pattern", "becomes", "for", "source")]
    for r in (*RULES, *REDUCTION_RULES):
        difference = getattr(r, "difference", None)
        becomes = _code(r.becomes) + (f", d = `{difference}`" if difference else "")
        rows.append((r.name, _code(r.pattern), becomes, _cell(r.domain), r.source))
    return rows


PAGES = {"ops.md": _operations, "simplification.md": _rewrites, "stability.md": _rules}


def page_with_table(name: str) -> str:
    """A page's text, with the table that the code holds now."""
    before, _, rest = (DOCS / name).read_text().partition(START)
    _, _, after = rest.partition(END)
    head, *rows = [f"| {' | '.join(cells)} |" for cells in PAGES[name]()]
    ruler = "|" + "---|" * len(PAGES[name]()[0])
    table = "\n".join([head, ruler, *rows])
    return f"{before}{START}\n{table}\n{END}{after}"


if __name__ == "__main__":
    for name in PAGES:
        text = page_with_table(name)
        if text != (DOCS / name).read_text():
            print(f"{name}: written" if "--write" in sys.argv else f"{name}: stale")
            if "--write" in sys.argv:
                (DOCS / name).write_text(text)
