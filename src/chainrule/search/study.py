"""The study that processes and machines share: Optuna's journal, and which trials are alive.

A process holds a lock on a file of its own for as long as it lives, and its trials name the file.
A trial that runs in the journal, whose lock is free, is one of a process that was killed.
"""

from __future__ import annotations

import json
import os
import time
import uuid
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path
from typing import Any

import numpy as np

from chainrule import errors, extras
from chainrule.search.journal import WAIT, storage
from chainrule.train import locks

NAME = "chainrule"


class Study:
    """An Optuna study in a journal file, and this process' part in it."""

    def __init__(self, journal: Path, seed: int, facts: dict[str, Any]):
        self.optuna: Any = extras.load("optuna", "search", "Searches")
        self.optuna.logging.set_verbosity(self.optuna.logging.WARNING)
        self.seed = seed
        journal.parent.mkdir(parents=True, exist_ok=True)
        self.folder = journal.with_name(journal.name + ".workers")
        self.folder.mkdir(exist_ok=True)
        self.inner: Any = self.optuna.create_study(
            storage=storage(journal), study_name=NAME, direction="minimize", load_if_exists=True,
            pruner=self.optuna.pruners.MedianPruner(n_startup_trials=5, n_warmup_steps=1),
        )  # fmt: skip
        self.worker = f"{os.getpid()}-{uuid.uuid4().hex[:8]}.lock"
        self._lock = locks.taken(self.folder / self.worker)
        self._check(journal, json.dumps(facts, sort_keys=True))

    def _check(self, journal: Path, facts: str) -> None:
        """One journal is one search: of the same data, space and seed."""
        known = self.inner.user_attrs.get("facts")
        if known is None:
            self.inner.set_user_attr("facts", facts)
        elif known != facts:
            old, new = json.loads(known), json.loads(facts)
            other = ", ".join(key for key in new if old.get(key) != new[key])
            raise errors.DataError(
                f"{journal} holds a search with another {other}.\n  Give the same options to let "
                "it go on, or another file to begin anew."
            )

    def ask(self, limit: int | None) -> Any:
        """A new trial, its values drawn from the seed, its number and the trials that ended; None
        where `limit` trials have ended well or run."""
        with self._asking():
            if limit is not None and len(self.trials("COMPLETE", "PRUNED", "RUNNING")) >= limit:
                return None
            trial = self.inner.ask()
            trial.set_user_attr("worker", self.worker)
        state = np.random.SeedSequence([self.seed, trial.number]).generate_state(1)[0]
        self.inner.sampler = self.optuna.samplers.TPESampler(seed=int(state))
        return trial

    @contextmanager
    def _asking(self) -> Iterator[None]:
        """One process at a time asks. Trials of processes that were killed are given up before,
        also one whose process was killed before it could say whose it is."""
        while (lock := locks.taken(self.folder / "asking.lock")) is None:
            time.sleep(WAIT)
        try:
            for trial in self.trials("RUNNING"):
                if not self._alive(trial):
                    self.tell(trial.number, "FAIL", why="its process ended")
            yield
        finally:
            lock.release()

    def trials(self, *states: str) -> list[Any]:
        """The trials in these states: COMPLETE, PRUNED, FAIL, RUNNING, WAITING."""
        return [t for t in self.inner.get_trials(deepcopy=False) if t.state.name in states]

    def running(self) -> list[Any]:
        """The trials that run in some process."""
        with self._asking():
            return self.trials("RUNNING")

    def _alive(self, trial: Any) -> bool:
        worker = trial.user_attrs.get("worker")
        if worker is None:
            return False
        if worker == self.worker:
            return True
        path = self.folder / worker
        if not path.exists():
            return False
        lock = locks.taken(path)
        if lock is None:
            return True
        lock.release()
        return False

    def tell(self, number: int, state: str, value: float | None = None, **facts: Any) -> None:
        """How a trial ended; the facts are kept with it."""
        trial = self.inner.get_trials(deepcopy=False)[number]
        for key, fact in facts.items():
            self.inner._storage.set_trial_user_attr(trial._trial_id, key, fact)
        state_of = self.optuna.trial.TrialState[state]
        self.inner.tell(number, value, state=state_of, skip_if_finished=True)

    def close(self) -> None:
        """This process takes no more part."""
        if self._lock is not None:
            (self.folder / self.worker).unlink(missing_ok=True)
            self._lock.release()
            self._lock = None
