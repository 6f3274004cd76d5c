"""A training and its run folder: checkpoints out of a session, and back into one."""

from __future__ import annotations

import time
from typing import Any

import numpy as np

from chainrule import errors
from chainrule.train.babysitter import Babysitter
from chainrule.train.history import History
from chainrule.train.memory import peak_memory
from chainrule.train.model_files import save_model
from chainrule.train.state import capture, put_back, with_prefix

PAUSE = 5.0  # seconds between checkpoints at least, and 20 times as long as one takes


def save(session: Any) -> None:
    """Writes a checkpoint of all that a resumed training needs."""
    began = time.monotonic()
    arrays, facts = whole(session)
    session.run.save_checkpoint(
        session.place.step, arrays, facts, score=_score(session), keep=session.settings.keep
    )
    session.saved_step = session.place.step
    session.saved_at = time.monotonic()
    session.saving = session.saved_at - began


def save_if_due(session: Any) -> None:
    """A checkpoint after so many steps, or, unless asked for, after a while on the clock.

    Only at the end of a stretch; when it is taken changes nothing in the results.
    """
    if session.run is None or session.place.step == 0:
        return
    every, now = session.settings.checkpoint_every, time.monotonic()
    if every is not None:
        due = session.place.step - session.saved_step >= every
        due = due or session.place.step < session.saved_step
    else:
        due = now - session.saved_at > max(PAUSE, 20 * session.saving)
    if due:
        save(session)


def whole(session: Any) -> tuple[dict[str, np.ndarray], dict[str, Any]]:
    """Arrays and facts from which `restore` makes the session what it is now."""
    arrays, now = capture(session)
    facts: dict[str, Any] = {
        "now": now, "babysitter": session.babysitter.state(), "history": session.history.to_json(),
        "spent": session.spent + time.monotonic() - session.since, "restore": session.restore,
    }  # fmt: skip
    for name in ("first", "previous"):
        copy = getattr(session, name)
        if copy is not None:
            arrays.update(with_prefix(copy[0], f"{name}/"))
            facts[name] = copy[1]
    arrays.update(with_prefix(session.best, "best/"))
    return arrays, facts


def restore(session: Any, arrays: dict[str, np.ndarray], facts: dict[str, Any]) -> None:
    """Makes a session what it was when `whole` gave these.

    **Errors** `FileDamaged` where something is missing that this model or optimizer needs.
    """
    try:
        session.history = History.from_json(facts["history"])
        put_back(session, arrays, facts["now"])
        session.babysitter = Babysitter.restored(facts["babysitter"])
        session.best = _part(arrays, "best/")
        for name in ("first", "previous"):
            if name in facts:
                setattr(session, name, (_part(arrays, f"{name}/"), facts[name]))
        session.spent, session.restore = facts["spent"], facts["restore"]
        session.saved_step = session.place.step
    except (KeyError, TypeError, AttributeError) as error:
        raise errors.FileDamaged(
            f"the checkpoint is of another training: {type(error).__name__}: {error}."
        ) from error


def finish(session: Any) -> None:
    """The last checkpoint, the model where a file can hold it, and the note that all is done."""
    run, history = session.run, session.history
    save(session)
    if session.described:
        save_model(session.model, run.folder / "model", run.config.get("about"))
    run.log("finished", reason=history.stopped, step=session.place.step,
            peak_memory=peak_memory())  # fmt: skip
    run.finish({"history": history.to_json(), "step": session.place.step})


def _part(arrays: dict[str, np.ndarray], prefix: str) -> dict[str, np.ndarray]:
    length = len(prefix)
    return {name[length:]: a for name, a in arrays.items() if name.startswith(prefix)}


def _score(session: Any) -> float | None:
    """The best value so far, where this checkpoint has its weights: less is better."""
    best, place = session.history.best, session.place
    at_its_end = best is not None and place.index == 0 and best["epoch"] == place.epoch
    if best is None or not (at_its_end or session.restored):
        return None
    value = float(best[session.monitor])
    return value if session.direction == "min" else -value
