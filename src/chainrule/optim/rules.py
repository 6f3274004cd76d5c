"""The optimizers: one rule each. w are parameters, g their gradient, a the step size.

| optimizer | rule | source |
|---|---|---|
| SGD | w <- w - a g | Robbins and Monro 1951 |
| HeavyBall | w+ = w - a g + b (w - w-) | Polyak 1964, as the course writes it |
| HeavyBall(form="torch") | v <- b v + g; w <- w - a v | PyTorch's SGD with momentum |
| Nesterov | x+ = w - a g(w); w+ = x+ + b (x+ - x) | Nesterov 1983 |
| AdaGrad | s <- s + g^2; w <- w - a g / (sqrt(s) + e) | Duchi et al., JMLR 12 (2011) |
| RMSprop | s <- d s + (1 - d) g^2; w <- w - a g / (sqrt(s) + e) | Tieleman and Hinton 2012 |
| Adam | m, s running means of g, g^2, corrected; w <- w - a m / (sqrt(s) + e) | Kingma, Ba 2015 |
| AdamW | Adam with decoupled decay, 0.01 by default | Loshchilov and Hutter, ICLR 2019 |
| AMSGrad | Adam with the largest s so far | Reddi et al., ICLR 2018 |

The two forms of the heavy ball are the same as long as the step size does not change. Under a
schedule they differ: the course's b (w - w-) carries on the last step as it was made, PyTorch's v
is a sum of gradients that is multiplied by the new step size.
"""

from __future__ import annotations

from typing import Any

import numpy as np

from chainrule.optim.optimizer import Optimizer, as_dtype, named_arrays, zeros_like_all


class SGD(Optimizer):
    """Stochastic gradient descent: w <- w - a g.

    >>> w = {"w": np.array([1.0, 2.0])}
    >>> SGD(w, 0.5).step(w, {"w": np.array([1.0, 1.0])})
    >>> w["w"]
    array([0.5, 1.5])
    """

    def __init__(self, model, step_size: float = 0.01, **options):
        super().__init__(model, step_size, **options)

    def rule(self, i: int, w, g, size) -> None:
        w -= size * g


class HeavyBall(Optimizer):
    """Momentum: w+ = w - a g + b (w - w-), b = `momentum`; see the module for form="torch"."""

    def __init__(
        self, model, step_size: float = 0.01, momentum: float = 0.9, form: str = "course",
        **options,
    ):  # fmt: skip
        if form not in ("course", "torch"):
            raise ValueError(f"form is 'course' or 'torch', got {form!r}.")
        super().__init__(model, step_size, **options)
        self.momentum, self.form = _share("momentum", momentum), form
        self.moving = zeros_like_all(model)  # w - w-, or v

    def rule(self, i: int, w, g, size) -> None:
        v, b = self.moving[i], as_dtype(w, self.momentum)
        if self.form == "course":
            v[...] = b * v - size * g
            w += v
        else:
            v[...] = b * v + g
            w -= size * v


class Nesterov(Optimizer):
    """Nesterov's accelerated gradient. The parameters are the points w at which gradients are
    taken; x, where the steps end, is kept beside them."""

    def __init__(self, model, step_size: float = 0.01, momentum: float = 0.9, **options):
        super().__init__(model, step_size, **options)
        self.momentum = _share("momentum", momentum)
        self.ends = [np.array(a) for _, a in named_arrays(model)]

    def rule(self, i: int, w, g, size) -> None:
        x = self.ends[i]
        new = w - size * g
        w[...] = new + as_dtype(w, self.momentum) * (new - x)
        x[...] = new


class AdaGrad(Optimizer):
    """Each step divided by the root of the sum of squared gradients so far."""

    def __init__(self, model, step_size: float = 0.01, epsilon: float = 1e-10, **options):
        super().__init__(model, step_size, **options)
        self.epsilon = float(epsilon)
        self.squares = zeros_like_all(model)

    def rule(self, i: int, w, g, size) -> None:
        s = self.squares[i]
        s += g * g
        w -= size * g / (np.sqrt(s) + as_dtype(w, self.epsilon))


class RMSprop(Optimizer):
    """Each step divided by the root of a running mean of squared gradients."""

    def __init__(
        self, model, step_size: float = 0.001, memory: float = 0.9, epsilon: float = 1e-8,
        **options,
    ):  # fmt: skip
        super().__init__(model, step_size, **options)
        self.memory, self.epsilon = _share("memory", memory), float(epsilon)
        self.squares = zeros_like_all(model)

    def rule(self, i: int, w, g, size) -> None:
        s, d = self.squares[i], as_dtype(w, self.memory)
        s[...] = d * s + (1 - d) * (g * g)
        w -= size * g / (np.sqrt(s) + as_dtype(w, self.epsilon))


class Adam(Optimizer):
    """Running means of gradients and of their squares, both corrected for their start at 0."""

    largest: Any = None

    def __init__(
        self, model, step_size: float = 0.001, memory: float = 0.9, square_memory: float = 0.999,
        epsilon: float = 1e-8, **options,
    ):  # fmt: skip
        super().__init__(model, step_size, **options)
        self.memory = _share("memory", memory)
        self.square_memory = _share("square_memory", square_memory)
        self.epsilon = float(epsilon)
        self.means, self.squares = zeros_like_all(model), zeros_like_all(model)

    def rule(self, i: int, w, g, size) -> None:
        m, s = self.means[i], self.squares[i]
        a, b = as_dtype(w, self.memory), as_dtype(w, self.square_memory)
        t = self.count + 1.0
        m[...] = a * m + (1 - a) * g
        s[...] = b * s + (1 - b) * (g * g)
        if self.largest is not None:
            s = self.largest[i]
            s[...] = np.maximum(s, self.squares[i])
        first, second = 1 - self.memory**t, 1 - self.square_memory**t
        root = np.sqrt(s) / as_dtype(w, np.sqrt(second)) + as_dtype(w, self.epsilon)
        w -= size / as_dtype(w, first) * m / root


class AdamW(Adam):
    """Adam with decoupled decay: 0.01 of matrices by default."""

    def __init__(self, model, step_size: float = 0.001, decay: Any = 0.01, **options):
        super().__init__(model, step_size, decay=decay, **options)


class AMSGrad(Adam):
    """Adam that divides by the largest running mean of squares so far: it converges where Adam
    forgets rare large gradients."""

    def __init__(self, model, step_size: float = 0.001, **options):
        super().__init__(model, step_size, **options)
        self.largest = zeros_like_all(model)


OPTIMIZERS = {
    f.__name__: f
    for f in (SGD, HeavyBall, Nesterov, AdaGrad, RMSprop, Adam, AdamW, AMSGrad)
}  # fmt: skip


def _share(name: str, value: float) -> float:
    if not 0 <= value < 1:
        raise ValueError(f"{name} is a number from 0 and below 1, got {value!r}.")
    return float(value)
