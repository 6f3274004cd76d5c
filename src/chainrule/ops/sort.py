"""Order along an axis: sort, argsort, argpartition, searchsorted, and reading along an order.

Value     NumPy's functions; nan sorts last, and complex numbers by real, then imaginary part.
Slope     of sort: the tangents in the order of the values, equal values keeping their order (a
          stable argsort). The others give indices, through which no derivative passes.
"""

import numpy as np

from chainrule import errors
from chainrule.ops.index import index
from chainrule.ops.shape import add_batch_axis, broadcast, iota
from chainrule.program.op import Discrete, Forward, Op
from chainrule.program.types import Type

_INT64 = np.dtype(np.int64)


def along(x, order, axis: int):
    """x read along one axis at the positions in `order`: NumPy's take_along_axis."""
    places = []
    for a in range(x.ndim):
        counting = order if a == axis else iota(size=x.shape[a], dtype=_INT64)
        whole = a == axis or order.ndim == 1
        places.append(counting if whole else broadcast(counting, shape=order.shape, axes=(a,)))
    return index(x, *places, at=())


def axis_batch(op):
    """The batching rule of an operation along one axis: the same, one axis further."""

    def rule(size, inputs, batched, *, axis, **params):
        return op()(inputs[0], axis=axis + 1, **params)

    return rule


def _sort_tangent(inputs, outputs, tangents, *, axis):
    return along(tangents[0], argsort(inputs[0], axis=axis, stable=True), axis)


sort: Op = Op(
    "sort", lambda x, *, axis: (x,), lambda x, *, axis: np.sort(x, axis),
    Forward(_sort_tangent), axis_batch(lambda: sort), doc="the entries in order along `axis`",
)  # fmt: skip


def _argsort(x, *, axis, stable):
    return np.argsort(x, axis, kind="stable" if stable else None)


argsort: Op = Op(
    "argsort", lambda x, *, axis, stable: (x.with_dtype(_INT64),), _argsort, Discrete(),
    axis_batch(lambda: argsort),
    doc="the indices that sort along `axis`; NumPy's own choice at ties unless `stable`",
)  # fmt: skip
argpartition: Op = Op(
    "argpartition", lambda x, *, axis, kth: (x.with_dtype(_INT64),),
    lambda x, *, axis, kth: np.argpartition(x, kth, axis), Discrete(),
    axis_batch(lambda: argpartition),
    doc="indices that put the entries `kth` in their sorted places along `axis`",
)  # fmt: skip


def _searchsorted_type(a: Type, v: Type, *, side, lead) -> tuple[Type, ...]:
    if a.ndim != lead + 1 or a.shape[:lead] != v.shape[:lead] or a.dtype != v.dtype:
        raise errors.ShapeError(f"searchsorted cannot place {v} in {a} with {lead} leading axes.")
    return (v.with_dtype(_INT64),)


def _searchsorted(a, v, *, side, lead):
    if not lead:
        return np.searchsorted(a, v, side)
    out = np.empty(v.shape, np.int64)
    for lane in np.ndindex(v.shape[:lead]):
        out[lane] = np.searchsorted(a[lane], v[lane], side)
    return out


def _searchsorted_batch(size, inputs, batched, *, side, lead):
    a, v = inputs
    if lead == 0 and not batched[0]:
        return searchsorted(a, v, side=side, lead=0)
    a = a if batched[0] else add_batch_axis(a, size)
    v = v if batched[1] else add_batch_axis(v, size)
    return searchsorted(a, v, side=side, lead=lead + 1)


searchsorted: Op = Op(
    "searchsorted", _searchsorted_type, _searchsorted, Discrete(), _searchsorted_batch,
    flops=lambda ins, outs, params: outs[0].size * max(ins[0].shape[-1], 1).bit_length(),
    doc="where each entry of the second array fits into the sorted first; `lead` axes are matched",
)  # fmt: skip
