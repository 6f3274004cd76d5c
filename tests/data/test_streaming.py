"""Training from disk: the same bits as from memory, and only the rows at hand are read."""

import numpy as np
import pytest

from chainrule import nn, train
from chainrule.data import Arrays, Augment

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
