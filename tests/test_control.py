"""Control flow: cond, scan, while_loop, fori_loop and checkpoint, in every mode, against Python."""

import itertools

import numpy as np
import pytest

import chainrule as cr
from chainrule.random import Generator
from chainrule.tracing import trace_call

XS = np.array([0.4, -0.3, 0.7])


def complex_step(f, x):
    """The derivative of an analytic function of one number, exact to rounding."""
    return f(x + 1e-200j).imag / 1e-200


def first_derivatives(f, x: float) -> list[float]:
    """f'(x) in every mode."""
    return [
        cr.grad(f)(x), cr.jvp(f, (x,), (1.0,))[1], cr.vjp(f, x)[1](1.0)[0],
        cr.linearize(f, x)[1](1.0), cr.vmap(cr.grad(f))(np.array([x, x + 0.1]))[0],
        cr.grad(lambda x: cr.vmap(f)(np.stack([x, x]))[1])(x),
        cr.jvp(lambda x: cr.vmap(f)(np.stack([x, x]))[1], (x,), (1.0,))[1],
    ]  # fmt: skip


def second_derivatives(f, x: float) -> list[float]:
    """f''(x) in every order of modes."""
    push = lambda f: lambda x: cr.jvp(f, (x,), (1.0,))[1]
    return [
        cr.grad(cr.grad(f))(x), push(cr.grad(f))(x), cr.grad(push(f))(x), push(push(f))(x),
        cr.vmap(cr.grad(cr.grad(f)))(np.array([x, x + 0.1]))[0],
        cr.grad(lambda x: cr.vmap(cr.grad(f))(np.stack([x, x]))[1])(x),
    ]  # fmt: skip


def assert_derivatives(f, plain, x: float, rel=1e-12) -> None:
    """f, which uses chainrule's control flow, against the same with Python's."""
    assert cr.vjp(f, x)[0] == pytest.approx(plain(x), rel=rel)
    slope = complex_step(plain, x)
    for k, found in enumerate(first_derivatives(f, x)):
        assert found == pytest.approx(slope, rel=rel), k
    by_python = cr.grad(lambda x: cr.grad(plain)(x))(x)  # unrolled
    for k, found in enumerate(second_derivatives(f, x)):
        assert found == pytest.approx(by_python, rel=1e-10, abs=1e-13), k


# --- values and derivatives ----------------------------------------------------------------------


def rnn(scan):
    def f(w):
        def body(h, x):
            h = np.tanh(w * h + x * w * w)
            return h, h * h * x

        h, ys = scan(body, 0.5 * w, XS)
        return h + np.sum(ys * np.cos(w))

    return f


def stacked(rows):
    """Rows as one array, of traced or plain numbers."""
    return np.stack(rows)


@pytest.mark.parametrize("reverse", [False, True])
def test_scan_has_the_derivatives_of_the_unrolled_loop(reverse):
    def plain(body, carry, xs):
        rows = []
        for x in xs[::-1] if reverse else xs:
            carry, y = body(carry, x)
            rows.append(y)
        return carry, stacked(rows[::-1] if reverse else rows)

    ours = lambda body, carry, xs: cr.scan(body, carry, xs, reverse=reverse)
    assert_derivatives(rnn(ours), rnn(plain), 0.7)


@pytest.mark.parametrize("length", [0, 1, 2])
def test_short_scans(length):
    def f(x):
        carry, ys = cr.scan(lambda c, t: (c * x + t, c * c), x, XS[:length] * 1.0)
        return carry + np.sum(ys)

    def plain(x):
        carry, total = x, 0.0 * x
        for t in XS[:length]:
            total = total + carry * carry
            carry = carry * x + t
        return carry + total

    assert_derivatives(f, plain, 0.7)


def test_a_scan_of_length_zero_gives_empty_rows():
    for run in (lambda f: f(2.0), lambda f: cr.vjp(f, 2.0)[0]):
        carry, ys = run(
            lambda x: cr.scan(lambda c, t: (c + t, (c, t * x)), x, np.zeros((0, 3))[:, 0])
        )
        assert carry == 2.0
        assert ys[0].shape == (0,)
        assert ys[1].shape == (0,)


def test_derivatives_by_everything_a_scan_takes():
    def f(w, start, xs, scan=cr.scan):
        body = lambda c, x: (np.sin(c * w) + x["a"], c * x["b"])
        carry, ys = scan(body, start, xs)
        return carry * np.sum(ys)

    def plain_scan(body, carry, xs):
        rows = []
        for a, b in zip(xs["a"], xs["b"], strict=True):
            carry, y = body(carry, {"a": a, "b": b})
            rows.append(y)
        return carry, stacked(rows)

    args = 0.7, 0.2, {"a": XS, "b": XS[::-1] * 2.0}
    found = cr.grad(f, (0, 1, 2))(*args)
    wanted = cr.grad(lambda *a: f(*a, scan=plain_scan), (0, 1, 2))(*args)
    np.testing.assert_allclose(found[:2], wanted[:2], rtol=1e-13)
    for key in "ab":
        np.testing.assert_allclose(found[2][key], wanted[2][key], rtol=1e-13)
    h, k = (cr.hessian(lambda w, s, xs: g(w, s, xs), (0, 1))(*args)
            for g in (f, lambda *a: f(*a, scan=plain_scan)))  # fmt: skip
    np.testing.assert_allclose(h, k, rtol=1e-12)


def test_a_scan_over_trees_returns_trees():
    def f(x):
        carry = {"sum": 0.0, "pair": (x, [x * 2.0])}

        def body(c, row):
            new = {
                "sum": c["sum"] + row[0] * row[1]["k"],
                "pair": (c["pair"][1][0], [c["pair"][0]]),
            }
            return new, {"before": c["sum"], "row": row[0]}

        return cr.scan(body, carry, (XS, {"k": XS * x}))

    (carry, ys) = cr.vjp(f, 3.0)[0]
    assert carry["sum"] == pytest.approx(3.0 * np.sum(XS**2))
    assert carry["pair"] == (6.0, [3.0])
    np.testing.assert_allclose(ys["before"], 3.0 * np.cumsum([0, *XS[:-1] ** 2]))
    assert np.array_equal(ys["row"], XS)
    assert cr.grad(lambda x: f(x)[0]["sum"])(3.0) == pytest.approx(np.sum(XS**2))


def powers(loop):
    """Sum of sin(x^k) while x^k < 50: the number of steps depends on x."""

    def f(x):
        body = lambda s: (s[0] * x, s[1] + np.sin(s[0]) * x)
        return loop(lambda s: s[0] < 50.0, body, (1.0 + 0 * x, 0.0 * x))[1]

    return f


def plain_while(test, body, state):
    while test(tuple(np.real(s) for s in state)):
        state = body(state)
    return state


@pytest.mark.parametrize("x", [2.5, 1.3, 1.05])  # 5, 15, 81 steps: more than 64
def test_while_loop_has_the_derivatives_of_pythons_loop(x):
    assert_derivatives(powers(cr.while_loop), powers(plain_while), x, rel=1e-11)


def test_a_long_while_loop_recomputes_its_states():
    # 5,000 steps: more than two levels of 64 states hold
    f = lambda x: cr.while_loop(lambda s: s[0] < 5_000, lambda s: (s[0] + 1, np.sin(s[1] + x)),
                                (0, x))[1]  # fmt: skip

    def plain(x):
        y = x
        for _ in range(5_000):
            y = np.sin(y + x)
        return y

    assert cr.grad(f)(0.3) == pytest.approx(complex_step(plain, 0.3), rel=1e-10)
    assert cr.jvp(f, (0.3,), (1.0,))[1] == pytest.approx(complex_step(plain, 0.3), rel=1e-10)


def test_a_while_loop_that_is_not_entered():
    f = lambda x: cr.while_loop(lambda s: s < 0.0, lambda s: s * 2.0, x * 3.0)
    assert_derivatives(f, lambda x: x * 3.0, 1.5)


@pytest.mark.parametrize("n", [0, 1, 4])
def test_fori_loop_with_known_and_with_traced_bounds(n):
    def plain(x):
        s = 1.0 + 0 * x
        for i in range(n):
            s = s * x + i * np.sin(x)
        return s

    body = lambda x: lambda i, s: s * x + i * np.sin(x)
    assert_derivatives(lambda x: cr.fori_loop(0, n, body(x), 1.0), plain, 0.7)
    traced_bound = lambda x, n: cr.fori_loop(0, n, body(x), 1.0)
    assert cr.grad(traced_bound)(0.7, n) == pytest.approx(complex_step(plain, 0.7), abs=1e-14)
    assert cr.vmap(traced_bound, (None, 0))(0.7, np.array([n, 2]))[0] == pytest.approx(plain(0.7))


def test_cond_takes_one_branch_and_its_derivative():
    def choose(cond):
        return lambda x: cond(
            np.real(x) > 1.0, lambda y: np.sin(y) * x, lambda y: np.exp(y * x) + y**3, x * x
        )

    plain = lambda p, f, g, *args: f(*args) if p else g(*args)
    for x in (0.5, 1.5):
        assert_derivatives(choose(cr.cond), choose(plain), x)


def test_nested_control_flow():
    def f(x, scan=cr.scan, cond=cr.cond, fori=cr.fori_loop):
        def body(c, t):
            c = cond(np.real(c) > 0.5, lambda c: fori(0, 2, lambda i, s: np.sin(s) * x, c),
                     lambda c: c * x + t, c)  # fmt: skip
            return c, c * t

        carry, ys = scan(body, x, XS)
        return carry + np.sum(ys)

    def scan(body, carry, xs):
        rows = []
        for t in xs:
            carry, y = body(carry, t)
            rows.append(y)
        return carry, stacked(rows)

    def fori(low, high, body, s):
        for i in range(low, high):
            s = body(i, s)
        return s

    plain = lambda x: f(x, scan, lambda p, a, b, *v: a(*v) if p else b(*v), fori)
    for x in (0.4, 0.9, 1.4):
        assert_derivatives(f, plain, x)


def test_checkpoint_changes_nothing_but_the_memory():
    inner = lambda x: np.sin(np.exp(x) * np.cos(x))
    assert_derivatives(cr.checkpoint(inner), inner, 0.7)
    assert_derivatives(cr.checkpoint(cr.checkpoint(inner)), inner, 0.7)

    def plain(x):
        for t in XS:
            x = inner(x) + t
        return x

    body = cr.checkpoint(lambda c, t: (inner(c) + t, None))
    assert_derivatives(lambda x: cr.scan(body, x, XS)[0], plain, 0.7)


def test_a_checkpoint_stores_less():
    def chain(x):
        for _ in range(20):
            x = np.sin(x) * x
        return x

    def peak(block):
        f = lambda x: np.sum(block(block(block(block(x)))))
        return trace_call(cr.grad(f), (np.ones(1000),), {}).program.cost().peak_bytes

    # one block of 20 steps at a time, and what enters each, against four blocks
    assert peak(cr.checkpoint(chain)) < 0.5 * peak(chain)


# --- writes --------------------------------------------------------------------------------------


def test_loops_write_to_arrays_of_the_enclosing_function():
    def f(x, n=3):
        table = cr.numpy.zeros(4)
        table[0] = x

        def body(c, i):
            table[i + 1] = table[i] * c
            return c * x, table[i]

        carry, before = cr.scan(body, x, np.arange(n))
        return np.sum(table) + carry * np.sum(before)

    def plain(x):
        table, c, before = [x], x, 0 * x
        for i in range(3):
            table.append(table[i] * c)
            before = before + table[i]
            c = c * x
        return sum(table) + c * before

    assert_derivatives(f, plain, 0.8)


def test_branches_write_to_arrays_of_the_enclosing_function():
    def f(x):
        a, b = cr.numpy.zeros(2), cr.numpy.zeros(2)

        def yes():
            a[0] = x * x

        def no():
            b[1] = x**3

        cr.cond(x > 1.0, yes, no)
        return np.sum(a) * 2.0 + np.sum(b)

    assert_derivatives(f, lambda x: 2.0 * x * x, 1.5)
    assert_derivatives(f, lambda x: x**3, 0.5)


def test_while_loops_and_checkpoints_write_to_arrays_of_the_enclosing_function():
    def f(x):
        total = cr.numpy.zeros(2)

        def body(k):
            total[0] = total[0] + x * k
            return k + 1

        cr.while_loop(lambda k: k < 4, body, 0)

        def save():
            total[1] = total[0] * x

        cr.checkpoint(save)()
        return total[1]

    assert_derivatives(f, lambda x: 6.0 * x * x, 1.5)


def test_an_argument_written_in_a_loop_is_changed_for_the_caller():
    def f(buffer, x):
        def body(c, i):
            buffer[i] = c
            return c * x, None

        cr.scan(body, x, np.arange(3))
        return np.sum(buffer)

    buffer = np.zeros(3)
    assert cr.grad(f, 1)(buffer, 2.0) == 1.0 + 4.0 + 12.0
    assert np.array_equal(buffer, [2.0, 4.0, 8.0])


def test_what_a_body_writes_to_its_carry_stays_inside():
    def f(x):
        start = cr.numpy.ones(2) * x

        def body(c, t):
            c *= t
            return c, c[0]

        end, _ = cr.scan(body, start, np.array([2.0, 3.0]))
        return np.sum(start) + np.sum(end)

    assert cr.value_and_grad(f)(1.5) == (3.0 + 18.0, 2.0 + 12.0)


# --- outside of traces ---------------------------------------------------------------------------


def test_outside_of_a_trace_control_flow_is_plain_python():
    carry, ys = cr.scan(lambda c, t: (c + t, c * 2.0), 0.0, np.array([1.0, 2.0]))
    assert (carry, list(ys)) == (3.0, [0.0, 2.0])
    assert cr.while_loop(lambda s: s < 100.0, lambda s: s * 2.0, 3.0) == 192.0
    assert cr.fori_loop(1, 4, lambda i, s: s * i, 1) == 6
    assert cr.cond(False, lambda: 1.0, lambda: 2.0) == 2.0
    assert cr.checkpoint(lambda x: x * 2.0)(3.0) == 6.0


def test_control_flow_gives_the_same_inside_and_outside_of_traces():
    def f(x):
        carry, ys = cr.scan(lambda c, t: (np.sin(c * t), {"y": c + t}), x, XS, reverse=True)
        state = cr.while_loop(lambda s: s < 3.0, lambda s: s * 1.5 + 0.1, np.abs(carry) + 0.5)
        return cr.cond(state > 3.5, lambda: (state, ys), lambda: (state * 2.0, ys))

    plain, traced = f(0.7), cr.vjp(f, 0.7)[0]
    assert plain[0] == traced[0]
    assert np.array_equal(plain[1]["y"], traced[1]["y"])


# --- speculation ---------------------------------------------------------------------------------


def test_nothing_is_run_for_a_branch_that_is_not_taken():
    table, singular = np.arange(3.0), np.zeros((2, 2))  # a plain table, read by a traced index

    def f(x, i):
        safe = cr.cond(i < 3, lambda: np.take(table, i) * x, lambda: 0.0 * x)
        return safe + cr.cond(x > 100.0, lambda: np.linalg.solve(singular * x, XS[:2])[0],
                              lambda: x)  # fmt: skip

    assert cr.grad(f)(2.0, np.array(7)) == 1.0
    assert cr.grad(f)(2.0, np.array(2)) == 3.0


def test_lanes_that_do_not_take_a_branch_raise_nothing_and_give_no_nan():
    matrices = np.stack([np.eye(2), np.zeros((2, 2)), 2.0 * np.eye(2)])
    indices = np.array([0, 7, 2])
    table = np.arange(3.0)

    def f(m, i, x):
        solved = cr.cond(np.sum(m) != 0, lambda: np.linalg.solve(m, XS[:2] * x)[0], lambda: x)
        return solved + cr.cond(i < 3, lambda: np.take(table, i) * x * x, lambda: 0.0)

    for derivative in (
        lambda: cr.vmap(cr.grad(f, 2))(matrices, indices, np.array([1.0, 3.0, 2.0])),
        lambda: cr.grad(lambda x: np.sum(cr.vmap(f)(matrices, indices, x)))(
            np.array([1.0, 3.0, 2.0])
        ),
    ):
        with np.errstate(all="raise"):
            np.testing.assert_allclose(derivative(), [0.4, 1.0, 0.2 + 2 * 2 * 2.0], rtol=1e-14)


def test_lanes_with_batched_trip_counts_are_not_run_past_their_end():
    table = np.arange(1.0, 5.0)

    def f(n, x):
        body = lambda s: (s[0] + 1, s[1] * x / (n - s[0]) + np.take(table, s[0]))
        return cr.while_loop(lambda s: s[0] < n, body, (0, 1.0 + 0 * x))[1]

    def plain(n, x):
        k, s = 0, 1.0 + 0 * x
        while k < n:
            k, s = k + 1, s * x / (n - k) + table[k]
        return s

    counts = np.array([0, 4, 1, 2])
    wanted = [plain(int(n), 0.7) for n in counts]
    slopes = [complex_step(lambda x: plain(int(n), x), 0.7) for n in counts]
    with np.errstate(all="raise"):
        np.testing.assert_allclose(cr.vmap(f, (0, None))(counts, 0.7), wanted, rtol=1e-14)
        for found in (
            cr.vmap(cr.grad(f, 1), (0, None))(counts, 0.7),
            cr.jacobian(lambda x: cr.vmap(f, (0, None))(counts, x), mode="reverse")(0.7),
            cr.jvp(lambda x: cr.vmap(f, (0, None))(counts, x), (0.7,), (1.0,))[1],
        ):
            np.testing.assert_allclose(found, slopes, rtol=1e-13)


def test_loops_draw_the_same_numbers_in_every_mode():
    rng = Generator(7)
    start = rng.state.copy()

    def f(x):
        return cr.scan(lambda c, t: (c * x + rng.normal() * t, None), 0.0, XS)[0]

    found = []
    for derivative in (
        cr.grad(f),
        lambda x: cr.jvp(f, (x,), (1.0,))[1],
        lambda x: cr.vjp(f, x)[1](1.0)[0],
    ):
        rng.state = start.copy()
        found.append(derivative(0.7))
    assert found[0] == pytest.approx(found[1], rel=1e-14)
    assert found[0] == found[2]


@pytest.mark.parametrize("size, order", list(itertools.product([1, 3], ["C", "F"])))
def test_carried_arrays_of_any_layout(size, order):
    start = np.asarray(np.arange(6.0 * size).reshape(3, 2 * size), order=order)

    def f(x):
        body = lambda c, i: (c.T[::-1].T * x + i, c[0])
        return np.sum(cr.scan(body, start * x, np.arange(3))[1])

    def plain(x):
        c, total = start * x, 0.0
        for i in range(3):
            total = total + np.sum(c[0])
            c = c[:, ::-1] * x + i
        return total

    assert_derivatives(f, plain, 0.7)
