"""Elementwise arithmetic of germs, and what all elementwise rules share.

An infinite or nan element is a constant: where an operand is one, NumPy's function at a place of
the other operands near s = 0 gives the value.
"""

from __future__ import annotations

from collections.abc import Callable

import numpy as np

from chainrule.germs.evaluation import Run, germ_of, rule
from chainrule.germs.series import (
    Germ,
    add,
    constant,
    divide,
    multiply,
)
from chainrule.program.program import Equation

NOISE = 4.0  # roundings, at s**0, that a difference of moving values may be made of


def nearby(g: Germ) -> np.ndarray:
    """Flat values at a place near s = 0: the limit where it is finite and not 0, else something
    huge or tiny of the right sign."""
    lead = g.terms[0]
    huge = np.where(g.order < 0, 1e200, np.where(g.order > 0, 1e-200, 1.0))
    sign = np.sign(lead) if lead.dtype.kind != "c" else lead / np.where(lead == 0, 1, np.abs(lead))
    out = np.where(g.order == 0, lead, huge * sign)
    out = np.where(g.zero | g.wild, lead, out)
    return np.where(g.undetermined, np.nan, out)


def elementwise(*names: str):
    """Enter a rule `rule(run, equation, *germs) -> germ` for elementwise operations."""

    def enter(function: Callable) -> Callable:
        @rule(*names)
        def complete(run: Run, equation: Equation, inputs: list):
            germs = [germ_of(run, x) for x in inputs]
            return with_wild(equation, germs, function(run, equation, *germs))

        return function

    return enter


def with_wild(equation: Equation, germs: list[Germ], out):
    """The result, with NumPy's value wherever an operand is infinite or nan."""
    wild = np.zeros(1, bool)
    for g in germs:
        wild = wild | g.wild
    if not wild.any() or not isinstance(out, Germ):
        return out
    wild = np.broadcast_to(wild, out.order.size)
    values = [np.broadcast_to(nearby(g), out.order.size)[wild] for g in germs]
    made = constant(equation.op.evaluate(*values, **equation.params), out.window)
    terms, order, known = np.array(out.terms), np.array(out.order), np.array(out.known)
    terms[:, wild], order[wild], known[wild] = made.terms, made.order, made.known
    return Germ(out.type, terms, order, known)


def with_limits(g: Germ, values: np.ndarray) -> Germ:
    """The germ with its finite, nonzero limits replaced by NumPy's, which differ by rounding."""
    values = np.broadcast_to(values, g.order.size)
    good = (g.order == 0) & np.isfinite(values) & (values != 0) & ~g.vague & ~g.wild
    terms = np.array(g.terms)
    terms[0] = np.where(good, values, terms[0])
    return Germ(g.type, terms, g.order, g.known)


def _noise(equation: Equation) -> float:
    dtype = equation.outputs[0].type.dtype
    return NOISE * float(np.finfo(dtype).eps) if dtype.kind in "fc" else 0.0


@rule("add", "subtract")
def _add(run: Run, equation: Equation, inputs: list) -> Germ:
    x, y = (germ_of(run, value) for value in inputs)
    noise = _noise(equation) if all(isinstance(value, Germ) for value in inputs) else 0.0
    second = y.negated if equation.op.name == "subtract" else y
    return with_wild(equation, [x, y], add(x, second, equation.outputs[0].type, noise))


@elementwise("negative")
def _negative(run: Run, equation: Equation, x: Germ) -> Germ:
    return x.negated


@elementwise("multiply", "scale")
def _multiply(run: Run, equation: Equation, x: Germ, y: Germ) -> Germ:
    return multiply(x, y, equation.outputs[0].type)


@elementwise("square")
def _square(run: Run, equation: Equation, x: Germ) -> Germ:
    return multiply(x, x, x.type)


@elementwise("divide")
def _divide(run: Run, equation: Equation, x: Germ, y: Germ) -> Germ:
    return divide(x, y, equation.outputs[0].type)


@elementwise("reciprocal")
def _reciprocal(run: Run, equation: Equation, x: Germ) -> Germ:
    return divide(constant(np.float64(1.0), run.window), x, x.type)


@elementwise("stop_gradient", "barrier", "held")
def _same(run: Run, equation: Equation, x: Germ) -> Germ:
    return x
