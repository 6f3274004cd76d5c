"""Python's operators and conversions on traced values."""

from __future__ import annotations

import dis
import operator
from collections.abc import Callable
from functools import partial

import numpy as np

from chainrule import errors
from chainrule.numpy.indexing import get_item, set_item
from chainrule.numpy.ufuncs import (
    apply_ufunc,
    array_ufunc,
    binary,
    raise_power,
    unary,
    write_whole,
)
from chainrule.program.mutation import local
from chainrule.program.noting import PLAIN, unnoted
from chainrule.program.op import REGISTRY
from chainrule.program.text import line_text
from chainrule.program.trace import (
    Traced,
    concrete_value,
    current,
    inputs_without_value,
    raise_leaked,
    user_line,
)

_BINARY = {
    "add": np.add, "sub": np.subtract, "mul": np.multiply, "truediv": np.divide,
    "floordiv": np.floor_divide, "mod": np.remainder, "and": np.bitwise_and,
    "or": np.bitwise_or, "xor": np.bitwise_xor, "lshift": np.left_shift,
    "rshift": np.right_shift,
}  # fmt: skip
_COMPARE = {
    "lt": np.less, "le": np.less_equal, "gt": np.greater, "ge": np.greater_equal,
    "eq": np.equal, "ne": np.not_equal,
}  # fmt: skip


def _between(function):
    """The method of a function of two operands; between plain ones, all code is chainrule's."""

    def method(self, other):
        if type(other) in PLAIN:
            return unnoted(function, self, other)
        if _goes_first(type(other)):
            return NotImplemented
        return function(self, other)

    return method


def _goes_first(kind: type) -> bool:
    """Whether NumPy's arrays leave an operator to objects of this class (a sparse matrix)."""
    priority = getattr(kind, "__array_priority__", 0)
    return type(priority) in (int, float) and priority > 0 and not hasattr(kind, "__array_ufunc__")


def _forward(ufunc):
    op = REGISTRY[ufunc.__name__]
    return _between(partial(binary, op, ufunc))


def _reflected(ufunc):
    op = REGISTRY[ufunc.__name__]
    return _between(lambda self, other: binary(op, ufunc, other, self))


def _in_place(compute, name: str):
    def updated(self, other):
        cell = self if self._view is not None else local(self)
        result = compute(self, other)
        if result is NotImplemented or (cell.type.ndim == 0 and not cell.boxed):
            return result  # a scalar is immutable: a += 1 rebinds the name, as in Python
        write_whole(self, result, True, f"ufunc '{name}'")
        return self

    return _between(updated)


def _install_arithmetic() -> None:
    for name, ufunc in _BINARY.items():
        forward = _forward(ufunc)
        setattr(Traced, f"__{name}__", forward)
        setattr(Traced, f"__r{name}__", _reflected(ufunc))
        setattr(Traced, f"__i{name}__", _in_place(forward, ufunc.__name__))
    for name, ufunc in _COMPARE.items():
        setattr(Traced, f"__{name}__", _forward(ufunc))
    for name, function in (("neg", np.negative), ("abs", np.absolute), ("invert", np.invert)):
        setattr(Traced, f"__{name}__", _unary(REGISTRY[function.__name__], function))


def _unary(op, ufunc):
    return lambda self: unnoted(unary, op, ufunc, self)


def _divmod(self, other):
    return self // other, self % other


def _rdivmod(self, other):
    return other // self, other % self


def _positive(self):
    out = self.copy("K")  # a value of its own: later writes to x do not change +x
    out.boxed = False
    return out


def _matmul(self, other):
    return apply_ufunc(np.matmul, self, other)


def _rmatmul(self, other):
    return apply_ufunc(np.matmul, other, self)


# --- conversions: a constant must never be stored without a word --------------------------------


def needs_value(traced: Traced, asked: str, instead: str):
    """The value at hand for a use that no derivative can follow; an error where one could."""
    if not traced.builder.open:
        raise_leaked(traced)
    value = concrete_value(traced)
    if traced.active or value is None:
        reason = (
            "a derivative with respect to it would be silently lost"
            if traced.active
            else no_value_at_hand(traced)
        )
        error = errors.ConcreteValueNeeded(
            f"{asked} needs the value of a traced {traced.type}, at {line_text(user_line())}: "
            f"{reason}.\n  {instead}"
        )
        if traced.type.size == 1 or "array" in asked or "list" in asked:
            remember_refusal(error)  # plain NumPy would have gone on: no `except` may hide it
        raise error
    return value


def no_value_at_hand(traced: Traced) -> str:
    """Why a trace cannot give a value, and what the value depends on, as part of a message."""
    names = ", ".join(map(repr, inputs_without_value(traced)))
    depends = f"; it depends on {names}" if names else ""
    if traced.builder.by_reference:
        known = (
            "a compiled function is told conditions and whole numbers, not what arrays of more "
            "than one hold"
        )
        return f"this trace has no value at hand ({known}{depends})"
    return f"this trace has no value at hand (compile, vmap, or the body of a loop){depends}"


def _or_static(traced: Traced) -> str:
    """The way out of a compiled function that others do not have."""
    if not traced.builder.by_reference:
        return ""
    return (
        "; or pass what decides as a Python number or bool, bool(...) or int(...) where the "
        "function is called: then it is traced for each value"
    )


def remember_refusal(error: Exception) -> None:
    """Note a refusal in all open traces: a caught one is raised again when the trace ends."""
    builder = current()
    while builder is not None:
        builder.refused = builder.refused or error
        builder = builder.parent


_FLOAT_ADVICE = (
    "NumPy calls this for buffer[0] = x: make the buffer inside the function, or with "
    "cr.numpy.zeros. "
    "A function of math is followed where it is called by a name of its module: math.sin(x). "
    "To use the value as a constant: cr.stop_gradient(x)."
)


_FORMAT_ADVICE = "Print what the function returns. Without a format, as in {x}, it shows its type."


def _float(self):
    if self.builder.open and _is_shown():
        value = concrete_value(self)
        if value is not None:
            return float(value)
    return float(needs_value(self, "float(x)", _FLOAT_ADVICE))


def _is_shown() -> bool:
    """Whether the user's code is at a "..." % x, the only % that asks x for a float."""
    where = user_line()
    if where is None:
        return False
    code, place = where
    at = next((i for i in dis.get_instructions(code) if i.offset == place), None)
    return at is not None and at.opname == "BINARY_OP" and at.argrepr in ("%", "%=")


_EXACT = 2.0**62  # below it a float fits into int64


def _whole(asked: str, rounded: Callable, needed: bool = True):
    """Python's roundings: steps, whose derivative is 0 between the jumps, as `rounded`'s is."""

    def whole(self):
        step = rounded(self) if self.type.dtype.kind == "f" else self
        value = step.builder.value(step._var) if step.builder.open else None
        if value is None or np.all(np.abs(value) < _EXACT):  # not for nan and what is too large
            step = step.astype(np.int64)  # by which samples of an expectation are told apart
        if value is None and not needed and self.type.size == 1 and self.type.dtype.kind != "c":
            return _as_python(step.reshape(()))  # no int is asked for where no value is known
        return int(needs_value(step, asked, f"Use np.{rounded.__name__}(x).{_as_index(self)}"))

    return whole


def _as_index(traced: Traced) -> str:
    """What to write for int(x) as an index."""
    if traced.type.dtype.kind in "iu":
        return " It is a whole number already: T[x] and x * y need no int(x)."
    return " For an index, T[np.floor(x).astype(int)], where T is made by cr.numpy.asarray."


_rounded = _whole("round(x)", np.rint, needed=False)


def _complex(self):
    return complex(needs_value(self, "complex(x)", _FLOAT_ADVICE))


def _item(self, *args):
    """x.item(): a Python number, a traced one where a derivative or the trace needs it to be."""
    if _is_known(self):
        return concrete_value(self).item(*args)
    if not args and self.type.size != 1:
        raise ValueError("can only convert an array of size 1 to a Python scalar")
    place = args[0] if len(args) == 1 else args
    flat = self.reshape(-1)
    return _as_python(self[place] if isinstance(place, tuple) and place else flat[place or 0])


def _tolist(self):
    """x.tolist(): nested lists of Python numbers, traced ones as those of x.item()."""
    if _is_known(self):
        return concrete_value(self).tolist()
    return [_tolist(row) for row in self] if self.type.ndim else _as_python(self)


def _is_known(traced: Traced) -> bool:
    """Whether a value is at hand that no derivative has to follow."""
    if not traced.builder.open:
        raise_leaked(traced)
    return not traced.active and traced.builder.may_decide(traced._var)


def _as_python(scalar: Traced) -> Traced:
    """A scalar as a Python number (NEP 50); a float16 or float32 becomes a float."""
    out = scalar.astype(np.result_type(scalar.type.dtype, type(scalar.type.dtype.type(0).item())))
    out.weak, out.boxed = True, False
    return out


def _array(self, dtype=None, copy=None):
    advice = (
        "NumPy asks for this in buffer[:] = x, plain.dot(x), np.exp([x, y]): make the buffer "
        "inside the function, or with cr.numpy.zeros; write np.dot(plain, x), "
        "np.exp(np.array([x, y])). To use the value as a constant: cr.stop_gradient(x)."
    )
    if self.type.dtype.kind in "biu":
        advice = (
            "NumPy asks for this in table[i], where the table is a plain array: write "
            "cr.numpy.asarray(table)[i] or np.take(table, i)."
        )
    return np.asarray(needs_value(self, "x.__array__()", advice), dtype=dtype)


def _bool(self):
    if not self.builder.open:
        raise_leaked(self)
    value = concrete_value(self)
    if value is None:
        raise errors.ConcreteValueNeeded(
            f"the truth value of a traced {self.type} is needed at {line_text(user_line())}, and "
            f"{no_value_at_hand(self)}.\n"
            "  Use np.where(condition, a, b), cr.cond or cr.while_loop"
            f"{_or_static(self)}."
        )
    return bool(value)


def _index(self):
    if self.type.dtype.kind not in "iub" or self.type.ndim:
        raise TypeError("only integer scalar arrays can be converted to a scalar index")
    value = concrete_value(self)
    if value is None:
        raise errors.ConcreteValueNeeded(
            f"the value of a traced integer is needed at {line_text(user_line())} (an index bound, "
            f"a shape or a loop count), and {no_value_at_hand(self)}.\n"
            f"  For a loop, use cr.fori_loop or cr.scan{_or_static(self)}."
        )
    return operator.index(value)


def _len(self):
    if not self.type.ndim:
        raise TypeError("len() of unsized object")
    return self.type.shape[0]


def _iter(self):
    if not self.type.ndim:
        raise TypeError("iteration over a 0-d array")
    return (self[i] for i in range(self.type.shape[0]))


def _contains(self, value):
    return bool(apply_ufunc(np.equal, self, value).any())


def _repr(self):
    value = concrete_value(self) if self.builder.open else None
    shown = "" if value is None else f" = {value!r}"
    return f"Traced({self._var.type}{shown})"


def _format(self, spec):
    """As text; where there is no value, what it is, but for `{x:.2f}` in a compiled function, of
    which each call has its own."""
    builder = self.builder
    value = concrete_value(self) if builder.open else None
    if value is None and spec and builder.open and builder.parent is None and builder.by_reference:
        value = needs_value(self, "format(x, spec)", _FORMAT_ADVICE)
    return repr(self) if value is None else format(value, spec)


def _round(self, digits=None):
    return _rounded(self) if digits is None else self.round(digits)


def _copied(self):
    return self.copy("K")


def _deep_copied(self, memo):
    return self.copy("K")


def _refuse_pickling(self, *_):
    raise errors.ConcreteValueNeeded(
        f"a traced value cannot be pickled, at {line_text(user_line())}: return it from the traced "
        "function and store what the call gives."
    )




def install() -> None:
    """Give traced values their operators. Called once, when chainrule.numpy is imported."""
    _install_arithmetic()
    methods = {
        "__divmod__": _divmod, "__rdivmod__": _rdivmod, "__pos__": _positive,
        "__pow__": _between(raise_power), "__ipow__": _in_place(raise_power, "power"),
        "__rpow__": _between(lambda self, other: raise_power(other, self)),
        "__matmul__": _between(_matmul), "__rmatmul__": _between(_rmatmul),
        "__float__": _float, "__int__": _whole("int(x)", np.trunc),
        "__floor__": _whole("math.floor(x)", np.floor, needed=False),
        "__ceil__": _whole("math.ceil(x)", np.ceil, needed=False),
        "__trunc__": _whole("math.trunc(x)", np.trunc, needed=False),
        "__complex__": _complex, "__bool__": _bool,
        "__index__": _index, "__array__": _array, "item": _item, "tolist": _tolist,
        "__len__": _len, "__iter__": _iter, "__contains__": _contains, "__round__": _round,
        "__getitem__": get_item, "__setitem__": set_item, "__repr__": _repr, "__format__": _format,
        "__array_ufunc__": array_ufunc, "__reduce__": _refuse_pickling, "__hash__": None,
        "__copy__": _copied, "__deepcopy__": _deep_copied,
    }  # fmt: skip
    for name, method in methods.items():
        setattr(Traced, name, method)
