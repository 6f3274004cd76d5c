"""Centring and scaling: (x - mean) / deviation, column by column, with weights of the rows."""

from __future__ import annotations

import numpy as np


class Scaling:
    """The mean and the standard deviation of each column, and the two ways between them.

    `mean` and `deviation` are (C,) of float64. A column that does not vary has deviation 1, so
    that it becomes 0; the bound for that is the rounding of its own mean.

    >>> scaling = Scaling.fitted(np.array([[1.0, 5.0], [3.0, 5.0]]))
    >>> scaling(np.array([[3.0, 6.0]]))
    array([[1., 1.]])
    >>> scaling.back(np.array([[1.0, 1.0]]))
    array([[3., 6.]])
    """

    def __init__(self, mean, deviation):
        self.mean, self.deviation = np.asarray(mean, "d"), np.asarray(deviation, "d")

    @classmethod
    def fitted(cls, x: np.ndarray, weights: np.ndarray | None = None) -> Scaling:
        """Of the columns of x (N, C), with one weight for each row (1 without)."""
        x = np.asarray(x, "d")
        mean = np.average(x, axis=0, weights=weights)
        centred = x - mean
        largest = np.max(np.abs(centred), axis=0, initial=0.0)
        unit = np.where((largest > 1e150) | ((largest < 1e-150) & (largest > 0)), largest, 1.0)
        variance = np.average(np.square(centred / unit), axis=0, weights=weights)
        deviation = unit * np.sqrt(variance)
        rounding = len(x) * np.finfo("d").eps * np.abs(mean)
        return cls(mean, np.where(deviation > rounding, deviation, 1.0))

    @classmethod
    def none(cls, columns: int) -> Scaling:
        """The one that changes nothing."""
        return cls(np.zeros(columns), np.ones(columns))

    def __call__(self, x: np.ndarray) -> np.ndarray:
        """(x - mean) / deviation, in float64: (N, C) -> (N, C)."""
        return (x - self.mean) / self.deviation

    def back(self, x: np.ndarray) -> np.ndarray:
        """mean + deviation x, in float64: the inverse."""
        return x * self.deviation + self.mean

    def to_json(self) -> dict:
        """Lists of numbers, exact."""
        return {"mean": self.mean.tolist(), "deviation": self.deviation.tolist()}
