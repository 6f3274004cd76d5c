"""Loop kernels at the end of the product whose result they alone read."""

import numpy as np
import pytest

import chainrule as cr
from chainrule import errors
from chainrule.compiler.native import build
from chainrule.compiler.steps import Group, Native
from chainrule.program.evaluate import evaluate
from chainrule.tracing import trace_call

rng = np.random.default_rng(0)


def normal(*shape, dtype="d"):
    return rng.standard_normal(shape).astype(dtype)


def agreeing(f, *args, tolerance=1e-13, threads=(1, 2)):
    """The native form of a function that gives what the evaluator gives, for any threads."""
    call = trace_call(f, args, {})
    written = {call.count + k: e.target for k, e in enumerate(call.effects)}
    native = build(call.program, written)
    wanted = evaluate(call.program, list(call.operands))
    first = None
    before = cr.get_threads()
    try:
        for count in threads:
            cr.set_threads(count)
            values = [np.array(x) for x in call.operands]
            outputs = native.run(values)
            found = [values[written[k]] if k in written else o for k, o in enumerate(outputs)]
            for a, b in zip(found, wanted, strict=True):
                scale = np.max(np.abs(b), initial=1, where=np.isfinite(b))
                np.testing.assert_allclose(a, b, rtol=tolerance, atol=tolerance * scale)
            first = first or found
            assert all(np.array_equal(a, b, True) for a, b in zip(found, first, strict=True))
    finally:
        cr.set_threads(before)
    return native


def products(native) -> list[bool]:
    """For each product, whether it has an epilogue."""
    return [
        isinstance(s, Group) for s in native.region.steps
        if isinstance(s, Native) or (isinstance(s, Group) and s.product is not None)
    ]  # fmt: skip


def copies(native) -> int:
    return sum(isinstance(s, Group) and bool(s.copies) for s in native.region.steps)


def descend(w, x, g):
    w -= 0.1 * (x.T @ g)


def momentum(w, m, x, g):
    m += 0.5 * (x.T @ g - m)
    w -= 0.1 * m


def adam(w, m, v, x, g):
    slope = x.T @ g
    m += 0.1 * (slope - m)
    v += 0.01 * (slope * slope - v)
    w -= 0.1 * m / (np.sqrt(v) + 1e-8)


SHAPES = [(3, 2, 2), (5, 19, 30), (64, 33, 47), (300, 40, 37), (400, 130, 70)]  # k, m, n


@pytest.mark.parametrize("dtype", "fd")
@pytest.mark.parametrize("k, m, n", SHAPES)
def test_update_in_place_is_the_end_of_the_gradient(k, m, n, dtype):
    x, g = normal(k, m, dtype=dtype), normal(k, n, dtype=dtype)
    for step, count in ((descend, 1), (momentum, 2)):
        arrays = [np.abs(normal(m, n, dtype=dtype)) for _ in range(count)]
        tolerance = 2e-4 if dtype == "f" else 1e-12  # of sums of k terms, divided by small roots
        native = agreeing(step, *arrays, x, g, tolerance=tolerance)
        assert products(native) == [True] and len(native.region.steps) == 1
        assert native.arena_bytes <= 8 * (k * n + 64 * k)  # no gradient: at most a packed operand


@pytest.mark.parametrize("k", [7, 64, 400])
def test_bias_and_activation_are_the_end_of_a_layer(k):
    def layer(x, w, b, c):
        return np.tanh(x @ w + b) * c[:, None]

    native = agreeing(layer, normal(45, k), normal(k, 38), normal(38), normal(45), tolerance=1e-12)
    assert products(native) == [True] and len(native.region.steps) == 1


def test_leading_axes_are_rows():
    def layer(x, w, b):
        return np.maximum(x @ w, b)

    native = agreeing(layer, normal(4, 5, 30), normal(30, 21), normal(4, 5, 21))
    assert products(native) == [True]


def test_results_of_other_types():
    def signs(x, w):
        z = x @ w
        return z > 0.0, (z * 8.0).astype(np.int32)

    def wider(x, w):
        return (x @ w).astype(np.float64) + 1.0

    x = rng.integers(-3, 4, (20, 9)).astype("f")
    w = rng.integers(-3, 4, (9, 23)).astype("f")
    for f in (signs, wider):
        assert products(agreeing(f, x, w)) == [True]


def test_product_read_transposed():
    def step(w, x, g):
        w -= 0.1 * (g.T @ x).T

    def other(w, x, g):
        w -= 0.1 * np.transpose(np.swapaxes(x, 0, 1) @ g)

    x, g = normal(60, 33), normal(60, 21)
    assert products(agreeing(step, normal(33, 21), x, g)) == [True]
    assert products(agreeing(other, normal(21, 33), x, g)) == [True]


def test_update_comes_after_the_last_reader_of_the_old_value():
    def step(w, x, g):
        slope = x.T @ g
        back = np.tanh(g @ w.T)
        w -= 0.1 * slope
        return back

    native = agreeing(step, normal(33, 21), normal(60, 33), normal(60, 21))
    assert products(native) == [True, True] and copies(native) == 0


def test_an_update_before_the_epilogue_does_not_wait_for_it():
    """The gradient of a layer's input comes before the new weights, its slope behind them."""

    def loss(parameters, x):
        v, w = parameters
        return np.sum(np.tanh(np.tanh(x @ v) @ w) ** 2)

    def step(v, w, x):
        dv, dw = cr.grad(loss)((v, w), x)
        v -= 0.1 * dv
        w -= 0.1 * dw

    native = agreeing(step, normal(20, 30), normal(30, 25), normal(50, 20), tolerance=1e-11)
    assert products(native).count(True) >= 3 and copies(native) == 0


@pytest.mark.parametrize("times", [1.0, 0.5])
def test_product_that_reads_the_parameter_itself(times):
    def step(w, a):
        w -= times * (a @ w)

    native = agreeing(step, normal(30, 20), normal(30, 30))
    assert products(native) == [False] and copies(native) == 0


def test_result_that_others_read_too_is_stored():
    def shown(w, x, g):
        slope = x.T @ g
        w -= 0.1 * slope
        return slope

    def clipped(w, x, g):
        slope = x.T @ g
        w -= slope / np.sqrt(np.sum(slope * slope))

    for step in (shown, clipped):
        native = agreeing(step, normal(33, 21), normal(60, 33), normal(60, 21), tolerance=1e-12)
        assert products(native) == [False]


def test_two_products_of_which_one_kernel_reads_the_sum():
    def step(w, x, g, h):
        w += x.T @ g + x.T @ h

    def apart(w, x, g, y, h):
        w += np.tanh(x.T @ g) + np.tanh(y @ h)

    arrays = normal(33, 21), normal(60, 33), normal(60, 21), normal(60, 21)
    agreeing(step, *arrays)
    native = agreeing(apart, *arrays[:3], normal(33, 8), normal(8, 21), tolerance=1e-12)
    assert products(native) == [False, True]


def test_steps_in_a_loop():
    def steps(w, x, g):
        def body(w, both):
            x, g = both
            return w - 0.1 * (x.T @ g), np.sum(x)

        return cr.scan(body, w, (x, g))

    arrays = normal(33, 21), normal(5, 60, 33), normal(5, 60, 21)
    native = agreeing(steps, *arrays, tolerance=1e-12)
    inner = native.region.steps[-1].regions[0].steps
    assert any(isinstance(s, Group) and s.product is not None for s in inner)


def test_strong_zeros_at_the_end_of_a_product():
    """Where the slope is zero an infinite product does not count."""

    def direct(g, w, z):
        return cr.grad(lambda z: np.sum(np.maximum(z, -1.0) * np.tanh(z) * (g @ w)))(z)

    g, w, z = normal(20, 9), normal(9, 40), normal(20, 40)
    g[3, 2] = np.inf
    z[3, ::3] = 0.0
    with np.errstate(all="ignore"):
        native = agreeing(direct, g, w, z, tolerance=1e-12)
    assert products(native) == [False, True]


def test_what_is_faster_by_itself_stays_apart():
    """Updates of three arrays, and what comes behind long sums."""
    arrays = [np.abs(normal(30, 40)) for _ in range(3)]
    x, g = normal(64, 30), normal(64, 40)
    native = agreeing(adam, *arrays, x, g, tolerance=1e-10)
    assert products(native) == [False] and copies(native) == 0
    native = agreeing(descend, arrays[0], normal(500, 30), normal(500, 40), tolerance=1e-12)
    assert products(native) == [False] and copies(native) == 0


def test_checked_programs_keep_products_apart_and_name_the_line():
    @cr.compile(check="nan")
    def step(w, x, g):
        w -= np.log(x.T @ g)

    ones = np.ones((4, 4))
    step(ones.copy(), ones, ones)
    with pytest.raises(errors.NotANumber, match="log"):
        step(ones.copy(), ones, -ones)


def test_explain_shows_the_product_with_its_lines_and_costs():
    @cr.compile
    def step(w, x, g):
        slope = x.T @ g
        w -= 0.1 * slope

    arrays = np.ones((40, 30)), np.ones((20, 40)), np.ones((20, 30))
    report = cr.explain(step, *arrays, runs=2)
    (row,) = report.rows
    assert (row.kind, row.does) == ("kernel", "contract, multiply, subtract")
    assert row.flops == 2 * 40 * 30 * 20 + 2 * 40 * 30
    assert row.nbytes == 8 * (2 * 40 * 30 + 20 * 40 + 20 * 30)
    assert row.lines.count(",") == 1 and row.seconds > 0
    assert not report.memory.kept
