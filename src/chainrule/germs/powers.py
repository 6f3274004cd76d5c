"""Powers and roots of germs: the leading term is raised, and the rest by Miller's recurrence.

An order that leaves the lattice of powers of s asks for a finer one (`FinerRoot`). An exponent
without a small denominator, at an element that vanishes or diverges, takes the place of the lattice
next to it and between the same two whole numbers: 0 ** 0.01 has the order of s ** (1 / q).

Source    Knuth, TAOCP 2, section 4.7, for the recurrence.
"""

from __future__ import annotations

from collections.abc import Callable
from fractions import Fraction
from math import gcd

import numpy as np

from chainrule.germs.elementwise import elementwise, with_limits, with_wild
from chainrule.germs.evaluation import FinerRoot, Run, germ_of, rule
from chainrule.germs.logarithms import exponential, logarithm
from chainrule.germs.series import EXACT, UNKNOWN, Germ, degree, multiply, normal, typed
from chainrule.program.program import Equation

_DENOMINATORS = 12  # exponents with larger denominators are not told from irrational ones


@elementwise("sqrt")
def _sqrt(run: Run, equation: Equation, x: Germ) -> Germ:
    return power(run, x, np.float64(0.5), np.sqrt)


@elementwise("cbrt")
def _cbrt(run: Run, equation: Equation, x: Germ) -> Germ:
    return power(run, x, np.float64(1.0 / 3.0), np.cbrt)


@rule("power")
def _power(run: Run, equation: Equation, inputs: list) -> Germ:
    x, y = (germ_of(run, value) for value in inputs)
    type_ = equation.outputs[0].type
    if y.terms[1:].any() or (y.order[~y.zero] != 0).any():
        out = exponential(run, multiply(y, logarithm(run, x), type_))
        out = with_limits(out, np.power(x.wide_limit().ravel(), y.wide_limit().ravel()))
    else:
        exponent = y.terms[0]
        out = typed(power(run, x, exponent, lambda lead: np.power(lead, exponent)), type_)
    return with_wild(equation, [x, y], out)


def power(run: Run, x: Germ, exponent: np.ndarray | np.floating, of_lead: Callable) -> Germ:
    """x ** exponent for exponents that do not move, `of_lead` giving that of the leading terms."""
    size = np.broadcast_shapes(np.shape(exponent), x.order.shape)
    exponent = np.broadcast_to(exponent, size)
    order = _times(run, np.where(x.zero | x.vague, 0, x.order), exponent)
    lead = x.terms[0]
    terms = np.zeros((x.window, *size), np.result_type(x.terms, exponent))
    terms[0] = of_lead(lead)
    for k in range(1, x.window):
        total = np.zeros(size, terms.dtype)
        for j in range(1, k + 1):
            if x.terms[j].any():
                total = total + (j * exponent - (k - j)) * x.terms[j] * terms[k - j]
        terms[k] = total / (k * lead)
    whole = (exponent == np.rint(exponent)) & (exponent.real >= 0)
    last = degree(x)
    ends = (x.known >= EXACT) & ((last == 0) | (whole & (exponent.real * last < x.window)))
    known = np.where(ends, EXACT, np.minimum(x.known, x.window))
    return _at_zeros(x, exponent, terms, order, known)


def _at_zeros(x: Germ, exponent, terms, order, known) -> Germ:
    """The power where x is 0, exactly or as far as it is known, or the exponent is 0."""
    fixed = x.zero | (exponent == 0)
    vague = x.vague & ~fixed
    later = np.arange(x.window)[:, None] > 0
    terms = np.where((fixed & later) | vague, 0.0, terms)
    order = np.where(fixed, np.where(terms[0] == 0, EXACT, 0), order)
    positive = exponent.real > 0
    least = np.where(positive & vague, x.order * np.abs(exponent), UNKNOWN)
    order = np.where(vague, np.maximum(np.floor(least), UNKNOWN).astype(np.int64), order)
    known = np.where(fixed, EXACT, np.where(vague, 0, known))
    return normal(x.type, terms, order, known)


def _times(run: Run, order: np.ndarray, exponent: np.ndarray) -> np.ndarray:
    """order * exponent, as whole numbers; FinerRoot where the lattice has no place for it."""
    exact = order * exponent.real
    found = np.rint(exact)
    off = np.abs(found - exact) > 1e-9
    if off.any():
        for value in set((exact[off] / run.root).tolist()):
            simple = Fraction(value).limit_denominator(_DENOMINATORS)
            apart = abs(simple - value) > 1e-9
            factor = 4 // gcd(4, run.root) if apart else (simple * run.root).denominator
            if factor > 1:
                raise FinerRoot(factor)
        below = np.floor(exact / run.root) * run.root
        found = np.where(off, np.clip(found, below + 1, below + run.root - 1), found)
    return found.astype(np.int64)
