"""Long short-term memory: a recurrent layer with gates.

Source    Hochreiter and Schmidhuber, Neural Computation 9 (1997); the forget gate is that of Gers,
          Schmidhuber and Cummins, 2000, and its bias of 1 Jozefowicz et al.'s, ICML 2015.
"""

from __future__ import annotations

from typing import Any

import numpy as np

from chainrule import errors, random
from chainrule.control import scan
from chainrule.nn.activations import sigmoid
from chainrule.nn.init import Initialisation, initial
from chainrule.nn.linear import as_dtype_of
from chainrule.nn.module import Module, Parameter


class LSTM(Module):
    """A whole sequence, step by step: (..., T, inputs) -> (..., T, units), or (..., units).

    **Maths** with the sums a = x_t weight + h recurrent + bias, cut into four of `units` each, i,
    f, g, o: `c <- sigmoid(f) c + sigmoid(i) tanh(g)`, `h <- sigmoid(o) tanh(c)`; h and c are 0
    before the first step. The outputs are all h, or the last one alone with `last`.
    `weight` is (inputs, 4 units), `recurrent` (units, 4 units) and at first orthogonal for each
    gate, `bias` (4 units,), at first 0 but `forget_bias` for f, so that memory lasts. PyTorch's
    `weight_ih` and `weight_hh` are the transposes; its two biases add up to this one.

    **Dtypes** x in another floating dtype is cast to the weights'.
    **Errors** `ShapeError` where x has no axis of time, or the last axis another length.
    **Cost** 8 T units (inputs + units) flops for each sequence.

    >>> LSTM(3, 5, rng=0)(np.ones((2, 7, 3), np.float32)).shape
    (2, 7, 5)
    >>> LSTM(3, 5, last=True, rng=0)(np.ones((2, 7, 3), np.float32)).shape
    (2, 5)
    """

    def __init__(
        self, inputs: int, units: int, *, last: bool = False, forget_bias: float = 1.0,
        init: str | Initialisation = "glorot", dtype="f", rng=0,
    ):  # fmt: skip
        if inputs < 1 or units < 1:
            raise ValueError(f"LSTM needs at least 1 input and unit, got {inputs}, {units}.")
        rng = random.default_rng(rng)
        gates = [initial("orthogonal", rng, (units, units), units, units, dtype) for _ in range(4)]
        bias = np.zeros(4 * units, dtype)
        bias[units : 2 * units] = forget_bias
        self.weight: Any = Parameter(initial(init, rng, (inputs, 4 * units), inputs, units, dtype))
        self.recurrent: Any = Parameter(np.concatenate(gates, axis=1))
        self.bias: Any = Parameter(bias)
        self._configure(
            inputs=inputs, units=units, last=bool(last), forget_bias=float(forget_bias),
            dtype=np.dtype(dtype).char,
        )  # fmt: skip

    def __call__(self, x, training: bool = False, rng=None):
        outputs, (h, _) = self.unrolled(x)
        return h if self.config()["last"] else outputs

    def unrolled(self, x, state: tuple | None = None) -> tuple:
        """All outputs (..., T, units), and the last state (h, c), each (..., units).

        `state` is such a pair to begin with: a long sequence may be read in pieces.
        """
        inputs, units = self.weight.shape[0], self.recurrent.shape[0]
        if x.ndim < 2 or x.shape[-1] != inputs:
            raise errors.ShapeError(f"LSTM takes (..., T, {inputs}), got shape {x.shape}.")
        x = as_dtype_of(x, self.weight)
        sums = np.moveaxis(x @ self.weight + self.bias, -2, 0)  # (T, ..., 4 units)
        if state is None:
            zero = np.zeros((*x.shape[:-2], units), x.dtype)
            state = (zero, zero)
        recurrent = self.recurrent

        def step(state, a):
            h, c = state
            a = a + h @ recurrent
            i, f, g, o = (a[..., k * units : (k + 1) * units] for k in range(4))
            c = sigmoid(f) * c + sigmoid(i) * np.tanh(g)
            h = sigmoid(o) * np.tanh(c)
            return (h, c), h

        state, outputs = scan(step, tuple(state), sums)
        return np.moveaxis(outputs, 0, -2), state

    def __repr__(self) -> str:
        return f"LSTM({self.weight.shape[0]}, {self.recurrent.shape[0]})"
