"""A folder of images to a table: the names of the folders inside it are the classes."""

from __future__ import annotations

import warnings
from pathlib import Path
from typing import Any

import numpy as np

from chainrule import errors, extras
from chainrule.data.table import Column, Table, objects

ENDINGS = (".png", ".jpg", ".jpeg", ".bmp", ".gif", ".tif", ".tiff", ".webp", ".ppm", ".pgm")
_DEEP = ("I", "I;16", "I;16B", "I;16L", "I;16N")  # Pillow's modes of 16 bits and more, all gray
_GRAY = ("1", "L", "LA", *_DEEP)
_STEP = 257  # from one value of 8 bits to the next, in 16 bits


def read_image_folder(
    folder: str | Path, *, size: tuple[int, int] | None = None, channels: int | None = None
) -> Table:
    """The images in a folder: "image", uint8 (N, H, W, C), and "class", the folder each lies in.

    A file is read as a folder with that one image. Images that lie in the folder itself have no
    class; then there is no such column. `size` (H, W) resizes all (bilinear); without it they must
    be of one size. `channels` is 1 (gray) or 3 (red, green, blue); without it 1 where all are gray.
    Transparency is dropped, of several frames the first is taken. Rows are in the order of their
    paths and known by them. Where a gray image has 16 bits, "image" is float32, from 0 to 255 with
    fractions, so that images of 8 and of 16 bits mean the same.

    **Errors** DataError: no images, sizes that differ, files that are damaged or too large, more
    than 16 bits, classes beside images without one; MissingExtra without pillow.
    """
    folder = Path(folder)
    if channels not in (None, 1, 3):
        raise errors.DataError(f"channels is 1 (gray) or 3 (red, green, blue), got {channels}.")
    paths = [folder] if folder.is_file() else sorted(
        p for p in folder.rglob("*")
        if p.suffix.lower() in ENDINGS and not any(part.startswith(".") for part in p.parts[1:])
        and p.is_file()
    )  # fmt: skip
    if not paths:
        raise errors.DataError(
            f"{folder} holds no images ({', '.join(ENDINGS[:4])}, ...). Needed is a folder for "
            "each class, with its images in it."
        )
    above = folder.parent if folder.is_file() else folder
    names = [path.relative_to(above) for path in paths]
    classes = [str(name.parts[0]) if len(name.parts) > 1 else None for name in names]
    images = _images(paths, size, channels)
    columns = {"image": Column("image", "array", images)}
    if any(classes):
        loose = next((p for p, c in zip(paths, classes, strict=True) if c is None), None)
        if loose is not None:
            raise errors.DataError(
                f"{loose} lies beside the folders of the classes; put it into one of them."
            )
        columns["class"] = Column("class", "text", objects(classes))
    return Table(columns, str(folder), objects([n.as_posix() for n in names]), (), "file")


def _images(paths: list[Path], size: tuple[int, int] | None, channels: int | None) -> np.ndarray:
    """All images, uint8 (N, H, W, C), or float32 where one has 16 bits."""
    pillow = extras.load("PIL.Image", "data", "Image files")
    channels = channels or _channels(pillow, paths)
    made = None
    for i, path in enumerate(paths):
        pixels = _pixels(pillow, path, size, channels)
        if made is None:
            made = np.empty((len(paths), *pixels.shape), pixels.dtype)
        if pixels.shape != made.shape[1:]:
            raise errors.DataError(
                f"{path} is {pixels.shape[0]} x {pixels.shape[1]} pixels, and {paths[0]} is "
                f"{made.shape[1]} x {made.shape[2]} (height x width).\n"
                f"  To resize all, write size=({made.shape[1]}, {made.shape[2]})."
            )
        made = made.astype(np.promote_types(made.dtype, pixels.dtype), copy=False)
        made[i] = pixels
    assert made is not None
    return made


def _channels(pillow, paths: list[Path]) -> int:
    """1 where every image is gray, else 3. Only the heads of the files are read."""
    for path in paths:
        if _opened(pillow, path, lambda image: image.mode) not in _GRAY:
            return 3
    return 1


def _pixels(pillow, path: Path, size: tuple[int, int] | None, channels: int) -> np.ndarray:
    turning = extras.load("PIL.ImageOps", "data", "Image files")

    def convert(image):
        image = turning.exif_transpose(image)  # as the camera was held
        if image.mode == "F" or image.mode in _DEEP:
            image = pillow.fromarray(_as_8_bits(image))
        else:
            if "transparency" in image.info:
                image = image.convert("RGBA")
            image = image.convert("L" if channels == 1 else "RGB")
        if size is not None:
            image = image.resize((size[1], size[0]), pillow.Resampling.BILINEAR)
        pixels = np.asarray(image).reshape(image.height, image.width, -1)
        return np.broadcast_to(pixels, (*pixels.shape[:2], channels))

    return _opened(pillow, path, convert)


def _as_8_bits(image) -> np.ndarray:
    """The values of a gray image of 16 bits as if they were of 8, with fractions: float32."""
    values = np.asarray(image)
    if image.mode == "F" or values.min() < 0 or values.max() >= 1 << 16:
        raise ValueError(
            "its values are not whole numbers of 8 or 16 bits, so their scale is not known. Save "
            "arrays of them, and the classes, in a .npz file"
        )
    return values.astype(np.float32) / _STEP


def _opened(pillow, path: Path, use) -> Any:
    """What a function makes of an open image; whatever the file does, a DataError that names it."""
    try:
        with warnings.catch_warnings():
            warnings.simplefilter("error", pillow.DecompressionBombWarning)
            with pillow.open(path) as image:
                return use(image)
    except (
        OSError, ValueError, SyntaxError, EOFError, TypeError, MemoryError,
        pillow.DecompressionBombError, pillow.DecompressionBombWarning,
    ) as error:  # fmt: skip
        raise errors.DataError(f"{path} cannot be read as an image: {error}") from error
