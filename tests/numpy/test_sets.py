"""Arrays as sets: against NumPy, and the derivative of what is read."""

import numpy as np
import pytest

import chainrule as cr
from chainrule.errors import ConcreteValueNeeded
from chainrule.tracing import trace_call, type_of
from tests.numpy.against_numpy import assert_same, check_same

A = np.array([3.0, 1.0, 2.0, 3.0, 7.0])
B = np.array([[2.0, 3.0], [9.0, 9.0]])

CASES = {
    "isin": lambda x, y: [np.isin(x, y), np.isin(y, x, invert=True), np.isin(x, [1, 2])],
    "isin of nothing": lambda x, y: np.isin(x, []),
    "union1d": lambda x, y: np.union1d(x, y),
    "intersect1d": lambda x, y: [np.intersect1d(x, y), *np.intersect1d(x, y, return_indices=True)],
    "setdiff1d": lambda x, y: [np.setdiff1d(x, y), np.setdiff1d(x[1:4], y, assume_unique=True)],
    "setxor1d": lambda x, y: np.setxor1d(x, y),
}


@pytest.mark.parametrize("name", CASES)
def test_value_is_numpys(name):
    check_same(CASES[name], A, B)
    check_same(CASES[name], A.astype(int), B)


def test_the_derivative_goes_to_the_elements_that_are_read():
    def read(x, y):
        return np.sum(np.union1d(x, y) ** 2) + np.sum(np.setdiff1d(x, y) ** 3)

    by_x, by_y = cr.grad(read, (0, 1))(A, B)
    assert_same(by_x, np.array([6.0, 2.0 + 3.0, 4.0, 0.0, 14.0 + 147.0]))
    assert_same(by_y, np.array([[0.0, 0.0], [18.0, 0.0]]))


def test_values_must_be_at_hand():
    with pytest.raises(ConcreteValueNeeded, match=r"which elements.*test_sets.py"):
        types = [type_of(A), type_of(B)]
        trace_call(lambda x, y: np.setdiff1d(x, y), (A, B), {}, frozenset(), types, False)
