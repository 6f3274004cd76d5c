"""Five real data sets, a network for each, and options with which it trains well.

Half of the rows are for training (a fifth of them for validation), half for the test. The weights
with the least validation loss are kept. Wine has too few rows for a validation set: the last
weights are. Small sets are trained with a penalty, and longer, until networks that start from other
weights score alike: to within a point or so, where else the five wine scores of one split lay seven
points apart.
"""

from __future__ import annotations

from dataclasses import dataclass
from typing import Any

import numpy as np

from chainrule import data, nn, train


@dataclass(frozen=True)
class Case:
    """A data set, the network for it, and how that is trained."""

    name: str
    hidden: tuple[int, ...]
    epochs: int
    batch_size: int
    step_sizes: dict[str, float]  # by optimizer
    l2: float = 0.0
    validation: float | None = 0.2

    @property
    def loss(self) -> str:
        """The loss that fits the targets."""
        return "squared" if self.name in ("auto_mpg", "diabetes") else "softmax_cross_entropy"


CASES = (
    Case("digits", (64, 64), 30, 32, {"adam": 1e-3, "heavyball": 1e-2}),
    Case("mnist_5k", (64, 64), 12, 32, {"adam": 1e-3, "heavyball": 1e-2}),
    Case("breast_cancer", (32, 32), 50, 32, {"adam": 1e-3, "heavyball": 1e-2}, 0.03),
    Case("wine", (128,), 60, 16, {"adam": 2e-3, "heavyball": 1e-2}, 0.03, None),
    Case("auto_mpg", (32, 32), 80, 16, {"adam": 1e-3, "heavyball": 3e-3}, 0.03),
)

Pair = tuple[np.ndarray, np.ndarray]


def halves(case: Case, seed: int) -> tuple[Pair, Pair]:
    """(inputs, targets) to train on and to test on, prepared by the training half."""
    table, info = data.load(case.name)
    rows, others = data.split(len(table), share=0.5, seed=seed)
    if isinstance(table, data.Arrays):  # images
        x = table.inputs.reshape(len(table), -1)
        x = ((x - x[rows].mean()) / x[rows].std()).astype(np.float32)
        return (x[rows], table.targets[rows]), (x[others], table.targets[others])
    preparation = data.Preparation.fitted(table[rows], target=info["target"])
    both = [
        (preparation.inputs(table[part]), preparation.targets(table[part]))
        for part in (rows, others)
    ]
    return both[0], both[1]


def network(case: Case, pair: Pair, seed: int, **options: Any) -> nn.MLP:
    """The case's network, its weights drawn from the seed."""
    outputs = 1 if case.loss == "squared" else int(pair[1].max()) + 1
    return nn.MLP(pair[0].shape[1], case.hidden, outputs, rng=seed, **options)


def fitted(case: Case, model: nn.Module, pair: Pair, seed: int, **options: Any) -> train.History:
    """Trains the model as the case says, unless options say otherwise."""
    optimizer = options.pop("optimizer", "adam")
    chosen: dict[str, Any] = {
        "loss": case.loss, "validation": case.validation, "epochs": case.epochs,
        "batch_size": case.batch_size, "step_size": case.step_sizes.get(optimizer),
        "early_stopping": {"patience": case.epochs} if case.validation else None,
        "optimizer": {"name": optimizer, "l2": case.l2}, "seed": seed, "progress": "none",
    }  # fmt: skip
    return train.fit(model, pair, **{**chosen, **options})


def score(case: Case, model: nn.Module, pair: Pair) -> float:
    """Accuracy in per cent, or 100 R^2."""
    outputs, targets = model(pair[0]), pair[1]
    if case.loss == "squared":
        residuals = outputs[:, 0] - targets.ravel()
        return float(100 * (1 - np.mean(residuals**2) / np.var(targets)))
    return float(100 * np.mean(outputs.argmax(axis=1) == targets))
