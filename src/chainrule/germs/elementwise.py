"""Elementwise arithmetic, powers, exponentials and logarithms of germs, at every point.

At a regular point each agrees with NumPy's function in its first term; at a singular one (division
by what vanishes, roots and logarithms of it) the leading terms decide. An infinite or nan element
is a constant: NumPy's function at a place of the other operands near s = 0 gives the value.
"""

from __future__ import annotations

from collections.abc import Callable
from fractions import Fraction

import numpy as np

from chainrule.germs.evaluation import FinerRoot, Run, germ_of, rule
from chainrule.germs.series import (
    EXACT,
    UNKNOWN,
    Germ,
    add,
    constant,
    divide,
    multiply,
    normal,
    shifted,
    typed,
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


# --- powers -------------------------------------------------------------------------------------


@elementwise("sqrt")
def _sqrt(run: Run, equation: Equation, x: Germ) -> Germ:
    return power(x, np.float64(0.5), lambda lead: np.sqrt(lead))


@elementwise("cbrt")
def _cbrt(run: Run, equation: Equation, x: Germ) -> Germ:
    return power(x, np.float64(1.0 / 3.0), np.cbrt)


@rule("power")
def _power(run: Run, equation: Equation, inputs: list) -> Germ:
    x, y = (germ_of(run, value) for value in inputs)
    type_ = equation.outputs[0].type
    if y.terms[1:].any() or (y.order[~y.zero] != 0).any():
        out = _general_power(run, x, y, type_)
    else:
        exponent = y.terms[0]
        out = typed(power(x, exponent, lambda lead: np.power(lead, exponent)), type_)
    return with_wild(equation, [x, y], out)


def _general_power(run: Run, x: Germ, y: Germ, type_) -> Germ:
    """x ** y with an exponent that moves: exp(y log x); NumPy's value at the limits."""
    out = exponential(multiply(y, logarithm(x), type_))
    return with_limits(out, np.power(x.wide_limit().ravel(), y.wide_limit().ravel()))


def with_limits(g: Germ, values: np.ndarray) -> Germ:
    """The germ with its finite, nonzero limits replaced by NumPy's, which differ by rounding."""
    values = np.broadcast_to(values, g.order.size)
    good = (g.order == 0) & np.isfinite(values) & (values != 0) & ~g.vague & ~g.wild
    terms = np.array(g.terms)
    terms[0] = np.where(good, values, terms[0])
    return Germ(g.type, terms, g.order, g.known)


def power(x: Germ, exponent: np.ndarray | np.floating, of_lead: Callable) -> Germ:
    """x ** exponent for exponents that do not move, `of_lead` giving that of the leading terms.

    An order that leaves the lattice asks for a finer one; a real exponent without a small
    denominator takes the next place of the lattice between the same two whole numbers.
    Source: Miller's recurrence (Knuth, TAOCP 2, 4.7).
    """
    exponent = np.broadcast_to(exponent, np.broadcast_shapes(np.shape(exponent), x.order.shape))
    order = _times(np.where(x.zero, 0, x.order), exponent)
    lead = x.terms[0]
    terms = np.zeros((x.window, x.order.size), np.result_type(x.terms, exponent))
    terms[0] = of_lead(lead)
    for k in range(1, x.window):
        total = np.zeros(x.order.size, terms.dtype)
        for j in range(1, k + 1):
            total = total + (j * exponent - (k - j)) * x.terms[j] * terms[k - j]
        terms[k] = total / (k * lead)
    ends = (x.known >= EXACT) & ~x.terms[1:].any(axis=0)  # a monomial
    known = np.where(ends, EXACT, np.minimum(x.known, x.window))
    return _power_at_zeros(x, exponent, terms, order, known)


def _power_at_zeros(x: Germ, exponent, terms, order, known) -> Germ:
    whole = (exponent == np.rint(exponent)) & (exponent >= 0)
    degree = np.where(whole, exponent.real, x.window) * _last_term(x)
    known = np.where(whole & (x.known >= EXACT) & (degree < x.window), EXACT, known)
    nothing = exponent == 0
    constant_here = x.zero | nothing
    terms = np.where(constant_here & (np.arange(x.window)[:, None] > 0), 0.0, terms)
    order = np.where(constant_here, np.where(terms[0] == 0, EXACT, 0), order)
    known = np.where(constant_here, EXACT, known)
    vague = x.vague & ~constant_here
    positive = exponent.real > 0
    terms = np.where(vague, 0.0, terms)
    floor = np.floor(np.where(positive, x.order * np.abs(exponent), 0)).astype(np.int64)
    order = np.where(vague, np.where(positive, floor, UNKNOWN), order)
    return normal(x.type, terms, order, np.where(vague, 0, known))


def _last_term(x: Germ):
    backwards = (x.terms[::-1] != 0).argmax(axis=0)
    return np.where(x.terms.any(axis=0), x.window - 1 - backwards, 0)


_DENOMINATORS = 12


def _times(order: np.ndarray, exponent: np.ndarray) -> np.ndarray:
    """order * exponent, as whole numbers; raises FinerRoot where they are not."""
    if not order.any():
        return np.zeros(order.size, np.int64)
    exact = order * exponent.real
    found = np.rint(exact)
    off = np.abs(found - exact) > 1e-9
    if off.any():
        needed = 1
        for o, e in {
            (int(o), float(e)) for o, e in zip(order[off], exponent.real[off], strict=True)
        }:
            fraction = Fraction(e).limit_denominator(_DENOMINATORS) * o
            needed = max(needed, fraction.denominator)
        if needed > 1:
            raise FinerRoot(needed)
        found = np.where(off, np.floor(exact) + (exact > 0), found)
    return found.astype(np.int64)


# --- exponentials and logarithms ----------------------------------------------------------------


@elementwise("exp")
def _exp(run: Run, equation: Equation, x: Germ) -> Germ:
    return with_limits(exponential(x), equation.op.evaluate(x.wide_limit().ravel()))


def exponential(x: Germ) -> Germ:
    """exp(x): an element that tends to -inf gives an exact 0 (it vanishes faster than any power),
    one that tends to inf gives inf."""
    finite = (x.order >= 0) & ~x.wild
    rest = np.stack([np.where(finite, x.coefficient(k), 0.0) for k in range(x.window)])
    terms = np.zeros_like(rest)
    terms[0] = np.exp(rest[0])
    for k in range(1, x.window):
        total = np.zeros(x.order.size, terms.dtype)
        for j in range(1, k + 1):
            total = total + j * rest[j] * terms[k - j]
        terms[k] = total / k
    known = np.clip(np.where(x.zero, x.window, x.precision), 0, x.window)
    known = np.where(x.zero, EXACT, known)
    infinite = (x.order < 0) & ~x.vague & ~x.wild
    lead = x.terms[0]
    terms = np.where(infinite, 0.0, terms)
    terms[0] = np.where(infinite & (lead.real > 0), np.inf, terms[0])
    known = np.where(infinite, EXACT, known)
    unknown = x.undetermined & ~x.wild
    order = np.where(unknown, UNKNOWN, 0)
    return normal(x.type, terms, order, np.where(unknown, 0, known))


@elementwise("log")
def _log(run: Run, equation: Equation, x: Germ) -> Germ:
    return with_limits(logarithm(x), equation.op.evaluate(x.wide_limit().ravel()))


def logarithm(x: Germ) -> Germ:
    """log(x) where x has a finite limit other than 0; else the infinite limit, as a constant."""
    lead = x.terms[0]
    ratio = x.terms / lead
    terms = np.zeros_like(ratio)
    terms[0] = np.log(lead)
    for k in range(1, x.window):
        total = k * ratio[k]
        for j in range(1, k):
            total = total - j * terms[j] * ratio[k - j]
        terms[k] = total / k
    regular = x.order == 0
    terms = np.where(regular, terms, 0.0)
    at = np.where(x.order > 0, -np.inf, np.where(np.isnan(terms[0]), np.nan, np.inf))
    at = np.where((lead.real < 0) & (lead.dtype.kind != "c"), np.nan, at)
    terms[0] = np.where(regular, terms[0], at)
    ends = (x.known >= EXACT) & ~x.terms[1:].any(axis=0)
    known = np.where(ends | ~regular, EXACT, np.minimum(x.known, x.window))
    unknown = x.vague
    terms = np.where(unknown, 0.0, terms)
    order = np.where(unknown, UNKNOWN, 0)
    return normal(x.type, terms, order, np.where(unknown, 0, known))


@elementwise("stop_gradient", "barrier")
def _same(run: Run, equation: Equation, x: Germ) -> Germ:
    return shifted(x, 0)
