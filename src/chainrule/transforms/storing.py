"""What a derivative keeps: the arrays that hand-written code would, and cheap ones made again.

Between its forward and its backward part a derivative keeps the fewest bytes from which everything
that the backward part reads can be made by cheap operations: a minimum cut. A layer
tanh(h @ w + b) keeps one array, its pre-activation: the slope is worked out where it is used, and
the activation once more for the next layer's weights. Cheap are operations on entries that take
about as long as reading them. Chosen is the order with the smaller footprint.

Source    the cut: Horace He and Shangdi Yu, "Transcending runtime-memory tradeoffs in checkpointing
          by being fusion aware", MLSys 2023.
"""

from __future__ import annotations

from collections.abc import Callable

from chainrule.program.footprint import footprint
from chainrule.program.program import Program
from chainrule.transforms.chain_schedule import turns
from chainrule.transforms.minimum_cut import INFINITE, Network
from chainrule.transforms.recompute import Work, ordered

_WORTH = 1 << 19  # bytes of a footprint; below there is nothing to save
_GAIN = 0.9  # of the footprint, which must be left at most
_NO_GAIN = 0.99  # of the footprint of unfused operations; fused ones are not planned
_SURE = 0.7  # of it: fused ones gain as well,
_LARGE = 4  # where the footprint is so many times what is worth it
_PRICE = 1.4  # of the cost, which may be paid at most
_CHAIN = 8  # equations in a row that are made again long before they are read
_LONG = 1 / 32  # of the backward part, which passes before they are read

CHEAP = {
    "add", "subtract", "multiply", "divide", "scale", "negative", "reciprocal", "absolute", "sign",
    "square", "sqrt", "exp", "log", "tanh", "cosh", "expit", "clip", "maximum", "minimum",
    "fmax", "fmin", "select", "cast", "equal", "not_equal", "less", "less_equal", "greater",
    "greater_equal", "logical_and", "logical_or", "logical_not", "isnan", "copysign", "floor",
    "ceil", "rint", "trunc", "expm1", "log1p", "conjugate", "real", "imag", "sin", "cos",
}  # fmt: skip


def storing_less(
    program: Program, measure: Callable[[Program], int] = footprint, worth: int = _WORTH
) -> Program:
    """The program, ordered so that less is kept where that costs little; else the same, as also
    where it takes fewer than `worth` bytes."""
    if sum(v.type.nbytes for e in program.equations for v in e.outputs) < worth:
        return program
    work = Work(program)
    order = lean_order(work, turns(work)[0])
    if work.cost_of(order) > _PRICE * work.cost_of(range(work.count)):
        return program
    made = ordered(work, order)
    before, after = footprint(program), footprint(made)
    if before < worth or after > _NO_GAIN * before:
        return program
    if before >= _LARGE * worth and after <= _SURE * before:
        return made
    kept = measure(program)
    return made if kept >= worth and measure(made) <= _GAIN * kept else program


def lean_order(work: Work, turn: int) -> list[int]:
    """The nodes in an order in which those from `turn` on make again, or later, what is cheap.

    What is made again long before its last reader takes as much memory as if it had been kept. So
    long chains of such values are cut: the sums of a residual network are one chain, and its first
    reader, behind the last layer, would make it whole.
    """
    kept = _kept(work, turn, set())
    order, remade = _order(work, turn, kept)
    cuts = _chain_cuts(work, turn, kept, remade)
    return _order(work, turn, _kept(work, turn, cuts))[0] if cuts else order


def _order(work: Work, turn: int, kept: set[int]) -> tuple[list[int], dict[int, int]]:
    """(the order in which these values are kept, the values that are made again, each with the node
    from `turn` on that is the first to need it)."""
    first = [v for v in work.results if work.maker[v] < turn]
    order = work.closure([*kept, *first], set())
    have = {*kept, *first}
    remade: dict[int, int] = {}
    for node in range(turn, work.count):
        added = work.run(node, have)
        order += added
        made = work.made_by(added)
        have.update(made)
        remade.update({v: node for v in made if work.maker[v] < turn})
    return order, remade


def _chain_cuts(work: Work, turn: int, kept: set[int], remade: dict[int, int]) -> set[int]:
    """The values, every so many steps, of chains that are made again long before they are read."""
    readers = work.readers()
    length = _LONG * (work.count - turn)
    steps: dict[int, int] = {}
    cuts: set[int] = set()
    for v in sorted(remade):
        before = [steps.get(u, 0) for u in work.reads[work.maker[v]] if u not in kept]
        steps[v] = 1 + max(before, default=0)
        if steps[v] > _CHAIN and max(readers[v]) - remade[v] > length:
            cuts.add(v)
            steps[v] = 0
    return cuts


def _kept(work: Work, turn: int, cuts: set[int]) -> set[int]:
    """The values of the forward part that are kept for the backward part: these, and the fewest
    bytes from which all that it reads can be made by cheap operations."""
    values = [v for v, node in enumerate(work.maker) if node < turn]
    network = Network(2 + 2 * len(values))  # value v comes in at 2 + 2 v and goes out at 3 + 2 v
    readers = work.readers()
    for v in values:
        size = 0 if v in work.results else work.size[v] + 1  # of equal cuts, the fewest
        network.connect(2 + 2 * v, 3 + 2 * v, size)
        if v not in cuts and _is_cheap(work, v):
            for read in work.reads[work.maker[v]]:
                network.connect(3 + 2 * read, 2 + 2 * v, INFINITE)
        else:
            network.connect(0, 2 + 2 * v, INFINITE)
        if v in cuts or any(node >= turn for node in readers[v]):
            network.connect(3 + 2 * v, 1, INFINITE)
    behind = network.behind_cut()
    return {v for v in values if 3 + 2 * v in behind and 2 + 2 * v not in behind}


def _is_cheap(work: Work, value: int) -> bool:
    return value not in work.results and work.equations[work.maker[value]].op.name in CHEAP
