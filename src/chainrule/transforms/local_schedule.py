"""Schedules of middling programs, step by step: what greedy choices add where no pattern holds.

    relieved    where most bytes are alive, the array that is best dropped until it is read again
                is made again there: the one that relieves most bytes over the budget for its cost
    trimmed     runs that turn out to be needless are taken out again, the dearest first

Source    the greedy choice: Kirisame et al., "Dynamic tensor rematerialization", ICLR 2021, with
          the whole schedule in view.
"""

from __future__ import annotations

from chainrule.program.footprint import scratch
from chainrule.transforms.recompute import Work

LARGEST = 100  # nodes
_CHOICES = 10  # arrays that are tried at one place
_MOVES = 400


class Local:
    """Orders of one program, improved for a budget."""

    def __init__(self, work: Work, memory: int):
        self.work, self.memory = work, memory
        self.own = [scratch(e) for e in work.equations]

    # --- what an order takes ----------------------------------------------------------------------

    def lives(self, order: list[int]) -> list[tuple[int, int, int, list[int]]]:
        """Every array that an order makes: its value, its step, its last step, who reads it."""
        work, end = self.work, len(order)
        latest: dict[int, tuple[int, list[int]]] = {}
        found = []
        for step, node in enumerate(order):
            for value in work.reads[node]:
                latest[value][1].append(step)
            for value in work.makes[node]:
                if value in latest:
                    found.append((value, *latest[value]))
                latest[value] = (step, [])
        for value, (made, readers) in latest.items():
            found.append((value, made, readers + ([end] if value in work.results else [])))
        return [(v, made, max(readers, default=made), readers) for v, made, readers in found]

    def alive(self, order: list[int], lives=None) -> list[int]:
        """The bytes that are allocated at every step."""
        change = [0] * (len(order) + 2)
        for value, made, last, _ in self.lives(order) if lives is None else lives:
            change[made] += self.work.size[value]
            change[min(last, len(order)) + 1] -= self.work.size[value]
        total, out = 0, []
        for step, node in enumerate(order):
            total += change[step]
            out.append(total + self.own[node])
        return out

    def excess(self, order: list[int]) -> int:
        """By how many bytes the steps are over the budget, all together."""
        return sum(b - self.memory for b in self.alive(order) if b > self.memory)

    # --- improving --------------------------------------------------------------------------------

    def relieved(self, order: list[int]) -> list[int] | None:
        """The order, with runs added until it fits; None where that is not to be had."""
        over = self.excess(order)
        for _ in range(_MOVES):
            if not over:
                return self.trimmed(order)
            best = None
            for candidate, price in self._choices(order):
                left = self.excess(candidate)
                gain = (over - left) / (price + 1)
                if left < over and (best is None or gain > best[0]):
                    best = gain, left, candidate
            if best is None:
                return None
            _, over, order = best
        return None

    def _choices(self, order: list[int]):
        """Orders in which one array that lives through the worst step is made again later."""
        work, lives = self.work, self.lives(order)
        bytes_ = self.alive(order, lives)
        worst = max(range(len(order)), key=bytes_.__getitem__)
        through = []
        for value, made, last, readers in lives:
            later = [r for r in readers if r > worst]
            if made < worst < last and worst not in readers and later and later[0] < len(order):
                node = work.maker[value]
                weight = work.size[value] * (later[0] - worst) / (work.cost[node] + 1)
                through.append((weight, node, later[0]))
        for _, node, when in sorted(through, reverse=True)[:_CHOICES]:
            near = {v for v, made, last, _ in lives if made < when <= last}
            for added in ([node], work.run(node, near)):
                yield [*order[:when], *added, *order[when:]], sum(work.cost[n] for n in added)

    def trimmed(self, order: list[int]) -> list[int]:
        """The order without the runs that it fits without."""
        work = self.work
        repeated = {n for n in order if order.count(n) > 1}
        steps = sorted(
            (s for s, n in enumerate(order) if n in repeated),
            key=lambda s: (-work.cost[order[s]], s),
        )
        gone: set[int] = set()
        for step in steps:
            left = [n for s, n in enumerate(order) if s not in gone and s != step]
            if self._is_right(left) and not self.excess(left):
                gone.add(step)
        return [n for s, n in enumerate(order) if s not in gone]

    def _is_right(self, order: list[int]) -> bool:
        """Whether every node runs after those that it reads, and every result is made."""
        there: set[int] = set()
        for node in order:
            if not there.issuperset(self.work.reads[node]):
                return False
            there.update(self.work.makes[node])
        return there.issuperset(self.work.results)
