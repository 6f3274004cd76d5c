"""Further elementwise operations: floats taken apart, common divisors, the samplers' exp and log.

Value     NumPy's: ldexp rounds once, where its result is subnormal too (the steps are those of
          musl's scalbn); the exponent of 0, inf and nan is 0. The portable functions have the bits
          of `chainrule.ops.samplers_elementary`; float32s are computed in float64.
"""

from __future__ import annotations

from collections.abc import Callable
from typing import Any

import numpy as np

from chainrule.compiler.llvm.code import Code, Value, bits_of, element_of
from chainrule.compiler.llvm.draws_elementary import any_lane, between, exp, expm1, log
from chainrule.compiler.llvm.vecmath_lanes import Lanes

Rule = Callable[..., Value]  # (code, operation, *values) -> value


# --- floats taken apart ---------------------------------------------------------------------------


def _ldexp(code: Code, operation: Any, x: Value, exponent: Value) -> Value:
    """x * 2**exponent in three steps, of which all but the last are exact or overflow."""
    form = Lanes(code, x).format
    signed = operation.dtypes[1].kind == "i"
    n = Lanes(code, exponent)
    if bits_of(exponent.type) < 64:
        n = n.convert("sext" if signed else "zext", "i64")
    n = between(n, -3 * form.bias, 3 * form.bias)
    down = form.mantissa + 1 - (form.bias - 1)  # so far that the rest is below the mantissa
    out, element = Lanes(code, x), f"i{form.bits}"
    for _ in range(2):
        low = n.compare("slt", 1 - form.bias)
        step = low.choose(n.like(down), between(n, 1 - form.bias, form.bias))
        out = out * _power_of_two(step, element)
        n = n - step
    return (out * _power_of_two(between(n, 1 - form.bias, form.bias), element)).value


def _power_of_two(k: Lanes, element: str) -> Lanes:
    bias, mantissa = (1023, 52) if element == "i64" else (127, 23)
    bits = (k + bias) << mantissa
    return (bits if element == "i64" else bits.convert("trunc", element)).floats()


def _binary_exponent(code: Code, operation: Any, x: Value) -> Value:
    lanes = Lanes(code, x)
    form = lanes.format
    tiny = abs(lanes) < 2.0 ** (1 - form.bias)
    raised = 2 * form.mantissa
    scaled = tiny.choose(lanes * 2.0**raised, lanes)
    field = scaled.bits().unsigned_shift(form.mantissa) & (2 * form.bias + 1)
    out = field - (form.bias - 1) - tiny.choose(field.like(raised), 0)
    number = (abs(lanes) < np.inf) & lanes.compare("une", 0.0)
    return code.convert("trunc", number.choose(out, 0).value, "i32")


def _nextafter(code: Code, operation: Any, x: Value, y: Value) -> Value:
    a, b = Lanes(code, x), Lanes(code, y)
    bits = a.bits()
    outwards = (a < b) ^ (a < 0.0)
    moved = (bits + outwards.choose(bits.like(1), -1)).floats()
    least = bits.like(1).floats().with_sign_of(b)
    out = a.equals(0.0).choose(least, moved)
    out = a.equals(b).choose(b, out)
    return a.compare("uno", b).choose(a + b, out).value


def _spacing(code: Code, operation: Any, x: Value) -> Value:
    a = Lanes(code, x)
    least = a.bits().like(1).floats()
    away = a.equals(0.0).choose(least, (a.bits() + 1).floats())
    finite = abs(a) < np.inf
    return finite.choose(away - a, np.nan).value


# --- common divisors ------------------------------------------------------------------------------


def _magnitude(code: Code, operation: Any, x: Value) -> Value:
    signed = operation.dtypes[0].kind == "i"
    return code.intrinsic("abs", x, more=", i1 false") if signed else x


def _divisor(code: Code, x: Value, y: Value) -> Value:
    """The greatest common divisor of unsigned numbers, by Euclid."""
    name, before = code.fresh("euclid"), code.block_name
    a, b = Value(f"%{name}.a", x.type), Value(f"%{name}.b", x.type)
    code.branch(f"{name}.head")
    code.start_block(f"{name}.head")
    place = len(code.lines)
    code.lines += ["", ""]
    more = Lanes(code, code.compare("ne", b, code.like(b, 0)))
    code.branch_if(any_lane(more).value, f"{name}.step", f"{name}.after")
    code.start_block(f"{name}.step")
    safe = code.select(more.value, b, code.like(b, 1))
    rest = code.binary("urem", a, safe)
    next_a, next_b = code.select(more.value, b, a), code.select(more.value, rest, b)
    code.branch(f"{name}.head")
    for i, (phi, first, then) in enumerate(((a, x, next_a), (b, y, next_b))):
        ways = f"[ {first.text}, %{before} ], [ {then.text}, %{name}.step ]"
        code.lines[place + i] = f"  {phi.text} = phi {phi.type} {ways}"
    code.start_block(f"{name}.after")
    return a


def _gcd(code: Code, operation: Any, x: Value, y: Value) -> Value:
    return _divisor(code, _magnitude(code, operation, x), _magnitude(code, operation, y))


def _lcm(code: Code, operation: Any, x: Value, y: Value) -> Value:
    a, b = (_magnitude(code, operation, v) for v in (x, y))
    divisor = _divisor(code, a, b)
    nothing = code.compare("eq", divisor, code.like(a, 0))
    safe = code.select(nothing, code.like(a, 1), divisor)
    product = code.binary("mul", code.binary("udiv", a, safe), b)
    return code.select(nothing, code.like(a, 0), product)


# --- the samplers' functions ----------------------------------------------------------------------


def _portable(function: Callable[[Lanes], Lanes]) -> Rule:
    def rule(code: Code, operation: Any, x: Value) -> Value:
        lanes = Lanes(code, x)
        if element_of(x.type) == "double":
            return function(lanes).value
        return function(lanes.widened()).narrowed().value

    return rule


MORE: dict[str, tuple[str, Rule]] = {  # name -> dtypes it takes, rule
    "ldexp": ("bhilqBHIefd", _ldexp),
    "binary_exponent": ("efdi", _binary_exponent),
    "nextafter": ("fd", _nextafter),
    "spacing": ("fd", _spacing),
    "gcd": ("bhilqBHILQ", _gcd),
    "lcm": ("bhilqBHILQ", _lcm),
    "portable_exp": ("fd", _portable(exp)),
    "portable_expm1": ("fd", _portable(expm1)),
    "portable_log": ("fd", _portable(log)),
}
