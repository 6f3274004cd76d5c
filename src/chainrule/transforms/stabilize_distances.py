"""Squared distances by inner products: the rule that takes differences instead.

    |x|^2 + |y|^2 - 2 x . y, for all rows x of one matrix and y of another, is sum((x - y)^2)

Of near points it loses all digits, and of a point and itself it is rarely exactly 0.
"""

from __future__ import annotations

import numpy as np

from chainrule.program.program import Equation, Operand
from chainrule.transforms.stabilize_patterns import Reader, Terms, is_value
from chainrule.transforms.stabilize_reductions import ReductionRule, source_of

_LARGEST = 1 << 18  # numbers, of all differences: more than inner products take


def _distances(equation: Equation, reader: Reader) -> Operand | None:
    node, type_ = reader.seen(equation), equation.outputs[0].type
    if node is None or node.name not in ("add", "subtract") or type_.ndim != 2:
        return None
    terms = reader.terms_of(node, "sum")
    for k, (sign, term) in enumerate(terms):
        found = _twice_product(term, reader)
        if found is None:
            continue
        x, y = found
        rows, columns = (_squares(terms, -sign, z, along, reader) for along, z in ((0, x), (1, y)))
        if rows is None or columns is None or rows == columns:
            continue
        shape = (*type_.shape, x.type.shape[1])
        if int(np.prod(shape)) > _LARGEST:
            continue
        emit = reader.graph.emit
        apart = emit("subtract", emit("broadcast", x, shape=shape, axes=(0, 2)),
                     emit("broadcast", y, shape=shape, axes=(1, 2)))  # fmt: skip
        out = emit("sum", emit("square", apart), axes=(2,))
        left = [t for i, t in enumerate(terms) if i not in (k, rows, columns)]
        total = reader.total("sum", [(-sign, out), *left])
        return None if total is None else reader.graph.of_type(total, type_)
    return None


def _twice_product(term: Operand, reader: Reader) -> tuple[Operand, Operand] | None:
    """x and y, where a term is 2 x @ y.T; the 2 stands by the product or by one of both."""
    factors = reader.terms(term, "product")
    twos = [f for f in factors if is_value(f[1], 2.0) and f[0] > 0]
    others = [x for s, x in factors if s > 0 and not is_value(x, 2.0)]
    if len(others) != 1 or len(twos) + len(others) != len(factors) or len(twos) > 1:
        return None
    maker = None if others[0].is_literal else reader.graph.maker(others[0])
    if maker is None or maker.op.name != "contract":
        return None
    if maker.params["axes"] != ((1,), (1,)) or maker.params["batch"] != ((), ()):
        return None
    x, y = maker.inputs
    if twos:
        return x, y
    for a, b, swapped in ((x, y, False), (y, x, True)):
        half = _half(a, reader)
        if half is not None:
            return (b, half) if swapped else (half, b)
    return None


def _half(x: Operand, reader: Reader) -> Operand | None:
    """z, where x is 2 z."""
    node = reader.node(x)
    if node is None or node.name != "multiply":
        return None
    for two, z in (node.inputs, node.inputs[::-1]):
        if is_value(two, 2.0) and z.type is x.type:
            return z
    return None


def _squares(terms: Terms, sign: int, x: Operand, along: int, reader: Reader) -> int | None:
    """The place among terms of the squared lengths of the rows of x, spread along an axis."""
    for place, (s, term) in enumerate(terms):
        moved = source_of(term, reader) if s == sign else None
        if moved is None or moved.source.op.name != "sum" or term.type.ndim != 2:
            continue
        node = reader.node(moved.source.inputs[0])
        if node is None or node.name != "square" or node.inputs[0] is not x:
            continue
        if moved.source.params["axes"] != (1,) or any(len(m.inputs) > 1 for m in moved.moves):
            continue
        found = numbers = np.arange(x.type.shape[0])
        for move in moved.moves:
            found = move.op.evaluate(found, **move.params)
        wanted = numbers[:, None] if along == 0 else numbers[None, :]
        if np.array_equal(found, np.broadcast_to(wanted, term.type.shape)):
            return place
    return None


DISTANCES = (
    ReductionRule("squared distances by inner products", "sum(x**2) + sum(y**2) - 2 * x @ y.T",
                  "sum((x - y)**2)", ("add", "subtract"), _distances,
                  needs=frozenset({"contract", "sum"})),
)  # fmt: skip
