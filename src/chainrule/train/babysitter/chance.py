"""What a classifier reaches that looks at no input: the perplexity to compare a network's with."""

from __future__ import annotations

from typing import Any

import numpy as np


def chance_loss(loss: Any, data: Any, rows: np.ndarray | None = None) -> float | None:
    """The least loss of outputs that are the same for every row, in nats: the entropy of the
    targets. None where the loss is no log-likelihood of classes, or has options other than the
    weights of the logistic loss.

    `data` is an `Arrays`, `rows` those of it that are trained on (None: all).

    >>> from chainrule.data import Arrays
    >>> x, y = np.zeros((4, 1)), np.array([0, 1, 2, 3])
    >>> bool(np.exp(chance_loss("softmax_cross_entropy", Arrays(x, y))).round(12) == 4)
    True
    """
    options = dict(loss) if isinstance(loss, dict) else {"name": loss}
    name = options.pop("name", None)
    values = options.pop("class_weights", None) if name == "logistic" else None
    if options or not isinstance(name, str) or name not in _SHARES or data.targets is None:
        return None
    chosen = slice(None) if rows is None else rows
    weights = [w[chosen] for w in (data.sample_weights, data.frequencies) if w is not None]
    weight = np.prod(np.asarray(weights, np.float64), axis=0) if weights else None
    shares = _SHARES[name](np.asarray(data.targets)[chosen], weight)
    if values is not None:  # (..., 2), of -1 and 1; the shares begin with that of 1
        shares = shares * np.moveaxis(np.asarray(values, np.float64), -1, 0)[::-1]
    part = shares / shares.sum(axis=0)
    return float(-np.sum(shares * np.log(np.where(part > 0, part, 1.0))))


def _of_classes(targets: np.ndarray, weight: np.ndarray | None) -> np.ndarray:
    if weight is not None:  # of examples, for each of their pixels or tokens
        weight = np.repeat(weight, targets[0].size)
    count = np.bincount(targets.reshape(-1), weight)
    return count / count.sum()


def _of_two(targets: np.ndarray, weight: np.ndarray | None) -> np.ndarray:
    """Of probabilities (N,) or (N, outputs), each a choice of two."""
    second = np.average(targets.astype(np.float64), axis=0, weights=weight)
    return np.stack([second, 1 - second])


def _of_signs(targets: np.ndarray, weight: np.ndarray | None) -> np.ndarray:
    return _of_two(targets > 0, weight)


_SHARES = {
    "softmax_cross_entropy": _of_classes, "binary_cross_entropy": _of_two, "logistic": _of_signs,
}  # fmt: skip
