"""Lost digits in float32, against mpmath."""

import math
from types import FunctionType, SimpleNamespace

import mpmath
import numpy as np
import pytest

import chainrule as cr
from chainrule.wide.repair import watch

FORMULAS = {  # and the points at which float32 keeps few digits of them, or none
    "1 - cos": (lambda x: (1 - np.cos(x)) / x**2, [1e-4, 1e-9, 0.5]),
    "exp - 1 - x": (lambda x: (np.exp(x) - 1 - x) / x**2, [1e-4, 1e-9, 5.0]),
    "tan - sin": (lambda x: (np.tan(x) - np.sin(x)) / x**3, [1e-4, 1e-2]),
    "arctan": (lambda x: np.arctan(x + 1) - np.arctan(x) - np.sin(x) / x**2, [1e5, 1e9]),
    "fractions": (lambda x: 1 / (x + 1) - 2 / x + 1 / (x - 1), [1e3, 1e9]),
    "overflow": (lambda x: np.sqrt(x * x + 1) / x, [1e20, 3e30]),
}


def truths(f, x):
    names = {"arctan": mpmath.atan} | {
        name: getattr(mpmath, name) for name in ("cos", "sin", "tan", "exp", "sqrt")
    }
    exact = FunctionType(f.__code__, {"np": SimpleNamespace(**names)})
    with mpmath.workdps(120):
        x = mpmath.mpf(float(x))
        return exact(x), mpmath.diff(exact, x, h=mpmath.mpf(10) ** -50 * x)


def bits(found, truth):
    """The bits that a float32 number has lost."""
    assert found.dtype == np.float32
    error = abs(mpmath.mpf(float(found)) - truth)
    return math.log2(1 + error / max(abs(truth) * mpmath.mpf(2) ** -24, mpmath.mpf(2) ** -149))


@pytest.mark.parametrize(("f", "x"), [(f, x) for f, points in FORMULAS.values() for x in points])
def test_values_and_slopes_keep_their_digits(f, x):
    x = np.float32(x)
    truth = truths(f, x)
    both = cr.value_and_grad(f)
    for found in (both(x), cr.compile(both)(x), [r[0] for r in cr.vmap(both)(x[None])]):
        assert max(map(bits, found, truth)) < 6


def test_what_has_lost_nothing_stays_to_the_bit():
    def f(x):
        return np.sum(np.log(x + 3) - np.sin(x) * x)

    x = np.linspace(0.1, 2, 7, dtype=np.float32)
    expected = cr.grad(f, stabilize=False)(x)
    assert np.array_equal(cr.grad(f)(x), expected)
    assert np.array_equal(cr.vmap(lambda t: np.exp(t) - np.cos(t))(x), np.exp(x) - np.cos(x))


def test_whole_numbers_are_of_float32():
    def f(x):
        return np.floor(x / np.float32(0.1)) * x - x

    x = np.float32(0.3)  # x / 0.1 is 3 in float32, and below 3 in exact arithmetic
    assert cr.value_and_grad(f)(x) == (f(x), 2)
    assert cr.compile(f)(x) == f(x)


def test_ties_are_settled_beside_what_is_repaired():
    def f(x):
        return np.maximum(x, 0) - np.maximum(-x, 0) + (1 - np.cos(x + np.float32(1e-4)))

    slope = cr.grad(f)(np.float32(0))
    assert slope.dtype == np.float32
    assert slope == pytest.approx(1 + math.sin(np.float32(1e-4)), rel=1e-7)


def test_what_is_not_looked_at():
    def watched(f, *args):
        return watch(cr.trace(f, *args)) is not None

    x = np.ones(4, np.float32)
    assert watched(lambda x: np.exp(x) - 1 - x, x)
    assert not watched(lambda x: (x + x.astype(np.float64)) - 1, x)
    assert not watched(lambda x: np.exp(x) - 1 - x, np.ones(10_000, np.float32))
    assert not watched(lambda x, y: (x + y) - x - y, x, x)  # an error-free pattern
