"""Loops in stretches: a scan that stacks what every step keeps, cut so that it need not.

A scan of n steps whose stacked results another scan of n steps reads (the backward half of its
derivative) becomes k scans of n / k steps, each with the carry of the one before. What a stretch
stacks is made by a run of its own, just before it is read, from the carry at its start:

    forward     c_1 = steps(c_0),  c_2 = steps(c_1), ...               carries alone
    backward    stacks_k = steps(c_k - 1);  run back over stacks_k;  then stacks_k - 1, ...

Every step is run twice, in the memory of k carries and n / k steps; the last stretch, the `tail`,
stacks at once and is run once. Which carries are kept is for the schedule of the program to say
(chain_schedule.py), which makes the whole a binomial (treeverse) schedule of stretches.
"""

from __future__ import annotations

from collections import defaultdict
from itertools import pairwise

from chainrule.ops.control import stacked, with_outputs
from chainrule.ops.index import index
from chainrule.ops.join import concatenate
from chainrule.ops.scan import scan_op
from chainrule.program.liveness import remove_dead
from chainrule.program.program import Equation, Operand, Program, Var


def stretched(program: Program, pieces: int, tail: float = 0.0) -> Program | None:
    """The program with linked scans cut into `pieces` stretches and a tail, a part of the steps.

    None where no scan stacks for another one, or where the steps are too few.
    """
    linked = _linked(program)
    if not linked:
        return None
    shortest = min(e.params["length"] for e in linked)
    if shortest < 2 * pieces:
        return None
    return remove_dead(_Cutting(program, linked, pieces, tail).run())


def _linked(program: Program) -> set[Equation]:
    """The scans of which one reads what another one of as many steps has stacked."""
    maker = {v: e for e in program.equations if e.op is scan_op for v in _rows(e)}
    found: set[Equation] = set()
    for e in program.equations:
        if e.op is scan_op:
            for x in _along(e):
                source = maker.get(x)  # type: ignore[arg-type]
                if source is not None and source.params["length"] == e.params["length"]:
                    found |= {source, e}
    return found


def _rows(scan: Equation) -> tuple[Var, ...]:
    """What a scan stacks."""
    return scan.outputs[scan.params["carries"] :]


def _along(scan: Equation) -> tuple[Operand, ...]:
    """What a scan runs along."""
    return scan.inputs[scan.params["constants"] + scan.params["carries"] :]


class _Cutting:
    """A program being rewritten: `parts` holds, for each stack, its piece in each stretch."""

    def __init__(self, program: Program, linked: set[Equation], pieces: int, tail: float):
        self.program, self.linked = program, linked
        self.pieces, self.tail = pieces, tail
        self.equations: list[Equation] = []
        self.env: dict[Operand, Operand] = {}
        self.parts: dict[tuple[Operand, int], Var] = {}
        self.later: dict[tuple[Operand, int], Equation] = {}  # runs that make a part, not yet there
        self.stacks = self._stacks_for_scans_alone()

    def _stacks_for_scans_alone(self) -> set[Operand]:
        """Stacks that nobody reads but linked scans, along their steps."""
        readers: dict[Operand, int] = defaultdict(int)
        for e in self.program.equations:
            inputs = e.inputs
            if e in self.linked:
                inputs = inputs[: len(inputs) - len(_along(e))]
            for x in inputs:
                readers[x] += 1
        for x in self.program.outputs:
            readers[x] += 1
        return {v for e in self.linked for v in _rows(e) if not readers[v]}

    def run(self) -> Program:
        for e in self.program.equations:
            if e in self.linked:
                self._scan(e)
            else:
                inputs = tuple([self.env.get(x, x) for x in e.inputs])
                same = inputs == e.inputs
                made = e if same else Equation(e.op, inputs, e.params, e.outputs, e.line)
                self.equations.append(made)
        p = self.program
        outputs = [self.env.get(o, o) for o in p.outputs]
        return Program(p.inputs, self.equations, outputs, p.captured, p.captured_values, p.name)

    def _bounds(self, length: int) -> list[tuple[int, int]]:
        start = length - round(length * self.tail)
        ends = [start * k // self.pieces for k in range(self.pieces + 1)]
        bounds = list(pairwise(ends))
        return [*bounds, (start, length)] if start < length else bounds

    def _scan(self, scan: Equation) -> None:
        params, line = scan.params, scan.line
        n, count, reverse = params["constants"], params["carries"], params["reverse"]
        bounds = self._bounds(params["length"])
        fixed = [self.env.get(x, x) for x in scan.inputs[:n]]
        carry = [self.env.get(x, x) for x in scan.inputs[n : n + count]]
        rows = _rows(scan)
        numbers = range(len(bounds))
        for number in reversed(numbers) if reverse else numbers:
            first, last = bounds[number]
            along = [self._part(x, number, bounds, line) for x in _along(scan)]
            whole = self._piece(scan, [*fixed, *carry, *along], last - first, params["body"])
            if number == len(bounds) - 1 and self.tail and not reverse:
                now, after = whole, None
            else:
                now, after = self._apart(whole, rows)
            self.equations.append(now)
            made = dict(zip(rows, whole.outputs[count:], strict=True))
            for row, part in made.items():
                self.parts[row, number] = part
                if after is not None and row in self.stacks:
                    self.later[row, number] = after
            carry = list(now.outputs[:count])
        self.env.update(zip(scan.outputs[:count], carry, strict=True))
        for row in rows:
            if row not in self.stacks:
                parts = tuple([self.parts[row, k] for k in numbers])
                self.equations.append(Equation(concatenate, parts, {"axis": 0}, (row,), line))

    def _piece(self, scan: Equation, inputs: list, length: int, body: Program) -> Equation:
        count = scan.params["carries"]
        types = [*body.out_types[:count], *(stacked(t, length) for t in body.out_types[count:])]
        outputs = tuple([Var(t, v.name) for t, v in zip(types, scan.outputs, strict=True)])
        params = {**scan.params, "body": body, "length": length}
        return Equation(scan_op, tuple(inputs), params, outputs, scan.line)

    def _apart(self, whole: Equation, rows) -> tuple[Equation, Equation | None]:
        """The run for the carries and what others read, and the later run for the stacks."""
        count, body = whole.params["carries"], whole.params["body"]
        early = [row not in self.stacks for row in rows]
        if all(early):
            return whole, None
        outputs = [*body.outputs[:count]]
        outputs += [o for o, e in zip(body.outputs[count:], early, strict=True) if e]
        first = remove_dead(with_outputs(body, outputs))
        kept = whole.outputs[:count]
        given = [v for v, e in zip(whole.outputs[count:], early, strict=True) if e]
        now = Equation(
            scan_op, whole.inputs, {**whole.params, "body": first}, (*kept, *given), whole.line
        )
        stacks = [o for o, e in zip(body.outputs[count:], early, strict=True) if not e]
        made = [v for v, e in zip(whole.outputs[count:], early, strict=True) if not e]
        second = remove_dead(with_outputs(body, [*body.outputs[:count], *stacks]))
        ends = [Var(v.type, v.name) for v in kept]
        after = Equation(
            scan_op, whole.inputs, {**whole.params, "body": second}, (*ends, *made), whole.line
        )
        return now, after

    def _part(self, x: Operand, number: int, bounds, line) -> Operand:
        """What a stretch reads of an array along the steps."""
        found = self.parts.get((x, number))
        if found is not None:
            after = self.later.get((x, number))
            if after is not None:
                self.equations.append(after)
                self.later = {k: e for k, e in self.later.items() if e is not after}
            return found
        x = self.env.get(x, x)
        if x.is_literal:
            return x
        first, last = bounds[number]
        at = ((first, last, 1), *((0, n, 1) for n in x.type.shape[1:]))
        part = Var(x.type.with_shape((last - first, *x.type.shape[1:])), x.name)
        self.equations.append(Equation(index, (x,), {"at": at}, (part,), line))
        return part
