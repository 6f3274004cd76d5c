"""The bundled data sets as arrays to train and to test on, split again and again from seeds."""

from __future__ import annotations

from typing import Any, NamedTuple

import numpy as np

from chainrule import data

CLASSIFICATION = ("digits", "breast_cancer", "wine", "iris", "mnist_5k")
REGRESSION = ("diabetes", "linnerud", "auto_mpg")


class Split(NamedTuple):
    """Inputs (N, C) of float32, prepared by what the rows to train on say, and their targets."""

    task: str
    x: np.ndarray
    y: np.ndarray
    x_test: np.ndarray
    y_test: np.ndarray


def split(name: str, seed: int, share: float = 0.2) -> Split:
    """A bundled set with a share of its rows set aside to test, the classes in equal shares."""
    table, info = _table(name)
    whole = data.Preparation.fitted(table, target=info["target"], ignore=info["ignore"])
    targets = whole.targets(table)
    classes = whole.task == "classification"
    train, test = data.split(targets if classes else len(table), share=share, seed=seed)
    made = data.Preparation.fitted(
        table[train], target=info["target"], ignore=info["ignore"], standardize_target=True
    )
    parts = [made.inputs(table[rows]).reshape(len(rows), -1) for rows in (train, test)]
    return Split(made.task, parts[0], targets[train], parts[1], targets[test])


_TABLES: dict[str, Any] = {}


def _table(name: str):
    if name not in _TABLES:
        _TABLES[name] = data.load(name)
    return _TABLES[name]
