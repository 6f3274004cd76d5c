"""Checkpoint schedules by dynamic programming: a program as a chain, however it branches.

A program that computes forward and then reads what it has computed in roughly the opposite order (a
derivative) is cut at positions of its forward part. `[s, t(s))` is the round trip from a cut: what
runs until nobody reads what was made after s any more. Its frontier F(s) are the earlier arrays
that the round trip reads, so with F(s) kept, everything else can be dropped and made again:

    back(p, q) = run [p, q), keeping what its backward part reads; run that part     (a leaf)
              or run [p, s), keeping F(s) alone; back(s, q); back(p, s)              (a split)

The cheapest way for every (p, q) and amount of memory is found by dynamic programming; for a chain
of equal layers it is the binomial (treeverse) schedule. Sizes are sums and maxima here; whoever
chooses among the schedules looks at the exact footprint of each.

Source    Griewank and Walther, "Evaluating Derivatives", chapter 12; for unequal stages, Beaumont
          et al., "Optimal checkpointing for heterogeneous chains", 2019. Cutting a graph at its
          frontiers: ours.
"""

from __future__ import annotations

from collections.abc import Iterator, Sequence

import numpy as np

from chainrule.program.footprint import alive
from chainrule.transforms.recompute import Work, ordered

_CUTS = 64  # at most so many positions are considered
_TINY = 1000  # a value is tiny that takes such a part of the largest one
_SLOTS = 192  # amounts of memory that are told apart


class Chain:
    """A program cut at positions of its forward part, nodes 0 to `turn` - 1."""

    def __init__(self, work: Work, turn: int):
        self.work, self.turn = work, turn
        self.readers = work.readers()
        self.lasting = self._lasting()
        self.ends = self._round_trips()
        self.until = self._frontiers()
        self.cuts = self._cuts()

    def _lasting(self) -> set[int]:
        """Forward values that are never dropped: results, and what is tiny (a flag that is read at
        the very end would make one round trip of everything)."""
        work, turn = self.work, self.turn
        tiny = max(work.size, default=0) // _TINY
        return {
            v for v, readers in enumerate(self.readers) if work.maker[v] < turn
            and (v in work.results or (work.size[v] <= tiny and max(readers, default=0) >= turn))
        }  # fmt: skip

    def _round_trips(self) -> np.ndarray:
        """t(s) for s = 0 ... turn: the backward nodes before t(s) read what was made from s on."""
        work, turn = self.work, self.turn
        ends = np.full(turn + 1, turn, np.int64)
        for node in range(turn, work.count):
            makers = [work.maker[v] for v in work.reads[node] if v not in self.lasting]
            highest = max([m for m in makers if m < turn], default=-1)
            if highest >= 0:
                ends[highest] = max(ends[highest], node + 1)
        ends = np.maximum.accumulate(ends[::-1])[::-1]  # by the highest that is at least s
        ends[0] = work.count
        return ends

    def _frontiers(self) -> list[int]:
        """For each forward value the last s of whose frontier F(s) it is; its own node where it is
        of none."""
        work, turn = self.work, self.turn
        entered = np.zeros(work.count, np.int64)  # the last s from which the round trip runs a node
        for node in range(turn, work.count):
            entered[node] = np.searchsorted(-self.ends, -node, side="left") - 1
        until = [0] * sum(m < turn for m in work.maker)
        for node in range(turn - 1, -1, -1):
            for value in work.makes[node]:
                last = max([int(entered[r]) for r in self.readers[value]], default=-1)
                until[value] = node if value in self.lasting else max(last, node)
            entered[node] = min(max(until[v] for v in work.makes[node]), node)
        return until

    def _cuts(self) -> list[int]:
        """The positions to cut at: in every stretch of equal cost, where the frontier is least."""
        work, turn = self.work, self.turn
        weight = np.zeros(turn + 2)
        for value, until in enumerate(self.until):
            weight[work.maker[value] + 1] += work.size[value]
            weight[until + 1] -= work.size[value]
        frontier = np.cumsum(weight)[: turn + 1]
        cost = np.cumsum([0.0, *work.cost[:turn]])
        stretch = np.minimum(cost / max(cost[-1], 1.0) * _CUTS, _CUTS - 1).astype(int)
        best: dict[int, int] = {}
        for s in range(1, turn):
            k = int(stretch[s])
            if k not in best or frontier[s] < frontier[best[k]]:
                best[k] = s
        return [0, *sorted(set(best.values())), turn]

    # --- running a schedule -----------------------------------------------------------------------

    def frontier(self, s: int) -> list[int]:
        """F(s): the values made before s that the round trip from s reads."""
        maker = self.work.maker
        return [v for v, until in enumerate(self.until) if maker[v] < s <= until]

    def order(self, tree) -> list[int]:
        """The nodes that a schedule runs: a tree of (p, q, None) or (p, q, (s, first, second))."""
        return _Running(self).run(tree)


def turns(work: Work) -> list[int]:
    """Where the forward part may end: where most bytes, or most arrays, wait for a reader."""
    waiting = np.zeros((2, work.count + 2))
    for value, readers in enumerate(work.readers()):
        if value not in work.results:
            node = work.maker[value]
            for row, amount in enumerate((work.size[value], 1)):
                waiting[row, node + 1] += amount
                waiting[row, max(readers, default=node) + 1] -= amount
    places = np.argmax(np.cumsum(waiting, axis=1)[:, : work.count + 1], axis=1)
    return list(dict.fromkeys(map(int, places)))


class _Running:
    """A schedule being run: the order so far, and the values that are there."""

    def __init__(self, chain: Chain):
        self.chain, self.work = chain, chain.work
        self.have: set[int] = set()
        self.order: list[int] = []

    def run(self, tree) -> list[int]:
        work = self.work
        pending = [tree]
        while pending:  # no recursion: a schedule may be as deep as the chain is long
            item = pending.pop()
            if isinstance(item, set):
                self._forget(item)
                continue
            p, q, split = item
            if split is None:
                self._leaf(p, q)
                continue
            s, first, second = split
            kept = self.have.union(self.chain.frontier(s))
            self._demand([*kept, *(v for v in self.chain.lasting if work.maker[v] < s)])
            self._forget(kept)
            pending += [second, kept, first]
        self._demand(sorted(work.results))
        return self.order

    def _forget(self, kept: set[int]) -> None:
        """Keep these, what is made in the backward part, and the results."""
        turn, maker, lasting = self.chain.turn, self.work.maker, self.chain.lasting
        self.have = {v for v in self.have if v in kept or v in lasting or maker[v] >= turn}

    def _leaf(self, p: int, q: int) -> None:
        chain, work = self.chain, self.work
        before = set(self.have)
        if q == chain.turn:
            self._demand(sorted(chain.lasting))
        for node in range(int(chain.ends[q]), int(chain.ends[p])):
            self._note(work.run(node, self.have))
        self._forget(before)

    def _demand(self, values: list[int]) -> None:
        """Make these values, and what they need that is not there, in the order of the program."""
        self._note(self.work.closure(values, self.have))

    def _note(self, nodes: list[int]) -> None:
        self.order += nodes
        self.have.update(self.work.made_by(nodes))


# --- dynamic programming --------------------------------------------------------------------------


def chain_orders(work: Work) -> Iterator[Sequence[list[int]]]:
    """Orders of a program's nodes, each the cheapest for some amount of memory, the most first;
    a sequence for each place where the forward part may end."""
    for turn in turns(work):
        chain = Chain(work, turn)
        trees = [(0, turn, None)]
        if len(chain.cuts) > 2:
            trees += _Table(chain).trees()
        yield _Orders(chain, list(dict.fromkeys(trees)))


class _Orders(Sequence):
    """The orders of schedules, written out when they are looked at."""

    def __init__(self, chain: Chain, trees: list):
        self._chain, self._trees = chain, trees

    def __len__(self) -> int:
        return len(self._trees)

    def __getitem__(self, i):
        return self._chain.order(self._trees[i])


class _Table:
    """The cheapest schedule for every stretch between two cuts and every amount of memory."""

    def __init__(self, chain: Chain):
        self.chain, self.cuts = chain, chain.cuts
        self._measure()
        self._solve()

    def _measure(self) -> None:
        """Bytes and costs of the stretches, from a run that keeps everything."""
        chain, work, turn = self.chain, self.chain.work, self.chain.turn
        when = self._peaks()
        late = [
            not any(r < turn for v in work.makes[n] for r in chain.readers[v])
            for n in range(turn)
        ]
        kept = np.zeros(turn)
        waiting = np.zeros(work.count + 2)
        for value in range(len(chain.until)):
            node, readers = work.maker[value], chain.readers[value]
            if any(r >= turn or late[r] for r in readers):
                kept[node] += work.size[value]
                waiting[node] += work.size[value]
                waiting[max(*readers, turn) + 1] -= work.size[value]
        other = np.maximum(when - np.cumsum(waiting)[: work.count], 0.0)
        self.kept = np.cumsum([0.0, *kept])
        self.cost = np.cumsum([0.0, *map(float, work.cost[:turn])])
        self.advance = np.cumsum(
            [0.0, *(0.0 if late[n] else float(work.cost[n]) for n in range(turn))]
        )
        self.forward_peak, self.backward_peak = other[:turn], other[turn:]
        self.top = float(when.max(initial=0.0))

    def _peaks(self) -> np.ndarray:
        """For each node the bytes that are allocated when it runs."""
        chain, work = self.chain, self.chain.work
        order = chain.order((0, chain.turn, None))
        program = ordered(work, order)
        place = {e.outputs: i for i, e in enumerate(program.equations)}
        peaks, found = alive(program), np.zeros(work.count)
        for node in set(order):
            found[node] = peaks[place[work.equations[node].outputs]]
        return found

    def _leaf_bytes(self, p: int, q: int) -> float:
        ends, turn = self.chain.ends, self.chain.turn
        backward = self.backward_peak[ends[q] - turn : ends[p] - turn].max(initial=0.0)
        forward = self.forward_peak[p:q].max(initial=0.0)
        return self.kept[q] - self.kept[p] + max(backward, forward)

    def _frontier_bytes(self, s: int) -> np.ndarray:
        """For each p: the bytes of F(s) that are made from p on."""
        work = self.chain.work
        mine = np.zeros(s)
        for value in self.chain.frontier(s):
            mine[work.maker[value]] += work.size[value]
        return np.concatenate([np.cumsum(mine[::-1])[::-1], [0.0]])

    def _solve(self) -> None:
        cuts, count = self.cuts, len(self.cuts)
        unit = self.top / (_SLOTS - 1)
        amounts = np.arange(_SLOTS) * unit
        frontiers = [self._frontier_bytes(s) for s in cuts]
        self.needs: dict[tuple[int, int], np.ndarray] = {}
        self.best = np.full((count, count, _SLOTS), np.inf)
        self.choice = np.full((count, count, _SLOTS), -1, np.int32)
        for length in range(1, count):
            for a in range(count - length):
                b = a + length
                p, q = cuts[a], cuts[b]
                leaf = np.where(
                    amounts >= self._leaf_bytes(p, q), self.cost[q] - self.cost[p], np.inf
                )
                self.best[a, b], self.choice[a, b] = leaf, -1
                if length > 1:
                    self._split(a, b, frontiers, unit)

    def _split(self, a: int, b: int, frontiers, unit: float) -> None:
        cuts, inner = self.cuts, np.arange(a + 1, b)
        p = cuts[a]
        need = np.array([np.ceil(frontiers[k][p] / unit) for k in inner], int)
        slots = np.arange(_SLOTS)[None, :] - need[:, None]
        first = np.take_along_axis(self.best[inner, b], np.maximum(slots, 0), axis=1)
        first = np.where(slots >= 0, first, np.inf)
        advance = np.array([self.advance[cuts[k]] - self.advance[p] for k in inner])
        total = advance[:, None] + first + self.best[a, inner]
        winner = np.argmin(total, axis=0)
        least = total[winner, np.arange(_SLOTS)]
        better = least < self.best[a, b]
        self.best[a, b][better] = least[better]
        self.choice[a, b][better] = inner[winner[better]]
        self.needs[a, b] = need

    def trees(self) -> Iterator:
        """The schedules for all amounts of memory, the most first."""
        last = len(self.cuts) - 1
        for slot in range(_SLOTS - 1, -1, -1):
            if np.isfinite(self.best[0, last, slot]):
                yield self._tree(0, last, slot)

    def _tree(self, a: int, b: int, slot: int):
        """The schedule of a stretch, as nested tuples; depth is the number of splits at most."""
        k = int(self.choice[a, b, slot])
        if k < 0:
            return self.cuts[a], self.cuts[b], None
        need = int(self.needs[a, b][k - a - 1])
        first, second = self._tree(k, b, slot - need), self._tree(a, k, slot)
        return self.cuts[a], self.cuts[b], (self.cuts[k], first, second)
