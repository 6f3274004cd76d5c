"""Dropout.

Source    Srivastava et al., "Dropout", JMLR 15 (2014). Kept values are divided by the probability
          to keep them while training, so that inference needs no change (inverted dropout).
"""

from __future__ import annotations

import numpy as np

from chainrule import errors
from chainrule.nn.module import Module


class Dropout(Module):
    """While training, each value is 0 with probability `rate`, else divided by 1 - rate.

    **Errors** `ValueError` for a rate outside of [0, 1), `StructureMismatch` where it trains
    without `rng`.

    >>> Dropout(0.5)(np.ones(3))
    array([1., 1., 1.])
    """

    def __init__(self, rate: float = 0.5):
        if not 0 <= rate < 1:
            raise ValueError(f"rate is a probability below 1, got {rate}.")
        self.rate = float(rate)

    def __call__(self, x, training: bool = False, rng=None):
        if not training:
            return x
        if rng is None:
            raise errors.StructureMismatch(
                "Dropout draws while it trains: pass rng, model(x, training=True, rng=rng)."
            )
        kept = rng.random(x.shape, dtype=np.float32) >= self.rate
        return np.where(kept, x / (1 - self.rate), 0).astype(x.dtype)

    def config(self) -> dict:
        """What builds this layer again."""
        return {"rate": float(self.rate)}

    def __repr__(self) -> str:
        return f"Dropout({self.rate})"
