"""The threads of compiled functions: one pool for the process, started at its first use.

Helpers are Python threads that stay inside emitted code (compiler/pool_code.py) and so hold no GIL.
Between jobs they spin for `SPIN` seconds, then sleep until they are woken. The calling thread does
the tasks that no helper has taken. One caller at a time has the helpers; the others, and calls from
inside of a task, do their tasks alone. The results do not depend on any of this: how work is cut
into tasks depends on shapes alone.

`set_threads(n)` counts the caller; at first it is the environment's CHAINRULE_THREADS, or the
number of processors that this process may use. Where there are no pthreads there are no helpers.
"""

from __future__ import annotations

import atexit
import ctypes
import os
import threading
import time

from chainrule.compiler.cache import own_object_code
from chainrule.compiler.machine_code import Loaded
from chainrule.compiler.pool_code import CONDITION, HELPERS, MUTEX, POOL_BYTES, STOP, pool_code

SPIN = 100e-6  # seconds; waking a helper takes 50 to 80 microseconds (measured: 2 core Zen 3, VM)
VARIABLE = "CHAINRULE_THREADS"
_HAS_PTHREADS = os.name == "posix"
_FORMS = {
    "spin": ctypes.CFUNCTYPE(None, ctypes.c_void_p, ctypes.c_int64),  # pool, rounds
    "helper": ctypes.CFUNCTYPE(None, ctypes.c_void_p, ctypes.c_int64, ctypes.c_int64),  # and share
}
_STOPPING = 2.0  # seconds that the end of the process waits for helpers that are at work


def set_threads(n: int) -> None:
    """Let compiled functions use `n` threads, the calling one among them.

    Waits for a job that is being done. ValueError where n is no whole number, or below 1.
    """
    _pool.resize(_checked(n, "set_threads takes"))


def get_threads() -> int:
    """How many threads compiled functions use, the calling one among them."""
    return _pool.threads()


def runtime_pointers() -> tuple[int, int]:
    """The addresses of `parallel` and of the pool; helpers are started at the first call."""
    return _pool.start()


def _checked(n, what: str) -> int:
    if not isinstance(n, int) or isinstance(n, bool) or n < 1:
        raise ValueError(f"{what} a whole number of threads, 1 or more; got {n!r}.")
    return n


def _default() -> int:
    text = os.environ.get(VARIABLE, "").strip()
    if text:
        return _checked(int(text) if text.isdecimal() else text, f"the environment's {VARIABLE} is")
    return processors()


def processors() -> int:
    """How many processors this process may use."""
    count = getattr(os, "process_cpu_count", None)  # Python 3.13
    if count is not None:
        return count() or 1
    affinity = getattr(os, "sched_getaffinity", None)
    return len(affinity(0)) if affinity is not None else os.cpu_count() or 1


class _Pool:
    """The one pool: its memory, its code, and its helpers."""

    def __init__(self) -> None:
        self._lock = threading.Lock()
        self._wanted: int | None = None
        self._helpers: list[threading.Thread] = []
        self._parallel = 0
        self._ended = False

    def threads(self) -> int:
        """What `get_threads` says."""
        with self._lock:
            return self._count()

    def _count(self) -> int:
        if self._wanted is None:
            self._wanted = _default()
        return self._wanted

    def start(self) -> tuple[int, int]:
        """The addresses of `parallel` and of the pool, with the helpers at hand."""
        with self._lock:
            if not self._parallel:
                self._load()
                self._start_helpers()
            return self._parallel, self._address

    def resize(self, threads: int) -> None:
        """Have this many threads from now on."""
        with self._lock:
            changed, self._wanted = threads != self._wanted, threads
            if self._parallel and changed:
                self._stop_helpers(None)
                self._start_helpers()

    def _load(self) -> None:
        self._count()  # an error of the environment comes before anything is made
        # Level 0 takes 6 ms, level 1 15 ms; a job costs the same by both.
        name = f"pool, {_HAS_PTHREADS=}"
        self._code = Loaded(own_object_code(name, lambda: pool_code(_HAS_PTHREADS), 0))
        # Never freed: at the end of the process a helper may still be in this code and memory.
        ctypes.pythonapi.Py_IncRef(ctypes.py_object(self._code))
        self._memory = ctypes.create_string_buffer(POOL_BYTES + 128)
        ctypes.pythonapi.Py_IncRef(ctypes.py_object(self._memory))
        self._address = -(-ctypes.addressof(self._memory) // 128) * 128
        self._make_ready()
        self._rounds = self._rounds_of_spin()
        self._parallel = self._code.address("parallel")
        atexit.register(self._end)
        if hasattr(os, "register_at_fork"):
            os.register_at_fork(after_in_child=self._after_fork)

    def _make_ready(self) -> None:
        ctypes.memset(self._address, 0, POOL_BYTES)
        if _HAS_PTHREADS:
            library = ctypes.CDLL(None)
            library.pthread_mutex_init(ctypes.c_void_p(self._address + MUTEX), None)
            library.pthread_cond_init(ctypes.c_void_p(self._address + CONDITION), None)

    def _function(self, name: str):
        return _FORMS[name](self._code.address(name))

    def _rounds_of_spin(self) -> int:
        """How often a helper looks for a job in SPIN seconds: a pause takes 5 to 50 nanoseconds."""
        spin, tried = self._function("spin"), 2000
        seconds = []
        for _ in range(3):
            start = time.perf_counter()
            spin(self._address, tried)
            seconds.append(time.perf_counter() - start)
        return max(int(tried * SPIN / min(seconds)), 1)

    def _word(self, offset: int) -> ctypes.c_int64:
        return ctypes.c_int64.from_address(self._address + offset)

    def _start_helpers(self) -> None:
        if self._ended or not _HAS_PTHREADS:
            return
        helper = self._function("helper")
        for i in range(1, self._count()):
            args = self._address, self._rounds, i
            thread = threading.Thread(target=helper, args=args, name=f"chainrule-{i}", daemon=True)
            thread.start()
            self._helpers.append(thread)
        self._word(HELPERS).value = len(self._helpers)

    def _stop_helpers(self, seconds: float | None) -> None:
        """Tell the helpers to return, and wait until they have, or for that long."""
        if not self._helpers:
            return
        self._word(HELPERS).value = 0
        self._word(STOP).value = 1
        library = ctypes.CDLL(None)
        # The mutex orders the word above before the sleepers' look at it.
        library.pthread_mutex_lock(ctypes.c_void_p(self._address + MUTEX))
        library.pthread_cond_broadcast(ctypes.c_void_p(self._address + CONDITION))
        library.pthread_mutex_unlock(ctypes.c_void_p(self._address + MUTEX))
        until = None if seconds is None else time.monotonic() + seconds
        for thread in self._helpers:
            thread.join(None if until is None else max(until - time.monotonic(), 0))
        self._helpers.clear()
        if until is None:
            self._word(STOP).value = 0

    def _end(self) -> None:
        """At the end of the process: later calls do their tasks alone."""
        with self._lock:
            self._ended = True
            self._stop_helpers(_STOPPING)

    def _after_fork(self) -> None:
        """In a forked child the helpers are gone, and the memory is as they left it."""
        self._lock = threading.Lock()
        self._helpers = []
        self._make_ready()
        self._start_helpers()


_pool = _Pool()
