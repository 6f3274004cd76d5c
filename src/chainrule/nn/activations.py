"""Activations: what a unit does with its sum. Functions of arrays, and modules by name.

| name | value | source |
|---|---|---|
| identity | x | |
| sigmoid | 1 / (1 + exp(-x)) | |
| tanh | tanh(x) | |
| relu | max(x, 0) | Nair and Hinton, ICML 2010 |
| leaky_relu | x for x > 0, else 0.01 x | Maas et al., ICML 2013 |
| elu | x for x > 0, else exp(x) - 1 | Clevert et al., ICLR 2016 |
| selu | 1.0507 x for x > 0, else 1.7581 (exp(x) - 1) | Klambauer et al., NIPS 2017 |
| gelu | x Phi(x), Phi the normal distribution function | Hendrycks and Gimpel, 2016 |
| softplus | log(1 + exp(x)) | Dugas et al., NIPS 2000 |
| swish | x sigmoid(slope x), slope 1, or learned (`Swish`) | Ramachandran et al., 2017 |
| mish | x tanh(log(1 + exp(x))) | Misra, BMVC 2020 |
| softmax | exp(x) / sum(exp(x)) over the last axis | |
"""

from __future__ import annotations

from collections.abc import Callable
from typing import Any

import numpy as np

from chainrule import special
from chainrule.nn.module import Module, Parameter


def identity(x):
    """x itself."""
    return x


def sigmoid(x):
    """1 / (1 + exp(-x)), without overflow."""
    return _in_dtype(special.expit, x)


def tanh(x):
    """The hyperbolic tangent."""
    return np.tanh(x)


def relu(x):
    """max(x, 0)."""
    return np.maximum(x, 0)


def leaky_relu(x, slope: float = 0.01):
    """x where positive, else `slope` x (0 < slope < 1)."""
    return np.maximum(x, slope * x)


def elu(x, scale: float = 1.0):
    """x where positive, else scale (exp(x) - 1)."""
    return np.where(x > 0, x, scale * np.expm1(np.minimum(x, 0)))


# with which sums of mean 0 and variance 1 give outputs of mean 0 and variance 1
_SELU_SCALE, _SELU_LIMIT = 1.0507009873554805, 1.7580993408473766


def selu(x):
    """ELU, scaled so that means of 0 and variances of 1 are kept: with init="lecun"."""
    return np.where(x > 0, _SELU_SCALE * x, _SELU_LIMIT * np.expm1(np.minimum(x, 0)))


def gelu(x):
    """x Phi(x): the exact form, not the tanh approximation."""
    return x * _in_dtype(special.ndtr, x)


def softplus(x):
    """log(1 + exp(x)), without overflow."""
    return np.logaddexp(x, 0)


def _in_dtype(f: Callable, x):
    """f(x) in x's dtype: SciPy's functions give float64 for float16, which is float32 here."""
    if getattr(x, "dtype", None) != np.float16:
        return f(x)
    return f(x.astype(np.float32)).astype(np.float16)


def swish(x, slope: Any = 1.0):
    """x sigmoid(slope x); also called SiLU where the slope is 1."""
    return x * sigmoid(slope * x)


def mish(x):
    """x tanh(log(1 + exp(x))): smooth, and slightly negative below 0."""
    return x * np.tanh(softplus(x))


def softmax(x):
    """Probabilities over the last axis: positive, of sum 1."""
    return special.softmax(x, axis=-1)


FUNCTIONS: dict[str, Callable] = {
    "identity": identity, "sigmoid": sigmoid, "tanh": tanh, "relu": relu,
    "leaky_relu": leaky_relu, "elu": elu, "selu": selu, "gelu": gelu, "softplus": softplus,
    "swish": swish, "mish": mish, "softmax": softmax,
}  # fmt: skip


class Activation(Module):
    """An activation of the table as a module, by its name.

    >>> Activation("relu")(np.array([-1.0, 2.0]))
    array([0., 2.])
    """

    def __init__(self, name: str):
        if not isinstance(name, str):
            raise TypeError(f"Activation takes a name, got {name!r}; a function needs no module.")
        activation(name)
        self.name = name

    def __call__(self, x, training: bool = False, rng=None):
        return FUNCTIONS[self.name](x)

    def config(self) -> dict:
        """What builds this layer again."""
        return {"name": self.name}

    def __repr__(self) -> str:
        return f"Activation({self.name!r})"


class Swish(Module):
    """x sigmoid(slope x) with a learned slope, one for all units (units=1) or one for each."""

    def __init__(self, units: int = 1, slope: float = 1.0, dtype="f"):
        self.slope: Any = Parameter(np.full(units, slope, dtype))

    def __call__(self, x, training: bool = False, rng=None):
        return swish(x, self.slope)

    def config(self) -> dict:
        """What builds this layer again."""
        return {"units": self.slope.shape[0], "dtype": self.slope.dtype.char}


def activation(chosen: str | Callable) -> Callable:
    """The function of a name in the table; a function is passed on as it is."""
    if isinstance(chosen, str):
        if chosen not in FUNCTIONS:
            raise ValueError(
                f"an activation is a function or one of {', '.join(FUNCTIONS)}; got {chosen!r}."
                + (" Write: 'swish', the same function." if chosen.lower() == "silu" else "")
            )
        return FUNCTIONS[chosen]
    return chosen
