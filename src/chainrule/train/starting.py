"""The start of a training: a session from a model, data and settings, and its run folder."""

from __future__ import annotations

import os
from collections.abc import Callable
from typing import Any

from chainrule import errors, nn, random
from chainrule.nn.module import Module
from chainrule.optim.optimizer import Optimizer
from chainrule.train.babysitter import Babysitter, chance_loss
from chainrule.train.fingerprints import of_data, of_model
from chainrule.train.full_batch import full_batch_for
from chainrule.train.precision import precision as precision_for
from chainrule.train.precision import to_double
from chainrule.train.preparing import prepared
from chainrule.train.runs import Run
from chainrule.train.saving import save
from chainrule.train.session import Session
from chainrule.train.settings import Settings, loss_name, optimizer_for
from chainrule.train.state import capture, classes_of
from chainrule.train.step_size import found

_DRAWS = 4  # the word of the seed for what is drawn in training: dropout


def session_for(model: Module, data: Any, settings: Settings, *, recorded: bool) -> Session:
    """A session at its start, with everything that was asked for checked.

    `recorded` says whether it will have a run's folder, which holds the norms of each stretch.
    """
    name, scaling = precision_for(settings.precision)
    if name == "float64":
        to_double(model)
        if isinstance(settings.optimizer, Optimizer):
            to_double(settings.optimizer)
    data, rows, held = prepared(model, data, settings)
    _check_monitor(settings, held is not None)
    if settings.full_batch and data.frequencies is not None:
        raise ValueError(
            "optimizer 'lbfgs' takes all rows in each step, and none comes more often. Weigh them "
            "(--balance weights), or take optimizer='adam'."
        )
    count = len(data) if rows is None else len(rows)
    if count < settings.accumulate:
        raise ValueError(f"accumulate={settings.accumulate} needs as many rows, got {count}.")
    batch = settings.accumulate * min(settings.batch_size, max(1, count // settings.accumulate))
    total = settings.steps or (settings.epochs or 1) * max(1, count // batch)
    optimizer: Any
    if settings.full_batch:
        optimizer = full_batch_for(model, settings)
    else:
        size = None if settings.searches else settings.step_size
        optimizer = optimizer_for(model, settings.optimizer, size, settings.schedule, total)
    session = Session(
        settings=settings, model=model, optimizer=optimizer, scaling=scaling,
        rng=random.Generator([settings.seed, _DRAWS]), data=data, rows=rows, held=held,
        babysitter=Babysitter(
            "off" if settings.full_batch else settings.babysitter,
            names=[path for path, _ in model.named_parameters()],
            loss_name=loss_name(settings.loss),
            chance=chance_loss(settings.loss, data, rows),
        ),
        stopping=settings.early_stopping, classes=classes_of(optimizer), recorded=recorded,
    )  # fmt: skip
    if settings.searches:
        optimizer.step_size, trials = found(session, settings.step_size)
        session.history.trials = [[float(size), float(loss)] for size, loss in trials]
    session.first = capture(session)
    return session


def _check_monitor(settings: Settings, validates: bool) -> None:
    """Refuses early stopping by what the records will not have."""
    if settings.early_stopping is None:
        return
    name = settings.early_stopping.monitor
    measured = ["validation_loss", *(f"validation_{m}" for m in settings.metrics)]
    known = ["loss", *(measured if validates else settings.metrics)]
    if name in (*known, "step_size", "loss_scale", "seconds"):
        return
    instead = "" if validates else " Set rows aside: validation=0.2."
    raise ValueError(
        f"early_stopping monitors {name!r}, and the records have {', '.join(known)}.{instead}"
    )


def keep_in(session: Session, run: str | os.PathLike | Run | Callable[[dict], Run]) -> None:
    """Gives a session at its start a run folder: what it was started with, and a checkpoint.

    `run` may be a function: it is called once all is checked, with what belongs into the config,
    and makes the run.

    **Errors** `FileExistsError` for a folder that holds a run, or a run that holds a checkpoint.
    """
    description = _description(session.model)
    held = session.held if session.settings.share is None else None  # a share is in the data
    facts = {
        **session.settings.to_json(), "model": description,
        "model_name": type(session.model).__name__, "weights": of_model(session.model),
        "data": of_data(session.data),
        "validation_set": None if held is None else of_data(held),
    }  # fmt: skip
    if isinstance(run, Run):
        if run.latest_checkpoint() is not None:
            raise FileExistsError(
                f"{run.folder} holds a training already: train.resume({str(run.folder)!r}, data)."
            )
        run.add_config(fit=facts)
    elif callable(run):
        run = run({"fit": facts})
    else:
        run = Run.create(run, {"fit": facts})
    session.run, session.described = run, description is not None
    if session.history.trials:
        run.log("step_size", found=session.optimizer.step_size, trials=session.history.trials)
    save(session)


def _description(model: Module) -> dict[str, Any] | None:
    """What builds the model again; None for classes that no file describes."""
    try:
        return nn.builders.described(model)
    except errors.NotSupported:
        return None
