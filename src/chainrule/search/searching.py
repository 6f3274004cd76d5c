"""search: the best of many networks, by their validation error."""

from __future__ import annotations

import json
import os
import time
from collections.abc import Callable
from pathlib import Path
from typing import Any

import numpy as np

from chainrule import data, errors, train
from chainrule.search import plans
from chainrule.search.plans import METRICS
from chainrule.search.result import Result, best_of, record
from chainrule.search.space import SPACE, Space, drawn, usual
from chainrule.search.study import Study
from chainrule.search.trials import Task, run_trial
from chainrule.train import files, fingerprints, locks

JOURNAL, LOG, TABLE, TEST = "search.journal", "trials.jsonl", "trials.csv", "test.json"


def search(
    folder: str | os.PathLike, training: Any, validation: Any, test: Any = None, *, task: str,
    outputs: int, space: Space = SPACE, minutes: float | None = None, trials: int | None = None,
    epochs: int | None = None, storage: str | os.PathLike | None = None, seed: int = 0,
    network: Callable | None = None, loss: Any = None, finish: Callable | None = None,
    final: bool = True,
    say: Callable[[str], Any] = lambda text: None,
) -> Result:  # fmt: skip
    """Search `space` for the network of the least validation error, and score it on the test set.

    Trials are suggested by Optuna's TPE from those that ended; the first one is the recipe
    (`train.recipe`). One that at a tenth, two tenths, ... of its training lags behind the median is
    given up. It ends after so many `minutes` of this call or `trials` in all. Every process that is
    called with the same `storage` file takes part in one search (each with a folder of its own, or
    the same one); called again, it goes on where it was, also after a kill.

    At the end, where no other process still runs a trial, the best trial is trained again into the
    run folder `folder/best`, and scored on `test`: once, and then the search is over. `finish(plan,
    folder)` does this in another way, and gives the figures; `final=False` leaves it out.

    `training`, `validation` and `test` are `data.Arrays`, (x, y) or (x, y, weights), prepared.
    `task` is "classification", "multilabel" or "regression"; `outputs` the classes, or the numbers
    of a row; `loss` another one than the task's usual, as `train.fit` takes it.

    The folder holds trials.jsonl (a line as each trial ends), trials.csv and best/.

    **Errors** `ValueError` where neither minutes nor trials are given; `DataError` where the
    storage holds a search of other data, space or seed; `MissingExtra` without optuna.

    >>> import tempfile
    >>> x = np.random.default_rng(0).normal(size=(60, 2)).astype("f")
    >>> y = (x[:, 0] > 0).astype(int)
    >>> with tempfile.TemporaryDirectory() as folder:
    ...     result = search(folder, (x[:40], y[:40]), (x[40:], y[40:]), task="classification",
    ...                     outputs=2, trials=2, epochs=3)
    >>> len(result.trials), result.best["error"] < 0.5
    (2, True)
    """
    if minutes is None and trials is None:
        raise ValueError("say how long to search: minutes=5, or trials=50.")
    if task not in METRICS:
        raise ValueError(f"task is one of {', '.join(METRICS)}; got {task!r}.")
    place = Path(folder)
    place.mkdir(parents=True, exist_ok=True)
    sets = [_arrays(one) for one in (training, validation, test)]
    wanted = Task(task, outputs, sets[0], sets[1], epochs, network or plans.network, loss)
    facts = _facts(wanted, space, seed)
    study = Study(Path(storage) if storage else place / JOURNAL, seed, facts)
    deadline = time.monotonic() + (60 * minutes if minutes is not None else 1e9)
    try:
        if (place / TEST).exists():
            say(
                f"{place} has ended: its best network was scored on the test rows, once. No trial "
                "is made; more go into another folder."
            )
        else:
            _loop(study, wanted, space, deadline, trials, place, say)
        result = _result(study, wanted, space)
        files.write(place / TABLE, result.csv())
        if final and result.best is not None:
            _finished(study, result, wanted, sets[2], place, finish)
    finally:
        study.close()
    return result


def _arrays(given: Any) -> Any:
    if given is None or isinstance(given, data.Arrays):
        return given
    return data.Arrays(*given)


def _facts(task: Task, space: Space, seed: int) -> dict[str, Any]:
    """What processes that share a search agree on."""
    own = {} if task.loss is None else {"loss": task.loss}
    return {
        **own,
        "data": [fingerprints.of_data(one) for one in (task.training, task.validation)],
        "task": task.task, "outputs": task.outputs, "epochs": task.epochs, "seed": seed,
        "space": {name: entry.to_json() for name, entry in space.items()},
    }  # fmt: skip


def _loop(
    study: Study, task: Task, space: Space, deadline: float, trials: int | None, place: Path, say
) -> None:
    if not study.trials("COMPLETE", "PRUNED", "FAIL", "RUNNING", "WAITING"):
        study.inner.enqueue_trial(usual(task.usual, space), skip_if_exists=True)
    while time.monotonic() < deadline and (trial := study.ask(trials)) is not None:
        _tried(study, task, trial, space, deadline)
        known = record(study.inner.get_trials(deepcopy=False)[trial.number])
        with (place / LOG).open("a", encoding="utf-8") as log:
            log.write(json.dumps({"time": round(time.time(), 3), **known}) + "\n")
        say(_said(known, best_of(_records(study))))


def _tried(study: Study, task: Task, trial: Any, space: Space, deadline: float) -> None:
    """Run a trial; one that cannot be trained is told so, and the search goes on."""
    seed = _seed(study.seed, trial.number)
    try:
        state, error, facts = run_trial(task, trial, drawn(trial, space), seed, deadline)
    except (errors.ChainruleError, ValueError, ArithmeticError) as fault:
        state, error, facts = "FAIL", None, {"why": str(fault), "seed": seed}
    except BaseException:
        study.tell(trial.number, "FAIL", why="interrupted", seed=seed)
        raise
    study.tell(trial.number, state, error, **facts)


def _seed(seed: int, number: int) -> int:
    """The seed of a trial's weights, order of rows and dropout."""
    return int(np.random.SeedSequence([seed, number, 1]).generate_state(1)[0])


def _said(known: dict[str, Any], best: dict[str, Any] | None) -> str:
    error = "      -" if known["error"] is None else f"{known['error']:7.4f}"
    least = "" if best is None else f"; best {best['error']:.4f} (trial {best['trial']})"
    return (
        f"trial {known['trial']:4d}  {known['state'].lower():8}  error {error}  "
        f"{known['seconds'] or 0.0:6.1f} s{least}"
    )


def _records(study: Study) -> list[dict[str, Any]]:
    return [record(t) for t in study.trials("COMPLETE", "PRUNED", "FAIL")]


def _result(study: Study, task: Task, space: Space) -> Result:
    left = len(study.running())  # this gives up those of processes that were killed
    records = _records(study)
    best, plan = best_of(records), None
    if best is not None:
        fixed = study.optuna.trial.FixedTrial(
            {k: v for k, v in study.inner.get_trials(deepcopy=False)[best["trial"]].params.items()}
        )
        plan, _ = task.plan(drawn(fixed, space), best["seed"])
    return Result(records, best, plan, left=left)


def _finished(study: Study, result: Result, task: Task, test: Any, place: Path, finish) -> None:
    """Train the best trial again and score the test set, in one process and once."""
    lock = locks.taken(study.folder / "finish.lock")
    if lock is None or result.left:
        return
    try:
        stored = study.inner.user_attrs.get("test")
        if stored is None:
            assert result.plan is not None
            do = finish or _again(task, test)
            result.test = do(result.plan, place / "best")
            study.inner.set_user_attr("test", json.dumps(result.test))
        else:
            result.test = json.loads(stored)
        files.write(place / TEST, json.dumps({"best": result.best, "test": result.test}, indent=1))
    finally:
        lock.release()


def _again(task: Task, test: Any) -> Callable:
    def finish(plan: dict[str, dict[str, Any]], folder: Path) -> dict[str, Any]:
        if (folder / "config.json").exists():  # a kill came while it was trained
            files.remove_folder(folder)
        shape = task.training.inputs.shape[1:]
        model = task.network(plan["model"], shape, task.outputs, plan["fit"]["seed"])
        train.fit(
            model, task.training, validation=task.validation, run=folder, progress="none",
            **plan["fit"],
        )  # fmt: skip
        if test is None:
            return {}
        return train.evaluate(model, test, loss=plan["fit"]["loss"], metrics=[METRICS[task.task]])

    return finish
