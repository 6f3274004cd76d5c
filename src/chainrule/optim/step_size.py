"""Finding a step size: the Bottou trick, and the range test.

Source    Bottou, "Stochastic gradient descent tricks", 2012, section 4.3; Smith, "Cyclical learning
          rates", WACV 2017, for the range test. The search by factors and then by bisection on a
          logarithmic scale is ours.
"""

from __future__ import annotations

from collections.abc import Callable
from typing import Any

import numpy as np

from chainrule import random

Try = Callable[[float, np.ndarray], float]  # (step size, sample's rows) -> loss after training


def bottou(
    attempt: Try, rows: int, *, share: float = 0.05, start: float = 0.1, factor: float = 10.0,
    halvings: int = 3, seed: int = 0,
) -> tuple[float, list[tuple[float, float]]]:  # fmt: skip
    """The step size that works best on a small sample, and the trials: (step size, loss) pairs.

    `attempt(step_size, sample)` trains a *copy* of the state on the sample (numbers of rows, 5 % of
    them by default) and gives the loss after it; nan and infinities count as failures. Step sizes
    go up or down by `factor` while the loss gets better; then the interval around the best one is
    halved, on a logarithmic scale, `halvings` times on each side. The step size found is then used
    as it is, or slowly decreased by a schedule.

    **Errors** `ValueError` where no step size tried gives a finite loss.

    >>> bottou(lambda size, sample: (np.log10(size) + 2) ** 2, 100)[0]
    0.01
    """
    if not 0 < share <= 1:
        raise ValueError(f"share is a part of the rows, in (0, 1], got {share!r}.")
    count = max(1, round(share * rows))
    sample = np.sort(random.default_rng(seed).permutation(rows)[:count])
    trials: dict[float, float] = {}

    def loss(size: float) -> float:
        if size not in trials:
            found = float(attempt(size, sample))
            trials[size] = found if np.isfinite(found) else np.inf
        return trials[size]

    best = _by_factors(loss, start, factor)
    if not np.isfinite(loss(best)):
        raise ValueError(
            f"no step size between {min(trials):g} and {max(trials):g} gives a finite loss: look "
            "for nan or infinities in the data, or for initial weights that are far too large."
        )
    step = factor
    for _ in range(halvings):
        step = float(np.sqrt(step))
        best = min((best, best / step, best * step), key=loss)
    return best, sorted(trials.items())


def _by_factors(loss: Callable[[float], float], start: float, factor: float) -> float:
    best = start
    up = loss(start * factor) < loss(start)
    for _ in range(12):
        following = best * factor if up else best / factor
        if not loss(following) < loss(best) and np.isfinite(loss(best)):
            break
        best = following
    return best


def range_test(
    run: Callable[[float], float], *, low: float = 1e-6, high: float = 10.0, steps: int = 100,
    smoothing: float = 0.9, stop_at: float = 4.0,
) -> tuple[float, list[tuple[float, float]]]:  # fmt: skip
    """The step size at which the loss falls fastest, and the curve: (step size, smoothed loss).

    `run(step_size)` makes one step on the next batch, on a copy of the state, and gives the loss.
    The step size rises from `low` to `high` in `steps` equal factors; the test ends where the
    smoothed loss is `stop_at` times its least, or not finite.

    **Errors** `ValueError` where fewer than three steps gave a finite loss.
    """
    curve: list[tuple[float, float]] = []
    mean, least = 0.0, np.inf
    for k, size in enumerate(np.geomspace(low, high, steps)):
        value = float(run(float(size)))
        if not np.isfinite(value):
            break
        mean = smoothing * mean + (1 - smoothing) * value
        smoothed = mean / (1 - smoothing ** (k + 1))
        curve.append((float(size), smoothed))
        least = min(least, smoothed)
        if smoothed > stop_at * least and k > steps // 10:
            break
    if len(curve) < 3:
        raise ValueError("the range test needs finite losses: start from a smaller `low`.")
    losses = np.array([loss for _, loss in curve])
    falls: Any = np.gradient(losses)
    return curve[int(np.argmin(falls))][0], curve
