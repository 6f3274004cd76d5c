"""What the babysitter decided, done and written down."""

from __future__ import annotations

from typing import Any

import numpy as np

from chainrule.train.babysitter import Decision, faulty_rows, initialise
from chainrule.train.state import capture, put_back

REPEATS = 100  # stretches undone without one that was kept, after which training stops


def apply(session: Any, decision: Decision, now: Any, start: int = 0) -> bool:
    """Does what a decision says; whether the steps since `now` are undone.

    `now` is the good copy from before the stretch, which began at step number `start` of the epoch.
    Every decision with a reason is a line of the history and of the run's log.
    """
    if decision.reason:
        note(session, decision)
    if decision.action == "lower":
        session.optimizer.step_size *= decision.factor
    elif decision.action == "stop":
        session.history.stopped = f"the babysitter: {decision.reason}"
        session.restore = True
    if not decision.repeats:
        session.repeats = 0
        return False
    session.repeats += 1
    if session.repeats > REPEATS:
        session.history.stopped = f"{REPEATS} repeats did not get past step {session.place.step}"
        session.restore = True
    _undo(session, decision, now, start)
    return True


def faulty_rows_in(session: Any, places: list[int], start: int) -> dict[int, str]:
    """The rows at fault in the batches of these steps of a stretch, which began at `start`.

    Weights are what was asked for: those of a rare class are far above the usual ones.
    """
    columns = {"inputs": session.data.inputs, "targets": session.data.targets}
    batches = session.batches()[[start + place for place in places]]
    return faulty_rows(columns, np.unique(batches))


def _undo(session: Any, decision: Decision, now: Any, start: int) -> None:
    step_size = session.optimizer.step_size * decision.factor
    if decision.action == "skip":
        first = now[1]["place"]["step"]
        put_back(session, *now)
        _leave_out(session, [start + step - first for step in decision.skip])
        return
    if decision.action == "clip":
        put_back(session, *now)
        session.optimizer.clip_norm = float(decision.factor)
        return
    if decision.action == "rollback":
        put_back(session, *(now if decision.back < 2 else session.previous or session.first))
    else:
        put_back(session, *session.first)
        session.best, session.previous = {}, None
        session.history.best = None
        if decision.initialise:
            seed = session.settings.seed + len(session.history.decisions)  # another each time
            initialise(session.model, seed)
            session.first = capture(session)
    session.optimizer.step_size = step_size


def _leave_out(session: Any, places: list[int]) -> None:
    """Leaves out batches of this epoch, by their numbers among those that are not left out yet."""
    place = session.place
    total = len(session.batches()) + len(place.left_out)
    standing = np.setdiff1d(np.arange(total), place.left_out)
    place.left_out = sorted([*place.left_out, *(int(standing[i]) for i in places)])


def note(session: Any, decision: Decision) -> None:
    """A line in the history, the run's log and the progress display."""
    line = {
        "step": session.place.step, "epoch": session.place.epoch + 1, "action": decision.action,
        "reason": decision.reason, "factor": float(decision.factor),
        "skip": [int(step) for step in decision.skip], "rule": decision.rule,
    }  # fmt: skip
    session.history.decisions.append(line)
    if session.run is not None:
        session.run.log("babysitter", **line)
    session.progress.said(f"babysitter: {decision.reason}")
