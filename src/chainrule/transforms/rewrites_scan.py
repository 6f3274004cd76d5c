"""Rewrites of scans: what they are given, carry and stack for nothing.

Rows that are not read, or known without the loop, are not stacked; carries that never change become
constants; arrays whose rows repeat themselves are not scanned.
"""

from __future__ import annotations

from typing import Any

from chainrule.program.liveness import remove_dead
from chainrule.program.program import Equation, Operand, Program, Var
from chainrule.transforms.closed import (
    again,
    filled_in,
    kept,
    live_carries,
    renamed,
    variables_read,
    written_inside,
)
from chainrule.transforms.rewriting import Graph, Rewrite


def _scan_constants(equation, graph):
    params = equation.params
    found = written_inside([params["body"]], equation.inputs, params["constants"], graph)
    if found is None:
        return None
    (body,), keep = found
    constants = sum(keep[: params["constants"]])
    return again(equation, kept(equation.inputs, keep), graph, body=body, constants=constants)


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
        self.makers = {v: e for e in self.body.equations for v in e.outputs}
        self.out_carry = equation.outputs[: self.count]
        self.ys = equation.outputs[self.count :]

    def _groups(self, items) -> tuple[list, list, list]:
        return list(items[: self.a]), list(items[self.a : self.b]), list(items[self.b :])


def _scan_xs(equation, graph):
    """Arrays scanned of which nothing is read, or whose rows are all the same."""
    s = _Scan(equation)
    read = variables_read(s.body)
    keep, constants, variables = [], [], []
    for x, v in zip(s.xs, s.x_vars, strict=True):
        row = None if v not in read else _equal_rows(x, graph)
        keep.append(v in read and row is None)
        if row is not None:
            constants.append(row)
            variables.append(v)
    if all(keep):
        return None
    inputs = [*s.fixed_vars, *variables, *s.carry_vars, *kept(s.x_vars, keep)]
    operands = [*s.fixed, *constants, *s.carry, *kept(s.xs, keep)]
    body = renamed(s.body, inputs, {})
    return again(equation, operands, graph, body=body, constants=s.a + len(constants))


def _scan_repeated(equation, graph):
    """Scanned arrays whose rows repeat entries: the array with each entry once is scanned, and its
    rows are repeated inside."""
    s = _Scan(equation)
    xs, inputs, head = list(s.xs), list(s.x_vars), []
    for i, (x, v) in enumerate(zip(s.xs, s.x_vars, strict=True)):
        maker = graph.made_by(x, "broadcast")
        if maker is None or 0 not in maker.params["axes"]:
            continue
        (small,), places = maker.inputs, maker.params["axes"][1:]
        if small.type.size == x.type.size:
            continue
        xs[i], inputs[i] = small, Var(small.type.with_shape(small.type.shape[1:]))
        params = {"shape": v.type.shape, "axes": tuple([a - 1 for a in places])}
        head.append(Equation(maker.op, (inputs[i],), params, (v,), maker.line))
    if not head:
        return None
    body = Program(
        [*s.fixed_vars, *s.carry_vars, *inputs], [*head, *s.body.equations], s.body.outputs,
        name=s.body.name,
    )  # fmt: skip
    return again(equation, [*s.fixed, *s.carry, *xs], graph, body=body)


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
    live = live_carries(s.body, s.carry_vars, s.new_carry, live, kept(s.rows, wanted_rows))
    if all(live) and all(wanted_rows):
        return None
    outputs = [*kept(s.new_carry, live), *kept(s.rows, wanted_rows)]
    inputs = [*s.fixed_vars, *kept(s.carry_vars, live), *s.x_vars]
    if not outputs:
        return None  # dead as a whole
    body = remove_dead(renamed(s.body, s.body.inputs, {}, outputs))
    body = Program(inputs, body.equations, body.outputs, name=body.name)
    operands = [*s.fixed, *kept(s.carry, live), *s.xs]
    made = iter(again(equation, operands, graph, body=body, carries=sum(live)))
    return filled_in(equation, [*live, *wanted_rows], made)


def _scan_unchanged(equation, graph):
    """Carries that every step hands on as they are become constants."""
    s = _Scan(equation)
    same = [o is v for o, v in zip(s.new_carry, s.carry_vars, strict=True)]
    if not any(same):
        return None
    moved = [not m for m in same]
    inputs = [*s.fixed_vars, *kept(s.carry_vars, same), *kept(s.carry_vars, moved), *s.x_vars]
    operands = [*s.fixed, *kept(s.carry, same), *kept(s.carry, moved), *s.xs]
    outputs = [*kept(s.new_carry, moved), *s.rows]
    first = [graph.of_type(x, v.type) for x, v in zip(s.carry, s.out_carry, strict=True)]
    if not outputs:
        return tuple(first)
    body = Program(inputs, s.body.equations, outputs, name=s.body.name)
    made = iter(again(equation, operands, graph, body=body, constants=s.a + sum(same),
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
    outputs = [*s.new_carry, *kept(s.rows, rest)]
    if not outputs:
        return tuple(known)
    body = remove_dead(renamed(s.body, s.body.inputs, {}, outputs))
    made = again(equation, equation.inputs, graph, body=body)
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
    return _repeated_rows(s.makers.get(row), y, s, graph)


def _repeated_rows(maker: Equation | None, y: Var, s: _Scan, graph: Graph) -> Operand | None:
    """Rows that repeat entries of a scanned array's row, or of a constant."""
    if maker is None or maker.op.name != "broadcast":
        return None
    (x,), places = maker.inputs, tuple([a + 1 for a in maker.params["axes"]])
    if x in s.x_vars:
        value = s.xs[s.x_vars.index(x)]
        return graph.emit("broadcast", value, shape=y.type.shape, axes=(0, *places))
    if x in s.fixed_vars or x.is_literal:
        value = x if x.is_literal else s.fixed[s.fixed_vars.index(x)]
        return graph.emit("broadcast", value, shape=y.type.shape, axes=places)
    return None


SCAN = (
    Rewrite("constants of a loop",
            "a constant that is not read -> not given; a number, or an array filled with one -> "
            "written into the body; one given twice -> given once", ("scan",), _scan_constants),
    Rewrite("arrays scanned", "an array whose rows are not read -> not given; whose rows are all "
            "the same -> a constant", ("scan",), _scan_xs),
    Rewrite("rows scanned that repeat entries", "a scanned broadcast -> its operand scanned, its "
            "rows broadcast in the body", ("scan",), _scan_repeated, reads=("broadcast",)),
    Rewrite("carries that do not change", "carry = carry in every step -> a constant", ("scan",),
            _scan_unchanged),
    Rewrite("dead carries and rows", "stacked rows and carries that nobody reads -> not computed",
            ("scan",), _scan_dead),
    Rewrite("rows that are known", "stacked rows of a constant -> a broadcast; of a scanned array "
            "-> the array; broadcasts of either -> a broadcast; stacked twice -> once",
            ("scan",), _scan_rows),
)  # fmt: skip
