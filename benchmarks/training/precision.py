"""Mixed precision beside float32: scores on the bundled sets, and the loss scale's course.

    python -m benchmarks.training.precision [SETS...]   writes benchmarks/results/precision.md

Each set is split, prepared and trained by the recipe for its size, five times, with five seeds, in
float32 and in float16 from the same initial weights. The score is the accuracy on test rows in per
cent, or 100 R2.
"""

from __future__ import annotations

import json
import sys
from pathlib import Path
from typing import Any

import numpy as np

from chainrule import data, train
from chainrule.train.evaluation import predict
from chainrule.train.metrics import METRICS
from chainrule.train.recipe import network, recipe

RESULTS = Path("benchmarks/results")
SETS = ("digits", "breast_cancer", "wine", "iris", "mnist_5k", "diabetes", "auto_mpg")
SEEDS = range(5)
OPTIONS = ("loss", "epochs", "batch_size", "schedule", "step_size")


def measured(name: str, seed: int) -> dict[str, Any]:
    """The scores of both precisions on one split, and what the loss scale did."""
    table, info = data.load(name)
    own, other = data.split(_targets(table, info), share=0.2, seed=seed)
    preparation = data.Preparation.fitted(table[own], target=info["target"])
    parts = [(preparation.inputs(table[r]), preparation.targets(table[r])) for r in (own, other)]
    (x, y), (x_test, y_test) = parts
    classes = preparation.task == "classification"
    outputs = len(preparation.labels) if classes else 1
    plan = recipe(preparation.task, len(x), x.shape[1], outputs)
    found: dict[str, Any] = {"set": name, "seed": seed}
    metric = METRICS["accuracy" if classes else "r2"].value
    for precision in ("float32", "float16"):
        model = network(plan["model"], x.shape[1], outputs, rng=seed)
        options = {k: plan["fit"][k] for k in OPTIONS}
        optimizer = {"name": plan["fit"]["optimizer"], "decay": plan["fit"]["decay"]}
        history = train.fit(model, (x, y), optimizer=optimizer, precision=precision, seed=seed,
                            progress="none", **options)  # fmt: skip
        found[precision] = 100 * metric(predict(model, x_test, precision=precision), y_test)
    found["scales"] = history.loss_scales
    return found


def _targets(table, info):
    """What the split is stratified by: classes, or the number of rows."""
    if info["task"] != "classification":
        return len(table)
    preparation = data.Preparation.fitted(table, target=info["target"])
    return preparation.targets(table)


def report(found: list[dict[str, Any]]) -> str:
    """The table of means, differences, and loss scales."""
    lines = [
        "# Mixed precision",
        "",
        "Made by `python -m benchmarks.training.precision`. Test accuracy in per cent, or 100 R2; "
        "mean of five splits and seeds, in brackets the standard deviation.",
        "",
        "| set | float32 | float16 | difference of means | loss scale: first, last, overflows |",
        "|---|---|---|---|---|",
    ]
    for name in dict.fromkeys(f["set"] for f in found):
        rows = [f for f in found if f["set"] == name]
        scores = {p: np.array([f[p] for f in rows]) for p in ("float32", "float16")}
        difference = scores["float16"].mean() - scores["float32"].mean()
        scales = rows[0]["scales"]
        lines.append(
            f"| {name} | {_said(scores['float32'])} | {_said(scores['float16'])} "
            f"| {difference:+.2f} | {scales[0]['scale']:g}, {scales[-1]['scale']:g}, "
            f"{scales[-1]['overflows']} |"
        )
    return "\n".join(lines) + "\n"


def _said(scores: np.ndarray) -> str:
    return f"{scores.mean():.2f} ({scores.std(ddof=1):.2f})"


def main() -> None:
    kept = RESULTS / "precision.json"
    found = json.loads(kept.read_text()) if kept.exists() else []
    for name in sys.argv[1:] or SETS:
        found = [f for f in found if f["set"] != name]
        for seed in SEEDS:
            found.append(measured(name, seed))
            print({k: v for k, v in found[-1].items() if k != "scales"}, flush=True)
        kept.write_text(json.dumps(found, indent=1) + "\n")
        (RESULTS / "precision.md").write_text(report(found))


if __name__ == "__main__":
    main()
