"""Clarke's subdifferentials of the Lipschitz cases, against gradients drawn near the point."""

import numpy as np
import pytest

from chainrule.lab.right_derivatives.cases import cases
from chainrule.lab.right_derivatives.members import Ball, Hull, between
from chainrule.lab.right_derivatives.truth import computed, differentiable

NEAR = 1e-9  # how far from the point gradients are drawn
DRAWS = 60


def gradients(case, point) -> np.ndarray:
    """Gradients at DRAWS points near `point`, one a row."""
    rng = np.random.default_rng(3)
    rows = []
    for _ in range(DRAWS):
        moved = tuple(
            value + NEAR * rng.normal(size=np.shape(value)) if i in differentiable(point) else value
            for i, value in enumerate(point)
        )
        parts = computed(case, moved)
        rows.append(np.concatenate([np.ravel(np.asarray(p)).astype(float) for p in parts]))
    return np.array(rows)


@pytest.mark.parametrize("case", cases(["lipschitz"]), ids=lambda c: c.name)
def test_gradients_nearby_fill_the_set(case):
    for point in case.points:
        found = gradients(case, point)
        assert all(case.members.contains(row, 1e-6) for row in found)
        if isinstance(case.members, Hull):
            for vertex in case.members.vertices:
                distance = np.max(np.abs(found - np.ravel(vertex)), axis=1)
                assert np.min(distance) < 1e-6, f"no gradient near {vertex}"
        else:
            away = found - np.ravel(case.members.centre)
            axes = np.eye(away.shape[1]) if case.members.axes is None else case.members.axes
            for axis in np.array(axes, dtype=float):
                reach = away @ axis / np.sum(axis * axis)
                assert np.max(reach) > 0.9 * case.members.radius
                assert np.min(reach) < -0.9 * case.members.radius


def test_membership():
    assert between(-1.0, 1.0).contains(np.array([0.25]))
    assert not between(-1.0, 1.0).contains(np.array([1.0 + 1e-6]))
    triangle = Hull(((0.0, 0.0), (1.0, 0.0), (0.0, 1.0)))
    assert triangle.contains(np.array([0.25, 0.75]))
    assert not triangle.contains(np.array([0.51, 0.5]))
    assert Ball((0.0, 0.0)).contains(np.array([0.6, 0.8]))
    assert not Ball((0.0, 0.0)).contains(np.array([0.6, 0.9]))
    disc = Ball((0.0, 0.0, 0.0), axes=((1.0, 0.0, 0.0), (0.0, 2.0, 0.0)))
    assert disc.contains(np.array([0.0, 2.0, 0.0]))
    assert not disc.contains(np.array([2.0, 0.0, 0.0]))
    assert not disc.contains(np.array([0.0, 0.0, 0.1]))
