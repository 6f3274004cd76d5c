"""L-BFGS for small problems on the full batch: a quasi-Newton step from the last few gradients.

Maths     x' = x - t H g, where H is the inverse of BFGS's Hessian from the last m pairs
          s = x' - x, y = g' - g, starting from (s.y / y.y) I; t meets the Wolfe conditions.
Source    Nocedal and Wright, Numerical Optimization, 2nd ed. 2006, algorithms 7.4 and 7.5; the
          tests of convergence and the first step are those of L-BFGS-B (Zhu et al. 1997).
"""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass, field

import numpy as np

from chainrule.api import value_and_grad
from chainrule.compiled import compile
from chainrule.optim.optimizer import named_arrays
from chainrule.optim.wolfe import Trial, wolfe


@dataclass(frozen=True)
class Minimum:
    """Where L-BFGS ended: the loss there, the steps made, and why it stopped, in words."""

    loss: float
    steps: int
    converged: bool
    reason: str


def _none() -> np.ndarray:
    return np.zeros(0)


@dataclass
class Descent:
    """Where a search is between two steps: all that the next ones depend on, beside its options.

    **shapes** for n weights, k pairs: `point`, `gradient` (n,), `moves`, `turns` (k, n).
    """

    point: np.ndarray = field(default_factory=_none)
    gradient: np.ndarray = field(default_factory=_none)
    loss: float = 0.0
    before: float | None = None  # the loss before the last step
    moves: np.ndarray = field(default_factory=lambda: np.zeros((0, 0)))
    turns: np.ndarray = field(default_factory=lambda: np.zeros((0, 0)))  # of the gradient
    count: int = 0  # the steps made

    def direction(self) -> np.ndarray:
        """-H g, by the two loops of algorithm 7.4."""
        pairs = [(s, y, 1.0 / _dot(s, y)) for s, y in zip(self.moves, self.turns, strict=True)]
        q, shares = -self.gradient, []
        for s, y, inverse in reversed(pairs):
            shares.append(inverse * _dot(s, q))
            q = q - shares[-1] * y
        if pairs:
            s, y, inverse = pairs[-1]
            q = q / (inverse * _dot(y, y))
        for (s, y, inverse), share in zip(pairs, reversed(shares), strict=True):
            q = q + (share - inverse * _dot(y, q)) * s
        return q

    def forget(self) -> None:
        """The pairs: the next direction is that of steepest descent."""
        self.moves = self.turns = np.zeros((0, self.point.size))

    def take(self, move: np.ndarray, found: Trial, memory: int) -> None:
        """Goes on by a move to where a trial was; the last `memory` pairs are kept."""
        turn = found.gradient - self.gradient
        if _dot(move, turn) > np.finfo(np.float64).eps * _dot(turn, turn):  # H stays positive
            self.moves = np.concatenate([self.moves, move[None]])[-memory:]
            self.turns = np.concatenate([self.turns, turn[None]])[-memory:]
        self.point, self.gradient = self.point + move, found.gradient
        self.before, self.loss, self.count = self.loss, found.loss, self.count + 1

    def converged(self, tolerance: float) -> str | None:
        """Why it has converged, in words; None where it has not."""
        if np.max(np.abs(self.gradient), initial=0.0) <= tolerance:
            return "converged: no entry of the gradient is above the tolerance"
        if self.before is not None:
            size = max(abs(self.before), abs(self.loss), 1.0)
            if self.before - self.loss <= tolerance * size:
                return "converged: the loss has fallen by no more than the tolerance"
        return None


class Search:
    """A search for the least loss of a model: made from a `Descent`, and moved on step by step.

    A new descent starts at the model's parameters. One that has begun goes on from its own point,
    which the parameters get.

    **Errors** `ValueError` where the loss is not finite at the start.
    """

    def __init__(self, loss: Callable, model, inputs: tuple, descent: Descent):
        self.descent = descent
        self._slopes, self._model, self._inputs = compile(value_and_grad(loss)), model, inputs
        self._arrays = [a for _, a in named_arrays(model)]
        self._ends = np.cumsum([a.size for a in self._arrays])[:-1]
        if descent.point.size == 0:
            parts = [np.ravel(a).astype(np.float64) for a in self._arrays]
            descent.point = np.concatenate(parts)
            descent.loss, descent.gradient = self._value(descent.point)
            descent.forget()
        if not np.isfinite(descent.loss):
            raise ValueError(f"the loss is {descent.loss} at the start.")
        self._enter(descent.point)

    def step(self, memory: int) -> bool:
        """Makes a step; by steepest descent where the pairs lead nowhere. Whether there was one."""
        descent = self.descent
        if self._along(descent.direction(), memory):
            return True
        if not len(descent.moves):
            return False
        descent.forget()
        return self._along(descent.direction(), memory)

    def _along(self, direction: np.ndarray, memory: int) -> bool:
        descent = self.descent
        slope = _dot(direction, descent.gradient)
        found = None
        if slope < 0:
            first = 1.0 if len(descent.moves) else 1.0 / np.sqrt(-slope)  # a move of length 1

            def at(step: float) -> Trial:
                loss, gradient = self._value(descent.point + step * direction)
                with np.errstate(all="ignore"):
                    return Trial(step, loss, _dot(gradient, direction), gradient)

            found = wolfe(at, Trial(0.0, descent.loss, slope, descent.gradient), first)
        if found is not None:
            descent.take(found.step * direction, found, memory)
        self._enter(descent.point)
        return found is not None

    def _value(self, x: np.ndarray) -> tuple[float, np.ndarray]:
        with np.errstate(all="ignore"):  # a trial may be far too long: it is judged by its loss
            self._enter(x)
            found, gradient = self._slopes(self._model, *self._inputs)
            parts = [np.ravel(g).astype(np.float64) for _, g in named_arrays(gradient)]
        return float(found), np.concatenate(parts)

    def _enter(self, x: np.ndarray) -> None:
        for array, part in zip(self._arrays, np.split(x, self._ends), strict=True):
            array[...] = part.reshape(array.shape)


def lbfgs(
    loss: Callable, model, *inputs, steps: int = 500, tolerance: float = 1e-8, memory: int = 10,
    after: Callable[[float], bool] | None = None, descent: Descent | None = None,
) -> Minimum:  # fmt: skip
    """Minimise `loss(model, *inputs)` over the model's parameters, which change in place.

    The loss must be the same function at each call: the full batch, no dropout. `after(loss)` is
    called after each step, with the parameters where it ended; it ends the search by True. All
    that the search remembers stands in `descent`: with a copy of that, another call goes on to the
    same bits. `steps` counts those that were made before, too.

    **Cost** 2 `memory` times the parameters in memory; one gradient a line-search step. In float64,
    whatever the model's dtype.
    **Errors** `ValueError` where the loss is not finite at the start.

    >>> w = {"w": np.array([3.0, -1.0])}
    >>> found = lbfgs(lambda p: np.sum((p["w"] - 1.0) ** 4), w, tolerance=1e-12)
    >>> found.loss < 1e-8
    True
    """
    descent = Descent() if descent is None else descent
    search = Search(loss, model, inputs, descent)
    reason, done = None, descent.converged(tolerance)
    while done is None and reason is None:
        if descent.count >= steps:
            reason = f"{steps} steps made"
        elif not search.step(memory):
            reason = NO_STEP
        else:
            if after is not None and after(descent.loss):
                reason = "ended by `after`"
            done = descent.converged(tolerance)
    return Minimum(descent.loss, descent.count, done is not None, done or reason or "")


NO_STEP = "no step along the direction makes the loss fall"


def _dot(x: np.ndarray, y: np.ndarray) -> float:
    """x . y, summed by NumPy: BLAS may sum in another order with another number of threads."""
    return float(np.sum(x * y))
