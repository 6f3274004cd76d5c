"""np.lib.scimath: square roots, logarithms and inverses that turn complex outside the real domain.

Whether they do is decided by the value at hand, for the whole array, as in NumPy; the result is
then the complex function of a complex number, and so is the derivative.
"""

from __future__ import annotations

import numpy as np
from numpy.lib import scimath

from chainrule import errors
from chainrule.numpy.promotion import cast_to
from chainrule.numpy.protocols import implements
from chainrule.numpy.shaping import array
from chainrule.program.text import line_text
from chainrule.program.trace import Traced, concrete_value, user_line

_SMALL = "bBhHf"  # what complex64 holds


def _value_of(x: Traced, name: str) -> np.ndarray:
    value = concrete_value(x)
    if value is None:
        raise errors.ConcreteValueNeeded(
            f"whether np.lib.scimath.{name} is complex depends on the value of a traced {x.type}, "
            f"at {line_text(user_line())}, and this trace has none at hand (compile, vmap, or the "
            f"body of a loop).\n  Write np.{name}(x.astype(complex)), or np.{name}(x) where x "
            "stays in its domain."
        )
    return np.asarray(value)


def _where_needed(x, name: str, outside) -> Traced:
    """x, as a complex array where `outside` holds for any of its values."""
    x = array(x)
    if x.dtype.kind == "c" or not np.any(outside(_value_of(x, name))):
        return x
    return cast_to(x, np.dtype(np.complex64 if x.dtype.char in _SMALL else np.complex128))


def _negative(value):
    return value < 0


def _beyond_one(value):
    return np.abs(value) > 1


def _of_positives(name: str):
    ufunc = getattr(np, name)
    return lambda x: ufunc(_where_needed(x, name, _negative))


def _of_fractions(name: str):
    ufunc = getattr(np, name)
    return lambda x: ufunc(_where_needed(x, name, _beyond_one))


for _name in ("sqrt", "log", "log2", "log10"):
    implements(getattr(scimath, _name))(_of_positives(_name))
for _name in ("arcsin", "arccos", "arctanh"):
    implements(getattr(scimath, _name))(_of_fractions(_name))


@implements(scimath.logn)
def logn(n, x):
    """np.lib.scimath.logn: the logarithm of x to the base n."""
    return np.log(_where_needed(x, "log", _negative)) / np.log(_where_needed(n, "log", _negative))


@implements(scimath.power)
def power(x, p):
    """np.lib.scimath.power: x ** p, complex where x is negative; p of integers may be negative."""
    p = array(p)
    if p.dtype.kind in "iu" and np.any(_negative(_value_of(p, "power"))):
        p = cast_to(p, np.dtype(np.float64))
    return np.power(_where_needed(x, "power", _negative), p)
