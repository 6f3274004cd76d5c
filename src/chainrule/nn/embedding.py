"""Embeddings: a learned vector for each of so many things."""

from __future__ import annotations

from typing import Any

import numpy as np

from chainrule import errors
from chainrule.nn.init import Initialisation, initial
from chainrule.nn.module import Module, Parameter


class Embedding(Module):
    """Row `tokens` of `weight`: whole numbers (...) from 0 to count - 1 -> (..., channels).

    `weight` is (count, channels), at first randn / sqrt(channels): vectors of length about 1.

    **Errors** `DtypeError` for tokens that are no whole numbers; `IndexError` for one that is
    negative, or not below `count`.

    >>> Embedding(10, 4, rng=0)(np.array([[1, 2, 1]])).shape
    (1, 3, 4)
    """

    def __init__(
        self, count: int, channels: int, *, init: str | Initialisation = "lecun", dtype="f", rng=0
    ):
        if count < 1 or channels < 1:
            raise ValueError(f"Embedding needs a count and channels, got {count}, {channels}.")
        self.weight: Any = Parameter(
            initial(init, rng, (count, channels), channels, channels, dtype)
        )

    def __call__(self, x, training: bool = False, rng=None):
        if x.dtype.kind not in "iu":
            raise errors.DtypeError(
                f"Embedding takes whole numbers, got {x.dtype}: pass tokens.astype(np.int64)."
            )
        if x.dtype.kind == "i":
            outside = np.int64(-1 - len(self.weight))
            x = np.where(x < 0, outside, x)  # or NumPy would count from the end
        return np.take(self.weight, x, axis=0)  # weight[x] would not be traced for plain weights

    def config(self) -> dict:
        """What builds this layer again."""
        count, channels = self.weight.shape
        return {"count": count, "channels": channels, "dtype": self.weight.dtype.char}

    def __repr__(self) -> str:
        return f"Embedding({self.weight.shape[0]}, {self.weight.shape[1]})"
