"""What a run learns from: the rows of a table in three parts, and how they become numbers.

It is a function of the run's options and the data alone, so `resume` and `evaluate` make the same.
"""

from __future__ import annotations

from dataclasses import dataclass
from typing import Any

import numpy as np

from chainrule import data
from chainrule.cli.failures import Failed, Misused
from chainrule.cli.tables import check_classes, reading_of, table_of, target_of
from chainrule.data.targets import found_task

TEST = 0.2  # share of the rows that are kept for the test, where nothing else is said
PARTS = ("training", "validation", "test")


@dataclass(frozen=True)
class Job:
    """A table, its preparation, and the rows of each part."""

    table: data.Table
    preparation: data.Preparation
    rows: dict[str, np.ndarray]  # by PARTS
    notes: tuple[str, ...]
    balance: str | None = None  # "weights" or "batches": how classes are made to count the same
    augment: data.Augment | None = None  # of images, while training

    def arrays(self, part: str) -> data.Arrays | None:
        """The inputs and targets of a part; None where it has no rows.

        Those to train on are balanced and augmented as the options say, the others as they are.
        """
        if not len(self.rows[part]):
            return None
        found = arrays_of(self.table[self.rows[part]], self.preparation)
        if part != "training":
            return found
        return data.Arrays(
            found.inputs, found.targets, augment=self.augment, **self._balanced(found.targets)
        )

    def _balanced(self, targets: Any) -> dict[str, np.ndarray]:
        """The weights or frequencies of the rows that are trained on, by name.

        A row with several labels comes as often as the rarest of their values asks for; weights of
        each label belong into the loss (`label_weights`).
        """
        if self.preparation.task == "multilabel":
            if self.balance != "batches":
                return {}
            values = (targets > 0).astype(int)
            weights = np.take_along_axis(data.label_weights(targets), values.T, axis=1)
            return {"frequencies": weights.max(axis=0)}
        if self.balance is None:
            return {}
        name = "sample_weights" if self.balance == "weights" else "frequencies"
        return {name: data.class_weights(targets)[targets]}

    def label_weights(self) -> list[list[float]] | None:
        """Weights of the two values of each label, for the loss; None where none are wanted."""
        if self.balance != "weights" or self.preparation.task != "multilabel":
            return None
        targets = self.preparation.targets(self.table[self.rows["training"]])
        return data.label_weights(targets).tolist()

    @property
    def outputs(self) -> int:
        """The outputs of a network for it: one a class, or one a target column."""
        labels, target = self.preparation.labels, self.preparation.target
        return len(labels) if labels else len(target.names) if target else 0


def arrays_of(table: data.Table, preparation: data.Preparation) -> data.Arrays:
    """The inputs and targets of a table, as a preparation makes them."""
    return data.Arrays(preparation.inputs(table), preparation.targets(table))


def job_of(source: str, options: dict[str, Any], validation: float | None) -> Job:
    """The job that a data set and the options of `fit` say; `validation` where they say nothing.

    **Errors** Misused: no target, shares outside [0, 1). DataError: what the data do not allow.
    """
    target = options.get("target") or target_of(source)
    reading = reading_of(options)
    held = {options.get(name) for name in ("groups", "time")}
    ignored = set(options.get("ignore") or ()) - {*(target or ()), *held}
    table = table_of(source, reading.pop("types", None), {**reading, "ignore": ignored})
    if not target:
        raise Misused(f"say what to predict: --target COLUMN.\n  {source} has: {_listed(table)}.")
    check_classes(source, table)
    table, notes = _with_targets(table, tuple(target))
    apart = [options[name] for name in ("groups", "time") if options.get(name)]
    for name in apart:
        table.column(name)
    rows = _parts(table, tuple(target), options, validation)
    known = table[np.sort(np.concatenate([rows["training"], rows["validation"]]))]
    preparation = data.Preparation.fitted(
        known,
        target=target[0] if len(target) == 1 else target,
        task=options.get("task") or "auto",
        ignore=[*(options.get("ignore") or ()), *(n for n in apart if n not in target)],
        scale=options.get("scale") or "standardize",
    )
    notes = [*table.notes, *notes, *_left_out(preparation), *_constant(known, preparation),
             *_alike(preparation)]  # fmt: skip
    balance, augment = options.get("balance"), _augment(preparation, options)
    if balance is not None and preparation.task == "regression":
        raise Misused("--balance is for classes and labels, and this target is a number.")
    return Job(table, preparation, rows, tuple(notes), balance, augment)


def _augment(preparation: data.Preparation, options: dict[str, Any]) -> data.Augment | None:
    """How images are changed while training; None where nothing is asked for."""
    flip, crop = bool(options.get("flip")), options.get("crop") or 0
    if not flip and not crop:
        return None
    if len(preparation.shape) != 3:
        raise Misused("--flip and --crop are for images, and these rows are none.")
    least = min(preparation.shape[:2])
    if not 0 <= crop < least:
        raise Misused(
            f"--crop {crop}: expected pixels from 0 to {least - 1}; the images have {least}, and "
            "none is moved out of sight."
        )
    return data.Augment(flip=flip, crop=crop, seed=options.get("seed") or 0)


def _listed(table: data.Table) -> str:
    names = list(table.columns)
    return ", ".join(names[:20]) + (f", ... ({len(names) - 20} more)" if len(names) > 20 else "")


def _with_targets(table: data.Table, target: tuple[str, ...]) -> tuple[data.Table, list[str]]:
    """The rows whose target is known, and a note on the others."""
    count, notes = len(table), []
    for name in target:
        table = table.present(name)
    if len(table) < count:
        notes.append(f"{count - len(table)} of {count} rows have no target and are left out")
    if len(table) < 3:
        raise Failed(f"{table.source} has {len(table)} rows with a target: too few to learn from.")
    return table, notes


def _left_out(preparation: data.Preparation) -> list[str]:
    return [f"column {name!r} is left out: {why}" for name, why in preparation.left_out.items()]


def _constant(table: data.Table, preparation: data.Preparation) -> list[str]:
    """Warnings of targets that are one number in all rows to learn from."""
    if preparation.task != "regression" or preparation.target is None:
        return []
    columns = {name: table.column(name).values for name in preparation.target.names}
    return [f"warning: the target {name!r} is {values[0]:g} in every row to learn from: all that "
            "can be learned is this number. Look at --target, and at how the table is read."
            for name, values in columns.items()
            if values.dtype.kind == "f" and np.ptp(values) == 0]  # fmt: skip


def _alike(preparation: data.Preparation) -> list[str]:
    """Warnings of classes that differ in nothing but capitals or blanks."""
    known: dict[str, list[str]] = {}
    for label in preparation.labels or ():
        if isinstance(label, str):
            known.setdefault(" ".join(label.casefold().split()), []).append(repr(label))
    return [f"warning: the classes {' and '.join(same)} differ in capitals or blanks alone: if "
            "they are the same, write them alike in the file."
            for same in known.values() if len(same) > 1]  # fmt: skip


def _parts(
    table: data.Table, target: tuple[str, ...], options: dict[str, Any], validation: float | None
) -> dict[str, np.ndarray]:
    """The rows of each part: first the test is set apart, then the validation."""
    classes = _classes(table, target, options.get("task"))
    labels = _labels(table, target, options.get("task"))
    along = {"stratify": labels if classes is None else classes, "seed": options.get("seed") or 0}
    for key, name in {"groups": options.get("groups"), "times": options.get("time")}.items():
        along[key] = None if name is None else _keys(table, name)
    left = np.arange(len(table))
    found = {}
    shares = {"test": options.get("test", TEST), "validation": options.get("validation")}
    shares["validation"] = validation if shares["validation"] is None else shares["validation"]
    for part, share in shares.items():
        left, found[part] = _set_apart(left, part, share, along)
    if classes is not None:
        _check_classes(table.column(target[0]).texts(), classes, left)
    elif labels is not None:
        _check_labels(table, target, left)
    return {"training": left, **found}


def _classes(table: data.Table, target: tuple[str, ...], task: str | None) -> np.ndarray | None:
    """The number of each row's class; None where the task is no classification."""
    if _task(table, target, task) != "classification":
        return None
    classes = _codes(table.column(target[0]).texts())
    count = int(classes.max()) + 1
    if count > len(table) / 2:
        raise Failed(
            f"{table.source}, column {target[0]!r} has {count} different values in {len(table)} "
            "rows: too many for classes to be learned.\n"
            "  Choose another target, or, where they are numbers, --task regression."
        )
    return classes


def _labels(table: data.Table, target: tuple[str, ...], task: str | None) -> np.ndarray | None:
    """The numbers of each label's values (N, L); None where the task is another."""
    if _task(table, target, task) != "multilabel":
        return None
    codes = [_codes(table.column(name).texts()) for name in target]
    return np.minimum(np.stack(codes, axis=1), 1)  # a third value is refused by the preparation


def _task(table: data.Table, target: tuple[str, ...], task: str | None) -> str:
    return task or found_task([table.column(name) for name in target])


def _check_labels(table: data.Table, target: tuple[str, ...], left: np.ndarray) -> None:
    """Refuses a label that is the same in all rows to learn from, and is not in all others."""
    for name in target:
        texts = np.array(table.column(name).texts(), str)
        if len(np.unique(texts[left])) < 2 <= len(np.unique(texts)):
            (absent,) = np.setdiff1d(texts, texts[left])[:1]
            raise Failed(
                f"no row where {name!r} is {str(absent)!r} is left to learn from: the split put "
                "them all into the test or the validation.\n  Leave the label out, or split in "
                "another way (--seed, --test)."
            )


def _check_classes(texts: list, classes: np.ndarray, left: np.ndarray) -> None:
    absent = sorted(set(classes.tolist()) - set(classes[left].tolist()))
    if absent:
        label = texts[int(np.flatnonzero(classes == absent[0])[0])]
        raise Failed(
            f"no row of the class {label!r} is left to learn from: --groups or --time put them all "
            "into the test or the validation.\n  Leave the class out, or split in another way."
        )


def _set_apart(rows, part: str, share: float | None, along: dict[str, Any]):
    """Rows that stay, and a share of them set apart."""
    share = share_of(part, share)
    if not share:
        return rows, rows[:0]
    mine = {key: value[rows] if isinstance(value, np.ndarray) else value
            for key, value in along.items()}  # fmt: skip
    if mine["stratify"] is None or mine["times"] is not None:
        mine["stratify"] = False
    stay, go = data.split(len(rows), share=share, **mine)
    return rows[stay], rows[go]


def share_of(part: str, share: float | None) -> float:
    """The share of rows that a part is to have, from 0 (where nothing is said) to below 1."""
    if share is not None and not 0 <= share < 1:
        raise Misused(f"--{part} is a share from 0 to below 1, got {share}.")
    return share or 0.0


def _codes(texts: list) -> np.ndarray:
    return np.unique(np.array(texts, str), return_inverse=True)[1]


def _keys(table: data.Table, name: str) -> np.ndarray:
    """A column's values, none of them missing, as an array that can be sorted."""
    column = table.column(name)
    if column.missing.any():
        raise table.bad(
            np.flatnonzero(column.missing), name, "stands where a value is needed to split by",
            "Leave such rows out, or split at random.",
        )  # fmt: skip
    return _codes(column.texts()) if column.kind == "text" else column.values
