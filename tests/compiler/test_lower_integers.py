"""Powers and reciprocals of whole numbers, and conditions, in compiled programs."""

import numpy as np
import pytest

import chainrule as cr
from chainrule.errors import MutationError
from chainrule.ops.elementwise import power, reciprocal
from chainrule.ops.require import require
from tests.compiler.test_schedule import compiled


def native(f, *args):
    made, values = compiled(f, *args)
    assert not made.sites
    return made.run(values)[0]


@pytest.mark.parametrize("dtype", "bhilBHIL")
def test_powers_and_reciprocals_of_whole_numbers_are_numpys(dtype):
    info = np.iinfo(dtype)
    edges = np.array([0, 1, 2, 3, 7, info.max, info.min, info.max - 1], dtype)
    x, y = (a.ravel() for a in np.meshgrid(edges, np.abs(edges)))
    y = np.where(y < 0, 5, y).astype(dtype)
    np.testing.assert_array_equal(native(power, x, y), np.power(x, y))
    for n in (0, 1, 2, 5, 11):
        n = np.dtype(dtype).type(n)
        np.testing.assert_array_equal(native(lambda x, n=n: power(x, n), x), np.power(x, n))
    nonzero = x[x != 0]
    np.testing.assert_array_equal(native(reciprocal, nonzero), np.reciprocal(nonzero))


def test_negative_exponent_raises_as_in_numpy():
    f = cr.compile(lambda x, y: x**y)
    x = np.arange(4)
    np.testing.assert_array_equal(f(x, x), x**x)
    with pytest.raises(ValueError, match="negative integer powers"):
        f(x, x - 1)


def test_condition_that_does_not_hold_raises_and_leaves_the_argument():
    def f(x, ok):
        x += 1
        return require(x * 2, ok, error="MutationError", message="no")

    made, _ = compiled(f, np.zeros(3), np.bool_(True))
    assert not made.sites
    g, x = cr.compile(f), np.zeros(3)
    np.testing.assert_array_equal(g(x, np.array([True, True])), [2, 2, 2])
    with pytest.raises(MutationError, match="no"):
        g(x, np.array([True, False]))
    np.testing.assert_array_equal(x, [1, 1, 1])
