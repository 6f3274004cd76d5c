"""One program's steps with their memory planned, and the LLVM IR that runs them.

A region is a compiled program, or the body of a loop or branch inside one. It is planned as a
whole; then its steps are written, one after the other, into the function of the compiled program,
with pointers to its inputs, its outputs and its part of the arena.
"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass, field

import numpy as np

from chainrule.compiler.buffers import Buffers
from chainrule.compiler.kernel import Kernel
from chainrule.compiler.llvm.code import Code, Index, Value, constant
from chainrule.compiler.schedule import Schedule
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

EXTERNALS_START = 4  # the first slot of the runtime table that holds an external function


class Region:
    """A program's steps, and how much arena they take. `owned` as in `Buffers`."""

    def __init__(self, program: Program, layouts: list, written: dict[int, int], owned: bool):
        self.program, self.written = program, written
        schedule = Schedule(program, layouts, written, Region)
        buffers = Buffers(schedule, owned)
        self.steps: list[Step] = schedule.steps
        self.arena = buffers.arena


@dataclass
class Module:
    """What the steps of a compiled program share: kernels by their text, externals, sites."""

    functions: list[str] = field(default_factory=list)
    names: dict[str, str] = field(default_factory=dict)
    externals: dict[str, int] = field(default_factory=dict)
    sites: list[Host] = field(default_factory=list)

    def kernel(self, text: str) -> str:
        """The name of a function of this text; equal kernels are one."""
        found = self.names.get(text)
        if found is None:
            found = self.names[text] = f"@kernel{len(self.names)}"
            self.functions.append(text.replace("@@", found))
        return found

    def external(self, name: str) -> int:
        """The slot of the runtime table that holds an external function."""
        return self.externals.setdefault(name, EXTERNALS_START + len(self.externals))


class Writer:
    """Writes the steps of regions into one function."""

    def __init__(self, module: Module):
        self.module, self.code = module, Code()
        self.runtime = Value("%runtime", "ptr")
        self.table_size = 0  # of the argument table that all calls of kernels share
        self.status = self.code.alloca(8, 8)
        self.code.store(constant("i32", 0), self.status)

    def main(self, region: Region) -> str:
        """The text of `main`, with the kernels before it."""
        code, program = self.code, region.program
        inputs = [self._argument("%inputs", i) for i in range(len(program.inputs))]
        outputs = [self._argument("%outputs", k) for k in range(len(program.outputs))]
        _Placed(self, region, inputs, outputs, Value("%arena", "ptr")).write()
        code.line("ret i32 0")
        code.start_block("fail")
        code.line("ret i32 1")
        size = 8 * max(self.table_size, 1)
        code._entry.append(f"  %table = alloca [{size} x i8], align 8")
        head = "define i32 @main(ptr %inputs, ptr %outputs, ptr %arena, ptr %runtime)"
        return "\n".join([*self.module.functions, code.function(head)])

    def _argument(self, table: str, i: int) -> Value:
        return self.code.load(self.code.offset(Value(table, "ptr"), i, 8), "ptr")

    def fill_table(self, pointers: Sequence[Value]) -> None:
        """The arguments of the next call."""
        self.table_size = max(self.table_size, len(pointers))
        for i, pointer in enumerate(pointers):
            self.code.store(pointer, self.code.offset(Value("%table", "ptr"), i, 8))

    def call(self, kernel: Kernel, pointers: list[Value], scratch: Value | None) -> None:
        """Run a kernel's phases; leave the function where it fails."""
        code = self.code
        arguments = list(pointers)
        if scratch is not None:
            arguments.append(scratch)
        if kernel.can_fail:
            arguments.append(self.status)
        arguments += [self._runtime(self.module.external(name)) for name in kernel.externals]
        self.fill_table(arguments)
        for phase in kernel.phases:
            name = self.module.kernel(phase.text)
            if phase.tasks > 1:
                run, pool = self._runtime(0), self._runtime(1)
                code.line(
                    f"call void {run.text}({pool}, ptr {name}, ptr %table, i64 {phase.tasks})"
                )
            else:
                code.line(f"call void {name}(ptr %table, i64 0, i64 {phase.tasks})")
        if kernel.can_fail:
            self.fail_if(code.compare("ne", code.load(self.status, "i32"), constant("i32", 0)))

    def _runtime(self, slot: int) -> Value:
        return self.code.load(self.code.offset(self.runtime, slot, 8), "ptr")

    def fail_if(self, condition: Value) -> None:
        """Leave the function with status 1 where a condition holds."""
        goes_on = self.code.fresh("goes_on")
        self.code.branch_if(condition, "fail", goes_on)
        self.code.start_block(goes_on)

    def host(self, step: Host, pointers: list[Value]) -> None:
        """Run an equation on the evaluator."""
        site = len(self.module.sites)
        self.module.sites.append(step)
        self.fill_table(pointers)
        run, token = self._runtime(2), self._runtime(3)
        status = self.code.emit("i32", f"call i32 {run.text}({token}, i64 {site}, ptr %table)")
        self.fail_if(self.code.compare("ne", status, constant("i32", 0)))


class _Placed:
    """A region being written, at pointers to its inputs, its outputs and its arena."""

    def __init__(self, writer: Writer, region: Region, inputs, outputs, arena: Value):
        self.writer, self.code, self.region = writer, writer.code, region
        self.memory = {"input": inputs, "output": outputs}
        self.arena = arena
        self.pointers: dict[Pointer, Value] = {}

    def write(self) -> None:
        for step in self.region.steps:
            _WRITERS[type(step)](self, step)

    # --- addresses --------------------------------------------------------------------------------

    def root(self, root: Root) -> Value:
        place = root.final.place
        assert place is not None
        if place[0] == "arena":
            return self.code.offset(self.arena, place[1])
        return self.memory[place[0]][place[1]]

    def at(self, ref: Ref) -> Value:
        """The address of an array's first element."""
        base = ref.base
        start = self.root(base) if isinstance(base, Root) else self.pointers[base]
        return self.code.offset(start, ref.lie.offset * ref.type.dtype.itemsize)

    def _optional(self, root: Root | None) -> Value | None:
        return None if root is None else self.root(root)

    # --- kernels ----------------------------------------------------------------------------------

    def _group(self, step: Group) -> None:
        assert step.kernel is not None
        if 0 in step.domain and not step.reductions:
            return
        pointers = [self.at(r) for r in step.arguments]
        self.writer.call(step.kernel, pointers, self._optional(step.scratch))

    def _native(self, step: Native) -> None:
        assert step.kernel is not None
        pointers = [self.at(r) for r in [*step.inputs, *step.outputs]]
        self.writer.call(step.kernel, pointers, self._optional(step.scratch))

    def _write(self, step: Write) -> None:
        assert step.kernel is not None and step.part is not None
        if step.part.type.size:
            self.writer.call(step.kernel, [self.at(r) for r in step.arguments], None)

    def _host(self, step: Host) -> None:
        self.writer.host(step, [self.at(r) for r in [*step.reads(), *step.outputs]])

    def _keep(self, step: Keep) -> None:
        assert step.source is not None and step.target is not None
        if step.needless or not step.target.type.nbytes:
            return
        target, source = self.at(step.target), self.at(step.source)
        self.code.line(
            f"call void @llvm.memcpy.p0.p0.i64({target}, {source}, "
            f"i64 {step.target.type.nbytes}, i1 false)"
        )

    def _point(self, step: Point) -> None:
        assert step.source is not None and step.pointer is not None
        code, source = self.code, step.source
        pointer = self.root(source.root) if isinstance(source.base, Root) else (
            self.pointers[source.base]
        )  # fmt: skip
        size = source.type.dtype.itemsize
        offset: Index = 0
        for axis, given in enumerate(step.indices):
            n = source.type.shape[axis]
            place = self._checked(given, step.index_types[axis].dtype, n)
            offset = code.index_add(offset, code.index_mul(place, source.lie.strides[axis]))
        self.pointers[step.pointer] = code.offset(pointer, offset, size)

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
        arena = self.at(step.scratch) if step.scratch is not None else Value("null", "ptr")
        {"scan": self._scan, "while": self._while, "cond": self._cond}[step.kind](step, arena)

    def _inner(self, region: Region, inputs, outputs, arena: Value) -> None:
        _Placed(self.writer, region, inputs, outputs, arena).write()

    def _pointers(self, operands: Sequence[Operandlike]) -> list[Value]:
        """Addresses of arrays; nothing for a number, which the region knows."""
        return [self.at(x) if isinstance(x, Ref) else Value("null", "ptr") for x in operands]

    def _scan(self, step: Control, arena: Value) -> None:
        assert step.equation is not None
        params, code = step.equation.params, self.code
        n, count, length = params["constants"], params["carries"], params["length"]
        fixed, rows = step.operands[:n], step.operands[n:]
        bounds = (length - 1, -1, -1) if params["reverse"] else (0, length, 1)
        with code.loop(*bounds) as loop:
            inputs = self._pointers(fixed) + [self.at(r) for r in step.outputs[:count]]
            inputs += [self._row(r, loop.index) for r in rows if isinstance(r, Ref)]
            outputs = [Value("null", "ptr")] * count
            outputs += [self._row(r, loop.index) for r in step.outputs[count:]]
            self._inner(step.regions[0], inputs, outputs, arena)

    def _row(self, ref: Ref, index: Value) -> Value:
        size = ref.lie.strides[0] * ref.type.dtype.itemsize
        return self.code.offset(self.at(ref), index, size) if size else self.at(ref)

    def _while(self, step: Control, arena: Value) -> None:
        assert step.flag is not None
        code, number = self.code, self.code.fresh("while")
        inputs = self._pointers([*step.operands, *step.outputs])
        flag = self.at(step.flag)
        code.branch(f"{number}.test")
        code.start_block(f"{number}.test")
        self._inner(step.regions[0], inputs, [flag], arena)
        holds = code.compare("ne", code.load(flag, "i8"), constant("i8", 0))
        code.branch_if(holds, f"{number}.body", f"{number}.after")
        code.start_block(f"{number}.body")
        nowhere = [Value("null", "ptr")] * len(step.outputs)
        self._inner(step.regions[1], inputs, nowhere, arena)
        code.branch(f"{number}.test")
        code.start_block(f"{number}.after")

    def _cond(self, step: Control, arena: Value) -> None:
        code, number = self.code, self.code.fresh("cond")
        predicate, *operands = step.operands
        inputs, outputs = self._pointers(operands), self._pointers(step.outputs)
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


_WRITERS = {
    Group: _Placed._group,
    Native: _Placed._native,
    Write: _Placed._write,
    Host: _Placed._host,
    Keep: _Placed._keep,
    Point: _Placed._point,
    Control: _Placed._control,
}
