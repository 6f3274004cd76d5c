"""Equal eigenvalues and singular values moved apart, for runs beside a degenerate point.

A run displaced by `step` units (see chainrule.program.displacement) sees the matrix with the same
vectors whose equal values differ by a small multiple of the step. The unit is the sixth root of the
rounding error (0.0025 in float64: first derivatives then lose 3 digits to rounding, second ones 6,
and the extrapolation is more accurate than that), times the distance over which a function of the
values is likely to change: to the next other value, or to zero.
"""

import numpy as np

from chainrule.ops.matrices import equality_tolerance
from chainrule.program.displacement import step


def _rows(move, values):
    """`move(row, unit, tolerance)` for each vector of a stack; values as they are at the point."""
    if not step() or not values.size:
        return values
    unit = step() * min(np.finfo(values.dtype).eps ** (1 / 6), 0.02)
    tolerance = equality_tolerance(values.shape[-1], values.dtype)
    rows = [
        move(row.copy(), unit, tolerance * np.abs(row).max())
        for row in values.reshape(-1, values.shape[-1])
    ]
    return np.array(rows, values.dtype).reshape(values.shape)


def apart(values):
    """Eigenvalues, real or complex, with equal ones moved apart symmetrically."""
    return _rows(_spread_groups, values)


def apart_and_from_zero(values):
    """Singular values with equal ones moved apart, and zeros to distinct small values."""
    return _rows(_spread_singular, values)


def _spread_groups(row, unit, tolerance):
    original = row.copy()
    for group in _groups(original, tolerance):
        if len(group) > 1:
            offsets = np.arange(len(group)) - (len(group) - 1) / 2
            reach = unit * _reach(original, group, tolerance)
            row[group] += offsets * reach / np.sqrt(len(group))
    return row


def _spread_singular(row, unit, tolerance):
    zeros = np.flatnonzero(row <= tolerance)
    reach = row[row > tolerance].min(initial=np.inf)
    spread = _spread_groups(row, unit, tolerance)
    reach = unit * (reach if np.isfinite(reach) else 1.0)
    spread[zeros] = np.arange(1, len(zeros) + 1) * reach / np.sqrt(max(len(zeros), 1))
    return spread


def _groups(row, tolerance) -> list[np.ndarray]:
    """The numbers of values that are equal, directly or through others, in order."""
    label = np.arange(len(row))
    near = np.abs(row[:, None] - row) <= tolerance
    while True:
        spread = np.where(near, label, len(row)).min(axis=1)
        if (spread == label).all():
            return [np.flatnonzero(label == first) for first in np.unique(label)]
        label = spread


def _reach(row, group, tolerance) -> float:
    """The distance from a group of equal values to the next other one or to zero, or 1."""
    value = row[group[0]]
    others = np.delete(row, group)
    distances = np.abs([*(others - value), value])
    return float(distances[distances > tolerance].min()) if max(distances) > tolerance else 1.0
