"""Estimates of errors against what functions do when their argument moves, by mpmath."""

import numpy as np
import pytest
from mpmath import mp

from chainrule.program.op import REGISTRY
from chainrule.program.program import Equation, Var
from chainrule.program.types import type_of
from chainrule.wide.error_rules import UNIT, error_rule

FUNCTIONS = {"tanh": mp.tanh, "arctan": mp.atan, "erf": mp.erf, "cosh": mp.cosh}
POINTS = [0.0, 1e-9, -0.3, 0.9, -2.0, 7.0, 40.0, -300.0]
ERRORS = [1e-17, 1e-9, 1e-3, 0.3, 2.0, 50.0]


def _estimated(name, x, error):
    op, type_ = REGISTRY[name], type_of(1.0)
    equation = Equation(op, (Var(type_),), {}, (Var(type_),), None)
    x, error = np.float64(x), np.float64(error)
    return error_rule(equation)(op.evaluate(x), [x], [error], equation)


@pytest.mark.parametrize("name", FUNCTIONS)
def test_an_estimate_bounds_how_far_a_value_moves(name):
    true = FUNCTIONS[name]
    with mp.workdps(60):
        for x in POINTS:
            for error in ERRORS:
                moved = max(abs(true(mp.mpf(x) + s * mp.mpf(error)) - true(x)) for s in (-1, 1))
                assert _estimated(name, x, error) >= 0.99 * float(moved), (x, error)


@pytest.mark.parametrize("name", ["tanh", "arctan", "erf"])
def test_what_is_saturated_keeps_its_digits(name):
    assert _estimated(name, 300.0, 300.0 * UNIT) <= 4 * UNIT
