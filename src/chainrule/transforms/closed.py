"""Sub-programs changed together with the equation that holds them: inputs, outputs, operands."""

from __future__ import annotations

from collections.abc import Sequence

from chainrule.program.liveness import remove_dead
from chainrule.program.program import Equation, Operand, Program, Var
from chainrule.transforms.rewriting import Graph


def renamed(program: Program, inputs: Sequence[Var], env: dict, outputs=None) -> Program:
    """The program with these inputs, and its variables replaced as `env` says."""
    equations = []
    for e in program.equations:
        operands = tuple([env.get(x, x) for x in e.inputs])
        same = operands == e.inputs
        equations.append(e if same else Equation(e.op, operands, e.params, e.outputs, e.line))
    results = program.outputs if outputs is None else outputs
    return Program(inputs, equations, [env.get(o, o) for o in results], name=program.name)


def variables_read(program: Program) -> set[Operand]:
    """The variables that a program's equations or outputs read."""
    found: set[Operand] = set(program.outputs)
    for e in program.equations:
        found.update(e.inputs)
    return found


def _as_tuple(made) -> tuple:
    return made if isinstance(made, tuple) else (made,)


def kept(items: Sequence, mask: Sequence[bool]) -> list:
    """The items where the mask holds."""
    return [x for x, m in zip(items, mask, strict=True) if m]


def again(equation: Equation, operands, graph: Graph, **changed) -> tuple:
    """The equation on other operands, with some params changed."""
    params = {**equation.params, **changed}
    return _as_tuple(graph.emit(equation.op.name, *operands, **params))


def filled_in(equation: Equation, wanted: Sequence[bool], made) -> tuple:
    """The outputs in order; those that nobody reads stay themselves."""
    return tuple(
        [next(made) if m else v for v, m in zip(equation.outputs, wanted, strict=True)]
    )


def live_carries(body: Program, variables, new, live, roots) -> list[bool]:
    """Which carries are needed for `roots` and for the carries that are live already."""
    live = list(live)
    while True:
        wanted = [*roots, *kept(new, live)]
        needed = needed_for(body, wanted)
        grown = [a or v in needed for a, v in zip(live, variables, strict=True)]
        if grown == live:
            return live
        live = grown


def needed_for(program: Program, wanted) -> set[Operand]:
    """The variables that these operands are computed from, themselves among them."""
    found = {x for x in wanted if not x.is_literal}
    for e in reversed(program.equations):
        if any(v in found for v in e.outputs):
            found.update(x for x in e.inputs if not x.is_literal)
    return found


def written_inside(programs: list[Program], operands: Sequence[Operand], fixed: int, graph: Graph):
    """The programs with the first `fixed` inputs given, where that is possible, from inside.

    A number is written where it is read; an array filled with one is filled inside; an operand that
    comes twice is read once; one that is not read is not given. Returns the programs and the mask
    of the inputs that are left, or None where nothing changes.
    """
    used = set().union(*[variables_read(p) for p in programs])
    first: dict[Operand, int] = {}
    keep = [True] * len(operands)
    envs: list[dict] = [{} for _ in programs]
    heads: list[list[Equation]] = [[] for _ in programs]
    for i, x in enumerate(operands[:fixed]):
        variables = [p.inputs[i] for p in programs]
        if not any(v in used for v in variables):
            keep[i] = False
        elif x.is_literal:
            keep[i] = False
            for env, v in zip(envs, variables, strict=True):
                env[v] = x
        elif (filled := graph.made_by(x, "broadcast")) and filled.inputs[0].is_literal:
            keep[i] = False
            for env, head, v in zip(envs, heads, variables, strict=True):
                env[v] = inside = Var(v.type, v.name)
                head.append(
                    Equation(filled.op, filled.inputs, filled.params, (inside,), filled.line)
                )
        elif x in first:
            keep[i] = False
            for env, p in zip(envs, programs, strict=True):
                env[p.inputs[i]] = p.inputs[first[x]]
        else:
            first[x] = i
    if all(keep):
        return None
    made = []
    for p, env, head in zip(programs, envs, heads, strict=True):
        new = renamed(p, kept(p.inputs, keep), env)
        made.append(remove_dead(Program(
            new.inputs, [*head, *new.equations], new.outputs, name=p.name)))  # fmt: skip
    return made, keep
