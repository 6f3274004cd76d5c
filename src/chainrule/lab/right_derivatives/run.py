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
    earlier: dict | None = None,
) -> Result:
    """The cases of `groups` (all where empty), put to the libraries `names`.

    `peers` is the interpreter that runs the libraries other than chainrule: this one, or one of an
    environment where they are installed. It needs NumPy, SciPy and mpmath beside them. `earlier` is
    what `as_json` made of another run: the answers of libraries that are not asked this time.

    **Errors** `ValueError` for an unknown class, and for a case without an earlier answer;
    `RuntimeError` where a process ends before its last case.
    """
    chosen = cases(groups)
    truths = {id(case): None if case.members is not None else truth(case) for case in chosen}
    rows = [Row(case, _given(case, truths[id(case)]), {}, {}) for case in chosen]
    versions: dict[str, str | None] = {}
    for name in NAMES:
        if name in names:
            python = sys.executable if name == "chainrule" or peers is None else str(peers)
            versions[name], found = ask(name, groups, python)
        elif earlier is not None and name in earlier["versions"]:
            versions[name], found = earlier["versions"][name], _earlier(earlier, name)
        else:
            continue
        if versions[name] is not None:
            _judge(rows, name, found)
    return Result(rows, versions)


def _judge(rows: list[Row], name: str, found: dict) -> None:
    """Puts a library's answers and verdicts into the rows."""
    for row in rows:
        key = f"{row.case.group}/{row.case.name}"
        if key not in found:
            raise ValueError(f"there is no earlier answer of {name} to {key}: ask it again.")
        row.answers[name] = found[key]
        row.verdicts[name] = verdict(row.case, found[key], row.truth)


def _earlier(earlier: dict, name: str) -> dict:
    """A library's answers in an earlier result, by case."""
    return {f"{row['class']}/{row['case']}": row["answers"].get(name) for row in earlier["cases"]}


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
