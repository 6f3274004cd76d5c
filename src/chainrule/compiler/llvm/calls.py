"""Calls of kernels as data: a list of numbers, and the functions that do them.

A call is `kernel, tasks, status, number, count`, then `count` arguments of two words each: the slot
of the table that it counts from, and an offset in bytes. `status` is the place of the argument that
becomes the address of the status, -1 where the kernel cannot fail. `kernel` is `HOST` for an
equation that runs on the evaluator; `tasks` is its site then. Negative `tasks` are done by the
calling thread alone. Under `number` the calls and their
ticks are counted where the runtime table has a profile.

Runs of calls that need nothing of each other are members of a job of the pool, which has one task
for each: two words, the place where its calls begin and their count.
"""

from __future__ import annotations

from functools import lru_cache

from chainrule.compiler.llvm.code import Code, Value, constant

EXTERNALS_START = 6  # the first slot of the runtime table that holds an external function
KERNELS = 5  # the slot of the table of the kernels' addresses
PROFILE = 4  # the slot of the profile: for each number, two i64s, calls and ticks; or null
HOST = -1
_WORDS = 5  # before the arguments


class Calls:
    """The list of calls of a module."""

    def __init__(self) -> None:
        self.words: list[int] = []

    def add(self, kernel: int, tasks: int, status: int, number: int, arguments) -> int:
        """Append a call; the place where it begins."""
        place = len(self.words)
        self.words += [kernel, tasks, status, number, len(arguments)]
        for slot, offset in arguments:
            self.words += [slot, offset]
        return place

    def add_members(self, members: list[tuple[int, int]]) -> int:
        """Append runs of calls that are done side by side; the place where they are listed."""
        place = len(self.words)
        for first, count in members:
            self.words += [first, count]
        return place

    def text(self) -> str:
        """The list as a constant of the module."""
        words = ", ".join([f"i64 {w}" for w in self.words or [0]])
        return f"@calls = internal constant [{max(len(self.words), 1)} x i64] [{words}]\n"


_HEAD = "i32 @do_calls(ptr %table, ptr %calls, i64 %count, i64 %most, ptr %runtime)"
_SIDE = (
    "i32 @do_side_by_side"
    "(ptr %table, ptr %calls, i64 %place, i64 %members, i64 %most, ptr %runtime)"
)
DECLARED = f"declare {_HEAD}\ndeclare {_SIDE}\n"

# A call that fails ends its own member; the others are done, and the whole has failed.
_SIDE_BY_SIDE = f"""
define internal void @do_members(ptr %set, i64 %lo, i64 %hi) nounwind {{
entry:
  %calls_at = getelementptr i8, ptr %set, i64 8
  %list_at = getelementptr i8, ptr %set, i64 16
  %most_at = getelementptr i8, ptr %set, i64 24
  %runtime_at = getelementptr i8, ptr %set, i64 32
  %failed_at = getelementptr i8, ptr %set, i64 40
  %table = load ptr, ptr %set, align 8
  %calls = load ptr, ptr %calls_at, align 8
  %list = load ptr, ptr %list_at, align 8
  %most = load i64, ptr %most_at, align 8
  %runtime = load ptr, ptr %runtime_at, align 8
  br label %look
look:
  %i = phi i64 [ %lo, %entry ], [ %more, %following ]
  %again = icmp slt i64 %i, %hi
  br i1 %again, label %member, label %done
member:
  %far = mul i64 %i, 16
  %entry_at = getelementptr i8, ptr %list, i64 %far
  %count_at = getelementptr i8, ptr %entry_at, i64 8
  %first = load i64, ptr %entry_at, align 8
  %count = load i64, ptr %count_at, align 8
  %its_calls = getelementptr i64, ptr %calls, i64 %first
  %status = call i32 @do_calls(ptr %table, ptr %its_calls, i64 %count, i64 %most, ptr %runtime)
  %failed = icmp ne i32 %status, 0
  br i1 %failed, label %fail, label %following
fail:
  store atomic i32 1, ptr %failed_at monotonic, align 4
  br label %following
following:
  %more = add i64 %i, 1
  br label %look
done:
  ret void
}}

define {_SIDE} nounwind {{
entry:
  %set = alloca [48 x i8], align 8
  %calls_at = getelementptr i8, ptr %set, i64 8
  %list_at = getelementptr i8, ptr %set, i64 16
  %most_at = getelementptr i8, ptr %set, i64 24
  %runtime_at = getelementptr i8, ptr %set, i64 32
  %failed_at = getelementptr i8, ptr %set, i64 40
  %list = getelementptr i64, ptr %calls, i64 %place
  store ptr %table, ptr %set, align 8
  store ptr %calls, ptr %calls_at, align 8
  store ptr %list, ptr %list_at, align 8
  store i64 %most, ptr %most_at, align 8
  store ptr %runtime, ptr %runtime_at, align 8
  store i32 0, ptr %failed_at, align 4
  %parallel = load ptr, ptr %runtime, align 8
  %pool_at = getelementptr i8, ptr %runtime, i64 8
  %pool = load ptr, ptr %pool_at, align 8
  call void %parallel(ptr %pool, ptr @do_members, ptr %set, i64 %members)
  %failed = load atomic i32, ptr %failed_at monotonic, align 4
  ret i32 %failed
}}
"""


@lru_cache(maxsize=1)
def runner_text() -> str:
    """The module of `do_calls`, which is the same for all programs: 1 where a call failed; no call
    has more than `most` arguments."""
    code = Code()
    runtime, zero = Value("%runtime", "ptr"), constant("i64", 0)
    arguments = code.emit("ptr", "alloca ptr, i64 %most, align 8")
    status = code.alloca(8, 8)
    code.store(constant("i32", 0), status)
    profile = code.load(code.offset(runtime, 8 * PROFILE), "ptr")
    timed = code.compare("ne", profile, Value("null", "ptr"))
    with code.loop(0, Value("%count", "i64"), carried=[Value("%calls", "ptr")]) as loop:
        call = loop.carried[0]
        kernel, tasks, place, number, count = (
            code.load(code.offset(call, 8 * i), "i64") for i in range(_WORDS)
        )
        after = _fill(code, call, count, arguments)
        with code.if_(code.compare("sge", place, zero)):
            code.store(status, code.offset(arguments, place, 8))
        started = _ticks(code, timed)
        _do(code, kernel, tasks, arguments, runtime, status)
        _note(code, profile, timed, number, started)
        failed = code.compare("ne", code.load(status, "i32"), constant("i32", 0))
        goes_on = code.fresh("goes_on")
        code.branch_if(failed, "fail", goes_on)
        code.start_block(goes_on)
        loop.next(after)
    code.line("ret i32 0")
    code.start_block("fail")
    code.line("ret i32 1")
    return code.function(f"define {_HEAD}") + _SIDE_BY_SIDE


def _fill(code: Code, call: Value, count: Value, arguments: Value) -> Value:
    """The addresses of a call's arguments; the place where the next call begins."""
    first = code.offset(call, 8 * _WORDS)
    with code.loop(0, count) as loop:
        word = code.offset(first, loop.index, 16)
        slot, offset = code.load(word, "i64"), code.load(code.offset(word, 8), "i64")
        base = code.load(code.offset(Value("%table", "ptr"), slot, 8), "ptr")
        code.store(code.offset(base, offset), code.offset(arguments, loop.index, 8))
    return code.offset(first, count, 16)


def _do(code: Code, kernel: Value, tasks: Value, arguments: Value, runtime: Value, status) -> None:
    names = [code.fresh(n) for n in ("host", "native", "alone", "shared", "done")]
    host, native, alone, shared, done = names
    code.branch_if(code.compare("slt", kernel, constant("i64", 0)), host, native)
    code.start_block(host)
    run = code.load(code.offset(runtime, 16), "ptr")
    token = code.load(code.offset(runtime, 24), "i64")
    result = code.emit("i32", f"call i32 {run.text}({token}, {tasks}, {arguments})")
    code.store(result, status)
    code.branch(done)
    code.start_block(native)
    kernels = code.load(code.offset(runtime, 8 * KERNELS), "ptr")
    function = code.load(code.offset(kernels, kernel, 8), "ptr")
    code.branch_if(code.compare("sle", tasks, constant("i64", 1)), alone, shared)
    code.start_block(alone)
    count = code.intrinsic("abs", tasks, more=", i1 false")
    code.line(f"call void {function.text}({arguments}, i64 0, {count})")
    code.branch(done)
    code.start_block(shared)
    parallel, pool = code.load(runtime, "ptr"), code.load(code.offset(runtime, 8), "ptr")
    code.line(f"call void {parallel.text}({pool}, {function}, {arguments}, {tasks})")
    code.branch(done)
    code.start_block(done)


def _ticks(code: Code, timed: Value) -> Value:
    """The processor's clock where calls are timed; else 0."""
    yes, no = code.fresh("timed"), code.fresh("untimed")
    before = code.block_name
    code.branch_if(timed, yes, no)
    code.start_block(yes)
    now = code.emit("i64", "call i64 @llvm.readcyclecounter()")
    code.branch(no)
    code.start_block(no)
    return code.emit("i64", f"phi i64 [ 0, %{before} ], [ {now.text}, %{yes} ]")


def _note(code: Code, profile: Value, timed: Value, number: Value, started: Value) -> None:
    with code.if_(timed):
        now = code.emit("i64", "call i64 @llvm.readcyclecounter()")
        entry = code.offset(profile, number, 16)
        for place, more in (
            (entry, constant("i64", 1)),
            (code.offset(entry, 8), code.binary("sub", now, started)),
        ):
            code.store(code.binary("add", code.load(place, "i64"), more), place)
