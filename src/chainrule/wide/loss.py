"""How many digits a run has lost: a program evaluated together with estimates of its errors.

Beside each value stands an estimate of its absolute error, to first order: what the errors of the
operands make of it, and half a unit in the last place for its own rounding (error_rules.py). Inputs
have none; nan counts as lost. Where a branch or the end of a loop is in doubt, all that comes of it
is.
"""

from __future__ import annotations

from collections.abc import Callable, Sequence
from typing import Any

import numpy as np

from chainrule.program.at_hand import add_line
from chainrule.program.cost import subprograms
from chainrule.program.evaluate import Layout
from chainrule.program.program import Equation, Program
from chainrule.wide.error_rules import error_rule
from chainrule.wide.matrix_errors import MATRIX_OPERATIONS, is_small, slogdet_errors


class Follower:
    """A closed program ready to be run together with estimates of its errors.

    `run(values, errors)` gives the outputs and the estimates of their errors. Values are bit for
    bit the evaluator's: the steps are its own. An error is a float or an array like its value;
    None stands for none at all.
    """

    __slots__ = ("_inputs", "_outputs", "_steps", "_template")

    def __init__(self, program: Program):
        layout = Layout(program, ())
        self._inputs = len(program.inputs)
        self._template = layout.template
        self._outputs = [slot for slot, _ in layout.output_slots]
        self._steps = [
            (step[1], step[4], step[5], *_rule_of(step[-1]), step[-1]) for step in layout.steps
        ]

    def run(self, values: Sequence, errors: Sequence) -> tuple[list, list]:
        """The outputs of one run, and the estimates of their errors."""
        env = self._template.copy()
        env[: self._inputs] = values
        lost: list[Any] = [None] * len(env)
        lost[: self._inputs] = errors
        equation: Any = None
        try:
            for function, ins, out, rule, control, equation in self._steps:
                inputs = [env[i] for i in ins]
                before = [lost[i] for i in ins]
                if control is not None:
                    made, after = control(inputs, before)
                    _enter(env, out, made)
                    _enter(lost, out, after)
                    continue
                env[out] = result = function(*inputs)
                lost[out] = rule(result, inputs, before, equation)
        except Exception as error:
            raise add_line(error, equation) from None
        return [env[i] for i in self._outputs], [lost[i] for i in self._outputs]


def _rule_of(equation: Equation) -> tuple[Callable, Callable | None]:
    control = _CONTROL.get(equation.op.name)
    return error_rule(equation), None if control is None else control(equation)


def _enter(slots: list, out, made: list) -> None:
    for slot, item in zip(out if type(out) is tuple else (out,), made, strict=True):
        slots[slot] = item


def followed(program: Program) -> bool:
    """Whether the errors of a program can be estimated: every equation has a rule, one output."""
    return all(_is_followed(e) for e in program.equations)


def _is_followed(equation: Equation) -> bool:
    if equation.op.name in MATRIX_OPERATIONS:
        return is_small(equation)
    if equation.op.name in _CONTROL:
        return all(followed(p) for _, p in subprograms(equation))
    return len(equation.outputs) == 1


# --- control flow ---------------------------------------------------------------------------------


def _cond(equation: Equation) -> Callable:
    branches = [Follower(p) for p in equation.params["branches"]]

    def run(inputs, errors):
        made, lost = branches[0 if inputs[0] else 1].run(inputs[1:], errors[1:])
        doubtful = errors[0] is not None and errors[0] > 0
        return made, _all_lost(lost) if doubtful else lost

    return run


def _all_lost(errors: list) -> list:
    return [np.float64(np.inf)] * len(errors)


def _while(equation: Equation) -> Callable:
    n = equation.params["constants"]
    test, body = Follower(equation.params["test"]), Follower(equation.params["body"])

    def run(inputs, errors):
        fixed, carry, lost = inputs[:n], inputs[n:], errors[n:]
        doubtful = False
        while True:
            (goes_on,), (doubt,) = test.run([*fixed, *carry], [*errors[:n], *lost])
            doubtful = doubtful or (doubt is not None and bool(doubt > 0))
            if not goes_on:
                return carry, _all_lost(lost) if doubtful else lost
            carry, lost = body.run([*fixed, *carry], [*errors[:n], *lost])

    return run


def _scan(equation: Equation) -> Callable:
    params = equation.params
    start, length, count = params["constants"], params["length"], params["carries"]
    end = start + count
    body = Follower(params["body"])
    order = range(length - 1, -1, -1) if params["reverse"] else range(length)
    types = [v.type for v in equation.outputs[count:]]

    def run(inputs, errors):
        carry, lost = inputs[start:end], errors[start:end]
        rows: list = [None] * length
        bounds: list = [None] * length
        for i in order:
            made, after = body.run(
                [*inputs[:start], *carry, *[x[i] for x in inputs[end:]]],
                [*errors[:start], *lost, *[_entry(e, i) for e in errors[end:]]],
            )
            carry, rows[i] = made[:count], made[count:]
            lost, bounds[i] = after[:count], after[count:]
        stacks = [
            np.array([row[k] for row in rows], t.dtype).reshape(t.shape)
            for k, t in enumerate(types)
        ]
        return [*carry, *stacks], [*lost, *[_stacked(bounds, k, t) for k, t in enumerate(types)]]

    return run


def _entry(error, i: int):
    return error if error is None or not np.ndim(error) else error[i]


def _stacked(bounds: list, k: int, type_):
    if all(row[k] is None for row in bounds):
        return None
    made = np.zeros(type_.shape)
    for i, row in enumerate(bounds):
        made[i] = 0.0 if row[k] is None else row[k]
    return made


def _inner(equation: Equation) -> Callable:
    return Follower(equation.params["program"]).run


def _germ(equation: Equation) -> Callable:
    """A derivative that settles ties: where it does, its values are no roundings of others.

    Where the plain value may be off by as much as it was settled, the tie may be one of rounded
    numbers only.
    """
    follower = Follower(equation.params["program"])

    def run(inputs, errors):
        made = equation.op.evaluate(*inputs, **equation.params)
        made = list(made) if isinstance(made, tuple) else [made]
        plain, lost = follower.run(inputs, errors)
        return made, [
            None if e is None else np.where((abs(a - b) <= 4.0 * e) | ~np.isfinite(e), e, 0.0)[()]
            for a, b, e in zip(made, plain, lost, strict=True)
        ]

    return run


def _slogdet(equation: Equation) -> Callable:
    def run(inputs, errors):
        outs = list(equation.op.evaluate(*inputs))
        return outs, slogdet_errors(outs, inputs, errors)

    return run


_CONTROL: dict[str, Callable] = {
    "cond": _cond, "while": _while, "scan": _scan, "checkpoint": _inner, "custom": _inner,
    "germ": _germ, "slogdet": _slogdet,
}  # fmt: skip
