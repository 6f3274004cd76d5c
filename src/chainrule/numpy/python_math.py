"""Python's `math` on traced numbers: math.sin(x) is np.sin(x), a Python float.

The functions of `math` ask their argument for a float, which no derivative can follow. While a
trace is open, the attributes of the module are therefore replaced (interception.py); a function
that was imported by its name, `from math import sin`, is not. Results are Python floats (float64
that gives way to other dtypes, NEP 50), and where the value of the argument is at hand, the errors
are Python's: math.log(0.0) raises ValueError. Where it is not (compile, vmap), they are NumPy's
nan and inf.

Value and slope are those of the NumPy or SciPy function of the same meaning, which has its own
tests; erf, erfc, gamma and lgamma are SciPy's.
"""

from __future__ import annotations

import functools
import math
from collections.abc import Callable
from importlib import import_module

import numpy as np

from chainrule.numpy.promotion import cast_to, stacked
from chainrule.program.at_hand import AtHand
from chainrule.program.trace import Traced

_FLOAT = np.dtype(np.float64)


def _special(name: str) -> Callable:
    return lambda x: getattr(import_module("scipy.special"), name)(x)  # slow to load


def _log(x, base=None):
    return np.log(x) if base is None else np.log(x) / np.log(base)


def _hypot(*coordinates):
    return functools.reduce(np.hypot, coordinates, 0.0)


def _remainder(x, y):
    return x - y * np.rint(x / y)  # to the nearest multiple, ties to even, as IEEE 754 has it


def _modf(x):
    whole = np.trunc(x)
    return x - whole, whole


def _is_close(a, b, *, rel_tol=1e-09, abs_tol=0.0):
    largest = np.maximum(np.abs(a), np.abs(b))
    near = np.abs(a - b) <= np.maximum(rel_tol * largest, abs_tol)
    return (near & np.isfinite(a) & np.isfinite(b)) | (a == b)


def _norm_of_difference(p, q):
    return _hypot(*[_number(a) - _number(b) for a, b in zip(p, q, strict=True)])


def _sum(values):
    numbers = [_number(v) for v in values]
    return stacked(numbers).sum()


def _sum_of_products(p, q):
    return _sum(_number(a) * _number(b) for a, b in zip(p, q, strict=True))


def _product(values, *, start=1):
    return functools.reduce(lambda a, b: a * b, values, start)


# name in `math` -> the meaning on traced numbers
OF_NUMBERS: dict[str, Callable] = {
    "sin": np.sin, "cos": np.cos, "tan": np.tan, "asin": np.arcsin, "acos": np.arccos,
    "atan": np.arctan, "sinh": np.sinh, "cosh": np.cosh, "tanh": np.tanh, "asinh": np.arcsinh,
    "acosh": np.arccosh, "atanh": np.arctanh, "exp": np.exp, "exp2": np.exp2, "expm1": np.expm1,
    "log": _log, "log1p": np.log1p, "log2": np.log2, "log10": np.log10, "sqrt": np.sqrt,
    "cbrt": np.cbrt, "fabs": np.fabs, "degrees": np.degrees, "radians": np.radians,
    "pow": np.power, "atan2": np.arctan2, "copysign": np.copysign, "fmod": np.fmod,
    "hypot": _hypot, "remainder": _remainder, "modf": _modf, "erf": _special("erf"),
    "erfc": _special("erfc"), "gamma": _special("gamma"), "lgamma": _special("gammaln"),
    "isnan": np.isnan, "isinf": np.isinf, "isfinite": np.isfinite, "isclose": _is_close,
}  # fmt: skip
OF_SEQUENCES: dict[str, Callable] = {
    "fsum": _sum, "dist": _norm_of_difference, "sumprod": _sum_of_products,
}  # fmt: skip

_WITH_ERRORS = frozenset({
    "asin", "acos", "acosh", "atanh", "log", "log1p", "log2", "log10", "sqrt", "exp", "exp2",
    "expm1", "sinh", "cosh", "pow", "fmod", "remainder", "gamma", "lgamma",
})  # fmt: skip


def replacements() -> list[tuple[str, Callable, Callable]]:
    """Names in `math`, the functions there, and those to put in their place."""
    found = []
    for table, kind in ((OF_NUMBERS, _of_numbers), (OF_SEQUENCES, _of_sequences)):
        for name, meaning in table.items():
            original = getattr(math, name, None)  # some came with a later Python
            if original is not None:
                found.append((name, original, kind(original, meaning)))
    return found


@functools.lru_cache(maxsize=128)
def _of_numbers(original: Callable, meaning: Callable) -> Callable:
    @functools.wraps(original)
    def function(*args, **kwargs):
        for a in args:
            if type(a) is Traced:
                return _as_python(_checked(original, meaning, args, kwargs))
        return original(*args, **kwargs)

    return function


@functools.lru_cache(maxsize=16)
def _of_sequences(original: Callable, meaning: Callable) -> Callable:
    @functools.wraps(original)
    def function(*args):
        kept = [a if type(a) is Traced else list(a) for a in args]
        if any(type(a) is Traced or any(type(v) is Traced for v in a) for a in kept):
            return _as_python(meaning(*kept))
        return original(*kept)

    return function


def _checked(original: Callable, meaning: Callable, args: tuple, kwargs: dict):
    """The meaning on these numbers, after Python's own errors, where the values are at hand."""
    numbers = [_number(a) for a in args]
    if original.__name__ in _WITH_ERRORS:
        values = [_value(a) if type(a) is Traced else a for a in numbers]
        if all(v is not None for v in values):
            original(*map(float, values), **kwargs)
    return meaning(*numbers, **kwargs)


def _value(x: Traced):
    """The value where it is simply known; a compiled function is not to depend on it."""
    at_hand = x.builder.at_hand
    known = type(at_hand) is AtHand and not at_hand.by_reference
    return x.builder.value(x._var) if known else None


def _number(value):
    """A traced value as a float, for which only a single number may be taken."""
    if type(value) is not Traced:
        return value
    if value.type.dtype.kind == "c":
        raise TypeError("must be real number, not complex")
    if value.type.size != 1:
        raise TypeError("only 0-dimensional arrays can be converted to Python scalars")
    return cast_to(value.reshape(()) if value.type.ndim else value, _FLOAT)


def _as_python(result):
    if type(result) is tuple:
        return tuple(map(_as_python, result))
    if type(result) is Traced:
        result.weak, result.boxed = True, False
    return result
