"""write: the report of a run as one HTML file."""

from __future__ import annotations

import os
import time
from collections.abc import Callable
from importlib.metadata import version
from pathlib import Path
from typing import Any

import numpy as np

from chainrule import data
from chainrule.nn.module import Module
from chainrule.train import files
from chainrule.train.report import baselines, course, html, importance, inside, page, quality
from chainrule.train.report.html import Html, element
from chainrule.train.report.subject import Absent, Subject
from chainrule.train.runs import Run

NAME = "report.html"

PARTS: dict[str, Callable[[Subject], Html]] = {
    "Curves": course.curves,
    "Beside simpler models": baselines.baselines,
    "Classes": quality.classes,
    "Calibration": quality.calibration,
    "Residuals": quality.residuals,
    "Largest errors": quality.worst,
    "Importance of inputs": importance.importance,
    "Decisions of the babysitter": course.decisions,
    "Gradients by layer": course.layers,
    "Health of layers": inside.layers,
    "Network": inside.network,
    "Data": inside.data_summary,
    "Time and memory": course.times,
    "Settings": inside.settings,
}


def write(
    run: str | os.PathLike | Run, *, test: Any = None, training: Any = None, part: str = "test",
    preparation: data.Preparation | None = None, table: data.Table | None = None,
    rows: dict[str, np.ndarray] | None = None, model: Module | None = None,
    output: str | os.PathLike | None = None,
) -> Path:  # fmt: skip
    """Writes the report of a run, and gives its path: report.html in the run folder, or `output`.

    It is one file that needs no network and runs no script. The run folder knows the training's
    course, settings and model; `test` and `training` (as `fit` takes data) are rows to judge it on
    and those that it has learned from. `preparation`, and `table` with the `rows` of each part, say
    what the columns are; `part` is what the test rows are called. A part of the report that needs
    what is not known is left out, and named at the end with the reason.

    **Errors** `FileDamaged` for a folder without a run; `FileNotWritten`.
    **Cost** seconds: baselines learn from 10,000 rows at most, importance looks at 1,000 rows and
    100 columns; under 1 MB.

    >>> import tempfile
    >>> with tempfile.TemporaryDirectory() as place:
    ...     with Run.create(f"{place}/run", {}) as run:
    ...         run.scalars(1, loss=0.5)
    ...     write(run).name
    'report.html'
    """
    run = run if isinstance(run, Run) else Run.open(run)
    subject = Subject(
        run, None if test is None else data.arrays(test),
        None if training is None else data.arrays(training), part, preparation, table, rows or {},
        model,
    )  # fmt: skip
    path = Path(output) if output is not None else run.folder / NAME
    files.write(path, text(subject).encode("utf-8"))
    return path


def text(subject: Subject) -> str:
    """The report as HTML."""
    parts, absent = [], {}
    for name, made in PARTS.items():
        try:
            parts.append((name, made(subject)))
        except Absent as reason:
            absent[name] = str(reason)
    if absent:
        parts.append(("Left out", html.facts(absent)))
    return page.page(_title(subject), _top(subject), parts)


def _title(subject: Subject) -> str:
    source = (subject.config.get("cli") or {}).get("data")
    return f"Training on {Path(source).name}" if source else f"Training of {_model_name(subject)}"


def _model_name(subject: Subject) -> str:
    return str((subject.config.get("fit") or {}).get("model_name", "a model"))


def _top(subject: Subject) -> list[Html]:
    """What it is, when, and the figures that matter most."""
    began = next((event["time"] for event in subject.events), None)
    when = time.strftime("%Y-%m-%d %H:%M UTC", time.gmtime(began)) if began else ""
    state = "" if subject.run.finished else " It has not ended: this is how far it is."
    target = ", ".join(map(str, subject.about.get("target") or []))
    words = f"{'Predicts ' + target + '. ' if target else ''}{when and f'Begun {when}. '}"
    found = [html.note(f"{words}chainrule {version('chainrule')}.{state}")]
    try:
        figures = quality.headline(subject)
    except Absent:
        return found
    tiles = (element("div", element("b", value), f"{name.replace('_', ' ')}, {subject.part}")
             for name, value in figures.items())  # fmt: skip
    return [*found, element("div", *tiles, class_="headline")]
