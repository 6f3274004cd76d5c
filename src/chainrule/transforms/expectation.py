"""Expectations: a function of random draws, its mean over samples, and the derivative of the mean.

    d/dx E f(x, draws)  =  E of  the slope with every draw moving smoothly where it does (pathwise)
                              +  what changes if a discrete draw takes another value     (perturb)
                              +  what the jumps of comparisons and roundings add         (jumps)

Each sample gives one value and one slope; the results are their means, with standard errors. The
parts add up because a derivative is taken by one thing at a time: by the smooth draws with all that
is discrete held fixed, by the probabilities of each discrete draw, and by the place of each jump.
"""

from __future__ import annotations

from collections.abc import Sequence

import numpy as np

from chainrule.program.program import Var
from chainrule.transforms.jumps import add_jumps
from chainrule.transforms.paths import Group, Paths
from chainrule.transforms.perturb import Perturbed
from chainrule.transforms.samples import Model, Runs

CHUNK = 4096  # samples that are run at once


class Moments:
    """Running sums of what samples give: their mean, and its standard error."""

    def __init__(self) -> None:
        self.count, self.total, self.squares = 0, 0.0, 0.0
        self.shift: np.ndarray | None = None

    def add(self, rows: np.ndarray) -> None:
        """Take in one row for each sample."""
        if self.shift is None:
            self.shift = np.mean(rows, axis=0)  # so that no digits are lost in the squares
        rows = rows - self.shift
        self.count += len(rows)
        self.total = self.total + np.sum(rows, axis=0)
        self.squares = self.squares + np.sum(rows * rows, axis=0)

    def mean(self) -> np.ndarray:
        assert self.shift is not None
        return self.shift + self.total / self.count

    def error(self) -> np.ndarray:
        """The standard error of the mean; nan where there is one sample only."""
        if self.count < 2:
            return np.full(np.shape(self.total), np.nan)
        spread = self.squares - self.total * self.total / self.count
        return np.sqrt(np.maximum(spread, 0.0) / (self.count - 1) / self.count)


def mean_value(paths: Paths, samples: int, method: str = "auto") -> Moments:
    """The moments of the function's results, all elements in one row."""
    moments = Moments()
    for start in range(0, samples, CHUNK):
        numbers = np.arange(start, min(start + CHUNK, samples))
        moments.add(Runs(paths, numbers).results)
    return moments


def mean_slopes(paths: Paths, active: Sequence[Var], samples: int, seed, method: str = "auto"):
    """The moments of the results, and for each active input those of (results, *its shape)."""
    values, slopes = Moments(), {v: Moments() for v in active}
    model, rng = Model(paths, active), np.random.default_rng(seed)
    for start in range(0, samples, CHUNK):
        numbers = np.arange(start, min(start + CHUNK, samples))
        results, found = sample_slopes(model, numbers, rng, method)
        values.add(results)
        for var, rows in found.items():
            slopes[var].add(rows)
    return values, slopes


def sample_slopes(model: Model, numbers: np.ndarray, rng: np.random.Generator, method: str):
    """The results of samples, and by active input the slopes (samples, results, *shape)."""
    runs = Runs(model.paths, numbers)
    if method == "pathwise":
        for group in runs.groups:
            model.chance(group).refuse_all_but_smooth()
    size = runs.results.shape
    found = {v: np.zeros((*size, *v.type.shape)) for v in model.active}
    for group in runs.groups:
        _add_smooth(model, runs, group, rng, found)
    add_jumps(model, runs, rng, found)
    return runs.results, found


def _add_smooth(model: Model, runs: Runs, group: Group, rng, found: dict) -> None:
    """The pathwise slopes of a group, and those through the parameters of its discrete draws."""
    perturbed = Perturbed(model, runs, group, rng)
    draws = model.chance(group).draws
    outputs, start = [], 0
    for out in group.node.outputs:
        outputs.append((out, start))
        start += out.type.size
    for k in range(runs.results.shape[1]):
        seeds = []
        for out, first in outputs:
            if out.is_literal or not out.type.inexact:
                continue
            ct = np.zeros((len(group.places), out.type.size))
            if first <= k < first + out.type.size:
                ct[:, k - first] = 1.0
            seeds.append((out, ct.reshape(len(ct), *out.type.shape)))
        for (number, position), rows in perturbed.found.items():
            operand = draws[number].inputs[1 + position]
            if not operand.is_literal:
                seeds.append((operand, rows[:, k]))
        slopes, _ = model.slopes(group, group.lanes, seeds)
        for var, rows in slopes.items():
            found[var][group.places, k] += rows
