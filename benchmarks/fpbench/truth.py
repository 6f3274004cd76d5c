"""The truth about a program at a point: value and partial derivatives, proved to the last bit.

Balls of python-flint (Arb) are carried together with their partial derivatives, by the chain rule,
at 128 bits, then twice as many, until each result is known to 60 bits or is exactly 0. A value that
no precision settles (an undefined one, or a tie) leaves the point out.
"""

from __future__ import annotations

import math
from collections.abc import Callable, Sequence
from itertools import pairwise

from flint import arb, ctx

from benchmarks.fpbench.python_code import COMPARISONS, Unsupported, folded_number, number
from benchmarks.fpbench.read import Core

PRECISIONS = (128, 256, 512, 1024, 2200, 4400, 9000)
STEPS = 300  # of a loop; programs that take more are left out


class Unsettled(Exception):
    """This precision does not decide it."""


class TooLong(Exception):
    """A loop takes too many steps."""


class Dual:
    """A ball and its partial derivatives; None for a constant."""

    __slots__ = ("d", "v")

    def __init__(self, v: arb, d: list[arb] | None = None):
        self.v, self.d = v, d


def true_values(core: Core, point: Sequence[float]) -> list[float] | None:
    """The value and the partials at a point, correctly rounded; None where they are not settled."""
    for bits in PRECISIONS:
        ctx.prec = bits
        zero, one = arb(0), arb(1)
        n = len(point)
        env = {
            name: Dual(arb(x), [one if i == j else zero for j in range(n)])
            for i, (name, x) in enumerate(zip(core.arguments, point, strict=True))
        }
        try:
            found = evaluate(core.body, env)
            parts = [found.v, *(found.d or [zero] * n)]
            if all(_settled(p) for p in parts):
                return [float(p.mid()) for p in parts]
        except (Unsettled, ZeroDivisionError, ValueError, OverflowError):
            continue
        except (TooLong, TypeError):  # a wrong number of operands, too
            return None
    return None


def holds(core: Core, point: Sequence[float]) -> bool:
    """Whether the precondition holds at a point."""
    if core.pre is None:
        return True
    ctx.prec = 256
    env = {name: Dual(arb(x)) for name, x in zip(core.arguments, point, strict=True)}
    try:
        return bool(evaluate(core.pre, env))
    except (Unsettled, ZeroDivisionError, ValueError):
        return False


def _settled(x: arb) -> bool:
    if not x.is_finite():
        return False
    return x.is_exact() or (not x.contains(0) and x.rel_accuracy_bits() >= 60)


def evaluate(form, env: dict):
    """A `Dual`, or a truth value, of an expression."""
    if isinstance(form, str):
        if form in env:
            return env[form]
        if form in ("TRUE", "FALSE"):
            return form == "TRUE"
        value = number(form)
        if value is None:
            raise Unsupported(form)
        return Dual(arb(value))
    head, *rest = form
    if head in _SPECIAL:
        return _SPECIAL[head](rest, env)
    folded = folded_number(form)
    if folded is not None:
        return Dual(arb(folded))
    values = [evaluate(part, env) for part in rest]
    if head in COMPARISONS:
        return all(_compare(head, a.v, b.v) for a, b in pairwise(values))
    if head not in _RULES:
        raise Unsupported(head)
    if head in ("+", "-", "*", "/") and len(values) > 2:
        total = values[0]
        for v in values[1:]:
            total = _apply(head, [total, v])
        return total
    return _apply(head, values)


def _apply(head: str, values: list[Dual]) -> Dual:
    if len(values) == 1 and head in ("+", "-", "*"):
        head = "neg" if head == "-" else "plus"
    value, partials = _RULES[head](*[x.v for x in values])
    moving = [(x.d, p) for x, p in zip(values, partials, strict=True) if x.d is not None]
    if not moving:
        return Dual(value)
    slopes = [(d, p() if callable(p) else p) for d, p in moving]
    n = len(slopes[0][0])
    return Dual(value, [_total([(d[j], p) for d, p in slopes]) for j in range(n)])


def _total(terms) -> arb:
    total = arb(0)
    for d, p in terms:
        if not d.is_zero():
            total = total + p * d
    return total


def _compare(head: str, x: arb, y: arb) -> bool:
    if head in ("==", "!="):
        if x.is_exact() and y.is_exact():
            return bool(x == y) == (head == "==")
        if x.overlaps(y):
            raise Unsettled
        return head == "!="
    if head in (">", ">="):
        x, y = y, x
    strict = len(head) == 1
    if x < y or (not strict and x <= y):
        return True
    if x > y or (strict and x >= y):
        return False
    raise Unsettled


def _if(rest, env):
    return evaluate(rest[1] if evaluate(rest[0], env) else rest[2], env)


def _let(sequential: bool):
    def rule(rest, env):
        inner = dict(env)
        for name, form in rest[0]:
            inner[name] = evaluate(form, inner if sequential else env)
        return evaluate(rest[1], inner)

    return rule


def _while(sequential: bool):
    def rule(rest, env):
        test, bindings, body = rest
        inner = dict(env)
        for name, start, _ in bindings:
            inner[name] = evaluate(start, inner if sequential else env)
        for _ in range(STEPS):
            if not evaluate(test, inner):
                return evaluate(body, inner)
            changing = dict(inner)
            for name, _, update in bindings:
                changing[name] = evaluate(update, changing if sequential else inner)
            inner = changing
        raise TooLong

    return rule


def _digits(rest, env):
    return Dual(arb(int(rest[0])) * arb(int(rest[2])) ** int(rest[1]))


_SPECIAL: dict[str, Callable] = {
    "if": _if, "let": _let(False), "let*": _let(True), "while": _while(False),
    "while*": _while(True), "!": lambda rest, env: evaluate(rest[-1], env),
    "cast": lambda rest, env: evaluate(rest[-1], env), "digits": _digits,
    "and": lambda rest, env: all(evaluate(x, env) for x in rest),
    "or": lambda rest, env: any(evaluate(x, env) for x in rest),
    "not": lambda rest, env: not evaluate(rest[0], env),
}  # fmt: skip


def _sign(x: arb) -> arb:
    if x > 0:
        return arb(1)
    if x < 0:
        return arb(-1)
    raise Unsettled


def _power(x: arb, y: arb):
    if y.is_exact() and y.is_integer():
        n = int(y.mid().unique_fmpz())
        if abs(n) < 10000 or not x > 0:
            value = x**y
            return value, (lambda: y * x ** (y - 1) if n else arb(0), lambda: value * _log(x))
    if not x > 0:
        raise Unsettled
    value = x**y
    return value, (lambda: y * value / x, lambda: value * _log(x))


def _log(x: arb) -> arb:
    if not x > 0:
        raise Unsettled
    return x.log()


def _cbrt(x: arb):
    sign = _sign(x)
    root = sign * (sign * x).root(3)
    return root, (lambda: 1 / (3 * root * root),)


def _sqrt(x: arb):
    if not x > 0:
        if x.is_exact() and x == 0:
            raise ValueError("sqrt at 0 has no derivative")
        raise Unsettled
    root = x.sqrt()
    return root, (lambda: 1 / (2 * root),)


def _pick(choose: Callable):
    def rule(x: arb, y: arb):
        if not (x > y or x < y):
            raise Unsettled
        first = choose(x, y)
        return (x if first else y), ((arb(1), arb(0)) if first else (arb(0), arb(1)))

    return rule


def _step(name: str):
    def rule(x: arb):
        value = getattr(x, name)() if name != "trunc" else (x.floor() if x > 0 else x.ceil())
        if not value.is_exact():
            raise Unsettled
        return value, (arb(0),)

    return rule


def _modulo(x: arb, y: arb, truncated: bool):
    quotient = x / y
    whole = (quotient.floor() if not truncated or quotient > 0 else quotient.ceil())
    if not whole.is_exact():
        raise Unsettled
    return x - whole * y, (arb(1), -whole)


def _atan2(y: arb, x: arb):
    square = x * x + y * y
    return arb.atan2(y, x), (lambda: x / square, lambda: -y / square)


def _hypot(x: arb, y: arb):
    norm = (x * x + y * y).sqrt()
    return norm, (lambda: x / norm, lambda: y / norm)


def _copysign(x: arb, y: arb):
    sign = _sign(x) * _sign(y)
    return sign * x, (sign, arb(0))


def _fdim(x: arb, y: arb):
    return (x - y, (arb(1), arb(-1))) if x > y else (arb(0), (arb(0), arb(0)))


def _inside(x: arb, low: float, high: float) -> arb:
    """x, where it is certain to lie in the open domain of a function."""
    if not (x > low and x < high):
        raise Unsettled
    return x


_RULES: dict[str, Callable] = {
    "+": lambda x, y: (x + y, (arb(1), arb(1))),
    "-": lambda x, y: (x - y, (arb(1), arb(-1))),
    "neg": lambda x: (-x, (arb(-1),)),
    "plus": lambda x: (x, (arb(1),)),
    "*": lambda x, y: (x * y, (y, x)),
    "/": lambda x, y: (x / y, (lambda: 1 / y, lambda: -x / (y * y))),
    "sqrt": _sqrt, "cbrt": _cbrt, "pow": _power, "atan2": _atan2, "hypot": _hypot,
    "fabs": lambda x: (abs(x), (lambda: _sign(x),)),
    "exp": lambda x: (x.exp(), (lambda: x.exp(),)),
    "exp2": lambda x: (arb(2) ** x, (lambda: arb(2) ** x * arb.const_log2(),)),
    "expm1": lambda x: (x.expm1(), (lambda: x.exp(),)),
    "log": lambda x: (_log(x), (lambda: 1 / x,)),
    "log2": lambda x: (_log(x) / arb.const_log2(), (lambda: 1 / (x * arb.const_log2()),)),
    "log10": lambda x: (_log(x) / arb.const_log10(), (lambda: 1 / (x * arb.const_log10()),)),
    "log1p": lambda x: (_inside(x, -1, math.inf).log1p(), (lambda: 1 / (1 + x),)),
    "sin": lambda x: (x.sin(), (lambda: x.cos(),)),
    "cos": lambda x: (x.cos(), (lambda: -x.sin(),)),
    "tan": lambda x: (x.tan(), (lambda: 1 / x.cos() ** 2,)),
    "asin": lambda x: (_inside(x, -1, 1).asin(), (lambda: 1 / ((1 - x) * (1 + x)).sqrt(),)),
    "acos": lambda x: (_inside(x, -1, 1).acos(), (lambda: -1 / ((1 - x) * (1 + x)).sqrt(),)),
    "atan": lambda x: (x.atan(), (lambda: 1 / (1 + x * x),)),
    "sinh": lambda x: (x.sinh(), (lambda: x.cosh(),)),
    "cosh": lambda x: (x.cosh(), (lambda: x.sinh(),)),
    "tanh": lambda x: (x.tanh(), (lambda: 1 / x.cosh() ** 2,)),
    "asinh": lambda x: (x.asinh(), (lambda: 1 / (1 + x * x).sqrt(),)),
    "acosh": lambda x: (_inside(x, 1, math.inf).acosh(), (lambda: 1 / (x * x - 1).sqrt(),)),
    "atanh": lambda x: (_inside(x, -1, 1).atanh(), (lambda: 1 / ((1 - x) * (1 + x)),)),
    "fma": lambda x, y, z: (x * y + z, (y, x, arb(1))),
    "fmin": _pick(lambda x, y: x < y), "fmax": _pick(lambda x, y: x > y), "fdim": _fdim,
    "copysign": _copysign, "floor": _step("floor"), "ceil": _step("ceil"),
    "trunc": _step("trunc"), "fmod": lambda x, y: _modulo(x, y, True),
    "remainder": lambda x, y: _modulo(x, y, False),
    "erf": lambda x: (x.erf(), (lambda: 2 * (-x * x).exp() / arb.pi().sqrt(),)),
    "erfc": lambda x: (x.erfc(), (lambda: -2 * (-x * x).exp() / arb.pi().sqrt(),)),
    "tgamma": lambda x: (x.gamma(), (lambda: x.gamma() * x.digamma(),)),
    "lgamma": lambda x: (_inside(x, 0, math.inf).lgamma(), (lambda: x.digamma(),)),
}  # fmt: skip
