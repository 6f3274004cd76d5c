"""Fingerprints of data and weights: whether a resumed run goes on with the same."""

from __future__ import annotations

import hashlib
from typing import Any

import numpy as np

from chainrule.train.state import model_arrays

WHOLE = 1 << 28  # bytes of an array that are looked at in full
SAMPLE = 4096  # rows of a larger one: a memory-map is not read for it


def of_data(data: Any) -> dict[str, Any]:
    """The number of rows, and a SHA-256 of inputs, targets, weights and what is drawn of them.

    Arrays above 256 MB count by shape, dtype and 4,096 rows that lie at equal distances.
    """
    digest = hashlib.sha256()
    for array in (data.inputs, data.targets, data.sample_weights):
        digest.update(b"none" if array is None else _of_array(array))
    if data.frequencies is not None:
        digest.update(_of_array(data.frequencies))
    if data.augment is not None:
        digest.update(repr(data.augment).encode())
    return {"rows": len(data), "sha256": digest.hexdigest()}


def of_model(model: Any) -> str:
    """A SHA-256 of all arrays of a model, with their paths."""
    digest = hashlib.sha256()
    for path, array in model_arrays(model).items():
        digest.update(path.encode() + _of_array(array))
    return digest.hexdigest()


def _of_array(array: np.ndarray) -> bytes:
    digest = hashlib.sha256(f"{array.shape} {array.dtype.str}".encode())
    if array.nbytes > WHOLE:
        rows = np.unique(np.linspace(0, len(array) - 1, SAMPLE).astype(np.int64))
        array = array[rows]
    digest.update(np.ascontiguousarray(array).data.cast("B") if array.size else b"")
    return digest.digest()
