"""compile: a function that is traced once for each signature, and then runs as one program.

A call takes its arguments apart, finds the trace made for their signature, runs its program, and
finishes as the traced call would have: arguments are written to, objects changed, and what the
function returns is put together again.
"""

from __future__ import annotations

import sys
import threading
from collections.abc import Callable
from functools import partial, update_wrapper
from importlib import import_module
from types import MethodType
from typing import Any

from chainrule.compiled_trace import CompiledTrace
from chainrule.guards import Guards
from chainrule.host_random import randomness_noticed
from chainrule.options import options
from chainrule.program.cost import takes_more
from chainrule.program.garbage import collector_paused
from chainrule.program.noting import code_that_runs
from chainrule.program.trace import current
from chainrule.signature import Arguments
from chainrule.tracing import Call, trace_call

KEPT = 64  # traces for each compiled function; the one that was used last longest ago goes
ENTRIES = 8  # at most so many native entries are tried, one after the other
PATIENCE = 256  # calls that pass the entries by, until the trace gets one
LONG = 1_000_000  # operations of a call beside which an entry saves little: some 0.2 milliseconds


def compile(
    f: Callable | None = None, *, check: str | None = None, kinks: str | None = None,
    memory: int | str | None = None, stabilize: bool = True,
):  # fmt: skip
    """The same function, as native code for the types, shapes and structure of its arguments.

    Also a decorator, of functions and methods: `@compile`, `@compile(check="nan")`. The function is
    traced at the first call with arguments of a kind (`signature.Arguments`), without the values
    of arrays. Python numbers are data as arrays are; where the trace needs the value of one (a
    branch, a shape, `range(n)`), it is traced again for another value. The same holds for numbers,
    functions and objects that it reaches through names; arrays that it reaches are read at each
    call. What it writes to arguments, their attributes and entries, and generators is written as
    without `compile`. Inside a derivative or another trace it is simply the function. With
    check="nan", the first operation that makes a nan or an infinity of finite numbers raises. With
    `memory` (bytes, or "256MB") a call allocates no more, results included: what does not fit is
    computed again instead of kept (docs/memory.md). `kinks` is that of derivatives inside which do
    not say it themselves (docs/kinks.md). Unless stabilize=False, formulas that lose digits or
    overflow are rewritten (docs/stability.md), and results that lost theirs all the same are
    computed again in wide arithmetic (docs/wide.md).

    **Errors** `ConcreteValueNeeded` for a Python `if` on an array, with the ways out;
    `MutationError` where it keeps traced values, or writes by plain NumPy to arrays, outside of
    its arguments; `NotANumber` (see `check`); `BudgetTooSmall`, with the least that would do.
    **Cost** a call costs less than NumPy's `x * 2.0 + w`, on top of the work, for arrays in C
    order, numbers, and tuples, lists, dicts and registered objects of them; some ten times that
    with changes of attributes, more for other arguments. An array that is reached through a name,
    and whose content went into the trace by way of plain NumPy, is compared at each call (3 ms a
    megabyte on a busy Zen 3). Where the trace reads the array itself as well, such use is noticed
    in small arrays only, and only beside other arrays that were made by plain NumPy.

    >>> import numpy as np
    >>> step = compile(lambda w, x: w - 0.5 * x)
    >>> step(np.ones(2), np.array([1.0, 2.0]))
    array([0.5, 0. ])
    """
    if check not in (None, "nan"):
        raise ValueError(f"check is None or 'nan', got {check!r}.")
    if f is None:
        return lambda g: compile(g, check=check, kinks=kinks, memory=memory, stabilize=stabilize)
    if not callable(f):
        raise TypeError(f"compile takes a function, got {f!r}.")
    chosen = options(kinks, memory, stabilize)
    return Compiled(f, check, chosen.memory, chosen.stabilize, chosen.kinks)


class Compiled:
    """A compiled function. Made by `compile`; called as the function is.

    Each has a class of its own, whose `__call__` is the native entry, or the way to one: Python
    calls it without a function in between, which would take as long as a small program.
    """

    __name__: str
    __wrapped__: Callable
    __call__: Callable[..., Any]

    def __init__(
        self, f: Callable, check: str | None, memory: int | None = None, stable: bool = True,
        kinks: str | None = None,
    ):  # fmt: skip
        self.__name__ = type(f).__name__
        update_wrapper(self, f)
        self._check, self.memory, self._stable, self._kinks = check, memory, stable, kinks
        self._f, self._bound, self._keywords = _apart(f)
        self._is_bound = bool(self._bound or self._keywords)
        self._traces: dict[tuple, list[CompiledTrace]] = {}
        self._entered: list[CompiledTrace] = []  # the traces that the entry leads to
        self._lock = threading.RLock()
        self.__class__ = type("Compiled", (type(self),), {})
        self._lead_to(self._call)

    def __get__(self, instance, owner=None):
        return self if instance is None else MethodType(self, instance)

    def __repr__(self) -> str:
        return f"<compiled {getattr(self._f, '__qualname__', self._f)}>"

    def _lead_to(self, entry: Callable) -> None:
        """Have calls go to the entry of the traces made last, or to `_call`."""
        self._entry = entry
        own: Any = type(self)
        own.__call__ = staticmethod(self._with_bound if self._is_bound else entry)

    def _with_bound(self, *args, **kwargs):
        return self._entry(*self._bound, *args, **(self._keywords | kwargs))

    def trace_of(self, *args, **kwargs) -> tuple[CompiledTrace, Arguments]:
        """The trace that a call with these arguments would run, made if need be; and these."""
        args, kwargs = self._bound + args, self._keywords | kwargs
        arguments = Arguments(args, kwargs)
        with self._lock:
            trace = self._trace_for(arguments) or self._traced(args, kwargs, arguments)
        return trace, arguments

    def latest_trace(self) -> CompiledTrace | None:
        """The trace that was made or used last; None before the first call."""
        traces = [t for found in self._traces.values() for t in found]
        return max(traces, key=lambda t: t.used, default=None)

    def _call(self, *args, **kwargs):
        """A call that no entry takes; in a trace, it is simply the function."""
        if current() is not None:
            return self._f(*args, **kwargs)
        arguments = Arguments(args, kwargs)
        trace = self._trace_for(arguments)
        if trace is None:
            with self._lock:
                trace = self._trace_for(arguments) or self._traced(args, kwargs, arguments)
                self._enter(trace, args, kwargs)
        elif trace.uses % PATIENCE == 0:
            with self._lock:
                self._enter(trace, args, kwargs)
        return trace.run(arguments)

    def _enter(self, trace: CompiledTrace, args, kwargs) -> None:
        """Put the trace's native entry, where there is one, before those of other traces."""
        if trace in self._entered or (trace.uses < PATIENCE and _can_wait(trace)):
            return
        full = len(self._entered) >= ENTRIES
        entries = import_module("chainrule.compiled_entry")  # with LLVM, which loads slowly
        entry = entries.entry_for(trace, args, kwargs, self._call if full else self._entry)
        if entry is not None:
            self._entered = [trace] if full else [*self._entered, trace]
            self._lead_to(entry)

    def _trace_for(self, arguments: Arguments) -> CompiledTrace | None:
        for trace in self._traces.get(arguments.key, ()):
            if trace.holds(arguments):
                trace.note_use()
                return trace
        return None

    @collector_paused()
    def _traced(self, args, kwargs, arguments: Arguments) -> CompiledTrace:
        roots = [*arguments.objects, *map(type, arguments.containers)]
        guards = Guards(self._f, roots)
        with randomness_noticed(self.__name__, guards.generators), code_that_runs() as ran:
            call = self._call_of(args, kwargs, arguments, guards)
        guards.settle(call, ran)
        for old in self._traces.get(arguments.key, ()):
            if old.proves_same(call, arguments):
                old.guards.clear_suspects()
                return old
        made = CompiledTrace(call, guards, self._check, self.memory, self._stable)
        self._make_room()
        self._traces[arguments.key] = [*self._traces.get(arguments.key, ()), made]
        return made

    def _call_of(self, args, kwargs, arguments: Arguments, guards: Guards) -> Call:
        types = arguments.types()
        try:
            return trace_call(
                self._f, args, kwargs, types=types, concrete=False, compiled=True,
                kinks=self._kinks,
            )  # fmt: skip
        except BaseException:
            guards.restore()
            raise

    def _make_room(self) -> None:
        """Forget the trace whose last use is longest ago, where there are too many."""
        if sum(map(len, self._traces.values())) < KEPT:
            return
        key, old = min(
            ((k, t) for k, traces in self._traces.items() for t in traces
             if t not in self._entered),
            key=lambda item: item[1].used,
        )  # fmt: skip
        left = [t for t in self._traces[key] if t is not old]
        if left:
            self._traces[key] = left
        else:
            del self._traces[key]


def _can_wait(trace: CompiledTrace) -> bool:
    """Whether a trace has more to do than to be called, and no entry has been made before it: their
    code takes longer to compile than its first calls save."""
    entry = sys.modules.get("chainrule.compiler.entry")
    at_hand = entry is not None and entry.is_compiled()
    return not at_hand and takes_more(trace.call.program, LONG)


def _apart(f: Callable) -> tuple[Callable, tuple, dict]:
    """A function and the arguments that are bound to it: they are arguments of each call, so that
    what is written to them is seen."""
    inner: Any = f
    bound: tuple = ()
    keywords: dict = {}
    while type(inner) is partial:
        inner, bound, keywords = inner.func, inner.args + bound, inner.keywords | keywords
    if type(inner) is MethodType:
        inner, bound = inner.__func__, (inner.__self__, *bound)
    return inner, bound, keywords
