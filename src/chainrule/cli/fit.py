"""`chainrule fit DATA --target COLUMN`: a network trained on data, in a run folder."""

from __future__ import annotations

from pathlib import Path
from typing import Annotated, Any, Literal

from cyclopts import Parameter

from chainrule.cli.failures import Misused
from chainrule.cli.options import DEFAULTS, Options, merged, options_in
from chainrule.cli.output import Json, note, print_json
from chainrule.cli.reports import report_of
from chainrule.cli.scores import headline
from chainrule.cli.training import begun, new_folder

Progress = Literal["auto", "plain", "none"]


def fit(
    data: Annotated[
        str | None,
        Parameter(name="DATA", help="A table, a folder of images, or a data set by its name."),
    ] = None,
    /,
    *,
    output: Path | None = None,
    config: Path | None = None,
    progress: Progress = "auto",
    json: Json = False,
    options: Annotated[Options, Parameter(name="*")] = DEFAULTS,
) -> None:
    """Train a network on data, and leave a run folder with the model, its log and a report.

    Without options, the recipe for data of this kind and size is followed. A share of the rows is
    kept apart and scored once, at the end. A run that was interrupted, by Ctrl-C or by anything
    else, goes on with `chainrule resume RUN`. Example: chainrule fit table.csv --target price

    Parameters
    ----------
    output
        The run folder to make. Default: runs/NAME, with a number where that exists.
    config
        A TOML or JSON file with these options by name (and `data`); the line wins.
    progress
        What is shown meanwhile, on standard error: auto is a live display in a terminal.
    """
    written, chosen = (None, {}) if config is None else options_in(config)
    source = data or written
    if not source:
        raise Misused("say what to train on: chainrule fit DATA --target COLUMN")
    folder = output or new_folder(source)
    report(folder, _trained(source, merged(options, chosen), folder, progress), json)


def _trained(source: str, options: dict[str, Any], folder: Path, progress: str) -> dict[str, Any]:
    try:
        return begun(source, options, folder, progress)
    except KeyboardInterrupt:
        raise interrupted(folder) from None


def interrupted(folder: Path) -> KeyboardInterrupt:
    """What an interrupted training ends with: how to go on."""
    if not (folder / "config.json").exists():
        return KeyboardInterrupt("interrupted before the training had begun")
    return KeyboardInterrupt(
        f"interrupted; what was learned is kept. Go on with: chainrule resume {folder}"
    )


def report(folder: Path, figures: dict[str, Any], json: bool) -> None:
    """Say what came out, and where it is."""
    paths = {"run": str(folder), "model": str(folder / "model")}
    if (page := report_of(folder)) is not None:
        paths["report"] = str(page)
    if json:
        print_json({"test": figures, **paths})
        return
    note("")
    print(f"test      {headline(figures)}" if figures else "test      no rows were kept for it")
    for name, path in paths.items():
        print(f"{name:8}  {path}")
