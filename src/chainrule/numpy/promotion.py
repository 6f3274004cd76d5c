"""NumPy's promotion and broadcasting, made explicit: casts and broadcasts become equations.

The dtypes come from NumPy's own resolution of each ufunc (NEP 50, weak Python scalars included),
so the promotion table is NumPy's by construction.
"""

from __future__ import annotations

import numpy as np

from chainrule import errors
from chainrule.ops.select import cast
from chainrule.ops.shape import broadcast, reshape
from chainrule.program.text import line_text
from chainrule.program.trace import (
    Traced,
    bind,
    concrete_value,
    current,
    refuse_subclass,
    traced_literal,
    user_line,
)
from chainrule.program.types import is_supported

_PYTHON_KIND = {"b": np.dtype(bool), "i": int, "f": float, "c": complex}
_resolved: dict[tuple, tuple[np.dtype, ...]] = {}


def promoted_kind(value):
    """What decides promotion: a dtype, or a Python type for a weak scalar."""
    if type(value) is Traced:
        dtype = value._var.type.dtype
        return _PYTHON_KIND[dtype.kind] if value.weak else dtype
    if type(value) in (float, int, complex):
        return type(value)
    if isinstance(value, bool):
        return np.dtype(bool)
    if isinstance(value, np.ndarray | np.generic):
        return value.dtype
    if isinstance(value, int | float | complex):
        return float if isinstance(value, float) else int if isinstance(value, int) else complex
    return np.asarray(value).dtype


def resolve(ufunc: np.ufunc, kinds: tuple) -> tuple[np.dtype, ...]:
    """The dtypes of a ufunc's loop (inputs, then outputs) for these dtypes or Python types."""
    key = (ufunc, *kinds)
    found = _resolved.get(key)
    if found is None:
        if all(kind is int for kind in kinds):  # NumPy compares Python ints as objects
            kinds = (np.dtype(np.int64),) * len(kinds)
        try:
            found = ufunc.resolve_dtypes((*kinds, *(None,) * ufunc.nout))
        except TypeError as error:
            raise errors.DtypeError(f"{error}, at {line_text(user_line())}") from None
        if not all(is_supported(d) for d in found):
            raise errors.DtypeError(f"np.{ufunc.__name__} on {kinds} gives unsupported dtypes.")
        _resolved[key] = found
    return found


def as_array(value):
    """A list or tuple as an array, stacked where it holds traced values; all else unchanged."""
    if isinstance(value, list | tuple):
        return stacked(value) if contains_traced(value) else np.asarray(value)
    return value


def stacked(value) -> Traced:
    """Nested lists that hold traced values as one array: cast to one dtype, then stacked."""
    dtype = np.result_type(*_leaf_dtypes(value))

    def build(item):
        if isinstance(item, list | tuple):
            return np.stack([build(i) for i in item]) if item else traced(np.zeros(0, dtype))
        return traced(cast_to(item, dtype))

    try:
        return build(value)
    except errors.ShapeError:
        raise errors.ShapeError(
            "setting an array element with a sequence. The requested array has an inhomogeneous "
            f"shape, at {line_text(user_line())}"
        ) from None


def _leaf_dtypes(value) -> list:
    """The dtypes that NumPy gives the leaves in an array: Python scalars have their default."""
    if isinstance(value, list | tuple):
        return [dtype for item in value for dtype in _leaf_dtypes(item)]
    return [dtype_of(value)]


def contains_traced(value) -> bool:
    """Whether a nested list or tuple holds a traced value."""
    if isinstance(value, list | tuple):
        return any(contains_traced(item) for item in value)
    return type(value) is Traced


def shape_of(value) -> tuple[int, ...]:
    if type(value) is Traced:
        return value._var.type.shape
    return np.shape(value)


def dtype_of(value) -> np.dtype:
    """The strong dtype of any value."""
    if type(value) is Traced:
        return value._var.type.dtype
    return np.asarray(value).dtype if not hasattr(value, "dtype") else value.dtype


def spelled(shape) -> str:
    """A shape as NumPy's messages spell it: (3,4), (3,)."""
    return "(" + ",".join(map(str, shape)) + ("," if len(shape) == 1 else "") + ")"


def broadcast_shape(*shapes) -> tuple[int, ...]:
    """NumPy's broadcast of shapes; the error is worded like NumPy's, with the user's line."""
    first = shapes[0]
    if all(s == first for s in shapes):
        return first
    try:
        return np.broadcast_shapes(*shapes)
    except ValueError:
        together = " ".join(map(spelled, shapes))
        raise errors.ShapeError(
            f"operands could not be broadcast together with shapes {together}, "
            f"at {line_text(user_line())}"
        ) from None


def broadcast_to(value, shape: tuple[int, ...]):
    """The value repeated to `shape`, as an equation where it is needed; scalars stay scalars."""
    have = shape_of(value)
    if have == shape or not (type(value) is Traced or isinstance(value, np.ndarray)):
        return value
    try:
        fits = np.broadcast_shapes(have, shape) == shape
    except ValueError:
        fits = False
    if not fits:
        raise errors.ShapeError(
            f"could not broadcast input array from shape {have} into shape {shape}, "
            f"at {line_text(user_line())}"
        )
    lead = len(shape) - len(have)
    kept = [a for a, n in enumerate(have) if n == shape[lead + a]]
    value = traced(value)  # an array is captured as it is, not as a view that this function made
    if len(kept) != len(have):
        value = reshape(value, shape=tuple(have[a] for a in kept))
    return broadcast(value, shape=shape, axes=tuple(lead + a for a in kept))


def cast_to(value, dtype: np.dtype):
    """The value in another dtype, as an equation where it is traced or an array."""
    if type(value) is Traced:
        if value._var.type.dtype == dtype and not value.weak:
            return value
        if value._var.type.dtype == dtype:
            return strong(value)
        number = python_int(value) if dtype.kind in "iu" else None
        if number is not None:
            dtype.type(number)  # NumPy refuses one that does not fit
        return cast(value, dtype=dtype)
    if isinstance(value, np.ndarray) and value.ndim:
        return value if value.dtype == dtype else bind(cast, (traced(value),), {"dtype": dtype})
    if isinstance(value, np.ndarray):
        refuse_subclass(value)
    return dtype.type(value)


def python_int(value) -> int | None:
    """The number that a Python int is, or a traced one whose value is at hand; else None."""
    if type(value) is int:
        return value
    if type(value) is Traced and value.weak and value._var.type.dtype.kind == "i":
        found = concrete_value(value)
        return None if found is None else int(found)
    return None


def strong(value: Traced) -> Traced:
    """The same value without a Python scalar's weakness."""
    if not value.weak:
        return value
    out = Traced(value.builder, value._var, False, value.active)
    return out


def traced(value) -> Traced:
    """Any array or scalar as a traced value of the current trace."""
    if type(value) is Traced:
        return value
    builder = current()
    assert builder is not None
    value = as_array(value)
    if isinstance(value, np.ndarray):
        return builder.capture(value)
    if isinstance(value, np.generic | bool | int | float | complex):
        return traced_literal(value, np.asarray(value).dtype)
    raise errors.NotSupported(
        f"cannot use a {type(value).__name__} as an array, at {line_text(user_line())}"
    )


def uniform(values, dtype=None):
    """Values cast to one dtype (NumPy's result_type of them) and broadcast to one shape."""
    values = [as_array(v) for v in values]
    if dtype is None:
        dtype = result_dtype(*values)
    shape = broadcast_shape(*(shape_of(v) for v in values))
    return [broadcast_to(cast_to(v, dtype), shape) for v in values]


def result_dtype(*values) -> np.dtype:
    """NumPy's result_type of traced values, arrays, scalars and dtypes."""
    plain = []
    for value in values:
        if type(value) is Traced:
            kind = promoted_kind(value)
            plain.append(kind if isinstance(kind, np.dtype) else kind(0))
        elif isinstance(value, list | tuple):
            plain.append(result_dtype(*value))
        else:
            plain.append(value)
    return np.result_type(*plain)
