"""The training loop: native stretches of steps, one after the other, and what follows each."""

from __future__ import annotations

import time
from typing import Any

import numpy as np

from chainrule.train import decisions
from chainrule.train.babysitter import Stretch
from chainrule.train.epochs import end_epoch, health_of
from chainrule.train.full_batch import FullBatch, minimise
from chainrule.train.history import History
from chainrule.train.interrupts import Interrupts
from chainrule.train.layer_curves import by_weights
from chainrule.train.saving import finish, save, save_if_due
from chainrule.train.session import Session
from chainrule.train.state import capture, put_arrays, put_back

HEAVY = 4.0  # times what is usual: a row by its weight, or a batch by its targets, makes the step
PIECE = 0.2  # seconds of one native call, about: how often progress and Ctrl-C are looked at


def go_on(session: Session) -> History:
    """Trains until the end, from wherever the session is; the history."""
    with Interrupts() as interrupts, session.progress:
        session.since = session.saved_at = time.monotonic()
        session.progress.begin(session)
        if session.place.step == 0:
            _start(session)
        if session.history.stopped is None and isinstance(session.optimizer, FullBatch):
            minimise(session, interrupts)
        while session.history.stopped is None:
            batches = session.batches()
            if session.place.index < len(batches) and session.steps_left() > 0:
                _stretch(session, batches, interrupts)
            else:
                end_epoch(session)
        _end(session)
    return session.history


def _start(session: Session) -> None:
    decision = session.babysitter.start(health_of(session))
    decisions.apply(session, decision, session.first)
    session.call("start")


def _stretch(session: Session, batches: np.ndarray, interrupts: Interrupts) -> None:
    place, length = session.place, session.length
    start = place.index
    end = min(len(batches), (start // length + 1) * length, start + session.steps_left())
    now = capture(session)
    _run(session, batches[start:end], now, interrupts)
    report = _report(session, batches[start:end])
    place.index, place.step = end, place.step + end - start
    place.loss_sum += float(report.losses.sum())
    place.loss_count += end - start
    decision = session.babysitter.stretch(
        report, lambda places: decisions.faulty_rows_in(session, places, start),
        lambda place: session.batches()[start + place].ravel().tolist(),
    )
    undone = decisions.apply(session, decision, now, start)
    session.previous = now if not undone else session.previous
    if undone:
        return
    _note_scale(session, end - start)
    if session.run is not None:
        last = place.index == len(batches) or session.steps_left() <= 0
        layers = by_weights(session.parts().leaves, report) if last else {}
        session.run.scalars(place.step, loss=float(report.losses.mean()),
                            step_size=report.step_size, gradient_norm=_whole_norm(report),
                            **layers)  # fmt: skip
    session.call("stretch", losses=report.losses)
    save_if_due(session)


def _run(session: Session, batches: np.ndarray, now: Any, interrupts: Interrupts) -> None:
    """The steps of a stretch, in pieces of about PIECE seconds: progress, and Ctrl-C."""
    session.steps.load(session.data, batches, session.place.epoch)
    done, rate = 0, session.progress.rate
    while done < len(batches):
        piece = len(batches) if rate is None else max(1, int(PIECE * rate))
        piece = min(piece, len(batches) - done) if rate is not None else 1
        began = time.perf_counter()
        with np.errstate(all="ignore"):
            session.steps.run(done, done + piece)
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


def _report(session: Session, batches: np.ndarray) -> Stretch:
    measured, count = session.steps.measured, len(batches)
    return Stretch(
        first_step=session.place.step,
        losses=measured.losses[:count].copy(),
        gradient_norms=measured.gradient_norms[:count].copy(),
        update_ratios=measured.update_ratios[:count].copy(),
        step_size=float(session.optimizer.size()),
        loss_scale=1.0 if session.scaling is None else float(measured.scales[:count].min()),
        weighted=_weighted(session, batches),
    )


def _weighted(session: Session, batches: np.ndarray) -> np.ndarray:
    """Which minibatches are made mostly by rows of large weights (of labels, all may be), or of
    targets far from the others': of claims or incomes, few rows make most of the loss."""
    loss, weights = session.settings.loss, session.data.sample_weights
    if isinstance(loss, dict) and loss.get("class_weights") is not None:
        return np.ones(len(batches), bool)
    heavy = session.spread.beside_usual(batches) > HEAVY
    if weights is None:
        return heavy
    of_rows = weights[batches].reshape(len(batches), -1)
    return heavy | (of_rows.max(axis=1) > HEAVY * of_rows.mean(axis=1))


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


def _end(session: Session) -> None:
    restore = session.restore or (session.stopping is not None and session.stopping.restore)
    if session.best and restore:
        put_arrays(session.model, session.best)
        session.restored = True
    session.call("end")
    if session.run is not None:
        finish(session)
    session.progress.end(session)
