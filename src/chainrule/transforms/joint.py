"""All that discrete draws can come out as, together: where that is little, all of it is looked at.

Each sample is run once for every combination of values of its discrete draws whose parameters move,
weighted by its probability w; later draws depend on earlier ones as they do in the program. With

    d/dx  sum over combinations of w(x) f(x)  =  sum of w f_x + f w_x

the discrete draws add no variance. Where there are no other draws, all discrete draws are treated
so, and one sample says everything. Combinations whose probability and its slope are negligible are
left out, so a loop until a first success ends; one that is impossible counts where it has a slope.
"""

from __future__ import annotations

import itertools
from typing import Any

import numpy as np

from chainrule.program.program import Equation, Var
from chainrule.transforms.chance import Chance
from chainrule.transforms.laws import ALL_VALUES, how_many
from chainrule.transforms.paths import Group
from chainrule.transforms.samples import Model, Runs, rows_of, seeds_of

MOST_COMBINATIONS = 256  # where they are all that there is
MOST_BESIDE = 24  # for each sample, beside other draws, on the average
MOST_LANES = 8192  # that are run at once
NEGLIGIBLE = 1e-15


def joint_slopes(model: Model, runs: Runs) -> dict[Var, np.ndarray] | None:
    """The slopes of the samples by the active inputs, (samples, results, *shape); None where there
    are no discrete draws that move, or too many combinations of their values."""
    chances = [model.chance(g) for g in runs.groups]
    if not any(c.moving_draws() for c in chances):
        return None
    alone = all(_is_countable(c, n) for c in chances for n in range(len(c.draws)))
    most = MOST_COMBINATIONS if alone else MOST_BESIDE
    inverse = np.ones(len(runs.numbers))
    for group, chance in zip(runs.groups, chances, strict=True):
        chosen = _chosen(chance, alone)
        if not all(_is_countable(chance, n) for n in chosen):
            return None
        if any(_combinations(group, chance.draws[n]) > 8 * most for n in chosen):
            return None
        inverse[group.places] = 1.0 / np.maximum(_weight(group, chance, chosen, {}), 1e-300)
    if len(chances) == 1:
        draws = [chances[0].draws[n] for n in _chosen(chances[0], alone)]
        expected = float(np.prod([_combinations(runs.groups[0], d) for d in draws]))
    else:
        expected = float(np.mean(inverse))  # the mean of 1 / w is how many combinations there are
    if expected > most:
        return None
    numbers = runs.numbers[:1] if alone else runs.numbers
    size, step = runs.results.shape[1], max(1, int(MOST_LANES / max(expected, 1.0)))
    limit = most if alone and len(chances) > 1 else 4 * most  # each may be a way to be traced
    parts = []
    for start in range(0, len(numbers), step):
        found = _Joint(model, numbers[start : start + step], size, alone, limit).slopes()
        if found is None:
            return None
        parts.append(found)
    count = len(runs.numbers)
    joined = {v: np.concatenate([p[v] for p in parts]) for v in model.active}
    return {v: np.broadcast_to(x, (count, *x.shape[1:])) for v, x in joined.items()}


def _chosen(chance: Chance, alone: bool) -> list[int]:
    """The numbers of the draws that take all of their values."""
    return list(range(len(chance.draws))) if alone else chance.moving_draws()


def _is_countable(chance: Chance, number: int) -> bool:
    draw = chance.draws[number]
    if draw.op.name == "random_binomial" and draw.inputs[1] in chance.moving:
        return False
    return draw.op.name in ALL_VALUES or draw.op.name == "random_categorical"


def _combinations(group: Group, draw: Equation) -> float:
    """How many values all elements of a draw can have together."""
    if draw.op.name == "random_categorical":
        count = float(draw.inputs[1].type.shape[-1])
    else:
        count = how_many(draw.op.name, *(group.lanes.value(p) for p in draw.inputs[1:]))
    size = draw.outputs[0].type.size
    return count**size if size * np.log(max(count, 1.0)) < 600 else np.inf


def _all_values(group: Group, draw: Equation):
    """Position, values, shares and slopes; those of a categorical draw by all of its weights."""
    parameters = [group.lanes.value(p) for p in draw.inputs[1:]]
    if draw.op.name != "random_categorical":
        return ALL_VALUES[draw.op.name](*parameters)
    weights = parameters[0]
    total = np.sum(weights, axis=-1, keepdims=True)
    share = weights / total
    slope = (np.eye(share.shape[-1]) - share[..., :, None]) / total[..., None]
    if draw.inputs[1].type.ndim == 1:  # one row for all elements
        shape = draw.outputs[0].type.shape
        wide = (len(share), *(1,) * len(shape))
        share = np.broadcast_to(share.reshape(*wide, -1), (len(share), *shape, share.shape[-1]))
        slope = slope.reshape(*wide, *slope.shape[1:])
        slope = np.broadcast_to(slope, (len(share), *shape, *slope.shape[-2:]))
    return 0, np.arange(weights.shape[-1]), share, slope


def _shares(group: Group, draw: Equation):
    """The shares of a draw's own values and their slopes, (lanes, elements[, weights])."""
    position, values, share, slope = _all_values(group, draw)
    x = group.lanes.value(draw.outputs[0])
    lanes = len(x)
    place = np.searchsorted(values, x.reshape(lanes, -1))
    rows, columns = np.arange(lanes)[:, None], np.arange(place.shape[1])[None, :]
    share = share.reshape(lanes, place.shape[1], -1)
    slope = slope.reshape(*share.shape, *slope.shape[x.ndim + 1 :])
    inside = place < share.shape[2]
    place = np.where(inside, place, 0)
    own = np.where(inside, share[rows, columns, place], 0.0)
    return position, own, slope[rows, columns, place]


def _weight(group: Group, chance: Chance, chosen: list[int], known: dict[int, Any]) -> np.ndarray:
    """The probability of the values of all chosen draws."""
    total = np.ones(len(group.places))
    for number in chosen:
        if number not in known:
            known[number] = _shares(group, chance.draws[number])
        total = total * np.prod(known[number][1], axis=1)
    return total


Part = tuple[np.ndarray, dict[int, np.ndarray]]  # samples, and values of draws by their numbers


class _Joint:
    """The combinations of some samples, and what they add up to."""

    def __init__(self, model: Model, numbers: np.ndarray, size: int, alone: bool, most: int):
        self.model, self.numbers, self.size = model, numbers, size
        self.alone, self.most = alone, most
        self.found = {
            v: np.zeros((len(numbers), size, *v.type.shape)) for v in model.active
        }

    def slopes(self) -> dict[Var, np.ndarray] | None:
        """The slopes; None where there are more combinations than expected."""
        pending: list[Part] = [(np.arange(len(self.numbers)), {})]
        lanes = 0
        while pending:
            samples, replaced = _taken(pending)
            runs = Runs(self.model.paths, self.numbers[samples], replaced)
            for group in runs.groups:
                chance = self.model.chance(group)
                own = samples[group.places]
                given = {n: x[group.places] for n, x in replaced.items()}
                chosen = _chosen(chance, self.alone)
                if not all(_is_countable(chance, n) for n in chosen):
                    return None
                open_draws = [n for n in chosen if n not in given]
                if open_draws and _combinations(group, chance.draws[open_draws[0]]) > self.most:
                    return None
                if open_draws:
                    pending += self._branches(group, chance, open_draws[0], own, given)
                else:
                    lanes += len(own)
                    self._add(group, chance, own)
            if lanes + sum(len(s) for s, _ in pending) > self.most * len(self.numbers):
                return None
        return self.found

    def _branches(self, group: Group, chance: Chance, number: int, samples, given):
        """The same lanes with each combination of values of one draw's elements."""
        draw = chance.draws[number]
        _, values, share, slope = _all_values(group, draw)
        lanes, shape = len(samples), draw.outputs[0].type.shape
        moving = set(chance.moving_draws())
        share = share.reshape(lanes, -1, len(values))
        slope = _sizes(slope, share.shape) if number in moving else np.zeros_like(share)
        weight, moved = np.ones(lanes), np.zeros(lanes)
        for n in given:
            _, own, by = _shares(group, chance.draws[n])
            sizes = _sizes(by, own.shape) if n in moving else np.zeros_like(own)
            weight, moved = _times(weight, moved, own, sizes)
        elements = np.arange(share.shape[1])
        for chosen in itertools.product(range(len(values)), repeat=share.shape[1]):
            at = list(chosen)
            ends = _times(weight, moved, share[:, elements, at], slope[:, elements, at])
            kept = np.flatnonzero(np.maximum(*ends) > NEGLIGIBLE)
            if kept.size:
                value = np.broadcast_to(values[at].reshape(shape), (kept.size, *shape))
                yield samples[kept], {**{n: x[kept] for n, x in given.items()}, number: value}

    def _add(self, group: Group, chance: Chance, samples) -> None:
        known: dict[int, Any] = {}
        weight = _weight(group, chance, _chosen(chance, self.alone), known)
        results = rows_of(group)
        slopes_of_weight = [
            (draw.inputs[1 + found[0]], _by_parameter(draw, found, rest))
            for (n, found), rest in zip(known.items(), _products_of_others(known), strict=True)
            for draw in [chance.draws[n]]
            if n in chance.moving_draws()
        ]
        for k, seeds in enumerate(seeds_of(group.node.outputs, len(samples), self.size)):
            seeds = [(o, ct * _wide(weight, ct)) for o, ct in seeds]
            for operand, by_parameter in slopes_of_weight:
                if not operand.is_literal:
                    gain = results[:, k]
                    seeds.append((operand, by_parameter * _wide(gain, by_parameter)))
            slopes, _ = self.model.slopes(group, group.lanes, seeds)
            for var, rows in slopes.items():
                np.add.at(self.found[var], (samples, k), rows)


def _taken(pending: list[Part]) -> Part:
    """The last part with all others that have values for the same draws, to be run at once."""
    taken = [pending.pop()]
    form, count = _form(taken[0]), len(taken[0][0])
    for i in reversed(range(len(pending))):
        size = len(pending[i][0])
        if count + size <= MOST_LANES and _form(pending[i]) == form:
            taken.append(pending.pop(i))
            count += size
    values = {n: np.concatenate([given[n] for _, given in taken]) for n in taken[0][1]}
    return np.concatenate([samples for samples, _ in taken]), values


def _form(part: Part) -> set[tuple]:
    return {(n, x.shape[1:], x.dtype) for n, x in part[1].items()}


def _times(weight, moved, share, sizes):
    """A weight times the shares of further elements, (lanes, elements), and the most that it moves
    by one of its factors: a value of probability 0 counts where that has a slope."""
    for own, size in zip(share.T, sizes.T, strict=True):
        weight, moved = weight * own, np.maximum(moved * own, weight * size)
    return weight, moved


def _sizes(slope: np.ndarray, shape: tuple[int, ...]) -> np.ndarray:
    """How fast shares of this shape move by their parameter, or by the one of their weights."""
    return np.max(np.abs(slope).reshape(*shape, -1), axis=-1)


def _wide(x: np.ndarray, like: np.ndarray) -> np.ndarray:
    return x.reshape(-1, *(1,) * (like.ndim - 1))


def _products_of_others(known: dict[int, Any]) -> np.ndarray:
    """For each draw the probability of the values of all others, (draws, lanes)."""
    if not known:  # on some ways nothing that moves is drawn
        return np.ones((0, 0))
    own = np.stack([np.prod(share, axis=1) for _, share, _ in known.values()])
    one = np.ones_like(own[:1])
    before = np.concatenate([one, np.cumprod(own[:-1], axis=0)])
    after = np.concatenate([np.cumprod(own[:0:-1], axis=0)[::-1], one])
    return before * after


def _by_parameter(draw: Equation, found: tuple, others: np.ndarray):
    """The slope of the weight of all draws by the parameter of one, (lanes, *its shape)."""
    position, share, slope = found
    elements = share.shape[1]
    rest = np.stack(
        [np.prod(np.delete(share, e, axis=1), axis=1) for e in range(elements)], axis=1
    )
    rest = rest * others[:, None]
    by_element = slope * (rest[..., None] if slope.ndim == 3 else rest)
    shape = draw.inputs[1 + position].type.shape
    if slope.ndim == 3 and len(shape) == 1:  # weights shared by all elements
        return np.sum(by_element, axis=1)
    return by_element.reshape(len(share), *shape)
