"""What one call of a native entry and one job of the thread pool cost, without any work in them.

    python benchmarks/call_overhead.py

Nanoseconds: the least and the median of 1,500 times 500 calls. The microseconds until a helper is
at work mean something only where no other process wants the processors.
"""

import ctypes
import time
import timeit

import numpy as np

from chainrule.compiler.entry import make_entry
from chainrule.compiler.entry_spec import (
    ArraySpec,
    DictSpec,
    EntrySpec,
    NumberSpec,
    OutputSpec,
    ResultLeaf,
    ResultSame,
)
from chainrule.compiler.machine_code import Loaded, object_code
from chainrule.compiler.threads import runtime_pointers, set_threads
from chainrule.program.types import array_type

IR = """
declare i32 @sched_yield()

define i32 @main(ptr %in, ptr %out, ptr %arena, ptr %runtime) {
  ret i32 0
}

define void @kernel(ptr %args, i64 %lo, i64 %hi) {
  ret void
}

; Each of two tasks waits for the other, so that the job lasts until the helper is there.
define void @meet(ptr %args, i64 %lo, i64 %hi) {
entry:
  %n = sub i64 %hi, %lo
  %old = atomicrmw add ptr %args, i64 %n seq_cst
  br label %loop
loop:
  %now = load atomic i64, ptr %args acquire, align 8
  %all = icmp sge i64 %now, 2
  br i1 %all, label %done, label %loop
done:
  ret void
}

define void @jobs(ptr %parallel, ptr %pool, ptr %kernel, ptr %args, i64 %tasks, i64 %times) {
entry:
  br label %loop
loop:
  %i = phi i64 [ 0, %entry ], [ %j, %loop ]
  call void %parallel(ptr %pool, ptr %kernel, ptr %args, i64 %tasks)
  %j = add i64 %i, 1
  %more = icmp slt i64 %j, %times
  br i1 %more, label %loop, label %done
done:
  ret void
}
"""


def entries(code: Loaded) -> dict:
    """Entries of programs that do nothing, by what they take and give, and their arguments."""
    vector, scalar = array_type((4,), np.dtype("f4")), array_type((), np.dtype("f8"))
    a, b, c = (np.zeros(4, "f4") for _ in range(3))
    read, write = ArraySpec(vector), ArraySpec(vector, True)
    names = tuple("abcdefghij")
    parameters = {name: np.zeros(4, "f4") for name in names}

    def make(arguments, outputs, result, **more):
        spec = EntrySpec(arguments, outputs, result, **more)
        return make_entry(spec, code.address("main"), print, arena_bytes=1000, keep=code)

    nothing, first = ResultSame(None), (OutputSpec(vector, 0),)
    updates = tuple(OutputSpec(vector, i) for i in range(len(names)))
    tree = DictSpec(names, (write,) * len(names))
    return {
        "a float -> np.float64": (
            make((NumberSpec(float),), (OutputSpec(scalar),), ResultLeaf(0)),
            (1.5,),
        ),
        "3 arrays -> 1 array": (
            make((read,) * 3, (OutputSpec(vector),), ResultLeaf(0)),
            (a, b, c),
        ),
        "1 array, updated in place": (make((write,), first, nothing), (a,)),
        "3 arrays, 1 updated, GIL released": (
            make((write, read, read), first, nothing, releases_gil=True),
            (a, b, c),
        ),
        "a dict of 10 arrays, updated, and 1 array": (
            make((tree, read), updates, nothing),
            (parameters, a),
        ),
        "beside it: np.empty": (np.empty, (4, "f4")),
        "beside it: np.add": (np.add, (a, b)),
    }


def least_and_median(statement: str, names: dict) -> tuple[float, float]:
    """Nanoseconds for one run of a statement."""
    times = sorted(timeit.repeat(statement, globals=names, number=500, repeat=1500))
    return times[0] * 2e6, times[750] * 2e6


def time_jobs(code: Loaded) -> None:
    """Print what a job costs while the helper spins, and after it has gone to sleep."""
    set_threads(2)
    pointer, integer = ctypes.c_void_p, ctypes.c_int64
    form = ctypes.CFUNCTYPE(None, pointer, pointer, pointer, pointer, integer, integer)
    jobs = form(code.address("jobs"))
    parallel, pool = runtime_pointers()
    for tasks in (1, 2, 100):
        least = np.inf
        for _ in range(50):
            start = time.perf_counter()
            jobs(parallel, pool, code.address("kernel"), None, tasks, 2000)
            least = min(least, time.perf_counter() - start)
        print(f"a job of {tasks:3} tasks, the helper awake   {least / 2000 * 1e9:8.1f} ns")
    for pause in (0.0, 0.002):
        times = []
        for _ in range(200):
            arrived = integer(0)
            time.sleep(pause)
            start = time.perf_counter()
            jobs(parallel, pool, code.address("meet"), ctypes.addressof(arrived), 2, 1)
            times.append(time.perf_counter() - start)
        times.sort()
        state = "asleep" if pause else "awake"
        print(f"until the helper is at work, {state:6}      {times[0] * 1e6:8.1f} us, "
              f"median {times[100] * 1e6:.1f}")  # fmt: skip


if __name__ == "__main__":
    loaded = Loaded(object_code(IR))
    for what, (function, arguments) in entries(loaded).items():
        names = {f"x{i}": x for i, x in enumerate(arguments)} | {"f": function}
        call = f"f({', '.join(f'x{i}' for i in range(len(arguments)))})"
        least, median = least_and_median(call, names)
        print(f"{what:42} {least:8.1f} ns, median {median:.1f}")
    time_jobs(loaded)
