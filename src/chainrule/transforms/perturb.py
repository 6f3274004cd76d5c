"""Discrete draws: what happens in the rest of the program if one of them had another value.

For each draw whose parameter moves, the samples are run again with another value of one element in
its place and the same random bits for everything else; the differences, weighted (see `laws`), are
an unbiased estimate of the derivative by the parameter. Where that takes few reruns, every value of
a draw is tried, and the draw itself adds no variance; else its neighbours. Where a sample has more
elements than `MOST`, as many are chosen at random and count for all.
"""

from __future__ import annotations

import numpy as np

from chainrule import errors
from chainrule.program.program import Equation
from chainrule.transforms.laws import (
    ALL_VALUES,
    ALTERNATIVES,
    NEGLIGIBLE,
    how_many,
    subset_score,
)
from chainrule.transforms.paths import Group
from chainrule.transforms.samples import Model, Runs

MOST = 64  # elements that are perturbed in each sample
MANY_WAYS = 64  # Python ways of the samples, beyond which fewer elements are perturbed in each
MOST_RUNS = 128  # reruns of a sample that are made so that each draw takes all of its values
MOST_ASKED = 4096  # the same, where that is asked for
MOST_RERUNS_OF_WAYS = 512  # the same, of one sample of each way
WIDEST = 8  # times as many values, of the widest of the samples, are looked at
MOST_VALUES = 24  # other values of a categorical draw that are tried, where reruns are short


class Perturbed:
    """The derivatives of a group's results by the parameters of its discrete draws.

    `found` maps (number of the draw, position of the parameter) to an array (samples, results,
    *parameter's shape).
    """

    def __init__(
        self, model: Model, runs: Runs, group: Group, rng: np.random.Generator,
        enumerated: frozenset[int],
    ):  # fmt: skip
        self.model, self.rng, self.group, self.runs = model, rng, group, runs
        self.numbers = runs.numbers[group.places]
        self.results = runs.results[group.places]
        self.all_results = runs.results
        self.found: dict[tuple[int, int], np.ndarray] = {}
        chance = model.chance(group)
        moving = chance.moving_draws()
        sizes = [chance.draws[n].outputs[0].type.size for n in moving]
        self.most = most_elements(runs)
        categorical = sum(
            size for n, size in zip(moving, sizes, strict=True)
            if chance.draws[n].op.name == "random_categorical"
        )  # fmt: skip
        self.most_values = max(MOST_VALUES, most_reruns(runs) // max(categorical, 1))
        self.all_values = {
            n: _values_that_count(chance.draws[n], group) for n in moving
            if n in enumerated and has_values(chance.draws[n])
        }  # fmt: skip
        for number, elements, scale in self._tasks(moving, sizes):
            self._perturb(number, chance.draws[number], elements, scale)

    def _tasks(self, moving: list[int], sizes: list[int]):
        """(draw, its element in each sample or -1, weight): all elements, or some at random."""
        count, total = len(self.numbers), sum(sizes)
        if total <= self.most:
            for number, size in zip(moving, sizes, strict=True):
                for element in range(size):
                    yield number, np.full(count, element), 1.0
            return
        chosen = np.argsort(self.rng.random((count, total)), axis=1)[:, : self.most]
        starts = np.cumsum([0, *sizes])
        for slot in chosen.T:
            for number, start, size in zip(moving, starts, sizes, strict=False):
                inside = (slot >= start) & (slot < start + size)
                if inside.any():
                    yield number, np.where(inside, slot - start, -1), total / self.most

    def _perturb(self, number: int, draw: Equation, elements: np.ndarray, scale: float) -> None:
        lanes, name = self.group.lanes, draw.op.name
        x = lanes.value(draw.outputs[0])
        parameters = [lanes.value(p) for p in draw.inputs[1:]]
        if name == "random_categorical":
            self._categorical(number, draw, x, parameters[0], elements, scale)
        elif name == "random_subset":
            self._subset(number, x, parameters[0], elements)
        elif number in self.all_values:
            self._every_value(number, x, elements, scale)
        elif name in ALTERNATIVES:
            _refuse_trials(self.model, self.group, draw)
            for position, other, weight in ALTERNATIVES[name](x, *parameters):
                self._one(number, position, x, other, weight * scale, elements)
        else:
            raise errors.NotDifferentiable(f"{name} has no derivative, at {draw.where}.")

    def _total(self, number: int, position: int, shape) -> np.ndarray:
        key = (number, position)
        if key not in self.found:
            self.found[key] = np.zeros((len(self.numbers), self.results.shape[1], *shape))
        return self.found[key]

    def _rerun(self, number: int, x, which, elements, values) -> np.ndarray:
        """The change of the results of some samples, with these values in place of theirs."""
        changed = np.array(x[which])
        changed.reshape(len(which), -1)[np.arange(len(which)), elements] = values
        runs = self.runs.again(self.group.places[which], {number: changed})
        return runs.results - self.results[which]

    def _one(self, number: int, position: int, x, other, weight, elements) -> None:
        flat = (len(x), -1)
        other, weight = other.reshape(flat), weight.reshape(flat)
        lanes = np.arange(len(x))
        weights = np.where(elements >= 0, weight[lanes, elements], 0.0)
        which = np.flatnonzero(weights)
        if not which.size:
            return
        own = elements[which]
        change = self._rerun(number, x, which, own, other[which, own])
        total = self._total(number, position, x.shape[1:])
        wide = total.reshape(len(x), total.shape[1], -1)
        wide[which, :, own] += weights[which, None] * change

    def _every_value(self, number: int, x, elements, scale) -> None:
        position, values, _, slopes = self.all_values[number]
        flat = slopes.reshape(len(x), -1, len(values))
        for k, value in enumerate(values):
            weight = np.where(x.reshape(len(x), -1) == value, 0.0, flat[:, :, k])
            other = np.full(weight.shape, value)
            self._one(number, position, x, other, scale * weight, elements)

    def _categorical(self, number: int, draw: Equation, x, weights, elements, scale) -> None:
        shared = draw.inputs[1].type.ndim == 1
        count = weights.shape[-1]
        rows = weights[:, None, :] if shared else weights.reshape(len(x), -1, count)
        which = np.flatnonzero(elements >= 0)
        own = elements[which]
        row = rows[which, 0 if shared else own]
        share = row / np.sum(row, axis=1, keepdims=True)
        current = x.reshape(len(x), -1)[which, own]
        steps, more = self._steps(len(which), count)
        change = np.zeros((len(which), self.results.shape[1], count))
        lanes = np.arange(len(which))
        for step in steps:
            other = (current + step) % count
            change[lanes, :, other] = more * self._rerun(number, x, which, own, other)
        slope = change - np.sum(share[:, None, :] * change, axis=2, keepdims=True)
        slope = scale * slope / np.sum(row, axis=1)[:, None, None]
        total = self._total(number, 0, draw.inputs[1].type.shape)
        if shared:
            total[which] += slope
        else:
            wide = total.reshape(len(x), total.shape[1], -1, count)
            wide[which, :, own] += slope

    def _steps(self, lanes: int, count: int):
        """By how many places values are moved on, and what each such change counts for."""
        most = self.most_values
        if count - 1 <= most:
            return np.arange(1, count), 1.0
        order = np.argsort(self.rng.random((lanes, count - 1)), axis=1)[:, :most]
        return order.T + 1, (count - 1) / most

    def _subset(self, number: int, x, weights, elements) -> None:
        """By the score function; the baseline is the mean of the other samples."""
        key = (number, 0)
        if key in self.found:  # all its elements at once
            return
        everyone = self.all_results
        others = (np.sum(everyone, axis=0) - self.results) / max(len(everyone) - 1, 1)
        score = subset_score(x, weights)
        self.found[key] = (self.results - others)[:, :, None] * score[:, None, :]


# --- all values of a draw -----------------------------------------------------------------------


def enumerated_draws(model: Model, runs: Runs, method: str) -> frozenset[int]:
    """The numbers of the draws all of whose values are tried: as many as there are reruns for.

    It is the same choice for all samples, whatever their way: one that depended on what a sample
    has drawn would prefer some values, which is a bias.
    """
    if method == "perturb":
        return frozenset()
    fixed, elements = 0.0, 0.0
    reruns: dict[int, float] = {}
    most = MOST_ASKED if method == "enumerate" else most_reruns(runs)
    for group in runs.groups:
        chance, share = model.chance(group), len(group.places) / len(runs.numbers)
        for number in chance.moving_draws():
            draw = chance.draws[number]
            size = draw.outputs[0].type.size
            elements += share * size
            if not has_values(draw):
                many = draw.op.name == "random_categorical"
                fixed += share * size * (draw.inputs[1].type.shape[-1] if many else 1)
                continue
            _refuse_trials(model, group, draw)
            reruns[number] = reruns.get(number, 0.0) + share * _how_many(draw, group, most)
    if method == "enumerate":
        if (count := fixed + sum(reruns.values())) > MOST_ASKED:
            raise errors.NotDifferentiable(
                f'method="enumerate" takes {count:.0f} reruns of each sample here, more than '
                f'{MOST_ASKED}.\n  Use method="auto".'
            )
        return frozenset(reruns)
    if elements > most_elements(runs):
        return frozenset()
    order = sorted(reruns, key=lambda n: (reruns[n], n))
    total = fixed + np.cumsum([reruns[n] for n in order])
    return frozenset(n for n, count in zip(order, total, strict=True) if count <= most)


def most_elements(runs: Runs) -> int:
    """How many elements are perturbed in each sample: each rerun may be a way to be traced."""
    return max(1, int(MOST / max(1.0, len(runs.groups) / MANY_WAYS) ** 2))


def most_reruns(runs: Runs) -> int:
    """How many reruns of a sample there may be so that its draws take all of their values."""
    ways = len(runs.groups)
    return int(min(MOST_RUNS / max(1.0, ways / MANY_WAYS) ** 2, MOST_RERUNS_OF_WAYS / ways))


def has_values(draw: Equation) -> bool:
    """Whether a draw has other values beside its neighbours, which can be tried one by one."""
    return draw.op.name in ALL_VALUES and draw.op.name != "random_bernoulli"


def _how_many(draw: Equation, group: Group, most: float) -> float:
    """The reruns of a sample that it takes, on the average of a group."""
    parameters = [group.lanes.value(p) for p in draw.inputs[1:]]
    widest = draw.outputs[0].type.size * how_many(draw.op.name, *parameters)
    if widest > WIDEST * most:
        return widest
    return np.count_nonzero(_values_that_count(draw, group)[3]) / len(group.places)


def _values_that_count(draw: Equation, group: Group) -> tuple:
    """All values of a draw; those that are next to impossible have no slope."""
    parameters = [group.lanes.value(p) for p in draw.inputs[1:]]
    position, values, share, slopes = ALL_VALUES[draw.op.name](*parameters)
    return position, values, share, np.where(np.abs(slopes) < NEGLIGIBLE, 0.0, slopes)


def _refuse_trials(model: Model, group: Group, draw: Equation) -> None:
    if draw.op.name == "random_binomial" and draw.inputs[1] in model.chance(group).moving:
        raise errors.NotDifferentiable(
            f"the number of trials of a binomial draw moves with the input, at {draw.where}: it is "
            "a whole number, and has no derivative.\n  Keep it fixed (cr.stop_gradient)."
        )
