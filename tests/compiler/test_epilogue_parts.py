"""Updates of parameters part by part: a large gradient is never in memory.

Every update is checked against the reference evaluator, on one thread and on two, to the same bits.
"""

import numpy as np
import pytest

import chainrule as cr
from chainrule.compiler.llvm.gemm_parts import SMALL_BYTES
from chainrule.compiler.llvm.gemm_plan import ProductSpec, plan_of
from tests.compiler.test_epilogues import adam, agreeing, copies, momentum, normal, products


def nesterov(w, m, x, g, rate):
    slope = x.T @ g + 0.01 * w  # L2 in the gradient
    m *= 0.9
    m += slope
    w -= rate * (slope + 0.9 * m)


def rmsprop(w, v, x, g, rate):
    slope = x.T @ g
    v += 0.1 * (slope * slope - v)
    w -= rate * slope / (np.sqrt(v) + 1e-3)


def adamw(w, m, v, x, g, rate, count):
    slope = x.T @ g
    m += 0.1 * (slope - m)
    v += 0.01 * (slope * slope - v)
    mean, square = m / (1 - 0.9**count), v / (1 - 0.99**count)
    w -= rate * (mean / (np.sqrt(square) + 1e-3) + 0.01 * w)


UPDATES = {nesterov: (2, (0.1,)), rmsprop: (2, (0.1,)), adamw: (3, (0.1, 7.0))}
LARGE = {"f": (1031, 517), "d": (703, 401)}  # rows and columns that no tile divides


@pytest.mark.parametrize("dtype", "fd")
@pytest.mark.parametrize("k", [5, 33, 300, 500])
@pytest.mark.parametrize("step", UPDATES)
def test_large_gradient_is_never_in_memory(step, k, dtype):
    count, scalars = UPDATES[step]
    m, n = LARGE[dtype]
    x, g = normal(k, m, dtype=dtype), normal(k, n, dtype=dtype)
    arrays = [np.abs(normal(m, n, dtype=dtype)) for _ in range(count)]
    scalars = [np.array(s, dtype) for s in scalars]
    tolerance = 1e-3 if dtype == "f" else 1e-11
    native = agreeing(step, *arrays, x, g, *scalars, tolerance=tolerance)
    assert products(native) == [True] and copies(native) == 0
    packed = x.itemsize * (k + 2) * (m + 64 + n + 64)
    assert native.arena_bytes <= packed + 4096
    if k <= 33:
        assert native.arena_bytes < SMALL_BYTES <= x.itemsize * m * n


@pytest.mark.parametrize("m, n", [(67, 9001), (9001, 67), (300000, 2), (2, 300000)])
def test_parts_of_long_and_of_short_rows(m, n):
    x, g = normal(20, m, dtype="f"), normal(20, n, dtype="f")
    arrays = [np.abs(normal(m, n, dtype="f")) for _ in range(3)]
    agreeing(adam, *arrays, x, g, tolerance=1e-3)
    agreeing(momentum, *arrays[:2], x, g, tolerance=1e-3)


def test_long_rows_are_cut_and_others_are_not():
    def plan(m, n, k=32):
        spec = ProductSpec(m, n, k, np.dtype("f"), (1, m), (n, 1), (n, 1))
        return plan_of(spec, True, in_parts=True)

    assert plan(1024, 1024).column_groups == plan(784, 256).column_groups == 1
    assert plan(600, 6000).column_groups > 1
    for cut in (plan(5, 10**7, 1), plan(3, 10**6, 40), plan(10**6, 30, 2), plan(2000, 2000)):
        rows, columns = cut.group_blocks * cut.rows, cut.group_strips * cut.width
        assert 4 * rows * columns < 300_000  # bytes of a thread's stack


def test_large_gradient_that_others_read_is_stored():
    def clipped(w, m, v, x, g):
        slope = x.T @ g
        slope = slope / np.sqrt(np.sum(slope * slope))
        m += 0.1 * (slope - m)
        v += 0.01 * (slope * slope - v)
        w -= 0.1 * m / (np.sqrt(v) + 1e-3)

    arrays = [np.abs(normal(703, 401)) for _ in range(3)]
    native = agreeing(clipped, *arrays, normal(9, 703), normal(9, 401), tolerance=1e-11)
    assert products(native) == [False]


def test_large_gradient_of_weights_that_lie_transposed():
    def step(w, m, v, x, g):
        adam(w, m, v, g, x)

    def turned(w, m, v, x, g):
        slope = (g.T @ x).T
        m += 0.1 * (slope - m)
        v += 0.01 * (slope * slope - v)
        w -= 0.1 * m / (np.sqrt(v) + 1e-3)

    x, g = normal(30, 703), normal(30, 401)
    arrays = [np.abs(normal(703, 401)) for _ in range(3)]
    assert products(agreeing(turned, *arrays, x, g, tolerance=1e-11)) == [True]
    arrays = [np.abs(normal(401, 703)) for _ in range(3)]
    assert products(agreeing(step, *arrays, x, g, tolerance=1e-10)) == [True]


def test_large_gradient_in_a_loop():
    """The carried arrays are written in place: the loop's body has no gradient, and no copies."""

    def steps(w, m, v, xs, gs):
        def body(carry, batch):
            adamw(w, m, v, *batch, 0.1, 7.0)
            return carry, np.sum(batch[0])

        return cr.scan(body, 0.0, (xs, gs))[1]

    arrays = [np.abs(normal(703, 401)) for _ in range(3)]
    native = agreeing(steps, *arrays, normal(3, 20, 703), normal(3, 20, 401), tolerance=1e-10)
    assert native.arena_bytes < SMALL_BYTES


def test_rows_and_columns_beside_a_large_product():
    """Broadcast operands, several types of results, and strong zeros."""

    def layer(x, w, b, c):
        z = x @ w + b
        return z, np.maximum(z, 0.0) * c[:, None], z > 1.0

    def slopes(x, w, z):
        grown = x @ w
        slope = cr.grad(lambda z: np.sum(np.maximum(z, -1.0) * np.tanh(z) * grown))(z)
        return slope, grown * 2.0, grown * 3.0

    x, w = normal(703, 9), normal(9, 401)
    native = agreeing(layer, x, w, normal(401), normal(703))
    assert products(native) == [True] and len(native.region.steps) == 1
    x[3, 2] = np.inf
    z = normal(703, 401)
    z[3, ::3] = 0.0
    with np.errstate(all="ignore"):
        agreeing(slopes, x, w, z, tolerance=1e-12)


def test_explain_shows_no_gradient():
    compiled = cr.compile(adam)
    arrays = [np.ones((1031, 517), "f") for _ in range(3)]
    x, g = np.ones((8, 1031), "f"), np.ones((8, 517), "f")
    report = cr.explain(compiled, *arrays, x, g)
    (row,) = report.rows
    assert row.kind == "kernel" and row.does.startswith("contract")
    assert not report.memory.kept
    assert report.memory.predicted < SMALL_BYTES // 8
