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
from chainrule.transforms.chain_schedule import turn_of
from chainrule.transforms.minimum_cut import INFINITE, Network
from chainrule.transforms.recompute import Work, ordered

_WORTH = 1 << 19  # bytes that a program makes in all; below there is nothing to save
_GAIN = 0.9  # of the footprint, which must be left at most
_PRICE = 1.25  # of the cost, which may be paid at most

CHEAP = {
    "add", "subtract", "multiply", "divide", "scale", "negative", "reciprocal", "absolute", "sign",
    "square", "sqrt", "exp", "log", "tanh", "cosh", "expit", "clip", "maximum", "minimum",
    "fmax", "fmin", "select", "cast", "equal", "not_equal", "less", "less_equal", "greater",
    "greater_equal", "logical_and", "logical_or", "logical_not", "isnan", "copysign", "floor",
    "ceil", "rint", "trunc", "expm1", "log1p", "conjugate", "real", "imag", "sin", "cos",
}  # fmt: skip


def storing_less(
    program: Program, measure: Callable[[Program], int] = footprint
) -> Program:
    """The program, ordered so that less is kept where that costs little; else the same."""
    if sum(v.type.nbytes for e in program.equations for v in e.outputs) < _WORTH:
        return program
    work = Work(program)
    order = lean_order(work)
    if work.cost_of(order) > _PRICE * work.cost_of(range(work.count)):
        return program
    made = ordered(work, order)
    return made if measure(made) <= _GAIN * measure(program) else program


def lean_order(work: Work) -> list[int]:
    """The nodes in an order in which the backward part makes again, or later, what is cheap."""
    readers = work.readers()
    turn = turn_of(work, readers)
    kept = _kept(work, readers, turn)
    first = [n for n in work.results if n < turn]
    have: set[int] = set()
    order = work.closure([*kept, *first], have)
    have.update(kept, first)
    for node in range(turn, work.count):
        missing = work.closure((node,), have)
        order += missing
        have.update(missing)
    return order


def _kept(work: Work, readers: list[list[int]], turn: int) -> set[int]:
    """The forward nodes whose arrays are kept for the backward part: the fewest bytes from which
    all that it reads can be made by cheap operations."""
    network = Network(2 + 2 * turn)  # node n comes in at 2 + 2 n and goes out at 3 + 2 n
    for node in range(turn):
        size = 0 if node in work.results else work.size[node] + 1  # of equal cuts, the fewest
        network.connect(2 + 2 * node, 3 + 2 * node, size)
        if _is_cheap(work, node):
            for read in work.reads[node]:
                network.connect(3 + 2 * read, 2 + 2 * node, INFINITE)
        else:
            network.connect(0, 2 + 2 * node, INFINITE)
        if any(r >= turn for r in readers[node]):
            network.connect(3 + 2 * node, 1, INFINITE)
    behind = network.behind_cut()
    return {n for n in range(turn) if 3 + 2 * n in behind and 2 + 2 * n not in behind}


def _is_cheap(work: Work, node: int) -> bool:
    return node not in work.results and work.equations[node].op.name in CHEAP
