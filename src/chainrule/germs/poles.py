"""Poles of the gamma function and its relatives; logarithmic points of exponential integrals.

At 0, -1, -2, ... the recurrence that leads from x to x + 1 is followed up to 1, where the
derivative rule serves: gamma(x) = gamma(x + n + 1) / (x (x + 1) ... (x + n)). An exponential
integral is its logarithm and constant at 0 plus the integral of the rest of its slope.

Source    Abramowitz and Stegun 6.1.15, 6.3.5, 6.4.6 and 5.1.10, 5.2.16, 5.2.18.
"""

from __future__ import annotations

import math
from collections.abc import Callable

import numpy as np

from chainrule.germs.evaluation import Run, germ_of, rule
from chainrule.germs.logarithms import by_formula, logarithm
from chainrule.germs.powers import power
from chainrule.germs.series import (
    Germ,
    add,
    chosen,
    constant,
    derivative,
    divide,
    integral,
    multiply,
    scaled,
    typed,
)
from chainrule.germs.smooth import smooth
from chainrule.program.op import REGISTRY
from chainrule.program.program import Equation, Var

_FARTHEST = 30  # poles beyond are left to the derivative rule, which says nothing there


def _pole(x: Germ) -> np.ndarray:
    """Where the limit is 0, -1, -2, ..., and the element moves."""
    limit = x.wide_limit().ravel()
    return (limit <= 0) & (limit == np.rint(limit)) & (limit > -_FARTHEST) & ~x.zero


def _magnitude(x: Germ) -> Germ:
    return Germ(x.type, x.terms * np.where(x.terms[0] < 0, -1.0, 1.0), x.order, x.known)


def _over(run: Run, equation: Equation, total: Germ, factor: Germ) -> Germ:
    return divide(total, factor, total.type)


def _times(run: Run, equation: Equation, total: Germ, factor: Germ) -> Germ:
    return multiply(total, factor, total.type)


def _less_logarithm(run: Run, equation: Equation, total: Germ, factor: Germ) -> Germ:
    return add(total, logarithm(run, _magnitude(factor)).negated, total.type)


def _less_power(run: Run, equation: Equation, total: Germ, factor: Germ) -> Germ:
    """psi_n(x) = psi_n(x + 1) - (-1)^n n! / x^(n + 1)."""
    n = equation.params.get("n", 0)
    term = power(run, factor, np.float64(-n - 1.0), lambda lead: lead ** (-n - 1.0))
    return add(total, scaled(term, -((-1.0) ** n) * math.factorial(n)), total.type)


_BACK: dict[str, Callable] = {  # from the value at x + 1 to that at x
    "gamma": _over,
    "rgamma": _times,
    "gammaln": _less_logarithm,
    "psi": _less_power,
    "polygamma": _less_power,
}


@rule(*_BACK)
def _gamma(run: Run, equation: Equation, inputs: list) -> Germ:
    (x,) = inputs
    pole = _pole(x)
    return by_formula(run, equation, [x], pole, lambda: _shifted(run, equation, x, pole))


def _shifted(run: Run, equation: Equation, x: Germ, pole: np.ndarray) -> Germ:
    steps = np.where(pole, 1 - x.wide_limit().ravel(), 0)
    out = smooth(run, equation, [_plus(run, x, steps)])[0]
    for k in range(int(steps.max()) - 1, -1, -1):
        back = _BACK[equation.op.name](run, equation, out, _plus(run, x, np.float64(k)))
        out = chosen(k < steps, back, out, out.type)
    return out


def _plus(run: Run, x: Germ, numbers) -> Germ:
    return add(x, constant(numbers, run.window), x.type)


@rule("beta", "betaln")
def _beta(run: Run, equation: Equation, inputs: list) -> Germ:
    """By the gamma function where an argument is at a pole."""
    type_ = equation.outputs[0].type
    a, b = (typed(germ_of(run, x), type_) for x in inputs)
    name = "gamma" if equation.op.name == "beta" else "gammaln"

    def formula() -> Germ:
        one, two, both = (_applied(run, name, x) for x in (a, b, add(a, b, type_)))
        if name == "gamma":
            return divide(multiply(one, two, type_), both, type_)
        return add(add(one, two, type_), both.negated, type_)

    return by_formula(run, equation, [a, b], _pole(a) | _pole(b), formula)


def _applied(run: Run, name: str, x: Germ, **params) -> Germ:
    """One more operation on a germ."""
    return _gamma(run, Equation(REGISTRY[name], (Var(x.type),), params, (Var(x.type),)), [x])


@rule("polygamma_difference")
def _difference(run: Run, equation: Equation, inputs: list) -> Germ:
    """psi_n(a + b) - psi_n(a)."""
    type_, n = equation.outputs[0].type, equation.params["n"]
    a, b = (typed(germ_of(run, x), type_) for x in inputs)
    total = add(a, b, type_)

    def formula() -> Germ:
        name, params = ("polygamma", {"n": n}) if n else ("psi", {})
        one, two = (_applied(run, name, x, **params) for x in (total, a))
        return add(one, two.negated, type_)

    return by_formula(run, equation, [a, b], _pole(a) | _pole(total), formula)


# --- exponential integrals ------------------------------------------------------------------------

_EULER = 0.57721566490153286

# name: the sign of log |x| and of the constant, the operation whose value less that at 0 is
# integrated over x, and the sign of its argument
_INTEGRALS = {
    "expi": (1.0, "expm1", 1.0),
    "exp1": (-1.0, "expm1", -1.0),
    "cosine_integral": (1.0, "cosm1", 1.0),
    "hyperbolic_cosine_integral": (1.0, "cosh", 1.0),
}


@rule(*_INTEGRALS)
def _exponential_integral(run: Run, equation: Equation, inputs: list) -> Germ:
    (x,) = inputs
    sign, name, way = _INTEGRALS[equation.op.name]

    def formula() -> Germ:
        argument = scaled(x, way)
        inner = Equation(REGISTRY[name], (Var(x.type),), {}, (Var(x.type),))
        rest = smooth(run, inner, [argument])[0]
        if name == "cosh":
            rest = _plus(run, rest, np.float64(-1.0))
        speed = divide(multiply(rest, derivative(x), x.type), x, x.type)
        moved, _ = integral(scaled(speed, sign))
        size = _magnitude(x) if equation.op.name != "exp1" else x
        start = _plus(run, logarithm(run, size), np.float64(_EULER))
        return add(scaled(start, sign), moved, x.type)

    return by_formula(run, equation, [x], x.wide_limit().ravel() == 0, formula)
