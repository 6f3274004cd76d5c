"""Functions of complex balls: one rule for each elementwise operation, by its name."""

from __future__ import annotations

from collections.abc import Callable
from typing import Any

from chainrule.certify.ball import Ball, Undetermined, from_arb, ratio
from chainrule.certify.complex_ball import ComplexBall, from_acb, function, of_real
from chainrule.certify.elementary import REAL
from chainrule.certify.flint import load

COMPLEX: dict[str, Callable[..., Any]] = {
    "add": lambda a, b: a + b,
    "subtract": lambda a, b: a - b,
    "multiply": lambda a, b: a * b,
    "divide": lambda a, b: a / b,
    "negative": lambda a: -a,
    "square": lambda a: a * a,
    "conjugate": lambda a: a.conjugate(),
    "reciprocal": lambda a: of_real(ratio(1)) / a,
    "equal": lambda a, b: not a.re.compare(b.re) and not a.im.compare(b.im),
    "not_equal": lambda a, b: bool(a.re.compare(b.re) or a.im.compare(b.im)),
    "isnan": lambda a: a.is_nan(),
    "isfinite": lambda a: not a.special,
    "isinf": lambda a: any(p.special and not p.is_nan() for p in (a.re, a.im)),
    "stop_gradient": lambda a: a,
}

for _name, _method in (
    ("exp", "exp"), ("log", "log"), ("sin", "sin"), ("cos", "cos"), ("tan", "tan"),
    ("sinh", "sinh"), ("cosh", "cosh"), ("tanh", "tanh"), ("arcsin", "asin"), ("arccos", "acos"),
    ("arctan", "atan"), ("arcsinh", "asinh"), ("arccosh", "acosh"), ("arctanh", "atanh"),
    ("expm1", "expm1"), ("log1p", "log1p"), ("sqrt", "sqrt"), ("gamma", "gamma"),
    ("loggamma", "lgamma"), ("rgamma", "rgamma"), ("psi", "digamma"), ("erf", "erf"),
    ("erfc", "erfc"), ("erfi", "erfi"), ("sinc", "sinc_pi"),
):  # fmt: skip
    COMPLEX[_name] = function(_method)


def _rule(name: str):
    def register(function: Callable[..., Any]):
        COMPLEX[name] = function
        return function

    return register


@_rule("absolute")
def absolute(a: ComplexBall) -> Ball:
    """The magnitude, which is real."""
    return REAL["hypot"](a.re, a.im)


@_rule("sign")
def sign(a: ComplexBall) -> ComplexBall:
    """a / |a|, and 0 at 0."""
    if a.is_zero:
        return a
    size = absolute(a)
    return ComplexBall(a.re / size, a.im / size)


@_rule("scale")
def scale(p: ComplexBall, t: ComplexBall) -> ComplexBall:
    """p * t, and exactly 0 where either is exactly 0."""
    return of_real(ratio(0)) if p.is_zero or t.is_zero else p * t


@_rule("power")
def power(x: ComplexBall, y: ComplexBall) -> ComplexBall:
    """x ** y: whole real exponents by products, others by the principal logarithm."""
    if y.im.is_zero and y.re.exact and y.re.x.q == 1 and abs(y.re.x.p) <= 64:
        return _whole_power(x, int(y.re.x.p))
    if x.is_zero:
        if y.re.sign() > 0:
            return x
        raise Undetermined("a power of 0")
    return from_acb(x.acb().pow(y.acb()))


def _whole_power(x: ComplexBall, n: int) -> ComplexBall:
    made = of_real(ratio(1))
    for _ in range(abs(n)):
        made = made * x
    return made if n >= 0 else of_real(ratio(1)) / made


@_rule("log2")
def log2(a: ComplexBall) -> ComplexBall:
    """The logarithm to base 2."""
    return COMPLEX["log"](a) / of_real(from_arb(load().arb.const_log2()))


@_rule("log10")
def log10(a: ComplexBall) -> ComplexBall:
    """The logarithm to base 10."""
    return COMPLEX["log"](a) / of_real(from_arb(load().arb.const_log10()))
