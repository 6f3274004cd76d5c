"""Plain arrays that a function makes and fills with traced values."""

import sys
import textwrap

import numpy as np
import pytest

import chainrule as cr
from chainrule.errors import ConcreteValueNeeded, MutationError

X = np.array([1.0, 2.0, 3.0])


def by_elements(x):
    y = np.zeros(3)
    for i in range(3):
        y[i] = x[i] ** 2
    return y.sum()


def by_rows_and_columns(x):
    y = np.zeros((3, 3))
    y[0] = x
    y[:, 1] += x
    y += x[0]
    return np.sum(y**2)


def by_out(x):
    y = np.empty(3)
    np.multiply(x, x, out=y)
    return y.sum()


def by_where(x):
    y = np.ones(3)
    np.log(x, out=y, where=x > 1.5)
    return np.prod(y) * x[0]


def by_add_at(x):
    y = np.full(3, 2.0)
    np.add.at(y, [0, 0], x[:2])
    return y @ y


def of_a_list(x):
    y = np.array([0.0, 1.0])
    y[0] = x[2]
    return y @ y


def like_another(x):
    y = np.zeros_like(np.ones((2, 3)))
    y[1] = x
    return np.sum(np.copy(y) ** 2)


def heat(x):
    u = np.zeros(5)
    u[1:4] = x
    for _ in range(3):
        v = u.copy()
        v[1:-1] = u[1:-1] + 0.1 * (u[2:] - 2.0 * u[1:-1] + u[:-2])
        u = v
    return np.sum(u**3)


def caught(x):
    y = np.zeros(3)
    try:
        y[0] = x[0]
    except ValueError:
        return 0.0
    return y.sum()


def inside_another_derivative(x):
    def cubes(t):
        z = np.zeros(2)
        z[:] = t**3
        return z.sum()

    y = np.zeros(3)
    y[1] = cr.grad(cubes)(x[1])
    return y.sum()


def turned(x):
    turn, mirror = np.eye(3), np.identity(3)
    turn[0, 1] = -x[0]
    mirror[1, 1] = x[1]
    return np.sum(turn @ mirror @ x)


def between(x):
    grid, steps = np.linspace(0.0, 1.0, 3), np.arange(3.0)
    grid[1] = x[0]
    steps[2] *= x[1]
    return grid @ x + steps @ x


FILLED = [turned, between, by_elements, by_rows_and_columns, by_out, by_where, by_add_at,
          of_a_list, like_another, heat, caught]  # fmt: skip


@pytest.mark.parametrize("f", FILLED)
def test_an_array_that_the_function_makes_may_be_filled(f):
    value, slope = cr.value_and_grad(f)(X)
    assert value == pytest.approx(f(X), rel=1e-15)
    step = 1e-5 * np.eye(3)  # central differences: exact to 1e-9 for these cubic polynomials
    np.testing.assert_allclose(slope, [(f(X + h) - f(X - h)) / 2e-5 for h in step], rtol=1e-8)
    for other in (cr.compile(cr.grad(f)), lambda x: cr.vmap(cr.grad(f))(np.stack([x, x]))[1],
                  lambda x: cr.jacobian(f, mode="forward")(x)):  # fmt: skip
        np.testing.assert_allclose(other(X), slope, rtol=1e-14)
    assert cr.compile(f)(X) == pytest.approx(value, rel=1e-15)


def test_arrays_are_filled_inside_another_derivative():
    np.testing.assert_allclose(cr.grad(inside_another_derivative)(X), [0.0, 24.0, 0.0], rtol=1e-14)
    assert cr.compile(inside_another_derivative)(X) == 24.0


def test_arrays_are_filled_in_the_body_of_a_loop():
    def body(carry, x):
        y = np.zeros(2)
        y[0], y[1] = carry, x
        return y @ y, y

    f = lambda x: cr.scan(body, x[0], x)[0]
    slope = [16.0, 4.0]  # of 4 x0**4 + x1**2
    np.testing.assert_allclose(cr.grad(f)(X[:2]), slope, rtol=1e-14)


def test_a_function_that_fills_no_array_with_traced_values_runs_once():
    runs = []

    def f(x):
        runs.append(1)
        table = np.zeros(3)
        table[1] = 2.0
        assert type(table) is np.ndarray
        return np.sum(table * x)

    np.testing.assert_array_equal(cr.grad(f)(X), [0.0, 2.0, 0.0])
    assert len(runs) == 1


def test_whole_numbers_stay_plain():
    def f(x):
        order, y = np.zeros(3, int), np.zeros(3)
        order[:] = [2, 0, 1]
        y[order] = x
        assert type(order) is np.ndarray
        return y @ np.arange(3.0)

    np.testing.assert_array_equal(cr.grad(f)(X), [2.0, 0.0, 1.0])


def test_what_else_is_refused_is_still_refused():
    outside = np.zeros(3)

    def f(x):
        y = np.zeros(3)
        y[0] = x[0]
        outside[1] = x[1]
        return y.sum() + outside.sum()

    with pytest.raises(ConcreteValueNeeded, match=r"float\(x\)"):
        cr.grad(f)(X)
    with pytest.raises(MutationError, match="plain array"):
        cr.grad(lambda x: np.zeros(3).sum() + np.add(x, x, out=outside).sum())(X)
    assert cr.grad(by_elements)(X)[2] == 6.0
    assert not outside.any()


def test_arrays_of_a_library_stay_plain(tmp_path, monkeypatch):
    code = """
        import numpy as np
        def filled(x):
            y = np.zeros(3)
            y[0] = x[0]
            return y.sum()
    """
    (tmp_path / "a_library.py").write_text(textwrap.dedent(code))
    monkeypatch.syspath_prepend(tmp_path)
    import a_library

    monkeypatch.setattr("chainrule.numpy.buffers._LIBRARIES", (str(tmp_path),))
    with pytest.raises(ConcreteValueNeeded, match="cr.numpy.zeros"):
        cr.grad(a_library.filled)(X)
    monkeypatch.undo()
    del sys.modules["a_library"]
