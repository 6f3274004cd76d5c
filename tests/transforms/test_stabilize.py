"""Formulas as users write them: value and derivatives against closed forms and mpmath."""

from dataclasses import replace

import numpy as np
import pytest
from mpmath import mp
from scipy import special

import chainrule as cr
from chainrule import derived as derived_programs
from chainrule.program.program import Program
from chainrule.tracing import trace_call
from chainrule.transforms import stabilize as stabilizing
from chainrule.transforms.stabilize import rules_fired, stabilize
from chainrule.transforms.stabilize_reductions import REDUCTIONS

LOGITS = np.array([-800.0, -40.0, -1.0, 0.0, 1e-9, 3.0, 40.0, 800.0])
SMALL = np.array([1e-300, 1e-160, 1e-20, 1e-9, 1e-5, 0.1, 1.0])


def _program(f, *arguments) -> Program:
    return trace_call(f, arguments, {}).program


def _slopes(f, x):
    return cr.grad(lambda x: np.sum(f(x)))(x)


def _close(found, truth, ulps=16):
    np.testing.assert_allclose(found, np.array(truth, float), rtol=ulps * 2.0**-52, atol=1e-307)


def _mp(f, x):
    mp.prec = 2400
    try:
        return [float(f(mp.mpf(v))) for v in x]
    finally:
        mp.prec = 53


CASES = [
    (lambda x: np.log(1 + np.exp(x)), LOGITS, lambda x: mp.log1p(mp.exp(x))),
    (lambda x: np.log(1.0 / (1.0 + np.exp(-x))), LOGITS, lambda x: -mp.log1p(mp.exp(-x))),
    (lambda x: 1 - 1 / (1 + np.exp(-x)), LOGITS, lambda x: 1 / (1 + mp.exp(x))),
    (lambda x: np.exp(x) / (np.exp(x) + 1), LOGITS, lambda x: 1 / (1 + mp.exp(-x))),
    (lambda x: (np.exp(x) - np.exp(-x)) / (np.exp(x) + np.exp(-x)), LOGITS, mp.tanh),
    (lambda x: (np.exp(2 * x) - 1) / (np.exp(2 * x) + 1), LOGITS, mp.tanh),
    (lambda x: 2 / (1 + np.exp(-2 * x)) - 1, LOGITS, mp.tanh),
    (lambda x: np.log(np.cosh(x)), LOGITS, lambda x: mp.log1p(2 * mp.sinh(x / 2) ** 2)),
    (lambda x: np.exp(x) - 1, SMALL, mp.expm1),
    (lambda x: np.log(1 - np.exp(-x)), SMALL, lambda x: mp.log(-mp.expm1(-x))),
    (lambda x: 1 - np.cos(x), SMALL[2:], lambda x: 2 * mp.sin(x / 2) ** 2),
    (lambda x: np.log((1 + x / 2) / (1 - x / 2)), SMALL, lambda x: 2 * mp.atanh(x / 2)),
    (lambda x: np.log(x + np.sqrt(x * x + 1)), SMALL, mp.asinh),
    (lambda x: np.log(x + np.sqrt(x**2 - 1)), 1 + 1 / SMALL[:-2], mp.acosh),
    (lambda x: np.sqrt(x * x + x**2), 1.0 / SMALL, lambda x: mp.sqrt(2) * x),
    (lambda x: np.sqrt(x + 1) - np.sqrt(x), 1.0 / SMALL,
     lambda x: 1 / (mp.sqrt(x + 1) + mp.sqrt(x))),
    (lambda x: np.log(x + 1) - np.log(x), 1.0 / SMALL[1:], lambda x: mp.log1p(1 / x)),
    (lambda x: np.arctan(x + 1) - np.arctan(x), 1.0 / SMALL[2:],
     lambda x: mp.atan(1 / (1 + x * (x + 1)))),
]  # fmt: skip


@pytest.mark.parametrize("case", range(len(CASES)))
def test_a_formula_and_its_derivative_are_right_at_every_point(case):
    f, x, truth = CASES[case]
    _close(cr.compile(f)(x), _mp(truth, x))
    _close(_slopes(f, x), _mp(lambda v: mp.diff(truth, v, h=mp.mpf(2) ** -1200), x), ulps=64)


def test_cross_entropy_of_a_naive_softmax():
    logits = np.array([[1000.0, 0.0, -1000.0], [1.0, 2.0, 3.0]])

    def loss(z):
        e = np.exp(z)
        p = e / e.sum(axis=1, keepdims=True)
        return -np.mean(np.log(p[np.arange(2), [2, 0]]))

    value, slope = cr.value_and_grad(loss)(logits)
    shares = np.array([[1.0, 0.0, 0.0], np.exp([-2, -1, 0]) / np.exp([-2, -1, 0]).sum()])
    hot = np.array([[0, 0, 1.0], [1, 0, 0]])
    _close(value, (2000 - np.log(shares[1, 0])) / 2)
    _close(slope, (shares - hot) / 2)


def test_cross_entropy_of_a_confident_prediction_keeps_its_digits():
    z = np.array([40.0, 0.0, 1.0])
    others = np.exp([0.0, 1.0]) / np.exp(40.0)
    for f in (
        lambda z: -np.log(np.exp(z[0]) / np.sum(np.exp(z))),
        lambda z: -np.log((np.exp(z) / np.sum(np.exp(z)))[0]),
    ):
        _close(cr.compile(f)(z), np.log1p(others.sum()))
        _close(cr.grad(f)(z), np.array([-others.sum(), *others]) / (1 + others.sum()))
        second = cr.hessian(f)(z)[0, 0]
        _close(second, others.sum() / (1 + others.sum()) ** 2)


def test_variance_of_numbers_far_from_zero():
    x = 1e9 + np.array([1.0, 2.0, 4.0])
    for f in (
        lambda x: np.mean(x**2) - np.mean(x) ** 2,
        lambda x: (x @ x) / 3 - (np.sum(x) / 3) ** 2,
        lambda x: np.mean(x * x) - np.square(x.mean()),
    ):
        value, slope = cr.value_and_grad(f)(x)
        _close(value, 14 / 9)
        _close(slope, 2 * (np.array([1, 2, 4]) - 7 / 3) / 3, ulps=1e7)  # the mean is rounded


def test_logarithms_of_products_and_determinants():
    x = np.full(400, 1e-3)
    value, slope = cr.value_and_grad(lambda x: np.log(np.prod(x)))(x)
    _close(value, 400 * np.log(1e-3))
    _close(slope, 1 / x)
    a = np.diag(np.full(200, 1e-3))
    value, slope = cr.value_and_grad(lambda a: np.log(np.linalg.det(a)))(a)
    _close(value, 200 * np.log(1e-3))
    _close(slope, np.linalg.inv(a))
    assert np.isnan(cr.compile(lambda a: np.log(np.linalg.det(a)))(np.diag([1.0, -1.0])))


def test_norms_whose_squares_are_no_numbers():
    for size in (1e200, 1e-200):
        x = size * np.array([3.0, -4.0])
        for f in (lambda x: np.sqrt(np.sum(x**2)), np.linalg.norm, lambda x: np.sqrt(x @ x)):
            _close(cr.compile(f)(x), 5 * size)
            _close(cr.grad(f)(x), [0.6, -0.8])


def test_what_computes_a_rounding_error_is_left_alone():
    def two_sum(a, b):
        s = a + b
        part = s - a
        return (a - (s - part)) + (b - part)

    def split(a):
        c = 134217729.0 * a
        high = c - (c - a)
        return np.square(high) - np.square(a)

    assert not rules_fired(_program(two_sum, 0.1, 0.2))
    assert not rules_fired(_program(split, 0.1))
    assert cr.compile(two_sum)(0.1, 0.2) == two_sum(0.1, 0.2) != 0
    assert cr.compile(split)(0.1) == split(0.1) != 0


def test_what_is_undefined_stays_undefined():
    for f in (lambda x: (1 - np.cos(x)) / np.sin(x), lambda x: np.log(np.exp(x) - 1) + 0 * x):
        assert not np.isfinite(cr.compile(f)(0.0))
    for f in (lambda x: np.exp(2 * np.log(x)), lambda x: np.exp(np.log(x))):
        assert np.isnan(cr.compile(f)(-1.0)) and np.isnan(cr.grad(f)(-1.0))


def test_a_program_without_such_formulas_is_the_same_object():
    program = _program(lambda x: np.maximum(x @ x, 0.0) * x, np.ones(3))
    assert stabilize(program) is program
    assert stabilize(once := stabilize(_program(CASES[0][0], LOGITS))) is once


def test_a_program_that_no_rule_changes_is_read_once(monkeypatch):
    program = _program(lambda x: np.exp(x) * 3.0 + np.sqrt(x), np.ones(3))
    assert stabilize(program) is program
    monkeypatch.setattr(stabilizing, "_Reading", None)
    assert stabilize(program) is program
    with pytest.raises(TypeError):  # the same formula once more, of which that is not known
        stabilize(_program(lambda x: np.exp(x) * 3.0 + np.sqrt(x), np.ones(3)))


def test_a_rule_is_tried_once_its_operations_stand_above(monkeypatch):
    tried = []
    reduction = next(r for r in REDUCTIONS if r.name == "softmax")
    noting = replace(reduction, apply=lambda equation, reader: tried.append(equation))
    monkeypatch.setattr(stabilizing, "_reductions", lambda: {"multiply": (noting,)})
    stabilize(_program(lambda x: np.sum(np.exp(x * 2.0)) * x * 3.0, np.ones(3)))
    assert len(tried) == 2  # the first product stands above the sum


def test_stabilize_false_leaves_the_formula():
    f = CASES[0][0]
    with np.errstate(over="ignore"):
        assert np.isinf(cr.compile(f, stabilize=False)(800.0))
        assert cr.grad(f, stabilize=False)(800.0) == 0.0  # 1 / inf annihilates
    assert cr.grad(f)(800.0) == 1.0


def test_loops_are_entered_and_stay_loops():
    def f(x):
        return cr.fori_loop(0, 3, lambda i, s: s + np.log(1 + np.exp(x)), 0.0 * x)

    program = stabilize(_program(f, 800.0))
    assert rules_fired(_program(f, 800.0)) == {"softplus": 1}
    assert any(e.op.name in ("repeat", "scan", "while") for e in program.equations)
    assert cr.grad(f)(800.0) == 3.0


def test_slopes_of_differences_of_squares_do_not_cancel(monkeypatch):
    monkeypatch.setattr(derived_programs, "watch", lambda *_: None)  # rules alone
    x, y = 1e-9, 1e9
    for power in (2, 3, 4):
        slopes = cr.grad(lambda x, y, n=power: x**n - y**n, argnums=(0, 1))(x, y)
        _close(slopes, [power * x ** (power - 1), -power * y ** (power - 1)])
    _close(cr.grad(lambda x: 1 - x**2)(x), -2 * x)
    _close(cr.grad(lambda x: np.sqrt(1 - x**2))(x), -x)
    _close(cr.grad(lambda x, y: np.sqrt(x**2 - y**2), argnums=(0, 1))(y, x), [1.0, -x / y])


def test_casts_are_barriers():
    def f(x):
        return np.exp(x).astype(np.float32).astype(np.float64) - 1

    assert cr.compile(f)(1e-12) == 0.0


def test_the_exponential_of_a_logarithm_of_an_array():
    """The rule's condition is an array, what it keeps has another dtype than the condition."""
    p = np.array([0.5, 0.25])
    assert cr.grad(lambda p: np.sum(np.exp(np.log(p)) ** 2))(p) == pytest.approx(2 * p)


def test_the_logarithm_of_gamma_near_its_zeros_keeps_its_digits():
    """gammaln itself has 8 of them at 1 + 1e-9."""
    f = lambda x: np.log(special.gamma(x))
    assert cr.value_and_grad(f)(1.000000001)[0] == pytest.approx(-5.772157118381039e-10, rel=1e-15)
    assert cr.grad(cr.grad(f))(1e5) == pytest.approx(1.0000050000166667e-05, rel=1e-15)
