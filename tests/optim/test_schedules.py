"""Schedules against their formulas, as numbers and inside loops."""

import numpy as np
import pytest

import chainrule as cr
from chainrule import optim

FORMULAS = {
    "Constant": (optim.Constant(), lambda t: 1.0),
    "InverseTime": (optim.InverseTime(5.0), lambda t: 5 / (5 + t)),
    "InverseRoot": (optim.InverseRoot(5.0), lambda t: np.sqrt(5 / (5 + t))),
    "Steps": (optim.Steps(4, 0.5), lambda t: 0.5 ** (t // 4)),
    "Cosine": (
        optim.Cosine(10, 0.1), lambda t: 0.1 + 0.45 * (1 + np.cos(np.pi * min(t, 10) / 10)),
    ),
    "WarmUp": (
        optim.WarmUp(3, optim.InverseTime(2.0)), lambda t: (t + 1) / 3 if t < 3 else 2 / (t - 1),
    ),
}  # fmt: skip


@pytest.mark.parametrize("name", FORMULAS)
def test_factors(name):
    schedule, formula = FORMULAS[name]
    for t in range(15):
        np.testing.assert_allclose(schedule(t), formula(t), rtol=1e-14)


@pytest.mark.parametrize("name", FORMULAS)
def test_factors_in_a_compiled_loop(name):
    schedule, formula = FORMULAS[name]

    @cr.compile
    def factors(schedule):
        return cr.scan(lambda t, _: (t + 1, schedule(t) * 1.0), 0, np.zeros(15))[1]

    np.testing.assert_allclose(factors(schedule), [formula(t) for t in range(15)], rtol=1e-13)


def test_every_schedule_is_tested():
    assert set(FORMULAS) == set(optim.SCHEDULES)


def test_numbers_that_make_no_sense_are_refused():
    with pytest.raises(ValueError, match="every"):
        optim.Steps(0)
