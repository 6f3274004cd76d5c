"""The code of all entries: it reads an entry's table, so nothing is compiled for a signature.

    ptr entry(ptr self, ptr args, i64 n, ptr names)     METH_FASTCALL | METH_KEYWORDS

`self` is the table, an array. `attempt` walks the records (compiler/entry_table.py) and calls the
program. Where anything does not match, the program fails, or a trace is open in any thread (Python
knows whose it is), `entry` calls the table's `slow` with the arguments as they came. No address of
this process is in the code.

Leaves inside of containers are held (their reference counts raised) during the call: another thread
may take them out of their container meanwhile.
"""

from __future__ import annotations

from functools import lru_cache

from chainrule.compiler import entry_api as api
from chainrule.compiler.entry_function import (
    FRAME,
    I1,
    I32,
    NULL,
    NUMBER_BYTES,
    EntryFunction,
    i64,
    operand_list,
)
from chainrule.compiler.entry_result import making_functions
from chainrule.compiler.entry_take import checking_functions
from chainrule.compiler.llvm.code import I64, POINTER, Value, constant


@lru_cache(maxsize=1)
def entry_code() -> str:
    """The module's text."""
    inner = [*checking_functions(), *making_functions(), _drop(), _program(), _attempt()]
    return "\n".join(t.replace("define", "define internal", 1) for t in inner) + _entry()


def _drop() -> str:
    """Lower the reference counts of some objects, of which some may be missing."""
    c = EntryFunction("frame", "objects", count=I64)
    frame, objects, count = c.arguments
    with c.loop(0, count) as loop:
        thing = c.load(c.at(objects, loop.index), POINTER)
        with c.if_(c.compare("ne", thing, NULL)):
            c.do(frame, "Py_DecRef", thing)
    c.line("ret void")
    return c.text("void", "drop")


def _program() -> str:
    """What `main` says: 0, or that it failed; 1 as well where there is no memory for its arena."""
    c = EntryFunction("table", "frame", "places")
    entry, frame, places = c.arguments
    bytes_, slot = c.head(entry, "arena_bytes", I64), c.head(entry, "arena_slot")
    memory = c.alloca(8, 8)
    c.store(NULL, memory)
    with c.if_(c.nonzero(bytes_)):
        kept = c.emit(POINTER, f"inttoptr i64 {_exchange(c, slot, i64(0)).text} to ptr")
        c.store(kept, memory)
        with c.if_(c.compare("eq", kept, NULL)):
            size = c.binary("add", bytes_, i64(63))
            c.store(c.call(frame, "PyMem_RawMalloc", POINTER, size), memory)
        c.check_some(c.load(memory, POINTER))
    raw = c.emit(I64, f"ptrtoint {c.load(memory, POINTER)} to i64")
    aligned = c.binary("and", c.binary("add", raw, i64(63)), i64(-64))
    arena = c.emit(POINTER, f"inttoptr {aligned} to ptr")
    answer = _run_main(c, entry, frame, places, arena)
    with c.if_(c.nonzero(bytes_)):
        found = c.emit(POINTER, f"inttoptr i64 {_exchange(c, slot, raw).text} to ptr")
        with c.if_(c.compare("ne", found, NULL)):
            c.do(frame, "PyMem_RawFree", found)
    c.give(answer)
    c.start_block("no")
    c.give(constant(I32, 1))
    return c.text(I32, "program")


def _exchange(c: EntryFunction, slot: Value, x: Value) -> Value:
    return c.emit(I64, f"atomicrmw xchg {slot}, {x} acq_rel, align 8")


def _run_main(c: EntryFunction, entry, frame, places, arena) -> Value:
    releases = c.nonzero(c.head(entry, "releases_gil", I64))
    state = c.alloca(8, 8)
    with c.if_(releases):
        c.store(c.call(frame, "PyEval_SaveThread", POINTER), state)
    main, runtime = c.head(entry, "main"), c.head(entry, "runtime")
    operands = operand_list((c.field(frame, "inputs"), places, arena, runtime))
    answer = c.emit(I32, f"call i32 {main.text}({operands})")
    with c.if_(releases):
        c.do(frame, "PyEval_RestoreThread", c.load(state, POINTER))
    return answer


def _attempt() -> str:
    """Whether the call was made: its result, or null and an exception, is in the frame then."""
    c = EntryFunction("table", "frame", "args", "places", "scalars")
    entry, frame, args, places, scalars = c.arguments
    c.check(c.own("guards", I1, entry, frame))
    positional, keywords = (c.head(entry, n, I64) for n in ("positional", "keywords"))
    count = c.binary("add", positional, keywords)
    with c.loop(0, count, carried=[c.head(entry, "arguments")]) as loop:
        thing = c.load(c.at(args, loop.index), POINTER)
        after = c.own("take", POINTER, thing, loop.carried[0], frame, constant(I1, 0))
        c.check_some(after)
        loop.next(after)
    c.check(c.own("apart", I1, entry, frame))
    c.branch_if(c.own("outputs", I1, entry, frame, places, scalars), "run", "made")
    c.start_block("run")
    c.check_equal(c.own("program", I32, entry, frame, places), constant(I32, 0))
    c.branch_if(c.own("scalars", I1, entry, frame, scalars), "build", "made")
    c.start_block("build")
    c.set_field(frame, "record", c.head(entry, "result"))
    c.set_field(frame, "result", c.own("build", POINTER, frame))
    c.branch("made")
    c.start_block("made")
    c.give(constant(I1, 1))
    c.start_block("no")
    c.give(constant(I1, 0))
    return c.text(I1, "attempt")


def _entry() -> str:
    """The builtin function."""
    c = EntryFunction("self", "args", n=I64, names=POINTER)
    this, args, n, names = c.arguments
    entry = c.load(c.offset(this, api.DATA), POINTER)
    frame = c.alloca(8 * len(FRAME), 16)
    c.set_field(frame, "api", c.head(entry, "api"))
    slow = c.head(entry, "slow")
    c.check_equal(c.load(c.head(entry, "traces_open"), I64), i64(0))
    c.check_equal(n, c.head(entry, "positional", I64))
    _check_names(c, entry, frame, names)
    made, places, scalars = _make_frame(c, entry, frame)
    done = c.own("attempt", I1, entry, frame, args, places, scalars)
    c.own_line("drop", frame, made, c.head(entry, "output_count", I64))
    c.own_line("drop", frame, c.field(frame, "held"), c.field(frame, "held_count", I64))
    c.check(done)
    c.give(c.field(frame, "result"))
    c.start_block("no")
    c.give(c.call(frame, "PyObject_Vectorcall", POINTER, slow, args, n, names))
    return c.text(POINTER, "entry")


def _check_names(c: EntryFunction, entry, frame, names) -> None:
    """The keywords must be the expected ones, in their order."""
    count = c.head(entry, "keywords", I64)
    given = c.compare("ne", names, NULL)
    c.check_equal(given, c.nonzero(count))
    with c.if_(given):
        c.check_equal(c.call(frame, "PyTuple_Size", I64, names), count)
        with c.loop(0, count) as loop:
            name = c.call(frame, "PyTuple_GetItem", POINTER, names, loop.index)
            wanted = c.load(c.at(c.head(entry, "names"), loop.index), POINTER)
            c.check(c.own("same_text", I1, frame, name, wanted))


def _make_frame(c: EntryFunction, entry, frame) -> tuple[Value, Value, Value]:
    """The frame's arrays, on the stack: (objects made for outputs, their places, numbers)."""

    def array(count: Value, size: int = 8) -> Value:
        total = c.binary("mul", count, i64(size))
        return c.emit(POINTER, f"alloca i8, {total}, align 16")

    inputs, outputs = c.head(entry, "inputs", I64), c.head(entry, "output_count", I64)
    for name in ("inputs", "objects"):
        c.set_field(frame, name, array(inputs))
    c.set_field(frame, "numbers", array(inputs, NUMBER_BYTES))
    c.set_field(frame, "containers", array(c.head(entry, "containers", I64)))
    c.set_field(frame, "held", array(c.head(entry, "held", I64)))
    for name in ("input", "container", "held_count"):
        c.set_field(frame, name, i64(0))
    c.set_field(frame, "result", NULL)
    made, places, scalars = array(outputs), array(outputs), array(outputs, NUMBER_BYTES)
    c.set_field(frame, "made", made)
    with c.loop(0, outputs) as loop:
        c.store(NULL, c.at(made, loop.index), 8)
    return made, places, scalars
