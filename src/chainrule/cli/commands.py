"""The commands: a line for each. Their functions are loaded when they are called."""

from __future__ import annotations

from dataclasses import dataclass, field
from typing import Any


@dataclass(frozen=True)
class Command:
    """A command: where its function is (`file:function` in this folder) and what it does."""

    group: str
    function: str
    help: str
    options: dict[str, Any] = field(default_factory=dict)  # passed on to cyclopts.App


_CODE, _TRAIN, _INFO = "Derivatives of code", "Training", "Information"

COMMANDS = {
    "fit": Command(_TRAIN, "fit:fit", "Train a network on data."),
    "resume": Command(_TRAIN, "resume:resume", "Let an interrupted run go on."),
    "predict": Command(_TRAIN, "predict:predict", "Predict the target of every row."),
    "evaluate": Command(_TRAIN, "evaluate:evaluate", "Compare predictions with known targets."),
    "report": Command(_TRAIN, "report:report", "Write the report of a run, a page to read."),
    "tune": Command(_TRAIN, "tune:tune", "Search for the best network for data."),
    "export": Command(_TRAIN, "export:export", "Write a model as a file of ONNX."),
    "datasets": Command(_INFO, "datasets:datasets", "List the bundled data sets."),
    "source": Command(_CODE, "source:source", "Print the derivative of a function as code."),
    "graph": Command(_CODE, "graph:graph", "Draw a function's graph, with values and adjoints."),
    "lab": Command(_CODE, "lab:lab", "Run an experiment.", {"help_flags": (), "version_flags": ()}),
    "info": Command(_INFO, "info:info", "Tell about a model, a run, or this installation."),
}
