"""np.lib.scimath through a trace: real or complex by the value at hand, as in NumPy."""

import numpy as np
import pytest
from numpy.lib import scimath

import chainrule as cr
from tests.numpy.against_numpy import check_same

OF_ONE = ["sqrt", "log", "log2", "log10", "arcsin", "arccos", "arctanh"]
X = np.array([0.3, 0.8])


@pytest.mark.parametrize("name", OF_ONE)
def test_the_branch_is_numpys(name):
    function = getattr(scimath, name)
    for x in (X, -X, X - 3, np.arange(-2, 4), np.float32(-0.5), -0.3, X.astype(np.float16) - 1,
              np.int8([-1, 1]), X + 1j):  # fmt: skip
        check_same(function, x, exact=False)


def test_powers_and_logarithms_to_any_base():
    check_same(lambda x: scimath.power(x, [1, 2, -1, 0.5]), np.arange(4.0) - 1.5)
    check_same(lambda x: scimath.power(x, np.array([1, -1])), X)
    check_same(lambda x: scimath.logn(2, x), -X)
    check_same(lambda x: scimath.logn(x, 2), X - 1)


def test_the_derivative_outside_the_real_domain_is_the_complex_one():
    _, moved = cr.jvp(scimath.sqrt, (np.array([-4.0]),), (np.ones(1),))
    np.testing.assert_allclose(moved, [-0.25j])
    # arcsin(x) = pi/2 + i arccosh(x) for x > 1, and odd; the cut is approached from above
    _, moved = cr.jvp(scimath.arcsin, (np.array([2.0, -2.0]),), (np.ones(2),))
    np.testing.assert_allclose(moved, [1j / np.sqrt(3), -1j / np.sqrt(3)], rtol=1e-15)
    _, moved = cr.jvp(scimath.arccos, (np.array([2.0]),), (np.ones(1),))
    np.testing.assert_allclose(moved, [-1j / np.sqrt(3)], rtol=1e-15)


def test_without_a_value_at_hand_the_call_is_evaluated():
    with pytest.warns(RuntimeWarning, match=r"np.sqrt\(x.astype\(complex\)\)"):
        found = cr.compile(cr.vmap(scimath.sqrt))(X)
    np.testing.assert_array_equal(found, [scimath.sqrt(x) for x in X])
