"""Rewrites of sums of what is linear in an array: the array is summed first, and is smaller then.

A gradient by what was broadcast is such a sum, of the cotangent that a product or a factor has just
made: as many products as the broadcast array has rows, of which only their sum is wanted.

They hold in exact arithmetic, and are for gradients, as those of rewrites_closed.py. Factors of the
summed array's own shape are rewrites_factors.py's.
"""

from __future__ import annotations

from chainrule.ops.shape import kept_axes
from chainrule.program.program import Equation, Operand
from chainrule.transforms.rewrites_contract import free_axes
from chainrule.transforms.rewriting import Graph, Rewrite, is_real

_PRODUCTS = ("multiply", "scale")


# --- sums of products of arrays -------------------------------------------------------------------


def _product(x: Operand, over, graph: Graph) -> tuple[Equation, tuple[int, ...]] | None:
    """The product that an array is, but for a transposition, and where its axes are in the array;
    None where a matched axis is summed, or somebody else reads it."""
    order = tuple(range(x.type.ndim))
    turned = graph.made_by(x, "transpose")
    if turned is not None:
        if graph.uses(x) > 1:
            return None
        (x,), order = turned.inputs, turned.params["axes"]
    made = graph.made_by(x, "contract")
    if made is None or graph.uses(x) > 1 or not is_real(x):
        return None
    matched = len(made.params["batch"][0])
    if any(order[a] < matched for a in over):
        return None
    return made, tuple([order.index(a) for a in range(len(order))])


def _sum_of_product(equation: Equation, graph: Graph):
    """The sum of A B over rows of A -> (the sum of those) B; likewise columns of B."""
    (x,), over = equation.inputs, equation.params["axes"]
    found = _product(x, over, graph)
    if found is None:
        return None
    inner, place = found
    operands, axes, batch = list(inner.inputs), list(inner.params["axes"]), inner.params["batch"]
    free = [(side, a) for side in (0, 1) for a in free_axes(inner, side)]
    where = dict(zip(free, place[len(batch[0]) :], strict=True))  # in x
    matched = list(batch)
    for side in (0, 1):
        gone = tuple([a for s, a in free if s == side and where[s, a] in over])
        if gone:
            kept = kept_axes(operands[side].type.ndim, gone)
            axes[side] = tuple([kept.index(a) for a in axes[side]])
            matched[side] = tuple([kept.index(a) for a in batch[side]])
            operands[side] = graph.emit("sum", operands[side], axes=gone)
    made = graph.emit("contract", *operands, axes=tuple(axes), batch=tuple(matched))
    left = [p for p in place if p not in over]
    order = tuple([left.index(p) for p in sorted(left)])
    return made if order == tuple(range(len(order))) else graph.emit("transpose", made, axes=order)


def _sum_with_product(equation: Equation, graph: Graph):
    """The sum of A B + x -> the sum of A B, and that of x, where the former is less work so."""
    (x,), over = equation.inputs, equation.params["axes"]
    made = graph.maker(x)
    if made is None or graph.uses(x) > 1 or any(y.is_literal for y in made.inputs):
        return None
    if not any(_product(y, over, graph) for y in made.inputs):
        return None
    parts = [graph.emit("sum", y, axes=over) for y in made.inputs]
    return graph.emit(made.op.name, *parts)


# --- numbers --------------------------------------------------------------------------------------


def _number_to_the_smaller(equation: Equation, graph: Graph):
    """(c x) * broadcast(y), of a number c -> x * broadcast(c y)."""
    for wide, other in (equation.inputs, equation.inputs[::-1]):
        spread, made = graph.made_by(other, "broadcast"), graph.made_by(wide, "multiply")
        if spread is None or made is None or graph.uses(wide) > 1 or not is_real(wide):
            continue
        small = spread.inputs[0]
        if small.is_literal or small.type.size >= wide.type.size:
            continue
        for number, x in (made.inputs, made.inputs[::-1]):
            if number.is_literal and not x.is_literal:
                scaled = graph.emit("multiply", number, small)
                spread_again = graph.emit("broadcast", scaled, **spread.params)
                return graph.emit(equation.op.name, x, spread_again)
    return None


SUMS = (
    Rewrite("sum of a product",
            "sum(A B) over rows of A or columns of B, transposed or not -> the product of their "
            "sums, where nobody else reads A B", ("sum",), _sum_of_product,
            reads=("contract", "transpose"), changes="rounding"),
    Rewrite("sum with a product",
            "sum(A B + x) -> sum(A B) + sum(x), over rows of A or columns of B, where nobody else "
            "reads them; likewise subtract", ("sum",), _sum_with_product,
            reads=("add", "subtract"), changes="rounding"),
    Rewrite("number to the smaller factor",
            "(c * x) * broadcast(y), of a number c -> x * broadcast(c * y), where nobody else "
            "reads c * x", _PRODUCTS, _number_to_the_smaller, reads=("broadcast",),
            changes="rounding"),
)  # fmt: skip
