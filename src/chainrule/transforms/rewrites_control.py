"""Rewrites of control flow: what a loop or a branch is given, carries and returns for nothing.

A sub-program is closed: what it reads comes as an operand, so the operands, the sub-program's
inputs and its outputs are changed together. Results that nobody reads are no longer computed,
carries that never change become constants, numbers are written into the sub-program.
"""

from __future__ import annotations

from typing import Any

from chainrule.program.liveness import remove_dead
from chainrule.program.program import Equation, Program
from chainrule.transforms.closed import (
    again,
    filled_in,
    kept,
    live_carries,
    needed_for,
    renamed,
    written_inside,
)
from chainrule.transforms.rewriting import Graph, Rewrite

# --- operands that are not needed as operands -----------------------------------------------------


def _while_constants(equation, graph):
    params = equation.params
    programs = [params["test"], params["body"]]
    found = written_inside(programs, equation.inputs, params["constants"], graph)
    if found is None:
        return None
    (test, body), keep = found
    constants = sum(keep[: params["constants"]])
    return again(
        equation, kept(equation.inputs, keep), graph, test=test, body=body, constants=constants
    )


def _cond_operands(equation, graph):
    predicate, *operands = equation.inputs
    found = written_inside(
        list(equation.params["branches"]), operands, len(operands), graph
    )
    if found is None:
        return None
    branches, keep = found
    return again(equation, [predicate, *kept(operands, keep)], graph, branches=tuple(branches))


def _checkpoint_operands(equation, graph):
    found = written_inside(
        [equation.params["program"]], equation.inputs, len(equation.inputs), graph
    )
    if found is None:
        return None
    (program,), keep = found
    return again(equation, kept(equation.inputs, keep), graph, program=program)


# --- while ----------------------------------------------------------------------------------------


def _while_unchanged(equation, graph):
    params = equation.params
    test, body, n = params["test"], params["body"], params["constants"]
    same = [o is v for o, v in zip(body.outputs, body.inputs[n:], strict=True)]
    if not any(same) or all(same):
        return None
    moved = [not m for m in same]

    def ordered(items) -> list:
        return [*items[:n], *kept(items[n:], same), *kept(items[n:], moved)]

    made = iter(again(
        equation, ordered(equation.inputs), graph, constants=n + sum(same),
        test=Program(ordered(test.inputs), test.equations, test.outputs, name=test.name),
        body=Program(ordered(body.inputs), body.equations, kept(body.outputs, moved),
                     name=body.name)))  # fmt: skip
    first = equation.inputs[n:]
    return tuple([
        graph.of_type(x, v.type) if m else next(made)
        for x, v, m in zip(first, equation.outputs, same, strict=True)
    ])  # fmt: skip


def _while_dead(equation, graph):
    """Carries that neither the test, nor a live carry, nor anybody outside reads."""
    params = equation.params
    test, body, n = params["test"], params["body"], params["constants"]
    tested = needed_for(test, test.outputs)
    live = [
        graph.uses(v) > 0 or t in tested
        for v, t in zip(equation.outputs, test.inputs[n:], strict=True)
    ]
    live = live_carries(body, body.inputs[n:], body.outputs, live, [])
    if all(live) or not any(live):
        return None

    def left(items) -> list:
        return [*items[:n], *kept(items[n:], live)]

    step = remove_dead(renamed(body, body.inputs, {}, kept(body.outputs, live)))
    seen = remove_dead(test)
    made = iter(again(
        equation, left(equation.inputs), graph,
        test=Program(left(test.inputs), seen.equations, seen.outputs, name=test.name),
        body=Program(left(body.inputs), step.equations, step.outputs, name=body.name),
    ))  # fmt: skip
    return filled_in(equation, live, made)


# --- cond and checkpoint --------------------------------------------------------------------------


def _cond_known(equation, graph):
    predicate, *operands = equation.inputs
    if not predicate.is_literal:
        return None
    return tuple(graph.inline(equation.params["branches"][0 if predicate.value else 1], operands))


def _cond_same(equation, graph):
    """Results that are one and the same operand, or number, in both branches."""
    yes, no = equation.params["branches"]
    operand = dict(zip(yes.inputs, equation.inputs[1:], strict=True))
    partner = dict(zip(no.inputs, yes.inputs, strict=True))
    known: list[Any] = []
    for a, b in zip(yes.outputs, no.outputs, strict=True):
        if a.is_literal and b.is_literal and a.key == b.key:
            known.append(a)
        else:
            known.append(operand.get(a) if not b.is_literal and partner.get(b) is a else None)
    if all(k is None for k in known):
        return None
    rest = [k is None for k in known]
    if not any(rest):
        return tuple(known)
    return _with_results(equation, rest, known, graph)


def _dead_results(equation, graph):
    """Results that nobody reads."""
    wanted = [graph.uses(v) > 0 for v in equation.outputs]
    if all(wanted) or not any(wanted):
        return None
    return _with_results(equation, wanted, list(equation.outputs), graph)


def _with_results(equation: Equation, wanted, otherwise, graph: Graph) -> tuple:
    """The equation with only the wanted results; `otherwise` stands for the others."""
    changed: dict[str, Any] = {}
    for name, value in equation.params.items():
        if isinstance(value, tuple):
            changed[name] = tuple([_with_outputs(p, wanted) for p in value])
        else:
            changed[name] = _with_outputs(value, wanted)
    made = iter(again(equation, equation.inputs, graph, **changed))
    return tuple([next(made) if m else k for k, m in zip(otherwise, wanted, strict=True)])


def _with_outputs(program: Program, wanted) -> Program:
    return remove_dead(
        Program(program.inputs, program.equations, kept(program.outputs, wanted),
                name=program.name))  # fmt: skip


CONTROL = (
    Rewrite("constants of a while loop", "the same for while", ("while",), _while_constants),
    Rewrite("carries of a while loop that do not change", "the same for while", ("while",),
            _while_unchanged),
    Rewrite("dead carries of a while loop", "the same for while", ("while",), _while_dead),
    Rewrite("branch that is known", "cond(True, ...) -> the first branch", ("cond",), _cond_known,
            reads=("number",)),
    Rewrite("branches that agree", "a result that is the same operand or number in both branches "
            "-> that", ("cond",), _cond_same),
    Rewrite("operands of branches", "operands that are not read, given twice, or numbers, as for "
            "constants of a loop", ("cond",), _cond_operands),
    Rewrite("operands of a checkpoint", "the same for checkpoint", ("checkpoint",),
            _checkpoint_operands),
    Rewrite("dead results", "results of cond and checkpoint that nobody reads -> not computed",
            ("cond", "checkpoint"), _dead_results),
)  # fmt: skip
