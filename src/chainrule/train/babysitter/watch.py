"""What the babysitter remembers of the steps that were kept: short windows and smoothed means."""

from __future__ import annotations

from typing import Any

import numpy as np

WINDOW = 200  # steps that count as recent
EARLY = 70  # steps whose update ratios are kept
NOT_WEIGHTS = ("bias", "shift", "scale", "slope")  # vectors that may be 0, or that start at 1


class Watch:
    """The recent past of a run, as numbers that JSON can hold.

    `smoothed` is the exponential mean of the losses, corrected for its start at 0: after t steps
    m / (1 - smoothing^t), m <- smoothing m + (1 - smoothing) loss (as Kingma and Ba 2015 correct
    Adam's means). `first` is the first loss, which no step has touched.

    >>> watch = Watch(["w"], smoothing=0.5)
    >>> watch.keep(np.array([4.0, 1.0]), np.ones((2, 1)), np.ones((2, 1)))
    >>> watch.steps, watch.first, watch.smoothed
    (2, 4.0, 2.0)
    """

    def __init__(self, names: list[str], smoothing: float = 0.95):
        self.names = list(names)
        self.smoothing = float(smoothing)
        self.weights = [i for i, n in enumerate(names) if n.split(".")[-1] not in NOT_WEIGHTS]
        self.forget()

    def forget(self) -> None:
        """Nothing has been seen: as before the first step."""
        self.steps = 0
        self.first: float | None = None
        self.first_norm: float | None = None  # of the first gradients
        self.mean = 0.0
        self.lowest: float | None = None  # of the smoothed losses
        self.losses: list[float] = []
        self.norms: list[float] = []
        self.early: list[float] = []
        self.silent = [0] * len(self.names)  # steps in a row without any gradient
        self.gradients = [0.0] * len(self.names)
        self.ratios = [0.0] * len(self.names)

    def keep(self, losses, gradient_norms, update_ratios) -> None:
        """Add steps that stand: (k,), (k, P) and (k, P)."""
        norms, ratios = _finite(gradient_norms), _finite(update_ratios)
        losses = np.asarray(losses, np.float64)
        losses = losses[np.isfinite(losses)]  # where advice is given only, others come
        if self.first is None and len(losses):
            self.first = float(losses[0])
        for loss in losses:
            self.mean = self.smoothing * self.mean + (1 - self.smoothing) * float(loss)
            self.steps += 1
            low = self.smoothed
            self.lowest = low if self.lowest is None else min(self.lowest, low)
        if self.first_norm is None and norms.any():
            self.first_norm = ordinary_norm(total(norms[:20]))
        self.losses = [*self.losses, *map(float, losses)][-WINDOW:]
        self.norms = [*self.norms, *map(float, total(norms))][-WINDOW:]
        if len(self.early) < EARLY:
            self.early = [*self.early, *self.typical(ratios)][:EARLY]
        for i in range(len(self.names)):
            self.silent[i] = _zeros_at_the_end(norms[:, i], self.silent[i])
            self.gradients[i] = _moved(self.gradients[i], norms[:, i], self.smoothing)
            self.ratios[i] = _moved(self.ratios[i], ratios[:, i], self.smoothing)

    def typical(self, update_ratios) -> list[float]:
        """For each step, |step| / |w| in the median over the weights: (k, P) -> k numbers."""
        chosen = _finite(update_ratios)[:, self.weights]
        return [float(v) for v in np.median(chosen, axis=1)] if chosen.size else []

    @property
    def smoothed(self) -> float:
        """The smoothed loss; nan before the first step."""
        return self.mean / (1 - self.smoothing**self.steps) if self.steps else float("nan")

    @property
    def typical_now(self) -> float:
        """|step| / |w| of late, in the median over the weights."""
        found = [self.unbiased(self.ratios[i]) for i in self.weights]
        return float(np.median(found)) if found else 0.0

    def unbiased(self, mean: float) -> float:
        """An exponential mean of this watch, corrected for its start at 0."""
        return mean / (1 - self.smoothing**self.steps) if self.steps else 0.0

    def state(self) -> dict[str, Any]:
        """Everything, as JSON can hold it; floats come back bit for bit."""
        return {k: (list(v) if isinstance(v, list) else v) for k, v in vars(self).items()}

    @classmethod
    def restored(cls, state: dict[str, Any]) -> Watch:
        """A watch from its state."""
        watch = cls(state["names"], state["smoothing"])
        vars(watch).update({k: (list(v) if isinstance(v, list) else v) for k, v in state.items()})
        return watch


def total(gradient_norms: np.ndarray) -> np.ndarray:
    """The norm of all gradients together, step by step: (k, P) -> (k,)."""
    with np.errstate(over="ignore"):
        return np.sqrt(np.sum(np.square(np.asarray(gradient_norms, np.float64)), axis=1))


def ordinary_norm(norms) -> float:
    """The lower quartile of norms above 0: what is ordinary, where half may be faulty.

    Steps without a gradient, and those whose scaled gradient overflowed, do not count; inf of none.
    """
    values = np.asarray(norms, np.float64)
    values = values[np.isfinite(values) & (values > 0)]
    return float(np.quantile(values, 0.25)) if len(values) else float("inf")


def layer_of(path: str) -> str:
    """The layer that a parameter belongs to, by its path.

    >>> layer_of("layers[0].weight"), layer_of("weight")
    ('layers[0]', 'weight')
    """
    return path.rsplit(".", 1)[0] if "." in path else path


def _finite(values) -> np.ndarray:
    return np.nan_to_num(np.asarray(values, np.float64), nan=0.0, posinf=0.0, neginf=0.0)


def _zeros_at_the_end(values: np.ndarray, before: int) -> int:
    nonzero = np.flatnonzero(values)
    return len(values) - 1 - int(nonzero[-1]) if len(nonzero) else before + len(values)


def _moved(mean: float, values: np.ndarray, smoothing: float) -> float:
    for value in values:
        mean = smoothing * mean + (1 - smoothing) * float(value)
    return mean
