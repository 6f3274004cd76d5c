"""Which values are positive whatever the program's inputs are: denominators that cannot be zero.

exp and cosh are positive, squares and magnitudes are not negative, and sums, products, quotients
and roots hand this on. In exact arithmetic: an exp that underflows to 0 is positive all the same.
"""

from __future__ import annotations

from collections.abc import Callable
from typing import Any

from chainrule.program.program import Equation, Operand

_DEEP = 24  # equations upwards, after which nothing is known
_MOST = 256  # values looked at, likewise

_POSITIVE = {"exp", "exp2", "cosh", "expit", "ndtr"}
_NOT_NEGATIVE = {"absolute", "square", "norm", "hypot"}
_SAME = {
    "reshape", "transpose", "flip", "broadcast", "index", "sqrt", "cbrt", "barrier",
    "stop_gradient", "reciprocal", "cast",
}  # fmt: skip
_BOTH = {"divide", "minimum", "concatenate", "scale"}  # of such operands are such
_OF_MANY = {"sum", "prod", "max", "min", "cumsum", "cumprod"}
_HANDED_ON = {"select", "multiply", "maximum", "add"} | _SAME | _BOTH | _OF_MANY | _NOT_NEGATIVE


def positive(x: Operand, maker: Callable[[Operand], Equation | None]) -> bool:
    """Whether every entry is known to be greater than 0."""
    return _sign(x, maker, _DEEP, {}) == 2


def _sign(x: Operand, maker, deep: int, seen: dict[Operand, int]) -> int:
    """2 where positive, 1 where not negative, 0 where that is not known; `seen` holds what has been
    found, since a value is often read by several."""
    if x.is_literal:
        value: Any = x.value
        return 0 if x.type.dtype.kind == "c" else 2 if value > 0 else int(value == 0)
    if x not in seen:
        seen[x] = 0 if len(seen) >= _MOST else _sign_of_made(x, maker(x), maker, deep, seen)
    return seen[x]


def _sign_of_made(x: Operand, equation: Equation | None, maker, deep: int, seen) -> int:
    if equation is None or not deep or x.type.dtype.kind == "c":
        return 0
    name = equation.op.name
    if name in _POSITIVE:
        return 2
    if name not in _HANDED_ON:
        return 0
    given = [_sign(y, maker, deep - 1, seen) for y in equation.inputs]
    if name == "select":
        return min(given[1:])
    if name in _SAME:
        return given[0]
    if name in _OF_MANY:
        return given[0] if equation.inputs[0].type.size else 0
    if name == "multiply":
        same = equation.inputs[0] is equation.inputs[1]
        return max(min(given), int(same))
    if name in _BOTH:
        return min(given)
    if name == "maximum":
        return max(given)
    if name == "add":
        return max(given) if min(given) else 0
    return max(1, given[0])
