"""Piecewise constant functions of germs: at a jump, the value on the germ's side.

What lies between the jumps follows: the remainder of a division, a copied sign, truth and logic.
"""

from __future__ import annotations

import numpy as np

from chainrule.germs.choosing import decide, signs
from chainrule.germs.elementwise import elementwise, nearby, with_wild
from chainrule.germs.evaluation import BY_KIND, Run, Unsupported, germ_of, rule
from chainrule.germs.series import EXACT, Germ, add, constant, divide, multiply, normal, typed
from chainrule.program.op import Constant, Discrete
from chainrule.program.program import Equation


def beside(x: Germ) -> np.ndarray:
    """The limits, moved by one unit in the last place to the side where the germ is."""
    rest = add(x, constant(x.wide_limit(), x.window).negated, x.type)
    limit = x.wide_limit().ravel()
    side = np.sign(np.where(rest.wild, 0.0, rest.terms[0]))
    moved = np.nextafter(limit, np.where(side > 0, np.inf, -np.inf))
    return np.where((side == 0) | ~np.isfinite(limit), limit, moved)


STEPS = {"floor", "ceil", "trunc", "rint", "sign", "signbit", "spacing", "gammasgn",
          "binary_exponent"}  # fmt: skip


def stepwise(run: Run, equation: Equation, inputs: list):
    """Piecewise constant functions of one variable: their value on the germ's side."""
    name = equation.op.name
    if name not in STEPS:
        raise Unsupported(name)
    (x,) = inputs
    decide(run, x)
    made = equation.op.evaluate(beside(x), **equation.params)
    out = equation.outputs[0].type
    return np.asarray(made).astype(out.dtype).reshape(out.shape)[()]


BY_KIND[Constant] = stepwise
BY_KIND[Discrete] = stepwise


@elementwise("floor_divide")
def _floor_divide(run: Run, equation: Equation, x: Germ, y: Germ) -> Germ:
    return _rounded_quotient(run, equation, x, y, np.floor)


def _rounded_quotient(run: Run, equation: Equation, x: Germ, y: Germ, rounding) -> Germ:
    type_ = equation.outputs[0].type
    quotient = divide(x, y, type_)
    decide(run, quotient)
    return constant(rounding(beside(quotient)), run.window, type_)


@elementwise("remainder", "fmod")
def _remainder(run: Run, equation: Equation, x: Germ, y: Germ) -> Germ:
    """x less the multiple of y next to it: below (remainder), or towards 0 (fmod)."""
    rounding = np.floor if equation.op.name == "remainder" else np.trunc
    times = _rounded_quotient(run, equation, x, y, rounding)
    type_ = equation.outputs[0].type
    return add(typed(x, type_), multiply(times, y, type_).negated, type_, 2.0**-50)


@elementwise("copysign")
def _copysign(run: Run, equation: Equation, x: Germ, y: Germ) -> Germ:
    decide(run, x)
    decide(run, y)
    side = np.copysign(1.0, beside(y)) * np.where(signs(x) < 0, -1.0, 1.0)
    type_ = equation.outputs[0].type
    return multiply(typed(x, type_), constant(side, run.window), type_)


@elementwise("heaviside")
def _heaviside(run: Run, equation: Equation, x: Germ, y: Germ) -> Germ:
    decide(run, x)
    type_ = equation.outputs[0].type
    x, y = typed(x, type_), typed(y, type_)
    step = np.where(signs(x) > 0, 1.0, 0.0)
    terms = np.where(x.zero, y.terms, 0.0)
    terms[0] = np.where(x.zero, terms[0], step)
    order = np.where(x.zero, y.order, np.where(step == 0, EXACT, 0))
    return normal(type_, terms, order, np.where(x.zero, y.known, EXACT))


@rule(
    "random_below", "random_bernoulli", "random_binomial", "random_geometric", "random_poisson",
    "random_categorical", "random_subset",
)  # fmt: skip
def _draw(run: Run, equation: Equation, inputs: list):
    """Draws are those at the point."""
    at_point = [x.limit()[()] if isinstance(x, Germ) else x for x in inputs]
    return equation.op.evaluate(*at_point, **equation.params)


@rule("nextafter")
def _nextafter(run: Run, equation: Equation, inputs: list) -> Germ:
    """A neighbour moves as its number does."""
    x, y = (germ_of(run, value) for value in inputs)
    made = equation.op.evaluate(x.wide_limit(), y.wide_limit())
    step = constant(np.asarray(made - x.wide_limit()), run.window)
    return with_wild(equation, [x, y], add(x, step, equation.outputs[0].type))


@rule("logical_and", "logical_or", "logical_xor", "logical_not", "any", "all")
def _truth(run: Run, equation: Equation, inputs: list):
    """An element is true unless it is exactly 0."""
    truths = []
    for x in inputs:
        if isinstance(x, Germ):
            decide(run, x)
            x = (nearby(x) != 0).reshape(x.shape)[()]
        truths.append(x)
    return equation.op.evaluate(*truths, **equation.params)
