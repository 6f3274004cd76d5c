"""How good a model's outputs are, in the units of the table."""

from __future__ import annotations

import math
from typing import Any

import numpy as np

from chainrule import data
from chainrule.train import metrics

CLASSIFICATION = ("accuracy", "f1", "auc", "log_loss")
LABELS = ("exact_match", "hamming_loss", "label_f1", "label_auc", "label_log_loss")
REGRESSION = ("rmse", "mae", "r2")


def figures(outputs, targets, preparation: data.Preparation) -> dict[str, Any]:
    """The metrics of the task, the number of rows, and what the simplest answer would reach.

    That answer is always the most frequent class of these rows, their most frequent set of labels
    (of the Hamming loss: the more frequent value of each label), or their mean.

    **Shapes** outputs (N, K) scores or (N,), (N, 1) numbers; targets (N,), or both (N, K).
    """
    if preparation.task == "multilabel":
        return _of_labels(outputs, targets)
    if preparation.task == "classification":
        found = {name: metrics.METRICS[name].value(outputs, targets) for name in CLASSIFICATION}
        counts = np.bincount(targets, minlength=outputs.shape[1])
        return {
            "rows": len(targets),
            **found,
            "majority_accuracy": float(counts.max() / len(targets)),
        }
    guesses = preparation.target_back(outputs.reshape(targets.shape))
    truth = preparation.target_back(targets)
    found = {name: metrics.METRICS[name].value(guesses, truth) for name in REGRESSION}
    constant = np.broadcast_to(truth.mean(axis=0), truth.shape)
    return {"rows": len(targets), **found, "mean_rmse": metrics.rmse(constant, truth)}


def _of_labels(outputs: np.ndarray, targets: np.ndarray) -> dict[str, Any]:
    found = {name: metrics.METRICS[name].value(outputs, targets) for name in LABELS}
    held = targets > 0
    _, counts = np.unique(held, axis=0, return_counts=True)
    share = held.mean(axis=0)
    return {
        "rows": len(targets), **found, "majority_exact_match": float(counts.max() / len(targets)),
        "majority_hamming_loss": float(np.minimum(share, 1 - share).mean()),
    }  # fmt: skip


def headline(figures: dict) -> str:
    """The figures in a line.

    >>> headline({"rows": 450, "accuracy": 0.98, "majority_accuracy": 0.1, "log_loss": 0.07})
    'accuracy 98.00 % on 450 rows (always the most frequent class: 10.00 %)'
    >>> headline({"rows": 2, "rmse": 0.5, "mean_rmse": 0.0, "r2": float("nan")}).split(", ")[1]
    'no r2: a target is the same in all of them'
    """
    rows = figures["rows"]
    if "exact_match" in figures:
        names = ("exact_match", "hamming_loss", "majority_exact_match", "majority_hamming_loss")
        exact, wrong, *same = (f"{100 * figures[name]:.2f} %" for name in names)
        return (
            f"all labels right in {exact} of {rows} rows, {wrong} of the labels wrong "
            f"(always the most frequent: {', '.join(same)})"
        )
    if "accuracy" in figures:
        usual = f"always the most frequent class: {100 * figures['majority_accuracy']:.2f} %"
        return f"accuracy {100 * figures['accuracy']:.2f} % on {rows} rows ({usual})"
    usual = f"always their mean: {figures['mean_rmse']:.6g}"
    r2 = f"r2 {figures['r2']:.4f}"
    if math.isnan(figures["r2"]) and not math.isnan(figures["rmse"]):
        r2 = "no r2: a target is the same in all of them"
    return f"root mean squared error {figures['rmse']:.6g} on {rows} rows ({usual}), {r2}"
