"""What is to be predicted: classes by name, labels that hold or do not, or numbers, standardised.

Each comes as numbers for a network, and is turned back.
"""

from __future__ import annotations

from dataclasses import dataclass
from typing import Any

import numpy as np

from chainrule import errors
from chainrule.data.converting import as_kind
from chainrule.data.scaling import moments
from chainrule.data.table import Column, Table, listed

TASKS = ("classification", "multilabel", "regression")
LARGEST = 1e300  # of a target in a regression: a hundred million of them have a sum
MOST = 20  # whole numbers with at most so many values are classes, where the task is "auto"


@dataclass(frozen=True)
class Target:
    """The fitted target: its columns, and what turns them into numbers and back.

    `labels` are the classes in order, as str, bool, int or float; of several labels a row the two
    values of each column, the one that says "no" first. In a regression it is None, and `mean` and
    `std` have an entry for each column. `kind` is that of the first column.
    """

    names: tuple[str, ...]
    kind: str
    task: str
    labels: tuple | None = None
    mean: tuple[float, ...] = ()
    std: tuple[float, ...] = ()

    @classmethod
    def fitted(cls, table: Table, names: tuple[str, ...], task: str, standardize: bool) -> Target:
        """The target that these columns hold."""
        columns = [_complete(table, name) for name in names]
        if task == "auto":
            task = found_task(columns)
        if task not in TASKS:
            raise errors.DataError(f"task is auto or one of {', '.join(TASKS)}, got {task!r}.")
        if task == "classification":
            return cls._of_classes(table, columns)
        if task == "multilabel":
            return cls._of_labels(table, columns)
        numbers = np.stack([_numbers(table, name) for name in names], axis=1)
        mean, std = moments(numbers)
        if not standardize:
            mean, std = np.zeros_like(mean), np.ones_like(std)
        std = np.where(std == 0, 1.0, std)
        return cls(names, "number", task, None, tuple(mean.tolist()), tuple(std.tolist()))

    @classmethod
    def _of_classes(cls, table: Table, columns: list[Column]) -> Target:
        if len(columns) > 1 or columns[0].kind in ("date", "array"):
            several = (
                "\n  Several columns of two values each are the task multilabel."
                if len(columns) > 1
                else ""
            )
            raise errors.DataError(
                f"a classification has one target column of text, booleans or numbers, got "
                f"{listed(c.name for c in columns)} ({columns[0].kind}) in {table.source}.{several}"
            )
        kind, name = columns[0].kind, columns[0].name
        labels = [_natural(kind, value) for value in sorted(set(columns[0].values.tolist()))]
        if len(labels) < 2:
            raise errors.DataError(
                f"{table.source}, column {name!r}: the target is {labels[0]!r} in every row; "
                "needed are two classes at least."
            )
        return cls((name,), kind, "classification", tuple(labels))

    @classmethod
    def _of_labels(cls, table: Table, columns: list[Column]) -> Target:
        if len(columns) < 2:
            raise errors.DataError(
                f"several labels of each row have a target column each, got {columns[0].name!r} "
                f"alone in {table.source}.\n  One column of two classes is the task classification."
            )
        pairs = tuple(_two_values(table, column) for column in columns)
        return cls(tuple(c.name for c in columns), columns[0].kind, "multilabel", pairs)

    @property
    def kinds(self) -> tuple[str, ...]:
        """The kind of each of its columns."""
        if self.task != "multilabel":
            return (self.kind,) * len(self.names)
        return tuple(_kind(pair[0]) for pair in self.labels or ())

    def of(self, table: Table) -> np.ndarray:
        """The targets of a table: class numbers int64 (N,), or float32 (N,) or (N, K).

        Labels are 1 where they hold, -1 where they do not.
        """
        if self.task == "classification":
            return self._numbered(table, self.names[0], self.kind, self.labels or ())
        if self.task == "multilabel":
            each = zip(self.names, self.kinds, self.labels or (), strict=True)
            held = [self._numbered(table, *column) for column in each]
            return (2 * np.stack(held, axis=1) - 1).astype(np.float32)
        numbers = np.stack([_numbers(table, name) for name in self.names], axis=1)
        scaled = ((numbers - self.mean) / self.std).astype(np.float32)
        return scaled[:, 0] if len(self.names) == 1 else scaled

    @staticmethod
    def _numbered(table: Table, name: str, kind: str, labels: tuple) -> np.ndarray:
        """The number of each value of a column among these labels."""
        column = as_kind(table, name, kind)
        _complete(table, name)
        place = {label: k for k, label in enumerate(labels)}
        found = np.array([place.get(v, -1) for v in column.values.tolist()], np.int64)
        if (found < 0).any():
            raise table.bad(
                np.flatnonzero(found < 0), name, "is no class that the preparation was fitted to",
                f"It knows: {listed(labels)}",
            )  # fmt: skip
        return found

    def back(self, array: np.ndarray) -> np.ndarray:
        """Class numbers as labels; standardised numbers in the units of the table, float64.

        Of several labels a row (N, L): the second value of a column where a number is above 0.
        """
        if self.task == "multilabel":
            return self._values(np.asarray(array))
        if self.labels is not None:
            return np.array(self.labels, object if self.kind == "text" else None)[array]
        found = np.asarray(array, np.float64)
        shape = found.shape
        if len(self.names) == 1:
            return found * self.std[0] + self.mean[0]
        if not shape or shape[-1] != len(self.names):
            raise errors.DataError(f"needed are {len(self.names)} targets a row, got {shape}.")
        return found * self.std + self.mean

    def _values(self, array: np.ndarray) -> np.ndarray:
        if array.ndim != 2 or array.shape[1] != len(self.names):
            raise errors.DataError(f"needed are {len(self.names)} labels a row, got {array.shape}.")
        pairs, held = self.labels or (), (array > 0).astype(np.intp)
        alike = len(set(self.kinds)) == 1 and self.kind != "text"
        return np.stack([np.array(pair, None if alike else object)[held[:, k]]
                         for k, pair in enumerate(pairs)], axis=1)  # fmt: skip


def found_task(columns: list[Column]) -> str:
    """What a target asks for: text, booleans and few whole numbers are classes.

    Several columns are labels where one is text, or each holds booleans or no numbers but 0 and 1.
    """
    if len(columns) > 1:
        texts = any(column.kind == "text" for column in columns)
        return "multilabel" if texts or all(map(_may_be_label, columns)) else "regression"
    if columns[0].kind in ("text", "boolean"):
        return "classification"
    values = columns[0].values
    if columns[0].kind != "number" or not np.all(values == np.floor(values)):
        return "regression"
    count = len(np.unique(values))
    return "classification" if count <= MOST and count <= max(2, len(values) / 5) else "regression"


def _may_be_label(column: Column) -> bool:
    zeros_and_ones = column.kind == "number" and np.isin(column.values, (0.0, 1.0)).all()
    return bool(zeros_and_ones) or column.kind == "boolean"


def _two_values(table: Table, column: Column) -> tuple:
    """The two values of a label's column, in order."""
    name = column.name
    if column.kind in ("date", "array"):
        raise errors.DataError(
            f"{table.source}, column {name!r} holds {column.kind}s; a label is a column of two "
            "values, as 0 and 1, true and false, or two words."
        )
    known: dict = {}
    for value in column.values.tolist():
        known[value] = known.get(value, 0) + 1
    if len(known) > 2:
        usual = sorted(known, key=lambda value: -known[value])[:2]
        others = np.flatnonzero([value not in usual for value in column.values.tolist()])
        raise table.bad(
            others, name, f"is one of {len(known)} values, and a label has two",
            "Choose other targets, or fit this one alone. The values: "
            + listed([_natural(column.kind, value) for value in sorted(known)]),
        )  # fmt: skip
    values = tuple(_natural(column.kind, value) for value in sorted(known))
    if len(values) < 2:
        raise errors.DataError(
            f"{table.source}, column {name!r}: the label is {values[0]!r} in every row; needed are "
            "both of its values. Leave it out of the targets."
        )
    return values


def _kind(value: Any) -> str:
    """The kind of the column that a label stands in."""
    if isinstance(value, bool):
        return "boolean"
    return "text" if isinstance(value, str) else "number"


def _natural(kind: str, value) -> Any:
    """A label as Python would write it."""
    if kind == "boolean":
        return bool(value)
    if kind == "number":
        return int(value) if float(value).is_integer() else float(value)
    return value


def _complete(table: Table, name: str) -> Column:
    column = table.column(name)
    if column.missing.any():
        raise table.bad(
            np.flatnonzero(column.missing), name, "stands where the target is missing",
            f"Leave such rows out: table.present({name!r})",
        )  # fmt: skip
    if not len(column):
        raise errors.DataError(f"{table.source} has no rows.")
    return column


def _numbers(table: Table, name: str) -> np.ndarray:
    column = _complete(table, name)
    if column.kind in ("date", "array"):
        instead = {
            "date": "Write a number in its place, as the days since a date.",
            "array": "Choose another column; of a row for each class (one-hot), y.argmax(axis=1).",
        }[column.kind]
        raise errors.DataError(
            f"{table.source}, column {name!r} holds {column.kind}s; a target is a class or a "
            f"number.\n  {instead}"
        )
    if column.kind != "number":
        column = as_kind(table, name, "number")
    wrong = np.flatnonzero(~np.isfinite(column.values))
    if len(wrong):
        raise table.bad(wrong, name, "is not finite", "A regression needs numbers as targets.")
    large = np.flatnonzero(np.abs(column.values) > LARGEST)
    if len(large):
        raise table.bad(
            large, name, f"is beyond {LARGEST:g}: sums of such targets are too large for float64",
            "Write the column in another unit.",
        )  # fmt: skip
    return column.values
