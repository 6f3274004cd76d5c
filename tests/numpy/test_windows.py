"""Windows onto traced arrays: read-only views whose derivatives add up where they overlap."""

import numpy as np
import pytest
from numpy.lib.stride_tricks import sliding_window_view

import chainrule as cr
from chainrule.errors import IndexOutOfRange, MutationError, NotSupported
from tests.numpy.against_numpy import check_same, through_trace
from tests.numpy.properties import check_linear

V = np.arange(5.0)
M = np.arange(12.0).reshape(3, 4)


@pytest.mark.parametrize("lengths, axis", [((2, 3), None), (2, 0), ((2, 2), (1, 1)), ((), ())])
def test_sliding_windows(lengths, axis):
    check_linear(lambda x: sliding_window_view(x, lengths, axis), M)


def test_too_long_windows_raise_as_in_numpy():
    check_same(lambda x: sliding_window_view(x, 9), V)
    check_same(lambda x: sliding_window_view(x, -1), V)
    check_same(lambda x: sliding_window_view(x, 2, axis=2), M)


def test_a_window_sees_later_writes():
    def function(x):
        windows = sliding_window_view(x, 2)
        x[1] = 10.0
        return windows * 1, windows.ravel(), windows.T.strides

    check_same(function, V)
    check_same(lambda x: sliding_window_view(x[::-1], 2).strides, V)


def test_a_window_is_read_only():
    def function(x):
        sliding_window_view(x, 2)[0] = 1.0

    with pytest.raises(MutationError, match="read-only, at test_windows.py"):
        through_trace(function, V)


def test_as_strided_reads_by_place():
    def toeplitz(x):
        return np.lib.stride_tricks.as_strided(x[:], (3, 3), (8, 8))

    check_linear(toeplitz, V)
    np.testing.assert_array_equal(cr.grad(lambda x: toeplitz(x).sum())(V), [1, 2, 3, 2, 1])


def test_as_strided_outside_the_array_or_of_a_strided_array_is_refused():
    def strided(x, *how):
        return np.lib.stride_tricks.as_strided(x, *how)

    with pytest.raises(IndexOutOfRange, match="leaves the 5 elements"):
        through_trace(lambda x: strided(x, (3, 4), (8, 8)), V)
    with pytest.raises(NotSupported, match=r"copy it first, with x.copy\(\)"):
        through_trace(lambda x: strided(x, (2,), (8,)), M.T)
    with pytest.raises(NotSupported, match="multiples of 8 bytes"):
        through_trace(lambda x: strided(x, (2,), (4,)), V)
