"""Comparisons and choices: the first coefficient in which two germs differ decides.

Two germs with the same terms are equal; where the difference is 0 as far as it is known, the
evaluation is asked for more terms (`undecided`), and in the last attempt they count as equal.
"""

from __future__ import annotations

import numpy as np

from chainrule.germs.elementwise import elementwise, nearby
from chainrule.germs.evaluation import Run, germ_of, rule
from chainrule.germs.series import EXACT, Germ, add, chosen
from chainrule.program.program import Equation

ENOUGH = 6  # powers of eps in which two truncated germs must agree to be taken for the same

_COMPARISONS = {
    "equal": lambda s: s == 0,
    "not_equal": lambda s: s != 0,
    "less": lambda s: s < 0,
    "less_equal": lambda s: s <= 0,
    "greater": lambda s: s > 0,
    "greater_equal": lambda s: s >= 0,
}


def compared(run: Run, x: Germ, y: Germ) -> np.ndarray:
    """Flat signs of x - y: -1, 0, 1, and nan where either is nan."""
    difference = add(x, y.negated, x.type)
    lead = difference.terms[0]
    if lead.dtype.kind == "c":
        lead = np.where(lead.real != 0, lead.real, lead.imag)
    sign = np.sign(lead)
    vague = difference.vague
    if vague.any() and (vague & ~identical(run, x, y)).any():
        run.undecided = True
    wild = x.wild | y.wild
    if wild.any():
        one, two = np.broadcast_arrays(nearby(x), nearby(y))
        plain = np.where(one == two, 0.0, np.sign(one - two))
        sign = np.where(wild, plain, sign)
    return sign


def identical(run: Run, x: Germ, y: Germ) -> np.ndarray:
    """Where two germs have the same terms, and enough of them to be taken for the same germ."""
    same = (x.terms == y.terms).all(axis=0) & (x.order == y.order) & (x.known == y.known)
    return same & ((x.known >= EXACT) | (run.whole >= ENOUGH * run.root))


@rule(*_COMPARISONS)
def _compare(run: Run, equation: Equation, inputs: list) -> np.ndarray:
    x, y = (germ_of(run, value) for value in inputs)
    sign = compared(run, x, y)
    found = _COMPARISONS[equation.op.name](sign)
    if equation.op.name == "not_equal":
        found = found | np.isnan(sign)
    return found.reshape(equation.outputs[0].type.shape)[()]


@rule("maximum", "minimum", "fmax", "fmin")
def _extreme(run: Run, equation: Equation, inputs: list) -> Germ:
    x, y = (germ_of(run, value) for value in inputs)
    name, type_ = equation.op.name, equation.outputs[0].type
    return extreme(run, x, y, type_, name in ("maximum", "fmax"), name[0] == "f")


def extreme(run: Run, x: Germ, y: Germ, type_, largest: bool, ignore_nan: bool = False) -> Germ:
    """The larger (or smaller) of two germs, elementwise; a nan wins, or loses."""
    sign = compared(run, x, y)
    first = (sign >= 0) if largest else (sign <= 0)
    nan_x, nan_y = np.isnan(x.terms[0]), np.isnan(y.terms[0])
    first = np.where(nan_x | nan_y, nan_y if ignore_nan else nan_x, first)
    return chosen(first, x, y, type_)


@rule("clip")
def _clip(run: Run, equation: Equation, inputs: list) -> Germ:
    x, low, high = (germ_of(run, value) for value in inputs)
    type_ = equation.outputs[0].type
    return extreme(run, extreme(run, x, low, type_, True), high, type_, False)


@rule("select")
def _select(run: Run, equation: Equation, inputs: list) -> Germ:
    condition, *values = inputs
    x, y = (germ_of(run, value) for value in values)
    return chosen(np.asarray(condition).reshape(-1), x, y, equation.outputs[0].type)


def signs(x: Germ) -> np.ndarray:
    """Flat signs of germs: nan where they are nan."""
    return np.sign(x.terms[0])


@elementwise("absolute")
def _absolute(run: Run, equation: Equation, x: Germ) -> Germ:
    decide(run, x)
    return Germ(x.type, x.terms * np.where(signs(x) < 0, -1.0, 1.0), x.order, x.known)


def decide(run: Run, x: Germ) -> None:
    """Ask for more terms where an element may be 0 or not."""
    if x.vague.any():
        run.undecided = True


@rule("isnan", "isinf", "isfinite")
def _finite(run: Run, equation: Equation, inputs: list) -> np.ndarray:
    """Of values near s = 0: what diverges is finite everywhere but at the point."""
    (x,) = inputs
    made = equation.op.evaluate(nearby(x))
    return np.asarray(made).reshape(x.shape)[()]
