"""Running planned programs: evaluated on host values, or recorded where an operand is traced."""

from __future__ import annotations

import threading
import tracemalloc
from collections.abc import Callable, Iterator
from contextlib import contextmanager, nullcontext
from dataclasses import dataclass
from typing import Any

import numpy as np

from chainrule.kinked import Kinked, KinkedHalf, recorded, settled_outputs
from chainrule.program.blas import one_thread
from chainrule.program.displacement import largest, limit, samples
from chainrule.program.evaluate import Plan
from chainrule.program.names import names_wanted
from chainrule.program.program import Program
from chainrule.program.trace import Traced, current, inline, raise_leaked


def run(plan: Plan | Kinked, operands: list) -> list:
    """The outputs of a planned program: evaluated, or recorded where an operand is traced.

    A derivative is settled where it meets a tie (see chainrule.kinked).
    """
    if isinstance(plan, Kinked):
        return _run_kinked(plan, plan.operands(operands))
    traced = [v for v in operands if type(v) is Traced]
    if traced:
        if current() is None:
            raise_leaked(traced[0])
        return inline(plan.recorded, operands)
    return _evaluated(plan, operands, plan.with_quotient)


def _run_kinked(kinked: Kinked, operands: list) -> list:
    traced = [v for v in operands if type(v) is Traced]
    if traced:
        if current() is None:
            raise_leaked(traced[0])
        return recorded(kinked, operands)
    return _settled(kinked, operands)


def _settled(kinked: Kinked, operands: list) -> list:
    """The outputs of a derivative; what wide arithmetic has found at no tie is not settled again.

    Rounding makes ties where there are none: x * x is 0 for small x.
    """
    plan = kinked.plan
    if plan.watch is None:
        return kinked.settle(_evaluated(plan, operands, kinked.with_quotient), operands)
    with one_thread() if plan.uses_blas else nullcontext():
        watch = plan.watch
        found, certain = observe(plan.program, lambda: watch.run_noted(operands))
    made = kinked.settle(found, operands)
    return [
        value if mask is None else np.where(mask, repaired, value)[()]
        for value, repaired, mask in zip(made, found, certain, strict=False)
    ]


class _Observer(threading.local):
    runs: list[tuple[Program, int]] | None = None


_observer = _Observer()


@contextmanager
def observed() -> Iterator[list[tuple[Program, int]]]:
    """The programs that this thread evaluates inside, with the bytes that each has allocated."""
    before = _observer.runs
    found = _observer.runs = []
    try:
        yield found
    finally:
        _observer.runs = before


def observe(program: Program, run: Callable[[], Any]) -> Any:
    """The results of a run of a program, which is noted where this thread is observed."""
    if _observer.runs is None:
        return run()
    started = not tracemalloc.is_tracing()
    if started:
        tracemalloc.start()
    try:
        before = tracemalloc.get_traced_memory()[0]
        tracemalloc.reset_peak()
        found = run()
        _observer.runs.append((program, tracemalloc.get_traced_memory()[1] - before))
    finally:
        if started:
            tracemalloc.stop()
    return found


def _evaluated(plan: Plan, operands: list, with_quotient: list[int]) -> list:
    return observe(plan.program, lambda: _run(plan, operands, with_quotient))


def _run(plan: Plan, operands: list, with_quotient: list[int]) -> list:
    if with_quotient:
        found = samples(lambda: plan.run(operands))
        return limit(found, with_quotient, largest(operands)) if found[1:] else found[0][1]
    if plan.watch is not None:
        with one_thread() if plan.uses_blas else nullcontext():
            return plan.watch.run(operands)
    if not plan.uses_blas:
        return plan.run(operands)
    with one_thread():
        return plan.run(operands)


_SMALL = 1 << 16  # entries


@dataclass
class Residuals:
    """What the linear half reads of the known one: weighted lists, more than one where equal
    eigenvalues were met; and the operands, by which the whole is settled where a tie was met."""

    weighted: list[tuple[float, list]]
    operands: list | None = None
    met: bool = False


def run_known(plan: Plan | Kinked, operands: list, count: int) -> tuple[list, Residuals]:
    """The first `count` outputs of the known half of a derivative, and what `run_linear` reads."""
    if isinstance(plan, Kinked):
        return _known_of_kinked(plan, plan.operands(operands), count)
    return _known(plan, plan.with_quotient, operands, count)


def _known_of_kinked(kinked: Kinked, operands: list, count: int) -> tuple[list, Residuals]:
    if any(type(v) is Traced for v in operands):
        outputs = recorded(kinked, operands)
        return outputs[:count], Residuals([(1.0, outputs[count:])], operands)
    outputs, residuals = _known(kinked.plan, kinked.with_quotient, operands, count)
    residuals.operands = _kept(operands)
    if kinked.watches:
        rows = [values for _, values in residuals.weighted]
        residuals.met = bool(rows[0].pop())
        for values in rows[1:]:
            values.pop()
        if residuals.met:
            outputs = kinked.settle([*outputs, *rows[0], True], operands)[:count]
    return outputs, residuals


def _kept(operands: list) -> list:
    """Small operands copied: the caller may write to them before the linear half is run."""
    if sum(map(np.size, operands)) > _SMALL:
        return operands
    return [np.array(v)[()] for v in operands]


def _known(plan: Plan, with_quotient: list[int], operands: list, count: int):
    if any(type(v) is Traced for v in operands) or not with_quotient:
        outputs = run(plan, operands)
        return outputs[:count], Residuals([(1.0, outputs[count:])])
    found = samples(lambda: plan.run(operands))
    values = [(weight, results[:count]) for weight, results in found]
    outputs = limit(values, [i for i in with_quotient if i < count], largest(operands))
    return outputs, Residuals([(weight, results[count:]) for weight, results in found])


def run_linear(half: Plan | KinkedHalf, residuals: Residuals, given: list) -> list:
    """The outputs of the linear half for the residuals that `run_known` gave."""
    if isinstance(half, KinkedHalf):
        return _linear_of_kinked(half, residuals, given)
    return _linear(half, residuals, given)


def _linear_of_kinked(half: KinkedHalf, residuals: Residuals, given: list) -> list:
    assert residuals.operands is not None
    operands, met = [*residuals.operands, *given], residuals.met and half.whole.watches
    traced = [v for v in operands if type(v) is Traced]
    if traced:
        if current() is None:
            raise_leaked(traced[0])
        if half.whole.watches and not names_wanted():
            return recorded(half.whole, operands)
        return inline(half.program, residuals.weighted[0][1] + given)
    if half.whole.plan.watch is not None:  # what the residuals have lost is found in the inputs
        return _settled(half.whole, operands)
    found = _linear(half.plan, residuals, given)
    if half.watches:
        met |= bool(found.pop())
    return settled_outputs(half.whole, found, operands) if met else found


def _linear(plan: Plan, residuals: Residuals, given: list) -> list:
    if len(residuals.weighted) == 1:
        return run(plan, residuals.weighted[0][1] + given)
    found = [(weight, run(plan, values + given)) for weight, values in residuals.weighted]
    size = 0.0 if any(type(v) is Traced for v in given) else largest(given)
    return limit(found, size=size)
