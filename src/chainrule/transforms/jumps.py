"""Jumps: what events (comparisons, roundings) that move with the inputs add to a derivative.

Where h(x, z) = 0 separates two values of the function, the place of the jump moves with x:

    d/dx E f  =  E f_x  +  E over the surface h = 0 of  h_x (f where h > 0  -  f where h < 0)

The surface is found along lines: one element z of a continuous draw is moved over its whole range,
the others (and the random bits of all discrete draws) staying as they are. Each place z* on it
where an event jumps adds

    density(z*) h_z / (sum over all lines of h_z^2) h_x (f after - f before)

where the weights h_z^2 / (sum of h_z^2) share each piece of the surface among the lines that cross
it. Where many normal draws are moved together too (see `directions`), the weights are by h_z^4, so
that most is left to the line that crosses the surface best. Places are found by bisection from the
ends of the range inwards; where an event's argument may turn round along the line, from a grid of
quantiles, between which a turn is looked for. Jumps of discrete draws along the line are left out:
these are the business of `perturb`.

Source    conditional Monte Carlo and the boundary term: Fu and Hu, "Conditional Monte Carlo", 1997,
          chapter 4; sharing the surface by h_z^2 is ours.
"""

from __future__ import annotations

import numpy as np

from chainrule.program.program import Var
from chainrule.transforms.chance import CONTINUOUS
from chainrule.transforms.directions import Direction, common_directions, jointly_affine
from chainrule.transforms.events import cotangents, mark
from chainrule.transforms.laws import CONTINUOUS_LAWS
from chainrule.transforms.lines import NONE, Points, between, discrete, joined, sides_of
from chainrule.transforms.paths import Group
from chainrule.transforms.samples import Model, Runs

MOST_LINES = 32  # in each sample; more are chosen from at random
MOST_BENDING = 8  # the same, where events may turn round, which takes many more runs
TAIL = 1e-13  # the probability that is left out at each end of a line
GRID = 24  # points of a line where an event may turn round
TURN_STEPS = 24  # of the search for a turn between points: to 1e-5 of their distance
GOLDEN = 0.6180339887498949
CLOSE = 1e-12  # how near to a jump, relative to its place, the function is looked at


def add_jumps(model: Model, runs: Runs, rng: np.random.Generator, found: dict[Var, np.ndarray]):
    """Add the boundary terms of all samples to `found`: by input, (samples, results, *shape)."""
    chances = [(g, model.chance(g)) for g in runs.groups]
    lines = frozenset().union(*(c.lines() for _, c in chances))
    if not lines:
        return
    walker = _Walker(model, runs, lines, found)
    if all(len(c.draws) == 1 and c.draws[0].outputs[0].type.size == 1 for _, c in chances):
        walker.walk_one_for_all(runs.groups[0])
        return
    walker.directions = common_directions(model, runs, lines)
    most = MOST_BENDING if walker.bends else MOST_LINES
    tasks: dict[tuple, list] = {}
    for group, chance in chances:
        here = [n for n in sorted(lines) if n < len(chance.draws)
                and chance.draws[n].op.name in CONTINUOUS]  # fmt: skip
        sizes = [chance.draws[n].outputs[0].type.size for n in here]
        for slot, (n, elements, scale) in enumerate(
            _chosen(here, sizes, len(group.places), rng, most)
        ):
            draw = chance.draws[n]
            number = slot if scale == 1.0 else 0  # what is chosen at random is walked together
            same = (n, number, draw.op.name, draw.outputs[0].type, scale)
            tasks.setdefault(same, []).append((group, elements))
    for (n, _, _, _, scale), parts in tasks.items():
        walker.walk(n, scale, parts)
    for direction in walker.directions:
        walker.walk_along(direction)


def _chosen(numbers, sizes, count: int, rng, most: int):
    """(draw, its element in each sample or -1, weight): all lines, or some at random."""
    total = sum(sizes)
    if total <= most:
        for number, size in zip(numbers, sizes, strict=True):
            for element in range(size):
                yield number, np.full(count, element), 1.0
        return
    chosen = np.argsort(rng.random((count, total)), axis=1)[:, :most]
    starts = np.cumsum([0, *sizes])
    for slot in chosen.T:
        for number, start, size in zip(numbers, starts, sizes, strict=False):
            inside = (slot >= start) & (slot < start + size)
            if inside.any():
                yield number, np.where(inside, slot - start, -1), total / most


def _brackets(found: Points, shape: tuple[int, int]) -> tuple[Points, Points]:
    """Neighbouring points (of all lines and points) between which something discrete changes."""
    first = np.arange(shape[0] * shape[1]).reshape(shape)
    low, high = found.at(first[:, :-1].reshape(-1)), found.at(first[:, 1:].reshape(-1))
    differ = low.differ(high)
    return low.at(differ), high.at(differ)


class _Walker:
    """Walks along lines, and adds what it finds."""

    def __init__(self, model: Model, runs: Runs, lines: frozenset[int], found):
        self.model, self.runs, self.lines = model, runs, lines
        self.found = found
        self.directions: list[Direction] = []
        self.direction: Direction | None = None  # that is walked along, if it is no single element
        self.affine = all(model.chance(g).affine for g in runs.groups)
        self.bends = any(model.chance(g).bends for g in runs.groups)

    def walk_one_for_all(self, group: Group) -> None:
        """Where all chance is one number, every sample's line is the same."""
        first = Group(group.places[:1], group.node, group.lanes.part(np.arange(1)), group.program)
        own = {v: np.zeros_like(x) for v, x in self.found.items()}
        everyone, self.found = self.found, own
        self.walk(0, 1.0, [(first, np.zeros(1, int))])
        for var, rows in own.items():
            everyone[var] += rows[group.places[0]]
        self.found = everyone

    def walk(self, number: int, scale: float, parts: list) -> None:
        """Move one element of a draw over its range: `parts` pairs groups with the element in each
        of their samples, or -1."""
        self.number, self.scale = number, scale
        chosen = [(g, np.flatnonzero(elements >= 0), elements) for g, elements in parts]
        draws = [self.model.chance(g).draws[number] for g, _, _ in chosen]
        draw = draws[0]
        self.elements = np.concatenate([elements[which] for _, which, elements in chosen])
        self.samples = np.concatenate([g.places[which] for g, which, _ in chosen])  # rows of runs
        count = len(self.samples)
        if not count:
            return
        self.base = np.concatenate([
            g.lanes.value(d.outputs[0])[which]
            for (g, which, _), d in zip(chosen, draws, strict=True)
        ]).reshape(count, -1)
        self.shape = draw.outputs[0].type.shape
        self.dtype = draw.outputs[0].type.dtype
        self.density, quantile = CONTINUOUS_LAWS[draw.op.name]
        rows = np.arange(count)
        self.parameters = [
            np.concatenate([
                g.lanes.value(d.inputs[k])[which]
                for (g, which, _), d in zip(chosen, draws, strict=True)
            ]).reshape(count, -1)[rows, self.elements]
            for k in range(1, len(draw.inputs))
        ]
        self.here = self.base[rows, self.elements]
        self._search(rows, quantile)

    def walk_along(self, direction: Direction) -> None:
        """Move normal draws together, in all samples."""
        groups, bends = self.runs.groups, self.bends
        self.bends = not all(jointly_affine(self.model.chance(g)) for g in groups)
        self.direction, self.scale = direction, 1.0
        self.samples = np.concatenate([g.places for g in groups])
        self.bases = {
            n: np.concatenate([
                g.lanes.value(self.model.chance(g).draws[n].outputs[0]) for g in groups
            ])
            for n in direction
        }  # fmt: skip
        self.here = _along(self.bases, direction)
        self.density, quantile = CONTINUOUS_LAWS["standard_normal"]
        self.parameters = []
        self._search(np.arange(len(self.samples)), quantile)
        self.direction, self.bends = None, bends

    def _search(self, rows, quantile) -> None:
        """Find the jumps on the lines, and add what they make."""
        with np.errstate(all="ignore"):
            starts = self._points(quantile, rows)
        found = self._all_looked_at(rows, starts)
        if self.bends and (extra := self._turns(starts, found)) is not None:
            starts = np.sort(np.concatenate([starts, extra], axis=1), axis=1)
            found = self._all_looked_at(rows, starts)
        low, high = _brackets(found, starts.shape)
        if len(low.lane):
            lane, low, high = self._narrowed(low, high)
            beside = CLOSE * np.maximum(np.abs(low), 1e-3)  # off the tie, which may be met exactly
            ends = starts[lane, 0], starts[lane, -1]
            self._add(lane, np.maximum(low - beside, ends[0]), np.minimum(high + beside, ends[1]))

    def _points(self, quantile, rows) -> np.ndarray:
        """Where to look first, ascending: (lines, points)."""
        shares = np.array([TAIL, 1.0 - TAIL])
        if self.bends:
            tail = 10.0 ** np.arange(-9.0, -1.8, 1.0)
            inner = (np.arange(GRID) + 0.5) / GRID
            shares = np.sort(np.concatenate([shares, tail, inner, 1.0 - tail]))
        parameters = [p[:, None] for p in self.parameters]
        points = np.broadcast_to(quantile(shares, *parameters), (len(rows), len(shares)))
        return np.sort(np.concatenate([points, self.here[:, None]], axis=1), axis=1)

    def _run(self, lane: np.ndarray, z: np.ndarray) -> Runs:
        return self.runs.again(self.samples[lane], self._moved(lane, z))

    def _moved(self, lane: np.ndarray, z: np.ndarray) -> dict[int, np.ndarray]:
        """The draws that are not where the samples have them, by number."""
        if self.direction is None:
            moved = self.base[lane]
            moved[np.arange(len(lane)), self.elements[lane]] = z
            return {self.number: moved.reshape(len(lane), *self.shape).astype(self.dtype)}
        step = z - self.here[lane]
        return {
            n: (x[lane] + np.multiply.outer(step, self.direction[n])).astype(x.dtype)
            for n, x in self.bases.items()
        }

    def _looked_at(self, lane: np.ndarray, z: np.ndarray) -> Points:
        if not len(lane):
            empty = np.zeros((0, 0))
            return Points(lane, z, empty.astype(np.int64), empty, empty)
        runs = self._run(lane, z)
        parts = [discrete(self.model.chance(g).marks, g.lanes) for g in runs.groups]
        width = max(codes.shape[1] for codes, _, _ in parts)
        codes = np.full((len(lane), width), NONE)
        margins = np.full((len(lane), width), np.nan)
        steps = margins.copy()
        for group, (code, gap, offset) in zip(runs.groups, parts, strict=True):
            codes[group.places, : code.shape[1]] = code
            margins[group.places, : code.shape[1]] = gap
            steps[group.places, : code.shape[1]] = offset
        return Points(lane, z, codes, margins, steps)

    def _all_looked_at(self, rows, points) -> Points:
        return self._looked_at(np.repeat(rows, points.shape[1]), points.reshape(-1))

    def _turns(self, points, found: Points) -> np.ndarray | None:
        """Places between the points where a comparison comes out otherwise although it does not at
        the points, for each line: looked for where the sides come nearest to each other."""
        rows, count = points.shape
        size = np.where(np.isnan(found.steps), np.abs(found.margins), np.nan)
        size = size.reshape(rows, count, -1)
        code = found.codes.reshape(size.shape)
        same = (code[:, :-2] == code[:, 1:-1]) & (code[:, 1:-1] == code[:, 2:])
        left, here, right = size[:, :-2], size[:, 1:-1], size[:, 2:]
        beyond = np.concatenate([size[:, 3:], size[:, -1:]], axis=1)
        lowest = (here < right) | ((here == right) & (right < beyond))  # no plateau
        turn = same & (here < left) & lowest
        line, place, element = np.nonzero(turn)
        if not line.size:
            return None
        before = code[line, place, element]
        left, right = points[line, place], points[line, place + 2]
        there = np.full(line.size, np.nan)
        for _ in range(TURN_STEPS):  # golden section
            pair = np.stack([right - GOLDEN * (right - left), left + GOLDEN * (right - left)])
            seen = self._looked_at(np.tile(line, 2), pair.reshape(-1))
            rank = np.arange(2 * line.size)
            column = np.tile(element, 2)
            width = seen.codes.shape[1]
            known = column < width
            column = np.where(known, column, 0)
            gap = np.where(known, np.abs(seen.margins[rank, column]), np.inf).reshape(2, -1)
            other = (known & (seen.codes[rank, column] != np.tile(before, 2))).reshape(2, -1)
            for side in (0, 1):
                there = np.where(np.isnan(there) & other[side], pair[side], there)
            if not np.isnan(there).any():
                break
            first = gap[0] <= gap[1]
            left, right = np.where(first, left, pair[0]), np.where(first, pair[1], right)
        hit = ~np.isnan(there)
        line, there = line[hit], there[hit]
        if not line.size:
            return None
        order = np.argsort(line, kind="stable")
        line, there = line[order], there[order]
        slot = np.arange(line.size) - np.searchsorted(line, line)
        extra = np.repeat(points[:, :1], int(slot.max()) + 1, axis=1)
        extra[line, slot] = there
        return extra

    def _narrowed(self, low: Points, high: Points):
        """All places of change, each between two close points: (lines, lower, upper places).

        Two places are looked at about where the margin of the first event that changes would be 0
        if it were affine; the closer, the better that has worked in the step before. Where it has
        not, the middle comes next.
        """
        done: list[tuple] = []
        trust = np.full(len(low.lane), 0.0 if self.affine else 0.05)
        while len(low.lane):
            width = high.z - low.z
            reach = CLOSE * np.maximum(np.maximum(np.abs(low.z), np.abs(high.z)), 1e-3)
            middle = 0.5 * (low.z + high.z)
            close = (width <= reach) | (middle <= low.z) | (middle >= high.z)
            done.append((low.lane[close], low.z[close], high.z[close]))
            low, high = low.at(~close), high.at(~close)
            reach, width, trust = reach[~close], width[~close], trust[~close]
            first, second = between(low, high, np.maximum(0.25 * reach, trust * width), trust < 1)
            count = len(low.lane)
            new = self._looked_at(np.tile(low.lane, 2), np.concatenate([first, second]))
            one, two = new.at(np.arange(count)), new.at(np.arange(count, 2 * count))
            ends = [(low, one), (one, two), (two, high)]
            wide = [a.differ(b) & (a.z < b.z) for a, b in ends]
            better = ((second - first) / width) ** 2
            missed = np.where(first < second, 1.0, 0.05)
            after = [missed, better, missed]
            trust = np.concatenate([t[d] for t, d in zip(after, wide, strict=True)])
            low = joined([a.at(d) for (a, _), d in zip(ends, wide, strict=True)])
            high = joined([b.at(d) for (_, b), d in zip(ends, wide, strict=True)])
        return tuple(np.concatenate(parts) for parts in zip(*done, strict=True))

    def _add(self, lane, low, high) -> None:
        before, after = self._run(lane, low), self._run(lane, high)
        change = after.results - before.results
        with np.errstate(all="ignore"):
            density = self.density(0.5 * (low + high), *(p[lane] for p in self.parameters))
        for first in before.groups:
            for second in after.groups:
                self._add_pair(first, second, lane, change, density)

    def _add_pair(self, first: Group, second: Group, lane, change, density) -> None:
        """The places where the way `first` becomes `second`, by the first event that jumps."""
        _, one, two = np.intersect1d(first.places, second.places, return_indices=True)
        chance, other = self.model.chance(first), self.model.chance(second)
        for position, equation in enumerate(chance.marks):
            if not one.size or position >= len(other.marks):
                return
            before = mark(equation, first.lanes)[one]
            after = mark(other.marks[position], second.lanes)[two]
            differ = before != after
            jumps = differ.any(axis=1)
            if jumps.any() and position in chance.active_events:
                rows = np.flatnonzero(jumps)
                element = np.argmax(differ[rows], axis=1)
                places = first.places[one[rows]]
                sides = before[rows, element], after[rows, element]
                for own, group, here in sides_of(equation, sides, (one[rows], two[rows]),
                                                     (first, second)):  # fmt: skip
                    mine = self.model.chance(group).marks[position]
                    seeds = cotangents(mine, element[own], sides[0][own], sides[1][own])
                    self._add_jump(group, here[own], seeds, lane[places[own]],
                                   change[places[own]], density[places[own]])  # fmt: skip
            one, two = one[~jumps], two[~jumps]

    def _add_jump(self, group: Group, rows, seeds, lane, change, density) -> None:
        chance = self.model.chance(group)
        wanted = frozenset(
            n for n in self.lines if n < len(chance.draws) and chance.draws[n].op.name in CONTINUOUS
        )
        by_input, by_draw = self.model.slopes(group, group.lanes.part(rows), seeds, wanted)
        slope, total = self._slopes(by_draw, lane)
        weight = np.where(total > 0, density * slope / np.where(total > 0, total, 1.0), 0.0)
        change = self.scale * weight[:, None] * change
        for var, h in by_input.items():
            term = change.reshape(*change.shape, *(1,) * (h.ndim - 1)) * h[:, None]
            np.add.at(self.found[var], self.samples[lane], term)

    def _slopes(self, by_draw: dict[int, np.ndarray], lane):
        """The slope of what passes zero along the lines, to the power that the surface is shared by
        less one, and that power of its slopes along all lines that cross there, summed."""
        flat = {n: np.reshape(v, (len(lane), -1)).astype(np.float64) for n, v in by_draw.items()}
        along = [_along(flat, direction) for direction in self.directions]
        if self.direction is None:
            slope = flat[self.number][np.arange(len(lane)), self.elements[lane]]
        else:
            slope = _along(flat, self.direction)
        power = 4 if self.directions else 2
        singles = [np.sum(v**power, axis=1) for v in flat.values()]
        total = np.sum([*singles, *(v**power for v in along)], axis=0)
        return slope ** (power - 1), total


def _along(rows: dict[int, np.ndarray], direction: Direction) -> np.ndarray:
    """How far each row of the draws, by number, goes in a direction."""
    parts = [x.reshape(len(x), -1) @ direction[n].reshape(-1)
             for n, x in rows.items() if n in direction]  # fmt: skip
    return np.sum(parts, axis=0)
