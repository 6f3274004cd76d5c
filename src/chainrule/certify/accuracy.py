"""accuracy: how many digits of a function's results, and of its derivative, can be trusted."""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass
from typing import Any

import numpy as np

from chainrule.api import grad, jacobian
from chainrule.certify.at_hand import CertainValues
from chainrule.certify.ball import Ball, exact, rounded
from chainrule.certify.complex_ball import ComplexBall
from chainrule.certify.evaluate import as_value, operand, run
from chainrule.certify.proving import prove
from chainrule.program.at_hand import run_equation
from chainrule.program.evaluate import Plan
from chainrule.program.program import Equation, Program
from chainrule.program.tree import flatten, paths
from chainrule.tracing import trace_call


@dataclass(frozen=True)
class Trusted:
    """One result: what was computed, and how many of its decimal digits are right."""

    name: str
    value: Any
    digits: Any  # one number for each entry, up to those that the dtype has
    lost_at: str | None  # the operation and line where most digits were lost; None if none were

    @property
    def worst(self) -> float:
        """The digits of the entry that has the fewest; inf for a result without entries."""
        return float(np.min(self.digits, initial=np.inf))


class Accuracy:
    """What `accuracy` found: `results` and `derivatives`, each a list of `Trusted`; prints."""

    def __init__(self, name: str, results: list[Trusted], derivatives: list[Trusted]):
        self.name, self.results, self.derivatives = name, results, derivatives

    def __repr__(self) -> str:
        lines = [f"accuracy of {self.name}"]
        for part in (*self.results, *self.derivatives):
            lost = f"   lost in {part.lost_at}" if part.lost_at else ""
            most = digits_of(np.asarray(part.value).dtype)
            lines.append(f"  {part.name:<24} {part.worst:4.1f} of {most:.1f} digits{lost}")
        return "\n".join(lines)


def accuracy(f: Callable, *args) -> Accuracy:
    """How many digits of each result of f, and of its derivative, are right as computed.

    The function and its derivative are computed in floating point, as chainrule does by default,
    and over the real numbers with proof (see `certified`); the report compares the two. Where
    digits were lost it names the user's line: the operation whose result has lost most against its
    operands. The derivative is the gradient of a scalar function, else the Jacobian, by each
    floating-point argument.

    **Units** decimal digits; float64 has 15.95 of them. An infinity or nan where the true result
    is finite has 0.
    **Errors** as of `certified`.

    >>> import numpy as np
    >>> def f(x):
    ...     return (1 - np.cos(x)) / x
    >>> report = accuracy(f, 1e-5)
    >>> report.results[0].worst < 8
    True
    """
    name = getattr(f, "__name__", type(f).__name__)
    results = _compared(f, args, "result")
    chosen = tuple(i for i, a in enumerate(args) if _is_floating(a))
    if not chosen:
        return Accuracy(name, results, [])
    scalar = len(results) == 1 and not np.shape(results[0].value)
    derivative: Any = grad if scalar else jacobian
    parts: list[Trusted] = []
    for i in chosen:
        label = f"derivative by argument {i}"
        computed = flatten(derivative(f, i)(*args))[0]
        plain_rule = derivative(f, i, kinks="convention", stabilize=False)
        parts += _compared(plain_rule, args, label, computed)
    return Accuracy(name, results, parts)


def _is_floating(argument) -> bool:
    leaves = flatten(argument)[0]
    return bool(leaves) and all(np.asarray(leaf).dtype.kind in "fc" for leaf in leaves)


def _compared(f: Callable, args, label: str, computed: list | None = None) -> list[Trusted]:
    """The results of f, or those given in their place, beside the true ones."""
    call = trace_call(f, args, {}, knows=CertainValues)
    program = call.program
    if computed is None:
        computed = Plan(program).run(call.operands)[: call.count]
    values = [np.asarray(v) for v in computed]

    def attempt(bits: int) -> list:
        true, lost = _beside(program, call.operands, call.count)
        digits = [
            digits_right(v, t) if v.dtype.kind in "fc" else None
            for v, t in zip(values, true, strict=True)
        ]
        return list(zip(digits, lost, strict=True))

    found = prove(attempt, f"a result of {call.name}")
    names = [label + path for path in paths(call.structure)] if call.count > 1 else [label]
    out = []
    for name, value, (digits, lost) in zip(names, computed, found, strict=True):
        if digits is None:
            continue
        fewest = float(np.min(digits, initial=np.inf))
        missing = digits_of(np.asarray(value).dtype) - fewest
        out.append(Trusted(name, value, digits, lost if missing > 1.0 else None))
    return out


def digits_of(dtype: np.dtype) -> float:
    """The decimal digits of a floating-point dtype."""
    return -float(np.log10(np.finfo(dtype).eps / 2))


def digits_right(value: np.ndarray, true: np.ndarray) -> np.ndarray:
    """The decimal digits to which computed numbers agree with balls, entry by entry."""
    most = digits_of(value.dtype)
    found = [
        most if error == 0 else float(np.clip(-np.log10(error), 0.0, most)) + 0.0
        for error in (_error(v, t) for v, t in zip(value.ravel(), true.ravel(), strict=True))
    ]
    return np.array(found).reshape(value.shape)[()]


def _error(value, true: Ball | ComplexBall) -> float:
    """The relative error of a computed number; 1 where it is not finite and the true one is, or
    the true one is 0 and it is not."""
    if isinstance(true, ComplexBall):
        scale = max(abs(complex(value)), 1e-300)
        return max(_error(p, t) * (abs(p) / scale if t.exact else 1.0) for p, t in
                   ((value.real, true.re), (value.imag, true.im)))  # fmt: skip
    if true.special or not np.isfinite(value):
        same = true.special and (np.isnan(value) if true.is_nan() else value == true.x)
        return 0.0 if same else 1.0
    difference = exact(value) - true
    if difference.is_zero:
        return 0.0
    if true.is_zero:
        return 1.0
    ratio = difference.arb() / true.arb()
    if not ratio.is_finite():  # the true number may be 0
        return 0.0 if rounded(true, np.asarray(value).dtype) == value else 1.0
    return min(float(abs(ratio).upper()), 1.0)


def _beside(program: Program, operands: list, count: int):
    """Every equation in floating point and in balls: the true outputs, and for each of them the
    equation it depends on that lost most digits."""
    floats: dict = dict(zip(program.inputs, Plan(_identity(program)).run(operands), strict=True))
    balls: dict = {v: as_value(floats[v], v.type) for v in program.inputs}
    losses: dict[Any, tuple[float, Equation]] = {}  # by variable: the worst on the way to it
    errors_of: dict[Any, float] = {}
    with np.errstate(all="ignore"):
        for equation in program.equations:
            run_equation(equation, floats)
            run(equation, balls)
            _note_loss(equation, floats, balls, errors_of, losses)
    outputs = program.outputs[:count]
    true = [operand(o, balls) for o in outputs]
    return true, [_described(losses.get(o)) for o in outputs]


def _identity(program: Program) -> Program:
    return Program(program.inputs, [], program.inputs)


def _note_loss(equation: Equation, floats, balls, errors_of: dict, losses: dict) -> None:
    before = max((errors_of.get(x, 0.0) for x in equation.inputs if not x.is_literal), default=0.0)
    inherited = [losses[x] for x in equation.inputs if not x.is_literal and x in losses]
    worst = max(inherited, key=lambda item: item[0], default=None)
    for out in equation.outputs:
        if not out.type.inexact:
            continue
        values = np.asarray(floats[out])
        pairs = zip(values.ravel(), balls[out].ravel(), strict=True)
        after = max((_error(v, t) for v, t in pairs), default=0.0)
        errors_of[out] = after
        eps = np.finfo(out.type.dtype).eps
        growth = after / max(before, eps)
        if growth > 4.0 and (worst is None or growth > worst[0]):
            losses[out] = (growth, equation)
        elif worst is not None:
            losses[out] = worst


def _described(loss: tuple[float, Equation] | None) -> str | None:
    if loss is None:
        return None
    equation = loss[1]
    return f"{equation.op.name} at {equation.where}" if equation.where else equation.op.name
