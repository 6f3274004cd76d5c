"""Native stretches: many training steps in one native call, and what each step measured.

One compiled function loops over minibatches and changes the model, the optimizer, running
statistics and the generator in place. It is compiled once for a kind of model, data and batch (how
many steps it makes is data), and shared by all trainings with the same loss. A stretch may be cut
into several calls without a change of a bit. The norms of gradients and updates, a fifth of a small
network's code, are measured where they are read: by the babysitter, or from a run's folder.
"""

from __future__ import annotations

from collections.abc import Callable
from functools import lru_cache
from typing import Any

import numpy as np

from chainrule.api import value_and_grad
from chainrule.compiled import compile
from chainrule.control import cond, fori_loop, scan
from chainrule.optim.optimizer import Optimizer
from chainrule.program.tree import register
from chainrule.train.gathering import Gathering
from chainrule.train.precision import LossScale, half, half_input

LONGEST = 128  # steps of a stretch, at most
WORK = 2e9  # flops of a stretch, about


@register
class Measured:
    """What the steps of a stretch measured: (LONGEST,) and, for P parameters, (LONGEST, P).

    The norms and ratios stay 0 where they are not measured.
    """

    def __init__(self, parameters: int):
        self.losses = np.zeros(LONGEST)
        self.gradient_norms = np.zeros((LONGEST, parameters))
        self.update_ratios = np.zeros((LONGEST, parameters))
        self.scales = np.ones(LONGEST)


def stretch_length(model, batch_rows: int) -> int:
    """Steps of a stretch, from 1 to LONGEST: by sizes alone, never by time.

    6 flops for each weight and row (two forwards, four backwards); convolutions use a weight more
    often, so that theirs take longer.
    """
    weights = sum(a.size for a in model.parameters())
    return int(np.clip(WORK / (6.0 * weights * batch_rows + 1), 4, LONGEST))


@lru_cache(maxsize=64)
def native_steps(
    loss: Callable, halved: bool, kinks: str, memory: int | str | None, norms: bool
) -> Callable[..., None]:
    """The compiled loop over steps first to last of `rows` (LONGEST, micro-batches, rows).

    It measures `norms`, where they are asked for, and makes the same steps without them.
    """

    @compile(kinks=kinks, stabilize=False)
    def steps(model, optimizer, x, y, weights, rows, span, rng, scaling, out):
        def value_at(model, batch, share):
            inputs = x[batch]
            targets = inputs if y is None else y[batch]
            if halved:
                scores = half(model)(half_input(inputs), training=True, rng=rng).astype(np.float32)
            else:
                scores = model(inputs, training=True, rng=rng)
            options = {} if weights is None else {"sample_weights": weights[batch]}
            value = loss(scores, targets, **options)
            value = value if share is None else value * share.astype(value.dtype)
            return value * (1 if scaling is None else scaling.scale), value

        slopes = value_and_grad(value_at, has_aux=True, kinks=kinks, memory=memory, stabilize=False)

        def body(i, carry):
            state = [np.array(a) for _, a in model.named_state()] if halved else []
            value, gradient = _gradient(slopes, model, weights, rows[i])
            if scaling is not None:
                gradient = [g / scaling.scale for g in gradient]
            out.losses[i] = value
            before = [w * w.dtype.type(1) for w in model.parameters()] if norms else []
            if norms:
                out.gradient_norms[i] = _norms(gradient)
            if scaling is None:
                optimizer.step(model, gradient)
            else:
                out.scales[i] = scaling.scale
                _step_if_finite(model, optimizer, gradient, scaling, state)
            if norms:
                out.update_ratios[i] = np.stack(
                    [_ratio(w, b) for w, b in zip(model.parameters(), before, strict=True)]
                )
            return carry

        fori_loop(span[0], span[1], body, 0)

    return steps


def _gradient(slopes, model, weights, batches):
    """The loss and the gradients of the parameters for micro-batches (A, rows), as one batch."""
    if batches.shape[0] == 1:
        (_, value), gradient = slopes(model, batches[0], None)
        return value, gradient.parameters()
    total = None if weights is None else weights[batches].sum()

    def add(carry, batch):
        so_far, sums = carry
        if weights is None:
            share = np.float64(1.0) / batches.shape[0] + 0.0 * so_far
        else:
            share = weights[batch].sum() / total
        (_, value), gradient = slopes(model, batch, share)
        sums = [s + g for s, g in zip(sums, gradient.parameters(), strict=True)]
        return (so_far + value, sums), 0

    zeros = [np.zeros(w.shape, w.dtype) for w in model.parameters()]
    (value, sums), _ = scan(add, (np.float64(0.0), zeros), batches)
    return value, sums


def _step_if_finite(model, optimizer, gradient, scaling, state) -> None:
    def make():
        optimizer.step(model, gradient)
        scaling.fine()
        return 0

    def leave_out():
        for (_, array), old in zip(model.named_state(), state, strict=True):
            array[...] = old
        scaling.overflow()
        return 0

    cond(np.all(np.isfinite(_norms(gradient))), make, leave_out)


def _norms(arrays):
    return np.stack([_norm(a) for a in arrays])


def _norm(a):
    return np.sqrt(np.sum(np.square(a)))


def _ratio(after, before):
    """|step| / max(|w| before, |w| after), 0 where both are 0: biases start at 0."""
    size = np.maximum(_norm(after), _norm(before))
    return np.where(size > 0, _norm(after - before) / np.where(size > 0, size, 1), 0)


class Steps:
    """Runs stretches: the compiled loop with its buffers, for one model and optimizer.

    `length` is the most steps of one stretch, of `rows` rows each; `norms` says whether those
    of gradients and updates are measured.
    """

    def __init__(
        self, loss: Callable, model, optimizer: Optimizer, rng, *, length: int, rows: int,
        scaling: LossScale | None = None, kinks: str = "convention",
        memory: int | str | None = None, norms: bool = True,
    ):  # fmt: skip
        self.native = native_steps(loss, scaling is not None, kinks, memory, norms)
        self.model, self.optimizer, self.rng, self.scaling = model, optimizer, rng, scaling
        self.measured = Measured(len(model.parameters()))
        self.gathering = Gathering(length * rows)
        self.numbers = np.zeros((LONGEST, 0, 0), np.int64)
        self.rows: Any = None

    def load(self, data, batches: np.ndarray, epoch: int = 0) -> None:
        """Makes batches (k, micro-batches, rows) of data the ones that are run, k <= `length`."""
        self.rows = self.gathering.of(data, batches, epoch)
        if self.numbers.shape[1:] != batches.shape[1:]:
            self.numbers = np.zeros((LONGEST, *batches.shape[1:]), np.int64)
        self.numbers[: len(batches)] = self.rows.batches

    def run(self, first: int, last: int) -> None:
        """Steps first to last (not included) of the batches that were loaded."""
        self.native(
            self.model, self.optimizer, self.rows.inputs, self.rows.targets, self.rows.weights,
            self.numbers, np.array([first, last]), self.rng, self.scaling, self.measured,
        )  # fmt: skip
