"""Closed forms: a gradient's program with less work in it, where algebra knows a way.

A gradient that does not need the function's value does not compute it: nothing reads it, and dead
code goes. What is left is rewritten by identities of linear algebra (rewrites_closed.py) and of
sums (rewrites_sums.py), and by those of simplify's rewrites that hold for derivatives of the
program, too. The result is taken where it is predicted to be cheaper.
"""

from __future__ import annotations

from chainrule.program.program import Program
from chainrule.transforms.rewrites_closed import CLOSED
from chainrule.transforms.rewrites_sums import SUMS
from chainrule.transforms.simplify import named, simplify

# Of the rewrites that change nothing, those that keep derivatives as well: not `stop_gradient`.
_EXACT = named((
    "common subexpressions", "dead code", "constant folding", "add nothing", "subtract nothing",
    "twice the same", "scale of numbers",
    "numbers in place of filled arrays", "broadcast of a broadcast", "reshape of a reshape",
    "transpose of a transpose", "product of a transposition",
    "product of repeated rows", "select of one value", "elementwise on repeated entries",
))  # fmt: skip
_REWRITES = (*CLOSED, *SUMS, *_EXACT)


def closed_forms(program: Program) -> Program:
    """The program in cheaper closed forms, or itself where none is found."""
    made = simplify(program, _REWRITES)
    return made if made.cost().flops < program.cost().flops else program
