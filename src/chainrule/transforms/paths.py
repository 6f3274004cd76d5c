"""Paths: what a function does sample by sample, where its Python branches depend on draws.

Samples that take the same way through the function share one straight program. Where the function
asks for the value of a draw (an `if`, a bound of `range`, an index), the ways part: a tree, whose
nodes hold the equations between two such questions. A way that no sample has taken yet is traced
when the first one comes to it. Without questions there is one way, and one program for all.
"""

from __future__ import annotations

from collections.abc import Callable
from typing import Any

import numpy as np

from chainrule.program.at_hand import AtHand
from chainrule.program.program import Equation, Operand, Program, Var
from chainrule.program.types import array_type
from chainrule.transforms.kinks import inlined
from chainrule.transforms.lanes import Lanes

FIRST = 256  # samples that the first way is chosen by
_NONE = np.zeros((0, 2), np.uint64)
STATE = array_type((2,), np.dtype(np.uint64))


class Node:
    """The equations up to the next question (`asked`), or up to the end (`outputs`)."""

    def __init__(self, parent: Node | None = None, answer=None):
        self.parent, self.answer = parent, answer
        self.equations: list[Equation] | None = None  # None: not traced yet
        self.recorded: list[tuple] = []  # (operation, inputs, outputs) of the equations traced
        self.asked: Operand | None = None
        self.children: dict[Any, Node] = {}
        self.outputs: list[Operand] = []
        self._needs: list[Var] | None = None
        self._program: Program | None = None

    def way(self) -> list[Node]:
        """The nodes from the root to this one."""
        return [*(self.parent.way() if self.parent else ()), self]

    def needs(self, known) -> list[Var]:
        """The inputs of the function, those of `known`, that the node itself uses once traced."""
        if self._needs is None:
            used = [x for e in self.equations or () for x in e.inputs]
            used += [*self.outputs, *(() if self.asked is None else (self.asked,))]
            self._needs = list(dict.fromkeys(x for x in used if not x.is_literal and x in known))
        return self._needs

    def program(self, known) -> Program:
        """The straight program of a way that ends here, of the inputs that it uses; what only
        answers questions is kept."""
        if self._program is None:
            way = self.way()
            inputs = dict.fromkeys(x for node in way for x in node.needs(known))
            equations = [e for node in way for e in node.equations or ()]
            self._program = Program(list(inputs), equations, self.outputs)
        return self._program


class Group:
    """Samples that took the same way: their numbers (places in what was asked for), and values."""

    def __init__(self, places: np.ndarray, node: Node, lanes: Lanes, program: Program):
        self.places, self.node, self.lanes, self.program = places, node, lanes, program


class Paths:
    """A function of random numbers, ready to be run on many samples.

    `tracer(recording)` traces the function with the values at hand that the recording gives; it
    returns the closed program, the (host, value) of its captured inputs, and how many of its
    outputs are results. `states` gives the random states of numbered samples, for the state of a
    generator. `arguments` and `values` are the leaves of the arguments, and their values.
    """

    def __init__(self, tracer: Callable | None, states: Callable, arguments=(), values=()):
        self.arguments, self.values = list(arguments), list(values)
        self.root = Node()
        self.inputs: dict[Any, Var] = {}  # by the identity of what they stand for
        self.hosts: dict[Var, Any] = {}
        self.known: dict[Var, Any] = {}  # their values
        self.generators: set[Var] = set()
        self._tracer, self._states = tracer, states
        self._tables: dict[Var, tuple[int, np.ndarray]] = {}  # (first number, states)

    @staticmethod
    def of_program(program: Program, values: list, generators: set[int], states: Callable) -> Paths:
        """The one way of a program whose values are known."""
        made = Paths(None, states)
        for number, (var, value) in enumerate(zip(program.inputs, values, strict=True)):
            made.enter(number, var, value, value, number in generators)
        made.root.equations, made.root.outputs = program.equations, list(program.outputs)
        return made

    def enter(self, key, var: Var, host, value, is_generator: bool) -> None:
        """Note an input of the function."""
        self.inputs[key], self.hosts[var], self.known[var] = var, host, value
        if is_generator:
            self.generators.add(var)

    def prepare(self, samples: int) -> None:
        """Trace the first way, that of most of the first samples."""
        if self.root.equations is None:
            numbers = np.arange(min(samples, FIRST))
            lanes = Lanes(len(numbers))
            self._trace(self.root, lanes, numbers)

    def run(
        self, numbers: np.ndarray, replaced: dict[int, np.ndarray] | None = None, before=None
    ) -> list[Group]:
        """Run the samples with these numbers: a Group for each way that some of them take.

        `replaced` gives values to use in place of draws, one row for each sample, and `before` the
        lanes in which the same samples have been run without.
        """
        lanes = Lanes(len(numbers), replaced, before)
        groups: list[Group] = []
        pending = [(self.root, lanes, np.arange(len(numbers)))]
        while pending:
            node, lanes, places = pending.pop()
            if node.equations is None:
                self._trace(node, lanes, numbers[places])
            assert node.equations is not None
            for var in node.needs(self.known):
                self.enter_into(lanes, var, numbers[places])
            lanes.run(node.equations)
            if node.asked is None:
                groups.append(Group(places, node, lanes, node.program(self.known)))
                continue
            answers = lanes.value(node.asked)
            ways = _parted(answers)
            for key, which in ways:
                child = node.children.get(key)
                if child is None:
                    child = node.children[key] = Node(node, answers[which[0]])
                own = lanes if len(ways) == 1 else lanes.part(which)
                pending.append((child, own, places if len(ways) == 1 else places[which]))
        return groups

    def enter_into(self, lanes: Lanes, var: Var, numbers) -> None:
        """Give lanes the value of an input, for the samples with these numbers."""
        if not lanes.has(var):
            value, is_generator = self.known[var], var in self.generators
            lanes.enter(var, self._states_of(var, value, numbers) if is_generator else value,
                        is_generator)  # fmt: skip

    def _states_of(self, var: Var, value, numbers: np.ndarray) -> np.ndarray:
        """The states of numbered samples. Those of the latest range are kept: estimates run the
        same samples again and again, a few of them each time."""
        if not len(numbers):
            return self._states(value, numbers)
        low, high = int(numbers.min()), int(numbers.max()) + 1
        first, table = self._tables.get(var, (low, _NONE))
        if low < first or high > first + len(table):
            if high - low > 2 * len(numbers):
                return self._states(value, numbers)  # scattered
            first, table = self._tables[var] = low, self._states(value, np.arange(low, high))
        return table[numbers - first]

    def _trace(self, node: Node, lanes: Lanes, numbers) -> None:
        assert self._tracer is not None
        recording = Recording(self, node, lanes.part(np.arange(lanes.size)), numbers)
        recording.finish(*self._tracer(recording))


def _parted(answers: np.ndarray):
    """The different answers, each with the places of the samples that give it."""
    flat = np.ascontiguousarray(answers).reshape(len(answers), -1)
    if len(flat) and (flat == flat[0]).all():
        return [(flat[0].tobytes(), np.arange(len(answers)))]
    if not flat.shape[1]:
        return [(b"", np.arange(len(answers)))]
    _, first, inverse = np.unique(flat, axis=0, return_index=True, return_inverse=True)
    return [
        (flat[k].tobytes(), np.flatnonzero(inverse.reshape(-1) == i)) for i, k in enumerate(first)
    ]


class Recording(AtHand):
    """Values at hand while a new way is traced: those of the samples that come that way.

    The equations that the trace records are matched with those of the known part of the way, and
    rewritten on its variables; from the node on, they are new, and each new question takes the
    answer of most samples.
    """

    unrolls = True

    def __init__(self, paths: Paths, node: Node, lanes: Lanes, numbers: np.ndarray):
        super().__init__()
        self.paths, self.lanes, self._samples = paths, lanes, numbers
        way = node.way()
        self._node = node
        self._old = [record for n in way[:-1] for record in n.recorded]
        self._answers = [n.answer for n in way[1:]]
        self._mine: dict[Any, Any] = {}  # variable of the trace -> of the tree
        self._done = 0
        self._run_to = 0
        node.equations = []

    def inside(self) -> AtHand:
        return AtHand()

    def has(self, builder, wanted) -> bool:
        return self.value(builder, wanted) is not None

    def value(self, builder, wanted):
        if wanted.is_literal:
            return wanted.value
        if wanted in self.known:
            return self.known[wanted]
        self._absorb(builder.equations, lambda var: self._origin(builder, var))
        var = self._mapped(wanted, lambda var: self._origin(builder, var))
        self._run()
        self.lanes.has(var)
        if var not in self.lanes.batched:
            found = self.lanes.values[var]
        elif var.type.inexact:
            return None  # each sample has another one
        elif self._answers:
            found = self._answers.pop(0)
        else:
            found = self._new_answer(var)
        self.known[wanted] = found
        return found

    def _new_answer(self, var):
        answers = self.lanes.value(var)
        key, which = max(_parted(answers), key=lambda pair: len(pair[1]))
        self._node.asked = var
        self._node.children[key] = Node(self._node, answers[which[0]])
        self._node = self._node.children[key]
        self._node.equations = []
        self._run_to = 0
        self.lanes, self._samples = self.lanes.part(which), self._samples[which]
        return answers[which[0]]

    def _origin(self, builder, var):
        """What an input of the trace stands for: (key, host, value)."""
        for captured, host, _ in builder.captured:
            if captured is var:
                return ("captured", id(host)), host, self._value_of_input(builder, var)
        place = builder.inputs.index(var)
        return ("argument", place), self.paths.arguments[place], self.paths.values[place]

    def _absorb(self, equations, origin) -> None:
        """Take in the equations that have been recorded since."""
        for equation in equations[self._done :]:
            if self._done < len(self._old):
                op, inputs, outputs = self._old[self._done]
                assert op is equation.op, "the function takes another way for the same draws"
                self._mine.update(zip(equation.inputs, inputs, strict=True))
            else:
                inputs = tuple([self._mapped(x, origin) for x in equation.inputs])
                outputs = self._add(equation, inputs)
            self._mine.update(zip(equation.outputs, outputs, strict=True))
            self._done += 1

    def _add(self, equation: Equation, inputs: tuple) -> tuple:
        """A new equation of the node, derivatives in it being opened; its outputs."""
        outputs: tuple = tuple([Var(v.type, v.name) for v in equation.outputs])
        new = Equation(equation.op, inputs, equation.params, outputs, equation.line)
        given = [x for x in inputs if not x.is_literal]
        opened = inlined(Program(given, [new], outputs))
        assert self._node.equations is not None
        self._node.equations += opened.equations
        self._node.recorded.append((equation.op, inputs, opened.outputs))
        return opened.outputs

    def _mapped(self, var, origin):
        if var.is_literal:
            return var
        if var not in self._mine:
            key, host, value = origin(var)
            if key not in self.paths.inputs:
                self.paths.enter(key, Var(var.type, var.name), host, value, var.type is STATE)
            self._mine[var] = self.paths.inputs[key]
            self.paths.enter_into(self.lanes, self._mine[var], self._samples)
        return self._mine[var]

    def _run(self) -> None:
        assert self._node.equations is not None
        self.lanes.run(self._node.equations[self._run_to :])
        self._run_to = len(self._node.equations)

    def finish(self, program: Program, captured: list, count: int) -> None:
        """The trace has ended: its first `count` outputs are the function's results."""
        places = {v: i for i, v in enumerate(program.inputs)}
        leading = len(captured)

        def origin(var):
            place = places[var]
            if place < leading:
                host, value = captured[place]
                return ("captured", id(host)), host, value
            place -= leading
            return ("argument", place), self.paths.arguments[place], self.paths.values[place]

        self._absorb(program.equations, origin)
        self._node.outputs = [self._mapped(o, origin) for o in program.outputs[:count]]
