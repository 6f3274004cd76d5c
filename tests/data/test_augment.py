"""Augmentation: what NumPy's flips and slices give, the same for the same row and epoch."""

import numpy as np
import pytest

import chainrule as cr
from chainrule import errors
from chainrule.data import Arrays, Augment, augmented

IMAGES = np.random.default_rng(0).normal(size=(6, 5, 4, 3)).astype(np.float32)
ROWS = np.array([8, 3, 11, 0, 7, 2])


def by_hand(image, flipped, down, right, crop):
    if flipped:
        image = image[:, ::-1]
    height, width = image.shape[:2]
    padded = np.zeros((height + 2 * crop, width + 2 * crop, image.shape[2]), image.dtype)
    padded[crop : crop + height, crop : crop + width] = image
    return padded[crop + down : crop + down + height, crop + right : crop + right + width]


@pytest.mark.parametrize("flip, crop", [(True, 0), (False, 2), (True, 2), (False, 0)])
def test_images_are_flipped_and_cropped_as_numpy_slices(flip, crop):
    augment = Augment(flip=flip, crop=crop, seed=5)
    chosen = augment.choices(ROWS, epoch=4)
    found = augment(IMAGES, ROWS, epoch=4)
    wanted = [by_hand(image, *row, crop) for image, row in zip(IMAGES, chosen, strict=True)]
    assert np.array_equal(found, wanted)
    assert found.dtype == np.float32


def test_rows_are_changed_alike_whatever_minibatch_they_are_in():
    augment = Augment(flip=True, crop=3, seed=1)
    whole = augment.choices(np.arange(100), epoch=2)
    assert np.array_equal(augment.choices(ROWS, epoch=2), whole[ROWS])
    assert not np.array_equal(augment.choices(ROWS, epoch=3), whole[ROWS])
    assert not np.array_equal(Augment(flip=True, crop=3, seed=2).choices(ROWS, 2), whole[ROWS])


def test_choices_are_uniform():
    chosen = Augment(flip=True, crop=1).choices(np.arange(9000), epoch=0)
    for column, values in zip(chosen.T, ([0, 1], [-1, 0, 1], [-1, 0, 1]), strict=True):
        found, counts = np.unique(column, return_counts=True)
        assert found.tolist() == values
        assert np.all(np.abs(counts - 9000 / len(values)) < 6 * np.sqrt(9000 / len(values)))


def test_it_compiles():
    chosen = Augment(flip=True, crop=1).choices(ROWS, epoch=0)
    found = cr.compile(lambda images, chosen: augmented(images, chosen, 1))(IMAGES, chosen)
    assert np.array_equal(found, augmented(IMAGES, chosen, 1))


def test_arrays_gather_augmented_images_and_index_plain_ones():
    augment = Augment(flip=True, crop=1)
    data = Arrays(IMAGES, np.arange(6), augment=augment)
    assert data.streamed
    rows = np.array([[4, 1], [1, 0]])
    piece, local = data.gather(rows, epoch=7)
    wanted = augment(IMAGES[rows.ravel()], rows.ravel(), 7)
    assert np.array_equal(piece.inputs[local].reshape(wanted.shape), wanted)
    assert np.array_equal(data[rows[0]].inputs, IMAGES[rows[0]])
    assert data.part([0, 1]).augment is augment


def test_what_cannot_be_augmented_is_refused():
    with pytest.raises(errors.DataError, match="crop is a number of pixels"):
        Augment(crop=-1)
    with pytest.raises(errors.DataError, match=r"images \(B, H, W, C\)"):
        Augment(flip=True)(np.zeros((2, 3)), np.arange(2), 0)
