"""Linear recurrences along the last axis: the feedback of a digital filter.

    w[n] = x[n] - c[0] w[n-1] - ... - c[k-1] w[n-k],  with w = 0 before the start

Value     scipy.signal.lfilter. `c` is one vector, or a stack of vectors, one for each signal.
Slope     linear in x, with the time-reversed recurrence as its transpose; by c,
          dw = -recurrence(c, dc[0] w[n-1] + ... + dc[k-1] w[n-k]).
Source    ours; for the transpose Oppenheim and Schafer, Discrete-Time Signal Processing, 6.4.
"""

from __future__ import annotations

from importlib import import_module

import numpy as np

from chainrule import errors
from chainrule.ops.elementwise import conj
from chainrule.ops.index import index
from chainrule.ops.join import pad
from chainrule.ops.shape import add_batch_axis, broadcast, flip
from chainrule.program.op import Linear, Op
from chainrule.program.types import Type


def _type(c: Type, x: Type) -> tuple[Type, ...]:
    if not c.ndim or not x.ndim or c.dtype != x.dtype or c.shape[:-1] not in ((), x.shape[:-1]):
        raise errors.ShapeError(f"recurrence: coefficients {c} do not fit signals {x}.")
    return (x,)


def _recurrence(c, x):
    if not x.size:
        return np.array(x)
    if c.ndim > 1:
        rows = zip(c.reshape(-1, c.shape[-1]), x.reshape(-1, x.shape[-1]), strict=True)
        return np.stack([_recurrence(*row) for row in rows]).reshape(x.shape)
    one = np.ones(1, x.dtype)
    return import_module("scipy.signal").lfilter(one, np.concatenate((one, c)), x)


def _reversed(x):
    return flip(x, axes=(x.ndim - 1,))


def _transpose(ct, c, x):
    return None, _reversed(recurrence(conj(c), _reversed(ct)))


def delayed(x, steps: int):
    """x moved to later times along its last axis, with zeros before."""
    n = x.shape[-1]
    lead = tuple((0, m, 1) for m in x.shape[:-1])
    kept = index(x, at=(*lead, (0, max(n - steps, 0), 1)))
    return pad(kept, widths=(*((0, 0) for _ in lead), (min(steps, n), 0)))


def _tangent(inputs, outputs, tangents):
    (c, _), (w,), (dc, _) = inputs, outputs, tangents
    whole = tuple((0, m, 1) for m in c.shape[:-1])
    axes = tuple(range(w.ndim - 1)) if c.ndim > 1 else ()
    moved = None
    for j in range(c.shape[-1]):
        factor = broadcast(index(dc, at=(*whole, j)), shape=w.shape, axes=axes)
        term = factor * delayed(w, j + 1)
        moved = term if moved is None else moved + term
    return None if moved is None else -recurrence(c, moved)


def _batch(size, inputs, batched):
    c, x = inputs
    x = x if batched[1] else add_batch_axis(x, size)
    if not batched[0]:
        return recurrence(c if c.ndim == 1 else add_batch_axis(c, size), x)
    if c.ndim == 2 and x.ndim > 2:  # it was one vector for all signals of a stack
        c = broadcast(c, shape=(*x.shape[:-1], c.shape[-1]), axes=(0, x.ndim - 1))
    return recurrence(c, x)


recurrence: Op = Op(
    "recurrence", _type, _recurrence, Linear(_transpose, positions=(1,), forward=_tangent), _batch,
    flops=lambda ins, outs, params: 2 * ins[0].shape[-1] * outs[0].size,
    doc="(c, x): w with w[n] = x[n] - c[0] w[n-1] - ... - c[k-1] w[n-k] along the last axis",
)  # fmt: skip
