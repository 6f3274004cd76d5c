"""Rows set aside to validate or to test: at random, by class, by group, or the latest."""

from __future__ import annotations

import numpy as np

from chainrule import errors, random
from chainrule.data.label_splits import are_labels, by_label, rare_values

_SPLIT = 3  # the word of the seed for splits


def split(
    count_or_targets, *, share: float, seed: int, stratify=None, groups=None, times=None
) -> tuple[np.ndarray, np.ndarray]:
    """The rows to train on, and the other ones, `share` of all, each in ascending order.

    `count_or_targets` is the number of rows or their targets. Whole-number targets are classes,
    whose shares are then the same on both sides as far as whole rows allow (a class of one row is
    trained on), and so are those of each label where they are labels (N, L) of two values each;
    `stratify` is an array of classes or labels to use instead, or False. `groups` (N,): rows
    with equal entries go to the same side. `times` (N,): no chance, the latest rows are set aside,
    and rows of equal time go to the same side.

    **Errors** DataError: fewer than two rows (or groups, or times), a share outside (0, 1).

    >>> train, other = split(np.array([0, 0, 0, 0, 1, 1, 1, 1]), share=0.25, seed=0)
    >>> train, other
    (array([0, 1, 2, 4, 6, 7]), array([3, 5]))
    """
    count, classes = _count_and_classes(count_or_targets, stratify)
    if not 0 < share < 1:
        raise errors.DataError(f"share is a number between 0 and 1, as 0.2, got {share}.")
    wanted = min(max(round(share * count), 1), count - 1)
    rng = random.Generator([seed, _SPLIT])
    if times is not None:
        side = _latest(_entries(times, count, "times"), wanted)
    elif groups is not None:
        side = _by_group(_entries(groups, count, "groups"), classes, share, rng)
    elif classes is not None and classes.ndim == 2:
        side = by_label(classes, wanted, rng)
    elif classes is not None:
        side = _by_class(classes, wanted, rng)
    else:
        side = np.zeros(count, bool)
        side[rng.permutation(count)[:wanted]] = True
    return np.flatnonzero(~side), np.flatnonzero(side)


def class_weights(targets, classes: int | None = None) -> np.ndarray:
    """Weights that make every class count the same: N / (K N_k) for class k.

    `class_weights(y)[y]` is a weight for each row: for a loss, or for `order` to draw rare classes
    more often. A class without rows has weight 0. K is `classes`, else the largest class plus 1.

    **Shapes** (N,) -> (K,). **Dtypes** float32. **Source** scikit-learn's "balanced".

    >>> class_weights([0, 0, 0, 1])
    array([0.6666667, 2.       ], dtype=float32)
    """
    targets = np.asarray(targets)
    if targets.ndim != 1 or targets.dtype.kind not in "iub" or targets.min(initial=0) < 0:
        raise errors.DataError(
            f"class_weights needs class numbers (N,) from 0, got {targets.shape} {targets.dtype}."
        )
    counts = np.bincount(targets.astype(np.int64), minlength=classes or 0)
    present = counts > 0
    weights = np.zeros(len(counts))
    weights[present] = len(targets) / (present.sum() * counts[present])
    return weights.astype(np.float32)


def label_weights(targets) -> np.ndarray:
    """Weights that make the two values of each label count the same: N / (2 N_v), for the lesser
    value and the greater one. A label that does not vary has weights 1.

    For `{"name": "logistic", "class_weights": label_weights(y)}`.

    **Shapes** (N, L) -> (L, 2). **Dtypes** float32. **Source** scikit-learn's "balanced".

    >>> label_weights([[-1, 1], [-1, 1], [-1, 1], [1, 1]])
    array([[0.6666667, 2.       ],
           [1.       , 1.       ]], dtype=float32)
    """
    targets = np.asarray(targets)
    if not are_labels(targets):
        raise errors.DataError(
            f"label_weights needs labels (N, L) of two values each, got {targets.shape} "
            f"{targets.dtype}."
        )
    upper = (targets == targets.max(axis=0)).sum(axis=0)
    counts = np.stack([len(targets) - upper, upper], axis=1)
    varies = counts.all(axis=1, keepdims=True)
    return np.where(varies, len(targets) / (2 * np.maximum(counts, 1)), 1).astype(np.float32)


def _count_and_classes(given, stratify) -> tuple[int, np.ndarray | None]:
    """How many rows there are, and the class of each (None: they are not to be balanced); or where
    they have the rare value of each label, (N, L) bool."""
    targets = None if np.ndim(given) == 0 else np.asarray(given)
    count = int(given) if targets is None else len(targets)
    if count < 2:
        raise errors.DataError(f"a split needs two rows at least, got {count}.")
    if stratify is None or stratify is True:
        chosen = targets if targets is not None and _are_classes(targets) else None
        if stratify and chosen is None:
            raise errors.DataError(
                "stratify=True needs targets that are classes (N,), or labels (N, L)."
            )
    else:
        chosen = None if stratify is False else _classes_or_labels(stratify, count)
    if chosen is None:
        return count, None
    if chosen.ndim == 2:
        return count, rare_values(chosen)
    return count, np.unique(chosen, return_inverse=True)[1]


def _are_classes(targets: np.ndarray) -> bool:
    return targets.dtype.kind not in "fc" and (targets.ndim == 1 or are_labels(targets))


def _classes_or_labels(given, count: int) -> np.ndarray:
    found = np.asarray(given)
    if found.ndim == 2 and len(found) == count and are_labels(found):
        return found
    return _entries(found, count, "stratify")


def _entries(given, count: int, name: str) -> np.ndarray:
    found = np.asarray(given)
    if found.shape != (count,):
        raise errors.DataError(f"{name} has one entry a row, ({count},), got {found.shape}.")
    return found


def _by_class(classes: np.ndarray, wanted: int, rng) -> np.ndarray:
    """Of each class its share, by largest remainders; at least one row of each is trained on."""
    sizes = np.bincount(classes)
    ideal = wanted * sizes / len(classes)
    taken = np.minimum(np.floor(ideal).astype(int), sizes - 1)
    while (short := wanted - taken.sum()) > 0:
        free = np.flatnonzero(taken < sizes - 1)
        if not len(free):
            break
        nearest = free[np.argsort(-(ideal - taken)[free], kind="stable")]
        taken[nearest[:short]] += 1
    side = np.zeros(len(classes), bool)
    shuffled = rng.permutation(len(classes))
    for k, number in enumerate(taken):
        side[shuffled[classes[shuffled] == k][:number]] = True
    return side


def _latest(times: np.ndarray, wanted: int) -> np.ndarray:
    """The latest rows, at least `wanted` of them where their times are distinct."""
    first = np.sort(times)[len(times) - wanted]
    if first == times.min():
        later = np.unique(times)[1:2]
        if not len(later):
            raise errors.DataError("a split by time needs two different times at least.")
        first = later[0]
    return times >= first


def _by_group(groups: np.ndarray, classes: np.ndarray | None, share: float, rng) -> np.ndarray:
    """Whole groups, taken so that the classes' (or the rows') counts come nearest to their share.

    Greedy: groups in random order, those with the most uneven classes first, each to the side
    whose counts it brings nearer to the aim (as scikit-learn's StratifiedGroupKFold).
    """
    member = np.unique(groups, return_inverse=True)[1]
    if member.max() < 1:
        raise errors.DataError("a split by group needs two groups at least.")
    counts = _counts_of_groups(member, classes)
    total = counts.sum(axis=0)
    shuffled = rng.permutation(len(counts))
    shuffled = shuffled[np.argsort(-counts[shuffled].std(axis=1), kind="stable")]
    taken, set_aside = np.zeros_like(total), np.zeros(len(counts), bool)
    for group in shuffled:
        now = np.sum(np.square((taken - share * total) / total))
        then = np.sum(np.square((taken + counts[group] - share * total) / total))
        if then < now:
            taken, set_aside[group] = taken + counts[group], True
    if not set_aside.any():
        set_aside[shuffled[np.argmin(counts[shuffled].sum(axis=1))]] = True
    if set_aside.all():
        set_aside[shuffled[0]] = False
    return set_aside[member]


def _counts_of_groups(member: np.ndarray, classes: np.ndarray | None) -> np.ndarray:
    """How many rows of each class a group has; or rows, and rare values of each label."""
    groups = member.max() + 1
    if classes is not None and classes.ndim == 2:
        counts = np.zeros((groups, 1 + classes.shape[1]))
        np.add.at(counts, member, np.insert(classes.astype(float), 0, 1.0, axis=1))
        return counts
    kinds = np.zeros(len(member), int) if classes is None else classes
    counts = np.zeros((groups, kinds.max() + 1))
    np.add.at(counts, (member, kinds), 1)
    return counts
