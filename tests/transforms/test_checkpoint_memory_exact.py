"""Schedules against the optimum: small random graphs, solved by brute force and by Checkmate."""

import heapq

import numpy as np
import pytest

from chainrule import errors
from chainrule.program.evaluate import Plan
from chainrule.program.footprint import footprint
from chainrule.program.liveness import remove_dead
from chainrule.program.op import REGISTRY, Missing, Op
from chainrule.program.program import Equation, Program, Var
from chainrule.program.types import array_type
from chainrule.transforms.chain_schedule import chain_orders
from chainrule.transforms.checkpoint import within
from chainrule.transforms.exhaustive_schedule import exhaustive_order
from chainrule.transforms.local_schedule import Local
from chainrule.transforms.recompute import Work, ordered
from tests.transforms.checkmate import solved_order
from tests.transforms.test_checkpoint_memory import least_of

F64 = np.dtype(np.float64)

# An operation of any size and price; not in the registry, whose every operation has samples.
GRAPH_NODE = Op(
    "graph_node", lambda *types, size, price: (array_type((size,), F64),),
    lambda *arrays, size, price: np.full(size, 1.0 + sum(float(a[0]) for a in arrays)),
    Missing("only for tests"), flops=lambda ins, outs, params: params["price"],
)  # fmt: skip
del REGISTRY["graph_node"]


def graph(count, seed, like_a_derivative):
    """A random graph: each node reads one or two of the latest; or, in the second half, the one
    before it and the one that mirrors it."""
    rng = np.random.default_rng(seed)
    x = Var(array_type((1,), F64))
    made, equations = [x], []
    for k in range(count):
        near = rng.integers(max(0, k - 4), k + 1, 2)
        if like_a_derivative and k >= count // 2:
            near = np.array([k, min(k, count - k)])  # made[0] is the input
        reads = tuple(made[j] for j in sorted({int(j) for j in near}))
        params = {"size": int(rng.integers(2, 10)) * 100, "price": int(rng.integers(1, 20)) * 3000}
        out = Var(array_type((params["size"],), F64))
        equations.append(Equation(GRAPH_NODE, reads, params, (out,)))
        made.append(out)
    read = {v for e in equations for v in e.inputs}
    return remove_dead(Program([x], equations, [v for v in made[1:] if v not in read]))


def least_cost(work, memory, in_order=False):
    """The optimum by a shortest path through all sets of living arrays.

    With `in_order` a node runs for the first time when all before it have, as in Checkmate.
    """
    deps = [sum(1 << v for v in reads) for reads in work.reads]
    goal = sum(1 << v for v in work.results)
    best, heap = {(0, 0): 0}, [(0, 0, 0)]

    def held(state):
        return sum(work.size[v] for v in range(work.count) if state >> v & 1)

    while heap:
        cost, done, state = heapq.heappop(heap)
        if cost > best[done, state]:
            continue
        if state & goal == goal:
            return cost
        for v in range(work.count):
            if state >> v & 1:
                step = cost, done, state & ~(1 << v)
            elif state & deps[v] == deps[v] and not (in_order and v > done):
                after = done + (v == done) if in_order else 0
                step = cost + work.cost[v], after, state | 1 << v
                if held(step[2]) > memory:
                    continue
            else:
                continue
            if step[0] < best.get(step[1:], 1 << 62):
                best[step[1:]] = step[0]
                heapq.heappush(heap, step)
    return None


@pytest.mark.parametrize("like_a_derivative", [True, False])
@pytest.mark.parametrize("seed", range(4))
def test_small_graphs_are_scheduled_at_the_least_cost(seed, like_a_derivative):
    program = graph(9, seed, like_a_derivative)
    work, free = Work(program), footprint(program)
    for part in (0.9, 0.75, 0.6):
        memory = int(part * free)
        wanted = least_cost(work, memory)
        if wanted is None:
            with pytest.raises(errors.BudgetTooSmall) as error:
                within(program, memory)
            least = least_of(error)
            assert footprint(within(program, least)) <= least
            assert least_cost(work, least - 1) is None
            continue
        made = within(program, memory)
        assert footprint(made) <= memory
        assert sum(Work(made).cost) <= 1.1 * wanted
        x = np.ones(1)
        found, right = Plan(made).run([x]), Plan(program).run([x])
        assert all(np.array_equal(a, b) for a, b in zip(found, right, strict=True))


def test_the_integer_program_agrees_where_nodes_keep_their_order():
    for seed in range(3):
        program = graph(7, seed, True)
        work = Work(program)
        memory = int(0.8 * footprint(program))
        order, wanted = solved_order(work, memory), least_cost(work, memory, in_order=True)
        if wanted is None:
            assert order is None
            continue
        assert footprint(ordered(work, order)) <= memory
        assert wanted <= work.cost_of(order) <= 1.01 * wanted
        assert work.cost_of(exhaustive_order(work, memory)) <= wanted


@pytest.mark.parametrize("seed", range(5))
def test_what_middling_graphs_get_is_near_the_optimum_of_those_that_can_be_solved(seed):
    program = graph(13, seed, True)
    work, free = Work(program), footprint(program)
    for part in (0.9, 0.8, 0.7):
        memory = int(part * free)
        order = exhaustive_order(work, memory)
        if order is None:
            continue
        local = Local(work, memory)
        orders = [o for list_ in chain_orders(work) for o in list_]
        tried = [local.relieved(o) for o in (list(range(work.count)), orders[0], orders[-1])]
        fitting = [work.cost_of(o) for o in tried if o is not None]
        assert min(fitting) <= 1.1 * work.cost_of(order)


def test_what_an_order_takes_is_what_its_program_takes():
    for seed in range(3):
        work = Work(graph(20, seed, True))
        local = Local(work, 0)
        for order in [o for list_ in chain_orders(work) for o in list_][::7]:
            assert max(local.alive(order)) == footprint(ordered(work, order))
