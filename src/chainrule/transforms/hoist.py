"""Hoisting: what a loop's body computes from constants alone is computed once, before the loop.

Only operations that cannot raise are moved, since a loop of no steps would not have run them. Moves
of data (broadcast, reshape, ...) cost nothing inside and may take memory outside, so they go along
only where something that does work reads them.
"""

from __future__ import annotations

from collections.abc import Sequence

from chainrule.program.program import Equation, Operand, Program, Var
from chainrule.transforms.rewriting import Rewrite

_TOTAL = {
    "broadcast", "reshape", "transpose", "flip", "iota", "sum", "prod", "all", "any", "cumsum",
    "cumprod", "cummax", "cummin", "contract", "concatenate", "pad", "sort", "softmax",
    "softmax_shares", "log_softmax", "logsumexp", "norm",
}  # fmt: skip
_EXTREMES = {"max", "min", "argmax", "argmin"}  # of at least one entry
_FREE = {"broadcast", "reshape", "transpose", "flip", "index", "iota"}


def cannot_raise(equation: Equation) -> bool:
    """Whether an equation gives a value whatever its operands are."""
    name, inputs = equation.op.name, equation.inputs
    if equation.op.elementwise:
        return name != "barrier" and not (name == "power" and inputs[0].type.dtype.kind in "iu")
    if name == "index":
        return len(inputs) == 1
    if name in _EXTREMES:
        return bool(inputs[0].type.size)
    return name in _TOTAL


def invariant(body: Program, constants: int) -> tuple[list[Equation], set[Var]]:
    """The equations to be done before the loop, and what of them the rest of the body reads."""
    known: set[Operand] = set(body.inputs[:constants])
    movable: list[Equation] = []
    for e in body.equations:
        if cannot_raise(e) and all(x.is_literal or x in known for x in e.inputs):
            movable.append(e)
            known.update(e.outputs)
    moved = _behind_work(movable)
    made = {v for e in moved if e.op.name not in _FREE for v in e.outputs}
    wanted: set[Var] = {o for o in body.outputs if o in made}  # type: ignore[misc]
    gone = set(map(id, moved))
    for e in body.equations:
        if id(e) not in gone or e.op.name in _FREE:
            wanted.update(x for x in e.inputs if x in made)  # type: ignore[misc]
    return moved, wanted


def _behind_work(movable: Sequence[Equation]) -> list[Equation]:
    """The equations that do work on arrays or functions of numbers, and what they read."""
    needed: set[Operand] = set()
    kept = []
    for e in reversed(movable):
        if e.op.name not in _FREE or any(v in needed for v in e.outputs):
            kept.append(e)
            needed.update(e.inputs)
    return kept[::-1]


def _hoisted(equation, graph):
    """The loop with what it computes from constants alone given as further constants."""
    params = equation.params
    body, n = params["body"], params["constants"]
    moved, wanted = invariant(body, n)
    if not wanted:
        return None
    outside: dict[Operand, Operand] = dict(zip(body.inputs[:n], equation.inputs[:n], strict=True))
    for e in moved:
        operands = tuple([outside.get(x, x) for x in e.inputs])
        made = graph.record(e.op, operands, e.params, [v.type for v in e.outputs])
        outside.update(zip(e.outputs, made if isinstance(made, tuple) else (made,), strict=True))
    new = [v for e in moved for v in e.outputs if v in wanted]
    gone = {id(e) for e in moved if e.op.name not in _FREE}
    left = [e for e in body.equations if id(e) not in gone]
    inputs = [*body.inputs[:n], *new, *body.inputs[n:]]
    changed = {
        **params, "constants": n + len(new),
        "body": Program(inputs, left, body.outputs, name=body.name),
    }  # fmt: skip
    if "test" in params:
        test = params["test"]
        fresh = [Var(v.type) for v in new]
        changed["test"] = Program(
            [*test.inputs[:n], *fresh, *test.inputs[n:]], test.equations, test.outputs,
            name=test.name,
        )  # fmt: skip
    given = [*equation.inputs[:n], *(outside[v] for v in new), *equation.inputs[n:]]
    made = graph.emit(equation.op.name, *given, **changed)
    return made if isinstance(made, tuple) else (made,)


HOIST = (
    Rewrite("invariants of a loop",
            "what a body computes from constants alone, by operations that cannot raise -> "
            "computed once, before the loop", ("scan", "while"), _hoisted),
)  # fmt: skip
