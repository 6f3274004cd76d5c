"""check_derivatives accepts right derivatives and catches wrong ones."""

import numpy as np
import pytest

import chainrule as cr
from chainrule.testing import WrongDerivative, check_derivatives


def test_right_derivatives_pass_in_both_modes_and_second_order():
    a = np.array([[0.3, -1.2], [0.8, 2.0]])
    check_derivatives(lambda a, s: np.sum(np.tanh(a @ a.T) * s), (a, 0.7), order=2)


def test_complex_arguments_pass():
    z = np.array([1.0 + 2.0j, -0.5 + 0.1j])
    check_derivatives(lambda z: np.sum(np.abs(np.exp(z) * z) ** 2), (z,), order=2)


def test_a_wrong_forward_rule_is_caught():
    @cr.custom_derivative
    def twice(x):
        return 2.0 * x

    twice.forward(lambda primals, output, tangents: 2.000001 * tangents[0])
    with pytest.raises(WrongDerivative, match="forward mode along direction 0"):
        check_derivatives(lambda x: np.sum(np.sin(twice(x))), (np.ones(3),), rtol=1e-8)


def test_a_reverse_rule_that_is_not_the_transpose_is_caught():
    @cr.custom_derivative
    def shift(x):
        return x[::-1] * np.array([1.0, 2.0, 3.0])

    @shift.forward
    def _(primals, output, tangents):
        return tangents[0][::-1] * np.array([1.0, 2.0, 3.0])

    @shift.reverse
    def _(primals, output, cotangent):
        return (cotangent[::-1] * np.array([1.0, 2.0, 3.0]),)

    with pytest.raises(WrongDerivative, match="reverse mode disagrees"):
        check_derivatives(shift, (np.array([1.0, -2.0, 0.5]),))
