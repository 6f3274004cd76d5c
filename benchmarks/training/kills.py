"""SIGKILL at random moments, saving included; the resumed run ends at the bits of one left alone.

    python -m benchmarks.training.kills FIRST COUNT   runs numbers FIRST to FIRST + COUNT - 1, adds
                                                      them to benchmarks/results/kills.json, and
                                                      writes benchmarks/results/kills.md from it

Each number seeds one run: a process trains, is killed, and another one resumes; every third is
killed a second time while it resumes. Half of the kills come at a random moment of the whole run,
half while a checkpoint is being written (its temporary folder is seen). At the end the model's
file, the records, the babysitter's decisions and the steps in metrics.jsonl must equal those of a
run that nobody disturbed.
"""

from __future__ import annotations

import json
import os
import random
import signal
import sys
import tempfile
import time
import traceback
from collections import Counter
from collections.abc import Iterable
from pathlib import Path
from typing import Any

import numpy as np

import chainrule as cr
from benchmarks.training.failing import Failing
from chainrule import nn, train
from chainrule.train import files, json_text, locks
from chainrule.train.runs import Run

RESULTS = Path("benchmarks/results")

COMMON = dict(loss="softmax_cross_entropy", epochs=8, batch_size=8, progress="none",
              checkpoint_every=1)  # fmt: skip
TRAININGS: dict[str, dict[str, Any]] = {
    "Adam, cosine, early stopping": dict(
        validation=0.25, metrics=["accuracy"], early_stopping=6, step_size=0.01, schedule="cosine"
    ),
    "heavy ball, accumulated": dict(optimizer="heavyball", step_size=0.02, accumulate=2),
    "float16, loss scale": dict(precision="float16", optimizer="sgd", step_size=0.05),
    "a step size that the babysitter lowers": dict(optimizer="sgd", step_size=1e4),
    "L-BFGS, early stopping": dict(
        validation=0.25, metrics=["accuracy"], early_stopping=20, optimizer="lbfgs", epochs=30
    ),
}


def data() -> tuple[np.ndarray, np.ndarray]:
    """160 rows of 6 columns in 3 classes."""
    rng = np.random.default_rng(3)
    x = rng.normal(size=(160, 6)).astype("f")
    return x, (x[:, 0] + x[:, 1] > 0).astype(np.int64) + (x[:, 2] > 1)


def work(name: str, folder: Path) -> None:
    """What the process does that will be killed: begin the training, or go on with it."""
    if (folder / "config.json").exists():
        train.resume(folder, data(), progress="none")
        return
    options = {**COMMON, **TRAININGS[name]}
    if options.get("optimizer") == "lbfgs":  # needs the same function at each call
        model = nn.MLP(6, (8,), 3, activation="tanh", rng=0)
    else:
        model = nn.MLP(6, (8,), 3, batch_norm=True, dropout=0.25, rng=0)
    train.fit(model, data(), run=folder, **options)


def started(name: str, folder: Path, at_call: int = 0) -> int:
    """A process that works; its number. It is killed at that call of the system, from 1."""
    child = os.fork()
    if child == 0:
        status = 1
        if at_call:
            files.os = locks.os = Failing(at_call, "kill")
        try:
            work(name, folder)
            status = 0
        except BaseException:
            traceback.print_exc()
        finally:
            os._exit(status)
    return child


def ended(child: int) -> int:
    """The exit status of a process, once it has ended; -9 if it was killed."""
    return os.waitstatus_to_exitcode(os.waitpid(child, 0)[1])


def outcome(folder: Path) -> dict[str, Any]:
    """All that must be equal."""
    run = Run.open(folder)
    result = run.result
    assert result is not None
    history = result["history"]
    for record in history["records"]:
        record.pop("seconds")
    history["best"] = None  # one of the records
    steps = [(line["step"], name, value) for line in run.metrics() for name, value in line.items()
             if name not in ("time", "step", "seconds")]  # fmt: skip
    assert len(steps) == len({(step, name) for step, name, _ in steps}), "a step twice"
    text = json.dumps([history, sorted(steps)])
    train.load_model(folder / "model")
    return {"weights": files.sha256((folder / "model/model.safetensors").read_bytes()),
            "story": files.sha256(text.encode()), "text": text}  # fmt: skip


def killed_while_saving(child: int, folder: Path, nth: int, delay: float) -> None:
    """Kill as soon as the n-th temporary folder of a checkpoint is seen, or a little later."""
    seen: set[str] = set()
    while os.waitid(os.P_PID, child, os.WEXITED | os.WNOHANG | os.WNOWAIT) is None:
        try:
            names = os.listdir(folder / "checkpoints")
        except FileNotFoundError:
            continue
        seen |= {name for name in names if name.startswith(".new-")}
        if len(seen) >= nth:
            time.sleep(delay)
            break
    os.kill(child, signal.SIGKILL)


def kill_once(name: str, folder: Path, rng: random.Random, seconds: float) -> str:
    """Let a process work and kill it; what it was doing, as far as its folder shows."""
    child = started(name, folder)
    if rng.random() < 0.5:
        time.sleep(rng.uniform(0.0, seconds))
        os.kill(child, signal.SIGKILL)
    else:
        killed_while_saving(child, folder, rng.randint(1, 8), rng.choice([0, rng.uniform(0, 0.01)]))
    if ended(child) != -signal.SIGKILL:
        return "had ended before"
    if not (folder / "config.json").exists():
        return "before the run existed"
    left = [n for _, folders, names in os.walk(folder) for n in folders + names if n[0] == "."]
    if left:
        return "while a file or folder was being written"
    return "finished but not left" if (folder / "finished.json").exists() else "while training"


def disturbed(number: int, name: str, folder: Path, seconds: float) -> list[str]:
    """Kill, resume (and kill again), then let it end; when the kills came."""
    rng = random.Random(number)
    kills = [kill_once(name, folder, rng, seconds)]
    if number % 3 == 0:
        kills.append(kill_once(name, folder, rng, seconds))
    assert ended(started(name, folder)) == 0, f"run {number} of {name!r} could not be resumed"
    return kills


def undisturbed(name: str, folder: Path) -> tuple[dict[str, Any], float]:
    """The outcome of a run that nobody kills, and the seconds that it takes."""
    assert ended(started(name, folder / "first")) == 0  # compiled once, for the cache on disk
    began = time.monotonic()
    assert ended(started(name, folder / "second")) == 0
    seconds = time.monotonic() - began
    first, second = outcome(folder / "first"), outcome(folder / "second")
    assert first == second
    return first, seconds


def proof(first: int, count: int, names: list[str] | None = None) -> Counter:
    """Counts of (training, when the kill came) over the runs of these numbers.

    **Errors** `AssertionError` for a run that ends at other bits, with its number.
    """
    cr.set_threads(1)
    counts: Counter = Counter()
    names = names or list(TRAININGS)
    with tempfile.TemporaryDirectory() as holder:
        wanted: dict[str, tuple[dict[str, Any], float]] = {}
        for number in range(first, first + count):
            name = names[number % len(names)]
            if name not in wanted:
                wanted[name] = undisturbed(name, Path(holder) / name)
            folder = Path(holder) / f"run-{number}"
            for kill in disturbed(number, name, folder, wanted[name][1]):
                counts[name, kill] += 1
            found = outcome(folder)
            assert found["weights"] == wanted[name][0]["weights"], f"run {number}: other weights"
            assert found == wanted[name][0], (
                f"run {number}: another story\n{found['text']}\n{wanted[name][0]['text']}"
            )
    return counts


def at_calls(calls: Iterable[int], name: str) -> None:
    """As `proof`, with one run for each number of a call of the system at which it is killed."""
    cr.set_threads(1)
    with tempfile.TemporaryDirectory() as holder:
        wanted, _ = undisturbed(name, Path(holder))
        for number in calls:
            folder = Path(holder) / f"run-{number}"
            assert ended(started(name, folder, number)) == -signal.SIGKILL, f"no call {number}"
            assert ended(started(name, folder)) == 0, f"killed at call {number}: not resumed"
            assert outcome(folder) == wanted, f"killed at call {number}: other bits"


def main(first: int, count: int) -> None:
    """Add a part of the proof to its result."""
    path = RESULTS / "kills.json"
    parts = json.loads(path.read_text()) if path.exists() else {}
    counts = proof(first, count)
    parts[f"{first:04d}"] = {"count": count, "kills": [[*key, n] for key, n in counts.items()]}
    files.write(path, json_text.json_bytes(parts))
    files.write(RESULTS / "kills.md", report(parts))
    print(report(parts))


def report(parts: dict[str, Any]) -> str:
    """The result as a page."""
    table: Counter = Counter()
    for part in parts.values():
        for name, kill, n in part["kills"]:
            table[name, kill] += n
    whens = sorted({when for _, when in table})
    names = [name for name in TRAININGS if any(key[0] == name for key in table)]
    runs = sum(part["count"] for part in parts.values())
    kills = sum(n for (_, when), n in table.items() if when != "had ended before")
    return "\n".join([
        "# Kills and resumes", "",
        f"`python -m benchmarks.training.kills FIRST COUNT`: {runs} runs, {kills} SIGKILLs. Each "
        "run was resumed", "and ended with the weights, the records, the decisions and the metrics "
        "of a run that nobody disturbed,", f"bit for bit: {runs} of {runs}.", "",
        f"| training | {' | '.join(whens)} |", "|---" * (len(whens) + 1) + "|",
        *(f"| {name} | {' | '.join(str(table[name, when]) for when in whens)} |"
          for name in names), "",
    ])  # fmt: skip


if __name__ == "__main__":
    main(*map(int, sys.argv[1:3]))
