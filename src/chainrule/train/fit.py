"""fit: trains a model on data."""

from __future__ import annotations

from collections.abc import Callable, Sequence
from typing import Any

from chainrule.nn.module import Module
from chainrule.train.callbacks import checked
from chainrule.train.early_stopping import early_stopping as stopping_for
from chainrule.train.history import History
from chainrule.train.metrics import named
from chainrule.train.progress import progress as progress_for
from chainrule.train.runs import Run
from chainrule.train.session import go_on
from chainrule.train.settings import Settings
from chainrule.train.starting import keep_in, session_for


def fit(
    model: Module, data: Any, *, loss: str | dict | Callable, validation: Any = None,
    epochs: int | None = None, steps: int | None = None, batch_size: int = 32,
    optimizer: Any = "adam", step_size: Any = None, schedule: Any = None,
    metrics: Sequence[str | Callable] = (), early_stopping: Any = None, accumulate: int = 1,
    precision: Any = "float32", kinks: str = "convention", memory: int | str | None = None,
    seed: int = 0, callbacks: Any = (), run: Any = None, babysitter: str = "act",
    progress: str = "auto", checkpoint_every: int | None = None, keep: int = 3,
) -> History:  # fmt: skip
    """Train a model in place, and give the history of it.

    >>> import numpy as np
    >>> from chainrule import nn
    >>> x = np.linspace(-1, 1, 64, dtype=np.float32)[:, None]
    >>> model = nn.MLP(1, (16,), 1, activation="tanh", rng=0)
    >>> history = fit(model, (x, x**2), loss="squared", epochs=60, step_size=0.02, progress="none")
    >>> history.records[-1]["loss"] < 0.01 * history.records[0]["loss"]
    True
    """
    settings = Settings(
        loss=loss, epochs=epochs, steps=steps, batch_size=batch_size, optimizer=optimizer,
        step_size=step_size, schedule=schedule, metrics=named(metrics),
        early_stopping=stopping_for(early_stopping), accumulate=accumulate, precision=precision,
        kinks=kinks, memory=memory, seed=seed, babysitter=babysitter,
        checkpoint_every=checkpoint_every, keep=keep, validation=validation,
    )  # fmt: skip
    session = session_for(model, data, settings)
    session.callbacks, session.progress = checked(callbacks), progress_for(progress)
    if run is not None:
        keep_in(session, run)
    try:
        return go_on(session)
    finally:
        if session.run is not None and not isinstance(run, Run):
            session.run.close()
