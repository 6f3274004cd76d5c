"""The memory plan of a program: what waits for the backward part, what is made again, and the peak.

The backward part begins where most bytes wait for a reader. An equation is a run again where one
above it has the same operation on the same values, barriers looked through.
"""

from __future__ import annotations

import html
from collections.abc import Container, Iterator
from dataclasses import dataclass

from chainrule.program.cost import Cost, cost, subprograms
from chainrule.program.program import Equation, Operand, Program, Var
from chainrule.transforms.chain_schedule import turns
from chainrule.transforms.recompute import Work


@dataclass(frozen=True)
class Kept:
    """Arrays of one type that one operation of one line makes, and that wait or are made again."""

    op: str
    type: str
    lines: str
    times: int
    nbytes: int  # all together
    flops: int = 0  # all together


@dataclass(frozen=True)
class MemoryPlan:
    """What a program keeps and what it makes again. Bytes allocated: arguments are not counted."""

    name: str
    kept: tuple[Kept, ...]
    again: tuple[Kept, ...]
    predicted: int  # bytes
    measured: int | None  # bytes; None where nothing was run
    flops: int
    flops_again: int

    def text(self) -> str:
        """The plan as plain text."""
        return f"{self.name}\n\n" + "\n".join(self.notes())

    def html(self) -> str:
        """The plan as a piece of HTML."""
        notes = "".join(f"<pre>{html.escape(n)}</pre>" for n in self.notes())
        return f"<h3>{html.escape(self.name)}</h3>\n{notes}"

    def notes(self) -> list[str]:
        """Paragraphs of text."""
        measured = "" if self.measured is None else f", {bytes_text(self.measured)} measured"
        share = self.flops_again / max(self.flops - self.flops_again, 1)
        more = f"; {share:.1%} more flops than without" if self.flops_again else ""
        head = f"allocated at most: {bytes_text(self.predicted)} predicted{measured}{more}"
        return [
            head, _listed("kept for the backward part", self.kept),
            _listed("made again", self.again),
        ]  # fmt: skip

    def __str__(self) -> str:
        return self.text()

    __repr__ = __str__

    def _repr_html_(self) -> str:
        return self.html()


def _listed(title: str, rows: tuple[Kept, ...]) -> str:
    if not rows:
        return f"{title}: nothing"
    cells = [
        (f"{r.times} x {r.op}", r.type, bytes_text(r.nbytes), r.lines) for r in rows
    ]
    widths = [max(map(len, column)) for column in zip(*cells, strict=True)]
    lines = ["  ".join(c.ljust(w) for c, w in zip(row, widths, strict=True)) for row in cells]
    return "\n  ".join([f"{title}:", *(line.rstrip() for line in lines)])


def memory_plan(
    program: Program, predicted: int, measured: int | None = None,
    name: str | None = None, unstored: Container[Var] = (),
) -> MemoryPlan:
    """The plan of a program; `unstored` are values that have no memory (registers)."""
    work = Work(program)
    turn = turns(work)[0]
    readers = work.readers()
    waiting = [
        (work.equations[work.maker[v]], var)
        for var, v in work.value_of.items()
        if work.maker[v] < turn and max(readers[v], default=-1) >= turn and var not in unstored
    ]
    again = [(e, e.outputs[0]) for e in _repeated(program) if e.outputs]
    total = cost(program).flops
    rows = _grouped(again)
    return MemoryPlan(
        name or program.name, _grouped(waiting), rows, predicted, measured, total,
        sum(r.flops for r in rows),
    )  # fmt: skip


def _repeated(program: Program) -> Iterator[Equation]:
    """The equations that do what one above them has done."""
    number: dict[Operand, object] = {}
    seen: dict[tuple, tuple] = {}
    for e in program.equations:
        inputs = tuple([x.key if x.is_literal else number.get(x, x) for x in e.inputs])
        if e.op.name == "barrier":
            number[e.outputs[0]] = inputs[0]
            continue
        key = (e.op, inputs, *e.params.values())
        found = seen.setdefault(key, e.outputs)
        number.update((v, number.get(f, f)) for v, f in zip(e.outputs, found, strict=True))
        if found is not e.outputs and not e.op.view:
            yield e


def _grouped(found: list[tuple[Equation, Var]]) -> tuple[Kept, ...]:
    """One row for each operation, type and line; the largest first."""
    groups: dict[tuple[str, str, str], list[int]] = {}
    for e, var in found:
        group = groups.setdefault((e.op.name, str(var.type), e.where), [0, 0, 0])
        group[0] += 1
        group[1] += var.type.nbytes
        group[2] += _flops(e)
    rows = [Kept(op, t, at, *numbers) for (op, t, at), numbers in groups.items()]
    return tuple(sorted(rows, key=lambda r: -r.nbytes))


def _flops(e: Equation) -> int:
    inner: list[Cost] = [cost(p) for _, p in subprograms(e)]
    if inner:
        return e.params.get("length", 1) * sum(c.flops for c in inner)
    return cost(Program((), [e], e.outputs)).flops


def bytes_text(n: int) -> str:
    """`3.91 MiB`."""
    for size, unit in ((2**30, "GiB"), (2**20, "MiB"), (2**10, "KiB")):
        if n >= size:
            amount = n / size
            return f"{amount:.0f} {unit}" if amount >= 100 else f"{amount:.3g} {unit}"
    return f"{n} B"
