"""Samples of a function, run on its paths: results side by side, and slopes by the inputs."""

from __future__ import annotations

from collections.abc import Sequence

import numpy as np

from chainrule.program.program import Operand, Program, Var
from chainrule.transforms.chance import Chance
from chainrule.transforms.continuity import settled
from chainrule.transforms.lanes import Lanes
from chainrule.transforms.paths import Group, Paths
from chainrule.transforms.placing import placed, pullback


class Runs:
    """Samples that have been run: their groups, and `results`, one row of all outputs each.

    `replaced` and `before` are those of `Lanes`.
    """

    def __init__(self, paths: Paths, numbers: np.ndarray, replaced=None, before=None):
        self.paths, self.numbers = paths, numbers
        self.groups = paths.run(numbers, replaced, before)
        self.results = np.zeros((len(numbers), 0))
        for group in self.groups:
            rows = rows_of(group)
            if not self.results.shape[1]:
                self.results = np.zeros((len(numbers), rows.shape[1]))
            self.results[group.places] = rows

    def again(self, rows: np.ndarray, replaced: dict[int, np.ndarray]) -> Runs:
        """Some of the samples with other values of draws; of those that went the same way, only
        what depends on these is run."""
        before = None
        for group in self.groups:
            place = np.searchsorted(group.places, rows)
            if (group.places[np.minimum(place, len(group.places) - 1)] == rows).all():
                before = group.lanes, place
        return Runs(self.paths, self.numbers[rows], replaced, before)


def rows_of(group: Group) -> np.ndarray:
    """The outputs of a group's samples, flattened and joined: (samples, all elements)."""
    lanes, size = group.lanes, len(group.places)
    parts = [np.reshape(lanes.value(o), (size, -1)) for o in group.node.outputs]
    return np.concatenate([np.asarray(p, np.float64) for p in parts], axis=1)


class Model:
    """What an estimator asks of paths: the chance in each group, and slopes by reverse mode."""

    def __init__(self, paths: Paths, active: Sequence[Var]):
        self.paths, self.active = paths, list(active)
        self._chances: dict[int, tuple[Group, Chance]] = {}
        self._placed: dict[tuple, Program] = {}

    def chance(self, group: Group) -> Chance:
        """The draws and events of a group's program."""
        found = self._chances.get(id(group.node))
        if found is None:
            way = group.node.way()
            asked = [n.asked for n in way if n.asked is not None]
            known = settled(group.program, asked)
            found = (group, Chance(group.program, self.active, known))
            self._chances[id(group.node)] = found
        return found[1]

    def slopes(self, group: Group, lanes: Lanes, seeds, wanted_draws: frozenset[int] = frozenset()):
        """Cotangents for each lane of the active inputs, and of the wanted draws (by number).

        `seeds` pairs operands of the group's program with cotangents, one row for each lane;
        `lanes` holds the values of the draws.
        """
        outputs = tuple(o for o, _ in seeds)
        program, mask = self._program(group, outputs, wanted_draws)
        made, moves = pullback(program, mask)
        run = Lanes(lanes.size)
        count = len(group.program.inputs)
        draws = [e.outputs[0] for e in self.chance(group).draws]
        for var, original in zip(made.inputs[:count], group.program.inputs, strict=True):
            lanes.has(original)
            run.enter(var, lanes.values.get(original), original in lanes.batched)
        for var, original in zip(made.inputs[count : count + len(draws)], draws, strict=True):
            run.enter(var, lanes.value(original), True)
        moving = [ct for (_, ct), m in zip(seeds, moves, strict=True) if m]
        for var, ct in zip(made.inputs[count + len(draws) :], moving, strict=True):
            run.enter(var, np.asarray(ct, var.type.dtype), True)
        run.run(made.equations)
        found = [run.value(o) for o in made.outputs]
        inputs = [v for v, m in zip(group.program.inputs, mask, strict=False) if m]
        by_input = dict(zip(inputs, found[: len(inputs)], strict=True))
        by_draw = dict(zip(sorted(wanted_draws), found[len(inputs) :], strict=True))
        return by_input, by_draw

    def _program(self, group: Group, outputs: tuple[Operand, ...], wanted: frozenset[int]):
        key = (id(group.node), outputs, wanted)
        if key not in self._placed:
            self._placed[key] = placed(group.program, outputs)
        program = self._placed[key]
        own = [v in self.active for v in group.program.inputs]
        count = len(program.inputs) - len(own)
        return program, (*own, *(n in wanted for n in range(count)))


def seeds_of(outputs, count: int, size: int):
    """For each of the `size` elements of the outputs, the cotangents that pick it out."""
    for k in range(size):
        seeds, start = [], 0
        for out in outputs:
            first, start = start, start + out.type.size
            if out.is_literal or not out.type.inexact:
                continue
            ct = np.zeros((count, out.type.size))
            if first <= k < start:
                ct[:, k - first] = 1.0
            seeds.append((out, ct.reshape(count, *out.type.shape)))
        yield seeds
