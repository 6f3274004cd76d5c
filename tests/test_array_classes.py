"""Matrices, masked arrays and other subclasses of numpy.ndarray: refused, since they mean more."""

import numpy as np
import pytest

import chainrule as cr
from chainrule.errors import NotSupported

X = np.ones((2, 2))
MATRIX = np.array([[1.0, 2.0], [3.0, 4.0]]).view(np.matrix)
MASKED = np.ma.masked_greater(np.array([[1.0, 2.0], [3.0, 4.0]]), 2.5)


class WithUnit(np.ndarray):
    """An array whose class says more than its numbers."""


@pytest.mark.parametrize("array", [MATRIX, MASKED, np.array(2.0).view(WithUnit)])
@pytest.mark.parametrize("f", [np.multiply, lambda a, x: x * a, lambda a, x: np.where(x > 0, a, x)])
def test_a_subclass_next_to_a_traced_value_is_refused(array, f):
    name = type(array).__name__
    with pytest.raises(NotSupported, match=f"class .*{name} meets traced values, at test_array"):
        cr.vjp(lambda x: f(array, x), X)


def test_a_subclass_as_an_argument_is_refused():
    for array in (MATRIX, MASKED):
        with pytest.raises(NotSupported, match=r"np.asarray\(x\)"):
            cr.vjp(lambda x: x * 2.0, array)


def test_memory_maps_are_plain_arrays(tmp_path):
    mapped = np.memmap(tmp_path / "x", np.float64, "w+", shape=(3,))
    mapped[:] = 2.0
    assert cr.grad(lambda x: (x * mapped).sum())(mapped).tolist() == [2.0, 2.0, 2.0]


def test_a_compiled_function_takes_memory_maps_and_arrays_in_turn(tmp_path):
    plain = np.array([1.0, 2.0, 3.0])
    mapped = np.memmap(tmp_path / "x", np.float64, "w+", shape=(3,))
    mapped[:] = [4.0, 5.0, 6.0]
    double = cr.compile(lambda x, y: 2.0 * x + y)
    for _ in range(3):  # the second call and later ones go by the native entries
        assert double(mapped, plain).tolist() == [9.0, 12.0, 15.0]
        assert double(plain, mapped).tolist() == [6.0, 9.0, 12.0]
        assert double(plain, plain).tolist() == [3.0, 6.0, 9.0]
