"""Defaults beside the best of 50 random trials, on each bundled classification set.

    python -m benchmarks.training.defaults [--minutes 3] [--sets digits wine] [--trials 50]

For each set and each of its splits (a fifth of the rows to test, a fifth of the others to
validate): `DeepClassifier` without options, as `chainrule fit` trains, and 50 trials drawn from
`SPACE`, the same for all splits. All train on the same rows. In each split the trial of the largest
accuracy on the validation rows (the least validation loss where several have it) is *the best of
50*, and it alone is scored on the test rows, as the default is. Shown are the means over the
splits, and the standard error of the difference, from the differences of the splits.

The work goes on where it stopped, after so many minutes, from the lines in `--record`; the table
of what is there is written to benchmarks/results/defaults.md.
"""

from __future__ import annotations

import argparse
import json
import time
from pathlib import Path

import numpy as np

from benchmarks.training.sets import CLASSIFICATION, split
from chainrule import data
from chainrule.estimators import DeepClassifier

ROOT = Path(__file__).parents[2]

# A difference of one test row is 2.8 % on wine, 3.3 % on iris: hence the splits.
SPLITS = {"digits": 3, "breast_cancer": 5, "wine": 5, "iris": 5, "mnist_5k": 2}
SPACE = {
    "hidden": [(32,), (128,), (256,), (64, 64), (128, 128), (256, 256), (128, 128, 128)],
    "activation": ["relu", "tanh", "gelu"],
    "batch_norm": [False, True],
    "dropout": [0.0, 0.1, 0.2, 0.5],
    "optimizer": ["AdamW", "Nesterov"],
    "step_size": (1e-4, 3e-2),  # uniform on a logarithmic scale; ten times that for Nesterov
    "schedule": ["constant", "cosine"],
    "batch_size": [16, 32, 64],
    "decay": (1e-4, 1.0),  # uniform on a logarithmic scale
    "steps": [500, 1000, 2000],  # as many epochs as come nearest, at most 500
}


def drawn(trial: int) -> dict:
    """The options of a trial."""
    rng = np.random.default_rng([2024, trial])
    found = {}
    for name, values in SPACE.items():
        if isinstance(values, tuple):
            found[name] = float(np.exp(rng.uniform(*np.log(values))))
        else:
            found[name] = values[int(rng.integers(len(values)))]
    found["step_size"] *= 10 if found["optimizer"] == "Nesterov" else 1
    return found


def options_of(trial: int, rows: int) -> dict:
    """What the estimator takes for a trial (-1: the default) on so many rows."""
    if trial < 0:
        return {"babysitter": "act"} if trial == -2 else {}
    options = drawn(trial)
    steps = options.pop("steps")
    return options | {
        "epochs": min(500, max(1, round(steps / (rows // options["batch_size"] or 1))))
    }


def scored(name: str, seed: int, trial: int) -> dict:
    """One training: accuracies, and the validation loss."""
    whole = split(name, seed)
    own, held = data.split(whole.y, share=0.2, seed=seed)
    options = options_of(trial, len(own))
    model = DeepClassifier(**options, standardize=False, random_state=seed)
    begun = time.perf_counter()
    model.fit(whole.x[own], whole.y[own])
    seconds = time.perf_counter() - begun
    logs = model.predict_log_proba(whole.x[held])
    loss = -float(np.mean(logs[np.arange(len(held)), whole.y[held]]))
    return {
        "set": name, "split": seed, "trial": trial, "seconds": round(seconds, 3),
        "validation": model.score(whole.x[held], whole.y[held]), "loss": loss,
        "test": model.score(whole.x_test, whole.y_test),
    }  # fmt: skip


def best(records: list[dict]) -> dict:
    """The trial that the validation rows choose."""
    return max(records, key=lambda r: (r["validation"], -r["loss"]))


def row(name: str, records: list[dict]) -> str:
    """A line of the table, of the trials that were made on all splits."""
    seeds = sorted({r["split"] for r in records})
    by_split = [{r["trial"]: r for r in records if r["split"] == seed} for seed in seeds]
    trials = set.intersection(*(set(own) for own in by_split))
    if not {-1, -2} < trials:
        return f"| {name} | {len(seeds)} | 0 | - | - | - | - |"
    tops = [best([own[t] for t in trials if t >= 0]) for own in by_split]
    default, watched, top = (
        np.array([r["test"] for r in found])
        for found in ([own[-1] for own in by_split], [own[-2] for own in by_split], tops)
    )
    apart = default - top
    error = apart.std(ddof=1) / np.sqrt(len(apart))
    return (
        f"| {name} | {len(seeds)} | {len(trials) - 2} | {100 * default.mean():.2f} | "
        f"{100 * watched.mean():.2f} | {100 * top.mean():.2f} | "
        f"{100 * apart.mean():+.2f} +- {100 * error:.2f} |"
    )


def page(records: list[dict], names: list[str]) -> str:
    lines = [
        "# Defaults beside random search", "",
        "Test accuracy in per cent, means over the splits; `benchmarks/training/defaults.py` says "
        'how. *babysat* is the default with babysitter="act", as the command line trains; *trials* '
        "are those made so far, of 50.", "",
        "| set | splits | trials | default | babysat | best of the trials | difference |",
        "|---|---|---|---|---|---|---|",
        *(row(name, [r for r in records if r["set"] == name]) for name in names), "",
        "The space that the trials are drawn from:", "",
        *(f"- {name}: {_said(values)}" for name, values in SPACE.items()), "",
    ]  # fmt: skip
    return "\n".join(lines)


def _said(values) -> str:
    if isinstance(values, tuple):
        return f"from {values[0]:g} to {values[1]:g}, uniform on a logarithmic scale"
    return ", ".join(str(v) for v in values)


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__.splitlines()[0])
    parser.add_argument("--minutes", type=float, default=3.0)
    parser.add_argument("--sets", nargs="*", default=list(CLASSIFICATION))
    parser.add_argument("--trials", type=int, default=50)
    parser.add_argument("--record", type=Path, default=ROOT / "build" / "defaults.jsonl")
    options = parser.parse_args()
    options.record.parent.mkdir(parents=True, exist_ok=True)
    text = options.record.read_text() if options.record.exists() else ""
    records = [json.loads(line) for line in text.splitlines()]
    known = {(r["set"], r["split"], r["trial"]) for r in records}
    end = time.monotonic() + 60 * options.minutes
    todo = [
        (name, seed, trial) for name in options.sets for trial in range(-2, options.trials)
        for seed in range(SPLITS[name])
    ]  # fmt: skip
    for piece in todo:
        if piece in known:
            continue
        if time.monotonic() > end:
            print(f"{len(known & set(todo))} of {len(todo)} trainings; run again to go on")
            break
        records.append(scored(*piece))
        known.add(piece)
        with options.record.open("a") as file:
            file.write(json.dumps(records[-1]) + "\n")
    found = page([r for r in records if r["trial"] < options.trials], options.sets)
    print(found)
    if set(options.sets) == set(CLASSIFICATION):
        (ROOT / "benchmarks" / "results" / "defaults.md").write_text(found)


if __name__ == "__main__":
    main()
