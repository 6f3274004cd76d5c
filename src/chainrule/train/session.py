"""A training in progress: what it is made of, where it is, and how it goes on."""

from __future__ import annotations

from dataclasses import dataclass, field
from typing import Any

import numpy as np

from chainrule.data import Arrays, order
from chainrule.train.babysitter import Babysitter, faulty_rows, without
from chainrule.train.callbacks import Callback, Event
from chainrule.train.early_stopping import EarlyStopping
from chainrule.train.history import History
from chainrule.train.metrics import direction
from chainrule.train.precision import LossScale
from chainrule.train.progress import Progress
from chainrule.train.settings import Settings
from chainrule.train.spread import Spread
from chainrule.train.state import Parts
from chainrule.train.steps import Steps, stretch_length

STREAM = 1 << 28  # bytes of rows gathered for one stretch, where data is not in memory


@dataclass
class Place:
    """Where a training is; a restart begins at 0 again."""

    epoch: int = 0  # finished
    index: int = 0  # steps of this epoch
    step: int = 0  # steps in all
    loss_sum: float = 0.0
    loss_count: int = 0
    left_out: list[int] = field(default_factory=list)  # batches of this epoch, in its order


@dataclass
class Session:
    """All the parts of a training; `loop.go_on` moves it on."""

    settings: Settings
    model: Any
    optimizer: Any  # an optim.Optimizer, or a FullBatch
    scaling: LossScale | None
    rng: Any
    data: Arrays
    rows: np.ndarray | None  # of data, to train on; None: all
    held: Arrays | None
    babysitter: Babysitter
    stopping: EarlyStopping | None
    callbacks: tuple[Callback, ...] = ()
    progress: Progress = field(default_factory=Progress)
    recorded: bool = False  # in a run's folder, which comes once all is checked
    run: Any = None
    history: History = field(default_factory=History)
    place: Place = field(default_factory=Place)
    best: dict[str, np.ndarray] = field(default_factory=dict)
    first: Any = None  # (arrays, facts) of where it started
    previous: Any = None  # those of the start of the stretch before
    classes: dict[str, type] = field(default_factory=dict)
    since: float = 0.0  # when this epoch began, on the clock
    spent: float = 0.0  # seconds of this epoch, before the run was resumed
    saved_step: int = -1  # of the last checkpoint
    saved_at: float = 0.0  # on the clock
    saving: float = 0.0  # seconds that it took
    repeats: int = 0  # stretches undone since the last one that was kept
    restore: bool = False  # put the best weights back at the end
    restored: bool = False  # they are
    described: bool = False  # whether a file can hold the model

    def __post_init__(self) -> None:
        s = self.settings
        self.count = len(self.data) if self.rows is None else len(self.rows)
        self.batch = min(s.batch_size, max(1, self.count // s.accumulate))
        self.length = self._stretch_length()
        self.spread = Spread(self.data.targets, self.batch * s.accumulate)
        self.steps = self.steps_for(self.model, self.optimizer, self.rng, self.scaling)
        self._batches: tuple[Any, np.ndarray] | None = None
        self._sound: Arrays | None = None
        self._parts: Parts | None = None

    def parts(self) -> Parts:
        """The arrays and options of the model; looked for anew where a callback has changed it."""
        if self._parts is None or (self.callbacks and not self._parts.stand()):
            self._parts = Parts(self.model)
        return self._parts

    def steps_for(self, model: Any, optimizer: Any, rng: Any, scaling: Any) -> Steps:
        """What runs the steps, for this session's model or a copy of it."""
        s = self.settings
        return Steps(s.loss_function, model, optimizer, rng, length=self.length,
                     rows=self.batch * s.accumulate, scaling=scaling, kinks=s.kinks,
                     memory=s.memory, norms=self.recorded or s.babysitter != "off")  # fmt: skip

    def _stretch_length(self) -> int:
        rows = self.batch * self.settings.accumulate
        length = stretch_length(self.model, rows)
        if self.data.streamed:
            of_row = self.data.inputs[:1].size * 4
            length = min(length, max(1, STREAM // max(1, of_row * rows)))
        return length

    @property
    def monitor(self) -> str:
        """The entry of records that says which weights are best."""
        if self.stopping is not None:
            return self.stopping.monitor
        return "validation_loss" if self.held is not None else "loss"

    @property
    def direction(self) -> str:
        """Whether the least ("min") or the largest value of it is the best."""
        return direction(self.monitor, "auto" if self.stopping is None else self.stopping.mode)

    def batches(self) -> np.ndarray:
        """The rows of this epoch's batches that are not left out: (steps, micro-batches, rows)."""
        place, s = self.place, self.settings
        key = (place.epoch, tuple(place.left_out), len(self.babysitter.faulty))
        if self._batches is None or self._batches[0] != key:
            weights = self.data.frequencies
            if weights is not None and self.rows is not None:
                weights = weights[self.rows]
            rows = self.batch * s.accumulate
            found = order(s.seed, place.epoch, self.count, rows, weights=weights)
            if place.left_out:
                found = np.delete(found, place.left_out, axis=0)
            if self.rows is not None:
                found = self.rows[found]
            found = without(found, self.babysitter.faulty)
            self._batches = key, found.reshape(len(found), s.accumulate, self.batch)
        return self._batches[1]

    @property
    def total_steps(self) -> int:
        """The steps that were asked for."""
        s = self.settings
        if s.steps is not None:
            return s.steps
        each = 1 if s.full_batch else self.count // (self.batch * s.accumulate)
        return (s.epochs or 1) * each

    def held_rows(self) -> Arrays | None:
        """The validation set; without its faulty rows, where the training data had such."""
        if self.held is None or not self.babysitter.faulty:
            return self.held
        if self._sound is None:
            columns = {"inputs": self.held.inputs, "targets": self.held.targets}
            every = np.arange(len(self.held))
            good = np.setdiff1d(every, list(faulty_rows(columns, every)))
            self._sound = self.held[good] if 0 < len(good) < len(every) else self.held
        return self._sound

    def steps_left(self) -> int:
        """Steps up to the number asked for; very many where epochs count."""
        limit = self.settings.steps
        return 1 << 60 if limit is None else limit - self.place.step

    def call(self, kind: str, **facts: Any) -> None:
        """Tells the callbacks what has happened; one of them may ask to stop."""
        for callback in self.callbacks:
            event = Event(kind, self.model, self.optimizer, self.history, self.place.step,
                          self.place.epoch, **facts)  # fmt: skip
            callback(event)
            if event.reason is not None and self.history.stopped is None:
                self.history.stopped = event.reason
