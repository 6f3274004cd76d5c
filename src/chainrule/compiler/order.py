"""The order in which a program's equations are scheduled.

Anchors (products, reductions, loops, writes, ...) keep their order. Elementwise operations and
views come just before the first anchor that needs them, so a derivative's partials are worked out
where they are used, beside the cotangent, and not stored from the forward pass. What only outputs
need (parameter updates) comes as soon as everything it needs is there, and the last anchor that
still reads an input which it overwrites is done. What gives the call up (`refuse`, where a tie is
met) comes as early as it can be decided: what is written afterwards is written in place.
"""

from __future__ import annotations

from collections.abc import Iterable

from chainrule.compiler.layout import STATIC_VIEWS
from chainrule.program.program import Equation, Program, Var


def is_anchor(equation: Equation) -> bool:
    """Whether an equation keeps its place."""
    if equation.op.elementwise:
        return False
    return equation.op.name not in STATIC_VIEWS or _reads_by_index(equation)


def _reads_by_index(equation: Equation) -> bool:
    return equation.op.name == "index" and len(equation.inputs) > 1


class _Ordering:
    def __init__(self, program: Program, written: dict[int, int]):
        self.program, self.written = program, written
        self.equations = program.equations
        self.maker = {v: i for i, e in enumerate(self.equations) for v in e.outputs}
        self.latest = self._latest_anchor()
        self.anchors = self._in_order()
        self.out: list[list[Equation]] = []
        self.done: set[int] = set()

    def _in_order(self) -> list[int]:
        """The anchors in program order; what gives the call up, as soon as it can be decided."""
        found = [i for i, e in enumerate(self.equations) if is_anchor(e)]

        def place(i: int) -> tuple[int, int]:
            if self.equations[i].op.name != "refuse":
                return i, 0
            needed = self._makers(self.equations[i].inputs)
            return max((self.latest[m] for m in needed), default=-1), 1

        return sorted(found, key=place)

    def ordered(self) -> list[list[Equation]]:
        due = self._outputs_due()
        for output in due.get(-1, ()):
            self._emit(output)
        for anchor in self.anchors:
            self._emit(anchor)
            for output in due.get(anchor, ()):
                self._emit(output)
        return self.out

    def _emit(self, wanted: int) -> None:
        """The equation, and before it those it needs that are not done, in program order."""
        needed, pending = [], [wanted]
        while pending:
            number = pending.pop()
            if number in self.done:
                continue
            self.done.add(number)
            needed.append(number)
            pending += self._makers(self.equations[number].inputs)
        if needed:
            self.out.append([self.equations[i] for i in sorted(needed)])

    def _makers(self, operands) -> Iterable[int]:
        return [self.maker[x] for x in operands if not x.is_literal and x in self.maker]

    def _outputs_due(self) -> dict[int, list[int]]:
        """For each anchor, the equations of outputs that can follow it."""
        latest = self.latest
        readers = self._last_readers()
        together: dict[tuple, list[tuple[int, int]]] = {}  # of one shape, after one anchor
        for k, var in enumerate(self.program.outputs):
            if var.is_literal or var not in self.maker:
                continue
            number = self.maker[var]
            when = latest[number]
            if k in self.written:
                when = max(when, readers.get(self.program.inputs[self.written[k]], -1))
            together.setdefault((latest[number], var.type.shape), []).append((number, when))
        due: dict[int, list[int]] = {}
        for outputs in together.values():
            when = max([w for _, w in outputs])
            due.setdefault(when, []).extend([number for number, _ in outputs])
        return due

    def _latest_anchor(self) -> list[int]:
        """For each equation, the last anchor among those that it depends on, itself included."""
        latest: list[int] = []
        for i, equation in enumerate(self.equations):
            found = max([latest[m] for m in self._makers(equation.inputs)], default=-1)
            latest.append(i if is_anchor(equation) else found)
        return latest

    def _last_readers(self) -> dict[Var, int]:
        """For each input, the last anchor that reads it, by itself or through elementwise steps."""
        reads: dict[Var, set[Var]] = {}
        last: dict[Var, int] = {}
        inputs = {self.program.inputs[i] for i in self.written.values()}
        for i, equation in enumerate(self.equations):
            found: set[Var] = set()
            for x in equation.inputs:
                if not x.is_literal:
                    found |= {x} if x in inputs else reads.get(x, set())
            if is_anchor(equation):
                last.update(dict.fromkeys(found, i))
            elif found:
                for out in equation.outputs:
                    reads[out] = found
        return last


def ordered(program: Program, written: dict[int, int]) -> list[list[Equation]]:
    """The equations in the order of their kernels, in batches that one anchor or output asks for.

    `written` as in `native.build`.
    """
    return _Ordering(program, written).ordered()
