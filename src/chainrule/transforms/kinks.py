"""Seeing through derivatives: a program whose inner derivatives are equations of their own.

A derivative that is taken inside another trace is recorded as one equation, `germ`, which settles
ties when it is run (see chainrule.kinked). Where the program that holds it is differentiated in
turn, the whole is settled at once, along one germ of all its inputs; so the equation is replaced by
its program. What an inner derivative is taken by may not move in the outer program:

    grad(lambda y: y * grad(relu)(0.0))

There a new input is added, which is zero and moves: relu is read at 0.0 + z.
"""

from __future__ import annotations

from collections.abc import Callable, Iterator
from dataclasses import dataclass, field
from itertools import islice

from chainrule.ops.compare import logical_and, logical_not
from chainrule.ops.elementwise import add
from chainrule.ops.refuse import refuse
from chainrule.ops.select import select
from chainrule.ops.shape import broadcast
from chainrule.program.liveness import remove_dead
from chainrule.program.program import Equation, Operand, Program, Var, map_subprograms
from chainrule.program.trace import Builder, as_operand, inline
from chainrule.program.types import Type
from chainrule.transforms.settling import WAYS, settling
from chainrule.transforms.ties import moving_outputs, watched


@dataclass
class SeenThrough:
    """A program without `germ` equations: its new inputs come last, and are zero.

    `settled` marks the outputs that hold an inner derivative, which a tie changes.
    """

    program: Program
    zeros: list[Var] = field(default_factory=list)
    settled: tuple[bool, ...] = ()
    first: bool = True  # no derivative inside: what is derived from it is a first one

    def active(self, mask: tuple[bool, ...], zeros: bool = False) -> tuple[bool, ...]:
        """The mask of the program's inputs, with the zeros marked or not."""
        return (*mask, *(zeros for _ in self.zeros))


def see_through(program: Program, active: tuple[bool, ...]) -> SeenThrough:
    """The program with the programs of its `germ` equations in their place."""
    if not holds_germs(program):
        return SeenThrough(program, [], (False,) * len(program.outputs))
    sight = _Sight(displaces=True)
    moves = {v for v, m in zip(program.inputs, active, strict=True) if m and v.type.inexact}
    made = sight.opened(program, moves)
    settled = tuple([not o.is_literal and o in sight.settled for o in program.outputs])
    return SeenThrough(_with_inputs(made, sight.zeros), sight.zeros, settled, False)


def holds_germs(program: Program) -> bool:
    """Whether a `germ` equation is in the program or in a sub-program."""
    return any(
        e.op.name == "germ"
        or (bool(e.params) and any(holds_germs(p) for p in _subprograms(e)))
        for e in program.equations
    )


def inlined(program: Program) -> Program:
    """The program with the programs of its `germ` equations in their place, and no new inputs."""
    if not holds_germs(program):
        return program
    return _Sight(displaces=False).opened(program, set())


def _decided_early(program: Program, count: int) -> Program:
    """The program with what its further outputs are computed from before everything else."""
    for output in reversed(program.outputs[count:]):
        program = _computed_first(program, output)
    return program


def _computed_first(program: Program, output: Operand) -> Program:
    needed: set[Operand] = {output}
    first: list[Equation] = []
    for e in reversed(program.equations):
        if any(v in needed for v in e.outputs):
            first.append(e)
            needed.update(e.inputs)
    early = set(map(id, first))
    rest = [e for e in program.equations if id(e) not in early]
    return Program(program.inputs, [*first[::-1], *rest], program.outputs, name=program.name)


def _subprograms(equation: Equation) -> list[Program]:
    found: list[Program] = []

    def note(program: Program) -> Program:
        found.append(program)
        return program

    map_subprograms(equation, note)
    return found


def _with_inputs(program: Program, more: list[Var]) -> Program:
    return Program(
        [*program.inputs, *more], program.equations, program.outputs, name=program.name
    )


def guarded(program: Program) -> Program:
    """The program as it is compiled: it is given up where a derivative in it meets a tie."""
    if not holds_germs(program):
        return program
    return _Sight(guard=_watching).opened(program, set())


def settled(program: Program, stage: int) -> Program:
    """The program as it is compiled once it has met a tie: given up where one is left open; and, if
    it `says_unmet`, where there is none.

    In each stage one more of the ways to settle a tie is tried, where those before have left it
    open (transforms/settling.py).
    """
    alone = says_unmet(program)

    def guard(program: Program, moving, **params) -> Program | None:
        ways = list(islice(_ways_to_settle(program, moving, **params), stage))
        return _settled_by(ways, alone) if ways else watched(program, moving)

    return _Sight(guard=guard).opened(program, set())


def goes_on(program: Program, stage: int) -> bool:
    """Whether there is a way to settle a tie that the ways of a stage leave open."""
    for e in program.equations:
        if e.op.name == "germ" and any(islice(_ways_to_settle(**e.params), stage, None)):
            return True
        if e.params and any(goes_on(p, stage) for p in _subprograms(e)):
            return True
    return False


def _watching(program: Program, moving, settled, kinks: str, first: bool) -> Program | None:
    return watched(program, moving)


def says_unmet(program: Program) -> bool:
    """Whether `settled` gives the program up where it meets no tie, too: where all of it stands on
    one derivative. Of several, one may meet a tie where another meets none."""
    found = [e for e in program.equations if e.op.name == "germ"]
    alone = len(found) == 1 and not any(
        holds_germs(p) for e in program.equations if e.params for p in _subprograms(e)
    )
    return alone and any(_ways_to_settle(**found[0].params))


def _ways_to_settle(
    program: Program, moving, settled, kinks: str, first: bool
) -> Iterator[Program]:
    """The settled programs that there are, one after the other."""
    for way in WAYS if kinks != "raise" else ():
        made = settling(program, moving, settled, first, way)
        if made is not None:
            yield made


def _settled_by(ways: list[Program], alone: bool) -> Program:
    """The outputs by the first of some ways that leaves no tie open, and what it is given up for.

    Where the derivative stands `alone`, the last way serves, and only what the others left open.
    """
    with Builder(ways[-1].name, reuse=True) as builder:
        builder.lines_from_user = False
        inputs = [builder.input(v.type, v.name) for v in ways[-1].inputs]
        found = [inline(way, inputs) for way in ways]
        *outputs, open_, wild, unmet = found.pop()
        flags = [unmet] if alone else []
        for *others, left, infinite, _ in reversed(found):
            if alone:
                flags.append(logical_not(left))
                continue
            outputs = [
                _chosen(left, b, a, v.type)
                for a, b, v in zip(others, outputs, ways[-1].outputs, strict=False)
            ]
            open_, wild = logical_and(left, open_), select(left, wild, infinite)
        made = builder.finish([as_operand(builder, v) for v in [*outputs, *flags, open_, wild]])
    return remove_dead(made)


def _chosen(condition, x, y, type_: Type):
    if type_.ndim:
        condition = broadcast(condition, shape=type_.shape, axes=())
    return select(condition, x, y)


class _Sight:
    """The walk through one program: what moves, what is settled, and the zeros that were added."""

    def __init__(self, displaces: bool = False, guard: Callable | None = None) -> None:
        self.displaces, self.guard = displaces, guard
        self.zeros: list[Var] = []
        self.settled: set[Operand] = set()

    def opened(self, program: Program, moves: set) -> Program:
        env: dict[Operand, Operand] = {}
        equations: list[Equation] = []
        for e in program.equations:
            if e.op.name == "germ":
                self._open(e, env, equations, moves)
                continue
            inner = bool(e.params) and any(holds_germs(p) for p in _subprograms(e))
            inputs = tuple([env.get(x, x) for x in e.inputs])
            params = e.params
            if inner:
                params = map_subprograms(e, self._inside)
                self.settled.update(e.outputs)
            if any(x in self.settled for x in e.inputs):
                self.settled.update(e.outputs)
            equations.append(Equation(e.op, inputs, params, e.outputs, e.line))
            marks = moving_outputs(e, moves)
            moves.update([v for v, m in zip(e.outputs, marks, strict=True) if m])
        return Program(
            program.inputs, equations, [env.get(o, o) for o in program.outputs],
            program.captured, program.captured_values, program.name,
        )  # fmt: skip

    def _inside(self, program: Program) -> Program:
        """A sub-program; what would be a zero there is left out."""
        return _Sight(guard=self.guard).opened(program, set()) if holds_germs(program) else program

    def _open(self, e: Equation, env: dict, equations: list[Equation], moves: set) -> None:
        program, by = e.params["program"], e.params["moving"]
        if self.guard is not None:
            program = _decided_early(self.guard(**e.params) or program, len(e.outputs))
        operands: list[Operand] = []
        for x, m in zip(e.inputs, by, strict=True):
            given = env.get(x, x)
            if m and self.displaces and not (not x.is_literal and x in moves):
                zero, read = Var(x.type), Var(x.type)
                self.zeros.append(zero)
                equations.append(Equation(add, (given, zero), {}, (read,), e.line))
                given = read
            operands.append(given)
        inside: dict[Operand, Operand] = dict(zip(program.inputs, operands, strict=True))
        ends = program.outputs[len(e.outputs) :]
        for inner in program.equations:
            inputs = tuple([inside.get(x, x) for x in inner.inputs])
            outputs = tuple([Var(v.type, v.name) for v in inner.outputs])
            inside.update(zip(inner.outputs, outputs, strict=True))
            line = inner.line or e.line
            equations.append(Equation(inner.op, inputs, inner.params, outputs, line))
            for end in ends:
                if end in inner.outputs:
                    given = (inside[end],)
                    equations.append(Equation(refuse, given, {}, (Var(end.type),), e.line))
        for var, out, changes in zip(
            e.outputs, program.outputs, e.params["settled"], strict=False
        ):
            env[var] = inside.get(out, out)
            if var.type.inexact:
                moves.add(var)
            if changes or any(x in self.settled for x in e.inputs):
                self.settled.add(var)
