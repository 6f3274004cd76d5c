"""Logarithms of products of probabilities as sums, at any size: value and derivative."""

import numpy as np
import pytest
from mpmath import mp

import chainrule as cr
from chainrule import derived as derived_programs
from chainrule.tracing import trace_call
from chainrule.transforms.stabilize import rules_fired, stabilize

RULE = "log of a product of probabilities"


def sigmoid(x):
    return 1.0 / (1.0 + np.exp(-x))


def shares(x):
    powers = np.exp(x)
    return powers / np.sum(powers)


def true_log(x):
    return -mp.log1p(mp.exp(-x))


# each with its value by all the entries of a matrix
FOUND = {
    "all": (lambda x: np.log(np.prod(sigmoid(x))), lambda m: mp.fsum(true_log(v) for v in m)),
    "an axis": (
        lambda x: np.sum(np.log(np.prod(sigmoid(x), axis=0))),
        lambda m: mp.fsum(true_log(v) for v in m),
    ),
    "an axis kept, and moved about": (
        lambda x: np.sum(np.log(np.prod(sigmoid(x[:, ::-1].T), axis=1, keepdims=True)[::-1])),
        lambda m: mp.fsum(true_log(v) for v in m),
    ),
    "powers": (
        lambda x: np.log(np.prod(sigmoid(x) ** 3 * sigmoid(x + 1.0) ** 2)),
        lambda m: mp.fsum(3 * true_log(v) + 2 * true_log(v + 1) for v in m),
    ),
    "complements": (
        lambda x: -np.log(np.prod(1.0 - sigmoid(x))) / 2.0,
        lambda m: -mp.fsum(true_log(-v) for v in m) / 2,
    ),
    "products of products": (
        lambda x: np.sum(np.log(np.prod(sigmoid(x), axis=1) * np.prod(sigmoid(2.0 * x), axis=1))),
        lambda m: mp.fsum(true_log(v) + true_log(2 * v) for v in m),
    ),
    "running products": (
        lambda x: np.log(np.cumprod(sigmoid(x).ravel()))[-1],
        lambda m: mp.fsum(true_log(v) for v in m),
    ),
    "softmax": (
        lambda x: np.log(np.prod(shares(x))),
        lambda m: mp.fsum(m) - len(m) * mp.log(mp.fsum(mp.exp(v) for v in m)),
    ),
    "1 and exponentials": (
        lambda x: np.log(np.prod(1.0 + np.exp(x))),
        lambda m: mp.fsum(mp.log1p(mp.exp(v)) for v in m),
    ),
    "hyperbolic cosines": (
        lambda x: np.log(np.prod(np.cosh(x))),
        lambda m: mp.fsum(mp.log(mp.cosh(v)) for v in m),
    ),
}
POINTS = [
    np.array([[40.0, 50.0, 60.0], [45.0, 38.0, 700.0]]),
    np.array([[-400.0, -700.0, 3.0], [500.0, 0.1, -1e-9]]),
    np.array([[0.3, -0.4, 1e-9], [2.0, -3.0, 1e-12]]),
]


@pytest.mark.parametrize("name", FOUND)
def test_value_and_slope_without_wide_arithmetic(name, monkeypatch):
    monkeypatch.setattr(derived_programs, "watch", lambda *_: None)
    f, truth = FOUND[name]
    assert RULE in rules_fired(trace_call(f, (POINTS[0],), {}).program)
    for x in POINTS:
        with mp.workdps(700):
            entries = [mp.mpf(float(v)) for v in x.ravel()]
            wanted, slopes = float(truth(entries)), []
            for k in range(len(entries)):
                up, down, step = list(entries), list(entries), mp.mpf(10) ** -50
                up[k] += step
                down[k] -= step
                slopes.append(float((truth(up) - truth(down)) / (2 * step)))
        value, slope = cr.value_and_grad(f)(x)
        np.testing.assert_allclose(value, wanted, rtol=1e-14)
        np.testing.assert_allclose(slope.ravel(), slopes, rtol=1e-12, atol=3e-308)


def test_a_large_array_that_is_not_watched():
    x = np.full(100_000, 40.0)
    f = lambda x: np.log(np.prod(sigmoid(x)))
    wanted = -1e5 * np.log1p(np.exp(-40.0))
    value, slope = cr.value_and_grad(f)(x)
    assert value == pytest.approx(wanted, rel=1e-12)
    assert cr.compile(f)(x) == pytest.approx(wanted, rel=1e-12)
    np.testing.assert_allclose(slope, np.exp(-40.0), rtol=1e-12)


LEFT = {
    "numbers of any sign": lambda x: np.log(np.prod(x)),
    "growth of both signs": lambda x: np.log(np.prod(1.0 + x)),
    "exponentials, that may cancel": lambda x: np.log(np.prod(np.exp(x))),
    "a probability and a number": lambda x: np.log(np.prod(sigmoid(x) * x)),
    "at most 1 and at least 1": lambda x: np.log(np.prod(sigmoid(x) * np.cosh(x))),
    "one less an exponential": lambda x: np.log(np.prod(1.0 - np.exp(x))),
    "a negative power": lambda x: np.log(np.prod(sigmoid(x) ** -1.5)),
}


@pytest.mark.parametrize("name", LEFT)
def test_what_may_cancel_or_be_negative_is_left_to_others(name):
    program = trace_call(LEFT[name], (np.array([0.3, 2.0]),), {}).program
    assert RULE not in rules_fired(program)


def test_the_product_is_not_computed_any_more():
    program = trace_call(FOUND["all"][0], (POINTS[0],), {}).program
    assert [e.op.name for e in stabilize(program).equations] == ["log_expit", "sum"]


def test_an_empty_product_has_the_logarithm_0():
    f = lambda x: np.log(np.prod(sigmoid(x)))
    assert cr.value_and_grad(f)(np.zeros(0))[0] == 0.0
