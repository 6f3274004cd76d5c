"""Clipping of inputs: far values come nearer, and none is lost.

Source    Holzmüller, Grinsztajn and Steinwart, "Better by default: strong pre-tuned MLPs and
          boosted trees on tabular data", NeurIPS 2024, with bound 3 behind a scaling of columns.
"""

from __future__ import annotations

import numpy as np

from chainrule.nn.module import Module


class SoftClip(Module):
    """x / sqrt(1 + (x / bound)^2): slope 1 at 0, and no value beyond `bound`; rising everywhere.

    As a first layer, behind standardised columns: a column that is nearly always the same (a pixel
    at the border, a rare category) has values of 10 and more deviations, which would rule the first
    layer.

    **Shapes** x: (...) -> the same. **Errors** `ValueError` for a bound that is not positive.

    >>> SoftClip(3.0)(np.array([0.0, 0.3, -4.0, 100.0])).round(3)
    array([ 0.   ,  0.299, -2.4  ,  2.999])
    """

    def __init__(self, bound: float = 3.0):
        if not 0 < bound < np.inf:
            raise ValueError(f"bound is a positive number, got {bound!r}.")
        self.bound = float(bound)

    def __call__(self, x, training: bool = False, rng=None):
        # hypot(1, x / bound) cannot overflow where (x / bound)^2 would
        return x / np.hypot(1, x / self.bound)

    def config(self) -> dict:
        """What builds this layer again."""
        return {"bound": float(self.bound)}

    def __repr__(self) -> str:
        return f"SoftClip({self.bound})"
