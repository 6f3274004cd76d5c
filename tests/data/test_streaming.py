"""Training from disk: the same bits as from memory, and only the rows at hand are read."""

import numpy as np
import pytest

from chainrule import nn, train
from chainrule.data import Arrays, Augment
from chainrule.train.fingerprints import of_data

RNG = np.random.default_rng(0)
IMAGES = RNG.normal(size=(64, 3, 3, 1)).astype(np.float32)
TARGETS = RNG.integers(0, 2, 64)


def weights(data: Arrays) -> list[np.ndarray]:
    """What a short training on the data ends with."""
    model = nn.Sequential(nn.Flatten(), nn.Linear(9, 2, rng=0))
    train.fit(model, data, loss="softmax_cross_entropy", epochs=2, batch_size=16, seed=3,
              validation=0.25, progress="none")  # fmt: skip
    return list(model.parameters())


@pytest.fixture(scope="module")
def from_memory():
    return weights(Arrays(IMAGES, TARGETS))


def test_training_from_a_memory_map_ends_at_the_same_bits(tmp_path, from_memory):
    np.save(tmp_path / "x.npy", IMAGES)
    found = weights(Arrays(np.load(tmp_path / "x.npy", mmap_mode="r"), TARGETS))
    assert all(np.array_equal(a, b) for a, b in zip(found, from_memory, strict=True))


def test_augmented_training_repeats_and_differs_from_plain(from_memory):
    augmented = Arrays(IMAGES, TARGETS, augment=Augment(flip=True, crop=1))
    first, second = weights(augmented), weights(augmented)
    assert all(np.array_equal(a, b) for a, b in zip(first, second, strict=True))
    assert not np.array_equal(first[0], from_memory[0])


def test_rows_come_as_often_as_their_frequencies_say(monkeypatch):
    weights = np.where(TARGETS == 1, 1.0, 0.0)
    seen = []
    monkeypatch.setattr(Augment, "__call__", lambda self, x, rows, epoch: seen.append(rows) or x)
    train.fit(nn.Sequential(nn.Flatten(), nn.Linear(9, 2, rng=0)),
              Arrays(IMAGES, TARGETS, frequencies=weights, augment=Augment()),
              loss="softmax_cross_entropy", epochs=1, batch_size=16, validation=0.25,
              progress="none")  # fmt: skip
    assert len(np.concatenate(seen)) == 48
    assert set(TARGETS[np.concatenate(seen)]) == {1}


@pytest.mark.parametrize("change", [
    {"frequencies": np.linspace(1, 2, 64)}, {"augment": Augment(crop=1)},
    {"augment": Augment(flip=True)},
])  # fmt: skip
def test_a_run_does_not_go_on_with_rows_drawn_otherwise(change):
    plain = of_data(Arrays(IMAGES, TARGETS))
    assert of_data(Arrays(IMAGES, TARGETS)) == plain
    assert of_data(Arrays(IMAGES, TARGETS, **change)) != plain


def test_rows_of_a_memory_map_have_the_fingerprint_of_the_same_rows_in_memory(tmp_path):
    np.save(tmp_path / "x.npy", IMAGES)
    part = Arrays(np.load(tmp_path / "x.npy", mmap_mode="r"), TARGETS).part(np.arange(9))
    assert of_data(part) == of_data(Arrays(IMAGES[:9], TARGETS[:9]))
    assert (part.inputs.size, part.inputs.nbytes) == (81, 324)
