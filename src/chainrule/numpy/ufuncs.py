"""NumPy's ufuncs on traced values: one table from ufunc to operation, and how one is applied.

A ufunc's entry is an operation of the same name, or a function that composes several.
"""

from __future__ import annotations

from collections.abc import Callable

import numpy as np

from chainrule import errors
from chainrule.numpy.layout import strides_of
from chainrule.numpy.one_by_one import call_on_objects, is_of_objects
from chainrule.numpy.promotion import (
    broadcast_shape,
    broadcast_to,
    cast_to,
    dtype_of,
    promoted_kind,
    python_int,
    resolve,
    shape_of,
    strong,
    traced,
)
from chainrule.ops import compare, elementwise
from chainrule.ops.select import select
from chainrule.program.exact import ExactFloat
from chainrule.program.mutation import assign
from chainrule.program.noting import are_plain, unnoted
from chainrule.program.op import REGISTRY, Op
from chainrule.program.program import Literal
from chainrule.program.text import line_text
from chainrule.program.trace import (
    Traced,
    bind,
    current,
    operand,
    raise_leaked,
    record_elementwise,
    user_line,
)
from chainrule.program.types import Type, array_type

_WEAK = (float, int, complex, bool)
_NUMBERS = (float, int, ExactFloat)


def _same_name_ops() -> dict[np.ufunc, Op]:
    table = {}
    for op in REGISTRY.values():
        ufunc = getattr(np, op.name, None)
        if op.elementwise and isinstance(ufunc, np.ufunc):
            table[ufunc] = op
    return table


OPS: dict[np.ufunc, Op] = _same_name_ops()
COMPOSED: dict[np.ufunc, Callable] = {}  # on arguments already promoted and broadcast
SPECIAL: dict[np.ufunc, Callable] = {}  # on the user's own arguments
# Other libraries' ufuncs enter the tables when they first arrive: each returns True if it did so.
ENTERING: list[Callable[[np.ufunc], bool]] = []


def promoted(ufunc: np.ufunc, arguments) -> list:
    """The arguments cast to the dtypes of the ufunc's loop and broadcast to one shape."""
    dtypes = resolve(ufunc, tuple([promoted_kind(a) for a in arguments]))
    shape = broadcast_shape(*[shape_of(a) for a in arguments])
    pairs = zip(arguments, dtypes, strict=False)
    return [broadcast_to(cast_to(a, dtype), shape) for a, dtype in pairs]


def _unknown(ufunc: np.ufunc) -> errors.NotSupported:
    name, line = ufunc.__name__, line_text(user_line())
    if getattr(np, name, None) is ufunc:
        return errors.NotSupported(f"np.{name} is not supported on traced values, at {line}.")
    return errors.NotSupported(
        f"{name}, a compiled ufunc that is not NumPy's, is not supported on traced values, at "
        f"{line}: write it with NumPy's functions."
    )


def apply_ufunc(ufunc: np.ufunc, *arguments):
    """ufunc(*arguments) on traced values."""
    special = SPECIAL.get(ufunc)
    if special is not None:
        return special(*arguments)
    composed = COMPOSED.get(ufunc)
    op = OPS.get(ufunc)
    if op is None and composed is None:
        if is_of_objects(ufunc):
            return call_on_objects(ufunc, *arguments)
        if any(enter(ufunc) for enter in ENTERING):
            return apply_ufunc(ufunc, *arguments)
        raise _unknown(ufunc)
    if ufunc in _OF_NEGATIVES:
        answer = _beyond_range(ufunc, *arguments)
        if answer is not None:
            return answer
    ready = promoted(ufunc, arguments)
    if ufunc in _OF_NEGATIVES and dtype_of(ready[0]) != dtype_of(ready[1]):
        return _mixed_comparison(ufunc, *ready)
    if composed is not None:
        return _own(composed(*ready), ready)
    ready = _some_traced(ready, arguments)
    assert op is not None
    return bind(op, tuple(ready), {})


# What comparing a negative number with an unsigned one gives, with the negative one first.
_OF_NEGATIVES = {
    np.equal: False,
    np.not_equal: True,
    np.less: True,
    np.less_equal: True,
    np.greater: False,
    np.greater_equal: False,
}


def _beyond_range(ufunc, x, y):
    """A comparison of integers with a Python int beyond their dtype: one answer for all."""
    for number, other in ((python_int(x), y), (python_int(y), x)):
        dtype = dtype_of(other)
        if number is None or dtype.kind not in "iu" or _is_weak(other):
            continue
        range_ = np.iinfo(dtype)
        if range_.min <= number <= range_.max:
            continue
        same = bool(ufunc(number, 0) if other is y else ufunc(0, number))
        answer = traced(np.bool_(same))
        shape = shape_of(other)
        return broadcast_to(answer, shape) if shape else answer
    return None


def _mixed_comparison(ufunc, x, y):
    """int64 with uint64, which NumPy compares exactly: no dtype holds both."""
    x, y = traced(x), traced(y)
    signed, answer = (x, _OF_NEGATIVES[ufunc]) if x.dtype.kind == "i" else (y, None)
    if answer is None:  # x is unsigned: 3 < -1 is not what -1 < 3 is, but 3 == -1 is
        same = ufunc in (np.equal, np.not_equal)
        answer = _OF_NEGATIVES[ufunc] if same else not _OF_NEGATIVES[ufunc]
    unsigned = np.dtype(np.uint64)
    compared = apply_ufunc(ufunc, cast_to(x, unsigned), cast_to(y, unsigned))
    negative = apply_ufunc(np.less, signed, signed.dtype.type(0))
    return apply_ufunc(np.logical_or if answer else np.greater, *(
        (negative, compared) if answer else (compared, negative)))  # fmt: skip


def _own(result, arguments):
    """A result that is an argument itself (np.floor of integers) as a value of its own."""
    if not any(result is argument for argument in arguments):
        return result
    result = result.copy("K")
    result.boxed = False
    return result


def _some_traced(ready: list, arguments) -> list:
    """Array arguments as traced values, so that their content is read at each call."""
    return [traced(a) if isinstance(a, np.ndarray) and a.ndim else a for a in ready]


# --- the short way for operators ----------------------------------------------------------------

_direct: dict[tuple, Type | None] = {}


def binary(op: Op, ufunc: np.ufunc, x, y):
    """x op y for Python operators: equal types and Python scalars take a short way."""
    made = _binary_directly(op, ufunc, x, y)
    return _binary_slowly(ufunc, x, y) if made is None else made


def _binary_directly(op: Op, ufunc: np.ufunc, x, y) -> Traced | None:
    """x op y where it is one equation on x and y as they are, else None."""
    builder = current()
    if builder is None:
        raise_leaked(x if type(x) is Traced else y)
    assert builder is not None
    if type(x) is Traced:
        if x.weak:
            return None
        first = x._var if x.builder is builder and x._view is None else operand(builder, x)
        type_, active = first.type, x.active
        if type(y) is Traced:
            second = y._var if y.builder is builder and y._view is None else operand(builder, y)
            if y.weak or second.type is not type_:
                return None
            active = active or y.active
        elif type_.dtype.kind == "f" and (type(y) is float or type(y) is int):
            second = Literal(type_.dtype.type(y))
        elif type_.dtype.kind == "f" and type(y) is ExactFloat:
            second = Literal(type_.dtype.type(y), exact=y)
        else:
            return None
    elif type(y) is Traced and not y.weak and type(x) in _NUMBERS:
        second = y._var if y.builder is builder and y._view is None else operand(builder, y)
        type_, active = second.type, y.active
        if type_.dtype.kind != "f":
            return None
        first = Literal(type_.dtype.type(x), exact=x if type(x) is ExactFloat else None)
    else:
        return None
    out = _direct_type(op, ufunc, type_, 2)
    if out is None:
        return None
    return record_elementwise(builder, op, (first, second), out, False, active and out.inexact)


def _direct_type(op: Op, ufunc: np.ufunc, type_: Type, count: int) -> Type | None:
    """The output type where the ufunc's loop takes `count` inputs of this type as they are."""
    key = (op, type_)
    if key in _direct:
        return _direct[key]
    out = None
    if ufunc not in SPECIAL and ufunc not in COMPOSED and ufunc.nout == 1:
        *taken, result = resolve(ufunc, (type_.dtype,) * count)
        if all(d == type_.dtype for d in taken):
            out = array_type(type_.shape, result)
    _direct[key] = out
    return out


def _binary_slowly(ufunc, x, y):
    if not _is_operand(x) or not _is_operand(y):
        return NotImplemented
    out = apply_ufunc(ufunc, x, y)
    if _is_weak(x) and _is_weak(y) and type(out) is Traced:
        out.weak = True
    return out


def _is_operand(value) -> bool:
    if type(value) is Traced or isinstance(value, np.ndarray | np.generic):
        return True
    return isinstance(value, bool | int | float | complex | list | tuple)


def _is_weak(value) -> bool:
    return value.weak if type(value) is Traced else type(value) in _WEAK


def unary(op: Op, ufunc: np.ufunc, x: Traced):
    """op(x) for Python's unary operators, which keep a Python scalar weak."""
    out = apply_ufunc(ufunc, x)
    if x.weak and type(out) is Traced:
        out.weak = True
    return out


# --- __array_ufunc__ ----------------------------------------------------------------------------

METHODS: dict[str, Callable] = {}  # reduce, accumulate, outer, at: filled by numpy/ufunc_methods.py


def array_ufunc(self, ufunc, method, *inputs, **options):
    """The `__array_ufunc__` of traced values."""
    if are_plain(inputs) and are_plain(options.values()):
        return unnoted(_applied, self, ufunc, method, inputs, options)
    return _applied(self, ufunc, method, inputs, options)


def _applied(self, ufunc, method, inputs: tuple, options: dict):
    """What a ufunc gives; plain calls on equal types take a short way."""
    if not options and method == "__call__" and ufunc in OPS:
        if len(inputs) == 1:
            made = _unary_directly(OPS[ufunc], ufunc, self)
            if made is not None:
                return made
        elif len(inputs) == 2:
            made = _binary_directly(OPS[ufunc], ufunc, *inputs)
            if made is not None:
                return made
    return _array_ufunc(ufunc, method, *inputs, **options)


def _unary_directly(op: Op, ufunc: np.ufunc, x: Traced) -> Traced | None:
    builder = current()
    if builder is None or x.weak:
        return None
    var = x._var if x.builder is builder and x._view is None else operand(builder, x)
    out = _direct_type(op, ufunc, var.type, 1)
    if out is None:
        return None
    active = x.active and out.inexact and op.smooth
    return record_elementwise(builder, op, (var,), out, False, active)


def _array_ufunc(ufunc, method, *inputs, out=None, where=True, dtype=None, **options):
    if any(_is_foreign(a) for a in inputs):
        return NotImplemented
    axis = options.pop("axis", None) if ufunc is np.vecdot else None
    _refuse_options(ufunc, options if method == "__call__" else {})
    if method != "__call__":
        handler = METHODS.get(method)
        if handler is None:
            raise errors.NotSupported(
                f"np.{ufunc.__name__}.{method} is not supported on traced values, "
                f"at {line_text(user_line())}."
            )
        return handler(ufunc, *inputs, out=_single(out), where=where, dtype=dtype, **options)
    if dtype is not None:
        inputs = tuple(cast_to(traced(a), np.dtype(dtype)) for a in inputs)
    inputs = tuple(strong(a) if type(a) is Traced else a for a in inputs) if _all_weak(inputs) \
        else inputs  # fmt: skip
    result = apply_ufunc(ufunc, *inputs) if axis is None else SPECIAL[ufunc](*inputs, axis=axis)
    if out is None and where is True:
        return result
    return store(result, out, where, ufunc)


def _all_weak(inputs) -> bool:
    return all(_is_weak(a) for a in inputs)


def _is_foreign(value) -> bool:
    if type(value) is Traced or isinstance(value, np.ndarray):
        return False
    return hasattr(type(value), "__array_ufunc__") and not isinstance(value, np.generic)


def _refuse_options(ufunc, options) -> None:
    for name, value in options.items():
        default = {"casting": "same_kind", "order": "K", "subok": True}.get(name)
        if value is not None and value != default:
            raise errors.NotSupported(
                f"np.{ufunc.__name__}({name}={value!r}) is not supported on traced values, "
                f"at {line_text(user_line())}."
            )


def _single(out):
    return out[0] if isinstance(out, tuple) else out


def store(result, out, where, ufunc):
    """Write a ufunc's result into `out`, where `where` holds."""
    results = result if isinstance(result, tuple) else (result,)
    outs = out if isinstance(out, tuple) else (out,) * len(results)
    stored = tuple(
        _store_one(r, o, where, ufunc) for r, o in zip(results, outs, strict=True)
    )
    return stored if isinstance(result, tuple) else stored[0]


def _store_one(result, out, where, ufunc):
    if out is None:
        if where is True:
            return result
        raise errors.NotSupported(
            f"np.{ufunc.__name__}(where=...) without out= leaves elements undefined, "
            f"at {line_text(user_line())}. Write np.where(where, value, other)."
        )
    if type(out) is not Traced:
        raise errors.MutationError(
            f"np.{ufunc.__name__} would write traced values into a plain array (out= or "
            f"+=), at {line_text(user_line())}: the derivative would be lost.\n"
            "  Make the array inside the function with cr.numpy.zeros(...), pass it as an "
            "argument, or write a = a + x."
        )
    return write_whole(out, result, where, f"ufunc '{ufunc.__name__}'")


def write_whole(target: Traced, value, where, what: str):
    """target[...] = value where `where` holds, with NumPy's same-kind rule for casts."""
    strides_of(target)  # worked out before its variable changes
    have, want = promoted_kind(value), target.type.dtype
    if isinstance(have, np.dtype) and not np.can_cast(have, want, "same_kind"):
        raise errors.DtypeError(
            f"Cannot cast {what} output from dtype('{have}') to dtype('{want}') with casting rule "
            f"'same_kind', at {line_text(user_line())}"
        )
    if broadcast_shape(shape_of(value), target.type.shape) != target.type.shape:
        raise errors.ShapeError(
            f"non-broadcastable output operand with shape {target.type.shape} doesn't match the "
            f"broadcast shape {shape_of(value)}, at {line_text(user_line())}"
        )
    value = broadcast_to(traced(cast_to(value, want)), target.type.shape)
    if where is not True:
        where = broadcast_to(traced(where), target.type.shape)
        value = select(where, value, target)
    assign(target, value)
    return target


# --- ufuncs that are not one operation -----------------------------------------------------------


def _absolute(x):
    if x.dtype.kind != "c":
        return x if x.dtype.kind in "bu" else elementwise.absolute(x)
    return elementwise.hypot(elementwise.real(x), elementwise.imag(x))


def _conjugate(x):
    return elementwise.conjugate(x) if x.dtype.kind == "c" else x


def _scaled_by(factor: float):
    return lambda x: x * x.dtype.type(factor)


def _isfinite_like(op, of_integers: bool):
    def compute(x):
        if x.dtype.kind in "biu":
            return broadcast_to(traced(np.bool_(of_integers)), x.shape)
        return op(x)

    return compute


def _rounded(op):
    return lambda x: x if x.dtype.kind in "biu" else op(x)


def _complex_sign(x):
    """x / |x|; of an infinite number the direction; 0 of zero."""
    if x.dtype.kind != "c":
        return elementwise.sign(x)
    re, im = elementwise.real(x), elementwise.imag(x)
    unit = elementwise.join(_bounded(re, im), _bounded(im, re))
    norm = _absolute(unit)
    safe = select(norm == 0, elementwise.constant_like(norm, 1.0), norm)
    zero = elementwise.constant_like(x, 0.0)
    return select(norm == 0, zero, unit / cast_to(safe, x.dtype))


def _bounded(part, other):
    """A part of a complex number, scaled down where one of the parts is infinite."""
    one, zero, nan = (elementwise.constant_like(part, v) for v in (1.0, 0.0, np.nan))
    endless = compare.isinf(part)
    finite = select(endless, elementwise.copysign(one, part), part)
    return select(compare.isinf(other), select(endless, nan, zero), finite)


COMPOSED.update(
    {
        np.absolute: _absolute,
        np.fabs: elementwise.absolute,
        np.conjugate: _conjugate,
        np.positive: lambda x: x,
        np.sign: _complex_sign,
        np.deg2rad: _scaled_by(np.pi / 180),
        np.radians: _scaled_by(np.pi / 180),
        np.rad2deg: _scaled_by(180 / np.pi),
        np.degrees: _scaled_by(180 / np.pi),
        np.isnan: _isfinite_like(compare.isnan, False),
        np.isinf: _isfinite_like(compare.isinf, False),
        np.isfinite: _isfinite_like(compare.isfinite, True),
        np.floor: _rounded(elementwise.floor),
        np.ceil: _rounded(elementwise.ceil),
        np.trunc: _rounded(elementwise.trunc),
        np.divmod: lambda x, y: (elementwise.floor_divide(x, y), elementwise.remainder(x, y)),
        np.float_power: elementwise.power,
        np.modf: lambda x: (x - elementwise.trunc(x), elementwise.trunc(x)),
    }
)


def raise_power(x, y):
    """x ** y, with NumPy's own short cuts for the exponents 2, 1, 0.5 and -1."""
    out = _power(x, y)
    if type(out) is Traced and _is_weak(x) and _is_weak(y):
        out.weak = True
    return out


def _power(x, y):
    # 3 ** 2.0 is 9.0, and NumPy's own numbers promote: neither is short
    short = type(y) is int or (type(y) is float and type(x) is Traced and x.type.inexact)
    if short and type(x) is Traced:
        if y == 2:
            return apply_ufunc(np.square, x)
        if y == 1 and x.type.dtype.kind != "b":
            return +x
        if x.type.inexact and y == 0.5:
            return apply_ufunc(np.sqrt, x)
        if x.type.inexact and y == -1:
            return apply_ufunc(np.reciprocal, x)
        if x.weak and x.type.dtype.kind == "i" and y < 0:
            return apply_ufunc(np.power, cast_to(x, np.dtype(np.float64)), y)
    return binary(elementwise.power, np.power, x, y)
