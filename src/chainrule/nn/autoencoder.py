r"""Autoencoders: networks that give their input back, through a code; denoising ones repair it.

    code = encode(x)          activation(... activation(x W1 + c1) ...)
    x' = decode(code)         the same sizes backwards, then `output`

With `tied`, the decoder's weights are the encoder's, transposed: one array, whose gradient is the
sum of both uses, and which is stored once. A denoising autoencoder sees a corrupted input while it
trains, and its loss compares with the clean one.

| `noise` | what training sees |
|---|---|
| "gaussian" | x + level randn |
| "mask" | each value is 0 with probability `level` (not rescaled) |

Source    Rumelhart, Hinton and Williams 1986; Vincent et al., "Extracting and composing robust
          features with denoising autoencoders", ICML 2008.
"""

from __future__ import annotations

from collections.abc import Sequence
from itertools import pairwise
from typing import Any

import numpy as np

from chainrule import errors, random
from chainrule.nn import losses
from chainrule.nn.activations import FUNCTIONS
from chainrule.nn.init import Initialisation
from chainrule.nn.linear import Linear, as_dtype_of
from chainrule.nn.module import Module, Parameter

NOISES = ("gaussian", "mask")
OUTPUTS = ("identity", "sigmoid")


class Autoencoder(Module):
    """Gives x' for x: (..., inputs) -> (..., inputs); `encode` gives (..., code).

    `hidden` are the sizes between the input and the code, used backwards in the decoder.
    `activation` stands after each hidden layer and `code_activation` (by default the same) after
    the code; `output` is "identity", or "sigmoid" for inputs between 0 and 1. While it trains,
    the input is corrupted by `noise` ("gaussian", "mask" or None) at `level`.

    **Errors** `ValueError` for options outside of these; `StructureMismatch` where a denoising
    autoencoder trains without `rng`.

    >>> model = Autoencoder(64, (32,), 8, tied=True)
    >>> model.encode(np.ones((5, 64), np.float32)).shape
    (5, 8)
    >>> [path for path, _ in model.named_parameters()][-2:]
    ['decoder[0].bias', 'decoder[1].bias']
    """

    def __init__(
        self, inputs: int, hidden: Sequence[int], code: int, activation: str = "sigmoid", *,
        code_activation: str | None = None, output: str = "identity", tied: bool = False,
        noise: str | None = None, level: float = 0.0, init: str | Initialisation = "glorot",
        dtype="f", rng=0,
    ):  # fmt: skip
        code_activation = activation if code_activation is None else code_activation
        _check(activation, code_activation, output, noise, level)
        if not isinstance(tied, bool):
            raise ValueError(f"tied is True or False, got {tied!r}.")
        rng, sizes = random.default_rng(rng), [inputs, *hidden, code]
        self.encoder = [Linear(n, m, init=init, dtype=dtype, rng=rng) for n, m in pairwise(sizes)]
        back = list(pairwise(reversed(sizes)))
        self.decoder: list[Any] = (
            [Transposed(m, dtype=dtype) for _, m in back] if tied
            else [Linear(n, m, init=init, dtype=dtype, rng=rng) for n, m in back]
        )  # fmt: skip
        self.activation, self.code_activation = activation, code_activation
        self.output, self.noise, self.level = output, noise, float(level)
        self._configure(
            inputs=inputs, hidden=list(hidden), code=code, activation=activation,
            code_activation=code_activation, output=output, tied=tied, noise=noise,
            level=float(level), dtype=np.dtype(dtype).char,
        )  # fmt: skip

    def __call__(self, x, training: bool = False, rng=None):
        return FUNCTIONS[self.output](self.scores(x, training, rng))

    def encode(self, x):
        """The code of x: (..., inputs) -> (..., code)."""
        last = len(self.encoder) - 1
        for i, layer in enumerate(self.encoder):
            x = FUNCTIONS[self.activation if i < last else self.code_activation](layer(x))
        return x

    def decode(self, code):
        """The input that a code stands for: (..., code) -> (..., inputs)."""
        return FUNCTIONS[self.output](self._decoded(code))

    def scores(self, x, training: bool = False, rng=None):
        """What comes out before `output`."""
        x = as_dtype_of(x, self.encoder[0].weight)
        if training and self.noise is not None:
            x = corrupted(x, self.noise, self.level, rng)
        return self._decoded(self.encode(x))

    def loss(self, x, training: bool = False, rng=None, *, sample_weights=None, reduce="mean"):
        """The reconstruction error, compared with the clean x: half the squared distance, or with
        a sigmoid output minus the log-likelihood of x as probabilities, summed over the inputs."""
        compared = losses.squared if self.output == "identity" else losses.binary_cross_entropy
        scores = self.scores(x, training, rng)
        return compared(scores, x, sample_weights=sample_weights, reduce=reduce)

    def _decoded(self, x):
        last = len(self.decoder) - 1
        for i, layer in enumerate(self.decoder):
            x = layer(x, self.encoder[last - i].weight) if self._is_tied else layer(x)
            x = x if i == last else FUNCTIONS[self.activation](x)
        return x

    @property
    def _is_tied(self) -> bool:
        return isinstance(self.decoder[0], Transposed)


class Transposed(Module):
    """x @ weight.T + bias, with the weight of another layer: (..., inner) -> (..., outputs).

    >>> Transposed(3)(np.ones(2, np.float32), np.ones((3, 2), np.float32))
    array([2., 2., 2.], dtype=float32)
    """

    def __init__(self, outputs: int, *, dtype="f"):
        self.bias: Any = Parameter(np.zeros(outputs, dtype))

    def __call__(self, x, weight, training: bool = False, rng=None):
        return as_dtype_of(x, weight) @ weight.T + self.bias


def corrupted(x, noise: str, level: float, rng):
    """x, of floats, with noise, in its dtype; see the table of the module.

    >>> corrupted(np.ones(6, np.float32), "mask", 0.5, random.default_rng(0))
    array([0., 1., 1., 1., 1., 0.], dtype=float32)
    """
    if rng is None:
        raise errors.StructureMismatch(
            "a denoising autoencoder draws noise while it trains: pass rng, "
            "model(x, training=True, rng=rng)."
        )
    if noise == "gaussian":
        return x + (level * rng.normal(size=x.shape)).astype(x.dtype)
    return np.where(rng.random(x.shape, dtype=np.float32) >= level, x, 0).astype(x.dtype)


def _check(named, code_named, output, noise, level) -> None:
    for name in (named, code_named):
        if not isinstance(name, str) or name not in FUNCTIONS:
            raise ValueError(f"activations are names: {', '.join(FUNCTIONS)}; got {name!r}.")
    if output not in OUTPUTS:
        raise ValueError(f"output is one of {', '.join(OUTPUTS)}; got {output!r}.")
    if noise is not None and noise not in NOISES:
        raise ValueError(f"noise is None or one of {', '.join(NOISES)}; got {noise!r}.")
    if not level >= 0 or (noise == "mask" and level >= 1):
        raise ValueError(
            f"level is the deviation of gaussian noise, or the share of masked values below 1; "
            f"got {level!r}."
        )
