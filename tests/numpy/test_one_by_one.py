"""Going through traced arrays element by element; the truth is closed forms and plain NumPy."""

import numpy as np
import pytest

import chainrule as cr
from chainrule.errors import ConcreteValueNeeded, NotSupported

X = np.array([0.7, -0.4, 1.3, 0.2])
ramp = np.vectorize(lambda a: a * a if a < 0.0 else 3.0 * a)
RAMP = np.where(X < 0.0, 2.0 * X, 3.0)  # its slope
KEPT = {"float": float}  # not looked up by its name
product = np.frompyfunc(lambda a, b: (a * b, a + b), 2, 2)


def test_a_vectorized_function_with_branches():
    np.testing.assert_array_equal(cr.grad(lambda x: ramp(x).sum())(X), RAMP)
    np.testing.assert_array_equal(cr.jacobian(ramp, mode="forward")(X), np.diag(RAMP))
    matrix = X.reshape(2, 2)
    slope = cr.grad(lambda x: ramp(x).sum())(matrix)
    np.testing.assert_array_equal(slope, RAMP.reshape(2, 2))
    assert cr.grad(lambda x: ramp(x) * 1.0)(0.5) == 3.0


def test_a_vectorized_function_broadcasts_and_takes_what_it_closes_over():
    def f(x):
        scaled = np.vectorize(lambda a, b: x[0] * a * b)
        return scaled(np.arange(3.0), x[1:3, None]).sum()

    expected = np.array([3.0 * (X[1] + X[2]), 3.0 * X[0], 3.0 * X[0], 0.0])
    for g in (cr.grad(f), cr.compile(cr.grad(f)), lambda x: cr.vmap(cr.grad(f))(x[None])[0]):
        np.testing.assert_allclose(g(X), expected, rtol=1e-15)


def test_a_vectorized_function_of_several_results_and_given_dtypes():
    def f(x):
        total, difference = np.vectorize(lambda a, b: (a + b, a - b))(x, 2.0 * x)
        halves = np.vectorize(lambda a: a / 2.0, otypes=[np.float32])(x)
        assert halves.dtype == np.float32
        scaled = np.vectorize(lambda a, power: a**power, excluded=["power"])(x, power=2)
        return (total * difference).sum() + scaled.sum()

    np.testing.assert_allclose(cr.grad(f)(X), -6.0 * X + 2.0 * X, rtol=1e-14)


def test_the_first_result_decides_the_dtype_as_in_numpy():
    cut = np.vectorize(lambda a: 0 if a > 0.5 else a)  # 0 is an int: so are all others
    np.testing.assert_array_equal(cr.compile(lambda x: np.vectorize(lambda a: a)(x))(X), X)
    value, slope = cr.value_and_grad(lambda x: cut(x).sum() * 1.0)(X)
    assert value == cut(X).sum()
    np.testing.assert_array_equal(slope, np.zeros(4))


def test_a_vectorized_function_draws_as_often_as_in_numpy():
    rng, plain = np.random.default_rng(1), np.random.default_rng(1)
    f = lambda x, r: np.vectorize(lambda a: a * r.normal())(x).sum()
    assert cr.value_and_grad(lambda x: f(x, rng))(X)[0] == pytest.approx(f(X, plain), rel=1e-15)
    assert rng.normal() == plain.normal()


def test_vectorize_refuses_nothing_twice():
    with pytest.raises(ValueError, match="size 0"):
        cr.grad(lambda x: ramp(x[:0]).sum())(X)
    np.testing.assert_array_equal(cr.compile(lambda x: ramp(x))(X), ramp(X))


def test_a_ufunc_of_a_python_function():
    def f(x):
        products, sums = product(x, x[::-1])
        return products.sum() + (sums**2).sum()

    expected = 2.0 * X[::-1] + 4.0 * (X + X[::-1])
    for g in (cr.grad(f), cr.compile(cr.grad(f)), lambda x: cr.vmap(cr.grad(f))(x[None])[0]):
        np.testing.assert_allclose(g(X), expected, rtol=1e-14)


def test_fromiter_stacks():
    f = lambda x: (np.fromiter((v * v for v in x), dtype=float, count=3) * X[:3]).sum()
    np.testing.assert_allclose(cr.grad(f)(X), [*(2.0 * X[:3] ** 2), 0.0], rtol=1e-15)
    with pytest.raises(ValueError, match="iterator too short"):
        cr.grad(lambda x: np.fromiter(iter(x), float, 9).sum())(X)
    assert np.fromiter(range(3), int).sum() == 3


def test_ndenumerate_and_nditer_of_a_traced_array():
    def f(x):
        total = 0.0
        for (i, j), v in np.ndenumerate(x.reshape(2, 2)):
            total += (i + 2 * j) * v
        for v in np.nditer(x):
            total = total + v * v
        steps = np.nditer(x, flags=["multi_index"])
        while not steps.finished:
            total = total + steps.multi_index[0] * steps[0]
            steps.iternext()
        with np.nditer(x.reshape(2, 2), flags=["multi_index"], op_flags=["readonly"]) as entries:
            for v in entries:
                total = total + entries.multi_index[0] * v
        return total

    expected = np.array([0.0, 2.0, 1.0, 3.0]) + 2.0 * X + np.arange(4.0) + [0.0, 0.0, 1.0, 1.0]
    assert cr.compile(f)(X) == pytest.approx(f(X), rel=1e-15)
    for g in (cr.grad(f), cr.compile(cr.grad(f)), lambda x: cr.vmap(cr.grad(f))(x[None])[0]):
        np.testing.assert_allclose(g(X), expected, rtol=1e-14)


def test_nditer_that_writes_is_refused_with_the_way_out():
    def f(x):
        for v in np.nditer(x, op_flags=["readwrite"]):
            v[...] = 2.0 * v
        return x.sum()

    with pytest.raises(NotSupported, match=r"test_one_by_one.py:\d+.\n  Use for place in np.ndind"):
        cr.grad(f)(X)


def test_lists_of_python_numbers_keep_the_derivative():
    def f(x):
        rows = x.reshape(2, 2).tolist()
        assert isinstance(rows[0][0], float)
        return rows[0][1] * rows[1][0] + x[0].item() ** 2 + x.item(3) + x.reshape(2, 2).item(1, 1)

    expected = [2.0 * X[0], X[2], X[1], 2.0]
    assert cr.compile(f)(X) == pytest.approx(f(X), rel=1e-15)
    for g in (cr.grad(f), cr.compile(cr.grad(f)), lambda x: cr.vmap(cr.grad(f))(x[None])[0]):
        np.testing.assert_allclose(g(X), expected, rtol=1e-15)
    with pytest.raises(ValueError, match="size 1"):
        cr.grad(lambda x: x.item())(X)


def test_what_no_derivative_follows_stays_a_plain_number():
    def f(x):
        n = cr.stop_gradient(x)[2].item()
        assert type(n) is float
        assert type(cr.stop_gradient(x).tolist()[0]) is float
        return n * x[0]

    assert cr.grad(f)(X)[0] == X[2]


def test_a_value_may_be_shown_by_percent():
    seen = []

    def f(x):
        text = "%.2f and %g"
        seen.append(text % (x[0], x[1] * 2.0))
        text = "%.1f"
        text %= x[2]
        seen.append(text)
        return x.sum()

    cr.grad(f)(X)
    assert seen == ["0.70 and -0.8", "1.3"]
    with pytest.raises(ConcreteValueNeeded, match=r"float\(x\)"):
        cr.grad(lambda x: KEPT["float"](x[0]) % 2.0)(X)
