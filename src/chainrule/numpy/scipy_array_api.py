"""SciPy's code for arrays of any library, which can be followed where that for NumPy is compiled.

Rotations and radial basis functions have a form in compiled code, for NumPy's arrays, and one for
all others (SciPy 1.17): while a trace is open, they take the second. `at(x)[i].set(y)`, with which
such code writes, makes a plain x traced where y is. Where only a step differs, it is that one.
"""

from __future__ import annotations

import functools
import sys
from collections.abc import Callable
from typing import Any

import numpy as np

from chainrule.numpy.promotion import contains_traced
from chainrule.numpy.shaping import array
from chainrule.numpy.undispatched import replaces
from chainrule.program.trace import current

_CHOICES = (  # module, the function in it that chooses the form, the form to take
    ("scipy.spatial.transform._rotation", "select_backend", "xp_backend"),
    ("scipy.spatial.transform._rigid_transform", "select_backend", "xp_backend"),
    ("scipy.interpolate._rbfinterp", "_get_backend", "_rbfinterp_xp"),
)
_WRITING = "scipy._lib.array_api_extra._lib._at"


def names() -> list[tuple]:
    """Names to exchange: module, name, original, replacement; none where they are not loaded."""
    found = []
    for home, name, form in _CHOICES:
        module: Any = sys.modules.get(home)
        if hasattr(module, name) and hasattr(module, form):
            choose = getattr(module, name)
            found.append((module, name, choose, _choosing(choose, getattr(module, form))))
    return found


@functools.lru_cache(maxsize=8)
def _choosing(original: Callable, followed) -> Callable:
    @functools.wraps(original)
    def choose(*args, **options):
        return original(*args, **options) if current() is None else followed

    return choose


@replaces("scipy._lib.array_api_compat.numpy.linalg", "solve")
def solve(x1, x2, /):
    """As NumPy 2 has it."""
    return np.linalg.solve(x1, x2)


@replaces("scipy.stats._stats_py", "_order_ranks")
def order_ranks(ranks, places, *, xp=None):
    """Sorted ranks, in the order of the entries: how scipy.stats.rankdata ends."""
    return np.take_along_axis(ranks, np.argsort(places, axis=-1), axis=-1)


def replacements() -> list[tuple[Any, str, Callable, Callable]]:
    """The class, the name of its method, this, and that to put in its place."""
    cls = getattr(sys.modules.get(_WRITING), "at", None)
    if cls is None or "_op" not in vars(cls):
        return []
    return [(cls, "_op", vars(cls)["_op"], _writing(vars(cls)["_op"]))]


@functools.lru_cache(maxsize=4)
def _writing(original: Callable) -> Callable:
    @functools.wraps(original)
    def write(self, at_op, in_place_op, out_of_place_op, y, **options):
        if isinstance(self._x, np.ndarray) and contains_traced([y, self._idx]):
            self._x = array(self._x).copy()
        return original(self, at_op, in_place_op, out_of_place_op, y, **options)

    return write
