"""`chainrule evaluate MODEL [DATA]`: how good a trained model is on data with known targets."""

from __future__ import annotations

from pathlib import Path
from typing import Annotated, Any

import numpy as np
from cyclopts import Parameter

from chainrule.cli.failures import Failed, Misused
from chainrule.cli.options import AS_STORED, TextOptions, given
from chainrule.cli.output import Json, note, print_facts, print_json, print_table
from chainrule.cli.predict import Model
from chainrule.cli.saved import Saved, is_run, saved_model
from chainrule.cli.scores import figures
from chainrule.cli.training import job_of_run
from chainrule.data import Table
from chainrule.train import Run


def evaluate(
    model: Model,
    data: Annotated[
        str | None, Parameter(name="DATA", help="Default: the test rows of a run.")
    ] = None,
    /,
    *,
    json: Json = False,
    options: Annotated[TextOptions, Parameter(name="*")] = AS_STORED,
) -> None:
    """Compare a model's predictions with the targets that the data hold.

    Without DATA, a run is evaluated on the rows that it kept for its test.
    """
    saved = saved_model(model)
    table = _test_rows(model) if data is None else _known(saved, data, given(options))
    facts = evaluation(saved, table)
    if json:
        print_json(facts)
        return
    parts = {"classes": "class", "labels": "label"}
    print_facts({name: _said(value) for name, value in facts.items() if name not in parts})
    for name, one in parts.items():
        if name in facts:
            columns = [key for key in facts[name][0] if key != "guessed"]
            print()
            print_table(columns, [[str(line[one]), *(_said(line[key]) for key in columns[1:])]
                                  for line in facts[name]])  # fmt: skip


def _known(saved: Saved, source: str, options: dict[str, Any]) -> Table:
    """The rows of a source whose targets are known, and a note on the others."""
    table = saved.table(source, with_target=True, options=options)
    count, target = len(table), saved.preparation.target
    for name in target.names if target is not None else ():
        table = table.present(name)
    if not len(table):
        raise Failed(f"{source}: no row has a target to compare with.")
    if len(table) < count:
        note(f"{count - len(table)} of {count} rows have no target and are left out")
    return table


def _test_rows(place: Path) -> Table:
    if not is_run(place):
        raise Misused(f"{place} is a model without a run: say on which DATA to evaluate it.")
    job = job_of_run(Run.open(place))
    if not len(job.rows["test"]):
        raise Misused(f"{place} kept no rows for a test: say on which DATA to evaluate it.")
    return job.table[job.rows["test"]]


def evaluation(saved: Saved, table: Table) -> dict[str, Any]:
    """The figures on a table's rows; also those of each class, or of each label."""
    preparation = saved.preparation
    targets = preparation.targets(table)
    outputs = saved.outputs(table)
    found = figures(outputs, targets, preparation)
    if preparation.labels is not None:
        found["classes"] = _by_class(outputs.argmax(axis=1), targets, preparation.labels)
    elif preparation.task == "multilabel" and preparation.target is not None:
        found["labels"] = _by_label(outputs > 0, targets > 0, preparation.target.names)
    return found


def _by_class(guesses: np.ndarray, targets: np.ndarray, labels: list) -> list[dict[str, Any]]:
    """Precision, recall and the guesses for each class; nan where it has no rows or guesses."""
    count = len(labels)
    confusion = np.bincount(targets * count + guesses, minlength=count**2).reshape(count, count)
    with np.errstate(invalid="ignore", divide="ignore"):
        recall = np.diag(confusion) / confusion.sum(axis=1)
        precision = np.diag(confusion) / confusion.sum(axis=0)
    return [
        {"class": label, "rows": confusion[k].sum(), "precision": precision[k],
         "recall": recall[k], "guessed": dict(zip(map(str, labels), confusion[k], strict=True))}
        for k, label in enumerate(labels)
    ]  # fmt: skip


def _by_label(
    guesses: np.ndarray, held: np.ndarray, names: tuple[str, ...]
) -> list[dict[str, Any]]:
    """The rows where each label holds, and how its guesses are; nan where there are none.

    **Shapes** guesses, held: bool (N, L).
    """
    hits, true, said = (guesses & held).sum(axis=0), held.sum(axis=0), guesses.sum(axis=0)
    right = (guesses == held).mean(axis=0)
    with np.errstate(invalid="ignore", divide="ignore"):
        precision, recall = hits / said, hits / true
    return [
        {"label": name, "rows": true[k], "accuracy": right[k], "precision": precision[k],
         "recall": recall[k]}
        for k, name in enumerate(names)
    ]  # fmt: skip


def _said(value: Any) -> str:
    return f"{value:.6g}" if isinstance(value, float) else str(value)
