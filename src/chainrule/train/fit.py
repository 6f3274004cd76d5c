"""fit: trains a model on data."""

from __future__ import annotations

from collections.abc import Callable, Sequence
from typing import Any

from chainrule.nn.module import Module
from chainrule.train.callbacks import checked
from chainrule.train.early_stopping import early_stopping as stopping_for
from chainrule.train.history import History
from chainrule.train.loop import go_on
from chainrule.train.metrics import named
from chainrule.train.progress import progress as progress_for
from chainrule.train.runs import Run
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
    """Train a model in place; the history of it.

    `data` is (x, y), (x, y, weights) or `data.Arrays`; x alone trains to give x back. `loss` is a
    name of `nn.losses.LOSSES`, one with options, {"name": "huber", "delta": 0.5}, or a function of
    (outputs, targets). It is compared on `validation` after each epoch: a share of the rows, or a
    set like `data`. Each of the `epochs` (10, unless `steps` are given) takes the rows in another
    order, in minibatches of `batch_size`; rows that fill no whole one are left out in that epoch.

    | option | takes |
    |---|---|
    | optimizer | a name of `optim.OPTIMIZERS` or "lbfgs", one with options, or an Optimizer |
    | step_size | a number, "bottou", "range", or one of these with options |
    | schedule | an object of `optim`, or "cosine", "warmup", ... |
    | metrics | names of `train.METRICS` or functions of (outputs, targets, weights) |
    | early_stopping | a patience in epochs, a dict of options, or `train.EarlyStopping` |
    | accumulate | minibatches whose gradients make one step, as one batch of all their rows |
    | precision | "float32", "float64", "float16" (mixed), or `train.Float16` |
    | kinks, memory | what derivatives do at kinks, and the memory that they may take |
    | seed | of the order of rows, the split, and dropout: all that is drawn |
    | callbacks | functions of a `train.Event` |
    | run | a folder for checkpoints, log, metrics and the model, or a `train.Run` |
    | checkpoint_every, keep | steps from one checkpoint to the next, and how many are kept |
    | babysitter | "act", "advise" or "off" |
    | progress | "auto", "rich", "notebook", "plain" or "none" |

    With "float32" the model keeps the dtype that it was built in. A run may also be a function from
    a config to a `train.Run`: it is called once everything has been checked. With early stopping,
    the weights at the end are those of the best epoch.

    **Errors** `DataError` for nan, infinities and targets that the loss does not take, by row and
    column; `ShapeError`, `ValueError` for options, with those that there are; `FileExistsError`
    for a `run` that holds one.
    **Cost** four copies of the weights and three of the optimizer's arrays: the start, this stretch
    and the one before, which the babysitter may go back to, and the best epoch's weights. The first
    step of a kind of model compiles for about a second; compiled steps are shared by all later
    calls with the same loss, and kept on disk.

    >>> import numpy as np
    >>> from chainrule import nn
    >>> x = np.linspace(-1, 1, 64, dtype=np.float32)[:, None]
    >>> model = nn.MLP(1, (16,), 1, activation="tanh", rng=0)
    >>> history = fit(model, (x, x**2), loss="squared", epochs=60, step_size=0.02, progress="none")
    >>> history.stopped, history.records[-1]["loss"] < 0.1 * history.records[0]["loss"]
    ('60 epochs made', True)
    """
    settings = Settings(
        loss=loss, epochs=epochs, steps=steps, batch_size=batch_size, optimizer=optimizer,
        step_size=step_size, schedule=schedule, metrics=named(metrics),
        early_stopping=stopping_for(early_stopping), accumulate=accumulate, precision=precision,
        kinks=kinks, memory=memory, seed=seed, babysitter=babysitter,
        checkpoint_every=checkpoint_every, keep=keep, validation=validation,
    )  # fmt: skip
    session = session_for(model, data, settings, recorded=run is not None)
    session.callbacks, session.progress = checked(callbacks), progress_for(progress)
    if run is not None:
        keep_in(session, run)
    try:
        return go_on(session)
    finally:
        if session.run is not None and not isinstance(run, Run):
            session.run.close()
