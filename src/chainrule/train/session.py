"""A training in progress: what it is made of, where it is, and how it goes on."""

from __future__ import annotations

import time
from dataclasses import dataclass, field
from typing import Any

import numpy as np

from chainrule.data import Arrays, order
from chainrule.optim.optimizer import Optimizer
from chainrule.train import decisions
from chainrule.train.babysitter import Babysitter, Stretch, health, without
from chainrule.train.callbacks import Callback, Event
from chainrule.train.early_stopping import EarlyStopping
from chainrule.train.evaluation import evaluate
from chainrule.train.history import History
from chainrule.train.interrupts import Interrupts
from chainrule.train.metrics import direction
from chainrule.train.precision import LossScale
from chainrule.train.progress import Progress
from chainrule.train.saving import finish, save
from chainrule.train.settings import Settings
from chainrule.train.state import capture, model_arrays, put_arrays, put_back
from chainrule.train.steps import Steps, stretch_length

STREAM = 1 << 28  # bytes of rows gathered for one stretch, where data is not in memory
SAMPLE = 256  # rows on which the layers' health is looked at
PAUSE = 5.0  # seconds between checkpoints at least, and 20 times as long as one takes
PIECE = 0.2  # seconds of one native call, about: how often progress and Ctrl-C are looked at


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
    """All the parts of a training. The functions of this module move it on."""

    settings: Settings
    model: Any
    optimizer: Optimizer
    scaling: LossScale | None
    rng: Any
    data: Arrays
    rows: np.ndarray | None  # of data, to train on; None: all
    held: Arrays | None
    babysitter: Babysitter
    stopping: EarlyStopping | None
    callbacks: tuple[Callback, ...] = ()
    progress: Progress = field(default_factory=Progress)
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
    described: bool = False  # whether a file can hold the model

    def __post_init__(self) -> None:
        s = self.settings
        self.steps = Steps(
            s.loss_function, self.model, self.optimizer, self.rng, scaling=self.scaling,
            kinks=s.kinks, memory=s.memory,
        )  # fmt: skip
        self.count = len(self.data) if self.rows is None else len(self.rows)
        self.batch = min(s.batch_size, max(1, self.count // s.accumulate))
        self.length = self._stretch_length()
        self._batches: tuple[Any, np.ndarray] | None = None

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
            found = order(s.seed, place.epoch, self.count, self.batch * s.accumulate)
            found = np.delete(found, place.left_out, axis=0)
            if self.rows is not None:
                found = self.rows[found]
            found = without(found, self.babysitter.faulty)
            self._batches = key, found.reshape(len(found), s.accumulate, -1)
        return self._batches[1]

    def steps_left(self) -> int:
        """Steps up to the number asked for; very many where epochs count."""
        limit = self.settings.steps
        return 1 << 60 if limit is None else limit - self.place.step


def go_on(session: Session) -> History:
    """Trains until the end, from wherever the session is; the history."""
    with Interrupts() as interrupts, session.progress:
        session.since = session.saved_at = time.monotonic()
        session.progress.begin(session)
        if session.place.step == 0:
            _start(session)
        while session.history.stopped is None:
            batches = session.batches()
            if session.place.index < len(batches) and session.steps_left() > 0:
                _stretch(session, batches, interrupts)
            else:
                _epoch(session)
        _end(session)
    return session.history


def _start(session: Session) -> None:
    decision = session.babysitter.start(_health(session))
    decisions.apply(session, decision, session.first)
    _call(session, "start")


def _stretch(session: Session, batches: np.ndarray, interrupts: Interrupts) -> None:
    place, length = session.place, session.length
    start = place.index
    end = min(len(batches), (start // length + 1) * length, start + session.steps_left())
    now = capture(session)
    _run(session, batches[start:end], now, interrupts)
    report = _report(session, end - start)
    place.index, place.step = end, place.step + end - start
    place.loss_sum += float(report.losses.sum())
    place.loss_count += end - start
    decision = session.babysitter.stretch(report)
    undone = decisions.apply(session, decision, now, start)
    session.previous = now if not undone else session.previous
    if undone:
        return
    _note_scale(session, end - start)
    if session.run is not None:
        session.run.scalars(place.step, loss=float(report.losses.mean()),
                            step_size=report.step_size,
                            gradient_norm=_whole_norm(report))  # fmt: skip
    _call(session, "stretch", losses=report.losses)
    _save_if_due(session)


def _run(session: Session, batches: np.ndarray, now: Any, interrupts: Interrupts) -> None:
    """The steps of a stretch, in pieces of about PIECE seconds: progress, and Ctrl-C."""
    data = session.data
    if data.streamed:
        data, batches = data.gather(batches, session.place.epoch)
    done, rate = 0, session.progress.rate
    while done < len(batches):
        piece = len(batches) if rate is None else max(1, int(PIECE * rate))
        piece = min(piece, len(batches) - done) if rate is not None else 1
        began = time.perf_counter()
        with np.errstate(all="ignore"):
            session.steps.run(data, batches, done, done + piece)
        took = time.perf_counter() - began
        rate = piece / max(took, 1e-9)
        done += piece
        session.progress.made(session, piece, took, session.steps.measured.losses[done - 1])
        if interrupts.asked:
            put_back(session, *now)
            if session.run is not None:
                save(session)
                session.run.log("interrupted", step=session.place.step)
            raise KeyboardInterrupt


def _report(session: Session, count: int) -> Stretch:
    measured = session.steps.measured
    return Stretch(
        first_step=session.place.step,
        losses=measured.losses[:count].copy(),
        gradient_norms=measured.gradient_norms[:count].copy(),
        update_ratios=measured.update_ratios[:count].copy(),
        step_size=float(session.optimizer.size()),
        loss_scale=1.0 if session.scaling is None else float(measured.scales[:count].min()),
    )


def _whole_norm(report: Stretch) -> float:
    with np.errstate(all="ignore"):
        return float(np.sqrt(np.square(report.gradient_norms).sum(axis=1)).mean())


def _note_scale(session: Session, count: int) -> None:
    """A change of the loss scale goes into the history and the log."""
    if session.scaling is None:
        return
    scale, scales = float(session.scaling.scale), session.history.loss_scales
    before = scales[-1]["scale"] if scales else session.steps.measured.scales[0]
    if scale != before or not scales:
        scales.append({"step": session.place.step, "scale": scale,
                       "overflows": int(session.scaling.overflows)})  # fmt: skip
        if session.run is not None:
            session.run.log("loss_scale", **scales[-1])


def _epoch(session: Session) -> None:
    """What follows the last step of an epoch: validation, the record, stopping, the babysitter."""
    place, history = session.place, session.history
    record = _record(session)
    value = record.get(session.monitor)
    if value is None:
        raise ValueError(
            f"early_stopping monitors {session.monitor!r}, and the records have "
            f"{', '.join(record)}."
        )
    is_best = _better(value, history, session.monitor, session.direction)
    history.add(record, is_best)
    if is_best:
        session.best = {path: a.copy() for path, a in model_arrays(session.model).items()}
    late = session.stopping is not None and session.stopping.seen(value, session.direction)
    place.epoch, place.index, place.left_out = place.epoch + 1, 0, []
    place.loss_sum, place.loss_count = 0.0, 0
    session.since, session.spent = time.monotonic(), 0.0
    if session.run is not None:
        session.run.scalars(place.step, **{k: v for k, v in record.items() if k not in _OWN})
        session.run.log("epoch", **record)
    session.progress.epoch(session, record)
    decision = session.babysitter.epoch(record, _health(session))
    undone = decisions.apply(session, decision, session.previous or session.first, 0)
    _call(session, "epoch", record=record)
    if not undone and history.stopped is None:
        history.stopped = _why_to_stop(session, late)
    _save_if_due(session)


_OWN = ("epoch", "step", "loss", "step_size")  # of stretches, or no curve


def _record(session: Session) -> dict[str, Any]:
    place, s = session.place, session.settings
    count = max(1, place.loss_count)
    record: dict[str, Any] = {
        "epoch": place.epoch + 1, "step": place.step, "loss": place.loss_sum / count,
    }  # fmt: skip
    name = "float16" if session.scaling is not None else "float32"
    if session.held is not None:
        found = evaluate(session.model, session.held, loss=s.loss_function, metrics=s.metrics,
                         precision=name)  # fmt: skip
        record.update({f"validation_{key}": value for key, value in found.items()})
    elif s.metrics:
        whole = session.data if session.rows is None else session.data[session.rows]
        record.update(evaluate(session.model, whole, metrics=s.metrics, precision=name))
    record["step_size"] = float(session.optimizer.size())
    if session.scaling is not None:
        record["loss_scale"] = float(session.scaling.scale)
    record["seconds"] = session.spent + time.monotonic() - session.since
    return record


def _better(value: float, history: History, monitor: str, mode: str) -> bool:
    if not np.isfinite(value):
        return False
    if history.best is None:
        return True
    best = history.best[monitor]
    return value < best if mode == "min" else value > best


def _why_to_stop(session: Session, late: bool) -> str | None:
    place, s = session.place, session.settings
    if late and session.stopping is not None:
        return (
            f"early stopping: {session.monitor} has not improved for {session.stopping.waited} "
            "epochs"
        )
    if s.steps is not None and session.steps_left() <= 0:
        return f"{s.steps} steps made"
    if s.epochs is not None and place.epoch >= s.epochs:
        return f"{s.epochs} epochs made"
    return None


def _health(session: Session) -> list:
    """The layers' health on a sample: at the first epochs, then more and more rarely."""
    epoch = session.place.epoch
    if session.babysitter.mode == "off" or not (epoch <= 3 or epoch % 10 == 0):
        return []
    data = session.data if session.held is None else session.held
    return health(session.model, np.asarray(data.inputs[:SAMPLE]))


def _call(session: Session, kind: str, **facts: Any) -> None:
    """Tells the callbacks; one of them may ask to stop."""
    for callback in session.callbacks:
        event = Event(kind, session.model, session.optimizer, session.history, session.place.step,
                      session.place.epoch, **facts)  # fmt: skip
        callback(event)
        if event.reason is not None and session.history.stopped is None:
            session.history.stopped = event.reason


def _end(session: Session) -> None:
    restore = session.restore or (session.stopping is not None and session.stopping.restore)
    if session.best and restore:
        put_arrays(session.model, session.best)
    _call(session, "end")
    if session.run is not None:
        finish(session)
    session.progress.end(session)


def _save_if_due(session: Session) -> None:
    """A checkpoint after so many steps, or, unless asked for, after a while on the clock.

    Only at the end of a stretch; when it is taken changes nothing in the results.
    """
    if session.run is None:
        return
    every, now = session.settings.checkpoint_every, time.monotonic()
    if every is not None:
        due = session.place.step - session.saved_step >= every
        due = due or session.place.step < session.saved_step
    else:
        due = now - session.saved_at > max(PAUSE, 20 * session.saving)
    if due:
        save(session)
