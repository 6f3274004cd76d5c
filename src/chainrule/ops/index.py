"""Reading and writing parts of an array: `index`, `index_set`, `index_add`.

The first k axes are read by k integer arrays of one shape, the others by static entries `at`: an
int (which drops the axis) or (start, stop, step) with start and stop inside the axis. The result's
shape is the index arrays' shape followed by the kept axes, as in NumPy.

Value     x[i1, ..., ik, *at]; an index outside its axis raises IndexError.
Slope     index and index_add are each other's transposes; the cotangent of a read is added into
          the running cotangent of the array in place, so n reads of x[i] cost O(n).
"""

import numpy as np

from chainrule import errors
from chainrule.ops.compare import equal
from chainrule.ops.select import select
from chainrule.ops.shape import add_batch_axis, broadcast, iota, move_axis, reshape, zeros_of
from chainrule.program.op import Linear, Op
from chainrule.program.trace import is_traced
from chainrule.program.types import Type


def _entries(arrays, at) -> tuple:
    return (*arrays, *(e if isinstance(e, int) else _slice(*e) for e in at))


def _slice(start: int, stop: int, step: int) -> slice:
    return slice(start, None if stop < 0 else stop, step)


def entry_length(entry: tuple[int, int, int]) -> int:
    """How many elements (start, stop, step) reads."""
    return len(range(*entry))


def _selected_shape(x: Type, arrays: tuple[Type, ...], at) -> tuple[int, ...]:
    if len(arrays) + len(at) != x.ndim:
        raise errors.ShapeError(f"{x.ndim} axes, but {len(arrays)} index arrays and at={at}.")
    for t in arrays:
        if t.shape != arrays[0].shape or t.dtype.kind not in "iu":
            raise errors.ShapeError(f"index arrays must be integers of one shape, got {arrays}.")
    rest = tuple(entry_length(e) for e in at if not isinstance(e, int))
    return (arrays[0].shape if arrays else ()) + rest


def _index_type(x: Type, *arrays: Type, at) -> tuple[Type, ...]:
    return (x.with_shape(_selected_shape(x, arrays, at)),)


def _index(x, *arrays, at):
    return x[_entries(arrays, at)]


def _index_accumulate(total, ct, x, *arrays, at):
    from_zero = zeros_of(x) if total is None else total
    return index_add(from_zero, ct, *arrays, at=at)


def _index_batch(size, inputs, batched, *, at):
    x, *arrays = inputs
    if not any(batched[1:]):
        out = index(move_axis(x, 0, len(arrays)), *arrays, at=((0, size, 1), *at))
        return move_axis(out, arrays[0].ndim, 0) if arrays else out
    arrays = [_batch_array(a, b, size) for a, b in zip(arrays, batched[1:], strict=True)]
    if not batched[0]:
        return index(x, *arrays, at=at)
    return index(x, _lane(size, arrays[0]), *arrays, at=at)


def _batch_array(array, is_batched: bool, size: int):
    return array if is_batched else add_batch_axis(array, size)


def _lane(size: int, like):
    lanes = iota(size=size, dtype=np.dtype(np.int64))
    return broadcast(lanes, shape=like.shape, axes=(0,))


index: Op = Op(
    "index", _index_type, _index,
    Linear(positions=(0,), accumulate=_index_accumulate), _index_batch, view=True,
    flops=lambda *_: 0, doc="x[i1, ..., ik, *at]",
)  # fmt: skip


def _write_type(x: Type, value: Type, *arrays: Type, at) -> tuple[Type, ...]:
    shape = _selected_shape(x, arrays, at)
    if value.dtype != x.dtype or value.shape not in (shape, ()):
        raise errors.ShapeError(f"cannot write {value} into a part of shape {shape} of {x}.")
    return (x,)


def _set_in_place(x, value, *arrays, at):
    x[_entries(arrays, at)] = value
    return x


def _set(x, value, *arrays, at):
    return _set_in_place(np.array(x), value, *arrays, at=at)


def _add_in_place(x, value, *arrays, at):
    entries = _entries(arrays, at)
    if arrays and arrays[0].ndim:
        np.add.at(x, entries, value)
    else:
        x[entries] += value
    return x


def _add(x, value, *arrays, at):
    return _add_in_place(np.array(x), value, *arrays, at=at)


def _set_transpose(ct, x, value, *arrays, at):
    part = _last_writers(ct, arrays, at)
    rest = index_set(ct, ct.dtype.type(0), *arrays, at=at)
    return (rest, part, *(None for _ in arrays))


def _last_writers(ct, arrays, at):
    """The cotangent of the value written; where an index repeats, only the last write counts."""
    part = index(ct, *arrays, at=at)
    if not arrays or arrays[0].ndim == 0:
        return part
    order = iota(size=arrays[0].size, dtype=np.dtype(np.int64))
    order = reshape(order, shape=arrays[0].shape)
    nobody = broadcast(np.int64(-1), shape=ct.shape[: len(arrays)], axes=())
    winner = index(index_set(nobody, order, *arrays, at=()), *arrays, at=())
    won = broadcast(equal(winner, order), shape=part.shape, axes=tuple(range(order.ndim)))
    return select(won, part, ct.dtype.type(0))


def _add_transpose(ct, x, value, *arrays, at):
    return (ct, index(ct, *arrays, at=at), *(None for _ in arrays))


def _write_batch(op):
    """A scalar literal stays one; any other value has the shape of the part it is written to."""

    def rule(size, inputs, batched, *, at):
        x, value, *arrays = inputs
        x = x if batched[0] else add_batch_axis(x, size)
        if is_traced(value) and not batched[1]:
            value = add_batch_axis(value, size)
        if any(batched[2:]):
            arrays = [_batch_array(a, b, size) for a, b in zip(arrays, batched[2:], strict=True)]
            return op()(x, value, _lane(size, arrays[0]), *arrays, at=at)
        if is_traced(value) and arrays:
            value = move_axis(value, 0, arrays[0].ndim)
        x = move_axis(x, 0, len(arrays))
        out = op()(x, value, *arrays, at=((0, size, 1), *at))
        return move_axis(out, len(arrays), 0)

    return rule


index_set: Op = Op(
    "index_set", _write_type, _set, Linear(_set_transpose, positions=(0, 1)),
    _write_batch(lambda: index_set), in_place=_set_in_place, flops=lambda *_: 0,
    doc="x with the indexed part replaced by the value (a scalar literal fills the part)",
)  # fmt: skip
index_add: Op = Op(
    "index_add", _write_type, _add, Linear(_add_transpose, positions=(0, 1)),
    _write_batch(lambda: index_add), in_place=_add_in_place,
    flops=lambda ins, outs, params: ins[1].size,
    doc="x with the value added to the indexed part; repeated indices add up",
)  # fmt: skip
