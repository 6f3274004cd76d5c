"""The report of a run of `chainrule fit`: its job says what the columns and the rows are."""

from __future__ import annotations

from pathlib import Path
from typing import Any

from chainrule.cli.job import Job
from chainrule.train import Run, report


def written(run: Run, job: Job | None, output: Path | None = None) -> Path:
    """The report's path, once it stands: judged on the test rows, or else on the validation's."""
    if job is None:
        return report.write(run, output=output)
    part = "test" if len(job.rows["test"]) else "validation"
    more: dict[str, Any] = {"table": job.table, "rows": job.rows, "preparation": job.preparation}
    return report.write(
        run, test=job.arrays(part), training=job.arrays("training"), part=part, output=output,
        **more,
    )  # fmt: skip


def report_of(folder: Path) -> Path | None:
    """The report of a run, where it has one."""
    path = folder / report.NAME
    return path if path.exists() else None
