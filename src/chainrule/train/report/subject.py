"""What a report is about: a run's files, its model, and the data that it is judged on."""

from __future__ import annotations

from dataclasses import dataclass, field
from functools import cached_property
from importlib import import_module
from typing import Any

import numpy as np

from chainrule import data, errors, nn
from chainrule.train import files
from chainrule.train.evaluation import predict
from chainrule.train.model_files import load_model
from chainrule.train.runs import Run

PROBABLE = ("softmax_cross_entropy", "logistic")  # losses under which scores are log-odds


class Absent(Exception):
    """Why a part of the report is left out, in words."""


@dataclass
class Subject:
    """A run, and what is known beside it; what is not known raises `Absent` where it is asked for.

    `test` are rows that the network has not learned from, `part` what they are called; `table`
    holds all rows as they were read, `rows` which of them each part has.
    """

    run: Run
    test: data.Arrays | None = None
    training: data.Arrays | None = None
    part: str = "test"
    preparation: data.Preparation | None = None
    table: data.Table | None = None
    rows: dict[str, np.ndarray] = field(default_factory=dict)
    network: nn.Module | None = None

    @cached_property
    def config(self) -> dict[str, Any]:
        """What the run was created with."""
        return self.run.config

    @cached_property
    def events(self) -> list[dict[str, Any]]:
        """The run's log."""
        return self.run.events()

    @cached_property
    def metrics(self) -> list[dict[str, Any]]:
        """The run's values at its steps."""
        return self.run.metrics()

    @cached_property
    def history(self) -> dict[str, Any] | None:
        """What `finished.json` says of the training; None before it has ended."""
        return (self.run.result or {}).get("history")

    @property
    def about(self) -> dict[str, Any]:
        """What was said about the data when the run began."""
        return self.config.get("about") or {}

    def curve(self, name: str) -> tuple[list[float], list[float]]:
        """The steps at which a value was noted, and the values; of epochs where of no stretch."""
        lines = [line for line in self.metrics if name in line]
        if not lines and self.history is not None:  # L-BFGS has no stretches
            lines = [line for line in self.history["records"] if name in line]
        return [line["step"] for line in lines], [line[name] for line in lines]

    @cached_property
    def model(self) -> nn.Module:
        """The trained network."""
        if self.network is not None:
            return self.network
        folder = self.run.folder / "model"
        if not (files.standing(folder) / "model.json").exists():
            raise Absent(
                "the run holds no model: "
                + ("no file describes its class; write(run, model=...) takes it"
                   if self.run.finished else "it has not ended")
            )  # fmt: skip
        try:
            return load_model(folder)[0]
        except (errors.NotSupported, errors.FileDamaged) as error:
            raise Absent(str(error)) from error

    def held(self) -> data.Arrays:
        """The rows that it is judged on."""
        if self.test is None:
            raise Absent("no rows were kept for a test, or they are not known here")
        return self.test

    def learned(self) -> data.Arrays:
        """The rows that it has learned from."""
        if self.training is None:
            raise Absent("the rows that it has learned from are not known here")
        return self.training

    @cached_property
    def outputs(self) -> np.ndarray:
        """The network's outputs for the held rows. **Errors** Absent: some are not finite."""
        found = predict(self.model, self.held().inputs)
        wrong = int((~np.isfinite(found.reshape(len(found), -1))).any(axis=1).sum())
        if wrong:
            raise Absent(f"what the network gives for {wrong} of {len(found)} rows is not finite")
        return found

    @cached_property
    def targets(self) -> np.ndarray:
        """The targets of the held rows as training had them; inputs, where there are none."""
        held = self.held()
        return held.inputs[:] if held.targets is None else held.targets

    @cached_property
    def classifies(self) -> bool:
        """Whether the targets are classes."""
        if self._task is not None:
            return self._task == "classification"
        known = self.test if self.test is not None else self.training
        if known is None:
            raise Absent("no data are known here")
        return known.targets is not None and known.targets.dtype.kind == "i"

    @property
    def labelled(self) -> bool:
        """Whether the targets are several labels of each row, as the run or its data say."""
        return self._task == "multilabel"

    @property
    def _task(self) -> str | None:
        return self.about.get("task") or (self.preparation.task if self.preparation else None)

    @cached_property
    def held_labels(self) -> np.ndarray:
        """Whether each label holds in each held row, bool (N, L)."""
        return np.asarray(self.targets) > 0

    @cached_property
    def label_probabilities(self) -> np.ndarray:
        """The probability of each label (N, L). **Errors** Absent: the loss makes none."""
        self._check_probable()
        return import_module("scipy.special").expit(np.asarray(self.outputs, np.float64))

    @cached_property
    def scores(self) -> np.ndarray:
        """A score a class (N, K), log-odds or log-probabilities up to a constant of the row."""
        f = np.asarray(self.outputs, np.float64)
        if f.ndim == 1 or f.shape[1] == 1:
            f = f.reshape(len(f))
            return np.stack([np.zeros_like(f), f], axis=1)
        return f

    @cached_property
    def probabilities(self) -> np.ndarray:
        """The probability of each class (N, K). **Errors** Absent: the loss makes none."""
        self._check_probable()
        return import_module("scipy.special").softmax(self.scores, axis=1)

    def _check_probable(self) -> None:
        if not self.scores_are_log_odds:
            raise Absent(f"the loss {self._loss!r} makes scores, not probabilities")

    @property
    def scores_are_log_odds(self) -> bool:
        """Whether the loss makes probabilities of the scores."""
        return self._loss in PROBABLE

    @property
    def _loss(self) -> str | None:
        return (self.config.get("fit") or {}).get("loss_name")

    @cached_property
    def classes(self) -> np.ndarray:
        """The class number of each held row."""
        found = np.asarray(self.targets).reshape(len(self.targets))
        return (found > 0).astype(np.int64) if self.scores.shape[1] == 2 else found

    @cached_property
    def labels(self) -> list[Any]:
        """The classes' names; their numbers where they have none."""
        if self.preparation is not None and self.preparation.labels is not None:
            return self.preparation.labels
        return list(range(self.scores.shape[1]))

    def in_units(self, values: np.ndarray) -> np.ndarray:
        """Numbers as the table has them, (N, K) float64."""
        values = np.asarray(values, np.float64).reshape(len(values), -1)
        if self.preparation is None or self.preparation.target is None:
            return values
        return np.asarray(self.preparation.target_back(values)).reshape(len(values), -1)

    @cached_property
    def truth(self) -> np.ndarray:
        """The targets of a regression in the table's units, (N, K)."""
        return self.in_units(self.targets)

    @cached_property
    def guesses(self) -> np.ndarray:
        """What the network says of them, in the same units."""
        return self.in_units(self.outputs.reshape(self.targets.shape))

    @property
    def target_columns(self) -> list[str]:
        """The columns of the table that are predicted."""
        return list(self.about.get("target") or [])

    @cached_property
    def target_names(self) -> list[str]:
        """What is predicted, one name a column."""
        if self.preparation is not None and self.preparation.target is not None:
            return list(self.preparation.target.names)
        count = self.truth.shape[1]
        return ["target"] if count == 1 else [f"target {k}" for k in range(count)]
