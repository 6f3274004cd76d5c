"""Whether a program can lose digits at all, whatever its inputs: a look at signs and at who reads
what is rounded.

Digits are lost where rounded numbers of unknown or opposite signs are added, where a function with
a slope that outgrows its value reads a rounded number (exp, sin, log near 1, powers), and where a
value that may overflow or underflow is read by an operation that brings it back into range.
"""

from __future__ import annotations

from collections.abc import Callable
from math import frexp

from chainrule.program.cost import subprograms
from chainrule.program.program import Equation, Operand, Program
from chainrule.wide.matrix_errors import MATRIX_OPERATIONS

MOVING = {
    "broadcast", "reshape", "transpose", "flip", "index", "index_set", "concatenate", "pad",
    "negative", "absolute", "select", "maximum", "minimum", "max", "min", "fmax", "fmin", "clip",
    "stop_gradient", "barrier", "copysign", "sort",
}  # fmt: skip
_BOUNDED = {"tanh", "arctan", "expit", "erf", "sign", "floor", "ceil", "trunc", "rint", "sqrt",
            "cbrt", "absolute", "hypot", "softmax", "softmax_shares"}  # fmt: skip
_STRETCHED = {"multiply", "scale", "divide", "reciprocal", "exp", "exp2", "expm1", "square",
              "power", "sinh", "cosh", "prod", "exp10", "gamma", "exp_square"}  # fmt: skip
_SUMS = {"add", "subtract", "sum", "cumsum", "contract", "index_add"}
_NOT_NEGATIVE = {"absolute", "square", "exp", "exp2", "sqrt", "cosh", "expit", "hypot", "norm",
                 "softmax", "softmax_shares", "erfc", "ndtr", "exp_square"}  # fmt: skip


def may_lose(program: Program) -> bool:
    """Whether an output can have lost more digits than roundings cost."""
    return _Look().finds(program)


class _Look:
    """What is known of the variables that have been passed."""

    def __init__(self) -> None:
        self.rounded: set[Operand] = set()
        self.stretched: set[Operand] = set()  # may have left the range of floats on the way
        self.sign: dict[Operand, int] = {}  # 1 and -1: never of the other sign

    def finds(self, program: Program) -> bool:
        """Whether an equation may lose digits."""
        return any(self._loses(e) or self._pass(e) for e in program.equations)

    def _loses(self, equation: Equation) -> bool:
        name, inputs = equation.op.name, equation.inputs
        if any(True for _ in subprograms(equation)):
            return True
        if not any(v.type.dtype.kind == "f" for v in equation.outputs):
            return any(x in self.rounded for x in inputs)  # a comparison of rounded numbers
        if name in ("polynomial", "kl_div") or name in MATRIX_OPERATIONS:
            return True
        if name in _SUMS:
            return self._cancels(equation)
        if name in MOVING:
            return False
        if any(x in self.stretched for x in inputs):
            return True
        gentle = name in _BOUNDED or name in ("multiply", "scale", "divide", "reciprocal", "square")
        return not gentle and any(x in self.rounded for x in inputs)

    def _cancels(self, equation: Equation) -> bool:
        name, inputs = equation.op.name, equation.inputs
        if name in ("add", "subtract", "index_add"):
            if not any(x in self.rounded for x in inputs):
                return False
            signs = [self._sign_of(x) for x in inputs[:2]]
            if name == "subtract":
                signs[1] = -signs[1]
            return not signs[0] or signs[0] != signs[1]
        if name == "contract":
            return not all(self._sign_of(x) for x in inputs)
        return not self._sign_of(inputs[0])

    def _pass(self, equation: Equation) -> bool:
        """Note what the results are; False."""
        name, inputs, out = equation.op.name, equation.inputs, equation.outputs[0]
        exact = _is_exact(equation)
        if any(x in self.rounded for x in inputs) or not (name in MOVING or exact):
            self.rounded.add(out)
        if exact or name in MOVING | _SUMS:
            stretches = any(x in self.stretched for x in inputs)
        else:
            stretches = name in _STRETCHED
        if stretches or (name in _SUMS and not any(x.is_literal for x in inputs)):
            self.stretched.add(out)
        sign = self._sign_of_result(equation)
        if sign:
            self.sign[out] = sign
        return False

    def _sign_of(self, x: Operand) -> int:
        if x.is_literal:
            return 1 if float(x.value) >= 0 else -1
        return self.sign.get(x, 0)

    def _sign_of_result(self, equation: Equation) -> int:
        name, inputs = equation.op.name, equation.inputs
        if name in _NOT_NEGATIVE:
            return 1
        if name == "multiply" and inputs[0] is inputs[1]:
            return 1
        if name == "power" and inputs[1].is_literal and inputs[1].value % 2 == 0:
            return 1
        rule = _SIGNS.get(name)
        return 0 if rule is None else rule([self._sign_of(x) for x in inputs])


def _is_exact(equation: Equation) -> bool:
    """Whether it is a product by a power of two, which rounds nothing."""
    return equation.op.name in ("multiply", "divide") and any(
        x.is_literal and _is_power_of_two(float(x.value))
        for x in equation.inputs[-1 if equation.op.name == "divide" else 0 :]
    )


def _is_power_of_two(value: float) -> bool:
    return 2.0**-16 <= abs(value) <= 2.0**16 and abs(frexp(value)[0]) == 0.5


def _product(signs: list[int]) -> int:
    return signs[0] * signs[1]


def _same(signs: list[int]) -> int:
    return signs[0] if all(s == signs[0] for s in signs) else 0


_SIGNS: dict[str, Callable[[list[int]], int]] = {
    "multiply": _product, "divide": _product, "scale": _product, "contract": _product,
    "add": _same, "subtract": lambda s: s[0] if s[0] == -s[1] else 0, "concatenate": _same,
    "negative": lambda s: -s[0], "select": lambda s: s[1] if s[1] == s[2] else 0,
    "maximum": lambda s: 1 if 1 in s else _same(s), "minimum": _same,
    **dict.fromkeys(("broadcast", "reshape", "transpose", "flip", "index", "sum", "max", "min",
                     "cumsum", "barrier", "stop_gradient", "reciprocal", "tanh", "arctan",
                     "cbrt"), lambda s: s[0]),
    "power": lambda s: 1 if s[0] == 1 else 0,
}  # fmt: skip
