"""Questions about memory: np.may_share_memory and np.shares_memory.

Traced values share memory where NumPy's arrays would: an array and its views. A traced value and a
plain array are never the same memory, since a trace works on arguments of its own.
"""

from __future__ import annotations

import numpy as np

from chainrule.numpy.protocols import implements
from chainrule.program.mutation import local
from chainrule.program.trace import Traced


def _base_and_cells(x: Traced) -> tuple[Traced, np.ndarray]:
    """The value that x is a view of, and the memory cells of x in it: two for a complex number."""
    x = local(x)
    views = []
    while x._view is not None:
        views.append(x._view)
        x = x._view.parent
    cells = 2.0 * np.arange(x.type.size).reshape(x.type.shape)
    if x.type.dtype.kind == "c":
        cells = cells + 1j * (cells + 1)
    for view in reversed(views):
        cells = np.asarray(view.read(cells))
    return x, np.append(cells.real, cells.imag) if cells.dtype.kind == "c" else cells


def _cells_of_one_base(a, b) -> tuple[np.ndarray, np.ndarray] | None:
    """The memory cells of two values, or None where they are views of different ones."""
    if type(a) is not Traced or type(b) is not Traced:
        return None
    (base, cells), (other, others) = _base_and_cells(a), _base_and_cells(b)
    one = base is other or any(other is alias for alias in base.builder.aliases.get(id(base), ()))
    is_scalar = not base.type.ndim and not base.boxed
    return (cells, others) if one and not is_scalar and cells.size and others.size else None


@implements(np.shares_memory)
def shares_memory(a, b, /, max_work=None):
    """np.shares_memory: whether two arrays have an element in common."""
    cells = _cells_of_one_base(a, b)
    return cells is not None and bool(np.isin(*cells).any())


@implements(np.may_share_memory)
def may_share_memory(a, b, /, max_work=None):
    """np.may_share_memory: whether the spans of two arrays in memory overlap."""
    found = _cells_of_one_base(a, b)
    if found is None:
        return False
    cells, others = found
    return bool(cells.min() <= others.max() and others.min() <= cells.max())
