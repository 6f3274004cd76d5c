"""What a program's text may look like: which values are written inside the line that uses them.

A value used once may stand inside the expression that uses it, unless memory that it reads is
overwritten in between. Which memory is overwritten, and which views must be copied for that, is the
reference evaluator's own plan, so the printed source does what the evaluator does.
"""

from __future__ import annotations

from bisect import bisect_right

from chainrule.program.evaluate import Memory, light_broadcasts
from chainrule.program.liveness import last_uses
from chainrule.program.op import Structural
from chainrule.program.program import Equation, Program, Var
from chainrule.show.variables import Names


class Reading:
    """The facts about a closed program that printing it needs."""

    def __init__(self, program: Program, donated: tuple[int, ...], names: Names):
        self.program, self.names = program, names
        self.uses = last_uses(program)
        self.memory = Memory(program, self.uses, donated)
        self.light = light_broadcasts(program, self.memory)
        self.updated = self._updated_in_place()
        self.inside: set[int] = set()  # equations that may be written inside another line
        self.last_read: dict[Var, int] = {}  # where the text of a variable is read last
        self._overwrites = self._overwrites_by_root()
        self._decide()

    def _updated_in_place(self) -> dict[Var, Var]:
        """For each variable that lives in memory updated in place: the first to live there."""
        first: dict[Var, Var] = {}
        for number in sorted(self.memory.in_place):
            equation = self.program.equations[number]
            target, out = equation.inputs[0], equation.outputs[0]
            first[out] = first.setdefault(target, target)
        return first

    def names_of_memory(self) -> dict[Var, Var]:
        """For each first variable of updated memory: the one whose name the memory is given."""
        named: dict[Var, Var] = {}
        for var, first in self.updated.items():
            if first not in named or self.names.keeps_statement(var):
                named[first] = var
        return named

    def _overwrites_by_root(self) -> dict[object, list[int]]:
        found: dict[object, list[int]] = {}
        for number in sorted(self.memory.in_place):
            out = self.program.equations[number].outputs[0]
            found.setdefault(self.memory.root[out], []).append(number)
        return found

    def _decide(self) -> None:
        """From the last equation to the first: where each is evaluated, and so what it reads."""
        equations = self.program.equations
        readers = self._readers()
        end = len(equations)
        place = list(range(end))
        for number in range(end - 1, -1, -1):
            equation = equations[number]
            if self._may_be_inside(number, equation, readers):
                later = max(place[r] if r < end else end for r in readers[equation.outputs[0]])
                if not self._overwritten_between(equation, number, later):
                    self.inside.add(number)
                    place[number] = later
            for x in equation.inputs:
                if not x.is_literal:
                    self.last_read[x] = max(self.last_read.get(x, -1), place[number])
        for x in self.program.outputs:
            if not x.is_literal:
                self.last_read[x] = end

    def _readers(self) -> dict[Var, list[int]]:
        readers: dict[Var, list[int]] = {}
        for number, equation in enumerate(self.program.equations):
            for x in equation.inputs:
                if not x.is_literal:
                    readers.setdefault(x, []).append(number)
        for x in self.program.outputs:
            if not x.is_literal:
                readers.setdefault(x, []).append(len(self.program.equations))
        return readers

    def _may_be_inside(self, number: int, equation: Equation, readers) -> bool:
        out = equation.outputs[0]
        found = readers.get(out, [])
        if equation.op.name == "broadcast" and equation.inputs[0].is_literal:
            if all(reader == len(self.program.equations) for reader in found):
                return True  # an output: written as an array filled with the number
        if equation in self.light:
            return self._has_line(equation.inputs[0], readers) or len(found) == 1
        if len(equation.outputs) != 1 or len(found) != 1 or out in self.updated:
            return False
        if equation.op.in_place is not None or number in self.memory.copied:
            return False
        if isinstance(equation.op.derivative, Structural) or self._keeps_statement(equation):
            return False
        reader = found[0]
        equations = self.program.equations
        if reader == len(equations):
            return True
        if not isinstance(equations[reader].op.derivative, Structural):
            return True
        return equations[reader].op.name == "cond" and equations[reader].inputs[0] is out

    def _keeps_statement(self, equation: Equation) -> bool:
        out = equation.outputs[0]
        if equation.op.name == "broadcast" and getattr(out.name, "temporary", False):
            return False
        return self.names.keeps_statement(out, minor=equation.op.name == "index")

    def _has_line(self, var, readers) -> bool:
        """Whether a variable surely has a line of its own, or is an input."""
        if var not in self.memory.made or self.names.keeps_statement(var):
            return True
        return len(readers.get(var, [])) > 1

    def _overwritten_between(self, equation: Equation, start: int, stop: int) -> bool:
        for x in equation.inputs:
            if x.is_literal:
                continue
            overwrites = self._overwrites.get(self.memory.root.get(x), [])
            place = bisect_right(overwrites, start)
            if place < len(overwrites) and overwrites[place] < stop:
                return True
        return False
