"""Step sizes found on copies of the model: the Bottou trick, and the range test.

`fit(step_size="bottou")` trains copies on a sample of 5 % of the rows, each with another step size,
and takes the one with the least loss on the sample. `fit(step_size="range")` makes single steps
with growing step sizes on one copy, and takes the one at which the loss falls fastest. Options go
into a dict: {"name": "bottou", "share": 0.1, "steps": 50}, and else those of `optim.bottou` and
`optim.range_test`. Nothing of the training itself changes but the step size.
"""

from __future__ import annotations

from copy import deepcopy
from typing import Any

import numpy as np

from chainrule import optim
from chainrule.data import order
from chainrule.train.evaluation import evaluated
from chainrule.train.session import Session

FEWEST = 32  # steps of a trial, or as many as the sample fills if those are more

Trials = list[tuple[float, float]]


def found(session: Session, given: str | dict[str, Any]) -> tuple[float, Trials]:
    """The step size that a search finds for a session at its start, and what was tried.

    **Errors** `ValueError` for another name or options, or where no loss is finite.
    """
    name, options = search_of(given)
    search = _bottou if name == "bottou" else _range_test
    try:
        return search(session, **options)
    except TypeError as error:
        raise ValueError(f"step_size {name!r}: {error}.") from None


def search_of(given: Any) -> tuple[str, dict[str, Any]]:
    """The name of a search of the step size, and its options.

    **Errors** `ValueError` for another name.
    """
    options = dict(given) if isinstance(given, dict) else {"name": given}
    name = options.pop("name", None)
    if name not in ("bottou", "range"):
        raise ValueError(f"step_size is a positive number, 'bottou' or 'range', got {given!r}.")
    return name, options


def _bottou(session: Session, *, steps: int | None = None, **options: Any) -> tuple[float, Trials]:
    options = {"start": session.optimizer.step_size, "seed": session.settings.seed, **options}

    def attempt(size: float, sample: np.ndarray) -> float:
        copy = _Copy(session)
        rows = sample if session.rows is None else session.rows[sample]
        copy.train(size, _batches(session, rows, steps))
        return copy.loss(rows)

    return optim.bottou(attempt, session.count, **options)


def _range_test(session: Session, *, steps: int = 100, **options: Any) -> tuple[float, Trials]:
    copy = _Copy(session)
    rows = np.arange(session.count) if session.rows is None else session.rows
    batches = iter(_batches(session, rows, steps))

    def run(size: float) -> float:
        return copy.train(size, next(batches)[None])

    return optim.range_test(run, steps=steps, **options)


def _batches(session: Session, rows: np.ndarray, steps: int | None) -> np.ndarray:
    """Minibatches of the size that training has, in random order, the rows again and again."""
    size, s = session.batch * session.settings.accumulate, session.settings
    steps = max(len(rows) // size, FEWEST) if steps is None else steps
    passes = -(-steps * size // len(rows))
    drawn = [order(s.seed, epoch, len(rows), len(rows))[0] for epoch in range(passes)]
    chosen = np.concatenate(drawn)[: steps * size]
    return rows[chosen].reshape(steps, s.accumulate, -1)


class _Copy:
    """A copy of a session's model, optimizer, generator and loss scale, to be trained apart."""

    def __init__(self, session: Session):
        self.session = session
        self.model, self.optimizer, rng, scaling = deepcopy(
            (session.model, session.optimizer, session.rng, session.scaling)
        )
        self.steps = session.steps_for(self.model, self.optimizer, rng, scaling)

    def train(self, size: float, batches: np.ndarray) -> float:
        """Steps on these batches; the loss of the last one."""
        self.optimizer.step_size = size
        loss, length = np.nan, self.session.length
        for start in range(0, len(batches), length):
            part = batches[start : start + length]
            self.steps.load(self.session.data, part)
            with np.errstate(all="ignore"):
                self.steps.run(0, len(part))
            loss = float(self.steps.measured.losses[len(part) - 1])
        return loss

    def loss(self, rows: np.ndarray) -> float:
        """The loss on these rows, in inference."""
        sample, s = self.session.data[rows], self.session.settings
        name = "float32" if self.session.scaling is None else "float16"
        with np.errstate(all="ignore"):
            return evaluated(self.model, sample, loss=s.loss_function, precision=name)["loss"]
