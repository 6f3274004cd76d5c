"""Callbacks: functions of yours that training calls with an `Event`."""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass
from typing import Any

from chainrule.train.history import History


@dataclass
class Event:
    """What has just happened in a training.

    `kind` is "start", "stretch" (after each native stretch of steps), "epoch" or "end". `step`
    counts minibatches, `epoch` full passes. `record` is the epoch's, None in between. What a
    callback changes in `optimizer` (`optimizer.step_size = ...`) and `model` (in place) holds from
    the next stretch on; `event.stop("why")` ends training after it (in mid-epoch without a record
    of what there was of the epoch).

    >>> def halve_after_five_epochs(event):
    ...     if event.kind == "epoch" and event.epoch == 5:
    ...         event.optimizer.step_size *= 0.5
    """

    kind: str
    model: Any
    optimizer: Any
    history: History
    step: int
    epoch: int
    record: dict[str, Any] | None = None
    losses: Any = None  # of the steps of a stretch
    reason: str | None = None

    def stop(self, reason: str = "a callback asked to stop") -> None:
        """Ends training; the reason stands in `history.stopped`."""
        self.reason = reason


Callback = Callable[[Event], Any]


def checked(given: Any) -> tuple[Callback, ...]:
    """Callbacks as a tuple, from one or several functions."""
    found = (given,) if callable(given) else tuple(given)
    for callback in found:
        if not callable(callback):
            raise ValueError(f"a callback is a function of an event, got {callback!r}.")
    return found
