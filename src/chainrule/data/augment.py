"""Augmentation of images: random flips and crops, a function of the seed, the epoch and the row.

So what a row looks like in an epoch does not depend on the minibatch that it is in, on what was
drawn before, or on whether the run was resumed.
"""

from __future__ import annotations

import numpy as np

from chainrule import errors, random

_AUGMENT = 4  # the word of the seed for augmentation


class Augment:
    """Flips images left to right at random, and moves them by up to `crop` pixels each way.

    Moving is cropping from the image with `crop` pixels of 0 around it (0 is the mean of prepared
    images), each of the (2 crop + 1)^2 places as likely as any other.

    **Shapes** images (B, H, W, C), rows (B,) -> (B, H, W, C).
    **Source** the augmentation of He et al. 2015 (ResNet) for small images.

    >>> images = np.arange(8.0).reshape(2, 2, 2, 1)
    >>> Augment(flip=True, seed=0)(images, np.array([0, 1]), epoch=3)[..., 0].tolist()
    [[[1.0, 0.0], [3.0, 2.0]], [[5.0, 4.0], [7.0, 6.0]]]
    """

    def __init__(self, *, flip: bool = False, crop: int = 0, seed: int = 0):
        if crop < 0:
            raise errors.DataError(f"crop is a number of pixels from 0, got {crop}.")
        self.flip, self.crop, self.seed = flip, crop, seed

    def __repr__(self) -> str:
        return f"Augment(flip={self.flip}, crop={self.crop}, seed={self.seed})"

    def config(self) -> dict:
        """What makes this object again."""
        return {"flip": self.flip, "crop": self.crop, "seed": self.seed}

    def choices(self, rows: np.ndarray, epoch: int) -> np.ndarray:
        """What is done to each row in an epoch: flipped or not, moved down, moved right.

        **Shapes** (B,) -> (B, 3). **Dtypes** int64. **Cost** as for all rows up to the largest.
        """
        count = int(np.max(rows, initial=-1)) + 1
        rng = random.Generator([self.seed, epoch, _AUGMENT])
        flips = rng.integers(0, 2, size=count)[rows] if self.flip else np.zeros(len(rows), int)
        moves = np.zeros((len(rows), 2), np.int64)
        if self.crop:
            moves = rng.integers(0, 2 * self.crop + 1, size=(count, 2))[rows] - self.crop
        return np.concatenate([flips[:, None], moves], axis=1)

    def __call__(self, images: np.ndarray, rows: np.ndarray, epoch: int) -> np.ndarray:
        """The images of these rows as they are in an epoch."""
        if np.ndim(images) != 4:
            raise errors.DataError(f"images (B, H, W, C) are augmented, got {np.shape(images)}.")
        return augmented(images, self.choices(np.asarray(rows), epoch), self.crop)


def augmented(images, choices, crop: int):
    """Images, flipped and moved as `Augment.choices` says; plain NumPy, which compiles.

    **Shapes** (B, H, W, C), (B, 3) -> (B, H, W, C).
    """
    count, height, width = images.shape[:3]
    padded = np.pad(images, ((0, 0), (crop, crop), (crop, crop), (0, 0)))
    down = np.arange(height)[None, :] + crop + choices[:, 1:2]  # (B, H)
    across = np.arange(width)[None, :] + choices[:, 2:3]  # (B, W), in the image as it is then:
    across = np.where(choices[:, :1] == 1, width - 1 - across, across) + crop  # flipped or not
    return padded[np.arange(count)[:, None, None], down[:, :, None], across[:, None, :]]
