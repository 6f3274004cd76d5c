"""One trial: a network trained, watched, and given up early where it lags behind the others."""

from __future__ import annotations

import math
import time
from collections.abc import Callable, Mapping
from dataclasses import dataclass
from typing import Any

from chainrule import data, train
from chainrule.search.plans import METRICS, fit_options, model_options, network
from chainrule.train.recipe import recipe

TICKS = 10  # at so many places of a training trials are compared, whatever epochs they have


@dataclass(frozen=True)
class Task:
    """What networks are searched for: the data, and what becomes of a trial's values."""

    task: str  # classification, multilabel or regression
    outputs: int
    training: data.Arrays
    validation: data.Arrays
    epochs: int | None = None  # None: as many steps as the recipe makes
    network: Callable = network
    loss: Any = None  # None: the task's

    @property
    def usual(self) -> dict[str, dict[str, Any]]:
        """The recipe for these data."""
        shape = self.training.inputs.shape[1:]
        return recipe(self.task, len(self.training), math.prod(shape), self.outputs)

    def plan(self, values: Mapping[str, Any], seed: int) -> tuple[dict[str, dict[str, Any]], Any]:
        """The options of the network and of `train.fit`, as data; and the network."""
        options = model_options(values, self.usual["model"])
        model = self.network(options, self.training.inputs.shape[1:], self.outputs, seed)
        fit = fit_options(values, model, self.task, len(self.training), seed, self.epochs)
        if self.loss is not None:
            fit["loss"] = self.loss
        return {"model": options, "fit": fit}, model

    def error(self, record: Mapping[str, Any]) -> float:
        """The validation error of an epoch: the share of wrong classes or labels, or the loss."""
        if self.task == "multilabel":
            return float(record[f"validation_{METRICS[self.task]}"])
        if self.task == "classification":
            return 1.0 - float(record[f"validation_{METRICS[self.task]}"])
        return float(record["validation_loss"])


def run_trial(task: Task, trial: Any, values: Mapping[str, Any], seed: int, deadline: float):
    """Train a trial: (state, error or None, facts). `deadline` is a time of `time.monotonic`."""
    began = time.monotonic()
    plan, model = task.plan(values, seed)
    epochs = plan["fit"]["epochs"]
    given_up = ""

    def watch(event: train.Event) -> None:
        nonlocal given_up
        if event.kind == "epoch" and event.record is not None:
            tick = TICKS * event.epoch // epochs
            loss = float(event.record["validation_loss"])
            if tick > TICKS * (event.epoch - 1) // epochs and tick < TICKS:
                trial.report(loss if math.isfinite(loss) else 1e30, tick)
                if trial.should_prune():
                    given_up = "worse than the median of the trials at the same place"
        if time.monotonic() > deadline:
            given_up = "the time was over"
        if given_up:
            event.stop(given_up)

    history = train.fit(
        model, task.training, validation=task.validation, callbacks=watch, progress="none",
        **plan["fit"],
    )  # fmt: skip
    facts = {
        "seed": seed, "seconds": round(time.monotonic() - began, 3),
        "epochs": len(history.records), "parameters": sum(a.size for a in model.parameters()),
        "steps": history.records[-1]["step"] if history.records else 0,
        "why": given_up or history.stopped,
    }  # fmt: skip
    if given_up or history.best is None:
        return "PRUNED" if given_up else "FAIL", None, facts
    error, loss = task.error(history.best), float(history.best["validation_loss"])
    if not (math.isfinite(error) and math.isfinite(loss)):
        return "FAIL", None, {**facts, "why": "the validation error is not finite"}
    return "COMPLETE", error, {**facts, "loss": loss}
