"""A program in another order, with equations that are run more than once: what memory plans are.

`Work` is a program as a plan sees it. Its nodes are the equations that make arrays, by number, and
its values these arrays; views are made again where they are read, at no cost. An `order` is a list
of nodes, in which a node may stand several times: each time its arrays are made anew, readers take
the latest ones, and every array lives from where it is made to its last reader. `ordered` writes an
order as a program.

A repeated equation on the very operands of the first run reads one of them through a barrier, so
that nothing merges the two. The barrier's token is (a number of its own, the budget or 0).
"""

from __future__ import annotations

from collections.abc import Container, Iterable, Iterator, Sequence
from itertools import count

from chainrule.ops.select import barrier
from chainrule.program.cost import cost_of, subprograms
from chainrule.program.evaluate import is_view
from chainrule.program.program import Equation, Operand, Program, Var

_serials = count()


class Work:
    """A program as nodes and values, by number: `reads` of a node are values, as `results` are.

    Results are the outputs, and what operations give that are run though nobody reads it (refuse).
    """

    def __init__(self, program: Program):
        self.program = program
        self.equations: list[Equation] = []
        self.view_of: dict[Var, Equation] = {}
        self.value_of: dict[Var, int] = {}
        self.maker: list[int] = []  # of each value, the node
        self.size: list[int] = []  # of each value, bytes
        self.makes: list[range] = []  # of each node, its values
        self.reads: list[tuple[int, ...]] = []
        for equation in program.equations:
            if is_view(equation):
                self.view_of[equation.outputs[0]] = equation
            else:
                self._add(equation)
        self.count = len(self.equations)
        self.cost = [cost_of(e) for e in self.equations]
        kept = [v for e in self.equations if e.op.kept for v in e.outputs]
        self.results = frozenset(self.values([*program.outputs, *kept]))

    def _add(self, equation: Equation) -> None:
        start = len(self.size)
        self.reads.append(self.values(equation.inputs))
        for var in equation.outputs:
            self.value_of[var] = len(self.size)
            self.maker.append(len(self.equations))
            self.size.append(var.type.nbytes)
        self.makes.append(range(start, len(self.size)))
        self.equations.append(equation)

    def base(self, x: Operand) -> Operand:
        """What an operand is a view of; itself where it is none."""
        while not x.is_literal and x in self.view_of:
            x = self.view_of[x].inputs[0]
        return x

    def values(self, operands: Iterable[Operand]) -> tuple[int, ...]:
        """The values that operands are, or are views of; each once."""
        bases = [self.base(x) for x in operands]
        found = [self.value_of[x] for x in bases if not x.is_literal and x in self.value_of]
        return tuple(dict.fromkeys(found))

    def closure(self, values: Iterable[int], have: Container[int]) -> list[int]:
        """The nodes that make these values and what they need that is not there, in the order of
        the program."""
        missing: set[int] = set()
        pending = [v for v in values if v not in have]
        while pending:
            node = self.maker[pending.pop()]
            if node not in missing:
                missing.add(node)
                pending += [v for v in self.reads[node] if v not in have]
        return sorted(missing)

    def run(self, node: int, have: Container[int]) -> list[int]:
        """A node, and before it the nodes that make what it needs and that is not there."""
        return [*self.closure(self.reads[node], have), node]

    def made_by(self, nodes: Iterable[int]) -> list[int]:
        """The values that nodes make."""
        return [v for node in nodes for v in self.makes[node]]

    def readers(self) -> list[list[int]]:
        """For each value, the nodes that read it, in order."""
        found: list[list[int]] = [[] for _ in self.size]
        for node, reads in enumerate(self.reads):
            for value in reads:
                found[value].append(node)
        return found

    def cost_of(self, order: Iterable[int]) -> int:
        """The predicted cost of running an order."""
        return sum(self.cost[node] for node in order)


def for_budget(value, memory: int):
    """A value of the current trace, marked: what is computed from it is for a budget of bytes."""
    return barrier(value, token=(next(_serials), memory))


def recomputes(program: Program) -> bool:
    """Whether some of a program, or of its sub-programs, has been ordered to be run again."""
    return any(True for _ in _budgets(program))


def budget_of(program: Program) -> int | None:
    """The most bytes that a derivative in a program has been given; None where none has."""
    return max((b for b in _budgets(program) if b is not None), default=None)


def _budgets(program: Program) -> Iterator[int | None]:
    for e in program.equations:
        if e.op is barrier and isinstance(e.params["token"], tuple):
            yield e.params["token"][1] or None
        for _, inner in subprograms(e):
            yield from _budgets(inner)


def ordered(work: Work, order: Sequence[int], memory: int | None = None) -> Program:
    """The program that runs the nodes of an order, one after the other, for a budget of bytes."""
    return _Writing(work, memory).write(order)


class _Writing:
    """A program being written; `latest` is what stands for each variable by now."""

    def __init__(self, work: Work, memory: int | None):
        self.work = work
        self.token = next(_serials), memory or 0
        self.equations: list[Equation] = []
        self.latest: dict[Operand, Operand] = {}
        self.views: dict[Var, tuple[Operand, ...]] = {}  # the operands that a view was made of
        self.seen: dict[int, set[tuple]] = {}

    def write(self, order: Sequence[int]) -> Program:
        for node in order:
            self._run(node)
        outputs = [self._operand(o) for o in self.work.program.outputs]
        p = self.work.program
        return Program(
            p.inputs, self.equations, outputs, p.captured, p.captured_values, p.name
        )

    def _run(self, node: int) -> None:
        equation = self.work.equations[node]
        inputs = tuple([self._operand(x) for x in equation.inputs])
        seen = self.seen.setdefault(node, set())
        if inputs in seen:
            inputs = self._apart(inputs, equation)
        again = bool(seen)
        seen.add(inputs)
        self._append(equation, inputs, again)

    def _append(self, equation: Equation, inputs: tuple, again: bool) -> None:
        outputs = equation.outputs
        if again:
            outputs = tuple([Var(v.type, v.name) for v in outputs])
        if again or inputs != equation.inputs:
            made = Equation(equation.op, inputs, equation.params, outputs, equation.line)
        else:
            made = equation
        self.equations.append(made)
        self.latest.update(zip(equation.outputs, outputs, strict=True))

    def _apart(self, inputs: tuple, equation: Equation) -> tuple:
        """The operands, one of them behind a barrier."""
        plain = [i for i, x in enumerate(equation.inputs) if x not in self.work.view_of]
        for i in [*plain, *range(len(inputs))]:  # a broadcast behind a barrier is written out
            x = inputs[i]
            if not x.is_literal:
                out = Var(x.type, x.name)
                self.token = next(_serials), self.token[1]
                params = {"token": self.token}
                self.equations.append(Equation(barrier, (x,), params, (out,), equation.line))
                return (*inputs[:i], out, *inputs[i + 1 :])
        return inputs

    def _operand(self, x: Operand) -> Operand:
        """What stands for an operand by now; a view is made again where its array is a new one."""
        chain: list[Equation] = []
        base = x
        while not base.is_literal and base in self.work.view_of:
            chain.append(self.work.view_of[base])
            base = chain[-1].inputs[0]
        for view in reversed(chain):
            self._view(view)
        return self.latest.get(x, x)

    def _view(self, view: Equation) -> None:
        out = view.outputs[0]
        inputs = tuple([self.latest.get(x, x) for x in view.inputs])
        before = self.views.get(out)
        if before != inputs:
            self.views[out] = inputs
            self._append(view, inputs, before is not None)
