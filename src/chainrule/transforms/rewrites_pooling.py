"""Pooling before what is monotone: relu(max_pool(x) + b) in place of max_pool(relu(x + b)).

The values are the same, rounding included: adding one number to all entries of a window, and taking
the larger of each and one number, keep their order. There is less to do after pooling than before,
and fewer ties: where all entries of a window are below 0, no two of them tie at relu's 0. So the
rewrites are made before a derivative that settles ties; one that follows the conventions shares the
slope among entries by what they are, and is left as it is written.

Source    ours; that maxima and monotone maps exchange is the definition of these.
"""

from __future__ import annotations

from chainrule.program.program import Equation, Operand, Program
from chainrule.transforms.rewriting import Graph, Rewrite
from chainrule.transforms.simplify import simplify


def pooled_first(program: Program) -> Program:
    """The program with its pooling before additions of one number and comparisons with one."""
    return simplify(program, POOLING) if _pools(program) else program


def _pools(program: Program) -> bool:
    return any(e.op.name == "window_max" for e in program.equations)


def _pooled(equation: Equation, graph: Graph) -> Operand | None:
    """window_max(op(x, c)) -> op(window_max(x), c), for c that is one number in each window."""
    (x,), params = equation.inputs, equation.params
    made = graph.made_by(x, "add") or graph.made_by(x, "maximum")
    if made is None or graph.uses(x) > 1 or x.type.dtype.kind != "f" or not _all_see(params):
        return None
    shape = equation.outputs[0].type.shape
    for own in (0, 1):
        entries, other = made.inputs[own], made.inputs[1 - own]
        same = _of_each_window(other, shape, graph)
        if same is None or entries.type.shape != x.type.shape or entries.is_literal:
            continue
        pooled = graph.emit("window_max", entries, **params)
        operands = (pooled, same) if own == 0 else (same, pooled)
        return graph.emit(made.op.name, *operands)
    return None


def _all_see(params: dict) -> bool:
    """Whether each window sees an entry: one that sees padding alone is as small as numbers get."""
    reaches = [(k - 1) * d + 1 for k, d in zip(params["window"], params["w_dilation"], strict=True)]
    dense = all(d == 1 for d in params["w_dilation"])
    return all(
        (low <= 0 and high <= 0) or (dense and max(low, high) < reach)
        for (low, high), reach in zip(params["padding"], reaches, strict=True)
    )


def _of_each_window(x: Operand, shape: tuple[int, ...], graph: Graph) -> Operand | None:
    """An operand that is one number in each window, for the result's shape; None where it is not,
    or where that is not known."""
    if not x.type.ndim:
        return x
    made = graph.made_by(x, "broadcast")
    if made is None:
        return None
    last, axes = len(shape) - 1, made.params["axes"]
    if any(0 < axis < last for axis in axes):
        return None
    return graph.emit("broadcast", made.inputs[0], shape=shape, axes=axes)


POOLING = (
    Rewrite("pooling before an addition and a comparison",
            "window_max(x + b) -> window_max(x) + b, and window_max(maximum(x, b)) -> "
            "maximum(window_max(x), b), where b is one number for each window; not for b of inf",
            ("window_max",), _pooled, reads=("add", "maximum"), valid_for="finite"),
)  # fmt: skip
