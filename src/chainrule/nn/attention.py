"""Multi-head attention.

Source    Vaswani et al., "Attention Is All You Need", NIPS 2017, section 3.2.
"""

from __future__ import annotations

import math
from typing import Any

import numpy as np

from chainrule import errors, random, special
from chainrule.nn.dropout import Dropout
from chainrule.nn.init import Initialisation
from chainrule.nn.linear import Linear
from chainrule.nn.module import Module


class MultiHeadAttention(Module):
    """Each place of a sequence reads from all others: (..., T, channels) -> (..., T, channels).

    **Maths** for each of `heads` heads, of D = channels / heads channels each, q, k and v being
    linear in x: `softmax(q k^T / sqrt(D)) v`; the heads stand side by side, and `output` is linear.
    With `causal` a place reads only from itself and those before it. `dropout` zeroes entries of
    the softmax while training. The layers are `query`, `key`, `value` and `output`.

    `model(x, mask=mask)`: booleans (T, S) or (..., T, S), true where place t may read from place s;
    one that may read from none gives 0 there. `model(x, context=y)` reads from y (..., S, channels)
    instead of x.

    **Errors** `ValueError` where `heads` does not divide `channels`; `ShapeError` for another last
    axis, or a mask of another shape.
    **Cost** 8 T channels^2 + 4 T^2 channels flops for each sequence.

    >>> MultiHeadAttention(8, 2, rng=0)(np.ones((3, 5, 8), np.float32)).shape
    (3, 5, 8)
    """

    def __init__(
        self, channels: int, heads: int, *, causal: bool = False, bias: bool = True,
        dropout: float = 0.0, init: str | Initialisation = "glorot", dtype="f", rng=0,
    ):  # fmt: skip
        if min(channels, heads) < 1 or channels % heads:
            raise ValueError(
                f"MultiHeadAttention needs heads that divide the channels, got channels={channels},"
                f" heads={heads}."
            )
        rng = random.default_rng(rng)

        def linear() -> Linear:
            return Linear(channels, channels, bias, init=init, dtype=dtype, rng=rng)

        self.query, self.key, self.value, self.output = (linear() for _ in range(4))
        self.dropout = Dropout(dropout) if dropout else None
        self._configure(
            channels=channels, heads=heads, causal=bool(causal), bias=bool(bias),
            dropout=float(dropout), dtype=np.dtype(dtype).char,
        )  # fmt: skip

    def __call__(self, x, training: bool = False, rng=None, *, mask=None, context=None):
        option = self.config()
        context = x if context is None else context
        for part in (x, context):
            if part.ndim < 2 or part.shape[-1] != option["channels"]:
                raise errors.ShapeError(
                    f"MultiHeadAttention takes (..., T, {option['channels']}), got {part.shape}."
                )
        heads = option["heads"]
        q = _by_head(self.query(x), heads)  # (..., heads, T, D)
        k, v = _by_head(self.key(context), heads), _by_head(self.value(context), heads)
        scores = q @ np.swapaxes(k, -1, -2) / math.sqrt(q.shape[-1])  # (..., heads, T, S)
        weights = _weights(scores, _seen(scores.shape, mask, option["causal"]))
        if self.dropout is not None:
            weights = self.dropout(weights, training=training, rng=rng)
        out = np.swapaxes(weights @ v, -2, -3)  # (..., T, heads, D)
        return self.output(out.reshape(*x.shape[:-1], option["channels"]))

    def __repr__(self) -> str:
        option = self.config()
        return f"MultiHeadAttention({option['channels']}, {option['heads']})"


def _by_head(x, heads: int):
    """(..., T, channels) -> (..., heads, T, D)."""
    x = x.reshape(*x.shape[:-1], heads, x.shape[-1] // heads)
    return np.swapaxes(x, -2, -3)


def _seen(shape: tuple[int, ...], mask: Any, causal: bool):
    """Booleans that broadcast to the scores (..., heads, T, S), or None: everything is seen."""
    rows, columns = shape[-2:]
    seen = np.tri(rows, columns, dtype=bool) if causal else None
    if mask is None:
        return seen
    if mask.dtype != np.bool_ or mask.shape not in (shape[-2:], (*shape[:-3], rows, columns)):
        raise errors.ShapeError(
            f"the mask is an array of booleans of shape {shape[-2:]} or "
            f"{(*shape[:-3], rows, columns)}, got {mask.dtype} of shape {mask.shape}."
        )
    mask = mask if mask.ndim == 2 else mask[..., None, :, :]
    return mask if seen is None else mask & seen


def _weights(scores, seen):
    """Softmax over what is seen; 0 elsewhere, and everywhere in a row where nothing is."""
    if seen is None:
        return special.softmax(scores, axis=-1)
    least = float(np.finfo(scores.dtype).min)
    weights = special.softmax(np.where(seen, scores, least), axis=-1)
    return np.where(seen, weights, 0)
