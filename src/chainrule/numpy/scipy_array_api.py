"""SciPy's code for arrays of any library, which can be followed where that for NumPy is compiled.

Rotations have a form in compiled code, for NumPy's arrays, and one for all others: while a trace is
open, they take the second. `at(x)[i].set(y)`, with which such code writes, makes a plain x traced
where y is.
"""

from __future__ import annotations

import functools
import sys
from collections.abc import Callable
from typing import Any

import numpy as np

from chainrule.numpy.promotion import contains_traced
from chainrule.numpy.shaping import array
from chainrule.program.trace import current

_ROTATIONS = "scipy.spatial.transform._rotation"
_WRITING = "scipy._lib.array_api_extra._lib._at"


def names() -> list[tuple]:
    """Names to exchange: module, name, original, replacement; none where they are not loaded."""
    module: Any = sys.modules.get(_ROTATIONS)
    if not hasattr(module, "select_backend") or not hasattr(module, "xp_backend"):
        return []
    select = module.select_backend
    return [(module, "select_backend", select, _selecting(select, module.xp_backend))]


@functools.lru_cache(maxsize=4)
def _selecting(original: Callable, followed) -> Callable:
    @functools.wraps(original)
    def select_backend(xp, cython_compatible):
        return original(xp, cython_compatible) if current() is None else followed

    return select_backend


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
