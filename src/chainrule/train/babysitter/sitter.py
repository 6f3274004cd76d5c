"""The babysitter: it is told of every stretch and epoch, and answers with a decision."""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import asdict, replace
from typing import Any

import numpy as np

from chainrule.train.babysitter.health import LayerHealth
from chainrule.train.babysitter.initial import hopeless
from chainrule.train.babysitter.reports import Decision, Stretch, decided
from chainrule.train.babysitter.rows import in_words
from chainrule.train.babysitter.rules import EPOCH_RULES, STEP_RULES
from chainrule.train.babysitter.step_rules import Past, suspects
from chainrule.train.babysitter.watch import Watch

Look = Callable[[list[int]], dict[int, str]]
Rows = Callable[[int], list[int]]
RECURS = 4  # batches that were left out, after which a row of all of them is to blame
MAY_BE_ROWS = ("not_finite", "spike", "gradient_spike", "diverging")  # what bad data may cause
MODES = ("act", "advise", "off")


class Babysitter:
    """Watches a run by the rules of `rules`, and says what to do.

    `mode` "act" decides, "advise" says the same and decides nothing, "off" is silent. All that it
    knows is in `state()`, so that a resumed run gets the same answers. `chance` is the loss of
    outputs that look at no input, where it is a log-likelihood of classes (`chance_loss`).

    **Errors** `ValueError` for another mode.
    **Source** the rules are ours, after the course's "babysitting deep networks".

    >>> import numpy as np
    >>> sitter = Babysitter("act", names=["weight"])
    >>> losses = np.array([2.0, 1.5, np.nan])
    >>> ones = np.ones((3, 1))
    >>> decision = sitter.stretch(Stretch(0, losses, ones, ones, step_size=0.1))
    >>> decision.action, decision.skip
    ('skip', (2,))
    """

    def __init__(
        self, mode: str = "act", *, names: list[str], loss_name: str = "", smoothing: float = 0.95,
        chance: float | None = None,
    ):  # fmt: skip
        if mode not in MODES:
            raise ValueError(f"babysitter is one of {', '.join(MODES)}; got {mode!r}.")
        self.mode, self.loss_name = mode, loss_name
        self.watch, self.past = Watch(names, smoothing), Past(chance=chance)
        self.epochs: list[dict[str, float]] = []
        self.counted = 0  # steps of these epochs
        self.failed: dict[str, int] = {}  # rows, and in how many batches that were left out
        self.faulty: list[int] = []  # rows of the data that are never used again

    def start(self, layers: list[LayerHealth]) -> Decision:
        """The decision before the first step: whether the initial weights are hopeless."""
        self.past.dead_at_first = {layer.path: layer.dead for layer in layers}
        decision = None if self.mode == "off" or self.past.initialised else hopeless(layers)
        if decision is None:
            return Decision()
        if self.mode == "advise":
            return self._advice(decision)
        self._undo(decision)
        return decision

    def stretch(
        self, report: Stretch, look: Look | None = None, rows: Rows | None = None
    ) -> Decision:
        """The decision about steps that have just been made.

        `look(places)` gives the faulty rows in the batches of these places of the stretch (see
        `faulty_rows`): where there are any, they are left out, and nothing else is done.
        `rows(place)` gives the rows of a batch: one that was in four batches which had to be left
        out is to blame as well, though it looks ordinary.
        """
        if self.mode == "off":
            return Decision()
        decision = self._asked(report)
        if self.mode == "act" and look is not None:
            decision = self._looked(report, decision, look)
        if self.mode == "act" and rows is not None and decision.action == "skip" and decision.skip:
            decision = self._recurring(decision, rows(decision.skip[0] - report.first_step))
        if self.mode == "act" and decision.repeats:
            self.past.failures += [step - report.first_step for step in decision.skip]
            self._undo(decision)
            return decision
        self.watch.keep(report.losses, report.gradient_norms, report.update_ratios)
        self.past.failures.clear()
        return decision if self.mode == "act" else self._advice(decision)

    def _looked(self, report: Stretch, decision: Decision, look: Look) -> Decision:
        """The decision, or one to leave out rows: where a loss is high and rows are absurd."""
        places = suspects(self.watch, report)
        if decision.repeats and decision.rule in MAY_BE_ROWS:
            last = decision.skip[0] - report.first_step + 1 if decision.skip else None
            return self._blame(decision, look(list(range(len(report.losses)))[:last]))
        if decision.repeats or not places:
            return decision
        step = report.first_step + places[0]
        what = f"the loss of step {step} is {report.losses[places[0]]:.3g}, far above the others"
        blamed = self._blame(replace(decision, rule="spike", what=what), look(places))
        return blamed if blamed.repeats else decision

    def _recurring(self, decision: Decision, rows: list[int]) -> Decision:
        """The decision, or to leave out the rows that are in one failing batch after the other."""
        for row in map(str, rows):
            self.failed[row] = self.failed.get(row, 0) + 1
        found = {int(row): f"in {n} batches that failed" for row, n in self.failed.items()
                 if n >= RECURS}  # fmt: skip
        if found:
            self.failed.clear()
            self.past.gradient_spikes = 0
        return self._blame(decision, found)

    def _asked(self, report: Stretch) -> Decision:
        for name, rule in STEP_RULES.items():
            decision = rule(self.watch, report, self.past)
            if decision is not None:
                return replace(decision, rule=name)
        return Decision()

    def epoch(self, record: dict, layers: list[LayerHealth]) -> Decision:
        """The decision after an epoch: `record` has its loss, and its validation loss if any."""
        if self.mode == "off" or not np.isfinite(record["loss"]):
            return Decision()
        seen = {k: record.get(k) for k in ("loss", "validation_loss")}
        self.epochs.append({k: float(v) for k, v in seen.items() if v is not None})
        self.epochs[-1]["steps"] = self.watch.steps - self.counted
        self.counted = self.watch.steps
        for name, rule in EPOCH_RULES.items():
            if name in self.past.said:
                continue
            decision = rule(self.epochs, layers, self.watch, self.past)
            if decision is None:
                continue
            if decision.action == "lower":
                self.past.lowered_at = len(self.epochs)
            elif not decision.acts:
                self.past.said.append(name)
            elif self.mode == "act" and decision.repeats:
                self._undo(decision)
            decision = replace(decision, rule=name)
            return decision if self.mode == "act" else self._advice(decision)
        return Decision()

    def _blame(self, decision: Decision, found: dict[int, str]) -> Decision:
        """The decision, or to leave out the rows that are found to be at fault."""
        new = {row: what for row, what in found.items() if row not in self.faulty}
        if not new:
            return decision
        self.past.failures.clear()
        self.faulty = sorted({*self.faulty, *new})
        then = f"Back to the last good state; left out from here on: {in_words(new)}."
        return decided("skip", decision.what, then, rule=decision.rule)

    def _undo(self, decision: Decision) -> None:
        past = self.past
        if decision.action == "skip":
            past.unexplained += decision.rule == "spike" and len(decision.skip)
            past.gradient_spikes += decision.rule == "gradient_spike" and len(decision.skip)
            return
        past.failures.clear()
        self.failed.clear()  # the same batches will come again
        past.rollbacks += decision.action == "rollback"
        past.clip = decision.factor if decision.action == "clip" else past.clip
        if decision.action == "restart":
            past.restarts += 1
            past.initialised += decision.initialise
            past.lowered_at = past.unexplained = past.gradient_spikes = 0
            past.clip = None  # the optimizer is the one of the start
            self.watch.forget()
            self.epochs.clear()
            self.counted = 0

    def _advice(self, decision: Decision) -> Decision:
        if not decision.acts:
            return decision
        if decision.rule in self.past.said:
            return Decision()
        self.past.said.append(decision.rule)
        return Decision("continue", f"advice ({decision.action}): {decision.reason}",
                        rule=decision.rule)  # fmt: skip

    def state(self) -> dict[str, Any]:
        """Everything that the next decisions depend on, as JSON can hold it."""
        return {"mode": self.mode, "loss_name": self.loss_name, "watch": self.watch.state(),
                "past": asdict(self.past), "epochs": [dict(e) for e in self.epochs],
                "faulty": list(self.faulty), "failed": dict(self.failed)}  # fmt: skip

    @classmethod
    def restored(cls, state: dict[str, Any]) -> Babysitter:
        """A babysitter from its state."""
        watch = Watch.restored(state["watch"])
        sitter = cls(state["mode"], names=watch.names, loss_name=state["loss_name"],
                     smoothing=watch.smoothing)  # fmt: skip
        sitter.watch, sitter.past = watch, Past(**state["past"])
        sitter.faulty, sitter.failed = list(state["faulty"]), dict(state["failed"])
        sitter.epochs = [dict(e) for e in state["epochs"]]
        sitter.counted = int(sum(e["steps"] for e in sitter.epochs))
        return sitter
