"""What each elementwise operation is in LLVM IR: one entry an operation, on scalars or vectors.

Registers hold bool as i1 and float16 as float (arithmetic in float32, rounded once an operation, as
NumPy does). Semantics are NumPy's: integers wrap, division of integers by zero gives 0, shifts
beyond the width give 0 (or the sign), maximum and minimum hand on a nan, casts of floats out of an
integer's range give its least value.
"""

from __future__ import annotations

import sys
from collections.abc import Callable
from typing import NamedTuple

import numpy as np

from chainrule.compiler.llvm.code import (
    Code,
    Value,
    bits_of,
    constant,
    element_of,
    element_type,
    lanes_of,
    vector,
    with_element,
)
from chainrule.compiler.llvm.complex_parts import PARTS
from chainrule.compiler.llvm.elementwise_more import MORE
from chainrule.compiler.llvm.polynomials import polynomial
from chainrule.compiler.llvm.vecmath import MATH


class Operation(NamedTuple):
    """An elementwise operation to be emitted: its name, params, and the dtypes of its operands."""

    name: str
    params: tuple
    dtypes: tuple[np.dtype, ...]
    out: np.dtype


_BITS_OF_COMPLEX = {"F": "i64", "D": "i128"}

Rule = Callable[..., Value]  # (code, operation, *values) -> value


def register_element(dtype: np.dtype) -> str:
    """The LLVM element that holds a dtype in registers; complex numbers are only moved about."""
    if dtype.kind == "c":
        return _BITS_OF_COMPLEX[dtype.char]
    return "float" if dtype.char == "e" else element_type(dtype)


def memory_element(dtype: np.dtype) -> str:
    """The LLVM element that holds a dtype in memory."""
    if dtype.kind == "c":
        return _BITS_OF_COMPLEX[dtype.char]
    return "i8" if dtype.char == "?" else element_type(dtype)


def from_memory(code: Code, x: Value, dtype: np.dtype) -> Value:
    """A loaded value as registers hold it."""
    if dtype.char == "?":
        return code.compare("ne", x, code.like(x, 0))
    return code.convert("fpext", x, "float") if dtype.char == "e" else x


def to_memory(code: Code, x: Value, dtype: np.dtype) -> Value:
    """A value as memory holds it."""
    if dtype.char == "?":
        return code.convert("zext", x, "i8")
    return _half(code, x) if dtype.char == "e" else x


def _half(code: Code, x: Value) -> Value:
    """A float32 as float16; one number as the first of a vector: LLVM joins its rounding with that
    of a float64 before it, and calls a function for both that nobody has linked."""
    if lanes_of(x.type) > 1:
        return code.convert("fptrunc", x, "half")
    first = code.insert(Value("poison", vector("float", 4)), x, 0)
    return code.extract(code.convert("fptrunc", first, "half"), 0)


def rounded(code: Code, x: Value, dtype: np.dtype) -> Value:
    """A result rounded to its dtype: a no-op except for float16."""
    if dtype.char != "e":
        return x
    return code.convert("fpext", _half(code, x), "float")


# --- arithmetic -----------------------------------------------------------------------------------


def _arithmetic(of_floats: str, of_integers: str, of_bools: str | None) -> Rule:
    def rule(code: Code, operation: Operation, x: Value, y: Value) -> Value:
        kind = operation.dtypes[0].kind
        name = of_floats if kind == "f" else of_bools if kind == "b" else of_integers
        assert name is not None
        return code.binary(name, x, y)

    return rule


def _negative(code: Code, operation: Operation, x: Value) -> Value:
    if operation.dtypes[0].kind == "f":
        return code.fneg(x)
    return code.binary("sub", code.like(x, 0), x)


def _absolute(code: Code, operation: Operation, x: Value) -> Value:
    kind = operation.dtypes[0].kind
    if kind == "f":
        return code.intrinsic("fabs", x)
    return code.intrinsic("abs", x, more=", i1 false") if kind == "i" else x


def _scale(code: Code, operation: Operation, p: Value, t: Value) -> Value:
    """p * t, and 0 where either is 0: only a product that is nan needs another look."""
    product = code.fmul(p, t)
    zero = code.like(p, 0.0)
    either = code.binary("or", code.compare("oeq", p, zero), code.compare("oeq", t, zero))
    lost = code.binary("and", code.compare("uno", product, product), either)
    return code.select(lost, zero, product)


def _reciprocal(code: Code, operation: Operation, x: Value) -> Value:
    return code.fdiv(code.like(x, 1.0), x)


def _sign(code: Code, operation: Operation, x: Value) -> Value:
    one, minus, zero = code.like(x, 1), code.like(x, -1), code.like(x, 0)
    kind = operation.dtypes[0].kind
    if kind == "u":
        return code.select(code.compare("eq", x, zero), zero, one)
    more, less = ("ogt", "olt") if kind == "f" else ("sgt", "slt")
    below = code.select(code.compare(less, x, zero), minus, zero)
    out = code.select(code.compare(more, x, zero), one, below)
    return code.select(code.compare("uno", x, x), x, out) if kind == "f" else out


def _extreme(of_floats: str, signed: str, unsigned: str, keeps_nan: bool = True) -> Rule:
    """maximum and minimum hand on a nan; fmax and fmin pass it over."""

    def rule(code: Code, operation: Operation, x: Value, y: Value) -> Value:
        kind = operation.dtypes[0].kind
        if kind != "f":
            predicate = signed if kind == "i" else unsigned
            return code.select(code.compare(predicate, x, y), x, y)
        takes_x = code.compare(of_floats, x, y)
        looked_at = x if keeps_nan else y
        missing = code.compare("uno", looked_at, looked_at)
        return code.select(code.binary("or", takes_x, missing), x, y)

    return rule


_maximum = _extreme("oge", "sge", "uge")
_minimum = _extreme("ole", "sle", "ule")


def _clip(code: Code, operation: Operation, x: Value, low: Value, high: Value) -> Value:
    return _minimum(code, operation, _maximum(code, operation, x, low), high)


# --- division of integers, shifts -----------------------------------------------------------------


def _quotient(code: Code, operation: Operation, x: Value, y: Value):
    """(quotient towards zero, remainder, whether y is 0) with a divisor that never traps."""
    zero, one = code.like(x, 0), code.like(x, 1)
    nothing = code.compare("eq", y, zero)
    if operation.dtypes[0].kind == "u":
        safe = code.select(nothing, one, y)
        return code.binary("udiv", x, safe), code.binary("urem", x, safe), nothing
    least = code.like(x, -(1 << (bits_of(x.type) - 1)))
    overflows = code.binary(
        "and", code.compare("eq", x, least), code.compare("eq", y, code.like(y, -1))
    )
    safe = code.select(code.binary("or", nothing, overflows), one, y)
    quotient, rest = code.binary("sdiv", x, safe), code.binary("srem", x, safe)
    return quotient, rest, nothing  # least / 1 is least: what wrapping gives


def _floor_divide(code: Code, operation: Operation, x: Value, y: Value) -> Value:
    quotient, rest, nothing = _quotient(code, operation, x, y)
    zero = code.like(x, 0)
    if operation.dtypes[0].kind == "i":
        down = _rounds_down(code, rest, y)
        quotient = code.binary("sub", quotient, code.convert("zext", down, element_of(x.type)))
    return code.select(nothing, zero, quotient)


def _rounds_down(code: Code, rest: Value, y: Value) -> Value:
    """Whether the quotient towards zero lies above the exact one."""
    zero = code.like(rest, 0)
    opposite = code.compare("slt", code.binary("xor", rest, y), zero)
    return code.binary("and", code.compare("ne", rest, zero), opposite)


def _remainder(code: Code, operation: Operation, x: Value, y: Value) -> Value:
    _, rest, nothing = _quotient(code, operation, x, y)
    zero = code.like(x, 0)
    if operation.dtypes[0].kind == "i":
        down = _rounds_down(code, rest, y)
        rest = code.binary("add", rest, code.select(down, y, zero))
    return code.select(nothing, zero, rest)


def _integer_fmod(code: Code, operation: Operation, x: Value, y: Value) -> Value:
    _, rest, nothing = _quotient(code, operation, x, y)
    return code.select(nothing, code.like(x, 0), rest)


def _shift(instruction: str, keeps_sign: bool) -> Rule:
    def rule(code: Code, operation: Operation, x: Value, y: Value) -> Value:
        bits, signed = bits_of(x.type), operation.dtypes[0].kind == "i"
        name = "ashr" if keeps_sign and signed else instruction
        inside = code.compare("ult", y, code.like(y, bits))
        moved = code.binary(name, x, code.select(inside, y, code.like(y, 0)))
        if name != "ashr":
            return code.select(inside, moved, code.like(x, 0))
        return code.select(inside, moved, code.binary("ashr", x, code.like(x, bits - 1)))

    return rule


# --- comparisons, logic ---------------------------------------------------------------------------


def _comparison(of_floats: str, signed: str, unsigned: str) -> Rule:
    def rule(code: Code, operation: Operation, x: Value, y: Value) -> Value:
        kind = operation.dtypes[0].kind
        predicate = of_floats if kind == "f" else signed if kind == "i" else unsigned
        return code.compare(predicate, x, y)

    return rule


def truth(code: Code, x: Value, dtype: np.dtype) -> Value:
    """Whether each element is nonzero; a nan is."""
    if dtype.kind == "b":
        return x
    return code.compare("une" if dtype.kind == "f" else "ne", x, code.like(x, 0))


def _logical(instruction: str) -> Rule:
    def rule(code: Code, operation: Operation, x: Value, y: Value) -> Value:
        left, right = truth(code, x, operation.dtypes[0]), truth(code, y, operation.dtypes[1])
        return code.binary(instruction, left, right)

    return rule


def _flipped(code: Code, x: Value) -> Value:
    return code.binary("xor", x, constant(x.type, True if element_of(x.type) == "i1" else -1))


def _logical_not(code: Code, operation: Operation, x: Value) -> Value:
    return _flipped(code, truth(code, x, operation.dtypes[0]))


def _false(x: Value) -> Value:
    return constant(with_element(x.type, "i1"), False)


def _isnan(code: Code, operation: Operation, x: Value) -> Value:
    return code.compare("uno", x, x) if operation.dtypes[0].kind == "f" else _false(x)


def _isinf(code: Code, operation: Operation, x: Value) -> Value:
    if operation.dtypes[0].kind != "f":
        return _false(x)
    return code.compare("oeq", code.intrinsic("fabs", x), code.like(x, np.inf))


def _isfinite(code: Code, operation: Operation, x: Value) -> Value:
    if operation.dtypes[0].kind != "f":
        return constant(with_element(x.type, "i1"), True)
    return code.compare("olt", code.intrinsic("fabs", x), code.like(x, np.inf))


def _signbit(code: Code, operation: Operation, x: Value) -> Value:
    bits = code.bits(x)
    return code.compare("slt", bits, code.like(bits, 0))


# --- rounding, parts, selection -------------------------------------------------------------------


def _rounding(intrinsic: str) -> Rule:
    def rule(code: Code, operation: Operation, x: Value) -> Value:
        return code.intrinsic(intrinsic, x) if operation.dtypes[0].kind == "f" else x

    return rule


def _copysign(code: Code, operation: Operation, x: Value, y: Value) -> Value:
    return code.intrinsic("copysign", x, y)


def _heaviside(code: Code, operation: Operation, x: Value, y: Value) -> Value:
    zero, one = code.like(x, 0.0), code.like(x, 1.0)
    at_zero = code.select(code.compare("oeq", x, zero), y, one)
    out = code.select(code.compare("olt", x, zero), zero, at_zero)
    return code.select(code.compare("uno", x, x), x, out)


def _select(code: Code, operation: Operation, condition: Value, x: Value, y: Value) -> Value:
    return code.select(condition, x, y)


def _bitwise_count(code: Code, operation: Operation, x: Value) -> Value:
    if operation.dtypes[0].kind == "i":
        x = code.intrinsic("abs", x, more=", i1 false")
    counted = code.intrinsic("ctpop", x)
    return code.convert("trunc", counted, "i8")


def _same(code: Code, operation: Operation, x: Value, *_) -> Value:
    return x


def _square(code: Code, operation: Operation, x: Value) -> Value:
    return code.binary("fmul" if operation.dtypes[0].kind == "f" else "mul", x, x)


def _sqrt(code: Code, operation: Operation, x: Value) -> Value:
    return code.intrinsic("sqrt", x)


# --- casts ----------------------------------------------------------------------------------------


def _cast(code: Code, operation: Operation, x: Value) -> Value:
    source, target = operation.dtypes[0], operation.out
    if source == target:
        return x
    if target.kind == "b":
        return truth(code, x, source)
    element = register_element(target)
    if source.kind == "f":
        if target.kind == "f":
            if source.char == "d" and target.char == "e":
                return rounded(code, _to_odd(code, x), target)
            wider = bits_of(x.type) < bits_of(element)
            out = code.convert("fpext" if wider else "fptrunc", x, element)
            return rounded(code, out, target)
        return _to_integer(code, x, target)
    if target.kind == "f":
        signed = source.kind == "i"
        return rounded(code, code.convert("sitofp" if signed else "uitofp", x, element), target)
    wider = bits_of(x.type) < bits_of(element)
    extension = "sext" if source.kind == "i" else "zext"
    return code.convert(extension if wider else "trunc", x, element)


def _to_odd(code: Code, x: Value) -> Value:
    """float64 as the float32 beside it whose last bit is 1, unless it is one itself: rounded again,
    to float16, it gives what one rounding gives (Boldo and Melquiond, IEEE TC 57 (2008) 462)."""
    near = code.convert("fptrunc", x, "float")
    back = code.convert("fpext", near, "double")
    farther = code.compare("ogt", code.intrinsic("fabs", back), code.intrinsic("fabs", x))
    bits = code.bits(near)
    one, zero = code.like(bits, 1), code.like(bits, 0)
    odd = code.binary("or", code.binary("sub", bits, code.select(farther, one, zero)), one)
    inexact = code.compare("one", back, x)
    return code.convert("bitcast", code.select(inexact, odd, bits), "float")


def _to_integer(code: Code, x: Value, target: np.dtype) -> Value:
    """As a C cast on x86-64 gives it: through int32 or int64, the least value out of range."""
    if target.char in "LQ":
        return _to_unsigned_long(code, x)
    wide = "i64" if target.itemsize == 8 or target.char == "I" else "i32"
    out = _within(code, x, wide)
    return code.convert("trunc", out, register_element(target))


def _within(code: Code, x: Value, wide: str) -> Value:
    bits = bits_of(wide)
    if wide == "i32" and element_of(x.type) == "float":
        low = code.compare("oge", x, code.like(x, -(2.0**31)))
    else:
        low = code.compare("ogt", x, code.like(x, -(2.0 ** (bits - 1)) - (bits == 32)))
    inside = code.binary("and", low, code.compare("olt", x, code.like(x, 2.0 ** (bits - 1))))
    safe = code.select(inside, x, code.like(x, 0.0))
    out = code.convert("fptosi", safe, wide)
    return code.select(inside, out, code.like(out, -(1 << (bits - 1))))


def _to_unsigned_long(code: Code, x: Value) -> Value:
    half = code.like(x, 2.0**63)
    above = code.compare("oge", x, half)
    low = _within(code, x, "i64")
    high = _within(code, code.fsub(x, half), "i64")
    flipped = code.binary("xor", high, code.like(high, -(1 << 63)))
    return code.select(above, flipped, low)


def _of_math(name: str) -> Rule:
    return lambda code, operation, *values: MATH[name](code, *values)


_FLOATS = "efd"

RULES: dict[str, tuple[str, Rule]] = {  # name -> dtypes it takes, rule
    "add": ("?bhilqBHILQefd", _arithmetic("fadd", "add", "or")),
    "subtract": ("bhilqBHILQefd", _arithmetic("fsub", "sub", None)),
    "multiply": ("?bhilqBHILQefd", _arithmetic("fmul", "mul", "and")),
    "divide": (_FLOATS, lambda code, operation, x, y: code.fdiv(x, y)),
    "negative": ("bhilqBHILQefd", _negative),
    "absolute": ("bhilqBHILQefd", _absolute),
    "scale": (_FLOATS, _scale),
    "reciprocal": (_FLOATS, _reciprocal),
    "sign": ("bhilqBHILQefd", _sign),
    "square": ("bhilqBHILQefd", _square),
    "sqrt": (_FLOATS, _sqrt),
    "maximum": ("?bhilqBHILQefd", _maximum),
    "minimum": ("?bhilqBHILQefd", _minimum),
    "fmax": ("?bhilqBHILQefd", _extreme("oge", "sge", "uge", keeps_nan=False)),
    "fmin": ("?bhilqBHILQefd", _extreme("ole", "sle", "ule", keeps_nan=False)),
    "clip": ("?bhilqBHILQefd", _clip),
    "floor_divide": ("bhilqBHILQ", _floor_divide),
    "remainder": ("bhilqBHILQ", _remainder),
    "fmod": ("bhilqBHILQ", _integer_fmod),
    "left_shift": ("bhilqBHILQ", _shift("shl", False)),
    "right_shift": ("bhilqBHILQ", _shift("lshr", True)),
    "equal": ("?bhilqBHILQefd", _comparison("oeq", "eq", "eq")),
    "not_equal": ("?bhilqBHILQefd", _comparison("une", "ne", "ne")),
    "less": ("?bhilqBHILQefd", _comparison("olt", "slt", "ult")),
    "less_equal": ("?bhilqBHILQefd", _comparison("ole", "sle", "ule")),
    "greater": ("?bhilqBHILQefd", _comparison("ogt", "sgt", "ugt")),
    "greater_equal": ("?bhilqBHILQefd", _comparison("oge", "sge", "uge")),
    "isnan": ("?bhilqBHILQefd", _isnan),
    "isinf": ("?bhilqBHILQefd", _isinf),
    "isfinite": ("?bhilqBHILQefd", _isfinite),
    "signbit": (_FLOATS, _signbit),
    "logical_not": ("?bhilqBHILQefd", _logical_not),
    "logical_and": ("?bhilqBHILQefd", _logical("and")),
    "logical_or": ("?bhilqBHILQefd", _logical("or")),
    "logical_xor": ("?bhilqBHILQefd", _logical("xor")),
    "invert": ("?bhilqBHILQ", lambda code, operation, x: _flipped(code, x)),
    "bitwise_and": ("?bhilqBHILQ", lambda code, operation, x, y: code.binary("and", x, y)),
    "bitwise_or": ("?bhilqBHILQ", lambda code, operation, x, y: code.binary("or", x, y)),
    "bitwise_xor": ("?bhilqBHILQ", lambda code, operation, x, y: code.binary("xor", x, y)),
    "bitwise_count": ("bhilqBHILQ", _bitwise_count),
    "floor": ("bhilqBHILQefd", _rounding("floor")),
    "ceil": ("bhilqBHILQefd", _rounding("ceil")),
    "trunc": ("bhilqBHILQefd", _rounding("trunc")),
    "rint": (_FLOATS, _rounding("roundeven")),
    "copysign": (_FLOATS, _copysign),
    "heaviside": (_FLOATS, _heaviside),
    "select": ("?bhilqBHILQefdFD", _select),
    "cast": ("?bhilqBHILQefd", _cast),
    "stop_gradient": ("?bhilqBHILQefdFD", _same),
    "barrier": ("?bhilqBHILQefdFD", _same),
    "conjugate": ("?bhilqBHILQefd", _same),
    "polynomial": (_FLOATS, polynomial),
    **PARTS,
    **MORE,
}

_MATH_TAKES = "efd"


def is_native(operation: Operation) -> bool:
    """Whether an elementwise operation has a form here for its dtypes."""
    return _has_rule(operation) or (
        operation.name in MATH and _chars(operation) <= set(_MATH_TAKES)
    )


def _chars(operation: Operation) -> set[str]:
    return {d.char for d in (*operation.dtypes, operation.out)}


def _has_rule(operation: Operation) -> bool:
    """Whether there is a rule for its dtypes; `fmod` of floats, say, is vector math."""
    taken = RULES.get(operation.name)
    return taken is not None and _chars(operation) <= set(taken[0]) | {"?", "B"}


def apply(code: Code, operation: Operation, values: list[Value]) -> Value:
    """Emit one elementwise operation on registers."""
    if _has_rule(operation):
        return rounded(code, RULES[operation.name][1](code, operation, *values), operation.out)
    return rounded(code, MATH[operation.name](code, *values), operation.out)


def literal_value(number: np.generic, lanes: int) -> Value:
    """A literal as a constant of `lanes` lanes."""
    if number.dtype.kind == "c":
        bits = int.from_bytes(number.tobytes(), sys.byteorder)
        return constant(vector(register_element(number.dtype), lanes), bits)
    return constant(vector(register_element(number.dtype), lanes), number)


