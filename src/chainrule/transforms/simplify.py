"""Simplify: the same program in fewer and cheaper equations, every bit of its results kept.

    sweep      equations in order, each rewritten, then merged with an equal one above it
    dead code  one pass backwards
    again      until no rewrite applies, if some of them ask who reads a result

A sweep is linear in the number of equations and enters sub-programs. `REWRITES` is the table of all
rewrites; by default those that change nothing in the result are applied, and those that leave the
order of additions within a product of matrices to whoever computes it, as the evaluator does.
"""

from __future__ import annotations

from collections.abc import Iterable, Sequence
from functools import lru_cache

from chainrule.program.garbage import collector_paused
from chainrule.program.liveness import remove_dead
from chainrule.program.program import Equation, Operand, Program, map_subprograms
from chainrule.transforms.hoist import HOIST
from chainrule.transforms.rewrites_arithmetic import ARITHMETIC
from chainrule.transforms.rewrites_closed import CLOSED
from chainrule.transforms.rewrites_contract import CONTRACT
from chainrule.transforms.rewrites_control import CONTROL
from chainrule.transforms.rewrites_factors import FACTORS
from chainrule.transforms.rewrites_scan import SCAN
from chainrule.transforms.rewrites_shape import SHAPE
from chainrule.transforms.rewrites_sums import SUMS
from chainrule.transforms.rewriting import Graph, Rewrite, Rules, looping

SWEEPS = 40  # after which rewrites are held to undo each other; programs need one to six

_OWN = (
    Rewrite("common subexpressions",
            "two equal pure equations -> one; numbers are equal where their bits are, and operands "
            "of sums and products may change places"),
    Rewrite("dead code", "an equation whose outputs nobody reads -> nothing"),
)  # fmt: skip

REWRITES: tuple[Rewrite, ...] = (
    *_OWN, *ARITHMETIC, *SHAPE, *CONTRACT, *SCAN, *CONTROL, *HOIST, *CLOSED, *SUMS, *FACTORS,
)  # fmt: skip
DEFAULT: tuple[Rewrite, ...] = tuple(r for r in REWRITES if r.changes != "rounding")


def named(names: Iterable[str]) -> tuple[Rewrite, ...]:
    """The rewrites of these names, in the order of the table; KeyError where one is unknown."""
    wanted = set(names)
    unknown = wanted - {r.name for r in REWRITES}
    if unknown:
        raise KeyError(f"no rewrite is named {sorted(unknown)[0]!r}")
    return tuple(r for r in REWRITES if r.name in wanted)


def simplify(
    program: Program,
    rewrites: Sequence[Rewrite] = DEFAULT,
    without: Iterable[str] = (),
) -> Program:
    """The program simplified by these rewrites, less those named in `without`.

    **Errors** `RewriteLoop`, naming the rewrites, where they do not come to an end.
    **Cost** about ten microseconds an equation.
    """
    left_out = set(named(without))
    rules = _rules(tuple([r for r in rewrites if r not in left_out]))
    with collector_paused():
        return _Simplifier(rules).program(program)


@lru_cache(maxsize=16)
def _rules(rewrites: tuple[Rewrite, ...]) -> Rules:
    return Rules(rewrites)


class _Simplifier:
    """The sub-programs simplified so far; each is simplified once, wherever it stands."""

    def __init__(self, rules: Rules):
        self.rules = rules
        self.removes_dead = "dead code" in rules.names
        self.done: dict[int, tuple[Program, Program]] = {}

    def program(self, program: Program) -> Program:
        found = self.done.get(id(program))
        if found is None:
            made = self._swept(program)
            found = self.done[id(program)] = (program, made)  # the program keeps its id in use
            self.done[id(made)] = (made, made)
        return found[1]

    def _swept(self, program: Program) -> Program:
        for _ in range(SWEEPS):
            graph = Graph(program, self.rules, self.program)
            made = graph.run()
            if self.removes_dead:
                made = remove_dead(made)
            if not graph.fired and len(made.equations) == len(program.equations):
                return program if _same(made, program) else made
            if graph.settled:
                return made
            program = made
        raise looping(list(graph.fired))


def _same(made: Program, program: Program) -> bool:
    return all(a is b for a, b in zip(made.equations, program.equations, strict=True))


def remove_barriers(program: Program) -> Program:
    """The program without barriers, which have kept apart what is to be computed twice.

    To be applied last: equal equations on the two sides of a barrier must not be merged any more.
    """
    env: dict[Operand, Operand] = {}
    kept = []
    for equation in program.equations:
        inputs = tuple([env.get(x, x) for x in equation.inputs])
        if equation.op.name == "barrier":
            env[equation.outputs[0]] = inputs[0]
            continue
        params = map_subprograms(equation, remove_barriers)
        kept.append(Equation(equation.op, inputs, params, equation.outputs, equation.line))
    return Program(
        program.inputs, kept, [env.get(o, o) for o in program.outputs], program.captured,
        program.captured_values, program.name,
    )  # fmt: skip
