"""The cheapest schedule of a tiny program, in any order of its nodes: every set of living arrays.

A state is the set of nodes whose arrays are there. A step runs a node whose operands are there, at
its cost, where the bytes suffice; or drops one, for nothing. The cheapest way from the empty set to
one that holds the results is a shortest path.

Source    Dijkstra 1959; the pebble game of Sethi, "Complete register allocation problems", 1975.
"""

from __future__ import annotations

import heapq

from chainrule.program.footprint import scratch
from chainrule.transforms.recompute import Work

LARGEST = 16  # nodes: 2**16 states, a second or two where memory forbids none


def exhaustive_order(work: Work, memory: int | None) -> list[int] | None:
    """The cheapest order within `memory` bytes, None where there is none; with None, the cheapest
    of the orders that take the least bytes."""
    nodes = range(work.count)
    size = [sum(work.size[v] for v in work.makes[k]) for k in nodes]
    own = [scratch(e) for e in work.equations]
    needs = [sum({1 << work.maker[v] for v in work.reads[k]}) for k in nodes]
    goal = sum({1 << work.maker[v] for v in work.results})
    held = [0] * (1 << work.count)
    for state in range(1, len(held)):
        last = (state & -state).bit_length() - 1
        held[state] = held[state & (state - 1)] + size[last]
    best = {0: (0, 0)}  # of each state: peak where it is to be least (else 0), and cost
    came: dict[int, tuple[int, int]] = {}  # the state before, and the node that ran (or -1)
    pending = [(0, 0, 0)]
    while pending:
        peak, cost, state = heapq.heappop(pending)
        if (peak, cost) > best[state]:
            continue
        if state & goal == goal:
            return _path(came, state)
        for node in nodes:
            bit = 1 << node
            if state & bit:
                following, step = state & ~bit, (peak, cost)
            elif state & needs[node] == needs[node]:
                following = state | bit
                bytes_ = held[following] + own[node]
                if memory is not None and bytes_ > memory:
                    continue
                step = (max(peak, bytes_) if memory is None else 0, cost + work.cost[node])
            else:
                continue
            if following not in best or step < best[following]:
                best[following] = step
                came[following] = (state, -1 if state & bit else node)
                heapq.heappush(pending, (*step, following))
    return None


def _path(came: dict[int, tuple[int, int]], state: int) -> list[int]:
    order = []
    while state:
        state, node = came[state]
        if node >= 0:
            order.append(node)
    return order[::-1]
