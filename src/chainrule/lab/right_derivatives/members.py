"""Sets that a generalised derivative has to lie in: Clarke's subdifferential, written by hand.

For a function that is only Lipschitz, Clarke's subdifferential at a point is the convex hull of the
limits of gradients at points nearby where the function is differentiable (Clarke, Optimization and
Nonsmooth Analysis, 1983, theorem 2.5.1). The tests draw such gradients and hold the sets against
them from both sides.
"""

from __future__ import annotations

from dataclasses import dataclass

import numpy as np

TOLERANCE = 1e-9


@dataclass(frozen=True)
class Hull:
    """The convex hull of some vectors; of two numbers, an interval."""

    vertices: tuple

    def contains(self, answer: np.ndarray, tolerance: float = TOLERANCE) -> bool:
        """Whether a vector lies in the hull: a nearest point by non-negative least squares."""
        from scipy.optimize import nnls

        vertices = np.atleast_2d(np.array([np.ravel(v) for v in self.vertices], dtype=float)).T
        scale = max(1.0, float(np.max(np.abs(vertices))))
        weight = 1e3  # of "the weights sum to one", beside the coordinates
        rows = np.vstack([vertices / scale, np.full(vertices.shape[1], weight)])
        _, distance = nnls(rows, np.append(np.ravel(answer) / scale, weight))
        return bool(distance <= tolerance)

    def text(self) -> str:
        if np.ndim(self.vertices[0]) == 0 and len(self.vertices) == 2:
            return f"in [{self.vertices[0]:g}, {self.vertices[1]:g}]"
        return "in the hull of " + ", ".join(str(np.ravel(v).tolist()) for v in self.vertices)


@dataclass(frozen=True)
class Ball:
    """Vectors within `radius` of `centre`, in the Euclidean norm.

    With orthogonal `axes`, the ellipsoid of centre + sum of u_i axes_i over all u no longer than
    `radius`.
    """

    centre: tuple
    radius: float = 1.0
    axes: tuple | None = None

    def contains(self, answer: np.ndarray, tolerance: float = TOLERANCE) -> bool:
        """Whether a vector lies in the ball: within its plane, and near enough."""
        away = np.ravel(answer) - np.ravel(self.centre)
        along = np.eye(len(away)) if self.axes is None else np.array(self.axes, dtype=float)
        u = along @ away / np.sum(along * along, axis=1)
        beside = away - u @ along
        inside = np.sqrt(np.sum(u * u)) <= self.radius + tolerance
        return bool(inside and np.max(np.abs(beside)) <= tolerance)

    def text(self) -> str:
        shape = "" if self.axes is None else " in a plane"
        return f"within {self.radius:g} of {np.ravel(self.centre).tolist()}{shape}"


def between(low: float, high: float) -> Hull:
    """The interval from `low` to `high`."""
    return Hull((low, high))
