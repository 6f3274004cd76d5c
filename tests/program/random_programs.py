"""Random programs for property tests: views, writes, reductions and control flow, exact arithmetic.

Values are small integers (in int64, or in float64 where sums of them are exact), so that two ways
of running a program must agree in every bit, whatever the order of sums or the memory layout.
"""

import numpy as np
from hypothesis import strategies as st

from chainrule.ops.checkpoint import checkpoint_op
from chainrule.ops.compare import less
from chainrule.ops.cond import cond_op
from chainrule.ops.control import as_tuple, closed_program
from chainrule.ops.elementwise import absolute, add, maximum, minimum, multiply, negative, subtract
from chainrule.ops.index import index, index_add, index_set
from chainrule.ops.join import concatenate
from chainrule.ops.reduce import cumsum
from chainrule.ops.scan import scan_op
from chainrule.ops.select import cast, select
from chainrule.ops.shape import broadcast, flip, reshape, sum_, transpose
from chainrule.ops.while_loop import while_op
from chainrule.program.trace import Builder, as_operand, inline
from chainrule.program.types import array_type

DTYPES = (np.dtype(np.float64), np.dtype(np.int64))
SHAPES = ((), (3,), (2, 3), (3, 2), (4,), (0,), (1, 4))
BINARY = (add, subtract, maximum, minimum)
UNARY = (negative, absolute)


@st.composite
def types(draw, shapes=SHAPES):
    return array_type(draw(st.sampled_from(shapes)), draw(st.sampled_from(DTYPES)))


@st.composite
def programs(draw, steps: int = 12, captured: bool = True):
    """A random program with inputs, captured arrays, views, writes and control flow."""
    with Builder("random") as builder:
        builder.lines_from_user = draw(st.booleans())
        values = [builder.input(t) for t in draw(st.lists(types(), min_size=1, max_size=3))]
        if captured and draw(st.booleans()):
            values.append(builder.capture(np.arange(6.0).reshape(2, 3)))
        grow(draw, values, steps, depth=2)
        outputs = draw(st.lists(st.sampled_from(values), min_size=1, max_size=4))
        results = [as_operand(builder, v) for v in outputs]
        if draw(st.booleans()):
            results.append(as_operand(builder, np.float64(draw(st.sampled_from((0.5, -0.0, 7.0))))))
        return builder.finish(results)


def grow(draw, values: list, steps: int, depth: int) -> None:
    """Append the results of random operations on the values."""
    actions = SIMPLE + (CONTROL if depth > 0 else [])
    for _ in range(draw(st.integers(1, steps))):
        action = draw(st.sampled_from(actions))
        recent = draw(st.booleans())  # chains of views and writes are where mistakes hide
        x = draw(st.sampled_from(values[-2:] if recent else values))
        made = action(draw, x, values, depth)
        values.extend(v for v in as_tuple(made) if v is not None)


def arrays_for(program, seed: int = 3) -> list:
    """Values for the captured arrays and the inputs of a program."""
    rng = np.random.default_rng(seed)
    found = list(program.captured_values)
    for t in program.in_types:
        value = rng.integers(-4, 5, t.shape).astype(t.dtype)
        found.append(value if t.ndim else t.dtype.type(value))
    return found


# --- the actions: (draw, x, values, depth) -> a new value, several, or None -----------------------


def _same_type(draw, x, values):
    return draw(st.sampled_from([v for v in values if v.type is x.type]))


def _unary(draw, x, values, depth):
    return draw(st.sampled_from(UNARY))(x)


def _binary(draw, x, values, depth):
    op = draw(st.sampled_from(BINARY))
    if draw(st.booleans()):
        return op(x, x.type.dtype.type(draw(st.integers(-2, 2))))
    return op(x, _same_type(draw, x, values))


def _product(draw, x, values, depth):
    y = _same_type(draw, x, values)
    one = x.type.dtype.type(1)
    return multiply(x, maximum(minimum(y, one), -one))  # no larger than x: exact


def _select(draw, x, values, depth):
    y = _same_type(draw, x, values)
    return select(less(x, y), y, x)


def _cast(draw, x, values, depth):
    return cast(x, dtype=draw(st.sampled_from(DTYPES)))


def _axis(draw, x) -> int:
    return draw(st.integers(0, x.type.ndim - 1))


def _entries(draw, shape) -> tuple:
    """Static entries inside a shape: ints (where an axis is not empty) and slices."""
    at = []
    for n in shape:
        if n and draw(st.booleans()):
            at.append(draw(st.integers(0, n - 1)))
            continue
        start = draw(st.integers(0, n))
        stop = draw(st.integers(start, n))
        at.append((start, stop, draw(st.sampled_from((1, 1, 2)))))
        if stop > start and draw(st.booleans()):
            at[-1] = (stop - 1, start - 1, -1)
    return tuple(at)


def _index(draw, x, values, depth):
    if not x.type.ndim:
        return None
    if x.type.shape[0] and draw(st.booleans()):
        rows = np.array(draw(st.lists(st.integers(0, x.type.shape[0] - 1), max_size=4)), np.int64)
        return index(x, rows, at=_entries(draw, x.type.shape[1:]))
    return index(x, at=_entries(draw, x.type.shape))


def _write(draw, x, values, depth):
    if not x.type.ndim:
        return None
    op = draw(st.sampled_from((index_set, index_add)))
    if x.type.shape[0] and draw(st.booleans()):
        rows = draw(st.lists(st.integers(0, x.type.shape[0] - 1), max_size=4))
        arrays = (np.array(rows, np.int64),)
        at = _entries(draw, x.type.shape[1:])
    else:
        arrays, at = (), _entries(draw, x.type.shape)
    part = index(x, *arrays, at=at).type
    fitting = [v for v in values if v.type is part]
    if fitting and draw(st.booleans()):
        return op(x, draw(st.sampled_from(fitting)), *arrays, at=at)
    return op(x, part.dtype.type(draw(st.integers(-2, 2))), *arrays, at=at)


def _write_to_a_view(draw, x, values, depth):
    """Memory of its own, views of views of it, and a write to the last of them."""
    chain = [negative(x)]
    for _ in range(draw(st.integers(1, 3))):
        view = draw(st.sampled_from((_reshape, _transpose, _flip, _slice)))
        made = view(draw, chain[-1], values, depth)
        chain += [made] if made is not None else []
    written = _write(draw, chain[-1], values, depth)
    return tuple(v for v in (*chain, written) if v is not None)


def _slice(draw, x, values, depth):
    return index(x, at=_entries(draw, x.type.shape)) if x.type.ndim else None


def _reshape(draw, x, values, depth):
    shapes = [s for s in (*SHAPES, (6,), (1, 3)) if int(np.prod(s)) == x.type.size]
    return reshape(x, shape=draw(st.sampled_from(shapes))) if shapes else None


def _transpose(draw, x, values, depth):
    return transpose(x, axes=tuple(draw(st.permutations(range(x.type.ndim)))))


def _flip(draw, x, values, depth):
    return flip(x, axes=(_axis(draw, x),)) if x.type.ndim else None


def _broadcast(draw, x, values, depth):
    n = x.type.ndim
    if n >= 2:
        return None
    return broadcast(x, shape=(2, *x.type.shape), axes=tuple(range(1, n + 1)))


def _reduce(draw, x, values, depth):
    if not x.type.ndim:
        return None
    if draw(st.booleans()):
        return cumsum(x, axis=_axis(draw, x))
    return sum_(x, axes=(_axis(draw, x),))


def _concatenate(draw, x, values, depth):
    if not x.type.ndim or x.type.size > 12:
        return None
    return concatenate(x, _same_type(draw, x, values), axis=_axis(draw, x))


SIMPLE = [
    _unary, _binary, _product, _select, _cast, _index, _index, _write, _write, _reshape,
    _transpose, _flip, _broadcast, _reduce, _concatenate, _write_to_a_view, _write_to_a_view,
]  # fmt: skip


def _inner(draw, in_types, out_types, depth):
    """A random closed program of these types, and what it captures."""

    def build(*inputs):
        values = list(inputs)
        grow(draw, values, 4, depth - 1)
        return [
            draw(st.sampled_from([v for v in values if v.type is t] or [_zeros(t)]))
            for t in out_types
        ]

    program, captured = closed_program("inner", in_types, build)
    return program, captured


def _zeros(t):
    return broadcast(t.dtype.type(0), shape=t.shape, axes=()) if t.ndim else t.dtype.type(0)


def _cond(draw, x, values, depth):
    y = draw(st.sampled_from(values))
    in_types, out_types = [x.type, y.type], [draw(st.sampled_from(values)).type, x.type]
    branches = tuple(_inner(draw, in_types, out_types, depth) for _ in range(2))
    if any(captured for _, captured in branches):
        return None
    test = less(sum_(x, axes=tuple(range(x.type.ndim))), x.type.dtype.type(1))
    return cond_op(test, x, y, branches=tuple(p for p, _ in branches))


def _checkpoint(draw, x, values, depth):
    other = draw(st.sampled_from(values))
    program, captured = _inner(draw, [x.type], [x.type, other.type], depth)
    return None if captured else checkpoint_op(x, program=program)


def _scan(draw, x, values, depth):
    """x is carried; another value is constant, a third is scanned along its leading axis."""
    fixed = draw(st.sampled_from(values))
    along = draw(st.sampled_from([v for v in values if v.type.ndim] or [None]))
    xs = [] if along is None else [along]
    length = 2 if along is None else along.type.shape[0]
    x_types = [v.type.with_shape(v.type.shape[1:]) for v in xs]
    y_type = draw(st.sampled_from([fixed.type, x.type, *x_types]))
    body, captured = _inner(draw, [fixed.type, x.type, *x_types], [x.type, y_type], depth)
    if captured:
        return None
    return scan_op(
        fixed, x, *xs, body=body, constants=1, carries=1, length=length,
        reverse=draw(st.booleans()),
    )  # fmt: skip


def _while(draw, x, values, depth):
    """Three steps, counted; x is carried, another value is constant."""
    fixed, count = draw(st.sampled_from(values)), array_type((), np.dtype(np.int64))
    step, captured = _inner(draw, [fixed.type, x.type], [x.type], depth)
    if captured:
        return None

    def body(f, k, carry):
        return [add(k, np.int64(1)), *inline(step, [f, carry])]

    in_types = [fixed.type, count, x.type]
    body_program, _ = closed_program("body", in_types, body)
    test_program, _ = closed_program("test", in_types, lambda f, k, c: [less(k, np.int64(3))])
    start = broadcast(np.int64(0), shape=(), axes=())
    return while_op(fixed, start, x, test=test_program, body=body_program, constants=1)[1]


CONTROL = [_cond, _checkpoint, _scan, _scan, _while]
