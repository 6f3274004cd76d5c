"""Series by the derivative rule: all terms, and no more doubt than there is."""

import math

import numpy as np
import pytest
import scipy.special as sp
from mpmath import mp

import chainrule as cr
from chainrule.germs.evaluation import Run, evaluate_in
from chainrule.germs.germ import along


def _germ(f, x, window=8):
    run = Run(window)
    (made,) = evaluate_in(run, cr.trace(f, x), [along(x, np.array([1.0]), 1, run)])
    return made, run


@pytest.mark.parametrize(
    ("f", "truth", "x"),
    [
        (lambda x: sp.gammainc(x, 2.0), lambda t: mp.gammainc(t, 0, 2, regularized=True), 1.5),
        (lambda x: sp.betainc(x, 2.0, 0.3), lambda t: mp.betainc(t, 2, 0, 0.3, True), 0.75),
        (lambda x: sp.jv(0.5, x), lambda t: mp.besselj(0.5, t), 2.0),
        (lambda x: sp.erfcx(x), lambda t: mp.exp(t * t) * mp.erfc(t), 0.5),
        (lambda x: np.sin(np.exp(x)), lambda t: mp.sin(mp.exp(t)), 0.25),
        (lambda x: np.tanh(x) * sp.expit(x), lambda t: mp.tanh(t) / (1 + mp.exp(-t)), -1.25),
        (lambda x: np.arcsinh(x) ** 2.5, lambda t: mp.asinh(t) ** mp.mpf(2.5), 1.0),
    ],
)
def test_coefficients_are_those_of_the_taylor_series(f, truth, x):
    made, run = _germ(f, x)
    with mp.workdps(40):
        terms = [float(c) for c in mp.taylor(truth, mp.mpf(x), 7)]
    found = [float(made.coefficient(k)[0]) for k in range(8)]
    assert found == pytest.approx(terms, rel=1e-9, abs=1e-11 * max(map(abs, terms)))
    assert not run.undecided


def test_the_series_of_arcsin_at_its_end():
    run = Run(6, root=2)  # in the square root of eps
    program = cr.trace(lambda x: np.arcsin(x), 1.0)
    (made,) = evaluate_in(run, program, [along(1.0, np.array([-1.0]), 1, run)])
    # arcsin(1 - s^2) = pi/2 - sqrt(2) (s + s^3 / 12 + ...)
    found = [float(made.coefficient(k)[0]) for k in range(4)]
    assert found == pytest.approx([math.pi / 2, -math.sqrt(2), 0, -math.sqrt(2) / 12])


def test_a_kink_inside_a_rule_is_decided():
    made, run = _germ(lambda x: sp.huber(1.0, x), 1.0)
    assert not run.undecided
    assert float(made.coefficient(1)[0]) == 1.0
    assert float(made.coefficient(2)[0]) == 0.0  # the linear piece, at s > 0
