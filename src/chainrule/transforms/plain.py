"""Plain: a program in which the operations of stability are the formulas that they stand for.

In exact arithmetic both are the same. What evaluates a program more exactly than floats do (wide
arithmetic, germs, balls) needs rules for the plain operations only.
"""

from __future__ import annotations

from collections.abc import Collection

from chainrule.ops.special.stable_forms import MEANINGS
from chainrule.program.program import Equation, Operand, Program, map_subprograms
from chainrule.program.trace import Builder, Traced, as_operand


def plain(program: Program, keep: Collection[str] = ()) -> Program:
    """The program with `log1mexp(x)` written as `log(1 - exp(x))`, and so on, but for the
    operations in `keep`; sub-programs too."""
    meanings = {name: meaning for name, meaning in MEANINGS.items() if name not in keep}
    if not any(e.op.name in meanings or _holds_programs(e) for e in program.equations):
        return program
    env: dict[Operand, Operand] = {}
    with Builder(program.name) as builder:
        builder.lines_from_user = False
        for equation in program.equations:
            inputs = tuple([env.get(x, x) for x in equation.inputs])
            builder.line = equation.line
            meaning = meanings.get(equation.op.name)
            if meaning is None:
                params = map_subprograms(equation, lambda inner: plain(inner, keep))
                builder.equations.append(
                    Equation(equation.op, inputs, params, equation.outputs, equation.line)
                )
                continue
            values = [x.value if x.is_literal else Traced(builder, x) for x in inputs]
            env[equation.outputs[0]] = as_operand(builder, meaning(*values, **equation.params))
        equations = builder.equations
    return Program(
        program.inputs, equations, [env.get(o, o) for o in program.outputs], program.captured,
        program.captured_values, program.name,
    )  # fmt: skip


def _holds_programs(equation: Equation) -> bool:
    return any(
        isinstance(v, Program) or (isinstance(v, tuple) and any(isinstance(p, Program) for p in v))
        for v in equation.params.values()
    )
