"""The end of an epoch: validation, the record, early stopping, and what the babysitter says."""

from __future__ import annotations

import time
from typing import Any

import numpy as np

from chainrule.train import decisions
from chainrule.train.babysitter import health
from chainrule.train.evaluation import evaluated
from chainrule.train.history import History
from chainrule.train.saving import save_if_due
from chainrule.train.session import Session

SAMPLE = 256  # rows on which the layers' health is looked at
_OF_STRETCHES = ("epoch", "step", "loss", "step_size")  # of stretches, or no curve


def end_epoch(session: Session) -> None:
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
        session.best = {path: a.copy() for path, a in session.parts().arrays().items()}
    late = session.stopping is not None and session.stopping.seen(value, session.direction)
    place.epoch, place.index, place.left_out = place.epoch + 1, 0, []
    place.loss_sum, place.loss_count = 0.0, 0
    session.since, session.spent = time.monotonic(), 0.0
    if session.run is not None:
        session.run.scalars(
            place.step, **{k: v for k, v in record.items() if k not in _OF_STRETCHES}
        )
        session.run.log("epoch", **record)
    session.progress.epoch(session, record)
    decision = session.babysitter.epoch(record, health_of(session))
    undone = decisions.apply(session, decision, session.previous or session.first, 0)
    session.call("epoch", record=record)
    if not undone and history.stopped is None:
        history.stopped = _why_to_stop(session, late)
    save_if_due(session)


def _record(session: Session) -> dict[str, Any]:
    place, s = session.place, session.settings
    loss = place.loss_sum / place.loss_count if place.loss_count else float("nan")
    record: dict[str, Any] = {"epoch": place.epoch + 1, "step": place.step, "loss": loss}
    name = "float16" if session.scaling is not None else "float32"
    held = session.held_rows()
    if held is not None:
        found = evaluated(session.model, held, loss=s.loss_function, metrics=s.metrics,
                         precision=name)  # fmt: skip
        record.update({f"validation_{key}": value for key, value in found.items()})
    elif s.metrics:
        whole = session.data if session.rows is None else session.data[session.rows]
        record.update(evaluated(session.model, whole, metrics=s.metrics, precision=name))
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
        return f"early stopping: {session.stopping.reason()}"
    if s.steps is not None and session.steps_left() <= 0:
        return f"{s.steps} steps made"
    if s.epochs is not None and place.epoch >= s.epochs:
        return f"{place.epoch} epochs made"
    return None


def health_of(session: Session) -> list:
    """The layers' health on a sample: at the first epochs, then more and more rarely."""
    epoch = session.place.epoch
    if session.babysitter.mode == "off" or not (epoch <= 3 or epoch % 10 == 0):
        return []
    data = session.data if session.held is None else session.held
    found = health(session.model, np.asarray(data.inputs[:SAMPLE]))
    if session.run is not None:
        session.run.log("health", epoch=epoch, layers=[vars(layer) for layer in found])
    return found
