"""What a program costs, predicted from shapes: flops, bytes moved, peak memory."""

from __future__ import annotations

from collections.abc import Iterator
from itertools import accumulate
from typing import NamedTuple


class Cost(NamedTuple):
    """What one run of a program takes, predicted from shapes alone."""

    flops: int
    bytes_read: int
    bytes_written: int
    peak_bytes: int


def subprograms(equation):
    """The sub-programs in an equation's params, with their param names (tuples flattened)."""
    for name, value in equation.params.items():
        for item in value if isinstance(value, tuple) else (value,):
            if hasattr(item, "equations"):
                yield name, item


def cost(program) -> Cost:
    """Flops, bytes read and written, and the peak of the bytes alive at once.

    One flop an element is counted for an elementwise operation, 2 k for each element of a product
    over k. Bytes assume that every operand is read from and every result written to memory, as the
    reference evaluator does. Views cost nothing. Sub-programs count once per run where the number
    of runs is known (`length` of a scan), else once.
    """
    return Cost(*_work_of(program), peak_bytes(program))


def _work_of(program) -> tuple[int, int, int]:
    """Flops, bytes read and bytes written."""
    flops = read = written = 0
    for equation in program.equations:
        a, b, c = _equation_cost(equation)
        flops, read, written = flops + a, read + b, written + c
    return flops, read, written


def flops(program) -> int:
    """The flops of one run, as `cost` counts them."""
    return _work_of(program)[0]


def takes_more(program, limit: int) -> bool:
    """Whether flops and bytes read are more than `limit` together; nothing is counted beyond."""
    return any(total > limit for total in accumulate(_work(program)))


def _work(program) -> Iterator[int]:
    for equation in program.equations:
        inner = [p for _, p in subprograms(equation)]
        if not inner:
            flops, read, _ = _equation_cost(equation)
            yield flops + read
        for p in inner:
            yield from (equation.params.get("length", 1) * work for work in _work(p))


# Elementwise operations that wait for memory. Any other one (exp, tanh, erf, ...) takes, for each
# element, as long as a hundred flops of a product of matrices; random draws take longer still.
_QUICK = {
    "absolute", "add", "barrier", "bitwise_and", "bitwise_or", "bitwise_xor", "cast", "ceil",
    "clip", "conjugate", "copysign", "divide", "equal", "floor", "fmax", "fmin", "greater",
    "greater_equal", "imag", "invert", "isfinite", "isinf", "isnan", "join", "left_shift", "less",
    "less_equal", "logical_and", "logical_not", "logical_or", "logical_xor", "maximum", "minimum",
    "multiply", "negative", "not_equal", "real", "reciprocal", "right_shift", "rint", "scale",
    "select", "sign", "signbit", "sqrt", "square", "stop_gradient", "subtract", "trunc",
}  # fmt: skip
_SLOW, _DRAW = 100, 500


def cost_of(equation) -> int:
    """The cost of one equation in one number, to compare equations by: flops and bytes moved.

    A byte counts as a flop: most elementwise operations wait for memory, products do not.
    """
    op = equation.op
    own = 0
    if op.name.startswith("random_"):
        own = _DRAW * sum(v.type.size for v in equation.outputs)
    elif op.elementwise and op.name not in _QUICK:
        own = _SLOW * sum(v.type.size for v in equation.outputs)
    inner = [sum(map(cost_of, p.equations)) for _, p in subprograms(equation)]
    if inner:
        return equation.params.get("length", 1) * sum(inner)
    return own + sum(_equation_cost(equation))


def _equation_cost(equation) -> tuple[int, int, int]:
    op = equation.op
    inner = [_work_of(p) for _, p in subprograms(equation)]
    if inner:
        runs = equation.params.get("length", 1)
        return tuple(runs * sum(c[i] for c in inner) for i in range(3))  # type: ignore[return-value]
    ins = [x.type for x in equation.inputs]
    outs = [v.type for v in equation.outputs]
    flops = op.flops(ins, outs, equation.params) if op.flops else sum(t.size for t in outs)
    if op.view:
        return flops, 0, 0
    return flops, sum(t.nbytes for t in ins), sum(t.nbytes for t in outs)


def peak_bytes(program) -> int:
    """The most bytes alive at once: inputs throughout, other values from making to last use."""
    last: dict = {}
    for number, equation in enumerate(program.equations):
        for x in equation.inputs:
            last[x] = number
    for x in program.outputs:
        last[x] = len(program.equations)
    alive = sum(v.type.nbytes for v in program.inputs)
    own = {v for e in program.equations if not e.op.view for v in e.outputs}
    peak = alive
    for number, equation in enumerate(program.equations):
        made = 0 if equation.op.view else sum(v.type.nbytes for v in equation.outputs)
        inner = max((peak_bytes(p) for _, p in subprograms(equation)), default=0)
        alive += made
        peak = max(peak, alive + inner)
        for x in set(equation.inputs) | set(equation.outputs):
            if x in own and last.get(x, number) == number:
                alive -= x.type.nbytes
    return peak
