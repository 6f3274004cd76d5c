"""One program's steps with their memory planned, and the LLVM IR that runs them.

A region is a compiled program, or the body of a loop or branch inside one. Straight runs of kernel
calls are data, not code: a list of numbers that one small function walks through (calls.py), so a
program of a thousand kernels costs the code generator no more than the kernels that differ. Code is
written only for loops, branches and pointers found at run time.
"""

from __future__ import annotations

from collections.abc import Callable, Sequence
from dataclasses import dataclass, field
from functools import partial
from hashlib import sha256

import numpy as np

from chainrule.compiler.beside import Window
from chainrule.compiler.buffers import Buffers
from chainrule.compiler.kernel import HEAD, Kernel, Phase, Place
from chainrule.compiler.llvm.along import in_parts
from chainrule.compiler.llvm.calls import DECLARED, EXTERNALS_START, HOST, Calls, runner_text
from chainrule.compiler.llvm.code import HARDLY_RUN, Code, Index, Value, constant
from chainrule.compiler.llvm.reductions import emit_finite_check
from chainrule.compiler.rows import Rows
from chainrule.compiler.schedule import Schedule
from chainrule.compiler.shared_functions import taken_out, with_shared
from chainrule.compiler.steps import (
    Control,
    Group,
    Host,
    Keep,
    Native,
    Operandlike,
    Point,
    Pointer,
    Ref,
    Root,
    Step,
    Write,
)
from chainrule.program.program import Program

NOWHERE = Value("null", "ptr")

# Where memory begins: at a pointer, or so many bytes behind the one in a slot of the table.
Memory = Value | tuple[int, int]


class Region:
    """A program's steps, and how much arena they take. `owned` as in `Buffers`.

    With `watched`, every step may fail: its results are checked. `lean` as in `Schedule`. Unless
    `beside`, no steps run side by side: what has a bound of memory needs the least.
    """

    def __init__(
        self, program: Program, layouts: list, written: dict[int, int], owned: bool,
        watched: bool = False, lean: bool = False, beside: bool = True,
    ):  # fmt: skip
        self.program, self.written = program, written
        inner = partial(Region, lean=lean, beside=beside)
        schedule = Schedule(program, layouts, written, inner, lean)
        buffers = Buffers(schedule, owned, watched, beside)
        self.steps = [s for s in buffers.steps if not (isinstance(s, Group) and s.is_empty)]
        self.beside = {w.members[0][0]: w for w in buffers.windows}  # by the step they begin with
        self.arena, self.least = buffers.arena, buffers.least  # bytes: `least` as in `Buffers`


@dataclass
class Module:
    """What the steps of a compiled program share: kernels by their text, externals, sites."""

    functions: dict[str, str] = field(default_factory=dict)  # by their names
    numbers: dict[str, int] = field(default_factory=dict)
    externals: dict[str, int] = field(default_factory=dict)
    sites: list[Host] = field(default_factory=list)
    calls: Calls = field(default_factory=Calls)
    timed: list[Step] = field(default_factory=list)  # by the numbers under which calls are timed

    def kernel(self, text: str) -> int:
        """The number of a kernel of this text; equal kernels are one."""
        found = self.numbers.get(text)
        if found is None:
            found = self.numbers[text] = len(self.numbers)
            name = f"kernel_{sha256(text.encode()).hexdigest()[:32]}"
            named = text.replace(HEAD, HEAD.replace("internal ", ""), 1)
            self.functions[name] = taken_out(named.replace("@@", f"@{name}"))
        return found

    def external(self, name: str) -> int:
        """The slot of the runtime table that holds an external function."""
        return self.externals.setdefault(name, EXTERNALS_START + len(self.externals))


class Writer:
    """Writes the steps of regions into one function; with `watched`, checks for what is not finite.

    Checks are calls like any other: a failing one ends the run.
    """

    def __init__(self, module: Module, watched: bool = False):
        self.module, self.code, self.watched = module, Code(), watched
        self.runtime = Value("%runtime", "ptr")
        self.table, self.slots = Value("%table", "ptr"), 0
        self._externals: dict[int, int] = {}  # their slots, by their places in the runtime table

    def main(self, region: Region) -> list[str]:
        """The text of the program, in modules that can be compiled side by side.

        The first one does the calls, the last holds `main` and their list. A long kernel is a
        module of its own, named by its content, so that other programs find it in the cache, and
        so is a function that kernels of many programs call.
        """
        code, program = self.code, region.program
        arena = self.slot()
        code.store(Value("%arena", "ptr"), code.offset(self.table, 8 * arena))
        inputs = self._arguments("%inputs", len(program.inputs))
        outputs = self._arguments("%outputs", len(program.outputs))
        start = len(code.lines)
        _Placed(self, region, inputs, outputs, (arena, 0)).write()
        code.line("ret i32 0")
        code.start_block("fail")
        code.line("ret i32 1")
        written, code.lines = code.lines, code.lines[:start]
        for place, slot in self._externals.items():
            pointer = code.load(code.offset(self.runtime, 8 * place), "ptr")
            code.store(pointer, code.offset(self.table, 8 * slot))
        code.lines += written[start:]
        code.alloca(8 * self.slots, 8, "table")
        head = "define i32 @main(ptr %inputs, ptr %outputs, ptr %arena, ptr %runtime)"
        module = self.module
        main = code.function(head, "nounwind" if code.repeats else HARDLY_RUN)
        rest = [module.calls.text(), DECLARED, main]
        functions = module.functions.values()
        texts = _shared_out([f for f in functions if len(f) < _ALONE])
        texts[-1] = "\n".join([texts[-1], *rest])
        shared, modules = with_shared([*(f for f in functions if len(f) >= _ALONE), *texts])
        return [runner_text(), *shared, *modules]

    def _arguments(self, table: str, count: int) -> list[Memory]:
        """What a table of pointers points to, with the table copied into slots at once: a load and
        a store for each took longer to compile than the kernels of a deep network."""
        first = self.slots
        self.slots += count
        if count:
            target = self.code.offset(self.table, 8 * first)
            self.code.line(
                f"call void @llvm.memcpy.p0.p0.i64(ptr align 8 {target.text}, ptr align 8 {table}, "
                f"i64 {8 * count}, i1 false)"
            )
        return [(first + i, 0) for i in range(count)]

    def slot(self) -> int:
        """One more slot of the table, for a place that calls count from."""
        self.slots += 1
        return self.slots - 1

    def external(self, name: str) -> int:
        """The slot of an external function, which is stored at the beginning."""
        place = self.module.external(name)
        if place not in self._externals:
            self._externals[place] = self.slot()
        return self._externals[place]

    def fail_if(self, condition: Value) -> None:
        """Leave the function with status 1 where a condition holds."""
        goes_on = self.code.fresh("goes_on")
        self.code.branch_if(condition, "fail", goes_on)
        self.code.start_block(goes_on)


class _Placed:
    """A region being written, at the memory of its inputs, its outputs and its arena.

    Calls count from slots of the function's table: it holds the arena, the program's inputs and
    outputs and external functions from the beginning. A place found at run time gets a slot when
    it is first needed; it is stored anew in each region, since a region may not be run.
    """

    def __init__(
        self, writer: Writer, region: Region, inputs: Sequence[Memory],
        outputs: Sequence[Memory], arena: Memory,
    ):  # fmt: skip
        self.writer, self.code, self.region = writer, writer.code, region
        self.module = writer.module
        self.memory = {"input": inputs, "output": outputs, "arena": [arena]}
        self.pointers: dict[Pointer, Value] = {}
        self.slots: dict[object, int] = {}  # of what is found at run time
        self.first_call: int | None = None  # of the run of calls that is being collected
        self.count = 0
        self.most = 1  # arguments of one of these calls

    def write(self) -> None:
        steps = iter(self.region.steps)
        for step in steps:
            window = self.region.beside.get(step)
            if window is None:
                _WRITERS[type(step)](self, step)
                continue
            self._side_by_side(window)
            for _ in range(sum(map(len, window.members)) - 1):
                next(steps)
        self._flush()

    # --- addresses --------------------------------------------------------------------------------

    def _slot(self, key: object, memory: Memory) -> tuple[int, int]:
        """Where memory begins, as the calls name it: slot and offset."""
        if not isinstance(memory, Value):
            return memory
        if key not in self.slots:
            self.slots[key] = self.writer.slot()
            self.code.store(memory, self.code.offset(self.writer.table, 8 * self.slots[key]))
        return self.slots[key], 0

    def _pointer(self, memory: Memory, further: int) -> Value:
        """The address so many bytes behind the beginning of memory."""
        if isinstance(memory, Value):
            return self.code.offset(memory, further)
        slot, offset = memory
        base = self.code.load(self.code.offset(self.writer.table, 8 * slot), "ptr")
        return self.code.offset(base, offset + further)

    def _place(self, root: Root) -> tuple[str, int, int]:
        """Which memory a root is in: its kind, its number, and the byte where it begins."""
        place = root.final.place
        assert place is not None
        return ("arena", 0, place[1]) if place[0] == "arena" else (*place, 0)

    def _of_root(self, root: Root) -> tuple[int, int]:
        """A root as the calls name it: slot and offset."""
        kind, number, offset = self._place(root)
        slot, start = self._slot((kind, number), self.memory[kind][number])
        return slot, start + offset

    def _of(self, ref: Ref) -> tuple[int, int]:
        """An array's first element as the calls name it: slot and offset."""
        if isinstance(ref.base, Pointer):
            slot, offset = self._slot(ref.base, self.pointers[ref.base])
        else:
            slot, offset = self._of_root(ref.base)
        return slot, offset + ref.lie.offset * ref.type.dtype.itemsize

    def _start(self, ref: Ref) -> tuple[Memory, int]:
        """The memory of what an array is part of, and the byte in it where that begins."""
        if isinstance(ref.base, Pointer):
            return self.pointers[ref.base], 0
        kind, number, start = self._place(ref.base)
        return self.memory[kind][number], start

    def at(self, ref: Ref) -> Value:
        """The address of an array's first element."""
        memory, start = self._start(ref)
        return self._pointer(memory, start + ref.lie.offset * ref.type.dtype.itemsize)

    def _memory(self, ref: Ref) -> Memory:
        """An array's first element, for a region inside this one."""
        memory, start = self._start(ref)
        if isinstance(memory, Value):
            return self.at(ref)
        slot, offset = memory
        return slot, offset + start + ref.lie.offset * ref.type.dtype.itemsize

    # --- runs of calls ----------------------------------------------------------------------------

    def _call(self, step: Step, kernel: Kernel, places: list, scratch: Root | None) -> None:
        """Add the calls of a kernel's phases to the run."""
        arguments = list(places)
        if scratch is not None:
            arguments.append(self._of_root(scratch))
        status = len(arguments) if kernel.can_fail else -1
        if kernel.can_fail:
            arguments.append((0, 0))  # the runner puts the status here
        arguments += [(self.writer.external(name), 0) for name in kernel.externals]
        for phase in kernel.phases:
            number = self.module.kernel(phase.text)
            tasks = -phase.tasks if step.is_small else phase.tasks
            self._add(step, number, tasks, status, arguments)

    def _add(self, step: Step, number: int, tasks: int, status: int, arguments) -> None:
        self.module.timed.append(step)
        place = self.module.calls.add(
            number, tasks, status, len(self.module.timed) - 1, arguments
        )
        if self.first_call is None:
            self.first_call = place
        self.count += 1
        self.most = max(self.most, len(arguments))

    def _flush(self) -> None:
        """Write the code that does the calls collected."""
        if self.first_call is None:
            return
        code = self.code
        status = code.emit(
            "i32",
            f"call i32 @do_calls({self.writer.table}, ptr getelementptr (i64, ptr @calls, "
            f"i64 {self.first_call}), i64 {self.count}, i64 {self.most}, {self.writer.runtime})",
        )
        self.writer.fail_if(code.compare("ne", status, constant("i32", 0)))
        self.first_call, self.count, self.most = None, 0, 1

    def _side_by_side(self, window: Window) -> None:
        """Write the calls of each member, and the code that does them on the pool."""
        self._flush()
        members: list[tuple[int, int]] = []
        for member in window.members:
            for step in member:
                _WRITERS[type(step)](self, step)
            if self.first_call is not None:
                members.append((self.first_call, self.count))
            self.first_call, self.count = None, 0
        if not members:
            return
        place, code = self.module.calls.add_members(members), self.code
        status = code.emit(
            "i32",
            f"call i32 @do_side_by_side({self.writer.table}, ptr @calls, i64 {place}, "
            f"i64 {len(members)}, i64 {self.most}, {self.writer.runtime})",
        )
        self.writer.fail_if(code.compare("ne", status, constant("i32", 0)))
        self.most = 1

    def _group(self, step: Group | Rows) -> None:
        if isinstance(step, Group) and 0 in step.domain and not step.reductions:
            return
        kernel = step.kernel
        assert kernel is not None
        self._call(step, kernel, [self._of(r) for r in step.arguments], step.scratch)
        self._watch(step, step.results())

    def _watch(self, step: Step, results: list[Ref]) -> None:
        """Check the results of a step, where the program is watched."""
        if not self.writer.watched:
            return
        for ref in results:
            if ref.type.inexact and ref.type.size:
                place = Place(ref.type, ref.lie.strides)
                floats = in_parts(place) if ref.type.dtype.kind == "c" else place
                check = emit_finite_check(floats.type.dtype, floats.type.shape, floats.strides)
                self._call(step, check, [self._of(ref)], None)

    def _native(self, step: Native) -> None:
        assert step.kernel is not None
        places = [self._of(r) for r in [*step.inputs, *step.outputs]]
        self._call(step, step.kernel, places, step.scratch)
        self._watch(step, step.outputs)

    def _write(self, step: Write) -> None:
        assert step.kernel is not None and step.part is not None
        if step.part.type.size:
            self._call(step, step.kernel, [self._of(r) for r in step.arguments], None)
            self._watch(step, [step.part])

    def _host(self, step: Host) -> None:
        self.module.sites.append(step)
        site = len(self.module.sites) - 1
        places = [self._of(r) for r in [*step.reads(), *step.outputs]]
        self._add(step, HOST, site, -1, places)
        self._watch(step, step.outputs)

    def _keep(self, step: Keep) -> None:
        assert step.source is not None and step.target is not None
        if step.needless or not step.target.type.nbytes:
            return
        places = [self._of(step.source), self._of(step.target)]
        self._call(step, _copying(step.target.type.nbytes), places, None)

    # --- pointers found at run time ---------------------------------------------------------------

    def _point(self, step: Point) -> None:
        assert step.source is not None and step.pointer is not None
        self._flush()
        code, source = self.code, step.source
        pointer = self._pointer(*self._start(source))
        offset: Index = 0
        for axis, given in enumerate(step.indices):
            n = source.type.shape[axis]
            place = self._checked(given, step.index_types[axis].dtype, n)
            offset = code.index_add(offset, code.index_mul(place, source.lie.strides[axis]))
        self.pointers[step.pointer] = code.offset(pointer, offset, source.type.dtype.itemsize)

    def _checked(self, given: Operandlike, dtype: np.dtype, n: int) -> Value:
        """An index as an offset from 0; the function is left where it lies outside."""
        code = self.code
        if isinstance(given, Ref):
            raw = code.load(self.at(given), f"i{8 * dtype.itemsize}")
            index = code.convert("zext" if dtype.kind == "u" else "sext", raw, "i64")
        else:
            index = code.emit("i64", f"add i64 0, {int(given)}")
        if dtype.kind != "u":
            negative = code.compare("slt", index, constant("i64", 0))
            shifted = code.binary("add", index, constant("i64", n))
            index = code.select(negative, shifted, index)
        self.writer.fail_if(code.compare("uge", index, constant("i64", n)))
        return index

    # --- control flow -----------------------------------------------------------------------------

    def _control(self, step: Control) -> None:
        self._flush()
        arena = NOWHERE if step.scratch is None else self._memory(step.scratch)
        {"scan": self._scan, "while": self._while, "cond": self._cond}[step.kind](step, arena)

    def _inner(self, region: Region, inputs, outputs, arena: Memory) -> None:
        _Placed(self.writer, region, inputs, outputs, arena).write()

    def _memories(self, operands: Sequence[Operandlike]) -> list[Memory]:
        """Where arrays begin; nothing for a number, which the region knows."""
        return [self._memory(x) if isinstance(x, Ref) else NOWHERE for x in operands]

    def _scan(self, step: Control, arena: Memory) -> None:
        assert step.equation is not None
        params, code = step.equation.params, self.code
        n, count, length = params["constants"], params["carries"], params["length"]
        fixed, rows = step.operands[:n], step.operands[n:]
        bounds = (length - 1, -1, -1) if params["reverse"] else (0, length, 1)
        with code.loop(*bounds) as loop:
            inputs = self._memories(fixed) + self._memories(step.outputs[:count])
            inputs += [self._row(r, loop.index) for r in rows if isinstance(r, Ref)]
            outputs: list[Memory] = [NOWHERE] * count
            outputs += [self._row(r, loop.index) for r in step.outputs[count:]]
            self._inner(step.regions[0], inputs, outputs, arena)

    def _row(self, ref: Ref, index: Value) -> Value:
        size = ref.lie.strides[0] * ref.type.dtype.itemsize
        return self.code.offset(self.at(ref), index, size) if size else self.at(ref)

    def _while(self, step: Control, arena: Memory) -> None:
        assert step.flag is not None
        code, number = self.code, self.code.fresh("while")
        inputs = self._memories([*step.operands, *step.outputs])
        flag = self.at(step.flag)
        code.branch(f"{number}.test")
        code.start_block(f"{number}.test")
        self._inner(step.regions[0], inputs, [flag], arena)
        holds = code.compare("ne", code.load(flag, "i8"), constant("i8", 0))
        code.branch_if(holds, f"{number}.body", f"{number}.after")
        code.start_block(f"{number}.body")
        self._inner(step.regions[1], inputs, [NOWHERE] * len(step.outputs), arena)
        code.branch(f"{number}.test")
        code.start_block(f"{number}.after")

    def _cond(self, step: Control, arena: Memory) -> None:
        code, number = self.code, self.code.fresh("cond")
        predicate, *operands = step.operands
        inputs, outputs = self._memories(operands), self._memories(step.outputs)
        if isinstance(predicate, Ref):
            flag = code.load(self.at(predicate), "i8")
            holds = code.compare("ne", flag, constant("i8", 0))
        else:
            holds = constant("i1", bool(predicate))
        code.branch_if(holds, f"{number}.yes", f"{number}.no")
        for name, region in zip(("yes", "no"), step.regions, strict=True):
            code.start_block(f"{number}.{name}")
            self._inner(region, inputs, outputs, arena)
            code.branch(f"{number}.after")
        code.start_block(f"{number}.after")


_ALONE = 20_000  # characters of LLVM IR, of which LLVM takes some ten milliseconds
_PART = 40_000  # characters that are worth a module of their own together
_MOST_PARTS = 4


def _shared_out(functions: list[str]) -> list[str]:
    """The functions in modules of about equal length; the last is the shortest."""
    total = sum(map(len, functions))
    parts: list[list[str]] = [[] for _ in range(max(1, min(_MOST_PARTS, total // _PART)))]
    for f in sorted(functions, key=len, reverse=True):
        min(parts, key=lambda part: sum(map(len, part))).append(f)
    return sorted(["\n".join(part) for part in parts], key=len, reverse=True)


def _copying(nbytes: int) -> Kernel:
    """The kernel that copies so many bytes."""
    code = Code()
    table = Value("%args", "ptr")
    source, target = (code.load(code.offset(table, i, 8), "ptr") for i in range(2))
    code.line(f"call void @llvm.memcpy.p0.p0.i64({target}, {source}, i64 {nbytes}, i1 false)")
    code.line("ret void")
    return Kernel((Phase(code.function(HEAD)),))


_WRITERS: dict[type[Step], Callable] = {
    Group: _Placed._group,
    Rows: _Placed._group,
    Native: _Placed._native,
    Write: _Placed._write,
    Host: _Placed._host,
    Keep: _Placed._keep,
    Point: _Placed._point,
    Control: _Placed._control,
}
