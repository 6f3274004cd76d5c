"""Sines, cosines and sigmoids of germs, by recurrences of their own.

The derivative rule would do, but sin leads to cos and cos to sin, a level for each term: K products
of series where one recurrence of the pair takes two.

Source    Knuth, TAOCP 2, section 4.7, for the kind; each recurrence is the derivative's.
"""

from __future__ import annotations

from collections.abc import Callable

import numpy as np

from chainrule.germs.elementwise import elementwise
from chainrule.germs.evaluation import Run
from chainrule.germs.series import EXACT, UNKNOWN, Germ, chosen, constant, divide, normal
from chainrule.germs.smooth import smooth
from chainrule.program.program import Equation


def _powers(x: Germ) -> np.ndarray:
    """The coefficients of s^0, s^1, ...; where x diverges, 0."""
    finite = (x.order >= 0) & ~x.wild
    return np.stack([np.where(finite, x.coefficient(k), 0.0) for k in range(x.window)])


def _germ(x: Germ, rows: np.ndarray) -> Germ:
    """The germ of a function of x that is smooth at the limit; not known where x diverges."""
    still = ~rows[1:].any(axis=0) & (x.known >= EXACT) & (x.zero | (x.order <= 0))
    known = np.where(still, EXACT, np.clip(np.where(x.zero, 0, x.precision), 0, x.window))
    lost = ((x.order < 0) | x.undetermined) & ~x.wild
    order = np.where(lost, UNKNOWN, 0)
    return normal(x.type, np.where(lost, 0.0, rows), order, np.where(lost, 0, known))


def _pair(x: Germ, first: Callable, second: Callable, sign: float) -> tuple[Germ, Germ]:
    """The functions with first' = second and second' = sign * first."""
    rows = _powers(x)
    a, b = np.zeros_like(rows), np.zeros_like(rows)
    a[0], b[0] = first(rows[0]), second(rows[0])
    for k in range(1, x.window):
        for j in range(1, k + 1):
            if rows[j].any():
                a[k] += j * rows[j] * b[k - j]
                b[k] += sign * j * rows[j] * a[k - j]
        a[k] /= k
        b[k] /= k
    return _germ(x, a), _germ(x, b)


_PAIRS: dict[str, tuple[Callable, Callable, float, int]] = {
    "sin": (np.sin, np.cos, -1.0, 0),
    "cos": (np.sin, np.cos, -1.0, 1),
    "sinh": (np.sinh, np.cosh, 1.0, 0),
    "cosh": (np.sinh, np.cosh, 1.0, 1),
}


@elementwise(*_PAIRS)
def _of_a_pair(run: Run, equation: Equation, x: Germ) -> Germ:
    first, second, sign, part = _PAIRS[equation.op.name]
    return _at_infinity(equation, x, _pair(x, first, second, sign)[part])


@elementwise("tan")
def _tan(run: Run, equation: Equation, x: Germ) -> Germ:
    return divide(*_pair(x, np.sin, np.cos, -1.0), x.type)


def _sigmoid(x: Germ, value: Callable, slope: Callable, square: float, linear: float) -> Germ:
    """The function f with f' = square f^2 + linear f + constant, `slope` being f' at the limit."""
    rows = _powers(x)
    f, d = np.zeros_like(rows), np.zeros_like(rows)
    f[0], d[0] = value(rows[0]), slope(rows[0])
    for k in range(1, x.window):
        for j in range(1, k + 1):
            if rows[j].any():
                f[k] += j * rows[j] * d[k - j]
        f[k] /= k
        d[k] = linear * f[k]
        for j in range(k + 1):
            d[k] += square * f[j] * f[k - j]
    return _germ(x, f)


@elementwise("tanh", "expit")
def _flat_sigmoid(run: Run, equation: Equation, x: Germ) -> Germ:
    value = equation.op.evaluate
    if x.terms.dtype.kind == "c":
        return smooth(run, equation, [x])[0]
    if equation.op.name == "tanh":
        out = _sigmoid(x, value, lambda at: 1 / np.cosh(at) ** 2, -1.0, 0.0)
    else:
        out = _sigmoid(x, value, lambda at: value(at) * value(-at), -1.0, 1.0)
    return _at_infinity(equation, x, out)


@elementwise("erf", "erfc", "ndtr")
def _flat(run: Run, equation: Equation, x: Germ) -> Germ:
    return _at_infinity(equation, x, smooth(run, equation, [x])[0])


def _at_infinity(equation: Equation, x: Germ, out: Germ) -> Germ:
    """At infinity these come to their limits, or diverge, faster than any power: constants."""
    infinite = (x.order < 0) & ~x.vague & ~x.wild
    if not infinite.any():
        return out
    limit = constant(equation.op.evaluate(x.wide_limit().ravel()), x.window)
    return chosen(infinite, limit, out, out.type)
