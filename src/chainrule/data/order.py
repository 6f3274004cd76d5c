"""The rows of each minibatch: a pure function of the seed and the epoch.

So a run resumes at any batch: nothing is remembered but three numbers, and batch b of an epoch is
`order(...)[b]`.
"""

from __future__ import annotations

import numpy as np

from chainrule import errors, random

_SHUFFLE, _CHOOSE = 1, 2  # words of the seed, so that no two uses share a stream


def order(
    seed: int, epoch: int, count: int, batch_size: int, *, drop_last: bool = True, groups=None,
    weights=None,
) -> np.ndarray:  # fmt: skip
    """The rows of each minibatch of an epoch, in random order.

    Each row comes once; the rows that fill no whole batch are left out (others in each epoch), or,
    with `drop_last=False`, come in a last batch that is filled up with the first rows of the same
    order. A batch size above `count` is taken as `count`. `groups` (count,) keeps rows with equal
    entries side by side. `weights` (count,) draws rows in proportion to them, as for classes that
    are rare: row i comes n w_i / sum(w) times, rounded up or down at random (systematic sampling).

    **Shapes** -> (steps, batch_size). **Dtypes** int64. **Source** Philox, see `chainrule.random`.

    >>> order(0, 0, 10, 4)
    array([[4, 3, 1, 8],
           [6, 2, 9, 0]])
    >>> np.array_equal(order(0, 5, 10, 4), order(0, 5, 10, 4))
    True
    """
    if count < 1 or batch_size < 1:
        raise errors.DataError(
            f"batches need at least one row and a size from 1, got {count} rows and "
            f"batch_size={batch_size}."
        )
    batch_size = min(batch_size, count)
    rng = random.Generator([seed, epoch, _SHUFFLE])
    rows = np.arange(count) if weights is None else _drawn(seed, epoch, _per_row(weights, count))
    rows = rows[rng.permutation(count)]
    if groups is not None:
        rows = _side_by_side(rows, np.asarray(groups), count)
    whole, rest = divmod(count, batch_size)
    if rest and not drop_last:
        rows, whole = np.concatenate([rows, rows[: batch_size - rest]]), whole + 1
    return np.ascontiguousarray(rows[: whole * batch_size].reshape(whole, batch_size), np.int64)


def _side_by_side(rows: np.ndarray, groups: np.ndarray, count: int) -> np.ndarray:
    """Rows sorted by group, groups in the order in which the shuffled rows meet them first."""
    if groups.shape != (count,):
        raise errors.DataError(f"groups has one entry a row, ({count},), got {groups.shape}.")
    _, first, member = np.unique(groups[rows], return_index=True, return_inverse=True)
    return rows[np.argsort(first[member], kind="stable")]


def _per_row(weights, count: int) -> np.ndarray:
    found = np.asarray(weights, np.float64)
    if found.shape != (count,) or not np.all(found >= 0) or not 0 < found.sum() < np.inf:
        raise errors.DataError(
            f"weights is one finite number from 0 for each row, ({count},), not all of them 0; "
            f"got shape {found.shape}."
        )
    return found


def _drawn(seed: int, epoch: int, weights: np.ndarray) -> np.ndarray:
    """Rows by systematic sampling: one uniform number places equally spaced points."""
    count = len(weights)
    edges = np.cumsum(weights)
    points = (random.Generator([seed, epoch, _CHOOSE]).random() + np.arange(count)) / count
    rows = np.searchsorted(edges, points * edges[-1], side="right")
    return np.minimum(rows, np.flatnonzero(weights)[-1])  # rounding may pass the last edge
