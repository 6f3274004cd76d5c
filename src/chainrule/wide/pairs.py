"""Arrays of double-double numbers: what many entries are computed again in at once.

A number is the sum of two float64 arrays, to about 100 bits, in float64's range: overflow and what
is beyond make nan, and a nan is computed again in wide numbers. Where a pair is good enough is
decided by the caller, from the estimate of the float64 error: pairs lose as many bits, but have 47
more (`SPARE`).

Source    Dekker, Numer. Math. 18 (1971); Hida, Li and Bailey, "Library for double-double and
          quad-double arithmetic" (2007) for quotients, roots and the exponential.
"""

from __future__ import annotations

import operator
from collections.abc import Callable
from math import factorial
from typing import Any

import numpy as np

from chainrule.program.program import Equation, Program
from chainrule.wide.fixed import log2_fixed, pi_fixed
from chainrule.wide.literals import literal_number
from chainrule.wide.number import nearest, precision, wide

_OF_LITERALS = 160  # bits of constants that are rounded to pairs
SPARE = 47  # bits that a pair's errors lie below float64's

Pair = tuple[np.ndarray, np.ndarray]


def _parts(value: int, bits: int, count: int) -> list[float]:
    """An integer multiple of 2**-bits as a sum of floats, each of what the last ones leave."""
    parts = []
    for _ in range(count):
        drop = max(value.bit_length() - 53, 0)
        parts.append(float(value >> drop << drop) / 2.0**bits)
        value -= value >> drop << drop
    return parts


_LN2 = _parts(log2_fixed(400), 400, 3)
_HALF_PI = _parts(pi_fixed(400) >> 1, 400, 3)


# --- sums and products ----------------------------------------------------------------------------


def _two_sum(a, b) -> Pair:
    s = a + b
    rest = s - a
    return s, (a - (s - rest)) + (b - rest)


def _quick(a, b) -> Pair:
    s = a + b
    return s, b - (s - a)


def _split(a) -> Pair:
    c = 134217729.0 * a
    high = c - (c - a)
    return high, a - high


def _two_product(a, b) -> Pair:
    p = a * b
    (ah, al), (bh, bl) = _split(a), _split(b)
    return p, ((ah * bh - p) + ah * bl + al * bh) + al * bl


def add(x: Pair, y: Pair) -> Pair:
    """x + y."""
    s, e = _two_sum(x[0], y[0])
    t, f = _two_sum(x[1], y[1])
    s, e = _quick(s, e + t)
    return _quick(s, e + f)


def negative(x: Pair) -> Pair:
    """-x."""
    return -x[0], -x[1]


def subtract(x: Pair, y: Pair) -> Pair:
    """x - y."""
    return add(x, negative(y))


def multiply(x: Pair, y: Pair) -> Pair:
    """x * y."""
    p, e = _two_product(x[0], y[0])
    return _quick(p, e + (x[0] * y[1] + x[1] * y[0]))


def divide(x: Pair, y: Pair) -> Pair:
    """x / y."""
    first = x[0] / y[0]
    rest = subtract(x, multiply(y, (first, np.zeros_like(first))))
    second = rest[0] / y[0]
    rest = subtract(rest, multiply(y, (second, np.zeros_like(second))))
    return add(_quick(first, second), (rest[0] / y[0], np.zeros_like(first)))


def _each(change: Callable, x: Pair) -> Pair:
    """Both parts of a pair, changed alike."""
    return change(x[0]), change(x[1])


def _number(value: float) -> Pair:
    return np.asarray(value, float), np.zeros(())


def _times(x: Pair, power_of_two) -> Pair:
    return x[0] * power_of_two, x[1] * power_of_two


def _sqrt(x: Pair) -> Pair:
    root = np.sqrt(x[0])
    rest = subtract(x, _two_product(root, root))
    return _quick(root, rest[0] / (2.0 * root))


# --- functions ------------------------------------------------------------------------------------

_TERMS = [divide(_number(1.0), _number(float(factorial(k)))) for k in range(1, 28)]


def _reduced(x: Pair, unit: list[float]) -> tuple[np.ndarray, Pair]:
    """The whole number of units nearest to x, and the rest."""
    k = np.rint(x[0] / unit[0])
    for part in unit:
        x = subtract(x, _two_product(k, np.float64(part)))
    return k, x


def _expm1_small(x: Pair) -> Pair:
    """e**x - 1 for |x| < 0.4, by halving its argument eight times."""
    x = _times(x, 1.0 / 256.0)
    total = _TERMS[8]
    for term in _TERMS[7::-1]:
        total = add(multiply(total, x), term)
    total = multiply(total, x)
    for _ in range(8):
        total = add(_times(total, 2.0), multiply(total, total))
    return total


def _exp(x: Pair) -> Pair:
    k, rest = _reduced(x, _LN2)
    value = add(_expm1_small(rest), _number(1.0))
    half = np.clip(np.trunc(k / 2), -1000, 1000).astype(int)
    other = np.clip(k - half, -2000, 2000).astype(int)
    return _each(lambda part: np.ldexp(np.ldexp(part, half), other), value)


def _expm1(x: Pair) -> Pair:
    near = abs(x[0]) < 0.34
    small = _expm1_small(_each(lambda part: np.where(near, part, 0.0), x))
    return _where(near, small, subtract(_exp(x), _number(1.0)))


def _log1p(x: Pair) -> Pair:
    start = np.log1p(x[0]), np.zeros_like(x[0])
    grown = _expm1(start)
    step = divide(subtract(x, grown), add(grown, _number(1.0)))
    return subtract(add(start, step), _times(multiply(step, step), 0.5))


def _log(x: Pair) -> Pair:
    """The logarithm of a number from 0.7 to 1.4, and of the power of two beside it."""
    mantissa, exponent = np.frexp(x[0])
    exponent = exponent - (mantissa < 0.7071)
    scaled = np.ldexp(x[0], -exponent), np.ldexp(x[1], -exponent)
    total = _log1p(subtract(scaled, _number(1.0)))
    for part in _LN2:
        total = add(total, _two_product(exponent.astype(float), np.float64(part)))
    return total


def _sin_cos(x: Pair) -> tuple[Pair, Pair]:
    quarter, rest = _reduced(x, _HALF_PI)
    square = multiply(rest, rest)
    s, c = _TERMS[26], _TERMS[25]
    for k in range(24, -1, -2):
        s = subtract(_TERMS[k], multiply(square, s))
    for k in range(23, -1, -2):
        c = subtract(_TERMS[k], multiply(square, c))
    s, c = multiply(rest, s), subtract(_number(1.0), multiply(square, c))
    beyond = np.where(abs(quarter) < 2.0**20, 0.0, np.nan)
    turn = np.where(np.isfinite(quarter), quarter, 0.0).astype(int) % 4
    odd, minus_s, minus_c = turn % 2 == 1, turn >= 2, (turn == 1) | (turn == 2)
    sine = _where(odd, c, s)
    cosine = _where(odd, s, c)
    return (
        _each(lambda part: np.where(minus_s, -part, part) + beyond, sine),
        _each(lambda part: np.where(minus_c, -part, part) + beyond, cosine),
    )


def _arctan(x: Pair) -> Pair:
    start = np.arctan(x[0])
    s, c = _sin_cos((start, np.zeros_like(start)))
    step = divide(subtract(multiply(x, c), s), add(c, multiply(x, s)))
    return add((start, np.zeros_like(start)), step)


def _tanh(x: Pair) -> Pair:
    e = _expm1(_times(x, 2.0))
    return divide(e, add(e, _number(2.0)))


def _sinh(x: Pair) -> Pair:
    e = _expm1(_absolute(x))
    value = _times(add(e, divide(e, add(e, _number(1.0)))), 0.5)
    return _where(x[0] < 0, negative(value), value)


def _cosh(x: Pair) -> Pair:
    e = _exp(x)
    return _times(add(e, divide(_number(1.0), e)), 0.5)


def _power(x: Pair, y: Pair) -> Pair:
    n = y[0]
    if np.ndim(n) or y[1] or n != np.rint(n) or abs(n) > 64:
        return _exp(multiply(y, _log(x)))
    result, count = _number(1.0), int(abs(n))
    while count:
        result = multiply(result, x) if count & 1 else result
        x, count = (multiply(x, x) if count > 1 else x), count >> 1
    return result if n > 0 else divide(_number(1.0), result)


def _expit(x: Pair) -> Pair:
    e = _exp(negative(_absolute(x)))
    return divide(_where(x[0] < 0, e, _number(1.0)), add(e, _number(1.0)))


def _log_expit(x: Pair) -> Pair:
    return subtract(_where(x[0] < 0, x, _number(0.0)), _log1p(_exp(negative(_absolute(x)))))


def _logaddexp(x: Pair, y: Pair) -> Pair:
    apart = subtract(x, y)
    larger = _where(apart[0] < 0, y, x)
    return add(larger, _log1p(_exp(negative(_absolute(apart)))))


def _exp_square(x: Pair, halves: int) -> Pair:
    return _exp(_times(multiply(x, x), halves / 2.0))


_PI: Any = tuple(map(np.float64, _parts(pi_fixed(400), 400, 2)))
_ERF_TO = 4.0  # of larger numbers the series is long


def _erf(x: Pair) -> Pair:
    """2 / sqrt(pi) x exp(-x**2) sum_n (2 x**2)**n / (1 3 ... (2 n + 1)), all terms positive."""
    near = abs(x[0]) <= _ERF_TO
    x = _each(lambda part: np.where(near, part, np.nan), x)
    twice = _times(multiply(x, x), 2.0)
    total = term = add(_times(x, 0.0), _number(1.0))
    n = 1.0
    while np.any(term[0] > 2.0**-110 * total[0]):
        term = divide(multiply(term, twice), _number(2.0 * n + 1.0))
        total = add(total, term)
        n += 1.0
    scaled = multiply(total, multiply(_exp(_times(twice, -0.5)), x))
    return divide(_times(scaled, 2.0), _sqrt(_PI))


def _erfc(x: Pair) -> Pair:
    """1 - erf(x) where that keeps its digits."""
    small = _each(lambda part: np.where(x[0] < 0.9, part, np.nan), x)
    return subtract(_number(1.0), _erf(small))


def _ndtr(x: Pair) -> Pair:
    return _times(_erfc(negative(divide(x, _sqrt(_number(2.0))))), 0.5)


def _arcsinh(x: Pair) -> Pair:
    size = _absolute(x)
    square = multiply(x, x)
    beside = divide(square, add(_sqrt(add(square, _number(1.0))), _number(1.0)))
    value = _log1p(add(size, beside))
    return _where(x[0] < 0, negative(value), value)


def _arctan2(y: Pair, x: Pair) -> Pair:
    angle = _arctan(divide(y, x))
    turned = add(angle, _where(y[0] < 0, negative(_PI), _PI))
    return _where(x[0] < 0, turned, angle)


def _where(condition, x: Pair, y: Pair) -> Pair:
    return np.where(condition, x[0], y[0]), np.where(condition, x[1], y[1])


def _scale(p: Pair, t: Pair) -> Pair:
    return _where((p[0] == 0) | (t[0] == 0), _number(0.0), multiply(p, t))


def _absolute(x: Pair) -> Pair:
    return _where(x[0] < 0, negative(x), x)


def _comparing(compare: Callable) -> Callable:
    def of_pairs(x: Pair, y: Pair):
        difference = subtract(x, y)[0]
        return compare(difference, 0.0)

    return of_pairs


def _choosing(compare: Callable) -> Callable:
    chosen = _comparing(compare)
    return lambda x, y: _where(chosen(x, y), x, y)


_FUNCTIONS: dict[str, Callable] = {
    "add": add, "subtract": subtract, "multiply": multiply, "divide": divide,
    "negative": negative, "scale": _scale, "absolute": _absolute,
    "square": lambda x: multiply(x, x), "reciprocal": lambda x: divide(_number(1.0), x),
    "sqrt": _sqrt, "hypot": lambda x, y: _sqrt(add(multiply(x, x), multiply(y, y))),
    "exp": _exp, "expm1": _expm1, "log": _log, "log1p": _log1p, "power": _power,
    "sin": lambda x: _sin_cos(x)[0], "cos": lambda x: _sin_cos(x)[1],
    "tan": lambda x: divide(*_sin_cos(x)), "arctan": _arctan, "tanh": _tanh, "sinh": _sinh,
    "cosh": _cosh, "expit": _expit, "log_expit": _log_expit, "logaddexp": _logaddexp,
    "exp_square": _exp_square, "erf": _erf, "erfc": _erfc, "ndtr": _ndtr, "arcsinh": _arcsinh,
    "arctan2": _arctan2, "maximum": _choosing(operator.ge), "minimum": _choosing(operator.le),
    "sign": lambda x: (np.sign(x[0]), np.zeros_like(x[0])),
    "select": _where, "stop_gradient": lambda x: x, "barrier": lambda x, token: x,
    **{name: _comparing(getattr(operator, short)) for name, short in (
        ("equal", "eq"), ("not_equal", "ne"), ("less", "lt"), ("less_equal", "le"),
        ("greater", "gt"), ("greater_equal", "ge"))},
}  # fmt: skip
_COMPARING = {"equal", "not_equal", "less", "less_equal", "greater", "greater_equal", "maximum",
              "minimum"}  # fmt: skip
_EXPONENTIALS = {"exp", "exp_square", "expit", "log_expit"}  # which underflow by themselves
_PRODUCTS = {"multiply", "divide", "scale", "square", "reciprocal", "power", "sqrt", "hypot",
             *_EXPONENTIALS}  # fmt: skip
_FAINT = 2.0**-900  # the low parts of smaller products underflow
_LOGIC = {"logical_not", "logical_and", "logical_or", "logical_xor", "bitwise_and", "bitwise_or"}


def supported(program: Program) -> bool:
    """Whether every equation of a program on single entries has a form in pairs."""
    return all(
        e.op.name in (_FUNCTIONS if _takes_floats(e) else _FUNCTIONS.keys() | _LOGIC)
        for e in program.equations
    )


def _takes_floats(equation: Equation) -> bool:
    return any(x.type.dtype.kind == "f" for x in equation.inputs)


def evaluate(program: Program, values: list) -> tuple[list[np.ndarray], np.ndarray, np.ndarray]:
    """The outputs of a program on single entries, for many entries at once, rounded to float64;
    where a product left the range in which it has its digits; and where equal numbers were
    compared."""
    env: dict = {
        v: (x, np.zeros_like(x)) if v.type.dtype.kind == "f" else x
        for v, x in zip(program.inputs, values, strict=True)
    }
    faint: Any = np.False_
    tied: Any = np.False_
    for equation in program.equations:
        name = equation.op.name
        inputs = [_literal(x) if x.is_literal else env[x] for x in equation.inputs]
        if not _takes_floats(equation):  # between conditions, or whole numbers
            env[equation.outputs[0]] = equation.op.evaluate(*inputs, **equation.params)
            continue
        made = _FUNCTIONS[name](*inputs, **equation.params)
        if name in _COMPARING:
            tied = tied | (subtract(*inputs)[0] == 0)
        elif name in ("sign", "absolute"):
            tied = tied | (inputs[0][0] == 0)
        elif name in _PRODUCTS:
            faint = faint | (abs(made[0]) < _FAINT) & _apart_from_zero(name, inputs)
        env[equation.outputs[0]] = made
    found = [_literal(o) if o.is_literal else env[o] for o in program.outputs]
    return [x[0] if isinstance(x, tuple) else x for x in found], faint, tied


def _apart_from_zero(name: str, inputs: list[Pair]):
    """Where a product is not 0 because a factor is."""
    factors = inputs[:1] if name in ("divide", "power") else inputs
    if name in _EXPONENTIALS:
        factors = []
    apart = np.True_
    for x in factors:
        apart = apart & (x[0] != 0)
    return apart


def _literal(x):
    if x.type.dtype.kind != "f":
        return x.value
    high = float(x.value)
    if x.exact is None:
        return _number(high)
    with precision(_OF_LITERALS):
        return np.float64(high), np.float64(nearest(literal_number(x) - wide(high)))
