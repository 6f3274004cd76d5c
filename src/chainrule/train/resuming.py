"""resume: goes on with a training from its run folder, to the same bits as without the stop."""

from __future__ import annotations

import os
from typing import Any

from chainrule import errors, nn
from chainrule.optim.lbfgs import Descent
from chainrule.train.callbacks import checked
from chainrule.train.checkpoints import Checkpoint
from chainrule.train.fingerprints import of_data, of_model
from chainrule.train.full_batch import FullBatch
from chainrule.train.history import History
from chainrule.train.loop import go_on
from chainrule.train.progress import progress as progress_for
from chainrule.train.runs import Run
from chainrule.train.saving import restore, save
from chainrule.train.session import Session
from chainrule.train.settings import Settings
from chainrule.train.starting import session_for
from chainrule.train.state import CLASSES, put_together


def resume(
    folder: str | os.PathLike | Run, data: Any = None, *, validation: Any = None, loss: Any = None,
    metrics: Any = None, callbacks: Any = (), progress: str = "auto",
    model: nn.Module | None = None, optimizer: Any = None,
) -> History:  # fmt: skip
    """Go on with the training in a run folder, from its newest intact checkpoint.

    `data` is that of `fit`, and so is a `validation` set; both are compared with what the run was
    started with. The rest is in the folder, but for what is no data: a loss, metrics or callbacks
    that are functions of yours, a `model` of a class that `nn.BUILDERS` does not name (its arrays
    are overwritten), an `optimizer` of a class of yours. The weights end, bit for bit, as those of
    a training that was never stopped, on the same machine. The trained model is in `model/` of the
    folder, for `train.load_model`, and in `model` where one was passed.

    A run that has finished is left as it is. One that was killed before its first checkpoint starts
    over, where its initial weights are those that the model's description and the seed give.

    **Errors** `FileDamaged` for a folder that holds no run of `fit`; `DataError` for other data.
    """
    if not isinstance(folder, Run):
        with Run.open(folder) as run:
            return resume(run, data, validation=validation, loss=loss, metrics=metrics,
                          callbacks=callbacks, progress=progress, model=model,
                          optimizer=optimizer)  # fmt: skip
    run = folder
    if run.finished:
        return _finished(run, progress)
    facts = run.config.get("fit")
    if not isinstance(facts, dict):
        raise errors.FileDamaged(
            f"{run.folder} holds no training of train.fit yet: its config.json has no 'fit'. Start "
            "over with train.fit, in another folder."
        )
    run.lock()
    checkpoint = run.latest_checkpoint()
    session = _session(run, facts, checkpoint, data, loss, metrics, validation, model, optimizer)
    session.callbacks, session.progress = checked(callbacks), progress_for(progress)
    if checkpoint is None:
        _check_same_start(session, facts)
        save(session)
    else:
        restore(session, checkpoint.arrays, checkpoint.facts)
        run.rewind(session.place.step)
    run.log("resumed", step=session.place.step, epoch=session.place.epoch + 1)
    session.progress.said(f"resumed at step {session.place.step}")
    return go_on(session)


def _finished(run: Run, progress: str) -> History:
    result = run.result or {}
    history = History.from_json(result["history"])
    progress_for(progress).said(
        f"{run.folder} has finished ({history.stopped}): nothing is left to do."
    )
    return history


def _session(
    run: Run, facts: dict[str, Any], checkpoint: Checkpoint | None, data: Any, loss: Any,
    metrics: Any, validation: Any, model: Any, optimizer: Any,
) -> Session:  # fmt: skip
    if data is None:
        raise errors.DataError(
            f"resume needs the data: it is not in {run.folder}. Write: resume(folder, (x, y))"
        )
    if optimizer is None and checkpoint is not None:
        optimizer = _saved_optimizer(checkpoint)
    if facts["validation_set"] is not None and validation is None:
        raise errors.DataError(
            "the run was started with a validation set: resume(folder, data, validation=(x, y))."
        )
    settings = Settings.from_json(
        facts, loss=loss, metrics=metrics, optimizer=optimizer, validation=validation
    )
    if checkpoint is not None:
        settings.step_size = None  # the saved optimizer has it
        settings.schedule = None
    model = _model(facts, settings.seed) if model is None else model
    session = session_for(model, data, settings, recorded=True)
    session.run, session.described = run, facts["model"] is not None
    _check_data(session, facts)
    return session


def _saved_optimizer(checkpoint: Checkpoint) -> Any:
    facts = checkpoint.facts["now"]["optimizer"]
    known = {**CLASSES, "FullBatch": FullBatch, "Descent": Descent}
    if facts["class"] not in known:
        raise errors.FileDamaged(
            f"the optimizer of the run is {facts['class']!r}, which is none of chainrule's: pass "
            "optimizer= to resume, made for the model that you pass as model=."
        )
    return put_together(facts, checkpoint.arrays, "", known)


def _model(facts: dict[str, Any], seed: int) -> nn.Module:
    if facts["model"] is None:
        raise errors.NotSupported(
            f"the run's model is {facts['model_name']!r}, which no file describes: pass one of the "
            "same structure, resume(folder, data, model=...), or add its class to nn.BUILDERS."
        )
    return nn.builders.build(facts["model"], rng=seed)


def _check_data(session: Session, facts: dict[str, Any]) -> None:
    for name, given in (("data", session.data), ("validation_set", session.held)):
        known = facts[name]
        if known is None or (name == "validation_set" and given is None):
            continue
        found = of_data(given)
        if found != known:
            raise errors.DataError(
                f"the {name.replace('_', ' ')} is not what the run was started with: then "
                f"{_said(known)}, now {_said(found)}. A resumed run needs the same rows in the "
                "same order, prepared by the same version of chainrule."
            )


def _said(fingerprint: dict[str, Any]) -> str:
    return f"{fingerprint['rows']} rows with SHA-256 {fingerprint['sha256'][:12]}"


def _check_same_start(session: Session, facts: dict[str, Any]) -> None:
    if of_model(session.model) != facts["weights"]:
        raise errors.FileDamaged(
            f"{session.run.folder} was stopped before its first checkpoint, and its initial "
            "weights are not those that the model's description and the seed give. Pass them, "
            "resume(folder, data, model=...), or start over in another folder."
        )
