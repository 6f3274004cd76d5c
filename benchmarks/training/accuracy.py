"""Accuracy, and the time to it, beside scikit-learn's MLPs and PyTorch: one run for all of it.

    python benchmarks/training/accuracy.py [--torch PYTHON] [--sets digits] [--seeds 5] [--quick]

`--torch` is the Python of an environment with PyTorch (this one by default; without PyTorch the
column is left out). For each bundled set and each seed (which splits, initialises and shuffles):

- *same network*: hidden layers of 128 and 128 ReLUs, Adam with step size 0.001, minibatches of 32,
  as many epochs as make some 2,000 steps, nothing else; the three libraries on the same rows, each
  in a process of its own, on one thread, chainrule with an empty cache, all of them with the
  bytecode that an installation has. After each epoch the test rows are scored, which does not count
  as time; all compilation does, imports do not. The *time to
  accuracy* is when the score first reaches the smaller of the peers' mean final scores.
- *without options*: `DeepClassifier()` and `DeepRegressor()` beside `MLPClassifier()` and
  `MLPRegressor()`, all on the same standardised columns.

Sets that stand in `--record` are not measured again: a run that was stopped goes on.

Scores are the accuracy in per cent, or for a regression minus the root mean squared error of
standardised targets: the larger, the better. Means and standard deviations over the seeds are
printed, and written to benchmarks/results/accuracy.md.
"""

from __future__ import annotations

import argparse
import compileall
import json
import os
import subprocess
import sys
import tempfile
import time
import warnings
from itertools import pairwise
from pathlib import Path

import numpy as np

ROOT = Path(__file__).parents[2]
HIDDEN, STEP_SIZE, BATCH, STEPS = (128, 128), 1e-3, 32, 2000
PEERS = ("sklearn", "torch")


def score(outputs: np.ndarray, targets: np.ndarray, classes: bool) -> float:
    """Accuracy in per cent, or minus the root mean squared error."""
    if classes:
        return float(100 * np.mean(outputs.argmax(axis=1) == targets))
    return -float(np.sqrt(np.mean(np.square(outputs - targets))))


MADE_OF = """\
Where chainrule's first epoch goes (digits, nothing in any cache, 325 ms on two cores, one process
at a time): the session 8 ms, what the function depends on 8, tracing it with its derivative 40,
loading the compiler and LLVM 45, simplifying 18, memory and schedule 37, writing LLVM IR 14, LLVM
itself 140 (264 on one core), loading the code 9, the steps 10. The other epochs take 1 to 2 ms
each. So a set that scikit-learn learns in 10 to 30 ms is learned before anything is compiled; where
the program is in the cache on disk, tracing is what is left, 0.12 s in all.
"""  # measured by hand: where the sets that are missed are lost


class Clock:
    """Seconds spent, without those that scoring takes."""

    def __init__(self):
        self.begun, self.aside = time.perf_counter(), 0.0
        self.times: list[float] = []
        self.scores: list[float] = []

    def note(self, outputs, s) -> None:
        """Scores the test rows after an epoch; `outputs()` gives the outputs for them."""
        now = time.perf_counter()
        self.times.append(now - self.begun - self.aside)
        self.scores.append(score(np.asarray(outputs()), s["y_test"], bool(s["classes"])))
        self.aside += time.perf_counter() - now


def by_chainrule(s, seed: int, epochs: int, outputs: int) -> Clock:
    from chainrule import nn, optim, train

    clock = Clock()
    model = nn.MLP(s["x"].shape[1], HIDDEN, outputs, rng=seed)

    def seen(event):
        if event.kind == "epoch":
            clock.note(lambda: model(s["x_test"]), s)

    train.fit(
        model, (s["x"], s["y"]), loss="softmax_cross_entropy" if s["classes"] else "squared",
        epochs=epochs, batch_size=BATCH, optimizer=optim.Adam(model, STEP_SIZE), seed=seed,
        callbacks=seen, babysitter="off", progress="none",
    )  # fmt: skip
    return clock


def by_sklearn(s, seed: int, epochs: int, outputs: int) -> Clock:
    from sklearn.neural_network import MLPClassifier, MLPRegressor

    clock = Clock()
    options = dict(
        hidden_layer_sizes=HIDDEN, learning_rate_init=STEP_SIZE, alpha=0.0, random_state=seed,
        batch_size=min(BATCH, len(s["x"])),
    )  # fmt: skip
    model = (MLPClassifier if s["classes"] else MLPRegressor)(**options)
    y = s["y"] if s["classes"] or s["y"].shape[1] > 1 else s["y"][:, 0]
    for _ in range(epochs):
        known = {"classes": np.arange(outputs)} if s["classes"] else {}
        model.partial_fit(s["x"], y, **known)
        if s["classes"]:
            clock.note(lambda: model.predict_proba(s["x_test"]), s)
        else:
            clock.note(lambda: model.predict(s["x_test"]).reshape(len(s["x_test"]), -1), s)
    return clock


def by_torch(s, seed: int, epochs: int, outputs: int) -> Clock:
    import torch

    torch.set_num_threads(1)
    torch.manual_seed(seed)
    clock = Clock()
    sizes = [s["x"].shape[1], *HIDDEN, outputs]
    layers: list = []
    for n, m in pairwise(sizes):
        layers += [torch.nn.Linear(n, m), torch.nn.ReLU()]
    model = torch.nn.Sequential(*layers[:-1])
    rule = torch.optim.Adam(model.parameters(), STEP_SIZE)
    loss = torch.nn.CrossEntropyLoss() if s["classes"] else torch.nn.MSELoss()
    x, y, x_test = (torch.from_numpy(s[name]) for name in ("x", "y", "x_test"))
    batch = min(BATCH, len(x))
    for _ in range(epochs):
        rows = torch.randperm(len(x))
        for i in range(len(x) // batch):
            chosen = rows[i * batch : (i + 1) * batch]
            rule.zero_grad()
            loss(model(x[chosen]), y[chosen]).backward()
            rule.step()
        with torch.no_grad():
            clock.note(lambda: model(x_test).numpy(), s)
    return clock


WORKERS = {"chainrule": by_chainrule, "sklearn": by_sklearn, "torch": by_torch}


def work(library: str, file: str, seed: int, epochs: int) -> None:
    """What a process of its own does: prints times and scores."""
    warnings.simplefilter("ignore")
    sys.path[:0] = [str(ROOT / "src")]
    s = dict(np.load(file))
    outputs = int(s["y"].max()) + 1 if s["classes"] else s["y"].shape[1]
    clock = WORKERS[library](s, seed, epochs, outputs)
    print(json.dumps({"times": clock.times, "scores": clock.scores}))


def measured(library: str, python: str, file: Path, seed: int, epochs: int) -> dict:
    """A training in a process of its own, with nothing compiled before."""
    command = [python, __file__, "--worker", library, str(file), str(seed), str(epochs)]
    one = {name: "1" for name in ("OPENBLAS_NUM_THREADS", "OMP_NUM_THREADS", "MKL_NUM_THREADS")}
    done = subprocess.run(
        command, env=os.environ | one | {"CHAINRULE_CACHE": ""}, capture_output=True, text=True
    )
    if done.returncode:
        raise SystemExit(f"{library} failed:\n{done.stderr}")
    return json.loads(done.stdout.splitlines()[-1])


def without_options(s, seed: int) -> dict[str, float]:
    """The scores of the estimators as they come."""
    from sklearn.neural_network import MLPClassifier, MLPRegressor

    from chainrule.estimators import DeepClassifier, DeepRegressor

    kinds = (DeepClassifier, MLPClassifier) if s.task == "classification" else (
        DeepRegressor, MLPRegressor)  # fmt: skip
    found = {}
    for name, kind in zip(("chainrule", "sklearn"), kinds, strict=True):
        with warnings.catch_warnings():
            warnings.simplefilter("ignore")
            y = s.y if s.y.ndim == 1 or s.y.shape[1] > 1 else s.y[:, 0]
            model = kind(random_state=seed).fit(s.x, y)
            if s.task == "classification":
                outputs = model.predict_proba(s.x_test)
            else:
                outputs = model.predict(s.x_test).reshape(s.y_test.shape)
        found[name] = score(outputs, s.y_test, s.task == "classification")
    return found


def of_set(name: str, seeds: int, pythons: dict[str, str], steps: int) -> list[str]:
    """The two lines of the tables of a set."""
    from benchmarks.training.sets import split

    runs: dict[str, list[dict]] = {library: [] for library in pythons}
    plain: dict[str, list[float]] = {"chainrule": [], "sklearn": []}
    for seed in range(seeds):
        s = split(name, seed)
        if s.task == "regression":
            s = s._replace(y=s.y.reshape(len(s.y), -1), y_test=s.y_test.reshape(len(s.y_test), -1))
        epochs = max(1, round(steps / max(1, len(s.x) // BATCH)))
        with tempfile.TemporaryDirectory() as place:
            file = Path(place) / "set.npz"
            np.savez(file, x=s.x, y=s.y, x_test=s.x_test, y_test=s.y_test,
                     classes=s.task == "classification")  # fmt: skip
            for library, python in pythons.items():
                runs[library].append(measured(library, python, file, seed, epochs))
        for library, value in without_options(s, seed).items():
            plain[library].append(value)
    final = {library: [r["scores"][-1] for r in own] for library, own in runs.items()}
    goal = min(np.mean(final[p]) for p in PEERS if p in final)
    scores = " | ".join(_spread(final[p]) if p in final else "-" for p in WORKERS)
    times = " | ".join(_time(runs[p], goal) if p in runs else "-" for p in WORKERS)
    whole = " | ".join(
        f"{np.mean([r['times'][-1] for r in runs[p]]):.2f}" if p in runs else "-" for p in WORKERS
    )
    bare = " | ".join(_spread(plain[p]) for p in plain)
    return [f"| {name} | {scores} | {times} | {whole} |", f"| {name} | {bare} |"]


def _spread(values: list[float]) -> str:
    digits = 1 if max(map(abs, values)) > 10 else 3
    return f"{np.mean(values):.{digits}f} +- {np.std(values):.{digits}f}"


def _time(own: list[dict], goal: float) -> str:
    """Mean seconds to the goal, of the seeds that reach it, and how many do not."""
    reached = [
        next((t for t, v in zip(r["times"], r["scores"], strict=True) if v >= goal), None)
        for r in own
    ]
    there = [t for t in reached if t is not None]
    missed = len(reached) - len(there)
    if not there:
        return "never"
    return f"{np.mean(there):.2f}" + (f" ({missed} never)" if missed else "")


def page(lines: list[list[str]], seeds: int) -> str:
    three = " | ".join(("chainrule", "scikit-learn", "PyTorch"))
    return "\n".join([
        "# Accuracy beside scikit-learn and PyTorch", "",
        f"`benchmarks/training/accuracy.py` says how; {seeds} seeds, mean and deviation. Scores "
        "are per cent of test rows, or minus the root mean squared error of standardised "
        "targets.", "",
        "## The same network and budget", "",
        "Final scores; seconds to the smaller of the peers' mean scores; seconds of all epochs. "
        "Compilation is included.", "",
        f"| set | {three} | to it: {three} | all: {three} |", "|---" * 10 + "|",
        *(pair[0] for pair in lines), "", MADE_OF,
        "## Without options", "",
        "| set | chainrule | scikit-learn |", "|---|---|---|", *(pair[1] for pair in lines), "",
    ])  # fmt: skip


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__.splitlines()[0])
    parser.add_argument("--torch", default=sys.executable)
    parser.add_argument("--sets", nargs="*")
    parser.add_argument("--seeds", type=int, default=5)
    parser.add_argument("--quick", action="store_true", help="a tenth of the steps, and no page")
    parser.add_argument("--record", type=Path, default=ROOT / "build" / "accuracy.json")
    parser.add_argument("--worker", nargs=4)
    options = parser.parse_args()
    if options.worker:
        library, file, seed, epochs = options.worker
        return work(library, file, int(seed), int(epochs))
    sys.path[:0] = [str(ROOT), str(ROOT / "src")]
    from benchmarks.training.sets import CLASSIFICATION, REGRESSION

    pythons = {"chainrule": sys.executable, "sklearn": sys.executable, "torch": options.torch}
    probe = subprocess.run([options.torch, "-c", "import torch"], capture_output=True)
    if probe.returncode:
        print("no PyTorch in this environment: its column is left out")
        del pythons["torch"]
    names = options.sets or CLASSIFICATION + REGRESSION
    compileall.compile_dir(ROOT / "src", quiet=1)  # as pip does for packages that it installs
    known = json.loads(options.record.read_text()) if options.record.exists() else {}
    for name in names:
        if name not in known:
            steps = STEPS // 10 if options.quick else STEPS
            known[name] = of_set(name, options.seeds, pythons, steps)
            options.record.parent.mkdir(parents=True, exist_ok=True)
            options.record.write_text(json.dumps(known))
        print(*known[name], sep="\n", flush=True)
    if not options.quick and set(CLASSIFICATION + REGRESSION) <= set(known):
        lines = [known[name] for name in CLASSIFICATION + REGRESSION]
        (ROOT / "benchmarks" / "results" / "accuracy.md").write_text(page(lines, options.seeds))


if __name__ == "__main__":
    main()
