"""From a table to the numbers that a network takes, and from its outputs back.

A preparation is fitted to the rows that are trained on and stored with the model. It is data: its
JSON holds every number exactly, and reading it runs nothing.
"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass

import numpy as np

from chainrule import errors
from chainrule.data import scaling
from chainrule.data.converting import as_kind
from chainrule.data.encodings import ENCODINGS
from chainrule.data.leaving_out import reason_to_leave_out
from chainrule.data.preparation_files import from_json, is_image, to_json
from chainrule.data.table import Table, listed
from chainrule.data.targets import Target


@dataclass(frozen=True)
class Preparation:
    """What turns tables into inputs and targets; made by `Preparation.fitted`.

    Inputs are first the columns of numbers, scaled together, then those of 0 and 1 (categories and
    marks of missing values), as `names` lists them; a column of arrays stays in its shape.

    >>> table = Table.of({"size": [1.0, 3.0, None, 2.0], "colour": ["red", "blue", "red", "blue"],
    ...                   "price": [10.0, 30.0, 20.0, 20.0]})
    >>> preparation = Preparation.fitted(table, target="price")
    >>> preparation.task, preparation.names
    ('regression', ['size', 'size is missing', 'colour=blue', 'colour=red'])
    >>> preparation.inputs(table).shape, preparation.target_back([0.0])
    ((4, 4), array([20.]))
    """

    records: tuple[
        dict, ...
    ]  # one a column that is used: its name, kind, and what `encodings` says
    scale: dict
    target: Target | None
    left_out: dict[str, str]  # why, by column

    @classmethod
    def fitted(
        cls, table: Table, *, target: str | Sequence[str] | None, task: str = "auto",
        ignore: str | Sequence[str] = (), scale: str = "standardize",
        standardize_target: bool = True, levels: int = 50, rare: int = 2,
    ) -> Preparation:  # fmt: skip
        """The preparation that fits these rows.

        `target` is the column to predict (several for a regression with several outputs, or for
        labels that hold or do not; None for none); `ignore` are columns not to use. `scale` is one
        of `scaling.METHODS`. Categories get a column each, the most frequent `levels` of those that
        occur `rare` times or more.

        Arrays of two axes and more (images) stand alone; their channels are scaled, or with "pca"
        and "zca" all their entries.

        **Errors** DataError: columns that do not exist, missing targets, free text, infinities,
        nothing left to learn from.
        """
        names = () if target is None else (target,) if isinstance(target, str) else tuple(target)
        ignore = (ignore,) if isinstance(ignore, str) else tuple(ignore)
        for name in (*names, *ignore):
            table.column(name)
        if len(set(names)) < len(names):
            raise errors.DataError(f"target names a column twice: {listed(names)}.")
        if not len(table):
            raise errors.DataError(f"{table.source} has no rows to fit a preparation to.")
        made = None
        if names:
            made = Target.fitted(table, names, task, standardize_target)
        left_out, records = {}, []
        for name, column in table.columns.items():
            if name in names or name in ignore:
                continue
            if reason := reason_to_leave_out(table, column, levels):
                left_out[name] = reason
                continue
            record = ENCODINGS[column.kind].fit(table, column, levels, rare)
            records.append({"name": name, "kind": column.kind, **record})
        _check(table, records, left_out)
        return cls(tuple(records), _scaled(table, records, scale), made, left_out)

    @property
    def task(self) -> str | None:
        """classification, multilabel or regression; None without a target."""
        return None if self.target is None else self.target.task

    @property
    def labels(self) -> list | None:
        """The classes in the order of their numbers; None where the task is no classification."""
        if self.target is None or self.target.task != "classification":
            return None
        return [*(self.target.labels or ())]

    @property
    def columns(self) -> list[str]:
        """The columns that a table to predict from must have."""
        return [record["name"] for record in self.records]

    @property
    def types(self) -> dict[str, str]:
        """The kind of each column, to `read` other files by: `read(path, types=...)`."""
        found = {record["name"]: record["kind"] for record in self.records}
        if self.target is not None:
            found |= dict(zip(self.target.names, self.target.kinds, strict=True))
        return {name: kind for name, kind in found.items() if kind != "array"}

    @property
    def names(self) -> list[str]:
        """What each input is."""
        return [name for name, _ in self.sources]

    @property
    def sources(self) -> list[tuple[str, str]]:
        """What each input is, and the column of the table that it comes from."""
        numbers, flags = [], []
        for record in self.records:
            first, second = ENCODINGS[record["kind"]].names(record)
            numbers += [(name, record["name"]) for name in first]
            flags += [(name, record["name"]) for name in second]
        if self.scale["method"] == "pca":
            width = np.shape(self.scale["matrix"])[1]
            numbers = [(f"component {i + 1}", "the numbers together") for i in range(width)]
        return numbers + flags

    @property
    def shape(self) -> tuple[int, ...]:
        """The shape of one row of inputs."""
        if len(self.records) == 1 and self.records[0]["kind"] == "array":
            if self.scale["method"] != "pca":
                return tuple(self.records[0]["shape"])
        return (len(self.sources),)

    def inputs(self, table: Table) -> np.ndarray:
        """The inputs of a table. Columns that the preparation does not know are not looked at.

        **Shapes** (N, C), or (N, ...) of a column of arrays. **Dtypes** float32.
        **Errors** DataError: columns that are not there, values that do not fit their column.
        """
        absent = [name for name in self.columns if name not in table]
        if absent:
            raise errors.DataError(
                f"{table.source} lacks {listed(absent)}, which the model was trained with.\n"
                f"  It has: {listed(table.columns)}. Where values are not known, give an empty "
                "column."
            )
        found = np.empty((len(table), len(self.sources)), np.float32)
        for start in range(0, len(table), scaling.CHUNK):
            rows = slice(start, start + scaling.CHUNK)
            numbers, flags = _encoded(table[rows], self.records)
            width = found.shape[1] - flags.shape[1]
            found[rows, :width] = scaling.apply(self.scale, numbers)
            found[rows, width:] = flags
        return found.reshape(len(table), *self.shape)

    def targets(self, table: Table) -> np.ndarray:
        """Class numbers int64 (N,); labels of -1 and 1, float32 (N, L); or standardised numbers,
        float32 (N,) or (N, K)."""
        return self._with_target().of(table)

    def target_back(self, array) -> np.ndarray:
        """Predictions in the units of the table: labels of class numbers, or numbers (float64)."""
        return self._with_target().back(array)

    def _with_target(self) -> Target:
        if self.target is None:
            raise errors.DataError("the preparation was fitted without a target.")
        return self.target

    def to_json(self) -> dict:
        """All of it as dicts, lists, texts and numbers, which come back exactly."""
        return to_json(self)

    @staticmethod
    def from_json(stored: dict) -> Preparation:
        """The preparation that `to_json` gave. **Errors** FileDamaged: it is not one."""
        return Preparation(*from_json(stored))


def _encoded(table: Table, records: Sequence[dict]) -> tuple[np.ndarray, np.ndarray]:
    """The numbers (N, n) and the flags (N, m) of all columns."""
    numbers = [np.zeros((len(table), 0))]
    flags = [np.zeros((len(table), 0), np.float32)]
    for record in records:
        column = as_kind(table, record["name"], record["kind"])
        encoded = ENCODINGS[record["kind"]].apply(table, column, record)
        numbers.append(encoded.numbers)
        flags.append(encoded.flags)
    return np.concatenate(numbers, axis=1), np.concatenate(flags, axis=1)


def _scaled(table: Table, records: Sequence[dict], method: str) -> dict:
    """The scaling of all numbers together; of images, of their channels."""
    if is_image(records) and method not in ("pca", "zca"):
        return scaling.fit_channels(method, table.column(records[0]["name"]).values)
    numbers, _ = _encoded(table, [record for record in records if record["kind"] != "text"])
    blocks = [(a, b) for r, a, b in _places(records) if r["kind"] == "array"]
    return scaling.fit(method, numbers, blocks)


def _places(records: Sequence[dict]) -> list[tuple[dict, int, int]]:
    """Which of the columns of numbers each record makes."""
    found, at = [], 0
    for record in records:
        count = len(ENCODINGS[record["kind"]].names(record)[0])
        found.append((record, at, at + count))
        at += count
    return found


def _check(table: Table, records: list[dict], left_out: dict[str, str]) -> None:
    whole = [r["name"] for r in records if r["kind"] == "array" and len(r["shape"]) > 1]
    if whole and len(records) > 1:
        others = [r["name"] for r in records if r["name"] != whole[0]]
        raise errors.DataError(
            f"{table.source}: column {whole[0]!r} holds arrays with axes of their own, which "
            f"cannot stand beside {listed(others)}.\n  Leave those out: ignore={others[:3]!r}"
        )
    widths = [len(names) for r in records for names in ENCODINGS[r["kind"]].names(r)]
    if not sum(widths):
        why = "; ".join(f"{name!r}: {reason}" for name, reason in left_out.items())
        raise errors.DataError(f"{table.source} has no columns to learn from. {why}")
