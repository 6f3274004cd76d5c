"""Centring, scaling and whitening of columns of numbers: fitted once, to a record for JSON.

none          x
center        x - mean
standardize   (x - mean) / std
pca           principal components of the standardised columns, each of variance 1
zca           the same, turned back to the columns that they came from

Both whitenings standardise first, so that units do not matter ("PCA-cor" and "ZCA-cor" of Kessy,
Lewin and Strimmer, The American Statistician 2018). Directions in which the data do not vary
(eigenvalue below 1e-10 of the largest) are left out by `pca`, and not stretched by `zca`.
"""

from __future__ import annotations

from typing import Any

import numpy as np

from chainrule import errors

METHODS = {
    "none": (),
    "center": ("mean",),
    "standardize": ("mean", "std"),
    "pca": ("mean", "std", "matrix"),
    "zca": ("mean", "std", "matrix"),
}  # and the parts of their records
LARGEST = 3e38  # what float32 can hold
CHUNK = 4096  # rows at a time
_FLAT = 1e-10


def fit(method: str, x: np.ndarray, blocks: list[tuple[int, int]]) -> dict[str, Any]:
    """The record of a scaling of x (N, n).

    Each (first, last) of `blocks` are columns that share a unit, as the pixels of an image: they
    share one standard deviation, so that what hardly varies is not blown up.
    """
    if not METHODS[checked(method)] or not x.shape[1]:
        return {"method": "none"}
    mean, std = moments(x)
    for first, last in blocks:
        peak = std[first:last].max(initial=0.0) or 1.0
        std[first:last] = peak * np.sqrt(np.mean(np.square(std[first:last] / peak)))
    std[std == 0] = 1.0
    record: dict[str, Any] = {"method": method, "mean": mean.tolist()}
    if "std" in METHODS[method]:
        record["std"] = std.tolist()
    if "matrix" in METHODS[method]:
        record["matrix"] = _whitening((x - mean) / std, method).tolist()
    return record


def fit_channels(method: str, images: np.ndarray) -> dict[str, Any]:
    """The record of a scaling of the last axis of arrays (N, ..., C): a mean for each channel.

    A part of the rows at a time is turned into float64.
    """
    channels = images.shape[-1]
    count = images.size // channels
    chunks = [images[i : i + CHUNK] for i in range(0, len(images), CHUNK)]
    flat = (chunk.reshape(-1, channels).astype(np.float64) for chunk in chunks)
    mean = sum((x / count).sum(axis=0) for x in flat)
    flat = (chunk.reshape(-1, channels).astype(np.float64) for chunk in chunks)
    std = np.sqrt(sum((np.square(x - mean) / count).sum(axis=0) for x in flat))
    std[std == 0] = 1.0
    found = {"mean": np.asarray(mean).tolist(), "std": std.tolist()}
    return {"method": method} | {part: found[part] for part in METHODS[checked(method)]}


def checked(method: str) -> str:
    """The method, if there is one of this name."""
    if method not in METHODS:
        raise errors.DataError(f"scale is one of {', '.join(METHODS)}, got {method!r}.")
    return method


def apply(record: dict[str, Any], x: np.ndarray) -> np.ndarray:
    """The scaled columns; a record with fewer means than columns repeats for each of its channels.

    **Shapes** (N, n) -> (N, m). **Dtypes** float64 -> float32; what exceeds it is its largest.
    """
    count, width = len(x), x.shape[1]
    with np.errstate(over="ignore"):
        if record["method"] != "none":
            x = x.reshape(count, -1, len(record["mean"])) - np.array(record["mean"])
        if "std" in record:
            x = x / np.array(record["std"])
        x = x.reshape(count, width)
        if "matrix" in record:
            x = np.clip(x, -LARGEST, LARGEST) @ np.array(record["matrix"])
    return np.clip(x, -LARGEST, LARGEST).astype(np.float32)


def moments(x: np.ndarray) -> tuple[np.ndarray, np.ndarray]:
    """Mean and standard deviation of each column, without overflow.

    >>> moments(np.array([[1e200, 1.0], [3e200, 1.0]]))
    (array([2.e+200, 1.e+000]), array([1.e+200, 0.e+000]))
    """
    peak = np.abs(x).max(axis=0)
    _, exponent = np.frexp(np.where(peak > 0, peak, 1.0))
    scaled = np.ldexp(x, -exponent)  # by a power of 2: exact, but for what is lost below 1e-308
    std = np.where(scaled.min(axis=0) == scaled.max(axis=0), 0.0, scaled.std(axis=0))
    return np.ldexp(scaled.mean(axis=0), exponent), np.ldexp(std, exponent)


def _whitening(x: np.ndarray, method: str) -> np.ndarray:
    """The matrix W with cov(x W) = I on the directions that vary."""
    sizes, axes = np.linalg.eigh(x.T @ x / len(x))
    varies = sizes > _FLAT * sizes[-1]
    if method == "zca":
        return (axes / np.sqrt(np.where(varies, sizes, 1.0))) @ axes.T
    axes = axes[:, varies][:, ::-1]  # the largest first
    signs = np.sign(axes[np.abs(axes).argmax(axis=0), np.arange(axes.shape[1])])
    return axes * signs / np.sqrt(sizes[varies][::-1])
