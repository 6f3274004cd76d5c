"""FPCore programs written as the NumPy functions that a user would have written.

`let` becomes assignments, `if` becomes `np.where`, and a loop a Python loop on scalars. A part
without variables is a number: it is computed in float64, as Python computes `2.0 / 3.0`.
"""

from __future__ import annotations

import math
from collections.abc import Callable
from dataclasses import dataclass
from fractions import Fraction
from itertools import count, pairwise

import numpy as np
import scipy.special

from benchmarks.fpbench.read import Core

CONSTANTS = {
    "E": math.e, "LOG2E": 1 / math.log(2), "LOG10E": 1 / math.log(10), "LN2": math.log(2),
    "LN10": math.log(10), "PI": math.pi, "PI_2": math.pi / 2, "PI_4": math.pi / 4,
    "M_1_PI": 1 / math.pi, "M_2_PI": 2 / math.pi, "M_2_SQRTPI": 2 / math.sqrt(math.pi),
    "SQRT2": math.sqrt(2), "SQRT1_2": math.sqrt(0.5), "INFINITY": math.inf, "NAN": math.nan,
    "MAXFLOAT": float(np.finfo(float).max),
}  # fmt: skip
_TEMPLATES = {
    "sqrt": "np.sqrt({})", "cbrt": "np.cbrt({})", "fabs": "np.abs({})", "exp": "np.exp({})",
    "exp2": "np.exp2({})", "expm1": "np.expm1({})", "log": "np.log({})", "log2": "np.log2({})",
    "log10": "np.log10({})", "log1p": "np.log1p({})", "pow": "({}) ** ({})", "sin": "np.sin({})",
    "cos": "np.cos({})", "tan": "np.tan({})", "asin": "np.arcsin({})", "acos": "np.arccos({})",
    "atan": "np.arctan({})", "atan2": "np.arctan2({}, {})", "sinh": "np.sinh({})",
    "cosh": "np.cosh({})", "tanh": "np.tanh({})", "asinh": "np.arcsinh({})",
    "acosh": "np.arccosh({})", "atanh": "np.arctanh({})", "hypot": "np.hypot({}, {})",
    "fma": "(({}) * ({}) + ({}))", "fmin": "np.fmin({}, {})", "fmax": "np.fmax({}, {})",
    "fdim": "np.maximum(({}) - ({}), 0.0)", "copysign": "np.copysign({}, {})",
    "floor": "np.floor({})", "ceil": "np.ceil({})", "trunc": "np.trunc({})",
    "fmod": "np.fmod({}, {})", "remainder": "np.remainder({}, {})",
    "erf": "scipy.special.erf({})", "erfc": "scipy.special.erfc({})",
    "tgamma": "scipy.special.gamma({})", "lgamma": "scipy.special.gammaln({})",
    "not": "np.logical_not({})",
}  # fmt: skip
_INFIX = {"+": "+", "-": "-", "*": "*", "/": "/", "and": "&", "or": "|"}
COMPARISONS = {"<": "<", ">": ">", "<=": "<=", ">=": ">=", "==": "==", "!=": "!="}


class Unsupported(ValueError):
    """The program uses a part of FPCore that is not translated: tensors and rounding contexts."""


@dataclass(frozen=True)
class Translated:
    """A program's Python text, the function, and whether it takes arrays (loops do not)."""

    text: str
    function: Callable
    takes_arrays: bool


def number(token: str) -> float | None:
    """The float64 of a number or constant of FPCore; None of a name."""
    if token in CONSTANTS:
        return CONSTANTS[token]
    try:
        return float(token) if "/" not in token else float(Fraction(token))
    except ValueError:
        pass
    try:
        return float.fromhex(token) if token.lower().lstrip("+-").startswith("0x") else None
    except ValueError:
        return None


def translated(core: Core) -> Translated:
    """The program as a Python function of scalars or arrays."""
    writer = _Writer()
    names = [writer.fresh(a) for a in core.arguments]
    value = writer.expression(core.body, dict(zip(core.arguments, names, strict=True)))
    body = "".join(f"    {line}\n" for line in [*writer.lines, f"return {value}"])
    text = f"def f({', '.join(names)}):\n{body}"
    space: dict = {"np": np, "scipy": scipy}
    exec(compile(text, f"<{core.label}>", "exec"), space)
    return Translated(text, space["f"], not writer.loops)


class _Writer:
    def __init__(self):
        self.lines: list[str] = []
        self.loops = False
        self._counter = count()
        self._indent = ""

    def fresh(self, name: str) -> str:
        letters = "".join(c if c.isascii() and c.isalnum() else "_" for c in name)
        return f"{letters}_{next(self._counter)}"

    def expression(self, form, env: dict[str, str]) -> str:
        """Python text of an expression; the lines before it are added to the function."""
        if isinstance(form, str):
            return self._atom(form, env)
        head, *rest = form
        if head in ("let", "let*"):
            return self.expression(rest[1], self._bound(rest[0], env, head == "let*"))
        if head in ("while", "while*"):
            return self._loop(head == "while*", *rest, env)
        if head in ("!", "cast"):
            return self.expression(rest[-1], env)
        if head == "digits":
            return repr(float(Fraction(rest[0]) * Fraction(rest[2]) ** int(rest[1])))
        folded = folded_number(form)
        if folded is not None:
            return f"({folded!r})" if math.isfinite(folded) else f"float('{folded}')"
        values = [self.expression(part, env) for part in rest]
        return self._applied(head, values)

    def _atom(self, token: str, env) -> str:
        if token in env:
            return env[token]
        if token in ("TRUE", "FALSE"):
            return token.title()
        value = number(token)
        if value is None:
            raise Unsupported(f"the name {token}")
        return repr(value) if math.isfinite(value) else f"float('{value}')"

    def _applied(self, head: str, values: list[str]) -> str:
        if head == "if":
            return f"np.where({values[0]}, {values[1]}, {values[2]})"
        if head in COMPARISONS:
            pairs = pairwise(values)
            return "(" + " & ".join(f"(({a}) {head} ({b}))" for a, b in pairs) + ")"
        if head == "-" and len(values) == 1:
            return f"(-({values[0]}))"
        if head in _INFIX:
            return "(" + f" {_INFIX[head]} ".join(f"({v})" for v in values) + ")"
        if head not in _TEMPLATES:
            raise Unsupported(f"the operation {head}")
        return "(" + _TEMPLATES[head].format(*values) + ")"

    def _bound(self, bindings, env, sequential: bool) -> dict[str, str]:
        inner = dict(env)
        for name, form in bindings:
            value = self.expression(form, inner if sequential else env)
            target = self.fresh(name)
            self.lines.append(f"{self._indent}{target} = {value}")
            inner[name] = target
        return inner

    def _loop(self, sequential: bool, test, bindings, body, env) -> str:
        self.loops = True
        inner = self._bound([(name, start) for name, start, _ in bindings], env, sequential)
        outside = self._indent
        self.lines.append(f"{outside}while {self.expression(test, inner)}:")
        self._indent = outside + "    "
        changing = dict(inner)
        moves = []
        for name, _, update in bindings:
            target = self.fresh(name)
            value = self.expression(update, changing if sequential else inner)
            self.lines.append(f"{self._indent}{target} = {value}")
            changing[name] = target
            moves.append(f"{self._indent}{inner[name]} = {target}")
        self.lines += moves
        self._indent = outside
        return self.expression(body, inner)


_NUMBER_FUNCTIONS: dict[str, Callable] = {
    "+": lambda *x: math.fsum(x), "*": lambda *x: math.prod(x), "sqrt": math.sqrt,
    "-": lambda x, *y: x - y[0] if y else -x, "/": lambda x, y: x / y, "exp": math.exp,
    "log": math.log, "pow": math.pow, "sin": math.sin, "cos": math.cos, "cbrt": np.cbrt,
}  # fmt: skip


def folded_number(form) -> float | None:
    """The float64 of an expression without variables, as far as it is arithmetic."""
    if isinstance(form, str):
        return number(form)
    function = _NUMBER_FUNCTIONS.get(form[0]) if isinstance(form[0], str) else None
    if function is None:
        return None
    values = [folded_number(part) for part in form[1:]]
    if any(v is None for v in values):
        return None
    try:
        return float(function(*values))
    except (ValueError, OverflowError, ZeroDivisionError):
        return None
