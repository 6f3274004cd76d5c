"""A compiled program: built once, run on arrays of exactly its input types.

Where the native code reports a failure (an index out of range, a singular matrix, an exception on
the evaluator) the call is made again on the evaluator, which raises the error or gives the result.
"""

from __future__ import annotations

import ctypes
import itertools
import threading
import time
import weakref
from functools import cached_property, lru_cache
from importlib import import_module
from typing import TYPE_CHECKING

import numpy as np

from chainrule.checking import run_checked
from chainrule.compiler import externals, kept
from chainrule.compiler.kept import Code, Request
from chainrule.compiler.machine_code import Loaded, object_code
from chainrule.compiler.threads import runtime_pointers
from chainrule.compiler.turns import Turns
from chainrule.program.displacement import affected_outputs
from chainrule.program.evaluate import Plan, plan
from chainrule.program.garbage import collector_paused
from chainrule.program.program import Program
from chainrule.running import run
from chainrule.transforms.checkpoint import within
from chainrule.transforms.stabilize import stabilize
from chainrule.wide.repair import Watch, watch
from chainrule.wide.twin import Twin

if TYPE_CHECKING:
    from chainrule.compiler.building import Built
    from chainrule.compiler.region import Region
    from chainrule.compiler.steps import Host, Step

_MAIN = ctypes.CFUNCTYPE(
    ctypes.c_int32, ctypes.c_void_p, ctypes.c_void_p, ctypes.c_void_p, ctypes.c_void_p
)
_HOST = ctypes.CFUNCTYPE(ctypes.c_int32, ctypes.c_int64, ctypes.c_int64, ctypes.c_void_p)
_tokens = itertools.count(1)
_alive: weakref.WeakValueDictionary[int, Native] = weakref.WeakValueDictionary()


class Native:
    """A program as native code.

    `run(values)` takes one C-contiguous array or scalar per input, of exactly its type, and gives
    the outputs; None for those that `written` maps to an input whose memory they update in place.
    What it was built from is at hand where it was built here, and made when asked for where its
    code was found on disk.
    """

    def __init__(self, request: Request, code: Code, built: Built | None = None):
        self.request, self.written = request, request.written
        self._code = code._replace(objects=(), kernels=())  # LLVM has them
        self.out_types = request.program.out_types
        self.kernel_count, self.arena_bytes = len(code.kernels), code.arena
        self.keeps_arena = True  # for the next call; else what calls it brings memory of its own
        self._is_whole = False
        if built is not None and built.module.sites:  # else made again if it is asked for
            self._is_whole, self.built = True, built
        self.loaded = Loaded(*code.objects)
        self.address = self.loaded.address("main")
        self._token = next(_tokens)
        self._arenas = threading.local()
        _alive[self._token] = self
        parallel, pool = runtime_pointers()
        kernels = list(map(self.loaded.address, code.kernels))
        self._kernels = (ctypes.c_void_p * (len(kernels) + 1))(*kernels)
        table = ctypes.addressof(self._kernels)
        slots = [parallel, pool, _host_address(), self._token, None, table]
        slots += [externals.address(name) for name in code.externals]
        self._runtime = (ctypes.c_void_p * len(slots))(*slots)
        self.runtime = ctypes.addressof(self._runtime)
        self._turns = None
        if code.goes_on and not code.estimates:
            self._turns = Turns(self.address, self.runtime)
            self.address, self.runtime = self._turns.address, self._turns.runtime
        self._main = _MAIN(self.address)

    # --- what it was built from -------------------------------------------------------------------

    @cached_property
    def program(self) -> Program:
        """The program as it runs on the evaluator."""
        return _stabilized(self.request)

    @cached_property
    def built(self) -> Built:
        """Its steps, and what else it was compiled from."""
        return import_module("chainrule.compiler.building").built(self.request, self.program)

    @property
    def region(self) -> Region:
        """Its steps with their memory planned."""
        return self.built.region

    @property
    def sites(self) -> list[Host]:
        """The steps that run on the evaluator."""
        return self.built.module.sites

    @property
    def timed(self) -> list[Step]:
        """The steps by the numbers under which their calls are timed."""
        return self.built.module.timed

    def whole(self) -> Native:
        """The same with the steps that its code was made from: timing needs both of one making."""
        if self._is_whole:
            return self
        made = Native(self.request, self.built.code(), self.built)
        made._is_whole, made.built = True, self.built
        return made

    @cached_property
    def _watch(self) -> Watch | Twin | None:
        return watch(self.program) if self._code.estimates else None

    @cached_property
    def _settled(self) -> Native | None:
        if not self._code.goes_on:
            return None
        stage = self.request.stage + 1
        made = _native(self.request._replace(check=None, memory=None, stage=stage))
        return made if isinstance(made, Native) else None

    def settled(self) -> Native | None:
        """What goes on after a tie, made when the first one is met."""
        return self._settled

    # --- calls ------------------------------------------------------------------------------------

    def _arena(self) -> np.ndarray:
        """Memory for this thread's calls."""
        found = getattr(self._arenas, "memory", None)
        if found is None:
            found = np.empty(self.arena_bytes + 64, np.uint8)
            if self.keeps_arena:
                self._arenas.memory = found
        return found

    def give_up_arena(self) -> None:
        """Keep no memory between calls: an entry, or a program that goes on with this one, does."""
        self.keeps_arena, self._arenas = False, threading.local()

    def run(self, values: list) -> list:
        """The outputs of one call."""
        arrays = [np.asarray(v) for v in values]
        outputs, failed = self.attempt(arrays)
        return self.run_again(arrays) if failed else outputs

    def fresh_run(self, values: list) -> list:
        """As `run`, with an arena that is allocated for this call."""
        self._arenas = threading.local()
        return self.run(values)

    def attempt(self, arrays: list) -> tuple[list, bool]:
        """The outputs of the native code alone, and whether it failed."""
        outputs: list = [
            None if k in self.written else np.empty(t.shape, t.dtype)
            for k, t in enumerate(self.out_types)
        ]
        inputs = (ctypes.c_void_p * (len(arrays) + 1))(*[a.ctypes.data for a in arrays])
        places = (ctypes.c_void_p * (len(outputs) + 1))(
            *[None if o is None else o.ctypes.data for o in outputs]
        )
        memory = self._arena()
        arena = -(-memory.ctypes.data // 64) * 64
        failed = self._main(
            ctypes.addressof(inputs), ctypes.addressof(places), arena, self.runtime
        )
        return [o[()] if o is not None and not o.ndim else o for o in outputs], bool(failed)

    def profiled(self, values: list, runs: int) -> list[tuple[int, float]]:
        """(calls, seconds) of every call of a kernel, over some runs; they update what runs do."""
        counts = np.zeros((len(self.timed) + 1, 2), np.int64)
        slot = import_module("chainrule.compiler.llvm.calls").PROFILE
        started, clock = _ticks(), time.perf_counter()
        self._runtime[slot] = counts.ctypes.data
        try:
            for _ in range(runs):
                if self._turns is not None:
                    self._turns.start_plain()
                self.run(values)
        finally:
            self._runtime[slot] = None
        elapsed = time.perf_counter() - clock
        tick = elapsed / max(_ticks() - started, 1)
        return [(int(calls), float(ticks) * tick) for calls, ticks in counts[:-1]]

    def run_again(self, arrays: list) -> list:
        """The call where ties are settled; on the evaluator, with the outputs written where they
        belong, if that fails too, or if it may be lost digits that the native code has met."""
        outputs = self._gone_on(arrays)
        if outputs is not None:
            return outputs
        if self.request.check is not None:
            outputs = run_checked(self.program, arrays)
        elif self._watch is not None:
            outputs = self._watch.run(arrays)
        else:
            outputs = plan(self.program).run(arrays)
        for k, i in self.written.items():
            np.copyto(arrays[i], outputs[k])
            outputs[k] = None
        return outputs


    def _gone_on(self, arrays: list) -> list | None:
        """The outputs by the programs of further stages; None where they leave a tie open."""
        settled = None if self._turns is None else self.settled()
        if settled is None:
            return None
        assert self._turns is not None
        outputs, failed = settled.attempt(arrays)
        if failed:
            found = settled._gone_on(arrays)
            if found is None:
                return None
            outputs = found
        first = settled._code.ties  # it says where it meets none
        self._turns.settle_by(settled.address, settled.runtime, settled.arena_bytes, first)
        settled.give_up_arena()
        return outputs


class Evaluated:
    """A program that stays on the evaluator as a whole, behind the same interface."""

    def __init__(self, program: Program, written: dict[int, int], reason: str, check: str | None):
        self.program, self.written, self.reason, self._check = program, written, reason, check
        self._plan = Plan(program)

    def run(self, values: list) -> list:
        """The outputs of one call."""
        if self._check is None:
            outputs = run(self._plan, list(values))
        else:
            outputs = run_checked(self.program, list(values))
        for k, i in self.written.items():
            np.copyto(values[i], outputs[k])
            outputs[k] = None
        return outputs


@collector_paused()
def build(
    program: Program, written: dict[int, int], check: str | None = None,
    memory: int | None = None, stable: bool = False, loaded: float | None = None,
) -> Native | Evaluated:  # fmt: skip
    """The native form of a closed program; `written` maps outputs to the inputs they update.

    With check "nan" the first operation that makes a nan or an infinity out of finite numbers
    raises `NotANumber`. `memory` bounds the bytes of the arena and of new outputs together. A
    `stable` program is stabilized, looks for lost digits, and is run again on the evaluator where
    it finds some. It is looked up on disk, and kept there, for the source of chainrule as it was
    `loaded` then (seconds, as of `time.time`); not where that is None.
    """
    return _native(Request(program, written, check, memory, stable, loaded=loaded))


def _stabilized(request: Request) -> Program:
    return stabilize(request.program) if request.stable else request.program


def _native(request: Request) -> Native | Evaluated:
    """What is asked for, from the disk or built, and then kept there."""
    key = kept.key_of(request)
    code = None if key is None else kept.found(key)
    if code is not None:
        return Native(request, code)
    made = _built(request, key)
    if not isinstance(made, Code):
        return made
    building, size = import_module("chainrule.compiler.building"), sum(map(len, made.objects))
    building.forget(size)
    native = Native(request, made)
    building.give_back(size)
    return native


def _built(request: Request, key: bytes | None) -> Native | Evaluated | Code:
    """What is asked for, made; or its code, put under the key, which needs nothing else to run."""
    program = _stabilized(request)
    if affected_outputs(program):
        fitting = within(program, request.memory)
        reason = "limits at equal eigenvalues"
        return Evaluated(fitting, request.written, reason, request.check)
    built = import_module("chainrule.compiler.building").built(request, program)
    code = built.code()
    if not built.module.sites:
        if key is not None:
            kept.keep(key, request, code, built.texts)
        return code
    native = Native(request, code, built)
    native.program = program
    return native


_TICKS_IR = """
define i64 @ticks() {
  %now = call i64 @llvm.readcyclecounter()
  ret i64 %now
}
"""


@lru_cache(maxsize=1)
def _tick_reader():
    loaded = Loaded(object_code(_TICKS_IR))
    return loaded, ctypes.CFUNCTYPE(ctypes.c_int64)(loaded.address("ticks"))


def _ticks() -> int:
    """The processor's clock, in the ticks in which kernels are timed."""
    return _tick_reader()[1]()


# --- equations on the evaluator -------------------------------------------------------------------


def _host(token: int, site: int, table: int) -> int:
    try:
        native = _alive[token]
        import_module("chainrule.compiler.host_sites").run_site(native.sites[site], table)
        return 0
    except BaseException:  # reported to the compiled code; the call is made again and raises it
        return 1


_callback = _HOST(_host)


def _host_address() -> int:
    address = ctypes.cast(_callback, ctypes.c_void_p).value
    assert address is not None
    return address
