"""Closed forms: a gradient's program with less work in it, where algebra knows a way.

A gradient that does not need the function's value does not compute it: nothing reads it, and dead
code goes. What is left is rewritten by identities of linear algebra (rewrites_closed.py) and of
sums (rewrites_sums.py, rewrites_factors.py), and by those of simplify's rewrites that hold for
derivatives of the program, too; beside a value that is needed, only by those of sums. The result is
taken where it is predicted to be cheaper.
"""

from __future__ import annotations

from dataclasses import replace

from chainrule.program.cost import flops
from chainrule.program.liveness import remove_dead
from chainrule.program.program import Equation, Program
from chainrule.transforms.rewrites_closed import CLOSED
from chainrule.transforms.rewrites_factors import FACTORS
from chainrule.transforms.rewrites_sums import SUMS
from chainrule.transforms.rewriting import Graph, Rewrite
from chainrule.transforms.simplify import named, simplify

# Of the rewrites that change nothing, those that keep derivatives as well: not `stop_gradient`.
_EXACT = named((
    "common subexpressions", "dead code", "constant folding", "add nothing", "subtract nothing",
    "twice the same", "scale of numbers",
    "numbers in place of filled arrays", "broadcast of a broadcast", "reshape of a reshape",
    "transpose of a transpose", "product of a transposition",
    "product of repeated rows", "select of one value", "elementwise on repeated entries",
))  # fmt: skip
_REWRITES = (*CLOSED, *SUMS, *FACTORS, *_EXACT)
_AFTER_SUMS = ("scale by one", "sum of centred entries", "add zero")
_OF_SUMS = (*SUMS, *FACTORS, *[r for r in CLOSED if r.name in _AFTER_SUMS])


def closed_forms(program: Program) -> Program:
    """The program in cheaper closed forms, or itself where none is found."""
    return _cheaper(simplify(program, _REWRITES), program)


def closed_sums(program: Program, own: int) -> Program:
    """The program with factors before its sums, but for what its first `own` outputs are made of:
    these are the user's own expressions."""
    if not any(e.op.name == "sum" for e in program.equations):
        return program
    values = Program(
        program.inputs, program.equations, program.outputs[:own], program.captured,
        program.captured_values, program.name,
    )  # fmt: skip
    expressions = {v for e in remove_dead(values).equations for v in e.outputs}

    def beside(rewrite: Rewrite) -> Rewrite:
        apply = rewrite.apply
        assert apply is not None

        def applied(equation: Equation, graph: Graph):
            return None if equation.outputs[0] in expressions else apply(equation, graph)

        return replace(rewrite, apply=applied)

    return _cheaper(simplify(program, (*map(beside, _OF_SUMS), *_EXACT)), program)


def _cheaper(made: Program, program: Program) -> Program:
    return made if flops(made) < flops(program) else program
