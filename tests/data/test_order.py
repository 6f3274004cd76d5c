"""The rows of minibatches: each once, the same for the same seed, resumable, and weighted."""

import numpy as np
import pytest

from chainrule import errors
from chainrule.data import class_weights, order


def test_every_row_comes_once_an_epoch():
    found = order(3, 0, 12, 4)
    assert (found.shape, found.dtype) == ((3, 4), np.int64)
    assert sorted(found.ravel()) == list(range(12))


def test_the_order_is_a_function_of_seed_and_epoch():
    assert np.array_equal(order(3, 1, 100, 10), order(3, 1, 100, 10))
    assert not np.array_equal(order(3, 1, 100, 10), order(3, 2, 100, 10))
    assert not np.array_equal(order(3, 1, 100, 10), order(4, 1, 100, 10))


def test_the_first_entries_do_not_depend_on_the_batch_size():
    assert np.array_equal(order(0, 0, 12, 4).ravel(), order(0, 0, 12, 6).ravel())


def test_rows_that_fill_no_batch_are_left_out_or_filled_up_with_the_first():
    kept = order(0, 0, 10, 4, drop_last=False)
    assert kept.shape == (3, 4)
    assert np.array_equal(kept[:2], order(0, 0, 10, 4))
    assert np.array_equal(kept[2, 2:], kept[0, :2])
    assert sorted(kept.ravel()[:10]) == list(range(10))


def test_a_batch_is_at_most_all_rows():
    assert order(0, 0, 3, 32).shape == (1, 3)
    with pytest.raises(errors.DataError, match="0 rows"):
        order(0, 0, 0, 32)
    with pytest.raises(errors.DataError, match="batch_size=0"):
        order(0, 0, 5, 0)


def test_shuffles_are_uniform():
    places = np.array([order(0, epoch, 5, 5)[0] for epoch in range(500)])
    counts = np.stack([(places == row).sum(axis=0) for row in range(5)])
    assert np.all(np.abs(counts - 100) < 6 * np.sqrt(500 * 0.2 * 0.8))


def test_groups_stay_side_by_side():
    groups = np.array(list("abcabcabca"))
    shuffled = order(0, 0, 10, 10, groups=groups)[0]
    found = groups[shuffled]
    assert sorted(shuffled) == list(range(10))
    assert np.count_nonzero(found[1:] != found[:-1]) == 2
    assert len({"".join(groups[order(0, e, 10, 10, groups=groups)[0]]) for e in range(40)}) > 3
    with pytest.raises(errors.DataError, match=r"\(10,\), got \(3,\)"):
        order(0, 0, 10, 10, groups=[1, 2, 3])


def test_weights_draw_rare_classes_as_often_as_the_others():
    targets = np.array([0] * 90 + [1] * 10)
    weights = class_weights(targets)[targets]
    drawn = targets[order(1, 0, 100, 100, weights=weights)[0]]
    assert abs(np.count_nonzero(drawn == 1) - 50) <= 1
    rows = order(1, 0, 100, 100, weights=weights)
    counts = np.bincount(rows.ravel(), minlength=100)
    assert set(counts[90:]) == {5}
    assert set(counts[:90]) == {0, 1}


def test_rows_of_weight_zero_never_come_and_bad_weights_are_refused():
    weights = np.array([0.0, 1.0, 0.0, 3.0, 0.0])
    found = np.concatenate([order(0, e, 5, 5, weights=weights).ravel() for e in range(50)])
    assert set(found) == {1, 3}
    assert abs(np.count_nonzero(found == 3) / 250 - 0.75) < 0.1
    for bad in ([1.0], [0.0] * 5, [1.0, -1.0, 1.0, 1.0, 1.0], [np.nan] * 5, [np.inf] * 5):
        with pytest.raises(errors.DataError, match="weights is one finite number"):
            order(0, 0, 5, 5, weights=bad)
