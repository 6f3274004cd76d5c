"""`chainrule report RUN`: what a run was, and how good its model is, as a page to read."""

from __future__ import annotations

from pathlib import Path
from typing import Annotated

from cyclopts import Parameter

from chainrule.cli.output import Json, print_facts, print_json
from chainrule.cli.reports import written
from chainrule.cli.training import job_of_run
from chainrule.train import Run


def report(
    run: Annotated[Path, Parameter(name="RUN", help="The run folder.")],
    /,
    *,
    data: Annotated[str | None, Parameter(name="--data")] = None,
    output: Path | None = None,
    json: Json = False,
) -> None:
    """Write the report of a run: one HTML file, to be read without a network, sent and printed.

    Of a run that has not ended it says how far it is. Of one that Python began, without a table,
    it holds what the run folder knows.

    Parameters
    ----------
    data
        Where the data are now, if they were moved.
    output
        The file to write. Default: report.html in the run folder.
    """
    opened = Run.open(run)
    known = isinstance(opened.config.get("cli"), dict)
    job = job_of_run(opened, data) if known or data is not None else None
    path = written(opened, job, output)
    facts = {"report": str(path)}
    print_json(facts) if json else print_facts(facts)
