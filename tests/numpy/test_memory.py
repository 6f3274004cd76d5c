"""Whether traced arrays share memory, against NumPy's arrays."""

import numpy as np

from tests.numpy.against_numpy import check_same, through_trace

M = np.arange(12.0).reshape(3, 4)


def pairs(first, second):
    """Both answers for each pair, as numbers."""
    return [
        np.array([np.shares_memory(a, b), np.may_share_memory(a, b)], float)
        for a in first
        for b in second
    ]


def test_views_share_memory_with_their_base():
    def function(x):
        return pairs(
            (x, x[0], x[:, ::2], x.T, x.copy(), x[1:, 1:].T, x[0, 0], x[:0]),
            (x, x[1], x[:, 1::2], x.reshape(-1)[3:5], x.ravel(), 2 * x, x[1, 1]),
        )

    check_same(function, M)


def test_the_parts_of_a_complex_array_share_its_memory_but_not_each_others():
    check_same(lambda z: pairs((z, z.real, z.imag), (z, z.real[1:], z.imag[:1])), M[0] + 1j)


def test_a_traced_and_a_plain_array_do_not():
    (found,) = through_trace(lambda x: pairs((x,), (M,)), M.copy())
    assert not found.any()
    check_same(lambda x, y: pairs((x,), (y,)), M, M[:1])
