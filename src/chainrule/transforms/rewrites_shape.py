"""Rewrites of what moves data: broadcast, reshape, transpose, flip, slices, joins, reductions.

Data is moved once, by one operation, or not at all. Work on arrays that repeat themselves is done
once for each distinct entry and repeated afterwards.
"""

from __future__ import annotations

import numpy as np

from chainrule.ops.index import entry_length
from chainrule.program.program import Equation, Literal, Operand
from chainrule.transforms.rewriting import Graph, Rewrite, is_real

# Elementwise operations that are more, or less, than a function of their operands' entries.
_NOT_ENTRY_BY_ENTRY = {"barrier", "stop_gradient", "reciprocal_where_apart"}


def repeated_number(operand: Operand, graph: Graph) -> Literal | None:
    """The number that fills an array: a literal itself, or one that is broadcast."""
    if operand.is_literal:
        return operand
    maker = graph.made_by(operand, "broadcast")
    if maker is not None and maker.inputs[0].is_literal:
        return maker.inputs[0]
    return None


# --- elementwise operations on what repeats -------------------------------------------------------


def _numbers(equation, graph):
    """Literals in place of broadcast literals; where all are, the operation is done on numbers."""
    found = [None if x.is_literal else graph.made_by(x, "broadcast") for x in equation.inputs]
    fills = [m is not None and m.inputs[0].is_literal for m in found]
    if not any(fills) or equation.op.name in _NOT_ENTRY_BY_ENTRY:
        return None
    operands = [
        m.inputs[0] if m is not None and is_fill else x
        for x, m, is_fill in zip(equation.inputs, found, fills, strict=True)
    ]
    out = equation.outputs[0].type
    if all([x.is_literal for x in operands]):
        small = graph.record(equation.op, tuple(operands), equation.params, (out.with_shape(()),))
        return graph.emit("broadcast", small, shape=out.shape, axes=())
    return graph.record(equation.op, tuple(operands), equation.params, (out,))


def _on_repeated(equation, graph):
    """op(broadcast(x), broadcast(y)) of one placement: the operation on x and y, then broadcast."""
    place, small = None, []
    for x in equation.inputs:
        if x.is_literal:
            small.append(x)
            continue
        maker = graph.made_by(x, "broadcast")
        if maker is None or (place is not None and maker.params != place):
            return None
        place = maker.params
        small.append(maker.inputs[0])
    if place is None or equation.op.name in _NOT_ENTRY_BY_ENTRY:
        return None
    types = [x.type for x in small if not x.is_literal]
    if not types or any(t.shape != types[0].shape for t in types):
        return None
    out = equation.outputs[0].type
    if types[0].size >= out.size:
        return None
    made = graph.record(
        equation.op, tuple(small), equation.params, (out.with_shape(types[0].shape),)
    )
    return graph.emit("broadcast", made, **place)


def _on_reshaped(equation, graph):
    """op(reshape(x), reshape(y)) for x and y of one shape: the operation on them, then reshaped."""
    small = []
    for x in equation.inputs:
        maker = None if x.is_literal else graph.made_by(x, "reshape")
        if maker is None and not x.is_literal:
            return None
        small.append(x if maker is None else maker.inputs[0])
    shapes = {x.type.shape for x in small if not x.is_literal}
    if len(shapes) != 1 or equation.op.name in _NOT_ENTRY_BY_ENTRY:
        return None
    out = equation.outputs[0].type
    made = graph.record(
        equation.op, tuple(small), equation.params, (out.with_shape(shapes.pop()),)
    )
    return graph.emit("reshape", made, shape=out.shape)


# --- broadcast, reshape, transpose, flip ----------------------------------------------------------


def _broadcast(equation, graph):
    (x,), shape, axes = equation.inputs, equation.params["shape"], equation.params["axes"]
    if x.type.shape == shape and (shape or not x.is_literal):
        return x
    if x.is_literal and not shape:
        return x
    inner = graph.made_by(x, "broadcast")
    if inner is None:
        return None
    places = tuple([axes[a] for a in inner.params["axes"]])
    return graph.emit("broadcast", inner.inputs[0], shape=shape, axes=places)


def _reshape(equation, graph):
    (x,), shape = equation.inputs, equation.params["shape"]
    if x.type.shape == shape:
        return x
    if x.is_literal:
        return graph.emit("broadcast", x, shape=shape, axes=())
    inner = graph.maker(x)
    if inner is None:
        return None
    if inner.op.name == "reshape":
        return graph.emit("reshape", inner.inputs[0], shape=shape)
    if inner.op.name == "broadcast" and inner.inputs[0].is_literal:
        return graph.emit("broadcast", inner.inputs[0], shape=shape, axes=())
    return None


def _transpose(equation, graph):
    (x,), axes = equation.inputs, equation.params["axes"]
    if axes == tuple(range(len(axes))):
        return x
    inner = graph.maker(x)
    if inner is not None and inner.op.name == "transpose":
        first = inner.params["axes"]
        return graph.emit("transpose", inner.inputs[0], axes=tuple([first[a] for a in axes]))
    if inner is not None and inner.op.name == "broadcast":
        return _transposed_broadcast(inner, axes, equation.outputs[0].type.shape, graph)
    wide = [a for a in axes if x.type.shape[a] != 1]
    if wide == sorted(wide):  # only axes of length 1 move
        return graph.emit("reshape", x, shape=equation.outputs[0].type.shape)
    return None


def _transposed_broadcast(inner: Equation, axes, shape, graph: Graph) -> Operand:
    """The operand placed at its axes in their new order; it is transposed before, if need be."""
    (small,) = inner.inputs
    places = [axes.index(a) for a in inner.params["axes"]]
    order = tuple(sorted(range(len(places)), key=places.__getitem__))
    if order != tuple(range(len(places))):
        small = graph.emit("transpose", small, axes=order)
    return graph.emit("broadcast", small, shape=shape, axes=tuple(sorted(places)))


def _flip(equation, graph):
    (x,), axes = equation.inputs, equation.params["axes"]
    inner = graph.maker(x)
    turned = {a for a in axes if x.type.shape[a] > 1}
    if inner is not None and inner.op.name == "broadcast":
        turned &= set(inner.params["axes"])
    if inner is not None and inner.op.name == "flip":
        return graph.emit("flip", inner.inputs[0], axes=_sorted(turned ^ set(inner.params["axes"])))
    if not turned:
        return x
    return None if len(turned) == len(axes) else graph.emit("flip", x, axes=_sorted(turned))


def _sorted(axes) -> tuple[int, ...]:
    return tuple(sorted(axes))


# --- reading and writing static parts -------------------------------------------------------------


def is_whole(entry, length: int) -> bool:
    """Whether a static entry of `index` reads a whole axis in order."""
    return not isinstance(entry, int) and entry == (0, length, 1)


def _reads_all(x: Operand, at) -> bool:
    return len(at) == x.type.ndim and all(
        is_whole(e, n) for e, n in zip(at, x.type.shape, strict=True)
    )


def _index(equation, graph):
    if len(equation.inputs) > 1:
        return None
    (x,), at = equation.inputs, equation.params["at"]
    if _reads_all(x, at):
        return x
    inner = graph.maker(x)
    rule = None if inner is None else _INDEX_OF.get(inner.op.name)
    return None if rule is None else rule(inner, at, equation.outputs[0].type, graph)


def _index_of_index(inner: Equation, at, out, graph: Graph):
    if len(inner.inputs) > 1:
        return None
    later = iter(at)
    joined = [e if isinstance(e, int) else _entry_of_entry(e, next(later)) for e in
              inner.params["at"]]  # fmt: skip
    return graph.emit("index", inner.inputs[0], at=tuple(joined))


def _entry_of_entry(first: tuple, second):
    """The entry that reads what `second` reads of what `first` reads."""
    places = range(*first)
    if isinstance(second, int):
        return places[second]
    read = places[second[0] : None if second[1] < 0 else second[1] : second[2]]
    return read.start, read.stop, read.step


def _index_of_broadcast(inner: Equation, at, out, graph: Graph):
    """What is read of repeated axes is repeated as often; the rest is read of the operand."""
    (small,), places = inner.inputs, inner.params["axes"]
    axes, position = [], 0
    for a, e in enumerate(at):
        if not isinstance(e, int):
            axes += [position] if a in places else []
            position += 1
    if places:
        small = graph.emit("index", small, at=tuple([at[a] for a in places]))
    return graph.emit("broadcast", small, shape=out.shape, axes=tuple(axes))


def _index_of_part(inner: Equation, at, out, graph: Graph):
    """A part of a concatenation that lies within one of the arrays joined."""
    axis, start = inner.params["axis"], 0
    entry = at[axis]
    read = range(entry, entry + 1) if isinstance(entry, int) else range(*entry)
    if not len(read):
        return None
    low, high = min(read[0], read[-1]), max(read[0], read[-1])
    for x in inner.inputs:
        stop = start + x.type.shape[axis]
        if start <= low and high < stop:
            moved = entry - start if isinstance(entry, int) else _moved(entry, -start)
            return graph.emit("index", x, at=(*at[:axis], moved, *at[axis + 1 :]))
        start = stop
    return None


def _moved(entry, by: int):
    """The entry `by` places further; it reads something."""
    read = range(*entry)
    step = read.step
    return read[0] + by, read[-1] + by + (1 if step > 0 else -1), step


def _index_of_written(inner: Equation, at, out, graph: Graph):
    """The part that has just been written, read back."""
    _, value, *arrays = inner.inputs
    if arrays or inner.params["at"] != at:
        return None
    return graph.of_type(value, out)


_INDEX_OF = {
    "index": _index_of_index, "broadcast": _index_of_broadcast, "concatenate": _index_of_part,
    "index_set": _index_of_written,
}  # fmt: skip


def _written_all(equation, graph):
    x, value, *arrays = equation.inputs
    if arrays or not _reads_all(x, equation.params["at"]):
        return None
    if equation.op.name == "index_add":
        return graph.emit("add", x, value)
    return graph.of_type(value, x.type)


def _written_into_zeros(equation, graph):
    """A static part written, or added, into zeros: the value with zeros around it.

    0 + v is +0 for v = -0, and so is v + 0.
    """
    x, value, *arrays = equation.inputs
    zeros, at = repeated_number(x, graph), equation.params["at"]
    if arrays or value.is_literal or zeros is None or zeros.value.tobytes().strip(b"\0"):
        return None
    entries = [(e, e + 1, 1) if isinstance(e, int) else e for e in at]
    if any(step != 1 for _, _, step in entries):
        return None
    if len(value.type.shape) != len(entries):
        shape = tuple([entry_length(e) for e in entries])
        value = graph.emit("reshape", value, shape=shape)
    if equation.op.name == "index_add":
        value = graph.emit("add", value, zeros)
    widths = tuple([(e[0], n - e[1]) for e, n in zip(entries, x.type.shape, strict=True)])
    return graph.emit("pad", value, widths=widths)


def _written_nothing(equation, graph):
    x, _, *arrays = equation.inputs
    lengths = [entry_length(e) for e in equation.params["at"] if not isinstance(e, int)]
    lengths += list(arrays[0].type.shape) if arrays else []
    return x if 0 in lengths else None


# --- joining --------------------------------------------------------------------------------------


def _concatenate(equation, graph):
    axis, inputs = equation.params["axis"], equation.inputs
    parts: list[Operand] = []
    for x in inputs:
        inner = graph.made_by(x, "concatenate")
        if inner is not None and inner.params["axis"] == axis:
            parts += inner.inputs
        elif x.type.shape[axis]:
            parts.append(x)
    parts = parts or [inputs[0]]
    if len(parts) == 1:
        return parts[0]
    if len(parts) == len(inputs) and all(a is b for a, b in zip(parts, inputs, strict=True)):
        return None
    return graph.emit("concatenate", *parts, axis=axis)


def _pad(equation, graph):
    return equation.inputs[0] if not any(map(any, equation.params["widths"])) else None


# --- reductions -----------------------------------------------------------------------------------

_EXTREMES = ("max", "min")


def _reduction_of_one(equation, graph):
    """A reduction over axes of length 1. Not a sum: it makes +0 of -0."""
    (x,), out = equation.inputs, equation.outputs[0].type
    if out.size != x.type.size or not x.type.size:
        return None
    if equation.op.name in ("all", "any"):
        return graph.emit("reshape", graph.emit("cast", x, dtype=np.dtype(bool)), shape=out.shape)
    return graph.emit("reshape", x, shape=out.shape)


def _extreme_of_repeated(equation, graph):
    """max, min, all and any over axes along which the array repeats itself."""
    name, (x,), axes = equation.op.name, equation.inputs, equation.params["axes"]
    inner = graph.made_by(x, "broadcast")
    if inner is None:
        return None
    (small,), places = inner.inputs, inner.params["axes"]
    repeated = [a for a in axes if a not in places]
    if not repeated or not x.type.size:
        return None
    kept = [a for a in range(x.type.ndim) if a not in repeated]
    shape = tuple([x.type.shape[a] for a in kept])
    thin = graph.emit("broadcast", small, shape=shape, axes=tuple([kept.index(a) for a in places]))
    rest = tuple([kept.index(a) for a in axes if a not in repeated])
    if rest:
        return graph.emit(name, thin, axes=rest)
    return graph.emit("cast", thin, dtype=np.dtype(bool)) if name in ("all", "any") else thin


def _extreme_of_distances(equation, graph):
    """The largest distance from the largest entry: rounding keeps order, so it is that entry's."""
    name, (x,), axes = equation.op.name, equation.inputs, equation.params["axes"]
    difference = graph.made_by(x, "subtract")
    if difference is None or not is_real(x):
        return None
    entries, repeated = difference.inputs
    spread = graph.made_by(repeated, "broadcast")
    extreme = None if spread is None else graph.made_by(spread.inputs[0], name)
    if extreme is None or extreme.inputs[0] is not entries or extreme.params["axes"] != axes:
        return None
    if spread.params["axes"] != tuple([a for a in range(x.type.ndim) if a not in axes]):
        return None
    (largest,) = extreme.outputs
    return graph.emit("subtract", largest, largest)


def _reduction_of_transposed(equation, graph):
    """A reduction that leaves the axes in the order in which they were before a transposition."""
    (x,), axes = equation.inputs, equation.params["axes"]
    inner = graph.made_by(x, "transpose")
    if inner is None:
        return None
    order = inner.params["axes"]
    kept = [order[a] for a in range(len(order)) if a not in axes]
    if kept != sorted(kept):
        return None
    return graph.emit(equation.op.name, inner.inputs[0], axes=_sorted([order[a] for a in axes]))


SHAPE = (
    Rewrite("numbers in place of filled arrays",
            "op(x, broadcast(c)) -> op(x, c) for a number c; op(broadcast(c)) -> broadcast(op(c))",
            ("elementwise",), _numbers, reads=("broadcast",)),
    Rewrite("elementwise on repeated entries",
            "op(broadcast(x), broadcast(y)) -> broadcast(op(x, y)), for x and y of one placement",
            ("elementwise",), _on_repeated, reads=("broadcast",)),
    Rewrite("elementwise on reshaped entries",
            "op(reshape(x), reshape(y)) -> reshape(op(x, y)), for x and y of one shape",
            ("elementwise",), _on_reshaped, reads=("reshape",)),
    Rewrite("broadcast of a broadcast", "two broadcasts -> one; to the same shape -> x",
            ("broadcast",), _broadcast),
    Rewrite("reshape of a reshape", "two reshapes -> one; to the same shape -> x; a filled array "
            "reshaped -> filled in that shape", ("reshape",), _reshape),
    Rewrite("transpose of a transpose",
            "two transpositions -> one, or none; of a broadcast -> a broadcast; one that moves "
            "only axes of length 1 -> a reshape", ("transpose",), _transpose),
    Rewrite("flip of a flip", "two flips -> one, or none; not of repeated axes, or of length 1",
            ("flip",), _flip),
    Rewrite("static part of a part",
            "x[a:b][c:d] -> x[e:f]; x[:] -> x; a part of a broadcast -> a broadcast of a part; "
            "of a concatenation -> of the array it lies in; what was just written -> the value",
            ("index",), _index),
    Rewrite("whole array written", "x[:] = v -> v; x[:] += v -> x + v",
            ("index_set", "index_add"), _written_all),
    Rewrite("nothing written", "an empty part written -> x", ("index_set", "index_add"),
            _written_nothing),
    Rewrite("written into zeros", "zeros[a:b] = v -> pad(v), zeros[a:b] += v -> pad(v + 0)",
            ("index_set", "index_add"), _written_into_zeros, reads=("broadcast",)),
    Rewrite("concatenate", "of one array -> x; arrays without entries left out; nested -> one",
            ("concatenate",), _concatenate),
    Rewrite("pad by nothing", "pad(x, 0) -> x", ("pad",), _pad),
    Rewrite("reduction of one entry",
            "max, min, prod, all, any over axes of length 1 -> a reshape (a sum makes +0 of -0)",
            ("max", "min", "prod", "all", "any"), _reduction_of_one),
    Rewrite("extreme of repeated entries", "max(broadcast(x)) over repeated axes -> without them; "
            "likewise min, all, any", (*_EXTREMES, "all", "any"), _extreme_of_repeated,
            reads=("broadcast",)),
    Rewrite("extreme of distances from the extreme",
            "max(x - max(x)) -> max(x) - max(x), which is 0 or nan; likewise min",
            _EXTREMES, _extreme_of_distances, reads=("subtract",)),
    Rewrite("reduction of a transposition", "max(transpose(x)) -> max(x) over the same entries; "
            "likewise min, all, any", (*_EXTREMES, "all", "any"), _reduction_of_transposed,
            reads=("transpose",)),
    Rewrite("sum of a transposition", "sum(transpose(x)) -> sum(x) over the same entries",
            ("sum",), _reduction_of_transposed, reads=("transpose",), changes="order of sums"),
)  # fmt: skip
