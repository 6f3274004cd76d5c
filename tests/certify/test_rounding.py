"""Correct rounding of ratios, against Python's own and NumPy's."""

from fractions import Fraction

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from chainrule.certify.rounding import round_ratio

WHOLE = st.integers(-(10**400), 10**400)


@settings(max_examples=500, deadline=None)
@given(WHOLE, WHOLE.filter(lambda n: n > 0))
def test_to_float64_as_python_does(numerator, denominator):
    try:
        wanted = float(Fraction(numerator, denominator))
    except OverflowError:
        wanted = np.inf if numerator > 0 else -np.inf
    assert round_ratio(numerator, denominator, np.dtype("d")) == wanted


@settings(max_examples=500, deadline=None)
@given(st.floats(allow_nan=False, allow_infinity=False))
def test_to_narrower_formats_as_numpy_does(x):
    numerator, denominator = x.as_integer_ratio()
    for char in "ef":
        with np.errstate(all="ignore"):
            wanted = np.float64(x).astype(char)
        assert round_ratio(numerator, denominator, np.dtype(char)) == wanted


@pytest.mark.parametrize("char", "efd")
def test_halfway_goes_to_the_even_neighbour_and_subnormals_are_rounded_once(char):
    dtype = np.dtype(char)
    tiny = Fraction(float(np.finfo(dtype).smallest_subnormal))
    for count, wanted in ((Fraction(1, 2), 0), (Fraction(3, 2), 2), (Fraction(5, 2), 2)):
        value = tiny * count
        assert round_ratio(value.numerator, value.denominator, dtype) == float(tiny * wanted)
    most, eps = Fraction(float(np.finfo(dtype).max)), Fraction(float(np.finfo(dtype).eps))
    halfway = most * (2 - eps / 2) / (2 - eps)  # to the next number, were there one: infinity
    assert round_ratio(halfway.numerator, halfway.denominator, dtype) == np.inf
    below = halfway - 1
    assert round_ratio(below.numerator, below.denominator, dtype) == float(most)
