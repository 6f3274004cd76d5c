r"""Restricted Boltzmann machines: energies, conditional laws, sampling, exact likelihoods.

Visible units v, hidden units h in {0, 1}, and an energy; p(v, h) = exp(-E(v, h)) / Z.

| visible units | energy E(v, h) | free energy F(v) = -log sum over h of exp(-E) |
|---|---|---|
| binary | -b v - c h - v W h | -b v - sum of log(1 + exp(c + v W)) |
| gaussian | \|v - b\|^2 / 2 - c h - v W h | \|v - b\|^2 / 2 - sum of log(1 + exp(c + v W)) |

The units of a layer are independent given the other layer: p(h = 1 | v) = sigmoid(c + v W); binary
visible units are 1 with probability sigmoid(b + W h), gaussian ones have mean b + W h and variance
1, so that they take standardised data.

Source    Smolensky 1986; Hinton, "Training products of experts by minimizing contrastive
          divergence", Neural Computation 14 (2002); Welling et al., NIPS 2004, for gaussian units.
"""

from __future__ import annotations

import math
from itertools import product
from typing import Any

import numpy as np

from chainrule import errors, special
from chainrule.nn.init import Initialisation, initial
from chainrule.nn.linear import as_dtype_of
from chainrule.nn.module import Module, Parameter

MOST_ENUMERATED = 20  # units: a million states


class RBM(Module):
    """A restricted Boltzmann machine; called, it gives p(h = 1 | v), (..., hidden).

    `weight` is W (visible, hidden), `visible_bias` b, `hidden_bias` c. Learn it with `fit_rbm`.

    **Shapes** v: (..., visible), h: (..., hidden); energies (...).
    **Errors** `ShapeError` for another last axis, `ValueError` for other kinds of units.

    >>> machine = RBM(6, 4)
    >>> v = np.ones((5, 6), np.float32)
    >>> machine(v).shape, machine.free_energy(v).shape
    ((5, 4), (5,))
    """

    def __init__(
        self, visible: int, hidden: int, units: str = "binary", *,
        init: str | Initialisation = "glorot", dtype="f", rng=0,
    ):  # fmt: skip
        if units not in ("binary", "gaussian"):
            raise ValueError(f"visible units are 'binary' or 'gaussian', got {units!r}.")
        if visible < 1 or hidden < 1:
            raise ValueError(f"RBM needs at least 1 unit in each layer, got {visible}, {hidden}.")
        shape = (visible, hidden)
        self.weight: Any = Parameter(initial(init, rng, shape, visible, hidden, dtype))
        self.visible_bias: Any = Parameter(np.zeros(visible, dtype))
        self.hidden_bias: Any = Parameter(np.zeros(hidden, dtype))
        self.units = units
        self._configure(visible=visible, hidden=hidden, units=units, dtype=np.dtype(dtype).char)

    def __call__(self, v, training: bool = False, rng=None):
        return special.expit(self.hidden_scores(v))

    def hidden_scores(self, v):
        """c + v W: the log-odds of the hidden units."""
        _check("visible", v, self.weight.shape[0])
        return as_dtype_of(v, self.weight) @ self.weight + self.hidden_bias

    def visible_scores(self, h):
        """b + W h: the log-odds of binary visible units, the means of gaussian ones."""
        _check("hidden", h, self.weight.shape[1])
        return as_dtype_of(h, self.weight) @ self.weight.T + self.visible_bias

    def visible_means(self, h):
        """The mean of v given h."""
        scores = self.visible_scores(h)
        return special.expit(scores) if self.units == "binary" else scores

    def energy(self, v, h):
        """E(v, h), (...)."""
        return self._visible_energy(v) - (self.hidden_scores(v) * h).sum(axis=-1)

    def free_energy(self, v):
        """F(v), (...): log p(v) = -F(v) - log Z."""
        return self._visible_energy(v) - np.logaddexp(self.hidden_scores(v), 0).sum(axis=-1)

    def _visible_energy(self, v):
        v = as_dtype_of(v, self.weight)
        if self.units == "binary":
            return -(v * self.visible_bias).sum(axis=-1)
        return 0.5 * np.square(v - self.visible_bias).sum(axis=-1)

    # --- sampling ---------------------------------------------------------------------------------

    def sample_hidden(self, v, rng):
        """h drawn given v, in the weights' dtype."""
        return _signals(self(v), rng)

    def sample_visible(self, h, rng):
        """v drawn given h, in the weights' dtype."""
        means = self.visible_means(h)
        if self.units == "binary":
            return _signals(means, rng)
        return means + rng.normal(size=means.shape).astype(means.dtype)

    def gibbs(self, v, rng, steps: int = 1):
        """v after `steps` rounds of drawing h given v and v given h."""
        for _ in range(steps):
            v = self.sample_visible(self.sample_hidden(v, rng), rng)
        return v

    # --- exact, for small machines ----------------------------------------------------------------

    def log_partition(self):
        """log Z, by summing over all states of the hidden layer, or of binary visible ones if those
        are fewer.

        **Errors** `NotSupported` beyond 20 units.
        **Cost** 2^units rows of `visible` x `hidden` products.
        """
        visible, hidden = self.weight.shape
        if self.units == "binary" and visible < hidden:
            return special.logsumexp(-self.free_energy(self._states(visible)))
        h = self._states(hidden)
        scores, b = self.visible_scores(h), self.visible_bias
        if self.units == "binary":
            logs = np.logaddexp(scores, 0).sum(axis=-1)
        else:  # the integral of exp(-|v - b|^2 / 2 + v W h) over v, with v W h = v (scores - b)
            logs = 0.5 * (np.square(scores) - np.square(b)).sum(axis=-1)
            logs = logs + 0.5 * visible * math.log(2 * math.pi)
        return special.logsumexp(logs + h @ self.hidden_bias)

    def log_likelihood(self, v):
        """log p(v) in nats, exactly: see `log_partition`."""
        return -self.free_energy(v) - self.log_partition()

    def _states(self, units: int) -> np.ndarray:
        if units > MOST_ENUMERATED:
            raise errors.NotSupported(
                f"the exact likelihood sums over the states of a layer, of at most "
                f"{MOST_ENUMERATED} units; this machine has layers of "
                f"{' and '.join(map(str, self.weight.shape))}."
            )
        return np.array(list(product((0, 1), repeat=units)), self.weight.dtype)


def _signals(probabilities, rng):
    """1 with these probabilities, else 0."""
    drawn = rng.random(probabilities.shape, dtype=np.float32)
    return (drawn < probabilities).astype(probabilities.dtype)


def _check(name: str, x, wanted: int) -> None:
    if not x.ndim or x.shape[-1] != wanted:
        raise errors.ShapeError(
            f"this RBM has {wanted} {name} units, on the last axis; got shape {x.shape}."
        )
