"""Functions of double-double numbers against mpmath: at least 98 bits are right."""

import random

import mpmath
import numpy as np
import pytest
from scipy import special

import chainrule as cr
from chainrule.tracing import trace_call
from chainrule.wide import pairs, repair
from tests.wide.test_wide_elementary import CASES

RANGES = {
    "exp": (-690, 690), "expm1": (-30, 600), "log": (1e-300, 1e300), "log1p": (-0.9, 1e10),
    "sin": (-1e5, 1e5), "cos": (-1e5, 1e5), "tan": (-1e4, 1e4), "arctan": (-1e9, 1e9),
    "tanh": (-300, 300), "sinh": (-300, 300), "cosh": (-300, 300), "sqrt": (0, 1e300),
    "expit": (-600, 600), "log_expit": (-600, 600), "erf": (-4, 4), "erfc": (-4, 0.9),
    "ndtr": (-1.2, 5), "arcsinh": (-1e100, 1e100),
}  # fmt: skip


def draw(low: float, high: float, count: int, seed: int) -> np.ndarray:
    """Numbers of every size between the bounds, some near 1 and some tiny."""
    rng = random.Random(seed)
    found = []
    while len(found) < count:
        x = rng.choice([
            rng.uniform(low, high), 2.0 ** rng.uniform(-60, 60),
            1 + rng.uniform(-1, 1) * 2.0 ** -rng.randint(2, 50), -(2.0 ** rng.uniform(-60, 3)),
        ])  # fmt: skip
        if low < x < high and abs(x) > 1e-200:
            found.append(x)
    return np.array(found)


def right_bits(found, truth) -> float:
    with mpmath.workdps(80):
        value = mpmath.mpf(float(found[0])) + mpmath.mpf(float(found[1]))
        if value == truth:
            return 200.0
        return -float(mpmath.log(abs(value - truth) / abs(truth), 2))


@pytest.mark.parametrize("name", RANGES)
def test_functions_of_pairs(name):
    x = draw(*RANGES[name], 200, 11)
    low = x * np.random.default_rng(5).uniform(-1, 1, 200) * 2.0**-54
    with np.errstate(all="ignore"):
        found = pairs._FUNCTIONS[name]((x, low))
    with mpmath.workdps(80):
        for i in range(200):
            at = mpmath.mpf(x[i]) + mpmath.mpf(low[i])
            truth = CASES[name][0](at)
            steep = abs(mpmath.diff(CASES[name][0], at) * at / truth) if name in (
                "sin", "cos", "tan", "exp", "sinh", "cosh") else 1  # fmt: skip
            lost = max(0.0, float(mpmath.log(steep, 2)))
            assert right_bits((found[0][i], found[1][i]), truth) > 98 - lost, (x[i], lost)


def test_sums_products_and_quotients_of_pairs():
    x, y = draw(-1e60, 1e60, 300, 1), draw(-1e60, 1e60, 300, 2)
    low = x * 2.0**-55
    with mpmath.workdps(80):
        for name, combine in (
            ("add", lambda a, b: a + b), ("subtract", lambda a, b: a - b),
            ("multiply", lambda a, b: a * b), ("divide", lambda a, b: a / b),
        ):  # fmt: skip
            found = pairs._FUNCTIONS[name]((x, low), (y, np.zeros_like(y)))
            for i in range(300):
                truth = combine(mpmath.mpf(x[i]) + mpmath.mpf(low[i]), mpmath.mpf(y[i]))
                if truth:
                    assert right_bits((found[0][i], found[1][i]), truth) > 100


def test_conditions_are_chosen_by_conditions():
    def f(a, b):
        return np.where(np.where(a == 0.0, b > 0.0, a > 0.0), a - b, b * 2.0)

    a, b = np.array([-1.0, 0.0, 0.0, 2.0, 3.0]), np.array([0.5, -1.0, 1.0, -3.0, 4.0])
    entry = trace_call(f, (a[0], b[0]), {}, concrete=False).program
    assert pairs.supported(entry)
    np.testing.assert_array_equal(pairs.evaluate(entry, [a, b])[0][0], f(a, b))


def test_functions_of_two_pairs_and_of_squares():
    x, y = draw(-30, 30, 200, 7), draw(-30, 30, 200, 8)
    zero = np.zeros(200)
    cases = [
        (pairs._arctan2((y, zero), (x, zero)), lambda a, b: mpmath.atan2(b, a)),
        (pairs._logaddexp((x, zero), (y, zero)),
         lambda a, b: mpmath.log(mpmath.exp(a) + mpmath.exp(b))),
        (pairs._exp_square((x / 8, zero), halves=-1), lambda a, b: mpmath.exp(-(a / 8) ** 2 / 2)),
    ]  # fmt: skip
    for found, true in cases:
        with mpmath.workdps(80):
            for i in range(200):
                truth = true(mpmath.mpf(x[i]), mpmath.mpf(y[i]))
                lost = max(0.0, 4.0 - float(mpmath.log(abs(truth), 2)))
                assert right_bits((found[0][i], found[1][i]), truth) > 98 - lost, (x[i], y[i])


@pytest.mark.parametrize("name", ["swish", "gelu", "softplus"])
def test_slopes_of_activations_at_many_points_take_no_wide_numbers(name, monkeypatch):
    """Near a zero of the slope its digits are lost, of a few in a hundred points."""
    monkeypatch.setattr(repair, "settled", None)
    f, slope = {
        "swish": (lambda x: x / (1 + np.exp(-x)),
                  lambda x: (1 + mpmath.exp(-x) + x * mpmath.exp(-x)) / (1 + mpmath.exp(-x)) ** 2),
        "gelu": (lambda x: x * special.ndtr(x), lambda x: mpmath.ncdf(x) + x * mpmath.npdf(x)),
        "softplus": (lambda x: np.log1p(np.exp(x)) - x / 4,
                     lambda x: 1 / (1 + mpmath.exp(-x)) - mpmath.mpf(1 / 4)),
    }[name]  # fmt: skip
    x = np.linspace(-1.6, 1.0, 4001)
    found = cr.compile(cr.grad(lambda x: np.sum(f(x))))(x)
    worst = np.argsort(abs(found))[:5]
    with mpmath.workdps(40):
        truths = [float(slope(mpmath.mpf(x[i]))) for i in worst]
    np.testing.assert_allclose(found[worst], truths, rtol=2e-15)
