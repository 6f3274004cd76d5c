"""Rewrites of control flow: what a loop or a branch is given, carries and returns for nothing.

A sub-program is closed: what it reads comes as an operand, so the operands, the sub-program's
inputs and its outputs are changed together. Results that nobody reads are no longer computed,
carries that never change become constants, numbers are written into the sub-program.
"""

from __future__ import annotations

from collections.abc import Sequence
from typing import Any

from chainrule.program.liveness import remove_dead
from chainrule.program.program import Equation, Operand, Program, Var
from chainrule.transforms.rewriting import Graph, Rewrite


def renamed(program: Program, inputs: Sequence[Var], env: dict, outputs=None) -> Program:
    """The program with these inputs, and its variables replaced as `env` says."""
    equations = []
    for e in program.equations:
        operands = tuple([env.get(x, x) for x in e.inputs])
        same = operands == e.inputs
        equations.append(e if same else Equation(e.op, operands, e.params, e.outputs, e.line))
    results = program.outputs if outputs is None else outputs
    return Program(
        inputs, equations, [env.get(o, o) for o in results], name=program.name
    )


def _read(program: Program) -> set[Operand]:
    """The variables that a program's equations or outputs read."""
    found: set[Operand] = set(program.outputs)
    for e in program.equations:
        found.update(e.inputs)
    return found


def _as_tuple(made) -> tuple:
    return made if isinstance(made, tuple) else (made,)


def _kept(items: Sequence, mask: Sequence[bool]) -> list:
    return [x for x, m in zip(items, mask, strict=True) if m]


# --- operands that are not needed as operands -----------------------------------------------------


def _written_inside(programs: list[Program], operands: Sequence[Operand], fixed: int, graph: Graph):
    """The programs with the first `fixed` inputs given, where that is possible, from inside.

    A number is written where it is read; an array filled with one is filled inside; an operand that
    comes twice is read once; one that is not read is not given. Returns the programs and the mask
    of the inputs that are left, or None where nothing changes.
    """
    used = set().union(*[_read(p) for p in programs])
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
        new = renamed(p, _kept(p.inputs, keep), env)
        made.append(remove_dead(Program(
            new.inputs, [*head, *new.equations], new.outputs, name=p.name)))  # fmt: skip
    return made, keep


def _scan_constants(equation, graph):
    params = equation.params
    found = _written_inside([params["body"]], equation.inputs, params["constants"], graph)
    if found is None:
        return None
    (body,), keep = found
    constants = sum(keep[: params["constants"]])
    return _again(equation, _kept(equation.inputs, keep), graph, body=body, constants=constants)


def _while_constants(equation, graph):
    params = equation.params
    programs = [params["test"], params["body"]]
    found = _written_inside(programs, equation.inputs, params["constants"], graph)
    if found is None:
        return None
    (test, body), keep = found
    constants = sum(keep[: params["constants"]])
    return _again(
        equation, _kept(equation.inputs, keep), graph, test=test, body=body, constants=constants
    )


def _cond_operands(equation, graph):
    predicate, *operands = equation.inputs
    found = _written_inside(
        list(equation.params["branches"]), operands, len(operands), graph
    )
    if found is None:
        return None
    branches, keep = found
    return _again(equation, [predicate, *_kept(operands, keep)], graph, branches=tuple(branches))


def _checkpoint_operands(equation, graph):
    found = _written_inside(
        [equation.params["program"]], equation.inputs, len(equation.inputs), graph
    )
    if found is None:
        return None
    (program,), keep = found
    return _again(equation, _kept(equation.inputs, keep), graph, program=program)


def _again(equation: Equation, operands, graph: Graph, **changed) -> tuple:
    """The equation on other operands, with some params changed."""
    params = {**equation.params, **changed}
    return _as_tuple(graph.emit(equation.op.name, *operands, **params))


# --- scan: what is scanned, carried and stacked ---------------------------------------------------


class _Scan:
    """A scan's operands, its body's inputs and its outputs, by group."""

    def __init__(self, equation: Equation):
        params = equation.params
        self.body: Program = params["body"]
        self.a, self.b = params["constants"], params["constants"] + params["carries"]
        self.count, self.length = params["carries"], params["length"]
        self.fixed, self.carry, self.xs = self._groups(equation.inputs)
        self.fixed_vars, self.carry_vars, self.x_vars = self._groups(self.body.inputs)
        self.new_carry = self.body.outputs[: self.count]
        self.rows = self.body.outputs[self.count :]
        self.out_carry = equation.outputs[: self.count]
        self.ys = equation.outputs[self.count :]

    def _groups(self, items) -> tuple[list, list, list]:
        return list(items[: self.a]), list(items[self.a : self.b]), list(items[self.b :])


def _scan_xs(equation, graph):
    """Arrays scanned of which nothing is read, or whose rows are all the same."""
    s = _Scan(equation)
    read = _read(s.body)
    keep, constants, variables = [], [], []
    for x, v in zip(s.xs, s.x_vars, strict=True):
        row = None if v not in read else _equal_rows(x, graph)
        keep.append(v in read and row is None)
        if row is not None:
            constants.append(row)
            variables.append(v)
    if all(keep):
        return None
    inputs = [*s.fixed_vars, *variables, *s.carry_vars, *_kept(s.x_vars, keep)]
    operands = [*s.fixed, *constants, *s.carry, *_kept(s.xs, keep)]
    body = renamed(s.body, inputs, {})
    return _again(equation, operands, graph, body=body, constants=s.a + len(constants))


def _equal_rows(x: Operand, graph: Graph) -> Operand | None:
    """The row that an array repeats along its first axis, where it does."""
    maker = graph.made_by(x, "broadcast")
    if maker is None or 0 in maker.params["axes"] or not x.type.shape[0]:
        return None
    shape = x.type.shape[1:]
    if not shape and maker.inputs[0].is_literal:
        return maker.inputs[0]
    places = tuple([a - 1 for a in maker.params["axes"]])
    return graph.emit("broadcast", maker.inputs[0], shape=shape, axes=places)


def _scan_dead(equation, graph):
    """Stacked results and carries that nobody reads, neither outside nor in a later step."""
    s = _Scan(equation)
    wanted_rows = [graph.uses(y) > 0 for y in s.ys]
    live = [graph.uses(v) > 0 for v in s.out_carry]
    live = _live_carries(s.body, s.carry_vars, s.new_carry, live, _kept(s.rows, wanted_rows))
    if all(live) and all(wanted_rows):
        return None
    outputs = [*_kept(s.new_carry, live), *_kept(s.rows, wanted_rows)]
    inputs = [*s.fixed_vars, *_kept(s.carry_vars, live), *s.x_vars]
    if not outputs:
        return None  # dead as a whole
    body = remove_dead(renamed(s.body, s.body.inputs, {}, outputs))
    body = Program(inputs, body.equations, body.outputs, name=body.name)
    operands = [*s.fixed, *_kept(s.carry, live), *s.xs]
    made = iter(_again(equation, operands, graph, body=body, carries=sum(live)))
    return _filled(equation, [*live, *wanted_rows], made)


def _filled(equation: Equation, wanted: Sequence[bool], made) -> tuple:
    """The outputs in order; those that nobody reads stay themselves."""
    return tuple(
        [next(made) if m else v for v, m in zip(equation.outputs, wanted, strict=True)]
    )


def _live_carries(body: Program, variables, new, live, roots) -> list[bool]:
    """Which carries are needed for `roots` and for the carries that are live already."""
    live = list(live)
    while True:
        wanted = [*roots, *_kept(new, live)]
        needed = _needed(body, wanted)
        grown = [a or v in needed for a, v in zip(live, variables, strict=True)]
        if grown == live:
            return live
        live = grown


def _needed(program: Program, wanted) -> set[Operand]:
    """The variables that these operands are computed from, themselves among them."""
    found = {x for x in wanted if not x.is_literal}
    for e in reversed(program.equations):
        if any(v in found for v in e.outputs):
            found.update(x for x in e.inputs if not x.is_literal)
    return found


def _scan_unchanged(equation, graph):
    """Carries that every step hands on as they are become constants."""
    s = _Scan(equation)
    same = [o is v for o, v in zip(s.new_carry, s.carry_vars, strict=True)]
    if not any(same):
        return None
    moved = [not m for m in same]
    inputs = [*s.fixed_vars, *_kept(s.carry_vars, same), *_kept(s.carry_vars, moved), *s.x_vars]
    operands = [*s.fixed, *_kept(s.carry, same), *_kept(s.carry, moved), *s.xs]
    outputs = [*_kept(s.new_carry, moved), *s.rows]
    first = [graph.of_type(x, v.type) for x, v in zip(s.carry, s.out_carry, strict=True)]
    if not outputs:
        return tuple(first)
    body = Program(inputs, s.body.equations, outputs, name=s.body.name)
    made = iter(_again(equation, operands, graph, body=body, constants=s.a + sum(same),
                       carries=sum(moved)))  # fmt: skip
    carry = [x if m else next(made) for x, m in zip(first, same, strict=True)]
    return (*carry, *made)


def _scan_rows(equation, graph):
    """Stacked rows that are constants, rows of a scanned array, or stacked twice."""
    s = _Scan(equation)
    if not s.length:
        return None
    known: list[Any] = []
    seen: dict[Operand, int] = {}
    for i, (row, y) in enumerate(zip(s.rows, s.ys, strict=True)):
        known.append(_stacked_row(row, y, s, graph))
        if known[i] is None and seen.setdefault(row, i) != i:
            known[i] = seen[row]
    if all(k is None for k in known):
        return None
    rest = [k is None for k in known]
    outputs = [*s.new_carry, *_kept(s.rows, rest)]
    if not outputs:
        return tuple(known)
    body = remove_dead(renamed(s.body, s.body.inputs, {}, outputs))
    made = _again(equation, equation.inputs, graph, body=body)
    it = iter(made[s.count :])
    stacked = [next(it) if k is None else k for k in known]
    stacked = [stacked[k] if isinstance(k, int) else k for k in stacked]
    return (*made[: s.count], *stacked)


def _stacked_row(row: Operand, y: Var, s: _Scan, graph: Graph) -> Operand | None:
    if row.is_literal:
        return graph.emit("broadcast", row, shape=y.type.shape, axes=())
    if row in s.x_vars:
        return s.xs[s.x_vars.index(row)]
    if row in s.fixed_vars:
        value = s.fixed[s.fixed_vars.index(row)]
        axes = tuple(range(1, y.type.ndim)) if not value.is_literal else ()
        return graph.emit("broadcast", value, shape=y.type.shape, axes=axes)
    return None


# --- while ----------------------------------------------------------------------------------------


def _while_unchanged(equation, graph):
    params = equation.params
    test, body, n = params["test"], params["body"], params["constants"]
    same = [o is v for o, v in zip(body.outputs, body.inputs[n:], strict=True)]
    if not any(same) or all(same):
        return None
    moved = [not m for m in same]

    def ordered(items) -> list:
        return [*items[:n], *_kept(items[n:], same), *_kept(items[n:], moved)]

    made = iter(_again(
        equation, ordered(equation.inputs), graph, constants=n + sum(same),
        test=Program(ordered(test.inputs), test.equations, test.outputs, name=test.name),
        body=Program(ordered(body.inputs), body.equations, _kept(body.outputs, moved),
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
    tested = _needed(test, test.outputs)
    live = [
        graph.uses(v) > 0 or t in tested
        for v, t in zip(equation.outputs, test.inputs[n:], strict=True)
    ]
    live = _live_carries(body, body.inputs[n:], body.outputs, live, [])
    if all(live) or not any(live):
        return None

    def left(items) -> list:
        return [*items[:n], *_kept(items[n:], live)]

    kept = remove_dead(renamed(body, body.inputs, {}, _kept(body.outputs, live)))
    seen = remove_dead(test)
    made = iter(_again(
        equation, left(equation.inputs), graph,
        test=Program(left(test.inputs), seen.equations, seen.outputs, name=test.name),
        body=Program(left(body.inputs), kept.equations, kept.outputs, name=body.name),
    ))  # fmt: skip
    return _filled(equation, live, made)


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
    made = iter(_again(equation, equation.inputs, graph, **changed))
    return tuple([next(made) if m else k for k, m in zip(otherwise, wanted, strict=True)])


def _with_outputs(program: Program, wanted) -> Program:
    return remove_dead(
        Program(program.inputs, program.equations, _kept(program.outputs, wanted),
                name=program.name))  # fmt: skip


CONTROL = (
    Rewrite("constants of a loop",
            "a constant that is not read -> not given; a number, or an array filled with one -> "
            "written into the body; one given twice -> given once", ("scan",), _scan_constants),
    Rewrite("constants of a while loop", "the same for while", ("while",), _while_constants),
    Rewrite("arrays scanned", "an array whose rows are not read -> not given; whose rows are all "
            "the same -> a constant", ("scan",), _scan_xs),
    Rewrite("carries that do not change", "carry = carry in every step -> a constant", ("scan",),
            _scan_unchanged),
    Rewrite("carries of a while loop that do not change", "the same for while", ("while",),
            _while_unchanged),
    Rewrite("dead carries and rows", "stacked rows and carries that nobody reads -> not computed",
            ("scan",), _scan_dead),
    Rewrite("dead carries of a while loop", "the same for while", ("while",), _while_dead),
    Rewrite("rows that are known", "stacked rows of a constant -> a broadcast; of a scanned array "
            "-> the array; stacked twice -> once", ("scan",), _scan_rows),
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
