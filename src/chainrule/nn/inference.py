"""What scores say about an answer: probabilities, modes, samples and log-likelihoods.

A classifier gives scores, and a loss says what they mean; these are the two models of the course.

| model | p(y) for scores f | minus its logarithm is the loss |
|---|---|---|
| `Bernoulli` | 1 / (1 + exp(-y f)), y in {-1, 1} | `losses.logistic` |
| `Categorical` | exp(f[y]) / sum over k of exp(f[k]) | `losses.softmax_cross_entropy` |

>>> answer = Categorical(np.log([[0.5, 0.2, 0.3], [0.1, 0.8, 0.1]]))
>>> answer.probabilities().round(3), answer.mode()
(array([[0.5, 0.2, 0.3],
       [0.1, 0.8, 0.1]]), array([0, 1]))
"""

from __future__ import annotations

from dataclasses import dataclass
from typing import Any

import numpy as np

from chainrule import errors, random, special


@dataclass(frozen=True)
class Bernoulli:
    """Answers y in {-1, 1}, independent of each other, of scores f of any shape.

    **Dtypes** probabilities and log-likelihoods have that of the scores; modes and samples are
    int64.

    >>> answer = Bernoulli(np.array([0.0, 2.0, -1000.0]))
    >>> answer.probabilities(), answer.mode()
    (array([0.5       , 0.88079708, 0.        ]), array([ 1,  1, -1]))
    """

    scores: Any

    def probabilities(self, sign: int = 1):
        """p(y = sign), with the scores' shape.

        **Errors** `ValueError` for a sign other than -1 and 1.
        """
        if sign not in (-1, 1):
            raise ValueError(f"the answers of Bernoulli are -1 and 1, got {sign!r}.")
        return special.expit(sign * self.scores)

    def mode(self):
        """The likelier sign; 1 where both are as likely (f = 0)."""
        return np.where(self.scores >= 0, 1, -1)

    def sample(self, rng, count: int | None = None):
        """Signs drawn by their probabilities: the scores' shape, behind `count` if that is given.

        `rng` is a `cr.random.Generator` or a seed for one.
        """
        shape = self.scores.shape if count is None else (count, *self.scores.shape)
        drawn = random.default_rng(rng).random(shape)
        return np.where(drawn < self.probabilities(), 1, -1)

    def log_likelihood(self, signs):
        """log p(y) in nats, one number for each score.

        **Errors** `ShapeError` where the signs have another shape than the scores.
        """
        _check_shape("signs", signs, self.scores.shape)
        return -np.logaddexp(-signs * self.scores, 0).astype(self.scores.dtype)


@dataclass(frozen=True)
class Categorical:
    """Answers y in {0, ..., K - 1} of scores f (..., K).

    **Dtypes** as for `Bernoulli`.
    """

    scores: Any

    def probabilities(self):
        """p(y) for every y: (..., K), of sum 1."""
        return special.softmax(self.scores, axis=-1)

    def mode(self):
        """The likeliest class, (...); the first of those that tie."""
        return np.argmax(self.scores, axis=-1)

    def sample(self, rng, count: int | None = None):
        """Classes drawn by their probabilities: (...), behind `count` if that is given.

        `rng` is a `cr.random.Generator` or a seed for one.
        """
        lead = self.scores.shape[:-1]
        shape = lead if count is None else (count, *lead)
        return random.default_rng(rng).categorical(logits=self.scores, size=shape)

    def log_likelihood(self, labels):
        """log p(y) in nats, (...).

        **Errors** `ShapeError` where the labels' shape is not that of the scores without its last
        axis.
        """
        _check_shape("labels", labels, self.scores.shape[:-1])
        chosen = np.take_along_axis(self.scores, labels[..., None], axis=-1)[..., 0]
        return chosen - special.logsumexp(self.scores, axis=-1)


def _check_shape(name: str, given, wanted: tuple[int, ...]) -> None:
    if given.shape != wanted:
        raise errors.ShapeError(f"{name} need the shape {wanted} of the scores, got {given.shape}.")
