"""What each elementwise operation is on wide numbers: one table, from operation names to functions.

A function takes numbers (`Wide`, or a float for infinities and nan) and returns one. Comparisons
return bool. Roundings to whole numbers see the argument as float64 would hold it: what they give is
the user's rounding, not an error to be repaired.
"""

from __future__ import annotations

import math
from collections.abc import Callable
from math import inf, nan

import numpy as np

from chainrule.ops.special.polynomials import at_infinity
from chainrule.wide import elementary as e
from chainrule.wide import special as s
from chainrule.wide.bessel import BESSEL
from chainrule.wide.incomplete import INCOMPLETE
from chainrule.wide.integrals import INTEGRALS
from chainrule.wide.number import (
    HALF,
    ONE,
    TWO,
    ZERO,
    Number,
    Undecided,
    Wide,
    compare,
    compare_noted,
    more_bits,
    nearest,
    wide,
)


def _is_zero(x: Number) -> bool:
    return isinstance(x, Wide) and not x.sign()


def add(x: Number, y: Number) -> Number:
    """x + y."""
    return x + y


def multiply(x: Number, y: Number) -> Number:
    """x * y."""
    return x * y


def divide(x: Number, y: Number) -> Number:
    """x / y."""
    return x / y


def _scale(p, t):
    return ZERO if _is_zero(p) or _is_zero(t) else p * t


def _square(x):
    return x * x


def _sign(x):
    return x if x != x else Wide(compare_noted(x, ZERO))


def _absolute(x):
    if isinstance(x, Wide) and x.is_zero:
        compare_noted(x, x)
    return abs(x)


def _larger(x, y):
    """fmax: a nan is ignored."""
    return y if x != x else x if y != y else e.maximum(x, y)


def _smaller(x, y):
    return y if x != x else x if y != y else e.minimum(x, y)


def _clip(x, low, high):
    return e.minimum(e.maximum(x, low), high)


def _rounding(function: Callable) -> Callable:
    def rounded(x):
        return wide(function(np.float64(nearest(x))))

    return rounded


def _floor(x: Wide) -> Wide:
    low, high = _down(x.m - x.r, x.e), _down(x.m + x.r, x.e)
    if low != high:
        Wide(0, 0, 1).sign()  # undecided; at the last precision x is the whole number
    return Wide(high)


def _down(m: int, e: int) -> int:
    if e > 20_000:
        raise Undecided
    return m << e if e >= 0 else m >> -e


def _quotient_floor(x, y):
    return _floor(x / y)


def _remainder(x, y):
    if isinstance(x, float) or isinstance(y, float) or _is_zero(y):
        return wide(np.remainder(np.float64(nearest(x)), np.float64(nearest(y))))
    with more_bits(max(0, x.top - y.top)):
        return x - _quotient_floor(x, y) * y


def _fmod(x, y):
    if isinstance(x, float) or isinstance(y, float) or _is_zero(y):
        return wide(np.fmod(np.float64(nearest(x)), np.float64(nearest(y))))
    rest = _remainder(abs(x), abs(y))
    return rest if compare(x, ZERO) >= 0 else -rest


def _floor_divide(x, y):
    if isinstance(x, float) or isinstance(y, float) or _is_zero(y):
        return wide(np.floor_divide(np.float64(nearest(x)), np.float64(nearest(y))))
    return _quotient_floor(x, y)


def _copysign(x, y):
    size = abs(x)
    return -size if compare(y, ZERO) < 0 else size


def _heaviside(x, y):
    sign = compare(x, ZERO)
    return nan if sign == 2 else y if sign == 0 else ONE if sign > 0 else ZERO


def _expit(x):
    return ONE / (ONE + e.exp(-x))


def _log_expit(x):
    return -_softplus(-x)


def _softplus(x):
    if compare(x, ZERO) > 0:
        return x + e.log1p(e.exp(-x))
    return e.log1p(e.exp(x))


def _logaddexp(x, y):
    if x != x or y != y:
        return nan
    high, low = (x, y) if compare(x, y) >= 0 else (y, x)
    if isinstance(high, float):
        return high
    return high + e.log1p(e.exp(low - high))


def _logaddexp2(x, y):
    two = e.log_two()
    return _logaddexp(x * two, y * two) / two


def _logit(x):
    return e.log(x / (ONE - x))


def _xlogy(x, y):
    return ZERO if _is_zero(x) and y == y else x * e.log(y)


def _xlog1py(x, y):
    return ZERO if _is_zero(x) and y == y else x * e.log1p(y)


def _entr(x):
    sign = compare(x, ZERO)
    return nan if sign == 2 else ZERO if sign == 0 else -inf if sign < 0 else -x * e.log(x)


def _rel_entr(x, y):
    if x != x or y != y:
        return nan
    if compare(x, ZERO) > 0 and compare(y, ZERO) > 0:
        return x * e.log(x / y)
    return ZERO if compare(x, ZERO) == 0 and compare(y, ZERO) >= 0 else inf


def _kl_div(x, y):
    value = _rel_entr(x, y)
    return value - x + y if isinstance(value, Wide) else value


def _sinc(x):
    if _is_zero(x):
        return ONE
    angle = e.pi() * x
    return e.sin(angle) / angle


def _ldexp(x, n):
    return x if isinstance(x, float) else Wide(x.m, x.e + int(n), x.r)


def _degrees(function: Callable) -> Callable:
    def of_degrees(x):
        return function(x * e.pi() / Wide(180))

    return of_degrees


def _exp_square(x, *, halves: int):
    return e.exp(Wide(halves, -1) * x * x)


def _boxcox(x, y):
    return e.log(x) if _is_zero(y) else e.expm1(y * e.log(x)) / y


def _cosm1(x):
    half = e.sin(x * HALF)
    return -(TWO * half * half)


def _polynomial(x, *, numerators, denominator):
    if isinstance(x, float):
        return nan if x != x else at_infinity(numerators, 1 if x > 0 else -1)
    total = Wide(numerators[-1])
    for n in numerators[-2::-1]:
        total = total * x + Wide(n)
    return total / Wide(denominator)


FUNCTIONS: dict[str, Callable] = {
    "add": add, "subtract": lambda x, y: x - y, "multiply": multiply, "divide": divide,
    "scale": _scale, "negative": lambda x: -x, "absolute": _absolute, "square": _square,
    "reciprocal": lambda x: divide(ONE, x), "sign": _sign, "copysign": _copysign,
    "maximum": e.maximum, "minimum": e.minimum, "fmax": _larger, "fmin": _smaller, "clip": _clip,
    "heaviside": _heaviside, "remainder": _remainder, "fmod": _fmod,
    "floor_divide": _floor_divide,
    "floor": _rounding(np.floor), "ceil": _rounding(np.ceil), "trunc": _rounding(np.trunc),
    "rint": _rounding(np.rint), "spacing": _rounding(np.spacing), "ldexp": _ldexp,
    "sqrt": e.square_root, "cbrt": e.cbrt, "hypot": e.hypot, "power": e.power,
    "exp": e.exp, "exp2": e.exp2, "expm1": e.expm1, "log": e.log, "log2": e.log2,
    "log10": e.log10, "log1p": e.log1p, "exp10": lambda x: e.power(Wide(10), x),
    "portable_exp": e.exp, "portable_expm1": e.expm1, "portable_log": e.log,
    "logaddexp": _logaddexp, "logaddexp2": _logaddexp2, "log_ratio": lambda x, y: e.log(x / y),
    "sin": e.sin, "cos": e.cos, "tan": e.tan, "arcsin": e.arcsin, "arccos": e.arccos,
    "arctan": e.arctan, "arctan2": e.arctan2, "sinc": _sinc, "cosm1": _cosm1,
    "sindg": _degrees(e.sin), "cosdg": _degrees(e.cos), "tandg": _degrees(e.tan),
    "sinh": e.sinh, "cosh": e.cosh, "tanh": e.tanh, "arcsinh": e.arcsinh,
    "arccosh": e.arccosh, "arctanh": e.arctanh,
    "expit": _expit, "logit": _logit, "log_expit": _log_expit, "xlogy": _xlogy,
    "xlog1py": _xlog1py, "entr": _entr, "rel_entr": _rel_entr, "kl_div": _kl_div,
    "exprel": s.exprel, "exp_square": _exp_square, "boxcox": _boxcox,
    "polynomial": _polynomial, "powm1": lambda x, y: e.power(x, y) - ONE,
    "erf": s.erf, "erfc": s.erfc, "erfcx": s.erfcx, "ndtr": s.ndtr, "log_ndtr": s.log_ndtr,
    "gammaln": s.gammaln, "gamma": s.gamma, "psi": s.psi,
    "rgamma": lambda x: divide(ONE, s.gamma(x)),
    "stop_gradient": lambda x: x, "barrier": lambda x, token: x,
    **BESSEL, **INTEGRALS, **INCOMPLETE,
}  # fmt: skip


def _comparison(holds: Callable[[int], bool]) -> Callable:
    return lambda x, y: holds(compare_noted(x, y))


def _signbit(x):
    return math.copysign(1.0, x) < 0 if isinstance(x, float) else x.sign() < 0


PREDICATES: dict[str, Callable] = {
    "equal": _comparison(lambda c: c == 0), "not_equal": _comparison(lambda c: c != 0),
    "less": _comparison(lambda c: c == -1), "less_equal": _comparison(lambda c: c in (-1, 0)),
    "greater": _comparison(lambda c: c == 1), "greater_equal": _comparison(lambda c: c in (0, 1)),
    "isnan": lambda x: isinstance(x, float) and x != x,
    "isinf": lambda x: isinstance(x, float) and x == x,
    "isfinite": lambda x: isinstance(x, Wide), "signbit": _signbit,
    "logical_not": _is_zero, "logical_and": lambda x, y: not (_is_zero(x) or _is_zero(y)),
    "logical_or": lambda x, y: not (_is_zero(x) and _is_zero(y)),
    "logical_xor": lambda x, y: _is_zero(x) != _is_zero(y),
}  # fmt: skip
