"""compile: a function that is traced once for each signature, and then runs as one program.

A call takes its arguments apart, finds the trace made for their signature, runs its program, and
finishes as the traced call would have: arguments are written to, objects changed, and what the
function returns is put together again.
"""

from __future__ import annotations

import sys
import threading
import warnings
from collections import Counter
from collections.abc import Callable
from functools import partial, update_wrapper
from importlib import import_module
from types import MethodType
from typing import Any

from chainrule import errors
from chainrule.compiled_trace import CompiledTrace
from chainrule.deciding import Deciding, DecidingByArrays
from chainrule.guards import Guards
from chainrule.host_random import HostStates
from chainrule.host_reach import GLOBAL
from chainrule.options import options
from chainrule.program.at_hand import AtHand, OfOneCall
from chainrule.program.cost import takes_more
from chainrule.program.garbage import collector_paused
from chainrule.program.noting import code_that_runs
from chainrule.program.trace import current
from chainrule.signature import Arguments
from chainrule.tracing import Call, trace_call

KEPT = 64  # traces for each compiled function; the one that was used last longest ago goes
WAYS = 16  # ways through a function, for each signature, that have a program each
ENTRIES = 8  # at most so many native entries are tried, one after the other
UNSETTLED = 3  # traces of a signature that changed what they depend on, until none is compiled
PATIENCE = 256  # calls that pass the entries by, until the trace gets one
LONG = 1_000_000  # operations of a call beside which an entry saves little: some 0.2 milliseconds

_DRAWS = (
    "it draws random numbers from NumPy's or Python's own generator.\n"
    "  Use cr.random.Generator, which is followed, or draw outside and pass the numbers."
)


def compile(
    f: Callable | None = None, *, check: str | None = None, kinks: str | None = None,
    memory: int | str | None = None, stabilize: bool = True,
):  # fmt: skip
    """The same function, as native code for the types, shapes and structure of its arguments.

    Also a decorator, of functions and methods: `@compile`, `@compile(check="nan")`. The function is
    traced at the first call with arguments of a kind (`signature.Arguments`), without the values
    of arrays. Python numbers are data as arrays are; where the trace needs the value of one (a
    shape, `range(n)`), it is traced again for another value. The same holds for numbers, functions
    and objects that it reaches through names; arrays that it reaches are read at each call. Where a
    Python `if` or `while` decides by data, each way through the function is traced and compiled
    when a call first goes it, 16 of them; calls that go yet another way are evaluated, which a
    RuntimeWarning says (chainrule.deciding). Where it needs more of an array's values than that
    (`np.unique`, `scipy.integrate.quad`), draws from NumPy's or Python's own generators, or changes
    what it depends on (it counts its calls), each call is traced and evaluated, which is as fast as
    `grad` without compile; a RuntimeWarning says so, and why. So are calls in which an operation
    raises, where the function may catch that. What it writes to arguments, their
    attributes and entries, and generators is written as without `compile`. Inside a derivative or
    another trace it is simply the function. With check="nan", the first operation that makes a nan
    or an infinity of finite numbers raises. With `memory` (bytes, or "256MB") a call allocates no
    more, results included: what does not fit is computed again instead of kept (docs/memory.md).
    `kinks` is that of derivatives inside which do not say it themselves. Unless stabilize=False,
    formulas that lose digits or overflow are rewritten (docs/stability.md), and results that lost
    theirs all the same are computed again in wide arithmetic (docs/wide.md).

    **Errors** `ConcreteValueNeeded` where values are asked for in a loop, a branch or a batch that
    is traced once, with the ways out; `MutationError` where it keeps traced values, or writes by
    plain NumPy to arrays, outside of its arguments; `NotANumber` (see `check`); `BudgetTooSmall`,
    with the least that would do.
    **Cost** a call costs less than NumPy's `x * 2.0 + w`, on top of the work, for arrays in C
    order, numbers, and tuples, lists, dicts and registered objects of them; some ten times that
    with changes of attributes, more for other arguments. Where Python decides by data, it costs in
    addition what is computed of other ways until they differ. An array that is reached through a
    name, and whose content went into the trace by way of plain NumPy, is compared at each call (3
    ms a megabyte on a busy Zen 3). Where the trace reads the array itself as well, such use is
    noticed in small arrays only, and only beside other arrays that were made by plain NumPy.

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
        self._by_values: dict[tuple, str] = {}  # signatures that no program serves, and why
        self._unsettled: Counter[tuple] = Counter()  # traces that changed what they depend on
        self._lock, self._warned_of = threading.RLock(), set[str]()
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
            ways = (w for w in self._ways_for(arguments) if w.attempt(arguments) is not None)
            trace = self._trace_for(arguments) or next(ways, None)
            return trace or self._traced(args, kwargs, arguments), arguments

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
            for way in self._ways_for(arguments):
                found = way.attempt(arguments)
                if found is not None:
                    self._enter_in_time(way, args, kwargs)
                    return way.finish(found, way.operands(arguments), arguments.containers)
            with self._lock:
                trace = self._trace_for(arguments) or self._traced(args, kwargs, arguments)
                self._enter(trace, args, kwargs)
        else:
            self._enter_in_time(trace, args, kwargs)
        try:
            return trace.run(arguments)
        except Exception:
            if trace.evaluated or not trace.guards.catches:
                raise
        found = self._of_one_call(args, kwargs, arguments).run(arguments)
        self._warn_once(
            "what it catches",
            f"{self.__name__} catches what an operation raises: such calls are traced and "
            "evaluated, one by one.",
        )
        return found

    def _of_one_call(self, args, kwargs, arguments: Arguments) -> CompiledTrace:
        """The trace of this call alone, in which operations raise where the function calls them."""
        with self._lock, collector_paused():
            guards = self._guards(arguments)
            call = self._settled(args, kwargs, arguments, guards, [OfOneCall])
            return self._trace(call, guards, "an operation raises what the function catches")

    def _enter_in_time(self, trace: CompiledTrace, args, kwargs) -> None:
        """Put the entry of a trace first, every so many calls that passed the entries by."""
        if trace.uses % PATIENCE == 0:
            with self._lock:
                self._enter(trace, args, kwargs)

    def _enter(self, trace: CompiledTrace, args, kwargs) -> None:
        """Put the trace's native entry, where there is one, before those of other traces."""
        if trace.evaluated or trace in self._entered:
            return
        if trace.uses < PATIENCE and _can_wait(trace):
            return
        full = len(self._entered) >= ENTRIES
        entries = import_module("chainrule.compiled_entry")  # with LLVM, which loads slowly
        entry = entries.entry_for(trace, args, kwargs, self._call if full else self._entry)
        if entry is not None:
            self._entered = [trace] if full else [*self._entered, trace]
            self._lead_to(entry)

    def _trace_for(self, arguments: Arguments) -> CompiledTrace | None:
        for trace in self._traces.get(arguments.key, ()):
            if trace.decided is None and trace.holds(arguments):
                trace.note_use()
                return trace
        return None

    def _ways_for(self, arguments: Arguments) -> list[CompiledTrace]:
        """The traces that are right for calls that go their way; the one used last comes first."""
        found = [
            trace for trace in self._traces.get(arguments.key, ())
            if trace.decided is not None and trace.holds(arguments)
        ]  # fmt: skip
        return sorted(found, key=lambda trace: -trace.used)

    def _traced(self, args, kwargs, arguments: Arguments) -> CompiledTrace:
        with collector_paused():
            return self._made(args, kwargs, arguments)

    def _made(self, args, kwargs, arguments: Arguments) -> CompiledTrace:
        if any(hasattr(type(x), "__next__") for x in arguments.objects):
            self._note_by_values(arguments, "it takes an iterator, which each call moves on.")
        guards = self._guards(arguments)
        call = self._settled(args, kwargs, arguments, guards, self._what_is_at_hand(arguments))
        for old in self._traces.get(arguments.key, ()):
            if old.proves_same(call, arguments):
                old.guards.clear_suspects()
                return old
        self._note_unsettled(guards, arguments)
        reason = self._why_evaluated(call, arguments)
        made = self._trace(call, guards, reason)
        if reason:
            return made
        self._make_room()
        self._traces[arguments.key] = [*self._traces.get(arguments.key, ()), made]
        return made

    def _guards(self, arguments: Arguments) -> Guards:
        return Guards(self._f, [*arguments.objects, *map(type, arguments.containers)])

    def _trace(self, call: Call, guards: Guards, evaluated: str) -> CompiledTrace:
        return CompiledTrace(call, guards, self._check, self.memory, self._stable, evaluated)

    def _settled(self, args, kwargs, arguments: Arguments, guards: Guards, kinds: list) -> Call:
        """The call, traced, and the guards told of it."""
        with code_that_runs() as ran:
            call = self._call_of(args, kwargs, arguments, guards, kinds)
        guards.settle(call, ran)
        return call

    def _call_of(self, args, kwargs, arguments: Arguments, guards: Guards, kinds: list) -> Call:
        types, refusal = arguments.types(), ""
        hosts = HostStates(self._f, args, kwargs, (*GLOBAL, *guards.generators))
        for knows in kinds:
            try:
                call = trace_call(
                    self._f, args, kwargs, types=types, concrete=False, compiled=True,
                    kinks=self._kinks, knows=knows, hosts=hosts,
                )  # fmt: skip
                if refusal and knows is OfOneCall:
                    self._note_by_values(arguments, refusal)
                elif hosts.have_changed():
                    self._note_by_values(arguments, _DRAWS)
                return call
            except errors.ConcreteValueNeeded as refused:
                guards.restore()
                if knows is kinds[-1]:
                    raise
                hosts.restore()
                refusal = str(refused)
            except BaseException:
                guards.restore()
                raise
        raise AssertionError

    def _what_is_at_hand(self, arguments: Arguments) -> list[type[AtHand]]:
        """What the trace of a call may know, in the order in which that is tried.

        First the function is traced without the values of arrays, and for the values of its
        numbers; then for the ways that it goes, where its numbers have proved to vary, or where
        the values of arrays decide.
        """
        if arguments.key in self._by_values:
            return [OfOneCall]
        traces = self._traces.get(arguments.key, [])
        if any(t.decided is not None and t.decided.by_arrays for t in traces):
            return [DecidingByArrays, OfOneCall]
        varies = any(t.decided is not None or t.asks_for_fractions() for t in traces)
        return [Deciding if varies else AtHand, DecidingByArrays, OfOneCall]

    def _note_by_values(self, arguments: Arguments, refusal: str) -> None:
        """Note that calls of this signature are traced one by one, and say so the first time."""
        if arguments.key in self._by_values:
            return
        if len(self._by_values) >= KEPT:
            del self._by_values[next(iter(self._by_values))]
        self._by_values[arguments.key] = refusal
        self._warn(
            f"{self.__name__} is not compiled for these arguments, but traced and evaluated at "
            f"each call: {refusal}"
        )

    def _note_unsettled(self, guards: Guards, arguments: Arguments) -> None:
        """Note a trace that holds for no other call, since the function has changed what it depends
        on; where each one does (it counts its calls), calls are traced one by one."""
        if changed := guards.changed():
            self._unsettled[arguments.key] += 1
            if self._unsettled[arguments.key] >= UNSETTLED:
                self._note_by_values(
                    arguments,
                    f"each call changes {changed}, which it depends on.\n"
                    "  Change it outside, or pass what holds it as an argument.",
                )

    def _why_evaluated(self, call: Call, arguments: Arguments) -> str:
        """Why a trace is for the one call that it was made for; empty where it is for others."""
        if arguments.key in self._by_values:
            return self._by_values[arguments.key]
        ways = sum(t.decided is not None for t in self._traces.get(arguments.key, ()))
        if not call.decided or (ways < WAYS and not call.decided.tied):
            return ""
        if not call.decided.tied:
            line = next(iter(call.decided.made.values())).line
            self._warn_once(
                "its ways",
                f"{self.__name__} goes more than {WAYS} ways, by what Python decides at {line} and "
                "elsewhere: further ones are not compiled, but traced and evaluated at each call.\n"
                "  Use np.where, cr.cond or cr.while_loop, which are compiled once."
            )
        return "Python decides at a tie, or the function goes too many ways"

    def _warn_once(self, subject: str, text: str) -> None:
        """Warn of a subject, unless that has been done."""
        if subject not in self._warned_of:
            self._warned_of.add(subject)
            self._warn(text)

    def _warn(self, text: str) -> None:
        """Warn at the call of the compiled function."""
        depth, frame = 1, sys._getframe()
        while frame.f_back is not None and frame.f_globals is globals():
            depth, frame = depth + 1, frame.f_back
        warnings.warn(text, RuntimeWarning, stacklevel=depth)

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
