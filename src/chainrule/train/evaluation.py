"""Scores of all rows by compiled inference, and what they are worth."""

from __future__ import annotations

from collections.abc import Callable, Mapping
from functools import lru_cache
from typing import Any

import numpy as np

from chainrule.compiled import compile
from chainrule.train.precision import half, half_input

ROWS = 256  # rows of one call, unless said otherwise


@lru_cache(maxsize=2)
def _inference(halved: bool) -> Callable:
    @compile(stabilize=False)
    def scores(model, x):
        return half(model)(half_input(x)).astype(np.float32) if halved else model(x)

    return scores


def predict(model, inputs, *, batch_size: int = ROWS, precision: str = "float32") -> np.ndarray:
    """The model's outputs for all rows of `inputs`, batch by batch, as one array.

    A last batch that is not full is filled up with its first row, whose outputs are left out, so
    that one compiled function serves all batches (a model in inference treats rows one by one).

    **Shapes** inputs (N, ...) -> (N, ...). **Cost** memory for `batch_size` rows, besides the
    result; a memory-map is read batch by batch.

    >>> from chainrule import nn
    >>> predict(nn.Linear(3, 2, rng=0), np.ones((5, 3), np.float32)).shape
    (5, 2)
    """
    scores = _inference(precision == "float16")
    parts = []
    for start in range(0, len(inputs), batch_size):
        batch = np.ascontiguousarray(inputs[start : start + batch_size])
        rows = len(batch)
        if rows < batch_size:
            batch = np.concatenate([batch, np.repeat(batch[:1], batch_size - rows, axis=0)])
        parts.append(np.array(scores(model, batch)[:rows]))
    if not parts:
        raise ValueError("predict needs at least one row.")
    return np.concatenate(parts)


def evaluated(
    model, data, *, loss: Callable | None = None, metrics: Mapping[str, Callable] | None = None,
    batch_size: int = ROWS, precision: str = "float32",
) -> dict[str, float]:  # fmt: skip
    """The loss and the metrics on all rows of `data.Arrays` that fit the model, by name."""
    outputs = predict(model, data.inputs, batch_size=batch_size, precision=precision)
    targets = data.inputs if data.targets is None else data.targets
    weights = data.sample_weights
    found: dict[str, float] = {}
    if loss is not None:
        found["loss"] = loss_of(loss, outputs, targets, weights)
    for name, metric in (metrics or {}).items():
        found[name] = float(metric(outputs, np.asarray(targets), weights))
    return found


def loss_of(loss: Callable, outputs: np.ndarray, targets: Any, weights: Any = None) -> float:
    """The loss of all rows at once, in float64; nan and infinities pass without a warning."""
    options = {} if weights is None else {"sample_weights": weights.astype(np.float64)}
    with np.errstate(all="ignore"):
        return float(loss(outputs.astype(np.float64), np.asarray(targets), **options))
