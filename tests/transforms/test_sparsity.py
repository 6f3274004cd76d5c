"""Sparsity patterns: nothing is ever missing, and nothing needless where the structure is plain."""

import numpy as np
import pytest
from hypothesis import given, settings

import chainrule as cr
from chainrule.program.evaluate import evaluate
from chainrule.tracing import trace_call
from chainrule.transforms.jacobian import jacobian_program, linearised
from chainrule.transforms.sparsity import Reader, every_entry
from tests.program.random_programs import arrays_for, programs

RNG = np.random.default_rng(11)
X = RNG.normal(size=12)


def pattern_of(program, arrays, active, known_values: bool = True):
    """The whole pattern of a program's outputs by its active inputs, as a dense truth matrix."""
    known, linear, moves, n = linearised(program, active, len(program.outputs))
    residuals = evaluate(known, arrays)[len(program.outputs) :]
    types = [v.type for v in linear.inputs[n:]]
    width, start, rows = sum(t.size for t in types), 0, [None] * n
    for t in types:
        rows.append(every_entry(t.size, start, width))
        start += t.size
    values = residuals if known_values else [None] * n
    found = iter(Reader(width).run(linear, rows, [*values, *[None] * len(types)]))
    parts = []
    for o, m in zip(program.outputs, moves, strict=True):
        p = next(found) if m else None
        parts.append(np.zeros((o.type.size, width), bool) if p is None else p.toarray())
    return np.concatenate(parts)


def dense(program, arrays, active):
    count = len(program.outputs)
    made = evaluate(jacobian_program(program, active, count, "forward"), arrays)[count:]
    per = sum(active)
    rows = []
    for i, o in enumerate(program.outputs):
        blocks = made[i * per : (i + 1) * per]
        sizes = [t.size for t, a in zip(program.in_types, active, strict=True) if a]
        flat = [np.reshape(b, (o.type.size, n)) for b, n in zip(blocks, sizes, strict=True)]
        rows.append(np.concatenate(flat, axis=1))
    return np.concatenate(rows)


@pytest.mark.parametrize("known_values", [True, False])
@settings(max_examples=30)
@given(program=programs(steps=14))
def test_a_pattern_misses_no_entry_of_a_random_program(known_values, program):
    program, arrays = program.closed(), arrays_for(program)
    active = tuple(t.inexact for t in program.in_types)
    if not any(active):
        return
    found = pattern_of(program, arrays, active, known_values)
    assert found[dense(program, arrays, active) != 0].all()


ROWS = RNG.integers(0, 12, 20)
BANDED = np.diag(np.ones(12)) + np.diag(2.0 * np.ones(11), 1)
MASK = np.arange(12) % 3 == 0

# Functions of a vector of 12 whose patterns are known exactly: no entry too many, either.
EXACT = {
    "elementwise": lambda x: np.sin(x) * x,
    "slices": lambda x: x[1:] - x[:-1] ** 2,
    "strides and flips": lambda x: x[::2] * x[::-2],
    "reshape and transpose": lambda x: (x.reshape(3, 4).T ** 2).ravel(),
    "sum over an axis": lambda x: np.sum(x.reshape(3, 4) ** 2, axis=0),
    "mean of one axis subtracted": lambda x: (
        x.reshape(3, 4) - x.reshape(3, 4).mean(axis=1, keepdims=True)
    ),
    "gather": lambda x: x[ROWS] * 3.0,
    "scatter": lambda x: np.bincount(np.arange(6) // 2, weights=x[:6]),
    "concatenate and stack": lambda x: np.stack([np.concatenate([x[:3], x[9:]]), x[:6] ** 2]),
    "pad": lambda x: np.pad(x**2, 2),
    "constant matrix with zeros": lambda x: BANDED @ np.tanh(x),
    "vector times constant matrix": lambda x: np.tanh(x) @ BANDED,
    "matrix times constant matrix": lambda x: x.reshape(3, 4) @ BANDED[:4, :5],
    "einsum": lambda x: np.einsum("ij,jk->ki", BANDED[:6, :4], x.reshape(4, 3)),
    "constant mask": lambda x: np.where(MASK, x**2, 3.0),
    "product with zeros": lambda x: MASK * np.roll(x, 1),
    "convolution": lambda x: np.convolve(x, np.array([1.0, -2.0, 1.0]), "valid"),
    "cumsum": lambda x: np.cumsum(x.reshape(3, 4), axis=1),
    "diff": lambda x: np.diff(x, 2),
    "writes": lambda x: _written(x),
    "python loop": lambda x: np.stack([x[i] * x[(i + 1) % 12] for i in range(12)]),
    "scan": lambda x: cr.scan(lambda c, a: (c, a * a), 0.0, x)[1],
    "scan with a carry": lambda x: cr.scan(lambda c, a: (a, c * a), 1.0, x)[1],
    "indices in a loop": lambda x: cr.fori_loop(
        0, 12, lambda i, y: cr.numpy.asarray(_put(y, i, x[i] ** 2)), cr.numpy.zeros(12)
    ),
    "constant": lambda x: np.concatenate([np.ones(2), 2.0 * x[:1]]),
    "diagonal": lambda x: np.diag(x[:3]) ** 2,
    "outer": lambda x: np.outer(x[:2], x[2:4]),
    "vmap": lambda x: cr.vmap(lambda a: a[0] * a[1])(x.reshape(6, 2)),
    "checkpoint": lambda x: cr.checkpoint(lambda y: y[1:] * y[:-1])(x),
}  # fmt: skip


def _written(x):
    y = cr.numpy.zeros(12)
    y[::2] = x[:6] ** 2
    y[1] = y[0] * x[11]
    y[3:5] += x[3:5]
    return y


def _put(y, i, value):
    y[i] = value
    return y


@pytest.mark.parametrize("name", EXACT)
def test_the_pattern_is_exact(name):
    f = EXACT[name]
    call = trace_call(f, (X,), {}, frozenset((0,)))
    found = pattern_of(call.program, call.operands, call.active({0}))
    wanted = cr.jacobian(f, mode="forward")(X).reshape(found.shape) != 0
    assert np.array_equal(found, wanted)


# Functions whose pattern holds entries that are zero at the point, but must not miss any.
CONSERVATIVE = {
    "sort": lambda x: np.sort(x),
    "max": lambda x: np.max(x.reshape(3, 4), axis=1),
    "relu": lambda x: np.maximum(x, 0.0) * x[::-1],
    "prod": lambda x: np.prod(x.reshape(3, 4), axis=0),
    "softmax": lambda x: cr.special.softmax(x.reshape(3, 4), axis=1),
    "solve": lambda x: np.linalg.solve(BANDED[:3, :3] + np.eye(3), x[:6].reshape(3, 2)),
    "inverse": lambda x: np.linalg.inv(np.diag(2.0 + x[:3] ** 2)),
    "fft": lambda x: abs(np.fft.rfft(x.reshape(2, 6), axis=1)) ** 2,
    "while": lambda x: cr.while_loop(lambda y: np.sum(y) < 50.0, lambda y: 1.5 * y, abs(x) + 0.1),
    "cond": lambda x: cr.cond(x[0] > 0, lambda y: y[::-1] * y, lambda y: np.sin(y), x),
    "norm": lambda x: np.linalg.norm(x.reshape(3, 4), axis=0),
    "interp": lambda x: np.interp(x[:3], np.arange(4.0), x[8:]),
    "cumprod": lambda x: np.cumprod(x[:5]),
    "index by value": lambda x: x[np.argsort(x)[:4]] ** 2,
    "custom rule": lambda x: _halved(x) * x,
    "division by a sum": lambda x: x / np.sum(x[:3] ** 2),
}  # fmt: skip


@cr.custom_derivative
def _halved(x):
    return 0.5 * x


@_halved.forward
def _halved_rule(primals, output, tangents):
    return 0.5 * tangents[0]


@pytest.mark.parametrize("name", CONSERVATIVE)
def test_the_pattern_misses_nothing(name):
    f = CONSERVATIVE[name]
    wanted = cr.jacobian(f, mode="forward")(X)
    found = cr.jacobian(f, sparse=True)(X)
    np.testing.assert_allclose(
        found.toarray(), wanted.reshape(found.shape), rtol=1e-13, atol=1e-14
    )
    if name in ("relu", "fft", "prod", "sort"):
        compiled = cr.compile(cr.jacobian(f, sparse=True))(X).toarray()
        np.testing.assert_allclose(compiled, wanted.reshape(found.shape), rtol=1e-12, atol=1e-13)


def test_a_loop_too_long_to_go_through_mixes_everything():
    def f(x):
        return cr.scan(lambda c, a: (c, a * a), 0.0, np.concatenate([x] * 2000))[1]

    found = cr.jacobian(f, sparse=True)(X[:2])
    assert found.shape == (4000, 2)
    np.testing.assert_allclose(found.toarray(), cr.jacobian(f)(X[:2]))
