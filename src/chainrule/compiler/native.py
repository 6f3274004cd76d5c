"""A compiled program: built once, run on arrays of exactly its input types.

Where the native code reports a failure (an index out of range, a singular matrix, an exception on
the evaluator) the call is made again on the evaluator, which raises the error or gives the result.
"""

from __future__ import annotations

import ctypes
import itertools
import os
import threading
import time
import weakref
from collections.abc import Callable
from concurrent.futures import ThreadPoolExecutor
from functools import lru_cache

import numpy as np

from chainrule.checking import run_checked
from chainrule.compiler import externals
from chainrule.compiler.budget import fitted
from chainrule.compiler.cache import cached_object_code
from chainrule.compiler.llvm.calls import PROFILE
from chainrule.compiler.llvm.vecmath import MATH
from chainrule.compiler.lower import lower
from chainrule.compiler.machine_code import Loaded, object_code
from chainrule.compiler.region import Module, Region, Writer
from chainrule.compiler.steps import Host, Ref
from chainrule.compiler.threads import runtime_pointers
from chainrule.program.displacement import affected_outputs
from chainrule.program.evaluate import Plan, plan
from chainrule.program.garbage import collector_paused
from chainrule.program.liveness import remove_dead
from chainrule.program.program import Program
from chainrule.running import run
from chainrule.transforms.checkpoint import within
from chainrule.transforms.kinks import guarded, holds_germs, settled
from chainrule.transforms.simplify import DEFAULT, named, remove_barriers, simplify
from chainrule.wide.repair import Watch, watch

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
    """

    def __init__(self, program: Program, written: dict[int, int], texts: list[str],
                 region: Region, module: Module, check: str | None,
                 watch: Watch | None = None):  # fmt: skip
        self.program, self.written, self.texts, self.region = program, written, texts, region
        self.sites, self.timed = module.sites, module.timed
        self.kernel_count = len(module.functions)
        self.arena_bytes, self._check, self._watch = region.arena, check, watch
        self.settled: Callable[[], Native | None] = _nothing  # what goes on after a tie
        self.tied = False  # whether it has
        self.loaded = Loaded(*_compiled(texts))
        self.address = self.loaded.address("main")
        self._main = _MAIN(self.address)
        self._token = next(_tokens)
        self._arenas = threading.local()
        _alive[self._token] = self
        parallel, pool = runtime_pointers()
        kernels = [self.loaded.address(f"kernel{i}") for i in range(self.kernel_count)]
        self._kernels = (ctypes.c_void_p * (len(kernels) + 1))(*kernels)
        table = ctypes.addressof(self._kernels)
        slots = [parallel, pool, _host_address(), self._token, None, table]
        slots += [externals.address(name) for name in module.externals]
        self._runtime = (ctypes.c_void_p * len(slots))(*slots)
        self.runtime = ctypes.addressof(self._runtime)

    def _arena(self) -> int:
        """The start of memory that belongs to this thread's calls."""
        found = getattr(self._arenas, "memory", None)
        if found is None:
            found = self._arenas.memory = np.empty(self.arena_bytes + 64, np.uint8)
        return -(-found.ctypes.data // 64) * 64

    def run(self, values: list) -> list:
        """The outputs of one call."""
        arrays = [np.asarray(v) for v in values]
        if self.tied:  # an entry has made the attempt; and ties are seldom met once
            return self.run_again(arrays)
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
            for k, t in enumerate(self.program.out_types)
        ]
        inputs = (ctypes.c_void_p * (len(arrays) + 1))(*[a.ctypes.data for a in arrays])
        places = (ctypes.c_void_p * (len(outputs) + 1))(
            *[None if o is None else o.ctypes.data for o in outputs]
        )
        failed = self._main(
            ctypes.addressof(inputs), ctypes.addressof(places), self._arena(), self.runtime
        )
        return [o[()] if o is not None and not o.ndim else o for o in outputs], bool(failed)

    def profiled(self, values: list, runs: int) -> list[tuple[int, float]]:
        """(calls, seconds) of every call of a kernel, over some runs; they update what runs do."""
        counts = np.zeros((len(self.timed) + 1, 2), np.int64)
        started, clock = _ticks(), time.perf_counter()
        self._runtime[PROFILE] = counts.ctypes.data
        try:
            for _ in range(runs):
                self.run(values)
        finally:
            self._runtime[PROFILE] = None
        elapsed = time.perf_counter() - clock
        tick = elapsed / max(_ticks() - started, 1)
        return [(int(calls), float(ticks) * tick) for calls, ticks in counts[:-1]]

    def run_again(self, arrays: list) -> list:
        """The call where ties are settled; on the evaluator, with the outputs written where they
        belong, if that fails too, or if it may be lost digits that the native code has met."""
        settled = self.settled() if self._watch is None else None
        if settled is not None:
            outputs, failed = settled.attempt(arrays)
            if not failed:
                self.tied = True
                return outputs
        if self._check is not None:
            outputs = run_checked(self.program, arrays)
        elif self._watch is not None:
            outputs = self._watch.run(arrays)
        else:
            outputs = plan(self.program).run(arrays)
        for k, i in self.written.items():
            np.copyto(arrays[i], outputs[k])
            outputs[k] = None
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


def _nothing() -> None:
    return None


_FIRST = (*DEFAULT, *named(["product with a number", "product with a filled array"]))


def prepare(program: Program, opened: Callable[[Program], Program] = guarded) -> Program:
    """The program as it is compiled: composite operations written out, and simplified.

    `opened` says what becomes of derivatives that settle ties. Products with a filled array, as the
    gradient of a sum of products has them, are sums, which need no array.
    """
    written_out = lower(simplify(remove_dead(opened(program)), _FIRST), keep=MATH)
    return remove_barriers(simplify(written_out))


@collector_paused()
def build(
    program: Program, written: dict[int, int], check: str | None = None,
    memory: int | None = None, stable: bool = False,
):  # fmt: skip
    """The native form of a closed program; `written` maps outputs to the inputs they update.

    With check "nan" the first operation that makes a nan or an infinity out of finite numbers
    raises `NotANumber`. `memory` bounds the bytes of the arena and of new outputs together. A
    `stable` program looks for lost digits, and is run again on the evaluator where it finds some.
    """
    if affected_outputs(program):
        fitting = within(program, memory)
        return Evaluated(fitting, written, "limits at equal eigenvalues", check)
    watched = check is not None
    prepared = prepare(program)
    looking = watch(program) if stable and not watched and not written else None
    if looking is not None:
        estimate = looking.estimating(prepared)
        prepared, looking = (estimate, looking) if estimate is not None else (prepared, None)
    native = _native(prepared, program, written, check, memory, looking)
    if not watched and holds_germs(program):

        @lru_cache(maxsize=1)
        @collector_paused()
        def settling() -> Native:
            return _native(prepare(program, settled), program, written, None, memory, None)

        native.settled = settling
    return native


def _native(prepared: Program, program: Program, written, check, memory, looking) -> Native:
    watched = check is not None
    region = fitted(prepared, written, watched, memory, program)
    module = Module()
    texts = Writer(module, watched).main(region)
    return Native(program, written, texts, region, module, check, looking)


def _compiled(texts: list[str]) -> list[bytes]:
    """The object code of modules, compiled side by side: LLVM runs without the GIL."""
    if len(texts) == 1:
        return [cached_object_code(texts[0])]
    with ThreadPoolExecutor(min(len(texts), os.cpu_count() or 1)) as pool:
        return list(pool.map(cached_object_code, texts))


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
        _run_site(native.sites[site], table)
        return 0
    except BaseException:  # reported to the compiled code; the call is made again and raises it
        return 1


def _run_site(step: Host, table: int) -> None:
    equation = step.equation
    assert equation is not None
    refs = [*step.reads(), *step.outputs]
    pointers = (ctypes.c_void_p * len(refs)).from_address(table)
    arrays = iter([_array(r, p) for r, p in zip(refs, pointers, strict=True)])
    inputs = [next(arrays) if isinstance(x, Ref) else x for x in step.inputs]
    with np.errstate(all="ignore"):
        found = equation.op.evaluate(*[_scalar(x) for x in inputs], **equation.params)
    results = found if len(equation.outputs) > 1 else (found,)
    for out, value in zip(arrays, results, strict=True):
        np.copyto(out, value)


def _array(ref: Ref, pointer: int | None) -> np.ndarray:
    type_ = ref.type
    if not type_.size or pointer is None:
        return np.empty(type_.shape, type_.dtype)
    memory = (ctypes.c_uint8 * type_.nbytes).from_address(pointer)
    return np.frombuffer(memoryview(memory), type_.dtype).reshape(type_.shape)


def _scalar(x):
    return x[()] if isinstance(x, np.ndarray) and not x.ndim else x


_callback = _HOST(_host)


def _host_address() -> int:
    address = ctypes.cast(_callback, ctypes.c_void_p).value
    assert address is not None
    return address
