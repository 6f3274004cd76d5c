"""Data on disk, augmented data, rows drawn by frequency, and one compiled step for all sizes."""

import numpy as np
import pytest

from chainrule import data, nn, random, train
from chainrule.train import gathering, steps

OPTIONS = dict(loss="softmax_cross_entropy", batch_size=8, epochs=2, progress="none")


def images(count=40):
    rng = random.Generator(3)
    x = rng.normal(size=(count, 6, 6, 1)).astype("f")
    return x, (x.mean((1, 2, 3)) > 0).astype(np.int64)


def trained(given):
    model = nn.Sequential(nn.Flatten(), nn.Linear(36, 2, rng=0))
    history = train.fit(model, given, **OPTIONS)
    return model.parameters(), [r["loss"] for r in history.records]


def equal(one, two):
    return one[1] == two[1] and all(
        np.array_equal(a, b) for a, b in zip(one[0], two[0], strict=True)
    )


def test_augmented_images_depend_on_seed_epoch_and_row_alone():
    x, y = images()
    augmented = data.Arrays(x, y, augment=data.Augment(flip=True, crop=1, seed=4))
    first, again = trained(augmented), trained(augmented)
    assert equal(first, again) and not equal(first, trained((x, y)))


def test_rows_read_in_place_and_gathered_ones_are_the_same(monkeypatch):
    gathered = trained(images())
    monkeypatch.setattr(gathering, "LARGEST", 0)
    assert equal(gathered, trained(images()))


def test_a_training_on_other_numbers_of_rows_compiles_nothing(monkeypatch):
    trained(images())
    native = steps.native_steps(nn.losses.softmax_cross_entropy, False, "convention", None, True)
    traced = []
    monkeypatch.setattr(type(native), "_traced", lambda *args: traced.append(1))
    for count in (41, 57, 100):
        trained(images(count))
    assert not traced


@pytest.mark.parametrize("batches", [[[3, 1], [1, 0]], [[2, 2]]])
def test_gathered_rows_are_those_that_the_batches_name(batches):
    given = data.Arrays(np.arange(8.0).reshape(4, 2), np.arange(4), np.arange(1.0, 5.0))
    rows = gathering.Gathering(6).of(given, np.array(batches))
    assert rows.inputs.shape == (6, 2)
    assert np.array_equal(rows.inputs[rows.batches], given.inputs[batches])
    assert np.array_equal(rows.targets[rows.batches], given.targets[batches])
    assert np.array_equal(rows.weights[rows.batches], given.sample_weights[batches])
