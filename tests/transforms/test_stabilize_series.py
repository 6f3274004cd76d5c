"""Differences that cancel at 0, and power series, against mpmath."""

from fractions import Fraction

import numpy as np
import pytest
from mpmath import mp

import chainrule as cr
from chainrule import derived as derived_programs
from chainrule.tracing import trace_call
from chainrule.transforms import power_series as ps
from chainrule.transforms.stabilize import rules_fired

POINTS = np.array([1e-200, -1e-30, 1e-12, -1e-5, 0.01, 0.1, -0.2, 0.45, 0.9])
FORMULAS = {
    "x - sin": (lambda x: x - np.sin(x), lambda x: x - mp.sin(x)),
    "tan - x": (lambda x: np.tan(x) - x, lambda x: mp.tan(x) - x),
    "tan - sin": (lambda x: np.tan(x) - np.sin(x), lambda x: mp.tan(x) - mp.sin(x)),
    "sinh - x": (lambda x: np.sinh(x) - x, lambda x: mp.sinh(x) - x),
    "exp - 1 - x": (lambda x: np.exp(x) - 1 - x, lambda x: mp.expm1(x) - x),
    "log(1 + x) - x": (lambda x: np.log(1 + x) - x, lambda x: mp.log1p(x) - x),
    "sqrt(1 + x) - 1": (lambda x: np.sqrt(1 + x) - 1, lambda x: mp.sqrt(1 + x) - 1),
    "cotangent": (lambda x: 1 / x - 1 / np.tan(x), lambda x: 1 / x - mp.cot(x)),
    "Langevin": (lambda x: 1 / np.tanh(x) - 1 / x, lambda x: mp.coth(x) - 1 / x),
    "double angle": (lambda x: 2 * np.sin(x) - np.sin(2 * x),
                     lambda x: 2 * mp.sin(x) - mp.sin(2 * x)),
    "cosine's rest": (lambda x: np.cos(x) - 1 + x**2 / 2, lambda x: mp.cos(x) - 1 + x * x / 2),
}  # fmt: skip


def _truth(f, x):
    mp.prec = 6000
    try:
        v = mp.mpf(float(x))
        return float(f(v)), float(mp.diff(f, v, h=mp.mpf(2) ** -2000))
    finally:
        mp.prec = 53


@pytest.mark.parametrize("name", FORMULAS)
def test_value_and_slope_near_zero(name, monkeypatch):
    monkeypatch.setattr(derived_programs, "watch", lambda *_: None)  # no wide arithmetic
    f, truth = FORMULAS[name]
    program = trace_call(f, (POINTS,), {}).program
    assert "series" in rules_fired(program)
    values, pull = cr.vjp(f, POINTS)
    (slopes,) = pull(np.ones_like(POINTS))
    wanted = np.array([_truth(truth, x) for x in POINTS])
    with np.errstate(all="ignore"):
        np.testing.assert_allclose(values, wanted[:, 0], rtol=3e-14, atol=1e-307)
        np.testing.assert_allclose(slopes, wanted[:, 1], rtol=1e-12, atol=1e-307)


def test_single_precision_is_served_as_well():
    f, truth = FORMULAS["x - sin"]
    x = np.float32(1e-3)
    assert cr.compile(f)(x) == pytest.approx(_truth(truth, x)[0], rel=1e-6)


def test_what_does_not_cancel_at_zero_is_left():
    for f in (lambda x: x + np.sin(x), lambda x: np.cos(x) - 0.1 * x, lambda x: x * x - x**3):
        assert "series" not in rules_fired(trace_call(f, (0.5,), {}).program)


@pytest.mark.parametrize("name", ps.FUNCTIONS)
def test_power_series_of_functions(name):
    at_one = name in ("log", "sqrt", "cbrt")
    inner = ps.add(ps.number(1.0 if at_one else 0.0), ps.multiply(ps.variable(), ps.number(0.5)))
    found = ps.apply(name, inner).dense()
    function = {"arctan": mp.atan, "arctanh": mp.atanh, "arcsin": mp.asin, "arcsinh": mp.asinh,
                "cbrt": mp.cbrt, "expit": lambda x: 1 / (1 + mp.exp(-x))}.get(name)  # fmt: skip
    function = function or getattr(mp, name)
    mp.prec = 400
    try:
        wanted = mp.taylor(lambda t: function((1 if at_one else 0) + t / 2), 0, 8)
    finally:
        mp.prec = 53
    np.testing.assert_allclose([float(c) for c in found[:9]], [float(c) for c in wanted],
                               rtol=1e-12, atol=1e-12)  # fmt: skip


def test_quotients_may_have_poles():
    x = ps.variable()
    inverse = ps.divide(ps.number(1.0), ps.apply("sin", x))
    assert (inverse.shift, inverse.coefficients[2]) == (-1, Fraction(1, 6))


def test_a_series_of_every_second_power_is_summed_by_the_square():
    """Half of its products were by coefficients of 0: too long to be looked at, compiled."""

    def stumpff(z):
        s = np.sqrt(np.abs(z))
        return np.where(z > 0, (s - np.sin(s)) / s**3, (np.sinh(s) - s) / s**3)

    wanted = -1 / 120 + 1e-7 / 2520
    assert cr.compile(cr.grad(stumpff))(1e-7) == pytest.approx(wanted, rel=1e-15)
