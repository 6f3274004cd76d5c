"""np.asarray and its kin while a trace is open: traced values pass, nothing else changes."""

import subprocess
import sys
import threading
from types import ModuleType

import numpy as np
import pytest

import chainrule as cr
from chainrule.errors import NotSupported
from chainrule.numpy import interception
from chainrule.numpy.interception import dispatching_asarray
from tests.numpy.against_numpy import check_same, through_trace

V = np.arange(5.0)
M = np.arange(12.0).reshape(3, 4)
NAMES = ["asarray", "asanyarray", "array", "ascontiguousarray", "asfortranarray"]


@pytest.mark.parametrize("name", NAMES)
def test_library_code_that_converts_its_argument_is_differentiated(name):
    def library(x):
        x = getattr(np, name)(x, dtype=float)
        return (x**2).sum()

    np.testing.assert_array_equal(cr.grad(library)(V), 2 * V)
    assert cr.grad(lambda x: library(x).sum())(3.0) == 6.0


@pytest.mark.parametrize("name", NAMES)
def test_the_result_is_numpys(name):
    for x in (V, M.T, np.float64(2), np.array(2.0), 2.0, 3, M.astype(np.float32)):
        check_same(lambda x: getattr(np, name)(x), x)
        check_same(lambda x: getattr(np, name)(x, np.float32), x)
        check_same(lambda x: getattr(np, name)(x, dtype=float), x)


def test_array_copies_and_asarray_does_not():
    def function(x):
        copied, same, cast = np.array(x), np.asarray(x), np.asarray(x, np.float32)
        kept, forced = np.array(x, copy=None), np.asarray(x, copy=True)
        copied[0], same[1], cast[2], kept[3], forced[4] = 10.0, 11.0, 12.0, 13.0, 14.0
        return copied, same, cast, kept, forced

    check_same(function, V)


def test_a_copy_that_cannot_be_avoided_raises_as_numpy_does():
    check_same(lambda x: np.array(x, np.float32, copy=False), V)
    check_same(lambda x: np.array(x, copy=False), V)


def test_a_scalar_becomes_an_array():
    def function(x):
        y = np.asarray(x)
        assert isinstance(y, np.ndarray) and y.ndim == 0
        y += 1
        return y, np.array(x, ndmin=2), np.isscalar(x), x

    check_same(lambda x: function(x)[:2], np.float64(2))


def test_an_array_made_of_objects_is_refused():
    with pytest.raises(TypeError, match="dtype object.*test_interception.py"):
        through_trace(lambda x: np.asarray(x, dtype=object), V)


def test_functions_that_convert_and_check():
    check_same(lambda x: np.asarray_chkfinite(x, np.float32), V)
    check_same(lambda x: np.asarray_chkfinite(x), V / np.array([1, 1, 0, 1, 1]))
    assert cr.vmap(lambda x: np.asarray_chkfinite(x) * 2)(V).shape == V.shape
    for asked in (None, "C", ["F", "W"], ["OWNDATA"], "CF"):
        check_same(lambda x, asked=asked: np.require(x, float, asked).strides, M)
    check_same(lambda x: _written(np.require(x[1:], None, "O")), V)
    check_same(lambda x: _written(np.require(x, None, "W")), V)


def test_the_shape_of_a_kaiser_window_may_be_traced():
    for count in (0, 1, 2, 7):
        check_same(lambda beta, n=count: np.kaiser(n, beta), np.float64(6.2), exact=False)
    check_same(lambda beta: np.kaiser(5, beta), np.int64(3), exact=False)
    step = 2.0**-13
    expected = (np.kaiser(7, 6.2 + step) - np.kaiser(7, 6.2 - step)) / (2 * step)
    _, slope = cr.jvp(lambda beta: np.kaiser(7, beta), (6.2,), (1.0,))
    np.testing.assert_allclose(slope, expected, rtol=1e-7)


def _written(x):
    x[0] = 9.0
    return x


def test_full_and_the_default_of_select_may_be_traced():
    check_same(lambda x: np.full((2, 3), x), np.float64(2))
    check_same(lambda x: np.full(5, x, np.float32, "F"), V)
    check_same(lambda x: np.full(3, fill_value=x[1]), V)
    check_same(lambda x: np.select([np.array([True, False])], [1.0], x), np.float64(3))
    assert cr.grad(lambda x: np.full(3, x).sum())(2.0) == 3.0
    with pytest.raises(NotSupported, match=r"np.full\(likes=...\)"):
        cr.grad(lambda x: np.full(3, x, likes=3).sum())(2.0)


def test_masked_arrays_are_refused_with_what_to_write():
    for make in (np.ma.array, np.ma.masked_invalid, np.ma.sum):
        with pytest.raises(NotSupported, match=r"np.where\(mask.*"):
            cr.grad(lambda x, make=make: make(x).sum())(V)


@pytest.mark.parametrize("make", [
    lambda x: np.array([x[0], x[1] * 2.0]), lambda x: np.asarray((x[1], 3)),
    lambda x: np.array([[x[0], 1], [2.5, x[1]]]), lambda x: np.array([x, x[::-1]], np.float32),
    lambda x: np.array([x[0], 1j]), lambda x: np.array([x, [1, 2]], ndmin=3),
    lambda x: np.asanyarray([x[0], True]), lambda x: np.array(object=[[], []] + [[]]),
    lambda x: np.ascontiguousarray([x[0]]), lambda x: np.asarray([[x[0], 2.0], [3.0, x[1]]]).T,
])  # fmt: skip
def test_lists_of_traced_values_become_arrays(make):
    check_same(make, V[:2])
    check_same(make, V[:2].astype(np.float32))


def test_lists_of_several_shapes_raise_as_numpy_does():
    check_same(lambda x: np.array([x, x[0]]), V)


def rotated(t):
    turn = np.array([[np.cos(t), -np.sin(t)], [np.sin(t), np.cos(t)]])
    return turn @ np.array([1.0, 2.0])


def test_derivatives_of_lists_of_traced_values():
    slope = [-np.sin(0.3) - 2 * np.cos(0.3), np.cos(0.3) - 2 * np.sin(0.3)]
    for derivative in (cr.jacobian(rotated), cr.compile(cr.jacobian(rotated)),
                       lambda t: cr.vmap(cr.jacobian(rotated))(np.array([t]))[0]):  # fmt: skip
        np.testing.assert_allclose(derivative(0.3), slope, rtol=1e-14)


LISTS = [
    lambda x, y: np.max([x, y]), lambda x, y: np.min((x, -y), axis=0),
    lambda x, y: np.sum([x, y, 1]), lambda x, y: np.mean([x, y]),
    lambda x, y: np.prod([x, y]), lambda x, y: np.sort([y, x, 0]),
    lambda x, y: np.linalg.norm([x, y]), lambda x, y: np.dot([x, y], [2.0, 3]),
    lambda x, y: np.linalg.det([[x, 1.0], [2.0, y]]), lambda x, y: np.median([x, y, 1.0]),
    lambda x, y: np.linalg.solve([[x, 1.0], [2.0, y]], [1.0, x]), lambda x, y: np.std([x, y, 1]),
    lambda x, y: np.cumsum([x, y]), lambda x, y: np.interp(0.5, [0.0, 1.0], [x, y]),
    lambda x, y: np.quantile([x, y], 0.25), lambda x, y: np.diff([x, y]),
    lambda x, y: np.diag([x, y]), lambda x, y: np.sum(a=[x, y], axis=0),
    lambda x, y: np.polyval([x, y], 2.0),
    lambda x, y: np.average([x, y], weights=[1.0, 3.0]), lambda x, y: np.outer([x, y], [1, 2]),
]  # fmt: skip


@pytest.mark.parametrize("number", range(len(LISTS)))
def test_functions_of_lists_that_hold_traced_values(number):
    check_same(LISTS[number], np.float64(1.5), np.float64(4.0), exact=False)


def test_functions_of_lists_are_compiled_once():
    traces = []

    def f(x):
        traces.append(1)
        return np.max([x, -x]) + np.min([x, -x]) + np.sum([x, 1.0])

    compiled = cr.compile(cr.grad(f))
    assert [compiled(x) for x in (1.0, 0.0, -2.0)] == [1.0, 1.0, 1.0]
    assert len(traces) == 1


def test_numpy_is_itself_outside_and_after_errors():
    before = [getattr(np, name) for name in NAMES]
    with pytest.raises(ZeroDivisionError):
        cr.grad(lambda x: 1 // 0)(2.0)
    assert [getattr(np, name) for name in NAMES] == before
    with dispatching_asarray():
        assert np.asarray is not before[0]
        with dispatching_asarray():
            pass
        assert np.asarray is not before[0]
        np.testing.assert_array_equal(np.asarray([1, 2]), [1, 2])
        assert np.asarray(a=[1, 2]).dtype == int
        assert np.array(object=[1.0], ndmin=2).shape == (1, 1)
        assert np.asarray(M) is M
        assert np.asarray.__name__ == "asarray"
    assert [getattr(np, name) for name in NAMES] == before


def test_a_module_with_nothing_to_exchange_changes_nothing(monkeypatch):
    cr.grad(lambda x: np.sum(x * x))(np.ones(2))
    before = interception._replacements.cache_info().misses
    monkeypatch.setitem(sys.modules, "a_module_of_the_users", ModuleType("a_module_of_the_users"))
    cr.grad(lambda x: np.sum(x * x))(np.ones(2))
    assert interception._replacements.cache_info().misses == before


def test_scipy_is_reached_when_it_is_imported_between_traces():
    code = """
import sys
import numpy as np
import chainrule as cr
cr.grad(lambda x: np.sum(x * x))(np.ones(2))
assert "scipy.linalg" not in sys.modules
import scipy.linalg
found = cr.grad(lambda x: np.sum(scipy.linalg.inv(x)))(np.diag([2.0, 4.0]))
inverse = np.diag([0.5, 0.25])
assert np.allclose(found, -inverse.T @ np.ones((2, 2)) @ inverse.T), found
"""
    subprocess.run([sys.executable, "-c", code], check=True)


def test_traces_in_several_threads_share_the_wrappers():
    before = [getattr(np, name) for name in NAMES]
    inside, leave = threading.Barrier(3), threading.Event()
    results = {}

    def waiting(x):
        inside.wait()
        leave.wait()
        return (np.asarray(x) * 3.0).sum()

    def work(i):
        results[i] = cr.grad(waiting)(float(i))

    threads = [threading.Thread(target=work, args=(i,)) for i in range(2)]
    for thread in threads:
        thread.start()
    inside.wait()
    assert cr.grad(lambda x: np.asarray(x) * 2.0)(1.0) == 2.0  # comes and goes meanwhile
    assert np.asarray is not before[0]
    leave.set()
    for thread in threads:
        thread.join()
    assert results == {0: 3.0, 1: 3.0}
    assert [getattr(np, name) for name in NAMES] == before
