"""Which equations and variables of a program are needed, and until when."""

from __future__ import annotations

from chainrule.program.program import Program, Var


def remove_dead(program: Program) -> Program:
    """The program without the equations that no output needs; one backward pass."""
    needed = {o for o in program.outputs if not o.is_literal}
    kept = []
    for equation in reversed(program.equations):
        if equation.op.kept or any(v in needed for v in equation.outputs):
            kept.append(equation)
            needed.update(x for x in equation.inputs if not x.is_literal)
    if len(kept) == len(program.equations):
        return program
    return Program(
        program.inputs, kept[::-1], program.outputs, program.captured,
        program.captured_values, program.name,
    )  # fmt: skip


def last_uses(program: Program) -> dict[Var, int]:
    """The number of the last equation that reads each variable; outputs are read at the end."""
    uses: dict[Var, int] = {}
    for number, equation in enumerate(program.equations):
        for operand in equation.inputs:
            if not operand.is_literal:
                uses[operand] = number
    end = len(program.equations)
    for operand in program.outputs:
        if not operand.is_literal:
            uses[operand] = end
    return uses
