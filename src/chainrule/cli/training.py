"""A run of `chainrule fit`: begun, ended with its one test, and begun again from its folder."""

from __future__ import annotations

from dataclasses import replace
from math import prod
from pathlib import Path
from typing import Any

from chainrule import errors, nn, train
from chainrule.cli.checking import check
from chainrule.cli.failures import Failed, Misused
from chainrule.cli.job import Job, job_of
from chainrule.cli.models import network
from chainrule.cli.output import note
from chainrule.cli.plan import plan, validation_share
from chainrule.cli.reports import report_of, written
from chainrule.cli.scores import figures
from chainrule.cli.tables import place_of, reading_of
from chainrule.train import files
from chainrule.train.evaluation import predict

RUNS = "runs"  # the folder for runs that are not told where to go


def new_folder(source: str) -> Path:
    """A folder for a run that is not told one: runs/NAME, or runs/NAME-2 and so on."""
    name = Path(source).name.split(".")[0] or "run"
    number, folder = 1, Path(RUNS) / name
    while folder.exists():
        number += 1
        folder = Path(RUNS) / f"{name}-{number}"
    return folder


def begun(source: str, options: dict[str, Any], folder: Path, progress: str) -> dict[str, Any]:
    """Train on a data set into a new run folder; what `ended` gives."""
    if folder == Path():
        raise Misused("--output is empty, or the folder at hand: name one to make.")
    if (folder / "config.json").exists():
        raise Failed(
            f"{folder} holds a run already.\n  Let it go on: chainrule resume {folder}\n"
            "  Or write another folder: --output FOLDER"
        )
    check(source, options)
    job = job_of(source, options, validation_share(options))
    steps = plan(job, options)
    model = network_of(job, steps)
    job = replace(job, notes=(*job.notes, *_few(job, steps["fit"]["batch_size"])))
    for text in (*job.notes, *(() if progress == "none" else opening(job, steps, model))):
        note(text)
    own = {
        "cli": {"data": place_of(source), "options": options, "plan": steps},
        "about": about(job, options),
    }
    _train(model, job, folder, own, progress)
    with train.Run.open(folder) as run:
        return ended(run, job)


def _train(model: nn.Module, job: Job, folder: Path, own: dict[str, Any], progress: str) -> None:
    """Train into a new folder; one that fails before its first step is removed again."""
    new = not folder.exists()

    def made(config: dict[str, Any]) -> train.Run:
        run = train.Run.create(folder, {**config, **own})
        run.log("data", source=own["cli"]["data"], notes=list(job.notes), rows=rows(job))
        return run

    try:
        train.fit(
            model, job.arrays("training"), validation=job.arrays("validation"), run=made,
            progress=progress, **own["cli"]["plan"]["fit"],
        )  # fmt: skip
    except Exception as error:
        begun = (folder / "config.json").exists()
        if new and _is_unlearned(folder):
            files.remove_folder(folder)
        if begun or isinstance(error, errors.ChainruleError) or not isinstance(error, ValueError):
            raise
        raise Misused(str(error)) from error  # an option is wrong


def _is_unlearned(folder: Path) -> bool:
    """Whether a run has failed before its first step."""
    return [path.name for path in folder.glob("checkpoints/step-*")] == ["step-00000000"]


def opening(job: Job, steps: dict[str, dict[str, Any]], model: nn.Module) -> list[str]:
    """What is about to be done, in words."""
    fitted, count = job.preparation, rows(job)
    parts = [f"{count['training']} rows to learn from"]
    parts += [f"{count['validation']} to validate on"] if count["validation"] else []
    parts += [f"{count['test']} kept for the test"] if count["test"] else []
    names = ", ".join(fitted.target.names) if fitted.target is not None else ""
    classes = f"one of {len(fitted.labels)} classes" if fitted.labels else "a number"
    if fitted.task == "multilabel":
        classes = f"{job.outputs} labels"
    optimizer = steps["fit"]["optimizer"]
    name = optimizer["name"] if isinstance(optimizer, dict) else optimizer
    size = sum(a.size for a in model.parameters())
    return [
        f"{job.table.source}: {', '.join(parts)}; to predict: {names}, {classes}",
        f"network: {steps['model']['kind']} of {size:,} parameters on {prod(fitted.shape)} inputs; "
        f"{name}, at most {_length(steps['fit'])}",
        "",
    ]


def _few(job: Job, batch_size: int) -> list[str]:
    """A warning of minibatches that are larger than the data."""
    count = len(job.rows["training"])
    if batch_size <= count:
        return []
    return [f"warning: --batch-size {batch_size} is more than the {count} rows to learn from: each "
            "epoch is one step. Without the option it suits the number of rows."]  # fmt: skip


def _length(fit: dict[str, Any]) -> str:
    parts = [f"{fit[name]} {name}" for name in ("epochs", "steps") if fit.get(name) is not None]
    return " and ".join(parts)


def network_of(job: Job, steps: dict[str, dict[str, Any]]) -> nn.Module:
    """The network of a plan, with its initial weights."""
    options = {name: value for name, value in steps["model"].items() if name != "kind"}
    seed = steps["fit"].get("seed", 0)
    return network(steps["model"]["kind"], job.preparation.shape, job.outputs, seed, options)


def about(job: Job, options: dict[str, Any]) -> dict[str, Any]:
    """What is saved with the model, so that it can be used without its run."""
    preparation = job.preparation
    target = preparation.target
    return {
        "task": preparation.task,
        "target": list(target.names) if target is not None else [],
        "labels": preparation.labels,
        "preparation": preparation.to_json(),
        "reading": {k: v for k, v in reading_of(options).items() if k != "types"},
        "ignored": [*(options.get("ignore") or ()),
                    *(options[name] for name in ("groups", "time") if options.get(name))],
        "rows": rows(job),
    }  # fmt: skip


def rows(job: Job) -> dict[str, int]:
    """How many rows each part has."""
    return {part: len(numbers) for part, numbers in job.rows.items()}


def ended(run: train.Run, job: Job) -> dict[str, Any]:
    """The figures on the test rows; the report stands then too, unless it cannot be written."""
    found = _scored(run, job)
    if not _is_reported(run):
        try:
            written(run, job)
        except (errors.ChainruleError, OSError) as error:  # all else is saved
            note(f"the report was not written: {error}\n  Again: chainrule report {run.folder}")
    return found


def _scored(run: train.Run, job: Job) -> dict[str, Any]:
    """The figures on the test rows: scored once, then kept with the model and read back."""
    folder = run.folder / "model"
    model, known = train.load_model(folder)
    if "test" in known:
        return known["test"]
    test = job.arrays("test")
    found: dict[str, Any] = {}
    if test is not None:
        found = figures(predict(model, test.inputs), test.targets, job.preparation)
    run.log("test", **found)
    train.save_model(model, folder, {**known, "test": found})
    return found


def job_of_run(run: train.Run, source: str | None = None) -> Job:
    """The job of a run, made again from what its config.json says; `source` if data were moved."""
    stored = stored_job(run)
    return job_of(source or stored["data"], stored["options"], validation_share(stored["options"]))


def stored_job(run: train.Run) -> dict[str, Any]:
    """What `chainrule fit` wrote into config.json."""
    stored = run.config.get("cli")
    if not isinstance(stored, dict):
        raise Failed(
            f"{run.folder} was not begun by `chainrule fit`: its data are not known here.\n"
            "  In Python: train.resume(folder, data)"
        )
    return stored


def continued(run: train.Run, source: str | None, progress: str) -> dict[str, Any]:
    """Train on to the end from wherever a run is; what `ended` gives."""
    if run.finished and _is_reported(run) and (found := _known_figures(run)) is not None:
        note(f"{run.folder} has ended already; nothing is changed.")
        return found
    job = job_of_run(run, source)
    if not run.finished:
        train.resume(
            run.folder, job.arrays("training"), validation=job.arrays("validation"),
            model=network_of(job, stored_job(run)["plan"]), progress=progress,
        )  # fmt: skip
    with run:
        return ended(run, job)


def _is_reported(run: train.Run) -> bool:
    """Whether the report stands, or is not wanted."""
    return report_of(run.folder) is not None or stored_job(run)["options"].get("report") is False


def _known_figures(run: train.Run) -> dict[str, Any] | None:
    return train.load_model(run.folder / "model")[1].get("test")
