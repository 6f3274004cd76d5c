"""Splits: disjoint, repeatable, with the classes' shares kept, groups whole and time in order."""

import numpy as np
import pytest
from sklearn.utils.class_weight import compute_class_weight

from chainrule import errors
from chainrule.data import class_weights, label_weights, split


def parted(count, rows):
    train, other = rows
    assert np.array_equal(np.sort(np.concatenate([train, other])), np.arange(count))
    assert np.all(np.diff(train) > 0)
    assert np.all(np.diff(other) > 0)
    return train, other


def test_a_split_parts_all_rows_by_their_share():
    train, other = parted(101, split(101, share=0.2, seed=0))
    assert (len(train), len(other)) == (81, 20)
    assert np.array_equal(other, split(101, share=0.2, seed=0)[1])
    assert not np.array_equal(other, split(101, share=0.2, seed=1)[1])


def test_both_sides_have_a_row():
    assert [len(side) for side in split(2, share=0.01, seed=0)] == [1, 1]
    assert [len(side) for side in split(5, share=0.99, seed=0)] == [1, 4]


def test_classes_keep_their_shares():
    targets = np.repeat([0, 1, 2], [50, 30, 20])
    _, other = parted(100, split(targets, share=0.2, seed=3))
    assert np.bincount(targets[other]).tolist() == [10, 6, 4]
    plain = split(targets, share=0.2, seed=3, stratify=False)[1]
    assert not np.array_equal(plain, other)


def test_shares_that_are_no_whole_rows_are_rounded_by_largest_remainders():
    targets = np.repeat([0, 1, 2], [7, 7, 6])  # of 5 rows: 1.75, 1.75, 1.5
    _, other = parted(20, split(targets, share=0.25, seed=0))
    assert np.bincount(targets[other]).tolist() == [2, 2, 1]


def test_a_class_of_one_row_is_trained_on():
    targets = np.array([0] * 10 + [1])
    for seed in range(20):
        assert 10 in split(targets, share=0.5, seed=seed)[0]


def test_real_targets_are_not_stratified_and_text_may_be():
    parted(10, split(np.linspace(0, 1, 10), share=0.3, seed=0))
    labels = np.array(["a"] * 5 + ["b"] * 5)
    other = split(10, share=0.4, seed=0, stratify=labels)[1]
    assert sorted(labels[other]) == ["a", "a", "b", "b"]


def test_groups_are_never_parted():
    rng = np.random.default_rng(0)
    groups = rng.integers(0, 25, 300)
    targets = rng.integers(0, 2, 300)
    for stratify in (False, targets):
        train, other = parted(300, split(300, share=0.25, seed=1, groups=groups, stratify=stratify))
        assert not set(groups[train]) & set(groups[other])
        assert abs(len(other) - 75) <= 12
    assert abs(targets[other].mean() - targets.mean()) < 0.08


def labels_of(rng, rows: int) -> np.ndarray:
    """Up to seven labels (N, L) of 0 and 1, held by many rows or by few."""
    shares = rng.random(rng.integers(1, 8)) * rng.choice([0.05, 0.5, 1.0])
    return (rng.random((rows, len(shares))) < shares).astype(int)


def test_labels_keep_their_shares():
    rng = np.random.default_rng(0)
    worst = {True: 0.0, False: 0.0}
    for seed in range(100):
        labels, share = labels_of(rng, rng.integers(4, 300)), rng.uniform(0.05, 0.9)
        for stratify in (True, False):
            _, other = parted(len(labels), split(labels, share=share, seed=seed, stratify=stratify))
            assert len(other) == min(max(round(share * len(labels)), 1), len(labels) - 1)
            missed = labels[other].sum(axis=0) - labels.sum(axis=0) * len(other) / len(labels)
            worst[stratify] = max(worst[stratify], np.abs(missed).max())
    assert worst[True] < 4 < 8 < worst[False]  # rows of a label too many or too few


def test_a_rare_label_has_a_row_to_train_on():
    labels = np.zeros((40, 3), bool)
    labels[7, 0], labels[[7, 9], 1], labels[:, 2] = True, True, np.arange(40) != 11
    for seed in range(20):
        train, _ = split(labels, share=0.5, seed=seed)
        assert labels[train, :2].any(axis=0).all() and not labels[train, 2].all()


def test_groups_with_labels_are_whole_and_keep_the_shares():
    rng = np.random.default_rng(0)
    groups = rng.integers(0, 40, 400)
    labels = (rng.random((400, 3)) < (0.1, 0.5, 0.8)).astype(int)
    train, other = parted(400, split(labels, share=0.25, seed=1, groups=groups))
    assert not set(groups[train]) & set(groups[other])
    assert abs(len(other) - 100) <= 12
    assert np.abs(labels[other].mean(axis=0) - labels.mean(axis=0)).max() < 0.03


def test_weights_of_labels_are_balanced_for_each():
    labels = np.array([[0, 1, 1], [0, 1, 1], [1, 0, 1], [0, 1, 1]])
    for k in (0, 1):
        balanced = compute_class_weight("balanced", classes=np.arange(2), y=labels[:, k])
        np.testing.assert_allclose(label_weights(labels)[k], balanced, rtol=1e-6)
    assert label_weights(labels)[2].tolist() == [1, 1]  # it does not vary
    with pytest.raises(errors.DataError, match="two values each"):
        label_weights(np.arange(6).reshape(3, 2))


def test_two_groups_are_parted_whatever_the_share():
    train, other = split(10, share=0.05, seed=0, groups=[0] * 3 + [1] * 7)
    assert other.tolist() == [0, 1, 2]
    with pytest.raises(errors.DataError, match="two groups"):
        split(10, share=0.5, seed=0, groups=[0] * 10)


def test_the_latest_rows_are_set_aside_with_all_of_their_time():
    times = np.array([5, 1, 4, 2, 3, 4])
    train, other = split(6, share=0.3, seed=0, times=times)
    assert other.tolist() == [0, 2, 5]
    assert times[train].max() < times[other].min()
    dates = np.array(["2024-01-01", "2024-03-01", "2024-02-01"], "datetime64[D]")
    assert split(3, share=0.3, seed=0, times=dates)[1].tolist() == [1]
    assert split(4, share=0.9, seed=0, times=[1, 1, 1, 2])[1].tolist() == [3]
    with pytest.raises(errors.DataError, match="two different times"):
        split(3, share=0.3, seed=0, times=[1, 1, 1])


@pytest.mark.parametrize("given, options, words", [
    (1, {"share": 0.5}, "two rows at least, got 1"),
    (10, {"share": 1.0}, "between 0 and 1"),
    (10, {"share": 0.5, "groups": [1]}, r"groups has one entry a row, (10,), got (1,)"),
    (10, {"share": 0.5, "stratify": True}, "needs targets that are classes"),
])  # fmt: skip
def test_splits_that_cannot_be_are_refused(given, options, words):
    with pytest.raises(errors.DataError) as caught:
        split(given, seed=0, **options)
    assert words in str(caught.value)


def test_class_weights_are_scikit_learns_balanced_ones():
    targets = np.repeat([0, 1, 2], [5, 20, 75])
    wanted = compute_class_weight("balanced", classes=np.arange(3), y=targets)
    np.testing.assert_allclose(class_weights(targets), wanted, rtol=1e-6)
    assert class_weights(targets, classes=4)[3] == 0.0
    with pytest.raises(errors.DataError, match="class numbers"):
        class_weights([0.5, 1.0])
