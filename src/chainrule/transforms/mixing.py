"""Mixing: the score function of discrete draws, beside what other values of theirs lead to.

Where many draws decide together (whether a walk of forty steps ends above a level), a neighbouring
value of one of them seldom changes anything, and the score function says more. Both are unbiased
estimates of the same part of a derivative, so with any weight b that does not depend on a sample

    its slope  +  b (by the score  -  by other values)

is unbiased too. The weight of least variance is estimated for each result and parameter: for the
even samples from the odd ones, and the other way round. The baseline of the score is the mean of
the other samples of the same half.

Rare values are what a score function is bad at, and samples do not show it: where fewer than
`FEWEST` of a draw's rarest kind are expected among the samples, nothing is mixed.
Source    control variates are classical; Owen, "Monte Carlo theory, methods and examples", 8.9.
"""

from __future__ import annotations

import numpy as np

from chainrule.program.program import Var
from chainrule.transforms.laws import SCORES
from chainrule.transforms.paths import Group
from chainrule.transforms.samples import Model, Runs, seeds_of

FEWEST = 10.0
LEAST_SAMPLES = 32


class Mixing:
    """The differences (by the score - by other values) of samples, (samples, results, *shape)."""

    def __init__(self, model: Model, runs: Runs, found: dict[Var, np.ndarray]):
        self.model, self.runs = model, runs
        self.halves = np.arange(len(runs.numbers)) % 2
        self.differences = {v: np.zeros_like(x) for v, x in found.items()}
        self.useful = len(runs.numbers) >= LEAST_SAMPLES and all(map(self._is_common, runs.groups))
        if self.useful:
            self.gain = runs.results - self._baseline()

    def _baseline(self) -> np.ndarray:
        results, baseline = self.runs.results, np.zeros_like(self.runs.results)
        for half in (0, 1):
            own = results[self.halves == half]
            baseline[self.halves == half] = (np.sum(own, axis=0) - own) / (len(own) - 1)
        return baseline

    def _is_common(self, group: Group) -> bool:
        """Whether each kind of value of the draws that move is frequent enough, or certain not to
        matter: draws without a score keep their own part."""
        chance = self.model.chance(group)
        for number in chance.moving_draws():
            draw = chance.draws[number]
            if draw.op.name in SCORES:
                parameters = [group.lanes.value(p) for p in draw.inputs[1:]]
                rarest = SCORES[draw.op.name][0](*parameters)
                if not np.min(rarest, initial=1.0) * len(self.runs.numbers) >= FEWEST:
                    return False
        return True

    def add(self, group: Group, perturbed: dict) -> None:
        """Take in a group, with what other values of its draws make of its results."""
        if not self.useful or not perturbed:
            return
        draws, places = self.model.chance(group).draws, group.places
        parts = []
        for (number, position), rows in perturbed.items():
            draw = draws[number]
            operand = draw.inputs[1 + position]
            if operand.is_literal or draw.op.name not in SCORES:
                continue
            x, *parameters = (group.lanes.value(p) for p in (draw.outputs[0], *draw.inputs[1:]))
            score = SCORES[draw.op.name][1](x, *parameters)
            parts.append((operand, score.reshape(len(places), *operand.type.shape), rows))
        for k, _ in enumerate(seeds_of(group.node.outputs, len(places), self.gain.shape[1])):
            gain = self.gain[places, k]
            seeds = [(operand, score * gain.reshape(-1, *(1,) * (score.ndim - 1)) - rows[:, k])
                     for operand, score, rows in parts]  # fmt: skip
            slopes, _ = self.model.slopes(group, group.lanes, seeds)
            for var, rows in slopes.items():
                self.differences[var][places, k] += rows

    def apply(self, found: dict[Var, np.ndarray]) -> None:
        """Mix the differences into the slopes of the samples."""
        if not self.useful:
            return
        for var, own in found.items():
            difference, even = self.differences[var], self.halves == 0
            by_even, by_odd = (_least_variance(own[h], difference[h]) for h in (even, ~even))
            own[even] += by_odd * difference[even]
            own[~even] += by_even * difference[~even]


def _least_variance(own: np.ndarray, difference: np.ndarray) -> np.ndarray:
    """The weight in [0, 1] with which own + weight * difference varies least."""
    centred = difference - np.mean(difference, axis=0)
    square = np.sum(centred * centred, axis=0)
    with np.errstate(all="ignore"):
        weight = -np.sum(centred * own, axis=0) / square
    return np.where(square > 0.0, np.clip(weight, 0.0, 1.0), 0.0)
