"""Compiled functions look for lost digits natively, and are run again on the evaluator for them."""

from math import factorial

import numpy as np
import pytest
from scipy import special

import chainrule as cr
from chainrule import backends
from chainrule.tracing import trace_call
from chainrule.wide import repair
from tests.wide.test_wide_repair import FORMULAS, truth


@pytest.mark.parametrize("name", FORMULAS)
def test_compiled_values_and_derivatives_are_good_at_every_point(name):
    formula, reference, points = FORMULAS[name]
    value, slope = cr.compile(formula), cr.compile(cr.grad(formula))
    for x in points:
        wanted = truth(reference, x)
        np.testing.assert_allclose([value(x), slope(x)], wanted, rtol=2e-14, err_msg=f"at {x}")


def test_arrays_are_repaired_where_they_need_it():
    f = cr.compile(lambda x: np.sqrt(x + 1) - np.sqrt(x))
    x = np.array([2.0, 1e10, 1e200, np.inf, np.nan])
    with np.errstate(invalid="ignore"):
        wanted = 1 / (np.sqrt(x + 1) + np.sqrt(x))
    np.testing.assert_allclose(f(x)[:3], wanted[:3], rtol=1e-15)
    assert np.isnan(f(x)[3:]).all()


def test_the_evaluator_backend_repairs_too(monkeypatch):
    monkeypatch.setattr(backends, "chosen", "evaluator")
    f = cr.compile(lambda x: np.sqrt(x + 1) - np.sqrt(x))
    assert f(1e200) == 5e-101


def test_without_stabilize_the_digits_stay_lost():
    f = cr.compile(lambda x: np.sqrt(x + 1) - np.sqrt(x), stabilize=False)
    assert f(1e200) == 0.0


def test_harmless_points_stay_native(monkeypatch):
    def refuse(*_):
        raise AssertionError("run on the evaluator")

    monkeypatch.setattr(repair.Watch, "run", refuse)
    f = cr.compile(lambda x: np.sqrt(x + 1) - np.sqrt(x))
    assert f(0.5) == pytest.approx(np.sqrt(1.5) - np.sqrt(0.5), rel=1e-15)
    assert np.isnan(f(np.nan))  # what is no number to begin with is not looked at
    saturated = cr.compile(lambda x, y: np.tanh(x * y) + np.arctan(x * y) + special.erf(x * y))
    assert saturated(300.0, 1.1) == pytest.approx(2 + np.arctan(300.0 * 1.1), rel=1e-15)
    g = cr.compile(lambda x: np.sum(x * x) - np.sum(np.sin(x)))
    assert g(np.array([1.0, 2.0])) == pytest.approx(5 - np.sin(1.0) - np.sin(2.0), rel=1e-15)


def test_a_count_of_what_a_mask_holds_is_exact():
    f = lambda x: np.sum(x * (x > 0)) / (x > 0).sum() + np.cumsum(x > 0)[-1] * np.sqrt(x[0])
    x = np.array([1.0, 2.0, -1.0])
    np.testing.assert_allclose(cr.compile(cr.grad(f))(x), [1.5, 0.5, 0.0], rtol=1e-15)
    np.testing.assert_allclose(cr.compile(cr.grad(np.nanmean))(x), np.full(3, 1 / 3), rtol=1e-15)


@pytest.mark.parametrize("f, x", [
    (lambda x: 2.0 * x + 1.0, np.arange(4.0)), (lambda x: np.sum(x**2), np.arange(4.0)),
    (np.tanh, 0.5), (lambda x: np.sqrt(x) * x, 0.5), (lambda x: np.exp(x) + x * x, 2.0),
    (lambda x: x - np.sqrt(x), np.arange(4, dtype=np.float16)),
])  # fmt: skip
def test_programs_that_lose_nothing_compile_as_they_are(f, x):
    program = trace_call(f, (x,), {}).program
    assert repair.watch(program) is None


def test_updates_in_place_are_not_watched():
    @cr.compile
    def step(w, x):
        w -= 0.1 * (w - x)

    w = np.ones(3)
    step(w, np.array([1.0, 1.0 + 1e-12, 2.0]))
    np.testing.assert_allclose(w, [1.0, 1.0, 1.1], rtol=1e-12)


def test_a_power_of_two_times_what_is_rounded_is_rounded():
    """2 f(x) - 4 g(x) was taken to be exact, and not looked at."""
    slope = cr.grad(cr.grad(lambda x: 2 * special.gammaln(x) - special.gammaln(2 * x)))
    assert repair.watch(trace_call(slope, (2.0,), {}).program) is not None
    assert slope(1e12) == pytest.approx(5e-25 + 2.5e-37, rel=1e-15)


@pytest.mark.parametrize("x", [1e-8, 0.3])
def test_special_functions_are_looked_at_as_a_whole(x):
    """Written out, exprel and its moments are too long for an estimate of every step."""
    f = lambda x: (special.exprel(x) - 1) / x
    value, slope = cr.compile(cr.value_and_grad(f))(x)
    terms = [x**k / factorial(k + 2) for k in range(20)]
    slopes = [(k + 1) * x**k / factorial(k + 3) for k in range(20)]
    assert (value, slope) == pytest.approx((sum(terms), sum(slopes)), rel=1e-14)


def test_loops_written_out_are_looked_at():
    def missed(h):
        y = 1.0
        for _ in range(60):
            y = y + h / 60 * y
        return np.exp(h) - y

    value, slope = cr.value_and_grad(missed)(1e-6)
    assert (value, slope) == pytest.approx((1e-12 / 120, 1e-6 / 60), rel=1e-5)
    compiled = cr.compile(missed)(1e-6)
    assert compiled == pytest.approx(value, rel=1e-15)
