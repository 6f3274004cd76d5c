"""`chainrule tune DATA --target COLUMN`: a search for the best network, then its one test."""

from __future__ import annotations

import multiprocessing
from dataclasses import fields
from pathlib import Path
from typing import Annotated, Any, Literal

from cyclopts import Parameter

from chainrule import search, train
from chainrule.cli.checking import check
from chainrule.cli.failures import Failed, Misused
from chainrule.cli.job import Job, job_of
from chainrule.cli.models import KINDS, Kind, network, parsed
from chainrule.cli.options import DEFAULTS, Options, merged, options_in
from chainrule.cli.output import Json, note, print_json
from chainrule.cli.plan import balanced_loss
from chainrule.cli.scores import headline
from chainrule.cli.tables import place_of
from chainrule.cli.training import about, ended, new_folder, rows
from chainrule.train import files

VALIDATION = 0.2  # share of the rows that are not tested, by which trials are compared
_DATA = (
    "target", "task", "ignore", "groups", "time", "test", "validation", "scale", "balance", "flip",
    "crop", "type", "delimiter", "header", "date", "decimal", "thousands", "encoding", "missing",
    "resize", "channels", "seed", "epochs", "report",
)  # fmt: skip
_SEARCHED = (
    "activation", "dropout", "batch_norm", "init", "optimizer", "step_size", "schedule",
    "batch_size", "l2",
)  # fmt: skip


def tune(
    data: Annotated[str, Parameter(name="DATA", help="As for fit.")],
    /,
    *,
    output: Path | None = None,
    minutes: float | None = None,
    trials: int | None = None,
    only: Literal["all", "architecture"] = "all",
    jobs: int = 1,
    storage: Path | None = None,
    config: Path | None = None,
    json: Json = False,
    options: Annotated[Options, Parameter(name="*")] = DEFAULTS,
) -> None:
    """Search for the network that makes the least error on validation rows; test it once.

    Searched are depth, widths, skip connections, activation, initialisation, batch norm, dropout,
    lambda of every layer, optimizer, step size, schedule and batch size; what an option says is not
    searched. A --model of another kind than mlp has its layers as fit's options say; all else is
    searched. Called again with the same folder it goes on, also after a kill; processes and
    machines that name one --storage file share a search. Example:
    chainrule tune table.csv --target price --minutes 5

    Parameters
    ----------
    output
        The folder for trials.csv, trials.jsonl and best, a run. Default: runs/NAME-tuned.
    minutes
        How long this call searches. Default: 5, where no number of trials is given.
    trials
        How many trials to make in all.
    only
        architecture: depth, widths and skips alone, all else by the recipe.
    jobs
        Processes that search at the same time.
    storage
        The file that processes share. Default: search.journal in the folder.
    config
        A TOML or JSON file with these options by name; the line wins.
    """
    written, chosen = (None, {}) if config is None else options_in(config)
    given = merged(options, chosen)
    source = data or written or ""
    _check(source, given, minutes, trials, jobs, only)
    if output == Path():
        raise Misused("--output is empty, or the folder at hand: name one to make.")
    folder = output or new_folder(f"{Path(source).name.split('.')[0]}-tuned")
    asked = {
        "minutes": 5.0 if minutes is None and trials is None else minutes, "trials": trials,
        "storage": storage or folder / "search.journal", "only": only,
    }  # fmt: skip
    others = _others(jobs, source, given, folder, asked)
    try:
        searched(source, given, folder, asked, final=False, say=note)
    except KeyboardInterrupt:
        raise KeyboardInterrupt(
            f"interrupted; the trials are kept. Write the line again, with --output {folder}, and "
            "the search goes on."
        ) from None
    finally:
        for process in others:
            process.join()
    result = searched(source, given, folder, {**asked, "minutes": 0.0}, final=True)
    _report(folder, result, json)


def _check(
    source: str,
    given: dict[str, Any],
    minutes: float | None,
    trials: int | None,
    jobs: int,
    only: str,
) -> None:
    kind = _kind(given)
    layers = () if kind is None else ("model", *kind.takes)
    unknown = [f.name for f in fields(Options) if f.name in given
               and f.name not in (*_DATA, *_SEARCHED, *layers) and f.name != "model"]  # fmt: skip
    if unknown:
        name = "--" + unknown[0].replace("_", "-")
        known = ", ".join("--" + one.replace("_", "-") for one in ("model", *_SEARCHED))
        raise Misused(f"tune takes no {name}. What it can hold fast: {known}.")
    if (
        not (1 if minutes is None else minutes) > 0
        or (1 if trials is None else trials) < 1
        or jobs < 1
    ):
        raise Misused("--minutes is above 0, --trials and --jobs are whole numbers from 1.")
    if given.get("validation", VALIDATION) == 0:
        raise Misused("tune compares by the validation rows: no --validation 0.")
    if only == "architecture" and kind is not None:
        raise Misused("--only architecture searches the layers of an mlp: leave --model out.")
    check(source, given)


def _others(jobs: int, source: str, given, folder: Path, asked: dict[str, Any]) -> list:
    """Processes that search beside this one."""
    context = multiprocessing.get_context("spawn")
    found = []
    for _ in range(jobs - 1):
        process = context.Process(target=searched, args=(source, given, folder, asked))
        process.start()
        found.append(process)
    return found


def searched(
    source: str, given: dict[str, Any], folder: Path, asked: dict[str, Any], *,
    final: bool = False, say=lambda text: None,
) -> search.Result:  # fmt: skip
    """Take part in a search until it ends; with `final`, train the best one again and test it."""
    job = job_of(source, given, VALIDATION)
    training, validation = job.arrays("training"), job.arrays("validation")
    if training is None or validation is None:
        raise Failed(f"{source} has too few rows to validate on.")

    def finish(plan: dict[str, dict[str, Any]], place: Path) -> dict[str, Any]:
        return _trained(source, given, job, plan, place)

    return search.search(
        folder, training, validation, task=str(job.preparation.task), outputs=job.outputs,
        space=_space(given, job, asked["only"]), minutes=asked["minutes"], trials=asked["trials"],
        epochs=given.get("epochs"), storage=asked["storage"], seed=given.get("seed", 0),
        network=_network, loss=balanced_loss(job), finish=finish, final=final, say=say,
    )  # fmt: skip


def _kind(given: dict[str, Any]) -> Kind | None:
    """The kind of network whose layers are given; None where they are searched."""
    name = given.get("model") or "mlp"
    return None if name == "mlp" else KINDS.get(name)


def _network(options: dict[str, Any], shape: tuple[int, ...], outputs: int, seed: int):
    model = _model(options)
    return network(model.pop("kind"), shape, outputs, seed, model)


def _model(options: dict[str, Any]) -> dict[str, Any]:
    """The network of a trial as the plan of a run has it."""
    if "model" not in options:
        return {"kind": "mlp", **options}
    return {"kind": options["model"],
            **{k: parsed(k, v) for k, v in options.items() if k != "model"}}  # fmt: skip


def _space(given: dict[str, Any], job: Job, only: str) -> search.Space:
    """The space, without what the options hold fast; a number as text is the step size's."""
    fixed = {name: given[name] for name in _SEARCHED if name in given}
    if "step_size" in fixed:
        try:
            fixed["step_size"] = float(fixed["step_size"])
        except ValueError:
            raise Misused("--step-size of tune is a number.") from None
    kind = _kind(given)
    if kind is not None:
        layers = {name: given[name] for name in ("model", *kind.takes) if name in given}
        space = search.without_architecture(kind.takes, layers)
        return search.restricted(space, {k: v for k, v in fixed.items() if k not in layers})
    if only == "architecture":
        fixed = search.by_recipe(str(job.preparation.task), len(job.rows["training"])) | fixed
    return search.restricted(given=fixed)


def _trained(
    source: str, given: dict[str, Any], job: Job, plan: dict[str, dict[str, Any]], place: Path
) -> dict[str, Any]:
    """Train the best trial again as a run like `fit`'s, and score its test rows."""
    if (place / "config.json").exists():  # a kill came while it was trained
        files.remove_folder(place)
    steps = {"model": _model(plan["model"]), "fit": plan["fit"]}
    options = {"validation": VALIDATION, **given}
    own = {
        "cli": {"data": place_of(source), "options": options, "plan": steps},
        "about": about(job, options),
    }

    def made(config: dict[str, Any]) -> train.Run:
        run = train.Run.create(place, {**config, **own})
        run.log("data", source=own["cli"]["data"], notes=list(job.notes), rows=rows(job))
        return run

    seed = plan["fit"]["seed"]
    model = _network(plan["model"], job.preparation.shape, job.outputs, seed)
    train.fit(
        model, job.arrays("training"), validation=job.arrays("validation"), run=made,
        progress="none", **plan["fit"],
    )  # fmt: skip
    with train.Run.open(place) as run:
        return ended(run, job)


def _report(folder: Path, result: search.Result, json: bool) -> None:
    counts = {state: result.count(state) for state in ("COMPLETE", "PRUNED", "FAIL")}
    paths = {"trials": str(folder / "trials.csv"), "run": str(folder / "best"),
             "model": str(folder / "best" / "model")}  # fmt: skip
    if result.best is None:
        raise Failed(
            f"no trial was trained to its end: {counts['PRUNED']} given up, {counts['FAIL']} "
            f"failed; see {paths['trials']}.\n  Write the line again, and the search goes on."
        )
    facts = {
        "trials": len(result.trials), **{k.lower(): n for k, n in counts.items()},
        "seconds": result.seconds, "steps": result.steps, "best": result.best, "test": result.test,
    }  # fmt: skip
    if json:
        print_json({**facts, "paths": paths})
        return
    print(f"{len(result.trials)} trials ({counts['PRUNED']} given up early, {counts['FAIL']} "
          f"failed): {result.steps:,} steps, {result.seconds:.0f} s")  # fmt: skip
    print(f"best      trial {result.best['trial']}, validation error {result.best['error']:.4f}")
    if result.left:
        print("test      not yet: other processes still search. Write the line again after them.")
    else:
        print(f"test      {headline(result.test)}" if result.test else "test      no rows")
    for name, path in paths.items():
        print(f"{name:8}  {path}")
