"""The rows of a stretch, gathered into arrays of one size, whatever the number of rows of the data.

Compiled code is made for the shapes of its arguments. With arrays of a size that depends on model
and batch alone, a training on one row more, as in the folds of a cross-validation, compiles
nothing. Copying the rows costs a few per cent of the steps on them. Where the rows of a stretch are
large, as those of photographs are, they are read in place instead; where data are on disk or
augmented, they are gathered in any case.
"""

from __future__ import annotations

from typing import Any, NamedTuple

import numpy as np

LARGEST = 1 << 25  # bytes of inputs of a stretch, up to which they are copied


class Rows(NamedTuple):
    """What steps read: inputs, targets, weights, and the minibatches as rows of these."""

    inputs: np.ndarray
    targets: np.ndarray | None
    weights: np.ndarray | None
    batches: np.ndarray


class Gathering:
    """Gathers rows of data into the same arrays again and again.

    `rows` is the most that one call needs.
    """

    def __init__(self, rows: int):
        self.rows = rows
        self.inputs = self.targets = self.weights = np.zeros(0)

    def of(self, data: Any, batches: np.ndarray, epoch: int = 0) -> Rows:
        """The rows that minibatches (steps, ..., rows) name; the next call overwrites them."""
        if data.streamed:
            data, batches = data.gather(batches, epoch)
            count = len(data)
            chosen = np.arange(count)
        elif data.inputs[:1].nbytes * self.rows > LARGEST:
            return Rows(data.inputs, data.targets, data.sample_weights, batches)
        else:
            chosen = batches.reshape(-1)
            batches = np.arange(len(chosen)).reshape(batches.shape)
        self.inputs = self._taken(self.inputs, data.inputs, chosen)
        targets = weights = None
        if data.targets is not None:
            targets = self.targets = self._taken(self.targets, data.targets, chosen)
        if data.sample_weights is not None:
            weights = self.weights = self._taken(self.weights, data.sample_weights, chosen)
        return Rows(self.inputs, targets, weights, batches)

    def _taken(self, into: np.ndarray, array: np.ndarray, chosen: np.ndarray) -> np.ndarray:
        """The rows of an array at the beginning of another one, which is made where it is unfit."""
        shape = (max(self.rows, len(chosen)), *array.shape[1:])
        if into.shape != shape or into.dtype != array.dtype:
            into = np.zeros(shape, array.dtype)
        np.take(array, chosen, axis=0, out=into[: len(chosen)], mode="clip")
        return into
