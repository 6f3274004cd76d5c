"""How much each operation loses: what the errors of operands make of a result, and its rounding.

    add        ex, ey, u |z|                 multiply   |y| ex, |x| ey, u |z|
    divide     ex / |y|, |z/y| ey, u |z|     f(x)       |f'(x)| ex, u |z|

A rule (out, inputs, errors, equation) gives the error of `out`, None where it has none. Errors are
joined as independent ones, by the root of the sum of their squares (about: the larger and 0.4 times
the smaller of two): sums of their sizes grow without bound in long programs. An overflow has an
infinite error, an underflow that of the smallest number. Comparisons whose sides differ by less
than their errors are doubtful, and so is what they select; a doubt is a 1 for an error.

Source    running error analysis: Wilkinson, "Error analysis revisited" (1986); Higham, "Accuracy
          and Stability of Numerical Algorithms", section 3.3.
"""

from __future__ import annotations

from collections.abc import Callable

import numpy as np

from chainrule.program.program import Equation
from chainrule.wide.matrix_errors import MATRIX_ERRORS

UNIT = 2.0**-53
SMALLEST = 5e-324
NORMAL = 2.0**-1022


def error_rule(equation: Equation) -> Callable:
    """The rule of an equation's operation; of one that has none, the general one."""
    return _RULES.get(equation.op.name, _of_any)


def total(*errors):
    """The sum of estimates, any of which may be None."""
    found = None
    for e in errors:
        if e is not None:
            found = e if found is None else found + e
    return found


def _joined(a, b):
    """About the root of a**2 + b**2, either of which may be None: independent errors add up so."""
    if a is None or b is None:
        return a if b is None else b
    if isinstance(a, np.ndarray) or isinstance(b, np.ndarray):
        return a + b - 0.6 * np.minimum(a, b)
    return a + b - 0.6 * (a if a < b else b)


def _own(out, *operands):
    """The error of rounding a result; and of its underflow, where no operand, given with its error,
    is exactly 0."""
    size = abs(out)
    error = UNIT * size
    if isinstance(size, np.ndarray):
        if size.size and size.min() < NORMAL:
            under = size < NORMAL
            for x, e in operands:
                under = under & ((x != 0) if e is None else ((x != 0) | (e > 0)))
            error = error + np.where(under, SMALLEST, 0.0)
        return error
    if size < NORMAL and all(x != 0 or (e is not None and e > 0) for x, e in operands):
        error = error + SMALLEST
    return error


def _add(out, inputs, errors, equation):
    ex, ey = errors
    return _joined(_joined(ex, ey), UNIT * abs(out))


def _multiply(out, inputs, errors, equation):
    x, y = inputs
    ex, ey = errors
    own = _own(out, (x, ex), (y, ey))
    if x is y and ex is not None:
        return own + 2.0 * abs(y) * ex
    if ex is not None:
        own = _joined(own, abs(y) * ex)
    if ey is not None:
        own = _joined(own, abs(x) * ey)
    return own


def _scale(out, inputs, errors, equation):
    """An exact zero annihilates the other factor's error, infinite or not."""
    error = _multiply(out, inputs, errors, equation)
    for x, e in zip(inputs, errors, strict=True):
        certain = x == 0 if e is None else (x == 0) & (e == 0)
        if isinstance(certain, np.ndarray):
            error = np.where(certain, 0.0, error)
        elif certain:
            error = np.zeros_like(error)[()]
    return error


def _divide(out, inputs, errors, equation):
    x, y = inputs
    ex, ey = errors
    own = _own(out, (x, ex))
    if ex is not None:
        own = _joined(own, ex / abs(y))
    if ey is not None:
        own = _joined(own, abs(out) * _relative(ey, y))
    return own


def _relative(e, y):
    """e / |y| where that is small, and infinite where the sign of y is not certain."""
    ratio = e / abs(y)
    if isinstance(ratio, np.ndarray):
        return np.where(ratio < 0.5, ratio, np.where(e == 0, 0.0, np.inf))
    return ratio if ratio < 0.5 else 0.0 if e == 0 else np.inf


def _same(out, inputs, errors, equation):
    return None if errors[0] is None else +errors[0]


def _slope(slope: Callable) -> Callable:
    """The rule of a function of one argument: `slope(x, out)` bounds |f'(x)|."""

    def rule(out, inputs, errors, equation):
        (x,), (e,) = inputs, errors
        own = 2.0 * _own(out, (x, e))
        return own if e is None else _joined(own, slope(x, out) * e)

    return rule


def _bell(height: float) -> Callable:
    """The rule of a function of one argument whose slope is at most height / (1 + x**2)."""

    def rule(out, inputs, errors, equation):
        (x,), (e,) = inputs, errors
        own = 2.0 * _own(out, (x, e))
        if e is None:
            return own
        near = np.maximum(abs(x) - e, 0.0)
        return _joined(own, e * (height / (1.0 + near * near)))

    return rule


def _cosh(out, inputs, errors, equation):
    """|sinh(y)| <= min(|y|, 1) cosh(y), which an error below 1/2 makes at most 1.65 times more."""
    (x,), (e,) = inputs, errors
    own = 2.0 * UNIT * out
    if e is None:
        return own
    known = np.where(e < 0.5, np.minimum(abs(x) + e, 1.0) * 1.65, np.inf)[()]
    return _joined(own, e * (out * known))


def _sqrt(out, inputs, errors, equation):
    own = UNIT * abs(out)
    e = errors[0]
    return own if e is None else _joined(own, e / (out + np.sqrt(e) + SMALLEST))


def _log(out, inputs, errors, equation):
    own = UNIT * abs(out)
    e = errors[0]
    return own if e is None else _joined(own, _relative(e, inputs[0]))


def _exp(out, inputs, errors, equation):
    own = UNIT * out + SMALLEST
    e = errors[0]
    return own if e is None else _joined(own, out * e + SMALLEST * (e > 0.5))


def _power(out, inputs, errors, equation):
    x, y = inputs
    ex, ey = errors
    own = 2.0 * _own(out, (x, ex))
    if ex is not None:
        own = _joined(own, abs(out * y) * _relative(ex, x))
    if ey is not None:
        own = _joined(own, abs(out * np.log(abs(x))) * ey)
    return own


def _kl_div(out, inputs, errors, equation):
    """SciPy's value is a difference of its operands and what is as large as they."""
    return _joined(_of_any(out, inputs, errors, equation), UNIT * (abs(inputs[0]) + abs(inputs[1])))


def _of_larger(out, inputs, errors, equation):
    known = [e for e in errors if e is not None]
    return None if not known else known[0] if len(known) == 1 else np.maximum(*known)


def _select(out, inputs, errors, equation):
    """The error of the side that is selected; what else would be, where the choice is in doubt."""
    condition, x, y = inputs
    doubt, ex, ey = errors
    error = None
    if ex is not None or ey is not None:
        error = np.where(condition, 0.0 if ex is None else ex, 0.0 if ey is None else ey)[()]
    if doubt is not None:
        logical = equation.outputs[0].type.dtype.kind == "b"
        apart = np.not_equal(x, y) if logical else abs(np.subtract(x, y))
        wrong = np.where(doubt > 0, apart, 0.0)[()]
        error = wrong if error is None else error + wrong
    return error


def _comparison(out, inputs, errors, equation):
    """1 where the sides differ by less than their errors, else 0; of truth values, where one of
    them is doubtful."""
    e, kind = total(*errors), equation.inputs[0].type.dtype.kind
    if e is None or kind not in "fb":
        return None
    if kind == "b":
        return e
    return np.where(abs(np.subtract(*inputs)) <= e, 1.0, 0.0)[()]


def _sign(out, inputs, errors, equation):
    """1 where the sign is not certain."""
    e = errors[0]
    return None if e is None else np.where(abs(inputs[0]) <= e, 1.0, 0.0)[()]


def _copysign(out, inputs, errors, equation):
    """Twice the size, besides, where the sign is not certain."""
    e, of_sign = errors
    doubt = None if of_sign is None else np.where(abs(inputs[1]) <= of_sign, 2.0 * abs(out), 0.0)
    return total(e, doubt)


def _logic(out, inputs, errors, equation):
    return total(*errors)


def _whole(out, inputs, errors, equation):
    return None


def _cast(out, inputs, errors, equation):
    e, source, target = errors[0], equation.inputs[0].type.dtype, equation.outputs[0].type.dtype
    if source.kind != "f" or target.kind != "f":
        return None if source.kind == "b" and e is None else e
    if target.itemsize >= source.itemsize:
        return e
    return None  # rounded on purpose: what float32 holds is what is meant


def _moved(out, inputs, errors, equation):
    """The same movement of the errors."""
    if all(e is None for e in errors):
        return None
    held = [
        x if v.type.dtype.kind != "f" else _filled(e, x)
        for x, e, v in zip(inputs, errors, equation.inputs, strict=True)
    ]
    return equation.op.evaluate(*held, **equation.params)


def _written(out, inputs, errors, equation):
    """The same write into the errors, which is done in place: they are estimates of these alone."""
    target, value = errors[0], errors[1]
    if target is None and value is None:
        return None
    if target is None or not np.ndim(target) or not target.flags.writeable:
        target = np.array(_filled(target, out))
    value = np.float64(0.0) if value is None else value
    return equation.op.in_place(target, value, *inputs[2:], **equation.params)


def _filled(e, like):
    shape = np.shape(like)
    return np.broadcast_to(np.float64(0.0 if e is None else e), shape)[()] if shape else \
        np.float64(0.0 if e is None else e)  # fmt: skip


def _length(x, axes):
    """The length of x over axes; no less than its largest entry, where squares underflow."""
    squares = np.sqrt(np.add.reduce(np.square(x, dtype=np.float64), axes))
    return np.maximum(squares, np.maximum.reduce(abs(x), axes)) if np.size(x) else squares


def _total(out, inputs, errors, equation):
    """Independent errors, and the rounding of partial sums."""
    axes = equation.params["axes"]
    x, e = inputs[0], errors[0]
    own = UNIT * (_length(x, axes) + abs(out))
    return own if e is None else _joined(own, _length(_filled(e, x), axes))


def _running(out, inputs, errors, equation):
    axis = equation.params["axis"]
    own = UNIT * np.add.accumulate(abs(inputs[0]), axis)
    return own if errors[0] is None else _joined(own, np.add.accumulate(errors[0], axis))


def _product(out, inputs, errors, equation):
    x, y = inputs
    ex, ey = errors
    tiny = SMALLEST if min(_smallest(x), _smallest(y)) < NORMAL else 0.0

    def length(a, b):
        return np.sqrt(equation.op.evaluate(np.square(a), np.square(b), **equation.params) + tiny)

    error = UNIT * (length(x, y) + abs(out))
    if ex is not None:
        error = _joined(error, length(_filled(ex, x), y))
    return error if ey is None else _joined(error, length(x, _filled(ey, y)))


def _smallest(x) -> float:
    """The square of the smallest entry that is not 0; infinite where all are."""
    sizes = abs(x)
    return float(np.min(np.square(sizes), where=sizes > 0, initial=np.inf))


def _largest(out, inputs, errors, equation):
    e = errors[0]
    return None if e is None else np.maximum.reduce(_filled(e, inputs[0]), equation.params["axes"])


def _prod(out, inputs, errors, equation):
    """|out| times the length of the relative errors; beside a factor 0 that is not certain, the
    product of its error and of the other factors."""
    axes = equation.params["axes"]
    x, e = inputs[0], errors[0]
    own = UNIT * _roots(x, axes) * abs(out) + SMALLEST * _vanished(out, x, axes)
    if e is None:
        return own
    e = _filled(e, x)
    doubtful = np.multiply.reduce(np.where(x == 0, e, abs(x)), axes)
    return _joined(own, np.where(out == 0, doubtful, abs(out) * _relative_length(e, x, axes))[()])


def _roots(x, axes):
    """The root of the number of entries over axes."""
    return np.sqrt(np.prod([np.shape(x)[a] for a in axes], dtype=float))


def _vanished(out, x, axes):
    """Where a product is below the normal numbers though no factor is 0."""
    return (abs(out) < NORMAL) & np.logical_and.reduce(x != 0, axes)


def _relative_length(e, x, axes):
    sizes = abs(x)
    return _length(np.where(e == 0, 0.0, e / np.where(sizes > 0, sizes, SMALLEST)), axes)


def _log_prod(out, inputs, errors, equation):
    """Its own sum of logarithms or logarithm of a product, whichever is worse; relative errors."""
    axes = equation.params["axes"]
    x, e = inputs[0], errors[0]
    own = UNIT * (_length(np.log(abs(x)), axes) + abs(out))
    return own if e is None else _joined(own, _relative_length(_filled(e, x), x, axes))


def _cumprod(out, inputs, errors, equation):
    axis = equation.params["axis"]
    x, e = inputs[0], errors[0]
    count = np.arange(1, x.shape[axis] + 1).reshape([-1] + [1] * (x.ndim - 1 - axis))
    vanished = (abs(out) < NORMAL) & np.logical_and.accumulate(x != 0, axis)
    own = UNIT * np.sqrt(count) * abs(out) + SMALLEST * vanished
    if e is None:
        return own
    e = _filled(e, x)
    sizes = abs(x)
    relative = np.where(e == 0, 0.0, e / np.where(sizes > 0, sizes, SMALLEST))
    doubtful = np.multiply.accumulate(np.where(x == 0, e, sizes), axis)
    joined = abs(out) * np.sqrt(np.add.accumulate(np.square(relative), axis))
    return _joined(own, np.where(out == 0, doubtful, joined))


def _of_entries(out, inputs, errors, equation):
    """A norm, or a sum in logarithms: it moves no more than its entries do, all together."""
    e = errors[0]
    own = 4.0 * _own(out)
    if e is None:
        return own
    return _joined(own, _length(_filled(e, inputs[0]), equation.params["axes"]))


def _others(out, inputs, errors, equation):
    """A sum less each entry: the rounding of the sum, but where an entry is alone."""
    axes = equation.params["axes"]
    x, e = inputs[0], errors[0]
    lengths = np.sqrt(np.add.reduce(np.square(x), axes, keepdims=True))
    alone = np.add.reduce(x != 0, axes, keepdims=True) <= 1
    own = np.where(alone, 0.0, UNIT * (lengths + abs(out)))
    if e is None:
        return own
    return _joined(own, np.sqrt(np.add.reduce(np.square(_filled(e, x)), axes, keepdims=True)))


def _of_any(out, inputs, errors, equation):
    """Any other operation: how far the result moves with each operand, along a secant that is long
    enough to be seen."""
    if equation.outputs[0].type.dtype.kind != "f":
        return _doubt(errors)
    own = 4.0 * _own(out)
    for i, e in enumerate(errors):
        if e is not None and equation.op.elementwise:
            x = inputs[i]
            step = np.maximum(e, 2.0**-26 * abs(x)) + SMALLEST
            moved = equation.op.evaluate(
                *inputs[:i], x + step, *inputs[i + 1 :], **equation.params
            )
            own = _joined(own, abs(moved - out) * (e / step))
    return own


def _doubt(errors):
    """Whether any operand is in doubt, for what is no float."""
    known = [np.max(e) for e in errors if e is not None and np.size(e)]
    return max(known) if known else None


def at_most_one(x, out):
    return 1.0


_RULES: dict[str, Callable] = {
    "add": _add, "subtract": _add, "multiply": _multiply, "divide": _divide, "scale": _scale,
    **dict.fromkeys(
        ("negative", "absolute", "stop_gradient", "barrier", "clip"), _same),
    "square": _slope(lambda x, out: 2.0 * abs(x)), "sqrt": _sqrt, "log": _log, "exp": _exp,
    "sin": _slope(at_most_one), "cos": _slope(at_most_one), "cosh": _cosh,
    **dict.fromkeys(("tanh", "arctan"), _bell(1.0)), "erf": _bell(1.13),
    "expm1": _slope(lambda x, out: abs(1.0 + out)),
    "log1p": _slope(lambda x, out: 1.0 / abs(1.0 + x)),
    "reciprocal": lambda out, inputs, errors, equation: _divide(
        out, [1.0, inputs[0]], [None, errors[0]], equation),
    "power": _power, "kl_div": _kl_div, "select": _select, "cast": _cast,
    **dict.fromkeys(("maximum", "minimum", "fmax", "fmin"), _of_larger),
    **dict.fromkeys(("equal", "not_equal", "less", "less_equal", "greater", "greater_equal"),
                    _comparison),
    **dict.fromkeys(("logical_not", "logical_and", "logical_or", "logical_xor"), _logic),
    **dict.fromkeys(("sign", "signbit", "heaviside"), _sign), "copysign": _copysign,
    **dict.fromkeys(("floor", "ceil", "trunc", "rint", "floor_divide", "isnan", "isinf",
                     "isfinite", "spacing"), _whole),
    **dict.fromkeys(("broadcast", "reshape", "transpose", "flip", "index", "concatenate",
                     "pad"), _moved),
    "index_set": _written, "index_add": _written,
    "sum": _total, "cumsum": _running, "contract": _product, "max": _largest, "min": _largest,
    "prod": _prod, "cumprod": _cumprod, "log_prod": _log_prod,
    **dict.fromkeys(("logsumexp", "norm", "safe_norm"), _of_entries), "sum_of_others": _others,
    **MATRIX_ERRORS,
}  # fmt: skip
