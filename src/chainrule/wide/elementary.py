"""Elementary functions of wide numbers: exp, log, sin, cos, atan, powers, and what they make.

Value     the function at the middle, within one unit in the last place of the precision in force,
          and the bound of the argument carried through.
Edges     where the argument is infinite, nan or at a pole, NumPy's value.
"""

from __future__ import annotations

import operator
from collections.abc import Callable
from functools import wraps
from math import inf, nan

import numpy as np

from chainrule.wide.fixed import (
    SLACK,
    atan_fixed,
    exp_fixed,
    log2_fixed,
    log_fixed,
    pi_fixed,
    sin_cos_fixed,
)
from chainrule.wide.number import (
    HALF,
    ONE,
    TWO,
    ZERO,
    Number,
    Undecided,
    Wide,
    bits_in_force,
    compare_noted,
    more_bits,
    nearest,
    rounded,
    sqrt,
    wide,
)

_GUARD = 12
_LARGEST_SHIFT = 1 << 17  # bits; larger numbers than a fixed-point number can be asked to hold
_HUGE = 1100  # exp of numbers beyond 2**1100 is infinity: they are exponentials themselves


def _at_edges(name: str) -> Callable:
    """The function with NumPy's value where an argument is an infinity or nan."""
    numpy_function = getattr(np, name)

    def decorate(function: Callable) -> Callable:
        @wraps(function)
        def with_edges(*arguments):
            for x in arguments:
                if isinstance(x, float):
                    return _numpy_value(numpy_function, arguments)
            return function(*arguments)

        return with_edges

    return decorate


def _numpy_value(function, arguments) -> Number:
    with np.errstate(all="ignore"):
        return wide(function(*[np.float64(nearest(x)) for x in arguments]))


def _fixed(x: Wide, p: int) -> int:
    """The middle of a wide number as an integer multiple of 2**-p, rounded down."""
    by = x.e + p
    if by > _LARGEST_SHIFT:
        raise Undecided
    return x.m << by if by >= 0 else x.m >> -by


def _spread(x: Wide, p: int) -> int:
    """At least the bound of a wide number in units of 2**-p."""
    if not x.r:
        return 0
    by = x.e + p
    return x.r << by if by >= 0 else (x.r >> -by) + 1


def _with_spread(x: Wide, relative_top: int) -> Wide:
    """x with a further error of up to 2**relative_top times its size."""
    extra = Wide(0, x.top + relative_top, 1)
    return x + extra


def pi() -> Wide:
    """Pi at the precision in force."""
    p = bits_in_force() + _GUARD
    return rounded(pi_fixed(p), -p, 2)


def _near_zero(x: Wide, order: int) -> Wide | None:
    """x itself where f(x) = x (1 + c x**order), |c| <= 1, does not differ from it; else None."""
    if order * x.top < -bits_in_force():
        return _with_spread(x, order * x.top)
    return None


# --- exponentials and logarithms ------------------------------------------------------------------


@_at_edges("exp")
def exp(x: Wide) -> Number:
    """e**x."""
    if x.is_zero:
        return ONE
    if x.top > _HUGE:
        return inf if x.sign() > 0 else ZERO
    if x.r and x.e + x.r.bit_length() > 0:
        raise Undecided
    p = bits_in_force() + _GUARD
    deep = p + max(x.top, 0) + 4
    fixed = _fixed(x, deep)
    count, rest = divmod(fixed, log2_fixed(deep))
    value = exp_fixed(rest >> (deep - p), p)
    return rounded(value, count - p, SLACK + 8 + 4 * _spread(x, p))


@_at_edges("expm1")
def expm1(x: Wide) -> Number:
    """e**x - 1."""
    near = _near_zero(x, 1)
    if near is not None:
        return near
    with more_bits(-x.top):
        return exp(x) - ONE


@_at_edges("log")
def log(x: Wide) -> Number:
    """The natural logarithm; -inf at 0, nan below."""
    sign = x.sign()
    if sign <= 0:
        return -inf if sign == 0 else nan
    n = x.m.bit_length()
    away = x - ONE
    if away.is_zero:
        return ZERO
    close = max(0, -away.top) if away.top < 0 else 0
    if close > 2 * bits_in_force():
        return _with_spread(away, away.top)
    p = bits_in_force() + _GUARD + close
    deep = p + (x.e + n).bit_length()
    f = x.m << (p - n + 1) if n <= p + 1 else x.m >> (n - p - 1)
    value = log_fixed(f, p) + (log2_fixed(deep) * (x.e + n - 1) >> (deep - p))
    spread = (x.r << p) // (x.m - x.r) + 1 if x.r else 0
    return rounded(value, -p, SLACK + 4 + spread)


@_at_edges("log1p")
def log1p(x: Wide) -> Number:
    """log(1 + x)."""
    near = _near_zero(x, 1)
    if near is not None:
        return near
    with more_bits(-x.top):
        return log(ONE + x)


def log_two() -> Wide:
    """The natural logarithm of 2 at the precision in force."""
    p = bits_in_force() + _GUARD
    return rounded(log2_fixed(p), -p, 2)


def exp2(x: Number) -> Number:
    """2**x."""
    if isinstance(x, float):
        return exp(x)
    return exp(x * log_two()) if not is_whole(x) else Wide(1, _fixed(x, 0))


def log2(x: Number) -> Number:
    """The logarithm to base 2."""
    if isinstance(x, Wide) and x.m == 1 and not x.r:
        return Wide(x.e)
    return log(x) / log_two()


def log10(x: Number) -> Number:
    """The logarithm to base 10."""
    return log(x) / log(Wide(10))


# --- trigonometric --------------------------------------------------------------------------------


def _sin_cos(x: Wide) -> tuple[Wide, Wide]:
    if x.top > 20_000 or (x.r and x.e + x.r.bit_length() > 0):
        raise Undecided
    p = bits_in_force() + _GUARD + max(0, -x.top)
    deep = p + max(x.top, 0) + 4
    half_pi = pi_fixed(deep) >> 1
    quarter, rest = divmod(_fixed(x, deep) + (half_pi >> 1), half_pi)
    rest -= half_pi >> 1
    s, c = sin_cos_fixed(abs(rest) >> (deep - p), p)
    s = s if rest >= 0 else -s
    s, c = ((s, c), (c, -s), (-s, -c), (-c, s))[quarter % 4]
    error = SLACK + 4 + _spread(x, p)
    return rounded(s, -p, error), rounded(c, -p, error)


@_at_edges("sin")
def sin(x: Wide) -> Number:
    """The sine."""
    near = _near_zero(x, 2)
    return _sin_cos(x)[0] if near is None else near


@_at_edges("cos")
def cos(x: Wide) -> Number:
    """The cosine."""
    if x.is_zero:
        return ONE
    if 2 * x.top < -bits_in_force():
        return _with_spread(ONE, 2 * x.top)
    return _sin_cos(x)[1]


@_at_edges("tan")
def tan(x: Wide) -> Number:
    """The tangent."""
    near = _near_zero(x, 2)
    if near is not None:
        return near
    s, c = _sin_cos(x)
    return s / c


@_at_edges("arctan")
def arctan(x: Wide) -> Number:
    """The inverse tangent."""
    near = _near_zero(x, 2)
    if near is not None:
        return near
    if x.top > 1:
        turned = arctan(ONE / abs(x))
        value = pi() * HALF - turned
        return value if x.sign() > 0 else -value
    p = bits_in_force() + _GUARD + max(0, -x.top)
    value = atan_fixed(min(abs(_fixed(x, p)), 1 << p), p) if x.top <= 0 else _atan_to_two(x, p)
    return rounded(value if x.m >= 0 else -value, -p, SLACK + 4 + _spread(x, p))


def _atan_to_two(x: Wide, p: int) -> int:
    t, one = abs(_fixed(x, p)), 1 << p
    if t <= one:
        return atan_fixed(t, p)
    return (pi_fixed(p) >> 1) - atan_fixed((one << p) // t, p)


@_at_edges("arcsin")
def arcsin(x: Wide) -> Number:
    """The inverse sine; nan outside [-1, 1]."""
    near = _near_zero(x, 2)
    if near is not None:
        return near
    other = (ONE - x) * (ONE + x)
    sign = other.sign()
    if sign < 0:
        return nan
    if sign == 0:
        return pi() * HALF if x.sign() > 0 else -pi() * HALF
    return arctan(x / sqrt(other))


@_at_edges("arccos")
def arccos(x: Wide) -> Number:
    """The inverse cosine; nan outside [-1, 1]."""
    above, below = ONE - x, ONE + x
    if above.sign() < 0 or below.sign() < 0:
        return nan
    if not below.sign():
        return pi()
    return TWO * arctan(sqrt(above / below))


@_at_edges("arctan2")
def arctan2(y: Wide, x: Wide) -> Number:
    """The angle of the point (x, y)."""
    side = x.sign()
    if not side:
        return Wide(y.sign()) * pi() * HALF
    angle = arctan(y / x)
    if side > 0:
        return angle
    return angle + pi() if y.sign() >= 0 else angle - pi()


# --- hyperbolic -----------------------------------------------------------------------------------


@_at_edges("sinh")
def sinh(x: Wide) -> Number:
    """The hyperbolic sine."""
    near = _near_zero(x, 2)
    if near is not None:
        return near
    with more_bits(-x.top):
        e = exp(x)
        return (e - ONE / e) * HALF if isinstance(e, Wide) and not e.is_zero else _far(x)


def _far(x: Wide) -> float:
    return inf * x.sign()


@_at_edges("cosh")
def cosh(x: Wide) -> Number:
    """The hyperbolic cosine."""
    e = exp(x)
    return (e + ONE / e) * HALF if isinstance(e, Wide) and not e.is_zero else inf


@_at_edges("tanh")
def tanh(x: Wide) -> Number:
    """The hyperbolic tangent."""
    near = _near_zero(x, 2)
    if near is not None:
        return near
    e = expm1(TWO * abs(x))
    value = ONE if isinstance(e, float) else e / (e + TWO)
    return value if x.sign() > 0 else -value


@_at_edges("arcsinh")
def arcsinh(x: Wide) -> Number:
    """The inverse hyperbolic sine."""
    near = _near_zero(x, 2)
    if near is not None:
        return near
    size = abs(x)
    square = size * size
    value = log1p(size + square / (ONE + sqrt(ONE + square)))
    return value if x.sign() > 0 else -value


@_at_edges("arccosh")
def arccosh(x: Wide) -> Number:
    """The inverse hyperbolic cosine; nan below 1."""
    above = x - ONE
    if above.sign() < 0:
        return nan
    return log1p(above + sqrt(above * (x + ONE)))


@_at_edges("arctanh")
def arctanh(x: Wide) -> Number:
    """The inverse hyperbolic tangent; infinite at -1 and 1, nan outside."""
    near = _near_zero(x, 2)
    if near is not None:
        return near
    below, above = ONE + x, ONE - x
    if not below.sign() or not above.sign():
        return inf if x.m > 0 else -inf
    return nan if below.sign() * above.sign() < 0 else log1p(TWO * x / above) * HALF


# --- powers and norms -----------------------------------------------------------------------------


@_at_edges("sqrt")
def square_root(x: Wide) -> Number:
    """The square root."""
    return sqrt(x)


@_at_edges("cbrt")
def cbrt(x: Wide) -> Number:
    """The cube root."""
    sign = x.sign()
    if not sign:
        return ZERO
    return Wide(sign) * exp(log(abs(x)) / Wide(3))


@_at_edges("hypot")
def hypot(x: Wide, y: Wide) -> Number:
    """The length of (x, y)."""
    return sqrt(x * x + y * y)


def is_whole(x: Wide) -> bool:
    """Whether a number is known to be whole, and is below 2**64."""
    return not x.r and x.top < 64 and (x.e >= 0 or not x.m & ((1 << -x.e) - 1))


@_at_edges("power")
def power(x: Wide, y: Wide) -> Number:
    """x**y; nan of a negative number to a power that is not whole."""
    if y.is_zero:
        return ONE
    whole = is_whole(y)
    n = _fixed(y, 0) if whole else 0
    if whole and abs(n) <= 64:
        return _repeated(x, n)
    sign = x.sign()
    if sign == 0:
        return ZERO if y.sign() > 0 else inf
    if sign < 0 and not whole:
        return nan
    with more_bits(y.top + 12):
        size = exp(y * log(abs(x)))
    return -size if sign < 0 and n & 1 else size


def _repeated(x: Wide, n: int) -> Number:
    result = ONE
    factor = x
    count = abs(n)
    with more_bits(8):
        while count:
            if count & 1:
                result = result * factor
            factor = factor * factor
            count >>= 1
        return result if n > 0 else ONE / result


def compare_pair(better: Callable) -> Callable:
    """maximum and minimum: nan where an argument is."""

    def choose(x, y):
        if x != x or y != y:
            return nan
        return x if better(compare_noted(x, y), 0) else y

    return choose


maximum = compare_pair(operator.ge)
minimum = compare_pair(operator.le)
