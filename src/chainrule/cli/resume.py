"""`chainrule resume RUN`: an interrupted run goes on, and ends as if nothing had happened."""

from __future__ import annotations

from pathlib import Path
from typing import Annotated

from cyclopts import Parameter

from chainrule import train
from chainrule.cli.fit import Progress, interrupted, report
from chainrule.cli.output import Json
from chainrule.cli.training import continued


def resume(
    run: Annotated[Path, Parameter(name="RUN", help="The run folder.")],
    /,
    *,
    data: Annotated[str | None, Parameter(name="--data")] = None,
    progress: Progress = "auto",
    json: Json = False,
) -> None:
    """Let an interrupted run go on, to the same weights, bit for bit, as without the interruption.

    It goes on from the newest intact checkpoint; before the first one it starts over. Of a run
    that has ended nothing is changed.

    Parameters
    ----------
    data
        Where the data are now, if they were moved. They must be the same.
    progress
        What is shown meanwhile, on standard error.
    """
    try:
        figures = continued(train.Run.open(run), data, progress)
    except KeyboardInterrupt:
        raise interrupted(run) from None
    report(run, figures, json)
