"""The table: right, wrong, nan and refused, by class and by case, as Markdown and as JSON."""

from __future__ import annotations

from collections.abc import Iterable

import numpy as np

from chainrule.lab.right_derivatives.case import CLASSES
from chainrule.lab.right_derivatives.libraries import TITLES
from chainrule.lab.right_derivatives.run import Result, Row

_COUNTED = ("right", "wrong", "nan", "refused")


def counts(rows: Iterable[Row], name: str) -> dict[str, int]:
    """How many of the rows a library has right, wrong, nan, refused, absent.

    **Shapes** a dictionary over the five words.
    """
    found = dict.fromkeys((*_COUNTED, "absent"), 0)
    for row in rows:
        found[row.verdicts.get(name, "absent")] += 1
    return found


def markdown(result: Result, each: bool = False) -> str:
    """The table by class; with `each`, one by case as well."""
    lines = _by_class(result)
    if each:
        lines += ["", *_by_case(result)]
    return "\n".join(lines) + "\n"


def _titles(result: Result) -> list[str]:
    return [f"{TITLES[name]} {_version(name, v)}".strip() for name, v in result.versions.items()]


def _version(name: str, version: str | None) -> str:
    return "" if name == "chainrule" else (version or "(not installed)").split("+")[0]


def _line(cells: Iterable[str]) -> str:
    return "| " + " | ".join(cells) + " |"


def _by_class(result: Result) -> list[str]:
    """One line a class: right of those asked, then how the others failed."""
    titles = _titles(result)
    lines = [_line(["class", "cases", *titles]), _line(["---", "---:", *["---"] * len(titles)])]
    for group, words in CLASSES.items():
        rows = [row for row in result.rows if row.case.group == group]
        if rows:
            lines.append(_line([words, str(len(rows)), *_cells(result, rows)]))
    lines.append(_line(["**all**", str(len(result.rows)), *_cells(result, result.rows)]))
    return lines


def _cells(result: Result, rows: list[Row]) -> list[str]:
    return [_cell(counts(rows, name)) if v else "–" for name, v in result.versions.items()]


def _cell(found: dict[str, int]) -> str:
    failures = ", ".join(f"{found[w]} {w}" for w in (*_COUNTED[1:], "absent") if found[w])
    return f"**{found['right']}**" + (f" ({failures})" if failures else "")


def _by_case(result: Result) -> list[str]:
    titles = [TITLES[name] for name in result.versions]
    lines = [_line(["case", "asked", "truth", *titles])]
    lines.append(_line(["---"] * (3 + len(titles))))
    for row in result.rows:
        answers = [_answer(row, name) if v else "–" for name, v in result.versions.items()]
        asked = row.case.ask if row.case.by == "plain" else f"{row.case.by}({row.case.ask})"
        lines.append(_line([f"`{row.case.name}`", asked, truth_text(row), *answers]))
    return lines


def _answer(row: Row, name: str) -> str:
    found = row.verdicts[name]
    if found not in ("wrong", "nan"):
        return found if found != "absent" else "–"
    return f"{found}: {text(first_failure(row, name))}"


def first_failure(row: Row, name: str):
    """A library's answer at the first point that it does not have right (the first of all else)."""
    from chainrule.lab.right_derivatives.judge import verdict

    answers = row.answers[name] or []
    for answer, true in zip(answers, row.truth, strict=True):
        if verdict(row.case, [answer], [true]) != "right":
            return answer
    return answers[0] if answers else None


def truth_text(row: Row) -> str:
    """The truth at the first point, short."""
    return row.case.members.text() if row.case.members is not None else text(row.truth[0])


def text(parts) -> str:
    """An answer in one short line: numbers to six digits, at most eight of them."""
    if parts is None or isinstance(parts, str):
        return str(parts)
    shown = []
    for part in parts:
        flat = np.ravel(np.asarray(part, dtype=float))
        words = [f"{v + 0.0:.6g}" for v in flat[:8]] + (["..."] if flat.size > 8 else [])
        shown.append(words[0] if np.ndim(part) == 0 else "[" + ", ".join(words) + "]")
    return ", ".join(shown)


def as_json(result: Result) -> dict:
    """Everything: versions, counts by class, and each case with its answers."""
    return {
        "versions": result.versions,
        "classes": {
            group: {
                name: counts([r for r in result.rows if r.case.group == group], name)
                for name, version in result.versions.items()
                if version
            }
            for group in CLASSES
        },
        "cases": [_row_json(row) for row in result.rows],
    }


def _row_json(row: Row) -> dict:
    return {
        "class": row.case.group,
        "case": row.case.name,
        "ask": row.case.ask,
        "by": row.case.by,
        "truth": [truth_text(row)] if row.case.members is not None else _nested(row.truth),
        "answers": row.answers,
        "verdicts": row.verdicts,
    }


def _nested(answers) -> list:
    return [[np.asarray(part).tolist() for part in answer] for answer in answers]
