"""Running planned programs: evaluated on host values, or recorded where an operand is traced."""

from __future__ import annotations

from contextlib import nullcontext

from chainrule.program.blas import one_thread
from chainrule.program.displacement import largest, limit, samples
from chainrule.program.evaluate import Plan
from chainrule.program.trace import Traced, current, inline, raise_leaked


def run(plan: Plan, operands: list) -> list:
    """The outputs of a planned program: evaluated, or recorded where an operand is traced."""
    traced = [v for v in operands if type(v) is Traced]
    if traced:
        if current() is None:
            raise_leaked(traced[0])
        return inline(plan.recorded, operands)
    if plan.with_quotient:
        found = samples(lambda: plan.run(operands))
        return limit(found, plan.with_quotient, largest(operands)) if found[1:] else found[0][1]
    if plan.watch is not None:
        with one_thread() if plan.uses_blas else nullcontext():
            return plan.watch.run(operands)
    if not plan.uses_blas:
        return plan.run(operands)
    with one_thread():
        return plan.run(operands)


def run_known(plan: Plan, operands: list, count: int):
    """The first `count` outputs of the known half of a derivative, and the residuals for
    `run_linear`: weighted lists, more than one where equal eigenvalues were met."""
    if any(type(v) is Traced for v in operands) or not plan.with_quotient:
        outputs = run(plan, operands)
        return outputs[:count], [(1.0, outputs[count:])]
    found = samples(lambda: plan.run(operands))
    values = [(weight, results[:count]) for weight, results in found]
    outputs = limit(values, [i for i in plan.with_quotient if i < count], largest(operands))
    return outputs, [(weight, results[count:]) for weight, results in found]


def run_linear(plan: Plan, residuals, given: list) -> list:
    """The outputs of the linear half for the residuals that `run_known` gave."""
    if len(residuals) == 1:
        return run(plan, residuals[0][1] + given)
    found = [(weight, run(plan, values + given)) for weight, values in residuals]
    size = 0.0 if any(type(v) is Traced for v in given) else largest(given)
    return limit(found, size=size)
