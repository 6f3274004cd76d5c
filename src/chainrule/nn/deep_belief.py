"""Deep belief networks: restricted Boltzmann machines, each on the hidden units of the one below.

Source    Hinton, Osindero and Teh, "A fast learning algorithm for deep belief nets", Neural
          Computation 18 (2006). `train.fit_deep_belief` learns the machines one after the other.
"""

from __future__ import annotations

from collections.abc import Sequence
from itertools import pairwise

import numpy as np

from chainrule import random
from chainrule.nn.boltzmann import RBM
from chainrule.nn.init import Initialisation
from chainrule.nn.linear import Linear
from chainrule.nn.module import Module
from chainrule.nn.sequential import MLP


class DeepBelief(Module):
    """`machines`, from the data upwards: called, (..., visible) -> (..., hidden[-1]) probabilities.

    `units` is the kind of the lowest visible units, "binary" or "gaussian"; all others are binary.

    >>> DeepBelief(6, (5, 3))(np.ones((4, 6), np.float32)).shape
    (4, 3)
    """

    def __init__(
        self, visible: int, hidden: Sequence[int], units: str = "binary", *,
        init: str | Initialisation = "glorot", dtype="f", rng=0,
    ):  # fmt: skip
        if not hidden:
            raise ValueError("DeepBelief needs at least one hidden layer, got none.")
        rng, sizes = random.default_rng(rng), [visible, *hidden]
        self.machines = [
            RBM(n, m, units if i == 0 else "binary", init=init, dtype=dtype, rng=rng)
            for i, (n, m) in enumerate(pairwise(sizes))
        ]
        self._configure(
            visible=visible, hidden=list(hidden), units=units, dtype=np.dtype(dtype).char
        )

    def __call__(self, x, training: bool = False, rng=None):
        for machine in self.machines:
            x = machine(x)
        return x

    def sample(self, rng, count: int, steps: int = 100):
        """`count` visible vectors: Gibbs sampling in the topmost machine, from random hidden units,
        then means downwards: (count, visible)."""
        rng, top = random.default_rng(rng), self.machines[-1]
        dtype = top.weight.dtype
        h = rng.bernoulli(0.5, size=(count, top.weight.shape[1]), dtype=dtype)
        x = top.gibbs(top.sample_visible(h, rng), rng, steps)
        for machine in reversed(self.machines[:-1]):
            x = machine.visible_means(x)
        return x

    def network(self, outputs: int, *, init: str | Initialisation = "glorot", rng=0) -> MLP:
        """An MLP of sigmoid units whose hidden layers are those of the machines (copies), with an
        output layer that is new.

        >>> belief = DeepBelief(6, (5, 3))
        >>> x = np.ones((2, 6), np.float32)
        >>> for layer in belief.network(4).layers[:-1]:
        ...     x = layer(x)
        >>> np.array_equal(x, belief(np.ones((2, 6), np.float32)))
        True
        """
        sizes = [m.weight.shape[1] for m in self.machines]
        first = self.machines[0].weight
        made = MLP(
            first.shape[0], sizes, outputs, activation="sigmoid", init=init, dtype=first.dtype,
            rng=rng,
        )  # fmt: skip
        linear = [layer for layer in made.layers if isinstance(layer, Linear)]
        for layer, machine in zip(linear, self.machines, strict=False):  # the last has no machine
            layer.weight[...] = machine.weight
            layer.bias[...] = machine.hidden_bias
        return made
