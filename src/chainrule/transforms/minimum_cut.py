"""The cheapest set of edges that separates a sink from a source in a directed graph.

Source    Dinic, "Algorithm for solution of a problem of maximum flow", 1970.
"""

from __future__ import annotations

from collections import deque

INFINITE = 1 << 62


class Network:
    """A directed graph with capacities; node 0 is the source, node 1 the sink."""

    def __init__(self, count: int):
        self.edges: list[list[int]] = [[] for _ in range(count)]  # of each node, by number
        self.head: list[int] = []
        self.left: list[int] = []  # capacity that is left; edge e ^ 1 is e backwards

    def connect(self, tail: int, head: int, capacity: int) -> None:
        """Add an edge."""
        for node, other, amount in ((tail, head, capacity), (head, tail, 0)):
            self.edges[node].append(len(self.head))
            self.head.append(other)
            self.left.append(amount)

    def behind_cut(self) -> set[int]:
        """The nodes on the sink's side of a minimum cut, the one that is nearest to the sink."""
        while (level := self._levels()) is not None:
            self._saturate(level)
        found, pending = {1}, [1]
        while pending:
            node = pending.pop()
            for edge in self.edges[node]:
                other = self.head[edge]
                if self.left[edge ^ 1] and other not in found:
                    found.add(other)
                    pending.append(other)
        return found

    def _levels(self) -> list[int] | None:
        """Distances from the source along what is left; None where the sink is out of reach."""
        level = [-1] * len(self.edges)
        level[0] = 0
        pending = deque([0])
        while pending:
            node = pending.popleft()
            for edge in self.edges[node]:
                if self.left[edge] and level[self.head[edge]] < 0:
                    level[self.head[edge]] = level[node] + 1
                    pending.append(self.head[edge])
        return level if level[1] >= 0 else None

    def _saturate(self, level: list[int]) -> None:
        """Flow along shortest paths until each has an edge without capacity left."""
        following = [0] * len(self.edges)
        path: list[int] = []
        node = 0
        while True:
            if node == 1:
                amount = min(self.left[e] for e in path)
                for edge in path:
                    self.left[edge] -= amount
                    self.left[edge ^ 1] += amount
                cut = next(i for i, edge in enumerate(path) if not self.left[edge])
                node = self.head[path[cut] ^ 1]
                del path[cut:]
                continue
            edges = self.edges[node]
            while following[node] < len(edges):
                edge = edges[following[node]]
                if self.left[edge] and level[self.head[edge]] == level[node] + 1:
                    path.append(edge)
                    node = self.head[edge]
                    break
                following[node] += 1
            else:
                if not path:
                    return
                edge = path.pop()
                node = self.head[edge ^ 1]
                following[node] += 1
