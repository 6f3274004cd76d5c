"""Settling: a derivative with both sides of its ties in one program, for the compiler.

    f(x)   becomes   (mean of f on the side x + eps v and on the side x - eps v, undecided)

The directions are made inside the program. It is what a compiled function goes on with once it has
met a tie; where tangents leave one open (`undecided`), the evaluator has to look further.
"""

from __future__ import annotations

from chainrule.germs.generic import traced_direction
from chainrule.ops.compare import equal, isfinite, logical_and, logical_or
from chainrule.ops.elementwise import add, multiply, negative
from chainrule.ops.select import select
from chainrule.program.program import Program
from chainrule.program.remember import remembered
from chainrule.program.trace import Builder, Traced, as_operand, inline
from chainrule.transforms.first_order import one_side


def _settling(
    program: Program, moving: tuple[bool, ...], settled: tuple[bool, ...], first: bool
) -> Program | None:
    """The program with its outputs marked in `settled` the mean of both sides, and one output more,
    whether a tie is left open; None where some operation has no rule for it."""
    side = one_side(program, moving, first)
    real = all(o.type.dtype.kind == "f" for o, s in zip(program.outputs, settled, strict=True) if s)
    if side is None or not real:
        return None
    with Builder(program.name, reuse=True) as builder:
        builder.lines_from_user = False
        inputs = [builder.input(v.type, v.name) for v in program.inputs]
        types = [v.type for v, m in zip(program.inputs, moving, strict=True) if m]
        ways = [traced_direction(t, number) for number, t in enumerate(types)]
        plain = inline(program, inputs)
        *above, one = inline(side, [*inputs, *ways])
        *below, other = inline(side, [*inputs, *map(negative, ways)])
        outputs = [
            _mean(at, a, b) if s else at
            for at, a, b, s in zip(plain, above, below, settled, strict=True)
        ]
        made = builder.finish([as_operand(builder, v) for v in [*outputs, logical_or(one, other)]])
    return made


settling = remembered(_settling)


def _mean(at, above, below):
    """As in chainrule.kinked: of finite limits, and what the point has where there is none."""
    if not (type(above) is Traced and type(below) is Traced):
        return at
    half = at.dtype.type(0.5)
    mean = select(equal(above, below), above, add(multiply(half, above), multiply(half, below)))
    first, second = isfinite(above), isfinite(below)
    one = select(first, above, select(second, below, at))
    return select(logical_and(first, second), mean, one)
