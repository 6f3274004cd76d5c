"""Complex inputs move in both parts."""

import numpy as np
import pytest

from chainrule import germs
from chainrule.program.types import array_type
from tests.germs.sides import mean, sides


def test_both_parts_of_a_direction_are_whole_numbers():
    (way,) = germs.directions([array_type((5,), np.dtype(complex))])
    assert way.shape == (3, 5)
    for part in (way.real, way.imag):
        assert np.array_equal(part, np.rint(part))
        assert (part != 0).all()
    assert not np.array_equal(way.real, way.imag)


@pytest.mark.parametrize(
    ("f", "truth"),
    [
        (lambda z: np.maximum(z.imag, 0.0) - np.maximum(-z.imag, 0.0), 1j),
        (lambda z: np.abs(z), 0.0),
        (lambda z: (z * np.conj(z)).real / np.abs(z), 0.0),
        (lambda z: np.maximum(z.real, z.imag) + np.minimum(z.real, z.imag), 1 + 1j),
        (lambda z: (np.sin(z) / z).real, 0.0),
        (lambda z: ((np.exp(z) - 1) / z).real, 0.5),
    ],
)
def test_gradients_at_zero(f, truth):
    assert mean(f, 0j) == pytest.approx(truth)


def test_the_modulus_has_unit_slope_on_each_side():
    plus, minus = sides(lambda z: np.abs(z), 0j)
    assert abs(plus[0]) == pytest.approx(1)
    assert plus[0] == pytest.approx(-minus[0])
    assert plus[0].imag != 0
