"""Elementary functions of balls: one rule for each elementwise operation, by its name.

A rule takes one `Ball` for each operand and gives one. At infinities and nan, and where a function
has a pole at a number that is known exactly, the value is NumPy's.
"""

from __future__ import annotations

from collections.abc import Callable
from fractions import Fraction
from typing import Any

import numpy as np

from chainrule.certify.ball import Ball, Undetermined, exact, from_arb, ratio, stand_in
from chainrule.certify.flint import load
from chainrule.program.op import REGISTRY

NAN, INFINITY = Ball(float("nan")), Ball(float("inf"))
MOST_EXACT_POWER = 4096

REAL: dict[str, Callable[..., Ball]] = {}


def rule(*names: str):
    """Register a function of balls as the rule of operations."""

    def register(function: Callable[..., Ball]):
        for name in names:
            REAL[name] = function
        return function

    return register


def zero() -> Ball:
    """An exact 0."""
    return ratio(0)


def one() -> Ball:
    """An exact 1."""
    return ratio(1)


def as_numpy_has_it(name: str, *operands: Ball) -> Ball:
    """The operation's value on NumPy, where that is an infinity, nan or a whole number."""
    with np.errstate(all="ignore"):
        value = REGISTRY[name].evaluate(*[np.float64(stand_in(a)) for a in operands])
    if np.isfinite(value) and value != np.rint(value):
        raise Undetermined(f"{name} of an infinity")
    return exact(value)


def by_arb(name: str, function: Callable, low: int | None = None, high: int | None = None):
    """Register a function of one argument that Arb has; nan outside of low..high."""

    def value(a: Ball) -> Ball:
        if a.special:
            return as_numpy_has_it(name, a)
        if (low is not None and a.compare_edge(low) < 0) or (
            high is not None and a.compare_edge(high) > 0
        ):
            return NAN
        if a.exact and _has_pole(name, a.x):
            with np.errstate(all="ignore"):
                return exact(REGISTRY[name].evaluate(np.float64(int(a.x.p))))
        return from_arb(function(a.arb()), f"{name} of a number")

    REAL[name] = value
    return value


_POLES = {
    "log": (0,), "log2": (0,), "log10": (0,), "log1p": (-1,), "arctanh": (-1, 1), "logit": (0, 1),
    "portable_log": (0,), "erfinv": (-1, 1), "erfcinv": (0, 2), "ndtri": (0, 1), "expi": (0,),
    "exp1": (0,), "cosine_integral": (0,), "hyperbolic_cosine_integral": (0,), "ellipk": (1,),
    "ellipkm1": (0,),
}  # fmt: skip


def _has_pole(name: str, x) -> bool:
    """Whether a function is infinite at a number, or has no value there."""
    if name in ("gamma", "psi"):
        return x.q == 1 and x <= 0
    return x.q == 1 and int(x.p) in _POLES.get(name, ())


for _name, _method, _low, _high in (
    ("exp", "exp", None, None), ("expm1", "expm1", None, None), ("log", "log", 0, None),
    ("log1p", "log1p", -1, None), ("sin", "sin", None, None), ("cos", "cos", None, None),
    ("tan", "tan", None, None), ("arcsin", "asin", -1, 1), ("arccos", "acos", -1, 1),
    ("sinh", "sinh", None, None), ("cosh", "cosh", None, None), ("tanh", "tanh", None, None),
    ("arcsinh", "asinh", None, None), ("arccosh", "acosh", 1, None), ("arctanh", "atanh", -1, 1),
    ("sinc", "sinc_pi", None, None), ("portable_exp", "exp", None, None),
    ("portable_expm1", "expm1", None, None), ("portable_log", "log", 0, None),
):  # fmt: skip
    by_arb(_name, lambda x, method=_method: getattr(x, method)(), _low, _high)

by_arb("sqrt", lambda x: x.sqrt(), 0)
by_arb("log2", lambda x: x.log_base(2), 0)
by_arb("log10", lambda x: x.log_base(10), 0)
by_arb("exp2", lambda x: load().arb(2) ** x)
by_arb("exp10", lambda x: load().arb(10) ** x)
by_arb("expit", lambda x: 1 / (1 + (-x).exp()) if x > 0 else x.exp() / (1 + x.exp()))
by_arb("log_expit", lambda x: -(-x).exp().log1p() if x > 0 else x - x.exp().log1p())
by_arb("logit", lambda x: x.log() - (1 - x).log(), 0, 1)
by_arb("cosm1", lambda x: -2 * (x / 2).sin() ** 2)
by_arb("sindg", lambda x: (x / 180).sin_pi())
by_arb("cosdg", lambda x: (x / 180).cos_pi())
by_arb("tandg", lambda x: (x / 180).tan_pi())
by_arb("cotdg", lambda x: (x / 180).cot_pi())


@rule("arctan")
def arctan(a: Ball) -> Ball:
    """arctan, pi / 2 at infinity."""
    if a.special:
        return NAN if a.is_nan() else Ball(load().arb.pi() / 2 * a.sign())
    return from_arb(a.arb().atan())


@rule("cbrt")
def cbrt(a: Ball) -> Ball:
    """The real cube root."""
    if a.special:
        return a
    if a.is_zero:
        return a
    root = from_arb(abs(a.arb()).root(3), "a cube root")
    return -root if a.sign() < 0 else root


@rule("exprel")
def exprel(a: Ball) -> Ball:
    """(exp(x) - 1) / x, and 1 at 0."""
    if a.is_zero:
        return one()
    return as_numpy_has_it("exprel", a) if a.special else REAL["expm1"](a) / a


@rule("absolute")
def absolute(a: Ball) -> Ball:
    """The magnitude."""
    return abs(a)


REAL["add"] = lambda a, b: a + b
REAL["subtract"] = lambda a, b: a - b
REAL["multiply"] = lambda a, b: a * b
REAL["divide"] = lambda a, b: a / b
REAL["negative"] = lambda a: -a
REAL["square"] = lambda a: a * a
REAL["reciprocal"] = lambda a: one() / a
REAL["conjugate"] = REAL["stop_gradient"] = REAL["barrier"] = lambda a: a


@rule("reciprocal_where_apart")
def reciprocal_where_apart(x: Ball, size: Ball) -> Ball:
    """1 / x, and 0 where |x| <= size or infinite."""
    return zero() if x.special or (abs(x) - size).sign() <= 0 else one() / x


@rule("scale")
def scale(p: Ball, t: Ball) -> Ball:
    """p * t, and exactly 0 where either is exactly 0."""
    return zero() if p.is_zero or t.is_zero else p * t


@rule("power")
def power(x: Ball, y: Ball) -> Ball:
    """x ** y: whole exponents exactly, others for x >= 0."""
    if y.is_zero or (x.exact and x.x == 1):
        return one()
    if x.special or y.special:
        return as_numpy_has_it("power", x, y)
    if y.exact and y.x.q == 1:
        return _whole_power(x, int(y.x.p))
    side = x.sign()
    if side == 0:
        return zero() if y.sign() > 0 else INFINITY
    if side < 0:
        if y.exact:
            return NAN
        raise Undetermined("a power of a negative number")
    if y.exact and y.x == ratio(1, 2).x:
        return REAL["sqrt"](x)
    return from_arb(x.arb() ** y.arb(), "a power")


def _whole_power(x: Ball, n: int) -> Ball:
    if x.is_zero and n < 0:
        return Ball(float(np.power(0.0, float(n))))
    bits = max(x.x.p.bit_length(), x.x.q.bit_length()) * abs(n) if x.exact else 0
    if x.exact and bits <= MOST_EXACT_POWER:
        return Ball(x.x**n)
    made = x.arb() ** load().fmpz(abs(n))
    return from_arb(made, "a power") if n >= 0 else one() / from_arb(made, "a power")


@rule("powm1")
def powm1(x: Ball, y: Ball) -> Ball:
    """x ** y - 1."""
    return power(x, y) - one()


@rule("arctan2")
def arctan2(y: Ball, x: Ball) -> Ball:
    """The angle of the point (x, y); 0 at the origin."""
    if x.is_nan() or y.is_nan():
        return NAN
    if x.is_zero and y.is_zero:
        return zero()
    if x.special or y.special:
        below = x.x == float("-inf") and not y.special and y.sign() < 0
        x, y = (ratio(a.sign()) if a.special else zero() for a in (x, y))
        if below:
            return Ball(-load().arb.pi())
    return from_arb(load().arb.atan2(y.arb(), x.arb()), "an angle")


@rule("hypot")
def hypot(x: Ball, y: Ball) -> Ball:
    """The length of (x, y)."""
    if x.special or y.special:
        return as_numpy_has_it("hypot", x, y)
    return REAL["sqrt"](x * x + y * y)


# --- choosing -------------------------------------------------------------------------------------


def _extreme(side: int, keeps_nan: bool, arb_name: str):
    def value(a: Ball, b: Ball) -> Ball:
        if a.is_nan() or b.is_nan():
            if keeps_nan:
                return NAN
            return b if a.is_nan() else a
        try:
            return a if a.compare(b) * side >= 0 else b
        except Undetermined:  # which of the two it is does not matter for the value
            return Ball(getattr(a.arb(), arb_name)(b.arb()))

    return value


REAL["maximum"], REAL["minimum"] = _extreme(1, True, "max"), _extreme(-1, True, "min")
REAL["fmax"], REAL["fmin"] = _extreme(1, False, "max"), _extreme(-1, False, "min")


@rule("clip")
def clip(x: Ball, low: Ball, high: Ball) -> Ball:
    """min(max(x, low), high)."""
    return REAL["minimum"](REAL["maximum"](x, low), high)


@rule("sign")
def sign(a: Ball) -> Ball:
    """-1, 0 or 1."""
    return NAN if a.is_nan() else ratio(a.sign())


@rule("copysign")
def copysign(a: Ball, b: Ball) -> Ball:
    """|a| with the sign of b; zero counts as positive."""
    if b.is_nan():
        raise Undetermined("the sign of nan")
    return -abs(a) if b.sign() < 0 else abs(a)


@rule("heaviside")
def heaviside(x: Ball, at_zero: Ball) -> Ball:
    """0 below zero, 1 above it, `at_zero` there."""
    if x.is_nan():
        return NAN
    return {-1: zero(), 0: at_zero, 1: one()}[x.sign()]


# --- whole numbers --------------------------------------------------------------------------------


def floor_of(a: Ball) -> int:
    """The largest whole number that is no larger; `Undetermined` where the ball holds several."""
    if a.exact:
        return int(a.x.p // a.x.q)
    low, high = (int(end.floor().unique_fmpz()) for end in (a.x.lower(), a.x.upper()))
    if low != high:
        raise Undetermined("the whole part of a number")
    return low


def truncated(a: Ball) -> int:
    """The whole part, towards zero."""
    return -floor_of(-a) if a.sign() < 0 else floor_of(a)


def nearest(a: Ball) -> int:
    """The nearest whole number, the even one of two."""
    if a.exact:
        return round(Fraction(int(a.x.p), int(a.x.q)))
    return floor_of(a + ratio(1, 2))


def _whole(name: str, function: Callable[[Ball], int]) -> None:
    REAL[name] = lambda a: a if a.special else ratio(function(a))


_whole("floor", floor_of)
_whole("ceil", lambda a: -floor_of(-a))
_whole("trunc", truncated)
_whole("rint", nearest)


def _quotient(name: str, whole: Callable[[Ball], int], remains: bool) -> None:
    def value(x: Ball, y: Ball) -> Ball:
        if x.special or y.special or y.is_zero:
            return as_numpy_has_it(name, x, y)
        times = ratio(whole(x / y))
        return x - times * y if remains else times

    REAL[name] = value


_quotient("floor_divide", floor_of, False)
_quotient("remainder", floor_of, True)
_quotient("fmod", truncated, True)


# --- compositions ---------------------------------------------------------------------------------


@rule("logaddexp")
def logaddexp(a: Ball, b: Ball) -> Ball:
    """log(exp(a) + exp(b))."""
    if a.special or b.special:
        return as_numpy_has_it("logaddexp", a, b) if not _one_is_least(a, b) else _other(a, b)
    largest = REAL["maximum"](a, b)
    return largest + REAL["log1p"](REAL["exp"](-abs(a - b)))


@rule("logaddexp2")
def logaddexp2(a: Ball, b: Ball) -> Ball:
    """log2(2**a + 2**b)."""
    if a.special or b.special:
        return as_numpy_has_it("logaddexp2", a, b) if not _one_is_least(a, b) else _other(a, b)
    largest = REAL["maximum"](a, b)
    return largest + REAL["log2"](one() + REAL["exp2"](-abs(a - b)))


def _one_is_least(a: Ball, b: Ball) -> bool:
    """Whether one is -inf and the other finite."""
    low = float("-inf")
    return (a.x == low and not b.special) or (b.x == low and not a.special)


def _other(a: Ball, b: Ball) -> Ball:
    return b if a.special else a


@rule("xlogy")
def xlogy(x: Ball, y: Ball) -> Ball:
    """x * log(y), and 0 where x is 0."""
    return zero() if x.is_zero and not y.is_nan() else x * REAL["log"](y)


@rule("xlog1py")
def xlog1py(x: Ball, y: Ball) -> Ball:
    """x * log1p(y), and 0 where x is 0."""
    return zero() if x.is_zero and not y.is_nan() else x * REAL["log1p"](y)


@rule("entr")
def entr(x: Ball) -> Ball:
    """-x log(x): 0 at 0, -inf below."""
    if x.is_nan() or x.sign() >= 0:
        return -xlogy(x, x)
    return Ball(float("-inf"))


@rule("rel_entr")
def rel_entr(x: Ball, y: Ball) -> Ball:
    """x log(x / y); 0 where x is 0 and y is not negative; infinite where it is not defined."""
    if x.is_nan() or y.is_nan():
        return NAN
    if x.sign() > 0 and y.sign() > 0:
        return x * REAL["log"](x / y)
    return zero() if x.is_zero and y.sign() >= 0 else INFINITY


@rule("kl_div")
def kl_div(x: Ball, y: Ball) -> Ball:
    """x log(x / y) - x + y."""
    made = rel_entr(x, y)
    return made if made.special else made - x + y


@rule("log_ratio")
def log_ratio(x: Ball, y: Ball) -> Ball:
    """log(x / y)."""
    return REAL["log"](x / y)


@rule("huber")
def huber(delta: Ball, r: Ball) -> Ball:
    """r**2 / 2 up to delta, linear beyond; infinite for negative delta."""
    if delta.sign() < 0:
        return INFINITY
    size = abs(r)
    half = ratio(1, 2)
    if size.compare(delta) <= 0:
        return half * r * r
    return delta * (size - half * delta)


@rule("pseudo_huber")
def pseudo_huber(delta: Ball, r: Ball) -> Ball:
    """delta**2 (sqrt(1 + (r / delta)**2) - 1)."""
    if delta.sign() < 0:
        return INFINITY
    if delta.is_zero or r.is_zero:
        return zero()
    ratio_ = r / delta
    return delta * delta * (REAL["sqrt"](one() + ratio_ * ratio_) - one())


@rule("boxcox")
def boxcox(x: Ball, by: Ball) -> Ball:
    """(x**by - 1) / by, and log(x) for by = 0."""
    return REAL["log"](x) if by.is_zero else (power(x, by) - one()) / by


@rule("boxcox1p")
def boxcox1p(x: Ball, by: Ball) -> Ball:
    """boxcox of 1 + x."""
    return boxcox(one() + x, by)


@rule("inv_boxcox")
def inv_boxcox(y: Ball, by: Ball) -> Ball:
    """The x whose boxcox is y."""
    return REAL["exp"](y) if by.is_zero else power(one() + by * y, one() / by)


@rule("inv_boxcox1p")
def inv_boxcox1p(y: Ball, by: Ball) -> Ball:
    """The x whose boxcox1p is y."""
    return inv_boxcox(y, by) - one()


@rule("ldexp")
def ldexp(x: Ball, exponent: Ball) -> Ball:
    """x * 2**exponent."""
    return x * _whole_power(ratio(2), int(exponent.x.p))


# --- what is asked of numbers ---------------------------------------------------------------------


def _comparison(holds: Callable[[int], bool], of_nan: bool = False):
    def value(a: Any, b: Any) -> bool:
        if a.is_nan() or b.is_nan():
            return of_nan
        return holds(a.compare(b))

    return value


ASKED: dict[str, Callable[..., Any]] = {
    "less": _comparison(lambda c: c < 0),
    "less_equal": _comparison(lambda c: c <= 0),
    "greater": _comparison(lambda c: c > 0),
    "greater_equal": _comparison(lambda c: c >= 0),
    "equal": _comparison(lambda c: c == 0),
    "not_equal": _comparison(lambda c: c != 0, True),
    "isnan": lambda a: a.is_nan(),
    "isinf": lambda a: a.special and not a.is_nan(),
    "isfinite": lambda a: not a.special,
    "signbit": lambda a: a.sign() < 0,
}
