"""Rewrites of products of arrays (`contract`): the moves of data around them folded into them.

A contraction reads its operands in any order of their axes, so a transposition before it is a
matter of numbering. The products and their sum stay; the order in which they are added is the
computation's own, so these rewrites may change rounding as the same product of a copy would.
"""

from __future__ import annotations

from chainrule.ops.shape import kept_axes
from chainrule.program.program import Equation, Operand
from chainrule.transforms.rewriting import Graph, Rewrite


def free_axes(equation: Equation, side: int) -> tuple[int, ...]:
    """The axes of one operand that are neither summed over nor matched."""
    axes, batch = equation.params["axes"], equation.params["batch"]
    return kept_axes(equation.inputs[side].type.ndim, axes[side] + batch[side])


def _with_side(equation: Equation, side: int, operand: Operand, axes, batch, graph: Graph):
    """The contraction with another operand on one side, and that side's axes."""
    operands = list(equation.inputs)
    operands[side] = operand
    all_axes, all_batch = list(equation.params["axes"]), list(equation.params["batch"])
    all_axes[side], all_batch[side] = tuple(axes), tuple(batch)
    return graph.emit("contract", *operands, axes=tuple(all_axes), batch=tuple(all_batch))


def _of_transposed(equation, graph):
    for side in (0, 1):
        inner = graph.made_by(equation.inputs[side], "transpose")
        if inner is None:
            continue
        order = inner.params["axes"]
        free = [order[a] for a in free_axes(equation, side)]
        if free == sorted(free):  # else the result's axes would change their order
            axes = [order[a] for a in equation.params["axes"][side]]
            batch = [order[a] for a in equation.params["batch"][side]]
            return _with_side(equation, side, inner.inputs[0], axes, batch, graph)
    return None


def _transposed_product(equation, graph):
    """A result whose free axes change sides: the operands change sides instead."""
    (product,), order = equation.inputs, equation.params["axes"]
    inner = graph.made_by(product, "contract")
    if inner is None or graph.uses(product) > 1:
        return None
    batch, left, right = map(
        len, (inner.params["batch"][0], free_axes(inner, 0), free_axes(inner, 1))
    )
    head = tuple(range(batch))
    first = tuple(range(batch, batch + left))
    second = tuple(range(batch + left, batch + left + right))
    if order != head + second + first:
        return None
    x, y = inner.inputs
    axes, matched = inner.params["axes"], inner.params["batch"]
    return graph.emit("contract", y, x, axes=axes[::-1], batch=matched[::-1])


def _of_repeated(equation, graph):
    """A free axis along which an operand repeats itself: the result repeats itself there."""
    for side in (0, 1):
        inner = graph.made_by(equation.inputs[side], "broadcast")
        if inner is None or inner.inputs[0].is_literal:
            continue
        repeated = [a for a in free_axes(equation, side) if a not in inner.params["axes"]]
        if repeated:
            return _without_axes(equation, side, inner, repeated, graph)
    return None


def _without_axes(equation: Equation, side: int, inner: Equation, repeated, graph: Graph):
    x = equation.inputs[side]
    kept = [a for a in range(x.type.ndim) if a not in repeated]
    shape = tuple([x.type.shape[a] for a in kept])
    places = tuple([kept.index(a) for a in inner.params["axes"]])
    thin = graph.emit("broadcast", inner.inputs[0], shape=shape, axes=places)
    axes = [kept.index(a) for a in equation.params["axes"][side]]
    batch = [kept.index(a) for a in equation.params["batch"][side]]
    start = len(batch) + (len(free_axes(equation, 0)) if side else 0)
    dropped = {start + i for i, a in enumerate(free_axes(equation, side)) if a in repeated}
    product = _with_side(equation, side, thin, axes, batch, graph)
    out = equation.outputs[0].type
    rest = tuple([a for a in range(out.ndim) if a not in dropped])
    return graph.emit("broadcast", product, shape=out.shape, axes=rest)


def _of_repeated_batch(equation, graph):
    """A matched axis along which one operand repeats itself becomes a free axis of the other."""
    axes, batch = equation.params["axes"], equation.params["batch"]
    for side in (0, 1):
        inner = graph.made_by(equation.inputs[side], "broadcast")
        if inner is None or inner.inputs[0].is_literal:
            continue
        lanes = [i for i, a in enumerate(batch[side]) if a not in inner.params["axes"]]
        if lanes and equation.inputs[side].type.size:
            return _unmatched(equation, side, inner, lanes, axes, batch, graph)
    return None


def _unmatched(equation: Equation, side: int, inner: Equation, lanes, axes, batch, graph: Graph):
    """The contraction without the lanes; its axes are put in order afterwards."""
    x = equation.inputs[side]
    gone = {batch[side][i] for i in lanes}
    kept = [a for a in range(x.type.ndim) if a not in gone]
    places = tuple([kept.index(a) for a in inner.params["axes"]])
    thin = graph.emit(
        "broadcast", inner.inputs[0], shape=tuple([x.type.shape[a] for a in kept]), axes=places
    )
    stay = [i for i in range(len(batch[0])) if i not in lanes]
    other = 1 - side
    new_axes: list[tuple[int, ...]] = [(), ()]
    new_batch: list[tuple[int, ...]] = [(), ()]
    new_axes[side] = tuple([kept.index(a) for a in axes[side]])
    new_axes[other] = axes[other]
    new_batch[side] = tuple([kept.index(batch[side][i]) for i in stay])
    new_batch[other] = tuple([batch[other][i] for i in stay])
    operands = list(equation.inputs)
    operands[side] = thin
    product = graph.emit("contract", *operands, axes=tuple(new_axes), batch=tuple(new_batch))
    return _in_order(equation, product, side, lanes, stay, graph)


def _in_order(equation: Equation, product: Operand, side: int, lanes, stay, graph: Graph):
    """The product's axes in the order of the contraction with lanes: by labels of the axes."""
    batch = equation.params["batch"]
    other = 1 - side
    own: list[tuple] = [("free", side, a) for a in free_axes(equation, side)]
    lane_of = {batch[other][i]: ("lane", i) for i in lanes}
    theirs: list[tuple] = [
        lane_of.get(a, ("free", other, a))
        for a in range(equation.inputs[other].type.ndim)
        if a in lane_of or a in free_axes(equation, other)
    ]
    plain: list[tuple] = [("free", other, a) for a in free_axes(equation, other)]
    have = own + theirs if side == 0 else theirs + own
    have = [*(("lane", i) for i in stay), *have]
    want = own + plain if side == 0 else plain + own
    want = [*(("lane", i) for i in range(len(batch[0]))), *want]
    order = tuple([have.index(label) for label in want])
    return graph.emit("transpose", product, axes=order)


CONTRACT = (
    Rewrite("product of a transposition",
            "contract(transpose(x), y) -> contract(x, y) over the same axes, if the result's axes "
            "keep their order", ("contract",), _of_transposed,
            reads=("transpose",), changes="order of sums"),
    Rewrite("transposition of a product",
            "transpose(contract(x, y)) -> contract(y, x), where the free axes change sides and "
            "nobody else reads the product", ("transpose",), _transposed_product,
            reads=("contract",),
            changes="order of sums"),
    Rewrite("product of repeated rows",
            "contract(broadcast(x), y) -> broadcast(contract(x, y)), along free axes of x",
            ("contract",), _of_repeated, reads=("broadcast",), changes="order of sums"),
    Rewrite("product matched with repeated lanes",
            "contract(broadcast(x), y) matched over a repeated axis -> the axis is free in y: one "
            "product for all lanes", ("contract",), _of_repeated_batch,
            reads=("broadcast",), changes="order of sums"),
)  # fmt: skip
