"""The parts of docs/right-derivatives.md that are computed: the table, and examples beside it."""

from __future__ import annotations

import inspect
from pathlib import Path

import numpy as np

from chainrule.lab.right_derivatives.case import CLASSES, Case
from chainrule.lab.right_derivatives.judge import verdict
from chainrule.lab.right_derivatives.libraries import TITLES
from chainrule.lab.right_derivatives.report import markdown, text, truth_text
from chainrule.lab.right_derivatives.run import Result, Row

EXAMPLES = {
    "kinks": (
        "sum_by_order_statistics",
        "stable_softplus/second",
        "where_equal_to_zero",
        "clip_and_what_it_cuts_off",
    ),
    "lipschitz": ("norm_of_zero", "equality_before_a_kink", "root_of_a_square"),
    "singular": (
        "sum_of_roots_of_the_positive",
        "all_distances_between_points",
        "polar_coordinates_and_back",
    ),
    "naive": ("log_of_one_minus_sigmoid", "variance_of_moments", "expanded_cube"),
    "expectation": (
        "bonus_above_a_threshold",
        "sales_of_limited_stock",
        "absorbing_random_walk",
    ),
    "composed": ("compile:kinks/sum_by_order_statistics", "vmap:kinks/where_equal_to_zero"),
}


def begin(what: str) -> str:
    """The line of a page before a computed part."""
    return f"<!-- {what}: python -m chainrule.lab right-derivatives --page FILE -->"


END = "<!-- end -->"


def put_into(page: Path, result: Result) -> None:
    """Puts the table and the examples of every class between the page's markers.

    **Errors** `ValueError` where a marker is missing.
    """
    found = _replaced(page.read_text(), "table", markdown(result))
    for group in CLASSES:
        found = _replaced(found, f"examples of {group}", examples(result, group))
    page.write_text(found)


def _replaced(page: str, what: str, new: str) -> str:
    start = page.find(begin(what))
    end = page.find(END, start)
    if start < 0 or end < 0:
        raise ValueError(f"the page has no line {begin(what)!r} with {END!r} after it.")
    return page[: start + len(begin(what))] + "\n" + new.strip("\n") + "\n" + page[end:]


def examples(result: Result, group: str) -> str:
    """The example cases of a class: the function, the point, and what each library answers."""
    rows = {row.case.name: row for row in result.rows if row.case.group == group}
    return "\n".join(_example(result, rows[name]) for name in EXAMPLES[group])


def _example(result: Result, row: Row) -> str:
    number = _telling_point(result, row)
    lines = ["```python", source(row.case), "```", "", _question(row.case, number), ""]
    names = [name for name, version in result.versions.items() if version]
    titles = [TITLES[name] for name in names]
    answers = [_answer(row, name, number) for name in names]
    for cells in (["truth", *titles], ["---"] * (1 + len(names)), [_truth(row, number), *answers]):
        lines.append("| " + " | ".join(cells) + " |")
    return "\n".join([*lines, ""])


def _telling_point(result: Result, row: Row) -> int:
    """The number of the point that most libraries do not have right."""

    def failures(i: int) -> int:
        found = [a for a in row.answers.values() if a is not None]
        return sum(verdict(row.case, [a[i]], [row.truth[i]]) != "right" for a in found)

    return max(range(len(row.truth)), key=failures)


def source(case: Case) -> str:
    """The case's function as it is written, without what is above its `def`."""
    lines = inspect.getsource(case.function).rstrip().split("\n")
    return "\n".join(lines[next(i for i, line in enumerate(lines) if line.startswith("def ")) :])


_WORDS = {
    "grad": "The gradient",
    "value_and_grad": "Value and gradient",
    "second": "The second derivative",
    "jacobian": "The Jacobian",
    "hessian": "The Hessian",
    "expectation": "The gradient of the mean, over 16 seeds, with its standard error",
}


def _question(case: Case, number: int) -> str:
    words = _WORDS[case.ask]
    if case.by == "vmap":
        return f"{words}, as lanes of `vmap`, at {', '.join(_point(p) for p in case.points)}:"
    where = "" if case.by == "plain" else ", compiled,"
    return f"{words}{where} at {_point(case.points[number])}:"


def _point(point: tuple) -> str:
    return ", ".join(str(np.asarray(value).tolist()) for value in point)


def _truth(row: Row, number: int) -> str:
    return truth_text(row) if row.case.members is not None else text(row.truth[number])


def _answer(row: Row, name: str, number: int) -> str:
    answers = row.answers[name]
    if answers is None:
        return "–"
    found = answers[number]
    if isinstance(found, str):
        return "refused"
    shown = _with_error(found) if row.case.ask == "expectation" else text(found)
    right = verdict(row.case, [found], [row.truth[number]]) == "right"
    return shown if right else f"**{shown}**"


def _with_error(answer) -> str:
    half = len(answer) // 2
    pairs = zip(answer[:half], answer[half:], strict=True)
    return ", ".join(f"{text([mean])} ± {float(np.max(error)):.1g}" for mean, error in pairs)
