"""fit: trains a model on data."""

from __future__ import annotations

from collections.abc import Callable, Sequence
from typing import Any

from chainrule import random
from chainrule.nn.module import Module
from chainrule.train import callbacks as callback_list
from chainrule.train.babysitter import Babysitter
from chainrule.train.early_stopping import early_stopping as stopping_for
from chainrule.train.history import History
from chainrule.train.metrics import named
from chainrule.train.precision import precision as precision_for
from chainrule.train.precision import to_double
from chainrule.train.preparing import prepared
from chainrule.train.progress import progress as progress_for
from chainrule.train.session import Session, go_on
from chainrule.train.settings import Settings, loss_name, optimizer_for
from chainrule.train.state import capture, classes_of

_DRAWS = 4  # the word of the seed for what is drawn in training: dropout


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
    session = session_for(model, data, settings, callbacks, progress)
    return go_on(session)


def session_for(
    model: Module, data: Any, settings: Settings, callbacks: Any, progress: str
) -> Session:
    """A session at its start."""
    name, scaling = precision_for(settings.precision)
    if name == "float64":
        to_double(model)
    data, rows, held = prepared(model, data, settings)
    count = len(data) if rows is None else len(rows)
    batch = settings.accumulate * min(settings.batch_size, max(1, count // settings.accumulate))
    total = settings.steps or (settings.epochs or 1) * max(1, count // batch)
    optimizer = optimizer_for(
        model, settings.optimizer, settings.step_size, settings.schedule, total
    )
    session = Session(
        settings=settings, model=model, optimizer=optimizer, scaling=scaling,
        rng=random.Generator([settings.seed, _DRAWS]), data=data, rows=rows, held=held,
        babysitter=Babysitter(
            settings.babysitter, names=[path for path, _ in model.named_parameters()],
            loss_name=loss_name(settings.loss),
        ),
        stopping=settings.early_stopping, callbacks=callback_list.checked(callbacks),
        progress=progress_for(progress), classes=classes_of(optimizer),
    )  # fmt: skip
    session.first = capture(session)
    return session
