"""How far the targets of batches are from their middle, beside what is usual.

Of targets with a long tail, such as claims, a batch with one of the largest has a loss far above
all others, without a fault.
"""

from __future__ import annotations

from functools import cached_property
from typing import Any

import numpy as np

SAMPLE = 1024  # rows


class Spread:
    """The targets' middle and the usual distance of a batch of `rows` rows; real targets only.

    >>> spread = Spread(np.array([0.0, 1.0, 2.0, 1.0, 0.0, 60.0]), rows=2)
    >>> spread.beside_usual(np.array([[0, 1], [4, 5]])).round().tolist()
    [1.0, 3482.0]
    """

    def __init__(self, targets: Any, rows: int):
        self.targets, self.rows = targets, rows
        self.real = targets is not None and np.asarray(targets[:1]).dtype.kind == "f"

    def beside_usual(self, batches: np.ndarray) -> np.ndarray:
        """Mean squared distances of batches (k, ..., rows) from the middle, over the usual one."""
        if not self.real:
            return np.ones(len(batches))
        middle, usual = self._usual
        found = _distances(self.targets[batches.reshape(-1)], middle).reshape(len(batches), -1)
        with np.errstate(all="ignore"):
            return found.mean(axis=1) / usual

    @cached_property
    def _usual(self) -> tuple[np.ndarray, float]:
        sample = self.targets[:: max(1, len(self.targets) // SAMPLE)]
        middle = np.median(np.asarray(sample, np.float64), axis=0)
        each = _distances(sample, middle)
        rows = min(self.rows, len(each))
        whole = each[: len(each) // rows * rows].reshape(-1, rows)
        return middle, float(np.median(whole.mean(axis=1)))


def _distances(targets: Any, middle: np.ndarray) -> np.ndarray:
    """(N,): the squares of the distances, of all outputs."""
    with np.errstate(all="ignore"):
        return np.square(np.asarray(targets, np.float64) - middle).reshape(len(targets), -1).sum(1)
