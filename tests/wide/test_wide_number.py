"""Wide numbers: exact sums and products, rounding, comparisons, and the way back to float64."""

import random
from fractions import Fraction

import pytest

from chainrule.wide.number import Undecided, Wide, nearest, precision, sqrt, wide


def fraction(x: Wide) -> Fraction:
    return Fraction(x.m) * Fraction(2) ** x.e


def floats(seed: int, count: int):
    rng = random.Random(seed)
    return [rng.uniform(-1, 1) * 2.0 ** rng.randint(-60, 60) for _ in range(count)]


def test_floats_are_held_exactly_and_come_back():
    for x in [*floats(1, 200), 5e-324, 2.2250738585072014e-308, 1.7976931348623157e308, -0.1]:
        assert fraction(wide(x)) == Fraction(x)
        assert nearest(wide(x)) == x


def test_sums_and_products_hold_the_truth():
    for bits in (64, 128):
        with precision(bits):
            for x, y in zip(floats(2, 200), floats(3, 200), strict=True):
                for found, truth in [
                    (wide(x) + wide(y), Fraction(x) + Fraction(y)),
                    (wide(x) - wide(y), Fraction(x) - Fraction(y)),
                    (wide(x) * wide(y), Fraction(x) * Fraction(y)),
                    (wide(x) / wide(y), Fraction(x) / Fraction(y)),
                ]:
                    assert abs(fraction(found) - truth) <= Fraction(found.r) * 2**found.e
                    assert found.relative_bits() >= bits - 4


def test_numbers_far_apart_are_added_exactly_where_the_precision_allows():
    with precision(1100):
        total = wide(1e200) + wide(1.0)
        assert total.r == 0
        assert nearest(total - wide(1e200)) == 1.0
    with precision(128):
        assert (wide(1e200) + wide(1.0)).r > 0
    with precision(128), pytest.raises(Undecided):
        (wide(1e200) + wide(1.0) - wide(1e200)).sign()


def test_rounding_is_to_even_and_subnormals_are_rounded_once():
    assert nearest(Wide((1 << 53) + 1)) == 2.0**53
    assert nearest(Wide((1 << 53) + 3)) == 2.0**53 + 4
    assert nearest(Wide(3, -1075)) == 1e-323
    assert nearest(Wide(1, -1075)) == 0.0
    assert nearest(Wide((1 << 60) + 1, -1135)) == 5e-324
    assert nearest(Wide(1, 1024)) == float("inf")
    assert nearest(Wide(-1, 5000)) == float("-inf")


def test_square_roots_are_exact_where_they_can_be():
    assert sqrt(wide(9.0)).r == 0
    assert nearest(sqrt(wide(9.0))) == 3.0
    assert sqrt(wide(-1.0)) != sqrt(wide(-1.0))


def test_the_last_precision_takes_undecided_signs_for_zero():
    x = Wide(1, 0, 2)
    with pytest.raises(Undecided):
        x.sign()
    with precision(128, last=True):
        assert x.sign() == 0
        assert x == Wide(0)
