"""Exponentials and logarithms of germs.

The logarithm of an element that vanishes, log(c s**m (1 + ...)), is log c + m log s + ...; log s is
larger than any constant and smaller than any power of s. It is written as the number -`run.log`,
and the evaluation is repeated with another number: a limit that changes contains log s, and is
infinite. So x**2 log x has slope 0 at 0 and x log x the slope -inf. The exponential finds the
multiples of log s again: exp(log(x) / 2) is the root of x.

Limits    log s loses against constants beyond `run.log`, where it should win.
"""

from __future__ import annotations

from collections.abc import Callable
from fractions import Fraction

import numpy as np

from chainrule.germs.choosing import extreme
from chainrule.germs.elementwise import elementwise, with_limits, with_wild
from chainrule.germs.evaluation import FinerRoot, Run, germ_of, rule
from chainrule.germs.series import (
    EXACT,
    UNKNOWN,
    Germ,
    add,
    chosen,
    constant,
    divide,
    multiply,
    normal,
    scaled,
    typed,
)
from chainrule.germs.smooth import smooth
from chainrule.program.program import Equation

_SHARE = 12  # multiples of log s are told in twelfths
_REACH = 64.0  # by how much an exponent may differ from a multiple of log s


@elementwise("exp", "portable_exp")
def _exp(run: Run, equation: Equation, x: Germ) -> Germ:
    return with_limits(exponential(run, x), equation.op.evaluate(x.wide_limit().ravel()))


def exponential(run: Run, x: Germ) -> Germ:
    """exp(x): an element that tends to -inf gives an exact 0 (it vanishes faster than any power),
    one that tends to inf gives inf, and a multiple m of log s gives s**m."""
    finite = (x.order >= 0) & ~x.wild
    rest = np.stack([np.where(finite, x.coefficient(k), 0.0) for k in range(x.window)])
    order, rest[0] = _multiples(run, rest[0])
    terms = np.zeros_like(rest)
    terms[0] = np.exp(rest[0])
    for k in range(1, x.window):
        total = np.zeros(x.order.size, terms.dtype)
        for j in range(1, k + 1):
            if rest[j].any():
                total = total + j * rest[j] * terms[k - j]
        terms[k] = total / k
    still = x.zero | (x.order <= 0)  # else it moves, if by a power beyond the window only
    flat = ~rest[1:].any(axis=0) & (x.known >= EXACT) & still
    known = np.where(flat, EXACT, np.clip(np.where(x.zero, 0, x.precision), 0, x.window))
    return _at_infinity(x, terms, order, known)


def _at_infinity(x: Germ, terms, order, known) -> Germ:
    infinite = (x.order < 0) & ~x.vague & ~x.wild
    terms = np.where(infinite | x.wild, 0.0, terms)
    terms[0] = np.where(infinite & (x.terms[0].real > 0), np.inf, terms[0])
    terms[0] = np.where(x.wild, np.exp(x.terms[0]), terms[0])
    unknown = x.undetermined & ~x.wild
    order = np.where(infinite, 0, np.where(unknown, UNKNOWN, order))
    known = np.where(infinite | x.wild, EXACT, np.where(unknown, 0, known))
    return normal(x.type, terms, order, known)


def _multiples(run: Run, value):
    """The order m and the rest of exponents that are m log s + rest."""
    none = np.zeros(value.shape, np.int64)
    if not run.met_logarithm:
        return none, value
    share = np.rint(value.real * _SHARE / run.log)
    rest = value + 0.0 - share * run.log / _SHARE
    found = (share != 0) & (np.abs(rest.real) < _REACH)
    factors = {Fraction(int(m), _SHARE).denominator for m in share[found]}
    if any(f > 1 for f in factors):
        raise FinerRoot(int(np.lcm.reduce(list(factors))))
    order = np.where(found, -share // _SHARE, 0).astype(np.int64)
    return order, np.where(found, rest, value)


def logarithm(run: Run, x: Germ) -> Germ:
    """log(x), with the number that stands for log s where x vanishes or diverges."""
    lead = x.terms[0]
    ratio = x.terms / lead
    terms = np.zeros_like(ratio)
    away = (x.order != 0) & ~x.zero & ~x.wild & ~x.vague
    terms[0] = np.log(lead) - np.where(away, x.order * run.log, 0.0)
    if away.any():
        run.met_logarithm = True
    for k in range(1, x.window):
        total = k * ratio[k]
        for j in range(1, k):
            total = total - j * terms[j] * ratio[k - j]
        terms[k] = total / k
    flat = (x.known >= EXACT) & ~x.terms[1:].any(axis=0)
    fixed = flat | x.zero | x.wild
    later = np.arange(x.window)[:, None] > 0
    terms = np.where((fixed & later) | x.vague, 0.0, terms)
    known = np.where(fixed, EXACT, np.minimum(x.known, x.window))
    order = np.where(x.vague, UNKNOWN, 0)
    return normal(x.type, terms, order, np.where(x.vague, 0, known))


def _one(run: Run) -> Germ:
    return constant(np.float64(1.0), run.window)


def _shifted_by_one(run: Run, x: Germ) -> Germ:
    return add(_one(run), x, x.type)


def _log_of_one_plus(run: Run, x: Germ) -> Germ:
    return logarithm(run, _shifted_by_one(run, x))


_FORMULAS = {
    "log": logarithm,
    "portable_log": logarithm,
    "log2": lambda run, x: scaled(logarithm(run, x), 1 / np.log(2.0)),
    "log10": lambda run, x: scaled(logarithm(run, x), 1 / np.log(10.0)),
    "log1p": _log_of_one_plus,
    "logit": lambda run, x: add(
        logarithm(run, x), _log_of_one_plus(run, x.negated).negated, x.type
    ),
    "arctanh": lambda run, x: scaled(
        add(_log_of_one_plus(run, x), _log_of_one_plus(run, x.negated).negated, x.type), 0.5
    ),
}
_POLES = {"log": (0.0,), "portable_log": (0.0,), "log2": (0.0,), "log10": (0.0,),
          "log1p": (-1.0,), "logit": (0.0, 1.0), "arctanh": (-1.0, 1.0)}  # fmt: skip


@rule(*_FORMULAS)
def _logarithmic(run: Run, equation: Equation, inputs: list) -> Germ:
    """By the formula where some element is at a pole or infinite, else by the derivative rule."""
    (x,) = inputs
    name = equation.op.name
    limit = x.wide_limit().ravel()
    singular = np.isin(limit, _POLES[name]) | ~np.isfinite(limit)
    return by_formula(
        run, equation, inputs, singular | (name == "log"), lambda: _FORMULAS[name](run, x)
    )


def by_formula(run: Run, equation: Equation, germs: list[Germ], singular, formula) -> Germ:
    """By a formula where an element is singular, with NumPy's limits; else by the derivative."""
    singular = np.broadcast_to(singular, equation.outputs[0].type.size)
    if not singular.any():
        return smooth(run, equation, germs)[0]
    limits = [g.wide_limit().ravel() for g in germs]
    plain = equation.op.evaluate(*limits, **equation.params)
    out = with_wild(equation, germs, with_limits(formula(), plain))
    if singular.all():
        return out
    return chosen(singular, out, smooth(run, equation, germs)[0], out.type)


# --- numbers times logarithms -------------------------------------------------------------------


@rule("xlogy", "xlog1py", "entr", "log_ratio", "rel_entr", "kl_div")
def _relative(run: Run, equation: Equation, inputs: list) -> Germ:
    germs = [typed(germ_of(run, x), equation.outputs[0].type) for x in inputs]
    singular = False
    for g in germs:
        limit = g.wide_limit().ravel()
        pole = limit == (-1.0 if equation.op.name == "xlog1py" else 0.0)
        singular = singular | pole | ~np.isfinite(limit)
    formula = _RELATIVE[equation.op.name]
    return by_formula(run, equation, germs, singular, lambda: formula(run, *germs))


def _log_ratio(run: Run, x: Germ, y: Germ) -> Germ:
    return logarithm(run, divide(x, y, x.type))


def _rel_entr(run: Run, x: Germ, y: Germ) -> Germ:
    out = multiply(x, _log_ratio(run, x, y), x.type)
    return _outside(out, (x.terms[0] < 0) | (y.terms[0] < 0), np.inf)


def _kl_div(run: Run, x: Germ, y: Germ) -> Germ:
    return add(_rel_entr(run, x, y), add(y, x.negated, x.type), x.type)


def _entr(run: Run, x: Germ) -> Germ:
    out = multiply(x, logarithm(run, x), x.type).negated
    return _outside(out, x.terms[0] < 0, -np.inf)


_RELATIVE: dict[str, Callable] = {
    "xlogy": lambda run, x, y: multiply(x, logarithm(run, y), x.type),
    "xlog1py": lambda run, x, y: multiply(x, _log_of_one_plus(run, y), x.type),
    "entr": _entr,
    "log_ratio": _log_ratio,
    "rel_entr": _rel_entr,
    "kl_div": _kl_div,
}


def _outside(g: Germ, where, value: float) -> Germ:
    """The germ with a constant outside the domain."""
    terms = np.where(where, 0.0, g.terms)
    terms[0] = np.where(where, value, terms[0])
    return Germ(g.type, terms, np.where(where, 0, g.order), np.where(where, EXACT, g.known))


@elementwise("exp_square")
def _exp_square(run: Run, equation: Equation, x: Germ) -> Germ:
    exponent = scaled(multiply(x, x, x.type), equation.params["halves"] / 2)
    return with_limits(
        exponential(run, exponent),
        equation.op.evaluate(x.wide_limit().ravel(), **equation.params),
    )


# --- sums of exponentials -----------------------------------------------------------------------


@elementwise("logaddexp", "logaddexp2", "log_expit")
def _logaddexp(run: Run, equation: Equation, *germs: Germ) -> Germ:
    """By the derivative rule; where an operand diverges, the larger one and what remains."""
    if not (run.met_logarithm or any((g.order < 0).any() for g in germs)):
        return smooth(run, equation, list(germs))[0]
    name, type_ = equation.op.name, equation.outputs[0].type
    base = np.log(2.0) if name == "logaddexp2" else 1.0
    x, y = germs if name != "log_expit" else (germs[0].negated, constant(0.0, run.window))
    one, two = typed(scaled(x, base), type_), typed(scaled(y, base), type_)
    larger, smaller = (extreme(run, one, two, type_, largest) for largest in (True, False))
    rest = exponential(run, add(smaller, larger.negated, type_))
    out = scaled(add(larger, _log_of_one_plus(run, rest), type_), 1 / base)
    out = out.negated if name == "log_expit" else out
    return with_limits(out, equation.op.evaluate(*[g.wide_limit().ravel() for g in germs]))
