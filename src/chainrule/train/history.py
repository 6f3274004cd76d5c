"""What a training leaves behind in numbers: a record an epoch, and the decisions made."""

from __future__ import annotations

from typing import Any


class History:
    """The course of a training.

    `records` holds one dict an epoch: "epoch" (from 1), "step" (minibatches so far), "loss" (mean
    of the minibatches' losses while training), "validation_loss" and "validation_<metric>" where
    there is a validation set, "step_size", "seconds" (this epoch's, wall clock) and, in mixed
    precision, "loss_scale". `best` is the record with the best monitored value. `decisions` are
    the babysitter's; `stopped` says why training ended; `seconds` is the time of all of it.

    >>> history = History()
    >>> history.add({"epoch": 1, "loss": 0.5}, True)
    >>> history.best["loss"], history["loss"]
    (0.5, [0.5])
    """

    def __init__(self) -> None:
        self.records: list[dict[str, Any]] = []
        self.decisions: list[dict[str, Any]] = []
        self.loss_scales: list[dict[str, Any]] = []
        self.trials: list[list[float]] = []
        self.best: dict[str, Any] | None = None
        self.stopped: str | None = None

    def add(self, record: dict[str, Any], is_best: bool) -> None:
        """Takes in the record of an epoch."""
        self.records.append(record)
        if is_best:
            self.best = record

    def __getitem__(self, name: str) -> list:
        """The curve of one entry of the records."""
        return [record[name] for record in self.records if name in record]

    @property
    def seconds(self) -> float:
        """The time that all epochs took."""
        return float(sum(self["seconds"]))

    def to_json(self) -> dict[str, Any]:
        """All of it as data that fits into JSON (with nan and infinities as Python writes them)."""
        return {
            "records": self.records, "decisions": self.decisions, "best": self.best,
            "loss_scales": self.loss_scales, "trials": self.trials, "stopped": self.stopped,
        }  # fmt: skip

    @classmethod
    def from_json(cls, facts: dict[str, Any]) -> History:
        """A history that was written by `to_json`."""
        made = cls()
        for name in ("records", "decisions", "best", "loss_scales", "trials", "stopped"):
            setattr(made, name, facts[name])
        return made

    def __repr__(self) -> str:
        last = self.records[-1] if self.records else {}
        shown = ", ".join(
            f"{key} {value:.4g}" for key, value in last.items() if isinstance(value, float)
        )
        return f"History({len(self.records)} epochs{', last: ' + shown if shown else ''})"
