"""A run: one folder that holds all there is to know of one training, and lets it go on.

    config.json       what the run was started with
    log.jsonl         a line for each event: {"time", "event", ...}, time in seconds since 1970
    metrics.jsonl     a line for each set of values: {"time", "step", name: value, ...}
    tensorboard/      the same values as a TensorBoard event file
    checkpoints/      see `checkpoints`
    finished.json     what came out, once the run has ended
    lock              held by the process that writes

One process writes at a time; the first write takes the lock, puts right what a killed process left
behind (a line cut short, a temporary folder), and makes the event file anew from metrics.jsonl.
Reading takes no lock and changes nothing.
"""

from __future__ import annotations

import os
import re
import time
import warnings
from collections.abc import Callable, Mapping
from pathlib import Path
from typing import Any

import numpy as np

from chainrule import errors
from chainrule.train import checkpoints, event_files, files, json_text, locks
from chainrule.train.checkpoints import Checkpoint
from chainrule.train.lines import Lines

CONFIG, LOG, METRICS, FINISHED = "config.json", "log.jsonl", "metrics.jsonl", "finished.json"
VERSION = 1

_EVENTS = re.compile(r"events\.out\.tfevents\.\d{10}\.chainrule")


class Run:
    """A run folder; `Run.create` and `Run.open` make one.

    >>> import tempfile
    >>> with tempfile.TemporaryDirectory() as place:
    ...     with Run.create(f"{place}/run", {"seed": 0}) as run:
    ...         run.scalars(1, loss=0.5)
    ...         run.finish({"loss": 0.5})
    ...     run = Run.open(f"{place}/run")
    ...     run.config, run.finished, run.metrics()[0]["loss"]
    ({'seed': 0}, True, 0.5)
    """

    def __init__(self, folder: str | os.PathLike):
        self.folder = Path(folder)
        self._lock: locks.Lock | None = None
        self._log = Lines(self.folder / LOG)
        self._metrics = Lines(self.folder / METRICS)
        self._events: Path | None = None
        self._last_step = -1
        self._last_names: set[str] = set()

    @classmethod
    def create(cls, folder: str | os.PathLike, config: Mapping[str, Any]) -> Run:
        """A new run, locked, in a folder that is made, or that holds no run yet.

        **Errors** `FileExistsError` for a folder with a run, `RunInUse`, `FileNotWritten`;
        `TypeError` for a config that JSON does not hold.
        """
        run = cls(folder)
        content = json_text.json_bytes({"run_version": VERSION, **config})
        run._check_new()
        files.make_folder(run.folder)
        run.lock()
        try:
            run._check_new()
            files.write(run.folder / CONFIG, content)
        except BaseException:
            run.close()
            raise
        return run

    def _check_new(self) -> None:
        if (self.folder / CONFIG).exists():
            raise FileExistsError(
                f"{self.folder} holds a run already. Resume it, or give another folder."
            )

    @classmethod
    def open(cls, folder: str | os.PathLike) -> Run:
        """The run in a folder, to be read; the first write locks it.

        **Errors** `FileDamaged` for a file, a folder without a run, or a run of another version.
        """
        run = cls(folder)
        if run.folder.is_file():
            raise errors.FileDamaged(_not_a_folder(run.folder))
        version = run._stored_config().get("run_version")
        if version != VERSION:
            raise errors.FileDamaged(
                f"{run.folder / CONFIG} is of version {version!r}; this chainrule reads {VERSION}."
            )
        return run

    def _stored_config(self) -> dict[str, Any]:
        stored = json_text.parsed(files.read(self.folder / CONFIG), self.folder / CONFIG)
        if not isinstance(stored, dict):
            raise errors.FileDamaged(f"{self.folder / CONFIG} is no config of a run.")
        return stored

    # --- who writes ----------------------------------------------------------------------------

    def lock(self) -> None:
        """Become the process that writes into this run; again and again if need be.

        **Errors** `RunInUse` while another one is. A process that was killed holds no lock.
        """
        if self._lock is not None:
            return
        self._lock = locks.taken(self.folder / "lock")
        if self._lock is None:
            holder = locks.holder(self.folder / "lock")
            raise errors.RunInUse(
                f"{self.folder} is being written by another process{holder}. Wait until it has "
                "ended, stop it, or give another folder."
            )
        self._put_right()

    def _put_right(self) -> None:
        """Clear what a killed process left, now that nobody else writes."""
        for folder in (self.folder, self.folder / "checkpoints", self.folder / "tensorboard"):
            if folder.is_dir():
                files.remove_leftovers(folder)
        for lines in (self._log, self._metrics):
            lines.repair()
        self._look_at_metrics()

    def close(self) -> None:
        """Let go of the lock. Also done at the end of the process, and by `with run:`."""
        if self._lock is not None:
            self._lock.release()
            self._lock = None

    def __enter__(self) -> Run:
        return self

    def __exit__(self, *_: object) -> None:
        self.close()

    # --- what is written -----------------------------------------------------------------------

    @property
    def config(self) -> dict[str, Any]:
        """What the run was created with."""
        return {k: v for k, v in self._stored_config().items() if k != "run_version"}

    def add_config(self, **entries: Any) -> None:
        """Add entries to what the run was created with; the file is replaced as a whole."""
        self.lock()
        content = json_text.json_bytes({**self._stored_config(), **entries})
        files.write(self.folder / CONFIG, content)

    def log(self, event: str, **fields: Any) -> None:
        """Add an event to the log. Non-finite numbers stand as the text "nan", "inf", "-inf"."""
        self.lock()
        self._log.add({"time": time.time(), "event": event, **fields})

    def events(self) -> list[dict[str, Any]]:
        """The events of the log, the first one first."""
        return self._log.read()

    def scalars(self, step: int, **values: float) -> None:
        """Add values at a step to metrics.jsonl and to the event file.

        Steps go up. Where one comes again (after a resume from an earlier checkpoint, or a
        rollback), what stood at later steps gives way, and so does what it held of these names.
        """
        self.lock()
        if step < self._last_step or (step == self._last_step and values.keys() & self._last_names):
            self._keep(
                lambda line: (
                    line["step"] < step
                    or (line["step"] == step and not values.keys() & line.keys())
                )
            )
        if step != self._last_step:
            self._last_step, self._last_names = step, set()
        self._last_names |= values.keys()
        plain = {name: _number(name, value) for name, value in values.items()}
        line = {"time": time.time(), "step": int(step), **plain}
        events = self._event_file()
        self._metrics.add(line)
        files.append(events, event_files.scalars(line["time"], step, plain))

    def metrics(self) -> list[dict[str, Any]]:
        """The lines of metrics.jsonl, non-finite numbers as floats."""
        return [
            {name: float(v) if isinstance(v, str) else v for name, v in line.items()}
            for line in self._metrics.read()
        ]

    def rewind(self, step: int) -> None:
        """Drop the values of later steps: they will come again."""
        self.lock()
        self._keep(lambda line: line["step"] <= step)

    def _keep(self, wanted: Callable[[dict[str, Any]], bool]) -> None:
        """Keep the lines of metrics that are wanted; the event file is made anew from them."""
        self._metrics.replace(filter(wanted, self._metrics.read()))
        self._look_at_metrics()

    def _look_at_metrics(self) -> None:
        lines = self._metrics.read()
        self._last_step = max((line["step"] for line in lines), default=-1)
        last = [line for line in lines if line["step"] == self._last_step]
        self._last_names = {name for line in last for name in line} - {"time", "step"}
        self._events = None

    def _event_file(self) -> Path:
        """The event file that this process adds to, made from metrics.jsonl at its first use.

        It has a name of its own: a TensorBoard that watches keeps reading at its place in a file.
        """
        if self._events is None:
            folder = self.folder / "tensorboard"
            files.make_folder(folder)
            old = sorted(path for path in folder.iterdir() if _EVENTS.fullmatch(path.name))
            number = int(old[-1].name.split(".")[3]) + 1 if old else 1
            lines = self.metrics()
            content = event_files.beginning(lines[0]["time"] if lines else time.time())
            for line in lines:
                values = {k: v for k, v in line.items() if k not in ("time", "step")}
                content += event_files.scalars(line["time"], line["step"], values)
            self._events = folder / f"events.out.tfevents.{number:010d}.chainrule"
            files.write(self._events, content)
            for path in old:
                files.remove_file(path)
        return self._events

    # --- checkpoints ---------------------------------------------------------------------------

    def save_checkpoint(
        self, step: int, arrays: Mapping[str, np.ndarray], facts: Mapping[str, Any], *,
        score: float | None = None, keep: int = 3,
    ) -> Path:  # fmt: skip
        """Save a checkpoint; the last `keep` are kept, and the one of the lowest `score`."""
        self.lock()
        return checkpoints.save(
            self.folder / "checkpoints", step, arrays, facts, score=score, keep=keep,
            report=lambda path, reason: self.log("not removed", path=path.name, reason=reason),
        )  # fmt: skip

    def latest_checkpoint(self) -> Checkpoint | None:
        """The newest intact checkpoint. Damaged ones are logged, and the one before is used."""
        return checkpoints.latest(self.folder / "checkpoints", self._damaged)

    def best_checkpoint(self) -> Checkpoint | None:
        """The intact checkpoint of the lowest score."""
        return checkpoints.best(self.folder / "checkpoints", self._damaged)

    def _damaged(self, path: Path, reason: str) -> None:
        """Log it; a process that only reads, and may not write here, warns instead."""
        reason = f"{reason} The intact one before it is used."
        held = self._lock is not None
        try:
            self.log("damaged checkpoint", checkpoint=path.name, reason=reason)
        except (errors.RunInUse, OSError):
            warnings.warn(f"damaged checkpoint: {reason}", RuntimeWarning, stacklevel=4)
        finally:
            if not held:
                self.close()

    # --- the end -------------------------------------------------------------------------------

    @property
    def finished(self) -> bool:
        """Whether the run has ended by itself."""
        return (self.folder / FINISHED).exists()

    def finish(self, facts: Mapping[str, Any]) -> None:
        """Note that the run has ended, and with what."""
        self.lock()
        files.write(self.folder / FINISHED, json_text.json_bytes(dict(facts)))

    @property
    def result(self) -> dict[str, Any] | None:
        """What `finish` was given; None before."""
        if not self.finished:
            return None
        return json_text.parsed(files.read(self.folder / FINISHED), self.folder / FINISHED)


def _not_a_folder(path: Path) -> str:
    """That a run is a folder, not a file; where the file lies in a run, which folder that is."""
    around = next((place for place in path.parents if (place / CONFIG).is_file()), None)
    hint = "" if around is None else f"\n  It lies in the run {around}: name that."
    return f"{path} is a file. A run is a folder, the one that holds {CONFIG} and {LOG}.{hint}"


def _number(name: str, value: Any) -> float:
    try:
        return value if type(value) is int else float(value)
    except (TypeError, ValueError) as error:
        raise TypeError(f"{name} is a number, got {value!r}.") from error
