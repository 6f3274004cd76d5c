"""Constants that derivative rules compute stand for the numbers that they are rounded from."""

import numpy as np
import pytest

import chainrule as cr
from chainrule.program.exact import ExactFloat
from chainrule.program.program import Literal
from chainrule.wide.literals import literal_number
from chainrule.wide.number import precision, wide


def test_the_gradient_of_a_variance_of_sums_has_its_digits():
    """(1/2) / 3 rounded, times a sum of 3e9, was 5.6e-8 off where the derivative is 0."""

    def variance(x):
        n = 3.0
        return (np.sum(x * x) - np.sum(x) ** 2 / n) / (n - 1.0)

    x = np.array([1e9, 1e9 + 1.0, 1e9 + 2.0])
    np.testing.assert_array_equal(cr.grad(variance)(x), [-1.0, 0.0, 1.0])


@pytest.mark.parametrize("dtype", [np.float64, np.float32])
def test_a_literal_keeps_its_number_through_rules(dtype):
    program = cr.trace(lambda x: cr.jvp(lambda x: -(x / dtype(3.0)) / dtype(7.0), (x,), (x,))[1],
                       dtype(2.0))  # fmt: skip
    exact = [x.exact.ratio for e in program.equations for x in e.inputs
             if x.is_literal and x.exact is not None]  # fmt: skip
    assert exact and all(r.denominator in (3, 7, 21) for r in exact)


@pytest.mark.parametrize(
    ("exact", "square"),
    [
        (ExactFloat(1, {"2": ExactFloat(1, {}).ratio / 2}), 2.0),
        (ExactFloat(2, {"2": -ExactFloat(1, {}).ratio / 2}), 2.0),
    ],
)
def test_roots_are_known_to_the_precision_in_force(exact, square):
    with precision(200):
        found = literal_number(Literal(np.float64(exact), exact=exact))
        assert abs(float(found * found - wide(square))) < 2.0**-190
