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

from chainrule import errors
from chainrule.program.program import Var
from chainrule.transforms.chance import Chance
from chainrule.transforms.joint import joint_slopes
from chainrule.transforms.jumps import add_jumps
from chainrule.transforms.mixing import Mixing
from chainrule.transforms.paths import Group, Paths
from chainrule.transforms.perturb import Perturbed, enumerated_draws
from chainrule.transforms.samples import Model, Runs, seeds_of

CHUNK = 4096  # samples that are run at once, at most
MOST_SLOPES = 1 << 22  # numbers, of all their slopes


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
    last = -1 if method == "score" else None  # the log density is no result
    for start in range(0, samples, CHUNK):
        numbers = np.arange(start, min(start + CHUNK, samples))
        moments.add(Runs(paths, numbers).results[:, :last])
    return moments


def mean_slopes(paths: Paths, active: Sequence[Var], samples: int, seed, method: str = "auto"):
    """The moments of the results, and for each active input those of (results, *its shape)."""
    values, slopes = Moments(), {v: Moments() for v in active}
    model, rng = Model(paths, active), np.random.default_rng(seed)
    chunk = min(CHUNK, max(64, MOST_SLOPES // max(1, sum(v.type.size for v in active))))
    for start in range(0, samples, chunk):
        numbers = np.arange(start, min(start + chunk, samples))
        results, found = sample_slopes(model, numbers, rng, method)
        values.add(results)
        for var, rows in found.items():
            slopes[var].add(rows)
    return values, slopes


def sample_slopes(model: Model, numbers: np.ndarray, rng: np.random.Generator, method: str):
    """The results of samples, and by active input the slopes (samples, results, *shape)."""
    if method == "score":
        return score_slopes(model, numbers)
    runs = Runs(model.paths, numbers)
    if method == "pathwise":
        for group in runs.groups:
            model.chance(group).refuse_all_but_smooth()
    size = runs.results.shape
    found = {v: np.zeros((*size, *v.type.shape)) for v in model.active}
    joint = joint_slopes(model, runs) if method == "auto" else None
    mixing = Mixing(model, runs, found) if method == "auto" and joint is None else None
    enumerated = enumerated_draws(model, runs, method) if joint is None else frozenset()
    for group in runs.groups if joint is None else ():
        perturbed = _add_smooth(model, runs, group, rng, found, enumerated)
        if mixing is not None:
            mixing.add(group, perturbed)
    for var, rows in (joint or {}).items():
        found[var] += rows
    add_jumps(model, runs, rng, found)
    if mixing is not None:
        mixing.apply(found)
    return runs.results, found


def score_slopes(model: Model, numbers: np.ndarray):
    """As `sample_slopes`, by the score function: the last result is the log of the density.

    The baseline of each sample is the mean of the others.
    """
    runs = Runs(model.paths, numbers)
    results = runs.results[:, :-1]
    count, size = results.shape
    others = (np.sum(results, axis=0) - results) / max(count - 1, 1)
    found = {v: np.zeros((count, size, *v.type.shape)) for v in model.active}
    for group in runs.groups:
        _refuse_unscored(model.chance(group))
        *outputs, log_density = group.node.outputs
        for k, seeds in enumerate(seeds_of(outputs, len(group.places), size)):
            gain = results[group.places, k] - others[group.places, k]
            if not log_density.is_literal:
                seeds.append((log_density, gain))
            slopes, _ = model.slopes(group, group.lanes, seeds)
            for var, rows in slopes.items():
                found[var][group.places, k] += rows
    return results, found


def _refuse_unscored(chance: Chance) -> None:
    for equation in chance.active_events.values():
        raise errors.NotDifferentiable(
            f'method="score", but at {equation.where} a draw is compared ({equation.op.name}) with '
            "something that moves itself: the score of the draw does not see that.\n"
            '  Use method="auto".'
        )
    for number in chance.moving_draws():
        draw = chance.draws[number]
        if draw.op.name == "random_subset":
            raise errors.NotDifferentiable(
                f"the choice without replacement at {draw.where} has no score here.\n"
                '  Use method="auto".'
            )


def _add_smooth(model: Model, runs: Runs, group: Group, rng, found: dict, enumerated) -> dict:
    """The pathwise slopes of a group, and those through the parameters of its discrete draws:
    these (see `Perturbed`) are returned."""
    perturbed = Perturbed(model, runs, group, rng, enumerated)
    draws = model.chance(group).draws
    elements = seeds_of(group.node.outputs, len(group.places), runs.results.shape[1])
    for k, seeds in enumerate(elements):
        for (number, position), rows in perturbed.found.items():
            operand = draws[number].inputs[1 + position]
            if not operand.is_literal:
                seeds.append((operand, rows[:, k]))
        slopes, _ = model.slopes(group, group.lanes, seeds)
        for var, rows in slopes.items():
            found[var][group.places, k] += rows
    return perturbed.found
