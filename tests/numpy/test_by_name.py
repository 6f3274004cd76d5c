"""Names of the user's own module that stand for functions of math, NumPy and Python.

Values are plain Python's and slopes closed forms; a function is traced again only where it was
refused.
"""

import builtins
import math
import sys
from math import exp, hypot, log, sin
from math import sqrt as root

import numpy as np
import pytest
from numpy import array, asarray, concatenate, full, zeros
from scipy import stats
from scipy.linalg import inv

import chainrule as cr
from chainrule.errors import ConcreteValueNeeded

X = np.array([0.7, -0.4, 1.3, 0.2])
log_density = stats.norm.logpdf  # a method of an object
KEPT = {"float": float}  # not looked up by its name


def of_math(x):
    return sin(x[0]) * exp(x[1]) + root(x[2]) + log(x[2], 2.0) + hypot(x[0], x[3])


def slope_of_math(x):
    h = np.hypot(x[0], x[3])
    return [np.cos(x[0]) * np.exp(x[1]) + x[0] / h, np.sin(x[0]) * np.exp(x[1]),
            0.5 / np.sqrt(x[2]) + 1.0 / (x[2] * np.log(2.0)), x[3] / h]  # fmt: skip


def of_numpy(x):
    a = array([[x[0], 1.0], [x[1], x[2]]])
    b = asarray([x[3], 2.0]) + full(2, x[0])
    return (a @ b).sum() + concatenate([x, [x[0]]]).sum()


def slope_of_numpy(x):
    first, second = x[3] + x[0], 2.0 + x[0]  # b
    return [first + x[0] + x[1] + 1.0 + x[2] + 2.0, first + 1.0, second + 1.0, x[0] + x[1] + 1.0]


def of_lists(x):
    return np.sin([x[0], 2.0 * x[1]]).sum() + np.add([x[2], 1.0], (x[3], x[3])).prod()


def slope_of_lists(x):
    return [np.cos(x[0]), 2.0 * np.cos(2.0 * x[1]), 1.0 + x[3], x[2] + 1.0 + 2.0 * x[3]]


def filled(x):
    y = zeros(2)
    y[0] = sin(x[0])
    y[1] = max(x[1], 0.0) + x[2]
    return y @ y


def slope_of_filled(x):
    return [2.0 * np.sin(x[0]) * np.cos(x[0]), 0.0, 2.0 * x[2], 0.0]


def of_scipy(x):
    a = np.eye(2) * 2.0
    a[0, 1] = x[0]
    return inv(a).sum()  # the inverse has -x0 / 4 there


def of_methods(x):
    return log_density(x[:2], x[2]).sum() + sum(map(log_density, [x[3], 2.0 * x[3]]))


def slope_of_methods(x):
    return [x[2] - x[0], x[2] - x[1], x[0] + x[1] - 2.0 * x[2], -5.0 * x[3]]


CASES = [
    (of_math, slope_of_math), (of_numpy, slope_of_numpy), (of_lists, slope_of_lists),
    (filled, slope_of_filled), (of_scipy, lambda x: [-0.25, 0.0, 0.0, 0.0]),
    (of_methods, slope_of_methods),
]  # fmt: skip


@pytest.mark.parametrize(("f", "slope"), CASES)
def test_names_that_were_imported_are_followed(f, slope):
    assert cr.compile(f)(X) == pytest.approx(f(X), rel=1e-14)
    assert cr.vmap(f)(np.stack([X, X]))[1] == pytest.approx(f(X), rel=1e-14)
    for g in (cr.grad(f), cr.compile(cr.grad(f)), lambda x: cr.vmap(cr.grad(f))(x[None])[0]):
        np.testing.assert_allclose(g(X), slope(X), rtol=1e-13, atol=1e-16)


def largest(x):
    return max(x) * 2.0 + max(x[0], x[1], 0.5) + max([x[2], 3.0]) + max(list(x), key=abs) ** 2


def least(x):
    return min(x) * min(x[0], 0.5) + min([x[2], x[3]], key=lambda v: -v) + min(x[1], 0)


def in_order(x):
    v = sorted(x)
    w = sorted(list(x), key=lambda t: -t * t)
    u = sorted([x[0], x[1], 0.3], reverse=True)
    return v[0] * v[1] + 3.0 * v[-1] + w[0] * w[-1] + u[0] - 2.0 * u[2]


@pytest.mark.parametrize("f", [largest, least, in_order])
def test_max_min_and_sorted_need_no_truth_value(f):
    points = [X, -X, np.array([0.1, 2.2, -3.4, 1.9]), np.array([-5.0, -4.0, -3.0, -2.5])]
    g, h = cr.compile(f), cr.compile(cr.grad(f))
    for x in points:
        assert g(x) == pytest.approx(f(x), rel=1e-15)
        slope = [(f(x + e) - f(x - e)) / 2e-6 for e in 1e-6 * np.eye(4)]
        np.testing.assert_allclose(h(x), slope, rtol=1e-7, atol=1e-8)
        np.testing.assert_allclose(cr.grad(f)(x), slope, rtol=1e-7, atol=1e-8)
    np.testing.assert_allclose(cr.vmap(f)(np.stack(points)), [f(x) for x in points], rtol=1e-15)


def numbers(x):
    a = float(x[0]) * float(np.sum(x)) + complex(x[1], x[2]).real * complex(x[3]).imag
    assert isinstance(float(x[1]), float) and isinstance(float("2.5"), float)
    assert isinstance(int(3.5), int) and not isinstance(1, float) and issubclass(bool, int)
    y = np.zeros(2, dtype=float) + np.ones(2, int) + np.arange(2, dtype=complex).real
    assert y.dtype == float and np.dtype(int) == int and np.array([1.5]).astype(int)[0] == 1
    return a + int(x[2] * 3.0) * x[0] + abs(complex(x[0], x[1])) + {float: 1.0}[float] + y.sum()


def test_python_numbers_of_traced_values():
    h = np.hypot(X[0], X[1])
    total = X.sum()
    slope = [total + X[0] + 3.0 + X[0] / h, X[0] + X[1] / h, X[0], X[0]]
    assert cr.compile(numbers)(X) == pytest.approx(numbers(X), rel=1e-15)
    assert cr.vmap(numbers)(X[None])[0] == pytest.approx(numbers(X), rel=1e-15)
    for g in (cr.grad(numbers), cr.compile(cr.grad(numbers))):
        np.testing.assert_allclose(g(X), slope, rtol=1e-14)
    for f in (lambda x: float(x), lambda x: int(x), lambda x: complex(x)):
        with pytest.raises(TypeError):
            cr.compile(f)(X)


def test_a_whole_number_of_a_traced_value_is_an_index():
    table = np.arange(10.0) ** 2

    def f(x):
        place = int(np.floor(x[2] * 3.0))
        along = x[2] * 3.0 - place
        rows = cr.numpy.asarray(table)
        return rows[place] * (1.0 - along) + rows[place + 1] * along

    for x in (X, 2.0 * X):
        assert cr.compile(f)(x) == pytest.approx(np.interp(3.0 * x[2], np.arange(10.0), table))
        i = int(3.0 * x[2])
        assert cr.compile(cr.grad(f))(x)[2] == pytest.approx(3.0 * (table[i + 1] - table[i]))


def test_max_at_a_tie_is_looked_at_from_both_sides():
    f = lambda x: max(x[0], x[1])
    x = np.ones(2)
    np.testing.assert_array_equal(cr.grad(f)(x), [0.5, 0.5])
    np.testing.assert_array_equal(cr.compile(cr.grad(f))(x), [0.5, 0.5])


def test_a_largest_python_number_stays_one():
    f = lambda x, y: max(x, y, 0) * np.float32(2.0)
    assert cr.compile(f)(1.5, 2.5).dtype == f(1.5, 2.5).dtype == np.float32


def test_max_of_arrays_is_refused_as_ever():
    with pytest.raises(ValueError, match="truth value"):
        cr.compile(lambda x: max(x[:2], x[2:]).sum())(X)


def test_the_names_are_as_before_afterwards():
    names = sys.modules[__name__].__dict__
    before = dict(names)
    for f in (of_math, largest):
        cr.compile(f)(X)
        cr.grad(f)(X)
    with pytest.raises(ConcreteValueNeeded):
        cr.grad(lambda x: KEPT["float"](max(x)) * x[0])(X)
    assert {k: v for k, v in names.items() if before.get(k) is not v} == {}
    assert "max" not in names
    assert builtins.max is max
    assert (math.sin, np.sin) == (sin, names["np"].sin)


def test_a_function_that_needs_it_is_traced_once_from_the_second_call_on():
    runs = []

    def f(x):
        runs.append(1)
        table = np.zeros(2)
        assert type(table) is np.ndarray  # traced arrays are for functions that fill them
        return sin(x) + table.sum()

    for count in (2, 3, 4):
        assert cr.grad(f)(0.5) == pytest.approx(np.cos(0.5), rel=1e-15)
        assert len(runs) == count


def test_the_first_refusal_is_the_one_that_is_seen():
    with pytest.raises(ConcreteValueNeeded, match=r"float\(x\) needs .* at test_by_name.py"):
        cr.grad(lambda x: sin(x[0]) + KEPT["float"](x[1]))(X)
