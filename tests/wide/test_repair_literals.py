"""Constants that derivative rules compute stand for the numbers that they are rounded from."""

from fractions import Fraction

import mpmath
import numpy as np
import pytest
from mpmath import mp

import chainrule as cr
from chainrule.program.exact import ExactFloat, log_of
from chainrule.program.program import Literal
from chainrule.wide.elementary import exp
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


@pytest.mark.parametrize("x", [1.0 + 1e-9, 1.0 - 1e-6, 3.0])
def test_the_logarithm_of_the_base_of_a_power_is_known(x):
    """log 2 was a rounded number: slopes that cancel were off by 1e-7 of themselves and more."""
    utility = lambda g: (2.0 ** (1.0 - g) - 1.0) / (1.0 - g)
    with mpmath.workdps(60):
        exact = lambda g: (mp.mpf(2) ** (1 - g) - 1) / (1 - g)
        wanted = float(mp.diff(exact, mp.mpf(x), h=mp.mpf(10) ** -25))
    for slope in (cr.grad(utility), cr.compile(cr.grad(utility))):
        np.testing.assert_allclose(slope(x), wanted, rtol=1e-14)


def test_near_bases_cancel_in_a_loop():
    f = lambda x: cr.fori_loop(0, 1, lambda i, c: 2.0**x - 1.9999999**x, x)
    with mpmath.workdps(60):
        two, near = mp.mpf(2), mp.mpf(1.9999999)
        wanted = float(8 * mp.log(two) - near**3 * mp.log(near))
    assert cr.grad(f)(3.0) == pytest.approx(wanted, rel=1e-15)


def test_a_logarithm_of_a_ratio_is_known_to_the_precision_in_force():
    x = log_of(Fraction(1, 3))
    assert x == pytest.approx(-np.log(3.0), rel=1e-15)
    with precision(500):
        third = exp(literal_number(Literal(np.float64(x), exact=x)))
        assert float(third * wide(3.0) - wide(1.0)) == pytest.approx(0.0, abs=2.0**-400)
