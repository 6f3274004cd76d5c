"""Directions: many normal draws that are moved together, to find the jumps that none decides alone.

Whether a sum of fifty normal draws is above a level is decided by all of them: along the line of
one of them a jump is far off as often as not, which makes a noisy estimate. Along a fixed direction
d of all draws, z = rest + u d, the number u is normal too and independent of the rest, so a line
along d is one more line like those of single draws, and shares the surface of a jump with them. The
directions are those in which the sides of the comparisons move most, on the average of samples of
their own: they depend on none of the samples that they are used for.
"""

from __future__ import annotations

import numpy as np

from chainrule.program.program import Equation
from chainrule.transforms.chance import COMPARISONS, Chance
from chainrule.transforms.paths import Group
from chainrule.transforms.samples import Model, Runs

Direction = dict[int, np.ndarray]  # by the number of the draw, of its shape; of length 1 in all

FEWEST = 3  # elements of normal draws
MOST_DIRECTIONS = 4
MOST_WAYS = 8
PILOTS = np.arange(64) + (1 << 40)  # numbers of samples that nothing else uses
ALIKE, UNDECIDED = 0.97, 0.3
_JOINTLY_AFFINE = frozenset({"add", "subtract", "concatenate", "index_set", "select"})


def common_directions(model: Model, runs: Runs, lines: frozenset[int]) -> list[Direction]:
    """Directions to look for jumps along; none where few normal draws are common to all ways."""
    shapes = _normal_draws(model, runs, lines)
    if sum(int(np.prod(s, dtype=int)) for s in shapes.values()) < FEWEST:
        return []
    found: list[np.ndarray] = []
    pilots = Runs(model.paths, PILOTS)
    for group in pilots.groups:
        if _shapes(model.chance(group), lines) == shapes:
            found += _gradients(model, group, frozenset(shapes))
    kept: list[np.ndarray] = []
    for direction in found:
        if all(abs(direction @ other) < ALIKE for other in kept):
            kept.append(direction)
    if len(kept) > MOST_DIRECTIONS:
        kept = [kept[i] for i in np.linspace(0, len(kept) - 1, MOST_DIRECTIONS).astype(int)]
    return [_parted(direction, shapes) for direction in kept]


def _shapes(chance: Chance, lines: frozenset[int]) -> dict[int, tuple[int, ...]]:
    return {
        n: draw.outputs[0].type.shape for n, draw in enumerate(chance.draws)
        if n in lines and draw.op.name == "standard_normal"
    }  # fmt: skip


def _normal_draws(model: Model, runs: Runs, lines: frozenset[int]) -> dict[int, tuple[int, ...]]:
    """The shapes of the normal draws, by number, if they are the same on all ways."""
    if len(runs.groups) > MOST_WAYS:
        return {}
    first, *others = [_shapes(model.chance(g), lines) for g in runs.groups]
    return first if all(s == first for s in others) else {}


def _gradients(model: Model, group: Group, wanted: frozenset[int]) -> list[np.ndarray]:
    """For each comparison that moves, the mean direction in which its sides move apart most."""
    found = []
    for equation in model.chance(group).active_events.values():
        if equation.op.name not in COMPARISONS:
            continue
        seeds = _seeds(equation, len(group.places))
        _, by_draw = model.slopes(group, group.lanes, seeds, wanted)
        rows = [by_draw[n].reshape(len(group.places), -1) for n in sorted(wanted)]
        gradient = np.concatenate(rows, axis=1).astype(np.float64)
        size = np.linalg.norm(gradient, axis=1, keepdims=True)
        usable = np.isfinite(size) & (size > 0.0)
        mean = np.mean(np.where(usable, gradient / np.where(usable, size, 1.0), 0.0), axis=0)
        if (length := np.linalg.norm(mean)) > UNDECIDED:
            found.append(mean / length)
    return found


def _seeds(equation: Equation, lanes: int):
    return [
        (x, np.full((lanes, *x.type.shape), sign))
        for x, sign in zip(equation.inputs, (1.0, -1.0), strict=True)
    ]


def _parted(direction: np.ndarray, shapes: dict[int, tuple[int, ...]]) -> Direction:
    parts, start = {}, 0
    for number in sorted(shapes):
        size = int(np.prod(shapes[number], dtype=int))
        parts[number] = direction[start : start + size].reshape(shapes[number])
        start += size
    return parts


def jointly_affine(chance: Chance) -> bool:
    """Whether the sides of all comparisons that move are affine in all draws together."""
    return chance.affine and all(
        e.op.name in _JOINTLY_AFFINE or e.op.name in COMPARISONS
        for e in chance.program.equations
        if sum(not x.is_literal and x in chance.feeds for x in e.inputs) > 1
    )
