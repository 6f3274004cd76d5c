"""Putting the cases to the libraries, each in a process of its own, and judging the answers."""

from __future__ import annotations

import json
import os
import subprocess
import sys
from collections.abc import Sequence
from dataclasses import dataclass
from pathlib import Path

import chainrule
from chainrule.lab.right_derivatives.case import Case
from chainrule.lab.right_derivatives.cases import cases
from chainrule.lab.right_derivatives.judge import verdict
from chainrule.lab.right_derivatives.libraries import NAMES
from chainrule.lab.right_derivatives.truth import truth

_WORKER = "chainrule.lab.right_derivatives.worker"


@dataclass
class Row:
    """One case with its truth, and each library's answers and verdict."""

    case: Case
    truth: list
    answers: dict[str, list | None]
    verdicts: dict[str, str]


@dataclass
class Result:
    """Every row, and each library's version; a library that is not installed has none."""

    rows: list[Row]
    versions: dict[str, str | None]


def run(
    groups: Sequence[str] = (),
    peers: str | Path | None = None,
    names: Sequence[str] = NAMES,
) -> Result:
    """The cases of `groups` (all where empty), put to the libraries `names`.

    `peers` is the interpreter that runs the libraries other than chainrule: this one, or one of an
    environment where they are installed. It needs NumPy, SciPy and mpmath beside them.

    **Errors** `ValueError` for an unknown class, `RuntimeError` where a process ends before its
    last case.
    """
    chosen = cases(groups)
    truths = {id(case): None if case.members is not None else truth(case) for case in chosen}
    rows = [Row(case, _given(case, truths[id(case)]), {}, {}) for case in chosen]
    versions: dict[str, str | None] = {}
    for name in names:
        python = sys.executable if name == "chainrule" or peers is None else str(peers)
        versions[name], found = ask(name, groups, python)
        if versions[name] is None:
            continue
        for row in rows:
            answers = found[f"{row.case.group}/{row.case.name}"]
            row.answers[name] = answers
            row.verdicts[name] = verdict(row.case, answers, row.truth)
    return Result(rows, versions)


def _given(case: Case, found) -> list:
    return found if found is not None else [None] * len(case.points)


def ask(name: str, groups: Sequence[str], python: str) -> tuple[str | None, dict]:
    """A library's version, None where it is missing, and its answers by case."""
    here = str(Path(chainrule.__file__).parents[1])
    environment = dict(os.environ, PYTHONPATH=here, OPENBLAS_NUM_THREADS="1")
    done = subprocess.run(
        [python, "-m", _WORKER, name, *groups],
        env=environment,
        capture_output=True,
        text=True,
    )
    lines = [json.loads(line) for line in done.stdout.splitlines() if line.startswith("{")]
    if done.returncode or not lines:
        raise RuntimeError(f"{name} ended before its last case:\n{done.stderr[-2000:]}")
    if "missing" in lines[0]:
        return None, {}
    return lines[0]["version"], {line["case"]: line["answers"] for line in lines[1:]}
