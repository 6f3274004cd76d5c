"""Lower: composite operations written out in core ones, for the compiler alone.

softmax, logsumexp, norm, xlogy and the like become the few operations that they are made of, so
that they are fused with what stands around them. A checkpoint becomes its program behind a barrier:
what it computes again is not merged with the first run (see `remove_barriers`). A custom function
becomes its program: its derivative rule has been used by then. `repeat` becomes a while loop, and a
scan that carries nothing one computation on all its steps at once. Products of float16 are made in
float32. Last, complex arithmetic is written out in real arithmetic, windows over three axes in
those over two, and powers of integers in products.

Each is a function of traced values, as the rules of derivatives are; it gives the operation's value
to a few units in the last place, and the same special values.
"""

from __future__ import annotations

from collections.abc import Callable, Collection, Iterator
from itertools import count
from typing import Any

from chainrule.compiler.lower_complex import COMPLEX
from chainrule.compiler.lower_elementwise import ELEMENTWISE
from chainrule.compiler.lower_integers import INTEGERS
from chainrule.compiler.lower_matrices import MATRICES
from chainrule.compiler.lower_products import PRODUCTS
from chainrule.compiler.lower_reductions import EMPTY, REDUCTIONS
from chainrule.compiler.lower_special import SPECIAL
from chainrule.compiler.lower_stable import STABLE
from chainrule.compiler.lower_windows import WINDOWS
from chainrule.ops.control import as_tuple
from chainrule.ops.linalg import solve
from chainrule.ops.reduce import all_
from chainrule.ops.refuse import refuse
from chainrule.ops.select import barrier
from chainrule.ops.shape import add_batch_axis, broadcast
from chainrule.ops.while_loop import repeat_as_while
from chainrule.program.cost import peak_bytes, subprograms
from chainrule.program.program import Equation, Operand, Program, map_subprograms
from chainrule.program.trace import Builder, Traced, as_operand, inline
from chainrule.transforms.batch import push_batch


def _checkpoint(tokens: Iterator[int], *operands, program: Program):
    token = next(tokens)
    behind = [barrier(x, token=token) if type(x) is Traced else x for x in operands]
    return inline(program, behind)


def _custom(tokens, *operands, program: Program, forward, reverse, transposed):
    return inline(program, list(operands))


def _implicit(tokens, *operands, solve: Program, **params):
    return inline(solve, list(operands))


def _jacobian_solve(tokens, a, b, *, adjoint, name):
    return [solve(a, b, adjoint=adjoint, raises=True)]


def _custom_linear(tokens, *operands, fixed, forward, reverse, transposed):
    return inline(forward if forward is not None else transposed, list(operands))


def _require(tokens, x, ok, *, error, message):
    """Where the condition does not hold the call is made again on the evaluator, which raises."""
    if type(ok) is not Traced:
        return NotImplemented
    refuse(~all_(ok, axes=tuple(range(ok.ndim))))
    return [x]


def _repeat(tokens, steps, *inputs, **params):
    return repeat_as_while(steps, inputs, params)


_MOST_BYTES = 1 << 26  # of the values of all steps of a loop that are made at once


def _scan(tokens, *operands, body: Program, constants, carries, length, reverse):
    """A loop that carries nothing is one computation on all its steps at once."""
    if carries or length * peak_bytes(body) > _MOST_BYTES:
        return NotImplemented
    batched = tuple([i >= constants for i in range(len(operands))])
    outputs, marks = push_batch(body, length, list(operands), batched)
    return [
        y if mark else add_batch_axis(y, length) if type(y) is Traced
        else broadcast(y, shape=(length,), axes=())
        for y, mark in zip(outputs, marks, strict=True)
    ]  # fmt: skip


_CONTROL: dict[str, Callable] = {
    "checkpoint": _checkpoint, "custom": _custom, "custom_linear": _custom_linear,
    "implicit": _implicit, "jacobian_solve": _jacobian_solve, "repeat": _repeat, "scan": _scan,
    "require": _require,
}  # fmt: skip
LOWERINGS: dict[str, Callable] = {**REDUCTIONS, **ELEMENTWISE, **STABLE, **SPECIAL, **MATRICES}


def lower(program: Program, keep: Collection[str] = ()) -> Program:
    """The program with composite operations written out, sub-programs too, but those in `keep`."""
    rules = {**LOWERINGS, **PRODUCTS, **EMPTY}
    table = {name: rule for name, rule in rules.items() if name not in keep}
    control = {name: rule for name, rule in _CONTROL.items() if name not in keep}
    lowered = _Lowering(table, control).program(program)
    return _Lowering(_LAST, {}).program(lowered) if _needs_more(lowered) else lowered


def _either(first: Callable, second: Callable) -> Callable:
    """The one rule, or where it does not apply the other."""

    def rule(*values, **params):
        made = first(*values, **params)
        return second(*values, **params) if made is NotImplemented else made

    return rule


_OTHERS: dict[str, Callable] = {**WINDOWS, **INTEGERS}
_LAST: dict[str, Callable] = {
    **COMPLEX,
    **{n: _either(COMPLEX[n], rule) if n in COMPLEX else rule for n, rule in _OTHERS.items()},
}


def _needs_more(program: Program) -> bool:
    """Whether a program, or a sub-program, has complex numbers, windows, or powers of integers."""
    return any(
        equation.op.name in WINDOWS
        or (equation.op.name in INTEGERS and equation.outputs[0].type.dtype.kind in "iu")
        or any(x.type.dtype.kind == "c" for x in (*equation.inputs, *equation.outputs))
        or any(_needs_more(inner) for _, inner in subprograms(equation))
        for equation in program.equations
    )


class _Lowering:
    """The sub-programs lowered so far, and the tokens of the barriers."""

    def __init__(self, table: dict[str, Callable], control: dict[str, Callable]):
        self.table, self.control = table, control
        self.tokens = count()
        self.done: dict[int, tuple[Program, Program]] = {}

    def program(self, program: Program) -> Program:
        found = self.done.get(id(program))
        if found is None:
            found = self.done[id(program)] = (program, self._lowered(program))
        return found[1]

    def _lowered(self, program: Program) -> Program:
        env: dict[Operand, Operand] = {}
        with Builder(program.name) as builder:
            builder.lines_from_user = False
            for equation in program.equations:
                self._equation(builder, equation, env)
            equations = builder.equations
        same = len(equations) == len(program.equations)
        if same and all(a is b for a, b in zip(equations, program.equations, strict=True)):
            return program
        return Program(
            program.inputs, equations, [env.get(o, o) for o in program.outputs], program.captured,
            program.captured_values, program.name,
        )  # fmt: skip

    def _equation(self, builder: Builder, equation: Equation, env: dict) -> None:
        """Record one equation as it is, or what it is made of."""
        inputs = tuple([env.get(x, x) for x in equation.inputs])
        params = equation.params
        if params:
            params = map_subprograms(equation, self.program)
            if all(a is b for a, b in zip(params.values(), equation.params.values(), strict=True)):
                params = equation.params
        builder.line = equation.line
        made = self._written_out(builder, equation, inputs, params)
        if made is None:
            if inputs != equation.inputs or params is not equation.params:
                equation = Equation(equation.op, inputs, params, equation.outputs, equation.line)
            builder.equations.append(equation)
            return
        for var, value in zip(equation.outputs, as_tuple(made), strict=True):
            out = env[var] = as_operand(builder, value)
            if not out.is_literal and out.name is None:
                out.name = var.name

    def _written_out(self, builder: Builder, equation: Equation, inputs, params) -> Any:
        name = equation.op.name
        rule, control = self.table.get(name), self.control.get(name)
        if rule is None and control is None:
            return None
        values = [x.value if x.is_literal else Traced(builder, x) for x in inputs]
        if control is not None:
            made = control(self.tokens, *values, **params)
            return None if made is NotImplemented else tuple(made)
        assert rule is not None
        made = rule(*values, **params)
        return None if made is NotImplemented else made
