"""The narrowest place of a linear program: the fewest numbers that all of its outputs pass through.

Between inputs and outputs of a linear map, any set of variables that every path goes through cuts
it in two: out = second(cut), cut = first(in). The narrowest is a minimum vertex cut of the
dataflow, each variable weighing its number of elements, a complex element as two: between real
ends a spectrum moves by its real and by its imaginary part.

Source    Ford and Fulkerson, 1956 (a maximum flow is a minimum cut); the flow is SciPy's. One cut
          is enough on any path: what lies between two cuts of k and l numbers costs min(k, l)
          passes, and no cut is narrower than the narrowest.
"""

from __future__ import annotations

from collections.abc import Iterable

import numpy as np

from chainrule.program.liveness import remove_dead
from chainrule.program.program import Program, Var
from chainrule.program.types import Type

_MOST = 50_000  # equations; beyond, a cut is not looked for


def narrowest(linear: Program, residuals: int) -> list[Var] | None:
    """The variables of a narrowest cut, in order; None where none is narrower than both ends.

    The first `residuals` inputs are fixed, the others are the ones that move.
    """
    tangents = linear.inputs[residuals:]
    outputs = list(dict.fromkeys(o for o in linear.outputs if not o.is_literal))
    width = min(numbers(v.type for v in tangents), numbers(o.type for o in linear.outputs))
    moving = _moving(linear, tangents)
    inside = [v for v in moving if v not in tangents and numbers([v.type]) < width]
    if not inside or len(linear.equations) > _MOST:
        return None
    cut = _minimum_cut(linear, tangents, outputs, moving, width)
    return cut if numbers(v.type for v in cut) < width else None


def numbers(types: Iterable[Type]) -> int:
    """How many real numbers values of these types are."""
    return sum(t.size * (2 if t.dtype.kind == "c" else 1) for t in types)


def parted(linear: Program, residuals: int, cut: list[Var]) -> tuple[Program, Program]:
    """The program up to the cut, and from there on: [residuals, moving inputs] to outputs each."""
    fixed, made = linear.inputs[:residuals], set(cut)
    first = remove_dead(Program(linear.inputs, linear.equations, cut, name=linear.name))
    rest = [e for e in linear.equations if not any(v in made for v in e.outputs)]
    second = remove_dead(Program([*fixed, *cut], rest, linear.outputs, name=linear.name))
    return first, second


def _moving(linear: Program, tangents) -> list[Var]:
    """Everything that depends on the tangents, in order."""
    found: dict[Var, None] = dict.fromkeys(tangents)
    for e in linear.equations:
        if any(x in found for x in e.inputs if not x.is_literal):
            found.update(dict.fromkeys(e.outputs))
    return list(found)


def _minimum_cut(linear: Program, tangents, outputs, moving: list[Var], width: int) -> list[Var]:
    """Variable i is an edge from node 2 i + 2 to 2 i + 3; node 0 is the source, 1 the sink."""
    from scipy.sparse import csr_array
    from scipy.sparse.csgraph import breadth_first_order, maximum_flow

    number = {v: i for i, v in enumerate(moving)}
    edges = [(2 * i + 2, 2 * i + 3, numbers([v.type])) for v, i in number.items()]
    edges += [(0, 2 * number[v] + 2, width + 1) for v in tangents]
    edges += [(2 * number[v] + 3, 1, width + 1) for v in outputs if v in number]
    node = 2 * len(moving) + 2
    for e in linear.equations:
        operands = {x for x in e.inputs if x in number}  # type: ignore[comparison-overlap]
        if operands:
            edges += [(2 * number[x] + 3, node, width + 1) for x in operands]  # type: ignore[index]
            edges += [(node, 2 * number[v] + 2, width + 1) for v in e.outputs]
            node += 1
    rows, columns, weights = np.array(edges, np.int32).T
    capacity = csr_array((weights, (rows, columns)), shape=(node, node))
    left = capacity - maximum_flow(capacity, 0, 1).flow
    left.eliminate_zeros()
    reached = set(breadth_first_order(left, 0, return_predecessors=False).tolist())
    return [v for v, i in number.items() if 2 * i + 2 in reached and 2 * i + 3 not in reached]
