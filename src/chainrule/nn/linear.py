"""Linear layers."""

from __future__ import annotations

from typing import Any

import numpy as np

from chainrule import errors
from chainrule.nn.init import Initialisation, initial
from chainrule.nn.module import Module, Parameter


class Linear(Module):
    """x @ weight + bias over the last axis: (..., inputs) -> (..., outputs).

    `weight` is (inputs, outputs), `bias` (outputs,) and 0 at first, or None without `bias`.

    **Dtypes** x in another floating dtype is cast to the weights'.
    **Errors** `ShapeError` where the last axis is not of length `inputs`.
    **Cost** 2 inputs outputs flops for each row.

    >>> Linear(3, 2, rng=0)(np.ones((5, 3), np.float32)).shape
    (5, 2)
    """

    def __init__(
        self, inputs: int, outputs: int, bias: bool = True, *, init: str | Initialisation = "he",
        dtype="f", rng=0,
    ):  # fmt: skip
        if inputs < 1 or outputs < 1:
            raise ValueError(f"Linear needs at least 1 input and output, got {inputs}, {outputs}.")
        shape = (inputs, outputs)
        self.weight: Any = Parameter(initial(init, rng, shape, inputs, outputs, dtype))
        self.bias: Any = Parameter(np.zeros(outputs, dtype)) if bias else None

    def __call__(self, x, training: bool = False, rng=None):
        inputs = self.weight.shape[0]
        if not x.ndim or x.shape[-1] != inputs:
            raise errors.ShapeError(
                f"Linear takes {inputs} inputs on the last axis, got shape {x.shape}."
            )
        out = as_dtype_of(x, self.weight) @ self.weight
        return out if self.bias is None else out + self.bias

    def config(self) -> dict:
        """What builds this layer again."""
        inputs, outputs = self.weight.shape
        return {"inputs": inputs, "outputs": outputs, "bias": self.bias is not None,
                "dtype": self.weight.dtype.char}  # fmt: skip

    def __repr__(self) -> str:
        inputs, outputs = self.weight.shape
        return f"Linear({inputs}, {outputs}{'' if self.bias is not None else ', bias=False'})"


def as_dtype_of(x, weight):
    """x in the dtype of a layer's weights, so that float32 layers stay float32."""
    return x if x.dtype == weight.dtype else x.astype(weight.dtype)
