"""A program that also estimates its errors, and stops where its outputs have lost their digits.

The rules are those of error_rules.py, written in operations: a compiled program computes them in
the same loops as its values, and the call is made again on the evaluator where they tell of lost
digits.
"""

from __future__ import annotations

from collections.abc import Callable, Sequence

import numpy as np

from chainrule.ops.compare import equal, isfinite, less, less_equal, logical_not, not_equal
from chainrule.ops.elementwise import absolute, log, maximum, minimum, sqrt, square
from chainrule.ops.reduce import all_, any_, cumprod, cumsum, max_, prod
from chainrule.ops.refuse import refuse
from chainrule.ops.select import cast, select
from chainrule.ops.shape import broadcast, iota, sum_
from chainrule.program.program import Equation, Program
from chainrule.program.trace import Builder, Traced, operand
from chainrule.transforms.forward import copy_equation, traced_of
from chainrule.wide.error_rules import NORMAL, SMALLEST, UNIT, at_most_one, total
from chainrule.wide.matrix_errors import (
    MATRIX_ERRORS,
    MATRIX_OPERATIONS,
    is_small,
    slogdet_errors,
)


def estimating(program: Program, allowed: Sequence[float], absolute_error: float) -> Program | None:
    """The program with a last equation that stops it where an output's error exceeds its size
    times `allowed`, and `absolute_error`; None where an equation has no rule."""
    if not all(_has_rule(e) for e in program.equations):
        return None
    with Builder(program.name, reuse=True) as builder:
        builder.lines_from_user = False
        env = {v: builder.input(v.type, v.name) for v in program.inputs}
        lost: dict = {}
        for equation in program.equations:
            builder.line = equation.line
            made = copy_equation(builder, equation, env)
            if equation.outputs[0].type.dtype.kind in "biu":
                continue  # whole numbers are exact
            inputs = [x.value if x.is_literal else env[x] for x in equation.inputs]
            errors = [None if x.is_literal else lost.get(x) for x in equation.inputs]
            rule = _RULES.get(equation.op.name, _of_any)
            found = rule(made[0] if len(made) == 1 else made, inputs, errors, equation)
            for v, error in zip(equation.outputs, _listed(found), strict=True):
                if error is not None:
                    lost[v] = error
        finite = [isfinite(env[v]) for v in program.inputs if v.type.dtype.kind == "f"]
        bad = None
        for out, limit in zip(program.outputs, allowed, strict=True):
            if not out.is_literal and out in lost and out.type.dtype.kind == "f":
                mask = _lost(env[out], lost[out], limit, absolute_error, finite)
                bad = mask if bad is None else bad | mask
        if bad is None:
            return None
        refuse(bad)
        results = [o if o.is_literal else env[o] for o in program.outputs]
        outputs = [operand(builder, traced_of(builder, _value(r))) for r in results]
        return builder.finish(outputs)


def _lost(value, error, allowed: float, absolute_error: float, finite: list):
    """Whether an entry has lost too much, though the inputs that it may come from are finite."""
    fits = less_equal(error, absolute(value) * allowed + absolute_error) & isfinite(value)
    mask = logical_not(fits)
    for known in finite:
        if known.ndim and known.shape != mask.shape:
            known = all_(known, axes=tuple(range(known.ndim)))
        mask = mask & known
    return any_(mask, axes=tuple(range(mask.ndim))) if mask.ndim else mask


def _value(result):
    return result.value if getattr(result, "is_literal", False) else result


def _listed(errors) -> list:
    return errors if isinstance(errors, list) else [errors]


def _has_rule(equation: Equation) -> bool:
    if equation.op.name in MATRIX_OPERATIONS:
        return is_small(equation)
    return len(equation.outputs) == 1 and (
        equation.op.name in _RULES
        or equation.op.elementwise
        or equation.outputs[0].type.dtype.kind != "f"
    )


# --- rules ----------------------------------------------------------------------------------------
# As in error_rules.py: rule(out, inputs, errors, equation) is the error of `out`, or None.


def _size(x):
    return absolute(x) if type(x) is Traced else abs(x)


def _joined(a, b):
    if a is None or b is None:
        return a if b is None else b
    return a + b - select(less(a, b), a, b) * 0.6  # a nan is one in the sum


def _own(out, *operands, roundings: float = 1.0):
    size = absolute(out)
    under = less(size, NORMAL)
    for x, e in operands:
        if type(x) is Traced:
            under = under & _moves(x, e)
    return select(under, np.float64(roundings * SMALLEST), size * (roundings * UNIT))


def _moves(x, e):
    """Whether a number is anything but certainly 0."""
    return not_equal(x if e is None else absolute(x) + e, 0.0)


def _add(out, inputs, errors, equation):
    return _joined(_joined(*errors), absolute(out) * UNIT)


def _multiply(out, inputs, errors, equation):
    x, y = inputs
    ex, ey = errors
    error = _own(out, (x, ex), (y, ey))
    if ex is not None:
        error = _joined(error, ex * _size(y))
    return error if ey is None else _joined(error, ey * _size(x))


def _kl_div(out, inputs, errors, equation):
    sizes = _size(inputs[0]) + _size(inputs[1])
    return _joined(_of_any(out, inputs, errors, equation), sizes * UNIT)


def _scale(out, inputs, errors, equation):
    error = _multiply(out, inputs, errors, equation)
    for x, e in zip(inputs, errors, strict=True):
        if type(x) is Traced:
            error = select(_moves(x, e), error, np.float64(0.0))
    return error


def _divide(out, inputs, errors, equation):
    x, y = inputs
    ex, ey = errors
    error = _own(out, (x, ex))
    if ex is not None:
        error = _joined(error, ex / _size(y))
    return error if ey is None else _joined(error, absolute(out) * _relative(ey, y))


def _relative(e, y):
    ratio = e / absolute(y)
    beyond = select(equal(e, 0.0), np.float64(0.0), np.float64(np.inf))
    return select(less(ratio, 0.5), ratio, beyond)


def _reciprocal(out, inputs, errors, equation):
    error = _own(out)
    e = errors[0]
    return error if e is None else _joined(error, absolute(out) * _relative(e, inputs[0]))


def _same(out, inputs, errors, equation):
    return errors[0]


def _slope(slope: Callable) -> Callable:
    def rule(out, inputs, errors, equation):
        e = errors[0]
        own = _own(out, (inputs[0], e), roundings=2.0)
        return own if e is None else _joined(own, e * slope(inputs[0], out))

    return rule


def _bell(height: float) -> Callable:
    def rule(out, inputs, errors, equation):
        (x,), (e,) = inputs, errors
        own = _own(out, (x, e), roundings=2.0)
        if e is None:
            return own
        near = maximum(absolute(x) - e, 0.0)
        return _joined(own, e * (height / (near * near + 1.0)))

    return rule


def _cosh(out, inputs, errors, equation):
    (x,), (e,) = inputs, errors
    own = out * (2.0 * UNIT)
    if e is None:
        return own
    known = select(less(e, 0.5), minimum(absolute(x) + e, 1.0) * 1.65, np.float64(np.inf))
    return _joined(own, e * (out * known))


def _sqrt(out, inputs, errors, equation):
    own = absolute(out) * UNIT
    e = errors[0]
    return own if e is None else _joined(own, e / (out + sqrt(e) + SMALLEST))


def _log(out, inputs, errors, equation):
    own = absolute(out) * UNIT
    e = errors[0]
    return own if e is None else _joined(own, _relative(e, inputs[0]))


def _exp(out, inputs, errors, equation):
    own = out * UNIT + SMALLEST
    e = errors[0]
    return own if e is None else _joined(own, out * e)


def _power(out, inputs, errors, equation):
    x, y = inputs
    ex, ey = errors
    own = _own(out, (x, ex), roundings=2.0)
    if ex is not None:
        own = _joined(own, absolute(out) * _size(y) * _relative(ex, x))
    if ey is not None:
        size = log(absolute(x)) if type(x) is Traced else np.log(abs(x))
        own = _joined(own, absolute(out) * _size(size) * ey)
    return own


def _of_larger(out, inputs, errors, equation):
    known = [e for e in errors if e is not None]
    return None if not known else known[0] if len(known) == 1 else maximum(*known)


def _select(out, inputs, errors, equation):
    condition, x, y = inputs
    doubt, ex, ey = errors
    error = None
    if ex is not None or ey is not None:
        zero = np.float64(0.0)
        error = select(condition, zero if ex is None else ex, zero if ey is None else ey)
    if doubt is None:
        return error
    return total(error, select(doubt, _size(x - y), np.float64(0.0)))


def _comparison(out, inputs, errors, equation):
    kind = equation.inputs[0].type.dtype.kind
    if kind == "b":
        return _logic(out, inputs, errors, equation)
    e = total(*errors)
    if e is None or kind != "f":
        return None
    return less_equal(absolute(inputs[0] - inputs[1]), e)


def _signbit(out, inputs, errors, equation):
    e = errors[0]
    return None if e is None else less_equal(absolute(inputs[0]), e)


def _sign(out, inputs, errors, equation):
    doubt = _signbit(out, inputs, errors, equation)
    return None if doubt is None else select(doubt, np.float64(1.0), np.float64(0.0))


def _copysign(out, inputs, errors, equation):
    e, of_sign = errors
    doubt = None
    if of_sign is not None:
        doubt = less_equal(_size(inputs[1]), of_sign)
        doubt = select(doubt, absolute(out) * 2.0, np.float64(0.0))
    return total(e, doubt)


def _logic(out, inputs, errors, equation):
    known = [e for e in errors if e is not None and e.type.shape == out.type.shape]
    return None if not known else known[0] if len(known) == 1 else known[0] | known[1]


def _whole(out, inputs, errors, equation):
    return None


def _cast(out, inputs, errors, equation):
    same = equation.inputs[0].type.dtype == equation.outputs[0].type.dtype
    return errors[0] if same else None


def _moved(out, inputs, errors, equation):
    if all(e is None for e in errors):
        return None
    held = [
        x if v.type.dtype.kind != "f" else _filled(e, v.type)
        for x, e, v in zip(inputs, errors, equation.inputs, strict=True)
    ]
    return equation.op(*held, **equation.params)


def _filled(e, type_):
    if e is not None:
        return e
    zero = np.float64(0.0)
    return broadcast(zero, shape=type_.shape, axes=()) if type_.ndim else zero


def _total(out, inputs, errors, equation):
    axes = equation.params["axes"]
    own = (_length(absolute(inputs[0]), axes) + absolute(out)) * UNIT
    e = errors[0]
    return own if e is None else _joined(own, _length(e, axes))


def _length(x, axes):
    if not x.size:
        return sum_(x, axes=axes)
    return maximum(sqrt(sum_(square(x), axes=axes)), max_(x, axes=axes))


def _running(out, inputs, errors, equation):
    own = equation.op(absolute(inputs[0]), **equation.params) * UNIT
    return own if errors[0] is None else _joined(own, equation.op(errors[0], **equation.params))


def _added(out, inputs, errors, equation):
    return _joined(_moved(out, inputs, errors, equation), absolute(out) * UNIT)


def _product(out, inputs, errors, equation):
    x, y = inputs
    ex, ey = errors

    def length(a, b):
        return sqrt(equation.op(square(a), square(b), **equation.params))

    error = (length(x, y) + absolute(out)) * UNIT
    if ex is not None:
        error = _joined(error, length(ex, y))
    return error if ey is None else _joined(error, length(x, ey))


def _largest(out, inputs, errors, equation):
    e = errors[0]
    return None if e is None else max_(e, axes=equation.params["axes"])


def _prod(out, inputs, errors, equation):
    axes = equation.params["axes"]
    x, e = inputs[0], errors[0]
    count = x.size // max(out.size, 1)
    zero = np.float64(0.0)
    vanished = less(absolute(out), NORMAL) & all_(not_equal(x, 0.0), axes=axes)
    own = absolute(out) * (UNIT * count**0.5) + select(vanished, np.float64(SMALLEST), zero)
    if e is None:
        return own
    doubtful = prod(select(equal(x, 0.0), e, absolute(x)), axes=axes)
    known = absolute(out) * _relative_length(e, x, axes)
    return _joined(own, select(equal(out, 0.0), doubtful, known))


def _relative_length(e, x, axes):
    ratio = e / maximum(absolute(x), SMALLEST)
    return _length(select(equal(e, 0.0), np.float64(0.0), ratio), axes)


def _log_prod(out, inputs, errors, equation):
    axes = equation.params["axes"]
    x, e = inputs[0], errors[0]
    own = (_length(absolute(log(absolute(x))), axes) + absolute(out)) * UNIT
    return own if e is None else _joined(own, _relative_length(e, x, axes))


def _cumprod(out, inputs, errors, equation):
    axis = equation.params["axis"]
    x, e = inputs[0], errors[0]
    zero = np.float64(0.0)
    counted = cast(iota(size=x.shape[axis], dtype=np.dtype(np.int64)), dtype=x.dtype) + 1.0
    count = broadcast(counted, shape=x.shape, axes=(axis,))
    sizes = absolute(x)
    missing = cumsum(cast(equal(x, 0.0), dtype=x.dtype), axis=axis)
    vanished = less(absolute(out), NORMAL) & equal(missing, 0.0)
    own = absolute(out) * sqrt(count) * UNIT + select(vanished, np.float64(SMALLEST), zero)
    if e is None:
        return own
    relative = select(equal(e, 0.0), zero, e / maximum(sizes, SMALLEST))
    doubtful = cumprod(select(equal(x, 0.0), e, sizes), axis=axis)
    joined = absolute(out) * sqrt(cumsum(square(relative), axis=axis))
    return _joined(own, select(equal(out, 0.0), doubtful, joined))


def _of_entries(out, inputs, errors, equation):
    own = _own(out, roundings=4.0)
    e = errors[0]
    return own if e is None else _joined(own, _length(e, equation.params["axes"]))


def _polynomial(out, inputs, errors, equation):
    """Beside what an operand's error makes of it, that of arithmetic in twice the digits."""
    (x,) = inputs
    numerators, denominator = equation.params["numerators"], equation.params["denominator"]
    sizes = tuple([abs(n) for n in numerators])
    most = equation.op(absolute(x), numerators=sizes, denominator=denominator)
    own = _own(out) + most * (4.0 * UNIT * UNIT * len(sizes))
    return own if errors[0] is None else _joined(own, _of_any(out, inputs, errors, equation))


def _of_any(out, inputs, errors, equation):
    if equation.outputs[0].type.dtype.kind != "f":
        return _logic(out, inputs, errors, equation) if out.type.dtype.kind == "b" else None
    own = _own(out, roundings=4.0)
    for i, e in enumerate(errors):
        if e is None or equation.inputs[i].type.dtype.kind != "f":
            continue
        step = maximum(e, absolute(inputs[i]) * 2.0**-26) + SMALLEST
        moved = equation.op(*inputs[:i], inputs[i] + step, *inputs[i + 1 :], **equation.params)
        own = _joined(own, absolute(moved - out) * (e / step))
    return own


def _slogdet(out, inputs, errors, equation):
    return slogdet_errors(out, inputs, errors)


_RULES: dict[str, Callable] = {
    **MATRIX_ERRORS, "slogdet": _slogdet,
    "add": _add, "subtract": _add, "multiply": _multiply, "divide": _divide, "scale": _scale,
    **dict.fromkeys(
        ("negative", "absolute", "stop_gradient", "barrier", "clip"), _same),
    "reciprocal": _reciprocal, "square": _slope(lambda x, out: absolute(x) * 2.0),
    "sqrt": _sqrt, "log": _log, "exp": _exp, "power": _power, "kl_div": _kl_div,
    "sin": _slope(at_most_one), "cos": _slope(at_most_one), "cosh": _cosh,
    **dict.fromkeys(("tanh", "arctan"), _bell(1.0)), "erf": _bell(1.13),
    "expm1": _slope(lambda x, out: absolute(out + 1.0)),
    "log1p": _slope(lambda x, out: 1.0 / absolute(x + 1.0)),
    "select": _select, "cast": _cast,
    **dict.fromkeys(("maximum", "minimum", "fmax", "fmin"), _of_larger),
    **dict.fromkeys(("equal", "not_equal", "less", "less_equal", "greater", "greater_equal"),
                    _comparison),
    **dict.fromkeys(("logical_not", "logical_and", "logical_or", "logical_xor"), _logic),
    **dict.fromkeys(("sign", "heaviside"), _sign), "signbit": _signbit, "copysign": _copysign,
    **dict.fromkeys(("floor", "ceil", "trunc", "rint", "floor_divide", "isnan", "isinf",
                     "isfinite", "spacing"), _whole),
    **dict.fromkeys(("broadcast", "reshape", "transpose", "flip", "index", "index_set",
                     "concatenate", "pad"), _moved),
    "index_add": _added, "cumsum": _running,
    "sum": _total, "contract": _product, "max": _largest, "min": _largest,
    "polynomial": _polynomial, "prod": _prod, "cumprod": _cumprod, "log_prod": _log_prod,
    **dict.fromkeys(("logsumexp", "norm", "safe_norm"), _of_entries),
}  # fmt: skip
