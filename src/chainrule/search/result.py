"""What a search has found, as a table and as data."""

from __future__ import annotations

import csv
import io
from dataclasses import dataclass, field
from typing import Any

FIRST = (
    "trial", "state", "error", "loss", "seconds", "steps", "epochs", "parameters", "seed", "why",
)  # fmt: skip


@dataclass
class Result:
    """All trials of a search, over all its processes; the best one; the test, once it was scored.

    `trials` are dicts of `FIRST` and of a trial's values; `best` is one of them, or None; `plan` is
    what trains it again, {"model": ..., "fit": ...}; `test` holds the figures on the test set.
    """

    trials: list[dict[str, Any]]
    best: dict[str, Any] | None
    plan: dict[str, dict[str, Any]] | None = None
    test: dict[str, Any] = field(default_factory=dict)
    left: int = 0  # trials that still run, in other processes

    @property
    def seconds(self) -> float:
        """The time of all trials together."""
        return float(sum(t["seconds"] or 0.0 for t in self.trials))

    @property
    def steps(self) -> int:
        """The steps of all trials together."""
        return int(sum(t["steps"] or 0 for t in self.trials))

    def count(self, state: str) -> int:
        """How many trials ended so: COMPLETE, PRUNED or FAIL."""
        return sum(t["state"] == state for t in self.trials)

    def csv(self) -> str:
        """A line for each trial."""
        names = list(dict.fromkeys([*FIRST, *(key for t in self.trials for key in t)]))
        text = io.StringIO()
        writer = csv.DictWriter(text, names, lineterminator="\n")
        writer.writeheader()
        writer.writerows(self.trials)
        return text.getvalue()


def record(trial: Any) -> dict[str, Any]:
    """An Optuna trial as a dict."""
    known = {
        "trial": trial.number, "state": trial.state.name, "error": trial.value,
        **{name: trial.user_attrs.get(name) for name in FIRST[3:]},
    }  # fmt: skip
    if trial.state.name == "PRUNED":
        known["error"] = None  # Optuna's is the last loss that was reported
    return {**known, **trial.params}


def best_of(trials: list[dict[str, Any]]) -> dict[str, Any] | None:
    """The trial of the least error; of the least loss, where several have it."""
    done = [t for t in trials if t["state"] == "COMPLETE"]
    return min(done, key=lambda t: (t["error"], t["loss"], t["trial"]), default=None)
