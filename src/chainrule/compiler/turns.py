"""Two programs for one call: the plain one and the settled one, which has both sides of ties.

Each ends with nothing written where the other is asked for: the plain one where a derivative in it
meets a tie, the settled one where none does. Which is tried first is what served last, since most
functions meet ties at nearly every call or at none. Results do not depend on it: what a call gives
is settled exactly where the plain program meets a tie.

    i32 turns(ptr inputs, ptr outputs, ptr arena, ptr state)

has the signature of a program; `state`, which stands for the runtime table, holds the plain program
and, once it is made, the settled one with a slot for its memory (as entries have: entry_table.py).
It is read and called without the GIL, so a settled program is put there by one word.
"""

from __future__ import annotations

import ctypes
from functools import lru_cache

from chainrule.compiler.cache import own_object_code
from chainrule.compiler.entry_table import Arena
from chainrule.compiler.machine_code import Loaded

_FIRST, _SETTLED = 0, 3  # words of the state; between them are the plain main and its runtime

# Words of a settled program: main, runtime, bytes of its arena, slot, malloc, free, whether it may
# be the first.
_TEXT = """
define internal i32 @settled(ptr %inputs, ptr %outputs, ptr %record) {
entry:
  %main = load ptr, ptr %record, align 8
  %runtime_at = getelementptr i64, ptr %record, i64 1
  %runtime = load ptr, ptr %runtime_at, align 8
  %bytes_at = getelementptr i64, ptr %record, i64 2
  %bytes = load i64, ptr %bytes_at, align 8
  %slot_at = getelementptr i64, ptr %record, i64 3
  %slot = load ptr, ptr %slot_at, align 8
  %kept = atomicrmw xchg ptr %slot, i64 0 acq_rel, align 8
  %none = icmp eq i64 %kept, 0
  br i1 %none, label %make, label %run
make:
  %malloc_at = getelementptr i64, ptr %record, i64 4
  %malloc = load ptr, ptr %malloc_at, align 8
  %size = add i64 %bytes, 63
  %made = call ptr %malloc(i64 %size)
  %fresh = ptrtoint ptr %made to i64
  %no_memory = icmp eq i64 %fresh, 0
  br i1 %no_memory, label %no, label %run
run:
  %raw = phi i64 [ %kept, %entry ], [ %fresh, %make ]
  %past = add i64 %raw, 63
  %aligned = and i64 %past, -64
  %arena = inttoptr i64 %aligned to ptr
  %answer = call i32 %main(ptr %inputs, ptr %outputs, ptr %arena, ptr %runtime)
  %other = atomicrmw xchg ptr %slot, i64 %raw acq_rel, align 8
  %alone = icmp eq i64 %other, 0
  br i1 %alone, label %done, label %drop
drop:
  %free_at = getelementptr i64, ptr %record, i64 5
  %free = load ptr, ptr %free_at, align 8
  %spare = inttoptr i64 %other to ptr
  call void %free(ptr %spare)
  br label %done
done:
  ret i32 %answer
no:
  ret i32 1
}

define internal i32 @plain(ptr %inputs, ptr %outputs, ptr %arena, ptr %state) {
  %main_at = getelementptr i64, ptr %state, i64 1
  %main = load ptr, ptr %main_at, align 8
  %runtime_at = getelementptr i64, ptr %state, i64 2
  %runtime = load ptr, ptr %runtime_at, align 8
  %answer = call i32 %main(ptr %inputs, ptr %outputs, ptr %arena, ptr %runtime)
  ret i32 %answer
}

define i32 @turns(ptr %inputs, ptr %outputs, ptr %arena, ptr %state) {
entry:
  %record_at = getelementptr i64, ptr %state, i64 3
  %record = load atomic ptr, ptr %record_at acquire, align 8
  %single = icmp eq ptr %record, null
  br i1 %single, label %only, label %choose
only:
  %one = call i32 @plain(ptr %inputs, ptr %outputs, ptr %arena, ptr %state)
  ret i32 %one
choose:
  %ties = load atomic i64, ptr %state monotonic, align 8
  %tied = icmp ne i64 %ties, 0
  br i1 %tied, label %settled_first, label %plain_first
settled_first:
  %a = call i32 @settled(ptr %inputs, ptr %outputs, ptr %record)
  %a_done = icmp eq i32 %a, 0
  br i1 %a_done, label %done, label %plain_then
plain_then:
  %b = call i32 @plain(ptr %inputs, ptr %outputs, ptr %arena, ptr %state)
  %b_done = icmp eq i32 %b, 0
  br i1 %b_done, label %untied, label %failed
plain_first:
  %c = call i32 @plain(ptr %inputs, ptr %outputs, ptr %arena, ptr %state)
  %c_done = icmp eq i32 %c, 0
  br i1 %c_done, label %done, label %settled_then
settled_then:
  %d = call i32 @settled(ptr %inputs, ptr %outputs, ptr %record)
  %d_done = icmp eq i32 %d, 0
  br i1 %d_done, label %met, label %failed
untied:
  store atomic i64 0, ptr %state monotonic, align 8
  br label %done
met:
  %may_at = getelementptr i64, ptr %record, i64 6
  %may = load i64, ptr %may_at, align 8
  store atomic i64 %may, ptr %state monotonic, align 8
  br label %done
done:
  ret i32 0
failed:
  ret i32 1
}
"""


class Turns:
    """What stands for a program that may meet ties: `address` and `runtime`, as of a program."""

    def __init__(self, main: int, runtime: int):
        self.address = _code().address("turns")
        self._state = (ctypes.c_void_p * 4)(None, main, runtime, None)
        self.runtime = ctypes.addressof(self._state)
        self._kept: tuple = ()

    def settle_by(self, main: int, runtime: int, arena_bytes: int, first: bool) -> None:
        """Have calls that meet a tie go on with another program, which is tried `first` then where
        it ends if none is met."""
        if self._kept:
            return
        arena = Arena()
        words = (
            main, runtime, arena_bytes, ctypes.addressof(arena.slot), _python("PyMem_RawMalloc"),
            _python("PyMem_RawFree"), int(first),
        )  # fmt: skip
        record = (ctypes.c_void_p * len(words))(*words)
        self._kept = (record, arena)
        self._state[_FIRST] = int(first)
        self._state[_SETTLED] = ctypes.addressof(record)

    def start_plain(self) -> None:
        """Have the next call try the plain program first."""
        self._state[_FIRST] = None


def _python(name: str) -> int | None:
    return ctypes.cast(getattr(ctypes.pythonapi, name), ctypes.c_void_p).value


@lru_cache(maxsize=1)
def _code() -> Loaded:
    loaded = Loaded(own_object_code("turns", lambda: _TEXT, 2))
    ctypes.pythonapi.Py_IncRef(ctypes.py_object(loaded))  # entries may outlive this module
    return loaded
