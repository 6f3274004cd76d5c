"""explain: what a compiled function does, kernel by kernel, as text and as HTML.

Flops and bytes are predicted from shapes; times are measured, where asked for, by running the
function and reading the processor's clock around every kernel.
"""

from __future__ import annotations

import copy
import html
from collections.abc import Callable, Iterator
from dataclasses import dataclass, replace

import numpy as np

from chainrule.compiled import Compiled
from chainrule.compiled_trace import CompiledTrace
from chainrule.compiler.beside import Window
from chainrule.compiler.native import Evaluated, Native
from chainrule.compiler.region import Region
from chainrule.compiler.rows import Rows
from chainrule.compiler.steps import Control, Group, Host, Step, Write
from chainrule.compiler.steps import Native as Kernel
from chainrule.program.footprint import footprint
from chainrule.program.program import Equation, Var
from chainrule.program.text import line_text
from chainrule.running import observe, observed
from chainrule.show.memory_plan import MemoryPlan, bytes_text, memory_plan


@dataclass(frozen=True)
class Row:
    """One kernel: what it does, for which lines, and what it costs (a call; seconds per call)."""

    depth: int  # how many loops and branches it stands in
    kind: str
    does: str
    over: str
    lines: str
    flops: int = 0
    nbytes: int = 0
    tasks: int = 1
    calls: float | None = None  # in one run; None where nothing was measured
    seconds: float | None = None  # of one run, all calls together


@dataclass(frozen=True)
class Report:
    """What `explain` found; `str` of it is a table, notebooks show it as HTML."""

    name: str
    rows: tuple[Row, ...]
    arena: int  # bytes of temporary memory
    inputs: int  # bytes
    outputs: int  # bytes
    fallbacks: tuple[str, ...]  # operations that run on the evaluator, with their lines
    upcasts: tuple[str, ...]  # casts of floats to wider ones, with their lines
    distinct: int  # kernels whose code differs
    memory: MemoryPlan | None = None  # what is kept and made again; None on the evaluator
    decided: tuple[str, ...] = ()  # what Python decided in calls that go this way, with its lines

    @property
    def peak(self) -> int:
        """Bytes of arguments, results and temporary memory together."""
        return self.arena + self.inputs + self.outputs

    def text(self) -> str:
        """The report as plain text."""
        timed = any(r.seconds is not None for r in self.rows)
        table = [_titles(timed), *[_cells(r, timed) for r in self.rows]]
        widths = [max(map(len, column)) for column in zip(*table, strict=True)]
        lines = [self._heading(), ""]
        for cells in table:
            columns = zip(cells, widths, strict=True)
            lines.append("  ".join(c.ljust(w) for c, w in columns).rstrip())
        return "\n".join([*lines, "", *self._notes()])

    def html(self) -> str:
        """The report as a piece of HTML."""
        timed = any(r.seconds is not None for r in self.rows)
        rows = [_html_row("th", _titles(timed))]
        rows += [_html_row("td", _cells(r, timed)) for r in self.rows]
        notes = "".join(f"<p>{html.escape(n)}</p>" for n in self._notes())
        return (
            f"<h3>{html.escape(self._heading())}</h3>\n<table>\n" + "\n".join(rows)
            + f"\n</table>\n{notes}"
        )  # fmt: skip

    def _heading(self) -> str:
        return f"{self.name}: {len(self.rows)} steps, {self.distinct} different kernels"

    def _notes(self) -> list[str]:
        notes = [
            f"memory: {bytes_text(self.arena)} temporary, {bytes_text(self.inputs)} of arguments, "
            f"{bytes_text(self.outputs)} of results"
        ]
        some = "\n  ".join(self.fallbacks)
        notes.append(f"on the evaluator:\n  {some}" if some else "on the evaluator: nothing")
        if self.decided:
            notes.append("where Python decides:\n  " + "\n  ".join(self.decided))
        if self.upcasts:
            notes.append("wider floats from narrower ones:\n  " + "\n  ".join(self.upcasts))
        if self.memory is not None and (self.memory.kept or self.memory.again):
            notes += self.memory.notes()
        return notes

    def __str__(self) -> str:
        return self.text()

    __repr__ = __str__

    def _repr_html_(self) -> str:
        return self.html()


def explain(compiled: Callable, *args, runs: int = 0, **kwargs) -> Report | MemoryPlan:
    """What a compiled function does: every kernel with its lines, flops, bytes; what falls back.

    Of a function that is not compiled, such as `grad(f, memory="1GB")`: the memory plan of the
    largest derivative that it computes for these arguments (on copies of them): what is kept, what
    is made again, the predicted peak, and the measured one. `.memory` is that of a compiled one.

    With arguments, the report is of the native code for these (made if need be); without, of that
    used last. With `runs`, the code runs so many times on copies of the arguments, and every kernel
    has the time that it took. The report prints as a table, notebooks show it as HTML;
    `.rows`, `.fallbacks`, `.upcasts`, `.arena`, `.peak` are there to be read.

    **Units** seconds, bytes, flops (predicted from shapes).
    **Errors** `TypeError` for a function that is neither compiled nor computes a derivative;
    `ValueError` where nothing was called yet and no arguments are given, or `runs` is asked for
    without arguments.

    >>> import chainrule as cr
    >>> print(explain(cr.compile(lambda x: np.sum(x * x)), np.ones(10)))
    <lambda>: 1 steps, 1 different kernels
    <BLANKLINE>
    kind  does                     over  flops  bytes  tasks  lines
    loop  multiply, sum over (0,)  10    20     88 B   1      <doctest ...
    <BLANKLINE>
    memory: 0 B temporary, 80 B of arguments, 8 B of results
    on the evaluator: nothing
    """
    if not isinstance(compiled, Compiled):
        return _evaluated_plan(compiled, args, kwargs)
    name = compiled.__name__
    if not args and not kwargs:
        latest = compiled.latest_trace()
        if latest is None or runs:
            raise ValueError("explain needs arguments: for the first trace, and for timing (runs).")
        return _of_trace(name, latest)
    trace, arguments = compiled.trace_of(*args, **kwargs)
    if not runs or not isinstance(trace.native, Native):
        return _of_trace(name, trace)
    native = trace.native.whole()
    values = [np.array(x, order="C") for x in trace.values(trace.operands(arguments))]
    with observed() as runs_seen:
        observe(native.region.program, lambda: native.fresh_run(values))
    made = report(name, native, native.profiled(values, runs), runs, runs_seen[0][1])
    return replace(made, decided=_decided(trace))


def _of_trace(name: str, trace: CompiledTrace) -> Report:
    """The report of one trace of a compiled function."""
    native = trace.native
    if trace.evaluated:
        native = Evaluated(native.program, native.written, trace.evaluated, None)
    return replace(report(name, _explicable(native)), decided=_decided(trace))


def _decided(trace: CompiledTrace) -> tuple[str, ...]:
    return () if trace.decided is None else tuple(trace.decided.lines())


def _evaluated_plan(f: Callable, args: tuple, kwargs: dict) -> MemoryPlan:
    """The memory plan of the largest program that a call of a function evaluates."""
    if not callable(f):
        raise TypeError(f"explain takes a function, compiled or not, got {f!r}.")
    args, kwargs = copy.deepcopy((args, kwargs))
    with observed() as runs:
        f(*args, **kwargs)
    if not runs:
        raise TypeError(
            f"explain takes a function that cr.compile made, or one that computes a derivative "
            f"when it is called; got {f!r}."
        )
    program, measured = max(runs, key=lambda run: footprint(run[0]))
    return memory_plan(program, footprint(program), measured, getattr(f, "__name__", None))


def _explicable(native) -> Native | Evaluated:
    if not isinstance(native, Native | Evaluated):
        raise TypeError(f"only native code is explained, and this runs on {type(native).__name__}.")
    return native


def report(
    name: str, native: Native | Evaluated, profile=None, runs: int = 1, allocated: int | None = None
) -> Report:
    """The report of one compiled program; `profile` as `Native.profiled` gives it for some runs,
    `allocated` the bytes that one took."""
    program = native.program
    inputs = sum(t.nbytes for t in program.in_types)
    outputs = sum(t.nbytes for k, t in enumerate(program.out_types) if k not in native.written)
    if isinstance(native, Evaluated):
        everything = (f"the whole program: {native.reason}",)
        return Report(name, (), 0, inputs, outputs, everything, (), 0)
    measured = _measured(native, profile, runs)
    rows = tuple(_rows(native.region, 0, measured))
    fallbacks = tuple(dict.fromkeys(_named(s.equation) for s in native.sites if s.equation))
    upcasts = tuple(dict.fromkeys(_upcasts(native.region)))
    plan = memory_plan(
        native.region.program, native.arena_bytes + outputs, allocated, name,
        set(_in_registers(native.region)),
    )  # fmt: skip
    return Report(
        name, rows, native.arena_bytes, inputs, outputs, fallbacks, upcasts, native.kernel_count,
        plan,
    )  # fmt: skip


def _in_registers(region: Region) -> Iterator[Var]:
    """The values that no kernel stores."""
    for step in _loops(region):
        yield from (v for v in step.made if v not in step.stores)


def _loops(region: Region) -> Iterator[Group]:
    for step in region.steps:
        if isinstance(step, Rows):
            yield from step.parts
        elif isinstance(step, Group):
            yield step


def _named(equation: Equation) -> str:
    return f"{equation.op.name} ({equation.where})" if equation.where else equation.op.name


def _measured(native: Native, profile, runs: int) -> dict[int, tuple[float, float]]:
    """Calls and seconds of one run, for each step by identity."""
    found: dict[int, tuple[float, float]] = {}
    if profile is None:
        return found
    for step, (calls, seconds) in zip(native.timed, profile, strict=True):
        before = found.get(id(step), (0.0, 0.0))
        found[id(step)] = max(before[0], calls / runs), before[1] + seconds / runs
    return found


def _rows(region: Region, depth: int, measured) -> Iterator[Row]:
    for step, inside in _placed(region):
        if step in region.beside:
            yield _beside_row(region.beside[step], depth)
        yield from _rows_of(step, depth + inside, measured)


def _placed(region: Region) -> Iterator[tuple[Step, bool]]:
    """The steps, and whether each runs beside others."""
    inside = {s for w in region.beside.values() for member in w.members for s in member}
    return ((step, step in inside) for step in region.steps)


def _beside_row(window: Window, depth: int) -> Row:
    counts = ", ".join(str(len(member)) for member in window.members)
    does = f"runs of {counts} steps, in order"
    return Row(depth, "side by side", does, f"{len(window.members)} runs", "")


def _rows_of(step: Step, depth: int, measured) -> Iterator[Row]:
    row = _row(step, depth)
    if row is None:
        return
    if id(step) in measured:
        calls, seconds = measured[id(step)]
        row = Row(**{**row.__dict__, "calls": calls, "seconds": seconds})
    yield row
    if isinstance(step, Rows):
        yield from (_loop_row(part, depth + 1) for part in step.parts)
    if isinstance(step, Control):
        for inner in step.regions:
            yield from _rows(inner, depth + 1, measured)


def _row(step: Step, depth: int) -> Row | None:
    if isinstance(step, Group):
        return _loop_row(step, depth)
    if isinstance(step, Rows):
        assert step.kernel is not None
        does = f"{step.together} at a time through {len(step.parts)} loops"
        tasks = max(p.tasks for p in step.kernel.phases)
        flops = sum(_loop_row(part, depth).flops for part in step.parts)
        nbytes = sum(root.nbytes for root in {r.root.final for r in step.arguments})  # each once
        where = line_text(step.line)
        return Row(depth, "rows", does, str(step.count), where, flops, nbytes, tasks)
    if isinstance(step, Kernel):
        assert step.site is not None and step.kernel is not None
        places = [*step.site.inputs, *step.site.outputs]
        over = " ".join(str(p.type) for p in step.site.outputs)
        nbytes = sum(p.type.nbytes for p in places)
        tasks = max(p.tasks for p in step.kernel.phases)
        where = line_text(step.line)
        return Row(depth, "kernel", step.site.op, over, where, step.flops, nbytes, tasks)
    if isinstance(step, Host):
        assert step.equation is not None
        over = " ".join(str(r.type) for r in step.outputs)
        return Row(depth, "evaluator", step.equation.op.name, over, line_text(step.line))
    if isinstance(step, Write):
        assert step.part is not None
        does = "add to a part" if step.adds else "write a part"
        nbytes = 2 * step.part.type.nbytes
        return Row(depth, "loop", does, str(step.part.type), line_text(step.line), 0, nbytes)
    if isinstance(step, Control):
        assert step.equation is not None
        params = step.equation.params
        over = f"{params['length']} steps" if "length" in params else ""
        return Row(depth, step.kind, step.kind, over, line_text(step.line))
    return None


def _loop_row(step: Group, depth: int) -> Row:
    names = [e.op.name for e in step.nodes]
    names += [f"{name} over {step.axes}" for name, _, _ in step.reductions]
    size = int(np.prod(step.domain, dtype=np.int64))
    flops = size * (len(step.nodes) + len(step.reductions))
    nbytes = sum(r.type.nbytes for r in step.arguments)
    lines = dict.fromkeys(line_text(e.line) for e in step.nodes if e.line)
    tasks = max((p.tasks for p in step.kernel.phases), default=1) if step.kernel else 1
    over = "x".join(map(str, step.domain)) or "one number"
    kind = "loop"
    if step.product is not None:
        kind, flops = "kernel", flops + step.product.flops
        names.insert(0, "contract")
        lines = dict.fromkeys([line_text(step.product.line), *lines])
    where = _shortened(lines) or line_text(step.line)
    return Row(depth, kind, ", ".join(names) or "copy", over, where, flops, nbytes, tasks)


def _shortened(lines) -> str:
    """`model.py:3,7` for several lines of one file."""
    by_file: dict[str, list[str]] = {}
    for line in lines:
        file, _, number = line.rpartition(":")
        by_file.setdefault(file, []).append(number)
    return " ".join(f"{file}:{','.join(numbers)}" for file, numbers in by_file.items())


def _upcasts(region: Region) -> Iterator[str]:
    for step in region.steps:
        if isinstance(step, Group):
            for equation in step.nodes:
                source, target = equation.inputs[0].type.dtype, equation.outputs[0].type.dtype
                wider = source.kind == target.kind == "f" and source.itemsize < target.itemsize
                if equation.op.name == "cast" and wider:
                    yield f"{source} to {target} ({equation.where})"
        elif isinstance(step, Control):
            for inner in step.regions:
                yield from _upcasts(inner)


# --- cells ----------------------------------------------------------------------------------------


def _titles(timed: bool) -> list[str]:
    titles = ["kind", "does", "over", "flops", "bytes", "tasks", "lines"]
    return [*titles[:6], "calls", "time", "lines"] if timed else titles


def _cells(row: Row, timed: bool) -> list[str]:
    does = row.does if len(row.does) <= 60 else row.does[:57] + "..."
    cells = [
        "  " * row.depth + row.kind, does, row.over, _count(row.flops), bytes_text(row.nbytes),
        str(row.tasks),
    ]  # fmt: skip
    if timed:
        calls = "" if row.calls is None else f"{row.calls:g}"
        cells += [calls, "" if row.seconds is None else _seconds(row.seconds)]
    return [*cells, row.lines]


def _html_row(tag: str, cells: list[str]) -> str:
    return "<tr>" + "".join(f"<{tag}>{html.escape(c)}</{tag}>" for c in cells) + "</tr>"


def _count(n: int) -> str:
    for size, letter in ((1e9, "G"), (1e6, "M"), (1e3, "k")):
        if n >= size:
            return f"{n / size:.3g} {letter}"
    return str(n) if n else ""


def _seconds(s: float) -> str:
    for size, unit in ((1.0, "s"), (1e-3, "ms"), (1e-6, "us")):
        if s >= size:
            return f"{s / size:.3g} {unit}"
    return f"{s * 1e9:.3g} ns"



