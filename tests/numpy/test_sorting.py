"""Sorting, searching and distinct values through a trace, against NumPy."""

import numpy as np
import pytest

import chainrule as cr
from chainrule.errors import ConcreteValueNeeded, NotSupported, ShapeError
from tests.numpy.against_numpy import check_same, through_trace
from tests.ops.differentiation import check_derivatives

RNG = np.random.default_rng(5)
X = RNG.standard_normal((3, 5))
WHOLE = RNG.integers(0, 4, (3, 5))
WITH_NAN = np.where([[0, 1, 0, 0, 0], [1] * 5, [0] * 5], np.nan, X)
AXES = pytest.mark.parametrize("axis", [None, 0, 1, -1])
RISING = np.sort(RNG.standard_normal(6))


@AXES
def test_sort_and_argsort_are_numpys(axis):
    for x in (X, WHOLE, WITH_NAN, X + 1j * WHOLE, X.astype("f4"), X > 0):
        check_same(lambda x: np.sort(x, axis=axis), x)
        check_same(lambda x: np.argsort(x, axis=axis), x)
        check_same(lambda x: np.argsort(x, axis=axis, kind="stable"), x)
        check_same(lambda x: np.argsort(x, axis=axis, stable=True), x)


@AXES
def test_partition_puts_its_places_in_order(axis):
    check_same(lambda x: np.argpartition(x, 2, axis=axis), X)
    place = (Ellipsis, [1, 4]) if axis != 0 else ([1, 2],)
    kth = [1, 4] if axis != 0 else [1, 2]
    check_same(lambda x: np.partition(x, kth, axis=axis)[place], X)
    check_same(lambda x: np.sort(np.partition(x, kth[0], axis=axis), axis=axis), X)


def test_sorting_in_place():
    def rows(x):
        x.sort()
        x[0].sort()
        return x

    check_same(rows, X)


def test_sort_complex_and_lexsort():
    for dtype in ("i2", "i8", "f4", "f8", "c8"):
        check_same(np.sort_complex, X.astype(dtype))
    for axis in (0, 1):
        check_same(lambda a, b: np.lexsort((a, b), axis=axis), WHOLE, WHOLE[::-1] % 2)


@pytest.mark.parametrize("side", ["left", "right"])
def test_searchsorted(side):
    check_same(lambda a, v: np.searchsorted(a, v, side), RISING, X)
    check_same(lambda a, v: np.searchsorted(a, v, side), RISING, RISING)
    check_same(lambda a: a.searchsorted(0.1, side), RISING)
    check_same(lambda v: np.searchsorted(np.arange(5), v, side), X)
    order = np.arange(6)[::-1].copy()
    check_same(lambda a, v: np.searchsorted(a, v, side, sorter=order), RISING[::-1].copy(), X)


@pytest.mark.parametrize(
    "options",
    [{}, {"return_index": True}, {"return_inverse": True, "return_counts": True},
     {"return_index": True, "return_inverse": True, "return_counts": True}, {"equal_nan": False}],
)  # fmt: skip
def test_unique(options):
    check_same(lambda x: np.unique(x, **options), WITH_NAN)
    check_same(lambda x: np.unique(x, **options), WHOLE)
    check_same(lambda x: np.unique(x, axis=0, **options), WHOLE[[0, 1, 0]])


def test_unique_of_the_array_api():
    check_same(lambda x: tuple(np.unique_all(x)), WHOLE)
    check_same(lambda x: tuple(np.unique_counts(x)), WHOLE)
    check_same(lambda x: tuple(np.unique_inverse(x)), WHOLE)
    check_same(lambda x: np.sort(np.unique_values(x)), WHOLE)  # NumPy promises no order


# --- derivatives --------------------------------------------------------------------------------


@AXES
def test_derivatives_of_sort_and_partition(axis):
    check_derivatives(lambda x: np.sort(x, axis=axis), X, step=1e-3)
    check_derivatives(lambda x: np.partition(x, 1, axis=axis), X, step=1e-3)


def test_equal_values_keep_their_order():
    jacobian = cr.jacobian(np.sort, kinks="convention")(np.array([2.0, 1.0, 2.0, 1.0]))
    np.testing.assert_array_equal(jacobian, np.eye(4)[[1, 3, 0, 2]])


def test_the_derivative_of_unique_goes_to_the_first_entry_of_each_value():
    slope = cr.grad(lambda x: np.sum(np.unique(x) ** 2))(np.array([3.0, 1.0, 3.0, 2.0]))
    np.testing.assert_array_equal(slope, [6.0, 2.0, 0.0, 4.0])


def test_no_derivative_passes_through_indices():
    assert not cr.grad(lambda x: np.sum(np.argsort(x) * 1.5))(X[0]).any()


# --- errors -------------------------------------------------------------------------------------


def test_unique_without_a_value_at_hand_says_so():
    with pytest.raises(ConcreteValueNeeded, match=r"shape of np.unique\(x\) depends on the value"):
        through_trace(np.unique, X, concrete=False)


def test_kinds_that_order_ties_otherwise_are_refused():
    with pytest.raises(NotSupported, match=r"np.argsort\(kind='heapsort'\).*test_sorting.py"):
        through_trace(lambda x: np.argsort(x, kind="heapsort"), X)


def test_a_place_outside_is_refused():
    with pytest.raises(ShapeError, match=r"kth\(=9\) out of bounds \(5\)"):
        through_trace(lambda x: np.partition(x, 9), X)
