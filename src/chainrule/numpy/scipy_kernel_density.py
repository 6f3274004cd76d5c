"""scipy.stats.gaussian_kde on traced data and at traced points.

SciPy evaluates it by compiled code. While a trace is open, where the data, the weights or the
points are traced,

    log p(x) = logsumexp_i(log w_i - |L^-1 (x - x_i)|^2 / 2) - sum_j log(sqrt(2 pi) L_jj)

with L the Cholesky factor of the kernel's covariance, which SciPy's own code works out.
"""

from __future__ import annotations

import functools
import sys
from collections.abc import Callable
from importlib import import_module
from typing import Any

import numpy as np

from chainrule.numpy.promotion import contains_traced


def replacements() -> list[tuple[Any, str, Callable, Callable]]:
    """The class, names of methods, these, and those to put in their place; none where scipy.stats
    is not loaded."""
    module: Any = sys.modules.get("scipy.stats._kde")
    cls = getattr(module, "gaussian_kde", None)
    if cls is None:
        return []
    found = []
    for name, finish in (("evaluate", np.exp), ("__call__", np.exp), ("logpdf", np.positive)):
        original = vars(cls)[name]
        found.append((cls, name, original, _evaluating(original, finish)))
    return found


@functools.lru_cache(maxsize=8)
def _evaluating(original: Callable, finish: Callable) -> Callable:
    @functools.wraps(original)
    def evaluate(self, points):
        if not contains_traced([points, self.dataset, self.weights, self.cho_cov]):
            return original(self, points)
        return finish(_log_density(self, points))

    return evaluate


def _log_density(of, points):
    points = np.atleast_2d(np.asarray(points))
    if points.shape[0] != of.d:
        if points.shape != (1, of.d):
            raise ValueError(
                f"points have dimension {points.shape[0]}, dataset has dimension {of.d}"
            )
        points = points.reshape(of.d, 1)
    root = np.asarray(of.cho_cov)
    data, at = np.linalg.solve(root, of.dataset), np.linalg.solve(root, points)
    apart = np.sum((data[:, :, None] - at[:, None, :]) ** 2, axis=0)
    logsumexp = import_module("scipy.special").logsumexp
    joined = logsumexp(-apart / 2, axis=0, b=np.asarray(of.weights)[:, None])
    return joined - np.sum(np.log(np.diag(root) * np.sqrt(2 * np.pi)))
