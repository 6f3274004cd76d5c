"""Signs of numbers that have lost their digits: what is chosen by them is repaired."""

import numpy as np
import pytest

import chainrule as cr


def rounded_to_zero(x):
    """About x near 0, and rounded to 0 for x below 1e-16."""
    return np.exp(x) * np.cos(x) - 1.0


SIGNED = {
    "copysign": (lambda v, x: np.copysign(v, x), 1.0),
    "copysign by it": (lambda v, x: np.copysign(x, v), 1.0),
    "signbit": (lambda v, x: np.where(np.signbit(v), -v, v), "sign"),
    "comparison": (lambda v, x: np.where(v > 0, v, -v), "sign"),
    "heaviside": (lambda v, x: v * np.heaviside(v, 0.5), "step"),
    "absolute": (lambda v, x: np.abs(v), "sign"),
}
SLOPES = {"sign": {1.0: 1.0, -1.0: -1.0}, "step": {1.0: 1.0, -1.0: 0.0}}


@pytest.mark.parametrize("name", SIGNED)
@pytest.mark.parametrize("x", [1e-20, -1e-20, 1e-9, -1e-9])
def test_a_sign_that_rounding_hides_is_no_tie(name, x):
    choose, kind = SIGNED[name]
    f = lambda x: choose(rounded_to_zero(x), x)
    wanted = SLOPES[kind][np.sign(x)] if isinstance(kind, str) else kind
    for slope in (cr.grad(f), cr.compile(cr.grad(f))):
        assert slope(x) == pytest.approx(wanted, rel=1e-15)
    assert cr.compile(f)(x) == pytest.approx(x * wanted, rel=1e-8)
