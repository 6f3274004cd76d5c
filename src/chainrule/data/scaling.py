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

METHODS = ("none", "center", "standardize", "pca", "zca")
LARGEST = 3e38  # what float32 can hold
_FLAT = 1e-10


def fit(method: str, x: np.ndarray, blocks: list[tuple[int, int]]) -> dict[str, Any]:
    """The record of a scaling of x (N, n).

    Each (first, last) of `blocks` are columns that share a unit, as the pixels of an image: they
    share one standard deviation, so that what hardly varies is not blown up.
    """
    if method not in METHODS:
        raise errors.DataError(f"scaling is one of {', '.join(METHODS)}, got {method!r}.")
    record: dict[str, Any] = {"method": method}
    if method == "none" or not x.shape[1]:
        return record | {"method": "none"}
    mean, std = moments(x)
    for first, last in blocks:
        std[first:last] = np.sqrt(np.mean(np.square(std[first:last])))
    std[std == 0] = 1.0
    record["mean"] = mean.tolist()
    if method == "center":
        return record
    record["std"] = std.tolist()
    if method in ("pca", "zca"):
        record["matrix"] = _whitening((x - mean) / std, method).tolist()
    return record


def apply(record: dict[str, Any], x: np.ndarray) -> np.ndarray:
    """The scaled columns. **Shapes** (N, n) -> (N, m). **Dtypes** float64 -> float32."""
    if "mean" in record:
        x = x - np.array(record["mean"])
    if "std" in record:
        x = x / np.array(record["std"])
    if "matrix" in record:
        x = x @ np.array(record["matrix"])
    return np.clip(x, -LARGEST, LARGEST).astype(np.float32)


def moments(x: np.ndarray) -> tuple[np.ndarray, np.ndarray]:
    """Mean and standard deviation of each column, without overflow.

    >>> moments(np.array([[1e200, 1.0], [3e200, 1.0]]))
    (array([2.e+200, 1.e+000]), array([1.e+200, 0.e+000]))
    """
    peak = np.abs(x).max(axis=0)
    peak = np.where(peak > 0, 2.0 ** np.floor(np.log2(np.where(peak > 0, peak, 1.0))), 1.0)
    scaled = x / peak  # a power of 2: exact
    std = np.where(scaled.min(axis=0) == scaled.max(axis=0), 0.0, scaled.std(axis=0))
    return scaled.mean(axis=0) * peak, std * peak


def _whitening(x: np.ndarray, method: str) -> np.ndarray:
    """The matrix W with cov(x W) = I on the directions that vary."""
    sizes, axes = np.linalg.eigh(x.T @ x / len(x))
    varies = sizes > _FLAT * sizes[-1]
    if method == "zca":
        return (axes / np.sqrt(np.where(varies, sizes, 1.0))) @ axes.T
    axes = axes[:, varies][:, ::-1]  # the largest first
    signs = np.sign(axes[np.abs(axes).argmax(axis=0), np.arange(axes.shape[1])])
    return axes * signs / np.sqrt(sizes[varies][::-1])
