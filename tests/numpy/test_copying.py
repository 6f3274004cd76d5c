"""The copy module on traced values: cells are mutable, so a copy is a cell of its own."""

import copy
import pickle

import numpy as np
import pytest

import chainrule as cr
from chainrule.errors import ConcreteValueNeeded
from tests.numpy.against_numpy import check_same

V = np.arange(4.0)


def test_a_copy_does_not_see_later_writes():
    def function(x):
        shallow, deep, listed = copy.copy(x), copy.deepcopy(x), copy.deepcopy([x, x])
        x[0], shallow[1], deep[2], listed[0][3] = 5.0, 6.0, 7.0, 8.0
        return x, shallow, deep, listed

    check_same(function, V)


def test_a_copy_keeps_order_and_derivative():
    check_same(lambda x: copy.copy(x).strides, np.zeros((2, 3)).T)
    check_same(lambda x: copy.deepcopy(x).strides, np.zeros((2, 3)).T)
    assert cr.grad(lambda x: copy.deepcopy({"x": x})["x"] ** 2)(3.0) == 6.0


def test_pickling_is_refused():
    with pytest.raises(ConcreteValueNeeded, match="cannot be pickled, at test_copying.py"):
        cr.grad(lambda x: pickle.loads(pickle.dumps(x)))(3.0)
