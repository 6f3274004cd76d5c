"""Splits of rows that have several labels: each label's values keep their shares on both sides."""

from __future__ import annotations

import numpy as np


def are_labels(targets: np.ndarray) -> bool:
    """Whether targets (N, L) are labels: no column holds more than two different numbers.

    >>> are_labels(np.array([[0, 1], [1, 1], [0, 0]])), are_labels(np.array([[0], [1], [2]]))
    (True, False)
    """
    if targets.ndim != 2 or not targets.size or targets.dtype.kind not in "biuf":
        return False
    return all(
        bool(np.all((column == column.min()) | (column == column.max()))) for column in targets.T
    )


def rare_values(targets: np.ndarray) -> np.ndarray:
    """Where labels (N, L) have the rarer of their two values: (N, L') bool, without those labels
    that do not vary.

    >>> rare_values(np.array([[0, 1], [1, 1], [0, 1]])).astype(int).ravel()
    array([0, 1, 0])
    """
    upper = targets == targets.max(axis=0)
    rare = np.where(2 * upper.sum(axis=0) > len(targets), ~upper, upper)
    return rare[:, rare.any(axis=0)]


def by_label(rare: np.ndarray, wanted: int, rng) -> np.ndarray:
    """Which `wanted` rows are set aside, so that each label's rare value is in its share of them.

    The label with the fewest rows left comes first, as later choices cannot mend what it lacks;
    its rows go to the side that lacks more of them. A label has a row to train on, unless all of
    its rows went with rarer labels.

    **Shapes** rare: (N, L) bool -> (N,) bool. **Cost** N L^2. **Source** Sechidis et al., ECML PKDD
    2011, for two subsets, where the rows of a label can be dealt at once. **Differs from source**
    sizes are exact, and the values counted are the rare ones, be they 1 or 0.
    """
    order = rng.permutation(len(rare))
    rare = rare[order]
    lacking = rare.sum(axis=0) * (wanted / len(rare))  # rows that the side still lacks, by label
    side, dealt = np.zeros(len(rare), bool), np.zeros(len(rare), bool)
    while (left := (rare & ~dealt[:, None]).sum(axis=0)).any():
        label = int(np.argmin(np.where(left > 0, left, len(rare) + 1)))
        rows = np.flatnonzero(rare[:, label] & ~dealt)
        is_trained = bool(np.any(rare[:, label] & dealt & ~side))
        chosen = rows[: _share(lacking[label], len(rows), is_trained, wanted - side.sum())]
        kept_open = np.sum(~dealt) - len(rows)  # rows for the rest of the side
        short = wanted - side.sum() - len(chosen) - kept_open
        chosen = rows[: len(chosen) + max(0, short)]
        side[chosen], dealt[rows] = True, True
        lacking -= rare[chosen].sum(axis=0)
    rest = np.flatnonzero(~dealt)
    side[rest[: wanted - side.sum()]] = True
    found = np.zeros(len(rare), bool)
    found[order] = side
    return found


def _share(lacking: float, rows: int, is_trained: bool, room: int) -> int:
    """How many of a label's rows are set aside: what is lacking, to the nearest, halves down."""
    most = rows if is_trained else rows - 1
    return max(0, min(int(np.ceil(lacking - 0.5)), most, room))
