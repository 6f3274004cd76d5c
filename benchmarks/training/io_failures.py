"""Every call of the system that saving makes failed once, killed at, and cut off by the power.

    python -m benchmarks.training.io_failures     writes benchmarks/results/io_failures.md

Each action (a checkpoint, a model, a line of the log, ...) is done in a copy of the same folder
again and again, with one call after the other failing: disk full, input/output error, not allowed,
a short write before a full disk, SIGKILL's effect (the process ends there). `power` does the same
with power failures, and `full_disk` with a real file system of a few kilobytes. After each, what
was there before must load, or what was being written, whole.
"""

from __future__ import annotations

import errno
import os
import shutil
import subprocess
import sys
import tempfile
from collections.abc import Callable
from pathlib import Path
from typing import Any, NamedTuple

import numpy as np

from benchmarks.training import failing, power
from chainrule import errors, nn
from chainrule.train import Run, files, load_model, save_model

ARRAYS = {"model/weight": np.arange(60, dtype=np.float32), "optimizer/count": np.array(3)}
FAILURES: dict[str, failing.How] = {
    "disk full": errno.ENOSPC, "input/output error": errno.EIO, "not allowed": errno.EACCES,
    "short write": "short",
}  # fmt: skip


class Action(NamedTuple):
    """Something that writes into the run folder, and what may be found there afterwards.

    `found` reads; it must give `old` or `new`, and `new` where `do` raised nothing. Between the two
    only `between` is allowed: an action of two files that need not change at one moment.
    """

    do: Callable[[Path], Any]
    found: Callable[[Path], Any]
    old: Any
    new: Any
    between: tuple = ()


def _checkpoint(place: Path, step: int, keep: int) -> None:
    with Run.open(place / "run") as run:
        run.save_checkpoint(step, ARRAYS, {"new": True}, keep=keep)


def _latest(place: Path) -> Any:
    with Run.open(place / "run") as run:
        run.log("reading")  # a write, as of a resume
        found = run.latest_checkpoint()
        assert [e for e in run.events() if e["event"] == "damaged checkpoint"] == []
        return found and found.facts["new"]


def _model(place: Path, name: str, value: float) -> None:
    model = nn.Linear(3, 2, rng=0)
    model.weight[...] = value
    save_model(model, place / name, {"value": value})


def _weight(place: Path, name: str) -> float | None:
    try:
        model, about = load_model(place / name)
    except errors.FileDamaged:
        assert not (place / name).exists()
        return None
    assert np.all(model.weight == about["value"])
    return about["value"]


def _log(place: Path) -> None:
    with Run.open(place / "run") as run:
        run.log("new", number=2)


def _events(place: Path) -> list:
    with Run.open(place / "run") as run:
        before = [event["event"] for event in run.events()]
        run.log("next")
        assert [event["event"] for event in run.events()] == [*before, "next"]
    return before


def _scalars(place: Path, step: int, name: str = "run") -> None:
    with Run.open(place / name) as run:
        run.scalars(step, loss=float(step))


def _steps(place: Path, name: str = "run") -> list:
    with Run.open(place / name) as run:
        before = [line["step"] for line in run.metrics()]
        run.scalars(9, loss=0.0)
        assert [line["step"] for line in run.metrics()] == [*before, 9]
    return before


def _finish(place: Path) -> None:
    with Run.open(place / "run") as run:
        run.finish({"loss": 0.5})


def _create(place: Path) -> None:
    Run.create(place / "other", {"seed": 1}).close()


def _created(place: Path) -> bool:
    try:
        return Run.open(place / "other").config == {"seed": 1}
    except errors.FileDamaged:
        Run.create(place / "other", {"seed": 1}).close()  # nothing is in the way
        return False


ACTIONS = {
    "a checkpoint": Action(lambda p: _checkpoint(p, 20, 3), _latest, False, True),
    "a checkpoint, an old one removed": Action(lambda p: _checkpoint(p, 20, 1), _latest, False,
                                               True),
    "a checkpoint in the place of another": Action(lambda p: _checkpoint(p, 10, 3), _latest, False,
                                                   True),
    "a model": Action(lambda p: _model(p, "new", 2.0), lambda p: _weight(p, "new"), None, 2.0),
    "a model in the place of another": Action(lambda p: _model(p, "model", 2.0),
                                              lambda p: _weight(p, "model"), 1.0, 2.0),
    "a line of the log": Action(_log, _events, ["old"], ["old", "new"]),
    "metrics and event file": Action(lambda p: _scalars(p, 3), _steps, [1, 2], [1, 2, 3]),
    "the first metrics of a run": Action(lambda p: _scalars(p, 1, "fresh"),
                                         lambda p: _steps(p, "fresh"), [], [1]),
    "metrics of a step again": Action(lambda p: _scalars(p, 2), _steps, [1, 2], [1, 2], ([1],)),
    "the end of a run": Action(_finish, lambda p: Run.open(p / "run").result, None, {"loss": 0.5}),
    "a new run": Action(_create, _created, False, True),
}  # fmt: skip


def prepare(place: Path) -> None:
    """The folder that every action starts from."""
    with Run.create(place / "run", {"seed": 0}) as run:
        run.log("old")
        run.scalars(1, loss=1.0)
        run.scalars(2, loss=2.0)
        run.save_checkpoint(5, ARRAYS, {"new": False})
        run.save_checkpoint(10, ARRAYS, {"new": False})
    Run.create(place / "fresh", {}).close()
    _model(place, "model", 1.0)


def check(action: Action, place: Path, must_be_new: bool = False) -> None:
    """What was there is found, or what was being written, whole."""
    found = action.found(place)
    allowed = [action.new] if must_be_new else [action.old, action.new, *action.between]
    assert found in allowed, f"found {found!r}, allowed {allowed!r}"


def copies(original: Path, place: Path) -> Path:
    """The original once more, at `place`."""
    shutil.rmtree(place, ignore_errors=True)
    shutil.copytree(original, place)
    return place


def failed_calls(action: Action, original: Path, place: Path, how: failing.How) -> int:
    """How many calls were failed, each in a fresh copy."""
    count = 0
    copies(original, place)
    for name, error in failing.failures(lambda: action.do(place), how):
        check(action, place, must_be_new=error is None)
        assert error is None or str(place) in str(error), error
        copies(original, place)
        count += how != "short" or name == "write"
    return count


def killed_calls(action: Action, original: Path, place: Path) -> int:
    """At how many calls a process was killed."""
    killed = 0
    copies(original, place)
    for at_call in failing.kills(lambda: action.do(place)):
        killed = at_call
        check(action, place)
        copies(original, place)
    return killed


def power_failures(action: Action, original: Path, base: Path, place: Path) -> int:
    """How many states of the disk after a power failure were tried."""
    count = 0
    copies(original, base)
    for _ in power.states(base, lambda: action.do(base), place):
        check(action, place)
        count += 1
    return count


def results(names: list[str] | None = None) -> dict[str, list[int]]:
    """For each action, how many failures of each kind it was put to."""
    rows = {}
    with tempfile.TemporaryDirectory() as holder:
        original, place, base = (Path(holder) / name for name in ("original", "place", "base"))
        original.mkdir()
        prepare(original)
        for name in names or list(ACTIONS):
            action = ACTIONS[name]
            counts = [failed_calls(action, original, place, how) for how in FAILURES.values()]
            counts.append(killed_calls(action, original, place))
            counts.append(power_failures(action, original, base, place))
            rows[name] = counts
            print(name, counts, flush=True)
    return rows


# --- a real disk that is full --------------------------------------------------------------------

_IN_A_SMALL_DISK = """
mount -t tmpfs -o size={size}k none {place} &&
exec {python} -m benchmarks.training.io_failures {place}
"""


def full_disk() -> str:
    """The result on real file systems of 24 to 128 KiB, where this system lets us mount one."""
    sizes = range(24, 132, 4)
    outcomes: list[str] = []
    for size in sizes:
        with tempfile.TemporaryDirectory() as place:
            script = _IN_A_SMALL_DISK.format(size=size, place=place, python=sys.executable)
            done = subprocess.run(["unshare", "--user", "--map-root-user", "--mount", "sh", "-c",
                                   script], capture_output=True, text=True)  # fmt: skip
        if done.returncode:
            return f"not run: {done.stderr.strip().splitlines()[-1]}"
        outcomes.append(done.stdout.split()[-1])
    full = outcomes.count("full")
    return (f"{len(sizes)} real file systems of {sizes[0]} to {sizes[-1]} KiB: {full} were full at "
            f"some write (`FileNotWritten`, the checkpoint before loads), {len(sizes) - full} held "
            "it all")  # fmt: skip


def fill(place: Path) -> str:
    """Save checkpoints into a small file system until it is full; what was saved last must load."""
    last = 0
    try:
        with Run.create(place / "run", {}) as run:
            for step in range(1, 40):
                run.log("saving", step=step)
                run.scalars(step, loss=1.0)
                run.save_checkpoint(step, ARRAYS, {"step": step}, keep=100)
                last = step
        return "held"
    except errors.FileNotWritten as error:
        assert error.errno == errno.ENOSPC and "the disk is full" in str(error), error
    if last:
        found = Run.open(place / "run").latest_checkpoint()
        assert found is not None and found.facts == {"step": last}, (found, last)
    left = [name for _, folders, names in os.walk(place) for name in folders + names]
    assert not [name for name in left if name.startswith(".")], left
    return "full"


def main() -> None:
    """Run the proof and write its result."""
    rows = results()
    text = "\n".join([
        "# Failing disks, kills and power failures while saving", "",
        "`python -m benchmarks.training.io_failures`: the number of times that each action was "
        "disturbed, each", "time at another call of the system, in a fresh copy of the same "
        "folder. After each, what was there before", "loads, or what was being written, whole; "
        "errors are `FileNotWritten`; the next write works.", "",
        f"| action | {' | '.join([*FAILURES, 'killed', 'states after a power failure'])} |",
        "|---" * (len(FAILURES) + 3) + "|",
        *(f"| {name} | {' | '.join(map(str, counts))} |" for name, counts in rows.items()), "",
        f"Disk full: {full_disk()}.", "",
    ])  # fmt: skip
    files.write("benchmarks/results/io_failures.md", text)
    print(text)


if __name__ == "__main__":
    if len(sys.argv) > 1:
        print(fill(Path(sys.argv[1])))
    else:
        main()
