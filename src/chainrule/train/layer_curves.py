"""What is noted of each layer, once an epoch, for the curves of the report and of TensorBoard."""

from __future__ import annotations

from collections.abc import Sequence

import numpy as np

from chainrule.nn.module import Leaf
from chainrule.train.babysitter import Stretch

NORM, RATIO = "gradient_norm/", "update_ratio/"  # before the path of an array of weights


def by_weights(arrays: Sequence[Leaf], report: Stretch) -> dict[str, float]:
    """The mean gradient norm and |step| / |weights| over a stretch, of each array of weights.

    `arrays` are those of the model, `leaves(model)`. Weights are parameters of two axes or more:
    vectors are biases, scales and shifts.

    >>> from chainrule import nn
    >>> from chainrule.nn.module import leaves
    >>> ones = np.ones((5, 2))
    >>> by_weights(leaves(nn.Linear(3, 2)), Stretch(0, np.ones(5), 2 * ones, 0.1 * ones, 0.01))
    {'gradient_norm/weight': 2.0, 'update_ratio/weight': 0.1}
    """
    with np.errstate(all="ignore"):
        norms = report.gradient_norms.mean(axis=0, dtype=np.float64)
        ratios = report.update_ratios.mean(axis=0, dtype=np.float64)
    learned = [leaf for leaf in arrays if leaf.learned]
    weights = [(k, leaf.path) for k, leaf in enumerate(learned) if leaf.array.ndim > 1]
    return {NORM + path: float(norms[k]) for k, path in weights} | {
        RATIO + path: float(ratios[k]) for k, path in weights
    }
